# SPDX-License-Identifier: MIT
"""Two machines of a pair whose list of guests changes, and whose power can be cut."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from firstboot.rendering import File
from firstboot.roster import change as changes
from firstboot.roster.change import Change, Kind, NewGuest
from firstboot.roster.part import Part, Standing
from haagent.errors import PeerError, ToolError
from haagent.storage.growth import Progress

WEB = NewGuest(
    name="web",
    number=1,
    size=1 << 30,
    first_node=0,
    mac="00:16:3e:00:00:02",
    memory=512,
    vcpus=1,
    place=50,
    pause=0,
)
OLD = replace(WEB, name="old", number=0, mac="00:16:3e:00:00:01")
BEFORE, AFTER = 3, 4  # numbers of the list


T = TypeVar("T")


class PowerCutError(BaseException):
    """The machine is off, and whatever ran on it is gone."""


@dataclass
class FakeHost:
    """`firstboot.roster.part.Hands` of a machine; its sticks and disks are dictionaries."""

    name: str
    files: dict[str, File] = field(default_factory=dict)
    guests: dict[str, NewGuest] = field(default_factory=lambda: {"old": OLD})
    number: int = BEFORE
    volumes: set[str] = field(default_factory=lambda: {"old"})
    mirrors: dict[str, str] = field(default_factory=lambda: {"old": "lasting"})
    known: set[str] = field(default_factory=lambda: {"old"})  # to the agent that runs
    grown: dict[str, int] = field(default_factory=dict)  # volumes, in bytes
    disks: dict[str, int] = field(default_factory=dict)  # what DRBD has of them
    peer: "FakeHost | None" = None  # that DRBD is connected to
    is_only: bool = False  # there never was another one
    in_the_way: str | None = None
    effects: int = 0
    cut: int | None = None  # after so many effects
    is_off: bool = False

    def boot(self) -> None:
        self.cut, self.is_off = None, False
        self.mirrors = {name: "lasting" for name in self.guests}
        self.known = set(self.guests)

    def read(self, path: str) -> File | None:
        self._lives()
        return self.files.get(path)

    def write(self, file: File) -> None:
        self._effect(lambda: self.files.update({file.path: file}))

    def remove(self, path: str) -> None:
        self._effect(lambda: self.files.pop(path, None))

    def list_number(self) -> int:
        self._lives()
        return self.number

    def lists(self, guest: str) -> bool:
        self._lives()
        return guest in self.guests

    def obstacle(self, change: Change) -> str | None:
        self._lives()
        return self.in_the_way

    def make_disk(self, change: Change) -> None:
        guest = change.guest.name
        assert guest not in self.guests, "it is in use"
        assert guest not in self.mirrors, "DRBD has it"
        self._effect(lambda: self.volumes.add(guest))

    def start_passing_mirror(self, change: Change) -> None:
        assert change.guest.name in self.volumes and change.guest.name not in self.guests
        self._effect(lambda: self.mirrors.update({change.guest.name: "passing"}))

    def disk_size(self, guest: str) -> int | None:
        self._lives()
        return self.disks.get(guest)

    def grow_disk(self, change: Change, show: Progress) -> None:
        guest = change.guest
        assert guest.name in self.mirrors

        def grow() -> None:
            self.grown[guest.name] = guest.size

        for share in (0.5, 1.0):
            self._effect(grow)
            show("Blanking", share)

    def take_disk(self, change: Change, *, waits: bool) -> None:
        guest = change.guest
        if self.is_only:
            assert self.grown[guest.name] == guest.size, "it is not ready"
            self._effect(lambda: self.disks.update({guest.name: guest.size}))
            return
        if not waits:
            self._effect(lambda: None)
            return
        if self.peer is None or self.peer.is_off:
            raise ToolError(("drbdsetup", "resize"), 0, "the other machine is lost")
        hosts = (self, self.peer)
        assert all(host.grown[guest.name] == guest.size for host in hosts), "it is not ready"
        self._effect(lambda: [host.disks.update({guest.name: guest.size}) for host in hosts])

    def stop_mirror(self, guest: str) -> None:
        assert guest not in self.known, "an agent may hold it"
        self._effect(lambda: self.mirrors.pop(guest, None))

    def remove_disk(self, guest: str) -> None:
        assert guest not in self.guests and guest not in self.mirrors
        self._effect(lambda: self.volumes.discard(guest))

    def rename_disk(self, change: Change) -> None:
        was, name = change.was, change.guest.name
        assert was not in self.guests and was not in self.mirrors
        if was in self.volumes:
            self._effect(lambda: self.mirrors.pop(name, None))
            self._effect(lambda: self.volumes.symmetric_difference_update({was, name}))

    def write_list(self, change: Change) -> None:
        def write() -> None:
            if change.kind in (Kind.REMOVED, Kind.RENAMED):
                self.guests.pop(change.listed_as, None)
            if change.kind is not Kind.REMOVED:
                self.guests[change.guest.name] = change.guest
            self.number = change.number

        self._effect(write)

    def start_mirror(self, guest: str) -> None:
        assert guest in self.guests and guest in self.volumes
        assert self.mirrors.get(guest) != "passing"
        self._effect(lambda: self.mirrors.update({guest: "lasting"}))

    def restart_agent(self) -> None:
        self._effect(lambda: setattr(self, "known", set(self.guests)))

    def _lives(self) -> None:
        if self.is_off:
            raise PowerCutError

    def _effect(self, happen: Callable[[], object]) -> None:
        self._lives()
        happen()
        self.effects += 1
        if self.cut is not None:
            self.cut -= 1
            if self.cut == 0:
                self.is_off = True
                raise PowerCutError


class Behind:
    """A machine's part, as the other one reaches it. It may have done what it cannot tell of."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host
        self._part = Part(host, lambda _: None)
        self.is_away = False

    def standing(self) -> Standing:
        return self._told(self._part.standing)

    def begin(self, change: Change) -> None:
        self._told(lambda: self._part.begin(change))

    def prepare(self, number: int) -> None:
        self._told(lambda: self._part.prepare(number))

    def decide(self, change: Change) -> None:
        self._told(lambda: self._part.decide(change))

    def disk_size(self, guest: str) -> int | None:
        return self._told(lambda: self._part.disk_size(guest))

    def carry_out(self) -> None:
        self._told(self._part.carry_out)

    def drop(self, number: int, *, keeps_word: bool = False) -> None:
        self._told(lambda: self._part.drop(number, keeps_word=keeps_word))

    def _told(self, act: Callable[[], T]) -> T:
        if self.is_away:
            raise PeerError("the cable is out")
        try:
            return act()
        except PowerCutError:
            raise PeerError("it fell silent") from None


def is_open(host: FakeHost) -> bool:
    return changes.PATH in host.files
