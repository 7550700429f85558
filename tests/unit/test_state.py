# SPDX-License-Identifier: MIT
"""The agent's state on disk: what survives a power cut at any moment, and what is refused."""

import hashlib
import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from haagent import state
from haagent.core.model import (
    Choice,
    Durable,
    Evidence,
    Farewell,
    Figures,
    LanChange,
    LanStage,
    Ledger,
)
from haagent.core.wish import Target, Wish
from haagent.errors import BugError
from haagent.folder import Folder
from haagent.state import (
    NAMES,
    NotUnderstood,
    StateError,
    StateFile,
    decode,
    encode,
    examine,
)
from tests import state_golden
from tests.decoders import differences, flaws
from tests.unit.fake_disk import ForgetfulDisk, PowerCut, altered, damage

A, B = NAMES
STEPS = 7  # of a save: the folder; write, rename, sync for each copy
FIRST_STEPS = STEPS + 2  # then the trace: write, sync
DATA = Path(__file__).parent.parent / "data" / "state"
GUESTS = ("counter",)
OLD = Durable({"counter": Ledger(term=0)})
NEW = Durable({"counter": Ledger(term=2, promise=1, stands_down=True, held_in="boot")})
CHOICE = Choice(7, 1, "20260102-0304", is_open=True, is_agreed=True, is_kept=True)
FULL = Durable(
    {
        "counter": Ledger(
            term=6,
            theirs=5,
            alone=Evidence.GATEWAY,
            by_operator=True,
            promise=3,
            stands_down=True,
            evidence=2,
            returned=1,
            farewell=Farewell("0b5e", 5, is_leaving=True),
            is_parted=True,
            held_in="1c2d",
            choice=CHOICE,
            wish=Wish(5, Target.OFF),
        ),
        "mail": Ledger(term=1),
    },
    Figures(is_armed=True, self_fence=8.0, watchdog=5.0, feed=1.0),
    in_maintenance=True,
    mark="5eed",
    lan=LanChange(3, "10.0.2.11/24", "10.0.2.12/24", "10.0.2.1", LanStage.PROVEN, "1c2d"),
)


def loaded(disk: ForgetfulDisk) -> StateFile:
    state = StateFile(Path("/nowhere"), disk)
    state.load(GUESTS)
    return state


def with_old_state() -> ForgetfulDisk:
    disk = ForgetfulDisk()
    loaded(disk).save(OLD)
    return disk


def read(disk: ForgetfulDisk) -> Durable | None:
    return StateFile(Path("/nowhere"), disk).load(GUESTS)


@pytest.mark.parametrize("steps", range(STEPS))
def test_a_power_cut_in_a_save_leaves_the_old_or_the_new_state(steps: int) -> None:
    disk = with_old_state()
    state = loaded(disk)
    disk.steps_left = steps
    with pytest.raises(PowerCut):
        state.save(NEW)
    for survivor in disk.survivors():
        assert read(survivor) in (OLD, NEW)
        # And what was found is kept from then on, whatever happens to either copy.
        assert_survives_damage(survivor)


def test_a_save_has_no_further_step() -> None:
    for disk, steps in ((with_old_state(), STEPS), (ForgetfulDisk(), FIRST_STEPS)):
        state = loaded(disk)
        disk.steps_left = steps
        state.save(NEW)
        assert not disk.steps_left


@pytest.mark.parametrize("steps", range(FIRST_STEPS))
def test_a_power_cut_in_the_first_save_leaves_nothing_or_the_state(steps: int) -> None:
    disk = ForgetfulDisk()
    state = loaded(disk)
    disk.steps_left = steps
    with pytest.raises(PowerCut):
        state.save(NEW)
    for survivor in disk.survivors():
        assert read(survivor) in (None, NEW)


def test_what_was_saved_is_on_the_medium_when_save_returns() -> None:
    disk = with_old_state()
    loaded(disk).save(NEW)
    for survivor in disk.survivors():
        assert read(survivor) == NEW


