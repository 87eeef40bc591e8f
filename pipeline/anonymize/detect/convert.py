"""From a SavedModel to OpenVINO's own form, without TensorFlow; the result is kept beside the model."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.anonymize.detect import cache
from pipeline.anonymize.detect.suppress import Suppression

# OpenVINO would report over the network, from a process of its own, that it was imported; so it cannot.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

SIGNATURE, SQUARES = "raw", "batched"
NEEDED = {"boxes", "scores"}
"""Of what it gives; scores that suppression compares instead may come as ``raw_scores``."""
FORM = 4
"""Of what is kept: a newer one is converted anew."""


class Unusable(Exception):
    """A runtime cannot serve this model here; the message says why, for people."""


@dataclass(frozen=True)
class Converted:
    """A conversion.

    Attributes:
        folder: where it is kept. network: its file; it takes canvases of any size if the SavedModel does.
        side: longer side in pixels of the canvas that the network sees.
        oblong: whether the other side may be shorter.
        suppression: as the SavedModel's own graph does it.
    """

    folder: Path
    side: int
    oblong: bool
    suppression: Suppression

    @property
    def network(self) -> Path:
        return self.folder / "model.xml"


def kept_name(digest: str) -> str:
    """Of the folder of a conversion: it says everything that the content depends on."""
    import openvino

    return f"{digest[:16]}-openvino-{openvino.__version__.partition('-')[0]}-{FORM}"


def convert(model: Path, digest: str) -> Converted:
    """The conversion of a SavedModel, made now if there is none.

    Args:
        model: the SavedModel's folder. digest: of it.

    Raises:
        Unusable: OpenVINO cannot convert it, now or when it was tried before.
    """
    try:
        folder = cache.kept_or_made(model, kept_name(digest), lambda building: _fill(building, model, digest))
        about = json.loads((folder / cache.DONE).read_text())
        if why := about["unusable"]:
            raise Unusable(why)
        return Converted(folder, about["side"], about["oblong"], Suppression(**about["suppression"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unusable(f"the conversion cannot be kept or read ({first_line(error)})") from error


def _fill(folder: Path, model: Path, digest: str) -> None:
    """A model that cannot be converted is noted too: the next run need not try."""
    about: dict[str, Any] = {"model": digest, "unusable": ""}
    try:
        about |= _convert(model, folder / "model.xml")
    except Unusable as error:
        about["unusable"] = str(error)
    (folder / cache.DONE).write_text(json.dumps(about, indent=1) + "\n")


def _convert(model: Path, network: Path) -> dict[str, Any]:
    """Write the network, and say what :class:`Converted` holds beside it."""
    import openvino

    from pipeline.anonymize.detect.graph import SavedModelFile

    file = SavedModelFile.read(model)
    if SIGNATURE not in file.signatures or not file.outputs(SIGNATURE) >= NEEDED:
        raise Unusable(f"the model has no signature {SIGNATURE!r} that gives {' and '.join(sorted(NEEDED))}")
    suppression = file.suppression()
    if suppression is None:
        raise Unusable("the model's graph does not say how it suppresses overlapping boxes")
    _, height, width, _ = file.input_shape(SIGNATURE)
    oblong = (height, width) == (-1, -1)
    if lacking := sorted({SQUARES, "serving_default"} - set(file.signatures)) if oblong else []:
        raise Unusable(f"the model takes canvases of any size, but has no signature {lacking[0]!r}")
    with tempfile.TemporaryDirectory() as scratch:
        alone = Path(scratch)
        (alone / "saved_model.pb").write_bytes(file.with_only(SIGNATURE))
        (alone / "variables").symlink_to((model / "variables").resolve())
        try:
            # Not openvino.convert_model: it would report its use over the network.
            converted = openvino.Core().read_model(alone)
            converted.reshape([1, height, width, 3])
            openvino.save_model(converted, network, compress_to_fp16=False)
        except RuntimeError as error:
            raise Unusable(f"OpenVINO cannot convert the model ({first_line(error)})") from error
    side = file.input_shape(SQUARES)[1] if oblong else height
    return {"side": side, "oblong": oblong, "suppression": asdict(suppression)}


def first_line(error: BaseException) -> str:
    """What an error of OpenVINO's says, without where in its sources it was raised."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return (said or [type(error).__name__])[0][:200]
