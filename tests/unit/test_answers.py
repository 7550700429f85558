# SPDX-License-Identifier: MIT
"""The answer file: what it says, and what it is told that is wrong with it, with every line."""

from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from firstboot.answers import Answers, AnswersError, Cable, Complaint, Guest, read
from haagent.core.model import Policy

DATA = Path(__file__).parents[1] / "data/answers"
TEXT = (DATA / "a.yaml").read_text()
SECRET = "5f1d6e0b9c3a4728b6d0e1f2a3948576"

COUNTER = Guest(
    "counter", True, 0, "00:16:3e:00:00:01", IPv4Interface("10.0.2.50/24"), 192, 512 << 20
)


def complaints(text: str) -> list[str]:
    with pytest.raises(AnswersError) as caught:
        read(text)
    assert SECRET not in f"{caught.value} {caught.value.hint} {caught.value.complaints!r}".lower()
    return [str(complaint) for complaint in caught.value.complaints]


def test_reads_a_whole_file() -> None:
    assert read(TEXT) == Answers(
        me=0,
        names=("a", "b"),
        disk="A-DATA",
        crossover=Cable(
            "52:54:00:00:0a:01",
            IPv4Interface("192.168.77.1/24"),
            IPv4Address("192.168.77.2"),
            "52:54:00:00:0b:01",
        ),
        lan=Cable(
            "52:54:00:00:0a:02",
            IPv4Interface("10.0.2.11/24"),
            IPv4Address("10.0.2.12"),
            "52:54:00:00:0b:02",
        ),
        gateway=IPv4Address("10.0.2.2"),
        referees=(IPv4Address("10.0.2.2"),),  # the gateway, for none is named
        policy=Policy.AUTOMATIC,
        secret=SECRET,
        guests=(COUNTER,),
    )


def test_reads_the_other_machines_file() -> None:
    answers = read((DATA / "b.yaml").read_text())
    assert answers.me == 1
    assert answers.policy is Policy.WAIT
    assert answers.referees == (IPv4Address("10.0.2.2"), IPv4Address("10.0.2.3"))
    # Written in capitals, and still the same card and the same secret.
    assert answers.crossover.mac == "52:54:00:00:0b:01"
    assert answers.secret == SECRET
    mail = Guest("mail-server", False, 1, "00:16:3e:00:00:02", None, 1024, 1 << 30, number=1)
    assert answers.guests == (COUNTER, mail)


def test_a_guest_keeps_the_number_that_it_was_given() -> None:
    text = TEXT.replace("    built-in: true", "    built-in: true\n    number: 7")
    assert [guest.number for guest in read(text).guests] == [7, *range(1, len(read(text).guests))]


def test_no_secret_is_printed_by_accident() -> None:
    assert SECRET not in repr(read(TEXT))


def test_windows_line_ends_are_no_matter() -> None:
    assert read(TEXT.replace("\n", "\r\n")) == read(TEXT)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("version: 1", "version: 2", "2: version should be 1: this appliance knows no other"),
        (
            "the disks named here",
            "the disk",
            '3: arm should be exactly "erase the disks named here": without it nothing is done',
        ),
        ("me: 0", "me: 2", "4: me should be 0 or 1"),
        ("names: [a, b]", "names: [a]", "5: names should be a list of 2"),
        ("names: [a, b]", "names: a b", "5: names should be a list, such as [one, two]"),
        (
            "names: [a, b]",
            "names: [a, B_2]",
            "5: names should hold host names of lower case letters, digits and hyphens, not 'B_2'",
        ),
        ("serial: A-DATA", "serial: [A-DATA]", "8: serial should be one value"),
        (
            "serial: A-DATA",
            'serial: ""',
            "8: serial should be a disk's serial number, as the first page shows it",
        ),
        (
            "mac: 52:54:00:00:0a:01",
            "mac: 52:54:00:00:0a",
            "11: mac should be a MAC address, such as 52:54:00:12:34:56",
        ),
        (
            "mac: 52:54:00:00:0a:01",
            "mac: ff:ff:ff:ff:ff:ff",
            "11: mac ff:ff:ff:ff:ff:ff is not the address of a network card",
        ),
        (
            "192.168.77.1/24",
            "192.168.77.1",
            "12: address should be an IPv4 address with its prefix, such as 192.168.1.11/24",
        ),
        (
            "192.168.77.1/24",
            "192.168.77.1/255.255.255.0",
            "12: address should be an IPv4 address with its prefix, such as 192.168.1.11/24",
        ),
        (
            "peer: 192.168.77.2",
            "peer: b",
            "13: peer should be an IPv4 address, such as 192.168.1.11",
        ),
        (
            "gateway: 10.0.2.2",
            "gateway: 127.0.0.1",
            "19: gateway 127.0.0.1 is not the address of a machine",
        ),
        ("gateway: 10.0.2.2", "getaway: 10.0.2.2", "17: lan needs 'gateway'"),
        ("automatic", "always", "23: policy should be one of: automatic, wait for me"),
        (
            f"secret: {SECRET}",
            "secret: 0123456789abcdef",
            "24: secret should be at least 32 hex characters, made at random",
        ),
        (
            f"secret: {SECRET}",
            f"secret: {SECRET}x",
            "24: secret should be at least 32 hex characters, made at random",
        ),
        (
            f"secret: {SECRET}",
            f"secret: {'01' * 16}",
            "24: secret should be made at random: this one is too regular",
        ),
        ("counter:", "all:", "27: the name will not do: 'all' cannot be a guest's name."),
        ("built-in: true", "built-in: maybe", "28: built-in should be true or false"),
        ("first-node: 0", "first-node: a", "29: first-node should be 0 or 1"),
        ("memory: 192", "memory: 16", "32: memory should be a number of MiB, at least 64"),
        ("memory: 192", "memory: 192M", "32: memory should be a number of MiB, at least 64"),
        ("disk: 512M", "disk: 512", "33: disk should be a size, such as 512M, 20G or 1T"),
        ("disk: 512M", "disk: 0M", "33: disk should be a size, such as 512M, 20G or 1T"),
    ],
)
def test_says_what_is_wrong_and_where(old: str, new: str, complaint: str) -> None:
    assert old in TEXT
    found = complaints(TEXT.replace(old, new))
    assert any(each.startswith(f"answers.yaml:{complaint}") for each in found), found


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("polizy: automatic", "34: the file has no 'polizy'; did you mean 'policy'?"),
        ("colour: blue", "34: the file has no 'colour'"),
        ("me: 1", "34: the file has 'me' twice"),
    ],
)
def test_refuses_a_key_that_it_does_not_know(line: str, complaint: str) -> None:
    assert complaints(TEXT + line) == [f"answers.yaml:{complaint}"]


