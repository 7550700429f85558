# SPDX-License-Identifier: MIT
"""A virtual machine with two disks comes, is taken over, and is restored from a backup. Its system
is on the first one, and the numbers that it counts are on the second: a beacon tells that it writes
there.
"""

from tests.unit import fake_images
from tests.vm.incidents.arrivals import FILES, PLACE, bring, make_image
from tests.vm.incidents.roster import (
    WEB,
    await_guests,
    await_nothing_left,
    guests,
    left_behind,
    remove,
)
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.story import TAKEOVER, Story

FILLS = 1800.0  # seconds; every block of 260 MiB, emulated, over an emulated cable
SYSTEM = "/run/system"  # the guest's files, on the machine where its disks are made
SECOND = "guest.disk=/dev/xvdb"
LABEL = "second-disk"  # of the file system on its second disk, which is nothing to dom0
SIZE = 64 << 20  # bytes of that


def make_machine(machine: Machine) -> tuple[str, str]:
    """An OVA on MACHINE, and the sum of its first disk, which nobody writes to."""
    settings = machine.run(f"cat {FILES}/grub.cfg").replace("@NETWORK@", f"@NETWORK@ {SECOND}")
    assert SECOND in settings
    links = f"ln -s {FILES}/vmlinux {FILES}/initramfs {SYSTEM}/"
    machine.run(f"mkdir {SYSTEM} && {links}\ncat >{SYSTEM}/grub.cfg <<'END'\n{settings}END\n")
    first = make_image(machine, "first", WEB, files=SYSTEM)
    made = f"truncate -s {SIZE} second.raw && mke2fs -q -t ext4 -m 0 -L {LABEL} second.raw"
    pack = "qemu-img convert -f raw -O vmdk -o subformat=streamOptimized"
    packed = f"{pack} first.raw disk1.vmdk && {pack} second.raw disk2.vmdk"
    machine.run(f"cd {PLACE} && {made} && {packed}", timeout=FILLS)
    description = fake_images.ovf_of(None, None)
    machine.run(f"cat >{PLACE}/web.ovf <<'END'\n{description}\nEND\n")
    machine.run(f"cd {PLACE} && tar --format=ustar -cf web.ova web.ovf disk1.vmdk disk2.vmdk")
    return f"{PLACE}/web.ova", machine.run(f"sha256sum {first}").split()[0]


def slices(machine: Machine) -> list[str]:
    """Of which disks there are some on MACHINE, whose guest they may be."""
    names = [line.split()[0] for line in machine.run("dmsetup ls").splitlines()]
    return sorted(name.partition("-")[2] for name in names if name.startswith("drbd"))


def back_up(machine: Machine, folder: str, *more: str) -> str:
    command = f"mkdir -p {folder} && shoestring guest backup web --to {folder}"
    told: dict[str, str] = machine.answer(" ".join((command, *more)), FILLS)
    return told["file"]


def sums(machine: Machine, folder: str) -> list[str]:
    """Of both disks in the plain backup in FOLDER; the last may have grown by an extent."""
    said = machine.run(
        f"cd {folder} && sha256sum --quiet --check SHA256SUMS && sha256sum xvda.raw"
        f" && head --bytes {SIZE} xvdb.raw | sha256sum",
        timeout=FILLS,
    )
    return [line.split()[0] for line in said.splitlines()]


def test_a_guest_with_two_disks_is_taken_over_and_restored(lab: Lab) -> None:
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        ova, system = make_machine(a)
        story.beacons.set_apart(WEB)
        said = a.run(bring(ova, WEB, "--name web"), timeout=FILLS)
        print(said)
        assert "disks of 192.0 MiB, 64.0 MiB" in " ".join(said.split())
        for machine in (a, b):
            assert left_behind(machine, "counter", "web") == []
            assert guests(machine) == {"counter": ["a"], "web": ["a"]}
        story.await_beacons(20, of=WEB)
        assert (slices(a), slices(b)) == (["xvda", "xvdb"], [])
        shown = b.answer("shoestring guest show web")["settings"]["disks"]
        assert shown["xvda"] == 192 << 20 and shown["xvdb"] >= SIZE
        a.run("udevadm settle")
        assert LABEL not in a.run("ls /dev/disk/by-label; udevadm info --export-db")
        assert a.run("pvs --noheadings --options vg_name").split() == ["shoestring"]
        story.await_protected()

        a.power_cut(seed=92)
        await_guests(b, counter="b", web="b")
        story.await_beacons(20, of=WEB)
        assert slices(b) == ["xvda", "xvdb"]
        story.return_of(a)
        assert slices(a) == []

        b.run("shoestring guest stop web --yes", timeout=TAKEOVER)
        assert slices(b) == []
        before = sums(a, back_up(a, f"{PLACE}/before", "--plain"))
        assert before[0] == system
        file = back_up(a, f"{PLACE}/before")
        a.run(remove("web"), timeout=TAKEOVER)
        await_nothing_left(story, "counter")
        a.run(f"shoestring guest restore {file} --off --yes", timeout=FILLS)
        assert (slices(a), slices(b)) == ([], [])
        story.await_protected()
        assert sums(b, back_up(b, f"{PLACE}/after", "--plain")) == before
        a.run("shoestring guest start web", timeout=TAKEOVER)
        story.await_beacons(20, of=WEB)
        a.run(f"rm -r {PLACE}")
        b.run(f"rm -r {PLACE}")
        story.await_protected()
        story.audit(may_freeze=True)
