# SPDX-License-Identifier: MIT
"""What a node knows: about its guests, its copy of their disks, and its peer. Values only.

`NodeState` is everything; the part of it that must survive a power cut is `Durable`. Nothing in
here acts, and nothing reads a clock: every time is monotonic seconds of this boot, taken from an
event.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from haagent.core.blockers import Blocker
from haagent.core.timing import Timing
from haagent.core.wish import Ended, Wish

NEVER = float("-inf")  # a moment before every other


class Path(StrEnum):
    """A way between the two nodes."""

    CROSSOVER = "crossover"  # our own datagrams on the cable between the two
    LAN = "LAN"  # our own datagrams on the network that clients use
    HEARTBEAT = "heartbeat"  # whatever heartbeat delivers, on either


class Role(StrEnum):
    """DRBD's roles, drbdsetup(8)."""

    PRIMARY = "Primary"
    SECONDARY = "Secondary"
    UNKNOWN = "Unknown"


class Disk(StrEnum):
    """DRBD's disk states, drbdsetup(8)."""

    DISKLESS = "Diskless"
    ATTACHING = "Attaching"
    DETACHING = "Detaching"
    FAILED = "Failed"
    NEGOTIATING = "Negotiating"
    INCONSISTENT = "Inconsistent"
    OUTDATED = "Outdated"
    UNKNOWN = "DUnknown"
    CONSISTENT = "Consistent"
    UP_TO_DATE = "UpToDate"


class Link(StrEnum):
    """What a DRBD connection amounts to; the adapter folds DRBD's many states into these."""

    STANDALONE = "StandAlone"  # DRBD will not try again by itself
    CONNECTING = "Connecting"
    CONNECTED = "Connected"  # also while verifying
    SYNC_SOURCE = "SyncSource"
    SYNC_TARGET = "SyncTarget"


CONNECTED = frozenset({Link.CONNECTED, Link.SYNC_SOURCE, Link.SYNC_TARGET})
STALE = frozenset({Disk.OUTDATED, Disk.INCONSISTENT})
ATTACHED = frozenset({Disk.INCONSISTENT, Disk.OUTDATED, Disk.CONSISTENT, Disk.UP_TO_DATE})
GONE = frozenset({Disk.DISKLESS, Disk.DETACHING, Disk.FAILED})  # DRBD has given that disk up


class FenceAnswer(IntEnum):
    """Exit codes of DRBD's fence-peer handler, drbd.conf(5). 5 is not here: we never say it."""

    UNPROVEN = 1  # not one of DRBD's: it changes nothing, a frozen device stays frozen
    PEER_OUTDATED = 4
    PEER_OFF = 7


class Policy(StrEnum):
    """What the owner wants when both paths die in one moment and nobody can tell who is left."""

    AUTOMATIC = "automatic"
    WAIT = "wait for me"


class Phase(StrEnum):
    """Where one guest stands on this node; core/phases.py holds the edges."""

    RELEASED = "released"  # not here
    FORFEITING = "forfeiting"  # not here, and marking our copy Outdated
    PROMOTING = "promoting"  # both questions answered, term persisted, DRBD asked
    CREATING = "creating"  # we are Primary, Xen asked
    HOLDING = "holding"  # it runs here
    FROZEN = "frozen"  # it runs here, DRBD lost the peer, its writes wait
    STOPPING = "stopping"  # shutting down in order
    DESTROYING = "destroying"  # it must not run here for one more moment


# Phases in which the guest's domain may exist here.
PRESENT = frozenset({Phase.CREATING, Phase.HOLDING, Phase.FROZEN, Phase.STOPPING, Phase.DESTROYING})
HELD = frozenset({Phase.HOLDING, Phase.FROZEN, Phase.STOPPING})


class PeerOff(StrEnum):
    """Proofs that the peer is surely not running the guest."""

    VACANT = "vacant"
    AGREED = "agreed"
    FAREWELL = "farewell"
    ALONE = "alone"
    SELF_FENCED = "self-fenced"
    OPERATOR = "operator"


