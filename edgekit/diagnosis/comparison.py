"""Run a file and its fp32 network side by side and say, layer by layer, where they part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.diagnosis.channel_map import ChannelMap, for_reference_inputs, map_channels, weights_like
from edgekit.diagnosis.matching import Match, match_by_values, match_layers
from edgekit.diagnosis.measuring import Energies, decibels
from edgekit.diagnosis.products import Products, WeightPair
from edgekit.diagnosis.results import LayerError, LayersComparison, WorstChannel
from edgekit.diagnosis.sides import Side, open_artifact, open_reference
from edgekit.diagnosis.suggestions import Evidence, suggest
from edgekit.errors import InputError
from edgekit.options import Preprocessing
from edgekit.parity import agreement, sqnr_db
from edgekit.quantize.calibration import CalibrationData, from_folder, synthetic
from edgekit.report.wording import counted
from edgekit.runtimes.layers import NETWORK_INPUT, FileLayer

__all__ = ["compare_layers"]

FloatArray = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]

_WORST = 3
_MAPPED_IMAGES = 4  # that show what became of each channel
_LEAST_MATCHED = 0.5  # of the weighted layers: below, the files are not of one network


def compare_layers(
    reference: str | Path,
    artifact: Path,
    data: Path | None = None,
    *,
    samples: int = 16,
    seed: int = 0,
    progress: Progress | None = None,
) -> LayersComparison:
    """Every layer's error in an exported int8 file, of edgekit or of another tool.

    ``reference`` is the fp32 network: a file in any format, or a MODEL. ``data`` is a folder of images,
    of which ``samples`` are used; without it the generated ones, which is said in a warning.
    Raises ModelFileError for a file that cannot be read, InputError for files of different networks.
    """
    expected = open_reference(str(reference), Path(artifact), progress)
    actual = open_artifact(Path(artifact))
    preprocessing = expected.preprocessing or actual.preprocessing
    if preprocessing is None:
        raise InputError(
            f"neither {expected.name} nor {actual.name} says how images become its input",
            hint="give the MODEL, or a file that edgekit exported, as the reference",
        )
    images = (
        synthetic(preprocessing, samples, seed)
        if data is None
        else from_folder(data, preprocessing, samples, seed)
    )
    run = _Comparison(expected, actual, preprocessing, list(islice(images.pixels(), _MAPPED_IMAGES)))
    logits = run.gather(images, progress)
    warnings = [*expected.warnings, *run.warnings()]
    if data is None:
        warnings.append(f"compared on {images.description}: give --data FOLDER with your own images")
    return LayersComparison(
        reference=expected.name,
        artifact=Path(artifact),
        images=len(images),
        agreement=agreement(*logits),
        sqnr_db=sqnr_db(*logits),
        layers=tuple(run.rows()),
        unmatched=run.unmatched(),
        warnings=tuple(warnings),
    )


@dataclass(frozen=True, eq=False)
class _Pair:
    """A matched layer of both files; ``channels`` says what the file's channels are in the reference."""

    match: Match
    expected: FileLayer
    actual: FileLayer
    channels: ChannelMap
    energies: Energies


