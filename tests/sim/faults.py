# SPDX-License-Identifier: MIT
"""What can happen to a simulated pair, by name, with arguments that can be written down.

Each fault is a function of the world and its arguments, and says what the pair promises about it;
it returns how it is mended, where it can be. How the arguments are drawn is in `draws`.

Not here, because the design does not promise to survive it: an old state that is put back, and a
watchdog that says it is armed and never fires.
"""

from collections.abc import Callable, Mapping
from functools import partial

from haagent.core.model import Path
from haagent.core.wish import End, Target
from tests.sim.ground import Frames
from tests.sim.wires import BEFORE, NOW
from tests.sim.world import World

FOR_EVER = 1e6  # seconds
Value = str | float | bool
Mend = Callable[[], None] | None


def node_of(world: World, who: str, guest: str = "g") -> int:
    """WHO is a machine's name, or `holder` (where GUEST runs, or ran last) or `other`."""
    if who in ("a", "b"):
        return "ab".index(who)
    holder = next(iter(world.holders(guest)), world.audit.last_on.get(guest, 0))
    return holder if who == "holder" else 1 - holder


# cables, cards and the LAN: with the gateway as arbiter both promises hold, but for the hole


def cut(world: World, path: str, who: str) -> Mend:
    """Nothing that WHO (or `both`) sends on PATH arrives. A lost path is not a lost peer."""
    nodes = () if who == "both" else (node_of(world, who),)
    world.unplug(Path(path), *nodes)
    return lambda: world.plug(Path(path), *nodes)


def hole(world: World) -> Mend:
    """Both cables in one moment, while both see the gateway: the class HOLE."""
    for path in (Path.CROSSOVER, Path.LAN):
        world.unplug(path)

    def plug() -> None:
        for path in (Path.CROSSOVER, Path.LAN):
            world.plug(path)

    return plug


def filtered(world: World, path: str, kind: str, who: str) -> Mend:
    """Frames of one KIND alone are lost. What still arrives is a sign of life, or proof of none."""
    nodes = () if who == "both" else (node_of(world, who),)
    world.lose(Frames[kind], Path(path), *nodes)
    return lambda: world.find(Frames[kind], Path(path), *nodes)


def delayed(world: World, path: str, who: str, seconds: float) -> Mend:
    """What WHO says arrives late, and out of order when that begins or ends."""
    one = (Path(path), node_of(world, who))
    world.note(f"-- {path} is {seconds:g} s late for {who}")
    world.late[one] = seconds

    def in_time() -> None:
        world.late.pop(one, None)

    return in_time


def doubled(world: World, path: str, who: str) -> Mend:
    """What WHO says arrives twice. It says nothing new."""
    one = (Path(path), node_of(world, who))
    world.note(f"-- {path} doubles what {who} says")
    world.twice.add(one)
    return lambda: world.twice.discard(one)


def replayed(world: World, path: str, who: str, back: float, lasts: float) -> Mend:
    """What WHO said so many seconds BACK is heard again, also of an earlier boot. Nobody believes
    that it is alive, or what it was, because of that.
    """
    node, begin = node_of(world, who), world.now - back
    world.note(f"-- {path} plays again what {who} said {back:g} s ago")
    world.play_again(node, Path(path), begin, begin + lasts)
    return None


def mirror(world: World, guest: str) -> Mend:
    """DRBD's connection breaks, and comes back."""
    world.break_mirror(guest)
    return None


def cards(world: World, who: str) -> Mend:
    """All network cards of a machine die: it is cut off from all. A holder is off in time."""
    node = node_of(world, who)
    world.kill_nics(node)
    return lambda: world.heal_nics(node)


def lan_cable(world: World, who: str) -> Mend:
    """The LAN cable of one machine: peer and gateway at once."""
    node = node_of(world, who)
    world.pull_lan(node)

    def plug() -> None:
        world.plug(Path.LAN)
        world.gateway_cut.discard(node)

    return plug


def lan_card(world: World, who: str) -> Mend:
    """Cards that died come back on the LAN alone."""
    world.note(f"-- the LAN card of {who} is back")
    world.nic_dead.discard((Path.LAN, node_of(world, who)))
    return None


def gateway(world: World) -> Mend:
    """It answers nobody; for less than T_ref as when it moves to another machine. Stand-down."""
    world.set_gateway(False)
    return lambda: world.set_gateway(True)


def deaf_gateway(world: World, who: str) -> Mend:
    """It does not answer one of the two: it is no referee for either."""
    node = node_of(world, who)
    world.note(f"-- the gateway does not answer {who}")
    world.gateway_cut.add(node)
    return lambda: world.gateway_cut.discard(node)


