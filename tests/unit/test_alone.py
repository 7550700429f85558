# SPDX-License-Identifier: MIT
"""A person sets a machine up alone: what is asked, what is made of it, and every way back."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from firstboot import agreement as agreements
from firstboot import alone
from firstboot import answers as answer_file
from firstboot.agreement import Agreement, Stage
from firstboot.answers import Part
from firstboot.description import Description
from firstboot.leases import Lease
from firstboot.meeting import AloneWished, Meeting
from firstboot.rendering import SETTINGS
from firstboot.validate import problems
from haagent import password
from tests.unit.fake_evening import NoNews, Stopped, World
from tests.unit.fake_machine import SECRET, TEXTS, FakeMachine, hardware
from tests.unit.test_evening import spent
from tests.unit.test_meeting import Typist

WORD = "hunter2222"
READ = ""  # the page about this machine
RIGHT = (READ, "berta Europe/Berlin", "", "", "", WORD, WORD, "data")


def here(**changes: object) -> Description:
    """A machine with a blank disk, whose second card has a lease."""
    described = World().start()[0].describe()
    return replace(described, machine=replace(described.machine, **changes))  # type: ignore[arg-type]


def asked(*lines: str, describe: Callable[[], Description] = here) -> tuple[Agreement | None, str]:
    """What came of it, and the whole page; nothing if somebody still sits there."""
    screen = Typist(*lines)
    agreement = None
    with contextlib.suppress(Stopped):
        agreement = alone.choose(screen, describe)
    return agreement, "\n".join(screen.said)


def test_seven_questions_make_a_machine() -> None:
    agreement, page = asked(*RIGHT)
    assert agreement is not None and agreement.stage is Stage.COMMITTED
    answers = answer_file.read(agreement.answers)
    assert answers.part is Part.ALONE and answers.secret == agreement.secret
    assert answers.names[0] == "berta" and answers.zone == "Europe/Berlin"
    assert answers.lan.mac == "52:54:00:00:0a:02" and answers.crossover.mac == "52:54:00:00:0a:01"
    assert str(answers.lan.address) == "192.168.1.34/24" and str(answers.gateway) == "192.168.1.1"
    assert answers.crossover.address.network.prefixlen == 30
    assert answers.crossover.peer in answers.crossover.address.network
    assert answers.disk == "A-DATA" and not answers.erases
    assert password.fits(WORD, answers.password) and WORD not in page
    assert [guest.name for guest in answers.guests] == ["counter"]
    assert problems(answers, here().machine, 1.0) == ()
    for line in ("nothing takes over", "shoestring replace", "ERASED:  vdb", "it is blank"):
        assert line in page


def test_two_machines_have_no_secret_in_common() -> None:
    first, second = asked(*RIGHT)[0], asked(*RIGHT)[0]
    assert first is not None and second is not None and first.secret != second.secret


@pytest.mark.parametrize("read", ["back", "BACK"])
def test_the_page_leads_back_to_the_first_one(read: str) -> None:
    screen = Typist(read)
    assert alone.choose(screen, here) is None
    assert screen.said[-1].endswith("`back` leads to the first page.")


SLIPS = {
    "no name": (1, "Berta!", "berta! will not do"),
    "a zone that is none": (1, "berta Europe/Nowhere", "Europe/Nowhere"),
    "a card that is none": (2, "3", "Type the number of a card, 1 to 2."),
    "no gateway": (3, "192.168.1.34/24", "An address and the gateway are needed"),
    "no prefix": (3, "192.168.1.34 192.168.1.1", "192.168.1.34 needs its prefix"),
    "a disk that is none": (4, "2", "Type the number of a disk, 1 to 1."),
    "a short password": (5, "abc", "6 characters or digits are needed"),
    "no consent": (7, "yes", "Nothing is erased"),
    "the first question": (1, "back", "This is the first question."),
}


@pytest.mark.parametrize(("number", "typed", "told"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_told_and_asked_again(number: int, typed: str, told: str) -> None:
    agreement, page = asked(*RIGHT[:number], typed, *RIGHT[number:])
    assert agreement is not None
    assert told in " ".join(page.split())


def test_a_machine_may_be_called_b() -> None:
    """It went back to the question before, which is another word."""
    agreement, _ = asked(READ, "b", *RIGHT[2:])
    assert agreement is not None
    assert answer_file.read(agreement.answers).names[0] == "b"


def test_another_password_is_chosen_anew() -> None:
    agreement, page = asked(*RIGHT[:6], "something else", WORD, WORD, "data")
    assert agreement is not None and "That was another one. Choose it anew." in page


def test_what_cannot_be_leads_back_to_its_question_before_the_consent() -> None:
    """The gateway cannot be this machine."""
    wrong = "192.168.1.34/24 192.168.1.34"
    agreement, page = asked(*RIGHT[:3], wrong, *RIGHT[4:7], "", "", WORD, WORD, "data")
    assert agreement is None and "The address 192.168.1.34 is there twice." in page
    assert page.count("(7 of 7)") == 0  # what was typed is the default, and no better
    right = "192.168.1.34/24 192.168.1.1 192.168.1.50"
    agreement, _ = asked(*RIGHT[:3], wrong, *RIGHT[4:7], right, "", WORD, WORD, "data")
    assert agreement is not None
    (counter,) = answer_file.read(agreement.answers).guests
    assert counter.address == IPv4Interface("192.168.1.50/24")


def test_back_and_enter_mean_what_was_typed() -> None:
    agreement, _ = asked(READ, "berta", "1", "back", "back", "", "", *RIGHT[3:])
    assert agreement is None  # the other card has no lease: an address is asked for
    typed = "10.0.2.11/24 10.0.2.2"
    agreement, _ = asked(READ, "berta", "1", "back", "back", "", "", typed, "", WORD, WORD, "data")
    assert agreement is not None
    answers = answer_file.read(agreement.answers)
    assert answers.names[0] == "berta" and answers.lan.mac == "52:54:00:00:0a:01"


def test_a_disk_with_something_on_it_is_never_the_default() -> None:
    stick, data = here().machine.disks
    full = replace(data, holds=("a Windows file system (NTFS)",))
    agreement, page = asked(*RIGHT[:4], "1", *RIGHT[5:], describe=lambda: here(disks=(stick, full)))
    assert agreement is not None and answer_file.read(agreement.answers).erases
    assert "NOT BLANK: a Windows file system" in page and "LOST: a Windows file system" in page
    assert "NEVER the disk with your backups" in page
    enter, page = asked(*RIGHT, describe=lambda: here(disks=(stick, full)))
    assert enter is None and "Type the number of a disk" in page


def test_what_is_in_the_way_is_looked_at_again() -> None:
    looks = [here(xen=None), here()]
    agreement, page = asked("", *RIGHT, describe=lambda: looks.pop(0))
    assert agreement is not None and "started without Xen" in page
    screen = Typist("back")
    assert alone.choose(screen, lambda: here(nics=here().machine.nics[:1])) is None
    assert "two are needed" in screen.said[-1]


def test_a_card_without_a_cable_is_kept_for_a_second_machine() -> None:
    first, second = here().machine.nics
    third = replace(first, name="enp9s0", mac="52:54:00:00:0a:09", has_carrier=False)
    agreement, _ = asked(*RIGHT, describe=lambda: here(nics=(first, second, third)))
    assert agreement is not None
    assert answer_file.read(agreement.answers).crossover.mac == third.mac


def test_no_network_of_ours_is_one_that_is_in_use() -> None:
    lease = Lease("enp2s0", IPv4Interface("172.31.255.253/16"), IPv4Address("172.31.0.1"))
    described = replace(here(), leases=(lease,))
    agreement, _ = asked(*RIGHT, describe=lambda: described)
    assert agreement is not None
    found = answer_file.read(agreement.answers)
    assert not found.crossover.address.network.overlaps(lease.address.network)


def first_page(word: str, pair: str = "") -> None:
    machine = World().start()[0]
    me = replace(machine.me, pair=pair)
    end = machine.cable.at(0)
    meeting = Meeting(me, Typist(word), machine.air, end, machine.place, lambda: 0.0)
    meeting.find(lambda: "Welcome", NoNews())


@pytest.mark.parametrize("word", ["alone", " Alone "])
def test_the_word_works_on_the_first_page(word: str) -> None:
    with pytest.raises(AloneWished):
        first_page(word)
    with pytest.raises(Stopped):  # whoever takes a place beside another one has no choice
        first_page(word, "anna and berta")


def test_what_was_agreed_is_carried_out_without_a_word_to_anybody() -> None:
    """The fake has no card that could be switched on: whoever tries ends as a fault of our own."""
    machine = FakeMachine(None, hardware("a"), is_leader=True)
    agreed = Agreement(Stage.COMMITTED, "", TEXTS["alone"], SECRET)
    machine.write(agreements.to_file(agreed))
    assert spent(machine).endswith("This machine is set up.")
    assert "vacant" in machine.files[SETTINGS].text and agreements.PATH not in machine.files
