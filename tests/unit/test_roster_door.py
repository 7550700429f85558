# SPDX-License-Identifier: MIT
"""A change of the list of guests over a real connection, as the leading machine asks for it."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import pytest

from firstboot.roster import change as changes
from firstboot.roster import door as doors
from firstboot.roster.door import Other, Refused, serve, telling
from firstboot.roster.leading import lead, settle
from firstboot.roster.part import Part, Standing
from haagent.alone import in_turn
from haagent.command import Places
from haagent.errors import BugError, PeerError, ShoestringError
from haagent.update.talk import FORMAT, Talk, call
from tests.unit.fake_roster import AFTER, BEFORE, FakeHost, PowerCutError, is_open
from tests.unit.test_roster import ADD, REMOVE, RESIZE

KEY = bytes(range(32))
LOCAL = IPv4Address("127.0.0.1")


class Door:
    """The other machine's, for one call after the other."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self._listening = socket.create_server((str(LOCAL), 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = self._listening.accept()
                with (
                    contextlib.suppress(ShoestringError, PowerCutError),
                    Talk(connected, KEY, is_caller=False) as talk,
                ):
                    serve(talk, talk.hear(), Part(self.host, print, telling(talk)))

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door(FakeHost("b"))
    yield door
    door.close()


@pytest.fixture
def other(door: Door) -> Other:
    return Other("berta", LOCAL, KEY, door.port)


def test_a_guest_comes_and_goes_on_both(door: Door, other: Other) -> None:
    a = FakeHost("a")
    here = Part(a, print)
    assert other.standing() == Standing(BEFORE, None)
    lead(ADD, here, other, lambda: None)
    assert other.standing() == here.standing() == Standing(AFTER, None)
    assert door.host.guests == a.guests and "web" in a.guests
    lead(replace(REMOVE, number=AFTER + 1), here, other, lambda: None)
    assert door.host.guests == a.guests and set(a.guests) == {"web"}


def test_a_disk_grows_and_how_far_it_is_is_told(
    door: Door, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "SAYS", 0.0)
    a = FakeHost("a", peer=door.host)
    shown: list[tuple[str, float]] = []
    there = replace(other, show=lambda what, share: shown.append((what, share)))
    lead(RESIZE, Part(a, print), there, lambda: None)
    assert shown == [("Blanking on berta", 0.5), ("Blanking on berta", 1.0)]
    assert there.disk_size("old") == a.disks["old"] == RESIZE.guest.size
    assert there.disk_size("web") is None


def test_who_is_asked_often_tells_now_and_then(
    door: Door, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = FakeHost("a", peer=door.host)
    shown: list[float] = []
    there = replace(other, show=lambda what, share: shown.append(share))
    lead(RESIZE, Part(a, print), there, lambda: None)
    assert shown == [0.5], "two seconds later at the earliest"


def test_it_says_what_is_open_and_that_it_does_not_lead(door: Door, other: Other) -> None:
    other.begin(replace(ADD, leads=True))
    assert other.standing() == Standing(BEFORE, ADD)
    other.prepare(AFTER)
    assert door.host.mirrors["web"] == "passing"
    other.drop(AFTER)
    assert other.standing() == Standing(BEFORE, None)
    with pytest.raises(BugError):
        other.drop(AFTER, keeps_word=True)


def test_what_it_refuses_is_told_in_its_own_words(door: Door, other: Other) -> None:
    door.host.in_the_way = "the data disk of berta has 3 MiB free, and it takes 1028."
    a = FakeHost("a")
    with pytest.raises(Refused, match="berta: Nothing was begun: the data disk") as caught:
        lead(ADD, Part(a, print), other, lambda: None)
    assert caught.value.hint == "Put that right, and say it again."
    assert not is_open(a) and a.volumes == {"old"}


def test_a_machine_that_falls_silent_is_told_later(door: Door, other: Other) -> None:
    a = FakeHost("a")
    here = Part(a, print)
    door.host.cut = 2  # effects: it has begun, and made a volume
    with pytest.raises(PeerError):
        lead(ADD, here, other, lambda: None)
    with pytest.raises(PeerError):
        settle(here, other)
    door.host.boot()
    assert door.host.volumes == {"old", "web"}
    settle(here, other)
    assert door.host.volumes == {"old"} and not is_open(a) and not is_open(door.host)


@pytest.mark.parametrize(
    "asked",
    [
        {"verb": "copy"},
        {"verb": "prepare", "number": "4"},
        {"verb": "begin"},
        {},
    ],
)
def test_what_is_not_understood_is_refused(door: Door, asked: dict[str, object]) -> None:
    with call(LOCAL, KEY, door.port) as talk:
        talk.say({"format": FORMAT, "ask": "list", **asked})
        assert "does not know what it is asked for" in talk.hear()["refused"]


def test_half_a_change_is_not_acted_on(door: Door) -> None:
    half = changes.to_plain(ADD)
    del half["kind"]
    with call(LOCAL, KEY, door.port) as talk:
        talk.say({"format": FORMAT, "ask": "list", "verb": "begin", "change": half})
        with pytest.raises(PeerError):
            talk.hear()
    assert not is_open(door.host)


def test_whoever_has_no_key_is_not_served(door: Door, other: Other) -> None:
    with pytest.raises(PeerError, match="key of this pair"):
        replace(other, key=bytes(32)).begin(ADD)
    assert not is_open(door.host)
    assert other.standing().change is None, "and the next one is"


def test_what_changes_something_waits_for_what_is_at_it_still(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its caller was lost, and `drop` comes before `prepare` is done. Who looks does not wait."""
    done: list[object] = []
    monkeypatch.setattr(doors, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(doors, "serve", lambda talk, request, part: done.append(request["verb"]))

    def asks(verb: str) -> None:
        doors.serve_here(cast(Talk, None), {"verb": verb}, Places())

    dropping = threading.Thread(target=asks, args=("drop",))
    with in_turn(doors.LOCK):
        dropping.start()
        for verb in doors.LOOKS:
            asks(verb)
        dropping.join(0.2)
        assert done == [*doors.LOOKS]
    dropping.join(10)
    assert done == [*doors.LOOKS, "drop"]
