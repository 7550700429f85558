# SPDX-License-Identifier: MIT
"""The first line of the screens: what a person reads from the door."""

import pytest

from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.monitor import Viewer
from tests.vm.pair import Pair, healthy_pair
from tests.vm.person import Person
from tests.vm.wait import wait_until

# Every watchdog loses its driver (driver-api/driver-model/binding.rst of Linux). Xen's has no
# parent device, so it is found by its driver's name.
UNBIND = """\
for device in /sys/bus/platform/drivers/{xen_wdt,iTCO_wdt}/*wdt*; do
    basename $device > $(dirname $device)/unbind
done
test -z "$(ls /sys/class/watchdog)" """
SOON = 600  # seconds; generous, for emulated machines on a busy host


@pytest.fixture
def pair(lab: Lab) -> Pair:
    return healthy_pair(lab)


def await_first_line(machine: Machine, verdict: str, below: str = "") -> None:
    """MACHINE's monitor begins with VERDICT, and has BELOW somewhere."""
    viewer = Viewer(machine)

    def look() -> bool:
        shown = viewer.screen()
        return shown.startswith(verdict) and below in shown

    wait_until(f"{machine.name}'s monitor to begin with {verdict}", look, SOON, 2)


def await_both(pair: Pair, verdict: str, below: str = "") -> None:
    for machine in pair.both:
        await_first_line(machine, verdict, below)


@pytest.mark.row("D14")
def test_the_first_line_tells_what_becomes_of_the_pair(pair: Pair) -> None:
    a, b = pair.both
    assert pair.lab.cables is not None
    await_both(pair, "PROTECTED")

    a.run("systemctl kill --signal=KILL console@hvc0")
    Person(a).reads("This screen ended by itself")
    Person(a).reads("PROTECTED")

    pair.lab.cables.unplug("xo")
    await_both(pair, "NOT PROTECTED", "over the crossover cable")
    pair.lab.cables.plug("xo")
    await_both(pair, "PROTECTED")

    b.run("systemctl stop haagent")
    await_first_line(b, "NOT KNOWN", "The agent does not answer")
    await_first_line(a, "NOT PROTECTED", "b is silent")
    # Nobody feeds its watchdog now: it is reset, and comes back by itself.
    b.control.wait_for_boot(SOON)
    await_both(pair, "PROTECTED")

    b.run(UNBIND)
    await_both(pair, "NOT PROTECTED", "The watchdog of b is not armed")
    await_first_line(a, "NOT PROTECTED", "counter  on a")