class _Comparison:
    """The state of one comparison: matched on the first images, then gathered over all."""

    def __init__(
        self,
        expected: Side,
        actual: Side,
        preprocessing: Preprocessing,
        images: Sequence[npt.NDArray[np.uint8]],
    ) -> None:
        self._expected, self._actual, self._preprocessing = expected, actual, preprocessing
        self._layers = expected.reader.layers
        self._sources = {i: layer.source for i, layer in enumerate(self._layers) if layer.weight is not None}
        runs = [self._run(pixels) for pixels in images]
        self._matches = _matched(self._layers, actual.reader.layers, *runs[0])
        _check_same_network(self._layers, self._matches, expected, actual)
        self._pairs: dict[int, _Pair] = {}
        for one in self._matches:
            self._pairs[one.reference] = self._pair(one, runs)
        self._products = self._open_products(runs[0][0])

    def gather(self, images: CalibrationData, progress: Progress | None) -> tuple[FloatArray, FloatArray]:
        """Take in all images; the logits of both files, ``[images, classes]``."""
        logits: tuple[list[FloatArray], list[FloatArray]] = ([], [])
        for done, pixels in enumerate(images.pixels(), 1):
            expected, actual = self._run(pixels)
            for pair in self._pairs.values():
                ours, theirs = _channels(expected, pair.expected), _channels(actual, pair.actual)
                pair.energies.add(ours, theirs, pair.channels, pair.actual.grid)
            products = self._products.run(self._inputs(expected))
            for index, (whole, difference) in products.items():
                self._pairs[index].energies.add_products(whole, difference)
            for rows, found, side in zip(
                logits, (expected, actual), (self._expected, self._actual), strict=True
            ):
                rows.append(found[side.reader.layers[-1].tensor].reshape(-1))
            if progress is not None:
                progress("images", done, len(images))
        return np.stack(logits[0]), np.stack(logits[1])

    def rows(self) -> list[LayerError]:
        """Every matched layer in the network's order, with what to do about it."""
        pairs = list(self._pairs.values())
        suggestions = suggest([_evidence(pair) for pair in pairs])
        return [
            LayerError(
                name=pair.expected.names[0],
                op=pair.expected.op,
                output_sqnr_db=decibels(float(pair.energies.signal.sum()), float(pair.energies.noise.sum())),
                weight_sqnr_db=_weight_db(pair),
                activation_sqnr_db=_activation_db(pair),
                worst_channels=_worst(pair.energies),
                matched_by=pair.match.basis,
                is_rescaled=not pair.channels.is_same,
                suggestion=suggestion,
            )
            for pair, suggestion in zip(pairs, suggestions, strict=True)
        ]

    def unmatched(self) -> tuple[str, ...]:
        """Layers of the reference that the file does not have, or that could not be recognized."""
        return tuple(layer.names[0] for i, layer in enumerate(self._layers) if i not in self._pairs)

    def warnings(self) -> list[str]:
        rescaled = sum(not pair.channels.is_same for pair in self._pairs.values())
        if not rescaled:
            return []
        layers = f"{counted(rescaled, 'layer')} {'is' if rescaled == 1 else 'are'} compared"
        return [f"{layers} in the reference's units: its channels are scaled, moved or copied in the file"]

    def _run(self, pixels: npt.NDArray[np.uint8]) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        tensors = [*(layer.tensor for layer in self._layers), *self._sources.values()]
        theirs = [layer.tensor for layer in self._actual.reader.layers]
        return (
            self._expected.run(pixels, self._preprocessing, tensors),
            self._actual.run(pixels, self._preprocessing, theirs),
        )

    def _inputs(self, expected: Mapping[str, FloatArray]) -> dict[int, FloatArray]:
        return {i: expected[tensor] for i, tensor in self._sources.items()}

    def _pair(
        self, match: Match, runs: Sequence[tuple[dict[str, FloatArray], dict[str, FloatArray]]]
    ) -> _Pair:
        layer, other = self._layers[match.reference], self._actual.reader.layers[match.test]
        ours = np.concatenate([_channels(run[0], layer) for run in runs], axis=1)
        theirs = np.concatenate([_channels(run[1], other) for run in runs], axis=1)
        is_last = match.reference == len(self._layers) - 1
        channels = ChannelMap.same(len(ours)) if is_last else self._map(layer, other, ours, theirs)
        return _Pair(match, layer, other, channels, Energies.of(len(ours), has_grid=other.grid is not None))

    def _map(self, layer: FileLayer, other: FileLayer, ours: FloatArray, theirs: FloatArray) -> ChannelMap:
        """By the layer's weights, and by what it reads where every channel is for itself."""
        is_depthwise = other.window is not None and other.window.group == len(theirs) > 1
        read = other.inputs if layer.weight is None or is_depthwise else ()
        inputs = [found for found in map(self._made_by, read) if found is not None]
        return map_channels(ours, theirs, self._weights(layer, other), inputs)

    def _weights(self, layer: FileLayer, other: FileLayer) -> tuple[FloatArray, FloatArray] | None:
        """Those of the reference and of the file for the same inputs, where they are comparable."""
        if layer.weight is None or other.weight is None or self._reads_pixels(other):
            return None
        return layer.weight, for_reference_inputs(layer.weight, other, self._made_by(other.inputs[0]))

    def _reads_pixels(self, layer: FileLayer) -> bool:
        return layer.inputs[0] == NETWORK_INPUT and self._actual.input.normalization == "embedded"

    def _made_by(self, index: int) -> ChannelMap | None:
        """What the channels are that a layer of the file makes, by its index."""
        return next((pair.channels for pair in self._pairs.values() if pair.match.test == index), None)

    def _open_products(self, expected: Mapping[str, FloatArray]) -> Products:
        """Of the weighted layers that were matched, but for those fed with pixels of another range."""
        weighted = []
        for index, pair in self._pairs.items():
            if pair.expected.weight is None or pair.actual.weight is None:
                continue
            if self._reads_pixels(pair.actual):
                continue
            before = self._made_by(pair.actual.inputs[0])
            weight = weights_like(pair.expected.weight, pair.actual, before, pair.channels)
            weighted.append(WeightPair(index, pair.expected, weight))
        return Products(weighted, self._inputs(expected))


