"""Images moved towards what a network was trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.errors import InputError
from edgekit.models.distillation import distill

LOW, HIGH = np.full(3, -2.0, np.float32), np.full(3, 2.0, np.float32)


def remembering_network() -> nn.Module:
    """Two batch norms that remember images of mean 0.5 and deviation 0.3."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
    for leaf in module:
        if isinstance(leaf, nn.BatchNorm2d):
            leaf.momentum = None
    with torch.no_grad():
        module(0.5 + 0.3 * torch.randn(64, 3, 16, 16))
    return module.eval()


def start() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).normal(0, 1, (10, 3, 16, 16)).astype(np.float32)


def test_images_come_nearer_to_what_is_remembered() -> None:
    before = start()
    after = distill(remembering_network(), before, LOW, HIGH)
    assert after.shape == before.shape
    assert abs(after.mean() - 0.5) < abs(before.mean() - 0.5) - 0.05
    assert abs(after.std() - 0.3) < abs(before.std() - 0.3) - 0.02


def test_no_pixel_leaves_black_and_white() -> None:
    after = distill(remembering_network(), start(), LOW / np.float32(10), HIGH / np.float32(10))
    assert after.min() >= -0.2
    assert after.max() <= np.float32(0.2)


def test_the_network_is_left_as_it_was() -> None:
    module = remembering_network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    distill(module, start()[:2], LOW, HIGH)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert not any(leaf._forward_hooks for leaf in module.modules())


def test_a_network_that_remembers_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="no batch normalization"):
        distill(nn.Conv2d(3, 3, 1), start(), LOW, HIGH)
