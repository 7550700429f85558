# SPDX-License-Identifier: MIT
"""Random histories: a healthy pair, a few faults at random moments, then all is mended.

A history is a seed. It ends well if nothing acknowledged was lost, no two machines wrote, and the
pair serves again by itself; unless it is of a class in which the pair has to stop (StandAlone).
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from haagent.core.model import Link, Path, Policy
from tests.sim.wires import BEFORE, NOW, Formats
from tests.sim.world import World, healthy

FAULTS_LAST = 60.0  # seconds in which faults begin
MENDED_AFTER = 90.0
PATIENCE = 150.0  # then the pair must be healthy


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one history."""

    seed: int
    violations: tuple[str, ...]
    is_hole: bool
    is_frozen: bool
    has_converged: bool
    is_parted: bool  # StandAlone: detected, and left to a person
    together: float  # seconds with two domains
    log: tuple[str, ...]

    @property
    def is_exempt(self) -> bool:
        return self.is_hole or self.is_frozen


Fault = Callable[[World, Random], None]


def _for_a_while(world: World, random: Random, mend: Callable[[], None]) -> None:
    if random.random() < 0.6:
        world.after(random.choice((0.6, 3.0, 6.0, 12.0, 20.0, 35.0)), mend)


def _cut(world: World, random: Random) -> None:
    path = random.choice((Path.CROSSOVER, Path.LAN))
    nodes = random.choice(((), (), (0,), (1,)))
    world.unplug(path, *nodes)
    _for_a_while(world, random, lambda: world.plug(path, *nodes))


def _mirror(world: World, random: Random) -> None:
    world.break_mirror(random.choice(list(world.guests)))


def _nics(world: World, random: Random) -> None:
    node = random.randrange(2)
    world.kill_nics(node)
    _for_a_while(world, random, lambda: world.heal_nics(node))


def _lan(world: World, random: Random) -> None:
    node = random.randrange(2)
    world.pull_lan(node)

    def mend() -> None:
        world.plug(Path.LAN)
        world.gateway_cut.discard(node)

    _for_a_while(world, random, mend)


def _gateway(world: World, random: Random) -> None:
    world.set_gateway(False)
    _for_a_while(world, random, lambda: world.set_gateway(True))


def _power(world: World, random: Random) -> None:
    node = random.randrange(2)
    world.power_off(node)
    _for_a_while(world, random, lambda: world.power_on(node))


def _reset(world: World, random: Random) -> None:
    world.reset(random.randrange(2))


def _brown_out(world: World, random: Random) -> None:
    for node in (0, 1):
        world.power_off(node)
        world.power_on(node, random.uniform(15.0, 40.0))


def _stall(world: World, random: Random) -> None:
    world.stall(random.randrange(2), random.uniform(0.5, 25.0))


def _stall_agent(world: World, random: Random) -> None:
    world.stall_agent(random.randrange(2), random.uniform(0.5, 25.0))


def _restart_agent(world: World, random: Random) -> None:
    world.restart_agent(random.randrange(2))


def _leave(world: World, random: Random) -> None:
    world.leave(random.randrange(2))


def _move(world: World, random: Random) -> None:
    """A person moves a guest, from where it runs or, by mistake, from where it does not."""
    world.move(random.randrange(2), random.choice(list(world.guests)))


def _maintain(world: World, random: Random) -> None:
    node = random.randrange(2)
    world.maintenance(node, True)
    _for_a_while(world, random, lambda: world.maintenance(node, False))


def _choose(world: World, random: Random) -> None:
    """A person chooses a copy, where there is something to choose or, by mistake, where not."""
    guest = random.choice(list(world.guests))
    world.choose(random.randrange(2), random.randrange(2), guest, keeps=random.random() < 0.7)


def _change_lan(world: World, random: Random) -> None:
    """A person asks for other addresses, some of which do not work."""
    if random.random() < 0.3:
        random.choice((world.bad_gateways, world.bad_lans)).update(range(1, 10))
    world.change_lan(random.randrange(2))


def _fill(world: World, random: Random) -> None:
    """Xen cannot start a guest there any more."""
    machine = world.machines[random.randrange(2)]
    machine.is_full = True
    world.note(f"-- {machine.node} is full")
    _for_a_while(world, random, lambda: setattr(machine, "is_full", False))


