# SPDX-License-Identifier: MIT
"""A guest of type hvm: a PC in a machine of the pair, which is taken over like any other."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vm import pc_cd, pc_guest
from tests.vm.cables import GATEWAY
from tests.vm.evening import LAN
from tests.vm.incidents.roster import FILLS, await_guests, await_nothing_left, remove
from tests.vm.incidents.sticks import plug_in_files
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.story import BOOT, TAKEOVER, Story
from tests.vm.wait import wait_until

PC = "10.0.2.61"
# A viewer: it is told the password on its standard input, and says what the screen is called.
VIEWER = """\
import re, socket, sys
from haagent.guests import rfb
found = re.search(r"port (\\d+)\\. The password is (\\S+) ", " ".join(sys.stdin.read().split()))
with socket.create_connection(("{address}", int(found[1])), 60) as line:
    assert line.recv(12) == rfb.VERSION
    line.sendall(rfb.VERSION)
    assert line.recv(2) == b"\\1\\2"
    line.sendall(b"\\2")
    line.sendall(rfb.answer(found[2], line.recv(16)))
    assert line.recv(4) == bytes(4)
    line.sendall(b"\\1")
    print(line.recv(33, socket.MSG_WAITALL)[24:].decode())
"""
QEMU = "/usr/libexec/xen-qemu-system-i386"


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """A QEMU in dom0."""

    process: int
    niceness: int
    memory: int  # KiB


def device_models(machine: Machine) -> list[DeviceModel]:
    listed = machine.run("ps -eo pid=,ni=,rss=,args=")
    rows = [line.split() for line in listed.splitlines()]
    return [DeviceModel(*map(int, row[:3])) for row in rows if row[3:4] == [QEMU]]


def test_a_pc_comes_is_taken_over_restarts_and_goes(story: Story, tmp_path: Path) -> None:
    a, b = story.pair.both
    image = tmp_path / "pc.raw"
    pc_guest.make(image, PC, GATEWAY)
    with story:
        story.await_numbers(20)
        story.beacons.set_apart(PC)
        plug_in_files(a, image)
        bring = f"shoestring guest import {image.name} --type hvm --memory 256 --address {PC} --yes"
        print(a.run(bring, timeout=FILLS))
        await_guests(a, counter="a", pc="a")
        story.await_beacons(20, BOOT, of=PC)
        story.await_protected()
        [model] = device_models(a)
        print(f"its QEMU has {model.memory >> 10} MiB of dom0's; {a.run('free --mebi')}")
        assert model.niceness == 0, "it has the agent's priority"
        # Xen's own disk took the place of the one that QEMU made up for the BIOS.
        assert "/dev/drbd" not in a.run(f"ls -l /proc/{model.process}/fd")

        a.power_cut(seed=91)
        await_guests(b, counter="b", pc="b")
        story.await_beacons(20, BOOT, of=PC)
        story.await_numbers(20)
        story.return_of(a)

        b.run("shoestring guest restart pc --yes", timeout=TAKEOVER)
        story.await_beacons(20, BOOT, of=PC)
        b.run("shoestring guest stop pc --yes", timeout=TAKEOVER)
        await_guests(b, counter="b", pc="")
        wait_until("its QEMU to end", lambda: device_models(b) == [], TAKEOVER, 1)
        assert "pc: did not shut down" not in b.run("journalctl --boot --unit=haagent")
        b.run(remove("pc"), timeout=TAKEOVER)
        await_nothing_left(story, "counter")
        story.await_protected()
        story.audit(may_freeze=True)


def test_an_installer_starts_from_its_cd_once(story: Story, tmp_path: Path) -> None:
    """Its disk stays blank: with the CD out, nothing starts."""
    a, _ = story.pair.both
    iso = tmp_path / "installer.iso"
    iso.write_bytes(pc_cd.image())
    with story:
        story.await_numbers(20)
        plug_in_files(a, iso)
        create = f"shoestring guest create pc --memory 128 --disk 64M --cdrom {iso.name} --yes"
        print(a.run(create, timeout=FILLS))
        await_guests(a, counter="a", pc="a")
        wait_until("the installer", lambda: pc_cd.SAYS in serial_line(a), BOOT, 2)

        run = "systemd-run --unit=screen --property=RemainAfterExit=yes"
        a.run(f"{run} shoestring guest screen pc")
        wait_until("the door", lambda: "password" in said_of_the_screen(a), TAKEOVER, 1)
        look = VIEWER.format(address=LAN[0])
        name = a.run(f"journalctl --unit=screen --output=cat | python3 -c '{look}'", TAKEOVER)
        assert name.strip() == "QEMU (pc)", name
        wait_until("it to close", lambda: "Nothing listens" in said_of_the_screen(a), TAKEOVER, 1)
        assert ":5900 " not in a.run("ss --listening --tcp --numeric")
        story.await_protected()

        # Nobody listens to its power button, so it is ended by force.
        a.run("shoestring guest stop pc --yes", timeout=TAKEOVER)
        a.run("shoestring guest start pc", timeout=TAKEOVER)
        await_guests(a, counter="a", pc="a")
        assert "devtype=cdrom" not in a.run("cat /run/shoestring/guests/pc.cfg")
        a.run("shoestring guest stop pc --yes", timeout=TAKEOVER)
        a.run(remove("pc"), timeout=TAKEOVER)
        await_nothing_left(story, "counter")
        story.await_protected()
        story.audit()


def serial_line(machine: Machine) -> str:
    """What the guest pc says there in some seconds."""
    line = "$(xenstore-read /local/domain/$(xl domid pc)/serial/0/tty)"
    return machine.run(f"timeout 10 cat {line} || true", timeout=120)


def said_of_the_screen(machine: Machine) -> str:
    said = machine.run("journalctl --unit=screen --output=cat --no-pager")
    return " ".join(said.split())
