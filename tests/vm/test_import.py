# SPDX-License-Identifier: MIT
"""A virtual machine is brought in as an image, is taken over like any other, and goes again."""

from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.story import BOOT, TAKEOVER, Story
from tests.vm.wait import wait_until

IMAGE = "/state/web.raw"
MAKE = "/usr/share/shoestring/guest/make-disk"
IMPORT = f"shoestring guest import {IMAGE} --memory 96 --address 10.0.2.51 --yes"
WRITES = 900.0  # seconds; every block of it, emulated, over an emulated cable
# No script may remove a guest, so one that is no person needs a terminal of its own.
REMOVE = (
    "printf 'web\\n' | python3 -c "
    "\"import pty, sys; sys.exit(pty.spawn(['shoestring', 'guest', 'remove', 'web']))\""
)


def guests(machine: Machine) -> dict[str, list[str]]:
    """Where each runs, as MACHINE sees it."""
    return {guest["name"]: guest["runs_on"] for guest in status(machine)["guests"]}


def volumes(machine: Machine) -> list[str]:
    return sorted(machine.run("lvs --noheadings --options lv_name").split())


def left_behind(machine: Machine) -> str:
    return machine.run(
        "ls /state/etc/shoestring/change.json /run/shoestring/*.conf 2>/dev/null; true"
    )


def test_a_guest_is_brought_in_taken_over_and_removed(lab: Lab) -> None:
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        a.run(f"truncate -s 192M {IMAGE} && {MAKE} {IMAGE} 10.0.2.51/24 10.0.2.2", timeout=TAKEOVER)
        a.run(f"head -c 1000000 {IMAGE} | tr '\\000' q >/state/bad.qcow2")
        a.run("printf 'QFI\\373' | dd of=/state/bad.qcow2 conv=notrunc status=none")
        refused = a.control.try_run(
            "shoestring guest import /state/bad.qcow2 --memory 96 --yes 2>&1"
        )
        assert refused.rc and "Nothing was changed" in refused.out, refused.out
        print(a.run(IMPORT, timeout=WRITES))
        for machine in (a, b):
            assert volumes(machine) == ["counter", "web"]
            assert left_behind(machine) == ""
            assert guests(machine) == {"counter": ["a"], "web": ["a"]}
        story.await_protected()
        story.await_numbers(20)

        a.power_cut(seed=87)
        wait_until(
            "b to run both",
            lambda: guests(b) == {"counter": ["b"], "web": ["b"]},
            BOOT,
            2,
        )
        story.await_numbers(20)
        story.return_of(a)

        b.run("shoestring guest stop web --yes", timeout=TAKEOVER)
        assert "web is removed, on both machines." in b.run(REMOVE, timeout=TAKEOVER)
        for machine in (a, b):
            assert volumes(machine) == ["counter"]
            assert left_behind(machine) == ""
            assert guests(machine) == {"counter": ["b"]}
        story.await_protected()
        story.audit(may_freeze=True)
