"""``-o results.jsonl`` of the verbs that find an accuracy."""

from __future__ import annotations

from pathlib import Path

from edgekit.results import Comparison, Evaluation

__all__ = ["record_accuracy"]


def record_accuracy(out: Path | None, result: Evaluation | Comparison, data: Path) -> None:
    """Add what was found with the images in ``data`` to the results file, where one was asked for."""
    if out is None:
        return
    from edgekit.measure.results_file import append  # only where a file is asked for
    from edgekit.recording import accuracy_record

    append(out, accuracy_record(result, data))
