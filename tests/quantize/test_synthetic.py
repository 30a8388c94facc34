"""The generated pictures have the statistics that photographs are known for."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgekit.errors import InputError
from edgekit.quantize.synthetic import SMALLEST_SIZE, generate_image

LUMA = np.asarray([0.299, 0.587, 0.114])


@pytest.mark.parametrize("size", [SMALLEST_SIZE, 9, 32, 101, 224, 380])
def test_any_size_gives_a_picture(size: int) -> None:
    image = generate_image(3, size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    assert image.std() > 10


def test_too_small_a_size_is_refused() -> None:
    with pytest.raises(InputError, match="expected at least 8"):
        generate_image(0, SMALLEST_SIZE - 1)


def test_pictures_depend_on_index_and_seed_alone() -> None:
    first = generate_image(5, 64, seed=7)
    generate_image(6, 48, seed=1)
    np.testing.assert_array_equal(generate_image(5, 64, seed=7), first)
    assert (generate_image(6, 64, seed=7) != first).mean() > 0.5
    assert (generate_image(5, 64, seed=8) != first).mean() > 0.5


def test_size_changes_resolution_and_not_the_scene() -> None:
    small = generate_image(2, 56).astype(np.float64) @ LUMA
    large = generate_image(2, 224).astype(np.float64) @ LUMA
    averaged = large.reshape(56, 4, 56, 4).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), averaged.ravel())[0, 1] > 0.75  # textures and the lens are finer


def test_the_spectrum_falls_as_in_photographs() -> None:
    """Amplitude falls about as 1/f; photographs' power exponents lie between 1.2 and 3.2 (Burton 1987)."""
    size = 128
    window = np.hanning(size)[:, None] * np.hanning(size)[None]
    power = np.zeros((size, size))
    for index in range(20):
        luma = generate_image(index, size) @ LUMA
        power += np.abs(np.fft.fft2((luma - luma.mean()) * window)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    band = (frequency > 3 / size) & (frequency < 0.35)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    assert -3.2 < slope < -1.2


def test_gradients_are_heavy_tailed_where_noise_is_not() -> None:
    """Flat regions and edges: the kurtosis of differences between neighbors is 3 for Gaussian noise."""
    differences = np.concatenate([np.diff(generate_image(i, 128) @ LUMA).ravel() for i in range(10)])
    kurtosis = np.mean((differences - differences.mean()) ** 4) / differences.var() ** 2
    assert kurtosis > 8


def test_the_whole_pixel_range_is_used_and_colors_are_mostly_muted() -> None:
    pixels = np.stack([generate_image(i, 96) for i in range(20)])
    assert pixels.min() == 0
    assert pixels.max() == 255
    assert 90 < pixels.mean() < 165
    chroma = pixels.max(axis=-1).astype(int) - pixels.min(axis=-1)
    assert np.median(chroma) < 80
    assert np.quantile(chroma, 0.99) > 120


def test_a_hundred_pictures_take_seconds() -> None:
    generate_image(0, 224)
    start = time.process_time()
    for index in range(10):
        generate_image(index, 224)
    assert (time.process_time() - start) * 10 < 6  # measured: 2 s
