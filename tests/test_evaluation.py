"""Exported files on image files: what is counted, what is refused, and the integers that are fed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import ExportOptions
from edgekit.errors import ImageError, InputError, ModelFileError
from edgekit.evaluation import check_labels, encode, read_output
from edgekit.images import find_images, load_pixels
from edgekit.options import IoType, TensorSpec
from edgekit.parity import agreement, sqnr_db
from edgekit.results import Comparison, Evaluation
from edgekit.runtimes import load
from small_models import CLASSES, SIZE, save_images, save_onnx

Folder = Path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """An fp32 and an int8 file of one network."""
    folder = tmp_path_factory.mktemp("exported")
    for precision, target in (("fp32", "onnx"), ("int8", "tflite")):
        options = ExportOptions(target=target, precision=precision, out_dir=folder / "out", samples=4)  # type: ignore[arg-type]
        edgekit.export(str(save_onnx(folder / "net.onnx")), options)
    return folder / "out"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return save_images(tmp_path_factory.mktemp("photos"), [i % CLASSES for i in range(30)])


@pytest.fixture(scope="module")
def logits(exported: Folder, photos: Folder) -> dict[str, Any]:
    """What both files answer, computed from the manifest's text without this package's encoding."""
    document = json.loads((exported / "manifest.json").read_text())
    pre = document["preprocessing"]
    answers: dict[str, Any] = {}
    for artifact in document["artifacts"]:
        spec, out = artifact["input"], artifact["output"]
        runner = load(exported / artifact["path"])
        rows = []
        for path in find_images(photos):
            pixels = load_pixels(path, edgekit.options.Preprocessing(pre["resize_short_side"], crop=SIZE))
            x = (pixels.astype(np.float32) / 255 - np.float32(pre["mean"])) / np.float32(pre["std"])
            if "scale" in spec:
                x = np.clip(np.round(x / spec["scale"]) + spec["zero_point"], -128, 127)
            x = x.astype(spec["dtype"])[None]
            y = runner.run(x if spec["layout"] == "NHWC" else x.transpose(0, 3, 1, 2))
            real = y.astype(np.float32).reshape(-1)
            rows.append((real - out["zero_point"]) * out["scale"] if "scale" in out else real)
        answers[artifact["path"]] = np.stack(rows)
    return answers


def truth(photos: Folder) -> list[int]:
    return [int(path.name[:4]) for path in find_images(photos)]


@pytest.mark.parametrize("name", ["net_fp32.onnx", "net_int8.tflite"])
def test_accuracy_is_counted(exported: Folder, photos: Folder, logits: dict[str, Any], name: str) -> None:
    calls: list[tuple[str, int, int]] = []
    result = edgekit.evaluate(exported / name, photos, progress=lambda *call: calls.append(call))
    order = np.argsort(-logits[name], axis=1, kind="stable")
    labels = np.asarray(truth(photos))[:, None]
    assert isinstance(result, Evaluation)
    assert (result.images, result.skipped) == (30, 0)
    assert result.top1 == pytest.approx(100 * float((order[:, :1] == labels).any(1).mean()))
    assert result.top5 == pytest.approx(100 * float((order[:, :5] == labels).any(1).mean()))
    assert calls == [(name, done, 30) for done in range(1, 31)]


def test_two_files_are_compared(exported: Folder, photos: Folder, logits: dict[str, Any]) -> None:
    reference, test = exported / "net_fp32.onnx", exported / "net_int8.tflite"
    result = edgekit.compare(reference, test, photos)
    assert isinstance(result, Comparison)
    assert (result.reference, result.artifact, result.images) == (reference, test, 30)
    assert result.agreement == agreement(logits["net_fp32.onnx"], logits["net_int8.tflite"])
    assert result.sqnr_db == pytest.approx(sqnr_db(logits["net_fp32.onnx"], logits["net_int8.tflite"]))
    assert result.top1 == edgekit.evaluate(test, photos).top1


def test_a_file_agrees_with_itself(exported: Folder, photos: Folder) -> None:
    result = edgekit.compare(exported / "net_int8.tflite", exported / "net_int8.tflite", photos, limit=4)
    assert (result.images, result.agreement, result.sqnr_db) == (4, 100.0, float("inf"))


@pytest.mark.parametrize("name", ["{}.png", "20240131_{}.png"], ids=["unlabelled", "dates"])
def test_images_need_no_labels_to_compare(
    exported: Folder, photos: Folder, tmp_path: Path, name: str
) -> None:
    for index, path in enumerate(find_images(photos)[:3]):
        (tmp_path / name.format(index)).write_bytes(path.read_bytes())
    result = edgekit.compare(exported / "net_fp32.onnx", exported / "net_int8.tflite", tmp_path)
    assert (result.images, result.top1, result.top5) == (3, None, None)
    with pytest.raises(InputError):
        edgekit.evaluate(exported / "net_fp32.onnx", tmp_path)


def test_unreadable_images_are_counted(exported: Folder, photos: Folder, tmp_path: Path) -> None:
    for path in find_images(photos)[:3]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "0000_broken.png").write_bytes(b"no picture")
    evaluation = edgekit.evaluate(exported / "net_fp32.onnx", tmp_path)
    assert (evaluation.images, evaluation.skipped) == (3, 1)
    comparison = edgekit.compare(exported / "net_fp32.onnx", exported / "net_int8.tflite", tmp_path)
    assert (comparison.images, comparison.skipped) == (3, 1)


def test_only_unreadable_images(exported: Folder, tmp_path: Path) -> None:
    (tmp_path / "0000_broken.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"none of 1 images can be read: 0000_broken\.png"):
        edgekit.evaluate(exported / "net_fp32.onnx", tmp_path)


def test_labels_that_the_network_does_not_have_are_refused_before_the_work(
    exported: Folder, tmp_path: Path
) -> None:
    calls: list[tuple[str, int, int]] = []
    with pytest.raises(InputError, match="labelled 10, and the network has classes 0 to 9"):
        edgekit.evaluate(
            exported / "net_fp32.onnx",
            save_images(tmp_path, [0, CLASSES]),
            progress=lambda *call: calls.append(call),
        )
    assert calls == []


def test_a_network_of_fewer_than_five_classes(photos: Folder, tmp_path: Path) -> None:
    options = ExportOptions(
        target="onnx",
        weights="random",
        out_dir=tmp_path,
        scale=edgekit.ScaleChange(width=0.35, resolution=32, num_classes=2),
    )
    (artifact,) = edgekit.export("mobilenet_v2", options).artifacts
    two = save_images(tmp_path / "two", [0, 1])
    assert edgekit.evaluate(artifact.path, two).top5 == 100.0


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        document = json.loads((folder / "manifest.json").read_text())
        change(document)
        (folder / "manifest.json").write_text(json.dumps(document))

    return apply


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (lambda f: (f / "net_fp32.onnx").unlink(), "does not exist"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "manifest.json"),
    "not listed": (edit(lambda d: d["artifacts"].clear()), "not listed"),
    "truncated": (lambda f: (f / "net_fp32.onnx").write_bytes(b"\x08\x08\x12"), "net_fp32.onnx"),
    "no labels file": (edit(lambda d: d.update(labels="labels.txt")), "labels.txt"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_export_is_an_error(exported: Folder, photos: Folder, tmp_path: Path, name: str) -> None:
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damage, message = DAMAGE[name]
    damage(tmp_path)
    with pytest.raises(ModelFileError, match=message):
        edgekit.evaluate(tmp_path / "net_fp32.onnx", photos)


def test_files_of_different_networks_are_not_compared(
    exported: Folder, photos: Folder, tmp_path: Path
) -> None:
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    edit(lambda d: [one["output"].update(shape=[1, 4]) for one in d["artifacts"]])(tmp_path)
    with pytest.raises(InputError, match=r"net_fp32\.onnx has 4 classes, net_int8\.tflite 10"):
        edgekit.compare(tmp_path / "net_fp32.onnx", exported / "net_int8.tflite", photos)


@pytest.mark.parametrize(("dtype", "low", "high"), [("int8", -128, 127), ("uint8", 0, 255)])
def test_integers_are_rounded_and_saturate(dtype: IoType, low: int, high: int) -> None:
    spec = TensorSpec("image", (1, 1, 6, 1), "NHWC", dtype, 0.5, low + 128)
    batch = np.asarray([-1e6, -0.5, 0.0, 0.24, 0.26, 1e6], np.float32).reshape(1, 1, 1, 6)
    fed = encode(batch, spec)
    assert (fed.shape, fed.dtype) == ((1, 1, 6, 1), np.dtype(dtype))
    middle = low + 128
    assert fed.reshape(-1).tolist() == [low, middle - 1, middle, middle, middle + 1, high]


def test_logits_are_real_numbers() -> None:
    quantized = TensorSpec("logits", (1, 3), "NC", "uint8", 0.5, 128)
    raw = np.asarray([[0, 128, 255]], np.uint8)
    assert read_output(raw, quantized).tolist() == [-64.0, 0.0, 63.5]
    assert read_output(raw.astype(np.float32), TensorSpec("logits", (1, 3), "NC", "float32")).tolist() == [
        0.0,
        128.0,
        255.0,
    ]


def test_labels_within_the_classes() -> None:
    check_labels([], 1)
    check_labels([0, 9], 10)
    with pytest.raises(InputError):
        check_labels([10], 10)
