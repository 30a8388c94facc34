"""FractalNet: columns of one, two and four convolutions, joined by their means, without residuals.

FractalNet: Ultra-Deep Neural Networks without Residuals (arXiv 1605.07648). Width multiplies every channel
count but the classes; there is nothing to repeat. Training drops paths locally, join by join, or for half
of the batches all columns but one.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.models.blocks import Classifier, MaxPool
from edgekit.models.cifar_resnet import CIFAR, CIFAR_10
from edgekit.models.entry import Entry, Published
from edgekit.models.layers import Tensor
from edgekit.models.network import Unit
from edgekit.models.scale import Scale, round_channels
from edgekit.models.tape import Tape

__all__ = ["CHANNELS", "COLUMNS", "ENTRIES", "Fractal", "fractalnet20"]

CHANNELS = (64, 128, 256, 512, 512)
"""Section 4: the blocks of the networks for CIFAR, each followed by 2×2 max pooling."""
COLUMNS = 3
"""Of the network with 20 layers: 5 blocks, each 2² layers deep in its last column."""
_DROP_PATH = 0.15
_DROPOUT = 0.4


@dataclass(frozen=True)
class Fractal:
    """f_C(z) = [f_{C−1} ∘ f_{C−1}](z) ⊕ conv(z), with f_1(z) = conv(z) and ⊕ the mean (equation 2)."""

    channels: int
    columns: int
    drop_path: float

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``conv1`` … and ``join1`` … in the order in which they run."""
        paths = self._expand(tape, [x], self.columns)
        return paths[0] if len(paths) == 1 else self._join(tape, paths)

    def _expand(self, tape: Tape, x: list[Tensor], columns: int) -> list[Tensor]:
        """What the columns give, before they are joined; so may ``x`` be, of the columns before."""
        z = x[0] if len(x) == 1 else self._join(tape, x)
        shallow = self._conv(tape, z)
        if columns == 1:
            return [shallow]
        middle = self._expand(tape, [z], columns - 1)
        return [shallow, *self._expand(tape, middle, columns - 1)]

    def _conv(self, tape: Tape, x: Tensor) -> Tensor:
        number = 1 + sum(
            layer.out.name.startswith("conv") and "_" not in layer.out.name for layer in tape.layers
        )
        return tape.conv(f"conv{number}", x, self.channels, 3, activation="relu")

    def _join(self, tape: Tape, paths: list[Tensor]) -> Tensor:
        number = 1 + sum(layer.out.name.startswith("join") for layer in tape.layers)
        return tape.mean(f"join{number}", tuple(paths), self.drop_path)


def fractalnet20(scale: Scale) -> tuple[Unit, ...]:
    """The network with 20 layers for CIFAR."""
    units: list[Unit] = []
    for channels in CHANNELS:
        block = Fractal(round_channels(channels, scale.width), COLUMNS, _DROP_PATH)
        units += [Unit("blocks.", block), Unit("pools.", MaxPool(kernel=2, stride=2))]
    return (*units, Unit("classifier", Classifier(scale.num_classes, _DROPOUT)))


ENTRIES = {
    "fractalnet20": Entry(
        "fractalnet",
        2016,
        CIFAR,
        fractalnet20,
        Published(top1=95.40, source="FractalNet (arXiv 1605.07648), table 1", dataset=CIFAR_10),
        has_depth=False,
    )
}
