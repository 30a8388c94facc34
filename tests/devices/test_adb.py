"""Phones by adb: what is asked of a stand-in for ``adb``, and what its answers become."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgekit.devices import open_device
from edgekit.errors import DeviceError, DeviceLostError, InputError, ModelFileError, UnsupportedError
from edgekit.measure.session import Protocol, check, measure

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")

ADB = """#!/bin/sh
# Runs shell commands in the folder PHONE instead of on a phone.
echo "$@" >> "$PHONE/log"
[ "$1" = -s ] && shift 2
if [ -e "$PHONE/fail" ]; then cat "$PHONE/fail" >&2; exit 1; fi
case "$1" in
  push) cp "$2" "$PHONE$3";;
  shell)
    shift
    echo "$*" | sed "s#/data/local/tmp#$PHONE/data/local/tmp#g" > "$PHONE/script"
    sh "$PHONE/script" > "$PHONE/output"
    code=$?
    sed "s#$PHONE##g" "$PHONE/output"
    exit $code;;
esac
"""

TOOL = """#!/bin/sh
case "$1" in --help) exit 0;; esac
echo "INFO: STARTING!"
echo "$@" >> "$PHONE/calls"
echo "count=3 first=9000 curr=5100 min=5000 max=9000 avg=6300 std=10"
echo "count=5 first=5000 curr=5100 min=4900 max=5200 avg=5050 std=80 p5=4900 median=5040 p95=5200"
timings="Init: 4302, First inference: 9000, Warmup (avg): 6300, Inference (avg): 5050"
echo "INFO: Inference timings in us: $timings"
echo "INFO: Memory footprint delta from the start of the tool (MB): init=1.5 overall=8.25"
"""


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the phone."""
    folder = tmp_path / "phone"
    (folder / "data" / "local" / "tmp").mkdir(parents=True)
    for name, text in (("adb", ADB), ("benchmark_model", TOOL), ("getprop", "#!/bin/sh\necho $1\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PHONE", str(folder))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def name(tmp_path: Path) -> str:
    return f"adb:SERIAL?benchmark_model={tmp_path / 'benchmark_model'}"


@pytest.fixture
def tflite(tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"TFL3")
    return path


def test_each_call_of_the_tool_is_a_sample(phone: Path, name: str, tflite: Path) -> None:
    (found,) = measure(open_device(name), [tflite], Protocol(num_threads=4))
    assert found.samples_ms == pytest.approx([5.04] * 10)
    assert (found.load_ms, found.first_inference_ms) == (4.302, 9.0)
    assert found.peak_memory_bytes == 8.25 * 2**20
    assert found.machine["machine"] == "ro.product.cpu.abi"
    assert "50 inferences in 10 calls" in found.warnings[0]
    assert all("--num_threads=4" in line for line in (phone / "calls").read_text().splitlines())


def test_the_serial_number_is_given_to_every_call(phone: Path, name: str, tflite: Path) -> None:
    measure(open_device(name), [tflite], Protocol(num_runs=20))
    lines = (phone / "log").read_text().splitlines()
    assert all(line.startswith("-s SERIAL ") for line in lines if " shell " in line or " push " in line)
    assert sum(" push " in line for line in lines) == 2
    assert all("--num_runs=2 " in line for line in (phone / "calls").read_text().splitlines())


def test_files_take_turns(phone: Path, name: str, tflite: Path) -> None:
    other = tflite.with_name("other.tflite")
    other.write_bytes(b"TFL3 too")
    measure(open_device(name), [tflite, other], Protocol())
    graphs = [line.split()[0].rpartition("/")[2] for line in (phone / "calls").read_text().splitlines()]
    assert graphs == ["net.tflite", "other.tflite"] * 10


def test_a_check_runs_the_tool(phone: Path, name: str) -> None:
    assert check(open_device(name))["packages"] == {"benchmark_model": "there"}


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ("adb: no devices/emulators found", DeviceError, "cannot be reached"),
        ("error: device 'SERIAL' not found", DeviceError, "cannot be reached"),
        ("error: device unauthorized.", DeviceError, "cannot be reached"),
        ("error: closed", DeviceLostError, "was cut"),
        ("sh: benchmark_model: not executable: 64-bit ELF file", DeviceError, "for another processor"),
        ("adb: error: failed to copy: remote No space left on device", DeviceError, "No space left"),
    ],
)
def test_what_adb_says_becomes_one_sentence(
    phone: Path, name: str, tflite: Path, said: str, error: type[DeviceError], message: str
) -> None:
    (phone / "fail").write_text(said)
    with pytest.raises(DeviceError, match=message) as caught:
        measure(open_device(name), [tflite], Protocol())
    assert type(caught.value) is error


def test_a_model_that_the_tool_refuses_is_named(phone: Path, name: str, tflite: Path, tmp_path: Path) -> None:
    (tmp_path / "benchmark_model").write_text("#!/bin/sh\necho ERROR: Failed to initialize interpreter\n")
    with pytest.raises(ModelFileError, match=r"cannot run net\.tflite: ERROR: Failed"):
        measure(open_device(name), [tflite], Protocol())


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ("echo sh: not executable: 64-bit ELF file; exit 126", "for another processor"),
        ("kill -9 $$", "memory runs out"),
        ("echo nothing of use", "nothing of use"),
    ],
)
def test_a_tool_that_fails_there_is_told_apart(
    phone: Path, name: str, tflite: Path, tmp_path: Path, tool: str, message: str
) -> None:
    (tmp_path / "benchmark_model").write_text(f"#!/bin/sh\n{tool}\n")
    with pytest.raises(DeviceError, match=message):
        measure(open_device(name), [tflite], Protocol())


def test_sustained_runs_are_refused(phone: Path, name: str, tflite: Path) -> None:
    with pytest.raises(UnsupportedError, match="no sustained runs"):
        measure(open_device(name), [tflite], Protocol(sustained_s=10.0))


def test_other_formats_are_refused(phone: Path, name: str, model: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"only \.tflite files"):
        measure(open_device(name), [model], Protocol())


def test_the_tools_path_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs LiteRT's benchmark_model"):
        open_device("adb:SERIAL")
    monkeypatch.setenv("EDGEKIT_BENCHMARK_MODEL", __file__)
    assert open_device("adb:SERIAL").harness == "benchmark_model"
