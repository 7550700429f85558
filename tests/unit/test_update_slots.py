# SPDX-License-Identifier: MIT
"""What runs, what the other slot holds, what the next start does; and which release is newer."""

import pytest

from haagent.errors import OperatorError
from haagent.update import grubenv, medium, news, slots
from haagent.update.news import News
from haagent.update.release import Release
from haagent.update.slots import Intent, config, parse, running, sentences
from tests.unit.fake_stick import CMDLINE, NEW, OLD, FakeStick, slot_of

TEXT = config(slot_of(OLD))


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("0.1", "0.2"),
        ("0.1.0", "0.1.1"),
        ("0.9", "0.10"),
        ("0.1.0", "0.1.0+1"),
        ("0.1.0+9", "0.1.0+10"),
        ("0.1.0+1", "0.1.1"),
        ("0.9.9.9", "1"),
    ],
)
def test_which_is_newer(older: str, newer: str) -> None:
    assert Release.of(older) < Release.of(newer)
    assert not Release.of(newer) <= Release.of(older)


def test_a_missing_number_is_0() -> None:
    assert Release.of("0.2") == Release.of("0.2.0.0")
    assert str(Release.of("0.2")) == "0.2"


@pytest.mark.parametrize(
    "text", ["", "v1", "1.", "1..2", "1.2.3.4.5", "1-2", "1+", " 1", "٣", "1\n"]
)
def test_what_is_no_release(text: str) -> None:
    with pytest.raises(ValueError, match="no release"):
        Release.of(text)


def test_what_grub_runs_is_what_is_read() -> None:
    assert parse(TEXT) == slot_of(OLD)
    assert parse(f'set slot_later="x"\n# {TEXT}{TEXT}') == slot_of(OLD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.replace("slot_blocks", "slot_bricks"),
        TEXT.replace('"0.1.0"', '"$(x)"'),
        TEXT.replace('blocks="2"', 'blocks="3"'),
        TEXT.replace('blocks="2"', 'blocks="-2"'),
        TEXT.replace('hash="', 'hash="z'),
    ],
)
def test_a_slot_that_is_not_understood_holds_nothing(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_which_slot_runs_is_on_the_kernels_command_line() -> None:
    assert running(CMDLINE) == "a"
    for wrong in ("quiet", "shoestring.slot=c", "xshoestring.slot=a"):
        with pytest.raises(OperatorError, match="which slot"):
            running(wrong)


@pytest.mark.parametrize(
    ("other", "intent", "told", "noted"),
    [
        (None, Intent("a"), ["0.1.0 runs, from slot a.", "Slot b is empty."], News(OLD)),
        (
            NEW,
            Intent("b", other="a"),
            [
                "0.1.0 runs, from slot a.",
                "Slot b holds 0.2.0.",
                "The next start takes 0.2.0, from slot b. If it does not start, what runs now"
                " starts again.",
            ],
            News(OLD, waits=NEW),
        ),
        (
            NEW,
            Intent("a", 1, other="b"),
            [
                "0.1.0 runs, from slot a.",
                "Slot b holds 0.2.0.",
                "It is on trial: if it does not do well, 0.2.0 starts again after 1 start more.",
            ],
            News(OLD),
        ),
        (
            NEW,
            Intent("a", fallen="b"),
            [
                "0.1.0 runs, from slot a.",
                "Slot b holds 0.2.0.",
                "Slot b was given up: 0.2.0 did not start, or did not do well.",
            ],
            News(OLD, fallen=NEW),
        ),
    ],
)
def test_what_a_person_is_told(
    other: str | None, intent: Intent, told: list[str], noted: News
) -> None:
    stick = FakeStick().holds("a", OLD).intends(intent)
    found = medium.standing(stick.holds("b", other) if other else stick, CMDLINE)
    assert sentences(found) == told
    assert news.of(found) == noted


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"preferred": "c", "left": "3"},
        {"preferred": "a", "left": "4"},
        {"preferred": "a", "left": ""},
        {"preferred": "a", "left": "3", "other": "x"},
    ],
)
def test_variables_that_say_nothing_are_damaged(variables: dict[str, str]) -> None:
    stick = FakeStick().holds("a", OLD)
    stick.disk[slots.ENVIRONMENT] = grubenv.build(variables)
    found = medium.standing(stick, CMDLINE)
    assert found.is_damaged and found.intent == Intent("a")