def _matched(
    reference: Sequence[FileLayer],
    test: Sequence[FileLayer],
    expected: Mapping[str, FloatArray],
    actual: Mapping[str, FloatArray],
) -> list[Match]:
    matches = match_layers(reference, test)
    ours = {i: expected[layer.tensor] for i, layer in enumerate(reference)}
    theirs = {i: actual[layer.tensor] for i, layer in enumerate(test)}
    matches = [one for one in matches if ours[one.reference].size == theirs[one.test].size]
    matches += match_by_values(ours, theirs, matches)
    return sorted(matches, key=lambda match: match.reference)


def _check_same_network(
    layers: Sequence[FileLayer], matches: Sequence[Match], expected: Side, actual: Side
) -> None:
    weighted = {i for i, layer in enumerate(layers) if layer.weight is not None}
    found = weighted & {match.reference for match in matches}
    if len(found) < _LEAST_MATCHED * len(weighted) or not matches:
        raise InputError(
            f"{len(found)} of {len(weighted)} weighted layers of {expected.name} are in {actual.name}: these "
            "are not the same network with the same weights",
            hint="compare with an fp32 file of the same export, or give its --weights",
        )


def _channels(found: Mapping[str, FloatArray], layer: FileLayer) -> FloatArray:
    """A layer's output for one image, ``[channels, pixels]``."""
    values = found[layer.tensor]
    return values.reshape(values.shape[1], -1) if values.ndim > 1 else values.reshape(1, -1)


def _weight_db(pair: _Pair) -> float | None:
    energies = pair.energies
    return decibels(energies.weight_signal, energies.weight_noise) if energies.weight_signal else None


def _activation_db(pair: _Pair) -> float | None:
    noise = pair.energies.grid_noise
    return None if noise is None else decibels(float(pair.energies.signal.sum()), float(noise.sum()))


def _worst(energies: Energies) -> tuple[WorstChannel, ...]:
    total = float(energies.noise.sum())
    if not total:
        return ()
    return tuple(_worst_channel(energies, int(i), total) for i in np.argsort(-energies.noise)[:_WORST])


def _worst_channel(energies: Energies, index: int, total: float) -> WorstChannel:
    noise = float(energies.noise[index])
    return WorstChannel(index, decibels(float(energies.signal[index]), noise), noise / total)


def _evidence(pair: _Pair) -> Evidence:
    energies = pair.energies
    signal = float(energies.signal.sum())
    grid = energies.grid_noise
    activation = None if grid is None or not signal else float(grid.sum()) / signal
    weight = energies.weight_noise / energies.weight_signal if energies.weight_signal else None
    middle = float(np.median(energies.peak))
    return Evidence(
        name=pair.expected.names[0],
        weight_noise=weight,
        activation_noise=activation,
        is_per_channel=pair.actual.is_per_channel,
        cut_share=0.0 if grid is None or not grid.sum() else energies.cut_noise / float(grid.sum()),
        cut_values=energies.cut / max(energies.count, 1),
        unevenness=float(energies.peak.max()) / middle if middle else np.inf,
    )
