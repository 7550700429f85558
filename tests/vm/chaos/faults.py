# SPDX-License-Identifier: MIT
"""What can happen to a pair of emulated machines, by name, and how each is mended.

A fault is a function of the scene and of a machine; it returns what mends it. A new one is a
function and a line in FAULTS; where it is a hole or stands still with its clocks, the line says so.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from tests.vm.cables import Cables
from tests.vm.machine import Machine
from tests.vm.story import BOOT
from tests.vm.wait import wait_until

DRBD = 7788  # TCP; of the pair's first guest
SOON = 10.0  # seconds; what a shell does at once takes on a busy machine
PATIENCE = 60.0  # seconds; the same for a program that talks to others
ALIVE = "true"  # a script
BOOT_ID = "/proc/sys/kernel/random/boot_id"

Mend = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Scene:
    """Where it happens. SEED is of the disks' caches."""

    a: Machine
    b: Machine
    cables: Cables
    seed: int

    @property
    def both(self) -> tuple[Machine, Machine]:
        return self.a, self.b


class CameToNothing(Exception):
    """The machine is off, stands still, or has no shell just now."""


def shell(machine: Machine, script: str) -> str:
    """What SCRIPT prints on MACHINE. Raises CameToNothing, also where it does not end with 0.

    What a machine that starts anew is asked waits in its port, and is done then. So SCRIPT is said
    to none but who has just answered.
    """
    if not is_awake(machine):
        raise CameToNothing(f"{machine.name} is off, or stands still")
    try:
        machine.control.try_run(ALIVE, SOON)
        result = machine.control.try_run(script, PATIENCE)
    except TimeoutError as error:
        raise CameToNothing(str(error)) from error
    if result.rc != 0:
        raise CameToNothing(f"{machine.name}: {script!r} ended with {result.rc}: {result.out}")
    return result.out


def is_awake(machine: Machine) -> bool:
    return machine.is_on and machine.qmp("query-status").get("status") == "running"


def nothing() -> None:
    """It mends itself, or is over."""


def afterwards(machine: Machine, script: str) -> None:
    """Mends by SCRIPT. A machine that does not answer it starts anew, and that mends it as well."""
    with suppress(CameToNothing):
        shell(machine, script)


# machines


def power(scene: Scene, machine: Machine) -> Mend:
    """It loses its power, and half of what its disks had not made durable."""
    if not machine.is_on:
        raise CameToNothing(f"{machine.name} is off")
    machine.power_cut(seed=scene.seed)
    return partial(give_power, machine)


def give_power(machine: Machine) -> None:
    if not machine.is_on:
        machine.power_on()


def freeze(scene: Scene, machine: Machine) -> Mend:
    """It stands still with all its clocks."""
    if not is_awake(machine):
        raise CameToNothing(f"{machine.name} is off, or stands still")
    machine.qmp("stop")
    return partial(wake, machine)


def wake(machine: Machine) -> None:
    if machine.is_on:
        machine.qmp("cont")


def reboot(scene: Scene, machine: Machine) -> Mend:
    """It is restarted in order."""
    boot = shell(machine, f"cat {BOOT_ID}")
    shell(machine, "systemctl --no-block reboot")
    return partial(await_restart, machine, boot)


def await_restart(machine: Machine, before: str) -> None:
    """Until it goes down it looks as healthy as ever. One that something else stopped has time."""

    def is_over() -> bool:
        if not is_awake(machine):
            return True
        try:
            return shell(machine, f"cat {BOOT_ID}") != before
        except CameToNothing:
            return False

    wait_until(f"{machine.name} to start anew", is_over, BOOT, 2)


# cables, cards and the LAN


def crossover(scene: Scene, machine: Machine) -> Mend:
    """The cable is pulled: both cards lose their link."""
    for one in scene.both:
        if one.is_on:
            one.unplug("xo")
    return partial(plug_crossover, scene)


def plug_crossover(scene: Scene) -> None:
    for one in scene.both:
        if one.is_on:
            one.plug("xo")


def silent_crossover(scene: Scene, machine: Machine) -> Mend:
    """The cable carries nothing, and the cards keep their link."""
    scene.cables.unplug("xo")
    return partial(scene.cables.plug, "xo")


