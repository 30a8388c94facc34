"""A user's ``.onnx`` file as a canonical graph.

Reading is strict: whatever is wrong with the file, or cannot be expressed, is a typed error that names the
file or the node. Files of opset 9 and later are brought to the canonical opset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import onnx.checker
import onnx.inliner
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types

from edgekit.capture.finish import finish
from edgekit.capture.half import widen_halves
from edgekit.capture.lift import lift_weights, restore_weights
from edgekit.capture.opset import convert_opset
from edgekit.capture.sequences import replace_sequences
from edgekit.capture.shape import fix_input_shapes
from edgekit.errors import ModelFileError, UnsupportedError
from edgekit.graph.edit import SCOPE
from edgekit.graph.passes.name_nodes import layer_name

__all__ = ["load_onnx", "node_types"]

_AGAIN = "export or download the file again"
_CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_QUANTIZED = frozenset(
    {
        "ConvInteger",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "QLinearConv",
        "QLinearMatMul",
    }
    | {"QuantizeLinear"}
)
_PACKED = {  # several numbers in a byte
    number: name
    for name, number in onnx.TensorProto.DataType.items()
    if name in ("UINT4", "INT4", "FLOAT4E2M1", "UINT2", "INT2")
}
_OPTIONAL_OUTPUTS = frozenset({"Dropout", "LayerNormalization", "MaxPool"})
_MAGIC = {
    b"PK\x03\x04": ("a zip archive", "torch checkpoints are weights (--weights FILE), not a model"),
    b"\x80\x02": ("a Python pickle", "torch checkpoints are weights (--weights FILE), not a model"),
    b"\x89HDF": ("an HDF5 file", "convert Keras models with tf2onnx first"),
    b"<?xm": ("an XML file", "give the .onnx file from which the OpenVINO IR was made"),
}


def load_onnx(
    path: str | Path, *, resolution: int | None = None, inputs: Sequence[Sequence[int]] | None = None
) -> ir.Model:
    """The canonical graph of a model without control flow.

    A batch dimension becomes 1; height and width that the file leaves open become ``resolution``
    pixels, unless ``inputs`` gives each input's shape without the batch.
    Raises :class:`~edgekit.errors.ModelFileError` for a file that cannot be read,
    :class:`~edgekit.errors.UnsupportedError` for a model that has no canonical form (naming the node),
    and :class:`~edgekit.errors.WeightsError` for weights that are not finite.
    """
    file = Path(path)
    proto = _read(file)
    _require_model(proto, file)
    # Before IR version 4 every weight had to be listed as an input too, which many files do not heed.
    proto.ir_version = max(proto.ir_version, 4)
    if proto.functions:
        proto = onnx.inliner.inline_local_functions(proto)
    _require_supported(proto.graph)
    _load_external_data(proto, file)
    weights = lift_weights(proto.graph)
    _shape_outputs(proto.graph)
    _drop_unused_outputs(proto.graph)
    _check(proto, file)
    model = _deserialize(convert_opset(proto, file), file)
    restore_weights(model.graph, weights)
    replace_sequences(model)
    _prepare(model)
    widen_halves(model)
    fix_input_shapes(model, resolution, inputs)
    return finish(model)


def node_types(path: str | Path) -> list[tuple[str, str]]:
    """Name and operator of each node of a file, its functions inlined, without converting anything.

    Raises :class:`~edgekit.errors.ModelFileError` for a file that cannot be read.
    """
    proto = _read(Path(path))
    _require_model(proto, Path(path))
    if proto.functions:
        proto = onnx.inliner.inline_local_functions(proto)
    return [(node.name or (node.output[0] if node.output else ""), node.op_type) for node in proto.graph.node]


def _read(file: Path) -> onnx.ModelProto:
    try:
        content = file.read_bytes()
    except OSError as exc:
        raise ModelFileError(f"cannot read {file}: {exc.strerror or exc}") from exc
    if not content:
        raise ModelFileError(f"{file} is empty, expected an ONNX model", hint=_AGAIN)
    for magic, (kind, hint) in _MAGIC.items():
        if content.startswith(magic):
            raise ModelFileError(f"{file} is {kind}, expected an ONNX model", hint=hint)
    try:
        return onnx.load_model_from_string(content)
    except DecodeError as exc:
        raise _damaged(file, "it is truncated, damaged or not ONNX at all") from exc


def _require_model(proto: onnx.ModelProto, file: Path) -> None:
    if not proto.HasField("graph") or not proto.graph.output:
        raise _damaged(file, "it holds no graph")
    if not proto.graph.node:
        raise ModelFileError(f"the graph in {file} has no nodes")


def _require_supported(graph: onnx.GraphProto) -> None:
    """Refuse what no pass could express, before anything else reads the nodes."""
    if graph.sparse_initializer:
        raise UnsupportedError(
            f"{len(graph.sparse_initializer)} weights are stored sparse, which is not supported",
            hint="export the model with dense weights",
        )
    for tensor in _tensors(graph):
        if tensor.data_type in _PACKED:
            raise UnsupportedError(
                f"constant {tensor.name!r} is stored as {_PACKED[tensor.data_type]}, which is not supported",
                hint="give the float32 model it was made from",
            )
    for node in graph.node:
        if not all(isinstance(name, str) for name in (node.name, node.op_type, *node.input, *node.output)):
            raise ModelFileError("the names of a node are not text: the file is damaged", hint=_AGAIN)
        if not all(
            _is_text(item) for attribute in node.attribute for item in (attribute.s, *attribute.strings)
        ):
            raise ModelFileError(
                f"an attribute of node {node.name!r} is not text: the file is damaged", hint=_AGAIN
            )
        where = f"node {node.name or node.output[0] if node.output else node.name!r} ({node.op_type})"
        if node.op_type in _CONTROL_FLOW:
            raise UnsupportedError(
                f"{where} is control flow, which is not supported",
                hint="export the model with static control flow (torch.export, or tracing)",
            )
        if node.domain not in ("", "ai.onnx"):
            raise UnsupportedError(
                f"{where} is of domain {node.domain}, which is not supported",
                hint="export the model with operators of the ONNX standard only",
            )
        if node.op_type in _QUANTIZED:
            raise UnsupportedError(
                f"{where}: the model is already quantized", hint="give the float32 model it was made from"
            )


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _load_external_data(proto: onnx.ModelProto, file: Path) -> None:
    try:
        onnx.load_external_data_for_model(proto, str(file.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as exc:
        raise ModelFileError(
            f"external data of {file} cannot be read: {_first_line(exc)}",
            hint="keep the data file beside the .onnx file, under the name it was exported with",
        ) from exc


def _shape_outputs(graph: onnx.GraphProto) -> None:
    """Give every output one, which the checker wants and nobody reads: a cut model's have none."""
    for value in graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()


