# SPDX-License-Identifier: MIT
"""A simulated pair with what a scenario does to it and asks of it.

The verbs (`unplug`, `power_off`, `stall`, `move` ...) are called at the moments that the scenario
wants: faults, and what a person types. All of them act at once, and are in the log.
"""

from collections.abc import Iterator
from functools import partial

from haagent.core import events
from haagent.core.model import CONNECTED, Path
from haagent.core.wish import AT_FIRST, RUNS, End, Target
from tests.sim.copies import lone_copy
from tests.sim.ground import Frames, Ground
from tests.sim.hands import Hands
from tests.sim.machine import BOOT_TAKES, NAMES, Machine
from tests.sim.wires import Formats

LOOK_AT_STICK = 60.0  # seconds between two looks of the agent
LEAVES_AGAIN = 30.0  # seconds
LOOKS_AGAIN = 10.0  # seconds


class World(Ground):
    """The pair and all around it."""

    # cables and cards

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
        """Every cable, card and gateway works again, whoever is off is switched on, no machine is
        in maintenance, and all guests are to run.
        """
        self.note("-- all is mended")
        self.cut.clear()
        self.nic_dead.clear()
        self.gateway_cut.clear()
        self.lost.clear()
        self.late.clear()
        self.twice.clear()
        self.gateway, self.ghost = True, False
        self.cut_at_save = None
        for mirror in self.mirrors.values():
            mirror.missed_ends = 0
        for machine in self.machines:
            self.repair_state(machine.node)
            self.repair_disk(machine.node)
            self.free_disk(machine.node)
            self.show(machine.node)
            machine.dies_until, machine.has_zombies = 0.0, False
            machine.is_full = machine.is_stick_gone = machine.is_stick_full = False
            self.restart_where_needed(machine.node)
            # Who stands still may take note of its stick later.
            self.after(LEAVES_AGAIN, partial(self.restart_where_needed, machine.node))
            on_stick = (machine.kept, machine.torn)  # a torn one is found at the next start
            is_kept = any(one is not None and one.in_maintenance for one in on_stick)
            if is_kept or machine.node in self.told_to_maintain:  # who stands still has not heard
                self.maintained.add(machine.node)
                machine.end_maintenance()
            if not machine.is_on and not machine.is_booting:
                self.power_on(machine.node)

        self._want_all()

    def _want_all(self) -> None:
        """A person starts what is not to run, and looks again: not every agent hears it."""
        for machine in self.machines:
            ledgers = machine.state.durable.ledgers if machine.state else {}
            for guest, ledger in ledgers.items():
                if ledger.wish.target not in RUNS and machine.is_awake:
                    self.want(machine.node, Target.STARTED, guest)
        self.after(LOOKS_AGAIN, self._want_all)

    def lose(self, kind: Frames, path: Path, *nodes: int) -> None:
        """Loses the frames of KIND that NODES (or both) send on PATH, and no others."""
        self.note(f"-- {path} loses {kind} {nodes or ''}")
        self.lost |= {(kind, path, node) for node in nodes or (0, 1)}

    def find(self, kind: Frames, path: Path, *nodes: int) -> None:
        """The reverse of `lose`."""
        self.note(f"-- {path} carries {kind} again {nodes or ''}")
        self.lost -= {(kind, path, node) for node in nodes or (0, 1)}

    def break_mirror(self, guest: str = "g") -> None:
        """DRBD's connection is reset: both sides know at once."""
        self.note(f"-- the mirror of {guest} is reset")
        mirror = self.mirrors[guest]
        if all(copy.link in CONNECTED for copy in mirror.copies):
            for node in (0, 1):
                mirror.lose(node)

    def miss_ends(self, times: int = 1, *, by_both: bool = False, guest: str = "g") -> None:
        """So many resyncs hang at their end, which the source does not see until the two connect
        anew; nor does the target, if it is missed BY_BOTH.
        """
        self.note(f"-- the next {times} resyncs of {guest} hang at their end")
        self.mirrors[guest].missed_ends = times
        self.mirrors[guest].is_end_unseen = by_both

    def set_gateway(self, is_there: bool) -> None:
        self.note(f"-- the gateway is {'back' if is_there else 'gone'}")
        self.gateway = is_there

    # machines

    def power_on(self, node: int, boot: float = BOOT_TAKES) -> None:
        self.machines[node].power_on(boot)

    def power_off(self, node: int, why: str = "loses power") -> None:
        self.machines[node].power_off(why)

    def reset(self, node: int, why: str = "is reset") -> None:
        self.machines[node].reset(why)

    def take_up(self, node: int) -> None:
        """The files of what was agreed on are written; DRBD has its secret at once."""
        self.machines[node].take_up()

    def change_release(self, node: int, formats: Formats) -> None:
        """What the next boot of NODE reads and writes: it was updated, or went back."""
        self.note(f"-- {NAMES[node]} gets a release that speaks {' and '.join(map(str, formats))}")
        self.machines[node].next_formats = formats

    def pull_stick(self, node: int) -> None:
        """The stick is pulled, or dies. The agent learns of it when it next wants to write, or by a
        look that it has each minute.
        """
        self.note(f"-- {NAMES[node]}'s stick is pulled")
        machine = self.machines[node]
        machine.is_stick_gone = True
        machine.has_dead_mount = machine.is_on
        self._look_at_stick(machine)

    def put_stick_back(self, node: int) -> None:
        """The same stick; a machine that runs does not have it again before its next start."""
        self.note(f"-- {NAMES[node]}'s stick is back")
        self.machines[node].is_stick_gone = False

    def fill_stick(self, node: int) -> None:
        """It can be read, and nothing more is written to it, also after a restart."""
        self.note(f"-- {NAMES[node]}'s stick is full")
        self.machines[node].is_stick_full = True
        self._look_at_stick(self.machines[node])

    def _look_at_stick(self, machine: Machine) -> None:
        """The agent's next look, some time within the minute."""

        def look() -> None:
            if machine.has_dead_mount or machine.is_stick_full:
                why = "nothing could be written"
                machine.post(lambda: events.StateLost(machine.clock(), why))

        self.after(self.random.uniform(0.0, LOOK_AT_STICK), look)

    def damage_state(self, node: int) -> None:
        """Both copies of the agent's state: an agent that starts cannot read it, and does not."""
        self.note(f"-- {NAMES[node]}'s state is damaged")
        self.machines[node].is_state_damaged = True

    def repair_state(self, node: int) -> None:
        """A person puts back what was there, and starts the agent that would not."""
        machine = self.machines[node]
        if machine.is_state_damaged:
            self.note(f"-- {NAMES[node]}'s state is whole again")
            machine.is_state_damaged = False
            if machine.is_on and machine.state is None:
                machine.start_agent()

    def fail_disk(self, node: int) -> None:
        """The data disk fails: DRBD detaches it, and the peer's serves what runs here."""
        self.note(f"-- {NAMES[node]}'s data disk fails")
        for mirror in self.mirrors.values():
            mirror.copies[node].go_on()
            mirror.copies[node].has_failed = True
            mirror.drop_disk(node)

    def repair_disk(self, node: int) -> None:
        """It can be read again, as it was when it failed. A machine that runs does not
        notice before its next start; one that waits for it, to bring up its mirrors, goes on.
        """
        copies = [(guest, mirror.copies[node]) for guest, mirror in self.mirrors.items()]
        if not any(copy.has_failed for _, copy in copies):
            return
        self.note(f"-- {NAMES[node]}'s data disk can be read again")
        for guest, copy in copies:
            copy.has_failed = False
            if self.machines[node].is_on and not copy.is_attached:
                copy.attach()
                self.machines[node].resource_changed(guest)

    def hang_disk(self, node: int) -> None:
        """The data disk does not answer any more. What waits for it waits."""
        self.note(f"-- {NAMES[node]}'s data disk hangs")
        for guest, mirror in self.mirrors.items():
            if not mirror.copies[node].has_failed:
                mirror.copies[node].hang()
                self.machines[node].feel_disk(guest)

    def free_disk(self, node: int) -> None:
        """It answers again, all that waited at once; one that nobody could attach is taken up."""
        copies = [(guest, mirror.copies[node]) for guest, mirror in self.mirrors.items()]
        if not any(copy.is_hanging for _, copy in copies):
            return
        self.note(f"-- {NAMES[node]}'s data disk answers again")
        for guest, copy in copies:
            copy.go_on()
            self.machines[node].disk_answers(guest)
            if self.machines[node].is_on and not copy.is_attached:
                copy.attach()
                self.machines[node].resource_changed(guest)

    def attach(self, node: int, guest: str = "g") -> None:
        """`drbdadm attach`, in a shell on NODE. Raises Refused."""
        self.note(f"-- {NAMES[node]}'s disk of {guest} is attached")
        takes = self.sync_takes or self.random.uniform(2.0, 6.0)
        self.mirrors[guest].take_disk(node, self.now + takes)

    def restart_where_needed(self, node: int) -> None:
        """As a person should where DRBD is up and has no disk, or the stick is lost to this boot:
        in order, so that its guests go to the other one. And again if nothing came of it, for an
        agent that is restarted has forgotten that its machine leaves, and a dead one hears nothing.
        """
        machine = self.machines[node]
        copies = [mirror.copies[node] for mirror in self.mirrors.values()]
        is_diskless = any(copy.is_attached and not copy.has_disk for copy in copies)
        if is_diskless or machine.has_dead_mount or machine.is_stick_lost:
            self.leave(node)
            self.after(LEAVES_AGAIN, lambda: self.restart_where_needed(node))

    def crash(self, node: int, guest: str) -> None:
        """Its domain is gone, by somebody else's hand. Xen tells at once."""
        if self.machines[node].is_live and guest in self.machines[node].domains:
            self.note(f"-- {guest} crashes on {NAMES[node]}")
            self.mirrors[guest].copies[node].pending = None
            Hands(self.machines[node]).stop_domain(guest)

    def end(self, node: int, guest: str, how: End) -> None:
        """It crashes, restarts or switches itself off. Xen tells at once, and keeps what is left
        of it.
        """
        machine = self.machines[node]
        if machine.is_live and guest in machine.domains and guest not in machine.ended:
            self.note(f"-- {guest} ends on {NAMES[node]}: {how}")
            Hands(machine).end_domain(guest, how)

    def want(self, node: int, target: Target, guest: str = "g") -> None:
        """A person at NODE wants GUEST to be TARGET."""
        self.note(f"-- a person at {NAMES[node]} wants {guest} {target}")
        self.post(node, lambda: events.WishAsked(self.clock(node), guest, target))

    def want_restart(self, node: int, guest: str = "g") -> None:
        self.note(f"-- a person at {NAMES[node]} wants {guest} to start anew")
        self.post(node, lambda: events.RestartAsked(self.clock(node), guest))

    def jump_clock(self, node: int, seconds: float) -> None:
        """The machine's other clocks leave the monotonic one, as if it had stood still."""
        self.note(f"-- {NAMES[node]}'s clocks jump {seconds:g} s apart")
        self.post(node, lambda: events.ClockBroke(self.clock(node), seconds))

    def stall(self, node: int, seconds: float) -> None:
        """The machine stands still; its clocks and its watchdog run on."""
        self.note(f"-- {NAMES[node]} stalls for {seconds:g} s")
        self.machines[node].stall(seconds)

    def stall_agent(self, node: int, seconds: float) -> None:
        self.note(f"-- {NAMES[node]}'s agent stalls for {seconds:g} s")
        self.machines[node].stall_agent(seconds)

    def restart_agent(self, node: int) -> None:
        """SIGKILL; systemd starts it again at once."""
        self.machines[node].restart_agent()

    def kill_agent_again_and_again(self, node: int, seconds: float, every: float) -> None:
        """Too slowly for systemd's limit."""
        if self.machines[node].is_on:
            self.machines[node].die_again_and_again(seconds, every)

    def hang_xen(self, node: int, seconds: float) -> None:
        """xenstored stands still: Xen tells nothing, and xl does nothing."""
        self.note(f"-- {NAMES[node]}'s Xen hangs")
        if self.machines[node].is_on:
            self.machines[node].hangs_until = self.now + seconds

    def hide_drbd(self, node: int, seconds: float) -> None:
        """DRBD does what it does, and tells nothing."""
        self.note(f"-- {NAMES[node]}'s DRBD tells nothing")
        if self.machines[node].is_on:
            self.machines[node].hides_until = self.now + seconds

    def show(self, node: int) -> None:
        """The reverse of both."""
        machine = self.machines[node]
        if max(machine.hangs_until, machine.hides_until) > self.now:
            self.note(f"-- {NAMES[node]}'s Xen and DRBD tell all")
            machine.hangs_until = machine.hides_until = self.now
            for guest in self.guests:
                machine.domain_changed(guest)
                machine.resource_changed(guest)

    def make_zombies(self, node: int) -> None:
        """What ends there from now on does not go away, as long as the machine runs."""
        self.note(f"-- {NAMES[node]} does not get rid of what ends")
        self.machines[node].has_zombies = self.machines[node].is_on

    def freeze(self, node: int, seconds: float, *, is_noticed: bool = True) -> None:
        """The machine stands still with every clock, as a paused virtual machine does; unless it
        IS_NOTICED, with the battery's clock, too.
        """
        self.note(f"-- {NAMES[node]} is frozen for {seconds:g} s")
        if self.machines[node].is_on:
            self.is_frozen_class = True
            self.machines[node].freeze(seconds, is_noticed)

    # what a person types

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
        self.maintained.discard(node)
        (self.told_to_maintain.add if is_on else self.told_to_maintain.discard)(node)
        self.post(node, lambda: events.MaintenanceAsked(self.clock(node), is_on))

    def confirm(self, node: int, guest: str = "g") -> None:
        """`shoestring start --anyway`, typed on NODE."""
        self.note(f"-- on {NAMES[node]} a person wants {guest} in spite of all")
        self.post(node, lambda: events.OperatorConfirmed(self.clock(node), guest))

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

    # what a scenario asks

    def holders(self, guest: str = "g") -> list[int]:
        return [machine.node for machine in self.machines if guest in machine.domains]

    def serves(self, node: int, guest: str = "g") -> bool:
        """The guest runs on NODE alone, and its writes are acknowledged."""
        copy = self.mirrors[guest].copies[node]
        machine = self.machines[node]
        is_alive = self.holders(guest) == [node] and guest not in {*machine.zombies, *machine.ended}
        return is_alive and not copy.is_suspended and copy.pending is None

    def is_healthy(self) -> bool:
        return all(
            len(self.holders(guest)) == (0 if self._comes_off(guest) else 1)
            and not any(guest in machine.ended for machine in self.machines)
            and all(mirror.show(node).is_in_sync for node in (0, 1))
            and len({m.state.durable.ledgers[guest].term for m in self.machines if m.state}) == 1
            for guest, mirror in self.mirrors.items()
        )

    def _comes_off(self, guest: str) -> bool:
        """Nobody has ever said that it is to run."""
        states = [machine.state for machine in self.machines if machine.state]
        return all(state.durable.ledgers[guest].wish == AT_FIRST for state in states)

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


def lone(**how: object) -> World:
    """A machine that was set up alone, came up, and serves its guests; the other one is nowhere."""
    world = World(**how)  # type: ignore[arg-type]
    world.machines[0].is_vacant = True
    for mirror in world.mirrors.values():
        mirror.copies = (lone_copy(), mirror.copies[1])
    world.power_on(0, 1.0)
    world.run_until(lambda: all(world.serves(0, guest) for guest in world.guests), 60)
    world.run(world.now + 15)
    world.note("== alone")
    return world
