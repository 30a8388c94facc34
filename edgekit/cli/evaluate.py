"""``edgekit evaluate``."""

from __future__ import annotations

import edgekit
from edgekit.cli import console
from edgekit.cli.arguments import Artifact, Data, Json, Results
from edgekit.cli.progress import watch
from edgekit.report.wording import counted

__all__ = ["app"]

app = console.new_app()


@app.command()
def _evaluate(artifact: Artifact, data: Data, out: Results = None, json: Json = False) -> None:
    """Accuracy of an exported file, run by its own runtime, on labelled images."""
    with watch() as progress:
        result = edgekit.evaluate(artifact, data, progress=progress)
    if out is not None:
        from edgekit.measure.results_file import append  # only where a file is asked for
        from edgekit.recording import accuracy_record

        append(out, accuracy_record(result, data))
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
