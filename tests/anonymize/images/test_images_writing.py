"""A picture is written whole or not at all, and never over what cannot be checked."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipeline.anonymize.images import PictureError, atomic, files, is_leftover, write_picture
from tests.anonymize.images.makers import encoded, opened, texture


def _names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = opened(tmp_path, encoded(texture(30, 40), "PNG"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(PictureError, match="No space left") as caught:
        write_picture(picture, {}, tmp_path / "out" / "a.png")
    assert caught.value.reason == "unwritable"
    assert isinstance(caught.value.__cause__, OSError)
    assert _names(tmp_path / "out") == []


def test_a_real_full_disk(tmp_path: Path) -> None:
    """/dev/full takes no byte: the failure of a write itself."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    picture = opened(tmp_path, encoded(texture(30, 40), "PNG"))
    (tmp_path / "blocked").write_text("a file where a folder should be")
    with pytest.raises(PictureError) as caught:
        write_picture(picture, {}, tmp_path / "blocked" / "a.png")
    assert caught.value.reason == "unwritable"


def test_an_unclean_output_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = opened(tmp_path, encoded(texture(30, 40), "PNG"))
    out = tmp_path / "out" / "a.png"
    out.parent.mkdir()
    out.write_bytes(b"of an earlier run")
    monkeypatch.setattr(files, "check_clean", lambda path: ["EXIF tag 0x010F"])
    with pytest.raises(PictureError, match="would still carry EXIF tag") as caught:
        write_picture(picture, {}, out)
    assert caught.value.reason == "unclean"
    assert _names(out.parent) == ["a.png"]
    assert out.read_bytes() == b"of an earlier run"


def test_leftovers_are_known_and_names_may_be_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = opened(tmp_path, encoded(texture(30, 40), "PNG"))
    name = "ü" * 125 + ".png"  # 254 bytes
    seen: list[str] = []
    monkeypatch.setattr(files, "check_clean", lambda path: seen.append(path.name) or [])  # type: ignore[func-returns-value]
    write_picture(picture, {}, tmp_path / "out" / name)
    assert _names(tmp_path / "out") == [name]
    assert len(seen) == 1 and is_leftover(seen[0]) and not is_leftover(name)


def test_an_existing_output_is_replaced(tmp_path: Path) -> None:
    picture = opened(tmp_path, encoded(texture(30, 40), "PNG"))
    out = tmp_path / "out.png"
    out.write_bytes(b"old")
    before = (tmp_path / "in.bin").read_bytes()
    write_picture(picture, {}, out)
    assert out.read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "in.bin").read_bytes() == before
    assert out.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_writer_is_not_fooled_by_a_changed_source(tmp_path: Path) -> None:
    """What was detected on is what is written, even when the file changes in between."""
    data = encoded(texture(30, 40), "PNG")
    picture = opened(tmp_path, data)
    (tmp_path / "in.bin").write_bytes(encoded(texture(30, 40, seed=9), "PNG"))
    write_picture(picture, {}, tmp_path / "out.png")
    again = opened(tmp_path, (tmp_path / "out.png").read_bytes())
    assert (again.frames[0].pixels == texture(30, 40)).all()
