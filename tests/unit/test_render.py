# SPDX-License-Identifier: MIT
"""The page that a person sees, on a usual terminal and on a tiny one."""

from dataclasses import replace

import pytest

from haagent.console.readiness import sentences
from haagent.console.render import fit, render
from haagent.console.snapshot import GuestView, OutlookView, ResyncView, Snapshot, Verdict
from haagent.console.surroundings import Surroundings
from haagent.console.times import age, clock
from haagent.core.foresight import Fate
from haagent.core.model import Disk, Link, Path, Peer, Phase
from haagent.core.wish import Target
from tests.unit.fake_state import (
    AROUND,
    MEASURED,
    NOT_PROTECTED,
    NOW,
    STOPPED,
    WELL,
    Change,
    both,
    elsewhere,
    guest,
    hello,
    look,
    node,
    path,
    resource,
    resting,
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
        "anna: this machine, watchdog armed, gateway answers",
        "berta: heard, watchdog armed, gateway answers",
        "Heard: crossover 3 s, LAN 3 s, heartbeat never",
        "heartbeat: crossover up, lan up",
        "If both cables fail at once: automatic",
        "counter: holding on anna, released on berta, term 2; DRBD Connected,",
        "UpToDate/UpToDate",
        "  its two copies were never compared",
    ]


def test_a_page_for_the_night() -> None:
    shown = look(both(elsewhere, silent, resource(link=Link.CONNECTING))(WELL))
    assert render(replace(shown, paths=()), 80, 24)[:16] == [
        "STOPPED, 3 reasons                                              anna (and berta)",
        "counter  not running, Connecting, UpToDate/UpToDate",
        "! counter was on berta, and berta is silent. (SHOE-108)",
        "  It cannot start on anna: counter is not ready; berta is there.",
        "  -> Switch berta on. Only if berta is off and stays off: `shoestring start",
        "  counter --anyway` on anna, which gives up whatever berta wrote last.",
        "! counter is not mirrored: DRBD is Connecting. (SHOE-206)",
        "  The two copies may differ.",
        "  -> Bring berta and the crossover cable back; the mirror follows by itself.",
        "! berta is silent. (SHOE-301)",
        "  It is off, or it hangs, or no cable carries its words.",
        "  -> Look at berta: switch it on, or look at its screen. Then at both cables.",
        "anna: this machine, watchdog armed, gateway answers",
        "berta: silent for 60 s; before that, watchdog armed, gateway answers",
        "Heard:",
        "heartbeat: crossover up, lan up",
    ]


@pytest.mark.parametrize(
    ("change", "title"),
    [
        (resting, "NOT PROTECTED: anna is in maintenance"),
        (hello(in_maintenance=True), "NOT PROTECTED: berta is in maintenance"),
        (
            both(resting, hello(in_maintenance=True)),
            "NOT PROTECTED: anna and berta are in maintenance, 2 reasons",
        ),
        (both(elsewhere, resting, silent), "STOPPED: anna is in maintenance, 3 reasons"),
        # Of a machine that is silent it is not known any more.
        (both(hello(in_maintenance=True), silent), "NOT PROTECTED"),
    ],
)
def test_maintenance_stands_in_the_first_line(change: Change, title: str) -> None:
    first = render(look(change(WELL)), 80, 24)[0]
    assert first.startswith(f"{title}  ")


def test_a_machine_in_maintenance_is_said_to_be() -> None:
    page = render(look(resting(WELL)), 80, 99)
    assert "anna: this machine, in maintenance, watchdog armed, gateway answers" in page


