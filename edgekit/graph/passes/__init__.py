"""Passes: from any front end's graph to the canonical graph.

One pass is one file and one function ``(model) -> bool`` that edits the model in place and says whether
it changed anything. After each that did, the structural invariants are verified; after the last, the
whole canonical contract.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import onnx_ir as ir

from edgekit.errors import GraphError
from edgekit.graph.passes.complete_attributes import complete_attributes
from edgekit.graph.passes.decompose_functions import decompose_functions
from edgekit.graph.passes.decompose_reductions import decompose_reductions
from edgekit.graph.passes.explicit_padding import explicit_padding
from edgekit.graph.passes.fold_affine import fold_affine
from edgekit.graph.passes.fold_batch_norm import fold_batch_norm
from edgekit.graph.passes.fold_constants import fold_constants
from edgekit.graph.passes.fold_pads import fold_pads
from edgekit.graph.passes.name_nodes import name_nodes
from edgekit.graph.passes.normalize_activations import normalize_activations
from edgekit.graph.passes.normalize_arithmetic import normalize_arithmetic
from edgekit.graph.passes.normalize_blocks import normalize_blocks
from edgekit.graph.passes.normalize_classifier import normalize_classifier
from edgekit.graph.passes.normalize_gelu import normalize_gelu
from edgekit.graph.passes.normalize_linear import normalize_linear
from edgekit.graph.passes.normalize_pads import normalize_pads
from edgekit.graph.passes.normalize_pooling import normalize_pooling
from edgekit.graph.passes.normalize_slices import normalize_slices
from edgekit.graph.passes.normalize_transposed import normalize_transposed
from edgekit.graph.passes.normalize_views import normalize_views
from edgekit.graph.passes.push_transposes import push_transposes
from edgekit.graph.passes.remove_identities import remove_identities
from edgekit.graph.passes.remove_unused import remove_unused
from edgekit.graph.passes.require_supported import require_supported
from edgekit.graph.passes.set_opset import set_opset
from edgekit.graph.passes.widen_signals import widen_signals
from edgekit.graph.verify import verify, verify_structure

__all__ = ["PASSES", "Pass", "canonicalize"]

Pass: TypeAlias = Callable[[ir.Model], bool]

PASSES: tuple[Pass, ...] = (
    fold_constants,
    remove_unused,
    remove_identities,
    normalize_arithmetic,
    decompose_functions,
    decompose_reductions,
    complete_attributes,
    explicit_padding,
    fold_pads,
    normalize_pads,
    normalize_slices,
    widen_signals,
    normalize_linear,
    normalize_classifier,
    # Before constants go into weights: the 3 of clamp(x + 3, 0, 6) belongs to its activation.
    normalize_gelu,
    normalize_activations,
    remove_unused,
    push_transposes,
    remove_identities,
    remove_unused,
    # Both before and after: exporters write bias, normalization and scale in any order.
    fold_affine,
    fold_batch_norm,
    fold_affine,
    normalize_transposed,
    normalize_pooling,
    normalize_blocks,
    normalize_views,
    push_transposes,
    remove_identities,
    remove_unused,
    require_supported,
    name_nodes,
    set_opset,
)


def canonicalize(model: ir.Model) -> None:
    """Run all passes in order, in place, verifying after each.

    ``model`` has static shapes on its inputs, batch size 1 and opset 18. Raises
    :class:`~edgekit.errors.UnsupportedError` for an operator or form that has no canonical
    equivalent, and :class:`~edgekit.errors.GraphError` for a defect of a pass.
    """
    remove_unused(model)  # nothing can be verified before types are inferred, or need be if unused
    for run in PASSES:
        if run(model):
            _checked(run, model)
    verify(model)


def _checked(run: Pass, model: ir.Model) -> None:
    try:
        verify_structure(model)
    except GraphError as exc:
        raise GraphError(f"after pass {run.__name__}: {exc}") from exc