class Newest(StrEnum):
    """Proofs that our copy is surely the newest."""

    IN_SYNC = "in-sync"
    UNBROKEN = "unbroken"
    LEFT_BEHIND = "left-behind"
    PEER_OUTDATED = "peer-outdated"
    ONLY_COPY = "only-copy"
    OPERATOR = "operator"


class Evidence(StrEnum):
    """Why a holder may write without its peer."""

    PEER_OUTDATED = "the peer's copy is outdated"
    STAND_DOWN = "the peer stood down"
    GATEWAY = "the gateway answers us and the peer is silent"
    TAKEOVER = "it was taken over"
    OPERATOR = "the operator said so"


class LanStage(StrEnum):
    """How far a change of the LAN's addresses is, on one machine's disk; core/relocating.py's.

    The machine that it was typed at asks, and decides; the other one goes along.
    """

    ASKED = "asked"  # by a person, here
    WRITTEN = "written"  # the machine that was asked has it on disk
    AGREED = "agreed"  # so has the other; from here on it may be tried
    PROVEN = "proven"  # only of who was asked: it works here, and the asker alone decides
    KEPT = "kept"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Resource:
    """One DRBD resource as the kernel shows it."""

    role: Role = Role.SECONDARY
    link: Link = Link.CONNECTING
    disk: Disk = Disk.CONSISTENT
    peer_disk: Disk = Disk.UNKNOWN
    is_suspended: bool = False  # its writes wait: for the fence-peer handler, or for any disk

    @property
    def is_connected(self) -> bool:
        return self.link in CONNECTED

    @property
    def is_in_sync(self) -> bool:
        return (
            self.link is Link.CONNECTED
            and self.disk is self.peer_disk
            and self.disk is Disk.UP_TO_DATE
        )

    @property
    def is_served_by_peer(self) -> bool:
        """Our disk has failed: what is written here is on the peer's, and read from there."""
        has_copy = self.link is Link.CONNECTED and self.peer_disk is Disk.UP_TO_DATE
        return has_copy and self.disk in GONE

    @property
    def has_left_peer_behind(self) -> bool:
        """Our metadata records that the peer's copy is older than ours."""
        return not self.is_connected and self.disk is Disk.UP_TO_DATE and self.peer_disk in STALE


@dataclass(frozen=True, slots=True)
class Figures:
    """What a node tells of its own watchdog: how long it may go on unseen, in seconds."""

    is_armed: bool
    self_fence: float
    watchdog: float
    feed: float

    def reset_after(self, margin: float) -> float:
        """After this much silence the node is off, unless its messages alone were lost."""
        return self.self_fence + self.watchdog + self.feed + margin


@dataclass(frozen=True, slots=True)
class Farewell:
    """A peer's signed-off guest: stopped and demoted, in that boot."""

    boot: str
    term: int
    is_leaving: bool  # that machine goes down, and starts nothing more in that boot


@dataclass(frozen=True, slots=True)
class Request:
    """An open question to the peer: may we have this term?"""

    nonce: int
    term: int
    at: float = NEVER  # when it was opened; our own clock, the peer does not use it


@dataclass(frozen=True, slots=True)
class Choice:
    """A person's word on which of two copies that went apart counts; core/resolving.py's.

    The default is that there never was one. It is agreed when both machines have it on disk: only
    then is anything done, and from then on neither drops it by itself.
    """

    number: int = 0  # of all that were ever made about the guest; node 0's are even
    node: int = 0  # whose copy counts; the other one is given up
    stamp: str = ""  # names the copy that is kept of what is given up; empty: none is
    is_open: bool = False  # neither carried out nor dropped
    is_agreed: bool = False
    is_kept: bool = False  # that copy was made, and read back


@dataclass(frozen=True, slots=True)
class LanChange:
    """New addresses of both machines on the LAN, and the new gateway, as a person typed them.

    The default is that there never was one: the addresses are those of the set-up.
    """

    number: int = 0  # of all that were ever asked for; the asker's, so node 0's are even
    first: str = ""  # node 0's address with its prefix, 192.168.1.11/24
    second: str = ""  # node 1's, so too
    gateway: str = ""
    stage: LanStage = LanStage.KEPT
    boot: str = ""  # in which it came to that stage here: a trial does not outlive it


