# SPDX-License-Identifier: MIT
"""A guest of type hvm: a PC in a machine of the pair, which is taken over like any other."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vm import pc_guest
from tests.vm.cables import GATEWAY
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.story import BOOT, TAKEOVER, Story
from tests.vm.test_debian import plug_in
from tests.vm.test_import import FILLS, await_guests, await_nothing_left, remove
from tests.vm.wait import wait_until

PC = "10.0.2.61"
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
        plug_in(a, image)
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
