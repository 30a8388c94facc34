"""``edgekit evaluate``."""

from __future__ import annotations

import edgekit
from edgekit.cli import console
from edgekit.cli.arguments import Artifact, Data, Json, Results
from edgekit.cli.progress import watch
from edgekit.cli.recorded import record_accuracy
from edgekit.report.wording import counted

__all__ = ["app"]

app = console.new_app()


@app.command()
def _evaluate(artifact: Artifact, data: Data, out: Results = None, json: Json = False) -> None:
    """Accuracy of an exported file, run by its own runtime, on labelled images."""
    with watch() as progress:
        result = edgekit.evaluate(artifact, data, progress=progress)
    record_accuracy(out, result, data)
    if result.skipped:
        console.warn(f"{counted(result.skipped, 'image file')} could not be read")
    if json:
        console.print_json(result.to_json())
        return
    console.print_fields(
        {
            "artifact": result.artifact,
            "images": result.images,
            "top-1": f"{result.top1:.2f} %",
            "top-5": f"{result.top5:.2f} %",
        }
    )
