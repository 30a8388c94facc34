"""What an export checks by itself: files that answer like the network pass, all others are found out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from edgekit.emit import EmitOptions, Emitted, emit
from edgekit.errors import CheckError, ModelFileError
from edgekit.graph.run import GraphRunner
from edgekit.options import FORMATS, Format, TensorSpec
from edgekit.quantize import observe, quantize
from edgekit.verification import check_same_answers, output_steps, verify_artifact
from graphs import NETWORKS, GraphBuilder

FloatArray = npt.NDArray[np.float32]
STEP = 0.5
STEPS = np.full(3, STEP, np.float32)
SUFFIXES: dict[Format, str] = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}


def image_batches(count: int = 3) -> list[FloatArray]:
    random = np.random.default_rng(0)
    return [random.standard_normal((1, 3, 24, 24)).astype(np.float32) for _ in range(count)]


def fed() -> list[tuple[FloatArray, ...]]:
    """The same, an array for each input."""
    return [(batch,) for batch in image_batches()]


def fp32_file(folder: Path, format_: Format, *, scale: float = 1.0) -> tuple[Emitted, FloatArray]:
    """A file whose classifier is ``scale`` times the network's, and the network's logits."""
    built = [GraphBuilder((1, 3, 24, 24)) for _ in range(2)]
    network, tampered = (builder.model(NETWORKS["plain"](builder)) for builder in built)
    for name, value in tampered.graph.initializers.items():
        if "gemm" in name:
            assert value.const_value is not None
            value.const_value = ir.tensor(value.const_value.numpy() * np.float32(scale))
    emitted = emit(tampered, folder / f"net{SUFFIXES[format_]}", format_, EmitOptions(name="net"))
    runner = GraphRunner(network)
    return emitted, np.concatenate([runner.run(batch)["logits"] for batch in image_batches()])


@pytest.mark.parametrize("format_", FORMATS)
def test_a_faithful_file_passes(tmp_path: Path, format_: Format) -> None:
    emitted, reference = fp32_file(tmp_path, format_)
    parity, logits = verify_artifact(emitted, reference, fed())
    assert (parity.images, parity.agreement) == (3, 100)
    assert parity.max_relative_error < 1e-5
    assert logits.shape == reference.shape
    np.testing.assert_allclose(logits, reference, atol=1e-5 * float(np.abs(reference).max()))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_of_other_weights_does_not(tmp_path: Path, format_: Format) -> None:
    emitted, reference = fp32_file(tmp_path, format_, scale=1.001)
    with pytest.raises(CheckError, match=r"differs from the network by .*expected at most 1e-04") as caught:
        verify_artifact(emitted, reference, fed())
    assert (caught.value.exit_code, bool(caught.value.hint)) == (1, True)


@pytest.mark.parametrize("precision", ["fp16", "dynamic", "int8"])
def test_only_fp32_is_held_to_rounding(tmp_path: Path, precision: str) -> None:
    emitted, reference = fp32_file(tmp_path, "onnx", scale=1.001)
    parity, _ = verify_artifact(replace(emitted, precision=precision), reference, fed())  # type: ignore[arg-type]
    assert 1e-4 < parity.max_relative_error < 2e-3


def test_weights_changed_inside_the_file_are_found(tmp_path: Path) -> None:
    emitted, reference = fp32_file(tmp_path, "onnx")
    proto = onnx.load(emitted.path)
    (bias,) = [one for one in proto.graph.initializer if list(one.dims) == [10]]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.1), bias.name))
    onnx.save(proto, emitted.path)
    with pytest.raises(CheckError, match="differs from the network"):
        verify_artifact(emitted, reference, fed())


@pytest.mark.parametrize("format_", FORMATS)
def test_a_truncated_file_is_named(tmp_path: Path, format_: Format) -> None:
    emitted, reference = fp32_file(tmp_path, format_)
    emitted.path.write_bytes(emitted.path.read_bytes()[:200])
    with pytest.raises(ModelFileError, match=emitted.path.name):
        verify_artifact(emitted, reference, fed())


@pytest.mark.parametrize(("precision", "hint"), [("fp16", "65504"), ("fp32", "")])
def test_numbers_that_are_not_finite(tmp_path: Path, precision: str, hint: str) -> None:
    emitted, reference = fp32_file(tmp_path, "onnx", scale=float("inf"))
    with pytest.raises(CheckError, match="not finite") as caught:
        verify_artifact(replace(emitted, precision=precision), reference, fed())  # type: ignore[arg-type]
    assert hint in caught.value.hint


def answer(*logits: tuple[float, ...], precision: str = "int8") -> tuple[Emitted, FloatArray]:
    spec = TensorSpec("logits", (1, len(logits[0])), "NC", "float32")
    emitted = Emitted(Path(f"{len(logits)}.onnx"), "onnx", precision, 1, "", spec, spec)  # type: ignore[arg-type]
    return emitted, np.asarray(logits, np.float32) * np.float32(STEP)


CLEAR = (9.0, 0.0, 0.0)


def check(*files: tuple[Emitted, FloatArray], right: int = 0, steps: FloatArray = STEPS) -> None:
    """Against an fp32 network that answers as the file ``right`` does."""
    check_same_answers(files, files[right][1], steps)


@pytest.mark.parametrize("steps", [0.0, 1.0, 2.0])
def test_a_tie_within_two_steps_is_no_disagreement(steps: float) -> None:
    check(answer((5.0, 5.0 - steps, 0.0)), answer((5.0, 5.0 + steps, 0.0)))


def test_a_tie_of_one_file_is_enough() -> None:
    check(answer((5.0, 4.0, 0.0)), answer((0.0, 9.0, 0.0)))


@pytest.mark.parametrize(("error", "passes"), [(0.5, False), (2.0, True)])
def test_files_may_part_by_what_both_are_wrong_by(error: float, passes: bool) -> None:
    """Both lead by five steps: a tie where the better one is wrong by about two, and not by half a step."""
    files = [answer((8.0, 3.0, 0.0)), answer((3.0, 8.0, 0.0))]
    reference = files[0][1] + np.array([-1, 1, -1], np.float32) * np.float32(error * STEP)
    if passes:
        check_same_answers(files, reference, STEPS)
    else:
        with pytest.raises(CheckError, match=r"0.0 %"):
            check_same_answers(files, reference, STEPS)


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_disagreement_of_any_pair_is_found(wrong: int) -> None:
    files = [answer(CLEAR), answer(CLEAR), answer(CLEAR)]
    files[wrong] = answer((0.0, 0.0, 3.0))
    with pytest.raises(CheckError, match=r"name the same class on 0.0 % of the images") as caught:
        check(*files, right=wrong - 1)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(("differing", "passes"), [(1, True), (2, False)])
def test_99_percent_is_the_line(differing: int, passes: bool) -> None:
    other = [(0.0, 9.0, 0.0)] * differing + [CLEAR] * (100 - differing)
    files = [answer(*[CLEAR] * 100), answer(*other)]
    if passes:
        check(*files)
    else:
        with pytest.raises(CheckError, match=r"98.0 %"):
            check(*files)


def test_only_int8_files_of_one_graph_are_compared() -> None:
    check(answer(CLEAR), answer((0.0, 9.0, 0.0), precision="fp32"))
    check(answer(CLEAR))
    check_same_answers([], np.zeros((0, 3), np.float32), STEPS)


def test_the_step_is_what_neighbouring_logits_differ_by() -> None:
    builder = GraphBuilder((1, 3, 24, 24))
    model = builder.model(NETWORKS["plain"](builder))
    quantized = quantize(model, observe(model, image_batches())).model
    logits = GraphRunner(quantized).run(np.concatenate(image_batches(20)))["logits"]
    levels = logits / output_steps(quantized, logits)
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    assert float(np.ptp(levels)) > 100


def test_each_output_has_its_own_step() -> None:
    """A fine output, a coarse one, and a float one, which is judged as int8 of its range would be."""
    builder = GraphBuilder((1, 3, 24, 24))
    coarse = builder.gemm(builder.op("Flatten", builder.conv(builder.image, 4, stride=8), axis=1), 5)
    model = builder.model(builder.op("Sigmoid", coarse))
    model.graph.outputs.extend([coarse, builder.op("Softplus", coarse)])
    quantized = quantize(model, observe(model, image_batches())).model
    answers = GraphRunner(quantized).run(np.concatenate(image_batches(20)))
    logits = np.concatenate(list(answers.values()), axis=1)
    steps = output_steps(quantized, logits)
    assert steps.shape == (15,)
    levels = logits[:, :10] / steps[:10]
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    assert steps[0] == np.float32(1 / 256) < steps[5]
    assert steps[10] == pytest.approx(np.ptp(logits[:, 10:]) / 255)


def test_a_tie_is_one_by_the_steps_of_its_own_output() -> None:
    steps = np.array([0.01, 1.0, 1.0], np.float32)
    coarse = [answer((0.0, 10.0, 8.0)), answer((0.0, 8.0, 10.0))]
    check(*coarse, steps=steps)
    with pytest.raises(CheckError):
        check(*coarse, steps=np.full(3, 0.01, np.float32))
