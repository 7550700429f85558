# SPDX-License-Identifier: MIT
import json
from collections.abc import Sequence

import pytest

from tests.unit.test_frames import MACS, sums_up, tcp, udp
from tests.vm.frames import ARP, content
from tests.vm.mishaps import (
    CUT,
    Arrival,
    Corrupt,
    Course,
    Delay,
    Duplicate,
    Limit,
    Lose,
    Mishap,
    Which,
    packed,
    unpacked,
)

WAY = ("xo", "a", "b")
QUESTION = MACS + b"\x08\x06" + bytes(28)  # ARP
BEAT, BLOCK = udp(b"beat" * 20), tcp(b"block" * 20)
NUMBERED = [QUESTION + bytes([number]) for number in range(200)]


def sent(mishaps: Sequence[Mishap], said: Sequence[Arrival]) -> list[Arrival]:
    """What gets to the other end of a way with MISHAPS, in the order in which it does."""
    course = Course(WAY, mishaps)
    arrivals = [one for at, frame in said for one in course.outcome(frame, at)]
    return sorted(arrivals, key=lambda arrival: arrival[0])


def at_once(mishap: Mishap, frames: Sequence[bytes] = NUMBERED) -> list[bytes]:
    return [frame for _, frame in sent([mishap], [(0.0, frame) for frame in frames])]


@pytest.mark.parametrize(
    ("which", "meant"),
    [
        (Which(), [QUESTION, BEAT, BLOCK]),
        (Which(udp=694), [BEAT]),
        (Which(tcp=7788), [BLOCK]),
        (Which(tcp=694), []),
        (Which(udp=7788), []),
        (Which(ethertype=ARP), [QUESTION]),
        (Which(longer_than=len(BEAT)), [BLOCK]),
        (Which(longer_than=len(BEAT) - 1), [BEAT, BLOCK]),
        (Which(udp=694, longer_than=len(BEAT)), []),
        (Which(udp=694, tcp=7788), [BEAT, BLOCK]),
    ],
)
def test_which_frames_are_meant(which: Which, meant: list[bytes]) -> None:
    assert [frame for frame in (QUESTION, BEAT, BLOCK) if which.has(frame)] == meant


def test_what_nothing_befalls_arrives_as_it_was_said() -> None:
    mishaps = [
        kind
        for which in (Which(tcp=1),)
        for kind in (Lose(which=which), Delay(which=which, seconds=1), Corrupt(which=which))
    ]
    assert sent(mishaps, [(7.0, BLOCK)]) == [(7.0, BLOCK)]


def test_a_share_is_lost_and_the_same_one_for_the_same_seed() -> None:
    left = at_once(Lose(share=0.3, seed=1))
    assert 0.6 < len(left) / len(NUMBERED) < 0.8
    assert left == at_once(Lose(share=0.3, seed=1))
    assert left != at_once(Lose(share=0.3, seed=2))
    assert at_once(Lose()) == []
    assert at_once(Lose(share=0)) == NUMBERED


def test_a_chance_is_the_same_whatever_else_happens() -> None:
    said = [(0.0, frame) for frame in NUMBERED]
    drawing = Delay(seconds=1, jitter=1), Corrupt(which=Which(udp=694))
    left = sent([*drawing, Lose(share=0.3, seed=1)], said)
    assert [frame for _, frame in left] == at_once(Lose(share=0.3, seed=1))


def test_a_delay_keeps_the_order_whatever_it_draws() -> None:
    said = [(0.01 * number, frame) for number, frame in enumerate(NUMBERED)]
    came = sent([Delay(seconds=2, jitter=0.5, seed=3)], said)
    assert [frame for _, frame in came] == NUMBERED
    assert len({round(at, 6) for at, _ in came}) > 3, "nothing was drawn"
    took = [at - before for (at, _), (before, _) in zip(came, said, strict=True)]
    assert min(took) >= 2
    assert max(took) <= 2.5


def test_a_delay_that_does_not_keep_the_order() -> None:
    said = [(0.01 * number, frame) for number, frame in enumerate(NUMBERED)]
    came = sent([Delay(seconds=2, jitter=0.5, seed=3, keeps_order=False)], said)
    assert [frame for _, frame in came] != NUMBERED
    assert sorted(frame for _, frame in came) == sorted(NUMBERED)


