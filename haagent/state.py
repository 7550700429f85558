# SPDX-License-Identifier: MIT
"""Owns what must survive a power cut: two copies of `Durable` in one folder, and a trace beside it.

It must not judge what it keeps. It must not hand out anything that it does not understand: an
agent that does not know what it promised must not decide.

Each copy is JSON: `{"content": {"version", "counter", "durable"}, "sha256"}`. The checksum is over
the content as `_canonical` spells it. A save writes both copies, one after the other, the weaker
one first. So one damaged copy, whichever it is, costs nothing that was ever acted on. The first
save leaves a trace outside of the folder: who finds no copy knows whether there ever was one.

An update may be taken back at any start, also long after it: the release before then finds what
this one wrote. So a release only writes what the one before it reads. A new format is read by one
release, and written by the next.
"""

import hashlib
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Protocol, get_args, get_origin, get_type_hints

from haagent.core.model import Choice, Durable, LanChange
from haagent.core.wish import Wish
from haagent.errors import BugError, OperatorError
from haagent.folder import Folder

FOLDER = Path("/state/haagent")
NAMES = ("state-a.json", "state-b.json")
LOOKED_AT = "looked-at"  # a file that shows that one as large as the state can still be written
VERSION = 3  # of the format; it rises with any change of Durable, with a golden file for each
# What is written. safety: the release before must read it; else whoever goes back to that one has a
# machine that decides nothing.
WRITTEN = 3

HINT = (
    "The agent decides nothing until this is solved. Keep a copy of the folder {folder}. "
    "If the other machine runs well, set this machine up again as its peer."
)


class StateError(OperatorError):
    """The state cannot be understood, or not be written. Nothing may be decided on it.

    WHY is the reason in a few words, where there is one.
    """

    def __init__(self, message: str, hint: str, why: str = "") -> None:
        super().__init__(message, hint)
        self.why = why or message


class Disk(Protocol):
    """A folder, step by step: a power cut may fall between any two calls."""

    def prepare(self) -> None:
        """The folder exists, durably."""

    def read(self, name: str) -> bytes | None:
        """The content of NAME; None if there is no such file."""

    def write(self, name: str, data: bytes) -> None:
        """A new file NAME with DATA on the medium, mode 0600; an old one is replaced."""

    def rename(self, old: str, new: str) -> None:
        """NEW is what OLD was: all of it or, after a power cut, nothing of it."""

    def sync(self) -> None:
        """The names in the folder are on the medium."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy, understood."""

    counter: int
    durable: Durable


@dataclass(frozen=True, slots=True)
class Found:
    """What the two copies amount to."""

    durable: Durable | None  # None: nothing was ever saved here
    counter: int
    weaker: int  # the index of the copy that the next save replaces first
    is_whole: bool  # both copies are there and say the same
    has_trace: bool  # something was saved here once, whatever is left of it
    warnings: tuple[str, ...]  # sentences for the log


class StateFile:
    """Keeps `Durable` in FOLDER. One object, one thread; `load` comes before the first `save`.

    A DISK stands for that folder and for the one that it is in.
    """

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self._disk: Disk = disk or Folder(folder)
        self._around: Disk = disk or Folder(folder.parent)
        self._folder = folder
        self._counter: int | None = None
        self._weaker = 0
        self._size = 1  # bytes of what the next save will write, as far as is known
        self._has_trace = False
        self.warnings: tuple[str, ...] = ()

    def load(self, guests: Collection[str], gone: Collection[str] = ()) -> Durable | None:
        """What was saved last; None if nothing ever was. GUESTS are the configured ones, and of
        those that are GONE there may still be something.

        `warnings` then says what was odd. A guest that was never saved is missing from the result.
        Raises StateError, and has changed nothing then, if both copies are damaged or gone, of a
        newer format, or of a guest that is not configured.
        """
        found = examine(self._folder, guests, self._disk, self._around, gone=gone)
        self._counter, self._weaker = found.counter, found.weaker
        self._has_trace = found.has_trace
        self.warnings = found.warnings
        if found.durable is not None:
            self._size = len(encode(found.durable, found.counter))
        if found.durable is not None and not found.is_whole:
            # safety: the agent acts on what it loads. It must not hang on one copy from then on.
            self.save(found.durable)
        return found.durable

    def save(self, durable: Durable) -> None:
        """On the medium, twice, when this returns: the caller acts on it at once.

        Raises StateError if it could not be written; then nothing may be done that needs it.
        """
        if self._counter is None:
            raise BugError("state: saved before it was loaded")
        # A failed save may have left its counter behind: it is not used again.
        self._counter += 1
        data = encode(durable, self._counter)
        self._size = len(data)
        try:
            self._disk.prepare()
            for _ in NAMES:
                self._replace(NAMES[self._weaker], data)
                # safety: from here on the other copy is the older one, even if the next step fails.
                self._weaker = 1 - self._weaker
            if not self._has_trace:
                # safety: not before the copies, or a power cut in a pair's first save would leave
                # an agent that takes itself for one that lost them.
                self._around.write(trace_of(self._folder), b"")
                self._around.sync()
                self._has_trace = True
        except OSError as error:
            raise self._unwritable(error) from error

    def look(self) -> None:
        """Whether the state could be saved: goes through its steps with a file of its size beside
        it, and leaves the state as it is. Raises StateError.
        """
        new = f"{LOOKED_AT}.new"
        try:
            self._disk.prepare()
            # The old one stays until the new one is there, as in a save: where it made room for
            # the new one, a stick that is full would not be found out.
            self._disk.write(new, b"\n" * self._size)
            self._disk.rename(new, LOOKED_AT)
            self._disk.sync()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StateError:
        return StateError(
            f"The agent's state cannot be written to {self._folder}: {error.strerror}.",
            "Look for errors of the boot medium with `journalctl -k`; replace it if there "
            "are any. If it is full, make room under /state.",
            error.strerror or str(error),
        )

    def _replace(self, name: str, data: bytes) -> None:
        new = f"{name}.new"
        self._disk.write(new, data)
        self._disk.rename(new, name)
        self._disk.sync()


