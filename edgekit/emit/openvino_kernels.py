"""Which kernels OpenVINO's CPU plugin should try first, where its own order is a poor one.

On processors with AMX it runs an int8 convolution of an RGB image in matrix tiles 64 bytes deep, mostly
empty with three channels. Its AVX-512 kernel takes less than half the time for the layer, and so 4–10 % off
the whole of EfficientNet-Lite0, MobileNetV2 and SqueezeNet (measured with OpenVINO 2026.4, on one thread);
processors without AMX use that kernel, or their own, anyway. The numbers stay the same.

The plugin reads its order from the runtime attribute ``primitives_priority`` of a layer. It is a hint: a
kernel that the processor lacks is passed over, and readers of the format skip attributes they do not know.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

__all__ = ["FEW_CHANNELS", "hint_kernels"]

FEW_CHANNELS = 4
"""Input channels up to which a convolution's input is taken for an image."""

_HINT = {"name": "primitives_priority", "version": "0", "value": "cpu:jit_avx512"}


def hint_kernels(path: Path) -> None:
    """Write the hint into the ``.xml`` at ``path``, of an int8 file, for each convolution of an image.

    Pointwise convolutions of few channels, as inside squeeze-and-excitation, keep kernels of their own.
    openvino's Python API sets only strings and numbers, which it does not save with a layer.
    """
    tree = ElementTree.parse(path)
    layers = [layer for layer in tree.iterfind("layers/layer") if _reads_an_image(layer)]
    if not layers:
        return
    for layer in layers:
        rt_info = layer.find("rt_info")
        if rt_info is None:
            rt_info = ElementTree.Element("rt_info")
            layer.insert(1, rt_info)  # behind ``data``, where OpenVINO writes it
        ElementTree.SubElement(rt_info, "attribute", _HINT)
    ElementTree.indent(tree, "\t")
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _reads_an_image(layer: ElementTree.Element) -> bool:
    """Whether it is an ungrouped convolution of few channels, and wider than one pixel."""
    if layer.get("type") != "Convolution":
        return False
    image, weights = (
        [int(dim.text or 0) for dim in port.iterfind("dim")] for port in layer.iterfind("input/port")
    )
    return 0 < image[1] <= FEW_CHANNELS and max(weights[2:]) > 1
