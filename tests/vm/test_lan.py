# SPDX-License-Identifier: MIT
"""Both machines get other addresses on the LAN, typed by a person at one console."""

from collections.abc import Iterator

import pytest

from tests.vm import evening
from tests.vm.cables import GATEWAY
from tests.vm.evening import LAN
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SETUP, Pair, healthy_pair
from tests.vm.person import Person
from tests.vm.wait import wait_until

NEW = ("10.0.2.21", "10.0.2.22")
NEW_GATEWAY = "10.0.2.3"  # QEMU's user network has its name server there, which answers pings
NOBODY = "10.0.2.9"
TRIAL = 900  # seconds; generous: the trial of a stretched pair lasts eight minutes


@pytest.fixture
def pair(lab: Lab) -> Iterator[Pair]:
    yield healthy_pair(lab)


def address(machine: Machine) -> str:
    return machine.run("ip -4 -brief address show lan | awk '{print $3}'").strip()


def types_addresses(person: Person, gateway: str) -> None:
    person.answers("Which addresses shall they have", f"{NEW[0]}/24 {NEW[1]} {gateway}")


def test_both_get_other_addresses_while_the_guest_runs_on(pair: Pair) -> None:
    a = pair.both[0]
    domain = a.run("xl domid counter")
    before = wait_until("a number", pair.recorder.next, 120)
    person = Person(a)
    person.opens_menu()
    person.commands("lan", evening.PASSWORD)
    types_addresses(person, NOBODY)
    person.answers("does not answer", f"{NEW[0]}/24 {NEW[1]} {NEW_GATEWAY}")
    assert [address(machine) for machine in pair.both] == [f"{one}/24" for one in LAN]
    person.reads("Type yes to do it: ")
    person.types("yes")
    person.reads("have their new addresses", within=TRIAL)
    pair.await_protected(SETUP)
    assert [address(machine) for machine in pair.both] == [f"{one}/24" for one in NEW]
    assert a.run("xl domid counter") == domain, "the guest was started anew"
    after = wait_until("a number", pair.recorder.next, 120)
    assert after > before
    for machine in pair.both:
        assert f"Gateway={NEW_GATEWAY}" in machine.run("cat /etc/systemd/network/30-lan.network")
    a.power_cut(seed=1)
    wait_until("the other to serve", pair.recorder.next, SETUP)
    a.power_on()
    a.control.wait_for_boot(SETUP)
    pair.await_protected(SETUP)
    assert [address(machine) for machine in pair.both] == [f"{one}/24" for one in NEW]


@pytest.mark.row("G11")
def test_a_power_cut_on_trial_leaves_both_with_the_old_ones(pair: Pair) -> None:
    a, b = pair.both
    domain = a.run("xl domid counter")
    person = Person(a)
    person.opens_menu()
    person.commands("lan", evening.PASSWORD)
    types_addresses(person, NEW_GATEWAY)
    person.reads("Type yes to do it: ")
    person.types("yes")
    wait_until("b to try its new address", lambda: address(b) == f"{NEW[1]}/24", TRIAL, 1)
    b.power_cut(seed=2)
    person.reads("were not kept", within=TRIAL)
    assert a.run("xl domid counter") == domain, "the guest was started anew"
    b.power_on()
    b.control.wait_for_boot(SETUP)
    pair.await_protected(SETUP)
    assert [address(machine) for machine in pair.both] == [f"{one}/24" for one in LAN]
    for machine in pair.both:
        assert f"Gateway={GATEWAY}" in machine.run("cat /etc/systemd/network/30-lan.network")
