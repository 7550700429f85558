# SPDX-License-Identifier: MIT
"""A machine dies, a cable goes: the pair does by itself what it promises."""

import zlib

import pytest

from tests.vm.incidents.standing import starts
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.story import BOOT, TAKEOVER, Story
from tests.vm.wait import wait_until


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


@pytest.mark.row("A1")
def test_the_holder_loses_power_and_later_the_other_one_does(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(30)
        a.power_cut(seed=1)
        story.await_line(b, "is silent on every path")
        refused = b.control.try_run("drbdadm primary counter", 120)
        assert refused.rc != 0, "DRBD promoted without knowing what became of the peer"
        story.await_numbers(10)
        line = story.await_line(b, "promoting")
        assert "self-fenced" in line.text and "unbroken" in line.text
        story.return_of(a)
        assert status(b)["guests"][0]["runs_on"] == ["b"], "it failed back"
        story.await_numbers(10)
        b.power_cut(seed=2)
        story.await_numbers(10)
        story.return_of(b)
        assert len(starts(story)) == 3, "it was started for nothing"
        story.audit()


@pytest.mark.row("B1", "B2")
def test_the_crossover_is_pulled_and_plugged_again(story: Story) -> None:
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        start = story.beacons.heard[-1].epoch
        a.unplug("xo")
        b.unplug("xo")
        story.await_line(a, "alone in term .*outdated")
        story.await_numbers(10)
        wait_until("b's copy to be Outdated", lambda: _disk(b) == "Outdated", TAKEOVER)
        a.plug("xo")
        b.plug("xo")
        story.await_protected()
        story.lab.cables.unplug("xo")
        story.await_line(a, "frozen", TAKEOVER)
        story.await_numbers(10)
        story.lab.cables.plug("xo")
        story.await_protected()
        assert {one.epoch for one in story.beacons.heard} == {start}, "the guest was started anew"
        story.audit(may_freeze=True)


def _disk(machine: Machine) -> str:
    return machine.run("drbdadm dstate counter").split("/")[0].strip()


@pytest.mark.row("A9")
def test_the_holder_is_rebooted_in_order(story: Story) -> None:
    """The one machine is in its first boot, with its set-up, and the other one in its second: the
    door for updates is open on both.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        a.control.try_run("systemctl reboot", 5)
        line = story.await_line(b, "promoting")
        assert "farewell" in line.text
        story.await_numbers(10)
        a.control.wait_for_boot(BOOT)
        story.await_protected()
        assert status(b)["guests"][0]["runs_on"] == ["b"], "it failed back"
        for machine in (a, b):
            machine.run("systemctl is-active shoestring-update.socket")
        story.audit()


ERASE = """\
python3 - {line} <<'END'
import mmap, os, sys
volume = os.open("/dev/drbd0", os.O_RDWR)
with mmap.mmap(volume, os.lseek(volume, 0, os.SEEK_END), prot=mmap.PROT_READ) as data:
    at = data.find(sys.argv[1].encode() + b"\\n")
if at >= 0:
    os.pwrite(volume, bytes(len(sys.argv[1]) + 1), at)
    os.fsync(volume)
print(at)
END
"""


def test_a_record_that_is_erased_on_the_volume_is_found_missing(story: Story) -> None:
    """The audit of the promise itself: what if it were broken?"""
    a, _ = story.pair.both
    with story:
        story.await_numbers(20)
        story.end_asking()
        number = wait_until("one more number", story.recorder.next, TAKEOVER)
        checksum = zlib.crc32(b"%d" % number)
        at = int(a.run(ERASE.format(line=f"'{number} {checksum:08x}'"), 300))
        assert at > 0, "the number is not on the volume, or lies across two blocks"
        a.power_cut()
        start = story.beacons.heard[-1].epoch
        wait_until(
            "the guest's next start", lambda: story.beacons.heard[-1].epoch != start, TAKEOVER
        )
        with pytest.raises(AssertionError, match=rf"lost: \[{number}\]"):
            story.audit()
