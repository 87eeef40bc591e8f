"""The command line: bad input, the manual, sweeps, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import cli
from pipeline.config.fields import fields_of
from pipeline.config.groups import groups_of
from pipeline.config.paths import ROOT
from pipeline.config.schema import AnonymizeConfig, TrainConfig
from pipeline.errors import UserError

SCHEMAS: dict[str, type] = {"train": TrainConfig, "anonymize": AnonymizeConfig}

BAD = [
    ("train", ["steps=0"], ["trainer.steps", "0", "at least 1"]),
    ("train", ["trainer.steps=many"], ["trainer.steps", "many", "a whole number"]),
    ("train", ["trainer.steps=1.5"], ["trainer.steps", "1.5", "a whole number"]),
    ("train", ["trainer.steps="], ["trainer.steps", "no value", "a whole number"]),
    ("train", ["trainer.stps=3"], ["trainer.stps=3", "unknown", "trainer.steps"]),
    ("train", ["model=efficientdet_d9"], ["model=efficientdet_d9", "efficientdet_d0, efficientdet_d1"]),
    ("train", ["model=efficientdet_d0,efficientdet_d1"], ["model=", "one of", "-m"]),
    ("train", ["dataset=facemsk"], ["dataset=facemsk", "did you mean facemask"]),
    ("train", ["dataset.root=/no/such"], ["dataset.root", "/no/such", "an existing folder"]),
    ("train", ["dataset.sources.other.folder=x"], ["dataset.sources.other.folder"]),
    ("train", ["optimizer=adam"], ["trainer.optimizer", "adam", "adamw, sgd"]),
    ("train", ["mixed_precision=perhaps"], ["trainer.mixed_precision", "perhaps", "true or false"]),
    ("train", ["image_size=400"], ["trainer.image_size", "400", "multiple of 128"]),
    ("train", ["augment.flip=nan"], ["augment.flip", "nan", "from 0 to 1"]),
    ("train", ["stages=[train,prepare]"], ["stages", "[train,prepare]", "in this order"]),
    ("train", ["stages=deploy"], ["stages", "deploy", "prepare, train"]),
    ("train", ["val=0.6", "dataset.split.test=0.5"], ["dataset.split.val", "0.6", "0.5"]),
    ("train", ["model.init=nothing"], ["model.init", "nothing", "released, imagenet"]),
    ("train", ["seed=1"], ["trainer.seed=1", "dataset.split.seed=1"]),
    ("train", ["trainer.steps=["], ["trainer.steps=["]),
    ("train", ["model.name=${nope}"], ["model.name"]),
    ("train", ["~nope"], ["nope", "unknown"]),
    ("train", ["hydra.run.dir=x"], ["hydra.run.dir", "unknown"]),
    ("train", ["--unknown"], ["--unknown", "--help"]),
    ("train", ["steps"], ["steps", "trainer.steps=VALUE"]),
    ("train", ["-m", "steps=5,0"], ["trainer.steps", "0", "at least 1"]),
    ("train", ["-m", "model=efficientdet_d0,efficientdet_d9"], ["model=efficientdet_d9"]),
    ("anonymize", [], ["data", "no value given", "an existing folder"]),
    ("anonymize", ["data="], ["data", "no value given", "an existing folder"]),
    ("anonymize", ["data=/no/such"], ["data", "/no/such", "an existing folder"]),
    (
        "anonymize",
        ["data=.", "score_threshold=5"],
        ["detector.score_threshold", "5", "at least 0.05 and below 1"],
    ),
    ("anonymize", ["data=.", "review_threshold=0.9"], ["detector.review_threshold", "0.9", "(0.5)"]),
    ("anonymize", ["data=.", "detector.input_size=512"], ["detector.input_size=512", "unknown"]),
    ("anonymize", ["data=.", "top_fraction=0"], ["redact.top_fraction", "0", "above 0 and at most 1"]),
    ("anonymize", ["data=.", "out="], ["out", "no value given"]),
    ("anonymize", ["data=.", "model=/no/such"], ["detector.model", "/no/such", "SavedModel"]),
    ("anonymize", ["data=.", "redact=blurr"], ["redact=blurr", "did you mean blur?"]),
    ("anonymize", ["data=.", "rotations=45"], ["verify.rotations", "[45]", "0, 90, 180, 270"]),
    ("anonymize", ["data=.", "verify.rotations=[]"], ["verify.rotations: []", "one or more"]),
    ("anonymize", ["data=.", "verify.scales=[]"], ["verify.scales: []", "one or more"]),
    ("anonymize", ["data=.", "verify.scales=[0.001]"], ["verify.scales: [0.001]", "from 0.1 to 4"]),
    ("anonymize", ["data=.", "colour=1,2"], ["redact.colour", "[1,2]", "three"]),
    ("anonymize", ["data=.", "trainer.steps=5"], ["trainer.steps=5", "unknown"]),
    ("anonymize", ["photos"], ["photos", "data=photos"]),
]


@pytest.fixture
def with_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder where the default detector seems to lie."""
    (tmp_path / "models" / "efficientdet_d2").mkdir(parents=True)
    (tmp_path / "models" / "efficientdet_d2" / "saved_model.pb").touch()
    monkeypatch.chdir(tmp_path)


