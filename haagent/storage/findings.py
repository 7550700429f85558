# SPDX-License-Identifier: MIT
"""What verifications have found of each guest, and what became of it, also over a power cut.

For people only, and of the wall clock: nothing may ever be decided by it but when to verify again.
A file for each guest beside the agent's state; one that cannot be read says nothing was ever found.
"""

import json
import logging
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from haagent.folder import Folder

VERSION = 1  # of a file
NOT_SEEN = "?"  # who the marked blocks were copied from, if nobody watched

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one guest. Times are seconds since the epoch, sizes KiB.

    DRBD's figure is of all that is marked as different, whenever that was found. Only copying takes
    a mark away, so a later verification tells what is new, and no more.
    """

    at: float | None = None  # when the two copies were last compared, all of them
    differs: int = 0  # what was found, and no person has taken note of yet
    since: float | None = None  # when it was found
    copied_from: str = ""  # the node that it was copied from since; "": it was not
    is_past: bool = False  # a whole verification after that found nothing
    is_first: bool = False  # found when the two were compared for the first time, or never before
    noted: int = 0  # of what is marked, what a person has taken note of

    @property
    def is_open(self) -> bool:
        """The two copies differ, or nobody has seen that they do not any more."""
        return self.differs > 0 and not self.is_past and not self.is_first

    @property
    def is_marked(self) -> bool:
        """DRBD still has it marked as different, as far as is known."""
        return self.differs > 0 and not self.copied_from

    def counted(self, marked: int, now: float) -> "Finding":
        """So much is MARKED, while a verification runs or when it has ended."""
        noted = min(self.noted, marked)
        if marked <= noted:
            return replace(self, noted=noted)
        if self.is_first and self.at is not None and self.is_marked:
            if marked <= noted + self.differs:
                return replace(self, noted=noted)
            noted += self.differs  # what is found beside is no first finding any more
        elif self.is_marked:
            return replace(self, noted=noted, differs=max(self.differs, marked - noted))
        return replace(
            self,
            noted=noted,
            differs=marked - noted,
            since=now,
            copied_from="",
            is_past=False,
            is_first=self.at is None,
        )

    def ended(self, marked: int, now: float) -> "Finding":
        """All was compared, and so much is MARKED."""
        found = replace(self.counted(marked, now), at=now)
        return replace(found, is_past=bool(found.differs and found.copied_from))

    def copied(self, source: str) -> "Finding":
        """A resync from SOURCE takes what is marked with it, whichever copy is right."""
        if not self.differs or self.copied_from not in ("", NOT_SEEN):
            return self
        return replace(self, copied_from=source)

    def seen(self, marked: int) -> "Finding":
        """So much is MARKED while nothing is compared: what is not any more was copied."""
        return self.copied(NOT_SEEN) if not marked and not self.copied_from else self

    def taken_note_of(self) -> "Finding":
        """By a person: only what is found from now on is told."""
        marked = 0 if self.copied_from else self.differs + self.noted
        return Finding(at=self.at, noted=marked)


NOTHING = Finding()


class Book:
    """Of GUESTS, in FOLDER."""

    def __init__(self, folder: Path, guests: Iterable[str]) -> None:
        self._path = folder
        self._folder = Folder(folder)
        self._kept = {guest: self._read(guest) for guest in guests}

    def kept(self, guest: str) -> Finding:
        return self._kept[guest]

    def keep(self, guest: str, finding: Finding) -> None:
        """On the medium when it returns, if it is news. Raises OSError."""
        if finding == self._kept[guest] or not self._path.is_dir():
            return  # safety: whoever keeps the agent's state makes the folder, and makes it last
        data = json.dumps({"version": VERSION, **asdict(finding)}).encode() + b"\n"
        self._folder.write(f"{_name(guest)}.new", data)
        self._folder.rename(f"{_name(guest)}.new", _name(guest))
        self._folder.sync()
        self._kept[guest] = finding

    def _read(self, guest: str) -> Finding:
        try:
            data = self._folder.read(_name(guest))
            return NOTHING if data is None else _understood(json.loads(data))
        except (OSError, ValueError) as error:
            log.warning("%s: what was found of its copies is not known: %s", guest, error)
            return NOTHING


def _name(guest: str) -> str:
    return f"verified-{guest}"


def _understood(data: object) -> Finding:
    """Raises ValueError."""
    names = {field.name for field in fields(Finding)}
    if not isinstance(data, dict) or data.keys() != names | {"version"}:
        raise ValueError("it is not what was written")
    if data.pop("version") != VERSION:
        raise ValueError("it is of another release")
    for name, kinds in KINDS.items():
        if type(data[name]) not in kinds:
            raise ValueError(f"{name} is {data[name]!r}")
    finding = Finding(**data)
    moments = [at for at in (finding.at, finding.since) if at is not None]
    if not all(map(math.isfinite, moments)) or min(finding.differs, finding.noted) < 0:
        raise ValueError("a figure is out of bounds")
    if bool(finding.differs) != (finding.since is not None):
        raise ValueError("it contradicts itself")
    return finding


_MOMENT = (float, int, type(None))
KINDS: dict[str, tuple[type, ...]] = {
    "at": _MOMENT,
    "differs": (int,),
    "since": _MOMENT,
    "copied_from": (str,),
    "is_past": (bool,),
    "is_first": (bool,),
    "noted": (int,),
}
