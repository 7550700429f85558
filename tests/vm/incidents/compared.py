# SPDX-License-Identifier: MIT
"""Both copies of a guest are compared, and what DRBD knows to differ."""

import re

from haagent.storage.resync import apart
from tests.vm.control import Result
from tests.vm.machine import Machine
from tests.vm.pair import SETUP

VERIFY = "shoestring guest verify counter"
BEGAN = re.compile(r"Began resync as SyncTarget \(will sync (\d+) KB")  # drbd_start_resync
SAME = "The two copies of counter are the same."


def verify(machine: Machine) -> Result:
    """What a person is told who has both copies compared at MACHINE."""
    return machine.control.try_run(f"{VERIFY} 2>&1", SETUP)


def marked(machine: Machine) -> int | None:
    """KiB that DRBD on MACHINE knows to differ; None if the two are not one."""
    return apart(machine.run("cat /proc/drbd"), {"counter": (0,)}).get("counter")
