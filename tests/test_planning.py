"""Plans of several precisions from the command's side: what is kept, what it costs, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import edgekit
from edgekit import pipeline, planning, saturation
from edgekit.building import build_graph
from edgekit.cli.main import main
from edgekit.errors import CheckError, UnknownNameError, UnsupportedError
from edgekit.graph.run import GraphRunner
from edgekit.images import find_images, load_image, to_batch
from edgekit.measure.timing import Timing
from edgekit.options import FORMATS, ExportOptions
from edgekit.results import ExportResult
from edgekit.target import Target
from outliers import RUINED, ruined_network
from small_models import save_images

IMAGES = 40


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_images(tmp_path_factory.mktemp("unlabelled"), [0] * IMAGES)


@pytest.fixture(scope="module")
def model(unlabelled: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("models") / "net.onnx"
    ir.save(ruined_network(), path)
    preprocessing = build_graph(str(path), ExportOptions()).preprocessing
    images = [to_batch(load_image(photo, preprocessing)) for photo in find_images(unlabelled)]
    ir.save(ruined_network(images=np.concatenate(images)), path)
    return str(path)


@pytest.fixture(scope="module")
def photos(model: str, unlabelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images labelled with what the network itself answers, which is right on all of them."""
    built = build_graph(model, ExportOptions())
    folder = tmp_path_factory.mktemp("photos")
    for index, path in enumerate(find_images(unlabelled)):
        (logits,) = GraphRunner(built.graph).run(to_batch(load_image(path, built.preprocessing))).values()
        shutil.copy(path, folder / f"{int(np.argmax(logits)):04}_{index}.png")
    return folder


@pytest.fixture
def options(photos: Path, tmp_path: Path) -> ExportOptions:
    return ExportOptions(
        target="all",
        precision="int8",
        calibration=photos,
        samples=20,
        out_dir=tmp_path / "out",
        time_plan=False,
    )


def change(options: ExportOptions, **changes: object) -> ExportOptions:
    return ExportOptions(**{**vars(options), **changes})


def manifest_of(result: ExportResult) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = json.loads(result.manifest.read_text())["artifacts"]
    return listed


def test_the_layer_that_int8_ruins_stays_float_alone(
    model: str, photos: Path, options: ExportOptions
) -> None:
    plain = edgekit.export(model, change(options, out_dir=options.out_dir / "plain"))
    result = edgekit.export(
        model, change(options, max_drop=5.0, data=photos, out_dir=options.out_dir / "mixed")
    )
    plan = result.plan
    assert plan is not None
    assert plan.kept == {RUINED: "float"}
    assert plan.plain_drop is not None
    assert plan.drop is not None
    assert plan.drop <= 5.0 < plan.plain_drop
    assert [cost.format for cost in plan.costs] == list(FORMATS)
    for cost, before, after in zip(plan.costs, plain.artifacts, result.artifacts, strict=True):
        assert (cost.plain_size_bytes, cost.size_bytes) == (before.size_bytes, after.size_bytes)
        assert cost.latency_ms is None
        assert after.parity.sqnr_db > before.parity.sqnr_db + 10
    assert {tuple(one["float_layers"]) for one in manifest_of(result)} == {(RUINED,)}  # type: ignore[arg-type]
    document = result.to_json()["plan"]
    assert isinstance(document, dict)
    assert document["kept"] == {RUINED: "float"}
    assert list(document) == [
        *("kept", "layers", "macs_percent", "max_drop", "plain_drop", "drop", "trials", "costs")
    ]


def test_the_search_is_deterministic(model: str, photos: Path, options: ExportOptions) -> None:
    files = []
    for name in ("one", "other"):
        chosen = change(options, target="onnx", max_drop=5.0, data=photos, out_dir=options.out_dir / name)
        files.append(edgekit.export(model, chosen).artifacts[0].path.read_bytes())
    assert files[0] == files[1]


