"""Functions without an operator of their own, as a few float32 operators."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.lowering import Lowering, name_of

__all__ = ["lower_erf", "lower_reciprocal", "lower_softplus"]


class _Formula:
    """Operators on one value, each with a result of the value's shape."""

    def __init__(self, lowering: Lowering, node: ir.Node) -> None:
        self.lowering = lowering
        self.node = node
        held = lowering.stored(node.inputs[0])
        self.x, self.layout = held.index, held.layout
        self._shape = lowering.program.tensors[held.index].shape
        self._count = 0

    def number(self, value: float) -> int:
        return self.lowering.constant(f"constant.{value:.6g}", np.asarray([value], np.float32))

    def __call__(self, code: str, *inputs: int) -> int:
        self._count += 1
        return self.lowering.apply(code, list(inputs), self._shape, f"{name_of(self.node)}.{self._count}")

    def finish(self, code: str, *inputs: int) -> None:
        target = self.lowering.result(self.node.outputs[0], layout=self.layout)
        self.lowering.program.add_operator(code, list(inputs), [target])


def lower_reciprocal(lowering: Lowering, node: ir.Node) -> None:
    """DIV of one."""
    f = _Formula(lowering, node)
    f.finish("DIV", f.number(1.0), f.x)


def lower_softplus(lowering: Lowering, node: ir.Node) -> None:
    """``log(1 + exp(x))`` as ``max(x, 0) + log(1 + exp(-|x|))``, which does not overflow."""
    f = _Formula(lowering, node)
    small = f("LOG", f("ADD", f("EXP", f("NEG", f("ABS", f.x))), f.number(1.0)))
    f.finish("ADD", f("MAXIMUM", f.x, f.number(0.0)), small)


# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: the error is below 1.5e-7.
_ERF_P = 0.3275911
_ERF_A = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def lower_erf(lowering: Lowering, node: ir.Node) -> None:
    """The error function by a rational approximation, exact to float32's accuracy."""
    f = _Formula(lowering, node)
    size = f("ABS", f.x)
    t = f("DIV", f.number(1.0), f("ADD", f("MUL", size, f.number(_ERF_P)), f.number(1.0)))
    polynomial = f("MUL", t, f.number(_ERF_A[0]))
    for coefficient in _ERF_A[1:]:
        polynomial = f("MUL", f("ADD", polynomial, f.number(coefficient)), t)
    tail = f("MUL", polynomial, f("EXP", f("NEG", f("MUL", size, size))))
    f.finish("MUL", f("SIGN", f.x), f("SUB", f.number(1.0), tail))