def ghost(world: World) -> Mend:
    """Something answers in the place of the dead. Nothing starts by itself because of that; nor is
    anything lost.
    """
    world.note("-- something answers for whoever is asked for")
    world.ghost = True
    return lambda: setattr(world, "ghost", False)


# machines


def power(world: World, who: str) -> Mend:
    """A machine loses its power. The other one takes over, or goes on."""
    node = node_of(world, who)
    world.power_off(node)
    return lambda: world.power_on(node, world.boot_takes)


def reset(world: World, who: str) -> Mend:
    """A machine starts anew: its new boot is not the old one come back."""
    world.reset(node_of(world, who))
    return None


def brown_out(world: World, first: float, second: float) -> Mend:
    """Both lose their power, and come back after so many seconds."""
    for node, boot in enumerate((first, second)):
        world.power_off(node)
        world.power_on(node, boot)
    return None


def cut_at_save(world: World, number: int, finds: str) -> Mend:
    """Who writes the state that NUMBER saves from now loses its power, having done nothing yet. It
    FINDS the `old` one or the `new` one: wherever in a save that is, down to the byte, there is no
    third (tests/unit/test_state_damage.py).
    """
    world.cut_at_save, world.cut_finds_old = world.saves + number, finds == "old"

    def back() -> None:
        world.cut_at_save = None
        for node in (0, 1):
            world.power_on(node, world.boot_takes)

    return back


def stall(world: World, who: str, seconds: float) -> Mend:
    """The machine stands still; clocks and watchdog run on. It doubts what it knew."""
    world.stall(node_of(world, who), seconds)
    return None


def stall_agent(world: World, who: str, seconds: float) -> Mend:
    """The agent alone stands still."""
    world.stall_agent(node_of(world, who), seconds)
    return None


def kill_agent(world: World, who: str) -> Mend:
    """It is back at once. Guests stay."""
    world.restart_agent(node_of(world, who))
    return None


def dying_agent(world: World, who: str, seconds: float, every: float) -> Mend:
    """It dies, and so does each that is started in its place; too seldom for systemd to give up.
    Its watchdog counts on: T_self is the machine's.
    """
    node = node_of(world, who)
    world.kill_agent_again_and_again(node, seconds, every)
    return lambda: setattr(world.machines[node], "dies_until", 0.0)


def hanging_xen(world: World, who: str) -> Mend:
    """xenstored or xl hangs. Whoever cannot end a guest is off in time."""
    node = node_of(world, who)
    world.hang_xen(node, FOR_EVER)
    return lambda: world.show(node)


def blind(world: World, who: str, tool: str) -> Mend:
    """An agent is started, and `Xen` or `DRBD` does not tell it what is there; late, or never."""
    node = node_of(world, who)
    (world.hang_xen if tool == "Xen" else world.hide_drbd)(node, FOR_EVER)
    world.restart_agent(node)
    return lambda: world.show(node)


def zombies(world: World, who: str) -> Mend:
    """What ends there is not gone: it keeps its disk open, until the machine starts anew."""
    world.make_zombies(node_of(world, who))
    return None


def freeze(world: World, who: str, seconds: float) -> Mend:
    """The machine stands still with all its clocks: the class FROZEN."""
    world.freeze(node_of(world, who), seconds)
    return None


def clocks(world: World, who: str, seconds: float) -> Mend:
    """RTC and TSC jump. It distrusts itself for nothing: a holder resets, others forfeit."""
    world.jump_clock(node_of(world, who), seconds)
    return None


def end(world: World, guest: str, how: str) -> Mend:
    """The guest ends by itself: HOW is one of wish.End. It starts again where it was, but for one
    that switched itself off, or crashed too often.
    """
    for node in world.holders(guest):
        world.end(node, guest, End(how))
    return None


def crash(world: World, guest: str) -> Mend:
    """Somebody destroys its domain. It starts again where it was."""
    for node in world.holders(guest):
        world.crash(node, guest)
    return None


def full(world: World, who: str) -> Mend:
    """Xen cannot start a guest there any more."""
    machine = world.machines[node_of(world, who)]
    world.note(f"-- {machine.node} is full")
    machine.is_full = True
    return lambda: setattr(machine, "is_full", False)


def stick(world: World, who: str) -> Mend:
    """It is pulled. Its machine serves on, starts nothing and promises nothing, until it starts."""
    node = node_of(world, who)
    world.pull_stick(node)

    def back() -> None:
        world.put_stick_back(node)
        world.power_on(node, world.boot_takes)

    return back


def full_stick(world: World, who: str) -> Mend:
    """It can be read, and not written."""
    machine = world.machines[node_of(world, who)]
    world.fill_stick(machine.node)
    return lambda: setattr(machine, "is_stick_full", False)


