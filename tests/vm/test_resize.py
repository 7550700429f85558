# SPDX-License-Identifier: MIT
"""A guest's disk becomes larger on both machines while it writes, also where one loses its power in
the worst moment: its volume has grown, and DRBD's own data are still where its end was.
"""

from functools import partial

import pytest

from haagent.command import Exit
from haagent.storage.growth import usable
from tests.vm.incidents.compared import SAME, marked, verify
from tests.vm.incidents.disks import await_same_copies
from tests.vm.incidents.roster import LIST
from tests.vm.incidents.standing import Standing, runs_on
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.story import BOOT, TAKEOVER, Story, switch_on
from tests.vm.wait import wait_until

MIB = 1 << 20
WANTED = 256 * MIB  # the guest of the set-up has a volume of 192
GROWS = 900.0  # seconds; blanking, emulated, on both machines
RESIZE = f"shoestring guest resize counter --disk {WANTED // MIB}M --yes"

# Whoever flushes a guest's volume from now on does so, and never comes back: the first one has just
# made it larger.
HANG_WHEN_GROWN = r"""
set -e
cp /usr/bin/sync /run/sync-itself
cat > /run/sync-hangs <<'END'
#!/bin/sh
/run/sync-itself "$@"
case $1 in /dev/shoestring/*) : > /run/has-grown; exec sleep infinity;; esac
END
chmod +x /run/sync-hangs
mount --bind /run/sync-hangs /usr/bin/sync
"""


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def disk(machine: Machine) -> int:
    """Bytes of the guest's disk, as DRBD on MACHINE has it."""
    return 512 * int(machine.run("cat /sys/class/block/drbd0/size"))


def volume(machine: Machine) -> int:
    """Bytes of the volume below it."""
    columns = "--noheadings --nosuffix --units b --options lv_size"
    return int(machine.run(f"lvs {columns} shoestring/counter"))


def seen_by_guest(machine: Machine) -> int:
    """Bytes of it that Xen on MACHINE tells the running guest (51712 is xvda)."""
    where = "/local/domain/0/backend/vbd/$(xl domid counter)/51712/sectors"
    return 512 * int(machine.run(f"xenstore-read {where}"))


def resyncs(machine: Machine) -> int:
    """How many began on MACHINE since its start."""
    return machine.run("dmesg").count("Began resync as")


def has_moved(machine: Machine) -> bool:
    """Whether drbdmeta found DRBD's own data where they were, and put them where they belong."""
    said = machine.run("journalctl --boot --unit=drbd-up --no-pager --output=cat")
    return "meta data successfully moved" in said


def is_done(machine: Machine) -> bool:
    return disk(machine) >= WANTED and machine.control.try_run(f"test -e {LIST}").rc == 1


def await_grown(story: Story) -> None:
    """On both, and nothing of it is open any more."""
    for machine in story.pair.both:
        wait_until(f"{machine.name} to be done", partial(is_done, machine), GROWS, 2)
    a, b = story.pair.both
    assert disk(a) == disk(b) == usable(volume(a)) == usable(volume(b))
    assert [marked(machine) for machine in (a, b)] == [0, 0]


def assert_same(story: Story) -> None:
    """Every block of both copies, what is new included."""
    found = verify(story.pair.a)
    assert found.rc == Exit.PROTECTED and SAME in found.out, found.out


def test_a_disk_grows_while_its_guest_writes(story: Story) -> None:
    """Nothing is copied, nobody is missed, and a running Linux guest is told. It still is after it
    was started anew, on the other machine.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before, small = Standing(story), disk(a)
        began = [resyncs(machine) for machine in (a, b)]
        refused = a.control.try_run("shoestring guest resize counter --disk 64M --yes 2>&1")
        assert refused.rc == Exit.FAILED and "a disk only grows" in refused.out, refused.out
        refused = a.control.try_run("shoestring guest resize counter --disk 500G --yes 2>&1")
        assert refused.rc == Exit.FAILED and "MiB free, and it takes" in refused.out, refused.out
        assert disk(a) == disk(b) == small

        said = a.run(RESIZE, timeout=GROWS)
        print(said)
        assert "of disk, on a and on b." in " ".join(said.split())
        await_grown(story)
        assert [resyncs(machine) for machine in (a, b)] == began, "something was copied"
        shown = a.answer("shoestring guest show counter")
        assert shown["settings"]["disks"]["xvda"] == disk(a)
        wait_until("the guest to be told", lambda: seen_by_guest(a) == disk(a), TAKEOVER, 1)
        story.await_numbers(20)
        before.assert_unmoved()
        before.assert_nobody_was_missed()
        assert_same(story)

        a.run("shoestring guest move counter --yes", timeout=TAKEOVER)
        story.await_numbers(20)
        assert runs_on(b) == ["b"] and seen_by_guest(b) == disk(b) >= WANTED
        story.await_protected()
        story.audit()
        await_same_copies(story)


@pytest.mark.parametrize("name", ["a", "b"])
def test_power_fails_when_the_volume_has_grown(story: Story, name: str) -> None:
    """Of the machine that leads and runs the guest, or of the other one: DRBD's own data are found
    where they were, and both disks grow by themselves when it is back.
    """
    a, b = story.pair.both
    dies, lives = (a, b) if name == "a" else (b, a)
    with story:
        story.await_numbers(20)
        small = disk(dies)
        dies.run(HANG_WHEN_GROWN)
        a.run(f"systemd-run --quiet --collect -- {RESIZE}")
        wait_until(
            f"{name}'s volume to have grown",
            lambda: dies.control.try_run("test -e /run/has-grown").rc == 0,
            GROWS,
            1,
        )
        assert volume(dies) > WANTED and disk(dies) == small
        dies.power_cut(seed=91)
        story.await_numbers(20)
        assert runs_on(lives) == [lives.name]
        assert disk(lives) == small
        switch_on(dies)
        wait_until(f"{name}'s DRBD to find its own data", partial(has_moved, dies), BOOT, 2)
        await_grown(story)
        story.await_protected()
        story.await_numbers(20)
        assert_same(story)
        story.audit(may_freeze=True)
        await_same_copies(story)