@pytest.mark.parametrize("key", ["version", "arm", "me", "names", "policy", "secret"])
def test_needs_every_key(key: str) -> None:
    lines = [line for line in TEXT.splitlines() if not line.startswith(f"{key}:")]
    assert complaints("\n".join(lines)) == [f"answers.yaml:2: the file needs '{key}'"]


def test_tells_everything_at_once_in_the_order_of_the_lines() -> None:
    broken = TEXT.replace("me: 0", "me: x").replace("512M", "much").replace("gateway:", "geatway:")
    assert [each.split(": ", 1) for each in complaints(broken)] == [
        ["answers.yaml:4", "me should be 0 or 1"],
        ["answers.yaml:17", "lan needs 'gateway'"],
        ["answers.yaml:19", "lan has no 'geatway'; did you mean 'gateway'?"],
        ["answers.yaml:33", "disk should be a size, such as 512M, 20G or 1T"],
    ]


def test_a_missing_section_is_one_complaint() -> None:
    start, end = TEXT.index("data-disk:"), TEXT.index("crossover:")
    assert complaints(TEXT[:start] + TEXT[end:]) == ["answers.yaml:2: the file needs 'data-disk'"]
    assert complaints(TEXT[:start] + "data-disk: A-DATA\n\n" + TEXT[end:]) == [
        "answers.yaml:7: data-disk should be a list of `key: value`"
    ]


def test_a_pair_without_guests_is_no_pair() -> None:
    text = TEXT[: TEXT.index("guests:")] + "guests: {}\n"
    assert complaints(text) == ["answers.yaml:26: guests should have 1 to 20 entries"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "1: the file is empty"),
        ("# only a comment\n", "1: the file is empty"),
        (TEXT + "\tme: 1\n", "34: this is not YAML"),
        (f"secret: {SECRET}\n  secret: {SECRET}", "2: this is not YAML"),
        ("me: \0", "1: this is not plain text in UTF-8"),
        ("- a\n- b\n", "1: the file should be a list of `key: value`"),
        ("#" * 70000, "1: the file is longer than 65536 characters"),
    ],
)
def test_what_is_no_answer_file_is_told_so(text: str, complaint: str) -> None:
    (found,) = complaints(text)
    assert found.startswith(f"answers.yaml:{complaint}")


def test_a_complaint_reads_like_a_compilers() -> None:
    assert str(Complaint(7, "me should be 0 or 1")) == "answers.yaml:7: me should be 0 or 1"


def test_what_may_be_left_out_and_what_it_means() -> None:
    plain, full = read(TEXT), read((DATA / "b.yaml").read_text())
    assert (plain.zone, plain.time_servers, plain.erases) == ("UTC", (), False)
    assert full.zone == "Europe/Berlin"
    assert full.time_servers == (IPv4Address("10.0.2.2"), IPv4Address("10.0.2.4"))
    assert read(TEXT.replace("serial: A-DATA", "serial: A-DATA\n  erase: true")).erases


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("time-zone: Berlin", "time-zone will not do. There is no time zone Berlin. Did you mean"),
        ("time-zone: ../etc/shadow", "time-zone will not do. '../etc/shadow' is no time zone"),
        ("time-servers: pool.ntp.org", "time-servers should be a list, such as [one, two]"),
        ("time-servers: [pool.ntp.org]", "time-servers should be an IPv4 address"),
        ("time-servers: []", "time-servers should be a list of 1 to 3"),
    ],
)
def test_a_clock_that_cannot_be_followed_is_told(line: str, complaint: str) -> None:
    (found,) = complaints(f"{TEXT}{line}\n")
    assert found.startswith(f"answers.yaml:34: {complaint}")


def test_the_sectors_are_those_that_disks_have() -> None:
    assert read(TEXT).sector == 512
    assert read(TEXT.replace("serial: A-DATA", "serial: A-DATA\n  sector: 4096")).sector == 4096
    text = TEXT.replace("serial: A-DATA", "serial: A-DATA\n  sector: 520")
    assert complaints(text) == [
        "answers.yaml:9: sector should be 512 or 4096, as the first page shows it"
    ]


def test_erase_is_yes_or_no() -> None:
    text = TEXT.replace("serial: A-DATA", "serial: A-DATA\n  erase: all of it")
    assert complaints(text) == ["answers.yaml:9: erase should be true or false"]
