"""Vega-Lite in few words: fields, colours and layers as the plain objects that its library draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

__all__ = ["Spec", "coded", "colored", "field", "layer", "log_scale", "tooltips"]

Spec: TypeAlias = dict[str, Any]
"""A part of a Vega-Lite object."""

_TYPES = {"Q": "quantitative", "N": "nominal", "O": "ordinal"}


def field(shorthand: str, **options: Any) -> Spec:
    """A channel that shows a field: ``"ms:Q"`` is quantitative, ``:N`` nominal, ``:O`` ordinal."""
    name, _, kind = shorthand.partition(":")
    return {"field": name, **({"type": _TYPES[kind]} if kind else {}), **options}


def coded(shorthand: str, codes: Mapping[str, str], **options: Any) -> Spec:
    """A channel that shows each name as its code, with a legend that has no title."""
    scale = {"domain": list(codes), "range": list(codes.values())}
    return field(shorthand, title=None, scale=scale, **options)


def colored(name: str, colors: Mapping[str, str], **options: Any) -> Spec:
    """The colour of a mark by the nominal field ``name``."""
    return coded(f"{name}:N", colors, **options)


def tooltips(*shorthands: str, format: str | None = None) -> list[Spec]:
    """What is shown of a mark under the pointer; ``format`` is of the numbers."""
    return [field(one, **({"format": format} if format and one.endswith(":Q") else {})) for one in shorthands]


def log_scale(padding: float | None = None, **options: Any) -> Spec:
    """A logarithmic scale that ends where the data does, and ``padding`` pixels beyond."""
    return {"type": "log", "nice": False, **({} if padding is None else {"padding": padding}), **options}


def layer(data: str, mark: str, encodings: Iterable[Mapping[str, Any]], **options: Any) -> Spec:
    """Marks for the rows of the data set ``data``; later ``encodings`` replace channels of earlier ones."""
    channels: Spec = {}
    for one in encodings:
        channels |= one
    return {"data": {"name": data}, "mark": {"type": mark, **options}, "encoding": channels}
