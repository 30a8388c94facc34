"""The commands that run networks: what they ask of the library, and what they print of its answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from edgekit import pipeline
from edgekit.errors import CheckError
from edgekit.options import IO_TYPES, PRECISIONS, ExportOptions, ScaleChange, TensorSpec
from edgekit.results import STAGES, Artifact, Comparison, Evaluation, ExportResult, Parity, RangeChoice

Run = Callable[..., Any]

ARTIFACT = Artifact(
    path=Path("out/net_int8.tflite"),
    format="tflite",
    precision="int8",
    size_bytes=5_212_345,
    sha256="ab" * 32,
    input=TensorSpec("image", (1, 224, 224, 3), "NHWC", "int8", 0.0078125, 0, "external"),
    output=TensorSpec("logits", (1, 1000), "NC", "int8", 0.1, -50),
    parity=Parity(images=50, agreement=98.0, sqnr_db=21.234, max_relative_error=0.0625),
)
RESULT = ExportResult(
    model="net",
    artifacts=(ARTIFACT, replace(ARTIFACT, path=Path("out/net_int8.xml"), format="openvino")),
    seconds={"build": 0.25, "total": 3.14159},
    manifest=Path("out/manifest.json"),
    warnings=("the weights are random",),
)


class Recorder:
    """Stands for a function of the library: keeps what it was asked, gives or raises what it was told."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: tuple[Any, ...] = ()

    def __call__(self, *arguments: Any, progress: Any = None) -> Any:
        self.asked = arguments
        print("noise of a library")  # noqa: T201
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder(replace(RESULT, warnings=()))
    monkeypatch.setattr(pipeline, "export", lambda model, options, progress: recorder(model, options))
    return recorder


def test_without_flags_the_options_are_the_librarys(run: Run, export: Recorder) -> None:
    assert run("export", "mobilenet_v2").code == 0
    assert export.asked == ("mobilenet_v2", ExportOptions())


FLAGS: dict[str, tuple[list[str], Any]] = {
    "effort": (["--effort", "high"], "high"),
    "embed_preprocessing": (["--embed-preprocessing"], True),
    "skip_stages": (
        ["--skip-stage", "equalize", "--skip-stage", "absorb-biases"],
        ("equalize", "absorb-biases"),
    ),
    "target": (["--target", "all"], "all"),
    "precision": (["--precision", "dynamic"], "dynamic"),
    "out_dir": (["-o", "some/where"], Path("some/where")),
    "scale": (
        [
            "--width",
            "0.75",
            "--depth",
            "1.1",
            "--resolution",
            "160",
            "--num-classes",
            "10",
            "--in-channels",
            "1",
        ],
        ScaleChange(0.75, 1.1, 160, 10, 1),
    ),
    "weights": (["--weights", "random"], "random"),
    "seed": (["--seed", "7"], 7),
    "calibration": (["--calibration", "photos"], "photos"),
    "samples": (["--samples", "9"], 9),
    "input_type": (["--input-type", "uint8"], "uint8"),
    "output_type": (["--output-type", "int8"], "int8"),
    "max_drop": (["--max-drop", "0.5"], 0.5),
    "data": (["--data", "labelled"], Path("labelled")),
    "keep_float": (["--keep-float", "stem.*", "--keep-float", "head"], ("stem.*", "head")),
    "keep_int16": (["--keep-int16", "stem.conv"], ("stem.conv",)),
    "time_plan": (["--no-time-plan"], False),
    "per_tensor_weights": (["--per-tensor-weights"], True),
    "reduce_range": (["--reduce-range"], True),
    "ranges": (["--ranges", "auto"], "auto"),
    "force": (["--force"], True),
}


def test_every_option_has_a_flag() -> None:
    assert set(FLAGS) == {field.name for field in fields(ExportOptions)}


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_sets_its_option_alone(run: Run, export: Recorder, name: str) -> None:
    flags, value = FLAGS[name]
    assert run("export", "net", *flags).code == 0
    assert export.asked == ("net", replace(ExportOptions(), **{name: value}))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_precisions(run: Run, export: Recorder, precision: str) -> None:
    run("export", "net", "--precision", precision)
    assert export.asked[1].precision == precision


@pytest.mark.parametrize("io_type", IO_TYPES)
def test_io_types(run: Run, export: Recorder, io_type: str) -> None:
    run("export", "net", "--input-type", io_type, "--output-type", io_type)
    assert (export.asked[1].input_type, export.asked[1].output_type) == (io_type, io_type)


@pytest.mark.parametrize(
    ("flags", "precision"),
    [(["--int8"], "int8"), (["--fp16"], "fp16"), (["--int8", "--precision", "int8"], "int8")],
)
def test_short_precisions(run: Run, export: Recorder, flags: list[str], precision: str) -> None:
    assert run("export", "net", *flags).code == 0
    assert export.asked[1].precision == precision


def test_two_precisions_are_refused(run: Run, export: Recorder) -> None:
    done = run("export", "net", "--int8", "--fp16", "--precision", "fp32")
    assert (done.code, done.out) == (2, "")
    assert "given were fp16 and fp32 and int8" in done.err
    assert export.asked == ()