def _drop_unused_outputs(graph: onnx.GraphProto) -> None:
    """Masks, indices and statistics that nobody reads."""
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for node in graph.node:
        while node.op_type in _OPTIONAL_OUTPUTS and len(node.output) > 1 and node.output[-1] not in read:
            del node.output[-1]


def _check(proto: onnx.ModelProto, file: Path) -> None:
    """The onnx package's own checker; it cannot hold models above protobuf's 2 GB."""
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as exc:
        raise _damaged(file, _first_line(exc)) from exc
    except ValueError as exc:
        raise UnsupportedError(f"{file} is too large: {_first_line(exc)}") from exc


def _deserialize(proto: onnx.ModelProto, file: Path) -> ir.Model:
    try:
        return ir.from_proto(proto)
    except (ir.serde.SerdeError, ValueError, TypeError, KeyError) as exc:
        raise _damaged(file, _first_line(_root_cause(exc))) from exc


def _prepare(model: ir.Model) -> None:
    """Scopes from node names; inputs that are only names of weights, and old shapes, dropped."""
    graph = model.graph
    weights = set(graph.initializers)
    for value in [value for value in graph.inputs if value.name in weights]:
        graph.inputs.remove(value)
    for node in graph:
        # Errors name nodes; a node without a name is known by its output.
        node.name = node.name or (node.outputs[0].name if node.outputs else "")
        node.metadata_props.clear()
        node.metadata_props[SCOPE] = layer_name(node.name or "")
        for index, value in enumerate(node.outputs):
            value.name = value.name or f"{node.name}.{index}"
            value.shape = None


def _damaged(file: Path, reason: str) -> ModelFileError:
    return ModelFileError(f"{file} is not a valid ONNX model: {reason}", hint=_AGAIN)


def _root_cause(exc: BaseException) -> BaseException:
    """onnx_ir wraps an error once for each level of the file; the innermost says what is wrong."""
    while exc.__cause__ is not None:
        exc = exc.__cause__
    return exc


def _first_line(exc: BaseException) -> str:
    lines: Sequence[str] = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__
