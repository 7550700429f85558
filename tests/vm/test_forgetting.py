# SPDX-License-Identifier: MIT
"""A machine is told to forget its pair, typed by a person; the other one keeps what both had."""

import pytest

from tests.vm.evening import PASSWORD
from tests.vm.incidents.disks import kind_of_data
from tests.vm.incidents.network import await_complaint
from tests.vm.incidents.standing import runs_on, starts
from tests.vm.lab import Lab
from tests.vm.person import MENU, Person
from tests.vm.story import BOOT, TAKEOVER, Story, switch_on

FIRST_PAGE = "Press Enter to look at the hardware again"
LEFT_OF_A_PAIR = "find /state/etc/shoestring /state/haagent* -type f 2>/dev/null || true"


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


@pytest.mark.row("G10")
def test_one_half_of_a_pair_becomes_a_blank_machine(story: Story) -> None:
    """It is refused where the guest runs, and nothing is asked. Where it does not the disk is made
    blank, and the guest goes on at the other machine, also after a power cut of that one.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        holder = Person(a)
        holder.opens_menu()
        holder.commands("factory-reset", PASSWORD)
        holder.reads(r"Nothing\s+was\s+done:\s+counter\s+runs\s+on\s+a")
        holder.reads(MENU)
        holder.types()
        story.await_protected()

        assert kind_of_data(b) == "LVM2_member" and b.run(LEFT_OF_A_PAIR)
        person = Person(b)
        person.opens_menu()
        person.commands("factory-reset", PASSWORD)
        person.reads("counter goes on on a, from its own copy")
        person.reads("characters of that serial number: ")
        person.types("DATA")
        person.reads("b restarts now, forgets the pair", within=TAKEOVER)
        person.reads("Nothing is left of the pair", within=BOOT)
        person.reads(FIRST_PAGE, within=BOOT)
        assert kind_of_data(b) == ""
        assert b.run(LEFT_OF_A_PAIR) == ""

        story.await_numbers(20)
        assert runs_on(a) == ["a"]
        assert len(starts(story)) == 1, "the guest was started anew"
        await_complaint(a, "b is silent")
        b.power_cut(seed=86)  # what must hold for half of a pair is not asked of it
        a.power_cut(seed=87)
        switch_on(a)
        story.await_numbers(20)
        assert runs_on(a) == ["a"]
        story.audit(may_freeze=True)
