"""How long a report of many records takes to write, and to answer in a browser.

    python tests/benchmarks/big_report.py [--records N] [--json]

The report is written by ``edgekit report`` in a process of its own, with what it imports; its time is that of
the processor. The page is opened by the system's Chromium, where there is one, and its
largest table is sorted and filtered; the times are those of the page's own script with what it lays out.
All are the least of three.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import children
from edgekit.cli.console import Column
from edgekit.measure.record import encode
from made_records import many
from report import Claim, Show, main, note, this_machine

_TURNS = 3
_SETTLE_MS = 1500  # until the charts in view are drawn
_COLUMNS = (Column("what"), Column("measured", is_number=True))
# From before the event until the page has been laid out with what it changed.
_TIMED = """([selector, name, value]) => {
  const element = document.querySelector(selector);
  const start = performance.now();
  if (value !== null) element.value = value;
  element.dispatchEvent(new Event(name, { bubbles: true }));
  document.body.getBoundingClientRect();
  return performance.now() - start;
}"""
_ACTIONS = {
    "sort by a number": ("thead th:nth-child(7) button", "click", None),
    "sort by a name": ("thead th:nth-child(1) button", "click", None),
    "filter by a word": ("input", "input", "net99"),
    "filter by nothing": ("input", "input", ""),
    "show more": (".more", "click", None),
}


@dataclass(frozen=True)
class Row:
    """One number."""

    what: str
    measured: str

    def cells(self) -> tuple[str, ...]:
        return self.what, self.measured


def _measure() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    machine = this_machine()
    with tempfile.TemporaryDirectory() as folder:
        results, page = Path(folder, "big.jsonl"), Path(folder, "big.html")
        results.write_bytes(b"".join(map(encode, many(given.records))))
        note(f"writing a report of {given.records:,} records")
        command = [sys.executable, "-m", "edgekit", "report", str(results), "-o", str(page)]
        done = min((children.run(command) for _ in range(_TURNS)), key=lambda one: one.cpu_s)
        size = page.stat().st_size
        opened_ms, actions_ms = _in_browser(page)
    rows = [
        Row("processor time", f"{done.cpu_s:.2f} s"),
        Row("wall time", f"{done.wall_s:.2f} s"),
        Row("peak memory", f"{done.peak_rss_bytes / 1e6:.0f} MB"),
        Row("page", f"{size / 1e6:.2f} MB"),
        *(Row(what, f"{ms:.0f} ms") for what, ms in (opened_ms | actions_ms).items()),
    ]
    claims = [Claim(f"seconds for {given.records:,} records", done.cpu_s, "≤", 3.0)]
    if actions_ms:
        claims.append(Claim("slowest answer of the page, ms", max(actions_ms.values()), "≤", 200))
    Show(machine, _COLUMNS, rows, claims).conclude(as_json=given.json)


def _in_browser(page: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds until the page is open, and of each action; nothing without Chromium."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        note("no Chromium here, so the page is not opened")
        return {}, {}
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab: Any = browser.new_page()
        tab.goto(page.as_uri())
        opened = (
            "(() => { const [one] = performance.getEntriesByType('navigation'); return one.loadEventEnd; })()"
        )
        opened_ms = {"open the page": float(tab.evaluate(opened))}
        tab.wait_for_timeout(_SETTLE_MS)
        found = {}
        for what, (selector, event, value) in _ACTIONS.items():
            place = f"[data-table='measurements'] {selector}"
            found[what] = min(float(tab.evaluate(_TIMED, [place, event, value])) for _ in range(_TURNS))
        browser.close()
    return opened_ms, found


if __name__ == "__main__":
    main(_measure)
