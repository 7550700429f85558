# SPDX-License-Identifier: MIT
"""A soak and a chaos on simulated machines: the same course and the same judgement in milliseconds.

What tests/vm/soak/machines.py and tests/vm/chaos/faults.py do to emulated machines is done here to
a `World`. Its seconds are those of real hardware.
"""

from collections.abc import Callable, Mapping
from functools import partial

from haagent.console.facts import is_split_brain
from haagent.core.model import Path, Phase, Role
from tests.sim.ground import Frames
from tests.sim.machine import NAMES
from tests.sim.telling import A, B
from tests.sim.world import World, healthy
from tests.vm.chaos.draws import STANDBY, History, Step
from tests.vm.chaos.faults import CameToNothing, Mend, nothing
from tests.vm.chaos.histories import Ended
from tests.vm.soak.cuts import Takeover
from tests.vm.soak.judging import Verdict

HEALED = 300.0  # seconds; two starts of both machines, and two takeovers
TAKEOVER = 40.0  # seconds
BACK_SOON = 2.0  # seconds until a heartbeat that was killed is back
LOOK = 0.25  # seconds


def must_answer(world: World, node: int) -> None:
    if not world.is_live(node):
        raise CameToNothing(f"{NAMES[node]} is off, or stands still")


# What a fault of the catalogue is to NODE of a simulated pair. SECONDS are those until all is
# mended.


def power(world: World, node: int, seconds: float) -> Mend:
    machine = world.machines[node]
    if not (machine.is_on or machine.is_booting):
        raise CameToNothing(f"{machine.name} is off")
    world.power_off(node)
    return partial(world.power_on, node)


def freeze(world: World, node: int, seconds: float) -> Mend:
    must_answer(world, node)
    world.freeze(node, seconds, is_noticed=False)
    return nothing


def reboot(world: World, node: int, seconds: float) -> Mend:
    must_answer(world, node)
    world.leave(node)
    return nothing


def crossover(world: World, node: int, seconds: float) -> Mend:
    world.unplug(Path.CROSSOVER)
    return partial(world.plug, Path.CROSSOVER)


def lan_between(world: World, node: int, seconds: float) -> Mend:
    world.unplug(Path.LAN)
    return partial(plug_lan, world)


def lan_cable(world: World, node: int, seconds: float) -> Mend:
    world.pull_lan(node)
    return partial(plug_lan, world)


def switch(world: World, node: int, seconds: float) -> Mend:
    for one in (A, B):
        world.pull_lan(one)
    return partial(plug_lan, world)


def plug_lan(world: World) -> None:
    world.plug(Path.LAN)
    world.gateway_cut.clear()


def gateway(world: World, node: int, seconds: float) -> Mend:
    world.set_gateway(False)
    return partial(world.set_gateway, True)


def cards(world: World, node: int, seconds: float) -> Mend:
    world.kill_nics(node)
    return partial(world.heal_nics, node)


def drbd_port(world: World, node: int, seconds: float) -> Mend:
    world.lose(Frames.DRBD, Path.CROSSOVER)
    return partial(world.find, Frames.DRBD, Path.CROSSOVER)


def kill_agent(world: World, node: int, seconds: float) -> Mend:
    must_answer(world, node)
    world.restart_agent(node)
    return nothing


def hang_agent(world: World, node: int, seconds: float) -> Mend:
    must_answer(world, node)
    world.stall_agent(node, seconds)
    return nothing


def kill_heartbeat(world: World, node: int, seconds: float) -> Mend:
    mend = hang_heartbeat(world, node, seconds)
    world.after(BACK_SOON, mend)
    return nothing


def hang_heartbeat(world: World, node: int, seconds: float) -> Mend:
    must_answer(world, node)
    for path in (Path.CROSSOVER, Path.LAN):
        world.lose(Frames.HEARTBEAT, path)

    def mend() -> None:
        for path in (Path.CROSSOVER, Path.LAN):
            world.find(Frames.HEARTBEAT, path)

    return mend


def kill_guest(world: World, node: int, seconds: float) -> Mend:
    must_answer(world, node)
    if not world.machines[node].domains:
        raise CameToNothing("no such domain")
    world.crash(node, "g")
    return nothing


def clock(world: World, node: int, seconds: float) -> Mend:
    """Nothing here has a wall clock."""
    must_answer(world, node)
    return nothing


