# SPDX-License-Identifier: MIT
"""The questions: what Enter means, what is refused and why, and the way back from each."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from firstboot import answers as answer_file
from firstboot.compose import Found, Made, Side, compose
from firstboot.interview import Interview
from firstboot.prompts import Refused
from firstboot.question import DiskChoice, Facts, Lan, Names, Topic, telling
from firstboot.zones import UTC
from haagent.core.model import Policy
from haagent.password import fits

FACTS = Facts(
    names=("anna", "berta"),
    leases=(IPv4Interface("192.168.1.34/24"), IPv4Interface("192.168.1.35/24")),
    gateway=IPv4Address("192.168.1.1"),
    disks=(
        (DiskChoice("S4EWNX0R12ab", "nvme0n1, 931 GiB"), DiskChoice("WD-77", "sda, 500 GiB")),
        (DiskChoice("Z1F0QQ99", "sda, 1000 GiB"),),
    ),
    zones=frozenset({UTC, "Europe/Berlin", "America/New_York"}),
)
PASSWORD = "correct horse"
HAPPY = ["", "", "", "", PASSWORD, PASSWORD, "12ab qq99"]
MOST_PROMPTS = 9


def after(*typed: str, facts: Facts = FACTS) -> Interview:
    interview = Interview(facts)
    for text in typed:
        interview = interview.answer(text)
    return interview


def test_enter_is_enough_until_the_password() -> None:
    done = after(*HAPPY)
    assert done.question is None
    assert done.given[Topic.NAMES] == Names(("anna", "berta"), UTC)
    assert done.given[Topic.LAN] == Lan(
        (IPv4Interface("192.168.1.34/24"), IPv4Interface("192.168.1.35/24")),
        IPv4Address("192.168.1.1"),
    )
    assert done.given[Topic.DISKS] == ("S4EWNX0R12ab", "Z1F0QQ99")
    assert done.given[Topic.POLICY] is Policy.AUTOMATIC
    assert done.given[Topic.LAN].guest is None


def test_the_happy_path_has_few_prompts() -> None:
    """Before these, the code and an Enter after the look at both machines."""
    assert len(HAPPY) + 2 <= MOST_PROMPTS
    assert len(Topic) == len(HAPPY)


@pytest.mark.parametrize("count", range(len(HAPPY)))
def test_every_question_explains_itself(count: int) -> None:
    question = after(*HAPPY[:count]).question
    assert question is not None
    assert question.title and question.why and question.help
    assert not question.default or question.is_secret is False


@pytest.mark.parametrize("count", range(len(HAPPY)))
def test_back_leads_to_the_question_before(count: int) -> None:
    interview = after(*HAPPY[:count])
    before = interview.back()
    asked, asked_before = interview.question, before.question
    assert asked is not None and asked_before is not None
    if count == 0:
        assert before == interview
    elif asked.topic is Topic.CONSENT:
        assert asked_before.topic is Topic.PASSWORD  # both of them are asked for anew
    else:
        assert list(Topic).index(asked_before.topic) == count - 1


def test_an_earlier_answer_can_be_changed_and_the_later_ones_are_asked_again() -> None:
    changed = after(*HAPPY).change(Topic.POLICY)
    assert changed.question is not None and changed.question.topic is Topic.POLICY
    assert changed.given[Topic.NAMES].machines == ("anna", "berta")


NO_LEASE = Facts(FACTS.names, (None, None), None, FACTS.disks)

REFUSED: list[tuple[list[str], str, str]] = [
    ([], "anna", "Two names are needed"),
    ([], "anna anna", "different names"),
    ([], "anna -berta", "will not do"),
    ([], "localhost berta", "will not do"),
    ([], "anna berta Berlin", "Did you mean Europe/Berlin"),
    ([], "anna berta clara", "There is no time zone clara"),
    ([], "anna berta ../etc", "is no time zone, such as"),
    ([""], "192.168.1.11", "Two addresses"),
    ([""], "192.168.1.11 192.168.1.12", "needs its prefix"),
    ([""], "192.168.1.11/31 192.168.1.12", "needs its prefix"),
    ([""], "192.168.1.11/24 192.168.2.12", "is not in the network"),
    ([""], "192.168.1.11/24 192.168.1.255", "cannot be the address"),
    ([""], "192.168.1.11/24 192.168.1.11", "different addresses"),
    ([""], "192.168.1.11/24 192.168.1.12 192.168.1.12", "different addresses"),
    ([""], "192.168.1.11/24 192.168.1.12 10.0.0.1", "is not in the network"),
    ([""], "one two three", "needs its prefix"),
    ([""], "192.168.1.11/24 two", "not an IPv4 address"),
    (["", ""], "1", "Two numbers"),
    (["", ""], "1 2", "none of the disks of berta"),
    (["", ""], "0 1", "none of the disks of anna"),
    (["", "", ""], "3", "Type 1"),
    ([""], "192.168.1.11/24 192.168.1.12 192.168.1.1 10.0.0.9", "is not in the network"),
    ([""], "192.168.1.11/24 192.168.1.12 192.168.1.1 192.168.1.1", "different addresses"),
    ([""], "127.0.0.11/24 127.0.0.12 127.0.0.1", "not the address of a machine"),
    ([""], "224.0.0.11/24 224.0.0.12 224.0.0.1", "not the address of a machine"),
    (HAPPY[:4], "12345", "At least 6"),
    (HAPPY[:4], "passwörter", "plain letters"),
    (HAPPY[:4], "", "has to be typed"),
    (HAPPY[:5], "something else", "not the same"),
    (HAPPY[:6], "yes", "Nothing is erased"),
    (HAPPY[:6], "12ab", "disk of berta"),
    (HAPPY[:6], "qq99", "disk of anna"),
    (HAPPY[:6], "", "has to be typed"),
]


@pytest.mark.parametrize(("before", "text", "words"), REFUSED)
def test_what_will_not_do_is_refused_with_a_reason(
    before: list[str], text: str, words: str
) -> None:
    interview = after(*before)
    with pytest.raises(Refused, match=words):
        interview.answer(text)


def test_without_a_lease_the_addresses_must_be_typed() -> None:
    with pytest.raises(Refused, match="has to be typed"):
        after("", "", facts=NO_LEASE)
    with pytest.raises(Refused, match="gateway"):
        after("", "10.0.0.1/24 10.0.0.2", facts=NO_LEASE)
    typed = after("", "10.0.0.1/24 10.0.0.2/24 10.0.0.254", facts=NO_LEASE)
    assert str(typed.given[Topic.LAN].addresses[1]) == "10.0.0.2/24"


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("", UTC),
        ("anna berta", UTC),
        ("anna berta utc", UTC),
        ("anna, berta, europe/berlin", "Europe/Berlin"),
        ("anna berta america/new york", "America/New_York"),
    ],
)
def test_the_time_zone_is_asked_for_with_the_names(typed: str, zone: str) -> None:
    assert after(typed).given[Topic.NAMES] == Names(("anna", "berta"), zone)


FULL = DiskChoice("OLD-PC-7", "sda, 500 GiB", ("a GPT partition table", "Windows", "x", "y"))


def test_a_disk_that_holds_something_is_never_taken_by_enter() -> None:
    facts = replace(FACTS, disks=(FACTS.disks[0], (FULL,)), has_proposal=False)
    question = after("", "", facts=facts).question
    assert question is not None and question.default == ""
    assert "    NOT BLANK: a GPT partition table, Windows, x, and 1 more" in "\n".join(
        question.choices
    )
    consent = after("", "", "1 1", "", PASSWORD, PASSWORD, facts=facts).question
    assert consent is not None
    assert "  serial S4EWNX0R12ab; it is blank" in consent.choices
    assert (
        "  serial OLD-PC-7; LOST: a GPT partition table, Windows, x, and 1 more" in consent.choices
    )
    with pytest.raises(Refused, match="has to be typed"):
        after("", "", "", facts=facts)


def test_two_disks_with_different_sectors_are_not_taken() -> None:
    large = DiskChoice("BIG-1", "sdb, 4000 GiB", sector=4096)
    facts = replace(FACTS, disks=(FACTS.disks[0], (large, FACTS.disks[1][0])), has_proposal=False)
    with pytest.raises(Refused, match=r"512 and 4096 bytes\. Choose two with the same"):
        after("", "", "1 1", facts=facts)
    assert after("", "", "1 2", facts=facts).given[Topic.DISKS] == ("S4EWNX0R12ab", "Z1F0QQ99")


def test_sectors_that_are_not_the_usual_ones_are_in_both_answers() -> None:
    disks = tuple(DiskChoice(f"BIG-{n}", "sdb, 4000 GiB", sector=4096) for n in (1, 2))
    facts = replace(FACTS, disks=((disks[0],), (disks[1],)))
    typed = ["", "", "", "", PASSWORD, PASSWORD, "ig-1 ig-2"]
    made = Made("00:16:3e:12:34:56", "0123456789abcdef" * 4, bytes(16))
    texts = compose(after(*typed, facts=facts), FOUND, made)
    assert [answer_file.read(text).sector for text in texts] == [4096, 4096]


def test_neither_the_password_nor_anything_else_is_in_its_repr() -> None:
    assert PASSWORD not in repr(after(*HAPPY))


def test_the_page_of_consent_names_what_is_erased_on_both() -> None:
    question = after(*HAPPY[:6]).question
    assert question is not None
    assert "nvme0n1, 931 GiB" in question.choices[0] and "anna" in question.choices[0]
    assert "sda, 1000 GiB" in question.choices[2] and "berta" in question.choices[2]
    assert telling("S4EWNX0R12ab") == "12AB"


FOUND = Found(
    (
        Side("52:54:00:00:0a:01", "52:54:00:00:0a:02"),
        Side("52:54:00:00:0b:01", "52:54:00:00:0b:02"),
    ),
    (IPv4Interface("192.168.77.1/30"), IPv4Interface("192.168.77.2/30")),
)


def test_both_machines_get_the_same_answers_from_their_own_side() -> None:
    secret = "0123456789abcdef" * 4
    lan = "192.168.1.34/24 192.168.1.35 192.168.1.1 192.168.1.50"
    typed = ["anna berta europe/berlin", lan, "1 1", "2", PASSWORD, PASSWORD, "12ab pc-7"]
    made = Made("00:16:3e:12:34:56", secret, bytes(16))
    servers = (IPv4Address("192.168.1.1"), IPv4Address("192.168.1.2"))
    facts = replace(FACTS, disks=(FACTS.disks[0], (FULL,)), time_servers=servers)
    texts = compose(after(*typed, facts=facts), FOUND, made)
    first, second = map(answer_file.read, texts)
    assert (first.me, second.me) == (0, 1)
    assert first.names == second.names == ("anna", "berta")
    assert (first.disk, second.disk) == ("S4EWNX0R12ab", "OLD-PC-7")
    assert (first.erases, second.erases) == (False, True), "only what was shown may be lost"
    assert first.zone == second.zone == "Europe/Berlin"
    assert first.time_servers == second.time_servers == servers
    assert first.crossover.mac == second.crossover.peer_mac == "52:54:00:00:0a:01"
    assert second.lan.address.ip == first.lan.peer == IPv4Address("192.168.1.35")
    assert first.policy is second.policy is Policy.WAIT
    assert first.secret == second.secret == secret
    assert first.guests == second.guests
    assert str(first.guests[0].address) == "192.168.1.50/24"
    assert fits(PASSWORD, first.password) and first.password == second.password
    assert PASSWORD not in texts[0] + texts[1]
    assert secret not in repr(made)
