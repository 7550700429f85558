# SPDX-License-Identifier: MIT
"""Everything that can happen to a node. `at` is monotonic seconds, when it was noticed."""

from dataclasses import dataclass
from enum import StrEnum

from haagent.core.model import Hello, Measured, Path, Resource
from haagent.core.wish import Ended, Target


@dataclass(frozen=True, slots=True)
class Tick:
    """The loop turned with nothing left in its queue; once a keepalive."""

    at: float


@dataclass(frozen=True, slots=True)
class HelloHeard:
    """The peer said HELLO, authenticated, in FORMAT, and it arrived over PATH."""

    at: float
    path: Path
    hello: Hello
    format: int = 1


@dataclass(frozen=True, slots=True)
class ReplacedHeard:
    """The machine whose place was given to another spoke, signed with the key that it had."""

    at: float


@dataclass(frozen=True, slots=True)
class RefereeAnswered:
    """An address of the referee answered the probe that left at SENT."""

    at: float
    sent: float


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    """The peer's own address, or GUEST's, answered a probe, by the MAC that belongs to it."""

    at: float
    guest: str = ""


@dataclass(frozen=True, slots=True)
class ResourceChanged:
    """DRBD showed RESOURCE for GUEST."""

    at: float
    guest: str
    resource: Resource


@dataclass(frozen=True, slots=True)
class DomainSeen:
    """Xen has, or has not, a domain for GUEST; and that one has ENDED by itself, if so."""

    at: float
    guest: str
    is_running: bool
    ended: Ended | None = None


@dataclass(frozen=True, slots=True)
class DiskHangs:
    """One read of GUEST's volume on this machine has been without an answer for longer than
    timing.disk; or, with IS_HANGING false, it has one.
    """

    at: float
    guest: str
    is_hanging: bool


class Deed(StrEnum):
    """What an action about one guest was, told by its end."""

    OUTDATE = "outdate"
    CONNECT = "connect"
    KEEP = "keep a copy"
    DISCARD = "give up our copy"
    PROMOTE = "promote"
    CREATE = "create"
    SHUTDOWN = "shut down"
    RESTART = "restart"
    DESTROY = "destroy"


@dataclass(frozen=True, slots=True)
class Done:
    """An action ended well, and what it was for was read back."""

    at: float
    guest: str
    deed: Deed


@dataclass(frozen=True, slots=True)
class Failed:
    """An action ended badly, or not in time; WHY is one line for a person."""

    at: float
    guest: str
    deed: Deed
    why: str


@dataclass(frozen=True, slots=True)
class FenceAsked:
    """DRBD's fence-peer handler asks whether the peer is out of the way for GUEST."""

    at: float
    guest: str


@dataclass(frozen=True, slots=True)
class ClockBroke:
    """Monotonic time and the machine's other clocks ran SECONDS apart: we stood still."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class WatchdogArmed:
    """The watchdog is open and counting; or, with IS_ARMED false, it could not be."""

    at: float
    is_armed: bool


@dataclass(frozen=True, slots=True)
class Leave:
    """The machine is asked to shut down or to reboot."""

    at: float


@dataclass(frozen=True, slots=True)
class OperatorConfirmed:
    """A person who saw both histories typed that GUEST shall start here."""

    at: float
    guest: str


@dataclass(frozen=True, slots=True)
class MoveAsked:
    """A person wants GUEST to stop here and to start on the other machine."""

    at: float
    guest: str


@dataclass(frozen=True, slots=True)
class WishAsked:
    """A person wants GUEST to be STARTED, or STOPPED."""

    at: float
    guest: str
    target: Target


@dataclass(frozen=True, slots=True)
class RestartAsked:
    """A person wants GUEST, which runs here, to start anew."""

    at: float
    guest: str


@dataclass(frozen=True, slots=True)
class MaintenanceAsked:
    """A person turns the maintenance of this machine on or off."""

    at: float
    is_on: bool


@dataclass(frozen=True, slots=True)
class ChoiceAsked:
    """A person who saw both histories says that NODE's copy of GUEST counts.

    STAMP names the copy that is kept of the other one; empty: none is. With ABOUT it is no new
    choice: the open one of that number shall go on without a copy.
    """

    at: float
    guest: str
    node: int
    stamp: str
    about: int = 0


@dataclass(frozen=True, slots=True)
class MeasuresTaken:
    """What there is to know about the memory for guests, and, while two copies are apart, about the
    room for a copy and how far the two differ.
    """

    at: float
    measured: Measured


@dataclass(frozen=True, slots=True)
class LanAsked:
    """A person wants other addresses on the LAN; as in model.LanChange."""

    at: float
    first: str
    second: str
    gateway: str


@dataclass(frozen=True, slots=True)
class LanWritten:
    """A start of this machine would take the LAN's addresses from the change NUMBER: read back."""

    at: float
    number: int


@dataclass(frozen=True, slots=True)
class StateLost:
    """What must survive a power cut can no longer be written down in this boot; WHY is one line."""

    at: float
    why: str


Event = (
    Tick
    | HelloHeard
    | ReplacedHeard
    | RefereeAnswered
    | ProbeAnswered
    | ResourceChanged
    | DomainSeen
    | DiskHangs
    | Done
    | Failed
    | FenceAsked
    | ClockBroke
    | WatchdogArmed
    | Leave
    | OperatorConfirmed
    | MoveAsked
    | WishAsked
    | RestartAsked
    | MaintenanceAsked
    | ChoiceAsked
    | MeasuresTaken
    | LanAsked
    | LanWritten
    | StateLost
)
