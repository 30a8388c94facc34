"""Fit the laws of accuracy anew to the published rows in ``edgekit/search/accuracy.toml``, in place.

    python tests/benchmarks/fit_accuracy.py

To add a published result, add its row to that file first. Latency is fitted by ``edgekit targets fit``.
"""

from __future__ import annotations

import msgspec

from edgekit.files import write_atomically
from edgekit.search.accuracy import LAWS_FILE, laws
from edgekit.search.accuracy_fit import fit_laws
from report import main, note


def fit() -> None:
    """Write the fitted laws, and say how far each errs on rows left out."""
    fitted = fit_laws(laws())
    write_atomically(LAWS_FILE, msgspec.toml.encode({"laws": [msgspec.to_builtins(law) for law in fitted]}))
    for law in fitted:
        errors = law.leave_one_out
        note(f"{law.reference}: {errors.mean if errors else 0:.3f} points in the mean")


if __name__ == "__main__":
    main(fit)