def examine(
    folder: Path,
    guests: Collection[str],
    disk: Disk | None = None,
    around: Disk | None = None,
    *,
    gone: Collection[str] = (),
) -> Found:
    """Reads both copies and changes nothing. Raises StateError as `StateFile.load` does.

    AROUND is the folder that DISK is in; without it DISK is both.
    """
    has_trace = _has_trace(around or disk or Folder(folder.parent), folder)
    disk = disk or Folder(folder)
    copies = [_read(disk, name, folder) for name in NAMES]
    readable = [copy for copy in copies if isinstance(copy, Copy)]
    if not readable:
        if copies == [None, None] and not has_trace:
            return Found(None, 0, 0, False, False, ())
        # safety: who begins anew here has forgotten what it promised, and which terms there were.
        raise StateError(
            f"The agent's state in {folder} is lost: {'; '.join(_complaints(copies))}.",
            HINT.format(folder=folder),
        )
    newest = max(readable, key=lambda copy: copy.counter)
    is_whole = readable == [newest, newest]
    if len(readable) == 2 and readable[0].counter == readable[1].counter and not is_whole:
        raise StateError(
            f"The two copies of the agent's state in {folder} contradict each other.",
            HINT.format(folder=folder),
        )
    complaints = _complaints(copies)
    if newest.counter == 1 and None in copies:
        complaints = []  # the power failed in the very first save: nothing was lost
    return Found(
        newest.durable,
        newest.counter,
        1 - copies.index(newest),
        is_whole,
        has_trace,
        (*complaints, *_compare_guests(newest.durable, guests, gone, folder)),
    )


def trace_of(folder: Path) -> str:
    """The name of an empty file beside FOLDER, which is left where the folder is lost."""
    return f"{folder.name}.saved"


def _has_trace(around: Disk, folder: Path) -> bool:
    try:
        return around.read(trace_of(folder)) is not None
    except OSError:
        return True  # there is something; it is in doubt only where both copies are gone


def _complaints(copies: list["Copy | str | None"]) -> list[str]:
    return [
        f"{name} {copy or 'is missing'}"
        for name, copy in zip(NAMES, copies, strict=True)
        if not isinstance(copy, Copy)
    ]


def _compare_guests(
    durable: Durable, guests: Collection[str], gone: Collection[str], folder: Path
) -> tuple[str, ...]:
    unknown = sorted(durable.ledgers.keys() - {*guests, *gone})
    if unknown:
        # safety: forgetting a guest's terms would let an old copy of it start one day.
        raise StateError(
            f"The state in {folder} is about {', '.join(unknown)}, which is not configured.",
            "Put the guest back into pair.yaml. If the state is of another pair, set this "
            "machine up again.",
        )
    return tuple(
        f"nothing was ever saved about {guest}: it starts as a new guest"
        for guest in sorted(set(guests) - durable.ledgers.keys())
    )


def _read(disk: Disk, name: str, folder: Path) -> "Copy | str | None":
    """The copy NAME, or what is wrong with it, or None if it is not there."""
    try:
        data = disk.read(name)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if data is None:
        return None
    try:
        return decode(data)
    except Damaged as damage:
        return f"is damaged ({damage})"
    except NotUnderstood as error:
        # safety: a copy that is whole and says something new outweighs an older one.
        raise StateError(
            f"The state in {folder / name} is not for this version of the agent: {error}.",
            "Start the version that wrote it. " + HINT.format(folder=folder),
        ) from error


