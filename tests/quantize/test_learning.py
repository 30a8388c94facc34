"""High effort on small networks: learned against rounded, on images that were held back."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch

from edgekit.errors import MissingExtraError
from edgekit.graph.run import GraphRunner
from edgekit.parity import sqnr_db
from edgekit.quantize import ActivationParams, QuantizationResult, QuantizeOptions, observe, quantize
from edgekit.quantize import learning as learning_module
from edgekit.quantize.learning import LearningOptions, cut_stretches, learn
from edgekit.quantize.plan import make_plan
from edgekit.quantize.quantizer import _params
from edgekit.quantize.reference import run_reference
from edgekit.quantize.rewrite import rewrite
from edgekit.quantize.sequential import quantize_constants
from edgekit.quantize.torch_graph import OPERATORS, Segment, import_torch
from graphs import NETWORKS, FloatArray, GraphBuilder
from small_pictures import SHAPE, network, pictures, run


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread, and few iterations unless a test gives its own."""
    torch.set_num_threads(1)
    short = LearningOptions(iterations=6)
    monkeypatch.setattr(learning_module, "LearningOptions", lambda: short)


def high(model: ir.Model, images: FloatArray, seed: int = 0) -> QuantizationResult:
    options = QuantizeOptions(effort="high", seed=seed)
    return quantize(model, observe(model, images, keeps_images=True), options)


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"fire"}))  # whose pooling rounds its size up
def test_torch_runs_layers_as_onnxruntime_does(name: str) -> None:
    model, images = network(name), pictures(3)
    plan = make_plan(model)
    observation = observe(model, images)
    params = _params(model, observation, "minmax", None)
    means = run_reference(model, plan, images[:, 0]).means
    constants, _ = quantize_constants(model, plan, params, images[:, 0], means, QuantizeOptions())
    nodes = {node.name or "": node for node in model.graph}
    segment = Segment(nodes, plan.layers, plan.input, params, constants, frozenset(), QuantizeOptions())
    quantized = rewrite(model, plan, params, constants)
    rounded = GraphRunner(quantized, ["image.dequantized"]).run(images[:, 0])["image.dequantized"]
    with torch.no_grad():
        floats = segment.run_float(torch.from_numpy(images[:, 0])).numpy()
        integers = segment.run_quantized(torch.from_numpy(rounded)).numpy()
    np.testing.assert_allclose(floats.reshape(3, -1), run(model, images), rtol=1e-4, atol=1e-5)
    steps = np.abs(integers.reshape(3, -1) - run(quantized, images)) / params["logits"].scale
    assert steps.max() < 1.01
    assert np.mean(steps < 0.01) >= 0.9


def test_learned_rounding_beats_the_nearest_on_a_layer() -> None:
    """By the error of the layer before its output is rounded, on images that int8 holds exactly."""
    b = GraphBuilder([1, *SHAPE])
    model = b.model(b.conv(b.image, 16))
    grid = ActivationParams(1 / 32, 0)
    images, unseen = (
        np.rint(pictures(count, seed) * 32).clip(-128, 127) / 32 for count, seed in ((20, 0), (8, 1))
    )
    observation, plan = observe(model, images.astype(np.float32)), make_plan(model)
    params = _params(model, observation, "minmax", grid)
    plain = QuantizeOptions(rounding="nearest", bias_correction=False)
    batch = images[:, 0].astype(np.float32)
    constants, _ = quantize_constants(model, plan, params, batch, {}, plain)
    options = LearningOptions(iterations=60, batch=8, weight_rate=0.03)
    learned = learn(model, plan, params, constants, batch, options)
    assert (learned.stretches, learned.kept) == (1, 1)
    scores = []
    for made in ((params, constants), (learned.params, learned.constants)):
        quantized = rewrite(model, plan, *made)
        raw = quantized.graph.outputs[0].producer().inputs[0].producer().inputs[0].name  # type: ignore[union-attr]
        answers = GraphRunner(quantized, [str(raw)], optimize=False).run(unseen[:, 0])[str(raw)]
        scores.append(sqnr_db(run(model, unseen.astype(np.float32)), answers.reshape(len(unseen), -1)))
    assert scores[1] > scores[0] + 1


@pytest.mark.parametrize("name", NETWORKS)
def test_high_effort_is_not_worse_than_the_default(name: str) -> None:
    model, images, unseen = network(name), pictures(32), pictures(64, seed=1)
    default = quantize(model, observe(model, images, keeps_images=True))
    scores = [sqnr_db(run(model, unseen), run(r.model, unseen)) for r in (default, high(model, images))]
    assert scores[1] > scores[0] - 0.3


def test_the_same_seed_gives_the_same_network() -> None:
    model, images = network("plain"), pictures(10)
    first, second = (ir.to_proto(high(model, images).model).SerializeToString() for _ in range(2))
    assert first == second


def test_learning_changes_integers_and_steps_only() -> None:
    model, images = network("plain"), pictures(12)
    default, learned = quantize(model, observe(model, images)).model, high(model, images).model
    assert [(n.op_type, n.name) for n in default.graph] == [(n.op_type, n.name) for n in learned.graph]
    shapes = [{k: v.shape for k, v in one.graph.initializers.items()} for one in (default, learned)]
    assert shapes[0] == shapes[1]


