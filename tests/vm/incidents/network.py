# SPDX-License-Identifier: MIT
"""The ways between two machines: how each machine sees them, and what befell the frames on them."""

import time

from tests.vm.cables import GUEST, Cables
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.story import TAKEOVER, Story
from tests.vm.wait import wait_until

HEARTBEAT = 694  # UDP; to everybody, on both cables
BEACONS = 7777  # UDP; of the guest, to everybody on the LAN
# What the cards are called inside, firstboot/rendering.py.
CROSSOVER, LAN_CARD = "crossover", "lan0"
ASK = (
    "python3 -c 'from urllib.request import Request, urlopen;"
    f' print(urlopen(Request("http://{GUEST}/next", method="POST"), timeout=60).read().decode())\''
)


def cables_of(story: Story) -> Cables:
    assert story.lab.cables is not None
    return story.lab.cables


def befallen(cables: Cables) -> int:
    """How many frames between the two machines were lost, or came late, changed or not alone."""
    counted = cables.frames()
    return sum(
        number
        for kind in ("lost", "hurt")
        for way, number in counted[kind].items()
        if way.split("/", 1)[1] in ("a/b", "b/a")
    )


def is_two_way(machine: Machine, path: str) -> bool:
    """Whether MACHINE counts on PATH: it hears the other one there, and is heard."""
    paths = status(machine).get("paths", ())
    return any(one["name"] == path and one["is_two_way"] for one in paths)


def await_complaint(machine: Machine, words: str, deadline: float = TAKEOVER) -> None:
    """MACHINE's screen has WORDS in what is wrong, or in what that means."""
    wait_until(
        f"{machine.name}'s screen to say {words!r}",
        lambda: any(
            words in f"{one['what']} {one['means']}"
            for one in status(machine).get("complaints", ())
        ),
        deadline,
        1,
    )


def has_link(machine: Machine, card: str) -> bool:
    """Whether CARD, as MACHINE calls it, says that there is somebody at the cable's other end."""
    return machine.run(f"cat /sys/class/net/{card}/carrier").strip() == "1"


def ask_inside(story: Story, machine: Machine) -> None:
    """A number is asked for on MACHINE, beside the guest, where nobody outside can; it counts.

    Whoever waited for an answer as the LAN went must have given up: its number would come later
    than this one, and be less.
    """
    number = int(machine.run(ASK, 120))
    story.recorder.acknowledged.append(number)
    story.recorder.moments.append(time.monotonic())
