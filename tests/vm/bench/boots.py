# SPDX-License-Identifier: MIT
"""Measures the first boot of a freshly flashed stick to its first prompt: in its phases, and side
by side with the first image that ever got there.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from pexpect import TIMEOUT

from tests.vm.bench import first_image
from tests.vm.bench.figures import Figure, ratios
from tests.vm.bench.phases import (
    ASK,
    PROMPT,
    Lines,
    Stamped,
    on_console,
    split_linux,
    text_of,
)
from tests.vm.lab import SHIPPED, Lab
from tests.vm.machine import Machine

PHASES = "boot"
SIDE_BY_SIDE = "first-image"
BOOT = 600  # seconds; a generous deadline for a slow, busy host


def read_until(machine: Machine, prompt: str, deadline: float = BOOT) -> list[Stamped]:
    """What the console of MACHINE says from now on up to PROMPT, stamped as it comes. Raises
    TimeoutError.
    """
    lines = Lines()
    end = time.monotonic() + deadline
    while not any(prompt in line.text for line in lines.seen[-3:]):
        try:
            piece = machine.console.read_nonblocking(65536, timeout=1)
        except TIMEOUT:
            if time.monotonic() > end:
                told = text_of(lines.seen[-30:])
                raise TimeoutError(f"no {prompt!r} in {deadline:.0f} s:\n{told}") from None
            continue
        lines.take(time.monotonic(), piece)
    return lines.seen


def phases(accel: str, samples: int) -> Iterator[Figure]:
    """The phases of the test flavour, which alone has a shell to ask systemd in."""
    told = [_phases_of_one(accel) for _ in range(samples)]
    for name in told[0]:
        yield Figure(PHASES, name, "s", tuple(one[name] for one in told))


def _phases_of_one(accel: str) -> dict[str, float]:
    lab = Lab(accel)
    try:
        machine = lab.machine("phases")
        machine.power_on()
        start = time.monotonic()
        found = on_console(read_until(machine, PROMPT), start)
        machine.control.wait_for_boot(BOOT)
        linux = split_linux(found.pop("Linux"), machine.run(ASK))
    finally:
        lab.close()
    split = {**found, **linux}
    return {**split, "power to first prompt": sum(split.values())}


def side_by_side(accel: str, samples: int) -> Iterator[Figure]:
    """The shipped image and the first one in turns, so that a busy hour is busy for both. Raises
    first_image.CannotBuild.
    """
    first = first_image.built()
    ours, theirs = [], []
    for number in range(samples):
        theirs.append(_to_prompt(accel, f"first{number}", first))
        ours.append(_to_prompt(accel, f"today{number}", SHIPPED))
    yield Figure(SIDE_BY_SIDE, "power to first prompt, today", "s", tuple(ours))
    yield Figure(SIDE_BY_SIDE, "power to first prompt, first image", "s", tuple(theirs))
    yield Figure(
        SIDE_BY_SIDE,
        "today against the first image",
        "ratio",
        ratios(ours, theirs),
        note=f"the first image is that of commit {first_image.COMMIT}, built on its own",
    )


def _to_prompt(accel: str, name: str, image: Path) -> float:
    lab = Lab(accel)
    try:
        machine = lab.machine(name, image)
        machine.power_on()
        start = time.monotonic()
        return sum(on_console(read_until(machine, PROMPT), start).values())
    finally:
        lab.close()
