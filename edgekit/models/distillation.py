"""Images that a trained network itself asks for: their statistics in every layer are those it was trained on.

Batch normalization remembers mean and variance of what it saw. Starting from given pictures, gradient
descent changes their pixels until each such layer sees the mean and deviation that it remembers. No data
is needed. Source: Cai et al., "ZeroQ: A novel zero shot quantization framework", CVPR 2020, section 3.1;
there the start is noise and the steps are hundreds, here it is pictures, and a few steps are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError, MissingExtraError

try:
    import torch
    from torch import nn
except ImportError as exc:
    raise MissingExtraError("torch", "torch", "distilling images") from exc

__all__ = ["distill"]

FloatArray = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]

STEPS = 5
BATCH = 8  # images whose statistics are taken together; memory grows with it
RATE = 0.05  # of normalized pixels a step (Adam)


def distill(
    module: nn.Module, images: FloatArray, low: FloatArray, high: FloatArray, progress: Progress | None = None
) -> FloatArray:
    """``images`` ``[N, C, H, W]``, normalized, moved towards the statistics of ``module``'s batch norms.

    ``low`` and ``high``, ``[C]``, are black and white, which no pixel goes beyond. The module is left as it
    was. Raises InputError for a module without batch normalization, which remembers nothing.
    """
    leaves = [leaf for leaf in module.modules() if isinstance(leaf, nn.BatchNorm2d)]
    norms = [leaf for leaf in leaves if leaf.track_running_stats]
    if not norms:
        raise InputError(
            "the network has no batch normalization, whose statistics images could be distilled from",
            hint="calibrate on a folder of images, or leave --calibration out for generated ones",
        )
    seen: dict[nn.Module, torch.Tensor] = {}
    hooks = [norm.register_forward_hook(_remembering(seen)) for norm in norms]
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        module.requires_grad_(False)
        parts = []
        for start in range(0, len(images), BATCH):
            part = torch.from_numpy(images[start : start + BATCH])
            parts.append(_distilled(module, part, seen, norms, _channels(low), _channels(high)))
            if progress is not None:
                progress("distill", min(start + BATCH, len(images)), len(images))
    finally:
        for hook in hooks:
            hook.remove()
        for parameter in trainable:
            parameter.requires_grad_(True)
    return np.concatenate(parts)


def _remembering(seen: dict[nn.Module, torch.Tensor]) -> Callable[..., None]:
    def hook(norm: nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
        seen[norm] = inputs[0]

    return hook


def _channels(values: FloatArray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32)).reshape(1, -1, 1, 1)


def _distilled(
    module: nn.Module,
    start: torch.Tensor,
    seen: dict[nn.Module, torch.Tensor],
    norms: list[nn.BatchNorm2d],
    low: torch.Tensor,
    high: torch.Tensor,
) -> FloatArray:
    pixels = start.clone().contiguous(memory_format=torch.channels_last).requires_grad_(True)
    optimizer = torch.optim.Adam([pixels], RATE)
    for _ in range(STEPS):
        module(pixels)
        loss = torch.stack([_distance(norm, seen[norm]) for norm in norms]).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        optimizer.step()
        with torch.no_grad():
            pixels.copy_(torch.minimum(torch.maximum(pixels, low), high))
    found: FloatArray = pixels.detach().contiguous().numpy()
    return found


def _distance(norm: nn.BatchNorm2d, values: torch.Tensor) -> torch.Tensor:
    """Squared differences of mean and deviation, in units of the remembered deviation."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    remembered = (norm.running_var + norm.eps).sqrt()
    mean = (values.mean((0, 2, 3)) - norm.running_mean) / remembered
    deviation = (values.var((0, 2, 3), unbiased=False) + norm.eps).sqrt() / remembered - 1
    return mean.square().mean() + deviation.square().mean()
