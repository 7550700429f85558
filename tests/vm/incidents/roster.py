# SPDX-License-Identifier: MIT
"""Which guests a pair has, what there is of each, and that nothing is left of those it has not."""

from functools import partial

from tests.vm.machine import Machine
from tests.vm.pages import typing
from tests.vm.pair import status
from tests.vm.story import BOOT, Story
from tests.vm.wait import wait_until

LIST = "/state/etc/shoestring/change.json"  # is there as long as a change of the list is open
FILLS = 900.0  # seconds; every block of a disk, emulated, over an emulated cable
TAKEN_BACK = 300.0  # seconds
WEB = "10.0.2.51"


def guests(machine: Machine) -> dict[str, list[str]]:
    """Where each runs, as MACHINE sees it."""
    return {guest["name"]: guest["runs_on"] for guest in status(machine).get("guests", ())}


def await_guests(machine: Machine, **where: str) -> None:
    """They run there, and no others."""
    wanted = {name: [node] if node else [] for name, node in where.items()}
    wait_until(f"{machine.name} to see {wanted}", lambda: guests(machine) == wanted, BOOT, 2)


def left_behind(machine: Machine, *names: str) -> list[str]:
    """What is there beside the guests called NAMES and their files."""
    volumes = machine.run("lvs --noheadings --options lv_name").split()
    mirrors = machine.run("drbdsetup show | sed -n 's/^resource \\([^ ]*\\) .*/\\1/p'").split()
    odd = machine.run(f"ls {LIST} /run/shoestring/passing-* 2>/dev/null; true").split()
    return [*(set(volumes + mirrors) ^ set(names)), *odd]


def is_clean(machine: Machine, *names: str) -> bool:
    return not left_behind(machine, *names)


def await_nothing_left(story: Story, *names: str) -> None:
    for machine in story.pair.both:
        wait_until(
            f"{machine.name} to have nothing but {', '.join(names)}",
            partial(is_clean, machine, *names),
            TAKEN_BACK,
            2,
        )


def remove(name: str) -> str:
    return typing(f"shoestring guest remove {name}", name)
