"""The tape that blocks record their layers on."""

from __future__ import annotations

from edgekit.models.layers import (
    INPUT_EXTENT,
    POINT_EXTENT,
    Activation,
    ActivationKind,
    Add,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    Linear,
    MaxPool,
    Mul,
    Tensor,
    Window,
)

__all__ = ["Tape"]

_FIRST_WINDOW = 1 + max(INPUT_EXTENT, POINT_EXTENT)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


class Tape:
    """Records layers as a block calls for them; every method returns the layer's output.

    ``windows[i]`` says what extent ``i + 2`` is.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.windows: list[Window] = []

    def conv(
        self,
        name: str,
        x: Tensor,
        channels: int,
        kernel: int | tuple[int, int] = 1,
        stride: int | tuple[int, int] = 1,
        *,
        groups: int = 1,
        padded: bool = True,
        norm: bool = True,
        activation: ActivationKind | None = None,
    ) -> Tensor:
        """Convolution, then batch norm (or a bias when ``norm`` is false), then an activation.

        They are named ``name``, ``name_bn`` and ``name_act``.
        """
        window, step = _pair(kernel), _pair(stride)
        out = Tensor(name, channels, self._extent(Window(x.extent, window, step, padded, ceil=False)))
        self.layers.append(Conv(out, (x,), window, step, padded, groups, bias=not norm))
        if norm:
            x, out = out, Tensor(f"{name}_bn", channels, out.extent)
            self.layers.append(BatchNorm(out, (x,)))
        return self.activation(f"{name}_act", out, activation) if activation else out

    def activation(self, name: str, x: Tensor, kind: ActivationKind) -> Tensor:
        """A pointwise nonlinearity."""
        out = Tensor(name, x.channels, x.extent, x.flat)
        self.layers.append(Activation(out, (x,), kind))
        return out

    def max_pool(self, name: str, x: Tensor, kernel: int, stride: int, *, ceil: bool = False) -> Tensor:
        """Maximum over ``kernel`` × ``kernel`` windows, without padding."""
        window, step = _pair(kernel), _pair(stride)
        out = Tensor(name, x.channels, self._extent(Window(x.extent, window, step, padded=False, ceil=ceil)))
        self.layers.append(MaxPool(out, (x,), window, step, ceil))
        return out

    def global_pool(self, name: str, x: Tensor) -> Tensor:
        """Average over the whole image, to a point."""
        out = Tensor(name, x.channels, POINT_EXTENT)
        self.layers.append(GlobalPool(out, (x,)))
        return out

    def add(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """``x + y``."""
        out = x._replace(name=name)
        self.layers.append(Add(out, (x, y)))
        return out

    def mul(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """``x * y``, where ``y`` may be one number per channel."""
        out = x._replace(name=name)
        self.layers.append(Mul(out, (x, y)))
        return out

    def concat(self, name: str, *xs: Tensor) -> Tensor:
        """Join along the channels."""
        out = Tensor(name, sum(x.channels for x in xs), xs[0].extent)
        self.layers.append(Concat(out, xs))
        return out

    def flatten(self, name: str, x: Tensor) -> Tensor:
        """To one axis of features."""
        out = x._replace(name=name, flat=True)
        self.layers.append(Flatten(out, (x,)))
        return out

    def dropout(self, name: str, x: Tensor, rate: float) -> Tensor:
        """Zeroes a share ``rate`` of the values in training."""
        out = x._replace(name=name)
        self.layers.append(Dropout(out, (x,), rate))
        return out

    def linear(self, name: str, x: Tensor, features: int) -> Tensor:
        """Fully connected layer with a bias."""
        out = Tensor(name, features, POINT_EXTENT, flat=True)
        self.layers.append(Linear(out, (x,)))
        return out

    def _extent(self, window: Window) -> int:
        """The number of the extent that ``window`` leaves, equal windows sharing one."""
        odd = window.kernel[0] % 2 == window.kernel[1] % 2 == 1
        assert odd or not window.padded, "the two paddings leave equal sizes for odd kernels only"
        if window.stride == (1, 1) and (window.padded or window.kernel == (1, 1)):
            return window.source
        if window not in self.windows:
            self.windows.append(window)
        return _FIRST_WINDOW + self.windows.index(window)
