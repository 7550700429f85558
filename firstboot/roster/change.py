# SPDX-License-Identifier: MIT
"""One change of the pair's list of guests, and how far it is. Pure: values in, text out, and back.

A machine has one at most, in a file on its stick that is there as long as the change is open.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from ipaddress import IPv4Address

from firstboot.rendering import SECRET, File
from haagent.config import GuestConfig
from haagent.core.wish import BEGINS, Target
from haagent.errors import OperatorError
from haagent.guests.definition import Kind as GuestKind
from haagent.guests.name import checked

PATH = "/state/etc/shoestring/change.json"
VERSION = 2


class Kind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    EDITED = "edited"  # what is set about it; its disk stays as it is
    RENAMED = "renamed"  # its disk stays as it is, and is called otherwise, too
    RESIZED = "resized"  # its disk becomes larger, and nothing else


class Stage(StrEnum):
    """How far a change is, on one machine."""

    BEGUN = "begun"  # nothing of it counts: whatever was made for it may go again
    DROPPED = "dropped"  # it is taken back here; the other machine is still to be told
    DECIDED = "decided"  # it counts, on both, and only has to be carried out


@dataclass(frozen=True, slots=True)
class NewGuest:
    """A guest as its owner wants it; the same on both machines."""

    name: str
    number: int  # of its DRBD device and port
    size: int  # bytes of its volume; 0: as it is
    first_node: int
    mac: str
    memory: int  # MiB
    vcpus: int
    place: int
    pause: int
    address: str = ""  # its own on the LAN, if it is known
    kind: str = GuestKind.PV.value  # how Xen runs it
    begins: str = Target.STARTED.value  # or stopped: until its owner starts it
    slices: tuple[int, ...] = ()  # MiB of each of its disks but the last, which has the rest

    @property
    def config(self) -> GuestConfig:
        """As the agent knows it."""
        return GuestConfig(
            first_node=self.first_node,
            mac=self.mac,
            address=IPv4Address(self.address) if self.address else None,
            memory=self.memory,
            vcpus=self.vcpus,
            disks=(("xvda", f"/dev/drbd{self.number}"),),
            place=self.place,
            pause=self.pause,
            kind=GuestKind(self.kind),
            begins=Target(self.begins),
            slices=self.slices,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """The list NUMBER is the one before it, with or without GUEST, or with it as it is here."""

    number: int
    kind: Kind
    guest: NewGuest
    stage: Stage = Stage.BEGUN
    leads: bool = False  # whether it was asked for at this machine, which sees to its end
    was: str = ""  # what a renamed one was called

    @property
    def listed_as(self) -> str:
        """What the list before it calls the guest, if it has it."""
        return self.was or self.guest.name

    def at(self, stage: Stage) -> "Change":
        return replace(self, stage=stage)

    def is_same_as(self, other: "Change") -> bool:
        """However far each is."""
        mine, theirs = (replace(one, stage=Stage.BEGUN, leads=False) for one in (self, other))
        return mine == theirs

    def __str__(self) -> str:
        return f"the guest {self.listed_as} is being {self.kind}"


def to_file(change: Change) -> File:
    return File(PATH, json.dumps(to_plain(change), indent=1) + "\n", SECRET)


def from_file(file: File | None) -> Change | None:
    """Raises OperatorError for what was not written by `to_file`."""
    if file is None:
        return None
    try:
        return from_plain(json.loads(file.text))
    except ValueError as error:
        raise OperatorError(
            f"{PATH} cannot be understood: {error}.",
            "It tells of a change of the list of guests that was not finished. The guests that"
            " there are run on; ask for help before you delete it.",
        ) from error


def to_plain(change: Change) -> dict[str, object]:
    """Of a guest with one disk, what a release understands that knows no others."""
    plain = {"version": VERSION, **asdict(change)}
    if not change.guest.slices:
        del plain["guest"]["slices"]
    return plain


def from_plain(plain: object) -> Change:
    """Raises ValueError."""
    match plain:
        case {"version": int(version), "guest": dict() as said, **rest} if version == VERSION:
            guest = {**said}
            slices = _slices(guest.pop("slices", []))
            _check(NewGuest, guest)
            if rest.keys() != {"number", "kind", "stage", "leads", "was"}:
                raise ValueError("it has other parts")
            if guest["kind"] not in list(GuestKind):
                raise ValueError(f"the guest is of type {guest['kind']!r:.40}")
            if guest["begins"] not in BEGINS:
                raise ValueError(f"the guest begins {guest['begins']!r:.40}")
            try:
                checked(guest["name"])
                if rest["kind"] == Kind.RENAMED or rest["was"] != "":
                    checked(str(rest["was"]))
            except OperatorError as error:
                raise ValueError(error.message.rstrip(".")) from error
            if type(rest["number"]) is not int or type(rest["leads"]) is not bool:
                raise ValueError("a part of it is of another kind")
            return Change(
                number=rest["number"],
                kind=Kind(str(rest["kind"])),
                guest=NewGuest(**guest, slices=slices),
                stage=Stage(str(rest["stage"])),
                leads=rest["leads"],
                was=str(rest["was"]),
            )
    raise ValueError("it is of another release, or no change at all")


def _slices(said: object) -> tuple[int, ...]:
    if not isinstance(said, list | tuple) or any(type(one) is not int or one < 1 for one in said):
        raise ValueError(f"the guest's slices are {said!r:.80}")
    return tuple(said)


def _check(kind: type[NewGuest], plain: dict[str, object]) -> None:
    kinds = {
        field.name: str if field.type in (str, "str") else int
        for field in fields(kind)
        if field.name != "slices"
    }
    if plain.keys() != kinds.keys():
        raise ValueError("the guest has other parts")
    for name, wanted in kinds.items():
        if type(plain[name]) is not wanted:
            raise ValueError(f"the guest's {name} is {plain[name]!r}")