def assert_survives_damage(disk: ForgetfulDisk) -> None:
    before = read(disk)
    for name in NAMES:
        for bad in (b"", b"\xff", damage(disk.medium[name]), disk.medium[name][:-40]):
            state = StateFile(Path("/nowhere"), ForgetfulDisk({**disk.medium, name: bad}))
            assert state.load(GUESTS) == before
            assert name in state.warnings[0]


def test_one_damaged_copy_costs_nothing_and_is_reported() -> None:
    disk = with_old_state()
    loaded(disk).save(NEW)
    assert read(disk) == NEW
    assert_survives_damage(disk)


def test_a_damaged_copy_is_replaced_at_once() -> None:
    disk = with_old_state()
    disk.medium[A] = damage(disk.medium[A])
    read(disk)
    disk.medium[B] = damage(disk.medium[B])
    assert read(disk) == OLD


def test_the_copy_in_doubt_is_replaced_first() -> None:
    for bad, weaker in ((A, 0), (B, 1)):
        disk = with_old_state()
        disk.medium[bad] = damage(disk.medium[bad])
        assert examine(Path("/nowhere"), GUESTS, disk).weaker == weaker
    older = ForgetfulDisk({A: encode(OLD, 5), B: encode(NEW, 6)})
    assert examine(Path("/nowhere"), GUESTS, older).weaker == 0


def test_a_lost_copy_is_reported() -> None:
    disk = with_old_state()
    loaded(disk).save(NEW)
    del disk.medium[B]
    state = loaded(disk)
    assert state.warnings == (f"{B} is missing",)


def test_two_damaged_copies_are_refused_and_left_alone() -> None:
    disk = with_old_state()
    for name in NAMES:
        disk.medium[name] = damage(disk.medium[name])
    before = dict(disk.medium)
    state = StateFile(Path("/nowhere"), disk)
    with pytest.raises(StateError, match="lost"):
        state.load(GUESTS)
    with pytest.raises(BugError):
        state.save(NEW)
    assert disk.medium == before


def test_one_damaged_and_one_missing_copy_are_refused() -> None:
    disk = with_old_state()
    disk.medium[A] = damage(disk.medium[A])
    del disk.medium[B]
    with pytest.raises(StateError, match="lost"):
        read(disk)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"version": 3', '"version": 4'),
        ('"version": 3', '"version": 0'),
        ('"version": 3', '"version": true'),
        ('"version": 3', '"version": 1'),
        ('"version": 3', '"version": 2'),
        ('"by_operator": false', '"by_operator": 0'),
        ('"term": 0', '"term": "0"'),
        ('"term": 0', '"term": true'),
        ('"alone": null', '"alone": "a guess"'),
        ('"held_in"', '"held_at"'),
        ('"peer_figures": null', '"peer_figures": null, "more": 1'),
        ('"in_maintenance": false', '"in_maintenance": 0'),
        (
            '"peer_figures": null',
            '"peer_figures": {"is_armed": true, "self_fence": Infinity, "watchdog": 5.0, '
            '"feed": 1.0}',
        ),
    ],
)
def test_what_is_whole_but_not_understood_is_refused(name: str, old: str, new: str) -> None:
    disk = with_old_state()
    disk.medium[name] = altered(disk.medium[name], old, new)
    before = dict(disk.medium)
    with pytest.raises(StateError, match="not for this version"):
        read(disk)
    assert disk.medium == before


def test_copies_that_contradict_each_other_are_refused() -> None:
    disk = ForgetfulDisk({A: encode(OLD, 5), B: encode(NEW, 5)})
    with pytest.raises(StateError, match="contradict"):
        read(disk)


def test_the_higher_counter_wins() -> None:
    assert read(ForgetfulDisk({A: encode(OLD, 5), B: encode(NEW, 6)})) == NEW
    assert read(ForgetfulDisk({A: encode(NEW, 10), B: encode(OLD, 9)})) == NEW


