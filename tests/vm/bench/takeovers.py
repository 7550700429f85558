# SPDX-License-Identifier: MIT
"""Measures how long a guest is away when it changes its machine, by the kind of the proof, and how
much of that neither the proof nor the guest can answer for.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from haagent.core.model import PeerOff
from tests.vm.bench.asker import Asker
from tests.vm.bench.courses import AGAIN, DECIDED, Course, course, shutdown
from tests.vm.bench.figures import Bound, Figure, Target
from tests.vm.journal import READ, Line, find, parse
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SCALE, TIMING, Pair, healthy_pair, status
from tests.vm.story import BOOT, TAKEOVER, lines, wall_clock
from tests.vm.wait import wait_until

CUT, MOVE, REBOOT = "takeover", "move", "reboot"
BEFORE = 10  # answers, so that the guest is warm
MOST = Target(Bound.AT_MOST, 10)


@dataclass(frozen=True, slots=True)
class Sample:
    course: Course
    cold_boot: float


@dataclass(slots=True)
class Scene:
    """A healthy pair, its guest being asked."""

    pair: Pair
    asker: Asker
    holder: Machine
    other: Machine

    def warm_up(self) -> None:
        before = len(self.asker.moments)
        wait_until(
            "answers of the guest",
            lambda: len(self.asker.moments) >= before + BEFORE,
            TAKEOVER,
        )


Act = Callable[[Scene], Course]


def offset(machine: Machine) -> float:
    """How far MACHINE's wall clock is ahead of this host's monotonic clock."""
    wall, host = wall_clock(machine)
    return wall - host


def by_a_cut(scene: Scene) -> Course:
    """The holder loses its power."""
    ahead = offset(scene.other)
    cut = time.monotonic()
    scene.holder.power_cut(seed=int(cut))
    _await_takeover(scene, cut, ahead)
    return course(lines(scene.other), ahead, cut, scene.asker.moments)


def by_a_move(scene: Scene) -> Course:
    """A person moves the guest."""
    return _in_order(scene, "shoestring move counter --yes", lambda: lines(scene.holder))


def by_a_reboot(scene: Scene) -> Course:
    """The holder is restarted in order, and is back before this returns."""

    def before() -> list[Line]:
        scene.holder.control.wait_for_boot(BOOT)
        return parse(scene.holder.run(READ.format(boot=-1), 120))

    return _in_order(scene, "systemctl reboot", before)


def _in_order(scene: Scene, command: str, giver: Callable[[], list[Line]]) -> Course:
    """The guest is shut down before it goes: it is away from its last answer on. GIVER reads the
    journal of the machine that gave it away, when the other one has it.
    """
    ahead, its = offset(scene.other), offset(scene.holder)
    asked = time.monotonic()
    scene.holder.run(f"({command}) >/run/bench.log 2>&1 &")
    _await_takeover(scene, asked, ahead)
    found = course(lines(scene.other), ahead, asked, scene.asker.moments)
    last = max(at for at in scene.asker.moments if at < found.decided)
    return replace(found, began=last, stopped=shutdown(giver(), its, asked, last))


def _await_takeover(scene: Scene, began: float, ahead: float) -> None:
    decided = wait_until(
        "the other machine to decide",
        lambda: find(lines(scene.other), DECIDED, began + ahead),
        TAKEOVER,
        1.0,
    )
    wait_until(
        "the guest's first answer",
        lambda: scene.asker.answered_after(decided.at - ahead),
        TAKEOVER,
        0.2,
    )


def cold_boot(scene: Scene, machine: Machine) -> float:
    """Seconds from `xl create` to the first answer on MACHINE, which holds the guest and has
    nothing else to do: the guest's domain is destroyed, and the agent has xl create it again.
    """
    ahead = offset(machine)
    destroyed = time.monotonic()
    machine.run("xl destroy counter", 120)
    again = wait_until(
        "the guest to start again",
        lambda: find(lines(machine), AGAIN, destroyed + ahead),
        TAKEOVER,
        1.0,
    )
    begins = again.at - ahead
    answered = wait_until(
        "its first answer", lambda: scene.asker.answered_after(begins), TAKEOVER, 0.2
    )
    return answered - begins


def sample(accel: str, act: Act, is_gone: bool) -> Sample:
    """One change of machines by ACT, and a cold boot where the guest then is. IS_GONE: the other
    machine is off by then, and is not waited for.
    """
    lab = Lab(accel)
    try:
        pair = healthy_pair(lab)
        holder = next(m for m in pair.both if m.name in status(m)["guests"][0]["runs_on"])
        (other,) = (m for m in pair.both if m is not holder)
        with Asker(pair.recorder) as asker:
            scene = Scene(pair, asker, holder, other)
            scene.warm_up()
            found = act(scene)
            scene.warm_up()
            if not is_gone:
                pair.await_protected(BOOT)
            return Sample(found, cold_boot(scene, other))
    finally:
        lab.close()


ACTS: dict[str, tuple[Act, bool, str]] = {
    CUT: (by_a_cut, True, "power cut"),
    MOVE: (by_a_move, False, "last answer"),
    REBOOT: (by_a_reboot, False, "last answer"),
}


def measure(name: str, accel: str, samples: int) -> Iterator[Figure]:
    act, is_gone, begin = ACTS[name]
    found = [sample(accel, act, is_gone) for _ in range(samples)]
    yield from figures(name, begin, found)


def figures(name: str, begin: str, found: list[Sample]) -> Iterator[Figure]:
    """Of each kind of proof that was met: a row for each part, and the verdict."""
    for proof in sorted({one.course.proof for one in found}):
        yield from _of_proof(name, begin, proof, [o for o in found if o.course.proof is proof])


def _of_proof(name: str, begin: str, proof: PeerOff, found: list[Sample]) -> Iterator[Figure]:
    def seconds(what: str, values: Iterator[float], note: str = "") -> Figure:
        return Figure(name, f"{proof}: {what}", "s", tuple(values), note=note)

    for part in found[0].course.parts():
        yield seconds(part, (one.course.parts()[part] for one in found))
    yield seconds(f"{begin} to first answer", (one.course.total for one in found))
    if any(one.course.stopped for one in found):
        yield seconds("of that, the guest's own shutdown", (one.course.stopped for one in found))
    yield seconds(
        "the guest's cold boot alone",
        (one.cold_boot for one in found),
        "xl create to first answer, on the same machine, after the change",
    )
    yield seconds(
        "what nobody can save",
        (one.course.needs(TIMING, one.cold_boot) for one in found),
        "the time that the proof needs (haagent/core/timing.py, times"
        f" {SCALE:g}), the guest's own shutdown and its cold boot",
    )
    yield seconds("overhead", (one.course.overhead(TIMING, one.cold_boot) for one in found))
    yield Figure(
        name,
        f"{proof}: overhead",
        "%",
        tuple(one.course.share(TIMING, one.cold_boot) for one in found),
        MOST,
        "in percent of what nobody can save",
    )
