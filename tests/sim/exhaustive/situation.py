# SPDX-License-Identifier: MIT
"""Two machines, what they keep, and what is between them: values that can be copied and compared.

`Situation` is what one moment of a history consists of. It has no queue of closures and no random
number: what is under way is data. What time does to it is in `passing`, what agents ask of it is in
`doing`; DRBD is tests.sim.drbd's, and what was acknowledged is judged by tests.sim.audit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from haagent.core import actions
from haagent.core.events import Done, Event, Failed
from haagent.core.model import NEVER, Durable, Hello, NodeState, Pair, Path, Policy
from haagent.core.timing import Timing
from tests.sim.audit import Audit
from tests.sim.drbd import Mirror

GUEST = "g"
NAMES = ("a", "b")
WIRES = (Path.CROSSOVER, Path.LAN)

# As short as the inequalities of core/timing.py let them be: nothing is left over that could hide
# a rule that leans on more than they promise, and a wait is a few turns of the loop.
TIGHT = Timing(
    keepalive=1.0,
    dead=5.0,
    stall=2.0,
    referee=2.0,
    gasp=2.0,
    forfeit=1.0,
    self_fence=6.0,
    watchdog=4.0,
    feed=1.0,
    save=1.0,
    resume=6.0,
    margin=1.0,
    take=12.0,
    pulse=1.0,
    disk=5.0,
    drbd_ping=1.0,
    drbd_timeout=1.0,
)


class Still(StrEnum):
    """What of a machine stands still."""

    AGENT = "agent"
    MACHINE = "machine"  # its clocks and its watchdog run on
    CLOCKS = "machine and clocks"


@dataclass(frozen=True, slots=True)
class Work:
    """Something that an agent asked for and that takes its time."""

    what: actions.Action
    due: float
    limit: float  # what is not done by then has failed
    is_orphan: bool = False  # the agent that asked is gone: nobody hears how it ended


@dataclass(slots=True, eq=False)
class Node:
    """One machine. What waits for its agent is kept as facts, not as a list: the newest counts."""

    me: int
    pair: Pair
    boots: int = 0
    is_on: bool = False
    boot_at: float | None = None
    kept: Durable | None = None  # on its stick
    has_saved: bool = False  # in the last moment
    state: NodeState | None = None  # its agent's
    still: Still | None = None
    still_since: float = 0.0
    clock_lost: float = 0.0
    fed: float = NEVER  # by its own clock
    has_opened: bool = False  # its agent has the watchdog open
    is_xen_hanging: bool = False  # it tells nothing, and does nothing
    owes_at: float | None = None  # from then on its disk, which hangs, owes a read to its agent
    start: int | None = None  # the guest runs here, and this was the number of its start
    is_promoting: bool = False  # DRBD's handler was called by a promotion
    works: tuple[Work, ...] = ()

    has_drbd_news: bool = False
    has_domain_news: bool = False
    is_fence_asked: bool = False
    reports: tuple[Done | Failed, ...] = ()
    inbox: tuple[tuple[Path, Hello], ...] = ()
    answered: float | None = None  # by the gateway: when we sent that probe
    hits: tuple[str, ...] = ()  # who answered our probes of the peer
    orders: tuple[Event, ...] = ()  # a person's, and what its clocks told

    words: Hello | None = None  # on its way to the peer
    ways: frozenset[Path] = frozenset()  # the wires that they left by
    asks_gateway: float | None = None
    asks_peer: bool = False

    @property
    def name(self) -> str:
        return NAMES[self.me]

    @property
    def is_live(self) -> bool:
        """Its kernel is there to handle a frame."""
        return self.is_on and self.still in (None, Still.AGENT)

    @property
    def is_awake(self) -> bool:
        """Its agent is there to handle an event."""
        return self.state is not None and self.still is None


@dataclass(slots=True, eq=False)
class Situation:
    """All that there is, at one moment."""

    timing: Timing
    nodes: tuple[Node, Node]
    mirror: Mirror
    audit: Audit
    now: float = 0.0
    is_turn_next: bool = True  # else arrivals are next
    gateway: bool = True
    gateway_cut: frozenset[int] = frozenset()
    cut: frozenset[tuple[Path, int]] = frozenset()  # (path, the node whose frames are lost)
    broken: dict[Path, float] = field(default_factory=dict)  # since when
    is_hole: bool = False
    is_frozen_class: bool = False
    is_bug: bool = False  # an invariant of the core was broken: no class is exempt from that
    writes: int = 0
    starts: int = 0
    reasons: list[str] | None = None  # what the agents said; None: nobody wants to know

    @property
    def half(self) -> float:
        return self.timing.keepalive / 2

    def clock(self, node: Node) -> float:
        """Its monotonic clock."""
        runs = node.still_since if node.still is Still.CLOCKS else self.now
        return runs - node.clock_lost

    def reaches(self, path: Path, source: int) -> bool:
        """The cable carries what SOURCE sends."""
        return (path, source) not in self.cut

    def lose(self, path: Path, nodes: tuple[int, ...]) -> None:
        """PATH is cut for what NODES send, and for what is on it."""
        self.cut |= {(path, node) for node in nodes}
        for node in nodes:
            self.nodes[node].ways -= {path}

    def carries(self, path: Path, source: int, target: int) -> bool:
        """Both kernels are there as well."""
        live = self.nodes[source].is_live and self.nodes[target].is_live
        return live and self.reaches(path, source)

    def sees_gateway(self, node: int) -> bool:
        return self.gateway and node not in self.gateway_cut and self.nodes[node].is_live

    def acked(self) -> set[int]:
        return self.audit.acked.setdefault(GUEST, set())

    @property
    def is_exempt(self) -> bool:
        """Of a class in which the pair has to stop, and may have two writers before."""
        return self.is_hole or self.is_frozen_class

    def violate(self, sentence: str) -> None:
        self.audit.violations.append(f"{self.now:.2f}: {sentence}")

    def copy(self) -> "Situation":
        """Another one like this, that shares nothing that changes."""
        audit = self.audit
        twin = replace(
            self,
            nodes=(replace(self.nodes[0]), replace(self.nodes[1])),
            audit=Audit(
                violations=list(audit.violations),
                acked={guest: set(acked) for guest, acked in audit.acked.items()},
                running={guest: list(running) for guest, running in audit.running.items()},
                starts=dict(audit.starts),
                newest_acked=dict(audit.newest_acked),
                _since=dict(audit._since),
            ),
            broken=dict(self.broken),
            reasons=None if self.reasons is None else list(self.reasons),
        )
        twin.mirror = self.mirror.twin(*_hands(twin))
        return twin

    def forget_writes(self) -> None:
        """Of writes that are in the same copies one is enough, and what nobody waits for is none.

        What is asked of them is only whether there is one.
        """
        copies, acked = self.mirror.copies, self.acked()
        zero, one = copies[0].data, copies[1].data
        keep = {copy.pending for copy in copies if copy.pending is not None}
        for group in (acked & zero & one, acked & zero - one, acked & one - zero):
            if group:
                keep.add(min(group))
        lost = acked - zero - one
        if lost:
            keep.add(min(lost))
        acked &= keep
        for copy in copies:
            copy.data &= keep


def _hands(
    situation: Situation,
) -> tuple[
    Callable[[int, int], bool],
    Callable[[int], None],
    Callable[[int], None],
    Callable[[int, set[int]], None],
]:
    """What the mirror calls."""

    def changed(node: int) -> None:
        situation.nodes[node].has_drbd_news = situation.nodes[node].state is not None

    def fence(node: int) -> None:
        situation.nodes[node].is_fence_asked = situation.nodes[node].state is not None

    return (
        lambda source, target: situation.carries(Path.CROSSOVER, source, target),
        changed,
        fence,
        lambda node, writes: situation.audit.discarded(situation.now, GUEST, node, writes),
    )


def dark(timing: Timing = TIGHT) -> Situation:
    """Two machines that were never switched on."""
    pairs = [
        Pair(
            me=me, names=NAMES, guests={GUEST: 0}, policy=Policy.AUTOMATIC, timing=timing, mark="m"
        )
        for me in (0, 1)
    ]
    unused = Mirror(
        lambda a, b: False,
        lambda node: None,
        lambda node: None,
        lambda node, writes: None,
        timing.drbd_expels,
    )
    situation = Situation(timing, (Node(0, pairs[0]), Node(1, pairs[1])), unused, Audit())
    situation.mirror = unused.twin(*_hands(situation))
    return situation
