"""``auto_pad`` and ``ceil_mode`` become pads with the same result."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import onnx_ir as ir
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own convention

Canonical = Callable[..., ir.Model]
MakeModel = Callable[..., ir.Model]
Run = Callable[..., list[np.ndarray]]


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize(("size", "stride", "kernel"), list(product((7, 8), (1, 2, 3), (2, 3))))
def test_auto_pad_of_convolutions(
    canonical: Canonical, mode: str, size: int, stride: int, kernel: int
) -> None:
    model = canonical(
        f"(float[1,2,{size},{size}] x) => (float[1,3,h,w] y) "
        f'{{ y = Conv<auto_pad="{mode}", strides=[{stride},{stride}]>(x, weight) }}',
        weight=np.random.default_rng(1).standard_normal((3, 2, kernel, kernel)),
    )
    (node,) = model.graph
    assert "auto_pad" not in node.attributes
    assert len(node.attributes["pads"].as_ints()) == 4


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("size", [7, 8])
def test_auto_pad_of_pools(canonical: Canonical, op: str, mode: str, size: int) -> None:
    model = canonical(
        f"(float[1,2,{size},{size}] x) => (float[1,2,h,w] y) "
        f'{{ y = {op}<auto_pad="{mode}", kernel_shape=[3,3], strides=[2,2]>(x) }}'
    )
    assert "auto_pad" not in model.graph[0].attributes


@pytest.mark.parametrize("size", [5, 6, 7, 8, 9])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 2, 0), (3, 2, 1), (2, 2, 0), (3, 3, 1), (2, 3, 0)])
def test_ceil_mode_of_max_pool_is_torchs(
    make_model: MakeModel, run: Run, size: int, kernel: int, stride: int, pad: int
) -> None:
    x = np.random.default_rng(size).standard_normal((1, 2, size, size)).astype(np.float32) - 3
    expected = F.max_pool2d(torch.from_numpy(x), kernel, stride, pad, ceil_mode=True).numpy()
    attributes = _pool_attributes(kernel, stride, pad)
    model = _canonical_pool(make_model, f"MaxPool<{attributes}>(x)", size)
    np.testing.assert_array_equal(run(model, {"image": x})[0], expected)


@pytest.mark.parametrize("size", [5, 6, 7, 8, 9])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 2, 0), (3, 2, 1), (2, 2, 0), (3, 3, 1), (2, 3, 0)])
@pytest.mark.parametrize("include", [False, True])
def test_ceil_mode_of_average_pool_is_torchs(
    make_model: MakeModel, run: Run, size: int, kernel: int, stride: int, pad: int, include: bool
) -> None:
    x = np.random.default_rng(size).standard_normal((1, 2, size, size)).astype(np.float32)
    expected = F.avg_pool2d(torch.from_numpy(x), kernel, stride, pad, True, include).numpy()
    attributes = f"{_pool_attributes(kernel, stride, pad)}, count_include_pad={int(include)}"
    model = _canonical_pool(make_model, f"AveragePool<{attributes}>(x)", size)
    np.testing.assert_allclose(run(model, {"image": x})[0], expected, rtol=1e-5, atol=1e-6)


def _pool_attributes(kernel: int, stride: int, pad: int) -> str:
    return (
        f"kernel_shape=[{kernel},{kernel}], strides=[{stride},{stride}], "
        f"pads=[{pad},{pad},{pad},{pad}], ceil_mode=1"
    )


def _canonical_pool(make_model: MakeModel, call: str, size: int) -> ir.Model:
    """The pool's canonical form, compared with torch because onnxruntime's own ceil_mode has changed."""
    from edgekit.graph.passes import canonicalize

    model = make_model(f"(float[1,2,{size},{size}] x) => (float[1,2,h,w] y) {{ y = {call} }}")
    canonicalize(model)
    assert all(not node.attributes.get_int("ceil_mode", 0) for node in model.graph)
    return model
