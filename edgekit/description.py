"""What networks cost, in all and layer by layer, without running them.

Networks of the zoo are worked out from their tables, which needs neither torch nor onnx; an ``.onnx``
file and a function's module are captured, and counted on the graph.
"""

from __future__ import annotations

from edgekit import source
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.models.network import Network
from edgekit.options import ScaleChange
from edgekit.results import Description, LayerRow, ModelRow, Totals
from edgekit.source import ModuleFunction, OnnxFile

__all__ = ["describe", "models"]


def describe(model: str, scale: ScaleChange = ScaleChange()) -> Description:
    """The layers of ``model`` for one fp32 image: output shapes, activation bytes, parameters, MACs.

    ``model`` is what every command takes as MODEL; one MAC is one multiply-add. Raises InputError for a
    model or scale that cannot be used.
    """
    parsed = source.parse(model, scale)
    if isinstance(parsed, Network):
        return _of_network(parsed)
    return _of_graph(parsed)


def models(family: str | None = None) -> tuple[ModelRow, ...]:
    """Every name of the zoo, or those of one family, in the order of the papers.

    Raises UnknownNameError with the nearest families.
    """
    return tuple(_model_row(name) for name in zoo.names(family))


def _of_network(network: Network) -> Description:
    costs = cost(network)
    return Description(
        model=network.name,
        input_shape=(1, *network.input_shape),
        totals=Totals(costs.params, costs.macs, costs.weight_bytes, costs.peak_activation_bytes),
        layers=tuple(
            LayerRow(row.name, row.op, row.output_shape, row.activation_bytes, row.params, row.macs)
            for row in costs.layers()
        ),
    )


def _of_graph(parsed: OnnxFile | ModuleFunction) -> Description:
    # Imported here: the zoo's tables are described without onnx.
    from edgekit.capture import capture, load_onnx
    from edgekit.graph.count import count
    from edgekit.graph.values import shape_of

    if isinstance(parsed, OnnxFile):
        graph = load_onnx(parsed.path, resolution=parsed.resolution)
    else:
        graph = capture(source.call(parsed), parsed.input_shape)
    costs = count(graph)
    return Description(
        model=parsed.name,
        input_shape=shape_of(graph.graph.inputs[0]),
        totals=Totals(costs.params, costs.macs, costs.weight_bytes(), costs.peak_activation_bytes()),
        layers=tuple(
            LayerRow(row.name, row.op, row.output_shape, row.activation_bytes(), row.params, row.macs)
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
    )
