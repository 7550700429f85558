# SPDX-License-Identifier: MIT
"""One scenario on a healthy pair: somebody asks the guest for numbers all the time, ears on the
LAN, and the audits at its end.
"""

import threading
import time
from types import TracebackType

from tests.vm import audits
from tests.vm.beacons import Beacons
from tests.vm.journal import READ, Line, find, parse
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SCALE, TIMING, Pair, healthy_pair, status
from tests.vm.wait import wait_until

BOOT = 900  # seconds; a generous deadline for a slow, busy host
TAKEOVER = 900
OVERLAP = 2.0 * SCALE  # seconds in which a start that is being ended may still be heard


class Story:
    """Use it as a context; `audit` at its end is the scenario's verdict."""

    def __init__(self, lab: Lab, pair: Pair | None = None) -> None:
        """With a PAIR that serves already; without, with the usual one."""
        self.lab = lab
        self.beacons = Beacons(lab.folder)
        self.pair = pair or healthy_pair(lab)
        self.recorder = self.pair.recorder
        self._stop = threading.Event()
        self._asking: threading.Thread | None = None
        self._told: dict[str, float] = {}  # when each machine's agent said its last line before

    def __enter__(self) -> "Story":
        for machine in self.pair.both:
            told = lines(machine) if machine.is_on else []
            self._told[machine.name] = told[-1].at if told else 0.0
        self._asking = self.recorder.keep_asking(self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_asking()
        self.beacons.close()

    def end_asking(self) -> None:
        """No number is asked for any more."""
        self._stop.set()
        if self._asking is not None:
            self._asking.join()

    def await_numbers(self, count: int, deadline: float = TAKEOVER) -> float:
        """COUNT more acknowledged numbers from now on; when the first of them came."""
        before = len(self.recorder.acknowledged)
        wait_until(
            f"{count} more numbers",
            lambda: len(self.recorder.acknowledged) >= before + count,
            deadline,
        )
        return self.recorder.moments[before]

    def await_beacons(self, count: int, deadline: float = TAKEOVER, of: str | None = None) -> None:
        """COUNT more beacons of the guest, or of the one that is set apart with the address OF: it
        lives, also where nobody can ask it.
        """
        heard = self.beacons.heard if of is None else self.beacons.apart[of]
        before = len(heard)
        wait_until(f"{count} more beacons", lambda: len(heard) >= before + count, deadline)

    def await_line(self, machine: Machine, pattern: str, deadline: float = TAKEOVER) -> Line:
        """The first line of MACHINE's agent, in this story and this boot, that matches PATTERN."""
        return wait_until(
            f"{machine.name}'s agent to say {pattern!r}",
            lambda: find(lines(machine), pattern, self._told[machine.name]),
            deadline,
            1.0,
        )

    def await_protected(self, deadline: float = BOOT) -> None:
        self.pair.await_protected(deadline)

    def return_of(self, machine: Machine) -> None:
        """Switches MACHINE on again and waits until both are protected."""
        switch_on(machine)
        self.await_protected()

    def audit(self, *, may_freeze: bool = False, may_wake: bool = False) -> None:
        """Everything that must hold after any scenario, said at once. Prints the figures.

        The guest's writes waited for long, if they MAY_FREEZE; if its machine MAY_WAKE, that had
        stood still with all its clocks.
        """
        self.end_asking()
        present = wait_until("the guest's numbers", self.recorder.present, 300)
        acknowledged = list(self.recorder.acknowledged)
        lost = audits.lost(acknowledged, present)
        gap = audits.longest_gap(self.recorder.moments)
        print(f"acknowledged writes: {len(acknowledged)}, lost: {len(lost)}")
        print(f"longest time without an acknowledged write: {gap:.1f} s (time scale {SCALE:g})")
        found = [f"lost: {lost}"] if lost else []
        found += audits.acknowledged_twice(acknowledged)
        for heard in (self.beacons.heard, *self.beacons.apart.values()):
            found += audits.overlapping(heard, OVERLAP, may_wake=may_wake)
            found += audits.last_went_back(heard)
        found += ailing(self.pair, may_freeze=may_freeze)
        assert not found, "\n".join(found)
        assert self.beacons.heard, "no beacon was heard: the audits of them mean nothing"


def ailing(pair: Pair, *, may_freeze: bool = False) -> list[str]:
    """What is not as it should be inside the machines of PAIR that are on."""
    found: list[str] = []
    identities = []
    for machine in pair.both:
        if not machine.is_on:
            continue
        found += audits.sick_kernel(machine.run("dmesg"), may_freeze=may_freeze)
        found += audits.failed_units(machine.run("systemctl --failed --no-legend --plain"))
        found += audits.cycles(machine.run("journalctl --boot --no-pager --quiet _PID=1"))
        found += audits.managers(machine.run("ps -eo comm="))
        found += audits.lent_pages(machine.run("cat /sys/module/drbd/parameters/disable_sendpage"))
        identities.append(identity(machine))
    if len(identities) == 2:
        found += audits.shared_identities(*identities)
    return found


def switch_on(*machines: Machine) -> None:
    """At once; they are up when their shells answer."""
    for machine in machines:
        machine.power_on()
    for machine in machines:
        machine.control.wait_for_boot(BOOT)


def await_stopped(machine: Machine) -> str:
    """MACHINE says STOPPED and why, and has not changed its mind a whole wait later; what it
    says.
    """
    wait_until(
        f"{machine.name} to say STOPPED", lambda: status(machine).get("verdict") == "STOPPED", BOOT
    )
    said = status(machine)
    assert said["guests"][0]["missing"], "it does not say what is missing"
    # Not a sleep for its own sake: this long, a wrong rule would have started the guest.
    wait_until(
        "one whole wait",
        lambda: status(machine).get("at", 0) > said["at"] + 1.5 * TIMING.take,
        BOOT,
    )
    assert status(machine)["guests"][0]["runs_on"] == [], "it started"
    told: str = status(machine)["complaints"][0]["means"]
    print(f"{machine.name}: {told}")
    return told


def lines(machine: Machine) -> list[Line]:
    """What the agent of MACHINE has logged in this boot."""
    return parse(machine.control.try_run(READ.format(boot=0), 60).out)


def identity(machine: Machine) -> dict[str, str]:
    """What must not be the same on two nodes."""
    return {
        "machine-id": machine.run("cat /etc/machine-id").strip(),
        "host name": machine.run("hostname").strip(),
        "bridge's MAC": machine.run("cat /sys/class/net/lan/address").strip(),
    }


def wall_clock(machine: Machine) -> tuple[float, float]:
    """MACHINE's wall clock, and this host's monotonic clock at the same moment."""
    before = time.monotonic()
    wall = float(machine.run("date +%s.%N"))
    return wall, (before + time.monotonic()) / 2