def test_a_guest_that_is_not_configured_is_refused() -> None:
    disk = with_old_state()
    with pytest.raises(StateError, match="counter, which is not configured"):
        StateFile(Path("/nowhere"), disk).load(["mail"])


def test_a_guest_that_is_gone_is_not_missed() -> None:
    state = StateFile(Path("/nowhere"), with_old_state())
    assert state.load(["mail"], ["counter"]) == OLD


def test_a_new_guest_is_reported_and_left_to_the_core() -> None:
    state = StateFile(Path("/nowhere"), with_old_state())
    assert state.load(["counter", "mail"]) == OLD
    assert state.warnings == ("nothing was ever saved about mail: it starts as a new guest",)


def test_it_must_be_loaded_before_it_is_saved() -> None:
    with pytest.raises(BugError):
        StateFile(Path("/nowhere"), ForgetfulDisk()).save(NEW)


def test_what_cannot_be_read_back_is_not_saved() -> None:
    figures = Figures(is_armed=True, self_fence=float("-inf"), watchdog=5.0, feed=1.0)
    with pytest.raises(BugError):
        loaded(ForgetfulDisk()).save(replace(NEW, peer_figures=figures))


def test_everything_is_read_back_as_it_was() -> None:
    assert decode(encode(FULL, 7)).durable == FULL
    assert decode(encode(FULL, 7)).counter == 7


def test_nothing_that_is_kept_is_left_out_of_the_tests() -> None:
    assert [f.name for f in fields(Durable) if getattr(FULL, f.name) == getattr(OLD, f.name)] == []
    full, usual = FULL.ledgers["counter"], Ledger(term=0)
    assert [f.name for f in fields(Ledger) if getattr(full, f.name) == getattr(usual, f.name)] == []


def test_the_golden_file_of_version_1() -> None:
    """It knew of no maintenance, and of no farewell but that of a machine that went down."""
    copy = decode((DATA / "version-1.json").read_bytes())
    assert copy.durable == replace(without_words(), in_maintenance=False)
    assert copy.counter == 42


def without_words() -> Durable:
    """What older versions could say."""
    ledgers = {
        guest: replace(ledger, choice=Choice(), wish=Wish())
        for guest, ledger in FULL.ledgers.items()
    }
    return replace(FULL, ledgers=ledgers, mark="", lan=LanChange())


def test_the_golden_file_of_version_2() -> None:
    """Nobody could choose between two copies yet, and it knew of no pair but one."""
    assert decode((DATA / "version-2.json").read_bytes()).durable == without_words()


def test_the_golden_file_of_version_3() -> None:
    golden = (DATA / "version-3.json").read_bytes()
    assert decode(golden).durable == FULL
    assert encode(FULL, 42) == golden


def test_a_state_of_version_1_is_taken_over_and_written_anew(tmp_path: Path) -> None:
    old = (DATA / "version-1.json").read_bytes()
    folder = tmp_path / "agent"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes(old)
    state = StateFile(folder)
    durable = state.load(FULL.ledgers)
    assert durable is not None and state.warnings == ()
    state.save(replace(durable, in_maintenance=True))
    assert {(folder / name).read_bytes() for name in NAMES} == {encode(without_words(), 43)}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("durable", [None, [], {"ledgers": []}, {"ledgers": {"a": 1}}])
def test_what_only_claims_to_be_of_an_older_version_is_refused(
    durable: object, version: int
) -> None:
    content = {"version": version, "counter": 1, "durable": durable}
    spelled = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    checksum = hashlib.sha256(spelled).hexdigest()
    with pytest.raises(NotUnderstood):
        decode(json.dumps({"content": content, "sha256": checksum}).encode())


def read_by_the_release_before() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(state_golden.FILE.read_text())
    return read


