"""The machine and its state, as far as the system tells; what it does not tell is ``None``."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgekit.devices.runner.failure import FailureError

__all__ = [
    "busy_s",
    "choose_cpus",
    "clock_mhz_of",
    "describe",
    "free_memory_bytes",
    "own_memory_bytes",
    "peak_memory_bytes",
    "state",
    "usable_cpus",
]

_CPUS = Path("/sys/devices/system/cpu")
_LOOK_S = 0.1


def _read(path: Path | str) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip("\0\n ")
    except OSError:
        return None


def _field(path: str, *names: str) -> str | None:
    """The value of the first line ``name : value`` with one of these names."""
    for line in (_read(path) or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return None


def usable_cpus() -> list[int]:
    """Numbers of the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def describe() -> dict[str, Any]:
    """What does not change while measuring."""
    release = dict(
        line.partition("=")[::2] for line in (_read("/etc/os-release") or "").splitlines() if "=" in line
    )
    memory = _field("/proc/meminfo", "MemTotal")
    return {
        "host": platform.node(),
        "cpu": _cpu_name(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": int(memory.split()[0]) * 1024 if memory else None,
        "os": release.get("PRETTY_NAME", "").strip('"') or f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "governor": _read(_CPUS / f"cpu{usable_cpus()[0]}" / "cpufreq" / "scaling_governor"),
    }


def _cpu_name() -> str | None:
    board = _read("/proc/device-tree/model")
    return board or _field("/proc/cpuinfo", "model name", "Model", "Hardware") or platform.processor() or None


def state(cpus: list[int]) -> dict[str, Any]:
    """What may change while measuring, of the given CPUs where it is theirs."""
    return {
        "clock_mhz": clock_mhz_of(cpus),
        "temperature_c": _temperature_c(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "throttle_count": _throttle_count(cpus),
        "throttled": _throttled(cpus),
    }


def clock_mhz_of(cpus: list[int]) -> float | None:
    """The fastest clock of the CPUs now; an idle one may be slow."""
    current = [_read(_CPUS / f"cpu{cpu}" / "cpufreq" / "scaling_cur_freq") for cpu in cpus]
    known = [int(khz) / 1e3 for khz in current if khz and khz.isdigit()]
    if known:
        return max(known)
    mhz = _field("/proc/cpuinfo", "cpu MHz")
    return float(mhz) if mhz else None


def _temperature_c() -> float | None:
    """The hottest of the zones that are the processor's, by their kinds' names."""
    zones = Path("/sys/class/thermal").glob("thermal_zone*")
    is_cpus = ("cpu", "soc", "x86_pkg", "acpitz", "big", "little")
    found = [
        _read(zone / "temp") for zone in zones if (_read(zone / "type") or "").lower().startswith(is_cpus)
    ]
    known = [int(value) / 1e3 for value in found if value and value.lstrip("-").isdigit()]
    return max(known) if known else None


def _throttle_count(cpus: list[int]) -> int | None:
    counts = [_read(_CPUS / f"cpu{cpu}" / "thermal_throttle" / "core_throttle_count") for cpu in cpus]
    known = [int(count) for count in counts if count and count.isdigit()]
    return sum(known) if known else None


_PI_BITS = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}


def _throttled(cpus: list[int]) -> list[str] | None:
    """What holds the processor back, as a Raspberry Pi's firmware or a lowered limit of the clock tells."""
    found: list[str] = []
    flags = _pi_flags()
    if flags is not None:
        found += [name for bit, name in _PI_BITS.items() if flags >> bit & 1]
    limits = [
        (
            _read(_CPUS / f"cpu{cpu}" / "cpufreq" / name) or ""
            for name in ("scaling_max_freq", "cpuinfo_max_freq")
        )
        for cpu in cpus
    ]
    pairs = [(int(now), int(most)) for now, most in limits if now.isdigit() and most.isdigit()]
    found += [f"clock limited to {now // 1000} of {most // 1000} MHz" for now, most in pairs if now < most][
        :1
    ]
    return found if flags is not None or pairs else None


def _pi_flags() -> int | None:
    text = _read("/sys/devices/platform/soc/soc:firmware/get_throttled")
    if text is None and shutil.which("vcgencmd"):
        done = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, check=False)
        text = done.stdout.strip().partition("=")[2]
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None


def busy_s() -> dict[int, float]:
    """Seconds that each CPU has worked since the machine started."""
    ticks = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
    found: dict[int, float] = {}
    for line in (_read("/proc/stat") or "").splitlines():
        name, *values = line.split()
        if name[:3] == "cpu" and name[3:].isdigit():
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(value) for value in values[:8])
            found[int(name[3:])] = (user + nice + system + irq + softirq + steal) / ticks
    return found


def choose_cpus(asked: str, num_threads: int) -> list[int]:
    """The CPUs to stay on: of the fastest kind, the idlest, as many as threads; ``all`` leaves it open."""
    usable = usable_cpus()
    if asked not in ("auto", "all"):
        chosen = [int(cpu) for cpu in asked.split(",")]
        if not set(chosen) <= set(usable):
            raise FailureError("usage", f"CPUs {asked} were given, this process may use {usable}")
        return chosen
    if asked == "all" or num_threads >= len(usable) or not hasattr(os, "sched_setaffinity"):
        return usable
    before = busy_s()
    time.sleep(_LOOK_S)
    after = busy_s()

    def preference(cpu: int) -> tuple[int, float, int]:
        most = _read(_CPUS / f"cpu{cpu}" / "cpufreq" / "cpuinfo_max_freq") or "0"
        # The first CPU is the last choice, because it serves most interrupts.
        return -int(most), round(after.get(cpu, 0.0) - before.get(cpu, 0.0), 1), -cpu

    return sorted(sorted(usable, key=preference)[:num_threads])


def peak_memory_bytes() -> int | None:
    """The most memory that this process has had."""
    peak = _field("/proc/self/status", "VmHWM")
    if peak:
        return int(peak.split()[0]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def own_memory_bytes() -> int | None:
    """Memory that this process shares with no file, as far as it is in use now."""
    own = _field("/proc/self/status", "RssAnon")
    return int(own.split()[0]) * 1024 if own else None


def free_memory_bytes() -> int | None:
    """Memory that a new process can have."""
    available = _field("/proc/meminfo", "MemAvailable")
    return int(available.split()[0]) * 1024 if available else None
