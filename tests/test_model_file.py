"""A model file says the same network when it is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit import model_file
from edgekit.errors import InputError
from edgekit.options import Scale


def test_round_trip(tmp_path: Path) -> None:
    scale = Scale(width=0.75, depth=1.1, resolution=160, num_classes=10, in_channels=1)
    model_file.write(tmp_path / "model.toml", "mobilenet_v2", scale)
    read = model_file.read(tmp_path / "model.toml")
    assert (read.model, read.scale) == ("mobilenet_v2", scale)


def test_the_documented_file_is_what_is_written(tmp_path: Path) -> None:
    documented = (model_file.__doc__ or "").split("::")[1].strip().splitlines()
    model_file.write(tmp_path / "model.toml", "mobilenet_v2", Scale(width=0.75, resolution=160))
    assert (tmp_path / "model.toml").read_text().splitlines() == [line.strip() for line in documented]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("schema = 2", "schema"),
        ("width = 'wide'", "width"),
        ("with = 0.5", "with"),
        ("resolution = 1.5", "resolution"),
        ("= 3", "Invalid"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "model.toml"
    model_file.write(path, "mobilenet_v2", Scale())
    key = change.split("=")[0].strip()
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{key or '#'} ")]
    path.write_text("\n".join([*lines, change]))
    with pytest.raises(InputError, match=message):
        model_file.read(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        model_file.read(tmp_path / "model.toml")