def _stick(world: World, random: Random) -> None:
    """A stick is pulled or full. One that comes back may find its machine off."""
    node = random.randrange(2)
    if random.random() < 0.3:
        world.fill_stick(node)
        _for_a_while(world, random, lambda: setattr(world.machines[node], "is_stick_full", False))
        return
    world.pull_stick(node)

    def put_back() -> None:
        world.put_stick_back(node)
        world.power_on(node)

    _for_a_while(world, random, put_back)


def freeze(world: World, random: Random) -> None:
    world.freeze(random.randrange(2), random.uniform(3.0, 30.0))


FAULTS: tuple[Fault, ...] = (
    _cut,
    _cut,
    _cut,
    _mirror,
    _nics,
    _lan,
    _gateway,
    _power,
    _power,
    _reset,
    _brown_out,
    _stall,
    _stall_agent,
    _restart_agent,
    _leave,
    _move,
    _move,
    _maintain,
    _fill,
    _choose,
    _change_lan,
    _stick,
    _stick,
)


def _lone_writing(world: World, random: Random) -> None:
    """One is cut off or stands still, the other writes alone and dies, the first comes back."""
    node = random.randrange(2)
    away = random.uniform(3.0, 50.0)
    if random.random() < 0.5:
        world.kill_nics(node)
        world.after(away, lambda: world.heal_nics(node))
    else:
        world.stall(node, min(away, 25.0))
    world.after(away + random.uniform(-12.0, 12.0), lambda: world.power_off(1 - node))


def _slow_hole(world: World, random: Random) -> None:
    """Both ways between the two are lost, one after the other; both still see the gateway."""
    first, second = random.sample((Path.CROSSOVER, Path.LAN), 2)
    world.unplug(first, *random.choice(((), (0,), (1,))))
    world.after(random.uniform(2.3, 12.0), lambda: world.unplug(second))
    node = random.randrange(2)
    if random.random() < 0.5:
        world.after(random.uniform(8.0, 40.0), lambda: world.power_off(node))


def _re_arm(world: World, random: Random) -> None:
    """The gateway is gone for a while, and something fails while the pair re-arms."""
    node = random.randrange(2)
    world.set_gateway(False)
    back = random.uniform(1.0, 20.0)
    world.after(back, lambda: world.set_gateway(True))
    fault = random.choice((_cut, _nics, _power, _lan))
    world.after(back + random.uniform(-3.0, 6.0), lambda: fault(world, random))
    world.after(back + random.uniform(3.0, 30.0), lambda: world.power_off(node))


def _moving_cables(world: World, random: Random) -> None:
    """One was cut off for long; then the other loses the LAN and the first regains it."""
    node = random.randrange(2)
    world.kill_nics(node)

    def move() -> None:
        world.pull_lan(1 - node)
        world.nic_dead.discard((Path.LAN, node))

    world.after(random.uniform(2.0, 40.0), move)


def _at_takeover(world: World, random: Random) -> None:
    """Something else fails while one takes over from the other."""
    node = random.randrange(2)
    world.power_off(node)
    fault = random.choice((_cut, _nics, _power, _lan, _gateway, _stall, _restart_agent, _reset))
    world.after(random.uniform(8.0, 24.0), lambda: fault(world, random))
    if random.random() < 0.5:
        world.after(random.uniform(0.0, 20.0), lambda: world.power_on(node, 3.0))


def _at_farewell(world: World, random: Random) -> None:
    """Something fails while one signs off."""
    world.leave(random.randrange(2))
    fault = random.choice((_cut, _nics, _power, _stall, _restart_agent, _reset, _leave))
    world.after(random.uniform(0.0, 6.0), lambda: fault(world, random))


def _at_move(world: World, random: Random) -> None:
    """Something fails while a guest is moved, or while a machine in maintenance is emptied."""
    node = random.choice(world.holders() or (0, 1))
    if random.random() < 0.5:
        world.move(node)
    else:
        world.maintenance(node, True)
    for _ in range(random.choice((1, 1, 2, 3))):
        fault = random.choice((*FAULTS, _stall_a_moment, _swap_lan))
        world.after(random.uniform(0.0, 6.0), lambda fault=fault: fault(world, random))  # type: ignore[misc]


def _stall_a_moment(world: World, random: Random) -> None:
    """Too short for the agent to doubt what it knows."""
    world.stall_agent(random.randrange(2), random.uniform(0.5, 1.9))


