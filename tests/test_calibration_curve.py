"""More images calibrate better, up to a point; what judges does not calibrate."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.calibration_curve import CalibrationCurve, CurvePoint, calibration_curve
from edgekit.cli.main import main
from edgekit.errors import InputError
from small_models import save_images, save_onnx


def test_both_sources_are_judged_at_every_count(tmp_path: Path) -> None:
    model, images = save_onnx(tmp_path / "plain.onnx"), save_images(tmp_path / "images", range(60))
    result = calibration_curve(str(model), images, counts=(1, 8, 500))
    assert [(point.source, point.images) for point in result.points] == [
        (source, count) for source in ("photographs", "generated") for count in (1, 8, 10)
    ]
    assert result.judged_on == 50
    first, *_, last = (point for point in result.points if point.source == "photographs")
    assert last.sqnr_db > first.sqnr_db


def test_another_folder_can_judge(tmp_path: Path) -> None:
    model, images = save_onnx(tmp_path / "plain.onnx"), save_images(tmp_path / "images", range(4))
    judges = save_images(tmp_path / "judges", range(3), seed=1)
    result = calibration_curve(str(model), images, judges, counts=(2,))
    assert (result.judged_on, len(result.points)) == (3, 2)


def test_enough_is_the_least_within_a_third_of_a_decibel() -> None:
    sqnr = {1: 12.0, 4: 18.0, 16: 20.8, 64: 21.0, 250: 20.9}
    points = tuple(CurvePoint("generated", count, 99.0, db) for count, db in sqnr.items())
    assert CalibrationCurve("model", 50, points).enough("generated") == 16


def test_a_folder_with_no_image_left_to_judge_is_refused(tmp_path: Path) -> None:
    model, images = save_onnx(tmp_path / "plain.onnx"), save_images(tmp_path / "images", [3])
    with pytest.raises(InputError, match="none is left to judge"):
        calibration_curve(str(model), images, counts=(4,))
    with pytest.raises(InputError, match="expected each at least 1"):
        calibration_curve(str(model), images, counts=(0,))


def test_the_command_prints_a_table_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("vl_convert", reason="drawing needs the extra 'report'")
    model, images = save_onnx(tmp_path / "plain.onnx"), save_images(tmp_path / "images", range(6))
    picture = tmp_path / "curve.svg"
    code = main(
        ["calibration", "curve", str(model), "--from", str(images), "--counts", "1", "--plot", str(picture)]
    )
    done = capsys.readouterr()
    assert code == 0
    assert [row.split()[0] for row in done.out.splitlines()[1:3]] == ["photographs", "generated"]
    assert "SQNR of the logits" in picture.read_text(encoding="utf-8")


def test_counts_that_are_no_numbers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibration", "curve", "mobilenet_v2", "--from", ".", "--counts", "many"]) == 2
    assert "--counts is 'many'" in capsys.readouterr().err
