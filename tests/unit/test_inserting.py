# SPDX-License-Identifier: MIT
"""A CD in the drive of a guest: for one start, on this machine, and where a person has it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from haagent import inserting, shoestring, usb
from haagent.command import Exit, Places
from haagent.core.events import WishAsked
from haagent.core.model import Phase
from haagent.core.wish import Target, Wish
from haagent.errors import OperatorError, ToolError
from haagent.guests.drive import Drives
from tests.unit.fake_agent import Agent, Captured, agent, places, systemctl
from tests.unit.fake_state import both, elsewhere, guest, ledger, words
from tests.unit.test_images_sources import Sticks

__all__ = ["agent", "places", "systemctl"]  # fixtures

STOPPED = both(
    guest(phase=Phase.RELEASED, is_running=False),
    words(phase=Phase.RELEASED),
    ledger(wish=Wish(2, Target.STOPPED)),
)
IMAGE = bytes(inserting.AT) + inserting.MARK + bytes(2000)
START = ["guest", "start", "counter", "--cdrom"]


@pytest.fixture
def drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drives:
    drives = Drives(tmp_path / "cds")
    monkeypatch.setattr(inserting, "Drives", lambda: drives)
    return drives


@pytest.fixture
def iso(tmp_path: Path) -> str:
    path = tmp_path / "debian.iso"
    path.write_bytes(IMAGE)
    return str(path)


@pytest.fixture
def pc(places: Places, agent: Agent) -> None:
    """The guest is a PC, and off."""
    text = places.file.read_text()
    places.file.write_text(text.replace("    memory: 192\n", "    memory: 192\n    type: hvm\n"))
    agent.says(STOPPED)


def test_a_cd_is_there_for_one_start(tmp_path: Path) -> None:
    drives = Drives(tmp_path / "cds")
    assert drives.load("web") is None and drives.take_back("web") is False
    drives.insert("web", tmp_path / "old.iso")
    drives.insert("web", tmp_path / "new.iso")
    assert drives.load("mail") is None
    found = drives.load("web")
    assert found is not None and found.readlink() == tmp_path / "new.iso"
    assert drives.take_back("web") is False and found.is_symlink(), "it is in the drive"
    assert drives.load("web") is None and not found.is_symlink()
    drives.insert("web", tmp_path / "old.iso")
    assert drives.take_back("web") is True and drives.load("web") is None


@pytest.mark.usefixtures("pc")
def test_a_start_finds_it(
    places: Places,
    agent: Agent,
    drives: Drives,
    iso: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    found: list[Path | None] = []
    answer = agent.server.answer_operator

    def starts(guest: str, refusal: str | None) -> None:
        found.append(drives.load(guest))
        answer(guest, refusal)

    monkeypatch.setattr(agent.server, "answer_operator", starts)
    agent.then = (both(),)
    assert shoestring.main([*START, iso], places) == Exit.PROTECTED
    [cd] = found
    assert cd is not None and cd.readlink() == Path(iso)
    said = " ".join(capsys.readouterr().out.split())
    assert "counter starts on anna with debian.iso in its drive, and from that." in said
    assert "was not started here" not in said
    (event,) = agent.heard
    assert isinstance(event, WishAsked) and event.target is Target.STARTED


@pytest.mark.usefixtures("pc")
def test_a_start_that_does_not_come_finds_it_never(
    places: Places, agent: Agent, drives: Drives, iso: str, capsys: Captured
) -> None:
    agent.then = (both(elsewhere, words(phase=Phase.HOLDING)),)
    shoestring.main([*START, iso], places)
    assert "The CD is not in the drive: counter was not" in " ".join(
        capsys.readouterr().out.split()
    )
    assert drives.load("counter") is None


def test_it_needs_a_pc_that_is_off(
    places: Places, agent: Agent, drives: Drives, iso: str, capsys: Captured
) -> None:
    agent.says(STOPPED)
    assert shoestring.main([*START, iso], places) == Exit.FAILED
    assert "counter has no drive for a CD. Nothing was changed." in capsys.readouterr().err
    text = places.file.read_text()
    places.file.write_text(text.replace("    memory: 192\n", "    memory: 192\n    type: hvm\n"))
    agent.says(both())
    assert shoestring.main([*START, iso], places) == Exit.FAILED
    assert "counter is to run already" in capsys.readouterr().err
    assert agent.heard == [] and drives.take_back("counter") is False


def nothing(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
    raise ToolError(argv, 1, "not here")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("none.iso", None, "none.iso cannot be read: No such file or directory. Nothing"),
        ("short.iso", b"x", "short.iso is no image of a CD or DVD"),
        ("packed.iso", IMAGE[1:], "packed.iso is no image of a CD or DVD"),
    ],
)
def test_what_is_no_cd_is_refused(tmp_path: Path, name: str, data: bytes | None, says: str) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(OperatorError, match=says):
        inserting.within_reach(str(path), nothing)


def test_one_on_a_stick_stays_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "POINT", tmp_path / "usb")
    monkeypatch.setattr(inserting, "STICKS", tmp_path / "held")
    for name in ("sdb", "sdc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.iso").write_bytes(IMAGE)
    sticks = Sticks(tmp_path, "sdb", "sdc")
    assert inserting.within_reach("sdc.iso", sticks) == tmp_path / "held/sdc/sdc.iso"
    assert sticks.mounted == [str(tmp_path / "held/sdc")]
    assert inserting.within_reach("sdb.iso", sticks) == tmp_path / "held/sdb/sdb.iso"
    assert sticks.mounted == [str(tmp_path / "held/sdb")], "nobody has the other one any more"
    with pytest.raises(OperatorError, match=r"There is no other\.iso on a USB stick"):
        inserting.within_reach("other.iso", sticks)
