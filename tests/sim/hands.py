# SPDX-License-Identifier: MIT
"""What a simulated agent does to DRBD and Xen: each deed takes time, and ends in Done or Failed.

It holds no policy, and nothing of its own: what is true is in the machine and in the mirror.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from haagent.core import actions, events
from haagent.core.events import Deed, Event
from haagent.core.model import FenceAnswer, Role
from haagent.core.wish import RUNS, End
from tests.sim.drbd import Refused

if TYPE_CHECKING:
    from tests.sim.machine import Machine

STEP = 0.25  # seconds between two looks of the kernel, and two writes of a guest
GRACE = 60.0  # a guest that does not shut down by itself is ended then
LIMIT = 60.0  # seconds until a deed that hangs has failed
ANEW = 0.5  # seconds from one end of a connection to the beginning of the next


class NotYetError(Exception):
    """What was to be done has to wait."""


class HandlerAskedError(Exception):
    """It goes on when DRBD's handler has answered."""


@dataclass(frozen=True, slots=True)
class Hands:
    """Those of one machine's agent."""

    machine: "Machine"

    def do(self, action: actions.Action) -> None:
        match action:
            case actions.AnswerFence(guest, answer):
                self._handler_ends(guest, answer)
            case actions.Connect(guest):
                self._work(guest, Deed.CONNECT, 0.1, lambda: self._connect(guest))
            case actions.KeepCopy(guest, _, _):
                self._work(guest, Deed.KEEP, 0.8, lambda: self._keep(guest))
            case actions.Discard(guest):
                self._work(guest, Deed.DISCARD, 0.3, lambda: self._discard(guest))
            case actions.Outdate(guest):
                self._work(guest, Deed.OUTDATE, 0.4, lambda: self._outdate(guest))
            case actions.Promote(guest, disconnect):
                self._promote(guest, disconnect)
            case actions.Create(guest):
                self._work(guest, Deed.CREATE, 1.0, lambda: self._create(guest))
            case actions.Shutdown(guest):
                limit = self.machine.ground.now + GRACE
                self._work(guest, Deed.SHUTDOWN, 2.0, partial(self._shut_down, guest, limit))
            case actions.Restart(guest):
                self._work(guest, Deed.RESTART, 1.0, lambda: self._restart(guest))
            case actions.Destroy(guest):
                self._work(guest, Deed.DESTROY, 0.4, lambda: self._destroy(guest))

    def stop_domain(self, guest: str) -> None:
        machine, ground = self.machine, self.machine.ground
        machine.ended.pop(guest, None)
        if machine.domains.pop(guest, None) is not None:
            machine.zombies.discard(guest)
            ground.audit.stopped(ground.now, guest, machine.node)
            machine.domain_changed(guest)

    def end_domain(self, guest: str, how: End) -> None:
        """The guest ends by itself. It is there until it is destroyed, and writes no more."""
        machine = self.machine
        machine.ground.mirrors[guest].copies[machine.node].pending = None
        machine.ended[guest] = how
        machine.domain_changed(guest)

    def _work(self, guest: str, deed: Deed, takes: float, do: Callable[[], None]) -> None:
        """One action of an adapter: it takes time, and ends in Done or Failed."""
        machine, ground = self.machine, self.machine.ground
        epoch, agent = machine.epoch, machine.agent_epoch
        limit = ground.now + takes + LIMIT

        def fire() -> None:
            if machine.epoch != epoch:
                return
            if not machine.is_live:
                ground.after(STEP, fire)
                return
            try:
                do()
            except HandlerAskedError:
                return
            except (NotYetError, Refused) as refused:
                if isinstance(refused, NotYetError) and ground.now < limit:
                    ground.after(STEP, fire)
                    return
                why = str(refused) or "it is not done in time"
                event: Callable[[], Event] = lambda: events.Failed(  # noqa: E731
                    machine.clock(), guest, deed, why
                )
            else:
                event = lambda: events.Done(machine.clock(), guest, deed)  # noqa: E731
            if machine.agent_epoch == agent:
                machine.post(event)

        ground.after(takes * ground.random.uniform(0.7, 1.3), fire)

    def _wait_for_disk(self, guest: str) -> None:
        """What writes metadata is not done before it is on disk."""
        copy = self.machine.ground.mirrors[guest].copies[self.machine.node]
        if copy.is_attached and copy.has_disk and copy.is_hanging:
            raise NotYetError

    def _connect(self, guest: str) -> None:
        self.machine.ground.mirrors[guest].connect(self.machine.node)

    def reconnect(self, guest: str) -> None:
        """What storage/drbd.py does where a resync hangs at its end."""
        machine, mirror, ground = (
            self.machine,
            self.machine.ground.mirrors[guest],
            self.machine.ground,
        )
        ground.note(f"-- {machine.name}'s mirror of {guest} is to connect anew")
        mirror.disconnect(machine.node)
        agent = machine.agent_epoch

        def connect() -> None:
            if machine.agent_epoch == agent:
                mirror.connect(machine.node)

        ground.after(ANEW, connect)

    def _keep(self, guest: str) -> None:
        machine, ground = self.machine, self.machine.ground
        if machine.has_no_room:
            raise Refused("insufficient free space")
        self._wait_for_disk(guest)
        copy = ground.mirrors[guest].copies[machine.node]
        if not copy.has_disk:
            raise Refused("no such volume")
        ground.audit.kept(guest, copy.data)

    def _discard(self, guest: str) -> None:
        machine, ground = self.machine, self.machine.ground
        if guest in machine.domains:
            ground.audit.violations.append(f"{ground.now:.2f}: {guest} runs on what is given up")
        self._wait_for_disk(guest)
        ground.mirrors[guest].discard(machine.node)

    def _outdate(self, guest: str) -> None:
        mirror = self.machine.ground.mirrors[guest]
        mirror.disconnect(self.machine.node)
        self._wait_for_disk(guest)
        mirror.outdate(self.machine.node)
        if not mirror.copies[self.machine.node].has_disk:
            raise Refused("it is Diskless")

    def _promote(self, guest: str, disconnect: bool) -> None:
        machine, mirror = self.machine, self.machine.ground.mirrors[guest]
        if machine.kept and machine.kept.ledgers[guest].wish.target not in RUNS:
            what = f"{guest} is about to be started, and is to be off"
            machine.ground.audit.violations.append(f"{machine.ground.now:.2f}: {what}")
        try:
            if disconnect:
                mirror.disconnect(machine.node)
        except Refused as refused:
            why = str(refused)
            machine.later(0.2, lambda: events.Failed(machine.clock(), guest, Deed.PROMOTE, why))
            return
        if mirror.needs_handler(machine.node):
            self._ask_handler(guest)
        else:
            self._work(guest, Deed.PROMOTE, 0.3, lambda: self._become_primary(guest, None))

    def _ask_handler(self, guest: str) -> None:
        machine = self.machine
        machine.promoting.add(guest)
        machine.later(0.2, lambda: events.FenceAsked(machine.clock(), guest))

    def _become_primary(self, guest: str, answer: FenceAnswer | None) -> None:
        self._wait_for_disk(guest)
        node, mirror = self.machine.node, self.machine.ground.mirrors[guest]
        if mirror.waits_for_peer(node):
            raise NotYetError
        if answer is None and mirror.needs_handler(node):  # the peer was lost meanwhile
            self._ask_handler(guest)
            raise HandlerAskedError
        mirror.promote(node, answer)

    def _handler_ends(self, guest: str, answer: FenceAnswer) -> None:
        machine, mirror = self.machine, self.machine.ground.mirrors[guest]
        if guest in machine.promoting:
            machine.promoting.discard(guest)
            self._work(guest, Deed.PROMOTE, 0.3, lambda: self._become_primary(guest, answer))
        else:
            epoch = machine.epoch
            machine.handlers.discard(guest)
            machine.ground.after(
                0.02,
                lambda: mirror.answer(machine.node, answer) if machine.epoch == epoch else None,
            )

    def _create(self, guest: str) -> None:
        machine, ground = self.machine, self.machine.ground
        mirror = ground.mirrors[guest]
        if machine.is_hanging:
            raise NotYetError
        if mirror.copies[machine.node].lacks_data:
            raise Refused("its disk does not answer")
        if mirror.copies[machine.node].role is not Role.PRIMARY:
            raise Refused("the device is not Primary")
        if machine.is_full:
            raise Refused("not enough memory")
        if guest in machine.ended:
            self.stop_domain(guest)
        if guest in machine.domains:
            # An agent that was killed may have left an `xl create` behind, which has come to its
            # end. guests/xen.py looks before, and xl gives no name twice.
            raise Refused(f"a domain of {guest} exists already")
        machine.domains[guest] = next(ground.start_numbers)
        ground.note(f"{machine.name}: {guest}: running")
        taking = machine.state.guests[guest].taking if machine.state else None
        data = mirror.data_of(machine.node)
        ground.audit.started(ground.now, guest, machine.node, data, taking)
        machine.domain_changed(guest)

    def _shut_down(self, guest: str, limit: float) -> None:
        """A guest whose write waits cannot come to its end."""
        machine, ground = self.machine, self.machine.ground
        if ground.mirrors[guest].copies[machine.node].pending is not None and ground.now < limit:
            raise NotYetError
        self._destroy(guest)

    def _restart(self, guest: str) -> None:
        if guest in self.machine.domains and guest not in self.machine.ended:
            self.end_domain(guest, End.REBOOT)

    def _destroy(self, guest: str) -> None:
        if self.machine.is_hanging:
            raise NotYetError
        if guest in self.machine.domains:
            self._wait_for_disk(guest)  # Xen waits for what it has under way
        if self.machine.has_zombies and guest in self.machine.domains:
            self.machine.zombies.add(guest)
            raise Refused(f"{guest} is still there")
        self.stop_domain(guest)
        self.machine.ground.mirrors[guest].demote(self.machine.node)
