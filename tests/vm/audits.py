# SPDX-License-Identifier: MIT
"""What must hold after every scenario, judged from outside the pair or from its kernels' logs.

Each audit takes what was observed and returns sentences; an empty list is the promise kept. They
share nothing with the agent: it cannot talk them out of what they saw.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from tests.vm.beacons import Beacon

# kernel-parameters.txt, bug-hunting.rst: what a kernel prints when it is not well.
SICK = re.compile(
    r"BUG:|Oops|general protection fault|Call Trace:|blocked for more than \d+ seconds"
    r"|soft lockup|hard LOCKUP|rcu.*stall|Kernel panic|EXT4-fs error|I/O error, dev drbd"
)
WARNING = re.compile(r"^[^\n]*\[ cut here \].*?\[ end trace[^\n]*$", re.MULTILINE | re.DOTALL)
# Linux 6.12's DRBD writes its new generation to the disk while it holds rcu_read_lock
# (w_after_conn_state_ch in drbd_state.c), each first time that a frozen holder goes on alone. The
# kernel warns that it slept there; what it did is done all the same.
KNOWN = re.compile(r"rcu_note_context_switch.*drbd_uuid_new_current", re.DOTALL)
# heartbeat's programs that start and stop services on their own account.
MANAGERS = {"crmd", "pacemakerd", "pengine", "lrmd", "stonithd", "ipfail", "ResourceManager"}
# A frozen device is a guest's writer that waits: the kernel says so after two minutes.
FROZEN_ON_PURPOSE = re.compile(r"task \S+ blocked for more than \d+ seconds")


def lost(acknowledged: Sequence[int], present: Sequence[int]) -> list[int]:
    """The numbers that were acknowledged and are not there: the promise is that there are none."""
    return sorted(set(acknowledged) - set(present))


def acknowledged_twice(acknowledged: Sequence[int]) -> list[str]:
    """Two writers hand out the same number; one hands out each number once, upwards."""
    found = []
    highest = 0
    for number in acknowledged:
        if number <= highest:
            found.append(f"{number} was acknowledged after {highest}")
        highest = max(highest, number)
    return found


def overlapping(
    beacons: Sequence[Beacon], tolerance: float, *, may_wake: bool = False
) -> list[str]:
    """An older start of the guest that is heard later than TOLERANCE seconds after a newer one.

    With MAY_WAKE a machine stood still with its guest, and knows of nothing when it wakes: the old
    start may be heard for as long, whenever that is.
    """
    found = []
    first: dict[str, float] = {}
    beside: dict[str, float] = {}  # since when an older start is heard beside a newer one
    reported = set()
    for beacon in beacons:
        first.setdefault(beacon.epoch, beacon.at)
        newer = [at for epoch, at in first.items() if epoch > beacon.epoch]
        if not newer:
            continue
        since = beside.setdefault(beacon.epoch, beacon.at) if may_wake else min(newer)
        late = beacon.at - since
        if late > tolerance and beacon.epoch not in reported:
            reported.add(beacon.epoch)
            found.append(f"start {beacon.epoch} was heard {late:.1f} s after a newer one")
    return found


def last_went_back(beacons: Sequence[Beacon]) -> list[str]:
    """What a newer start finds on its disk is never less than an older one had said is there."""
    found = []
    highest, whose = 0, ""
    for beacon in beacons:
        if beacon.epoch > whose and beacon.last < highest:
            found.append(f"start {beacon.epoch} found {beacon.last}, {whose} had {highest}")
        if beacon.last > highest:
            highest, whose = beacon.last, beacon.epoch
    return found


def sick_kernel(log: str, *, may_freeze: bool = False) -> list[str]:
    """Lines of a kernel's LOG that no healthy machine prints."""
    log = WARNING.sub(lambda found: "" if KNOWN.search(found[0]) else found[0], log)
    lines = [line for line in log.splitlines() if SICK.search(line)]
    return [line for line in lines if not (may_freeze and FROZEN_ON_PURPOSE.search(line))]


def failed_units(listing: str) -> list[str]:
    """Units in LISTING, of `systemctl --failed --no-legend --plain`."""
    return [line.split()[0] for line in listing.splitlines() if line.strip()]


def cycles(journal: str) -> list[str]:
    """What systemd says in JOURNAL about units that wait for each other: it starts one not at all,
    and that is no failure to it.
    """
    return [line for line in journal.splitlines() if "to break ordering cycle" in line]


def timed_out(journal: str) -> list[str]:
    """What systemd waited for in vain. It says so on the console, where a person may be typing."""
    return [line for line in journal.splitlines() if "Timed out waiting for" in line]


def managers(processes: str) -> list[str]:
    """Of PROCESSES, of `ps -eo comm=`, those that would manage guests beside the agent, or what is
    missing to hear the peer: heartbeat carries liveness and messages, and nothing else.
    """
    running = set(processes.split())
    missing = [f"{name} does not run" for name in sorted({"heartbeat", "ccm"} - running)]
    return missing + [f"{name} runs" for name in sorted(running & MANAGERS)]


def lent_pages(disable_sendpage: str) -> list[str]:
    """Whether DRBD hands a guest's pages to TCP, by its parameter DISABLE_SENDPAGE in sysfs."""
    return [] if disable_sendpage.strip() == "Y" else ["DRBD lends the guests' pages to TCP"]


def shared_identities(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """What two nodes have in common and must not."""
    return [f"both have {what} {ours[what]}" for what in ours if ours[what] == theirs.get(what)]


def longest_gap(moments: Sequence[float]) -> float:
    """Seconds between two acknowledgements, at most."""
    return max((b - a for a, b in pairwise(moments)), default=0.0)