def _swap_lan(world: World, random: Random) -> None:
    """One is cut off, and a moment later it has the LAN and the other has not."""
    node = random.randrange(2)
    world.kill_nics(node)

    def swap() -> None:
        world.nic_dead.discard((Path.LAN, node))
        world.pull_lan(1 - node)

    world.after(random.uniform(0.3, 4.0), swap)


def _after_farewell(world: World, random: Random) -> None:
    """The mirror breaks before the farewell is judged, both are lost, and the LAN changes sides."""
    node = random.choice(world.holders() or (0, 1))
    world.move(node)

    def swap() -> None:
        world.nic_dead.discard((Path.LAN, node))
        world.pull_lan(1 - node)

    def lose() -> None:
        world.kill_nics(node)
        world.break_mirror()
        world.after(random.uniform(1.0, 2.2), swap)

    def stall() -> None:
        world.stall_agent(1 - node, random.uniform(0.8, 1.9))
        world.after(random.uniform(0.2, 1.2), lose)

    world.after(random.uniform(1.0, 3.0), stall)


def _on_tour(world: World, random: Random) -> None:
    """A guest is moved again and again, sooner than it is up, while something fails."""
    for second in range(0, 40, random.choice((3, 5, 9))):
        node = random.randrange(2)
        world.after(second, lambda node=node: world.move(node))  # type: ignore[misc]
    fault = random.choice(FAULTS)
    world.after(random.uniform(0.0, 40.0), lambda: fault(world, random))


def _without_a_stick(world: World, random: Random) -> None:
    """A stick is lost, and something fails when that is known, and again."""
    node = random.randrange(2)
    world.pull_stick(node)
    for _ in range(random.choice((1, 2, 3))):
        fault = random.choice((*FAULTS, _swap_lan, _at_move))
        world.after(random.uniform(0.0, 70.0), lambda fault=fault: fault(world, random))  # type: ignore[misc]
    if random.random() < 0.7:
        world.after(random.uniform(5.0, 80.0), lambda: world.put_stick_back(node))


THEMES: tuple[Fault, ...] = (
    _lone_writing,
    _slow_hole,
    _re_arm,
    _moving_cables,
    _at_takeover,
    _at_farewell,
    _at_move,
    _at_move,
    _after_farewell,
    _on_tour,
    _without_a_stick,
    _without_a_stick,
)


def _change_release(world: World, random: Random) -> None:
    """A machine is updated or taken back, in order or by falling over."""
    node, formats = random.randrange(2), random.choice((NOW, BEFORE))
    world.change_release(node, formats)
    if random.random() < 0.7:
        world.leave(node)
    else:
        world.reset(node)


def run_mixed(seed: int) -> Outcome:
    """A history of machines that run two releases, and are updated while other things fail."""
    speak = Random(seed).choice(((NOW, BEFORE), (BEFORE, NOW), (BEFORE, BEFORE), (NOW, NOW)))
    return run(seed, faults=(*FAULTS, *((_change_release,) * 8)), speak=speak)


def run(
    seed: int,
    *,
    faults: tuple[Fault, ...] = FAULTS,
    speak: tuple[Formats, Formats] | None = None,
) -> Outcome:
    """One history. The seed decides everything. SPEAK as in Ground."""
    random = Random(seed)
    guests = {"g": 0} if random.random() < 0.6 else {"g": 0, "h": 1}
    policy = Policy.AUTOMATIC if random.random() < 0.8 else Policy.WAIT
    world = healthy(guests=guests, policy=policy, seed=seed, speak=speak)
    began = world.now
    if random.random() < 0.6:
        theme = random.choice(THEMES)
        world.at(began + random.uniform(0.0, 20.0), lambda: theme(world, random))
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        fault = random.choice(faults)
        moment = began + random.uniform(0.0, FAULTS_LAST)
        world.at(moment, lambda fault=fault: fault(world, random))  # type: ignore[misc]
    world.run(began + MENDED_AFTER)
    world.heal()
    limit = world.now + PATIENCE
    while not world.is_healthy() and world.now < limit:
        world.run(world.now + 5)
    return Outcome(
        seed,
        tuple(world.audit.violations),
        world.is_hole,
        world.is_frozen_class,
        world.is_healthy(),
        any(c.link is Link.STANDALONE for m in world.mirrors.values() for c in m.copies),
        world.audit.together,
        tuple(world.log),
    )
