# SPDX-License-Identifier: MIT
"""Everything a node can do. The state is on disk before the first of them runs.

Those about a guest end in `Done` or `Failed`, and each is safe to repeat.
"""

from dataclasses import dataclass
from enum import StrEnum

from haagent.core.model import FenceAnswer, Hello


@dataclass(frozen=True, slots=True)
class SendHello:
    """Send HELLO over every path, in each of FORMATS, one after the other."""

    hello: Hello
    formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TellReplaced:
    """Send HELLO over our own paths, signed with the keys of the machines that were replaced, in
    every format: which one they understand is not known.
    """

    hello: Hello


@dataclass(frozen=True, slots=True)
class ProbeReferee:
    """Ask every address of the referee for an answer."""


@dataclass(frozen=True, slots=True)
class ProbePeer:
    """Ask the peer's addresses, and its guests', whether anybody is there."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Feed the watchdog, once."""


@dataclass(frozen=True, slots=True)
class Outdate:
    """Disconnect DRBD, mark our copy Outdated, read Outdated and Secondary back."""

    guest: str


@dataclass(frozen=True, slots=True)
class Connect:
    """Let DRBD look for its peer again."""

    guest: str


@dataclass(frozen=True, slots=True)
class KeepCopy:
    """Make a copy of the guest's volume as it is now, named by STAMP, and read it back.

    NUMBER is that of the choice that it is for: no other copy is taken for it.
    """

    guest: str
    stamp: str
    number: int


@dataclass(frozen=True, slots=True)
class Discard:
    """Connect DRBD anew so that what only our copy has is given up for the peer's.

    safety: the one action that loses data. It takes a person's word that both machines have on
    disk, and a guest that does not run here.
    """

    guest: str


@dataclass(frozen=True, slots=True)
class Promote:
    """Make us Primary; with DISCONNECT, take DRBD's connection down before."""

    guest: str
    disconnect: bool


@dataclass(frozen=True, slots=True)
class Create:
    """Start the guest's domain and announce its address. What is left of one that ended by itself
    is destroyed before.
    """

    guest: str


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Shut the guest down in order, by force if it takes too long, then demote."""

    guest: str


@dataclass(frozen=True, slots=True)
class Restart:
    """Ask the guest to start anew. Its domain ends by that, and the agent is told so; one that does
    not listen goes on.
    """

    guest: str


@dataclass(frozen=True, slots=True)
class Destroy:
    """Destroy the guest's domain at once, then demote."""

    guest: str


@dataclass(frozen=True, slots=True)
class AnswerFence:
    """The fence-peer handler's exit code. safety: DRBD believes it whatever it is."""

    guest: str
    answer: FenceAnswer


@dataclass(frozen=True, slots=True)
class AnswerOperator:
    """Tells the person who asked about GUEST, or, with "", about the machine, why it is refused;
    None: it is not.
    """

    guest: str
    refusal: str | None


class LanOrder(StrEnum):
    """What to do about this machine's addresses on the LAN."""

    TRY = "try"  # take the new ones up, until the next start of the machine
    KEEP = "keep"  # take them up for good
    BACK = "back"  # take those up again that a start of the machine would


@dataclass(frozen=True, slots=True)
class TakeUpLan:
    """Carry ORDER out, by the change that is on disk. Where addresses change, the agent ends by it
    and starts anew; KEEP ends in `LanWritten`. Safe to repeat.
    """

    order: LanOrder


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset this machine: something on it can no longer be trusted.

    safety: when it IS_OVERDUE the other machine counts on it by now, and why is not waited for to
    be on the disk.
    """

    is_overdue: bool = False


@dataclass(frozen=True, slots=True)
class FinishLeaving:
    """Nothing of ours runs any more: the machine may go down."""


Action = (
    SendHello
    | TellReplaced
    | ProbeReferee
    | ProbePeer
    | Feed
    | Outdate
    | Connect
    | KeepCopy
    | Discard
    | Promote
    | Create
    | Shutdown
    | Restart
    | Destroy
    | AnswerFence
    | AnswerOperator
    | TakeUpLan
    | Reset
    | FinishLeaving
)