def test_nothing_changes_where_plain_int8_passes(model: str, photos: Path, options: ExportOptions) -> None:
    for name, more in (("plain", {}), ("gated", {"max_drop": 100.0, "data": photos})):
        result = edgekit.export(model, change(options, target="onnx", out_dir=options.out_dir / name, **more))
        assert result.plan is None
        assert all("float_layers" not in one for one in manifest_of(result))
    one, other = (options.out_dir / name / "net_int8.onnx" for name in ("plain", "gated"))
    assert one.read_bytes() == other.read_bytes()


def test_latency_is_measured_unless_told_otherwise(
    model: str, photos: Path, options: ExportOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[int] = []

    def time_file(path: Path) -> Timing:
        timed.append(path.stat().st_size)
        return Timing((float(len(timed)),))

    monkeypatch.setattr(planning, "time_file", time_file)
    plan = edgekit.export(
        model, change(options, target="onnx", max_drop=5.0, data=photos, time_plan=True)
    ).plan
    assert plan is not None
    (cost,) = plan.costs
    assert (cost.plain_latency_ms, cost.latency_ms) == (1.0, 2.0)
    assert timed == [cost.plain_size_bytes, cost.size_bytes]


def test_no_plan_is_a_failed_check_that_names_the_best(
    model: str, photos: Path, options: ExportOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", model, "--target", "onnx", "--int8", "--calibration", photos, "--samples", "20"]
    command += ["--max-drop", "-101", "--data", photos, "-o", options.out_dir, "--no-time-plan"]
    assert main([str(part) for part in command]) == 1
    err = capsys.readouterr().err
    assert "no plan loses at most -101 points" in err
    assert "the best of" in err
    assert "layers kept float" in err
    assert not options.out_dir.exists()


def test_layers_kept_by_name(model: str, options: ExportOptions) -> None:
    result = edgekit.export(model, change(options, keep_float=(RUINED, "layer0.*")))
    assert result.plan is not None
    assert result.plan.kept == {"layer0.conv": "float", RUINED: "float"}
    assert (result.plan.drop, result.plan.trials, result.plan.costs) == (None, 0, ())
    assert 0 < result.plan.macs_percent < 100


def test_layers_with_wide_activations(model: str, options: ExportOptions) -> None:
    wide = change(options, target="tflite", keep_int16=(RUINED,))
    result = edgekit.export(model, wide)
    assert result.plan is not None
    assert result.plan.kept == {RUINED: "int16"}
    (listed,) = manifest_of(result)
    assert listed["int16_layers"] == [RUINED]
    assert result.artifacts[0].input.dtype == "int8"
    with pytest.raises(UnsupportedError, match="only TFLite has kernels"):
        edgekit.export(model, change(wide, target="onnx", out_dir=options.out_dir / "onnx"))


@pytest.mark.parametrize("field", ["keep_float", "keep_int16"])
def test_an_unknown_layer_is_named_with_the_nearest(model: str, options: ExportOptions, field: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown layer 'ruind'") as caught:
        edgekit.export(model, change(options, target="tflite", **{field: ("ruind",)}))
    assert RUINED in caught.value.hint


def test_a_failure_is_the_checks_own(model: str, photos: Path, options: ExportOptions) -> None:
    heard: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        heard.append(stage)

    with pytest.raises(CheckError, match="layers kept float"):
        edgekit.export(model, change(options, target="onnx", max_drop=-101.0, data=photos), progress)
    assert {"sensitivity", "quantize", "max-drop"} <= set(heard)


def test_a_target_can_demand_one_scale_for_each_tensor(
    model: str, options: ExportOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    demanding = Target(name="npu", kind="npu", format="tflite", precisions=("int8",), per_tensor_weights=True)
    monkeypatch.setattr(pipeline, "resolve", lambda name: (demanding,))
    (demanded,) = edgekit.export(model, change(options, out_dir=options.out_dir / "demanded")).artifacts
    monkeypatch.undo()
    chosen = change(options, target="tflite", per_tensor_weights=True, out_dir=options.out_dir / "chosen")
    (asked,) = edgekit.export(model, chosen).artifacts
    (usual,) = edgekit.export(model, change(options, target="tflite")).artifacts
    assert demanded.path.read_bytes() == asked.path.read_bytes()
    assert asked.size_bytes < usual.size_bytes  # by the scales of all channels but one


def largest_pair(path: Path) -> int:
    """What two neighbouring weights of one sign add up to at most; of a file without depthwise layers."""
    graph, largest = ir.load(path).graph, 0
    for node in graph:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        stored = node.inputs[1].producer().inputs[0].const_value.numpy().astype(int)  # type: ignore[union-attr]
        rows = np.moveaxis(stored.reshape(*stored.shape[:2], -1), 1, 2)  # channels innermost
        for run in (rows.reshape(len(rows), -1), rows):
            for sign in (1, -1):
                even = (sign * run).clip(0)[..., : run.shape[-1] // 2 * 2]
                largest = max(largest, int((even[..., ::2] + even[..., 1::2]).max(initial=0)))
    return largest


@pytest.mark.parametrize("cpuinfo", ["flags : sse2 avx2\n", "flags : avx2 avx_vnni\n"])
def test_no_two_products_pass_16_bits_where_a_processor_may_add_them_so(
    model: str, options: ExportOptions, monkeypatch: pytest.MonkeyPatch, cpuinfo: str
) -> None:
    monkeypatch.setattr(saturation, "read_cpuinfo", lambda: cpuinfo)
    lacks_vnni = "vnni" not in cpuinfo
    asked: dict[str, tuple[dict[str, object], bool]] = {
        "onnx": ({"target": "onnx"}, True),
        "host": ({"target": "host-onnx"}, lacks_vnni),
        "all": ({"target": "all"}, True),
        "left out": ({"target": "onnx", "skip_stages": ("pair-sums",)}, False),
        "reduced": ({"target": "onnx", "skip_stages": ("pair-sums",), "reduce_range": True}, True),
    }
    for name, (more, fits) in asked.items():
        result = edgekit.export(model, change(options, out_dir=options.out_dir / name, **more))
        (path,) = (a.path for a in result.artifacts if a.format == "onnx")
        assert (largest_pair(path) <= 128) == fits, name
        warned = any("no VNNI" in text for text in result.warnings)
        assert warned == (lacks_vnni and name == "left out"), name
    unwarned: dict[str, dict[str, object]] = {
        "host": {"target": "host-openvino"},
        "tflite": {"target": "tflite", "skip_stages": ("pair-sums",)},
        "float": {"target": "onnx", "precision": "fp32", "skip_stages": ("pair-sums",)},
    }
    for name, changes in unwarned.items():
        result = edgekit.export(model, change(options, out_dir=options.out_dir / name, **changes))
        assert not any("no VNNI" in text for text in result.warnings), name


def test_a_tflite_file_keeps_all_its_steps(model: str, options: ExportOptions) -> None:
    alone, without = (
        edgekit.export(
            model, change(options, target="tflite", out_dir=options.out_dir / name, skip_stages=skip)
        )
        for name, skip in (("alone", ()), ("without", ("pair-sums",)))
    )
    assert alone.artifacts[0].path.read_bytes() == without.artifacts[0].path.read_bytes()


def test_reduced_weights_reach_the_file(model: str, options: ExportOptions) -> None:
    for reduce_range, limit in ((True, 64), (False, 127)):
        folder = options.out_dir / str(reduce_range)
        chosen = change(options, target="onnx", reduce_range=reduce_range, out_dir=folder)
        (artifact,) = edgekit.export(model, chosen).artifacts
        stored = ir.load(artifact.path).graph.initializers.values()
        peaks = [
            int(np.abs(value.const_value.numpy().astype(np.int32)).max())
            for value in stored
            if value.const_value is not None and value.const_value.dtype == ir.DataType.INT8
            if value.const_value.size > 8  # not the zero points
        ]
        assert max(peaks) == limit
