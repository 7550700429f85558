# SPDX-License-Identifier: MIT
"""When this machine backs a guest up by itself, what became of that, and whether one is due.

Owns a file for each guest, beside the settings: it is this machine's alone, for the disk is. Times
of the day, and days, are those of the machine's own time zone; moments are seconds since the epoch.
The clock may be wrong, and may be set at any time. So what is known of a time that is to come
counts for nothing, and nothing is due in a year that was over when this was written.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from haagent import config
from haagent.backup.news import News, moment
from haagent.backup.retention import Policy
from haagent.errors import OperatorError
from haagent.folder import Folder
from haagent.guests.name import checked

VERSION = 1  # of a file
FOLDER = config.FILE.parent
NAME = "schedule-{}.json"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 86400.0  # seconds in which what was missed, or failed, is caught up
AGAIN = 3600.0  # seconds from one try to the next
SENSIBLE = datetime(2026, 1, 1, tzinfo=UTC).timestamp()  # no clock that is right says less
LOCALTIME = Path("/etc/localtime")
TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Of one guest."""

    guest: str
    at: time
    days: tuple[str, ...]  # of DAYS, in their order
    policy: Policy | None  # what is kept; None: everything
    to: str | None  # a folder; None: the one USB disk that is plugged in
    since: float  # when a person said so
    done: float | None = None  # when the newest good one was begun
    file: str = ""  # the name of that one
    trouble: str = ""  # why the last try after it came to nothing; a sentence

    def succeeded(self, at: float, file: str) -> "Schedule":
        return replace(self, done=at, file=file, trouble="")

    @property
    def words(self) -> str:
        """When and where, in a few words."""
        days = "each day" if self.days == DAYS else f"on {', '.join(self.days)}"
        where = "the one USB disk that is plugged in" if self.to is None else self.to
        return f"{days} at {self.at:%H:%M}, onto {where}"


def time_of(text: str) -> time:
    """Raises OperatorError."""
    found = TIME.fullmatch(text)
    if found is None:
        raise OperatorError(
            f"{text!a:.20} is no time of the day. Nothing was changed.", "Say it as in --at 02:30."
        )
    return time(int(found[1]), int(found[2]))


def days_of(text: str | None) -> tuple[str, ...]:
    """Raises OperatorError."""
    said = DAYS if text is None else text.lower().replace(" ", "").split(",")
    strange = [day for day in said if day not in DAYS]
    if strange:
        raise OperatorError(
            f"{strange[0]!a:.20} is no day. Nothing was changed.",
            f"Say them as in --days mon,thu, of: {', '.join(DAYS)}.",
        )
    return tuple(day for day in DAYS if day in said)


# Which moments. Pure: it looks at no clock.


def last(schedule: Schedule, now: float, zone: tzinfo) -> float:
    """The newest moment of SCHEDULE that is not to come."""
    return max(moment for moment in _around(schedule, now, zone) if moment <= now)


def following(schedule: Schedule, now: float, zone: tzinfo) -> float:
    """The first one after NOW."""
    return min(moment for moment in _around(schedule, now, zone) if moment > now)


def _around(schedule: Schedule, now: float, zone: tzinfo) -> list[float]:
    """A week of them on either side. An hour that a change of the clocks leaves out is taken for
    the one after it, and of one that comes twice the first counts.
    """
    today = datetime.fromtimestamp(now, zone).date()
    days = [today + timedelta(days=number) for number in range(-7, 8)]
    return [
        datetime.combine(day, schedule.at, zone).timestamp()
        for day in days
        if DAYS[day.weekday()] in schedule.days
    ]


def is_due(schedule: Schedule, now: float, zone: tzinfo, tried: float | None = None) -> bool:
    """TRIED is when it was last tried, if that came to nothing."""
    moment = last(schedule, now, zone)
    if now < SENSIBLE or now - moment >= DAY:
        return False
    if any(moment <= known for known in _known(schedule, now)):
        return False
    return tried is None or not 0 <= now - tried < AGAIN


def expected(schedule: Schedule, now: float, zone: tzinfo) -> float | None:
    """The first moment after the newest good backup, or after a person said so: when the next one
    is to be there, or was. None: whatever is known is of a clock that was wrong.
    """
    known = _known(schedule, now)
    return following(schedule, max(known), zone) if known else None


