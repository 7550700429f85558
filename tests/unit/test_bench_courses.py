# SPDX-License-Identifier: MIT
"""What the agents said -> the parts of a takeover, and what nobody can answer for."""

from dataclasses import replace

import pytest

from haagent.core.model import PeerOff
from haagent.core.timing import Timing
from tests.vm.bench.courses import Course, NotTold, course, proof_needs, shutdown
from tests.vm.bench.figures import Verdict
from tests.vm.bench.takeovers import Sample, figures
from tests.vm.journal import Line, parse

AHEAD = 1_700_000_000.0  # of the wall clock, against this host's
TIMING = Timing().scaled(4)
COURSE = Course(PeerOff.SELF_FENCED, 100.0, 183.0, 184.5, 192.0, 223.0)


def journal(*told: tuple[float, str]) -> list[Line]:
    return [Line(AHEAD + at, text) for at, text in told]


TAKER = journal(
    (50.0, "counter: released -> promoting: peer off: agreed; our copy: in-sync; term 1"),
    (51.0, "counter: promoting -> creating: Primary"),
    (119.0, "a is silent on every path"),
    (183.0, "counter: released -> promoting: peer off: self-fenced; our copy: unbroken; term 3"),
    (184.5, "counter: promoting -> creating: Primary"),
    (192.0, "counter: creating -> holding: it runs"),
)
GIVER = journal(
    (100.5, "counter: holding -> stopping: a person moves it to b"),
    (112.0, "counter: stopping -> released: farewell"),
)


def test_a_course_is_told_by_the_machine_that_took_over() -> None:
    assert course(TAKER, AHEAD, 100.0, [99.0, 223.0, 224.0]) == COURSE
    assert COURSE.total == 123.0
    assert COURSE.parts() == {
        "until decided": 83.0,
        "DRBD promotes": 1.5,
        "xl creates": 7.5,
        "the guest starts": 31.0,
    }
    assert sum(COURSE.parts().values()) == COURSE.total


def test_an_answer_before_the_new_start_is_the_old_guests() -> None:
    found = course(TAKER, AHEAD, 100.0, [99.0, 101.0, 184.0, 223.0])
    assert found.answered == 223.0


def test_a_guest_may_answer_before_xl_says_that_it_runs() -> None:
    found = course(TAKER, AHEAD, 100.0, [191.0])
    assert (found.created, found.answered) == (191.0, 191.0)
    assert sum(found.parts().values()) == found.total


@pytest.mark.parametrize("missing", [3, 4, 5])
def test_what_was_never_said_is_no_figure(missing: int) -> None:
    """The lines of the start before must not stand for those of this one."""
    with pytest.raises(NotTold):
        course(TAKER[:missing], AHEAD, 100.0, [223.0])


def test_a_guest_that_never_answered_is_no_figure() -> None:
    with pytest.raises(NotTold, match="never answered"):
        course(TAKER, AHEAD, 100.0, [99.0, 101.0])


def test_the_guests_own_shutdown_is_told_by_the_machine_that_gave_it_away() -> None:
    assert shutdown(GIVER, AHEAD, 100.0, 100.2) == 11.5
    with pytest.raises(NotTold):
        shutdown(GIVER[:1], AHEAD, 100.0, 100.2)
    with pytest.raises(NotTold):
        shutdown(GIVER, AHEAD, 101.0, 101.0)


def test_a_guest_that_still_answers_while_it_shuts_down_is_not_away_yet() -> None:
    assert shutdown(GIVER, AHEAD, 100.0, 103.0) == 9.0


def test_a_journal_is_read_with_its_moments() -> None:
    text = (
        "1795391234.250000 a systemd[1]: Started haagent.service.\n"
        "1795391240.500000 a haagent[700]: counter: stopping -> released: farewell\n"
        " 978307203.000000 a haagent[700]: its clock is of long ago\n"
        "-- No entries --\n"
    )
    began, left, long_ago = parse(text)
    assert left == Line(1795391240.5, "counter: stopping -> released: farewell")
    assert began.at < left.at and long_ago == Line(978307203.0, "its clock is of long ago")


def test_a_proof_needs_what_the_timers_say() -> None:
    assert proof_needs(PeerOff.SELF_FENCED, TIMING) == 64.0
    assert proof_needs(PeerOff.FAREWELL, TIMING) == 2.0
    assert proof_needs(PeerOff.AGREED, TIMING) == 4.0
    assert proof_needs(PeerOff.OPERATOR, TIMING) == 0.0


def test_the_overhead_is_what_neither_the_proof_nor_the_guest_needs() -> None:
    assert COURSE.needs(TIMING, 36.0) == 100.0
    assert COURSE.overhead(TIMING, 36.0) == 23.0
    assert COURSE.share(TIMING, 36.0) == 23.0


def test_the_guests_shutdown_is_no_overhead() -> None:
    moved = replace(COURSE, proof=PeerOff.FAREWELL, decided=114.0, answered=152.0, stopped=12.0)
    assert moved.needs(TIMING, 36.0) == 50.0
    assert moved.overhead(TIMING, 36.0) == 2.0


def test_each_kind_of_proof_has_its_own_rows_and_verdict() -> None:
    fast = Sample(replace(COURSE, answered=205.0), 36.0)
    slow = Sample(COURSE, 36.0)
    agreed = Sample(replace(COURSE, proof=PeerOff.AGREED), 36.0)
    told = {
        one.name: one
        for one in figures("takeover", "power cut", [fast, agreed, slow, slow])
        if one.unit == "%"
    }
    assert told["self-fenced: overhead"].samples == (5.0, 23.0, 23.0)
    assert told["self-fenced: overhead"].verdict is Verdict.MISSED
    assert told["agreed: overhead"].verdict is Verdict.TOO_FEW
