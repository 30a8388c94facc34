"""Networks as users bring them, small: each is a torch module with what its kind needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own convention
from torch import nn

__all__ = ["NETWORKS", "Network"]

Shapes = tuple[tuple[int, ...], ...]
Network = tuple[Callable[[], nn.Module], Shapes]


def _layer(channels: int, filters: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(channels, filters, 3, stride, dilation, dilation)
    return nn.Sequential(conv, nn.BatchNorm2d(filters), nn.ReLU())


class UNet(nn.Module):
    """Transposed convolutions and skip connections."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = _layer(3, 8), _layer(8, 12)
        self.up, self.wide = nn.ConvTranspose2d(12, 8, 2, 2), nn.ConvTranspose2d(8, 4, 4, 2, 1)
        self.head = nn.Conv2d(20, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shallow = self.down(x)
        deep = self.deep(F.max_pool2d(shallow, 2))
        found: torch.Tensor = self.head(
            torch.cat([self.up(deep), shallow, self.wide(self.down(x[:, :, ::2, ::2]))], 1)
        )
        return found


class Pyramid(nn.Module):
    """Resizes, dilation, split, and three outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = _layer(3, 8, 2), _layer(8, 8, 2, 2)
        self.heads = nn.ModuleList([nn.Conv2d(8, 5, 1), nn.Conv2d(8, 5, 1)])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        fine = self.first(x)
        coarse = self.second(fine)
        fine = fine + F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        found = [head(level).flatten(2) for head, level in zip(self.heads, (fine, coarse), strict=True)]
        box, score = torch.split(torch.cat(found, 2), [4, 1], 1)
        return (
            torch.cat([box, score.sigmoid()], 1),
            fine,
            F.interpolate(coarse, scale_factor=2.0, mode="nearest"),
        )


class Next(nn.Module):
    """Layer normalization, linear layers over channels, GELU: a block of ConvNeXt."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm, self.wide, self.narrow = nn.LayerNorm(8), nn.Linear(8, 32), nn.Linear(32, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        y = self.narrow(F.gelu(self.wide(y))).permute(0, 3, 1, 2)
        found: torch.Tensor = (x + y).mean((2, 3))
        return found


class Resolution(nn.Module):
    """Super-resolution: PReLU and a pixel shuffle, on images that are not square."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.PReLU(8), nn.Conv2d(8, 12, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pixel_shuffle(self.last(self.act(self.first(x))), 2)


class Pair(nn.Module):
    """Two inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = _layer(3, 6, 2), nn.Linear(6, 4)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = self.body(left) - self.body(right)
        return self.head(both.mean((2, 3))), both


_IMAGE = ((3, 16, 16),)

NETWORKS: dict[str, Network] = {
    "unet": (UNet, _IMAGE),
    "pyramid": (Pyramid, _IMAGE),
    "next": (Next, _IMAGE),
    "resolution": (Resolution, ((3, 12, 20),)),
    "pair": (Pair, ((3, 16, 16), (3, 16, 16))),
}
