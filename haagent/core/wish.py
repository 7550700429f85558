# SPDX-License-Identifier: MIT
"""What is to become of a guest, and how one of its domains ended. Values only.

core/wishing.py acts on them. Both machines have the newest wish on disk, so whoever takes a guest
over knows that its owner has stopped it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Target(StrEnum):
    """What is to become of a guest, on whichever machine."""

    STARTED = "started"
    RETRIED = "tried on the other machine"  # it crashed too often on the one before
    STOPPED = "stopped"  # by a person
    OFF = "off"  # it switched itself off
    FAILED = "given up"  # it crashed too often, and nobody has another try


RUNS = frozenset({Target.STARTED, Target.RETRIED})
BEGINS = (Target.STARTED, Target.STOPPED)  # what a guest that comes can be


@dataclass(frozen=True, slots=True)
class Wish:
    """The newest word on what is to become of a guest. The default is that there never was one."""

    number: int = 0  # of all that there ever were about the guest; node 0's are even
    target: Target = Target.STARTED


# Of a guest that comes to the pair and is to be started by hand. It is no default: a machine that
# knows nothing of a guest yet takes it from one that does.
AT_FIRST = Wish(2, Target.STOPPED)


class End(StrEnum):
    """How a domain ended by itself; xen/include/public/sched.h, SHUTDOWN_*."""

    POWEROFF = "power-off"
    REBOOT = "reboot"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Ended:
    """A domain that ended by itself, and is there until it is destroyed."""

    domain: int  # its number, which no other one gets in this boot for a long time
    how: End