def _known(schedule: Schedule, now: float) -> list[float]:
    """Since when all is well, as far as the clock was right: it may go a day ahead."""
    return [
        moment
        for moment in (schedule.since, schedule.done)
        if moment is not None and moment <= now + DAY
    ]


# What is on the stick.


def path(guest: str, folder: Path = FOLDER) -> Path:
    return folder / NAME.format(checked(guest))


def to_text(schedule: Schedule) -> str:
    content = {"version": VERSION, **asdict(schedule), "at": f"{schedule.at:%H:%M}"}
    return json.dumps(content, indent=1) + "\n"


def from_text(text: str) -> Schedule:
    """The reverse. Raises ValueError."""
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise ValueError("it is of another release, or no schedule")
    try:
        made = Schedule(
            guest=checked(content["guest"]),
            at=time_of(content["at"]),
            days=days_of(",".join(content["days"])),
            policy=None if content["policy"] is None else Policy(**content["policy"]),
            to=content["to"],
            since=moment(content["since"]) or 0.0,
            done=moment(content["done"]),
            file=str(content["file"]),
            trouble=str(content["trouble"]),
        )
    except (KeyError, TypeError, AttributeError, OperatorError) as error:
        raise ValueError(f"it is not what was written: {error!r}") from error
    if json.loads(to_text(made)) != content or not made.days:
        raise ValueError("it is not what was written")
    return made


class Schedules:
    """Those of this machine, in FOLDER."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._path = folder
        self._folder = Folder(folder)

    def guests(self) -> list[str]:
        """Who has one, whether it can be read or not. Raises OSError."""
        before, after = NAME.split("{}")
        names = [one.name for one in self._path.iterdir() if one.match(NAME.format("*"))]
        return sorted(name.removeprefix(before).removesuffix(after) for name in names)

    def read(self, guest: str) -> Schedule | None:
        """None if it has none. Raises OperatorError."""
        try:
            data = self._folder.read(NAME.format(guest))
            return None if data is None else from_text(data.decode())
        except (OSError, ValueError) as error:
            raise OperatorError(
                f"When {guest} is to be backed up cannot be read: {error}.",
                f"Say it anew: `shoestring guest schedule {guest} --at ...`, or --off.",
            ) from error

    def write(self, schedule: Schedule) -> None:
        """On the stick when it returns. Raises OperatorError."""
        name = NAME.format(schedule.guest)
        try:
            self._folder.write(f"{name}.new", to_text(schedule).encode())
            self._folder.rename(f"{name}.new", name)
            self._folder.sync()
        except OSError as error:
            raise _unwritten(schedule.guest, error) from error

    def change(self, schedule: Schedule) -> None:
        """What became of SCHEDULE, unless a person has said something else meanwhile. Raises
        OperatorError.
        """
        now = self.read(schedule.guest)
        if now is not None and now.since == schedule.since and now != schedule:
            self.write(schedule)

    def remove(self, guest: str) -> None:
        """Raises OperatorError."""
        try:
            (self._path / NAME.format(guest)).unlink()
            self._folder.sync()
        except OSError as error:
            raise _unwritten(guest, error) from error


def _unwritten(guest: str, error: OSError) -> OperatorError:
    return OperatorError(
        f"When {guest} is to be backed up cannot be written to the stick: {error.strerror}.",
        "It is as it was. `shoestring status` says whether the stick is well.",
    )


def news(schedule: Schedule, now: float, zone: tzinfo, tried: float | None = None) -> News:
    """What the screens are told of it."""
    trouble = schedule.trouble
    if now < SENSIBLE:
        said = datetime.fromtimestamp(now, zone)
        trouble = f"The clock of this machine is wrong, it says {said:%Y-%m-%d}: nothing is due."
    return News(expected(schedule, now, zone), schedule.done, trouble, tried)


def to_dict(schedule: Schedule, now: float, zone: tzinfo) -> Mapping[str, Any]:
    """For programs."""
    return {
        **asdict(schedule),
        "at": f"{schedule.at:%H:%M}",
        "next": following(schedule, now, zone),
        "is_due": is_due(schedule, now, zone),
    }


def local_zone(file: Path = LOCALTIME) -> tzinfo:
    """This machine's."""
    try:
        with file.open("rb") as opened:
            return ZoneInfo.from_file(opened)
    except (OSError, ValueError):
        return UTC
