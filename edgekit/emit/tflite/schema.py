"""The TFLite file schema's classes and the flatbuffer builder, imported in one place.

They come with the runtime package; edgekit writes the lowering, not a serializer.
"""

from __future__ import annotations

from edgekit.errors import MissingExtraError

try:
    import flatbuffers  # type: ignore[import-untyped]
    from ai_edge_litert import schema_py_generated as schema
except ImportError as exc:
    raise MissingExtraError("ai-edge-litert", "", "writing TFLite files") from exc

__all__ = ["flatbuffers", "schema"]
