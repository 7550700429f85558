# SPDX-License-Identifier: MIT
"""Two simulated machines with the unchanged core in each: cables, gateway, DRBD, Xen, watchdogs.

Time is a heap of things to do; nothing here reads a clock. A scenario calls the verbs (`cut`,
`power_off`, `stall` ...) at the moments it wants, and `audit` sees every acknowledged write.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random

from haagent.core import actions, events
from haagent.core.decide import decide, first_state
from haagent.core.events import Deed, Event
from haagent.core.invariants import check
from haagent.core.model import (
    CONNECTED,
    Durable,
    FenceAnswer,
    Hello,
    LanStage,
    NodeState,
    Pair,
    Path,
    Policy,
    Role,
)
from haagent.core.resolving import RESTING
from haagent.core.timing import Timing
from tests.sim.audit import Audit
from tests.sim.drbd import Mirror, Refused

NAMES = ("a", "b")
GATEWAYS_ANSWER = 0.005  # seconds
HELLO_TAKES = 0.02
BOOT_TAKES = 25.0
HOLE = 2.0  # both paths cut within this many seconds are cut in one moment
STEP = 0.25  # between two looks of the kernel, and two writes of a guest
GRACE = 60.0  # a guest that does not shut down by itself is ended then


class NotYetError(Exception):
    """What was to be done has to wait."""


@dataclass(slots=True)
class Machine:
    """One PC. What is not marked as kept is gone with the power."""

    node: int
    boots: int = 0
    is_on: bool = False  # the kernel runs
    is_booting: bool = False
    epoch: int = 0  # counts power changes: what was under way before one is void
    kept: Durable | None = None  # on its stick
    state: NodeState | None = None  # the agent's; None while it does not run
    agent_epoch: int = 0
    queue: list[Callable[[], Event]] = field(default_factory=list)
    stalled_until: float = 0.0  # the whole machine, its clocks running on
    agent_stalled_until: float = 0.0  # only the agent
    frozen_until: float = 0.0  # the machine with all its clocks
    clock_lost: float = 0.0  # what its monotonic clock missed while frozen
    fed: float | None = None
    domains: dict[str, int] = field(default_factory=dict)  # guest -> the start's number
    promoting: set[str] = field(default_factory=set)
    resets: int = 0
    has_watchdog: bool = True
    is_full: bool = False  # Xen cannot start a guest
    has_no_room: bool = False  # for a copy of a volume
    key: str = "first"  # kept, like the two below: what its hellos and its mirror are signed with
    next_key: str = ""  # agreed on with another peer; not taken up yet
    replaced_keys: frozenset[str] = frozenset()  # of peers that were replaced
    lan_files: int = 0  # kept: the change that the files with the LAN's addresses are from
    lan_trial: int | None = None  # the change on trial: of files that a start does not find
    lan_agent: int = 0  # the one that the agent has read

    @property
    def lan(self) -> int:
        """The change whose addresses the kernel has."""
        return self.lan_files if self.lan_trial is None else self.lan_trial


class World:
    """The pair and all around it."""

    def __init__(
        self,
        *,
        guests: dict[str, int] | None = None,
        policy: Policy = Policy.AUTOMATIC,
        seed: int = 0,
        timing: Timing | None = None,
    ) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self.guests = guests or {"g": 0}
        self.policy = policy
        self.timing = timing or Timing()
        self.machines = (Machine(0), Machine(1))
        self.log: list[str] = []
        self.audit = Audit()
        self.gateway = True
        self.ghost = False  # something answers probes for a machine that is off
        self.cut: set[tuple[Path, int]] = set()  # (path, the node whose frames are lost)
        self.nic_dead: set[tuple[Path, int]] = set()
        self.refusals: list[str | None] = []  # what persons were told; None: it is done
        self.saves = 0  # how often a state was written
        self.cut_at_save: int | None = None  # the machine that writes this one loses its power
        self.sync_takes: float | None = None  # seconds of a resync that begins; None: a few
        self.is_hole = False
        self.is_frozen_class = False
        self._broken: dict[Path, float] = {}
        self.gateway_cut: set[int] = set()  # nodes that the gateway does not hear
        self._maintained: set[int] = set()  # nodes whose maintenance ends when their agent starts
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._numbers = itertools.count(1)
        self._starts = itertools.count(1)
        self.bad_gateways: set[int] = set()  # changes that name a gateway that is none
        self.bad_lans: set[int] = set()  # changes to addresses at which the two hear nothing
        self.stuck: set[int] = set()  # nodes that cannot take addresses up
        self.unwritable: set[int] = set()  # nodes whose sticks keep no other addresses
        self.gateway_moves = True  # an agent with addresses of before does not reach it
        self.services_take = (0.5, 4.0)  # seconds: heartbeat's restart, until the agent's
        self.shadow: World | None = None  # where a machine lives on that was replaced here
        self.mirrors = {guest: self._mirror(guest) for guest in self.guests}
        self.after(0.0, self._step)

    def _mirror(self, guest: str) -> Mirror:
        return Mirror(
            lambda a, b: self.carries(Path.CROSSOVER, a, b),
            lambda node: self._resource_changed(node, guest),
            lambda node: self.after(0.05, lambda: self._ask_handler(node, guest)),
            lambda node, writes: self.audit.discarded(self.now, guest, node, writes),
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

    def clock(self, node: int) -> float:
        """The machine's monotonic clock: another base for each boot, and slow where it froze."""
        return self.now + 1000.0 * (node + 1) - self.machines[node].clock_lost

    def note(self, line: str) -> None:
        self.log.append(f"{self.now:7.2f}  {line}")

    # cables, power, stalls: the verbs of a scenario

    def carries(self, path: Path, source: int, target: int) -> bool:
        """Whether a frame from SOURCE reaches TARGET, and both kernels are there to handle it."""
        if not (self.is_live(source) and self.is_live(target)):
            return False
        is_deaf = path is Path.LAN and not self._is_one_lan()
        return not is_deaf and self._reaches(path, source, target)

    def _reaches(self, path: Path, source: int, target: int) -> bool:
        """Whether cable and cards are whole."""
        return (path, source) not in self.cut and not {
            (path, source),
            (path, target),
        } & self.nic_dead

    def is_live(self, node: int) -> bool:
        machine = self.machines[node]
        return machine.is_on and self.now >= max(machine.stalled_until, machine.frozen_until)

    def _is_one_lan(self) -> bool:
        """Both kernels have addresses of one change, and both agents speak from them."""
        [first, *others] = [one for m in self.machines for one in (m.lan, m.lan_agent)]
        return first not in self.bad_lans and all(one == first for one in others)

    def sees_gateway(self, node: int) -> bool:
        machine = self.machines[node]
        if self.gateway_moves and machine.lan != machine.lan_agent:
            return False
        if machine.lan in self.bad_gateways:
            return False
        is_reached = node not in self.gateway_cut and (Path.LAN, node) not in self.nic_dead
        return self.gateway and is_reached and self.is_live(node)

    def unplug(self, path: Path, *nodes: int) -> None:
        """Loses the frames that NODES (or both) send on PATH."""
        self.note(f"-- {path} cut {nodes or ''}")
        self.cut |= {(path, node) for node in nodes or (0, 1)}

    def plug(self, path: Path, *nodes: int) -> None:
        self.note(f"-- {path} back {nodes or ''}")
        self.cut -= {(path, node) for node in nodes or (0, 1)}

    def pull_lan(self, node: int) -> None:
        """The LAN cable of one machine: peer and gateway are gone at once."""
        self.unplug(Path.LAN, node, 1 - node)
        self.gateway_cut.add(node)

    def kill_nics(self, node: int) -> None:
        self.note(f"-- {NAMES[node]}'s cards die")
        self.nic_dead |= {(Path.CROSSOVER, node), (Path.LAN, node)}

    def heal_nics(self, node: int) -> None:
        self.note(f"-- {NAMES[node]}'s cards are back")
        self.nic_dead -= {(Path.CROSSOVER, node), (Path.LAN, node)}

    def heal(self) -> None:
        """Every cable, card and gateway works again, whoever is off is switched on, and no machine
        is in maintenance.
        """
        self.note("-- all is mended")
        self.cut.clear()
        self.nic_dead.clear()
        self.gateway_cut.clear()
        self.gateway, self.ghost = True, False
        for machine in self.machines:
            machine.is_full = False
            if machine.kept is not None and machine.kept.in_maintenance:
                self._maintained.add(machine.node)
                self._end_maintenance(machine.node)
            if not machine.is_on and not machine.is_booting:
                self.power_on(machine.node)

    def break_mirror(self, guest: str = "g") -> None:
        """DRBD's connection is reset: both sides know at once."""
        self.note(f"-- the mirror of {guest} is reset")
        mirror = self.mirrors[guest]
        if all(copy.link in CONNECTED for copy in mirror.copies):
            for node in (0, 1):
                mirror._lose(node)

    def set_gateway(self, is_there: bool) -> None:
        self.note(f"-- the gateway is {'back' if is_there else 'gone'}")
        self.gateway = is_there

    def power_on(self, node: int, boot: float = BOOT_TAKES) -> None:
        machine = self.machines[node]
        if machine.is_on or machine.is_booting:
            return
        machine.is_booting = True
        machine.epoch += 1
        epoch = machine.epoch
        self.after(boot, lambda: self._booted(node) if machine.epoch == epoch else None)

    def power_off(self, node: int, why: str = "loses power") -> None:
        machine = self.machines[node]
        self.note(f"-- {NAMES[node]} {why}")
        machine.is_on = machine.is_booting = False
        machine.epoch += 1
        machine.agent_epoch += 1
        machine.state, machine.fed = None, None
        machine.lan_trial = None
        machine.queue.clear()
        machine.promoting.clear()
        machine.stalled_until = machine.agent_stalled_until = machine.frozen_until = 0.0
        for guest in list(machine.domains):
            self._stop_domain(node, guest)
        for mirror in self.mirrors.values():
            mirror.copies[node].detach()

    def reset(self, node: int, why: str = "is reset") -> None:
        self.power_off(node, why)
        self.power_on(node)

    def leave(self, node: int) -> None:
        """`systemctl reboot`: the agent is asked to sign off first."""
        self.post(node, lambda: events.Leave(self.clock(node)))

    def move(self, node: int, guest: str = "g") -> None:
        """`shoestring move`, typed on NODE."""
        self.note(f"-- a person moves {guest} away from {NAMES[node]}")
        self.post(node, lambda: events.MoveAsked(self.clock(node), guest))

    def maintenance(self, node: int, is_on: bool) -> None:
        """`shoestring maintenance on` or `off`, typed on NODE."""
        self.note(f"-- a person turns {NAMES[node]}'s maintenance {'on' if is_on else 'off'}")
        self._maintained.discard(node)
        self.post(node, lambda: events.MaintenanceAsked(self.clock(node), is_on))

    def choose(self, node: int, counts: int, guest: str = "g", keeps: bool = True) -> None:
        """`shoestring resolve`, typed on NODE: the copy on COUNTS counts."""
        kept = "kept aside" if keeps else "given up"
        self.note(f"-- on {NAMES[node]} a person chooses {NAMES[counts]}'s {guest}, other {kept}")
        self.audit.chosen(guest, counts, keeps)
        stamp = "20260102-0304" if keeps else ""
        self.post(node, lambda: events.ChoiceAsked(self.clock(node), guest, counts, stamp))

    def change_lan(self, node: int) -> None:
        """`shoestring lan`, typed on NODE. What is typed is known by its number here."""
        self.note(f"-- on {NAMES[node]} a person asks for other addresses on the LAN")
        words = ("10.0.2.11/24", "10.0.2.12/24", "10.0.2.1")
        self.post(node, lambda: events.LanAsked(self.clock(node), *words))

    def do_without(self, node: int, counts: int, about: int, guest: str = "g") -> None:
        """`without a copy`, typed on NODE where the open choice ABOUT was shown."""
        self.note(f"-- on {NAMES[node]} a person goes without a copy, in choice {about}")
        state = self.machines[node].state
        choice = state.durable.ledgers[guest].choice if state else None
        if choice is not None and choice.is_open and choice.number == about:
            self.audit.chosen(guest, counts, False)
        self.post(node, lambda: events.ChoiceAsked(self.clock(node), guest, counts, "", about))

    def _end_maintenance(self, node: int) -> None:
        self.post(node, lambda: events.MaintenanceAsked(self.clock(node), False))

    def stall(self, node: int, seconds: float) -> None:
        """The machine stands still; its clocks and its watchdog run on."""
        self.note(f"-- {NAMES[node]} stalls for {seconds:g} s")
        self.machines[node].stalled_until = self.now + seconds
        self.after(seconds, lambda: self._wake(node))

    def stall_agent(self, node: int, seconds: float) -> None:
        self.note(f"-- {NAMES[node]}'s agent stalls for {seconds:g} s")
        self.machines[node].agent_stalled_until = self.now + seconds
        self.after(seconds, lambda: self._wake(node))

    def restart_agent(self, node: int) -> None:
        """SIGKILL; systemd starts it again at once."""
        if self.machines[node].is_on:
            self.note(f"-- {NAMES[node]}'s agent is killed")
            self._start_agent(node)

    def freeze(self, node: int, seconds: float) -> None:
        """The machine stands still with every clock, as a paused virtual machine does."""
        self.note(f"-- {NAMES[node]} is frozen for {seconds:g} s")
        machine = self.machines[node]
        if not machine.is_on:
            return
        self.is_frozen_class = True
        machine.frozen_until = self.now + seconds
        epoch = machine.epoch

        def thaw() -> None:
            if machine.epoch == epoch:
                machine.clock_lost += seconds
                if machine.fed is not None:
                    machine.fed += seconds
                self.post(node, lambda: events.ClockBroke(self.clock(node), seconds))
                self._wake(node)

        self.after(seconds, thaw)

    # the machine

    def _booted(self, node: int) -> None:
        machine = self.machines[node]
        machine.is_booting, machine.is_on = False, True
        machine.boots += 1
        self.note(f"-- {NAMES[node]} is up")
        self.take_up(node)
        for mirror in self.mirrors.values():
            mirror.copies[node].attach()
        self._start_agent(node)

    def take_up(self, node: int) -> None:
        """The files of what was agreed on are written; DRBD has its secret at once."""
        machine = self.machines[node]
        if machine.next_key:
            machine.replaced_keys |= {machine.key}
            machine.key, machine.next_key = machine.next_key, ""
            for mirror in self.mirrors.values():
                mirror.copies[node].secret = machine.key

    def _start_agent(self, node: int) -> None:
        machine = self.machines[node]
        machine.agent_epoch += 1
        machine.queue.clear()
        machine.promoting.clear()
        pair = Pair(
            me=node,
            names=NAMES,
            guests=self.guests,
            policy=self.policy,
            timing=self.timing,
            mark=machine.key,
            lan=machine.lan,
        )
        boot = f"{NAMES[node]}{machine.boots}"
        machine.lan_agent = machine.lan
        machine.state = first_state(
            pair, boot, machine.kept, self.clock(node), lan_files=machine.lan_files
        )
        if machine.has_watchdog:
            machine.fed = self.now
        self.post(node, lambda: events.WatchdogArmed(self.clock(node), machine.has_watchdog))
        for guest in self.guests:
            self._resource_changed(node, guest)
            self.post(node, self._domain_seen(node, guest))
        if node in self._maintained:
            self._end_maintenance(node)
        epoch = machine.agent_epoch
        self.after(self.random.uniform(0.0, 0.4), lambda: self._tick(node, epoch))

    def _domain_seen(self, node: int, guest: str) -> Callable[[], Event]:
        return lambda: events.DomainSeen(
            self.clock(node), guest, guest in self.machines[node].domains
        )

    def _tick(self, node: int, epoch: int) -> None:
        machine = self.machines[node]
        if machine.agent_epoch != epoch or machine.state is None:
            return
        if self._is_awake(node):
            self._drain(node)
            self._feed_in(node, events.Tick(self.clock(node)))
        self.after(self.timing.keepalive, lambda: self._tick(node, epoch))

    def _is_awake(self, node: int) -> bool:
        machine = self.machines[node]
        return self.is_live(node) and self.now >= machine.agent_stalled_until

    def _wake(self, node: int) -> None:
        if self._is_awake(node):
            self._drain(node)

    def post(self, node: int, make: Callable[[], Event]) -> None:
        """Puts an event into the agent's queue; it is handled now unless the agent stands still."""
        if self.machines[node].state is not None:
            self.machines[node].queue.append(make)
            if self._is_awake(node):
                self._drain(node)

    def _drain(self, node: int) -> None:
        queue = self.machines[node].queue
        while queue and self.machines[node].state is not None:
            self._feed_in(node, queue.pop(0)())

    def _feed_in(self, node: int, event: Event) -> None:
        """What the daemon does: decide, check, persist, log, act."""
        machine = self.machines[node]
        if machine.state is None:
            return
        before = machine.state
        decision = decide(before, event)
        check(before, decision)
        machine.state = decision.state
        for reason in decision.reasons:
            self.note(reason)
        if machine.kept != decision.state.durable:
            machine.kept = decision.state.durable
            self._look_at_lan(node)
            self.saves += 1
            if self.saves == self.cut_at_save:
                self.power_off(node, "loses power, having saved its state and done nothing yet")
        epoch = machine.agent_epoch
        for action in decision.actions:
            if machine.agent_epoch == epoch:
                self._act(node, action)

    def _look_at_lan(self, node: int) -> None:
        """Nobody keeps addresses before the other has on disk that they work."""
        ours, theirs = (self.machines[one].kept for one in (node, 1 - node))
        if ours is None or theirs is None or ours.lan.stage is not LanStage.KEPT:
            return
        is_told = theirs.lan.stage in (LanStage.PROVEN, LanStage.KEPT)
        if ours.lan.number and theirs.lan.number <= ours.lan.number and not is_told:
            self.audit.violations.append(f"{self.now:.2f}: {NAMES[node]} keeps what is not proven")

    def _act(self, node: int, action: actions.Action) -> None:
        machine = self.machines[node]
        match action:
            case actions.SendHello(hello):
                self._send(node, hello)
            case actions.TellReplaced(hello):
                if self.shadow is not None:
                    self.shadow.told(machine.replaced_keys, hello)
            case actions.ProbeReferee():
                if self.sees_gateway(node):
                    sent = self.clock(node)
                    self._later(
                        node,
                        GATEWAYS_ANSWER,
                        lambda: events.RefereeAnswered(self.clock(node), sent),
                    )
            case actions.ProbePeer():
                self._probe_peer(node)
            case actions.Feed():
                if machine.fed is not None:
                    machine.fed = self.now
            case actions.AnswerOperator(_, refusal):
                self.refusals.append(refusal)
            case actions.TakeUpLan(order):
                self._take_up_lan(node, order)
            case actions.Reset():
                self.reset(node, "resets itself")
            case actions.FinishLeaving():
                self._shut_down(node)
            case actions.AnswerFence(guest, answer):
                self._handler_ends(node, guest, answer)
            case actions.Connect(guest):
                self._work(node, guest, Deed.CONNECT, 0.1, lambda: self._connect(node, guest))
            case actions.KeepCopy(guest, _, _):
                self._work(node, guest, Deed.KEEP, 0.8, lambda: self._keep(node, guest))
            case actions.Discard(guest):
                self._work(node, guest, Deed.DISCARD, 0.3, lambda: self._discard(node, guest))
            case actions.Outdate(guest):
                self._work(node, guest, Deed.OUTDATE, 0.4, lambda: self._outdate(node, guest))
            case actions.Promote(guest, disconnect):
                self._promote(node, guest, disconnect)
            case actions.Create(guest):
                self._work(node, guest, Deed.CREATE, 1.0, lambda: self._create(node, guest))
            case actions.Shutdown(guest):
                limit = self.now + GRACE
                shut_down = partial(self._shut_down_guest, node, guest, limit)
                self._work(node, guest, Deed.SHUTDOWN, 2.0, shut_down)
            case actions.Destroy(guest):
                self._work(node, guest, Deed.DESTROY, 0.4, lambda: self._destroy(node, guest))

    def _take_up_lan(self, node: int, order: actions.LanOrder) -> None:
        """A program of its own: files, then the network, then heartbeat, then the agent."""
        machine = self.machines[node]
        if node in self.stuck and order is actions.LanOrder.TRY:
            return
        if node in self.unwritable and order is actions.LanOrder.KEEP:
            return
        epoch, number = machine.epoch, machine.kept.lan.number if machine.kept else 0

        def write() -> None:
            if machine.epoch != epoch:
                return
            match order:
                case actions.LanOrder.TRY:
                    if machine.kept is None or machine.kept.lan.stage is not LanStage.AGREED:
                        return
                    machine.lan_trial = number
                case actions.LanOrder.KEEP:
                    machine.lan_files, machine.lan_trial = number, None
                case actions.LanOrder.BACK:
                    machine.lan_trial = None
            self.note(f"-- {NAMES[node]} has the addresses of change {machine.lan}")
            self.after(self.random.uniform(*self.services_take), restart)

        def restart() -> None:
            if machine.epoch != epoch:
                return
            if machine.lan != machine.lan_agent:
                if not self._is_resting(node):  # what it began would meet what the next one does
                    self.after(0.5, restart)
                    return
                self.restart_agent(node)
            elif order is not actions.LanOrder.TRY:
                files = machine.lan_files
                self.post(node, lambda: events.LanWritten(self.clock(node), files))

        self.after(self.random.uniform(0.3, 2.0), write)

    def _is_resting(self, node: int) -> bool:
        """The agent is at nothing that takes time; or it does not run."""
        state = self.machines[node].state
        return state is None or all(mine.phase in RESTING for mine in state.guests.values())

    def _probe_peer(self, node: int) -> None:
        """Its own address, and the guests', which may be here, too: a bridge carries that."""
        peer = 1 - node
        reached = self.carries(Path.LAN, node, peer) and self.carries(Path.LAN, peer, node)
        answering = [""] * (self.ghost or reached) + list(self.machines[node].domains)
        answering += list(self.machines[peer].domains) * reached
        if self.shadow is not None and self.sees_lan(node):
            answering += self.shadow.domains()
        for guest in answering:
            answer = partial(self._answer, node, guest)
            self._later(node, 0.01, answer)

    def _answer(self, node: int, guest: str) -> Event:
        return events.ProbeAnswered(self.clock(node), guest)

    def _send(self, node: int, hello: Hello) -> None:
        peer = 1 - node
        carried = [path for path in (Path.CROSSOVER, Path.LAN) if self.carries(path, node, peer)]
        for path in (*carried, *((Path.HEARTBEAT,) if carried else ())):
            delay = HELLO_TAKES * self.random.uniform(0.5, 2.0)

            def arrive(path: Path = path, key: str = self.machines[node].key) -> None:
                if self.machines[peer].key == key:
                    self.post(peer, lambda: events.HelloHeard(self.clock(peer), path, hello))

            self.after(delay, arrive)

    def _later(self, node: int, seconds: float, make: Callable[[], Event]) -> None:
        epoch = self.machines[node].agent_epoch

        def fire() -> None:
            if self.machines[node].agent_epoch == epoch:
                self.post(node, make)

        self.after(seconds, fire)

    def _work(
        self, node: int, guest: str, deed: Deed, takes: float, do: Callable[[], None]
    ) -> None:
        """One action of an adapter: it takes time, and ends in Done or Failed."""
        machine = self.machines[node]
        epoch, agent = machine.epoch, machine.agent_epoch

        def fire() -> None:
            if machine.epoch != epoch:
                return
            if not self.is_live(node):
                self.after(STEP, fire)
                return
            try:
                do()
            except NotYetError:
                self.after(STEP, fire)
                return
            except Refused as refused:
                why = str(refused)
                event: Callable[[], Event] = lambda: events.Failed(  # noqa: E731
                    self.clock(node), guest, deed, why
                )
            else:
                event = lambda: events.Done(self.clock(node), guest, deed)  # noqa: E731
            if machine.agent_epoch == agent:
                self.post(node, event)

        self.after(takes * self.random.uniform(0.7, 1.3), fire)

    def _connect(self, node: int, guest: str) -> None:
        self.mirrors[guest].connect(node)

    def _keep(self, node: int, guest: str) -> None:
        if self.machines[node].has_no_room:
            raise Refused("insufficient free space")
        self.audit.kept(guest, self.mirrors[guest].copies[node].data)

    def _discard(self, node: int, guest: str) -> None:
        if guest in self.machines[node].domains:
            self.audit.violations.append(f"{self.now:.2f}: {guest} runs on what is given up")
        self.mirrors[guest].discard(node)

    def _outdate(self, node: int, guest: str) -> None:
        self.mirrors[guest].disconnect(node)
        self.mirrors[guest].outdate(node)

    def _promote(self, node: int, guest: str, disconnect: bool) -> None:
        mirror = self.mirrors[guest]
        if disconnect:
            mirror.disconnect(node)
        if mirror.needs_handler(node):
            self.machines[node].promoting.add(guest)
            self._later(node, 0.2, lambda: events.FenceAsked(self.clock(node), guest))
        else:
            self._work(node, guest, Deed.PROMOTE, 0.3, lambda: mirror.promote(node, None))

    def _handler_ends(self, node: int, guest: str, answer: FenceAnswer) -> None:
        mirror, machine = self.mirrors[guest], self.machines[node]
        if guest in machine.promoting:
            machine.promoting.discard(guest)
            self._work(node, guest, Deed.PROMOTE, 0.3, lambda: mirror.promote(node, answer))
        else:
            epoch = machine.epoch
            self.after(
                0.02, lambda: mirror.answer(node, answer) if machine.epoch == epoch else None
            )

    def _ask_handler(self, node: int, guest: str) -> None:
        self.post(node, lambda: events.FenceAsked(self.clock(node), guest))

    def _create(self, node: int, guest: str) -> None:
        copy = self.mirrors[guest].copies[node]
        if copy.role is not Role.PRIMARY:
            raise Refused("the device is not Primary")
        if self.machines[node].is_full:
            raise Refused("not enough memory")
        self.machines[node].domains[guest] = next(self._starts)
        self.note(f"{NAMES[node]}: {guest}: running")
        self.audit.started(self.now, guest, node, copy.data)
        self.post(node, self._domain_seen(node, guest))

    def _stop_domain(self, node: int, guest: str) -> None:
        if self.machines[node].domains.pop(guest, None) is not None:
            self.audit.stopped(self.now, guest, node)
            self.post(node, self._domain_seen(node, guest))

    def _shut_down_guest(self, node: int, guest: str, limit: float) -> None:
        """A guest whose write waits cannot come to its end."""
        if self.mirrors[guest].copies[node].pending is not None and self.now < limit:
            raise NotYetError
        self._destroy(node, guest)

    def _destroy(self, node: int, guest: str) -> None:
        self._stop_domain(node, guest)
        self.mirrors[guest].demote(node)

    def _shut_down(self, node: int) -> None:
        for mirror in self.mirrors.values():
            mirror.disconnect(node)
            mirror.copies[node].was_primary = False
        self.power_off(node, "shuts down in order")
        self.power_on(node)

    def _resource_changed(self, node: int, guest: str) -> None:
        mirror = self.mirrors[guest]
        self._later(
            node,
            0.02,
            lambda: events.ResourceChanged(self.clock(node), guest, mirror.show(node)),
        )

    # a machine that was replaced, and is on the LAN all the same

    def sees_lan(self, node: int) -> bool:
        """Whether NODE reaches those on the LAN who are not of the pair."""
        is_cut = {(Path.LAN, node)} & (self.cut | self.nic_dead)
        return self.is_live(node) and not is_cut

    def told(self, keys: frozenset[str], hello: Hello) -> None:
        """The pair says something to its replaced machine."""

    def domains(self) -> list[str]:
        """What runs on it, for those who look over the LAN."""
        return []

    # the kernel's and the guests' turn

    def _step(self) -> None:
        for guest, mirror in self.mirrors.items():
            detect, sync = self._detect(), self.random.uniform(2.0, 6.0)
            mirror.step(self.now, detect, self.sync_takes or sync)
            for machine in self.machines:
                if guest in machine.domains and self.is_live(machine.node):
                    number = next(self._numbers)
                    waiting = mirror.copies[machine.node].pending
                    if mirror.write(machine.node, number):
                        self.audit.acknowledged(self.now, guest, machine.node, waiting or number)
        for machine in self.machines:
            if machine.fed is None or self.now < machine.frozen_until:
                continue
            if self.now - machine.fed > self.timing.watchdog:
                machine.resets += 1
                self.reset(machine.node, "is reset by its watchdog")
        self._look_for_hole()
        if self.shadow is not None:
            self.shadow.run(self.now)
        self.after(STEP, self._step)

    def _look_for_hole(self) -> None:
        """Whether both paths were cut in one moment while both nodes see the gateway."""
        for path in (Path.CROSSOVER, Path.LAN):
            # Addresses that are changed by us are no fault that the pair may be excused by.
            is_whole = self._reaches(path, 0, 1) and self._reaches(path, 1, 0)
            if is_whole or not (self.is_live(0) and self.is_live(1)):
                self._broken.pop(path, None)
            else:
                self._broken.setdefault(path, self.now)
        if len(self._broken) == 2 and self.sees_gateway(0) and self.sees_gateway(1):
            crossover, lan = self._broken.values()
            if abs(crossover - lan) <= HOLE:
                self.is_hole = True

    def _detect(self) -> float:
        return self.random.uniform(0.25, 1.0) * self.timing.drbd_notices

    # what a scenario asks

    def holders(self, guest: str = "g") -> list[int]:
        return [machine.node for machine in self.machines if guest in machine.domains]

    def serves(self, node: int, guest: str = "g") -> bool:
        """The guest runs on NODE alone, and its writes are acknowledged."""
        copy = self.mirrors[guest].copies[node]
        return self.holders(guest) == [node] and not copy.is_suspended and copy.pending is None

    def is_healthy(self) -> bool:
        return all(
            len(self.holders(guest)) == 1
            and all(mirror.show(node).is_in_sync for node in (0, 1))
            and len({m.state.durable.ledgers[guest].term for m in self.machines if m.state}) == 1
            for guest, mirror in self.mirrors.items()
        )

    def faults(self) -> Iterator[str]:
        yield from self.audit.violations


def healthy(**how: object) -> World:
    """A pair that was switched on, came up, and serves its guests."""
    world = World(**how)  # type: ignore[arg-type]
    world.power_on(0, 1.0)
    world.power_on(1, 1.5)
    world.run_until(world.is_healthy, 60)
    world.run(world.now + 15)
    world.note("== healthy")
    return world