@dataclass(frozen=True, slots=True)
class Ledger:
    """What must survive a power cut, for one guest.

    Terms number the ownership of the guest and only rise. Node 0 takes even ones and node 1 odd
    ones, so a term says whose it is and two nodes never take the same.
    """

    term: int  # the term that our copy's data belongs to
    theirs: int = -1  # the highest of the peer's terms that we heard of or promised
    alone: Evidence | None = None  # we wrote without the peer in `term`, because of this
    by_operator: bool = False  # our copy was chosen by a person, not by proof, and never met since
    promise: int = 0  # the number of our last promise not to start the guest
    stands_down: bool = False  # that promise holds
    evidence: int = 0  # the number of the peer's promise that we rely on; 0 is none
    returned: int = 0  # the peer's promises up to this number are never relied on again
    farewell: Farewell | None = None  # the peer's
    is_parted: bool = False  # we took DRBD's connection down ourselves
    held_in: str = ""  # the boot in which we held the guest; empty if we let it go
    choice: Choice = field(default_factory=Choice)  # the newest
    wish: Wish = field(default_factory=Wish)  # the newest


@dataclass(frozen=True, slots=True)
class Durable:
    """All that must survive a power cut."""

    ledgers: Mapping[str, Ledger]
    peer_figures: Figures | None = None  # from the last hello that we ever heard
    in_maintenance: bool = False  # a person wants nothing to start here by itself
    mark: str = ""  # of the pair that this is about; empty: by a version that knew of no marks
    lan: LanChange = field(default_factory=LanChange)  # the newest


@dataclass(frozen=True, slots=True)
class GuestHello:
    """One guest in a hello."""

    term: int
    theirs: int
    phase: Phase
    disk: Disk
    is_connected: bool
    is_alone: bool
    request: Request | None  # what we ask
    grant: Request | None  # what we answered, word for word
    promise: int
    stands_down: bool
    evidence: int
    returned: int
    farewell: int | None  # the term in which we signed off
    keeps_farewell: bool
    choice: Choice = field(default_factory=Choice)  # what is on our disk
    proposal: Choice | None = None  # what a person asks here, before it is on any disk
    is_refused: bool = False  # DRBD hung up by itself: it will not connect the two copies
    has_dropped: bool = False  # we told DRBD to give up what our copy has, and it waits for yours
    differs: int = -1  # KiB written here since the two parted, as DRBD counts; -1: not known
    wish: Wish = field(default_factory=Wish)  # what is on our disk


@dataclass(frozen=True, slots=True)
class Hello:
    """A node's whole public state. Every one replaces the one before: a lost one is no loss."""

    node: int
    boot: str
    number: int  # counts from 1 in each boot
    heard_boot: str  # the boot of the peer that `heard` is about
    heard: Mapping[Path, int]  # the highest number heard from the peer, by path
    scale: float
    figures: Figures
    has_referee: bool  # our gateway answers us
    guests: Mapping[str, GuestHello]
    is_leaving: bool = False  # the machine is asked to shut down
    in_maintenance: bool = False
    has_replaced: bool = False  # another machine has the place of whoever can read this
    is_stateless: bool = False  # it cannot write its state down, and starts nothing in this boot
    room: int = -1  # MiB free for copies of volumes; -1: not known
    troubles: Mapping[str, str] = field(default_factory=dict)  # GuestState.trouble of a few guests
    lan: LanChange = field(default_factory=LanChange)  # what is on our disk
    lan_runs: int = 0  # the change whose addresses we speak from
    lan_trouble: str = ""  # why a change is not agreed to here
    release: str = ""  # of the sender; empty: of one that did not say
    memory: int = -1  # Measured.memory


