"""Calibration and evaluation images that would mislead: each is said or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.errors import InputError
from edgekit.options import ExportOptions
from small_models import save_images, save_onnx


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_onnx(tmp_path_factory.mktemp("bad") / "plain.onnx"))


def warnings_of(model: str, folder: Path, calibration: Path, data: Path | None = None) -> str:
    options = ExportOptions(
        target="onnx",
        precision="int8",
        out_dir=folder / "out",
        calibration=calibration,
        max_drop=None if data is None else 100.0,
        data=data,
    )
    return "\n".join(edgekit.export(model, options).warnings)


def test_images_that_calibrate_and_judge_are_counted(model: str, tmp_path: Path) -> None:
    calibration = save_images(tmp_path / "calibration", range(10))
    data = save_images(tmp_path / "data", range(10), seed=1)
    for index, path in enumerate(sorted(calibration.iterdir())[:3]):
        (data / f"0001_{index}_copy.png").write_bytes(path.read_bytes())
    assert "3 of the 13 images of --data calibrated too" in warnings_of(model, tmp_path, calibration, data)


def test_folders_without_common_images_are_not_remarked_on(model: str, tmp_path: Path) -> None:
    calibration = save_images(tmp_path / "calibration", range(10))
    data = save_images(tmp_path / "data", range(10), seed=1)
    assert "calibrated too" not in warnings_of(model, tmp_path, calibration, data)


def test_one_image_is_said_to_be_too_few(model: str, tmp_path: Path) -> None:
    assert "1 calibration image: " in warnings_of(model, tmp_path, save_images(tmp_path / "one", [3]))


def test_constant_images_are_counted(model: str, tmp_path: Path) -> None:
    calibration = save_images(tmp_path / "calibration", range(10))
    for index, path in enumerate(sorted(calibration.iterdir())[:4]):
        Image.fromarray(np.full((32, 32, 3), 60 * index, np.uint8)).save(path)
    assert "4 of 10 calibration images have one color only" in warnings_of(model, tmp_path, calibration)


def test_constant_images_alone_still_give_a_file(model: str, tmp_path: Path) -> None:
    calibration = tmp_path / "black"
    calibration.mkdir()
    for index in range(8):
        Image.new("RGB", (32, 32)).save(calibration / f"{index}.png")
    assert "8 of 8 calibration images have one color only" in warnings_of(model, tmp_path, calibration)


@pytest.mark.parametrize("folders", [3, 11])
def test_as_many_class_folders_as_classes_are_expected(model: str, tmp_path: Path, folders: int) -> None:
    calibration = save_images(tmp_path / "calibration", range(8))
    data = tmp_path / "data"
    for name in "abcdefghijk"[:folders]:
        save_images(data / name, [0])
    with pytest.raises(InputError, match=f"{folders} folders of classes .* 10 classes without names"):
        warnings_of(model, tmp_path, calibration, data)


def test_a_label_beyond_the_classes_is_refused(model: str, tmp_path: Path) -> None:
    calibration, data = save_images(tmp_path / "calibration", range(8)), save_images(tmp_path / "data", [10])
    with pytest.raises(InputError, match="labelled 10, and the network has classes 0 to 9"):
        warnings_of(model, tmp_path, calibration, data)
