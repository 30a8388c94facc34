"""What a report says, in every form, and what it answers to bad input."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekit.cli.main import main
from edgekit.errors import InputError, MissingExtraError
from edgekit.measure.record import AnyRecord, LatencyRecord
from edgekit.report.runs import join, wilson
from edgekit.report.verdict import answers
from edgekit.reporting import ReportOptions, report
from made_records import accuracy, everything, latency

Write = Callable[..., Path]


def said(records: list[Any]) -> Any:
    (answer,) = answers(join(records))
    return answer


def test_the_fastest_of_the_accurate_enough_is_shipped_with_what_it_gains_and_costs() -> None:
    answer = said(
        [
            latency(20.0, precision="fp32"),
            accuracy(72.0, precision="fp32"),
            latency(10.0),
            accuracy(71.5),
            latency(5.0, model="squeezenet1_1"),
            accuracy(58.0, model="squeezenet1_1"),
        ]
    )
    assert answer.headline == "Ship mobilenet_v2_int8.tflite"
    assert "Of 3 files with a measured top-1, 2 are within 1 point of the best" in answer.reason
    assert "10.0 ms (95 % CI 9.80 to 10.3)" in answer.reason
    assert answer.gained.replace("\u00a0", " ").startswith(
        "2.00 × as fast as its fp32 file (20.0 to 10.0 ms) and 4.00 ×"
    )
    assert answer.lost.startswith(
        "0.50 points of top-1 lost: 72.00 to 71.50 % on 1,000 images, within chance"
    )
    assert answer.others == (
        "squeezenet1_1_int8.tflite: 5.00 ms instead of 10.0, 13.50 points less top-1.",
        "mobilenet_v2_fp32.tflite: 20.0 ms instead of 10.0, 0.50 points more top-1.",
    )


def test_a_tolerance_of_nothing_ships_the_most_accurate() -> None:
    records: list[AnyRecord] = [
        latency(20.0, precision="fp32"),
        accuracy(72.0, precision="fp32"),
        latency(10.0),
        accuracy(71.5),
    ]
    (answer,) = answers(join(records), max_drop=0)
    assert answer.headline == "Ship mobilenet_v2_fp32.tflite"


def test_random_weights_noise_and_emulation_are_said_where_they_matter() -> None:
    model = msgspec.structs.replace(latency().model or pytest.fail("no model"), weights="random")
    record = latency(10.0, noisy=True, emulated=True)
    record = msgspec.structs.replace(record, model=model)
    answer = said([record, msgspec.structs.replace(accuracy(0.1), model=model)])
    assert "is the fastest" in answer.headline  # its accuracy means nothing
    assert (
        len(
            [
                note
                for note in answer.notes
                if "random weights" in note or "noisy" in note or "emulated" in note
            ]
        )
        == 3
    )


def test_latest_measurement_stands() -> None:
    (run,) = join([latency(10.0), latency(12.0)])
    assert (run.median_ms, run.repeats) == (12.0, 2)


def test_wilson_interval_is_the_published_example() -> None:
    # 81 of 263, in Newcombe (1998), Statistics in Medicine 17, table I, method 3
    low, high = wilson(100 * 81 / 263, 263)
    assert (low, high) == pytest.approx((25.53, 36.62), abs=0.01)


def test_two_machines_get_two_answers(write: Write, tmp_path: Path) -> None:
    other = msgspec.structs.replace(latency(), target="pixel4", device="phone")
    result = report([write([latency(), other])], tmp_path / "report.md")
    assert [answer.place for answer in result.document.answers] == ["bench", "pixel4 by bench"]
    assert "latencies compare within one of them only" in result.document.notes[0]


def test_csv_and_json_have_the_records(write: Write, tmp_path: Path) -> None:
    records = everything()
    path = write(records)
    text = report([path], tmp_path / "report.csv").path.read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(text.splitlines()) if row["kind"] == "latency"]
    timed = [one for one in records if isinstance(one, LatencyRecord)]
    assert [float(row["latency_ms.median"]) for row in rows] == [one.latency_ms.median for one in timed]
    assert [row["artifact"] for row in rows] == [one.artifact for one in timed]
    found = json.loads(report([path], tmp_path / "report.json").path.read_text(encoding="utf-8"))
    assert found["records"] == [json.loads(msgspec.json.encode(one)) for one in records]
    assert found["answers"][0]["answer"].startswith("Ship ")


def test_markdown_escapes_what_names_may_hold(write: Write, tmp_path: Path) -> None:
    record = msgspec.structs.replace(latency(), artifact="out/a|b*<img src=x>_.tflite", model=None)
    text = report([write([record])], tmp_path / "report.md").path.read_text(encoding="utf-8")
    assert r"a\|b\*\<img src=x\>\_.tflite" in text
    assert "<img" not in text.replace(r"\<img", "").split("```")[0]


def test_a_comparison_says_what_became_slower(write: Write, tmp_path: Path) -> None:
    old = write([latency(10.0), latency(20.0, precision="fp32")], "old.jsonl")
    new = write([latency(15.0), latency(20.0, precision="fp32")], "new.jsonl")
    result = report([old, new], tmp_path / "report.html", ReportOptions(compare=True))
    (answer,) = result.document.answers
    assert answer.headline == "1 of 2 files became slower"
    assert "mobilenet_v2_int8.tflite, 1.50 × the time" in answer.reason
    same = report([old, old], tmp_path / "report.md", ReportOptions(compare=True))
    assert same.document.answers[0].headline == "Nothing became slower"
    assert same.document.answers[0].notes == ()
    noisy = write([latency(10.0, noisy=True)], "noisy.jsonl")
    hidden = report([old, noisy], tmp_path / "report.md", ReportOptions(compare=True))
    assert hidden.document.answers[0].notes[0].startswith("1 file called the same was noisy")


def test_a_comparison_fails_over_a_limit_by_the_rule_of_benchmarks(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = latency(15.0), latency(20.0, precision="fp32")
    fast = latency(10.0), latency(20.0, precision="fp32")
    old, new = write(fast, "old.jsonl"), write(slow, "new.jsonl")
    page = str(tmp_path / "report.md")
    common = ["report", "--compare", str(old), str(new), "-o", page]
    assert main([*common, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["path"], said["records"], said["regressions"]) == (page, 4, [])
    assert said["answers"][0]["answer"] == "1 of 2 files became slower"
    assert main([*common, "--fail-over", "80%"]) == 0
    capsys.readouterr()
    assert main([*common, "--fail-over", "5%"]) == 1
    assert "mobilenet_v2_int8.tflite takes 15.000 ms, " in capsys.readouterr().err
    assert Path(page).is_file()
    assert main(["report", str(old), "-o", page, "--fail-over", "5%"]) == 2
    assert "add --compare" in capsys.readouterr().err
    other = write([latency(10.0, model="squeezenet1_1")], "other.jsonl")
    assert main(["report", "--compare", str(old), str(other), "-o", page, "--fail-over", "5%"]) == 2
    assert "no file was timed in both" in capsys.readouterr().err


def test_agreement_without_labels_leaves_the_accuracy(write: Write, tmp_path: Path) -> None:
    compared = msgspec.structs.replace(accuracy(None), top5=None, agreement=91.25)
    (run,) = join([latency(10.0), accuracy(71.5), compared])
    assert run.top1 is not None
    assert (run.top1.value, run.top1.is_measured) == (71.5, True)
    page = report([write([latency(10.0), accuracy(71.5), compared])], tmp_path / "report.md").path
    assert "| 71.50 | 91.25 |" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there are no records in"),
        (b'{"kind":"latency","sch', "there are no records in"),
        (b'{"schema":99,"kind":"latency"}\n', "line 1: schema is 99, expected 1"),
        (b"no json\n", "line 1: not a record of edgekit"),
    ],
)
def test_bad_files_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        report([path], tmp_path / "report.html")


def test_a_cut_last_line_is_left_out_and_said(write: Write, tmp_path: Path) -> None:
    path = write([latency()])
    path.write_bytes(path.read_bytes() + b'{"kind":"latency","sch')
    result = report([path], tmp_path / "report.md")
    assert result.records == 1
    assert "was cut short" in result.warnings[0]


def test_an_unknown_suffix_and_a_lone_comparison_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected one of \.html, \.md, \.csv, \.json"):
        report([write([latency()])], tmp_path / "report.pdf")
    with pytest.raises(InputError, match="expected two"):
        report([write([latency()])], tmp_path / "report.md", ReportOptions(compare=True))


@pytest.mark.parametrize(("package", "name"), [("jinja2", "jinja2"), ("vl_convert", "vl-convert-python")])
def test_a_missing_package_names_the_extra(
    package: str, name: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=f"needs the package {name}") as caught:
        report([write([latency()])], tmp_path / "report.html")
    assert "edgekit[report]" in caught.value.hint
