"""Front ends: a torch module or an ``.onnx`` file becomes a canonical, verified graph.

torch is imported only when a module is captured; a user's ``.onnx`` file needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import onnx_ir as ir

from edgekit.capture.finish import finish
from edgekit.capture.onnx_file import load_onnx
from edgekit.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CaptureMethod", "capture", "load_onnx"]

CaptureMethod = Literal["auto", "fx", "export"]


def capture(
    module: nn.Module,
    *input_shapes: tuple[int, ...],
    method: CaptureMethod = "auto",
) -> ir.Model:
    """The canonical graph of a torch module in evaluation mode.

    ``input_shapes`` are those of the arguments of ``forward``, by default one image ``(1, 3, 224, 224)``:
    NCHW with batch size 1, float32. ``method`` ``"fx"`` reads the module's ``torch.fx`` trace, in well under
    a second, and knows common layers and functions; ``"export"`` uses ``torch.onnx.export`` and takes several
    seconds; ``"auto"`` tries the first, then the second. Both give the same graph. The module is left as it
    was, and weights are copied.

    Raises :class:`~edgekit.errors.InputError` for a batch size other than 1,
    :class:`~edgekit.errors.UnsupportedError` for a module that cannot be captured (naming the layer or
    operator), and :class:`~edgekit.errors.WeightsError` for weights that are not finite.
    """
    shapes = input_shapes or ((1, 3, 224, 224),)
    for shape in shapes:
        if not shape or shape[0] != 1 or min(shape) < 1:
            raise InputError(f"input shape {list(shape)} was given, expected positive and batch size 1")
    try:
        from edgekit.capture import dynamo, fx
    except ImportError as exc:
        raise MissingExtraError("torch", "torch", "capturing a torch module") from exc
    if method == "export":
        return finish(dynamo.export(module, shapes))
    try:
        model = fx.trace(module, shapes)
    except fx.UntraceableError:
        if method == "fx":
            raise
        model = dynamo.export(module, shapes)
    return finish(model)
