"""Disjoint sets of names."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Groups"]


class Groups:
    """Names that are joined two at a time (union-find), in order of first appearance."""

    def __init__(self, names: Iterable[str]) -> None:
        self._parent = {name: name for name in names}

    def _root(self, name: str) -> str:
        while self._parent[name] != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name

    def join(self, one: str, other: str) -> None:
        """From now on, these two and all that either was joined with are one set."""
        self._parent[self._root(other)] = self._root(one)

    def members(self) -> tuple[tuple[str, ...], ...]:
        """Every set."""
        groups: dict[str, list[str]] = {}
        for name in self._parent:
            groups.setdefault(self._root(name), []).append(name)
        return tuple(tuple(group) for group in groups.values())
