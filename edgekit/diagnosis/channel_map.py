"""What the channels of a file's layer are in the reference's: scaled, moved, or copies of another.

Quantizers change a network's channels without changing what it computes: equalization moves factors into the
next layer's weights, absorption moves offsets into its bias, and silent channels are made to repeat others.
Here such changes are recognized, by weights and by numbers on images, and undone before anything is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.runtimes.layers import FileLayer

__all__ = ["ChannelMap", "for_reference_inputs", "map_channels", "weights_like"]

FloatArray = npt.NDArray[np.float32]

_GAIN = 3.0  # times less noise: what a changed channel explains, and quantization does not
_LEAST_PIXELS = 16  # of a channel: two numbers for each of fewer explain any difference
_MOST = 100.0  # times that a channel is scaled; silent ones would be without end
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


def map_channels(
    expected: FloatArray,
    actual: FloatArray,
    weights: tuple[FloatArray, FloatArray] | None = None,
    inputs: Sequence[ChannelMap] = (),
) -> ChannelMap:
    """The map of a layer's channels by its numbers ``[channels, pixels]`` on a few images.

    ``weights`` are a weighted layer's in the reference and in the file, the latter for the reference's
    inputs: they tell factors and copies of channels that no image excites. ``inputs`` are the maps of what
    the layer reads, if it treats every channel by itself: such layers, as sums, pools and depthwise
    convolutions, hand on copies, and without weights also factors, which are known better than by numbers
    that hold the errors of all layers before. A change is believed where it takes away nearly all of the
    difference.
    """
    if expected.shape[1] < _LEAST_PIXELS:
        return ChannelMap.same(len(expected))
    ours, theirs = (values - values.mean(1, keepdims=True) for values in (expected, actual))
    inputs = [one for one in inputs if len(one.sources) == len(ours)]
    wanted, found = (ours, theirs) if weights is None else (one.reshape(len(one), -1) for one in weights)
    sources = inputs[0].sources if inputs else _sources(_is_silent(ours), wanted, found)
    handed_on = _handed_on(inputs if weights is None else (), len(ours))
    scales = handed_on * _factors(wanted, found * handed_on[:, None])
    scales = scales[sources][:, None].astype(np.float32)
    shifts = np.zeros_like(scales)
    if expected.min() < 0:  # where a ReLU ends at zero, nothing can have been moved
        shifts = expected[sources].mean(1, keepdims=True) - scales * actual.mean(1, keepdims=True)
        shifts = np.where(_explains(expected[sources], actual * scales, shifts), shifts, 0)
    return ChannelMap(scales, shifts.astype(np.float32), sources)


def _handed_on(inputs: Sequence[ChannelMap], channels: int) -> FloatArray:
    """Factors that the inputs agree on; 1 without one."""
    logs = [np.log(one.scales[:, 0]) for one in inputs] or [np.zeros(channels)]
    means: FloatArray = np.exp(np.mean(logs, axis=0)).astype(np.float32)
    return means


def _factors(expected: FloatArray, actual: FloatArray) -> FloatArray:
    """What each row of ``actual`` has to be multiplied by; 1 where that explains no difference."""
    energy = np.square(actual).sum(1)
    factors: FloatArray = (expected * actual).sum(1) / np.where(energy > 0, energy, 1)
    is_believed = _explains(expected, actual, actual * (factors[:, None] - 1))[:, 0]
    is_heard = ~_is_silent(expected) & (factors > 1 / _MOST) & (factors < _MOST)
    return np.where(is_believed & is_heard, factors, np.float32(1))


def _explains(expected: FloatArray, actual: FloatArray, change: FloatArray) -> npt.NDArray[np.bool_]:
    """Channels ``[channels, 1]`` of which the change takes away nearly all of the difference."""
    plain, changed = (
        np.square(expected - one, dtype=np.float64).sum(1, keepdims=True) for one in (actual, actual + change)
    )
    explained: npt.NDArray[np.bool_] = plain > _GAIN * changed
    return explained


def _is_silent(values: FloatArray) -> npt.NDArray[np.bool_]:
    """Which channels ``[channels, pixels]``, their means taken out, hold next to nothing."""
    energies = np.square(values, dtype=np.float64).sum(1)
    silent: npt.NDArray[np.bool_] = energies <= _SILENT * energies.mean()
    return silent


def _sources(
    is_silent: npt.NDArray[np.bool_], expected: FloatArray, actual: FloatArray
) -> npt.NDArray[np.int64]:
    """Each channel itself, but for those that are silent in the reference and repeat another in the file.

    Told by the rows of ``expected`` and ``actual``, weights or numbers.
    """
    sources = np.arange(len(expected))
    lengths, own = (np.linalg.norm(values, axis=1) for values in (expected, actual))
    for channel in np.flatnonzero(is_silent & ~_is_silent(actual)):
        products = lengths * own[channel]
        likeness = (expected @ actual[channel]) / np.where(products > 0, products, np.inf)
        if likeness.max() >= _ALIKE > likeness[channel]:
            sources[channel] = int(likeness.argmax())
    return sources


def weights_like(
    reference: FloatArray, layer: FileLayer, source: ChannelMap | None, output: ChannelMap
) -> FloatArray:
    """The file's weights as they would be had no channel been changed: OIHW or ``[out, in]``.

    ``source`` maps the channels that the layer reads. Weights of channels that are silent in the reference
    are ``reference``'s own.
    """
    weight = for_reference_inputs(reference, layer, source)
    if len(output.sources) != len(weight):
        return weight
    shape = [-1] + [1] * (weight.ndim - 1)
    rows = np.where(output.copies.reshape(shape), reference, weight * output.scales.reshape(shape))
    found: FloatArray = rows.astype(np.float32)
    return found


def for_reference_inputs(reference: FloatArray, layer: FileLayer, source: ChannelMap | None) -> FloatArray:
    """The file's weights for the reference's inputs: those of a channel's copies are added up."""
    weight = layer.weight
    assert weight is not None
    groups = layer.window.group if layer.window is not None else 1
    if source is None or source.is_same or source.scales.size != groups * weight.shape[1]:
        return weight
    inputs = source.scales.reshape(groups, 1, -1, 1)
    grouped = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1) / inputs
    divided: FloatArray = grouped.reshape(weight.shape)
    if groups > 1:
        return divided
    for copy in np.flatnonzero(source.copies):
        divided[:, source.sources[copy]] += divided[:, copy]
    divided[:, source.copies] = reference[:, source.copies]
    return divided
