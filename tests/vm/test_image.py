# SPDX-License-Identifier: MIT
"""The shipped image on emulated PCs, seen as its user sees it: on the console, without a shell."""

import random
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from pexpect import TIMEOUT

from tests.vm import stick
from tests.vm.lab import SHIPPED, Lab
from tests.vm.machine import Machine
from tests.vm.wait import wait_until

BOOT = 600  # seconds; a generous deadline for a slow, busy host
SEED = 20261122  # of the power cuts; a failure is repeated by repeating the run


def wait_for_greeting(machine: Machine) -> dict[str, str]:
    """What the first page says about the machine, by name. Fails at once where it gives up."""
    outcome = machine.console.expect(
        [
            "Press Enter to look at the hardware again",
            r"what was said last:\r*\n[^\n]+\n",  # the reason is above, and its cause here
            "Kernel panic",
        ],
        timeout=BOOT,
    )
    page = machine.console.before or ""
    why = machine.console.after
    assert outcome == 0, f"{machine.name} did not come up:\n{page}{why}"
    return dict(re.findall(r"^  ([A-Z]\w+) +(\S.*?)\r*$", page, re.MULTILINE))


def assert_whole(about: dict[str, str]) -> None:
    """Everything the appliance stands on is there and says so."""
    assert about["Hypervisor"].startswith("Xen 4.20"), about
    assert about["Kernel"].startswith("Linux 6.12"), about
    assert about["Mirroring"].startswith("DRBD 8.4"), about
    assert "xen_wdt" in about["Watchdog"], about
    assert about["Root"] == "read-only", about
    assert about["State"] == "2.0 GiB", about  # it fills the 4 GiB stick
    assert re.fullmatch("[0-9a-f]{32}", about["Identity"]), about


def lit_pixels(machine: Machine) -> int:
    """How many bytes of the picture are not black (ppm(5): three header lines, then RGB)."""
    path = machine.folder / "screen.ppm"
    machine.screenshot(path)
    pixels = path.read_bytes().split(b"\n", 3)[3]
    return len(pixels) - pixels.count(0)


def await_text_on_screen(machine: Machine) -> None:
    """The first page fills a good part of the monitor; a cursor or a logo does not."""
    wait_until(f"text on {machine.name}'s screen", lambda: lit_pixels(machine) > 20_000, 120)


def test_boots_on_bios_and_uefi_with_identities_of_their_own(lab: Lab) -> None:
    """A USB stick on an old PC, an NVMe disk on a newer one: both from the same image."""
    machines = [
        lab.machine("bios", SHIPPED, stick="usb-storage"),
        lab.machine("uefi", SHIPPED, stick="nvme", uefi=True),
    ]

    def boot(machine: Machine) -> dict[str, str]:
        machine.power_on()
        return wait_for_greeting(machine)

    with ThreadPoolExecutor() as both:
        bios, uefi = both.map(boot, machines)
    for about in (bios, uefi):
        assert_whole(about)
    for machine in machines:
        await_text_on_screen(machine)
    assert bios["Identity"] != uefi["Identity"]

    # A person at the keyboard: Enter draws the page again, and nothing else is to be had here.
    machines[0].console.sendline("root")
    again = wait_for_greeting(machines[0])
    assert again["Identity"] == bios["Identity"]


@pytest.mark.parametrize("uefi", [False, True], ids=["bios", "uefi"])
def test_a_flipped_block_in_the_root_is_an_error_that_is_said(lab: Lab, uefi: bool) -> None:
    """One bit of 300 MiB, and no other slot to go back to: the machine says it and tries again, and
    in the end leaves time to read it.
    """
    machine = lab.machine("a", SHIPPED, uefi=uefi)
    file = machine.disks[0].file(machine.folder)
    offset = random.Random(SEED).randrange(64 << 20, 128 << 20)  # nothing reads it by chance
    stick.flip(file, "shoestring-root-a", offset)
    machine.power_on()
    machine.console.expect("This machine does not start", timeout=BOOT)
    machine.console.expect("in slot a is not what was installed there", timeout=60)
    machine.console.expect("It tries again in 20 seconds", timeout=60)
    machine.console.expect("It tries again in 300 seconds", timeout=BOOT)
    machine.power_cut()
    stick.flip(file, "shoestring-root-a", offset)
    machine.power_on()
    assert_whole(wait_for_greeting(machine))


@pytest.mark.parametrize("numbers", [range(2), range(2, 5)], ids=["two", "three"])
def test_power_cut_in_the_first_boot_costs_nothing(lab: Lab, numbers: range) -> None:
    """Cut at five random moments between the kernel's start and the greeting; then it boots."""
    chance = random.Random(SEED)
    moments = [(n, chance.uniform(5, 100), chance.randrange(1 << 30)) for n in range(5)]
    cuts = [moments[number] for number in numbers]

    def survive(cut: tuple[int, float, int]) -> str:
        number, moment, seed = cut
        machine = lab.machine(f"cut{number}", SHIPPED)
        machine.power_on()
        machine.console.expect("about to get started", timeout=BOOT)
        machine.console.expect(["Press Enter to look", TIMEOUT], timeout=moment)
        machine.power_cut(seed)
        machine.power_on()
        about = wait_for_greeting(machine)
        assert_whole(about)
        machine.close()
        return about["Identity"]

    with ThreadPoolExecutor(max_workers=2) as two_at_a_time:
        identities = list(two_at_a_time.map(survive, cuts))
    assert len(set(identities)) == len(cuts)