def test_on_a_tiny_screen_the_worst_comes_first_and_the_rest_is_counted() -> None:
    lines = render(WORST, 40, 10)
    assert lines[0].startswith("STOPPED, 5 reasons")
    assert lines[1].startswith("counter  not running")
    assert lines[2].startswith("! counter runs nowhere.")
    assert len(lines) == 10
    whole = len(render(WORST, 40, 1000))
    assert lines[-1] == f"({whole - 9} more lines)"
    assert render(WORST, 80, 10)[-1].endswith("`shoestring status` shows all)")


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
        ({"address": "10.0.2.20"}, "counter  on anna, mirrored, 10.0.2.20"),
        (
            {"is_in_sync": False, "link": "SyncSource", "resync": ResyncView(23.1, 62)},
            "counter  on anna, SyncSource 23.1 %, 62 s left, UpToDate/UpToDate",
        ),
        (
            {"is_in_sync": False, "link": "SyncTarget", "resync": ResyncView(100.0, None)},
            "counter  on anna, SyncTarget 100.0 %, nothing moves, UpToDate/UpToDate",
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


def outlooks(shown: Snapshot, *which: OutlookView | None) -> Snapshot:
    """SHOWN with a guest for each of WHICH, called g0, g1 and so on."""
    view = shown.guests[0]
    views = (replace(view, name=f"g{n}", outlook=one) for n, one in enumerate(which))
    return replace(shown, guests=tuple(views))


STARTS = OutlookView(Fate.STARTS, 20.5, ())
GOES_ON = OutlookView(Fate.GOES_ON, 11.0, ())
GOES_ON_AT_ONCE = OutlookView(Fate.GOES_ON, 0.0, ())
NOT = OutlookView(Fate.NOT, None, ("a proof is missing", "so is another"))


@pytest.mark.parametrize(
    ("which", "lines"),
    [
        ([None], []),
        ([STARTS], ["If berta died now: g0 starts here in about 20 s."]),
        ([GOES_ON], ["If berta died now: g0 goes on here after about 11 s."]),
        ([GOES_ON_AT_ONCE], ["If berta died now: g0 goes on here."]),
        ([STARTS] * 2, ["If berta died now: g0 and g1 start here in about 20 s."]),
        ([STARTS] * 3, ["If berta died now: g0, g1 and g2 start here in about 20 s."]),
        ([STARTS] * 9, ["If berta died now: g0, g1 and 7 more start here in about 20 s."]),
        (
            [STARTS, GOES_ON, None, GOES_ON],
            [
                "If berta died now: g0 starts here in about 20 s; g1 and g3 go on here after "
                "about 11 s."
            ],
        ),
        (
            [STARTS, NOT, NOT],
            [
                "If berta died now: g1 and g2 would NOT go on here: a proof is missing; so is "
                "another.",
                "If berta died now: g0 starts here in about 20 s.",
            ],
        ),
    ],
)
def test_what_would_become_of_the_guests(which: list[OutlookView | None], lines: list[str]) -> None:
    assert sentences(outlooks(CALM, *which)) == lines


def test_of_a_guest_that_would_not_start_it_is_said_how_old_its_copy_is() -> None:
    shown = outlooks(look(both(elsewhere, silent)(WELL)), NOT)
    assert sentences(shown) == [
        "If berta is off: g0 would NOT start here: a proof is missing; so is another."
    ]
    old = replace(shown.guests[0], disk=Disk.CONSISTENT, in_sync_at=1000.0)
    shown = replace(shown, wall=1720.0, guests=(old,))
    assert sentences(shown) == [
        "If berta is off: g0 would NOT start here: its copy is 12 min old (a proof is missing; so "
        "is another)."
    ]
    set_back = replace(shown, wall=5.0)
    assert "old" not in sentences(set_back)[0]


def test_the_outlook_comes_right_after_the_guests() -> None:
    page = render(outlooks(CALM, STARTS), 80, 24)
    assert page[2] == "If berta died now: g0 starts here in about 20 s."
    assert page[3] == "Either machine may fail now: the guests go on."


def test_nobody_is_told_that_all_goes_on_where_a_guest_would_not() -> None:
    page = "\n".join(render(outlooks(CALM, STARTS, NOT), 80, 24))
    assert page.startswith("PROTECTED")
    assert "Either machine may fail" not in page


def test_many_outlooks_do_not_hide_what_is_wrong() -> None:
    different = [replace(NOT, missing=(f"proof {n} is missing " * 9,)) for n in range(9)]
    page = render(outlooks(WORST, *different), 80, 24)
    outlook = [line for line in page if line.startswith("If ")]
    assert len(outlook) >= 1
    first = next(n for n, line in enumerate(page) if line.startswith("!"))
    assert first <= 1 + 24 // 3 + 24 // 6
    assert page[first - 1].endswith(" ...")
    assert "..." not in "\n".join(render(outlooks(WORST, *different), 80, 1000))


LONG = OutlookView(Fate.NOT, None, ("our copy is Outdated: berta may have written since",) * 3)
LATELY = tuple((1000.0 - n, "counter: released -> promoting: " + "x " * 40) for n in range(5))


@pytest.mark.parametrize("change", [change for _, change in NOT_PROTECTED + STOPPED])
def test_a_usual_terminal_holds_what_matters(change: Change) -> None:
    """The verdict, the guest, its outlook, and all of the worst complaint."""
    shown = look(change(WELL))
    view = replace(shown.guests[0], outlook=LONG, address="192.168.100.200", target=Target.STARTED)
    shown = replace(shown, guests=(view,), lately=LATELY, wall=1000.0)
    whole, page = render(shown, 79, 1000), render(shown, 79, 24)
    assert page[0].startswith(str(shown.verdict))
    assert page[1].startswith("counter  ")
    assert page[2].startswith("If berta ")
    worst = whole.index(next(line for line in whole if line.startswith("! ")))
    end = next(n for n, line in enumerate(whole) if n > worst and line[0] not in " ")
    assert "\n".join(whole[worst:end]) in "\n".join(page)


def test_the_newest_decision_is_the_first() -> None:
    lately = ((86_400.0 * 2 + 3, "counter: alone in term 4"), (86_000.0, "leaving"))
    page = render(replace(CALM, lately=lately, wall=86_400.0 * 2 + 60), 80, 24)
    start = page.index("Decided here lately (UTC):")
    assert page[start + 1 : start + 3] == [
        "  00:00:03 counter: alone in term 4",
        "  1970-01-01 23:53:20 leaving",
    ]


def test_what_is_known_of_each_machine() -> None:
    page = render(
        look(node(is_armed=False, left=NOW, usable_since=None, peer=Peer())(WELL)), 80, 99
    )
    assert "anna: this machine, leaving, watchdog NOT armed, gateway answers" in page
    assert "berta: not heard since this machine started" in page


def test_the_memory_for_guests_is_told_once_it_is_known() -> None:
    assert not any("memory" in line for line in render(CALM, 80, 99))
    page = render(look(both(MEASURED, hello(memory=900))(WELL)), 80, 99)
    assert "berta: 900 MiB of memory for guests, 0 used, 900 left" in page


def test_a_moment_is_a_time_of_day_or_a_date() -> None:
    assert clock(0.0, 86_399.0) == "00:00:00"
    assert clock(0.0, 86_400.0) == "1970-01-01 00:00:00"


FOOT = "Enter: menu (1 shows all lines)"


@pytest.mark.parametrize("height", [10, 24, 100])
def test_the_foot_is_the_last_line_and_costs_a_cut_page_nothing(height: int) -> None:
    without, page = render(WORST, 79, height), render(WORST, 79, height, foot=FOOT)
    assert len(page) == height
    if len(without) < height:
        assert page[: len(without)] == without and page[-1] == FOOT
    else:
        assert page[:-1] == without[:-1]
        assert page[-1] == f"({len(render(WORST, 79, 1000)) - height + 1} more lines)  {FOOT}"


def test_a_page_that_just_fits_gives_way_to_the_foot() -> None:
    whole = render(WORST, 79, 1000)
    page = render(WORST, 79, len(whole), foot=FOOT)
    assert page == [*render(WORST, 79, len(whole))[:-1], f"(1 more lines)  {FOOT}"]


@pytest.mark.parametrize("width", [11, 20, 40])
def test_the_foot_fits_a_narrow_screen(width: int) -> None:
    assert len(render(WORST, width, 10, foot="Enter: menu")[-1]) <= width