@dataclass(frozen=True, slots=True)
class PathState:
    """One way to the peer."""

    last_word: float = NEVER  # when we last received something
    two_way: float = NEVER  # when we last received a proof that it also carries ours
    number: int = 0  # the highest number received on it in this boot of the peer


@dataclass(frozen=True, slots=True)
class Peer:
    """The other node, as far as it can be known."""

    hello: Hello | None = None  # its newest
    past_boots: frozenset[str] = frozenset()  # those that a newer one replaced
    met: str = ""  # another boot, whose words do not count before it confirms ours of late
    met_numbers: Mapping[Path, int] = field(default_factory=dict)  # the highest heard from that one
    hello_at: float = NEVER
    format: int = 0  # the newest that its present boot was heard to speak; 0: none yet
    paths: Mapping[Path, PathState] = field(default_factory=dict)
    confirmed: float = NEVER  # when we *sent* our newest message that it confirmed
    probe_answered: float = NEVER  # when an address of its own, or another boot, last showed life
    connected: float = NEVER  # when DRBD last said Connected


@dataclass(frozen=True, slots=True)
class Referee:
    """The LAN gateway: it tells a node that it is not the one cut off."""

    answered: float = NEVER  # when we sent the newest probe that was answered
    good_since: float = NEVER  # since when it answers without a gap


@dataclass(frozen=True, slots=True)
class Taking:
    """On what grounds we start a guest."""

    peer_off: PeerOff
    newest: Newest
    from_term: int  # the term of our copy before we took it
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Blocked:
    """What keeps a guest that runs nowhere from being started here, as it was last judged."""

    by: tuple[Blocker, ...] = ()
    since: float = NEVER
    said: tuple[Blocker, ...] = ()  # what the log has of it


@dataclass(frozen=True, slots=True)
class GuestState:
    """One guest on this node."""

    phase: Phase = Phase.RELEASED
    since: float = NEVER  # when the phase began
    resource: Resource | None = None  # None until DRBD was first asked
    is_running: bool | None = None  # whether Xen has its domain; None until asked
    ended: Ended | None = None  # that domain ended by itself, and nothing followed from it yet
    buried: int = 0  # the number of the last domain whose end was dealt with
    crashes: tuple[float, ...] = ()  # when it crashed here, of late
    created: float = NEVER  # when its domain was last seen to come up here
    wished: float = NEVER  # when its newest wish of this machine was said
    is_disk_hanging: bool = False  # its volume here owes the answer to a read
    is_unbroken: bool = False  # nothing happened, since we were last in sync, that we could not see
    is_only_copy: bool = False  # the peer's disk failed while ours had all; not in sync since
    retry_at: float = NEVER  # not before this, after a failure
    reconnect_at: float = NEVER  # the same, for DRBD's connection
    request: Request | None = None
    grant: Request | None = None
    taking: Taking | None = None
    failed_from: int | None = None  # the term of our data, where a start that failed has raised it
    fence_asked: bool = False  # DRBD's handler waits for our answer
    is_confirmed: bool = False  # a person typed the confirmation to start it in spite of all
    farewell: int | None = None  # we signed it off, in this term, and did not start it since
    lost: float = NEVER  # when DRBD last lost the peer
    proposal: Choice | None = None  # what a person asked here, and the peer has not agreed to yet
    proposed: float = NEVER  # when that was
    is_stepping: bool = False  # a step of the choice is under way
    has_dropped: bool = False  # DRBD gives up our copy at the next handshake
    trouble: str = ""  # why the last step of the choice failed
    blocked: Blocked = field(default_factory=Blocked)  # for the log, no rule depends on it

    @property
    def is_connected(self) -> bool:
        return self.resource is not None and self.resource.is_connected

    @property
    def is_in_sync(self) -> bool:
        return self.resource is not None and self.resource.is_in_sync


