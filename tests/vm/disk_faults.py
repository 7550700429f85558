# SPDX-License-Identifier: MIT
"""What a disk does to a request instead of serving it. Pure: no thread, no clock; time is given.

Nobody is told beforehand: a fault meets the requests that come after it, and each request the first
fault that is for it.
"""

import errno
import json
import math
from dataclasses import asdict, dataclass
from enum import StrEnum


class Effect(StrEnum):
    FAIL = "fail"  # EIO at once; nothing is read or written
    FULL = "full"  # ENOSPC at once, as of a thin disk without room; all but scsi-hd make EIO of it
    # No answer until it is healed; served then, as if nothing had been. QEMU resets no machine
    # meanwhile, not even by its watchdog: it waits for the answer.
    HANG = "hang"
    SLOW = "slow"  # served late, one request after the other, as by one head


class Operation(StrEnum):
    READ = "read"
    WRITE = "write"  # of zeros too
    FLUSH = "flush"


# Seconds that a request, and each MiB of it, takes a disk that is well: flash behind SATA, or what
# nbdkit serves here (`qemu-img bench`).
REQUEST, MIB = 0.0001, 0.002

READS = (Operation.READ,)
WRITES = (Operation.WRITE, Operation.FLUSH)
ALL = READS + WRITES


@dataclass(frozen=True, slots=True)
class Fault:
    """EFFECT on OPERATIONS that touch a byte from BEGIN to before END. A flush is about the whole
    disk, so only a fault of all of it is for one.
    """

    effect: Effect
    operations: tuple[Operation, ...] = ALL
    begin: int = 0
    end: int | None = None  # the end of the disk
    times: int | None = None  # so many requests, then no more; None: until it is healed
    seconds: float = 0.0  # SLOW: what each request takes
    per_mib: float = 0.0  # SLOW: seconds more for each MiB of it

    def is_for(self, operation: Operation, offset: int, count: int) -> bool:
        if operation not in self.operations:
            return False
        if operation is Operation.FLUSH:
            return not self.begin and self.end is None
        return offset + count > self.begin and (self.end is None or offset < self.end)


BROKEN = Fault(Effect.FAIL)
READ_ONLY = Fault(Effect.FAIL, (Operation.WRITE,))  # as flash at its end: what is there can be read
FULL = Fault(Effect.FULL, (Operation.WRITE,))
HANGING = Fault(Effect.HANG)


def slower(factor: float) -> Fault:
    """A disk that takes FACTOR times as long as one that is well."""
    return Fault(Effect.SLOW, seconds=factor * REQUEST, per_mib=factor * MIB)


def packed(fault: Fault) -> str:
    return json.dumps(asdict(fault))


def unpacked(text: str) -> Fault:
    """What `packed` made. Raises ValueError, KeyError or TypeError for anything else."""
    fields = json.loads(text)
    effect = Effect(fields.pop("effect"))
    operations = tuple(map(Operation, fields.pop("operations")))
    return Fault(effect, operations, **fields)


@dataclass(frozen=True, slots=True)
class Meeting:
    """What a request has to bear, unless all is healed before."""

    error: int = 0  # an errno: it fails with that, at once
    until: float = 0.0  # it waits as long; math.inf when it hangs


@dataclass(slots=True)
class _Active:
    fault: Fault
    left: int | None  # requests
    free: float = 0.0  # when the last request so far is served


class Faults:
    """Those of one disk."""

    def __init__(self) -> None:
        self._active: list[_Active] = []
        self.met = 0  # requests that met one, ever
        self.healings = 0  # how often all was healed

    def hurt(self, fault: Fault) -> None:
        self._active.append(_Active(fault, fault.times))

    def heal(self) -> None:
        self._active.clear()
        self.healings += 1

    def meet(self, operation: Operation, offset: int, count: int, now: float) -> Meeting | None:
        """What becomes of a request that comes NOW, in monotonic seconds; None: it is served."""
        for active in self._active:
            if active.left != 0 and active.fault.is_for(operation, offset, count):
                self.met += 1
                if active.left is not None:
                    active.left -= 1
                return _meeting(active, count, now)
        return None


def _meeting(active: _Active, count: int, now: float) -> Meeting:
    match active.fault.effect:
        case Effect.FAIL:
            return Meeting(error=errno.EIO)
        case Effect.FULL:
            return Meeting(error=errno.ENOSPC)
        case Effect.HANG:
            return Meeting(until=math.inf)
        case Effect.SLOW:
            takes = active.fault.seconds + active.fault.per_mib * count / (1 << 20)
            active.free = max(now, active.free) + takes
            return Meeting(until=active.free)
