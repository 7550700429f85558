# SPDX-License-Identifier: MIT
"""The thread at the stick: nobody waits for it for long, and what it fails at stays lost."""

import stat
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from haagent import keeping
from haagent.core.events import Event, StateLost
from haagent.core.model import Durable, Ledger
from haagent.core.timing import Timing, TimingError
from haagent.errors import BugError
from haagent.keeping import TOO_SLOW, Keeper
from haagent.state import StateError

OLD = Durable({"g": Ledger(2)})
NEW = Durable({"g": Ledger(4)})
NEWER = Durable({"g": Ledger(6)})
LONG = 30.0  # seconds; nothing here takes as long, unless it hangs
SHORT = 0.05


@dataclass
class Stick:
    """A stick that can fail, or hang until it is let go."""

    kept: Durable | None = OLD
    error: Exception | None = None
    looks: int = 0
    is_free: threading.Event = field(default_factory=threading.Event)
    is_looked_at: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.is_free.set()

    def load(self, guests: Collection[str], gone: Collection[str] = ()) -> Durable | None:
        return self.kept

    def save(self, durable: Durable) -> None:
        self._write()
        self.kept = durable

    def look(self) -> None:
        self.looks += 1
        self.is_looked_at.set()
        self._write()

    def _write(self) -> None:
        assert self.is_free.wait(LONG)
        if self.error is not None:
            raise self.error


@pytest.fixture
def stick() -> Iterator[Stick]:
    stick = Stick()
    yield stick
    stick.is_free.set()


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "stick-lost"


def broken(why: str = "Input/output error") -> StateError:
    return StateError("It cannot be written.", "", why)


def test_what_is_saved_is_on_the_stick(stick: Stick, note: Path) -> None:
    keeper = Keeper(stick, LONG, note)
    assert keeper.load(["g"]) == OLD
    keeper.save(NEW)
    assert stick.kept == NEW
    assert not keeper.lost_because and not note.exists()


def test_the_first_failure_is_for_the_rest_of_the_boot(stick: Stick, note: Path) -> None:
    keeper = Keeper(stick, LONG, note)
    keeper.load(["g"])
    stick.error = broken()
    with pytest.raises(StateError, match="Input/output error"):
        keeper.save(NEW)
    stick.error = None
    with pytest.raises(StateError, match="Input/output error"):
        keeper.save(NEW)
    assert stick.kept == OLD
    assert keeper.lost_because == "Input/output error"


def test_a_stick_that_hangs_holds_nobody_up_and_is_not_believed_later(
    stick: Stick, note: Path
) -> None:
    keeper = Keeper(stick, SHORT, note)
    keeper.load(["g"])
    stick.is_free.clear()
    with pytest.raises(StateError, match=TOO_SLOW):
        keeper.save(NEW)
    with pytest.raises(StateError, match=TOO_SLOW):
        keeper.save(NEWER)
    stick.is_free.set()
    with pytest.raises(StateError, match=TOO_SLOW):
        keeper.save(NEWER)
    assert stick.kept != NEWER, "it was written when nobody counted on it any more"


def test_the_next_agent_of_the_boot_knows_what_was_acted_on(stick: Stick, note: Path) -> None:
    """The stick may have one copy of what was not."""
    before = Keeper(stick, LONG, note)
    before.load(["g"])
    before.save(NEW)
    stick.error = broken()
    with pytest.raises(StateError):
        before.save(NEWER)
    stick.error, stick.kept = None, NEWER
    after = Keeper(stick, LONG, note)
    assert after.load(["g"]) == NEW
    assert after.lost_because
    with pytest.raises(StateError):
        after.save(NEWER)
    assert stat.S_IMODE(note.stat().st_mode) == 0o600


def test_a_note_that_cannot_be_read_ends_the_agent(stick: Stick, note: Path) -> None:
    note.write_text("what is this")
    with pytest.raises(StateError, match="cannot be used"):
        Keeper(stick, LONG, note).load(["g"])


def test_the_look_finds_out_before_anything_is_to_be_saved(
    stick: Stick, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOOK", SHORT)
    keeper = Keeper(stick, LONG, note)
    keeper.load(["g"])
    stick.error = broken("Read-only file system")
    posted: list[Event] = []
    keeper.watch(posted.append)
    (event,) = posted
    assert isinstance(event, StateLost)
    assert event.why == "Read-only file system"
    assert stick.looks == 1


def test_the_look_itself_may_hang(
    stick: Stick, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOOK", SHORT)
    monkeypatch.setattr(keeping, "LOOK_LIMIT", SHORT)
    keeper = Keeper(stick, LONG, note)
    keeper.load(["g"])
    stick.is_free.clear()
    posted: list[Event] = []
    keeper.watch(posted.append)
    assert [event.why for event in posted if isinstance(event, StateLost)] == [TOO_SLOW]


def test_what_waited_behind_a_write_that_hung_is_not_written_late(
    stick: Stick, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOOK", SHORT)
    keeper = Keeper(stick, SHORT, note)
    keeper.load(["g"])
    stick.is_free.clear()
    watching = threading.Thread(target=keeper.watch, args=([].append,))
    watching.start()
    assert stick.is_looked_at.wait(LONG)
    with pytest.raises(StateError, match=TOO_SLOW):
        keeper.save(NEW)
    stick.is_free.set()
    watching.join(LONG)
    last = keeping._Job(lambda: None)
    keeper._jobs.put(last)
    assert last.is_done.wait(LONG)
    assert stick.kept == OLD, "it was written when nobody counted on it any more"


def test_a_failed_save_ends_the_looking(stick: Stick, note: Path) -> None:
    keeper = Keeper(stick, LONG, note)
    keeper.load(["g"])
    stick.error = broken()
    with pytest.raises(StateError):
        keeper.save(NEW)
    posted: list[Event] = []
    keeper.watch(posted.append)  # at once, not in a minute
    assert len(posted) == 1 and stick.looks == 0


def test_a_bug_in_the_thread_is_a_bug(stick: Stick, note: Path) -> None:
    keeper = Keeper(stick, LONG, note)
    stick.error = KeyError("g")
    with pytest.raises(BugError, match="KeyError"):
        keeper.save(NEW)


def test_no_save_may_starve_the_watchdog() -> None:
    with pytest.raises(TimingError, match="starves no watchdog"):
        replace(Timing(), save=Timing().watchdog - Timing().feed)
