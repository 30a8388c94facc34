"""Images that two folders share, whatever they are called."""

from __future__ import annotations

from pathlib import Path

from edgekit.quantize.overlap import shared_images


def test_the_bytes_decide_not_the_names(tmp_path: Path) -> None:
    contents = {"a.png": b"first", "b.png": b"other", "c.png": b"longer than those"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "copy.png").write_bytes(b"first")
    (tmp_path / "sizes.png").write_bytes(b"fifth")
    (tmp_path / "new.png").write_bytes(b"of a size of its own")
    calibration = [tmp_path / name for name in contents]
    evaluation = [tmp_path / name for name in ("copy.png", "sizes.png", "new.png", "c.png")]
    assert shared_images(calibration, evaluation) == [tmp_path / "copy.png", tmp_path / "c.png"]
    assert shared_images([], evaluation) == []
