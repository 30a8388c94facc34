"""Which kernels OpenVINO's CPU plugin should try first, where its own order is a poor or a wrong one.

On processors with AMX it runs an int8 convolution of an RGB image in matrix tiles 64 bytes deep, mostly
empty with three channels. Its AVX-512 kernel takes less than half the time for the layer, and so 4–10 % off
the whole of EfficientNet-Lite0, MobileNetV2 and SqueezeNet (measured with OpenVINO 2026.4, on one thread);
processors without AMX use that kernel, or their own, anyway. The numbers stay the same.

Its AMX kernel for int8 convolutions by 1 × 1 in groups answers wrongly, or does not compile, where a group
has more than 64 channels and not a multiple of 64 (OpenVINO 2026.4: 68, 80 and 96, as in ShuffleNet). Its
AVX-512 kernel answers right.

The plugin reads its order from the runtime attribute ``primitives_priority`` of a layer. It is a hint: a
kernel that the processor lacks is passed over, and readers of the format skip attributes they do not know.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

__all__ = ["FEW_CHANNELS", "hint_kernels"]

FEW_CHANNELS = 4
"""Input channels up to which a convolution's input is taken for an image."""

_DEEP_TILE = 64
_IMAGE_KERNEL, _GROUPS_KERNEL = "cpu:jit_avx512", "cpu:brgconv_avx512_1x1"


def hint_kernels(path: Path) -> None:
    """Write the hints into the ``.xml`` at ``path``, of an int8 file.

    Pointwise convolutions of few channels, as inside squeeze-and-excitation, keep kernels of their own.
    openvino's Python API sets only strings and numbers, which it does not save with a layer.
    """
    tree = ElementTree.parse(path)
    hints = {layer: _kernel(layer) for layer in tree.iterfind("layers/layer")}
    chosen = {layer: kernel for layer, kernel in hints.items() if kernel}
    if not chosen:
        return
    for layer, kernel in chosen.items():
        rt_info = layer.find("rt_info")
        if rt_info is None:
            rt_info = ElementTree.Element("rt_info")
            layer.insert(1, rt_info)  # behind ``data``, where OpenVINO writes it
        hint = {"name": "primitives_priority", "version": "0", "value": kernel}
        ElementTree.SubElement(rt_info, "attribute", hint)
    ElementTree.indent(tree, "\t")
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _kernel(layer: ElementTree.Element) -> str:
    """The kernel to try first; empty where the plugin's own order is a good one."""
    if layer.get("type") not in ("Convolution", "GroupConvolution"):
        return ""
    image, weights = (
        [int(dim.text or 0) for dim in port.iterfind("dim")] for port in layer.iterfind("input/port")
    )
    if layer.get("type") == "Convolution":
        return _IMAGE_KERNEL if 0 < image[1] <= FEW_CHANNELS and max(weights[2:]) > 1 else ""
    channels, pixels = weights[2], max(weights[3:])
    is_wrong = pixels == 1 and channels > _DEEP_TILE and channels % _DEEP_TILE
    return _GROUPS_KERNEL if is_wrong else ""