def never(config: object) -> int:
    raise AssertionError("main must not start")


@pytest.mark.usefixtures("with_model")
@pytest.mark.parametrize(("command", "argv", "expected"), BAD, ids=[" ".join(row[1]) or "-" for row in BAD])
def test_bad_input_ends_in_one_message(
    command: str, argv: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(never, SCHEMAS[command], command, argv)
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("error:") == 1
    assert "Traceback" not in captured.err
    for part in expected:
        assert part in captured.err


def run_script(root: Path, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "importtime", str(root / argv[0]), *argv[1:]]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60)


@pytest.mark.parametrize(
    "argv", [("train.py", "steps=0"), ("anonymize.py", "data=.", "score_threshold=5"), ("train.py", "--help")]
)
def test_the_real_scripts_answer_fast_and_write_nothing(
    root: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, argv: tuple[str, ...]
) -> None:
    """Without TensorFlow, and without Hydra's litter in the working folder."""
    model = tmp_path_factory.mktemp("model")
    (model / "saved_model.pb").touch()
    extra = [f"model={model}"] if argv[0] == "anonymize.py" else []
    done = run_script(root, *argv, *extra, cwd=tmp_path)
    imported = {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "import time:" in line
    }
    told = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert not imported & {"tensorflow", "mlflow", "official", "albumentations", "cv2"}
    assert list(tmp_path.iterdir()) == []
    if "--help" in argv:
        assert done.returncode == 0 and not told
    else:
        assert done.returncode == 2 and len(told) == 1 and told[0].startswith("error: ")


@pytest.mark.parametrize("module", ["benchmarks.tiles", "pipeline.calibration"])
def test_the_manual_of_a_module_says_how_it_is_called(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.startswith(f"usage: python -m {module} [")


@pytest.mark.parametrize("command", SCHEMAS)
def test_the_manual_holds_everything(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(never, SCHEMAS[command], command, ["--help"]) == 0
    text = capsys.readouterr().out
    words = " ".join(text.split())
    assert text.startswith("usage: python ")
    for field in fields_of(SCHEMAS[command]):
        assert f"  {field.path}=" in text
        assert field.help in words
        assert field.allowed in words
    for group in groups_of(command).values():
        for option in group.options:
            assert f" {option} " in words
    assert max(map(len, text.splitlines())) <= 110
    assert f"python {command}.py" in text


def test_help_into_a_closed_pipe_is_no_error(root: Path) -> None:
    command = f"'{sys.executable}' '{root / 'train.py'}' --help | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.stdout.startswith("usage:")
    assert done.stderr == ""


def test_cfg_prints_what_would_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(never, TrainConfig, "train", ["--cfg", "steps=7"]) == 0
    assert "  steps: 7\n" in capsys.readouterr().out


def test_a_sweep_calls_main_for_each_and_tells_of_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []

    def main(config: TrainConfig) -> int:
        seen.append(config.trainer.steps)
        if config.trainer.steps == 2:
            raise RuntimeError("broken")
        return 0

    assert cli.run(main, TrainConfig, "train", ["-m", "steps=1,2,3"]) == 1
    assert seen == [1, 2, 3]
    captured = capsys.readouterr()
    assert "[2/3] trainer.steps=2" in captured.err and "RuntimeError: broken" in captured.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("photos: empty; allowed: a folder with pictures"), 2, "error: photos: empty"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("no such luck"), 1, "Traceback"),
        (SystemExit(7), 7, ""),
    ],
)
def test_exceptions_become_exit_codes(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(config: TrainConfig) -> int:
        raise error

    try:
        result: object = cli.run(main, TrainConfig, "train", [])
    except SystemExit as exit_:
        result = exit_.code
    captured = capsys.readouterr().err
    assert result == code
    assert said in captured
    assert ("Traceback" in captured) == (code == 1)


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["tracking.uri=http://admin:s3cr3t@w0rd@host"], 1),
        (["tracking.url=http://admin:s3cr3t@w0rd@host"], 2),
        (["-m", "tracking.uri=http://admin:s3cr3t@w0rd@host", "steps=1,2"], 1),
        (["--cfg", "tracking.uri=http://admin:s3cr3t@w0rd@host"], 0),
    ],
)
def test_no_message_holds_a_password(argv: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def main(config: TrainConfig) -> int:
        raise RuntimeError(f"{config.tracking.uri} is gone")

    assert cli.run(main, TrainConfig, "train", argv) == code
    captured = capsys.readouterr()
    assert "http://host" in captured.out + captured.err
    assert not any(secret in captured.out + captured.err for secret in ("admin", "s3cr3t", "w0rd"))


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_main_chooses_its_exit_code(returned: int | None, code: int) -> None:
    assert cli.run(lambda config: returned, TrainConfig, "train", []) == code


def test_nothing_changes_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = []
    cli.run(lambda config: folders.append(Path.cwd()), TrainConfig, "train", [])
    cli.run(lambda config: folders.append(Path.cwd()), TrainConfig, "train", ["-m", "steps=1,2"])
    assert folders == [tmp_path] * 3
    assert list(tmp_path.iterdir()) == []
