# SPDX-License-Identifier: MIT
"""heartbeat's generation does not go back, whatever became of its file."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from firstboot.appliance import OF_HEARTBEAT
from tests.unit.test_units import EXTRA, UNITS, settings

GUARD = EXTRA / "usr/lib/shoestring/heartbeat-generation"
FILE, HIGHEST = OF_HEARTBEAT[0], "hb_generation.highest"
CLOCK = 1_800_000_000
BEGIN = 1_700_000_041

DAMAGES = {
    "empty": b"",
    "zeros": bytes(16),
    "half": b"     1700",
    "half, and zeros": b"     1700" + bytes(7),
    "zeros, and half": bytes(13) + b"44\n",
    "other bytes": b"\xff\xfe     170000004",
    "a word": b"     1700000x44\n",
    "two lines": b"     12\n     44\n",
    "below zero": b"             -5\n",
    "nothing but blanks": b"               \n",
    "zero": b"              0\n",
    "no end of line": b"     1700000044",
    "longer than heartbeat writes": b"1" * 17,
    "too many places": b"1" * 16,
    "old": b"     1700000041\n",
}


def heartbeat(folder: Path) -> int:
    """The generation that heartbeat takes when it starts: IncrGeneration of heartbeat.c, 3.0.6."""
    file = folder / FILE
    found = file.read_bytes()[:16] if file.exists() else b""
    number = re.match(rb"\s*([+-]?\d+)", found)  # sscanf(3), %lu
    taken = (int(number[1]) if number else 0 if found else CLOCK) + 1
    with file.open("r+b" if file.exists() else "wb") as open_file:
        open_file.write(b"%15d\n" % taken)  # over what there is: nothing is cut off
    return taken


def guard(folder: Path, **environment: str) -> str:
    """What it says; how it ends does not count."""
    return subprocess.run(
        [GUARD, folder],
        env={**os.environ, **environment},
        timeout=60,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout


def start(folder: Path) -> int:
    guard(folder)
    return heartbeat(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a machine that started three times."""
    (tmp_path / FILE).write_bytes(b"%15d\n" % BEGIN)
    assert [start(tmp_path) for _ in range(3)] == [BEGIN + 1, BEGIN + 2, BEGIN + 3]
    return tmp_path


def test_the_image_runs_it_before_heartbeat_and_never_fails_by_it() -> None:
    unit = settings(UNITS / "heartbeat.service.d/50-shoestring.conf")
    assert unit["ExecStartPre"] == [f"-/{GUARD.relative_to(EXTRA)} /var/lib/heartbeat"]
    assert os.access(GUARD, os.X_OK)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_is_damaged_or_old_does_not_bring_it_down(folder: Path, damage: bytes) -> None:
    (folder / FILE).write_bytes(damage)
    assert "goes on after" in guard(folder)
    assert heartbeat(folder) > BEGIN + 3
    assert guard(folder) == "", "that was mended"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_nor_does_its_other_file(folder: Path, damage: bytes) -> None:
    (folder / HIGHEST).write_bytes(damage)
    assert start(folder) > BEGIN + 3
    (folder / FILE).write_bytes(bytes(16))
    assert start(folder) > BEGIN + 4, "the other file is whole again"


def test_a_file_that_is_gone_is_made_anew(folder: Path) -> None:
    (folder / FILE).unlink()
    assert start(folder) > BEGIN + 3
    (folder / HIGHEST).unlink()
    assert start(folder) > BEGIN + 4
    (folder / FILE).write_bytes(b"")
    assert start(folder) > BEGIN + 5


@pytest.mark.parametrize("damage", [DAMAGES[name] for name in ("zeros", "half", "a word", "empty")])
def test_with_both_lost_the_clock_is_asked(folder: Path, damage: bytes) -> None:
    for name in (FILE, HIGHEST):
        (folder / name).write_bytes(damage)
    guard(folder)
    assert not (folder / FILE).exists()
    assert heartbeat(folder) == CLOCK + 1


def test_without_it_a_damaged_file_begins_at_one(folder: Path) -> None:
    """What it is for, and that this heartbeat is one."""
    (folder / FILE).write_bytes(bytes(16))
    assert heartbeat(folder) == 1


def test_the_first_start_is_heartbeats_own(tmp_path: Path) -> None:
    assert guard(tmp_path) == "" and list(tmp_path.iterdir()) == []
    assert heartbeat(tmp_path) == CLOCK + 1
    assert start(tmp_path) == CLOCK + 2


@pytest.mark.parametrize("damage", [None, DAMAGES["zeros"]], ids=["fine", "zeros"])
@pytest.mark.parametrize(
    ("program", "call"), [*(("sync", call) for call in range(1, 5)), ("mv", 1), ("mv", 2)]
)
def test_a_power_cut_in_it_brings_nothing_down(
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    damage: bytes | None,
    program: str,
    call: int,
) -> None:
    """Before its CALLth step the shell that runs it is killed."""
    if damage is not None:
        (folder / FILE).write_bytes(damage)
    programs = tmp_path_factory.mktemp("programs")
    fake = programs / program
    fake.write_text(
        f'#!/bin/sh\necho >>"$0.calls"\n[ "$(wc -l <"$0.calls")" -lt {call} ] || kill -9 $PPID\n'
        f'PATH="${{PATH#*:}}" exec {program} "$@"\n'
    )
    fake.chmod(0o755)
    guard(folder, PATH=f"{programs}:{os.environ['PATH']}")
    assert start(folder) > BEGIN + 3


def test_where_nothing_can_be_written_heartbeat_is_left_to_itself(tmp_path: Path) -> None:
    assert guard(tmp_path / "away") == ""
