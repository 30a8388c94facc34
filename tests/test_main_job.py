"""The main job as a user does it: by the command line, from a model to files that an application can use."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

import edgekit
from edgekit import files, source
from edgekit.cli.main import main
from edgekit.models import module, zoo
from edgekit.options import FORMATS
from edgekit.quantize import calibration
from edgekit.results import STAGES
from edgekit.target import FORMAT_PRECISIONS
from small_models import CLASSES, save_images, save_onnx

LEAST_SQNR_DB = 20.5
LEAST_AGREEMENT_PERCENT = 98.0
MOST_DROP_POINTS = 0.8
SMALL = ("mobilenet_v2", "--width", "0.35", "--resolution", "64", "--num-classes", "20")
SUFFIXES = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout."""
        assert self.code == 0, self.err
        return json.loads(self.out)


Run = Callable[..., Finished]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_command(*arguments: object) -> Finished:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Finished(code, out, err)

    return run_command


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_onnx(tmp_path_factory.mktemp("models") / "net.onnx")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_images(tmp_path_factory.mktemp("photos"), [i % CLASSES for i in range(6)])


def score(shared_dir: Path, *arguments: object) -> Any:
    """What a script says of a file that knows nothing of this package."""
    done = subprocess.run(
        [sys.executable, shared_dir / "tools" / "score_artifact.py", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


# What comes out


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_network_becomes_files_in_all_formats(run: Run, tmp_path: Path, precision: str) -> None:
    done = run(
        *("export", *SMALL, "--weights", "random", "--target", "all", "--precision", precision),
        *("--samples", 16, "-o", tmp_path, "--json"),
    )
    document = done.json
    assert list(document) == ["model", "artifacts", "seconds"]
    assert document["model"] == "mobilenet_v2"
    assert tuple(document["seconds"]) == STAGES
    assert "weights are random" in done.err
    assert ("generated images" in done.err) == (precision == "int8")
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert list(written) == ["schema", "model", "preprocessing", "labels", "artifacts"]
    assert written["model"] == {
        "name": "mobilenet_v2",
        "width": 0.35,
        "depth": 1.0,
        "resolution": 64,
        "num_classes": 20,
        "weights": "random",
    }
    assert list(written["preprocessing"]) == [
        "resize_short_side",
        "resize_filter",
        "crop",
        "color",
        "mean",
        "std",
    ]
    for shown, listed, format_ in zip(document["artifacts"], written["artifacts"], FORMATS, strict=True):
        assert Path(shown["path"]) == tmp_path / f"mobilenet_v2_{precision}{SUFFIXES[format_]}"
        assert Path(shown["path"]).is_file()
        assert {key: listed[key] for key in ("format", "precision", "size_bytes", "sha256")} == {
            key: shown[key] for key in ("format", "precision", "size_bytes", "sha256")
        }
        is_integer = (format_, precision) == ("tflite", "int8")
        assert_port(listed["input"], "image", {"layout", "normalization"}, is_integer)
        assert_port(listed["output"], "logits", set(), is_integer)
        parity = shown["parity"]
        assert list(parity) == ["images", "agreement", "sqnr_db", "max_relative_error"]
        assert parity["max_relative_error"] < (1e-4 if precision == "fp32" else 0.2)


def assert_port(spec: dict[str, Any], name: str, more: set[str], is_integer: bool) -> None:
    assert set(spec) == {"name", "shape", "dtype"} | more | ({"scale", "zero_point"} if is_integer else set())
    assert (spec["name"], spec["dtype"]) == (name, "int8" if is_integer else "float32")
    assert spec.get("normalization", "external") == "external"


@pytest.mark.parametrize(
    ("format_", "precision"),
    [(name, one) for name in FORMATS for one in FORMAT_PRECISIONS[name] if one in ("fp16", "dynamic")],
)
def test_smaller_files(run: Run, tmp_path: Path, format_: str, precision: str) -> None:
    command = ("export", *SMALL, "--target", format_, "-o", tmp_path, "--json", "--precision")
    (small,), (large,) = (run(*command, one).json["artifacts"] for one in (precision, "fp32"))
    assert small["size_bytes"] < large["size_bytes"] * (0.62 if precision == "fp16" else 0.45)
    assert small["parity"]["max_relative_error"] < (0.01 if precision == "fp16" else 0.3)


def test_a_function_of_the_users_own(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "users_package").mkdir()
    (tmp_path / "users_package" / "nets.py").write_text(
        "from torch import nn\n"
        "print('noise of a model')\n"
        "def tiny():\n"
        "    body = [nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU6(), nn.AdaptiveAvgPool2d(1)]\n"
        "    return nn.Sequential(*body, nn.Flatten(), nn.Linear(8, 4))\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    done = run("export", "users_package.nets:tiny", "--resolution", 32, "--int8", "--target", "all", "--json")
    assert [Path(one["path"]).name for one in done.json["artifacts"]] == [
        f"tiny_int8{suffix}" for suffix in SUFFIXES.values()
    ]
    assert "tiny does not say how images become its input" in done.err
    for name in ("users_package", "users_package.nets"):
        sys.modules.pop(name, None)


def test_a_table_for_people(run: Run, tmp_path: Path, model: Path) -> None:
    done = run("export", model, "--target", "all", "--int8", "--samples", 8, "-o", tmp_path)
    assert done.code == 0
    assert all(f"net_int8{suffix}" in done.out for suffix in SUFFIXES.values())
    assert str(tmp_path / "manifest.json") in done.out


def test_files_score_as_we_say(run: Run, shared_dir: Path, tmp_path: Path, model: Path) -> None:
    """A second opinion on evaluate and compare, and on what the manifest says."""
    photos = shared_dir / "images" / "evaluation"
    for path in sorted(photos.glob("*.jpg"))[:40]:
        renamed = f"{int(path.name[:4]) % CLASSES:04}{path.name[4:]}"
        (tmp_path / renamed).write_bytes(path.read_bytes())
    out = tmp_path / "out"
    for options in (["--target", "onnx", "--precision", "fp32"], ["--target", "tflite", "--int8"]):
        assert run("export", model, "-o", out, "--samples", 16, *options).code == 0
    (tmp_path / "photos").mkdir()
    for path in tmp_path.glob("*.jpg"):
        path.rename(tmp_path / "photos" / path.name)
    reference, test = out / "net_fp32.onnx", out / "net_int8.tflite"
    expected = score(shared_dir, test, tmp_path / "photos", "--reference", reference, "--threads", 1)
    evaluated = run("evaluate", test, "--data", tmp_path / "photos", "--json").json
    compared = run("compare", reference, test, "--data", tmp_path / "photos", "--json").json
    assert list(evaluated) == ["artifact", "images", "top1", "top5"]
    assert {key: evaluated[key] for key in ("images", "top1", "top5")} == {
        key: expected[key] for key in ("images", "top1", "top5")
    }
    assert {key: compared[key] for key in ("agreement", "sqnr_db", "top1", "top5")} == {
        key: expected[key] for key in ("agreement", "sqnr_db", "top1", "top5")
    }


def test_int8_of_a_trained_network_is_as_good_as_its_fp32(shared_dir: Path, tmp_path: Path) -> None:
    photos = shared_dir / "images"
    fp32 = edgekit.ExportOptions(target="onnx", precision="fp32", weights="imagenet", out_dir=tmp_path)
    int8 = edgekit.ExportOptions(
        target="all",
        precision="int8",
        weights="imagenet",
        calibration=photos / "calibration",
        out_dir=tmp_path,
    )
    (reference,) = edgekit.export("efficientnet_lite0", fp32).artifacts
    result = edgekit.export("efficientnet_lite0", int8)
    assert result.warnings == ()
    for artifact in result.artifacts:
        scored = score(
            shared_dir, artifact.path, photos / "evaluation", "--reference", reference.path, "--threads", 1
        )
        assert scored["sqnr_db"] >= LEAST_SQNR_DB
        assert scored["agreement"] >= LEAST_AGREEMENT_PERCENT
        assert scored["reference_top1"] - scored["top1"] <= MOST_DROP_POINTS
        assert scored["reference_top1"] == pytest.approx(86.8)


# What is refused


def bad_operator(folder: Path) -> list[object]:
    node = helper.make_node("Det", ["x"], ["y"], name="strange_node")
    x, y = (
        helper.make_tensor_value_info(name, 1, shape) for name, shape in (("x", [1, 3, 8, 8]), ("y", [1, 3]))
    )
    opset = helper.make_opsetid("", 18)
    proto = helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=[opset], ir_version=8)
    (folder / "strange.onnx").write_bytes(proto.SerializeToString())
    return [folder / "strange.onnx"]


def nan_weights(folder: Path) -> list[object]:
    proto = onnx.load(save_onnx(folder / "nan.onnx"))
    weight = proto.graph.initializer[0]
    array = onnx.numpy_helper.to_array(weight).copy()
    array.flat[0] = np.nan
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    onnx.save(proto, folder / "nan.onnx")
    return [folder / "nan.onnx"]


def empty(folder: Path) -> Path:
    (folder / "empty.onnx").touch()
    return folder / "empty.onnx"


def truncated_onnx(folder: Path) -> list[object]:
    path = save_onnx(folder / "cut.onnx")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return [path]


def garbage(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(b"\x00\xff garbage \x13" * 50)
        return folder / name

    return write


def truncated_checkpoint(folder: Path) -> list[object]:
    network = zoo.network("mobilenet_v2", width=0.35, resolution=32, num_classes=3)
    torch.save(module.assemble(network).state_dict(), folder / "cut.pt")
    (folder / "cut.pt").write_bytes((folder / "cut.pt").read_bytes()[:-5000])
    return ["mobilenet_v2", "--width", 0.35, "--num-classes", 3, "--weights", folder / "cut.pt"]


def nan_checkpoint(folder: Path) -> list[object]:
    network = zoo.network("mobilenet_v2", width=0.35, resolution=32, num_classes=3)
    state = module.build(network).state_dict()
    next(iter(state.values())).flatten()[0] = float("nan")
    torch.save(state, folder / "nan.pt")
    return ["mobilenet_v2", "--width", 0.35, "--num-classes", 3, "--weights", folder / "nan.pt"]


def other_checkpoint(folder: Path) -> list[object]:
    torch.save(module.build(zoo.network("squeezenet1_1", resolution=32)).state_dict(), folder / "other.pt")
    return ["mobilenet_v2", "--weights", folder / "other.pt"]


def net(folder: Path, *options: object) -> list[object]:
    return [save_onnx(folder / "net.onnx"), *options]


def images(folder: Path, *contents: bytes) -> Path:
    (folder / "photos").mkdir()
    for index, content in enumerate(contents):
        (folder / "photos" / f"{index:04}_{index}.png").write_bytes(content)
    return folder / "photos"


def out_of_range(folder: Path) -> Path:
    return save_images(folder / "labelled", [0, CLASSES])


def file_in_place(folder: Path) -> Path:
    (folder / "taken").write_text("mine")
    return folder / "taken"


BAD: dict[str, tuple[Callable[[Path], list[object]], str, str]] = {
    "model": (lambda f: ["mobilnet_v2"], "unknown model 'mobilnet_v2'", "mobilenet_v2"),
    "target": (lambda f: net(f, "--target", "tflit"), "unknown target 'tflit'", "tflite"),
    "target's precision": (
        lambda f: net(f, "--target", "openvino", "--precision", "dynamic"),
        "openvino does not take dynamic",
        "",
    ),
    "no such file": (lambda f: [f / "no.onnx"], "no.onnx does not exist", ""),
    "empty .onnx": (lambda f: [empty(f)], "empty.onnx is empty", ""),
    "truncated .onnx": (truncated_onnx, "cut.onnx", ""),
    "corrupt .onnx": (lambda f: [garbage("bad.onnx")(f)], "bad.onnx", ""),
    "operator": (bad_operator, "strange_node", ""),
    "NaN in .onnx": (nan_weights, "NaN or infinite", ""),
    "truncated .pt": (truncated_checkpoint, "cut.pt", ""),
    "corrupt .pt": (lambda f: ["mobilenet_v2", "--weights", garbage("bad.pt")(f)], "bad.pt", ""),
    "corrupt .safetensors": (
        lambda f: ["mobilenet_v2", "--weights", garbage("bad.safetensors")(f)],
        "bad.safetensors",
        "",
    ),
    "NaN in .pt": (nan_checkpoint, "NaN", ""),
    "weights of another network": (other_checkpoint, "other.pt", ""),
    "no weights file": (lambda f: ["mobilenet_v2", "--weights", f / "no.pt"], "no.pt", ""),
    "no such weights": (lambda f: [*SMALL, "--weights", "imagenet"], "weights", ""),
    "channels": (lambda f: ["mobilenet_v2", "--in-channels", 4], "4 input channels", ""),
    "resolution": (lambda f: ["mobilenet_v2", "--resolution", 8], "resolution 8", "17"),
    "scale of a file": (lambda f: net(f, "--width", 2), "width cannot be set", ""),
    "no images": (lambda f: net(f, "--int8", "--calibration", images(f)), "holds no image", ""),
    "all images corrupt": (
        lambda f: net(f, "--int8", "--calibration", images(f, b"no", b"")),
        "none of 2 images can be read",
        "",
    ),
    "no such calibration": (lambda f: net(f, "--int8", "--calibration", "naturel"), "'naturel'", "natural"),
    "a file of images": (
        lambda f: net(f, "--int8", "--calibration", garbage("a.png")(f)),
        "expected a folder",
        "",
    ),
    "no samples": (lambda f: net(f, "--int8", "--samples", 0), "samples is 0", ""),
    "seed": (lambda f: net(f, "--seed", -1), "seed is -1", ""),
    "max-drop alone": (lambda f: net(f, "--max-drop", 1), "data is None", ""),
    "data alone": (lambda f: net(f, "--data", f), "max_drop is None", ""),
    "labels": (
        lambda f: net(f, "--max-drop", 1, "--data", out_of_range(f)),
        "labelled 10, and the network has classes 0 to 9",
        "",
    ),
    "out dir": (lambda f: net(f, "-o", file_in_place(f)), "taken", "file"),
    "below a file": (lambda f: net(f, "-o", file_in_place(f) / "out"), "taken", "file"),
    "function": (lambda f: ["no_such_package:net"], "no_such_package", ""),
    "two precisions": (lambda f: net(f, "--int8", "--fp16"), "one precision", ""),
    "integers in fp32": (lambda f: net(f, "--input-type", "int8"), "int8", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_an_error_and_a_hint(run: Run, tmp_path: Path, name: str) -> None:
    make, message, hint = BAD[name]
    given = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    extra = [] if "-o" in given else ["-o", tmp_path / "out"]
    done = run("export", *given, *extra, "--json")
    assert (done.code, done.out) == (2, ""), done.err
    lines = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
    assert [line.split(":")[0] for line in lines] == ["error", "hint"], done.err
    assert message in lines[0]
    assert hint in lines[1]
    assert not lines[0].startswith("error: unexpected"), done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_gate_that_fails_is_exit_code_1(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    options = ["--max-drop", -101, "--data", photos, "-o", tmp_path / "out", "--json"]
    done = run("export", model, *options)
    assert (done.code, done.out) == (1, "")
    assert "error: net_fp32.tflite reaches" in done.err
    assert "\nhint: " in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_write", full)
    done = run("export", model, "-o", tmp_path / "out")
    assert done.code == 2
    assert "No space left on device" in done.err
    assert "hint: the disk is full" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", [(source, "parse"), (calibration, "find_images")], ids=["start", "images"])
def test_ctrl_c_is_exit_code_130(
    run: Run,
    model: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: tuple[Any, str],
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(*moment, interrupted)
    done = run("export", model, "--calibration", photos, "-o", tmp_path / "out")
    assert (done.code, done.out) == (130, "")
    assert done.err == "error: interrupted, no partial file was left\n"
    assert list(tmp_path.iterdir()) == []


def test_some_images_may_be_corrupt(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    for path in photos.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "0009_cut.png").write_bytes((photos / "0000_0.png").read_bytes()[:60])
    done = run("export", model, "--int8", "--calibration", tmp_path, "-o", tmp_path / "out", "--json")
    assert done.json["artifacts"][0]["parity"]["images"] == 6
    assert "1 calibration images could not be read: 0009_cut.png" in done.err