def lan_between(scene: Scene, machine: Machine) -> Mend:
    """The LAN carries nothing between the two; both see the gateway."""
    scene.cables.cut_between("lan", scene.a.name, scene.b.name)
    return partial(scene.cables.plug, "lan")


def lan_cable(scene: Scene, machine: Machine) -> Mend:
    """One machine has no LAN."""
    scene.cables.unplug("lan", machine.name)
    return partial(scene.cables.plug, "lan")


def switch(scene: Scene, machine: Machine) -> Mend:
    """Nobody has a LAN."""
    scene.cables.unplug("lan")
    return partial(scene.cables.plug, "lan")


def gateway(scene: Scene, machine: Machine) -> Mend:
    """It answers nobody."""
    scene.cables.unplug("lan", "gw")
    return partial(scene.cables.plug, "lan")


def cards(scene: Scene, machine: Machine) -> Mend:
    """One machine is cut off from all."""
    for segment in ("xo", "lan"):
        scene.cables.unplug(segment, machine.name)
    return partial(plug_both, scene.cables)


def plug_both(cables: Cables) -> None:
    for segment in ("xo", "lan"):
        cables.plug(segment)


def drbd_port(scene: Scene, machine: Machine) -> Mend:
    """The mirror alone has no way; all words pass."""
    scene.cables.lose_tcp("xo", DRBD)
    return partial(scene.cables.carry_tcp, "xo", DRBD)


# programs and clocks


def signal(unit: str, name: str) -> str:
    """A script that sends the signal NAME to UNIT: to the program itself, for what Xen's tools
    leave beside it looks after the guests.
    """
    return f"systemctl kill --kill-whom=main --signal={name} {unit}"


def kill(unit: str, scene: Scene, machine: Machine) -> Mend:
    """UNIT is killed. It is back by itself."""
    shell(machine, signal(unit, "KILL"))
    return nothing


def hang(unit: str, scene: Scene, machine: Machine) -> Mend:
    """UNIT does nothing any more."""
    shell(machine, signal(unit, "STOP"))
    return partial(afterwards, machine, signal(unit, "CONT"))


def kill_guest(scene: Scene, machine: Machine) -> Mend:
    """The guest ends without a word, if it is there."""
    shell(machine, "xl destroy counter")
    return nothing


def jump(change: str, back: str, scene: Scene, machine: Machine) -> Mend:
    """The wall clock jumps by CHANGE, and by BACK when it is mended, unless the machine has started
    anew since: then its clock is right.
    """
    boot = shell(machine, f"date --set='{change}' >/dev/null; cat {BOOT_ID}").strip()
    return partial(
        afterwards, machine, f'[ "$(cat {BOOT_ID})" != "{boot}" ] || date --set="{back}"'
    )


@dataclass(frozen=True, slots=True)
class Fault:
    happens: Callable[[Scene, Machine], Mend]
    weight: int = 2  # how often it is drawn, beside the others
    is_aimed: bool = True  # at one of the two machines
    parts: str = ""  # the way between the two that it takes, while both see the gateway
    stands_still: bool = False  # with all its clocks


FAULTS: Mapping[str, Fault] = {
    "power": Fault(power, 6),
    "freeze": Fault(freeze, 1, stands_still=True),
    "reboot": Fault(reboot),
    "crossover": Fault(crossover, 3, is_aimed=False, parts="crossover"),
    "silent-crossover": Fault(silent_crossover, 1, is_aimed=False, parts="crossover"),
    "lan-between": Fault(lan_between, 1, is_aimed=False, parts="lan"),
    "lan-cable": Fault(lan_cable),
    "switch": Fault(switch, 1, is_aimed=False),
    "gateway": Fault(gateway, is_aimed=False),
    "cards": Fault(cards, 3),
    "drbd-port": Fault(drbd_port, 1, is_aimed=False),
    "kill-agent": Fault(partial(kill, "haagent")),
    "hang-agent": Fault(partial(hang, "haagent")),
    "kill-heartbeat": Fault(partial(kill, "heartbeat"), 1),
    "hang-heartbeat": Fault(partial(hang, "heartbeat"), 1),
    "kill-guest": Fault(kill_guest, 1),
    "clock-forward": Fault(partial(jump, "+1 hour", "-1 hour"), 1),
    "clock-back": Fault(partial(jump, "-1 hour", "+1 hour"), 1),
}
