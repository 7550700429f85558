# SPDX-License-Identifier: MIT
"""The password at the screens: who is admitted, and how long a wrong one costs."""

import shutil
import stat
from pathlib import Path

import pytest

from haagent import password
from haagent.console.guard import FREE, LONGEST_WAIT, WAIT, Guard, TooSoon
from haagent.errors import OperatorError
from haagent.folder import Folder

RIGHT, WRONG = "correct horse", "wrong horse"
KEPT = password.kept(RIGHT, b"0123456789abcdef")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "password"
    path.parent.mkdir()
    path.write_text(f"{KEPT}\n")
    return path


@pytest.fixture
def screens(kept: Path, tmp_path: Path, clock: Clock) -> tuple[Guard, Guard]:
    """The same machine's, in two processes."""
    tries = tmp_path / "run" / "tries"
    return Guard(kept, tries, clock), Guard(kept, tries, clock)


Screens = tuple[Guard, Guard]


def test_the_password_admits_and_nothing_else_does(screens: Screens) -> None:
    monitor, _ = screens
    assert monitor.has_password
    assert not monitor.admits(WRONG)
    assert not monitor.admits("")
    assert monitor.admits(RIGHT)


def test_three_wrong_ones_cost_a_wait_counted_over_both_screens(
    screens: Screens, clock: Clock
) -> None:
    monitor, serial = screens
    for screen in (monitor, serial, monitor):
        screen.check_wait()
        assert not screen.admits(WRONG)
    for screen in screens:
        with pytest.raises(TooSoon, match="in 30 s"):
            screen.check_wait()
        with pytest.raises(TooSoon):
            screen.admits(RIGHT)  # it is not even looked at
    clock.now += WAIT
    assert serial.admits(RIGHT)


def test_each_further_one_costs_twice_as_long_up_to_an_end(screens: Screens, clock: Clock) -> None:
    monitor, _ = screens
    for _ in range(FREE - 1):
        assert not monitor.admits(WRONG)
    waits = []
    for _ in range(8):
        assert not monitor.admits(WRONG)
        with pytest.raises(TooSoon) as caught:
            monitor.check_wait()
        waits.append(caught.value.seconds)
        clock.now += caught.value.seconds
    assert waits[:3] == [WAIT, 2 * WAIT, 4 * WAIT]
    assert waits[-1] == LONGEST_WAIT


def test_a_right_one_begins_anew(screens: Screens) -> None:
    monitor, serial = screens
    for _ in range(2):
        for _ in range(FREE - 1):
            assert not monitor.admits(WRONG)
        assert serial.admits(RIGHT)


def test_a_try_counts_before_it_is_looked_at(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """safety: or a screen that is killed at the right moment would have tries for nothing."""

    def killed(typed: str, text: str) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(password, "fits", killed)
        for _ in range(FREE):
            with pytest.raises(KeyboardInterrupt):
                screens[0].admits(WRONG)
    with pytest.raises(TooSoon):
        screens[1].check_wait()


@pytest.mark.parametrize("text", [None, "", "secret\n", KEPT[:-1]])
def test_without_a_whole_password_nobody_is_admitted(
    screens: Screens, kept: Path, text: str | None
) -> None:
    if text is None:
        kept.unlink()
    else:
        kept.write_text(text)
    monitor, _ = screens
    assert not monitor.has_password
    assert not monitor.admits("")
    assert not monitor.admits("secret")


def test_nobody_is_admitted_where_nobody_can_count(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    guard = Guard(kept, tmp_path / "file" / "tries")
    with pytest.raises(OperatorError, match="cannot be counted"):
        guard.admits(RIGHT)


def test_damage_to_the_count_is_no_lock(screens: Screens, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tries").write_text("[1")
    assert screens[0].admits(RIGHT)


def test_a_new_password_is_for_root_alone_from_the_first_moment(
    screens: Screens, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    write = Folder.write

    def noting(folder: Folder, name: str, data: bytes) -> None:
        write(folder, name, data)
        modes.append(stat.S_IMODE((kept.parent / name).stat().st_mode))

    monkeypatch.setattr(Folder, "write", noting)
    screens[0].keep("another horse")
    assert modes == [0o600] and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert screens[1].admits("another horse")
    assert not screens[1].admits(RIGHT)
    assert "horse" not in kept.read_text()


def test_a_password_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    guard = Guard(tmp_path / "file" / "password", tmp_path / "tries")
    with pytest.raises(OperatorError, match="cannot be written down"):
        guard.keep(RIGHT)


@pytest.mark.parametrize(
    ("text", "words"),
    [("12345", "At least 6"), ("pässword", "without accents"), ("123456\x07", "plain letters")],
)
def test_what_will_not_do_is_told_and_not_quoted(text: str, words: str) -> None:
    flaw = password.flaw(text)
    assert flaw is not None and words in flaw and text not in flaw
    assert password.flaw("123456") is None


def dead_stick(kept: Path) -> None:
    """What a file system does that was shut down: each look fails, and not with "no such file"."""
    shutil.rmtree(kept.parent)
    kept.parent.symlink_to(kept.parent)  # ELOOP, as EIO cannot be had here


def test_a_person_gets_in_when_the_stick_is_dead(screens: Screens, kept: Path) -> None:
    monitor, serial = screens
    assert monitor.has_password  # each console looks once when it begins
    dead_stick(kept)
    assert serial.has_password
    assert not serial.admits(WRONG)
    assert serial.admits(RIGHT)


def test_the_copy_is_for_nobody_else_and_follows_the_password(
    screens: Screens, kept: Path, tmp_path: Path
) -> None:
    monitor, serial = screens
    assert monitor.has_password
    copy = tmp_path / "run" / "password"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    monitor.keep("another horse")
    dead_stick(kept)
    assert not serial.admits(RIGHT)
    assert serial.admits("another horse")


def test_a_copy_lets_nobody_in_where_there_is_no_password(screens: Screens, kept: Path) -> None:
    monitor, _ = screens
    assert monitor.has_password
    kept.unlink()
    assert not monitor.has_password
    assert not monitor.admits(RIGHT)


def test_without_a_copy_a_dead_stick_is_said_to_be_one(screens: Screens, kept: Path) -> None:
    dead_stick(kept)
    with pytest.raises(OperatorError, match="cannot be read"):
        _ = screens[0].has_password