def damaged_state(world: World, who: str) -> Mend:
    """Both copies of it, or both are gone: its agent, once it starts again, decides nothing until a
    person has put back what was there. One damaged copy costs nothing, by the order of writing.
    """
    node = node_of(world, who)
    world.damage_state(node)
    return lambda: world.repair_state(node)


def disk(world: World, who: str) -> Mend:
    """The data disk of a machine fails. Its guests go on over the wire; it starts none. When it can
    be read again it is old, and the machine takes it up at its next start.
    """
    node = node_of(world, who)
    world.fail_disk(node)
    return lambda: world.repair_disk(node)


def hanging_disk(world: World, who: str) -> Mend:
    """The data disk of a machine hangs, and the guest with it, wherever that runs. The machine
    gives up if the other one can go on without it; where it hangs still at the next start, nothing
    is taken up before it answers.
    """
    node = node_of(world, who)
    world.hang_disk(node)
    return lambda: world.free_disk(node)


# what persons do, also by mistake


def leave(world: World, who: str) -> Mend:
    """A machine is rebooted in order: it signs off what it holds."""
    world.leave(node_of(world, who))
    return None


def move(world: World, who: str, guest: str) -> Mend:
    """A guest is moved, from where it runs or, by mistake, from where it does not."""
    world.move(node_of(world, who, guest), guest)
    return None


def want(world: World, who: str, guest: str, target: str) -> Mend:
    """A guest is stopped, or started, from either machine. What is stopped is started by nobody."""
    world.want(node_of(world, who, guest), Target(target), guest)
    return None


def restart(world: World, who: str, guest: str) -> Mend:
    """A guest is asked to start anew, where it runs or, by mistake, where it does not."""
    world.want_restart(node_of(world, who, guest), guest)
    return None


def maintain(world: World, who: str) -> Mend:
    """Nothing starts there by itself, and what runs there goes to the other one."""
    node = node_of(world, who)
    world.maintenance(node, True)
    return lambda: world.maintenance(node, False)


def choose(world: World, who: str, counts: str, guest: str, keeps: bool) -> Mend:
    """A person chooses a copy, where there is something to choose or, by mistake, where not."""
    node, counted = node_of(world, who, guest), node_of(world, counts, guest)
    world.choose(node, counted, guest, keeps=keeps)
    return None


def confirm(world: World, who: str, guest: str) -> Mend:
    """A person starts a guest in spite of all, perhaps on the wrong machine. From then on an old
    copy and a second writer of it are that person's; both copies are kept all the same.
    """
    world.confirm(node_of(world, who, guest), guest)
    return None


def change_lan(world: World, who: str, bad: str) -> Mend:
    """Other addresses on the LAN; BAD of them does not work: `nothing`, `gateway` or `LAN`."""
    if bad != "nothing":
        {"gateway": world.bad_gateways, "LAN": world.bad_lans}[bad].update(range(1, 10))
    world.change_lan(node_of(world, who))
    return None


def release(world: World, who: str, to: str, ordered: bool) -> Mend:
    """A machine is updated or taken back, in order or by falling over."""
    node = node_of(world, who)
    world.change_release(node, NOW if to == "now" else BEFORE)
    (world.leave if ordered else world.reset)(node)
    return None


PERSONS: Mapping[str, Callable[..., Mend]] = {
    "leave": leave,
    "move": move,
    "want": want,
    "restart": restart,
    "maintain": maintain,
    "choose": choose,
    "confirm": confirm,
    "change-lan": change_lan,
    "release": release,
}

FAULTS: Mapping[str, Callable[..., Mend]] = {
    "cut": cut,
    "hole": hole,
    "filter": filtered,
    "delay": delayed,
    "double": doubled,
    "replay": replayed,
    "mirror": mirror,
    "cards": cards,
    "lan-cable": lan_cable,
    "lan-card": lan_card,
    "gateway": gateway,
    "deaf-gateway": deaf_gateway,
    "ghost": ghost,
    "power": power,
    "reset": reset,
    "brown-out": brown_out,
    "cut-at-save": cut_at_save,
    "stall": stall,
    "stall-agent": stall_agent,
    "kill-agent": kill_agent,
    "dying-agent": dying_agent,
    "hanging-xen": hanging_xen,
    "blind": blind,
    "zombies": zombies,
    "freeze": freeze,
    "clocks": clocks,
    "crash": crash,
    "end": end,
    "full": full,
    "stick": stick,
    "full-stick": full_stick,
    "damaged-state": damaged_state,
    "disk": disk,
    "hanging-disk": hanging_disk,
}

HAPPENINGS: Mapping[str, Callable[..., Mend]] = {**FAULTS, **PERSONS}


def do(world: World, name: str, arguments: Mapping[str, Value]) -> Mend:
    """Raises KeyError or TypeError for what there is not."""
    return partial(HAPPENINGS[name], world)(**arguments)