FAULTS: Mapping[str, Callable[[World, int, float], Mend]] = {
    "power": power,
    "freeze": freeze,
    "reboot": reboot,
    "crossover": crossover,
    "silent-crossover": crossover,
    "lan-between": lan_between,
    "lan-cable": lan_cable,
    "switch": switch,
    "gateway": gateway,
    "cards": cards,
    "drbd-port": drbd_port,
    "kill-agent": kill_agent,
    "hang-agent": hang_agent,
    "kill-heartbeat": kill_heartbeat,
    "hang-heartbeat": hang_heartbeat,
    "kill-guest": kill_guest,
    "clock-forward": clock,
    "clock-back": clock,
}


class Rig:
    """A healthy pair; `a` has the guest."""

    def __init__(self, seed: int) -> None:
        self.world = healthy(seed=seed)

    def keep(self, name: str) -> str:
        """Its log is all that there is."""
        return "\n".join(self.world.log)

    def _await(self, what: str, holds: Callable[[], bool], within: float) -> None:
        try:
            self.world.run_until(holds, self.world.now + within)
        except AssertionError as error:
            raise TimeoutError(f"waited {within:g} s for {what}\n{error}") from None


class ChaosRig(Rig):
    """The ground of HISTORY."""

    def __init__(self, history: History) -> None:
        super().__init__(history.seed)
        self._until_mended = [history.between + history.after, history.after]
        self._mends: list[Mend] = []

    def happen(self, step: Step) -> str:
        seconds = self._until_mended.pop(0)
        node = B if step.who == STANDBY else A
        try:
            self._mends.append(FAULTS[step.fault](self.world, node, seconds))
        except CameToNothing as error:
            return str(error)
        return ""

    def wait(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    def mend(self) -> None:
        for mend in self._mends:
            mend()

    def settle(self) -> Ended:
        world, doubted = self.world, self.world.now

        def is_over() -> bool:
            nonlocal doubted
            if not world.is_healthy():
                doubted = world.now
            return self._is_parted() or world.now - doubted > world.timing.dead

        self._await("both to be protected, or to say split brain", is_over, HEALED)
        return Ended.PARTED if self._is_parted() else Ended.PROTECTED

    def _is_parted(self) -> bool:
        states = [machine.state for machine in self.world.machines]
        return all(state is not None and is_split_brain(state, "g") for state in states)

    def audit(self) -> None:
        assert not self.world.audit.violations, self.world.audit.violations


class SoakRig(Rig):
    """The ground of one leg."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._cut_at, self._said = 0.0, 0

    def _index(self, name: str) -> int:
        return NAMES.index(name)

    def holder(self) -> str:
        (node,) = self.world.holders()
        return NAMES[node]

    def cut(self, name: str, seed: int) -> None:
        self.world.run(self.world.now + self.world.random.uniform(1.0, 5.0))
        self.world.power_off(self._index(name))
        self._cut_at, self._said = self.world.now, len(self.world.log)

    def takeover(self, by: str) -> Takeover:
        node = self._index(by)
        self._await(f"{by} to serve", lambda: self.world.serves(node), TAKEOVER)
        begins = f"{by}: g: {Phase.RELEASED} -> {Phase.PROMOTING}: "
        (line,) = [line for line in self.world.log[self._said :] if begins in line]
        return Takeover(self.world.now - self._cut_at, line.partition("promoting: ")[2])

    def bring_back(self, name: str) -> None:
        self.world.power_on(self._index(name))
        self._await("both to be protected", self.world.is_healthy, HEALED)

    def judge(self) -> Verdict:
        audit = self.world.audit
        return Verdict(len(audit.acked["g"]), others=tuple(audit.violations))

    def compare(self) -> str:
        """Between the farewell of the one that leaves, and that it goes."""
        holder = self._index(self.holder())
        self.world.maintenance(1 - holder, True)
        self.world.leave(holder)
        mirror = self.world.mirrors["g"]

        def is_nobodys() -> bool:
            return all(
                mirror.show(node).role is Role.SECONDARY and mirror.show(node).is_in_sync
                for node in (A, B)
            )

        self._await("both copies to be in sync, and nobody's", is_nobodys, TAKEOVER)
        ours, theirs = (copy.data for copy in mirror.copies)
        return f"the copies differ in {len(ours ^ theirs)} writes" if ours != theirs else ""
