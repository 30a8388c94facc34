"""What LiteRT's GPU accelerator takes and computes wrongly.

Found with LiteRT 2.3, fp32 kept, beside its own kernels for processors.
"""

from __future__ import annotations

import math

from edgekit.runtimes.tflite_file import FileOperator, TfliteFile

__all__ = ["wrong_operators"]


def wrong_operators(file: TfliteFile) -> tuple[str, ...]:
    """Operators of ``file`` that the accelerator computes wrongly, as ``"CODE output_tensor how"``."""
    padded = {one.outputs[0] for one in file.operators if one.code in ("PAD", "PADV2")}
    found: list[str] = []
    for one in file.operators:
        shape = file.tensors[one.inputs[0]].shape if one.inputs else ()
        if one.code == "AVERAGE_POOL_2D" and one.inputs[0] in padded:
            how = "leaves out the padding that it should count"
        elif one.code == "FULLY_CONNECTED" and math.prod(shape[1:-1]) > 1:
            how = "does not flatten the image that it reads"
        elif one.code == "CONV_2D" and _has_odd_groups(one, file):
            how = "has groups whose channels do not come in fours"
        else:
            continue
        found.append(f"{one.code} {file.tensors[one.outputs[0]].name} {how}")
    return tuple(found)


def _has_odd_groups(conv: FileOperator, file: TfliteFile) -> bool:
    """Whether each of several groups reads, or makes, channels that are no multiple of four."""
    given = file.tensors[conv.inputs[0]].shape[-1]
    made, *_, read = file.tensors[conv.inputs[1]].shape
    groups = given // read
    return groups > 1 and (read % 4 > 0 or made // groups % 4 > 0)
