"""The words of a model card, section by section."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.anonymize.detect.canvas import canvas_sides
from pipeline.config.paths import ROOT
from pipeline.config.schema import TrainConfig
from pipeline.data.merge import growth
from pipeline.data.version import DatasetVersion
from pipeline.evaluation.report import Evaluation, summary, table
from pipeline.evaluation.slices import Rate
from pipeline.history import StageRecord

CARDS = ROOT / "datasets"
RELIABILITY = "reliability.png"
FEW = 20
"""A slice with fewer faces says nothing that would be certain."""


@dataclass(frozen=True)
class Verdict:
    """What a release's gate said.

    Attributes:
        passed: or ``accepted``: it failed, and was let pass by name.
        says: the figures, for people.
    """

    name: str
    passed: bool
    accepted: bool
    says: str

    @property
    def word(self) -> str:
        return "passed" if self.passed else "accepted" if self.accepted else "FAILED"


def card_text(
    config: TrainConfig,
    version: DatasetVersion,
    stages: Sequence[StageRecord],
    evaluation: Evaluation,
    gates: Sequence[Verdict],
    card: Mapping[str, Any],
) -> str:
    """The README beside a SavedModel.

    Args:
        card: what ``model_card.json`` says; the rest as :func:`pipeline.card.write_card` takes it.
    """
    parts = [
        _opening(config, card),
        _made_from(config, version, stages),
        "## How well it does\n\n" + _untitled(summary(evaluation)),
        _scores(card["calibration"]),
        _weaknesses(evaluation),
        _gates(gates),
        LIMITS,
    ]
    return "\n".join(part for part in parts if part)


def _opening(config: TrainConfig, card: Mapping[str, Any]) -> str:
    model, side = config.model, card["input_size"]
    return f"""# {card["name"]}: a face detector that also sees masked faces

EfficientDet (backbone EfficientNet-{model.backbone.upper()}, {model.filters} channels,
{model.bifpn_cells} BiFPN cells) with one class, FACE. Made by `train.py` on {card["made"]}.

## Use

A SavedModel that runs with TensorFlow alone:

```python
import tensorflow as tf

detect = tf.saved_model.load("<this folder>").signatures["serving_default"]
found = detect(input_tensor=picture[None])  # uint8 [1, H, W, 3], RGB, upright
found["detection_boxes"]  # [1, N, 4]: ymin, xmin, ymax, xmax as fractions of the picture
found["detection_scores"], found["detection_classes"], found["num_detections"]  # FACE is class 1.0
```

The signature `batched` takes `images` uint8 `[B, {side}, {side}, 3]`, already scaled to fit and laid out
at the top left on the colour 124, 116, 104; its boxes are fractions of that square. `raw` takes canvases
of any size, sides multiples of 128 and at most {side}, as `serving_default` makes them inside: the longer
side is {side}, the other as short as the picture allows, {canvas_sides(side)[0]} at least. It gives every
anchor's box and scores, before non-maximum suppression (overlap {model.nms_iou:g}, at
most {model.max_detections} faces) and the vote of boxes after it. All three also give the network's own
scores, before calibration: `detection_raw_scores`, and `raw_scores` of `raw`.
"""


def _training(stage: StageRecord) -> tuple[str, ...]:
    hours = "" if stage.hours is None else f"{stage.hours:.1f}"
    if stage.start_share == 1:
        return stage.run, stage.started_from, "none, calibrated anew", "", "", "", hours
    kept = f", kept {stage.kept_step}" * (stage.kept_step != stage.steps)
    mean = f", of which {stage.start_share:.0%} the start's" * (stage.start_share > 0)
    return (
        stage.run,
        stage.started_from,
        f"{stage.steps} × {stage.batch_size}{kept}{mean}",
        str(stage.image_size),
        f"{stage.optimizer}, {stage.learning_rate:g}",
        f"{stage.validation_AP50:.3f}",
        hours,
    )


def _made_from(config: TrainConfig, version: DatasetVersion, stages: Sequence[StageRecord]) -> str:
    rows = [_training(each) for each in stages]
    header = ("training", "started from", "steps × pictures", "side", "peak rate", "validation AP50", "hours")
    total, data = sum(each.hours or 0.0 for each in stages), config.dataset
    file = Path(data.consensus or "").name
    gaps = f"\nFaces that nobody labelled: those of `{file}`, as {data.consensus_as.value}.\n"
    moved = [note for name, source in data.sources.items() for note in growth(name, source.grow)]
    where = "in calibration" if stages[-1].start_share == 1 else "in training"
    evened = f"\nSo that sets agree, {where} and in all figures, {'; '.join(moved)}.\n"
    return f"""## Made from

Data version `{version.name}`, fingerprint `{version.fingerprint[:12]}`; near-duplicates on one side:

{_bullets({f"{count} pictures": f"{split} split" for split, count in version.counts.items()})}
{gaps if data.consensus else ""}{evened if moved else ""}
{chr(10).join(table(header, rows))}

