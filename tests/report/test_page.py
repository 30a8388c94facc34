"""The page in a browser: its numbers are the records', it works, it asks nobody, and everyone can read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekit.measure.record import AccuracyRecord, AnyRecord, LatencyRecord, encode
from edgekit.report.html import FIRST_ROWS
from edgekit.reporting import report
from made_records import everything, latency, many

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>.tflite"
DRAWN_AT_ONCE = ".part > .beside .chart"
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("page"), everything())


def made(folder: Path, records: list[Any]) -> Path:
    results = folder / "results.jsonl"
    results.write_bytes(b"".join(map(encode, records)))
    return report([results], folder / "report.html").path


Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """Open a page, scrolled to its end so that every chart is drawn; nothing may be logged or requested."""
    complaints: list[str] = []
    contexts = []

    def open_page(path: Path, width: int = 1400, scheme: str = "light", *, scroll: bool = True) -> Any:
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: complaints.append(request.url) if request.url != path.as_uri() else None,
        )
        page.goto(path.as_uri())
        if scroll:
            for chart in page.locator(DRAWN_AT_ONCE).all():
                # Not Playwright's own way, which waits until charts above have stopped moving it.
                chart.evaluate("one => one.scrollIntoView()")
                page.wait_for_function("one => one.dataset.drawn", arg=chart.element_handle())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def cells(page: Any, key: str) -> list[list[str]]:
    rows: list[list[str]] = page.eval_on_selector_all(
        f"[data-table='{key}'] tbody tr",
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))",
    )
    return rows


def test_numbers_are_those_of_the_records(page_path: Path, visit: Open) -> None:
    page = visit(page_path)
    records: list[AnyRecord] = everything()
    medians = {
        Path(one.artifact).name: one.latency_ms
        for one in records
        if isinstance(one, LatencyRecord) and not one.sustained
    }
    tops = {Path(one.artifact).name: one.top1 for one in records if isinstance(one, AccuracyRecord)}
    rows = cells(page, "measurements")
    assert {row[0] for row in rows} == set(medians)
    assert len(rows) == 24
    for row in rows:
        summary, top1 = medians[row[0]], tops[row[0]]
        assert float(row[6]) == pytest.approx(summary.median, abs=0.06)
        assert [float(word) for word in row[7].split(" to ")] == pytest.approx(summary.ci95, abs=0.06)
        assert float(row[8]) == pytest.approx(summary.p90, abs=0.06)
        assert top1 is not None
        assert float(row[11]) == pytest.approx(top1, abs=0.006)
    exact = page.evaluate("JSON.parse(document.getElementById('tables').textContent).measurements.rows")
    assert {row[0]: row[6][1] for row in exact} == {name: one.median for name, one in medians.items()}
    drawn = page.evaluate(
        "JSON.parse(document.getElementById('charts').textContent)['latency-0'].datasets.rows"
    )
    assert {row["file"]: row["median"] for row in drawn} == {
        name: one.median for name, one in medians.items()
    }


def test_sorting_and_filtering(page_path: Path, visit: Open) -> None:
    page = visit(page_path, scroll=False)
    table = page.locator("[data-table='measurements']")
    head = table.locator("thead th", has_text="median ms")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    falling = [float(row[6]) for row in cells(page, "measurements")]
    assert falling == sorted(falling, reverse=True)
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(row[6]) for row in cells(page, "measurements")] == falling[::-1]
    table.locator("input").fill("squeezenet INT8")
    assert {row[0].split(".")[0] for row in cells(page, "measurements")} == {"squeezenet1_1_int8"}
    assert table.locator("[role=status]").inner_text() == "3 rows"
    table.locator("input").fill("")
    assert len(cells(page, "measurements")) == 24


def test_charts_follow_choices_and_the_window(page_path: Path, visit: Open) -> None:
    page = visit(page_path)
    chart = page.locator("[data-chart='layers-0']")
    before = chart.inner_html()
    page.locator("#layers-0 select").select_option("ms")
    page.wait_for_timeout(300)
    assert chart.inner_html() != before
    page.set_viewport_size({"width": 800, "height": 900})
    page.wait_for_timeout(500)
    assert page.locator("[data-chart='memory'] svg").bounding_box()["width"] < 760
    page.locator("[data-chart='memory'] .mark-rect path").first.hover()
    page.wait_for_selector("#vg-tooltip-element.visible")


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_nothing_is_wider_than_the_screen_and_colours_follow(
    page_path: Path, visit: Open, width: int, scheme: str
) -> None:
    page = visit(page_path, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    red = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    label = page.evaluate("getComputedStyle(document.querySelector('.chart .role-axis-label text')).fill")
    assert (red > 200, int(re.findall(r"\d+", label)[0]) > 128) == (
        (True, False) if scheme == "light" else (False, True)
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_serious_finding(page_path: Path, visit: Open, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra 'dev'")
    page = visit(page_path, 1400, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((element) => { element.open = true; })")
    found = axe.Axe().run(page).response["violations"]
    serious = {
        one["id"]: [node["html"][:200] for node in one["nodes"][:3]]
        for one in found
        if one["impact"] in SERIOUS
    }
    assert serious == {}


def test_markup_in_names_stays_text(tmp_path: Path, visit: Open) -> None:
    record = msgspec.structs.replace(
        latency(),
        artifact=f"out/{HOSTILE}",
        model=None,
        environment=msgspec.structs.replace(latency().environment, host=HOSTILE),
    )
    page = visit(made(tmp_path, [record]))
    assert page.evaluate("window.hacked") is None
    assert cells(page, "measurements")[0][0].endswith("onerror=window.hacked=1>.tflite")
    assert page.locator("img").count() == 0


def test_ten_thousand_records(tmp_path: Path, visit: Open) -> None:
    path = made(tmp_path, many(10_000))
    assert path.stat().st_size < 6_000_000
    page = visit(path, scroll=False)
    table = page.locator("[data-table='measurements']")
    assert table.locator("[role=status]").inner_text() == f"{FIRST_ROWS} of 8,000 rows"
    page.locator("[data-table='measurements'] input").fill("net9998")
    assert [row[0] for row in cells(page, "measurements")] == ["net9998.tflite"]
    page.locator("[data-table='measurements'] input").fill("")
    assert len(cells(page, "measurements")) == FIRST_ROWS
    page.locator("[data-table='measurements'] .more").click()
    names = [row[0] for row in cells(page, "measurements")]
    assert len(names) == len(set(names)) == FIRST_ROWS + 200


def test_the_page_without_data_is_small(tmp_path: Path) -> None:
    assert made(tmp_path, [latency()]).stat().st_size < 2_000_000
