# SPDX-License-Identifier: MIT
"""No word passes between two machines that live, and both see the gateway."""

from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.story import Story


def cut_both_cables(story: Story) -> None:
    """The hole: no word passes between the two any more, and both see the gateway."""
    assert story.lab.cables is not None
    story.lab.cables.cut_between("xo", "a", "b")
    story.lab.cables.cut_between("lan", "a", "b")


def mend_both_cables(story: Story) -> None:
    assert story.lab.cables is not None
    story.lab.cables.plug("xo")
    story.lab.cables.plug("lan")


def says_split(machine: Machine) -> bool:
    return any("split brain" in c["what"] for c in status(machine).get("complaints", []))