@pytest.mark.parametrize("flags", [["--precision", "int4"], ["--samples", "many"], ["--input-type", "f16"]])
def test_a_value_that_does_not_exist(run: Run, export: Recorder, flags: list[str]) -> None:
    done = run("export", "net", *flags)
    assert (done.code, done.out, export.asked) == (2, "", ())
    assert flags[0] in done.err
    assert flags[1] in done.err


def test_export_json_is_the_documented_object_alone(run: Run, export: Recorder) -> None:
    done = run("export", "net", "--json")
    assert done.err == "noise of a library\n"
    document = json.loads(done.out)
    assert list(document) == ["model", "artifacts", "seconds"]
    assert document["model"] == "net"
    assert [list(artifact) for artifact in document["artifacts"]] == [
        ["path", "format", "precision", "size_bytes", "sha256", "parity"]
    ] * 2
    assert document["artifacts"][0]["path"] == "out/net_int8.tflite"
    assert document["artifacts"][0]["parity"] == {
        "images": 50,
        "agreement": 98.0,
        "sqnr_db": 21.23,
        "max_relative_error": 0.0625,
    }
    assert tuple(document["seconds"]) == STAGES
    assert (document["seconds"]["build"], document["seconds"]["emit"]) == (0.25, 0.0)


def test_export_ends_with_a_table(run: Run, export: Recorder) -> None:
    done = run("export", "net")
    assert done.out.splitlines() == [
        "file             precision    MB  agreement %  SQNR dB  max error",
        "net_int8.tflite  int8       5.21         98.0     21.2    6.2e-02",
        "net_int8.xml     int8       5.21         98.0     21.2    6.2e-02",
        "",
        "Compared with the fp32 network on 50 images.",
        "out/manifest.json says how to feed and read the files.",
        "3.1 s",
    ]


def test_the_choice_of_ranges_is_told_where_it_was_left_open(run: Run, export: Recorder) -> None:
    found = RangeChoice("mse", {"minmax": 20.04, "percentile": 22.0, "mse": 22.5})
    export.answer = replace(RESULT, ranges=found)
    line = (
        "Activation ranges by mse; on a few calibration images: mse 22.5 dB, percentile 22.0 dB, minmax 20.0"
    )
    assert line in run("export", "net").out.replace("\n", " ")
    document = json.loads(run("export", "net", "--json").out)
    assert document["ranges"] == {
        "method": "mse",
        "sqnr_db": {"minmax": 20.04, "percentile": 22.0, "mse": 22.5},
    }


def test_warnings_go_to_stderr(run: Run, export: Recorder) -> None:
    export.answer = RESULT
    done = run("export", "net", "--json")
    assert done.code == 0
    assert done.err.endswith("warning: the weights are random\n")
    assert json.loads(done.out)["model"] == "net"


@pytest.mark.parametrize(
    ("error", "code"), [(CheckError("2 points below"), 1), (KeyboardInterrupt(), 130), (RuntimeError("x"), 2)]
)
def test_a_failure_prints_no_result(run: Run, export: Recorder, error: BaseException, code: int) -> None:
    export.answer = error
    done = run("export", "net", "--json")
    assert (done.code, done.out) == (code, "")
    assert "error: " in done.err
    assert "Traceback" not in done.err


def test_evaluate(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(Evaluation(Path("out/net.onnx"), 250, 86.8, 97.2))
    monkeypatch.setattr(pipeline, "evaluate", recorder)
    done = run("evaluate", "out/net.onnx", "--data", "labelled", "--json")
    assert recorder.asked == (Path("out/net.onnx"), Path("labelled"))
    assert json.loads(done.out) == {"artifact": "out/net.onnx", "images": 250, "top1": 86.8, "top5": 97.2}
    assert "top-1     86.80 %" in run("evaluate", "out/net.onnx", "--data", "labelled").out


def test_evaluate_says_what_it_skipped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "evaluate", Recorder(Evaluation(Path("a"), 250, 86.8, 97.2, skipped=2)))
    assert "warning: 2 image files could not be read" in run("evaluate", "a", "--data", "b").err


def test_compare(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = Comparison(Path("a.onnx"), Path("b.tflite"), 9, 80.0, 90.0, 98.125, float("inf"), 97.5)
    recorder = Recorder(comparison)
    monkeypatch.setattr(pipeline, "compare", recorder)
    done = run("compare", "a.onnx", "b.tflite", "--data", "images", "--json")
    assert recorder.asked == (Path("a.onnx"), Path("b.tflite"), Path("images"))
    assert json.loads(done.out) == {
        "artifact": "b.tflite",
        "images": 9,
        "top1": 80.0,
        "top5": 90.0,
        "agreement": 98.12,
        "sqnr_db": None,
        "expected_agreement": 97.5,
    }
    recorder.answer = replace(comparison, top1=None, top5=None)
    out = run("compare", "a.onnx", "b.tflite", "--data", "images").out
    assert "top-1      unknown, the images have no labels" in out
    assert "agreement  98.12 %" in out
    assert "expected   97.50 % agreement" in out


@pytest.mark.parametrize("command", [["evaluate", "a"], ["compare", "a", "b"]], ids=" ".join)
def test_data_is_required(run: Run, command: list[str]) -> None:
    done = run(*command)
    assert (done.code, done.out) == (2, "")
    assert "--data" in done.err
