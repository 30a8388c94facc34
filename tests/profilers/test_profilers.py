"""Profiles against the network's own counts, in all three runtimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from edgekit.errors import ModelFileError
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.options import Format, Precision
from edgekit.profilers import Roofline, layer_of, layers_of, measure_roofline, openvino, profile_file
from edgekit.profilers.base import random_input
from edgekit.profilers.litert import Event, parse
from edgekit.profilers.tflite import align
from edgekit.runtimes.openvino import OpenvinoRunner
from edgekit.runtimes.tflite_file import FileOperator
from edgekit.trial import make_trial

FORMATS: tuple[Format, ...] = ("tflite", "onnx", "openvino")
NETWORK = zoo.network("mobilenet_v2", width=0.35, resolution=96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profiled")


@cache
def made(folder: Path, format_: Format, precision: Precision) -> Path:
    return make_trial(NETWORK, format_, precision, folder)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_multiply_adds_are_those_of_the_network(folder: Path, format_: Format, precision: Precision) -> None:
    """The runtime fuses, reorders and converts, but every multiply-add belongs to one operator."""
    found = profile_file(made(folder, format_, precision), num_runs=3)
    assert sum(one.macs or 0 for one in found.operators) == cost(NETWORK).macs
    assert found.total_ms > 0
    assert all(one.ms >= 0 and one.delegated for one in found.operators)
    assert all(one.moved_bytes for one in found.operators if one.macs)


@pytest.mark.parametrize("format_", FORMATS)
def test_each_layer_that_multiplies_is_found_by_its_name(folder: Path, format_: Format) -> None:
    rows = {row.name: row.macs for row in cost(NETWORK).layers() if row.macs}
    last = list(rows)[-1]
    found = profile_file(made(folder, format_, "int8"), num_runs=2)
    counted = {layer_of(one.name, rows) or last: one.macs for one in found.operators if one.macs}
    assert counted == rows


def test_what_int8_looks_up_in_a_table_is_found_by_its_layer(tmp_path: Path) -> None:
    """XNNPACK makes one table of the three operators of a hard swish, and names none of them."""
    network = zoo.network("mobilenet_v3_small", width=0.35, resolution=64)
    operators = profile_file(make_trial(network, "tflite", "int8", tmp_path), 1, 3).operators
    rows = cost(network).layers()
    found = set(layers_of([one.name for one in operators], [row.name for row in rows]))
    swishes = {row.name for row in rows if row.op == "HardSwish"}
    assert len(swishes) > 10
    assert swishes <= found


def test_a_file_of_no_runtime(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(ModelFileError, match="has no profiler"):
        profile_file(tmp_path / "model.bin")


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_a_damaged_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"nonsense")
    with pytest.raises(ModelFileError, match="cannot load"):
        profile_file(path)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("blocks.1.expand", "blocks.1.expand"),
        ("blocks.1.expand_act", "blocks.1.expand"),
        ("blocks.1", None),
        ("blocks.10.expand", None),
        ("stem/WithoutBiases", "stem"),
    ],
)
def test_names_of_operators_begin_with_their_layer(name: str, layer: str | None) -> None:
    assert layer_of(name, ("stem", "blocks.1.expand")) == layer


def operators(*codes: str) -> list[FileOperator]:
    return [FileOperator(code, 1, (), (index,)) for index, code in enumerate(codes)]


def events(*kernels: str) -> list[Event]:
    return [Event(kernel, "", 1.0, delegated=True) for kernel in kernels]


@pytest.mark.parametrize(
    ("kernels", "codes", "expected"),
    [
        (["Convolution (NHWC, F32) IGEMM", "Add (ND)"], ["CONV_2D", "ADD"], [0, 1]),
        (["Convolution (NHWC, F32) IGEMM"], ["PAD", "CONV_2D", "RELU6"], [1]),  # fused on both sides
        (["Transpose (ND)", "Fully Connected (NC, F32) GEMM"], ["FULLY_CONNECTED"], [None, 0]),  # added
        (
            ["Fully Connected (NC, QS8) GEMM", "Convolution (NHWC, QC8) DWConv"],
            ["CONV_2D", "DEPTHWISE_CONV_2D"],
            [0, 1],
        ),
        (["Add (ND)"], ["ADD", "CONV_2D", "ADD"], [0]),
        (["Add (ND)", "Clamp (NC)", "Mean (ND)"], ["ADD", "MEAN"], [0, 0, 1]),  # fused in the file alone
        (["Clamp (NC)", "Add (ND)"], ["ADD"], [None, 0]),
    ],
)
def test_events_and_operators_are_aligned_in_order(
    kernels: Sequence[str], codes: Sequence[str], expected: Sequence[int | None]
) -> None:
    given = operators(*codes)
    found = align(events(*kernels), given)
    assert [None if one is None else given.index(one) for one in found] == expected


def test_what_a_table_computes_is_told_from_a_product_behind_it() -> None:
    """A gate: clamp and factor are one table; then the gated tensor is multiplied by it."""
    given = operators("ADD", "MUL", "MUL")
    assert align(events("Invalid Unary Op", "Multiply (ND)"), given, given[:2]) == [given[0], given[2]]
    assert align(events("Multiply (ND)", "Multiply (ND)"), given, given[:2]) == given[1:]


def test_gates_and_products_of_int8_are_found_by_their_layers(tmp_path: Path) -> None:
    network = zoo.network("mobilenet_v3_small", width=0.35, resolution=64)
    path = make_trial(network, "tflite", "int8", tmp_path)
    rows = {row.name: row.op for row in cost(network).layers()}
    found = profile_file(path, 1, 3).operators
    kernels: dict[str | None, set[str]] = {}
    for one, layer in zip(found, layers_of([one.name for one in found], list(rows)), strict=True):
        kernels.setdefault(layer, set()).add(one.op)
    assert set(kernels) - {None} == set(rows)
    assert {kernel for layer, op in rows.items() if op == "Mul" for kernel in kernels[layer]} == {
        "Multiply (ND)"
    }
    gates = [layer for layer, op in rows.items() if op == "HardSigmoid"]
    assert gates
    assert all(kernels[layer] == {"Invalid Unary Op"} for layer in gates)


def test_sums_that_are_clamped_are_found_by_their_layers(tmp_path: Path) -> None:
    network = zoo.network("resnet18", width=0.25, resolution=64)
    found = profile_file(make_trial(network, "tflite", "fp32", tmp_path), 1, 3).operators
    rows = [row.name for row in cost(network).layers()]
    assert set(rows) <= set(layers_of([one.name for one in found], rows))


def test_times_below_a_microsecond_are_told_by_their_part() -> None:
    """The summary's milliseconds have three digits; XNNPACK's were rounded down before."""
    summary = """\
