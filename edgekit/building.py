"""From MODEL to a canonical graph with what belongs to its weights: preprocessing, labels, warnings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import onnx_ir as ir

from edgekit import source
from edgekit.errors import InputError, WeightsError
from edgekit.feeding import Feeding, pack
from edgekit.graph.values import shape_of
from edgekit.manifest import ManifestModel
from edgekit.models.network import Network
from edgekit.options import ExportOptions, Preprocessing
from edgekit.source import ModuleFunction, OnnxFile

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Built", "build_graph", "build_network"]

Progress = Callable[[str, int, int], None]

_NAMED = ("auto", "imagenet", "random")
_OTHER_SIZE = 32  # of the images that seed random numbers, where no input takes an image


@dataclass(frozen=True)
class Built:
    """A network ready to be quantized and emitted.

    ``graph`` is canonical fp32, packed where there are several inputs (:mod:`edgekit.feeding`). ``seconds``
    are those of the stages ``build`` and ``capture``. ``module`` is the torch module that was captured.
    """

    graph: ir.Model
    model: ManifestModel
    preprocessing: Preprocessing
    labels: tuple[str, ...] | None
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    feeding: Feeding
    module: nn.Module | None = None


def build_graph(model: str, options: ExportOptions, progress: Progress | None = None) -> Built:
    """Build, or read, what ``model`` names, with the weights that ``options`` ask for.

    ``progress`` hears of downloads.

    Raises what :func:`edgekit.source.parse` and :func:`edgekit.capture.capture` raise, WeightsError for
    weights that do not fit, and InputError for weights given to a module or file that has its own.
    """
    parsed = source.parse(model, options.scale)
    if isinstance(parsed, Network):
        return build_network(parsed, options, progress)
    if options.weights not in _NAMED:
        raise InputError(
            f"{model} has weights of its own, and {options.weights} was given",
            hint="--weights is for networks by name: `edgekit models` lists them",
        )
    if isinstance(parsed, OnnxFile):
        return _load_onnx(parsed)
    return _call_function(parsed)


def build_network(network: Network, options: ExportOptions, progress: Progress | None = None) -> Built:
    """The same for a network at its own scale, whatever ``options`` say of that."""
    start = time.perf_counter()
    from edgekit.models import weights

    wanted = _without_download(network) if options.weights == "auto" else options.weights
    built, info = weights.build(network, wanted, options.seed, progress)
    finished = time.perf_counter()
    graph = _capture(built, ((1, *network.input_shape),))
    seconds = {"build": finished - start, "capture": time.perf_counter() - finished}
    scale = network.scale
    described = ManifestModel(
        name=network.name,
        width=scale.width,
        depth=scale.depth,
        resolution=scale.resolution,
        num_classes=scale.num_classes,
        weights=info.source,
    )
    feeding = Feeding.of(graph.graph)
    return Built(graph, described, info.preprocessing, info.labels, info.warnings, seconds, feeding, built)


def _without_download(network: Network) -> str:
    """``imagenet`` if an installed package has the weights of this network at this scale, else ``random``."""
    from edgekit.models.pretrained import PackageFile, pretrained

    try:
        origin = pretrained(network).origin
    except WeightsError:
        return "random"
    is_installed = isinstance(origin, PackageFile) and find_spec(origin.package) is not None
    return "imagenet" if is_installed else "random"


def _load_onnx(file: OnnxFile) -> Built:
    from edgekit.capture import load_onnx

    start = time.perf_counter()
    graph = load_onnx(file.path, resolution=file.resolution, inputs=file.inputs)
    seconds = {"build": 0.0, "capture": time.perf_counter() - start}
    return _foreign(graph, file.name, f"file:{file.path.name}", seconds)


def _call_function(named: ModuleFunction) -> Built:
    start = time.perf_counter()
    module = source.call(named)
    built = time.perf_counter()
    graph = _capture(module, named.input_shapes)
    seconds = {"build": built - start, "capture": time.perf_counter() - built}
    return _foreign(graph, named.name, f"file:{named.module}:{named.function}", seconds)


def _capture(module: nn.Module, input_shapes: tuple[tuple[int, ...], ...]) -> ir.Model:
    from edgekit.capture import capture

    return capture(module.eval(), *input_shapes)


def _foreign(graph: ir.Model, name: str, weights: str, seconds: dict[str, float]) -> Built:
    """A network that came without preprocessing: the usual ImageNet one is assumed, and said so."""
    feeding = Feeding.of(graph.graph)
    channels, size = _image_shape(feeding)
    preprocessing = Preprocessing(resize_short_side=round(size * 256 / 224), crop=size)
    if channels == 1:
        preprocessing = Preprocessing(
            preprocessing.resize_short_side, crop=size, color="L", mean=(0.5,), std=(0.5,)
        )
    described = ManifestModel(
        name=name,
        width=1.0,
        depth=1.0,
        resolution=size,
        num_classes=_num_classes(graph),
        weights=weights,
    )
    warnings = tuple(_warnings(name, feeding, preprocessing))
    return Built(pack(graph), described, preprocessing, None, warnings, seconds, feeding)


def _warnings(name: str, feeding: Feeding, preprocessing: Preprocessing) -> Iterator[str]:
    if feeding.not_images:
        yield (
            f"{', '.join(feeding.not_images)} of {name} takes no image: calibrated and checked on "
            "random numbers"
        )
    if len(feeding.not_images) < len(feeding.names):
        yield (
            f"{name} does not say how images become its input: assumed are mean {preprocessing.mean} and "
            f"std {preprocessing.std}; other ones lose accuracy"
        )


def _image_shape(feeding: Feeding) -> tuple[int, int]:
    """Channels, and the larger of height and width in pixels, of the inputs that are images."""
    images = [
        shape
        for name, shape in zip(feeding.names, feeding.shapes, strict=True)
        if name not in feeding.not_images
    ]
    if not images:
        return 3, _OTHER_SIZE
    return max(shape[1] for shape in images), max(max(shape[2:]) for shape in images)


def _num_classes(graph: ir.Model) -> int:
    """Channels of the first output, which are the classes of a classifier or a segmentation."""
    shape = shape_of(graph.graph.outputs[0])
    return shape[1] if len(shape) > 1 else 1
