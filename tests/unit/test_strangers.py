# SPDX-License-Identifier: MIT
"""A machine of another pair is refused, and named in a note: nothing else comes of it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from haagent.cluster.speech import QUIET, Speech, Stranger
from haagent.cluster.wire import FORMATS, encode
from haagent.console.alarms import Alarm
from haagent.console.render import render
from haagent.console.snapshot import Verdict
from haagent.core.model import Path
from tests.unit.fake_state import AROUND, NOW, WELL, look, silent
from tests.unit.test_speech import OLD_KEY, PAIR, Ways
from tests.unit.test_wire import KEY, PLAIN

OTHER_KEY = b"a" * 32  # of another pair
THERE, ELSEWHERE = ("192.168.77.2", 6940), ("192.168.77.9", 6940)


def speech(ways: Ways, clock: list[float]) -> Speech:
    """CLOCK's only entry is what the monotonic clock says."""
    return Speech(PAIR, KEY, (OLD_KEY,), ways, ways, lambda: clock[0])


def named(ears: Speech) -> Mapping[Path, str]:
    return {path: stranger.address for path, stranger in ears.strangers.items()}


@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("sender", [THERE, ELSEWHERE])
def test_a_machine_of_another_pair_is_refused_and_named(
    version: int, sender: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    ways, clock = Ways(), [1000.0]
    ears = speech(ways, clock)
    data = encode(PLAIN, OTHER_KEY, version)
    if sender is THERE:  # where the peer should be
        ears.hear_datagram(ways.posted.append, Path.CROSSOVER, data, sender)
    else:
        assert not ears.hear_stranger(ways.posted.append, Path.CROSSOVER, data, sender)
    assert ways.posted == [] and ways.sent == []
    assert ears.strangers == {Path.CROSSOVER: Stranger(sender[0], clock[0])}
    assert [record.message for record in caplog.records] == [
        f"crossover, from {sender[0]}: a message that is not signed with this pair's key"
    ]


def test_who_has_a_key_is_no_stranger_and_neither_is_noise() -> None:
    ways, clock = Ways(), [1000.0]
    ears = speech(ways, clock)
    whole = encode(PLAIN, OTHER_KEY)
    for data in (
        encode(PLAIN, KEY),
        encode(replace(PLAIN, node=0), KEY),
        encode(PLAIN, OLD_KEY),
        encode(replace(PLAIN, node=0), OLD_KEY),
        b"",
        whole[:32],
        whole[:40],
        whole[:32] + b"[" * 1000,
        whole + b" " * 20_480,
    ):
        for sender in (THERE, ELSEWHERE):
            ears.hear_datagram(ways.posted.append, Path.LAN, data, sender)
    assert ears.strangers == {}


def test_who_has_another_address_in_each_word_does_not_change_the_screen() -> None:
    ways, clock = Ways(), [1000.0]
    ears = speech(ways, clock)
    data = encode(PLAIN, OTHER_KEY)

    def says(path: Path, address: str) -> None:
        ears.hear_datagram(ways.posted.append, path, data, (address, 6940))

    says(Path.LAN, "192.0.2.1")
    for number in range(2, 9):
        clock[0] += 1.0
        says(Path.LAN, f"192.0.2.{number}")
    assert named(ears) == {Path.LAN: "192.0.2.1"}
    says(Path.CROSSOVER, "192.0.2.9")
    says(Path.LAN, "192.0.2.1")
    clock[0] += QUIET - 1
    says(Path.LAN, "192.0.2.2")
    assert named(ears) == {Path.LAN: "192.0.2.1", Path.CROSSOVER: "192.0.2.9"}
    clock[0] += 1
    says(Path.LAN, "192.0.2.2")
    assert named(ears) == {Path.LAN: "192.0.2.2", Path.CROSSOVER: "192.0.2.9"}


def test_a_note_says_which_cable_and_which_address_and_the_pair_is_protected() -> None:
    strangers = {
        Path.CROSSOVER: Stranger("192.168.77.2", NOW - 1),
        Path.LAN: Stranger("192.0.2.7", NOW),
    }
    shown = look(WELL, replace(AROUND, strangers=strangers))
    assert shown.verdict is Verdict.PROTECTED and shown.complaints == ()
    assert [note.code for note in shown.notes] == [Alarm.STRANGER] * 2
    assert [note.what for note in shown.notes] == [
        "A machine without this pair's key speaks over the crossover cable, from 192.168.77.2.",
        "A machine without this pair's key speaks over the LAN, from 192.0.2.7.",
    ]
    page = "\n".join(render(shown, 80, 24))
    assert "from anna to berta, and nowhere else" in " ".join(page.split())
    assert "takes anna for the other half of its own pair" in " ".join(page.split())


def test_one_that_has_been_quiet_for_a_while_is_told_of_no_more() -> None:
    quiet = {Path.LAN: Stranger("192.0.2.7", NOW - WELL.timing.dead - 1)}
    assert look(WELL, replace(AROUND, strangers=quiet)).notes == ()


def test_where_it_speaks_in_place_of_the_other_machine_that_one_is_missed_as_ever() -> None:
    strangers = {Path.CROSSOVER: Stranger("192.168.77.2", NOW)}
    alone = silent(WELL)
    shown = look(alone, replace(AROUND, strangers=strangers))
    assert shown.complaints == look(alone).complaints
    assert [note.code for note in shown.notes] == [Alarm.STRANGER]
