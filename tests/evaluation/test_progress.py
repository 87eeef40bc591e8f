"""What one sees of work that takes minutes."""

from __future__ import annotations

import pytest

from pipeline.evaluation import progress


def test_a_log_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 59.0, 61.0, 61.0, 100.0, 122.0, 122.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with progress.progress_bar("pictures") as report:
        for done in range(1, 5):
            report(done, 9)
    assert capsys.readouterr().err == "pictures: 2 of 9\npictures: 4 of 9\n"