@dataclass(frozen=True, slots=True)
class Measured:
    """What a person wants to know, and no proof depends on. -1 or absent: not known."""

    room: int = -1  # MiB free in our volume group
    needs: Mapping[str, int] = field(default_factory=dict)  # MiB that a copy takes, by guest
    differs: Mapping[str, int] = field(default_factory=dict)  # KiB written alone, by guest
    memory: int = -1  # MiB that Xen has for guests, with what they have of it now
    takes: Mapping[str, int] = field(default_factory=dict)  # MiB of it, by guest, wherever it is


@dataclass(frozen=True, slots=True)
class Pair:
    """What never changes while the agent runs."""

    me: int  # 0 or 1
    names: tuple[str, str]
    guests: Mapping[str, int]  # the node that each starts on, the first time
    policy: Policy = Policy.AUTOMATIC
    scale: float = 1.0  # stretches every timer; only for emulated machines
    mark: str = ""  # of the pair's key: tells this pair from an earlier one of the same names
    lan: int = 0  # the change of the LAN's addresses that ours are from
    release: str = ""  # ours
    formats: tuple[int, ...] = (1,)  # of a hello that we read and write, the newest first
    timing: Timing = field(default_factory=Timing)
    places: Mapping[str, int] = field(default_factory=dict)  # in the order of starts, by guest
    pauses: Mapping[str, float] = field(default_factory=dict)  # seconds, from a start to the next
    off: frozenset[str] = frozenset()  # guests that are not to run until their owner says so
    is_vacant: bool = False  # there never was a second machine: `shoestring replace` brings one


@dataclass(frozen=True, slots=True)
class Predecessor:
    """What the agent before this one in this boot left: the watchdog was armed, and these moments,
    which are the machine's and not the agent's.
    """

    confirmed: float = NEVER  # Peer.confirmed
    answered: float = NEVER  # Referee.answered
    fed: float = NEVER  # when it last fed the watchdog
    blind_since: float | None = None  # NodeState.blind_since, if it was; None: it saw all


@dataclass(frozen=True, slots=True)
class NodeState:
    """Everything a node knows."""

    pair: Pair
    boot: str
    durable: Durable
    guests: Mapping[str, GuestState]
    started: float = NEVER  # when the agent did
    now: float = NEVER  # when the newest event was noticed
    ticked: float = NEVER  # when the loop last turned
    number: int = 0  # of our newest hello
    sent: tuple[float, ...] = ()  # when we sent the newest hellos, the newest last
    peer: Peer = field(default_factory=Peer)
    referee: Referee = field(default_factory=Referee)
    usable_since: float | None = None  # since when both have the referee and the LAN; None: not now
    unusable_since: float = NEVER
    hears_peer: bool = False  # as it was last judged; for the log, no rule depends on it
    doubted: float = NEVER  # when we last stood still: what we believe is older than it looks
    is_armed: bool = False  # the watchdog would reset us
    fed: float = NEVER  # when it was last fed, by whichever agent
    blind_since: float = NEVER  # when the first of the agents started that saw not all, us included
    left: float | None = None  # when the machine was asked to shut down
    replaced_at: float = NEVER  # when the machine whose place was given away last spoke
    is_fenced: bool = False  # we stopped feeding for good: the watchdog ends this boot
    is_fed: bool = True  # the watchdog, when it was last judged; for the log, no rule depends on it
    is_stateless: bool = False  # nothing can be written down in this boot any more
    lost_because: str = ""  # why not; one line
    measured: Measured = field(default_factory=Measured)
    lan_files: int = 0  # the change of the LAN's addresses that a start of this machine would take
    lan_since: float = NEVER  # when it came to its stage, or the agent started
    lan_acted: float = NEVER  # when addresses were last told to be taken up
    lan_tried: bool = False  # an order to try new ones is out: nobody knows how far it came
    lan_trouble: str = ""  # why a change is not agreed to here

    @property
    def me(self) -> int:
        return self.pair.me

    @property
    def timing(self) -> Timing:
        return self.pair.timing


def owner(term: int) -> int:
    """The node that took TERM."""
    return term % 2


def next_term(node: int, above: int) -> int:
    """The lowest term of NODE that is higher than ABOVE."""
    return above + 1 if owner(above + 1) == node else above + 2
