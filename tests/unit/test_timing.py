# SPDX-License-Identifier: MIT
from dataclasses import asdict, replace

import pytest

from haagent.core.timing import Timing, TimingError


def test_the_real_figures_hold() -> None:
    Timing()


@pytest.mark.parametrize("factor", [1, 2.5, 6, 40])
def test_scaling_keeps_every_inequality(factor: float) -> None:
    real, scaled = asdict(Timing()), asdict(Timing().scaled(factor))
    assert scaled == {name: seconds * factor for name, seconds in real.items()}


@pytest.mark.parametrize("factor", [0.99, 0, -1, float("nan")])
def test_no_factor_shortens_them(factor: float) -> None:
    with pytest.raises(TimingError):
        Timing().scaled(factor)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"take": 15.9}, "a lost holder is off by then"),
        ({"resume": 6.0}, "a peer without referee has forfeited"),
        ({"feed": 5.0}, "a healthy holder is never reset"),
        ({"self_fence": 5.0}, "a holder hears of the loss"),
        ({"drbd_timeout": 3.0}, "DRBD notices a lost peer"),
        ({"gasp": 7.0}, "the last word is heard"),
        ({"save": 3.5}, "a stick that hangs starves no watchdog"),
        ({"disk": 13.5}, "rid of that machine in time"),
        ({"keepalive": 1.25}, "one lost packet is not silence"),
    ],
)
def test_each_inequality_is_checked(change: dict[str, float], rule: str) -> None:
    with pytest.raises(TimingError, match=rule):
        replace(Timing(), **change)
