"""The on-device runner as the one file that is copied to a device: a Python zip application."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from edgekit.devices import runner
from edgekit.files import write_atomically

__all__ = ["FILE_NAME", "runner_bytes", "write_runner"]

FILE_NAME = "edgekit_runner.pyz"

_MAIN = """import sys

from edgekit.devices.runner.main import main

if __name__ == "__main__":
    sys.exit(main())
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip file's first date, so that equal content is an equal file
_PARENTS = ("edgekit/__init__.py", "edgekit/devices/__init__.py")


def runner_bytes() -> bytes:
    """The application: the modules of :mod:`edgekit.devices.runner` and what starts them."""
    folder = Path(runner.__file__).parent
    content = {"__main__.py": _MAIN, **dict.fromkeys(_PARENTS, "")}
    for path in sorted(folder.glob("*.py")):
        content[f"edgekit/devices/runner/{path.name}"] = path.read_text(encoding="utf-8")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, text in content.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), text)
    return buffer.getvalue()


def write_runner(folder: Path) -> Path:
    """Write the application into ``folder``, unless it is there already, and return its path.

    Raises OutputError.
    """
    path = folder / FILE_NAME
    content = runner_bytes()
    if not path.is_file() or path.read_bytes() != content:
        write_atomically(path, content)
    return path
