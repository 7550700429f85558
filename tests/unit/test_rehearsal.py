# SPDX-License-Identifier: MIT
"""The set-up on a laptop: a whole evening through a pipe, and the end of the input."""

import io
import itertools
import re
import sys
from pathlib import Path

import pytest

from firstboot import driving, rehearsal
from firstboot.faces.pager import ROOM
from firstboot.standard import Standard

DATA = Path(__file__).parents[1] / "data"
LAN = "192.168.1.11/24 192.168.1.12 192.168.1.1"


@pytest.fixture(autouse=True)
def known_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.cycle([123456, 234567, 345678])
    monkeypatch.setattr("secrets.randbelow", lambda limit: next(numbers))
    monkeypatch.setattr(driving, "FILLS", 1)


def run(monkeypatch: pytest.MonkeyPatch, *lines: str, other: str = "nvme") -> int:
    typed = io.TextIOWrapper(io.BytesIO("".join(f"{line}\n" for line in lines).encode()))
    monkeypatch.setattr(sys, "stdin", typed)
    return rehearsal.run(DATA / "machine-virtio.json", DATA / f"machine-{other}.json")


@pytest.mark.parametrize("lines", [[], ["123 456"], ["123 456", "", "anna berta"]])
def test_the_end_of_the_input_ends_it_at_once(
    lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *lines) == 1
    said = capsys.readouterr().err
    assert "firstboot: The input ended before the rehearsal did. Run it in a terminal" in said


def test_a_whole_evening_with_slips(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(
        monkeypatch,
        "111111",
        "nonsense",
        "234 567",  # the first one is gone with the first guess
        *("details", "", "", "what", ""),
        *("anna berta Berlin", "anna berta Europe/Berlin", LAN, "back", ""),
        *("", "", "horse battery", "horse batterx", "horse battery"),
        *("no", "data data", ""),
    )
    out, err = capsys.readouterr()
    assert status == 0, err
    for words in (
        "| Somebody typed a wrong code on the other machine.",
        "That was not the code.",
        "A code has digits only",
        "-- Enter for more --",
        "There is no time zone Berlin. Did you mean Europe/Berlin?",
        f"[{LAN}] > ",
        "The two are not the same.",
        "Nothing is erased",
        "What this machine, anna, would do now:",
        "This was a rehearsal: nothing was changed.",
    ):
        assert words in out
    assert "horse battery" not in out


def test_no_page_is_longer_than_a_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Standard, "tell", lambda self, text: told.append(text))
    run(monkeypatch, "123 456", "details", "", "", "", "", LAN, "", other="foreign")
    assert told and all(len(text.splitlines()) <= ROOM for text in told)
    assert any(re.search("NOT YET", text) for text in told)