def test_the_release_before_reads_what_we_write() -> None:
    """An update that is taken back finds it. Whoever makes a new format reads it first, and lets
    the next release write it: HACKING.md, "When you change what is on disk or on the wire".
    """
    before = read_by_the_release_before()
    assert before["version"] >= state.WRITTEN
    assert before["version"] == state.WRITTEN or before["version"] == state.VERSION
    for durable in (FULL, OLD, NEW):
        content = json.loads(encode(durable, 42))["content"]
        assert content["version"] == state.WRITTEN
        if before["version"] == state.WRITTEN:
            assert list(flaws(content["durable"], "Durable", before)) == []


def test_another_durable_is_another_format() -> None:
    """Also one more word of an enumeration: whoever does not know it reads nothing of it."""
    before, now = read_by_the_release_before(), state_golden.rules()
    is_same = differences(before, now) == (set(), set())
    assert is_same == (before["version"] == state.VERSION)


def test_each_format_that_is_not_written_yet_can_be_said_in_the_one_before() -> None:
    assert state.DOWNGRADES.keys() == set(range(state.WRITTEN + 1, state.VERSION + 1))


def test_a_new_format_is_read_and_not_yet_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this release were the first to know a format in which the pair's mark has a twin."""

    def older(durable: Any) -> Any:
        if durable["mark"] == "in use":
            raise BugError("the format before has no place for it")
        return {name: item for name, item in durable.items() if name != "twin"}

    plain = state._plain
    monkeypatch.setattr(state, "VERSION", state.VERSION + 1)
    monkeypatch.setattr(state, "DOWNGRADES", {state.VERSION: older})
    monkeypatch.setattr(
        state,
        "_plain",
        lambda value: {**plain(value), "twin": ""} if isinstance(value, Durable) else plain(value),  # type: ignore[dict-item]
    )
    assert encode(FULL, 42) == (DATA / "version-3.json").read_bytes()
    with pytest.raises(BugError, match="no place"):
        encode(replace(FULL, mark="in use"), 43)


class FullDisk(ForgetfulDisk):
    def write(self, name: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")


def test_a_disk_that_takes_nothing_is_an_error_with_a_hint() -> None:
    with pytest.raises(StateError, match="No space left") as caught:
        loaded(FullDisk()).save(NEW)
    assert "journalctl -k" in caught.value.hint


def test_after_a_failed_save_the_next_one_wins() -> None:
    class Flaky(ForgetfulDisk):
        fails = True

        def sync(self) -> None:
            super().sync()
            if self.fails:
                raise OSError(5, "Input/output error")

    disk = Flaky(with_old_state().medium)
    state = loaded(disk)
    with pytest.raises(StateError):
        state.save(replace(OLD, peer_figures=FULL.peer_figures))
    disk.fails = False
    state.save(NEW)
    assert read(disk) == NEW


def test_on_a_real_disk(tmp_path: Path) -> None:
    folder = tmp_path / "agent"
    state = StateFile(folder)
    assert state.load(FULL.ledgers) is None
    state.save(FULL)
    assert StateFile(folder).load(FULL.ledgers) == FULL
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_look_changes_nothing(tmp_path: Path) -> None:
    StateFile(tmp_path).load(GUESTS)
    (tmp_path / A).write_bytes(encode(NEW, 3))
    found = examine(tmp_path, GUESTS)
    assert (found.durable, found.is_whole) == (NEW, False)
    assert [path.name for path in tmp_path.iterdir()] == [A]


def test_a_real_folder_syncs_the_file_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    folder = Folder(tmp_path / "agent")
    folder.prepare()
    folder.write("new", b"x")
    folder.rename("new", "file")
    folder.sync()
    assert synced == [tmp_path.name, "new", "agent"]
    assert folder.read("file") == b"x"


def test_a_file_left_by_a_power_cut_is_made_anew_and_private(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"torn")
    (tmp_path / "new").chmod(0o644)
    Folder(tmp_path).write("new", b"x")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
