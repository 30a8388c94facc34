"""Images with the statistics of photographs, from a seed alone: calibration that needs no data.

A dead-leaves model: leaves of every size, their radii distributed as r⁻³, fall on one another until they
cover the picture. Occlusion at all scales gives the edges, flat regions and power spectrum of photographs
(Lee, Mumford and Huang, "Occlusion models for natural images: a statistical study of a scale-invariant
dead leaves model", IJCV 2001; trained on, too, by Baradad et al., "Learning to see by looking at noise",
NeurIPS 2021). Each leaf has a color of the scene's palette, a texture (1/f noise or stripes) and shading.

Measured as calibration data of EfficientNet-Lite0, such images reach the activation ranges of photographs
to a few percent in most layers, but do not fill them in the same proportions. So min-max ranges serve
well, while ranges narrowed by the error on these images (MSE, percentile) cut off what photographs need.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError

__all__ = ["SMALLEST_SIZE", "generate_image"]

PixelArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.int16]

SMALLEST_SIZE = 8
"""Pixels; a smaller picture has no room for leaves."""

_LEAVES = 250
_RADII = (0.04, 0.6)  # in picture sides; 250 leaves of these radii leave about 1 % of the ground bare
_SHAPES = (1.0, 2.0, 2.0, 2.0, 4.0, np.inf)  # exponents: diamond, ellipse, rounded rectangle, rectangle
_NOISE_TEXTURES = 12
_STRIPE_TEXTURES = 4


@dataclass(frozen=True)
class _Leaves:
    """Leaves from the bottom up, one a row; lengths in picture sides, the picture being [0, 1]²."""

    x: FloatArray
    y: FloatArray
    half_width: FloatArray
    half_height: FloatArray
    angle: FloatArray
    exponent: FloatArray


def generate_image(index: int, size: int, seed: int = 0) -> PixelArray:
    """Picture number ``index`` of the series ``seed``: RGB, uint8, HWC, ``[size, size, 3]``.

    A picture depends on its three arguments alone, so a series can be read in any order and as often as
    wanted; size changes its resolution, not its style. Raises InputError below :data:`SMALLEST_SIZE`.
    """
    if size < SMALLEST_SIZE:
        raise InputError(
            f"calibration pictures of {size} × {size} pixels, expected at least {SMALLEST_SIZE}",
            hint="give a folder of images, or a larger resolution",
        )
    rng = np.random.default_rng([seed, index])
    leaves = _scatter(rng)
    labels = _cover(leaves, size)
    reflectance = _colors(rng, _LEAVES + 1)[labels]
    light = _shading(rng, leaves, labels) + _texture(rng, labels, seed)
    light *= 1 + np.float32(0.15) * _rolled(rng, _smooth_noise(size, seed))
    return _photograph(rng, reflectance * light[..., None])


def _scatter(rng: np.random.Generator) -> _Leaves:
    smallest, largest = (radius**-2.0 for radius in _RADII)
    radius = (smallest + rng.random(_LEAVES) * (largest - smallest)) ** -0.5  # inverse of the r⁻³ law
    x, y = rng.uniform(-0.1, 1.1, (2, _LEAVES))
    stretch = np.exp(rng.normal(0, 0.22, _LEAVES))
    angle = rng.uniform(0, np.pi, _LEAVES)
    exponent = rng.choice(_SHAPES, _LEAVES)
    columns = (x, y, radius * stretch, radius / stretch, angle, exponent)
    return _Leaves(*(column.astype(np.float32) for column in columns))


def _cover(leaves: _Leaves, size: int) -> LabelArray:
    """Which leaf is seen at each pixel, ``[size, size]``: its row plus 1, or 0 for the bare ground."""
    labels = np.zeros((size, size), np.int16)
    center = _pixel_centers(size)
    reach = np.maximum(leaves.half_width, leaves.half_height)
    reach = np.where(leaves.exponent > 2, reach * np.float32(np.sqrt(2)), reach)
    low = np.clip(np.floor((np.stack([leaves.y, leaves.x]) - reach) * size), 0, size).astype(int)
    high = np.clip(np.ceil((np.stack([leaves.y, leaves.x]) + reach) * size), 0, size).astype(int)
    cosine, sine = np.cos(leaves.angle), np.sin(leaves.angle)
    for i in range(len(reach)):
        rows, columns = slice(low[0, i], high[0, i]), slice(low[1, i], high[1, i])
        dy, dx = center[rows, None] - leaves.y[i], center[None, columns] - leaves.x[i]
        u = np.abs(dx * cosine[i] + dy * sine[i]) / leaves.half_width[i]
        v = np.abs(dy * cosine[i] - dx * sine[i]) / leaves.half_height[i]
        labels[rows, columns][_inside(u, v, leaves.exponent[i])] = i + 1
    return labels


def _inside(u: FloatArray, v: FloatArray, exponent: float) -> npt.NDArray[np.bool_]:
    """Where ``|u|ᵖ + |v|ᵖ < 1``, a superellipse."""
    if np.isinf(exponent):
        return np.maximum(u, v) < 1
    for _ in range(int(np.log2(exponent))):
        u, v = u * u, v * v
    inside: npt.NDArray[np.bool_] = u + v < 1
    return inside


def _colors(rng: np.random.Generator, count: int) -> FloatArray:
    """Reflectances, ``[count, 3]``: any lightness, mostly muted hues about one of the scene, a few vivid."""
    lightness = rng.beta(1.1, 1.3, count)
    hue = rng.normal(0, 0.35, (2, count)) * rng.gamma(1.0, 0.5, count)
    hue += rng.normal(0, 0.07, (2, 1))
    hue[:, rng.random(count) < 0.1] *= 3
    # Neither black nor white can be colored; photographs vary most from yellow to blue.
    room = 1.2 * np.sqrt(lightness * (1 - lightness)) + 0.1
    yellow, red = hue[0] * room, 0.6 * hue[1] * room
    rgb = [
        lightness + 0.4 * yellow + 0.6 * red,
        lightness + 0.2 * yellow - 0.4 * red,
        lightness - 0.9 * yellow,
    ]
    return np.stack(rgb, axis=-1).astype(np.float32)


def _shading(rng: np.random.Generator, leaves: _Leaves, labels: LabelArray) -> FloatArray:
    """Light on each pixel, about 1: every leaf is lit from one side, by at most 70 %."""
    slope = rng.normal(0, 0.3, _LEAVES) / np.maximum(leaves.half_width, leaves.half_height)
    angle = rng.uniform(0, 2 * np.pi, _LEAVES)
    across, down = slope * np.cos(angle), slope * np.sin(angle)
    # The ground, label 0, is lit evenly.
    plane = np.zeros((3, _LEAVES + 1), np.float32)
    plane[:, 1:] = across, down, -(across * leaves.x + down * leaves.y)
    across, down, offset = plane[:, labels]
    center = _pixel_centers(len(labels))
    light: FloatArray = 1 + np.clip(across * center[None] + down * center[:, None] + offset, -0.7, 0.7)
    return light


def _texture(rng: np.random.Generator, labels: LabelArray, seed: int) -> FloatArray:
    """What the leaves' textures add to the light: each leaf shows a place of one texture, faint or strong."""
    size, count = len(labels), _LEAVES + 1
    bank = _texture_bank(size, seed)
    amplitude = (0.25 * rng.random(count) ** 2).astype(np.float32)
    texture = rng.integers(0, len(bank), count)
    shift_y, shift_x = rng.integers(0, size, (2, count))
    place = np.arange(size)
    y = (place[:, None] + shift_y[labels]) % size
    x = (place[None] + shift_x[labels]) % size
    added: FloatArray = amplitude[labels] * bank[texture[labels], y, x]
    return added


