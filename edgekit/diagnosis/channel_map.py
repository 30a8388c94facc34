"""What the channels of a file's layer are in the reference's: scaled, moved, or copies of another.

Quantizers change a network's channels without changing what it computes: equalization moves factors into the
next layer's weights, absorption moves offsets into its bias, and silent channels are made to repeat others.
Here such changes are recognized by the numbers of one image, and undone before anything is compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.runtimes.layers import FileLayer

__all__ = ["ChannelMap", "map_channels", "weights_like"]

FloatArray = npt.NDArray[np.float32]

_GAIN = 10.0  # times less noise: what a changed channel explains, and quantization does not
_LEAST_PIXELS = 16  # of a channel: two numbers for each of fewer explain any difference
_SILENT = 1e-6  # of the layer's mean energy
_ALIKE = 0.97  # correlation of a copy, which is quantized, with what it repeats


@dataclass(frozen=True, eq=False)
class ChannelMap:
    """reference[sources[i]] is about scales[i] · file[i] + shifts[i], for every channel i of the file.

    ``scales`` and ``shifts`` are ``[channels, 1]``. A channel whose source is another one is a copy of it;
    the reference's own channel of that index is silent.
    """

    scales: FloatArray
    shifts: FloatArray
    sources: npt.NDArray[np.int64]

    @classmethod
    def same(cls, channels: int) -> ChannelMap:
        """Every channel is the reference's."""
        ones = np.ones((channels, 1), np.float32)
        return cls(ones, np.zeros_like(ones), np.arange(channels))

    @property
    def copies(self) -> npt.NDArray[np.bool_]:
        """Which channels repeat another."""
        found: npt.NDArray[np.bool_] = self.sources != np.arange(len(self.sources))
        return found

    @property
    def is_same(self) -> bool:
        """Whether nothing was changed."""
        return bool(np.all(self.scales == 1) and np.all(self.shifts == 0) and not self.copies.any())

    def to_reference(self, expected: FloatArray, actual: FloatArray) -> FloatArray:
        """The file's numbers ``[channels, pixels]`` in the reference's units; of copies, what is expected."""
        mapped: FloatArray = np.where(self.copies[:, None], expected, actual * self.scales + self.shifts)
        return mapped

    def to_file(self, expected: FloatArray) -> FloatArray:
        """The reference's numbers ``[channels, pixels]`` as the file would hold them without an error."""
        held: FloatArray = (expected[self.sources] - self.shifts) / self.scales
        return held


def map_channels(expected: FloatArray, actual: FloatArray) -> ChannelMap:
    """The map of a layer's channels by its numbers ``[channels, pixels]`` on one image.

    A channel's change is believed where it takes away nearly all of the difference.
    """
    if expected.shape[1] < _LEAST_PIXELS:
        return ChannelMap.same(len(expected))
    ours, theirs = (values - values.mean(1, keepdims=True) for values in (expected, actual))
    sources = _sources(ours, theirs)
    energy = np.square(theirs).sum(1)
    scales = ((ours[sources] * theirs).sum(1) / np.where(energy > 0, energy, 1))[:, None]
    shifts = expected[sources].mean(1, keepdims=True) - scales * actual.mean(1, keepdims=True)
    plain, fitted = (
        np.square(expected[sources] - one, dtype=np.float64).sum(1)
        for one in (actual, actual * scales + shifts)
    )
    is_believed = ((plain > _GAIN * fitted) & (scales[:, 0] > 0))[:, None]
    return ChannelMap(
        np.where(is_believed, scales, 1).astype(np.float32),
        np.where(is_believed, shifts, 0).astype(np.float32),
        sources,
    )


def _sources(ours: FloatArray, theirs: FloatArray) -> npt.NDArray[np.int64]:
    """Each channel itself, but for those that are silent in the reference and repeat another in the file."""
    energies, own = (np.square(values, dtype=np.float64).sum(1) for values in (ours, theirs))
    sources = np.arange(len(ours))
    spare = np.flatnonzero((energies <= _SILENT * energies.mean()) & (own > _SILENT * own.mean()))
    for channel in spare:
        lengths = np.sqrt(energies * own[channel])
        likeness = (ours @ theirs[channel]) / np.where(lengths > 0, lengths, np.inf)
        if likeness.max() >= _ALIKE:
            sources[channel] = int(likeness.argmax())
    return sources


def weights_like(
    reference: FloatArray, layer: FileLayer, source: ChannelMap | None, output: ChannelMap
) -> FloatArray:
    """The file's weights as they would be had no channel been changed: OIHW or ``[out, in]``.

    ``source`` maps the channels that the layer reads. Weights of channels that are silent in the reference
    are ``reference``'s own.
    """
    weight = layer.weight
    assert weight is not None
    tail = [1] * (weight.ndim - 1)
    if len(output.sources) == len(weight):
        weight = weight * output.scales.reshape([-1, *tail])
    if source is not None and not source.is_same:
        weight = _undone(weight, layer.window.group if layer.window is not None else 1, source, reference)
    if len(output.sources) == len(weight):
        weight = np.where(output.copies.reshape([-1, *tail]), reference, weight)
    found: FloatArray = weight.astype(np.float32)
    return found


def _undone(weight: FloatArray, groups: int, source: ChannelMap, reference: FloatArray) -> FloatArray:
    """Weights for the reference's inputs: those of a channel's copies are added up."""
    inputs = source.scales.reshape(groups, 1, -1)
    if inputs.shape[2] != weight.shape[1]:
        return weight
    grouped = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1) / inputs[..., None]
    divided: FloatArray = grouped.reshape(weight.shape)
    if groups > 1:
        return divided
    for copy in np.flatnonzero(source.copies):
        divided[:, source.sources[copy]] += divided[:, copy]
    divided[:, source.copies] = reference[:, source.copies]
    return divided