def test_one_that_waits_for_another_waits_no_longer_than_that() -> None:
    mishap = Delay(seconds=2, which=Which(udp=694))
    assert sent([mishap], [(0.0, BEAT), (0.5, BLOCK)]) == [(0.5, BLOCK), (2.0, BEAT)]


def test_a_duplicate() -> None:
    assert at_once(Duplicate(times=3), [BEAT]) == [BEAT] * 3


@pytest.mark.parametrize("frame", [BEAT, BLOCK], ids=["udp", "tcp"])
@pytest.mark.parametrize("repairs", [False, True])
def test_bits_are_turned_over_in_what_a_program_sent(frame: bytes, repairs: bool) -> None:
    sound = at_once(Corrupt(bits=0, repairs=True), [frame])[0]
    assert sums_up(sound)
    (changed,) = at_once(Corrupt(bits=3, repairs=repairs), [sound])
    places = content(sound)
    assert changed[: places.start - 20] == sound[: places.start - 20]
    inside = int.from_bytes(changed[places.start :]) ^ int.from_bytes(sound[places.start :])
    assert inside.bit_count() == 3
    assert sums_up(changed) is repairs


def test_what_carries_nothing_cannot_be_corrupted() -> None:
    assert at_once(Corrupt(bits=3), [tcp(b"")]) == [tcp(b"")]


def test_a_slow_line_carries_one_frame_after_the_other() -> None:
    frame = bytes(1000)
    came = sent([Limit(bits_per_second=8000)], [(0.0, frame), (0.5, frame), (9.0, frame)])
    assert [at for at, _ in came] == [1.0, 2.0, 10.0]


def test_a_slow_line_keeps_no_more_than_its_queue() -> None:
    frame = bytes(1000)
    came = sent([Limit(bits_per_second=8000, queue=3000)], [(0.0, frame)] * 9)
    assert [at for at, _ in came] == [1.0, 2.0, 3.0, 4.0]


def test_mishaps_happen_in_the_order_in_which_they_were_told() -> None:
    late, once = Delay(seconds=1), Limit(bits_per_second=8 * len(BEAT))
    assert sent([late, Duplicate(), once], [(0.0, BEAT)]) == [(2.0, BEAT), (3.0, BEAT)]
    assert sent([once, late, Duplicate()], [(0.0, BEAT)]) == [(2.0, BEAT), (2.0, BEAT)]


def test_a_mishap_goes_on_as_it_was_when_others_begin_or_end() -> None:
    mishap = Lose(share=0.5, seed=1)
    course = Course(WAY, [mishap])
    whole = [bool(course.outcome(BEAT, 0)) for _ in range(40)]
    course = Course(WAY, [mishap])
    parts = [bool(course.outcome(BEAT, 0)) for _ in range(20)]
    course = Course(WAY, [Delay(seconds=1), mishap], course)
    parts += [bool(course.outcome(BEAT, 0)) for _ in range(20)]
    assert parts == whole


def test_two_ways_do_not_share_a_chance() -> None:
    there, back = (Course(way, [Lose(share=0.5)]) for way in (WAY, ("xo", "b", "a")))
    assert [there.outcome(one, 0) for one in NUMBERED] != [back.outcome(one, 0) for one in NUMBERED]


def test_only_what_cuts_is_a_cut() -> None:
    assert Course(WAY, [Delay(seconds=1), CUT]).is_cut
    assert not Course(WAY, [Lose(share=0.5), Lose(which=Which(udp=694))]).is_cut


@pytest.mark.parametrize(
    "mishap",
    [
        CUT,
        Lose(which=Which(ethertype=ARP, longer_than=60), share=0.1, seed=4),
        Delay(seconds=2, jitter=0.5, keeps_order=False),
        Duplicate(times=9, which=Which(udp=694)),
        Corrupt(bits=2, repairs=True),
        Limit(bits_per_second=1e6, queue=9000),
    ],
)
def test_a_mishap_survives_json(mishap: Mishap) -> None:
    assert unpacked(json.loads(json.dumps(packed(mishap)))) == mishap
