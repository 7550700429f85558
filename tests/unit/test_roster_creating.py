# SPDX-License-Identifier: MIT
"""`shoestring guest create`: a PC with a blank disk, and an installer in its drive."""

from pathlib import Path

import pytest

from firstboot.roster import coming
from haagent import inserting, shoestring
from haagent.command import Exit, Places
from haagent.console.snapshot import GuestView, Snapshot
from haagent.core.wish import Target
from haagent.guests.definition import Kind
from haagent.handover import guest_of
from tests.unit.fake_agent import Agent, Captured, agent, places, systemctl
from tests.unit.fake_pair import FakePair, pair
from tests.unit.test_inserting import IMAGE

__all__ = ["agent", "pair", "places", "systemctl"]  # fixtures

CREATE = ["guest", "create", "web", "--disk", "20G", "--yes"]
MORE = ["--memory", "2048"]


@pytest.fixture(autouse=True)
def processor(pair: FakePair) -> None:
    pair.can = frozenset(Kind)


def test_a_pc_with_a_blank_disk_comes_and_is_off(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured
) -> None:
    assert shoestring.main([*CREATE, *MORE], places) == Exit.PROTECTED
    found = pair.b.guests["web"]
    assert (found.kind, found.begins, found.memory) == ("hvm", Target.STOPPED, 2048)
    assert found.size == coming.volume_size(20 << 30)
    said = " ".join(capsys.readouterr().out.split())
    assert "web comes to anna and berta, from a blank disk, and stays off at first." in said
    assert "It is started as a PC with a BIOS starts" in said
    assert "`shoestring guest start web` starts it. Its disk is blank: --cdrom FILE" in said


def test_it_can_have_several(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured
) -> None:
    more = ["--disk", "100G", "--disk", "1G"]
    assert shoestring.main([*CREATE, *MORE, *more], places) == Exit.PROTECTED
    found = pair.b.guests["web"]
    assert (found.slices, found.size) == ((20 << 10, 100 << 10), coming.volume_size(121 << 30))
    said = " ".join(capsys.readouterr().out.split())
    assert "from blank disks, and stays off at first." in said and "Its disks are blank" in said


def test_with_an_installer_it_is_started(
    places: Places,
    agent: Agent,
    pair: FakePair,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[tuple[str, Path]] = []

    def start_with(shown: Snapshot, view: GuestView, cd: Path, places: Places) -> Exit:
        assert pair.has == {"old", "web"}
        started.append((view.name, cd))
        return Exit.PROTECTED

    monkeypatch.setattr(inserting, "start_with", start_with)
    monkeypatch.setattr(inserting, "check", lambda view, places: None)
    # The agent of the tests shows one guest, whatever the list has.
    monkeypatch.setattr(coming, "guest_of", lambda shown, name: guest_of(shown, "counter"))
    iso = tmp_path / "debian.iso"
    iso.write_bytes(IMAGE)
    assert shoestring.main([*CREATE, *MORE, "--cdrom", str(iso)], places) == Exit.PROTECTED
    assert started == [("counter", iso)]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "How much memory the new guest has is not said. Nothing was changed."),
        ([*MORE, "--cdrom", "/none.iso"], "/none.iso cannot be read"),
        ([*MORE, "--disk", "20"], "--disk should be a size"),
        ([*MORE, *["--disk", "1G"] * 3], "web would have 4 disks"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_begun(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured, more: list[str], says: str
) -> None:
    assert shoestring.main([*CREATE, *more], places) == Exit.FAILED
    assert says in capsys.readouterr().err
    assert pair.a.effects == pair.b.effects == 0
