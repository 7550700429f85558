# SPDX-License-Identifier: MIT
"""What the agent knows, as a person needs it: one verdict, what is wrong, where everything is.

Owns the shape, and its way through JSON; `survey` fills it in. Times are moments of the machine's
monotonic clock, or None for never, so that whoever draws it can tell ages that grow.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from haagent.console.alarms import BY_CODE
from haagent.console.complaints.complaint import Complaint
from haagent.core.foresight import Fate
from haagent.errors import PeerError

VERSION = 9  # of this shape; a console of another version says so instead of guessing

STALE = 10.0  # seconds; a living agent says something new every keepalive


class Verdict(StrEnum):
    """The first word on the screen, and the exit code of `shoestring status` by its order."""

    PROTECTED = "PROTECTED"
    NOT_PROTECTED = "NOT PROTECTED"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True)
class OutlookView:
    """What would become of a guest on this node if the other died now."""

    fate: Fate
    seconds: float | None  # until it starts, or may write again; None: never
    missing: tuple[str, ...]  # what would stand in the way; sentences


@dataclass(frozen=True, slots=True)
class ResyncView:
    """How far the copy that is being brought up to date is."""

    percent: float
    seconds: int | None  # until it is done; None: nothing moves


@dataclass(frozen=True, slots=True)
class VerificationView:
    """What is known of whether the two copies are the same, as storage/findings.py has it. Moments
    are seconds since the epoch.
    """

    at: float | None  # when all of them was last compared; None: never
    differs: int  # KiB that differ, or did until they were copied, and nobody took note; 0: none
    since: float | None  # when that was found
    copied_from: str  # the node that it was copied from since; "?": one of the two; "": it was not
    is_past: bool  # found to be the same after that
    is_first: bool  # found when they were compared for the first time
    noted: int  # KiB that are marked as different, and that a person has taken note of
    is_under_way: bool
    percent: float | None  # of what is under way; None: DRBD has not told
    seconds: int | None  # until it is done; None: nothing moves, or that


@dataclass(frozen=True, slots=True)
class ChoiceView:
    """A person's word on which of two copies that went apart counts."""

    number: int  # of all that were ever made about the guest
    counts: str  # the node whose copy it is
    given_up: str  # the node whose copy it is not
    stamp: str  # names the copy that is kept of what is given up; "": none
    is_open: bool  # being carried out; else it is done, or was dropped
    is_agreed: bool
    is_kept: bool  # that copy was made


@dataclass(frozen=True, slots=True)
class GuestView:
    """One guest. Phases and DRBD's words are those of core/model.py; "" is not known."""

    name: str
    runs_on: tuple[str, ...]  # names of nodes; more than one is a disaster
    phase: str
    peer_phase: str
    term: int  # that our copy's data belongs to
    newest_term: int  # that we heard of: of whoever has it now
    link: str
    disk: str
    peer_disk: str  # as our DRBD sees it
    peer_says: str  # what its own DRBD calls it, as the peer told last
    is_in_sync: bool
    in_sync_at: float | None  # seconds since the epoch: when both copies were last seen the same
    is_alone: bool
    is_split_brain: bool
    missing: tuple[str, ...]  # what stands in the way of a start here; sentences
    unstartable: str | None  # why DRBD would not start our copy, whoever asks; None: it may
    blocker: str | None  # why it cannot be moved from here to the peer; None: it can
    ours: tuple[str, ...]  # the history of our copy; sentences
    theirs: tuple[str, ...]  # of the peer's, as far as we were told
    address: str  # on the LAN
    outlook: OutlookView | None  # None: not known at the moment
    resync: ResyncView | None  # None: none is under way, or DRBD has not told yet
    choice: ChoiceView | None  # the newest; None: there never was one
    is_proposed: bool  # a newer one is on its way to the peer
    unfit: tuple[str | None, ...]  # why node 0's copy, and node 1's, cannot be chosen; None: it can
    troubles: tuple[str, str]  # why a choice does not get on: here, on the peer
    differs: tuple[int, int]  # KiB written alone: here, on the peer; -1: not known
    target: str  # what is to become of it: one of core/wish.py's Target
    copy_needs: int  # MiB that a copy of its volume takes; -1: not known
    takes: int  # MiB of its machine's memory for guests; -1: not known
    verification: VerificationView


