# SPDX-License-Identifier: MIT
"""Owns what a service costs: what the kernel says of its control group -> processor time, memory.

Pure. READ is the script that asks, for the root shell of the test flavour; it starts nothing in the
groups that it reads. The processor time of a group has that of its processes that ended, too: an
agent that runs a program each second pays for it (cgroup-v2.rst, cpu.stat).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Processes end while they are read; what is gone costs no memory.
READ = r"""
cd /sys/fs/cgroup/system.slice
echo "uptime $(cut -d ' ' -f 1 /proc/uptime)"
for unit in haagent.service heartbeat.service $(ls -d system-console.slice/*.service); do
    echo "unit ${unit##*/}"
    grep ^usage_usec "$unit/cpu.stat"
    for pid in $(cat "$unit/cgroup.procs"); do
        { echo "process $pid $(tr '\0' ' ' </proc/$pid/cmdline)"; cat /proc/$pid/smaps_rollup; } \
            2>/dev/null
    done
done
true
"""
ENTRY = re.compile(
    r"^(?P<kind>uptime|unit|usage_usec|process|Rss:|Pss:) +(?P<rest>.*)$", re.MULTILINE
)
KIB = 1024


@dataclass(frozen=True, slots=True)
class Process:
    """RSS and PSS in bytes; PSS counts a page that several share in parts (proc_pid_smaps(5))."""

    pid: int
    command: str
    rss: int
    pss: int


@dataclass(frozen=True, slots=True)
class Service:
    """USED is seconds of processor time since the service started."""

    used: float
    processes: tuple[Process, ...]

    @property
    def rss(self) -> int:
        return sum(process.rss for process in self.processes)

    @property
    def pss(self) -> int:
        return sum(process.pss for process in self.processes)


@dataclass(frozen=True, slots=True)
class Reading:
    """One machine at one moment. AT is seconds since it was started."""

    at: float
    services: dict[str, Service]

    def of(self, pattern: str) -> Service:
        """All services together whose names match PATTERN. Raises LookupError when none does."""
        found = [what for name, what in self.services.items() if re.fullmatch(pattern, name)]
        if not found:
            raise LookupError(f"no service is called {pattern!r}: {sorted(self.services)}")
        processes = tuple(process for service in found for process in service.processes)
        return Service(sum(service.used for service in found), processes)


def parse(text: str) -> Reading:
    """What READ printed. Raises ValueError when it was cut short."""
    at = 0.0
    services: dict[str, Service] = {}
    name, used = "", 0.0
    process: list[str] = []
    processes: list[Process] = []
    rss = 0
    for found in ENTRY.finditer(text):
        kind, rest = found["kind"], found["rest"]
        match kind:
            case "uptime":
                at = float(rest)
            case "unit":
                name, used, processes = rest, 0.0, []
            case "usage_usec":
                used = int(rest) / 1e6
                services[name] = Service(used, ())
            case "process":
                process = rest.split(" ", 1)
            case "Rss:":
                rss = _bytes(rest)
            case "Pss:":
                processes.append(Process(int(process[0]), process[-1].strip(), rss, _bytes(rest)))
                services[name] = Service(used, tuple(processes))
    if not at or not services or any(not service.used for service in services.values()):
        raise ValueError(f"not a whole reading: {text[-200:]!r}")
    return Reading(at, services)


def _bytes(text: str) -> int:
    """`12345 kB`."""
    return int(text.removesuffix("kB")) * KIB


def without(service: Service, commands: Iterable[str]) -> Service:
    """SERVICE without the memory of processes whose program is one of COMMANDS."""
    names = set(commands)
    kept = (one for one in service.processes if program(one) not in names)
    return Service(service.used, tuple(kept))


def program(process: Process) -> str:
    """The last part of the program's path."""
    return process.command.split(" ", 1)[0].rsplit("/", 1)[-1]
