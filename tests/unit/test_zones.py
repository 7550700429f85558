# SPDX-License-Identifier: MIT
"""Time zones: what people type, and what the database calls them."""

import pytest

from firstboot.zones import UTC, find, known

ZONES = frozenset({UTC, "Europe/Berlin", "America/New_York", "America/Argentina/Buenos_Aires"})


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("UTC", UTC),
        ("utc", UTC),
        ("Europe/Berlin", "Europe/Berlin"),
        (" europe/berlin ", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("america/argentina/buenos_aires", "America/Argentina/Buenos_Aires"),
    ],
)
def test_a_zone_is_found_however_it_is_written(typed: str, zone: str) -> None:
    assert find(typed, ZONES) == zone


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Berlin", "There is no time zone Berlin. Did you mean Europe/Berlin?"),
        ("New York", "Did you mean America/New_York?"),
        ("Europe/Berln", "Did you mean Europe/Berlin?"),
        ("here", "There is no time zone here. One is called Europe/Berlin, another UTC."),
        ("../../etc/shadow", "is no time zone, such as Europe/Berlin or UTC."),
        ("\x1b[2J", "'\\\\x1b[2J' is no time zone"),
        ("", "is no time zone"),
    ],
)
def test_what_is_none_is_told_with_the_nearest_one(typed: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        find(typed, ZONES)
    assert words.replace("\\\\", "\\") in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_database_has_the_worlds_zones_and_none_that_leads_back_to_us() -> None:
    assert {UTC, "Europe/Berlin", "America/New_York"} <= known()
    # /etc/localtime leads to the zone that was chosen; this one leads to /etc/localtime.
    assert not known() & {"localtime", "posixrules"}