@dataclass(frozen=True, slots=True)
class NodeView:
    """One of the two machines, as far as this one knows. None is not known."""

    name: str
    is_me: bool
    is_heard: bool  # its agent speaks; our own does
    last_word: float | None  # when it last did
    is_leaving: bool
    in_maintenance: bool | None  # nothing starts on it by itself
    is_armed: bool | None  # its watchdog
    has_gateway: bool | None  # the gateway answers it
    number: int  # 0 or 1
    room: int  # MiB free for copies of volumes; -1: not known
    release: str  # "": not known, or older than the first that tells
    format: int  # the newest of a hello that it is known to speak; 0: not known
    memory: int  # MiB that it has for guests; -1: not known
    memory_used: int  # MiB of it that its guests have


@dataclass(frozen=True, slots=True)
class PathView:
    """One way to the peer."""

    name: str
    last_word: float | None
    is_two_way: bool


@dataclass(frozen=True, slots=True)
class LanView:
    """The newest change of the LAN's addresses; the words are core/model.py's LanStage."""

    number: int  # 0: there never was one
    words: str  # the addresses that it is about
    stage: str
    is_open: bool  # being carried out here; else it is kept, or was dropped
    peer_stage: str  # of the same change; "": the peer is silent, or does not know of it
    runs: int  # the change that this machine's addresses are from
    peer_runs: int
    files: int  # the one that a start of this machine would take them from
    is_settled: bool  # the addresses are those that are to stay
    blocker: str | None  # why no other can be asked for now; None: one can
    troubles: tuple[str, str]  # why the last one came to nothing: here, on the peer


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a console shows."""

    me: str
    peer: str
    at: float  # when it was taken
    wall: float  # the same moment, in seconds since the epoch
    verdict: Verdict
    complaints: tuple[Complaint, ...]  # the worst first; none if and only if PROTECTED
    notes: tuple[Complaint, ...]  # what is worth knowing, and takes nothing from the verdict
    nodes: tuple[NodeView, ...]  # this one first
    guests: tuple[GuestView, ...]
    paths: tuple[PathView, ...]
    heartbeat: tuple[tuple[str, bool], ...] | None  # link, is it up; None: it does not answer
    referee: str  # a sentence
    lan: LanView
    policy: str
    is_vacant: bool  # there is no second machine: what is said of one is made up
    scale: float
    lately: tuple[tuple[float, str], ...]  # what was decided here: when by `wall`; the newest first
    version: int = VERSION

    @property
    def machines(self) -> tuple[str, ...]:
        """The names of those that there are, this one's first."""
        return (self.me,) if self.is_vacant else (self.me, self.peer)


def is_stale(shown: Snapshot, now: float) -> bool:
    """The agent has said nothing for so long that nothing of it may be taken for the present."""
    return now - shown.at > STALE * shown.scale


def to_dict(shown: Snapshot) -> dict[str, Any]:
    """SHOWN as JSON takes it; `from_dict` is the reverse."""
    return asdict(shown)


def from_dict(data: Mapping[str, Any]) -> Snapshot:
    """The reverse of `to_dict`, also after a way through JSON. Raises PeerError."""
    if data.get("version") != VERSION:
        raise PeerError(f"the agent's snapshot has version {data.get('version')}, not {VERSION}")
    try:
        heartbeat = data["heartbeat"]
        return Snapshot(
            **{
                **data,
                "verdict": Verdict(data["verdict"]),
                "complaints": tuple(_complaint_from(item) for item in data["complaints"]),
                "notes": tuple(_complaint_from(item) for item in data["notes"]),
                "nodes": tuple(NodeView(**item) for item in data["nodes"]),
                "guests": tuple(_guest_from(item) for item in data["guests"]),
                "paths": tuple(PathView(**item) for item in data["paths"]),
                "lan": LanView(**{**data["lan"], "troubles": tuple(data["lan"]["troubles"])}),
                "heartbeat": None if heartbeat is None else tuple((k, up) for k, up in heartbeat),
                "lately": tuple((at, what) for at, what in data["lately"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PeerError(f"the agent's snapshot is not understood: {error!r}") from error


def _complaint_from(data: Mapping[str, Any]) -> Complaint:
    return Complaint(**{**data, "code": BY_CODE[data["code"]]})


def _guest_from(data: Mapping[str, Any]) -> GuestView:
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    outlook, resync = data["outlook"], data["resync"]
    if outlook is not None:
        missing = tuple(outlook["missing"])
        fields["outlook"] = OutlookView(Fate(outlook["fate"]), outlook["seconds"], missing)
    if resync is not None:
        fields["resync"] = ResyncView(**resync)
    fields["verification"] = VerificationView(**data["verification"])
    if data["choice"] is not None:
        fields["choice"] = ChoiceView(**data["choice"])
    return GuestView(**fields)
