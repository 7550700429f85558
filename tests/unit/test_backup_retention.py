# SPDX-License-Identifier: MIT
"""What may go, what never goes, and in which order."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from haagent.backup import catalogue, naming
from haagent.backup.naming import Kind, Name
from haagent.backup.retention import Point, Policy, expendable
from haagent.errors import OperatorError
from tests.unit.fake_backup import AT, disks, write, write_plain

DAY = timedelta(days=1)


def point(at: datetime, id: str = "", base: str | None = None, guest: str = "web") -> Point:
    name = Name(guest, at, Kind.INCREMENTAL if base else Kind.FULL)
    return Point(str(name), name, id or str(name), base)


def kept(points: list[Point], policy: Policy) -> list[str]:
    """The days that stay, newest first."""
    going = expendable(points, policy)
    staying = sorted((one for one in points if one not in going), key=lambda one: one.name.at)
    return [one.name.at.strftime("%m-%d %H") for one in reversed(staying)]


# Every six hours from Tuesday, 1 September, to Monday, 30 November 2026, 18 o'clock.
POINTS = [point(AT.replace(hour=18) - number * timedelta(hours=6)) for number in range(364)]


@pytest.mark.parametrize(
    ("policy", "days"),
    [
        (Policy(last=3), ["11-30 18", "11-30 12", "11-30 06"]),
        (Policy(daily=3), ["11-30 18", "11-29 18", "11-28 18"]),
        (Policy(weekly=3), ["11-30 18", "11-29 18", "11-22 18"]),
        (Policy(monthly=9), ["11-30 18", "10-31 18", "09-30 18"]),
        (Policy(last=2, daily=2), ["11-30 18", "11-30 12", "11-29 18"]),
        (
            Policy(last=1, daily=2, weekly=3, monthly=2),
            ["11-30 18", "11-29 18", "11-22 18", "10-31 18"],
        ),
    ],
)
def test_what_is_kept(policy: Policy, days: list[str]) -> None:
    assert kept(POINTS, policy) == days
    assert kept(POINTS[::-1], policy) == days


@pytest.mark.parametrize(
    "policy",
    [Policy(last=1), Policy(daily=2), Policy(last=2, daily=2, weekly=2), Policy(monthly=1)],
)
def test_of_a_clock_that_was_ahead_nothing_goes_and_nothing_counts(policy: Policy) -> None:
    """Its last one is even what the newest builds on."""
    ahead = [point(AT + days * DAY, f"ahead-{days}") for days in range(300, 340)]
    right = [point(AT - days * DAY, f"right-{days}", "ahead-339") for days in range(3)]
    going = expendable([*ahead, *right], policy, AT)
    assert going == expendable(right, policy)
    assert right[0] not in going
    assert right[0] in expendable([*ahead, *right], policy), "it is what UNTIL is for"


def test_days_without_a_backup_do_not_count() -> None:
    points = [point(AT - days * DAY) for days in (0, 9, 40)]
    assert kept(points, Policy(daily=2)) == ["11-30 02", "11-21 02"]
    assert kept(points, Policy(daily=7)) == ["11-30 02", "11-21 02", "10-21 02"]


def test_a_week_over_new_year_is_one() -> None:
    points = [point(datetime(2026, 12, 31, tzinfo=UTC)), point(datetime(2027, 1, 1, tzinfo=UTC))]
    assert kept(points, Policy(weekly=5)) == ["01-01 00"]
    assert kept(points, Policy(monthly=5)) == ["01-01 00", "12-31 00"]


def test_guests_do_not_take_each_others_places() -> None:
    points = [point(AT - days * DAY, guest=guest) for days in range(3) for guest in ("web", "mail")]
    assert len(kept(points, Policy(last=1))) == 2


@pytest.mark.parametrize("numbers", [{}, {"last": 0, "daily": 0}, {"last": 3, "daily": -1}])
def test_a_policy_that_keeps_nothing_is_none(numbers: dict[str, int]) -> None:
    with pytest.raises(OperatorError, match="Nothing was removed"):
        Policy(**numbers)


def test_a_base_stays_as_long_as_what_builds_on_it() -> None:
    chain = [
        point(AT - 3 * DAY, "a"),
        point(AT - 2 * DAY, "b", "a"),
        point(AT - DAY, "c", "b"),
        point(AT, "d", "a"),
    ]
    assert kept(chain, Policy(last=1)) == ["11-30 02", "11-27 02"]  # d builds on a alone
    assert [one.id for one in expendable(chain, Policy(last=1))] == ["c", "b"]
    assert expendable(chain, Policy(last=2)) == []


def test_what_lost_its_base_is_not_judged_by_that() -> None:
    assert expendable([point(AT, "a", "gone")], Policy(last=1)) == []


def test_a_ring_that_somebody_made_has_an_end() -> None:
    ring = [point(AT, "a", "b"), point(AT - DAY, "b", "a"), point(AT - 2 * DAY, "c", "c")]
    assert [one.id for one in expendable(ring, Policy(last=1))] == ["c"]


@pytest.mark.parametrize("seed", range(200))
def test_random_chains(seed: int) -> None:
    """Clocks jump, bases are any earlier backup or none: whatever stays can be restored, also when
    the removing is cut off, and everything that the policy names stays.
    """
    rng = random.Random(seed)
    points: list[Point] = []
    at = AT
    for number in range(rng.randrange(1, 40)):
        at += timedelta(hours=rng.choice([1, 6, 24, 24, 24, 200, -30]))
        base = rng.choice(points).id if points and rng.random() < 0.8 else None
        points.append(point(at, f"{number}", base))
    policy = Policy(rng.randrange(1, 4), rng.randrange(5), rng.randrange(4), rng.randrange(3))
    left = {one.id: one for one in points}
    going = expendable(rng.sample(points, len(points)), policy)
    for one in going:
        del left[one.id]
        assert all(other.base is None or other.base in left for other in left.values()), seed
    newest = sorted(points, key=lambda one: (one.name.at, one.file, one.id))[-policy.last :]
    assert {one.id for one in newest} <= set(left), seed
    # Nothing stays for nothing: without the policy's own, and what is below them, all is gone.
    alone = {one.id for one in points} - {one.id for one in expendable(independent(points), policy)}
    needed = set(alone)
    for id in alone:
        one = next(one for one in points if one.id == id)
        while one.base is not None:
            needed.add(one.base)
            one = next(other for other in points if other.id == one.base)
    assert set(left) == needed, seed
    assert expendable(left.values(), policy) == [], seed  # said again, it finds nothing to do


def independent(points: list[Point]) -> list[Point]:
    return [Point(one.file, one.name, one.id) for one in points]


def test_the_catalogue_says_what_is_there(tmp_path: Path) -> None:
    full = write(tmp_path, disks())
    middle = write(tmp_path, disks(1), full, hours=30)
    last = write(tmp_path, disks(2), middle, hours=60)
    full = full.rename(tmp_path / "renamed.shoestring")
    (tmp_path / "web-2026-11-30T0900Z.full.shoestring").write_bytes(last.read_bytes()[:-1])
    (tmp_path / "web-2026-11-30T0800Z.full.shoestring.part").write_bytes(b"")
    (tmp_path / "other.txt").write_bytes(b"")
    points, bad = catalogue.survey(tmp_path)
    assert {one.file for one in points} == {full.name, middle.name, last.name}
    assert [error.file for error in bad] == ["web-2026-11-30T0900Z.full.shoestring"]
    assert expendable(points, Policy(last=1)) == []
    assert [path.name for path in catalogue.unfinished(tmp_path)] == [
        "web-2026-11-30T0800Z.full.shoestring.part"
    ]
    with pytest.raises(OperatorError, match="cannot be listed"):
        catalogue.survey(tmp_path / "nowhere")


def test_a_plain_one_is_in_the_catalogue(tmp_path: Path) -> None:
    path = write_plain(tmp_path)
    points, bad = catalogue.survey(tmp_path)
    assert [(point.file, point.base) for point in points] == [(path.name, None)]
    assert bad == []
    (path / "SHA256SUMS").unlink()
    points, bad = catalogue.survey(tmp_path)
    assert points == [] and [error.file for error in bad] == ["SHA256SUMS"]


@pytest.mark.parametrize("kind", Kind)
def test_a_name_is_read_as_it_was_written(kind: Kind) -> None:
    name = Name("my-web-2", AT, kind)
    assert naming.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "web.full.shoestring",
        "web-2026-11-30T0200Z.full",
        "web-2026-11-30T0200Z.plain.shoestring",
        "web-2026-11-31T0200Z.full.shoestring",
        "web-2026-11-30T2460Z.full.shoestring",
        "web-2026-11-30T0200Z.full.shoestring.part",
        "Web-2026-11-30T0200Z.full.shoestring",
        "all-2026-11-30T0200Z.full.shoestring",
        "../web-2026-11-30T0200Z.full.shoestring",
        "web-2026-11-30T0200Z.half.shoestring",
        "web-٢026-11-30T0200Z.full.shoestring",
        "",
    ],
)
def test_what_is_no_name(text: str) -> None:
    assert naming.parse(text) is None
