# SPDX-License-Identifier: MIT
"""Makes a script that goes wrong as short as it can be: nothing of it can be left out."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from haagent.core.model import Policy
from tests.sim.histories import tell
from tests.sim.scripts import Script, Step

TRIES = 600  # histories that a shrinking may cost
SEEDS = 3  # a script that needs luck is tried with so many more

Fails = Callable[[Script], bool]


def kind(problem: str) -> str:
    """PROBLEM without its moments, numbers and names: two of one kind are the same mistake."""
    return re.sub(r"\d+(\.\d+)?|\b[abgh]\b", "", problem)


def as_it_did(problem: str) -> Fails:
    """Whether a script goes wrong in the way of PROBLEM."""
    meant = kind(problem)
    return lambda script: meant in {kind(one) for one in tell(script).problems}


def shrink(script: Script, fails: Fails) -> Script:
    """The shortest script found that FAILS as SCRIPT does: first faults go, then seconds."""
    tries = 0

    def is_bad(other: Script) -> bool:
        nonlocal tries
        tries += 1
        return tries <= TRIES and fails(other)

    best, is_changed = script, True
    while is_changed:
        is_changed = False
        for shorter in (_fewer, _simpler, _sooner):
            found = _first(shorter, best, is_bad)
            while found is not None:
                best, is_changed = found, True
                found = _first(shorter, best, is_bad)
    return best


def _first(
    ways: Callable[[Script], Iterator[Script]], script: Script, fails: Fails
) -> Script | None:
    return next((other for other in ways(script) if other != script and fails(other)), None)


def _fewer(script: Script) -> Iterator[Script]:
    """Without one half of the steps, or without one step; perhaps with another seed."""
    steps = script.steps
    half = len(steps) // 2
    parts = [steps[:half], steps[half:]] if half > 1 else []
    parts += [steps[:n] + steps[n + 1 :] for n in reversed(range(len(steps)))]
    for part in parts:
        for seed in range(script.seed, script.seed + SEEDS):
            yield replace(script, steps=part, seed=seed)


def _simpler(script: Script) -> Iterator[Script]:
    """One guest, the ordinary policy, one release, an ordinary boot, mended only at the end."""
    if not any(step.arguments.get("guest") == "h" for step in script.steps):
        yield replace(script, guests={"g": 0})
    yield replace(script, policy=Policy.AUTOMATIC)
    yield replace(script, speak=None)
    yield replace(script, boots=25.0)
    for number, step in enumerate(script.steps):
        if step.lasts is not None:
            yield _with(script, number, replace(step, lasts=None))


def _sooner(script: Script) -> Iterator[Script]:
    """Every number rounder or smaller: the moments, how long it lasts, and the seconds in it."""
    last = max((step.at for step in script.steps), default=0.0)
    for seconds in _below(script.mended):
        if seconds >= last:
            yield replace(script, mended=seconds)
    for number, step in enumerate(script.steps):
        for at in _below(step.at):
            yield _with(script, number, replace(step, at=at))
        for lasts in _below(step.lasts or 0.0):
            yield _with(script, number, replace(step, lasts=lasts))
        for name, value in step.arguments.items():
            for less in _below(value) if isinstance(value, float) else ():
                yield _with(script, number, replace(step, arguments={**step.arguments, name: less}))


def _below(value: float) -> Iterator[float]:
    """Shorter ones first; all of them smaller than VALUE, or as long and with fewer digits."""
    shorter = [value / 2, value - 1.0]
    yield from (
        round(one, digits) for one in shorter for digits in (0, 1) if 0 < round(one, digits) < value
    )
    yield from (round(value, digits) for digits in (0, 1) if 0 < round(value, digits) < value)


def _with(script: Script, number: int, step: Step) -> Script:
    """SCRIPT with another step at NUMBER; a step that comes to stand before another stays there."""
    steps = (*script.steps[:number], step, *script.steps[number + 1 :])
    return replace(script, steps=tuple(sorted(steps, key=lambda one: one.at)))
