"""Files answer on an emulated 64-bit Arm processor as they do here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekit.cli.main import main
from edgekit.devices import open_device
from edgekit.errors import InputError, ModelFileError
from edgekit.measure.answers import AnswerCheck, compare_answers
from family_files import FAMILIES, family_file, network_file


def test_int8_files_of_every_family_answer_to_the_bit_and_floats_nearly(emulated_arm64: str) -> None:
    """In LiteRT and ONNX Runtime, all in one emulated process, which takes long to start."""
    integers = [
        *(family_file(family) for family in FAMILIES),
        *(family_file(family, "onnx") for family in FAMILIES),
    ]
    floats = [
        network_file("mobilenet_v2", precision="fp32"),
        network_file("mobilenet_v2", precision="fp32", format_="onnx"),
    ]
    found = compare_answers(open_device(emulated_arm64), [*integers, *floats])
    assert [one.path.name for one in found[: len(integers)] if not one.is_identical] == []
    assert [one.largest_difference <= 1e-4 for one in found[len(integers) :]] == [True, True]
    assert {one.versions[0] == one.versions[1] for one in found} == {True}


def test_the_command_says_so(emulated_arm64: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = network_file("mobilenet_v1")
    assert main(["devices", "check", f"{emulated_arm64}?cpu=cortex-a53", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["emulated"] is True
    assert document["answers"][0]["identical"] is True


def test_a_processor_that_qemu_does_not_know(emulated_arm64: str) -> None:
    with pytest.raises(InputError, match="qemu knows no processor 'cortex-z9'"):
        compare_answers(open_device(f"{emulated_arm64}?cpu=cortex-z9"), [network_file("mobilenet_v1")])


def test_this_machine_answers_as_itself() -> None:
    (found,) = compare_answers(open_device("local"), [network_file("mobilenet_v1")])
    assert (found.is_identical, found.is_same, found.largest_difference, found.dtype) == (
        True,
        True,
        0.0,
        "int8",
    )


@pytest.mark.parametrize(
    ("dtype", "difference", "same"), [("int8", 1.0, False), ("float32", 1e-5, True), ("float32", 1e-3, False)]
)
def test_integers_have_to_be_identical_and_floats_near(dtype: str, difference: float, same: bool) -> None:
    one = AnswerCheck(Path("net.tflite"), "tflite", ("2", "2"), dtype, difference, is_identical=False)
    assert one.is_same is same


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.tflite"
    path.write_bytes(network_file("mobilenet_v1").read_bytes()[:1000])
    with pytest.raises(ModelFileError, match="damaged"):
        compare_answers(open_device("local"), [path])


def test_a_device_without_python_cannot_say(tmp_path: Path) -> None:
    tool = tmp_path / "benchmark_model"
    tool.touch()
    with pytest.raises(InputError, match="no Python"):
        compare_answers(open_device(f"adb?benchmark_model={tool}"), [network_file("mobilenet_v1")])
