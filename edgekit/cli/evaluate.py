"""``edgekit evaluate``."""

from __future__ import annotations

import edgekit
from edgekit.cli import console
from edgekit.cli.arguments import Artifact, Data, Json
from edgekit.cli.progress import watch

__all__ = ["app"]

app = console.new_app()


@app.command()
def _evaluate(artifact: Artifact, data: Data, json: Json = False) -> None:
    """Accuracy of an exported file, run by its own runtime, on labelled images."""
    with watch() as progress:
        result = edgekit.evaluate(artifact, data, progress=progress)
    if result.skipped:
        console.warn(f"{result.skipped} image files could not be read")
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
