# SPDX-License-Identifier: MIT
"""The steps that a history is made of, in a fixed order.

Faults and a person's orders are counted together; what mends, what time does, and which of two
things comes first costs nothing but a step.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from haagent.core import events
from haagent.core.model import Path
from tests.sim.exhaustive.doing import (
    carry_words,
    feel_disk,
    finish,
    hear,
    hear_words,
    reset,
    start_agent,
    switch_off,
    switch_on,
)
from tests.sim.exhaustive.passing import pass_keepalive, pass_moment, wait
from tests.sim.exhaustive.situation import GUEST, NAMES, WIRES, Situation, Still


class Kind(StrEnum):
    """What a step is, and so what it costs."""

    FAULT = "fault"
    ORDER = "order"  # a person's; counted with the faults
    MEND = "mend"
    RACE = "race"  # what would have come later in the same half comes now
    MOMENT = "moment"  # a time between two other steps that nothing asks for
    TIME = "time"


COUNTED = frozenset({Kind.FAULT, Kind.ORDER})


@dataclass(frozen=True, slots=True)
class Step:
    """One letter of the alphabet."""

    name: str
    kind: Kind
    may: Callable[[Situation], bool]
    do: Callable[[Situation], None]
    lasts: bool = False  # a few keepalives after it another step may meet another pair


# cables and the gateway


def _may_cut(path: Path, nodes: tuple[int, ...], situation: Situation) -> bool:
    return not any((path, node) in situation.cut for node in nodes)


def _cut(path: Path, nodes: tuple[int, ...], situation: Situation) -> None:
    situation.lose(path, nodes)


def _may_pull(node: int, situation: Situation) -> bool:
    return node not in situation.gateway_cut


def _pull(node: int, situation: Situation) -> None:
    situation.gateway_cut |= {node}
    situation.lose(Path.LAN, (0, 1))


def _is_broken(path: Path, situation: Situation) -> bool:
    is_pulled = path is Path.LAN and bool(situation.gateway_cut)
    return is_pulled or any((path, node) in situation.cut for node in (0, 1))


def _plug(path: Path, situation: Situation) -> None:
    situation.cut -= {(path, 0), (path, 1)}
    if path is Path.LAN:
        situation.gateway_cut = frozenset()


def _set_gateway(is_there: bool, situation: Situation) -> None:
    situation.gateway = is_there


# machines


def _on(node: int, situation: Situation) -> bool:
    return situation.nodes[node].is_on


def _moves(node: int, situation: Situation) -> bool:
    return situation.nodes[node].is_on and situation.nodes[node].still is None


def _has_agent(node: int, situation: Situation) -> bool:
    return situation.nodes[node].is_awake


def _is_dark(node: int, situation: Situation) -> bool:
    return not situation.nodes[node].is_on and situation.nodes[node].boot_at is None


def _has_just_saved(node: int, situation: Situation) -> bool:
    one = situation.nodes[node]
    return one.is_on and one.has_saved and one.words is not None


def _cut_power(node: int, situation: Situation) -> None:
    switch_off(situation, situation.nodes[node])


def _cut_power_at_save(node: int, situation: Situation) -> None:
    switch_off(situation, situation.nodes[node])
    situation.nodes[node].words = None


def _reset(node: int, situation: Situation) -> None:
    reset(situation, situation.nodes[node])


def _switch_on(node: int, situation: Situation) -> None:
    switch_on(situation, situation.nodes[node])


def _restart(node: int, situation: Situation) -> None:
    start_agent(situation, situation.nodes[node])


def _stand_still(node: int, still: Still, situation: Situation) -> None:
    one = situation.nodes[node]
    one.still, one.still_since = still, situation.now
    if still is Still.CLOCKS:
        situation.is_frozen_class = True


def _wake(node: int, situation: Situation) -> None:
    one = situation.nodes[node]
    if one.still is Still.CLOCKS:
        stood = situation.now - one.still_since
        one.clock_lost += stood
        one.orders = (*one.orders, events.ClockBroke(0, 1.0))
    one.still = None


def _is_still(node: int, situation: Situation) -> bool:
    return situation.nodes[node].still is not None


def _stands_one_still(situation: Situation) -> bool:
    """One keepalive is nothing, unless a machine stands still for it: that is not noticed."""
    return any(node.still is not None for node in situation.nodes)


def _may_fail(node: int, situation: Situation) -> bool:
    copy = situation.mirror.copies[node]
    return situation.nodes[node].is_live and copy.is_attached and copy.has_disk


def _fail(node: int, situation: Situation) -> None:
    situation.mirror.copies[node].go_on()
    situation.mirror.copies[node].has_failed = True
    situation.mirror.drop_disk(node)


def _has_failed(node: int, situation: Situation) -> bool:
    return situation.mirror.copies[node].has_failed


def _repair(node: int, situation: Situation) -> None:
    """A machine that has brought up its mirror does not notice before its next start."""
    copy = situation.mirror.copies[node]
    copy.has_failed = False
    if situation.nodes[node].is_on and not copy.is_attached:
        copy.attach()
        situation.mirror.changed(node)


def _may_hang(node: int, situation: Situation) -> bool:
    return _may_fail(node, situation) and not situation.mirror.copies[node].is_hanging


def _hang(node: int, situation: Situation) -> None:
    situation.mirror.copies[node].hang()
    feel_disk(situation, situation.nodes[node])


def _is_hanging(node: int, situation: Situation) -> bool:
    return situation.mirror.copies[node].is_hanging


def _free(node: int, situation: Situation) -> None:
    one, copy = situation.nodes[node], situation.mirror.copies[node]
    copy.go_on()
    feel_disk(situation, one)
    hear(situation, one, events.DiskHangs(0, GUEST, False))
    if one.is_on and not copy.is_attached:
        copy.attach()
        situation.mirror.changed(node)


def _has_xen(node: int, situation: Situation) -> bool:
    return _moves(node, situation) and not situation.nodes[node].is_xen_hanging


def _is_xen_hanging(node: int, situation: Situation) -> bool:
    return situation.nodes[node].is_on and situation.nodes[node].is_xen_hanging


def _hang_xen(is_hanging: bool, node: int, situation: Situation) -> None:
    situation.nodes[node].is_xen_hanging = is_hanging


def _order(node: int, event: events.Event, situation: Situation) -> None:
    hear(situation, situation.nodes[node], event)


# which comes first


def _has_work(node: int, situation: Situation) -> bool:
    return situation.nodes[node].is_live and bool(situation.nodes[node].works)


def _end_work(node: int, situation: Situation) -> None:
    one = situation.nodes[node]
    finish(situation, one, one.works[0])


def _has_news(node: int, situation: Situation) -> bool:
    """What NODE says is new to the other one, and something else happens there at the same time."""
    speaker, hearer = situation.nodes[node], situation.nodes[1 - node]
    if speaker.words is None or not hearer.is_awake or hearer.state is None:
        return False
    known = hearer.state.peer.hello
    is_news = known is None or known.guests != speaker.words.guests
    is_busy = hearer.works or hearer.reports or hearer.has_drbd_news or hearer.is_fence_asked
    return is_news and bool(is_busy) and bool(speaker.ways)


def _let_words_arrive(node: int, situation: Situation) -> None:
    carry_words(situation, situation.nodes[node])
    hear_words(situation, situation.nodes[1 - node])


def _may_notice(node: int, situation: Situation) -> bool:
    return situation.nodes[node].is_live and situation.mirror.copies[node].broken_since is not None


def _notice(node: int, situation: Situation) -> None:
    situation.mirror.lose(node)


# time


def _always(situation: Situation) -> bool:
    return True


def _each(
    kind: Kind,
    what: str,
    may: Callable[..., bool],
    do: Callable[..., None],
    lasts: bool = False,
) -> list[Step]:
    """One step for each machine."""
    return [
        Step(f"{NAMES[n]} {what}", kind, partial(may, n), partial(do, n), lasts) for n in (0, 1)
    ]


def _cuts() -> Iterator[Step]:
    for path in WIRES:
        ways = (((0, 1), "is cut"), ((0,), "loses what a says"), ((1,), "loses what b says"))
        for nodes, how in ways:
            may, do = partial(_may_cut, path, nodes), partial(_cut, path, nodes)
            yield Step(f"{path} {how}", Kind.FAULT, may, do, lasts=True)


def _stills() -> Iterator[Step]:
    for still in Still:
        for n in (0, 1):
            name = f"{NAMES[n]}'s {still} stands still"
            may, do = partial(_moves, n), partial(_stand_still, n, still)
            yield Step(name, Kind.FAULT, may, do, lasts=True)


def _mends() -> Iterator[Step]:
    for path in WIRES:
        may, do = partial(_is_broken, path), partial(_plug, path)
        yield Step(f"{path} is mended", Kind.MEND, may, do, lasts=True)
    back = partial(_set_gateway, True)
    yield Step("gateway is back", Kind.MEND, lambda s: not s.gateway, back, lasts=True)
    yield from _each(Kind.MEND, "is switched on", _is_dark, _switch_on)
    yield from _each(Kind.MEND, "goes on", _is_still, _wake, lasts=True)
    yield from _each(Kind.MEND, "has its disk back", _has_failed, _repair)
    yield from _each(Kind.MEND, "has its disk answer", _is_hanging, _free)
    yield from _each(Kind.MEND, "has its Xen go on", _is_xen_hanging, partial(_hang_xen, False))


def _orders() -> Iterator[Step]:
    for n in (0, 1):
        for event, what in (
            (events.Leave(0), "is to reboot"),
            (events.MoveAsked(0, GUEST), "moves"),
        ):
            name = f"{NAMES[n]} {what}"
            yield Step(name, Kind.ORDER, partial(_has_agent, n), partial(_order, n, event))


ALPHABET: tuple[Step, ...] = (
    *_cuts(),
    *_each(Kind.FAULT, "loses the LAN and the gateway", _may_pull, _pull, lasts=True),
    Step("gateway is gone", Kind.FAULT, lambda s: s.gateway, partial(_set_gateway, False), True),
    *_each(Kind.FAULT, "loses power", _on, _cut_power),
    *_each(Kind.FAULT, "loses power at its save", _has_just_saved, _cut_power_at_save),
    *_each(Kind.FAULT, "is reset", _on, _reset),
    *_each(Kind.FAULT, "has its agent killed", _moves, _restart),
    *_each(Kind.FAULT, "has its data disk fail", _may_fail, _fail),
    *_each(Kind.FAULT, "has its data disk hang", _may_hang, _hang),
    *_each(Kind.FAULT, "has its Xen hang", _has_xen, partial(_hang_xen, True)),
    *_stills(),
    *_orders(),
    *_mends(),
    *_each(Kind.RACE, "ends what it began", _has_work, _end_work),
    *_each(Kind.RACE, "is heard first", _has_news, _let_words_arrive),
    *_each(Kind.RACE, "sees first that the mirror is lost", _may_notice, _notice),
    Step("one keepalive passes", Kind.MOMENT, _stands_one_still, pass_keepalive),
    Step("a moment passes", Kind.MOMENT, _always, pass_moment),
    Step("time passes until something happens", Kind.TIME, _always, wait),
)

# For three faults: without a person, who comes with two; without what is two other steps, or what
# is as good as one of them when its watchdog has fired; and without the class that is exempt.
_NOT_ALONE = ("is reset", "machine stands still", "clocks stands still")
FAULTS_ALONE = tuple(
    step for step in ALPHABET if step.kind is not Kind.ORDER and not step.name.endswith(_NOT_ALONE)
)


def take(situation: Situation, step: Step) -> Situation:
    """What becomes of SITUATION, which stays as it is."""
    after = situation.copy()
    step.do(after)
    after.forget_writes()
    return after
