# SPDX-License-Identifier: MIT
"""What the two machines say to each other about a change of the list of guests: the one that leads
asks, the other one does what is asked for and answers. A conversation for each of leading.Side's.

Who leads must not believe more than that it was done: each was read back where it was done.
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from firstboot.roster import change as changes
from firstboot.roster.change import Change
from firstboot.roster.part import Part, Standing
from haagent.alone import in_turn
from haagent.command import Places
from haagent.errors import BugError, OperatorError, PeerError, ShoestringError
from haagent.storage.growth import Progress
from haagent.update.door import LIST
from haagent.update.talk import FORMAT, PORT, Talk, call

LOCK = Path("/run/shoestring/list-door.lock")
LOOKS = ("standing", "disk")  # verbs that change nothing
SAYS = 2.0  # seconds from one word about how far it is to the next; talk.PATIENCE is far longer


class Refused(OperatorError):
    """The other machine will not, and says why."""


@dataclass(frozen=True, slots=True)
class Other:
    """The other machine's side, behind the crossover."""

    name: str
    address: IPv4Address
    key: bytes
    port: int = PORT
    show: Progress = lambda what, share: None

    def standing(self) -> Standing:
        told = self._ask("standing")
        match told:
            case {"number": int(number), "change": change}:
                return Standing(number, None if change is None else _understood(change))
        raise PeerError("it says nothing about its list of guests")

    def disk_size(self, guest: str) -> int | None:
        match self._ask("disk", guest=guest):
            case {"size": int() | None as size}:
                return size
        raise PeerError("it says nothing about the size of a disk")

    def begin(self, change: Change) -> None:
        self._ask("begin", change=changes.to_plain(change))

    def prepare(self, number: int) -> None:
        self._ask("prepare", number=number)

    def decide(self, change: Change) -> None:
        self._ask("decide", change=changes.to_plain(change))

    def carry_out(self) -> None:
        self._ask("carry out")

    def drop(self, number: int, *, keeps_word: bool = False) -> None:
        if keeps_word:
            raise BugError("only who leads keeps the word")
        self._ask("drop", number=number)

    def _ask(self, verb: str, **more: object) -> dict[str, Any]:
        with call(self.address, self.key, self.port) as talk:
            talk.say({"format": FORMAT, "ask": LIST, "verb": verb, **more})
            while "doing" in (told := talk.hear()):
                match told:
                    case {"doing": str(what), "share": int() | float() as share}:
                        self.show(f"{what} on {self.name}", share)
        match told:
            case {"refused": str(why), "do": str(do)}:
                raise Refused(f"{self.name}: {why}", do)
            case {"done": dict(done)}:
                return done
        raise PeerError(f"it answers {told!r:.100}")


def serve(talk: Talk, request: Mapping[str, Any], part: Part) -> None:
    """Does what REQUEST, the first message, asks for, and answers. Raises PeerError if nobody
    listens any more, and whatever went wrong: it was told.
    """
    try:
        done = _act(request, part)
    except PeerError:
        raise
    except ShoestringError as error:
        hint = error.hint if isinstance(error, OperatorError) else "Its journal may say more."
        talk.say({"refused": str(error), "do": hint})
        raise
    talk.say({"done": done})


def serve_here(talk: Talk, request: Mapping[str, Any], places: Places) -> None:
    """The same, with this machine's own part, one act at a time: who was called before, and lost
    its caller, may be at it still.
    """
    from firstboot.roster.machine import Changing

    part = Part(Changing(places.run), lambda text: print(text, flush=True), telling(talk))
    with contextlib.nullcontext() if request.get("verb") in LOOKS else in_turn(LOCK):
        serve(talk, request, part)


def telling(talk: Talk) -> Progress:
    """How far it is, now and then."""
    said = 0.0

    def show(what: str, share: float) -> None:
        nonlocal said
        if (now := time.monotonic()) - said >= SAYS:
            said = now
            talk.say({"doing": what, "share": share})

    return show


def _act(request: Mapping[str, Any], part: Part) -> dict[str, object]:
    """What there is to tell. Raises OperatorError for what is not understood."""
    match request:
        case {"verb": "standing"}:
            return _told(part.standing())
        case {"verb": "disk", "guest": str(guest)}:
            return {"size": part.disk_size(guest)}
        case {"verb": "begin", "change": change}:
            # safety: there is one leader, and it is not the one that is called.
            part.begin(replace(_understood(change), leads=False))
        case {"verb": "prepare", "number": int(number)}:
            part.prepare(number)
        case {"verb": "decide", "change": change}:
            part.decide(_understood(change))
        case {"verb": "carry out"}:
            part.carry_out()
        case {"verb": "drop", "number": int(number)}:
            part.drop(number)
        case _:
            raise OperatorError(
                "This machine's release does not know what it is asked for.",
                "Bring both machines to one release with `shoestring update`.",
            )
    return {}


def _told(standing: Standing) -> dict[str, object]:
    open_one = standing.change
    return {
        "number": standing.number,
        "change": None if open_one is None else changes.to_plain(open_one),
    }


def _understood(plain: object) -> Change:
    """Raises PeerError."""
    try:
        return changes.from_plain(plain)
    except ValueError as error:
        raise PeerError(f"a change cannot be understood: {error}") from error
