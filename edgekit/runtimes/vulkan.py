"""The graphics processors that Vulkan knows on this machine, asked of its loader directly."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

__all__ = ["LIBRARIES", "VulkanDevice", "devices"]

LIBRARIES: dict[str, tuple[str, ...]] = {
    "linux": ("libvulkan.so.1", "libvulkan.so"),
    "win32": ("vulkan-1.dll",),
    "darwin": ("libvulkan.1.dylib", "libMoltenVK.dylib"),
}
"""Platform → names of Vulkan's loader."""

_INSTANCE_INFO = 1  # VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO
_SOFTWARE = 4  # VK_PHYSICAL_DEVICE_TYPE_CPU
_PROPERTIES_BYTES = 1024  # VkPhysicalDeviceProperties has 824
_TYPE_OFFSET, _NAME_OFFSET, _NAME_BYTES = 16, 20, 256


class _InstanceCreateInfo(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.c_void_p),
        ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    )


@dataclass(frozen=True)
class VulkanDevice:
    """One device; a software one runs on the processor's cores and proves answers, not speed."""

    name: str
    is_software: bool


def devices() -> tuple[VulkanDevice, ...] | None:
    """Every device, or None where there is no Vulkan loader. Nothing is left open."""
    library = _library()
    if library is None:
        return None
    instance = ctypes.c_void_p()
    info = _InstanceCreateInfo(type=_INSTANCE_INFO)
    if library.vkCreateInstance(ctypes.byref(info), None, ctypes.byref(instance)) != 0:
        return ()
    try:
        return tuple(_describe(library, handle) for handle in _handles(library, instance))
    finally:
        library.vkDestroyInstance(instance, None)


def _library() -> ctypes.CDLL | None:
    for name in LIBRARIES.get(sys.platform, ()):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _handles(library: ctypes.CDLL, instance: ctypes.c_void_p) -> list[int]:
    count = ctypes.c_uint32()
    if library.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None) != 0:
        return []
    handles = (ctypes.c_void_p * count.value)()
    library.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), handles)
    return [handle for handle in handles if handle]


def _describe(library: ctypes.CDLL, handle: int) -> VulkanDevice:
    properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
    library.vkGetPhysicalDeviceProperties(ctypes.c_void_p(handle), properties)
    kind = int.from_bytes(properties.raw[_TYPE_OFFSET : _TYPE_OFFSET + 4], sys.byteorder)
    name = properties.raw[_NAME_OFFSET : _NAME_OFFSET + _NAME_BYTES].split(b"\0")[0]
    return VulkanDevice(name.decode(errors="replace"), kind == _SOFTWARE)
