# SPDX-License-Identifier: MIT
"""The whole stack once, by hand: two machines from blank disks, a guest on mirrored storage, a
pulled plug.
"""

import threading

from tests.vm import by_hand
from tests.vm.audits import lost
from tests.vm.counter import Recorder
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.wait import wait_until

BOOT = 600  # seconds; a generous deadline for a slow, busy host


def running_pair(lab: Lab) -> tuple[Machine, Machine, Recorder]:
    """A healthy pair with the counter serving on `a`: from its checkpoint, or made now."""
    a, b = lab.pair()
    assert lab.cables is not None
    recorder = Recorder(lab.cables.guest_port)
    checkpoint = lab.checkpoint_key("running-pair")
    if checkpoint.exists():
        lab.load(checkpoint)
    else:
        for machine in (a, b):
            machine.power_on()
        for machine in (a, b):
            machine.control.wait_for_boot(BOOT)
            # The shell is there early: wait for the rest, and for udev to have named the cards.
            machine.control.try_run("systemctl is-system-running --wait", timeout=BOOT)
            machine.run("udevadm settle --timeout=300", timeout=300)
            assert_appliance(machine)
            by_hand.connect(machine)
        by_hand.mirror(a, b)
        by_hand.start_heartbeat(a, b)
        for machine in (a, b):
            assert_only_messaging(machine)
        by_hand.make_guest(a)
        by_hand.start_guest(a)
        wait_until("the guest's first number", recorder.next, 300)
        lab.save(checkpoint)
    wait_until("a number from the guest", recorder.next, 120)
    return a, b, recorder


def assert_appliance(machine: Machine) -> None:
    """What only the inside shows: nothing can be written to the root, and nothing listens."""
    for place in ("/", "/etc/", "/usr/"):
        refused = machine.control.try_run(f"touch {place}something")
        assert refused.rc != 0 and "Read-only file system" in refused.out, refused
    assert machine.run("findmnt --noheadings --output FSTYPE,TARGET /state").split() == [
        "ext4",
        "/state",
    ]
    assert machine.run("ss --listening --numeric --no-header --tcp --udp").strip() == ""
    assert machine.run("cat /sys/class/watchdog/*/identity").split().count("xen_wdt") == 1
    assert machine.run("systemctl --failed --no-legend --plain").strip() == ""


def assert_only_messaging(machine: Machine) -> None:
    """heartbeat carries liveness and messages; none of its resource managers may run."""
    running = set(machine.run("ps -eo comm=").split())
    assert {"heartbeat", "ccm"} <= running, running
    managers = {"crmd", "pacemakerd", "pengine", "lrmd", "stonithd", "ipfail", "ResourceManager"}
    assert not running & managers, running & managers


def test_the_guest_outlives_its_machine(lab: Lab) -> None:
    a, b, recorder = running_pair(lab)
    stop = threading.Event()
    asking = recorder.keep_asking(stop)
    before = len(recorder.acknowledged)
    wait_until("thirty more numbers", lambda: len(recorder.acknowledged) >= before + 30, 300)

    a.power_cut(seed=1)
    stop.set()
    asking.join()

    by_hand.await_heartbeat(b, "nodestatus a", "dead")
    by_hand.await_drbd(b, "dstate", "UpToDate/DUnknown")
    refused = b.control.try_run("drbdadm primary counter")
    assert refused.rc != 0, "DRBD promoted without knowing what became of the peer"
    b.run("touch /run/the-test-cut-the-peers-power")
    b.run("drbdadm primary counter")
    by_hand.start_guest(b)
    present = wait_until("the guest's numbers on the survivor", recorder.present, 300)

    assert lost(recorder.acknowledged, present) == [], "lost acknowledged writes"
    further = wait_until("a number from the survivor", recorder.next, 120)
    assert further > max(present)
