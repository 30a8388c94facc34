"""The two files of a comparison: how each is fed, whoever made it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit import manifest
from edgekit.building import build_graph
from edgekit.errors import InputError, ModelFileError
from edgekit.evaluation import encode, network_input
from edgekit.manifest import ManifestModel
from edgekit.options import SUFFIXES, ExportOptions, IoType, Layout, Preprocessing, ScaleChange, TensorSpec
from edgekit.runtimes.base import Port
from edgekit.runtimes.layers import FloatArray, LayerReader, open_layers

__all__ = ["Side", "open_artifact", "open_reference"]

Progress = Callable[[str, int, int], None]
PixelArray = npt.NDArray[np.uint8]

_IO_TYPES: dict[str, IoType] = {"float32": "float32", "int8": "int8", "uint8": "uint8"}


@dataclass(frozen=True, eq=False)
class Side:
    """A file whose layers can be read, and how images become its input."""

    name: str
    reader: LayerReader
    input: TensorSpec
    preprocessing: Preprocessing | None
    warnings: tuple[str, ...] = ()

    def run(
        self, pixels: PixelArray, preprocessing: Preprocessing, tensors: Iterable[str]
    ) -> dict[str, FloatArray]:
        """Real numbers of ``tensors`` for one cropped image, uint8 HWC."""
        batch = network_input(pixels, preprocessing, self.input)
        return self.reader.run(encode(batch, self.input), tensors)


def open_artifact(path: Path) -> Side:
    """An exported file: by its manifest if it has one, else by what the file itself says of its input."""
    reader = open_layers(path)
    try:
        described, entry = manifest.of_artifact(path)
    except ModelFileError:
        return Side(path.name, reader, _spec(reader.input), manifest.preprocessing_beside(path))
    return Side(path.name, reader, entry.input, described.preprocessing)


def open_reference(reference: str, artifact: Path, progress: Progress | None = None) -> Side:
    """An fp32 file of any format, or a MODEL; a zoo name takes its scale from the artifact's manifest.

    Raises what :func:`edgekit.building.build_graph` raises, and ModelFileError for a damaged file.
    """
    if Path(reference).suffix.lower() in SUFFIXES.values():
        return open_artifact(Path(reference))
    from edgekit.runtimes.onnx_layers import OnnxLayerReader

    built = build_graph(reference, _options_like(reference, artifact), progress)
    reader = OnnxLayerReader(Path(f"{built.model.name}.onnx"), ir.to_proto(built.graph))
    return Side(built.model.name, reader, _spec(reader.input), built.preprocessing, built.warnings)


def _options_like(reference: str, artifact: Path) -> ExportOptions:
    """The scale and weights that the artifact's manifest states of the same zoo name."""
    try:
        model = manifest.of_artifact(artifact)[0].model
    except ModelFileError:
        return ExportOptions()
    if model.name != reference:
        return ExportOptions()
    return ExportOptions(scale=_scale(model), weights=_weights(model))


def _scale(model: ManifestModel) -> ScaleChange:
    return ScaleChange(
        width=model.width, depth=model.depth, resolution=model.resolution, num_classes=model.num_classes
    )


def _weights(model: ManifestModel) -> str:
    if model.weights.startswith("file:"):
        raise InputError(
            f"{model.name} was exported with the weights {model.weights.removeprefix('file:')}, which its "
            "name does not give",
            hint="export it with --precision fp32 too, and compare with that file",
        )
    return model.weights


def _spec(port: Port) -> TensorSpec:
    """An input as its file describes it."""
    if len(port.shape) != 4 or port.dtype not in _IO_TYPES:
        raise InputError(f"input {port.name!r} is {port.dtype} {list(port.shape)}, expected one image")
    layout: Layout = "NHWC" if port.shape[-1] in (1, 3) and port.shape[1] not in (1, 3) else "NCHW"
    return TensorSpec(port.name, port.shape, layout, _IO_TYPES[port.dtype], port.scale, port.zero_point)
