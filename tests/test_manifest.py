"""The manifest is the documented JSON, survives a round trip, and refuses what it cannot mean."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekit import manifest
from edgekit.errors import InputError, ModelFileError
from edgekit.manifest import Manifest, ManifestArtifact, ManifestModel
from edgekit.options import Preprocessing, TensorSpec

DOCUMENTED = {
    "schema": 1,
    "model": {
        "name": "efficientnet_lite0",
        "width": 1.0,
        "depth": 1.0,
        "resolution": 224,
        "num_classes": 1000,
        "weights": "imagenet",
    },
    "preprocessing": {
        "resize_short_side": 256,
        "resize_filter": "bicubic",
        "crop": 224,
        "color": "RGB",
        "mean": [0.498039, 0.498039, 0.498039],
        "std": [0.501961, 0.501961, 0.501961],
    },
    "labels": "labels.txt",
    "artifacts": [
        {
            "path": "efficientnet_lite0_int8.tflite",
            "format": "tflite",
            "precision": "int8",
            "size_bytes": 5,
            "sha256": "ab",
            "input": {
                "name": "image",
                "shape": [1, 224, 224, 3],
                "layout": "NHWC",
                "dtype": "int8",
                "scale": 0.0078125,
                "zero_point": 0,
                "normalization": "external",
            },
            "output": {
                "name": "logits",
                "shape": [1, 1000],
                "dtype": "int8",
                "scale": 0.1,
                "zero_point": -50,
            },
        }
    ],
}

EXAMPLE = Manifest(
    ManifestModel(
        name="efficientnet_lite0",
        width=1.0,
        depth=1.0,
        resolution=224,
        num_classes=1000,
        weights="imagenet",
    ),
    Preprocessing(256, "bicubic", 224, "RGB", (0.498039,) * 3, (0.501961,) * 3),
    "labels.txt",
    (
        ManifestArtifact(
            "efficientnet_lite0_int8.tflite",
            "tflite",
            "int8",
            5,
            "ab",
            TensorSpec("image", (1, 224, 224, 3), "NHWC", "int8", 0.0078125, 0, "external"),
            TensorSpec("logits", (1, 1000), "NC", "int8", 0.1, -50),
        ),
    ),
)
FP32 = replace(
    EXAMPLE.artifacts[0],
    path="efficientnet_lite0_fp32.tflite",
    precision="fp32",
    input=TensorSpec("image", (1, 224, 224, 3), "NHWC", "float32", normalization="embedded"),
    output=TensorSpec("logits", (1, 1000), "NC", "float32"),
)


def write_json(folder: Path, document: Any) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps(document))
    return path


def test_what_is_written_is_the_documented_object_in_its_order(tmp_path: Path) -> None:
    path = manifest.write(EXAMPLE, tmp_path)
    assert path == tmp_path / "manifest.json"
    assert json.dumps(json.loads(path.read_text())) == json.dumps(DOCUMENTED)


def test_what_does_not_apply_is_left_out(tmp_path: Path) -> None:
    path = manifest.write(replace(EXAMPLE, artifacts=(FP32,), labels=None), tmp_path)
    document = json.loads(path.read_text())
    assert document["labels"] is None
    (artifact,) = document["artifacts"]
    assert artifact["input"] == {
        "name": "image",
        "shape": [1, 224, 224, 3],
        "layout": "NHWC",
        "dtype": "float32",
        "normalization": "embedded",
    }
    assert set(artifact["output"]) == {"name", "shape", "dtype"}


@pytest.mark.parametrize("artifacts", [(), EXAMPLE.artifacts, (*EXAMPLE.artifacts, FP32)])
def test_round_trip(tmp_path: Path, artifacts: tuple[ManifestArtifact, ...]) -> None:
    written = replace(EXAMPLE, artifacts=artifacts)
    assert manifest.read(manifest.write(written, tmp_path)) == written


def test_reads_the_documented_object_and_ignores_unknown_keys(tmp_path: Path) -> None:
    assert manifest.read(write_json(tmp_path, DOCUMENTED | {"generator": "someone else"})) == EXAMPLE


def test_finds_the_entry_of_a_file(tmp_path: Path) -> None:
    manifest.write(replace(EXAMPLE, artifacts=(*EXAMPLE.artifacts, FP32)), tmp_path)
    for name in (FP32.path, "other.tflite"):
        (tmp_path / name).write_bytes(b"")
    found, entry = manifest.of_artifact(tmp_path / FP32.path)
    assert (found.model, entry) == (EXAMPLE.model, FP32)
    with pytest.raises(ModelFileError, match=r"other\.tflite is not listed .*_fp32\.tflite"):
        manifest.of_artifact(tmp_path / "other.tflite")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"model\.tflite does not exist"):
        manifest.of_artifact(tmp_path / "model.tflite")


def test_a_missing_manifest_says_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"")
    with pytest.raises(ModelFileError, match="cannot read") as caught:
        manifest.of_artifact(tmp_path / "model.tflite")
    assert "manifest.json" in caught.value.hint


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (["schema"], 2, "schema"),
        (["model", "width"], "wide", r"float.*width"),
        (["preprocessing", "resize_filter"], "nearest", "nearest"),
        (["artifacts", 0, "format"], "coreml", "coreml"),
        (["artifacts", 0, "path"], "../model.tflite", "not the name of a file"),
        (["artifacts", 0, "input", "scale"], None, "int8 with scale None"),
        (["artifacts", 0, "output", "dtype"], "float32", "float32 with scale"),
        (["artifacts", 0, "output", "shape"], ["many"], "int.*shape"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, where: list[Any], value: Any, message: str) -> None:
    document = copy.deepcopy(DOCUMENTED)
    *parents, key = where
    inner: Any = document
    for parent in parents:
        inner = inner[parent]
    inner[key] = value
    with pytest.raises(ModelFileError, match=message):
        manifest.read(write_json(tmp_path, document))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": 1', b"\xff\xfe", b"null"])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a manifest"):
        manifest.read(path)


def test_a_second_export_keeps_the_first_ones_files(tmp_path: Path) -> None:
    fp32 = replace(EXAMPLE, artifacts=(FP32,))
    assert manifest.extend(tmp_path, fp32) == fp32
    manifest.write(fp32, tmp_path)
    assert manifest.extend(tmp_path, EXAMPLE) == EXAMPLE, "a file that is gone is not listed"
    (tmp_path / FP32.path).write_bytes(b"")
    assert manifest.extend(tmp_path, EXAMPLE).artifacts == (FP32, *EXAMPLE.artifacts)
    assert manifest.extend(tmp_path, fp32) == fp32


def test_two_networks_do_not_share_a_manifest(tmp_path: Path) -> None:
    manifest.write(replace(EXAMPLE, artifacts=(FP32,)), tmp_path)
    (tmp_path / FP32.path).write_bytes(b"")
    other = replace(EXAMPLE, preprocessing=replace(EXAMPLE.preprocessing, crop=192))
    with pytest.raises(InputError, match="differs"):
        manifest.extend(tmp_path, other)
