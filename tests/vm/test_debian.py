# SPDX-License-Identifier: MIT
"""A guest that nobody here built: a Debian with PostgreSQL, in from a stick, backed up, cut, and
restored on a machine that never knew it.
"""

from tests.vm import audits, debian_guest
from tests.vm.cables import DATABASE
from tests.vm.database import Committer
from tests.vm.incidents.lone import set_up_alone, shows
from tests.vm.incidents.roster import await_guests
from tests.vm.incidents.sticks import plug_in_backups, plug_in_files
from tests.vm.lab import Lab
from tests.vm.story import BOOT, TAKEOVER, Story
from tests.vm.wait import wait_until

FILLS = 3600.0  # seconds; a disk of 1400 MiB, emulated, over an emulated cable
STARTS = 2700.0  # seconds; a whole Debian on a processor that is emulated twice
STOP, START = "shoestring guest stop counter --yes", "shoestring guest start counter"
BACKUPS = 1 << 30  # bytes of the USB disk


def await_commits(committer: Committer, count: int, deadline: float = TAKEOVER) -> None:
    before = len(committer.acknowledged)
    wait_until(
        f"{count} more commits", lambda: len(committer.acknowledged) >= before + count, deadline, 1
    )


def test_a_debian_with_postgresql(lab: Lab) -> None:
    image = debian_guest.qcow2()
    story = Story(lab)
    a, b = story.pair.both
    assert lab.cables is not None
    with story, Committer(lab.cables.database_port) as committer:
        story.await_numbers(20)
        story.end_asking()
        a.run(STOP, timeout=TAKEOVER)  # an emulated processor is too slow for both
        plug_in_files(a, image)
        bring = f"shoestring guest import {image.name} --memory 384 --address {DATABASE} --yes"
        print(a.run(bring, timeout=FILLS))
        await_guests(a, counter="", debian="a")
        await_commits(committer, 50, STARTS)
        story.await_protected()

        for machine in (a, b):
            # What is on a guest's disk is the guest's: its LVM has a group of its own.
            assert machine.run("vgs --noheadings --options vg_name").split() == ["shoestring"]
            seen = machine.run("ls /dev /dev/mapper; blkid --output value; true").split()
            assert "shoestring-debian" in seen, "where LVM has the volume that all of it is in"
            assert not {"debian", "debian-root", "debian-data"} & set(seen)

        plug_in_backups(b, lab, BACKUPS)
        before = list(committer.acknowledged)
        told = b.answer("shoestring guest backup debian", FILLS)
        print(f"backed up under load: {told}")
        assert "every sum is right" in b.run("shoestring backup verify debian", FILLS)
        await_commits(committer, 20)

        a.power_cut(seed=90)
        await_guests(b, counter="", debian="b")
        await_commits(committer, 50, STARTS)
        committer.stop()
        present = wait_until("what is committed", committer.present, TAKEOVER, 2)
        lost = audits.lost(committer.acknowledged, sorted(present))
        gap = audits.longest_gap(committer.moments)
        print(f"acknowledged commits: {len(committer.acknowledged)}, lost: {len(lost)}")
        print(f"longest time without one: {gap:.1f} s")
        assert not lost, lost
        assert not committer.damage()
        story.return_of(a)
        b.run(START, timeout=TAKEOVER)
        story.audit(may_freeze=True)

    for number, machine in enumerate((a, b)):
        machine.power_cut(seed=number)
    set_up_alone(b)
    plug_in_backups(b, lab)
    said = b.run("shoestring guest restore debian --yes", timeout=FILLS)
    assert "debian is on c." in " ".join(said.split())
    wait_until("both guests to run on c", lambda: shows(b, first="c", debian="c"), BOOT, 2)
    b.run("shoestring guest stop first --yes", timeout=TAKEOVER)
    restored = wait_until("what was committed before the backup", committer.present, STARTS, 2)
    print(f"commits before the backup: {len(before)}, on the third machine: {len(restored)}")
    assert before and set(before) <= restored
    assert not committer.damage()
