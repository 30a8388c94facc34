"""General capture: ``torch.onnx.export`` for whatever ``torch.export`` takes.

It takes several seconds, nearly all of them the exporter's own. Its graph needs opset 18 and static
shapes, and keeps for each node the modules it comes from, which give the nodes their names.
"""

from __future__ import annotations

import ast
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx_ir as ir
import torch
import torch.onnx
from torch import nn

from edgekit.capture.fx import evaluation_mode
from edgekit.capture.sequences import replace_sequences
from edgekit.errors import InputError, MissingExtraError, UnsupportedError
from edgekit.graph.edit import SCOPE
from edgekit.graph.ops import OPSET

__all__ = ["export"]

_NAME_SCOPES = "pkg.torch.onnx.name_scopes"


def export(module: nn.Module, input_shapes: tuple[tuple[int, ...], ...]) -> ir.Model:
    """A graph, not yet canonical, of a module with float32 inputs.

    Raises :class:`InputError` when the module itself fails on such an input, and
    :class:`UnsupportedError` when torch cannot export it.
    """
    example = tuple(torch.zeros(shape) for shape in input_shapes)
    with evaluation_mode(module), _quiet():
        _require_runnable(module, example)
        try:
            program = torch.onnx.export(
                module,
                example,
                dynamo=True,
                opset_version=OPSET,
                optimize=False,
                verbose=False,
            )
        except ImportError as exc:
            raise MissingExtraError("onnxscript", "torch", "torch.onnx.export") from exc
        except (RuntimeError, TypeError, ValueError) as exc:
            raise UnsupportedError(
                f"torch.onnx.export cannot export the module: {_first_line(exc)}",
                hint="the module must be one that torch.export takes",
            ) from exc
    assert program is not None
    return _imported(program.model)


def _require_runnable(module: nn.Module, example: tuple[torch.Tensor, ...]) -> None:
    try:
        with torch.no_grad():
            module(*example)
    except (RuntimeError, TypeError, ValueError, AssertionError, LookupError) as exc:
        shapes = " and ".join(str(list(tensor.shape)) for tensor in example)
        raise InputError(
            f"the module fails on an input of shape {shapes}: {_first_line(exc)}",
            hint="check the input shape; the module must take one tensor for each",
        ) from exc


def _imported(model: ir.Model) -> ir.Model:
    """Scopes instead of the exporter's metadata, and copies instead of the module's own weights."""
    for node in model.graph:
        scopes = _listed(node.metadata_props.get(_NAME_SCOPES, ""))
        node.metadata_props.clear()
        # The list ends with the operator's own name.
        node.metadata_props[SCOPE] = scopes[-2] if len(scopes) > 1 else ""
    replace_sequences(model)
    for value in model.graph.initializers.values():
        if value.const_value is not None:
            value.const_value = ir.tensor(np.array(value.const_value.numpy()), name=value.name)
    return model


def _listed(text: str) -> list[str]:
    """The list of strings that the exporter wrote as Python source."""
    return [str(item) for item in ast.literal_eval(text)] if text else []


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings and no log lines of the exporter, which concern torch rather than the caller."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _first_line(exc: BaseException) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__
