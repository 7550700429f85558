# SPDX-License-Identifier: MIT
"""One machine alone: what is left when both of a pair are gone, and what a second one comes beside
later.
"""

from tests.vm import audits, evening
from tests.vm.cables import GATEWAY, GUEST
from tests.vm.incidents.lone import set_up_alone, shows
from tests.vm.incidents.replacing import begin_replacing
from tests.vm.incidents.sticks import plug_in_backups
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pages import typing
from tests.vm.pair import SETUP, blank_pair, healthy_pair, status
from tests.vm.person import Person
from tests.vm.story import BOOT, TAKEOVER
from tests.vm.wait import wait_until

READS = 600.0  # seconds; an emulated disk is slow
NUMBERS = 20
GROWN = 320 << 20  # bytes; each guest's disk has less at first, the restored one 260 MiB


def grow(machine: Machine, guest: str) -> None:
    """GUEST's disk, whether it runs or not."""
    machine.run(f"shoestring guest resize {guest} --disk {GROWN >> 20}M --yes", timeout=READS)
    assert_grown(machine, guest)


def assert_grown(machine: Machine, guest: str) -> None:
    size = machine.run(f"cat /sys/class/block/$(basename $(drbdadm sh-dev {guest}))/size")
    assert 512 * int(size) >= GROWN, f"{guest} has {size.strip()} sectors"


def assert_well(machine: Machine) -> None:
    kernel = machine.run("journalctl -k -b --no-pager")
    assert audits.sick_kernel(kernel) == []
    assert "fence-peer" not in kernel, "DRBD asked about a machine that there is not"


def test_both_machines_are_gone_and_a_third_one_serves_their_guest(lab: Lab) -> None:
    """A spare PC, a stick and a backup on a USB disk. What was acknowledged before the backup is
    there, and the machine serves again by itself after a power cut, without a LAN.
    """
    pair = healthy_pair(lab)
    b, recorder = pair.b, pair.recorder
    for _ in range(NUMBERS):
        wait_until("a number", recorder.next, TAKEOVER)
    promised = list(recorder.acknowledged)
    plug_in_backups(b, lab)
    told = b.answer("shoestring guest backup counter", READS)
    assert told["guest"] == "counter"
    assert "every sum is right" in b.run("shoestring backup verify counter", timeout=READS)

    for number, machine in enumerate(pair.both):
        machine.power_cut(seed=number)
    set_up_alone(b)
    plug_in_backups(b, lab)
    said = b.run(typing("shoestring guest restore counter", "yes"), timeout=READS)
    words = " ".join(said.split())
    assert "counter comes to c, from counter-" in words and "counter is on c." in words
    present = wait_until("what the guest has", recorder.present, TAKEOVER, 2)
    assert set(promised) <= set(present), "what was acknowledged before the backup is lost"
    after = wait_until("a number", recorder.next, TAKEOVER)
    assert after > max(promised)
    wait_until("both guests to run on c", lambda: shows(b, first="c", counter="c"), SETUP, 2)
    told = b.answer("shoestring guest backup counter", READS)  # without --here
    assert told["base"], "it does not build on what was restored"
    grow(b, "counter")
    b.run("shoestring guest stop first --yes", timeout=TAKEOVER)
    grow(b, "first")
    b.run("shoestring guest start first", timeout=TAKEOVER)
    wait_until("both guests to run on c", lambda: shows(b, first="c", counter="c"), SETUP, 2)
    wait_until("a number", recorder.next, TAKEOVER)
    assert_well(b)

    b.power_cut(seed=7)
    b.power_on()
    b.unplug("lan")
    b.control.wait_for_boot(BOOT)
    wait_until("both to run again", lambda: shows(b, first="c", counter="c"), SETUP, 2)
    b.plug("lan")
    for guest in ("first", "counter"):
        assert_grown(b, guest)
    last = wait_until("a number", recorder.next, TAKEOVER)
    assert last > after
    assert_well(b)


def type_alone(person: Person) -> None:
    """From the first page to the consent."""
    person.reads("This machine is not set up")
    person.types("alone")
    while "more" in person.reads("Press Enter to go on to the questions", "Enter for more")[0]:
        person.types()
    person.types()
    person.answers(r"\(1 of 7\)", "a")
    person.answers(r"\(2 of 7\)", "2")
    person.answers(r"\(3 of 7\)", f"{evening.LAN[0]}/24 {GATEWAY} {GUEST}")
    person.answers(r"\(4 of 7\)", "1")
    person.answers(r"\(5 of 7\)", evening.PASSWORD, is_hidden=True)
    person.answers(r"\(6 of 7\)", evening.PASSWORD, is_hidden=True)
    person.answers(r"\(7 of 7\)", "DATA")


def test_a_second_machine_comes_beside_one_that_was_set_up_alone(lab: Lab) -> None:
    """Both by hand. The guest runs on, the two are a pair, and the second one takes over."""
    pair = blank_pair(lab)
    a, b = pair.both
    a.power_on()
    type_alone(Person(a))
    wait_until("a to be alone, and to serve", lambda: shows(a, counter="a"), SETUP, 2)
    wait_until("a number", pair.recorder.next, TAKEOVER)
    assert_well(a)
    domain = a.run("xl domid counter")

    b.power_on()
    person = begin_replacing(a, b)
    person.reads("Press Enter to go on")
    person.types()
    person.answers(r"\(1 of 4")
    person.answers(r"\(2 of 4", evening.LAN[1])
    person.answers(r"\(3 of 4", "b")
    person.answers(r"\(4 of 4", "DATA")
    person.reads("is the second half of this pair now")
    pair.await_protected(SETUP)
    assert a.run("xl domid counter") == domain, "the guest was started anew"
    assert "vacant" not in a.run("cat /state/etc/shoestring/pair.yaml")
    before = wait_until("a number", pair.recorder.next, TAKEOVER)

    a.power_cut(seed=3)
    number = wait_until("b to serve", pair.recorder.next, SETUP)
    assert number > before
    assert status(b)["guests"][0]["runs_on"] == ["b"]
    a.power_on()
    pair.await_protected(SETUP)
