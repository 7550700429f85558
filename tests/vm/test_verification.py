# SPDX-License-Identifier: MIT
"""A copy rots in silence, and a person has both compared."""

import pytest

from haagent.command import Exit
from haagent.console.alarms import Alarm
from tests.vm.incidents.compared import SAME, marked, verify
from tests.vm.incidents.disks import BLOCK, await_same_copies, complaint, restart, superblock
from tests.vm.incidents.standing import Standing, runs_on
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.story import TAKEOVER, Story
from tests.vm.wait import wait_until

TABLE = "dmsetup table shoestring-counter"
DIFFER = "4 KiB differ between the two copies of counter."


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def rotten(machine: Machine) -> int:
    """A block of the guest's disk that the guest never uses, in the last quarter, counted from its
    beginning. On MACHINE it holds something else from now on.
    """
    table = machine.run(TABLE)
    length, start = 512 * int(table.split()[1]), 512 * int(table.split()[4])
    block = length // BLOCK * 3 // 4
    assert start + block * BLOCK < superblock(table)
    machine.rot("data", start + block * BLOCK, BLOCK)
    return block


def content(machine: Machine, block: int) -> str:
    """The sum of what MACHINE's copy has there."""
    volume = f"dd if=/dev/shoestring/counter iflag=direct bs={BLOCK} skip={block} count=1"
    return machine.run(f"set -o pipefail; {volume} status=none | sha256sum")


def await_said(machine: Machine, what: str) -> str:
    """MACHINE complains of two copies that differ, in the words WHAT; what that means."""
    wait_until(
        f"{machine.name} to say {what!r}",
        lambda: complaint(machine, Alarm.COPIES_DIFFER).get("what") == what,
        TAKEOVER,
        2,
    )
    return complaint(machine, Alarm.COPIES_DIFFER)["means"]


def take_note(machine: Machine) -> None:
    """A person does, of what has settled itself."""
    assert Alarm.COPIES_DIFFERED in notes(machine)
    machine.run("shoestring guest verified counter --yes")
    wait_until(
        f"{machine.name} to take note",
        lambda: Alarm.COPIES_DIFFERED not in notes(machine),
        TAKEOVER,
        1,
    )


def notes(machine: Machine) -> set[str]:
    return {note["code"] for note in status(machine).get("notes", [])}


@pytest.mark.row("C7")
def test_the_standbys_copy_rots(story: Story) -> None:
    """A comparison finds nothing, then the rotten block, on both screens, and nobody repairs it or
    moves anything. A person who knows that the standby's disk is to blame restarts that machine:
    what differs is copied from the holder, which is said, until a person has taken note.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        found = verify(a)
        assert found.rc == Exit.PROTECTED and SAME in found.out, found.out
        assert [marked(machine) for machine in (a, b)] == [0, 0]

        block = rotten(b)
        contents = [content(machine, block) for machine in (a, b)]
        assert contents[0] != contents[1], "it did not rot"
        story.await_protected()
        found = verify(b)
        assert found.rc == Exit.FAILED and DIFFER in found.out, found.out
        for machine, peer in ((a, b), (b, a)):
            await_said(
                machine,
                f"counter: 4 KiB differ between the copies on {machine.name} and {peer.name}.",
            )
            assert status(machine)["verdict"] == "NOT PROTECTED"
            assert marked(machine) == BLOCK // 1024
        story.await_numbers(20)
        before.assert_unmoved()
        before.assert_nobody_was_missed()
        assert [content(machine, block) for machine in (a, b)] == contents, "somebody repaired it"

        found = verify(a)
        assert found.rc == Exit.FAILED and DIFFER in found.out, found.out
        assert [content(machine, block) for machine in (a, b)] == contents

        restart(b)
        for machine in (a, b):
            means = await_said(machine, "counter: 4 KiB differed between its two copies.")
            # b's agent may have come too late to see the resync.
            assert machine is b or "the one on a was copied over the other" in means
        assert [content(machine, block) for machine in (a, b)] == contents[:1] * 2
        before.assert_guest_stayed()

        found = verify(a)
        assert found.rc == Exit.PROTECTED and SAME in found.out, found.out
        story.await_protected()
        for machine in (a, b):
            take_note(machine)
        assert runs_on(b) == ["a"]
        story.audit(may_freeze=True)
        await_same_copies(story)
