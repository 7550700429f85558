# SPDX-License-Identifier: MIT
"""Owns what a backup says of itself before its blocks. Pure: values <-> JSON."""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from haagent.backup import naming
from haagent.backup.definition import mapping
from haagent.backup.layout import (
    BLOCK_SIZES,
    LONGEST_CHAIN,
    MOST_BLOCKS,
    MOST_DISKS,
    fitting_block,
)
from haagent.backup.naming import Kind, Name
from haagent.errors import OperatorError
from haagent.guests.name import checked

ID = re.compile("[0-9a-f]{32}", re.ASCII)
DIGEST = re.compile("[0-9a-f]{64}", re.ASCII)
KEYS = {"id", "guest", "at", "definition", "block", "disks", "base", "depth"}


@dataclass(frozen=True, slots=True)
class Disk:
    """One of the guest's disks."""

    name: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Base:
    """The backup that an incremental one builds on."""

    name: str  # as its file should be called; what counts is the rest
    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Head:
    """Raises ValueError if one could not be read again."""

    id: str
    guest: str
    at: datetime  # UTC, to the minute
    definition: str  # YAML text
    block: int  # bytes
    disks: tuple[Disk, ...]
    base: Base | None = None
    depth: int = 0  # how many backups are below it

    def __post_init__(self) -> None:
        if ID.fullmatch(self.id) is None:
            raise ValueError("its id is wrong")
        try:
            for name in (self.guest, *(disk.name for disk in self.disks)):
                checked(name)
        except OperatorError as error:
            raise ValueError(f"a guest or a disk cannot be called {name!r:.40}") from error
        if not 1 <= len({disk.name for disk in self.disks}) == len(self.disks) <= MOST_DISKS:
            raise ValueError("it has no disks, too many, or two of one name")
        if self.block not in BLOCK_SIZES or any(disk.size <= 0 for disk in self.disks):
            raise ValueError("the sizes of its blocks or disks cannot be")
        if self.blocks > MOST_BLOCKS:
            raise ValueError("its disks are too large for its blocks")
        if not 0 <= self.depth <= LONGEST_CHAIN or (self.depth > 0) != (self.base is not None):
            raise ValueError("its base is not told as it should be")
        mapping(self.definition)

    @property
    def kind(self) -> Kind:
        return Kind.FULL if self.base is None else Kind.INCREMENTAL

    @property
    def name(self) -> Name:
        return Name(self.guest, self.at, self.kind)

    @property
    def size(self) -> int:
        """Bytes of all disks."""
        return sum(disk.size for disk in self.disks)

    @property
    def blocks(self) -> int:
        """Blocks of all disks."""
        return self.firsts[-1]

    @property
    def firsts(self) -> list[int]:
        """Each disk's first block among those of all disks; behind them, how many there are."""
        return list(accumulate((-(-disk.size // self.block) for disk in self.disks), initial=0))


def offspring(
    guest: str,
    at: datetime,
    definition: str,
    disks: Sequence[Disk],
    base: tuple[Head, bytes] | None = None,
) -> Head:
    """The head of a new backup; BASE is the head and the digest of what it shall build on.

    Raises OperatorError.
    """
    under, digest = base or (None, b"")
    if under is not None and (under.guest != guest or under.depth >= LONGEST_CHAIN):
        raise OperatorError(
            f"{under.name} cannot be the base of a backup of {guest}: it is another guest's, or "
            f"{under.depth} incremental backups lead to it. Nothing was written.",
            "Make a full backup.",
        )
    try:
        return Head(
            id=secrets.token_hex(16),
            guest=guest,
            at=at.astimezone(UTC).replace(second=0, microsecond=0),
            definition=definition,
            block=under.block if under else fitting_block([disk.size for disk in disks]),
            disks=tuple(disks),
            base=Base(str(under.name), under.id, digest.hex()) if under else None,
            depth=under.depth + 1 if under else 0,
        )
    except ValueError as error:
        raise OperatorError(
            f"The guest {guest!r:.40} cannot be backed up: {error}. Nothing was written.",
            "If its disks have grown much, a full backup may do; else correct its definition.",
        ) from error


def text(head: Head) -> bytes:
    """As it is in the file; `parse` is the reverse."""
    base = head.base
    content = {
        "id": head.id,
        "guest": head.guest,
        "at": naming.stamp(head.at),
        "definition": head.definition,
        "block": head.block,
        "disks": [{"name": disk.name, "bytes": disk.size} for disk in head.disks],
        "base": base and {"name": base.name, "id": base.id, "digest": base.digest},
        "depth": head.depth,
    }
    return json.dumps(content, ensure_ascii=False).encode()


def parse(data: bytes) -> Head:
    """DATA, understood in full. Raises ValueError."""
    try:
        content = json.loads(data)
        if not isinstance(content, dict) or set(content) != KEYS:
            raise ValueError("it does not say what it should")
        return _understood(content)
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("it is not as it should be") from error


def _understood(content: Mapping[str, Any]) -> Head:
    disks = content["disks"]
    for disk in disks:
        if set(disk) != {"name", "bytes"}:
            raise ValueError("a disk has a name and a size")
    return Head(
        id=_text(content["id"]),
        guest=_text(content["guest"]),
        at=naming.moment(_text(content["at"])),
        definition=_text(content["definition"]),
        block=_number(content["block"]),
        disks=tuple(Disk(_text(disk["name"]), _number(disk["bytes"])) for disk in disks),
        base=None if content["base"] is None else _base(content["base"]),
        depth=_number(content["depth"]),
    )


def _base(content: Mapping[str, Any]) -> Base:
    if set(content) != {"name", "id", "digest"}:
        raise ValueError("a base has a name, an id and a digest")
    name, id, digest = (_text(content[key]) for key in ("name", "id", "digest"))
    if naming.parse(name) is None or not ID.fullmatch(id) or not DIGEST.fullmatch(digest):
        raise ValueError("its base cannot be called that")
    return Base(name, id, digest)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is missing")
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise ValueError("a number is missing")
    return value
