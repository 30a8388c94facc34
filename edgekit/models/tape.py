"""The tape that blocks record their layers on."""

from __future__ import annotations

from edgekit.models.layers import (
    INPUT_EXTENT,
    POINT_EXTENT,
    Activation,
    ActivationKind,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    DropPath,
    Factor,
    Flatten,
    GlobalPool,
    Layer,
    Linear,
    MaxPool,
    Mean,
    Mul,
    Narrow,
    PadChannels,
    ResponseNorm,
    Shuffle,
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
        pad: int = 0,
        norm: bool = True,
        bias: bool | None = None,
        activation: ActivationKind | None = None,
    ) -> Tensor:
        """Convolution, then batch norm, then an activation, if any.

        They are named ``name``, ``name_bn`` and ``name_act``. ``bias`` is by default what batch norm
        leaves to do: none with ``norm``, one without. ``pad`` is for what is not ``padded``.
        """
        window = Window(x.extent, _pair(kernel), _pair(stride), padded, pad)
        out = Tensor(name, channels, self._extent(window))
        self.layers.append(Conv(out, (x,), window, groups, bias=not norm if bias is None else bias))
        if norm:
            out = self.norm(f"{name}_bn", out)
        return self.activation(f"{name}_act", out, activation) if activation else out

    def norm(self, name: str, x: Tensor) -> Tensor:
        """Batch normalization."""
        out = x._replace(name=name)
        self.layers.append(BatchNorm(out, (x,)))
        return out

    def activation(self, name: str, x: Tensor, kind: ActivationKind) -> Tensor:
        """A pointwise nonlinearity."""
        out = x._replace(name=name)
        self.layers.append(Activation(out, (x,), kind))
        return out

    def response_norm(self, name: str, x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
        """Local response normalization."""
        out = x._replace(name=name)
        self.layers.append(ResponseNorm(out, (x,), size, alpha, beta, k))
        return out

    def max_pool(
        self, name: str, x: Tensor, kernel: int, stride: int, *, pad: int = 0, ceil: bool = False
    ) -> Tensor:
        """Maximum over ``kernel`` × ``kernel`` windows."""
        window = Window(x.extent, _pair(kernel), _pair(stride), pad=pad, ceil=ceil)
        out = Tensor(name, x.channels, self._extent(window))
        self.layers.append(MaxPool(out, (x,), window))
        return out

    def avg_pool(
        self, name: str, x: Tensor, kernel: int, stride: int, *, pad: int = 0, counts_padding: bool = True
    ) -> Tensor:
        """Average over ``kernel`` × ``kernel`` windows."""
        window = Window(x.extent, _pair(kernel), _pair(stride), pad=pad)
        out = Tensor(name, x.channels, self._extent(window))
        self.layers.append(AvgPool(out, (x,), window, counts_padding))
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

    def mean(self, name: str, xs: tuple[Tensor, ...], rate: float) -> Tensor:
        """The average of ``xs``, of which training drops a share ``rate``."""
        out = xs[0]._replace(name=name)
        self.layers.append(Mean(out, xs, rate))
        return out

    def factor(self, name: str, x: Tensor, value: float) -> Tensor:
        """``value`` times the output ``x`` of a convolution that nothing else reads."""
        out = x._replace(name=name)
        self.layers.append(Factor(out, (x,), value))
        return out

    def concat(self, name: str, *xs: Tensor) -> Tensor:
        """Join along the channels."""
        out = Tensor(name, sum(x.channels for x in xs), xs[0].extent)
        self.layers.append(Concat(out, xs))
        return out

    def narrow(self, name: str, x: Tensor, start: int, channels: int) -> Tensor:
        """``channels`` channels of ``x`` from ``start`` on."""
        out = x._replace(name=name, channels=channels)
        self.layers.append(Narrow(out, (x,), start))
        return out

    def pad_channels(self, name: str, x: Tensor, channels: int) -> Tensor:
        """``x`` with zeros behind, ``channels`` in all."""
        out = x._replace(name=name, channels=channels)
        self.layers.append(PadChannels(out, (x,)))
        return out

    def shuffle(self, name: str, x: Tensor, groups: int) -> Tensor:
        """The channels of ``groups`` groups by turns."""
        out = x._replace(name=name)
        self.layers.append(Shuffle(out, (x,), groups))
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

    def drop_path(self, name: str, x: Tensor, rate: float) -> Tensor:
        """Zeroes all of ``x`` for a share ``rate`` of the images in training."""
        out = x._replace(name=name)
        self.layers.append(DropPath(out, (x,), rate))
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
        filled = window.padded or all(kernel == 2 * window.pad + 1 for kernel in window.kernel)
        if window.stride == (1, 1) and filled:
            return window.source
        if window not in self.windows:
            self.windows.append(window)
        return _FIRST_WINDOW + self.windows.index(window)
