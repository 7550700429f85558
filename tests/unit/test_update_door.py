# SPDX-License-Identifier: MIT
"""What goes over the crossover for an update: both ends are the real ones, and so is the socket."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from haagent import config
from haagent.command import Places
from haagent.console.snapshot import Snapshot
from haagent.errors import PeerError, ShoestringError
from haagent.update import door, machine, source, talk
from haagent.update.machine import Ground
from haagent.update.slots import Intent
from haagent.update.visit import Refused, Told, Visit
from tests.unit.fake_state import WELL, elsewhere, look
from tests.unit.fake_stick import (
    CMDLINE,
    KEY,
    NEW,
    OLD,
    PACK,
    FakeStick,
    ground_of,
    grub_starts,
    pairs,
    update_file,
)
from tests.unit.test_config import Machine

LIMIT = 20.0  # seconds; nothing here takes a tenth of it


@dataclass
class Berta:
    """The machine without guests, with systemd in front of its door."""

    folder: Path
    stick: FakeStick
    shown: Snapshot
    ran: list[str] = field(default_factory=list)
    ended: list[BaseException | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = Machine(self.folder)
        made.cmdline.write_text(CMDLINE)
        self.places = Places(made.file, made.cmdline, self.folder, self.folder / "none", self.run)
        self.key = config.read_key(config.load(made.file, made.cmdline).key_file)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def run(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        self.ran.append(" ".join(argv))
        return ""

    @property
    def ground(self) -> Ground:
        return ground_of(self.folder, self.stick)

    def visit(self, key: bytes | None = None) -> Visit:
        port = self.listener.getsockname()[1]
        return Visit("berta", IPv4Address("127.0.0.1"), key or self.key, port)

    def _listen(self) -> None:
        while True:
            try:
                call, _ = self.listener.accept()
            except OSError:
                return
            try:
                door.answer(self.places, self.ground, call)
            except ShoestringError as error:
                self.ended.append(error)
            else:
                self.ended.append(None)

    def stop(self) -> None:
        """All calls that came are over. Also twice."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(LIMIT)
        self.listener.close()

    @property
    def is_untouched(self) -> bool:
        left = list(self.ground.fetched.glob("*")) if self.ground.fetched.exists() else []
        return self.stick.steps == 0 and not self.ran and not left


@pytest.fixture
def berta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Berta]:
    PACK.write_public(KEY, tmp_path / "update.pub")
    pairs(tmp_path)
    stick = FakeStick().holds("a", OLD).intends(Intent("a"))
    made = Berta(tmp_path, stick, look(elsewhere(WELL)))
    monkeypatch.setattr(machine, "snapshot", lambda places: made.shown)
    yield made
    made.stop()


def test_a_file_is_taken_checked_and_installed_and_the_machine_restarts(
    berta: Berta, tmp_path: Path
) -> None:
    path = update_file(tmp_path)
    said: list[str] = []
    berta.visit().install(path, lambda what, share: said.append(what), is_older_wanted=False)
    berta.stop()
    steps = ["Sending to berta", "Checking on berta", "Writing on berta", "Reading back on berta"]
    assert list(dict.fromkeys(said)) == steps
    assert grub_starts(berta.stick) == NEW
    assert berta.ran == ["systemctl reboot"]
    assert list(berta.ground.fetched.glob("*")) == []


def test_its_stick_is_told_of(berta: Berta) -> None:
    assert berta.visit().standing() == Told(OLD, "", "", False)
    berta.stick.holds("b", NEW).intends(Intent("a", 3, fallen="b"))
    assert berta.visit().standing() == Told(OLD, "", NEW, False)
    berta.stick.intends(Intent("a", 2, other="b"))
    assert berta.visit().standing().is_on_trial


@pytest.mark.parametrize("ask", ["standing", "install"])
def test_without_the_key_of_the_pair_nothing_is_answered(
    berta: Berta, tmp_path: Path, ask: str
) -> None:
    stranger = berta.visit(key=b"s" * 32)
    with pytest.raises(PeerError):
        if ask == "standing":
            stranger.standing()
        else:
            stranger.install(update_file(tmp_path), lambda *_: None, is_older_wanted=True)
    berta.stop()
    assert berta.is_untouched
    assert [str(error) for error in berta.ended] == ["it does not have the key of this pair"]


def test_a_door_without_the_key_is_told_nothing(tmp_path: Path) -> None:
    here, there = socket.socketpair()
    failed: list[PeerError] = []

    def impostor() -> None:
        try:
            talk.Talk(there, b"s" * 32, is_caller=False)
        except PeerError as error:
            failed.append(error)

    thread = threading.Thread(target=impostor)
    thread.start()
    with pytest.raises(PeerError):
        talk.Talk(here, b"k" * 32, is_caller=True)
    thread.join(LIMIT)
    assert failed


def test_a_machine_with_a_guest_refuses_before_the_file_is_sent(
    berta: Berta, tmp_path: Path
) -> None:
    berta.shown = look(WELL)
    said: list[str] = []
    with pytest.raises(Refused, match=r"berta does not take it\. .*counter runs on") as refused:
        berta.visit().install(
            update_file(tmp_path), lambda what, _: said.append(what), is_older_wanted=False
        )
    assert "maintenance on" in refused.value.hint
    assert said == [] and berta.is_untouched


def test_what_is_damaged_on_the_way_is_refused(berta: Berta, tmp_path: Path) -> None:
    path = update_file(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:9000] + bytes([data[9000] ^ 1]) + data[9001:])
    with pytest.raises(Refused, match="not whole"):
        berta.visit().install(path, lambda *_: None, is_older_wanted=False)
    berta.stop()
    assert berta.is_untouched


def test_one_that_is_not_newer_takes_a_word(berta: Berta, tmp_path: Path) -> None:
    path = update_file(tmp_path, OLD)
    with pytest.raises(Refused, match=r"It is 0\.1\.0, and 0\.1\.0 runs"):
        berta.visit().install(path, lambda *_: None, is_older_wanted=False)
    assert berta.is_untouched
    berta.visit().install(path, lambda *_: None, is_older_wanted=True)
    berta.stop()
    assert berta.ran == ["systemctl reboot"]


def test_a_caller_that_dies_on_the_way_leaves_nothing(berta: Berta, tmp_path: Path) -> None:
    path = update_file(tmp_path)
    with talk.call(IPv4Address("127.0.0.1"), berta.key, berta.visit().port) as conversation:
        size = path.stat().st_size
        conversation.say({"format": 1, "ask": "install", "size": size, "older": False})
        assert conversation.hear() == {"ready": True}
        conversation.send(path.read_bytes()[:1000])
    berta.stop()
    assert berta.is_untouched
    assert isinstance(berta.ended[0], PeerError)


def test_what_does_not_fit_is_not_even_sent(
    berta: Berta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "room", lambda folder: 1000)
    with pytest.raises(Refused, match="has room for"):
        berta.visit().install(update_file(tmp_path), lambda *_: None, is_older_wanted=False)
    assert berta.is_untouched


@pytest.mark.parametrize(
    "words", [{}, {"ask": "standing"}, {"format": 1, "ask": "format the disk"}, {"format": "1"}]
)
def test_what_is_not_understood_is_refused(berta: Berta, words: dict[str, object]) -> None:
    with talk.call(IPv4Address("127.0.0.1"), berta.key, berta.visit().port) as conversation:
        conversation.say(words)
        assert "does not know what it is asked for" in str(conversation.hear()["refused"])
    assert berta.is_untouched
