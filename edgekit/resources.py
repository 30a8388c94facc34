"""Where data files are found: targets and calibration recipes, one TOML file each.

A name is looked up in this order, and the first match counts: an explicit path, the user's folder, the
data inside the installed package, the folder of a source checkout. So a user's file replaces one of
ours by bearing its name.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal, TypeVar

from edgekit.errors import InputError, UnknownNameError

__all__ = ["Kind", "cache_folder", "find", "is_path", "names", "read_toml", "user_folder"]

Kind = Literal["targets", "calibration"]
T = TypeVar("T")

_PACKAGE = Path(__file__).resolve().parent
_SINGULAR: dict[Kind, str] = {"targets": "target", "calibration": "calibration recipe"}


def find(kind: Kind, name: str | Path) -> Path:
    """The TOML file of that name, or the path itself where ``name`` is one (``./mine.toml``).

    Raises InputError for a path that does not exist, UnknownNameError for a name that is nowhere.
    """
    if is_path(name):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"{path} is not a file, expected a {_SINGULAR[kind]}'s TOML file")
        return path
    known = names(kind)
    if str(name) not in known:
        raise UnknownNameError(_SINGULAR[kind], str(name), known)
    return known[str(name)]


def is_path(name: str | Path) -> bool:
    """Whether ``name`` is meant as a path: a Path, something with a folder in it, or ``….toml``."""
    text = str(name)
    return isinstance(name, Path) or text.endswith(".toml") or "/" in text or os.sep in text


def names(kind: Kind) -> dict[str, Path]:
    """Every name of that kind and its file, sorted by name."""
    found: dict[str, Path] = {}
    for folder in _folders(kind):
        for path in folder.glob("*.toml"):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def read_toml(path: Path, type_: type[T]) -> T:
    """Read ``path`` as ``type_``, a msgspec struct or a dataclass.

    Raises InputError, naming the key, for a file that cannot be read or does not fit.
    """
    import msgspec  # here, because commands that only look for folders start faster without it

    try:
        return msgspec.toml.decode(path.read_bytes(), type=type_)
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise InputError(f"{path} cannot be used: {exc}") from exc


def user_folder(kind: Kind) -> Path:
    """The folder of the user's own files; ``EDGEKIT_CONFIG`` moves its parent. It may not exist yet."""
    return _base_folder("EDGEKIT_CONFIG", "XDG_CONFIG_HOME", "APPDATA", ".config") / kind


def cache_folder() -> Path:
    """The folder of downloaded files; ``EDGEKIT_CACHE`` moves it. It may not exist yet."""
    return _base_folder("EDGEKIT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA", ".cache")


def _base_folder(own: str, posix: str, windows: str, fallback: str) -> Path:
    if os.environ.get(own):
        return Path(os.environ[own])
    shared = os.environ.get(windows if sys.platform == "win32" else posix)
    return (Path(shared) if shared else Path.home() / fallback) / "edgekit"


def _folders(kind: Kind) -> tuple[Path, ...]:
    checkout = _PACKAGE.parent
    own = [checkout / kind] if (checkout / "pyproject.toml").is_file() else []
    return (user_folder(kind), _PACKAGE / "data" / kind, *own)
