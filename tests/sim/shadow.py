# SPDX-License-Identifier: MIT
"""A dead machine is replaced by a blank one; and what was thought dead may come back to the LAN.

The replaced machine lives on in a world of its own, in step with the pair's: its crossover cable is
in the new machine now, and its hellos are signed with the old key.
"""

from collections.abc import Iterator
from typing import TypeVar

from haagent.cluster.wire import FORMATS, Message
from haagent.core import events
from haagent.core.model import Hello, Path, Taking
from tests.sim.audit import Audit
from tests.sim.copies import Copy
from tests.sim.ground import HELLO_TAKES
from tests.sim.machine import NAMES, Machine
from tests.sim.wires import Formats
from tests.sim.world import World

T = TypeVar("T")
THIRD = 2  # what the audit calls a machine that is not of the pair any more


class Third(Audit):
    """What the replaced machine does, told to the audit of the pair."""

    def __init__(self, pairs: Audit) -> None:
        super().__init__()
        self._pairs = pairs

    def started(
        self, now: float, guest: str, node: int, data: set[int], taking: Taking | None = None
    ) -> None:
        self._pairs.started(now, guest, THIRD, data, taking)

    def stopped(self, now: float, guest: str, node: int) -> None:
        self._pairs.stopped(now, guest, THIRD)

    def acknowledged(self, now: float, guest: str, node: int, number: int) -> None:
        self._pairs.acknowledged(now, guest, THIRD, number)


class Shadow(World):
    """The machine that was NODE of PAIR, as it was, with its copies; switched off at first."""

    def __init__(self, pair: World, node: int) -> None:
        super().__init__(guests=pair.guests, policy=pair.policy, timing=pair.timing)
        self.node = node
        self.pair = pair
        self.wire = pair.wire
        self.audit, self.log = Third(pair.audit), pair.log
        self.write_numbers, self.start_numbers = pair.write_numbers, pair.start_numbers
        self.begin_at(pair.now)
        self.after(0.0, self.step)
        moved = pair.machines[node]
        moved.ground = self
        self.machines = _at(self.machines, node, moved)
        for guest, mirror in self.mirrors.items():
            mirror.copies = _at(mirror.copies, node, pair.mirrors[guest].copies[node])

    def sees_gateway(self, node: int) -> bool:
        return self.pair.gateway and self.is_live(node)

    def send(self, node: int, hello: Hello, formats: Formats) -> None:
        survivor = 1 - node
        machine = self.pair.machines[survivor]
        if not (self.is_live(node) and self.pair.sees_lan(survivor)):
            return
        if self.machines[node].key in machine.replaced_keys:
            self.pair.after(
                HELLO_TAKES,
                lambda: self.pair.post(
                    survivor, lambda: events.ReplacedHeard(self.pair.clock(survivor))
                ),
            )

    def told(self, keys: frozenset[str], hello: Hello) -> None:
        machine = self.machines[self.node]
        if machine.key not in keys or not self.is_live(self.node):
            return
        for said in self.wire.say(hello, FORMATS, machine.key):
            heard = self.wire.hear(said, machine.formats, machine.key)
            if heard is not None:
                self.after(HELLO_TAKES, lambda heard=heard: self._arrive(heard))  # type: ignore[misc]

    def _arrive(self, heard: Message) -> None:
        self.post(
            self.node,
            lambda: events.HelloHeard(self.clock(self.node), Path.LAN, heard.hello, heard.version),
        )

    def probe_peer(self, node: int) -> None:
        """The survivor has the addresses that it had; the guests may be anywhere."""
        answering = list(self.machines[node].domains)
        for machine in self.pair.machines:
            if self.pair.sees_lan(machine.node):
                answering += [""] * (machine.node != node) + list(machine.domains)
        for guest in answering:
            self.machines[node].probe_answered(guest)

    def domains(self) -> list[str]:
        return list(self.machines[self.node].domains) if self.is_live(self.node) else []


def _at(pair: tuple[T, T], node: int, new: T) -> tuple[T, T]:
    return (new, pair[1]) if node == 0 else (pair[0], new)


def blank_copy(secret: str) -> Copy:
    """As create-md leaves it."""
    return Copy(current=0, is_inconsistent=True, secret=secret)


def steps(world: World, dead: int, key: str = "second") -> Iterator[str]:
    """`shoestring replace` on the survivor, cut into what lasts; the power may fail after each.
    Beside a machine that was set up alone there is nobody to live on anywhere.
    """
    survivor = 1 - dead
    told = world.machines[survivor]
    if told.is_vacant:
        world.note(f"-- a blank machine comes beside {NAMES[survivor]}")
    else:
        world.note(f"-- {NAMES[dead]} is replaced by a blank machine")
        world.shadow = Shadow(world, dead)
    new = Machine(world, dead, key=key, replaced_keys=told.replaced_keys | {told.key})
    new.formats = told.formats  # machines of two releases are not made a pair
    world.machines = _at(world.machines, dead, new)
    for mirror in world.mirrors.values():
        mirror.copies = _at(mirror.copies, dead, blank_copy(key))
    yield "the new machine is prepared"
    world.machines[survivor].next_key = key
    yield "the survivor has committed"
    world.take_up(survivor)
    yield "the survivor's files and its mirror have the new secret"
    world.restart_agent(survivor)
    yield "the survivor's agent has the new key"
    world.power_on(dead)
    yield "the new machine is set up"


def replace_machine(world: World, dead: int, key: str = "second") -> None:
    for _ in steps(world, dead, key):
        pass
