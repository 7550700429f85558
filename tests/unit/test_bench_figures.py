# SPDX-License-Identifier: MIT
"""Figures, their verdicts, and what becomes of earlier ones."""

from dataclasses import replace

import pytest

from tests.vm.bench.figures import (
    Bound,
    Figure,
    Measured,
    Origin,
    Target,
    Verdict,
    from_dict,
    merge,
    ratios,
    to_dict,
)
from tests.vm.bench.table import markdown, number, row

ORIGIN = Origin("c" * 40, "1" * 64, "2026-11-23T23:00:00+00:00")
OTHER = replace(ORIGIN, image="2" * 64)
MOST = Target(Bound.AT_MOST, 10)
LEAST = Target(Bound.AT_LEAST, 0.8)


def figure(*samples: float, name: str = "overhead", target: Target | None = MOST) -> Figure:
    return Figure("takeover", name, "%", samples, target, "a note")


def test_a_figure_is_the_median_and_how_far_its_samples_lie_apart() -> None:
    one = figure(9, 30, 8, 7)
    assert (one.median, one.spread) == (8.5, 23)


def test_a_figure_without_samples_is_none() -> None:
    with pytest.raises(ValueError, match="overhead has no sample"):
        figure()


@pytest.mark.parametrize(
    ("samples", "target", "verdict"),
    [
        ((9, 10, 11), MOST, Verdict.REACHED),
        ((9, 10.1, 11), MOST, Verdict.MISSED),
        ((0.9, 0.8, 0.7), LEAST, Verdict.REACHED),
        ((0.9, 0.79, 0.7), LEAST, Verdict.MISSED),
        ((1, 1), MOST, Verdict.TOO_FEW),
        ((99, 99), MOST, Verdict.TOO_FEW),
        ((1, 2, 3), None, Verdict.NONE),
    ],
)
def test_the_verdict(samples: tuple[float, ...], target: Target | None, verdict: Verdict) -> None:
    assert figure(*samples, target=target).verdict is verdict


def test_what_is_read_and_not_timed_needs_one_sample() -> None:
    assert replace(figure(5), is_exact=True).verdict is Verdict.REACHED
    assert replace(figure(11), is_exact=True).verdict is Verdict.MISSED


def test_ratios_are_of_samples_side_by_side() -> None:
    assert ratios([2, 9], [4, 3]) == (0.5, 3)
    with pytest.raises(ValueError):
        ratios([1, 2], [1])
    with pytest.raises(ValueError, match="nothing"):
        ratios([1], [0])


def measured(one: Figure, origin: Origin = ORIGIN) -> Measured:
    return Measured(one, origin)


def test_a_run_replaces_its_own_measure_and_nothing_else() -> None:
    idle = measured(replace(figure(1), measure="idle"))
    gone = measured(figure(3, name="a part that is not told any more"))
    now = measured(figure(4))
    assert merge([idle, gone, measured(figure(5))], [now], is_added=False) == (idle, now)


def test_a_run_that_is_added_counts_with_the_earlier_one_of_its_image_only() -> None:
    before = [measured(figure(1, 2))]
    (sum_of_both,) = merge(before, [measured(figure(3))], is_added=True)
    assert sum_of_both.figure.samples == (1, 2, 3)
    (other,) = merge(before, [measured(figure(3), OTHER)], is_added=True)
    assert other.figure.samples == (3,)
    exact = replace(figure(3), is_exact=True)
    (read,) = merge([measured(exact)], [measured(exact)], is_added=True)
    assert read.figure.samples == (3,)


def test_what_a_run_did_not_meet_stays_when_it_is_added_to_the_same_image() -> None:
    before = [measured(figure(1, name="agreed")), measured(figure(2, name="of old"), OTHER)]
    now = measured(figure(3, name="farewell"))
    assert merge(before, [now], is_added=True) == (before[0], now)
    assert merge(before, [now], is_added=False) == (now,)


def test_seconds_and_percent_of_one_name_are_two_figures() -> None:
    seconds = measured(replace(figure(8), unit="s"))
    both = merge([measured(figure(1)), seconds], [measured(figure(2)), seconds], is_added=True)
    assert [(one.figure.unit, one.figure.samples) for one in both] == [("%", (1, 2)), ("s", (8, 8))]


@pytest.mark.parametrize("target", [MOST, LEAST, None])
def test_a_figure_comes_back_from_the_file_as_it_was(target: Target | None) -> None:
    one = measured(figure(1, 2.5, 3, target=target))
    told = to_dict(one)
    assert from_dict(told) == one
    assert (told["median"], told["spread"], told["verdict"]) == (2.5, 2, one.figure.verdict)


def test_the_table_shows_each_figure_with_its_verdict_and_what_it_was_measured_on() -> None:
    page = markdown([measured(figure(8, 9, 12.34)), measured(figure(80), OTHER)], "Measured here.")
    assert "| overhead | 9 | % | 8 9 12.3 | 4.34 | at most 10 | reached |" in page
    assert "| overhead | 80 | % | 80 | 0 | at most 10 | too few samples |" in page
    assert "- overhead: a note" in page
    assert f"- commit {'c' * 12}, image {'2' * 12}, 2026-11-23T23:00:00+00:00" in page
    assert page.count("## takeover") == 1


def test_a_size_has_no_spread() -> None:
    assert row(replace(figure(237.4), is_exact=True)) == (
        "| overhead | 237 | % | 237 |  | at most 10 | missed |"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1234"), (12.34, "12.3"), (0.256, "0.26"), (3.0, "3"), (-5, "-5")]
)
def test_a_number_has_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text
