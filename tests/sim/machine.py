# SPDX-License-Identifier: MIT
"""One PC of the pair: its power, its stick, its watchdog, and the agent with the unchanged core.

What the agent asks for goes to DRBD and Xen through `Hands`, and to everybody else through the
`Ground`. Nothing here knows the other machine.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from haagent.core import actions, events, feeding
from haagent.core.decide import decide, first_state
from haagent.core.events import Event
from haagent.core.invariants import check
from haagent.core.model import Durable, LanStage, Measured, NodeState, Pair
from haagent.core.resolving import RESTING
from haagent.core.wish import End, Ended
from haagent.journal import LAST_WORDS
from haagent.measures import SELDOM
from haagent.storage.reconnection import Hang, may_reconnect
from tests.sim.drbd import Refused
from tests.sim.hands import Hands
from tests.sim.wires import AS_IT_IS, Formats

if TYPE_CHECKING:
    from tests.sim.ground import Ground

NAMES = ("a", "b")
GATEWAYS_ANSWER = 0.005  # seconds
AGENT_STARTS = 1.0  # seconds after it died
BOOT_TAKES = 25.0  # seconds, for who does not say otherwise
TAKES = 516  # MiB of a machine's memory, for each guest


@dataclass(slots=True, eq=False)
class Machine:
    """What is not marked as kept is gone with the power."""

    ground: "Ground"
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
    has_opened: bool = False  # the agent, the watchdog
    ticked: NodeState | None = None  # the agent's, last: what it leaves to the next of this boot
    dies_until: float = 0.0  # the agent, again and again
    hangs_until: float = 0.0  # Xen: it tells nothing, and does nothing
    hides_until: float = 0.0  # DRBD tells nothing
    has_zombies: bool = False  # what ends stays there as a domain that writes nothing
    zombies: set[str] = field(default_factory=set)
    handlers: set[str] = field(default_factory=set)  # guests whose fence-peer handler waits
    domains: dict[str, int] = field(default_factory=dict)  # guest -> the start's number
    ended: dict[str, End] = field(default_factory=dict)  # those of them that ended by themselves
    promoting: set[str] = field(default_factory=set)
    resets: int = 0
    has_watchdog: bool = True
    is_full: bool = False  # Xen cannot start a guest
    is_stick_gone: bool = False  # nothing boots
    has_dead_mount: bool = False  # until the next start, also if the stick is back
    is_stick_full: bool = False  # it can be read, and not written
    torn: Durable | None = None  # on its stick: newer than what was acted on
    is_stick_lost: bool = False  # so the agent has noted, for all agents of this boot
    has_no_room: bool = False  # for a copy of a volume
    is_vacant: bool = False  # kept: by its settings there is no second machine
    key: str = "first"  # kept, like the two below: what its hellos and its mirror are signed with
    next_key: str = ""  # agreed on with another peer; not taken up yet
    replaced_keys: frozenset[str] = frozenset()  # of peers that were replaced
    formats: Formats = AS_IT_IS  # kept: those that the release it runs reads and writes
    next_formats: Formats = ()  # kept: of the release that its next boot runs; empty: the same
    lan_files: int = 0  # kept: the change that the files with the LAN's addresses are from
    lan_trial: int | None = None  # the change on trial: of files that a start does not find
    lan_agent: int = 0  # the one that the agent has read
    hung: set[str] = field(default_factory=set)  # guests whose disks owe a read, as the agent knows
    is_state_damaged: bool = False  # both copies of it, on its stick: its agent decides nothing
    handled: int = 0  # events
    hangs: dict[str, Hang] = field(
        default_factory=dict
    )  # what the agent saw of each guest's resync

    @property
    def name(self) -> str:
        return NAMES[self.node]

    @property
    def lan(self) -> int:
        """The change whose addresses the kernel has."""
        return self.lan_files if self.lan_trial is None else self.lan_trial

    @property
    def is_live(self) -> bool:
        """Its kernel is there to handle a frame."""
        now = self.ground.now
        return self.is_on and now >= self.stalled_until and now >= self.frozen_until

    @property
    def is_awake(self) -> bool:
        """Its agent is there to handle an event, if it runs."""
        return self.is_live and self.ground.now >= self.agent_stalled_until

    def clock(self) -> float:
        """Its monotonic clock: another base for each machine, and slow where it froze."""
        return self.ground.now + 1000.0 * (self.node + 1) - self.clock_lost

    # power and stalls

    def power_on(self, boot: float) -> None:
        if self.is_on or self.is_booting:
            return
        if self.is_stick_gone:
            self.ground.note(f"-- {self.name} has nothing to start from")
            return
        self.is_booting = True
        self.epoch += 1
        epoch = self.epoch
        self.ground.after(boot, lambda: self._booted() if self.epoch == epoch else None)

    def power_off(self, why: str) -> None:
        self.ground.note(f"-- {self.name} {why}")
        self.is_on = self.is_booting = False
        self.epoch += 1
        self.agent_epoch += 1
        self.state, self.fed, self.ticked = None, None, None
        self.has_opened = self.has_zombies = False
        self.dies_until = self.hangs_until = self.hides_until = 0.0
        self.zombies.clear()
        self.handlers.clear()
        self.lan_trial = None
        self.has_dead_mount = self.is_stick_lost = False
        self.queue.clear()
        self.promoting.clear()
        self.stalled_until = self.agent_stalled_until = self.frozen_until = 0.0
        for guest in list(self.domains):
            Hands(self).stop_domain(guest)
        for mirror in self.ground.mirrors.values():
            mirror.copies[self.node].detach()

    def reset(self, why: str) -> None:
        self.power_off(why)
        self.power_on(self.ground.boot_takes)

    def _booted(self) -> None:
        self.is_booting = False
        if self.is_stick_gone:
            self.ground.note(f"-- {self.name} does not find its stick")
            return
        self.is_on = True
        self.kept, self.torn = self.torn or self.kept, None
        self.boots += 1
        self.formats, self.next_formats = self.next_formats or self.formats, ()
        self.ground.note(f"-- {self.name} is up")
        self.take_up()
        for mirror in self.ground.mirrors.values():
            mirror.copies[self.node].attach()
        self.start_agent()

    def take_up(self) -> None:
        """The files of what was agreed on are written; DRBD has its secret at once."""
        if self.next_key:
            self.replaced_keys |= {self.key}
            self.key, self.next_key, self.is_vacant = self.next_key, "", False
            for mirror in self.ground.mirrors.values():
                mirror.copies[self.node].secret = self.key

    def look_at_watchdog(self) -> None:
        """The watchdog's turn: it resets a machine that has not fed it."""
        if self.fed is None or self.ground.now < self.frozen_until:
            return
        if self.ground.now - self.fed > self.ground.timing.watchdog:
            self.resets += 1
            self.reset("is reset by its watchdog")

    def stall(self, seconds: float) -> None:
        self.stalled_until = self.ground.now + seconds
        self.ground.after(seconds, self._wake)

    def stall_agent(self, seconds: float) -> None:
        self.agent_stalled_until = self.ground.now + seconds
        self.ground.after(seconds, self._wake)

    def freeze(self, seconds: float, is_noticed: bool) -> None:
        self.frozen_until = self.ground.now + seconds
        epoch = self.epoch

        def thaw() -> None:
            if self.epoch == epoch:
                self.clock_lost += seconds
                if self.fed is not None:
                    self.fed += seconds
                if is_noticed:
                    self.post(lambda: events.ClockBroke(self.clock(), seconds))
                self._wake()

        self.ground.after(seconds, thaw)

    # the agent

    def restart_agent(self) -> None:
        if self.is_on:
            self.ground.note(f"-- {self.name}'s agent is killed")
            self.start_agent()

    def die_again_and_again(self, seconds: float, every: float) -> None:
        """The agent lives so long EVERY time, and is back a second later."""
        self.dies_until = self.ground.now + seconds
        epoch = self.epoch

        def die() -> None:
            if self.epoch != epoch or self.ground.now > self.dies_until:
                return
            self.ground.note(f"-- {self.name}'s agent dies")
            self.end_agent()
            self.ground.after(AGENT_STARTS, start)

        def start() -> None:
            if self.epoch == epoch:
                self.start_agent()
                self.ground.after(every, die)

        die()

    def end_agent(self) -> None:
        if self.has_opened and self.fed is not None:
            self.fed = self.ground.now  # Linux feeds what is closed and does not stop
        self.has_opened = False
        self.agent_epoch += 1
        self.state = None
        self.queue.clear()
        self.promoting.clear()
        self.hung.clear()

    def start_agent(self) -> None:
        ground = self.ground
        self.end_agent()
        if self.has_dead_mount or self.is_state_damaged:
            return  # it cannot read what it needs: the watchdog goes on counting
        pair = Pair(
            me=self.node,
            names=NAMES,
            guests=ground.guests,
            places=ground.places,
            pauses=ground.pauses,
            off=ground.off,
            policy=ground.policy,
            timing=ground.timing,
            mark=self.key,
            lan=self.lan,
            release=f"of format {self.formats[0]}",
            formats=self.formats,
            is_vacant=self.is_vacant,
        )
        boot = f"{self.name}{self.boots}"
        left = feeding.left_by(self.ticked) if self.ticked else None
        self.lan_agent = self.lan
        self.state = first_state(pair, boot, self.kept, self.clock(), self.lan_files, left)
        may_open = feeding.may_open(self.state)
        if self.is_stick_lost:
            self.post(lambda: events.StateLost(self.clock(), "an agent before this one noted so"))
        if may_open:
            self._open_watchdog()
        for guest in ground.guests:
            self.resource_changed(guest)
            self.domain_changed(guest)
            self.feel_disk(guest)
        for guest in sorted(self.handlers):  # they ask as soon as somebody is there to be asked
            self.later(0.01, lambda guest=guest: events.FenceAsked(self.clock(), guest))  # type: ignore[misc]
        if self.node in ground.maintained:
            self.end_maintenance()
        self.turn_after(ground.random.uniform(0.0, 0.4))

    def turn_after(self, seconds: float) -> None:
        """The agent's loop turns then, and from then on; and it looks at resyncs."""
        epoch = self.agent_epoch
        self.ground.after(seconds, lambda: self._tick(epoch))
        self.hangs = {guest: Hang() for guest in self.ground.guests}
        self._look_at_memory(epoch)
        self.ground.after(self.ground.timing.dead, lambda: self._look_at_resyncs(epoch))

    def _look_at_memory(self, epoch: int) -> None:
        """What the agent knows of it may be as old as two looks are apart."""
        if self.agent_epoch != epoch:
            return
        takes = dict.fromkeys(self.ground.guests, TAKES)
        memory = 0 if self.is_full else 2 * sum(takes.values())
        measured = Measured(memory=memory, takes=takes)
        self.post(lambda: events.MeasuresTaken(self.clock(), measured))
        self.ground.after(SELDOM, lambda: self._look_at_memory(epoch))

    def _look_at_resyncs(self, epoch: int) -> None:
        """As storage/reconnection.py does, and from then on."""
        if self.agent_epoch != epoch or self.state is None:
            return
        if self.is_awake:
            for guest, hang in self.hangs.items():
                is_stuck = self.ground.mirrors[guest].is_stuck(self.node)
                if hang.look(is_stuck and may_reconnect(self.state, guest)):
                    Hands(self).reconnect(guest)
        self.ground.after(self.ground.timing.dead, lambda: self._look_at_resyncs(epoch))

    def end_maintenance(self) -> None:
        self.post(lambda: events.MaintenanceAsked(self.clock(), False))

    def _open_watchdog(self) -> None:
        self.has_opened = True
        if self.has_watchdog:
            self.fed = self.ground.now
        self.post(lambda: events.WatchdogArmed(self.clock(), self.has_watchdog))

    @property
    def is_hanging(self) -> bool:
        """Xen is."""
        return self.ground.now < self.hangs_until

    def domain_changed(self, guest: str) -> None:
        def seen() -> Event:
            how, number = self.ended.get(guest), self.domains.get(guest)
            ended = Ended(number, how) if how and number else None
            return events.DomainSeen(self.clock(), guest, number is not None, ended)

        if self.is_hanging:
            self.later(self.hangs_until - self.ground.now, seen)
        else:
            self.post(seen)

    def resource_changed(self, guest: str) -> None:
        mirror = self.ground.mirrors[guest]
        self.later(
            max(0.02, self.hides_until - self.ground.now),
            lambda: events.ResourceChanged(self.clock(), guest, mirror.show(self.node)),
        )

    def feel_disk(self, guest: str) -> None:
        """A read that the agent begins within a pulse is not answered while the disk hangs."""
        copy, timing = self.ground.mirrors[guest].copies[self.node], self.ground.timing
        agent, hang = self.agent_epoch, copy.on_disk
        if hang is None or not copy.is_attached:
            return

        def owes() -> None:
            if self.agent_epoch == agent and copy.on_disk is hang and copy.has_disk:
                self.hung.add(guest)
                self.post(lambda: events.DiskHangs(self.clock(), guest, True))

        self.ground.after(timing.disk + self.ground.random.uniform(0.0, timing.pulse), owes)

    def disk_answers(self, guest: str) -> None:
        if guest in self.hung:
            self.hung.discard(guest)
            self.later(0.01, lambda: events.DiskHangs(self.clock(), guest, False))

    def probe_answered(self, guest: str) -> None:
        """Something answers our probe: the peer's address, or that of GUEST."""
        self.later(0.01, lambda: events.ProbeAnswered(self.clock(), guest))

    def ask_handler(self, guest: str) -> None:
        self.handlers.add(guest)
        self.post(lambda: events.FenceAsked(self.clock(), guest))

    def later(self, seconds: float, make: Callable[[], Event]) -> None:
        """Posts an event, if this agent still runs then."""
        epoch = self.agent_epoch

        def fire() -> None:
            if self.agent_epoch == epoch:
                self.post(make)

        self.ground.after(seconds, fire)

    def post(self, make: Callable[[], Event]) -> None:
        """Puts an event into the agent's queue; it is handled now unless the agent stands still."""
        if self.state is None:
            return
        if self.queue or not self.is_awake:
            self.queue.append(make)
            self._wake()
        else:
            self._feed_in(make())

    def _tick(self, epoch: int) -> None:
        if self.agent_epoch != epoch or self.state is None:
            return
        if self.is_awake:
            self._drain()
            self._feed_in(events.Tick(self.clock()))
            if self.agent_epoch == epoch and self.state is not None:
                self.ticked = self.state
        self.ground.after(self.ground.timing.keepalive, lambda: self._tick(epoch))

    def _wake(self) -> None:
        if self.is_awake:
            self._drain()

    def _drain(self) -> None:
        while self.queue and self.state is not None:
            self._feed_in(self.queue.pop(0)())

    def _feed_in(self, event: Event) -> None:
        """What the daemon does: decide, check, persist, log, act."""
        ground = self.ground
        if self.state is None:
            return
        before = self.state
        decision = decide(before, event)
        self.handled += 1
        durable = decision.state.durable
        is_same = durable is before.durable and decision.state.guests is before.guests
        if decision.actions or not is_same:  # what is the very same was checked when it came about
            check(before, decision)
        is_new = durable is not self.kept and self.kept != durable
        is_to_be_saved = is_new and not decision.state.is_stateless
        if is_to_be_saved and (self.has_dead_mount or self.is_stick_full):
            self._fail_to_save(decision.state.durable)
            self._feed_in(events.StateLost(event.at, "Input/output error"))
            self._feed_in(event)
            return
        if is_to_be_saved and ground.saves + 1 == ground.cut_at_save and ground.cut_finds_old:
            ground.saves += 1
            self.power_off("loses power, about to save its state")
            return
        self.state = decision.state
        self.is_stick_lost = decision.state.is_stateless
        for reason in decision.reasons:
            ground.note(reason)
        if is_to_be_saved:
            self.kept = decision.state.durable
            ground.look_at_lan(self.node)
            ground.saves += 1
            if ground.saves == ground.cut_at_save:
                self.power_off("loses power, having saved its state and done nothing yet")
        epoch = self.agent_epoch
        for action in decision.actions:
            if self.agent_epoch == epoch:
                self._act(action)

    def _fail_to_save(self, durable: Durable) -> None:
        """Of two copies the first may be whole on the stick before it fails: it is found there at
        the next start, and nothing was ever done because of it.
        """
        if self.ground.random.random() < 0.5:
            self.torn = durable

    def _act(self, action: actions.Action) -> None:
        ground = self.ground
        match action:
            case actions.SendHello(hello, formats):
                ground.send(self.node, hello, formats)
            case actions.TellReplaced(hello):
                if ground.shadow is not None:
                    ground.shadow.told(self.replaced_keys, hello)
            case actions.ProbeReferee():
                if ground.sees_gateway(self.node):
                    sent = self.clock()
                    self.later(GATEWAYS_ANSWER, lambda: events.RefereeAnswered(self.clock(), sent))
            case actions.ProbePeer():
                ground.probe_peer(self.node)
            case actions.Feed():
                if not self.has_opened:
                    self._open_watchdog()
                elif self.fed is not None:
                    self.fed = ground.now
            case actions.AnswerOperator(_, refusal):
                ground.refusals.append(refusal)
            case actions.TakeUpLan(order):
                self._take_up_lan(order)
            case actions.Reset(is_overdue=True):
                self.reset("resets itself")
            case actions.Reset():
                self._reset_when_told()
            case actions.FinishLeaving():
                self._shut_down()
            case _:
                Hands(self).do(action)

    def _reset_when_told(self) -> None:
        """Late, for its journal takes its time. No agent acts any more, and its guests go on."""
        self.agent_epoch += 1
        self.state = None
        self.queue.clear()
        agent = self.agent_epoch
        self.ground.after(
            LAST_WORDS, lambda: self.reset("resets itself") if self.agent_epoch == agent else None
        )

    def _shut_down(self) -> None:
        for mirror in self.ground.mirrors.values():
            with suppress(Refused):  # then it goes without a word, like one that loses its power
                mirror.disconnect(self.node)
            if mirror.copies[self.node].has_disk:
                mirror.copies[self.node].was_primary = False
        self.power_off("shuts down in order")
        self.power_on(self.ground.boot_takes)

    # its addresses on the LAN

    def _take_up_lan(self, order: actions.LanOrder) -> None:
        """A program of its own: files, then the network, then heartbeat, then the agent."""
        ground = self.ground
        if self.node in ground.stuck and order is actions.LanOrder.TRY:
            return
        if self.node in ground.unwritable and order is actions.LanOrder.KEEP:
            return
        epoch, number = self.epoch, self.kept.lan.number if self.kept else 0

        def write() -> None:
            if self.epoch != epoch:
                return
            match order:
                case actions.LanOrder.TRY:
                    if self.kept is None or self.kept.lan.stage is not LanStage.AGREED:
                        return
                    self.lan_trial = number
                case actions.LanOrder.KEEP:
                    self.lan_files, self.lan_trial = number, None
                case actions.LanOrder.BACK:
                    self.lan_trial = None
            ground.note(f"-- {self.name} has the addresses of change {self.lan}")
            ground.after(ground.random.uniform(*ground.services_take), restart)

        def restart() -> None:
            if self.epoch != epoch:
                return
            if self.lan != self.lan_agent:
                if not self._is_resting():  # what it began would meet what the next one does
                    ground.after(0.5, restart)
                    return
                self.restart_agent()
            elif order is not actions.LanOrder.TRY:
                files = self.lan_files
                self.post(lambda: events.LanWritten(self.clock(), files))

        ground.after(ground.random.uniform(0.3, 2.0), write)

    def _is_resting(self) -> bool:
        """The agent is at nothing that takes time; or it does not run."""
        state = self.state
        return state is None or all(mine.phase in RESTING for mine in state.guests.values())
