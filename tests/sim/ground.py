# SPDX-License-Identifier: MIT
"""What two simulated machines stand on: time, cables, gateway, mirrors, and the audit.

Time is a heap of things to do; nothing here reads a clock. `audit` sees every acknowledged write.
What a scenario does to all this, and what it asks, is in `world`.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from random import Random

from haagent.core import events
from haagent.core.events import Event
from haagent.core.model import Hello, LanStage, Path, Policy
from haagent.core.timing import Timing
from tests.sim.audit import Audit
from tests.sim.drbd import Mirror
from tests.sim.hands import STEP
from tests.sim.machine import BOOT_TAKES, NAMES, Machine
from tests.sim.wires import AS_IT_IS, Direct, Formats, Signed, Wire

HELLO_TAKES = 0.02  # seconds
HOLE = 2.0  # both paths cut within this many seconds are cut in one moment
LONG_AGO = float("-inf")
REMEMBERED = 200  # hellos, for whoever plays them again


class Frames(StrEnum):
    """Of which a path can lose one kind and carry the others."""

    HELLO = "our datagrams"
    HEARTBEAT = "heartbeat's"
    DRBD = "DRBD's"
    PROBE = "probes of the peer"


class Ground:
    """The two machines, what is between them, and what happens there by itself."""

    def __init__(
        self,
        *,
        guests: dict[str, int] | None = None,
        places: dict[str, int] | None = None,
        pauses: dict[str, float] | None = None,
        off: frozenset[str] = frozenset(),
        policy: Policy = Policy.AUTOMATIC,
        seed: int = 0,
        timing: Timing | None = None,
        speak: tuple[Formats, Formats] | None = None,
    ) -> None:
        """SPEAK is what node 0 and node 1 read and write; without it hellos pass as they are."""
        self.now = 0.0
        self.wire: Wire = Direct() if speak is None else Signed()
        self.random = Random(seed)
        self.guests = guests or {"g": 0}
        self.places, self.pauses, self.off = places or {}, pauses or {}, off
        self.policy = policy
        self.timing = timing or Timing()
        a, b = speak or (AS_IT_IS, AS_IT_IS)
        self.machines = (Machine(self, 0, formats=a), Machine(self, 1, formats=b))
        self.log: list[str] = []
        self.audit = Audit()
        self.gateway = True
        self.ghost = False  # something answers probes for a machine that is off
        self.cut: set[tuple[Path, int]] = set()  # (path, the node whose frames are lost)
        self.nic_dead: set[tuple[Path, int]] = set()
        self.lost: set[tuple[Frames, Path, int]] = set()  # of that kind alone, from that node
        self.late: dict[
            tuple[Path, int], float
        ] = {}  # seconds that hellos of that node take longer
        self.twice: set[tuple[Path, int]] = set()  # (path, the node whose hellos arrive twice)
        self.said: deque[tuple[float, int, object]] = deque(maxlen=REMEMBERED)  # (when, who, what)
        self.refusals: list[str | None] = []  # what persons were told; None: it is done
        self.saves = 0  # how often a state was written
        self.cut_at_save: int | None = None  # the machine that writes this one loses its power
        self.cut_finds_old = False  # what it finds then: the state before, or the one it wrote
        self.boot_takes = BOOT_TAKES  # of a machine that starts again by itself
        self.sync_takes: float | None = None  # seconds of a resync that begins; None: a few
        self.is_hole = False
        self.is_frozen_class = False
        self._broken: dict[Path, float] = {}
        self.gateway_cut: set[int] = set()  # nodes that the gateway does not hear
        self.told_to_maintain: set[int] = set()  # nodes of which a person said so last
        self.maintained: set[int] = set()  # nodes whose maintenance ends when their agent starts
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.write_numbers = itertools.count(1)
        self.start_numbers = itertools.count(1)
        self.bad_gateways: set[int] = set()  # changes that name a gateway that is none
        self.bad_lans: set[int] = set()  # changes to addresses at which the two hear nothing
        self.stuck: set[int] = set()  # nodes that cannot take addresses up
        self.unwritable: set[int] = set()  # nodes whose sticks keep no other addresses
        self.gateway_moves = True  # an agent with addresses of before does not reach it
        self.services_take = (0.5, 4.0)  # seconds: heartbeat's restart, until the agent's
        self.shadow: Ground | None = None  # where a machine lives on that was replaced here
        self.mirrors = {guest: self._mirror(guest) for guest in self.guests}
        self.after(0.0, self.step)

    def _mirror(self, guest: str) -> Mirror:
        return Mirror(
            lambda a, b: self.carries(Path.CROSSOVER, a, b, Frames.DRBD),
            lambda node: self.machines[node].resource_changed(guest),
            lambda node: self.after(0.05, lambda: self.machines[node].ask_handler(guest)),
            lambda node, writes: self.audit.discarded(self.now, guest, node, writes),
            self.timing.drbd_expels,
        )

    # time

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + seconds, next(self._order), do))

    def at(self, moment: float, do: Callable[[], None]) -> None:
        self.after(moment - self.now, do)

    def run(self, until: float) -> None:
        while self._heap and self._heap[0][0] <= until:
            self.now, _, do = heapq.heappop(self._heap)
            do()
        self.now = until

    def run_until(self, holds: Callable[[], bool], limit: float) -> None:
        """Raises AssertionError if LIMIT comes first."""
        while not holds():
            if self.now >= limit:
                raise AssertionError(f"not within {limit} s:\n" + "\n".join(self.log[-40:]))
            self.run(min(self.now + STEP, limit))

    def begin_at(self, moment: float) -> None:
        """It is MOMENT, and nothing is to come."""
        self.now = moment
        self._heap.clear()

    def clock(self, node: int) -> float:
        """The machine's monotonic clock: another base for each, and slow where it froze."""
        return self.machines[node].clock()

    def note(self, line: str) -> None:
        self.log.append(f"{self.now:7.2f}  {line}")

    # what reaches whom

    def post(self, node: int, make: Callable[[], Event]) -> None:
        """Puts an event into the agent's queue."""
        self.machines[node].post(make)

    def is_live(self, node: int) -> bool:
        return self.machines[node].is_live

    def carries(self, path: Path, source: int, target: int, kind: Frames) -> bool:
        """Whether a frame from SOURCE reaches TARGET, and both kernels are there to handle it."""
        return self._are_live() and self._connects(path, source, target, kind)

    def _are_live(self) -> bool:
        a, b = self.machines
        return a.is_live and b.is_live

    def _connects(self, path: Path, source: int, target: int, kind: Frames) -> bool:
        if path is Path.LAN and not self._is_one_lan():
            return False
        return self._reaches(path, source, target, kind)

    def _reaches(self, path: Path, source: int, target: int, kind: Frames) -> bool:
        """Whether cable and cards are whole, and nothing on the way filters frames of that KIND."""
        if not (self.cut or self.lost or self.nic_dead):
            return True
        if (path, source) in self.cut or (kind, path, source) in self.lost:
            return False
        dead = self.nic_dead
        return not dead or not ((path, source) in dead or (path, target) in dead)

    def _passes(self, path: Path, kind: Frames) -> bool:
        """Both ways."""
        return self._reaches(path, 0, 1, kind) and self._reaches(path, 1, 0, kind)

    def _is_one_lan(self) -> bool:
        """Both kernels have addresses of one change, and both agents speak from them."""
        a, b = self.machines
        return a.lan == a.lan_agent == b.lan == b.lan_agent and a.lan not in self.bad_lans

    def sees_gateway(self, node: int) -> bool:
        machine = self.machines[node]
        if self.gateway_moves and machine.lan != machine.lan_agent:
            return False
        if machine.lan in self.bad_gateways:
            return False
        is_reached = node not in self.gateway_cut and (Path.LAN, node) not in self.nic_dead
        return self.gateway and is_reached and self.is_live(node)

    def sees_lan(self, node: int) -> bool:
        """Whether NODE reaches those on the LAN who are not of the pair."""
        is_cut = {(Path.LAN, node)} & (self.cut | self.nic_dead)
        return self.is_live(node) and not is_cut

    def send(self, node: int, hello: Hello, formats: Formats) -> None:
        for said in self.wire.say(hello, formats, self.machines[node].key):
            self._carry(node, said)

    def _carry(self, node: int, said: object) -> None:
        """SAID by NODE goes over every path that carries it now."""
        peer = 1 - node
        self.said.append((self.now, node, said))
        if not self._are_live():
            return
        is_heard = False
        for path in (Path.CROSSOVER, Path.LAN):
            if not is_heard:
                is_heard = self._connects(path, node, peer, Frames.HEARTBEAT)
            if self._connects(path, node, peer, Frames.HELLO):
                self._deliver(path, node, said, self.late.get((path, node), 0.0))
                if (path, node) in self.twice:
                    self._deliver(path, node, said, self.random.uniform(0.0, 1.0))
        if is_heard:
            self._deliver(Path.HEARTBEAT, node, said, self.late.get((Path.HEARTBEAT, node), 0.0))

    def _deliver(self, path: Path, node: int, said: object, late: float) -> None:
        """What NODE said reaches the other one over PATH, soon."""
        there = self.machines[1 - node]

        def arrive() -> None:
            heard = self.wire.hear(said, there.formats, there.key)
            if heard is not None:
                there.post(
                    lambda: events.HelloHeard(there.clock(), path, heard.hello, heard.version)
                )

        self.after(HELLO_TAKES * self.random.uniform(0.5, 2.0) + late, arrive)

    def play_again(self, node: int, path: Path, begin: float, end: float) -> None:
        """The hellos that NODE said between two moments come again over PATH, as they are."""
        for when, who, said in tuple(self.said):
            if who == node and begin <= when <= end and self.is_live(1 - node):
                self._deliver(path, node, said, 0.0)

    def probe_peer(self, node: int) -> None:
        """Its own address, and the guests', which may be here, too: a bridge carries that."""
        peer = 1 - node
        reached = all(self.carries(Path.LAN, one, 1 - one, Frames.PROBE) for one in (node, peer))
        answering = [""] * (self.ghost or reached) + list(self.machines[node].domains)
        answering += list(self.machines[peer].domains) * reached
        if self.shadow is not None and self.sees_lan(node):
            answering += self.shadow.domains()
        for guest in answering:
            self.machines[node].probe_answered(guest)

    # a machine that was replaced, and is on the LAN all the same

    def told(self, keys: frozenset[str], hello: Hello) -> None:
        """The pair says something to its replaced machine."""

    def domains(self) -> list[str]:
        """What runs on it, for those who look over the LAN."""
        return []

    # the kernel's and the guests' turn

    def step(self) -> None:
        for guest, mirror in self.mirrors.items():
            detect, sync = self._detect(), self.random.uniform(2.0, 6.0)
            mirror.step(self.now, detect, self.sync_takes or sync)
            for machine in self.machines:
                is_here = guest in machine.domains and guest not in machine.ended
                if is_here and guest not in machine.zombies and machine.is_live:
                    number = next(self.write_numbers)
                    waiting = mirror.copies[machine.node].pending
                    if mirror.write(machine.node, number):
                        self.audit.acknowledged(self.now, guest, machine.node, waiting or number)
        for machine in self.machines:
            machine.look_at_watchdog()
        self._look_for_hole()
        if self.shadow is not None:
            self.shadow.run(self.now)
        self.after(STEP, self.step)

    def _look_for_hole(self) -> None:
        """Whether both paths were cut in one moment while both nodes see the gateway."""
        if not (self.cut or self.lost or self.nic_dead or self._broken):
            return
        for path in (Path.CROSSOVER, Path.LAN):
            # Addresses that are changed by us are no fault that the pair may be excused by.
            is_whole = self._passes(path, Frames.HELLO)
            if path is Path.LAN:
                is_whole = is_whole or self._passes(path, Frames.PROBE)
            if is_whole:
                self._broken.pop(path, None)
            elif not (self.machines[0].is_on and self.machines[1].is_on):
                self._broken[path] = LONG_AGO  # who starts has heard nothing yet to be fooled by
            elif not (self.is_live(0) and self.is_live(1)):
                self._broken.pop(path, None)
            else:
                self._broken.setdefault(path, self.now)
        if len(self._broken) == 2 and self.sees_gateway(0) and self.sees_gateway(1):
            crossover, lan = self._broken.values()
            if abs(crossover - lan) <= HOLE:
                self.is_hole = True

    def _detect(self) -> float:
        return self.random.uniform(0.25, 1.0) * self.timing.drbd_notices

    def look_at_lan(self, node: int) -> None:
        """Nobody keeps addresses before the other has on disk that they work."""
        ours, theirs = (self.machines[one].kept for one in (node, 1 - node))
        if ours is None or theirs is None or ours.lan.stage is not LanStage.KEPT:
            return
        is_told = theirs.lan.stage in (LanStage.PROVEN, LanStage.KEPT)
        if ours.lan.number and theirs.lan.number <= ours.lan.number and not is_told:
            self.audit.violations.append(f"{self.now:.2f}: {NAMES[node]} keeps what is not proven")
