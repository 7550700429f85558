# SPDX-License-Identifier: MIT
"""The data disks are short: of room for another guest, or of time for all that one writes."""

import pytest

from haagent.command import Exit
from tests.vm.incidents.arrivals import FILES, bring, make_image
from tests.vm.incidents.compared import BEGAN
from tests.vm.incidents.roster import FILLS, WEB, await_guests, guests, left_behind
from tests.vm.incidents.standing import Standing
from tests.vm.lab import DATA, Lab
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.story import BOOT, TAKEOVER, Story, switch_on
from tests.vm.wait import wait_until

MIB = 1 << 20
CLONE = "shoestring guest clone counter --name twin --yes"
FILL = "lvcreate --quiet --yes --wipesignatures y --extents 100%FREE --name filler shoestring"
EMPTY = "lvremove --quiet --yes shoestring/filler"

WRITES = 200 * MIB  # that one writes over and over
# Beside what the built-in guest does anyway. The kernel gives init what stands behind the two
# dashes; in the quoted part it takes an equals sign for an argument's, so that there is none.
# Busybox's shell reads /dev/null for whatever is in its background, and no /dev is mounted yet.
ENDLESS = (
    'rdinit=/bin/busybox -- sh -c "mknod /dev/null c 1 3;'
    " (until [ -e /data/boot ]; do sleep 1; done;"
    f' while :; do head -c {WRITES} /dev/zero >/data/filling; sync; done) & exec /init"'
)
WRITER = "/run/writer"  # its files, on the machine where its image is made


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def refuse(machine: Machine, command: str, why: str) -> None:
    """MACHINE does nothing of COMMAND, and says WHY."""
    ended = machine.control.try_run(f"{command} 2>&1", TAKEOVER)
    said = " ".join(ended.out.split())
    print(said)
    assert ended.rc == Exit.FAILED, ended
    assert f"Nothing was begun: {why}" in said


@pytest.mark.row("C8")
def test_there_is_no_room_for_another_guest(story: Story) -> None:
    """An image is larger than what either machine has left; and a clone would fit on one of the
    two, whichever of them is told to make it.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        image = make_image(a, "web", WEB)
        a.run(f"truncate -s {DATA} {image}")
        refuse(a, bring(image, WEB), "the data disk of a has ")
        for full in (b, a):
            full.run(FILL)
            refuse(b, CLONE, f"the data disk of {full.name} has 0 MiB free, and it takes ")
            assert guests(a) == guests(b) == {"counter": ["a"]}
            full.run(EMPTY)
        for machine in (a, b):
            assert left_behind(machine, "counter") == []
        story.await_numbers(20)
        story.await_protected()
        before.assert_unmoved()
        story.audit()


def make_writer(machine: Machine) -> str:
    """The image of a guest that writes as fast as its disk takes it, for as long as it runs."""
    settings = machine.run(f"cat {FILES}/grub.cfg").replace("@NETWORK@", f"@NETWORK@ {ENDLESS}")
    assert ENDLESS in settings
    links = f"ln -s {FILES}/vmlinux {FILES}/initramfs {WRITER}/"
    machine.run(f"mkdir {WRITER} && {links}\ncat >{WRITER}/grub.cfg <<'END'\n{settings}END\n")
    return make_image(machine, "web", WEB, size="384M", files=WRITER)


def written(machine: Machine) -> int:
    """Bytes that its disk was given on MACHINE, below the mirror (Documentation/block/stat.rst)."""
    volume = "$(basename $(readlink --canonicalize /dev/shoestring/web))"
    return 512 * int(machine.run(f"cat /sys/class/block/{volume}/stat").split()[6])


def await_written(machine: Machine, size: int) -> None:
    before = written(machine)
    wait_until(
        f"{size // MIB} MiB to be written", lambda: written(machine) > before + size, TAKEOVER, 1
    )


def are_alone(machine: Machine, *names: str) -> bool:
    """MACHINE writes the disks of the guests called NAMES without the other one."""
    shown = status(machine).get("guests", [])
    return {one["name"] for one in shown if one["is_alone"]} == {*names}


def largest_copy(target: Machine) -> int:
    """Bytes that any copy to TARGET had before it, of those that were begun in this boot."""
    return 1024 * max(map(int, BEGAN.findall(target.run("dmesg"))), default=0)


@pytest.mark.row("E5")
def test_a_copy_catches_up_with_a_guest_that_writes_without_end(story: Story) -> None:
    """The standby is away for long enough that all of it has to be copied anew."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        story.beacons.set_apart(WEB)
        image = make_writer(a)
        a.run(bring(image, WEB), timeout=FILLS)
        a.run(f"rm -r {image} {WRITER}")
        await_guests(b, counter="a", web="a")
        story.await_beacons(20, of=WEB)
        await_written(a, WRITES)
        story.await_protected()

        before = Standing(story)
        b.power_cut(seed=91)
        wait_until("a to go on alone", lambda: are_alone(a, "counter", "web"), TAKEOVER, 1)
        await_written(a, 2 * WRITES)
        switch_on(b)

        def begun() -> int:
            """What was written until the copy began, about."""
            until = written(a)
            return until if largest_copy(b) > WRITES / 2 else 0

        began = wait_until("the copy to begin", begun, BOOT, 1)
        wait_until(
            "the copy to be whole",
            lambda: a.run("drbdadm dstate web").strip() == "UpToDate/UpToDate",
            2 * BOOT,
            1,
        )
        meanwhile = written(a) - began
        print(f"copied: {largest_copy(b) // MIB} MiB; written meanwhile: {meanwhile // MIB} MiB")
        assert meanwhile > 0, "it did not write, and nothing was shown"
        story.await_protected(2 * BOOT)
        await_written(a, WRITES)
        story.await_beacons(20, of=WEB)
        story.await_numbers(20)
        before.assert_guest_stayed()
        story.audit(may_freeze=True)