Together {total:.1f} hours by the clock; cosine decay of the rate, moving average of the weights.

Licences of the data, as its sources state them (no picture is part of this release):

{_bullets({f"`{name}`": licence_of(name) for name in version.roots})}
"""


def _scores(calibration: Mapping[str, Any] | None) -> str:
    if not calibration or calibration["reason"]:
        why = calibration["reason"] if calibration else "it was not asked for"
        return f"""## What a score means

Nothing in particular: **this detector is not calibrated** ({why}).
"""
    found, settings = calibration["precision"], calibration["settings"]
    precision, recall = Rate(**found), Rate(**calibration["recall"])
    added = calibration.get("consensus_faces", 0)
    excused = f" ({added} faces that only a consensus names count for nothing)" if added else ""
    return f"""## What a score means

Scores are calibrated on the validation split ({calibration["pictures"]} pictures): 0.5 is the lowest score
from which at least {settings["precision"]:.0%} of the detections are right, with a confidence of
{settings["confidence"]:.0%}{excused}; elsewhere a score comes near to the chance of being right.
There, at 0.5: precision {_interval(precision)}, recall {_interval(recall)}. Before calibration that score was
{calibration["metrics"]["raw_score_at_threshold"]:.3f}. The calibration error (the mean distance between score
and share of right detections, of those from 0.05 on) stands in the table above.

![Share of right detections by score]({RELIABILITY})
"""


def _weaknesses(evaluation: Evaluation) -> str:
    """The slices whose recall lies below that of all faces with its interval, worst first."""
    everywhere = evaluation.recall["all"]
    weak = [
        (name, each)
        for name, each in evaluation.recall.items()
        if name != "all" and each.of >= FEW and each.high < everywhere.share
    ]
    if not weak:
        return ""
    lines = [
        f"- {spoken(name)}: {1 - each.share:.0%} are missed (recall {_interval(each)}), "
        f"{evaluation.exposed[name].share:.0%} stay exposed"
        for name, each in sorted(weak, key=lambda entry: entry[1].share)
    ]
    return f"""## Where it is weak

Slices whose recall at {evaluation.threshold:g} lies with its whole interval (as if each face were
independent) below that of all faces, {everywhere.share:.3f}:

{chr(10).join(lines)}
"""


def _gates(gates: Sequence[Verdict]) -> str:
    if not gates:
        return ""
    passed = sum(gate.passed for gate in gates)
    lines = [f"- `{gate.name}`: {gate.says}" for gate in gates if gate.accepted]
    accepted = "\nFailed, and accepted by decision:\n\n" + "\n".join(lines) + "\n" if lines else ""
    rows = [(f"`{gate.name}`", gate.word, gate.says) for gate in gates]
    return f"""## Gates

{passed} of {len(gates)} gates of this release passed.
{accepted}
{chr(10).join(table(("gate", "", "figures"), rows))}
"""


LIMITS = """## What it does not do

It misses faces: see the recall by size above, and expect worse in pictures unlike those it was trained
on. Labels of the mask sets leave out small and background faces, so some "false alarms" are real faces
and some misses are not counted. It says nothing about who is shown, and a picture that went through it
is not thereby anonymous: clothes, places and bodies stay.

## When it misses a face

Lower `detector.score_threshold`, look for smaller faces (`detector.min_face`), or widen `redact.margin` at
once, and read the review list of the report. Then tell us: an issue with the size of the face in pixels, what
covered it, its score where it is among the `candidates` in `manifest.jsonl`, and from there the settings and
the digest of the model. Never attach a picture of a person who has not agreed to it. Several such pictures
that may not leave you: label them, and send what `make evaluate` prints of them.
"""


def _interval(each: Rate) -> str:
    return f"{each.share:.3f} ({each.low:.3f}–{each.high:.3f})"


def spoken(name: str) -> str:
    """A slice's name for people."""
    if size := re.fullmatch(r"size_(\d+)_(\d+)", name):
        return f"faces of {size[1]} to {size[2]} px"
    if size := re.fullmatch(r"size_([lg])t(\d+)", name):
        return f"faces {'under' if size[1] == 'l' else 'over'} {size[2]} px"
    if name.startswith("source_"):
        return f"faces of the set `{name.removeprefix('source_')}`"
    return f"faces labelled {name.replace('_', ' ')}"


def _bullets(values: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in values.items())


def licence_of(source: str) -> str:
    """The row ``licence`` of a data set's card, ``datasets/<source>/README.md``."""
    card = CARDS / source / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    match = re.search(r"^\| *licence *\| *(.+?) *\|$", text, re.M)
    return match[1] if match else "not stated here; ask whoever owns the pictures"


def _untitled(text: str) -> str:
    """The evaluation's summary as a section of the card: its title goes."""
    return re.sub(r"^#[^\n]*\n+", "", text)