def test_networks_of_unknown_operators_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for operator in list(OPERATORS):
        monkeypatch.delitem(OPERATORS, operator)
    model, images = network("plain"), pictures(8)
    default = quantize(model, observe(model, images, keeps_images=True))
    learned = high(model, images)
    assert learned.report.learned_stretches == 0
    np.testing.assert_array_equal(run(learned.model, images), run(default.model, images))


def test_one_image_leaves_nothing_to_learn_on() -> None:
    assert high(network("plain"), pictures(1)).report.learned_stretches == 0


def test_the_whole_network_is_one_stretch_where_all_of_it_learns() -> None:
    model = network("plain")
    plan = make_plan(model)
    (stretch,) = cut_stretches(plan, {node.name or "": node for node in model.graph})
    assert (stretch.source, stretch.layers, stretch.learns) == (plan.input, plan.layers, True)


def test_layers_that_cannot_learn_part_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(OPERATORS, "Add")
    model, images = network("plain"), pictures(16)
    plan = make_plan(model)
    stretches = cut_stretches(plan, {node.name or "": node for node in model.graph})
    assert [layer for one in stretches for layer in one.layers] == list(plan.layers)
    assert [one.source for one in stretches[1:]] == [one.target for one in stretches[:-1]]
    stuck = {layer.op_type for one in stretches if not one.learns for layer in one.layers}
    assert "Add" in stuck
    learning = sum(one.learns for one in stretches)
    assert 1 <= learning < len(stretches)
    default, learned = quantize(model, observe(model, images)), high(model, images)
    # Two images are held back: they tell what is broken, not what is half a decibel worse.
    assert sqnr_db(run(model, images), run(learned.model, images)) > default.report.sqnr_db - 1


def test_what_brings_no_image_that_was_held_back_nearer_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    hasty = partial(LearningOptions, iterations=3, weight_rate=10.0, bias_rate=10.0, step_rate=1.0)
    monkeypatch.setattr(learning_module, "LearningOptions", hasty)
    model, images = network("plain"), pictures(16)
    default, learned = quantize(model, observe(model, images, keeps_images=True)), high(model, images)
    assert learned.report.learned_stretches == 0
    np.testing.assert_array_equal(run(learned.model, images), run(default.model, images))


def test_progress_counts_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_module, "LearningOptions", partial(LearningOptions, iterations=3))
    seen: list[tuple[str, int, int]] = []
    model, images = network("plain"), pictures(6)
    quantize(
        model, observe(model, images), QuantizeOptions(effort="high"), progress=lambda *e: seen.append(e)
    )
    assert [event for event in seen if event[0] == "learn"] == [("learn", done, 3) for done in (1, 2, 3)]


class InterruptedLearningError(Exception):
    pass


def learned_in(
    folder: Path | None, interrupt_at: int | None = None, seed: int = 0
) -> tuple[bytes, list[int]]:
    """The network, and the iterations that were told of."""
    seen: list[int] = []

    def progress(stage: str, done: int, of: int) -> None:
        if stage != "learn":
            return
        seen.append(done)
        if done == interrupt_at:
            raise InterruptedLearningError

    model, images = network("plain"), pictures(10)
    options = QuantizeOptions(effort="high", seed=seed)
    found = quantize(model, observe(model, images), options, progress=progress, folder=folder)
    return ir.to_proto(found.model).SerializeToString(), seen


@pytest.mark.parametrize("parted", [False, True])
def test_what_was_interrupted_goes_on_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parted: bool
) -> None:
    """In the midst of the network's one stretch, or of the second of several."""
    if parted:
        monkeypatch.delitem(OPERATORS, "Add")
    monkeypatch.setattr(
        learning_module, "LearningOptions", partial(LearningOptions, iterations=6, keep_every=2)
    )
    whole, told = learned_in(None)
    assert told == list(range(1, len(told) + 1))
    assert len(told) > 6 if parted else len(told) == 6
    stop = 11 if parted else 5
    with pytest.raises(InterruptedLearningError):
        learned_in(tmp_path, interrupt_at=stop)
    (kept,) = tmp_path.iterdir()
    resumed, later = learned_in(tmp_path)
    assert resumed == whole
    assert later == list(range(stop, told[-1] + 1))
    assert not kept.exists()


def test_other_work_and_damaged_files_are_not_continued(tmp_path: Path) -> None:
    with pytest.raises(InterruptedLearningError):
        learned_in(tmp_path, interrupt_at=6)
    (kept,) = tmp_path.iterdir()
    assert learned_in(tmp_path, seed=1)[1] == [1, 2, 3, 4, 5, 6]
    assert kept.exists()
    kept.write_bytes(kept.read_bytes()[:1000])
    assert learned_in(tmp_path)[1] == [1, 2, 3, 4, 5, 6]


def test_few_files_are_kept_of_work_that_was_never_taken_up_again(tmp_path: Path) -> None:
    for age in range(5):
        other = tmp_path / f"{age}.pt"
        other.touch()
        os.utime(other, (age, age))
    learned_in(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3.pt", "4.pt"]


def test_a_folder_that_cannot_be_written_to_only_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert learned_in(tmp_path / "file") == learned_in(None)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtraError, match="needs the package torch"):
        import_torch()
