"""Plans of several precisions: what is chosen, where pairs stand, and that the walk and the graph agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.errors import UnknownNameError, UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.run import GraphRunner
from edgekit.graph.verify import verify
from edgekit.parity import sqnr_db
from edgekit.quantize import Observation, QuantizeOptions, observe, quantize
from edgekit.quantize.plan import LayerPrecision, Plan, make_plan
from edgekit.quantize.precision import match_layers, with_precisions
from graphs import NETWORKS, FloatArray, GraphBuilder

SHAPE = (3, 24, 24)
QUICK = QuantizeOptions(rounding="nearest")


def network(name: str) -> ir.Model:
    builder = GraphBuilder([1, *SHAPE])
    return builder.model(NETWORKS[name](builder))


def images(count: int = 6) -> FloatArray:
    return np.random.default_rng(0).standard_normal((count, 1, *SHAPE)).astype(np.float32)


def run(model: ir.Model) -> FloatArray:
    # onnxruntime's optimizer quantizes the float weights of layers between pairs.
    return GraphRunner(model, optimize=False).run(images()[:, 0])["logits"].reshape(6, -1)


def planned(observation: Observation, names: tuple[str, ...], precision: LayerPrecision) -> Observation:
    return replace(observation, plan=with_precisions(observation.plan, dict.fromkeys(names, precision)))


def names_of(plan: Plan) -> list[str]:
    return [layer.name for layer in plan.layers]


def pairs(model: ir.Model) -> set[str]:
    """Names of the values that are quantized."""
    return {
        str(node.inputs[0].name)
        for node in model.graph
        if node.op_type == "QuantizeLinear" and node.inputs[0] is not None
    }


def chain() -> ir.Model:
    """conv, relu6, conv, maxpool, conv, pool, flatten, gemm."""
    b = GraphBuilder([1, *SHAPE])
    x = b.relu6(b.conv(b.image, 4, stride=2))
    x = b.op("MaxPool", b.conv(x, 4), kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0])
    x = b.op("GlobalAveragePool", b.conv(x, 4))
    return b.model(b.gemm(b.op("Flatten", x, axis=1), 5))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision", ["float", "int16"])
@pytest.mark.parametrize("part", [slice(0, 2), slice(2, 4), slice(1, -1), slice(-2, None), slice(None)])
def test_the_graph_computes_what_the_walk_did(name: str, precision: LayerPrecision, part: slice) -> None:
    model = network(name)
    observation = observe(model, images())
    layers = tuple(layer.name for layer in observation.plan.layers)[part]
    result = quantize(model, planned(observation, layers, precision), QUICK)
    reference = run(model)
    # One more or less of the output's 8 bits is all that orders of summation can change.
    assert sqnr_db(reference, run(result.model)) == pytest.approx(result.report.sqnr_db, abs=1.0)
    assert result.report.sqnr_db > 35


def test_float_islands_are_whole() -> None:
    model = chain()
    observation = observe(model, images())
    convs = match_layers(names_of(observation.plan), ["*.conv"])
    result = quantize(model, planned(observation, convs[1:], "float"), QUICK)
    # The pool between two float convolutions went along; what follows the last one did not.
    names = [layer.output for layer in observation.plan.layers]
    assert pairs(result.model) == {"image", names[0], *names[3:-1], "logits.float"}
    assert {node.name for node in result.model.graph if qdq.is_float(node)} == {
        layer.name for layer in observation.plan.layers[1:4]
    }
    verify(result.model)


def test_layers_that_do_not_weigh_follow_what_is_around_them() -> None:
    plan = make_plan(chain())
    names = [layer.name for layer in plan.layers]
    ends = with_precisions(plan, {names[3]: "float", "logits": "float"})
    assert [layer.precision for layer in ends.layers] == ["int8"] * 3 + ["float"] * 4
    kept = with_precisions(plan, {names[3]: "float", "logits": "float", names[4]: "int8"})
    assert [layer.precision for layer in kept.layers] == ["int8"] * 3 + ["float", "int8", "int8", "float"]
    apart = with_precisions(plan, {names[3]: "float", "logits": "int16"})
    assert [layer.precision for layer in apart.layers[4:6]] == ["int8"] * 2


def test_a_float_copy_ties_no_ranges() -> None:
    b = GraphBuilder([1, *SHAPE])
    x, y = b.conv(b.image, 4), b.conv(b.image, 4)
    joined = b.op("Concat", x, y, axis=1, name="joined")
    plan = make_plan(b.model(b.conv(joined, 2)))
    assert {"joined", x.name, y.name} in [set(group) for group in plan.groups]
    alone = with_precisions(plan, {"joined": "float"})
    assert ("joined",) in alone.groups


def test_int16_sigmoids_have_their_own_fixed_scale() -> None:
    plan = make_plan(network("gated"))
    sigmoid = next(layer for layer in plan.layers if layer.op_type == "Sigmoid")
    wide = with_precisions(plan, {sigmoid.name: "int16"})
    params = wide.params_at(sigmoid.output, "int16", {})
    assert params is not None
    assert (params.scale, params.zero_point, params.bits) == (1 / 32768, 0, 16)


def test_int16_meets_int8_in_two_pairs_and_needs_opset_21() -> None:
    model = chain()
    observation = observe(model, images())
    second = observation.plan.layers[1]
    result = quantize(model, planned(observation, (second.name,), "int16"), QUICK)
    kinds = {
        str(node.outputs[0].name): node.outputs[0].dtype
        for node in result.model.graph
        if node.op_type == "QuantizeLinear"
    }
    first = observation.plan.layers[0].output
    assert kinds[f"{first}.quantized"] == ir.DataType.INT8
    assert kinds[f"{first}.int16.quantized"] == ir.DataType.INT16
    assert kinds[f"{second.output}.quantized"] == ir.DataType.INT16
    assert kinds[f"{second.output}.int8.quantized"] == ir.DataType.INT8
    assert result.model.graph.opset_imports[""] == 21


def test_layers_are_found_by_glob_and_unknown_ones_named() -> None:
    plan: Plan = make_plan(chain())
    names = [layer.name for layer in plan.layers]
    assert match_layers(names_of(plan), ["*.conv", names[-1]]) == (names[0], names[1], names[3], names[-1])
    with pytest.raises(UnknownNameError) as caught:
        match_layers(names_of(plan), ["layer0.cnv"])
    assert "layer0.conv" in caught.value.hint
    with pytest.raises(UnknownNameError):
        with_precisions(plan, {"nothing": "float"})


def test_what_has_no_integer_form_can_stay_float() -> None:
    b = GraphBuilder([1, 4])
    weight = b.op("Reshape", b.image, np.asarray([2, 2]))
    model = b.model(b.op("Gemm", weight, weight, np.zeros(2, np.float32), transB=1))
    with pytest.raises(UnsupportedError, match=r"keep-float|computed weight"):
        make_plan(model)
    assert [layer.precision for layer in make_plan(model, ["logits"]).layers] == ["int8", "float"]


def test_a_last_layer_that_is_called_like_the_output_keeps_its_name() -> None:
    b = GraphBuilder([1, *SHAPE])
    model = b.model(b.conv(b.image, 4))
    assert next(iter(model.graph)).name == "logits"
    result = quantize(model, observe(model, images()), QUICK)
    verify(result.model)
    assert next(node for node in result.model.graph if node.op_type == "Conv").name == "logits"
    assert [value.name for value in result.model.graph.outputs] == ["logits"]


def test_names_of_the_users_graph_stay() -> None:
    b = GraphBuilder([1, *SHAPE])
    model = b.model(b.conv(b.op("Relu", b.conv(b.image, 4), name="logits.float"), 4))
    result = quantize(model, observe(model, images()), QUICK)
    verify(result.model)
    assert {"logits", "logits.float"} <= {node.name for node in result.model.graph}


def weights_of(model: ir.Model) -> list[qdq.QuantizedTensor]:
    """Integer weights of every layer that has some."""
    found = [
        qdq.dequantized_constant(node.inputs[1]) for node in model.graph if node.op_type in ("Conv", "Gemm")
    ]
    return [weight for weight in found if weight is not None]


@pytest.mark.parametrize("rounding", ["nearest", "compensated"])
@pytest.mark.parametrize("name", NETWORKS)
def test_reduced_weights_keep_within_64(name: str, rounding: str) -> None:
    model = network(name)
    options = QuantizeOptions(rounding=rounding, reduce_range=True)  # type: ignore[arg-type]
    result = quantize(model, observe(model, images()), options)
    peaks = [int(np.abs(np.asarray(weight.values, np.int32)).max()) for weight in weights_of(result.model)]
    assert max(peaks) == 64  # two products with 255 fit int16, and no larger power of two does
    assert 2 * 255 * 64 < 2**15 < 2 * 255 * 65
    assert result.report.sqnr_db > 30


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_share_one_scale_where_that_is_demanded(name: str) -> None:
    model = network(name)
    result = quantize(model, observe(model, images()), QuantizeOptions(per_tensor_weights=True))
    assert [weight.scale.shape for weight in weights_of(result.model)] == [()] * len(weights_of(result.model))
    assert result.report.sqnr_db > 30
