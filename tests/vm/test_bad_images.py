# SPDX-License-Identifier: MIT
"""What cannot be taken in is refused in plain words, and neither machine keeps any of it."""

import struct
from pathlib import Path

from haagent.command import Exit
from tests.unit import fake_images
from tests.unit.fake_images import changed, content, ovf, qcow2, stream_vmdk, sums, tar
from tests.vm import stick
from tests.vm.incidents.arrivals import PLACE, bring
from tests.vm.incidents.disks import restart
from tests.vm.incidents.roster import WEB, left_behind
from tests.vm.incidents.standing import Standing
from tests.vm.incidents.sticks import FULL, plug_in
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.story import TAKEOVER, Story

DISK = content()
GOOD = qcow2(DISK)
SETTINGS = "/state/etc/shoestring/pair.yaml"
STREAM = stream_vmdk(DISK)
MACHINE = fake_images.OVF.encode()
CLIMBING = ovf(
    *(fake_images.CPU, fake_images.MEMORY, fake_images.CONTROLLER, fake_images.drive(4, "d1")),
    files='<File ovf:id="f1" ovf:href="../disk1.vmdk"/>',
).encode()
OUTSIDE = fake_images.descriptor("monolithicFlat", f'RW 8192 FLAT "{SETTINGS}" 0')


def on_a_backing_file(name: bytes) -> bytes:
    """An image of the changes to the file NAME."""
    named = changed(GOOD, 512, name)
    return changed(named, 8, struct.pack(">QI", 512, len(name)))


IMAGES = {
    "cut.qcow2": (GOOD[: 3 << 16], "cut.qcow2 is damaged: it ends at 196608, and its tables at"),
    "short.qcow2": (GOOD[:-70000], "short.qcow2 cannot be read as qcow2"),
    "backed.qcow2": (on_a_backing_file(SETTINGS.encode()), "backing file"),
    "outside.vmdk": (OUTSIDE, f"has its data in {SETTINGS}, outside of its own folder"),
    "climbs.ova": (
        tar(("it.ovf", CLIMBING), ("../disk1.vmdk", STREAM)),
        "has a file with the name ../disk1.vmdk",
    ),
    "lacks.ova": (tar(("it.ovf", MACHINE)), "has no file disk1.vmdk"),
    "other.ova": (
        tar(
            ("it.ovf", MACHINE),
            ("it.mf", sums({"it.ovf": MACHINE, "disk1.vmdk": DISK})),
            ("disk1.vmdk", STREAM),
        ),
        "the sum of disk1.vmdk is wrong",
    ),
}


def plug_in_images(machine: Machine, folder: Path) -> None:
    """A USB disk of a Windows computer with all of IMAGES, and a good one."""
    files = []
    for name, data in {**{n: d for n, (d, _) in IMAGES.items()}, "good.qcow2": GOOD}.items():
        files.append(folder / name)
        files[-1].write_bytes(data)
    image = folder / "images.ntfs"
    stick.make_ntfs(image, *files)
    plug_in(machine, image, "ntfs")


def refuse(machine: Machine, command: str, why: str) -> None:
    """MACHINE does nothing of COMMAND, and says WHY."""
    ended = machine.control.try_run(f"{command} 2>&1", TAKEOVER)
    said = " ".join(ended.out.split())
    print(said)
    assert ended.rc == Exit.FAILED, ended
    assert why in said
    assert "Traceback" not in said
    assert left_behind(machine, "counter") == []


def test_what_cannot_be_taken_in_leaves_nothing(lab: Lab, tmp_path: Path) -> None:
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        settings = [machine.run(f"cat {SETTINGS}") for machine in (a, b)]
        plug_in_images(b, tmp_path)
        for name, (_, why) in IMAGES.items():
            refuse(b, bring(name, WEB), why)
        good = "good.qcow2"
        refuse(b, bring("none.qcow2", WEB), "There is no none.qcow2 on a USB stick")
        refuse(b, bring(good, WEB, "--name counter"), "there is a guest counter already.")
        refuse(b, bring(good, WEB, "--name 'the web'"), "the web")
        refuse(b, bring(good, "10.0.2.50"), "the guest counter has the address 10.0.2.50.")
        refuse(b, bring(good, WEB, "--disk 64G"), "the data disk of ")
        b.run(f"mkdir -p {PLACE} && truncate -s 64G {PLACE}/large.raw")
        refuse(b, bring(f"{PLACE}/large.raw", WEB), "the data disk of ")
        b.run(f"rm -r {PLACE}")

        b.run(FULL, 300)
        refuse(b, bring(good, WEB), "cannot be written: No space left on device")
        refuse(
            a, "shoestring guest clone counter --name twin --here --yes", "No space left on device"
        )
        b.run("rm -r /state/full")
        restart(b)  # its agent counts on its stick no more, if it looked meanwhile
        story.await_protected()
        for machine, text in zip((a, b), settings, strict=True):
            assert machine.run(f"cat {SETTINGS}") == text
            assert left_behind(machine, "counter") == []
        story.await_numbers(20)
        before.assert_guest_stayed()
        story.audit(may_freeze=True)
