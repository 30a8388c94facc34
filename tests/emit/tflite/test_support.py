"""Files in TFLite Support, the 2023 library and runtime that many apps use, in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.capture import capture
from edgekit.emit import EmitOptions, emit
from edgekit.images import load_image, load_pixels
from edgekit.models import weights, zoo
from edgekit.options import Preprocessing

Classify = Callable[[Path, Sequence[Path]], list[str]]

COLORS = {"red": (220, 30, 25), "green": (20, 200, 40), "blue": (30, 25, 210)}
SIDE = 32

# TFLite Support takes uint8 or float32 on both sides.
INTERFACES = {
    "fp32": EmitOptions("fp32"),
    "fp16": EmitOptions("fp16"),
    "dynamic": EmitOptions("dynamic"),
    "int8, bytes": EmitOptions("int8", "uint8"),
    "int8, bytes in and floats out": EmitOptions("int8", "uint8", "float32"),
    "int8, floats": EmitOptions("int8", "float32"),
}

SCRIPT = """
import json, sys
from tflite_support.task import vision
classifier = vision.ImageClassifier.create_from_file(sys.argv[1])
names = []
for path in sys.argv[2:]:
    result = classifier.classify(vision.TensorImage.create_from_file(path))
    names.append(result.classifications[0].categories[0].category_name)
print(json.dumps(names))
"""


@pytest.fixture
def classify(tflite_support_python: Path) -> Classify:
    """Names of the best class of each image file, by ``ImageClassifier``."""

    def run(model: Path, images: Sequence[Path]) -> list[str]:
        command = [str(tflite_support_python), "-c", SCRIPT, str(model), *map(str, images)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        names: list[str] = json.loads(done.stdout)
        return names

    return run


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """One noisy picture of each colour."""
    random, paths = np.random.default_rng(0), []
    for name, color in COLORS.items():
        noise = random.integers(-20, 20, (SIDE, SIDE, 3))
        pixels = np.clip(np.asarray(color) + noise, 0, 255).astype(np.uint8)
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def color_classifier(new_graph: Any) -> Any:
    """A network whose strongest output is the brightest channel, through every common operator."""
    builder = new_graph((1, 3, SIDE, SIDE))
    attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "dilations": [1, 1]}
    blur = np.full((3, 1, 3, 3), 1 / 9, np.float32)
    x = builder.op("Conv", builder.image, blur, np.full(3, 2, np.float32), group=3, **attributes)
    x = builder.relu6(x)
    mix = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    pointwise = {"kernel_shape": [1, 1], "strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "group": 1}
    x = builder.op("Add", x, builder.op("Conv", x, mix, np.zeros(3, np.float32), **pointwise))
    x = builder.op("Flatten", builder.op("GlobalAveragePool", x), axis=1)
    weight = np.asarray([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    return builder.model(builder.op("Gemm", x, weight, np.zeros(3, np.float32), transB=1))


@pytest.mark.parametrize("interface", INTERFACES)
def test_colors_are_named(
    interface: str,
    pictures: list[Path],
    classify: Classify,
    new_graph: Any,
    quantize_small: Any,
    tmp_path: Path,
) -> None:
    preprocessing = Preprocessing(crop=SIDE, mean=(0.5,) * 3, std=(0.25,) * 3)
    model, chosen = color_classifier(new_graph), INTERFACES[interface]
    if chosen.precision == "int8":
        pixels = np.stack([np.asarray(Image.open(path)) for path in pictures]).transpose(0, 3, 1, 2)
        quantize_small(model, ((pixels / 255 - 0.5) / 0.25).astype(np.float32))
    options = replace(chosen, preprocessing=preprocessing, labels=tuple(COLORS))
    emitted = emit(model, tmp_path / "colors.tflite", "tflite", options)
    assert classify(emitted.path, pictures) == list(COLORS)


def photographs(shared_dir: Path) -> dict[str, Path]:
    """One photograph each of a few classes, by the label in its file name."""
    found: dict[str, Path] = {}
    for path in sorted((shared_dir / "images" / "evaluation").glob("*.jpg"))[::50]:
        found[path.stem.split("_", 2)[2]] = path
    return found


def central(path: Path, preprocessing: Preprocessing, folder: Path) -> Path:
    """The pixels that the network sees, because TFLite Support squeezes whole photographs into its input."""
    target = folder / f"{path.stem}.png"
    Image.fromarray(load_pixels(path, preprocessing)).save(target)
    return target


@pytest.mark.parametrize("interface", ["fp32", "int8, bytes"])
def test_photographs_are_named(
    interface: str, shared_dir: Path, classify: Classify, quantize_small: Any, tmp_path: Path
) -> None:
    network = zoo.network("efficientnet_lite0")
    module, info = weights.build(network, "imagenet")
    model, photos = capture(module, (1, 3, 224, 224)), photographs(shared_dir)
    chosen = INTERFACES[interface]
    if chosen.precision == "int8":
        images = [load_image(path, info.preprocessing) for path in photos.values()]
        quantize_small(model, np.stack(images).transpose(0, 3, 1, 2))
    labels = [f"class {index}" for index in range(1000)]
    for name, path in photos.items():
        labels[int(path.name[:4])] = name
    options = replace(chosen, preprocessing=info.preprocessing, labels=tuple(labels))
    emitted = emit(model, tmp_path / "lite0.tflite", "tflite", options)
    pictures = [central(path, info.preprocessing, tmp_path) for path in photos.values()]
    named = classify(emitted.path, pictures)
    assert sum(got == want for got, want in zip(named, photos, strict=True)) >= len(photos) - 1
