"""What ``torch.nn`` has no class for: joins, parts and dropped paths, each a module with a name.

``torch.fx`` looks inside and finds one plain function in each, or, in evaluation mode, nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.errors import MissingExtraError

try:
    import torch
    from torch import nn
except ImportError as exc:
    raise MissingExtraError("torch", "torch", "building a network") from exc

__all__ = [
    "ConcatChannels",
    "DropBranch",
    "JoinPaths",
    "Multiplied",
    "NarrowChannels",
    "Product",
    "Sum",
    "draw_column",
]

_GLOBAL_SHARE = 0.5  # of the batches that train one column


class Sum(nn.Module):
    """``x + y``."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Tensors of one shape."""
        return x + y


class Product(nn.Module):
    """``x * y``."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``y`` may be one number per channel, ``[N, C, 1, 1]``."""
        return x * y


class ConcatChannels(nn.Module):
    """Tensors joined along the channels."""

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        """NCHW, of one height and width."""
        return torch.cat(xs, 1)


class NarrowChannels(nn.Module):
    """``channels`` channels from ``start`` on."""

    def __init__(self, start: int, channels: int) -> None:
        super().__init__()
        self.start, self.channels = start, channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """NCHW."""
        return torch.narrow(x, 1, self.start, self.channels)


class Multiplied(nn.Module):
    """``x * value``, a constant."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return x * self.value


class DropBranch(nn.Module):
    """In training zero for a share ``rate`` of the images, the others divided by what that leaves.

    Deep Networks with Stochastic Depth (arXiv 1603.09382, section 3), which multiplies when it tests.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, ...]``."""
        if not self.training or not self.rate:
            return x
        kept = torch.rand(x.shape[0], *([1] * (x.dim() - 1)), device=x.device) >= self.rate
        return x * kept / (1 - self.rate)


class JoinPaths(nn.Module):
    """The mean of its inputs; in training of those that FractalNet's drop-path leaves.

    Local (arXiv 1605.07648, section 4): each is dropped with ``rate``, and at least one stays. Global: all
    joins of a network keep the one column that :func:`draw_column` chose, counted from the deepest.
    """

    def __init__(self, rate: float, paths: int) -> None:
        super().__init__()
        self.rate, self.paths = rate, paths
        self.column: int | None = None

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        """Tensors of one shape, those of the deeper columns last."""
        kept = self._kept(xs) if self.training and self.rate else xs
        total = kept[0]
        for x in kept[1:]:
            total = total + x
        return total * (1 / len(kept))

    def _kept(self, xs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        if self.column is not None:
            return (xs[-1 - self.column],) if self.column < len(xs) else xs
        draws = torch.rand(len(xs))
        return tuple(x for x, draw in zip(xs, draws, strict=True) if draw >= self.rate) or (
            xs[int(draws.argmax())],
        )


def draw_column(joins: Sequence[JoinPaths]) -> None:
    """Choose for the next batch whether the joins of a network keep one of its columns, and which."""
    is_global = float(torch.rand(())) < _GLOBAL_SHARE
    columns = max(join.paths for join in joins)
    column = int(torch.randint(columns, ())) if is_global else None
    for join in joins:
        join.column = column
