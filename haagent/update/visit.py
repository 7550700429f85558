# SPDX-License-Identifier: MIT
"""Asks the other machine's door (door.py): what is on its stick, and to install an update."""

import os
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import IO, Protocol

from haagent import config
from haagent.command import Places
from haagent.errors import OperatorError, PeerError
from haagent.update.archive import opened, unreadable
from haagent.update.installing import Progress
from haagent.update.talk import CHUNK, FORMAT, PORT, Talk, call


@dataclass(frozen=True, slots=True)
class Told:
    """What the peer says of its stick; releases as people read them, "" for none."""

    runs: str
    waits: str
    fallen: str
    is_on_trial: bool


class Refused(OperatorError):
    """The peer will not, and says why."""


class Peer(Protocol):
    """The other machine; the tests have one of their own."""

    def standing(self) -> Told: ...
    def install(self, path: Path, progress: Progress, *, is_older_wanted: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Visit:
    """A `Peer` behind the crossover cable."""

    name: str
    address: IPv4Address
    key: bytes
    port: int = PORT

    def standing(self) -> Told:
        """Raises PeerError if it cannot be asked, as while it restarts; and Refused."""
        with call(self.address, self.key, self.port) as talk:
            talk.say({"format": FORMAT, "ask": "standing"})
            match self._heard(talk):
                case {
                    "runs": str(runs),
                    "waits": str(waits),
                    "fallen": str(fallen),
                    "is_on_trial": bool(is_on_trial),
                }:
                    return Told(runs, waits, fallen, is_on_trial)
        raise PeerError("it says nothing about its stick")

    def install(self, path: Path, progress: Progress, *, is_older_wanted: bool) -> None:
        """Returns when the update in PATH is on the peer's stick, and the peer restarts.

        Raises PeerError if the conversation broke off, Refused, and BadUpdate if PATH cannot be
        read any more, as on a USB stick that was pulled.
        """
        with opened(path) as file, call(self.address, self.key, self.port) as talk:
            size = os.fstat(file.fileno()).st_size
            ask = {"ask": "install", "size": size, "older": is_older_wanted}
            talk.say({"format": FORMAT, **ask})
            if self._heard(talk) != {"ready": True}:
                raise PeerError("it does not take the file")
            done = 0
            while piece := _piece(file):
                talk.send(piece)
                done += len(piece)
                progress(f"Sending to {self.name}", done / size)
            while "installed" not in (heard := self._heard(talk)):
                match heard:
                    case {"doing": str(what), "share": int() | float() as share}:
                        progress(f"{what} on {self.name}", float(share))

    def _heard(self, talk: Talk) -> dict[str, object]:
        """Raises Refused if it is that."""
        heard = talk.hear()
        match heard:
            case {"refused": str(why), "do": str(do)}:
                raise Refused(f"{self.name} does not take it. {why}", do)
        return heard


def _piece(file: IO[bytes]) -> bytes:
    try:
        return file.read(CHUNK)
    except OSError as error:
        raise unreadable(error) from error


def peer_of(places: Places) -> Peer:
    """The other machine of this one's pair. Raises ConfigError."""
    found = config.load(places.file, places.cmdline)
    name = found.pair.names[1 - found.pair.me]
    return Visit(name, found.crossover.peer_address, config.read_key(found.key_file))