=== Run Order ===
      [node type]  [start]  [first]  [avg ms]  [%]  [cdf%]  [mem KB]  [times called]  [Name]
      Delegate/Convolution (NHWC, QC8) IGEMM  0.000  0.187  0.100  50.000%  50.000%  0.000  20  [Delegate]:0
      Delegate/Add (ND)  0.000  0.001  0.000  0.100%  50.100%  0.000  20  [Delegate]:1
      ADD  0.000  0.001  0.000  0.200%  50.300%  0.000  20  [sum]:2

"""
    assert [(one.kernel, round(one.ms, 6)) for one in parse(summary)] == [
        ("Convolution (NHWC, QC8) IGEMM", 0.1005),
        ("Add (ND)", 0.0007),
        ("ADD", 0.0004),
    ]


class CountingRunner:
    """Counts like OpenVINO: each node's mean since it was compiled, in whole microseconds."""

    took_us: ClassVar[Mapping[str, float]] = {"conv": 40, "add": 0.2, "slow_at_first": 0.4, "input": 0}
    runtime, version, inputs = "openvino", "1.0", ()

    def __init__(self, path: Path, num_threads: int, *, profile: bool) -> None:
        self.num_runs = 0
        self.sums_us = dict.fromkeys(self.took_us, 0.0)

    def run_named(self, feeds: Mapping[str, object]) -> None:
        for name, us in self.took_us.items():
            self.sums_us[name] += us * (20 if self.num_runs == 0 else 1)
        self.num_runs += 1

    def counters(self) -> list[SimpleNamespace]:
        means_us = {name: int(total / self.num_runs) for name, total in self.sums_us.items()}
        return [
            SimpleNamespace(
                node_name=name,
                node_type="Node",
                real_time=timedelta(microseconds=us),
                status=SimpleNamespace(name="EXECUTED" if us else "NOT_RUN"),
            )
            for name, us in means_us.items()
        ]

    def executed_graph(self) -> list[object]:
        return []


def test_the_first_run_of_openvino_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it matter that a node's mean is above a microsecond early and below it later."""
    monkeypatch.setattr(openvino, "OpenvinoRunner", CountingRunner)
    found = openvino.profile(Path("model.xml"), num_threads=1, num_runs=50)
    assert found.num_runs == 50
    assert {one.name for one in found.operators} == {"conv"}
    assert found.total_ms * 1e3 == pytest.approx(40, abs=1.5)
    few = openvino.profile(Path("model.xml"), num_threads=1, num_runs=2)
    assert few.num_runs == 2
    assert few.operators[0].ms * 1e3 == pytest.approx(40, abs=6)


def test_openvino_counts_since_a_model_was_compiled(folder: Path) -> None:
    """Else what all runs of a node took would fall from one run to the next, as the first one is slow."""
    runner = OpenvinoRunner(made(folder, "openvino", "int8"), profile=True)
    before = dict.fromkeys((one.node_name for one in runner.counters()), 0.0)
    for runs in range(1, 6):
        runner.run_named({port.name: random_input(port) for port in runner.inputs})
        means_us = {one.node_name: one.real_time.total_seconds() * 1e6 for one in runner.counters()}
        assert sum(means_us.values()) > 0
        assert all((mean + 1) * runs > before[name] for name, mean in means_us.items())
        before = {name: mean * runs for name, mean in means_us.items()}


def test_a_roofline_is_the_lower_of_two_limits() -> None:
    roofline = Roofline(peak_gmacs_per_s=100.0, bandwidth_gb_per_s=10.0)
    assert roofline.limit_gmacs_per_s(macs=1000, moved_bytes=10) == 100.0
    assert roofline.limit_gmacs_per_s(macs=1000, moved_bytes=1000) == 10.0


@pytest.mark.parametrize("is_integer", [False, True])
def test_limits_are_measured(is_integer: bool) -> None:
    """Between what the slowest and the fastest machine of today could be."""
    roofline = measure_roofline(is_integer)
    assert 0.01 < roofline.peak_gmacs_per_s < 1e5
    assert 0.01 < roofline.bandwidth_gb_per_s < 1e4
