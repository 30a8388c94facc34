"""Small networks that are trained on real labelled images in seconds: quantization can cost them accuracy.

The images are scikit-learn's handwritten digits (8 × 8, from UCI's Optical Recognition of Handwritten
Digits), enlarged, in seeded colors and with seeded noise. The recipe is kept, not the weights: a network
is trained when a test first asks for it, on one core, and kept for the session.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

import edgekit
from edgekit.capture import capture
from edgekit.images import normalize
from edgekit.options import Preprocessing, ScaleChange

__all__ = [
    "PREPROCESSING",
    "RECIPES",
    "TrainedNetwork",
    "Training",
    "save_digits",
    "save_weights",
    "top1",
    "trained",
]

FloatArray = npt.NDArray[np.float32]
PixelArray = npt.NDArray[np.uint8]
LabelArray = npt.NDArray[np.int64]

SIZE = 32
CLASSES = 10

PREPROCESSING = Preprocessing(resize_short_side=37, crop=SIZE)
"""What edgekit assumes of a weights file at this resolution, so that exports need no other."""

_MARGIN = (PREPROCESSING.resize_short_side - SIZE) // 2
_TESTED = 500  # of 1797 digits; the others train and calibrate
_BATCH = 64


@dataclass(frozen=True)
class Training:
    """A network of the zoo at a small scale, and how it is trained: AdamW in one cycle (arXiv 1708.07120)."""

    width: float
    depth: float
    epochs: int
    learning_rate: float

    @property
    def scale(self) -> ScaleChange:
        """What ``ExportOptions.scale`` has to be for the network's weights."""
        return ScaleChange(width=self.width, depth=self.depth, resolution=SIZE, num_classes=CLASSES)


RECIPES: dict[str, Training] = {
    "mobilenet_v1": Training(width=0.25, depth=0.3, epochs=10, learning_rate=0.02),
    "mobilenet_v2": Training(width=0.25, depth=0.35, epochs=10, learning_rate=0.02),
    "squeezenet1_1": Training(width=0.5, depth=1.0, epochs=16, learning_rate=0.003),
    "efficientnet_b0": Training(width=0.25, depth=0.3, epochs=8, learning_rate=0.01),
}
"""Zoo name → recipe, each for about ten seconds of one core and over 90 % of the tested digits."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network, and the images that it has (``calibration``) and has not (``images``) seen.

    ``graph`` is canonical fp32. Images are normalized, float32, NCHW ``[N, 3, 32, 32]``; ``labels``
    belong to ``images``; ``top1`` is the fp32 module's accuracy on them in percent.
    """

    name: str
    training: Training
    module: nn.Module
    graph: ir.Model
    calibration: FloatArray
    images: FloatArray
    labels: LabelArray
    top1: float


@cache
def trained(name: str) -> TrainedNetwork:
    """The network of :data:`RECIPES`, trained once a session."""
    training = RECIPES[name]
    pixels, labels = _digits()
    crop = slice(_MARGIN, _MARGIN + SIZE)
    images = normalize(pixels[:, crop, crop], PREPROCESSING).transpose(0, 3, 1, 2).copy()
    with _one_thread():
        module = edgekit.build(name, training.scale)
        _train(module, torch.from_numpy(images[_TESTED:]), torch.from_numpy(labels[_TESTED:]), training)
        with torch.no_grad():
            logits = module(torch.from_numpy(images[:_TESTED])).numpy()
    return TrainedNetwork(
        name=name,
        training=training,
        module=module,
        graph=capture(module, (1, 3, SIZE, SIZE)),
        calibration=images[_TESTED:],
        images=images[:_TESTED],
        labels=labels[:_TESTED],
        top1=top1(logits, labels[:_TESTED]),
    )


def top1(logits: npt.ArrayLike, labels: LabelArray) -> float:
    """Share of rows whose largest logit is the label's, in percent."""
    return 100 * float((np.asarray(logits).argmax(1) == labels).mean())


def save_weights(name: str, folder: Path) -> Path:
    """The trained weights as ``NAME.pt`` in ``folder``, for ``ExportOptions(weights=…, scale=…)``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.pt"
    torch.save(trained(name).module.state_dict(), path)
    return path


def save_digits(folder: Path, count: int, *, tested: bool) -> Path:
    """``count`` digits as PNG files ``0003_17.png`` of class 3: those that were tested, or trained on.

    :data:`PREPROCESSING` cuts out of each what the networks were trained on, without resizing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pixels, labels = _digits()
    start = 0 if tested else _TESTED
    for index in range(start, start + count):
        Image.fromarray(pixels[index]).save(folder / f"{labels[index]:04}_{index}.png")
    return folder


@cache
def _digits() -> tuple[PixelArray, LabelArray]:
    """All digits in a fixed random order: uint8 ``[N, 37, 37, 3]``, a bright digit on a dark ground."""
    digits = load_digits()
    random = np.random.default_rng(0)
    order = random.permutation(len(digits.images))
    strokes = torch.from_numpy(digits.images[order].astype(np.float32) / 16)[:, None]
    strokes = nn.functional.interpolate(strokes, size=(SIZE, SIZE), mode="bicubic", align_corners=False)
    after = PREPROCESSING.resize_short_side - SIZE - _MARGIN
    strokes = nn.functional.pad(strokes.clamp(0, 1), (_MARGIN, after, _MARGIN, after))
    stroke = strokes.numpy().transpose(0, 2, 3, 1)
    color = random.uniform(0.6, 1.0, (len(order), 1, 1, 3))
    ground = random.uniform(0.0, 0.3, (len(order), 1, 1, 3))
    noise = random.normal(0, 0.04, (*stroke.shape[:3], 3))
    pictures = np.clip(ground + (color - ground) * stroke + noise, 0, 1)
    return np.rint(255 * pictures).astype(np.uint8), digits.target[order].astype(np.int64)


def _train(module: nn.Module, images: torch.Tensor, labels: torch.Tensor, training: Training) -> None:
    for leaf in module.modules():
        if isinstance(leaf, nn.BatchNorm2d):
            leaf.reset_parameters()
        if isinstance(leaf, nn.Dropout):
            leaf.p = 0.0
    *_, classifier = (leaf for leaf in module.modules() if isinstance(leaf, nn.Conv2d | nn.Linear))
    assert classifier.bias is not None
    nn.init.ones_(classifier.bias)  # SqueezeNet ends in a ReLU: a class that is never positive never learns
    module.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stub lacks it
    images = images.contiguous(memory_format=torch.channels_last)
    steps = training.epochs * (len(images) // _BATCH)
    optimizer = torch.optim.AdamW(module.parameters(), training.learning_rate, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, total_steps=steps)
    for chosen in _batches(len(images), training.epochs):
        loss = nn.functional.cross_entropy(module(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    _settle(module, images)
    module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # the stub lacks it
    module.eval().requires_grad_(False)


def _batches(count: int, epochs: int) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator)
        yield from torch.split(order[: count // _BATCH * _BATCH], _BATCH)


def _settle(module: nn.Module, images: torch.Tensor) -> None:
    """Batch norm's statistics of the final weights: so few steps leave the running ones behind."""
    for leaf in module.modules():
        if isinstance(leaf, nn.BatchNorm2d):
            leaf.reset_running_stats()
            leaf.momentum = None  # a plain mean over the batches
    with torch.no_grad():
        for part in torch.split(images, 256):
            module(part)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
