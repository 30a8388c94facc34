"""An export on small networks: what it leaves behind, and that it leaves nothing when it fails."""

from __future__ import annotations

import errno
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit import ExportOptions, files, pipeline
from edgekit.errors import CheckError, EdgekitError, ImageError, InputError, OutputError, UnsupportedError
from edgekit.options import CALIBRATED, FORMATS, INTEGER, IO_TYPES, Format, IoType, Precision
from edgekit.results import STAGES, ExportResult
from edgekit.runtimes import load
from edgekit.target import FORMAT_PRECISIONS
from small_models import CLASSES, SIZE, save_images, save_onnx

INT8 = ExportOptions(target="all", precision="int8", samples=40)
PAIRS = [(name, precision) for name in FORMATS for precision in FORMAT_PRECISIONS[name]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_onnx(tmp_path_factory.mktemp("models") / "net.onnx", "gated"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_images(tmp_path_factory.mktemp("photos"), [i % CLASSES for i in range(12)])


@pytest.fixture(scope="module")
def everything(model: str, tmp_path_factory: pytest.TempPathFactory) -> dict[Precision, ExportResult]:
    """Every precision in every format that has it, one export after the other into one folder."""
    folder = tmp_path_factory.mktemp("everything")
    results: dict[Precision, ExportResult] = {}
    for precision in ("fp32", "fp16", "int8"):
        results[precision] = edgekit.export(model, replace(INT8, precision=precision, out_dir=folder))
    for target, precision in PAIRS:
        if precision in results and len(results[precision].artifacts) == len(FORMATS):
            continue
        one = edgekit.export(model, replace(INT8, target=target, precision=precision, out_dir=folder))
        before = results.get(precision)
        artifacts = (before.artifacts if before else ()) + one.artifacts
        results[precision] = replace(one, artifacts=artifacts)
    return results


def entries(folder: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text())["artifacts"]
    return listed


def snapshot(folder: Path) -> dict[str, bytes]:
    """Everything below ``folder``, hidden files too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("format_", "precision"), PAIRS)
def test_every_file_is_there_and_was_compared(
    everything: dict[Precision, ExportResult], format_: Format, precision: Precision
) -> None:
    (artifact,) = [one for one in everything[precision].artifacts if one.format == format_]
    assert artifact.path.stat().st_size > 0
    assert artifact.precision == precision
    assert artifact.parity.images == (50 if precision in INTEGER else 8)
    assert artifact.parity.max_relative_error < {"fp32": 1e-4, "fp16": 1e-2}.get(precision, 0.2)
    assert artifact.parity.sqnr_db > {"fp32": 80, "fp16": 45, "int16": 25, "weight-only": 25}.get(
        precision, 18
    )
    assert artifact.input.name == "image"
    assert artifact.output.name == "logits"


def test_one_folder_has_one_manifest_of_all_exports(everything: dict[Precision, ExportResult]) -> None:
    folder = everything["fp32"].manifest.parent
    listed = entries(folder)
    assert Counter((one["format"], one["precision"]) for one in listed) == Counter(PAIRS)
    assert len({one["path"] for one in listed}) == len(listed)
    on_disk = {path.name for path in folder.iterdir() if path.suffix != ".bin"}
    assert on_disk == {one["path"] for one in listed} | {"manifest.json"}


def test_manifest_and_files_say_what_calibrated_them(everything: dict[Precision, ExportResult]) -> None:
    folder = everything["fp32"].manifest.parent
    for one in entries(folder):
        if one["precision"] not in CALIBRATED:
            assert "calibration" not in one
            continue
        said = {"kind": "generated", "name": "dead_leaves", "images": 40, "seed": 0, "sha256": None}
        assert one["calibration"] == said
        content = (folder / one["path"]).read_bytes().replace(b"&quot;", b'"').replace(b'\\"', b'"')
        assert b'"name": "dead_leaves", "images": 40' in content


def test_every_manifest_entry_feeds_its_file(everything: dict[Precision, ExportResult]) -> None:
    folder = everything["fp32"].manifest.parent
    for one in entries(folder):
        spec, out = one["input"], one["output"]
        runner = load(folder / one["path"])
        assert (runner.input.dtype, list(runner.input.shape)) == (spec["dtype"], spec["shape"])
        assert (runner.output.dtype, list(runner.output.shape)) == (out["dtype"], out["shape"])
        assert (spec["name"], out["name"]) == ("image", "logits")
        assert spec["normalization"] == "external"
        assert set(out) - {"scale", "zero_point"} == {"name", "shape", "dtype"}
        assert (
            (one["precision"] == "int8" and one["format"] == "tflite")
            == ("scale" in spec)
            == ("scale" in out)
        )


def test_results_are_typed_and_timed(everything: dict[Precision, ExportResult]) -> None:
    result = everything["int8"]
    assert isinstance(result, ExportResult)
    assert result.model == "net"
    assert set(result.seconds) == set(STAGES)
    parts = sum(seconds for stage, seconds in result.seconds.items() if stage != "total")
    assert 0.5 * result.seconds["total"] < parts <= result.seconds["total"]
    assert json.loads(json.dumps(result.to_json()))["seconds"].keys() == set(STAGES)
    assert result.manifest.name == "manifest.json"


def test_the_seconds_of_a_search_leave_out_those_of_its_trials() -> None:
    clock = pipeline._Clock()
    with clock.stage("plan"), clock.stage("quantize"):
        time.sleep(0.05)
    assert clock.seconds["quantize"] >= 0.05
    assert 0 <= clock.seconds["plan"] < 0.05


def test_generated_images_are_announced_for_int8_alone(everything: dict[Precision, ExportResult]) -> None:
    assert any("generated images" in warning for warning in everything["int8"].warnings)
    assert not any("generated images" in warning for warning in everything["fp16"].warnings)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("io_type", IO_TYPES)
def test_inputs_and_outputs_of_any_type(
    model: str, tmp_path: Path, photos: Path, format_: Format, io_type: IoType
) -> None:
    options = replace(INT8, target=format_, out_dir=tmp_path, input_type=io_type, output_type=io_type)
    (artifact,) = edgekit.export(model, replace(options, calibration=photos)).artifacts
    assert (artifact.input.dtype, artifact.output.dtype) == (io_type, io_type)
    assert (artifact.input.scale is None) == (io_type == "float32")
    assert load(artifact.path).input.dtype == io_type
    assert artifact.parity.sqnr_db > 18


# Nothing, or everything


class Interrupted:
    """A progress callback in which Ctrl-C arrives at one stage."""

    def __init__(self, stage: str = "") -> None:
        self.stage = stage
        self.heard: list[str] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.heard.append(stage)
        if stage == self.stage:
            raise KeyboardInterrupt


def with_gate(photos: Path, out_dir: Path) -> ExportOptions:
    return replace(INT8, calibration=photos, max_drop=100.0, data=photos, out_dir=out_dir)


STAGES_HEARD = ("images", "calibrate", "quantize", "max-drop", "verify")


def test_all_stages_are_heard(model: str, photos: Path, tmp_path: Path) -> None:
    progress = Interrupted()
    edgekit.export(model, with_gate(photos, tmp_path), progress)
    assert tuple(dict.fromkeys(progress.heard)) == STAGES_HEARD


@pytest.mark.parametrize("stage", STAGES_HEARD)
@pytest.mark.parametrize("exists", [False, True], ids=["new folder", "earlier export"])
def test_ctrl_c_leaves_everything_as_it_was(
    model: str, photos: Path, tmp_path: Path, stage: str, exists: bool
) -> None:
    out_dir = tmp_path / "deep" / "out"
    if exists:
        edgekit.export(model, ExportOptions(target="onnx", out_dir=out_dir))
        (out_dir / "net_int8.tflite").write_bytes(b"an older one")
    before = snapshot(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        edgekit.export(model, with_gate(photos, out_dir), Interrupted(stage))
    assert snapshot(tmp_path) == before
    assert exists or list(tmp_path.iterdir()) == []


def failing(
    error: BaseException, after: int = 0, then: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """Stands for a function: ``after`` calls are those of ``then``, the next raises."""
    calls = 0

    def fail(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise error
        assert then is not None
        return then(*arguments, **named)

    return fail


@pytest.mark.parametrize("name", ["emit", "verify_artifact", "check_same_answers"])
@pytest.mark.parametrize(
    "error", [CheckError("no"), UnsupportedError("no"), KeyboardInterrupt(), RuntimeError()]
)
def test_a_failure_of_the_last_file_takes_the_others_with_it(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException
) -> None:
    after = 0 if name == "check_same_answers" else 1
    monkeypatch.setattr(pipeline, name, failing(error, after, getattr(pipeline, name)))
    options = replace(INT8, precision="int8" if name == "check_same_answers" else "fp32", samples=8)
    with pytest.raises(type(error)):
        edgekit.export(model, replace(options, out_dir=tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(files, "_write", failing(full, 1, files._write))
    with pytest.raises(OutputError, match="No space left") as caught:
        edgekit.export(model, ExportOptions(target="all", precision="fp32", out_dir=tmp_path / "out"))
    assert "disk is full" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_gate_that_is_not_passed_leaves_nothing(model: str, photos: Path, tmp_path: Path) -> None:
    options = replace(with_gate(photos, tmp_path / "out"), max_drop=-101.0)
    with pytest.raises(CheckError, match="no plan loses at most -101 points"):
        edgekit.export(model, options)
    assert list(tmp_path.iterdir()) == []


# Folders that hold something


def test_an_export_replaces_its_own_files_alone(model: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for _ in range(2):
        edgekit.export(model, ExportOptions(target="onnx", out_dir=tmp_path))
    assert [one["path"] for one in entries(tmp_path)] == ["net_fp32.onnx"]
    edgekit.export(model, ExportOptions(target="onnx", precision="fp16", out_dir=tmp_path))
    assert [one["path"] for one in entries(tmp_path)] == ["net_fp32.onnx", "net_fp16.onnx"]
    assert set(snapshot(tmp_path)) == {"notes.txt", "manifest.json", "net_fp32.onnx", "net_fp16.onnx"}


def test_another_network_is_refused_before_the_work(model: str, tmp_path: Path) -> None:
    edgekit.export(model, ExportOptions(target="onnx", out_dir=tmp_path / "out"))
    other = save_onnx(tmp_path / "other.onnx", "plain")
    before = snapshot(tmp_path)
    progress = Interrupted()
    with pytest.raises(InputError, match=r"holds an export of net .* differs from other") as caught:
        edgekit.export(str(other), replace(INT8, out_dir=tmp_path / "out"), progress)
    assert caught.value.hint
    assert progress.heard == []
    assert snapshot(tmp_path) == before


def test_a_file_in_the_place_of_the_folder_is_refused_before_the_work(model: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    progress = Interrupted()
    with pytest.raises(OutputError) as caught:
        edgekit.export(model, replace(INT8, out_dir=tmp_path / "out"), progress)
    assert caught.value.hint
    assert progress.heard == []
    assert (tmp_path / "out").read_text() == "mine"


# Calibration images


def test_more_samples_than_images(model: str, photos: Path, tmp_path: Path) -> None:
    result = edgekit.export(
        model, replace(INT8, target="onnx", calibration=photos, samples=99, out_dir=tmp_path)
    )
    assert result.artifacts[0].parity.images == 12
    assert any("all 12 images calibrated" in warning for warning in result.warnings)


def test_images_that_did_not_calibrate_verify(model: str, photos: Path, tmp_path: Path) -> None:
    result = edgekit.export(
        model, replace(INT8, target="onnx", calibration=photos, samples=9, out_dir=tmp_path)
    )
    assert result.artifacts[0].parity.images == 3
    assert not any("calibrated" in warning for warning in result.warnings)


def test_verification_holds_few_images(model: str, tmp_path: Path) -> None:
    photos = save_images(tmp_path / "photos", [0] * 60)
    options = ExportOptions(target="onnx", calibration=photos, samples=60, out_dir=tmp_path)
    assert edgekit.export(model, options).artifacts[0].parity.images == 8
    options = replace(options, precision="int8")
    assert edgekit.export(model, options).artifacts[0].parity.images == 50


def test_unreadable_images_are_named_at_any_precision(model: str, tmp_path: Path) -> None:
    photos = save_images(tmp_path / "photos", [0, 1, 2])
    (photos / "0009_truncated.png").write_bytes((photos / "0000_0.png").read_bytes()[:100])
    for precision in ("fp32", "int8"):
        options = ExportOptions(
            target="onnx",
            precision=precision,
            calibration=photos,
            out_dir=tmp_path / precision,
        )
        warnings = edgekit.export(model, options).warnings
        assert "1 calibration images could not be read: 0009_truncated.png" in warnings


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("gray", [0, 127, 255])
def test_constant_images_still_quantize(model: str, tmp_path: Path, count: int, gray: int) -> None:
    (tmp_path / "photos").mkdir()
    for index in range(count):
        Image.new("RGB", (SIZE, SIZE), (gray,) * 3).save(tmp_path / "photos" / f"{index}.png")
    options = replace(INT8, calibration=tmp_path / "photos", out_dir=tmp_path / "out")
    for artifact in edgekit.export(model, options).artifacts:
        assert np.isfinite(artifact.parity.max_relative_error)


def test_ranges_are_chosen_by_the_error_they_make(model: str, photos: Path, tmp_path: Path) -> None:
    options = replace(INT8, calibration=photos, out_dir=tmp_path)
    found = edgekit.export(model, replace(options, ranges="auto")).ranges
    assert found is not None
    assert found.sqnr_db[found.method] == max(found.sqnr_db.values())
    assert set(found.sqnr_db) == {"minmax", "percentile", "mse", "entropy"}
    assert edgekit.export(model, options).ranges is None


BAD_OPTIONS: dict[str, tuple[Callable[[Path], dict[str, Any]], type[EdgekitError], str]] = {
    "samples": (lambda _: {"samples": 0}, InputError, "samples is 0"),
    "seed": (lambda _: {"seed": -1}, InputError, "seed is -1"),
    "large seed": (lambda _: {"seed": 2**64}, InputError, "seed is 18446744073709551616"),
    "precision": (
        lambda _: {"target": "all", "precision": "dynamic"},
        UnsupportedError,
        "openvino does not take",
    ),
    "ranges": (
        lambda _: {"ranges": "mse", "skip_stages": ("range-choice",)},
        InputError,
        "ranges mse were asked for",
    ),
    "no images": (lambda folder: {"calibration": folder}, ImageError, "holds no image"),
    "input type": (lambda _: {"precision": "fp32", "input_type": "int8"}, EdgekitError, "int8"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_options_that_cannot_be_used(model: str, tmp_path: Path, name: str) -> None:
    change, error, message = BAD_OPTIONS[name]
    (tmp_path / "empty").mkdir()
    options = replace(INT8, out_dir=tmp_path / "out", **change(tmp_path / "empty"))
    with pytest.raises(error, match=message) as caught:
        edgekit.export(model, options)
    assert caught.value.hint
    assert not (tmp_path / "out").exists()