class Damaged(Exception):
    """These are not the bytes that were written."""


class NotUnderstood(Exception):
    """They are, and this agent does not know what they mean."""


def encode(durable: Durable, counter: int) -> bytes:
    """One copy as it is on disk. Raises BugError for what the format has no place for."""
    plain = _plain(durable)
    for newer in range(VERSION, WRITTEN, -1):
        plain = DOWNGRADES[newer](plain)
    content = {"version": WRITTEN, "counter": counter, "durable": plain}
    checksum = hashlib.sha256(_canonical(content)).hexdigest()
    return json.dumps({"content": content, "sha256": checksum}, indent=1).encode() + b"\n"


def decode(data: bytes) -> Copy:
    """The reverse of `encode`. Raises Damaged or NotUnderstood."""
    try:
        whole = json.loads(data)
    except ValueError as error:
        raise Damaged("it is not JSON") from error
    match whole:
        case {"content": dict() as content, "sha256": str() as checksum}:
            pass
        case _:
            raise Damaged("it has no content or no checksum")
    if hashlib.sha256(_canonical(content)).hexdigest() != checksum:
        raise Damaged("its checksum is wrong")
    version, durable = content.get("version"), content.get("durable")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise NotUnderstood(f"its format is {version}, not {VERSION}")
    for older in range(version, VERSION):
        durable = UPGRADES[older](durable)
    counter = _typed(int, content.get("counter"), "counter")
    return Copy(counter, _typed(Durable, durable, "durable"))


def _from_1(durable: Any) -> Any:
    """There was no maintenance, and only a machine that went down signed a guest off."""
    match durable:
        case {"ledgers": dict() as ledgers, **rest} if "in_maintenance" not in rest:
            upgraded = {guest: _ledger_from_1(ledger) for guest, ledger in ledgers.items()}
            return {**rest, "ledgers": upgraded, "in_maintenance": False}
    raise NotUnderstood("durable is not what that format had")


def _ledger_from_1(ledger: Any) -> Any:
    match ledger:
        case {"farewell": dict() as farewell} if "is_leaving" not in farewell:
            return {**ledger, "farewell": {**farewell, "is_leaving": True}}
        case {"farewell": None}:
            return ledger
    raise NotUnderstood("a ledger is not what that format had")


def _from_2(durable: Any) -> Any:
    """Nobody had ever chosen between two copies, nobody was replaced, the addresses stayed, and
    every guest was to run.
    """
    match durable:
        case {"ledgers": dict() as ledgers, **rest} if "mark" not in rest and all(
            isinstance(ledger, dict) and "choice" not in ledger for ledger in ledgers.values()
        ):
            none = {"choice": _plain(Choice()), "wish": _plain(Wish())}
            upgraded = {guest: {**ledger, **none} for guest, ledger in ledgers.items()}
            return {**rest, "ledgers": upgraded, "mark": "", "lan": _plain(LanChange())}
    raise NotUnderstood("durable is not what that format had")


# What an older format's content is in the next one.
UPGRADES: Mapping[int, Callable[[Any], Any]] = {1: _from_1, 2: _from_2}

# What a format's content is in the one before, for each that is read and not written yet. Each
# raises BugError where that would drop more than a default: as long as the release before may come
# back, nothing of it may be in use.
DOWNGRADES: Mapping[int, Callable[[Any], Any]] = {}


def _canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    """VALUE as what JSON knows. Raises BugError for what could not be read back as it was."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, StrEnum):
        return value.name  # its value is a sentence, and sentences are reworded
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise BugError(f"state: {value!r} cannot be kept")


def _typed(hint: Any, value: Any, where: str) -> Any:
    """VALUE as the type that HINT names: a dataclass with exactly its fields, Mapping[str, X],
    X | None, a StrEnum, or int, float, str, bool. Raises NotUnderstood.
    """
    if get_origin(hint) is UnionType:
        if value is None and NoneType in get_args(hint):
            return None
        (hint,) = (kind for kind in get_args(hint) if kind is not NoneType)
    if is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        if not isinstance(value, dict) or value.keys() != hints.keys():
            raise NotUnderstood(f"{where} does not have the fields {', '.join(hints)}")
        return hint(**{k: _typed(kind, value[k], f"{where}.{k}") for k, kind in hints.items()})
    if get_origin(hint) is Mapping and isinstance(value, dict):
        return {
            key: _typed(get_args(hint)[1], item, f"{where}.{key}") for key, item in value.items()
        }
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        if value not in hint.__members__:
            raise NotUnderstood(f"{where} is {value!r}")
        return hint[value]
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        raise NotUnderstood(f"{where} is {value!r}")
    return value
