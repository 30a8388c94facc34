"""Records: their lines, other versions and kinds, and results files that a crash cut short."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.measure import record
from edgekit.measure.record import AccuracyRecord, LayersRecord, OperatorRow, ProfileRecord, Record
from records import latency_record

_COMMON = {name: getattr(latency_record(), name) for name in Record.__struct_fields__}

RECORDS: dict[str, record.AnyRecord] = {
    "latency": latency_record(sustained=((0.0, 5.0), (1.0, 6.0)), noise=("the load was 3",)),
    "profile": ProfileRecord(
        **_COMMON,
        operators=(
            OperatorRow(
                name="a",
                op="CONV_2D",
                layer=None,
                ms=1.0,
                share=1.0,
                macs=5,
                gmacs_per_s=None,
                delegated=True,
            ),
        ),
        peak_gmacs_per_s=50.0,
        bandwidth_gb_per_s=None,
    ),
    "accuracy": AccuracyRecord(
        **_COMMON, images=10, top1=70.0, top5=None, agreement=None, sqnr_db=30.0, reference=None
    ),
    "layers": LayersRecord(**_COMMON, layers=({"name": "stem", "sqnr_db": 40.0},)),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_is_one_json_line_that_reads_as_it_was(kind: str) -> None:
    line = record.encode(RECORDS[kind])
    assert line.count(b"\n") == 1
    document = json.loads(line)
    assert (document["kind"], document["schema"]) == (kind, record.SCHEMA)
    assert record.decode(line) == RECORDS[kind]


def test_fields_that_a_later_edgekit_adds_are_passed_over() -> None:
    document = {**json.loads(record.encode(latency_record())), "colour": "blue"}
    assert record.decode(json.dumps(document)) == latency_record()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema is 2, expected 1"),
        ({"schema": None}, "Expected `int`"),
        ({"kind": "smell"}, "'smell'"),
        ({"num_threads": "two"}, r"num_threads"),
    ],
)
def test_what_is_no_record_of_this_version_is_named(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    document = {**json.loads(record.encode(latency_record())), **changes}
    path = tmp_path / "results.jsonl"
    path.write_bytes(record.encode(latency_record()) + json.dumps(document).encode() + b"\n")
    with pytest.raises(InputError, match=message) as caught:
        record.read(path)
    assert str(caught.value).startswith(f"{path} line 2: ")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        record.read(tmp_path / "none.jsonl")


_TWO = record.encode(latency_record(id="1")) + record.encode(latency_record(id="2"))


@given(st.integers(0, len(_TWO)))
def test_wherever_a_crash_cuts_a_file_its_whole_records_are_read(
    tmp_path_factory: pytest.TempPathFactory, end: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "results.jsonl"
    path.write_bytes(_TWO[:end])
    whole = len(record.encode(latency_record(id="1")))
    expected = (end >= whole - 1) + (end >= 2 * whole - 1)
    assert [one.id for one in record.read(path)] == ["1", "2"][:expected]


def test_garbage_between_records_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"schema":1,"ki\n' + _TWO)
    with pytest.raises(InputError, match="line 1"):
        record.read(path)


def test_equal_jobs_have_equal_ids_in_whatever_order_they_are_written() -> None:
    job = {"artifact": "ab", "num_threads": 1}
    assert record.job_id(job) == record.job_id(dict(reversed(job.items())))
    assert record.job_id(job) != record.job_id({**job, "num_threads": 2})


def test_the_time_of_a_record_is_utc() -> None:
    offset = datetime.fromisoformat(record.utc_now()).utcoffset()
    assert offset == timedelta(0)
    assert os.linesep not in record.utc_now()
