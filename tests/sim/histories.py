# SPDX-License-Identifier: MIT
"""Tells a script: a healthy pair, what happens to it, and then all is mended.

It ends well if nothing acknowledged was lost, no two machines wrote, and the pair is protected
again by itself. In the two classes that the design names, and after a person started a guest in
spite of all, two machines may have written: then both must know it (StandAlone), with nothing
discarded.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from haagent.core import proofs
from haagent.core.model import CONNECTED, Link, NodeState, Phase
from tests.sim.faults import Mend, do, node_of
from tests.sim.scripts import Script, Step
from tests.sim.standing import standing
from tests.sim.world import World

LOOK = 0.5  # seconds between two looks whether it is over
SETTLES = 1.5  # seconds that it must look so: what was just done may not be seen yet
PATIENCE = 180.0  # seconds, after all is mended, until the pair must be protected


class End(StrEnum):
    """How a history ends."""

    PROTECTED = "protected"
    PARTED = "StandAlone, and both know it: a person chooses"
    NEVER = "not protected within the time that it has"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one history."""

    script: Script
    violations: tuple[str, ...]
    end: End
    is_hole: bool
    is_frozen: bool
    is_persons: bool  # somebody started a guest in spite of all
    together: float  # seconds with two domains
    events: int  # that the two agents handled
    faults: int  # that happened, without what persons did
    aimed: int  # steps at the machine that held the guest, of `aimable`
    aimable: int
    grounds: tuple[str, ...]  # of each takeover
    log: tuple[str, ...]

    @property
    def is_exempt(self) -> bool:
        return self.is_hole or self.is_frozen or self.is_persons

    @property
    def problems(self) -> tuple[str, ...]:
        """What must not be. Empty if all is well."""
        found = self.violations
        if self.is_exempt:
            found = tuple(one for one in found if not EXEMPT.search(one))
        elif self.together:
            found = (*found, f"two domains for {self.together:.2f} s")
        if self.end is End.NEVER or (self.end is End.PARTED and not self.is_exempt):
            found = (*found, f"the end: {self.end}")
        return found


EXEMPT = re.compile("two writers|stale start")  # discarding is exempt nowhere


class Teller:
    """Tells one script in one world."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.world = standing(script.guests, script.policy, script.seed, script.formats)
        self.world.boot_takes = script.boots
        self.handled = sum(machine.handled for machine in self.world.machines)
        self.outstanding = len(script.steps)  # what has not happened, or is to be mended
        self.is_mended = False
        self.settled = self.world.now  # since when nothing was done to the pair, and all is well
        self.faults = self.aimed = self.aimable = 0

    def tell(self) -> Outcome:
        """An error of the core, or of a check that it fails, is a violation."""
        end = End.NEVER
        try:
            end = self._run()
        except Exception as error:
            self.world.audit.violations.append(f"{type(error).__name__}: {error}")
        world = self.world
        return Outcome(
            self.script,
            tuple(world.audit.violations),
            end,
            world.is_hole,
            world.is_frozen_class,
            bool(world.audit.persons),
            world.audit.together,
            sum(machine.handled for machine in world.machines) - self.handled,
            self.faults,
            self.aimed,
            self.aimable,
            tuple(f"{one.peer_off}/{one.newest}" for one in world.audit.takeovers),
            tuple(world.log),
        )

    def _run(self) -> End:
        world, script = self.world, self.script
        began = world.now
        for step in script.steps:
            world.at(began + step.at, lambda step=step: self._do(step))  # type: ignore[misc]
        while world.now < began + script.mended and not self._is_over():
            world.run(min(world.now + LOOK, began + script.mended))
        world.heal()
        self.is_mended, self.outstanding, self.settled = True, 0, world.now
        limit = world.now + PATIENCE
        while world.now < limit:
            if self._is_over():
                return End.PROTECTED
            if is_parted(world):
                return End.PARTED
            world.run(world.now + LOOK)
        return End.NEVER

    def _is_over(self) -> bool:
        world = self.world
        if self.outstanding > 0 or not is_protected(world):
            self.settled = world.now
        return world.now - self.settled >= SETTLES

    def _do(self, step: Step) -> None:
        self.settled = self.world.now
        who = step.arguments.get("who")
        if who in ("a", "b", "holder", "other") and (holders := self.world.holders()):
            self.aimable += 1
            self.aimed += node_of(self.world, str(who)) in holders
        self.faults += step.is_fault
        mend = do(self.world, step.what, step.arguments)
        if mend is None or step.lasts is None:
            self.outstanding -= mend is None  # what is not mended before the end stays
        else:
            self.world.after(step.lasts, lambda: self._mended(mend))

    def _mended(self, mend: Mend) -> None:
        if self.is_mended or mend is None:
            return
        self.outstanding -= 1
        self.settled = self.world.now
        mend()


def happen(world: World, step: Step) -> None:
    """The step alone, now, in a history that is told otherwise; nothing for a guest of others."""
    if step.arguments.get("guest", "g") not in world.guests:
        return
    mend = do(world, step.what, step.arguments)
    if mend is not None and step.lasts is not None:
        world.after(step.lasts, mend)


def is_protected(world: World) -> bool:
    """Every guest is served, and either machine's death would cost nothing but time."""
    one, other = (machine.state for machine in world.machines)
    return (
        one is not None
        and other is not None
        and all(machine.is_awake for machine in world.machines)
        and world.is_healthy()
        and _is_ready(one)
        and _is_ready(other)
    )


def _is_ready(state: NodeState) -> bool:
    return (
        state.is_armed
        and state.left is None
        and state.usable_since is not None
        and not state.is_stateless
        and not state.durable.in_maintenance
        and proofs.is_lan_settled(state)
        and all(
            mine.phase in (Phase.HOLDING, Phase.RELEASED)
            and mine.is_unbroken
            and not ledger.stands_down
            and (not ledger.evidence or mine.phase is Phase.RELEASED)  # a start forgets it
            and ledger.alone is None
            for mine, ledger in (
                (state.guests[guest], state.durable.ledgers[guest]) for guest in state.guests
            )
        )
    )


def is_parted(world: World) -> bool:
    """DRBD will not connect two copies of a guest that both were written, and both machines say
    so.
    """
    states = [machine.state for machine in world.machines]
    if any(state is None or not proofs.is_talking(state) for state in states):
        return False
    return any(
        any(copy.link is Link.STANDALONE for copy in mirror.copies)
        and not any(copy.link in CONNECTED for copy in mirror.copies)
        and all(state is not None and _shows_it(state, guest) for state in states)
        for guest, mirror in world.mirrors.items()
    )


def _shows_it(state: NodeState, guest: str) -> bool:
    words = proofs.hello_of(state, guest)
    is_refused = proofs.is_refused(state.guests[guest], state.durable.ledgers[guest])
    return (is_refused or (words is not None and words.is_refused)) and proofs.wrote_apart(
        state, guest
    )


def tell(script: Script) -> Outcome:
    """The whole history. The script decides everything."""
    return Teller(script).tell()
