"""``python -m edgekit`` is ``edgekit``."""

from __future__ import annotations

import sys

from edgekit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
