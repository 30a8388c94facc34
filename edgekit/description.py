"""What networks cost, in all and layer by layer, without running them.

Networks of the zoo are worked out from their tables, which needs neither torch nor onnx; an ``.onnx``
file and a function's module are captured, and counted on the graph.
"""

from __future__ import annotations

from dataclasses import replace

from edgekit import source
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.models.deployed import depth_of
from edgekit.models.network import Network
from edgekit.models.receptive import receptive_fields
from edgekit.options import Precision, ScaleChange
from edgekit.results import Description, LayerRow, ModelRow, Prediction, Totals
from edgekit.source import ModuleFunction, OnnxFile

__all__ = ["describe", "models"]


def describe(
    model: str,
    scale: ScaleChange = ScaleChange(),
    *,
    target: str | None = None,
    precision: Precision | None = None,
    num_threads: int | None = None,
) -> Description:
    """The layers of ``model`` for one fp32 image: output shapes, activation bytes, parameters, MACs.

    ``model`` is what every command takes as MODEL; one MAC is one multiply-add. With a ``target`` the
    description has predictions for it, at a precision and thread count that are by default those
    measured there. Raises InputError for a model or scale that cannot be used, UnknownNameError for the
    target, and UnsupportedError for a precision that it does not take.
    """
    parsed = source.parse(model, scale)
    described = _of_network(parsed) if isinstance(parsed, Network) else _of_graph(parsed)
    if target is None:
        return described
    network = parsed if isinstance(parsed, Network) else None
    return replace(described, predicted=_predict(network, target, precision, num_threads))


def models(family: str | None = None) -> tuple[ModelRow, ...]:
    """Every name of the zoo, or those of one family, in the order of the papers.

    Raises UnknownNameError with the nearest families.
    """
    return tuple(_model_row(name) for name in zoo.names(family))


def _predict(
    network: Network | None, target: str, precision: Precision | None, num_threads: int | None
) -> Prediction:
    """Predictions for a network of the zoo; of others nothing is known."""
    # Imported here: they read files, which a plain description does not need.
    from edgekit.search import accuracy, latency
    from edgekit.target import resolve

    chosen = resolve(target)[0]
    if precision is not None:
        chosen.precision(precision)  # raises for one that the target does not take
    model = chosen.latency_model(precision, num_threads)
    top1 = accuracy.predict(network) if network else None
    time = latency.predict(network, model) if network and model else None
    return Prediction(
        top1.top1 if top1 else None,
        top1.error if top1 else None,
        time.latency_ms if time else None,
        time.error_percent if time else None,
        extrapolates=bool((top1 and top1.extrapolates) or (time and time.extrapolates)),
    )


def _of_network(network: Network) -> Description:
    costs = cost(network)
    return Description(
        model=network.name,
        input_shape=(1, *network.input_shape),
        totals=Totals(costs.params, costs.macs, costs.weight_bytes, costs.peak_activation_bytes),
        layers=tuple(
            LayerRow(row.name, row.op, row.output_shape, row.activation_bytes, row.params, row.macs, field)
            for row, field in zip(costs.layers(), receptive_fields(network), strict=True)
        ),
    )


def _of_graph(parsed: OnnxFile | ModuleFunction) -> Description:
    # Imported here: the zoo's tables are described without onnx.
    from edgekit.capture import capture, load_onnx
    from edgekit.graph.count import count
    from edgekit.graph.receptive import receptive_fields
    from edgekit.graph.values import shape_of

    if isinstance(parsed, OnnxFile):
        graph = load_onnx(parsed.path, resolution=parsed.resolution, inputs=parsed.inputs)
    else:
        graph = capture(source.call(parsed), *parsed.input_shapes)
    costs, fields = count(graph), receptive_fields(graph)
    return Description(
        model=parsed.name,
        input_shape=shape_of(graph.graph.inputs[0]),
        totals=Totals(costs.params, costs.macs, costs.weight_bytes(), costs.peak_activation_bytes()),
        layers=tuple(
            LayerRow(
                row.name,
                row.op,
                row.output_shape,
                row.activation_bytes(),
                row.params,
                row.macs,
                fields.get(row.name),
            )
            for row in costs.layers
        ),
    )


def _model_row(name: str) -> ModelRow:
    from edgekit.models.pretrained import weights_of  # only this table needs to know of downloads

    network, entry = zoo.network(name), zoo.entry(name)
    costs = cost(network)
    return ModelRow(
        name=name,
        family=entry.family,
        resolution=network.scale.resolution,
        params=costs.params,
        macs=costs.macs,
        top1=entry.published.top1,
        weights=weights_of(name),
        top5=entry.published.top5,
        dataset=entry.published.dataset,
        source=entry.published.source,
        year=entry.year,
        layers=depth_of(network),
        activation_bytes=costs.activation_bytes,
        peak_activation_bytes=costs.peak_activation_bytes,
    )