@lru_cache(maxsize=2)
def _texture_bank(size: int, seed: int) -> FloatArray:
    """Textures of mean 0 and deviation 1 that repeat without a seam, ``[textures, size, size]``."""
    rng = np.random.default_rng([seed, size])
    noises = [_noise(rng, size, rng.uniform(0.6, 1.6)) for _ in range(_NOISE_TEXTURES)]
    return np.stack(noises + [_stripes(rng, size) for _ in range(_STRIPE_TEXTURES)])


@lru_cache(maxsize=2)
def _smooth_noise(size: int, seed: int) -> FloatArray:
    return _noise(np.random.default_rng([seed, size, 1]), size, 2.0)


def _noise(rng: np.random.Generator, size: int, slope: float) -> FloatArray:
    """Noise whose amplitude falls as frequency to the power ``-slope``."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = np.inf
    spectrum = frequency**-slope * np.exp(2j * np.pi * rng.random(frequency.shape))
    return _standardized(np.fft.irfft2(spectrum, s=(size, size)))


def _stripes(rng: np.random.Generator, size: int) -> FloatArray:
    """Wavy stripes, soft or sharp, from 8 pixels to half a picture wide."""
    cycles = rng.integers(1, max(2, size // 8), 2) * rng.choice([-1, 1], 2)
    place = np.arange(size) / size
    phase = 2 * np.pi * (cycles[0] * place[:, None] + cycles[1] * place[None])
    phase = phase + rng.uniform(0, 1.2) * _noise(rng, size, 1.8)
    return _standardized(np.tanh(rng.uniform(0.5, 4) * np.sin(phase)))


def _standardized(values: npt.NDArray[np.float64]) -> FloatArray:
    standardized: FloatArray = ((values - values.mean()) / values.std()).astype(np.float32)
    return standardized


def _rolled(rng: np.random.Generator, texture: FloatArray) -> FloatArray:
    shift = rng.integers(0, len(texture), 2)
    return np.roll(texture, (int(shift[0]), int(shift[1])), axis=(0, 1))


def _photograph(rng: np.random.Generator, scene: FloatArray) -> PixelArray:
    """A lens that is more or less sharp, then contrast and exposure."""
    scene = np.clip(scene, 0, 1)
    softness = np.float32(0.7 * rng.random())
    for axis in (0, 1):
        scene = _blur(scene, softness, axis)
    mean = scene.mean()
    contrast, exposure = np.exp(rng.normal(0, 0.25)), rng.normal(0, 0.08)
    levels = (scene - mean) * np.float32(255 * contrast) + np.float32(255 * (mean + exposure))
    pixels: PixelArray = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return pixels


def _blur(scene: FloatArray, softness: np.float32, axis: int) -> FloatArray:
    """Mix every pixel with its two neighbors, each weighing ``softness / 2``."""
    forward, backward = np.roll(scene, 1, axis), np.roll(scene, -1, axis)
    blurred: FloatArray = (scene + (forward + backward) * (softness / 2)) / (1 + softness)
    return blurred


def _pixel_centers(size: int) -> FloatArray:
    return ((np.arange(size) + 0.5) / size).astype(np.float32)
