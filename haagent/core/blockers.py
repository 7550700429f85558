# SPDX-License-Identifier: MIT
"""Each reason why a guest is not started on a machine, and its sentence. Values only.

Which of them there are is core/lacking.py's to find. The log and the screens have no other words
for them. {me} and {peer} are names of machines, {disk} is DRBD's word for our copy.
"""

from enum import Enum, unique


@unique
class Blocker(Enum):
    """What stands between this node and starting a guest."""

    # this machine, and what is here of the guest
    LEAVING = "{me} is shutting down"
    GIVEN_UP = "{me} has given up"
    MAINTENANCE = "{me} is in maintenance, and starts nothing by itself"
    DISK_UNSEEN = "DRBD has not told yet what our copy is"
    UNSETTLED = "it is not settled what is here of it"
    ORDER = "a guest that comes before it is not up for long enough"
    PAUSED = "what was tried here failed, and {me} waits a moment before a start"

    # what was promised, or a person's word
    STOPPED = "a person stopped it"
    OFF = "it switched itself off"
    CRASHED = "it crashed again and again, and was given up"
    CHOICE = "a person chose the copy on {peer}, and that is being carried out"
    STANDS_DOWN = "we promised {peer} not to start it while no gateway answers both of us"

    # is our copy surely the newest?
    HIGHER_TERM = "{peer} has a newer copy than this one"
    STALE = "our copy is {disk}: {peer} may have written since"
    SYNCING = "our copy is still being brought up to date by {peer}"
    UNPROVEN = "nothing proves that {peer} has written nothing since we last saw it"

    # is the peer surely not running it?
    NOT_AGREED = "{peer} is there, and has not agreed to a start here"
    NO_WATCHDOG = "{peer} has no watchdog that is known to reset it when it is cut off"
    WAIT_FOR_ME = "{peer} is silent, and you chose to decide by yourself"
    NO_REFEREE = "{peer} is silent, and the gateway does not answer us: we may be the one cut off"
    NOT_TOGETHER = "{peer} did not fall silent on both cables at once: it may be alive"
    STOOD_STILL = "{me} stood still, and {peer} has confirmed nothing since: it may be alive"
    NOT_RESET_YET = "{peer} is silent; waiting until its watchdog has reset it"

    # what no person's word gets past
    STATELESS = "{me} cannot write to its stick any more"
    PART_ONLY = "our copy is Inconsistent: only a part of it was brought up to date by {peer}"
    OUTDATED = "our copy is Outdated, and DRBD starts nothing on it: {peer} may have written since"
    DISK_HANGS = "the disk of our copy does not answer"
    NO_DISK = "our copy has no working disk: DRBD calls it {disk}"
