# SPDX-License-Identifier: MIT
"""The page that a person sees, on a usual terminal and on a tiny one."""

from dataclasses import replace

import pytest

from haagent.console.complaints import Surroundings
from haagent.console.render import fit, render
from haagent.console.snapshot import GuestView, Snapshot, Verdict
from haagent.console.times import age
from haagent.core.model import Disk, Link, Path, Phase
from tests.unit.test_snapshot import (
    AROUND,
    NOT_PROTECTED,
    NOW,
    STOPPED,
    WELL,
    Change,
    both,
    elsewhere,
    guest,
    look,
    node,
    path,
    resource,
    silent,
)

SIZES = [(80, 24), (40, 10), (79, 24), (20, 5), (10, 1), (200, 60)]
CALM = look(WELL)
WORST = look(
    both(silent, guest(phase=Phase.RELEASED), node(is_armed=False, usable_since=None))(WELL),
    Surroundings(failed_units=("heartbeat.service",)),
)


def test_a_calm_page() -> None:
    assert render(CALM, 80, 24, CALM.at + 3) == [
        "PROTECTED                                                       anna (and berta)",
        "counter  on anna, mirrored",
        "Either machine may fail now: the guests go on.",
        "Heard: crossover 3 s, LAN 3 s, heartbeat never",
        "heartbeat: crossover up, lan up",
        "Gateway: answers anna and berta",
        "Watchdog: armed on anna, armed on berta",
        "If both cables fail at once: automatic",
        "counter: holding on anna, released on berta, term 2; DRBD Connected,",
        "UpToDate/UpToDate",
    ]


def test_a_page_for_the_night() -> None:
    shown = look(both(elsewhere, silent, resource(link=Link.CONNECTING))(WELL))
    assert render(replace(shown, paths=()), 80, 24)[:14] == [
        "STOPPED, 3 reasons                                              anna (and berta)",
        "counter  not running, Connecting, UpToDate/UpToDate",
        "! counter was on berta, and berta is silent.",
        "  It cannot start on anna: counter is not ready; berta is there.",
        "  -> Switch berta on. Only if berta is off and stays off: `haagent start counter",
        "  --anyway` on anna, which gives up whatever berta wrote last.",
        "! counter is not mirrored: DRBD is Connecting.",
        "  The two copies may differ.",
        "  -> Bring berta and the crossover cable back; the mirror follows by itself.",
        "! berta is silent.",
        "  It is off, or it hangs, or no cable carries its words.",
        "  -> Look at berta: switch it on, or look at its screen. Then at both cables.",
        "Heard:",
        "heartbeat: crossover up, lan up",
    ]


def test_on_a_tiny_screen_the_worst_comes_first_and_the_rest_is_counted() -> None:
    lines = render(WORST, 40, 10)
    assert lines[0].startswith("STOPPED, 5 reasons")
    assert lines[1].startswith("counter  not running")
    assert lines[2].startswith("! counter runs nowhere.")
    assert len(lines) == 10
    whole = len(render(WORST, 40, 1000))
    assert lines[-1] == f"({whole - 9} more lines)"
    assert render(WORST, 80, 10)[-1].endswith("`haagent status` shows all)")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("change", [change for _, change in NOT_PROTECTED + STOPPED])
def test_no_page_is_wider_or_longer_than_its_terminal(
    change: Change, size: tuple[int, int]
) -> None:
    width, height = size
    lines = render(look(change(WELL)), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_nothing_is_left_out_without_a_word() -> None:
    whole = render(WORST, 80, 1000)
    assert render(WORST, 80, len(whole)) == whole
    assert "more lines" in render(WORST, 80, len(whole) - 1)[-1]
    assert render(WORST, 80, len(whole) - 1)[:-1] == whole[: len(whole) - 2]


def test_a_way_that_carries_in_one_direction_is_marked() -> None:
    shown = look(path(Path.LAN, two_way=NOW - 60)(WELL))
    assert "Heard: crossover 0 s, LAN 0 s (one way), heartbeat never" in render(shown, 80, 24)


def with_guests(count: int, verdict: Verdict) -> Snapshot:
    view = CALM.guests[0]
    guests = [replace(view, name=f"g{number:02}") for number in range(count)]
    guests[count - 1] = replace(guests[-1], runs_on=(), is_in_sync=False)
    complaints = () if verdict is Verdict.PROTECTED else WORST.complaints
    return replace(CALM, guests=tuple(guests), verdict=verdict, complaints=complaints)


def test_many_guests_do_not_hide_what_is_wrong() -> None:
    lines = render(with_guests(20, Verdict.STOPPED), 80, 24)
    assert lines[1].startswith("g19  not running")  # the one in trouble is the first
    assert lines[8] == "and 13 more guests: 13 running"
    assert lines[9].startswith("! counter runs nowhere.")


def test_when_all_is_well_every_guest_is_listed() -> None:
    lines = render(with_guests(20, Verdict.PROTECTED), 80, 24)
    assert sum(line.startswith("g") for line in lines) == 20


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"runs_on": ("anna", "berta")}, "counter  on anna AND berta, mirrored"),
        ({"is_split_brain": True}, "counter  on anna, SPLIT BRAIN"),
        (
            {"is_in_sync": False, "link": "", "disk": "", "peer_disk": ""},
            "counter  on anna, DRBD silent, ?/?",
        ),
        (
            {"is_in_sync": False, "link": str(Link.CONNECTING), "peer_disk": str(Disk.UNKNOWN)},
            "counter  on anna, Connecting, UpToDate/DUnknown",
        ),
    ],
)
def test_a_guest_is_one_line(change: dict[str, object], expected: str) -> None:
    view: GuestView = replace(CALM.guests[0], **change)  # type: ignore[arg-type]
    assert render(replace(CALM, guests=(view,)), 80, 24)[1] == expected


def test_the_time_scale_is_shown_when_it_is_not_1() -> None:
    scaled = look(replace(WELL, pair=replace(WELL.pair, scale=6.0)), AROUND)
    page = "\n".join(render(scaled, 80, 24))
    assert "time x6" in page.splitlines()[0]
    assert "Time scale 6" in page
    assert "scale" not in "\n".join(render(CALM, 80, 24))


def test_what_is_missing_stands_in_the_details_too() -> None:
    page = render(WORST, 80, 1000)
    assert "  before it may start on anna: counter is not ready; berta is there" in page


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.9, "0 s"),
        (119.9, "119 s"),
        (120.0, "2 min"),
        (7199.0, "119 min"),
        (7200.0, "2 h"),
        (180000.0, "2 d"),
        (-3.0, "0 s"),
    ],
)
def test_ages_are_words(seconds: float, text: str) -> None:
    assert age(1000.0, 1000.0 + seconds) == text


def test_never_is_no_number() -> None:
    assert age(None, 1000.0) == "never"


def test_what_is_not_ascii_does_not_reach_the_terminal() -> None:
    assert fit(["caf\u00e9"], 80, 24) == ["caf?"]
