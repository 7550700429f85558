# SPDX-License-Identifier: MIT
"""`shoestring guest import`, `restore` and `clone`: said first, agreed to, led, and told."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from firstboot.roster import coming, content
from firstboot.roster import pair as pairs
from firstboot.roster.__main__ import carry_on
from firstboot.roster.content import Content
from haagent import config, running, shoestring
from haagent.backup.act import Copy
from haagent.command import Exit, Places
from haagent.config import Config
from haagent.core.model import Link, Measured
from haagent.core.wish import Target
from haagent.elsewhere import share
from haagent.elsewhere.share import Reach
from haagent.errors import OperatorError, PeerError, ToolError
from haagent.guests.definition import Kind
from haagent.storage import passing
from tests.unit import fake_backup
from tests.unit.fake_agent import Agent, Captured, agent, places, systemctl, types
from tests.unit.fake_pair import DISK, FakePair, brings, image, pair
from tests.unit.fake_roster import Behind
from tests.unit.fake_server import serving
from tests.unit.fake_state import both, elsewhere, hello, node, resource, silent

__all__ = ["agent", "image", "pair", "places", "systemctl"]  # fixtures


def test_a_guest_comes_to_both(
    places: Places, agent: Agent, pair: FakePair, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = types(monkeypatch, "yes\n")
    monkeypatch.setattr(running, "await_start", lambda name, places: Exit.PROTECTED)
    assert shoestring.main(brings(image), places) == Exit.PROTECTED
    page = screen.getvalue()
    assert "web-server comes to anna and berta, from Web Server.qcow2 (qcow2)" in page
    assert "Web Server.qcow2 (qcow2): its snapshots." in page
    assert page.endswith("web-server is on both machines.\n")
    assert pair.has == {"old", "web-server"}
    (change,) = pair.filled
    assert change.number == 1 and change.guest.number == 21
    assert change.guest.mac.startswith("00:16:3e:") and change.guest.first_node == 0
    assert change.guest.size >= DISK + (1 << 20) and change.guest.size % (4 << 20) == 0


def test_everything_can_be_said(
    places: Places, agent: Agent, pair: FakePair, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "await_start", lambda name, places: Exit.PROTECTED)
    more = (
        "--name mail --vcpus 2 --disk 1G --mac 52:54:00:99:00:01 --address 10.0.2.77 --on berta "
        "--place 10 --pause 30 --yes"
    )
    assert shoestring.main(brings(image, *more.split()), places) == Exit.PROTECTED
    found = pair.a.guests["mail"]
    assert found == replace(
        found,
        name="mail",
        memory=512,
        vcpus=2,
        mac="52:54:00:99:00:01",
        address="10.0.2.77",
        first_node=1,
        place=10,
        pause=30,
    )
    assert found.size == coming.volume_size(1 << 30)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("--name all", "'all' cannot be a guest's name"),
        ("--mac 53:54:00:99:00:01", "--mac 53:54:00:99:00:01 is not the address"),
        ("--vcpus 0", "--vcpus should be a number of processors"),
        ("--disk 20", "--disk should be a size"),
        ("--address web", "--address should be an IPv4 address"),
        ("--on carla", "No machine of this pair is called carla"),
        ("--place 100", "--place should be a number from 0 to 99"),
        ("--pause x", "--pause should be a number of seconds"),
        ("--memory 8", "--memory should be a number of MiB"),
    ],
)
def test_nonsense_is_refused_before_anything_is_begun(
    places: Places,
    agent: Agent,
    pair: FakePair,
    image: str,
    capsys: Captured,
    more: str,
    why: str,
) -> None:
    assert shoestring.main(brings(image, *more.split(), "--yes"), places) == Exit.FAILED
    assert why in capsys.readouterr().err
    assert pair.a.effects == pair.b.effects == 0


def test_how_xen_runs_it_is_what_the_processor_can(
    places: Places,
    agent: Agent,
    pair: FakePair,
    image: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.setattr(running, "await_start", lambda name, places: Exit.PROTECTED)
    shoestring.main(brings(image, "--name", "old-kernel", "--yes"), places)
    assert "must be packed with gzip or xz" in " ".join(capsys.readouterr().out.split())
    pair.can = frozenset(Kind)
    shoestring.main(brings(image, "--name", "new", "--yes"), places)
    assert "must be a Linux of these years" in " ".join(capsys.readouterr().out.split())
    shoestring.main(brings(image, "--name", "pv", "--type", "pv", "--yes"), places)
    shoestring.main(brings(image, "--name", "pc", "--type", "hvm", "--yes"), places)
    assert "as a PC with a BIOS starts" in " ".join(capsys.readouterr().out.split())
    kinds = [pair.b.guests[name].kind for name in ("old-kernel", "new", "pv", "pc")]
    assert kinds == ["pv", "pvh", "pv", "hvm"]
    assert shoestring.main(brings(image, "--name", "odd", "--type", "kvm"), places) == Exit.FAILED
    assert "--type should be one of: pv, pvh, hvm" in capsys.readouterr().err


def test_one_is_fetched_and_what_it_lay_on_is_gone(
    places: Places,
    agent: Agent,
    pair: FakePair,
    image: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    @contextlib.contextmanager
    def volume(size: int, run: object) -> Iterator[Path]:
        place = tmp_path / "volume"
        place.touch()
        yield place
        place.unlink()

    def fails() -> None:
        assert (tmp_path / "volume").exists(), "it is read until both machines have it"

    monkeypatch.setattr(passing, "volume", volume)
    monkeypatch.setattr(share, "of", lambda *_: Reach(places.run, have_own_mounts=lambda _: None))
    monkeypatch.setattr(running, "await_start", lambda name, places: Exit.PROTECTED)
    pair.fails = fails
    with serving(Path(image).read_bytes()) as address:
        url = f"{address}/web.qcow2"
        assert shoestring.main(brings(url, "--yes"), places) == Exit.PROTECTED
        said = " ".join(capsys.readouterr().out.split())
        assert "are fetched onto the data disk first" in said and "from web.qcow2 (qcow2)" in said
        assert pair.has == {"old", "web"} and not (tmp_path / "volume").exists()
        wrong = brings(url, "--name", "mail", "--sha256", "0" * 64, "--yes")
        assert shoestring.main(wrong, places) == Exit.FAILED
        assert "and its sum is" in capsys.readouterr().err
    assert pair.has == {"old", "web"}


def test_a_silent_machine_is_refused(
    places: Places, agent: Agent, pair: FakePair, image: str, capsys: Captured
) -> None:
    agent.says(silent)
    assert shoestring.main(brings(image, "--yes"), places) == Exit.FAILED
    assert "berta is silent. Nothing was changed." in capsys.readouterr().err
    assert pair.a.effects == 0


def test_a_machine_that_is_lost_on_the_way_leaves_nothing(
    places: Places, agent: Agent, pair: FakePair, image: str, capsys: Captured
) -> None:
    def lost() -> None:
        pair.there.is_away = True
        raise PeerError("the cable is out")

    pair.fails = lost
    assert shoestring.main(brings(image, "--yes"), places) == Exit.FAILED
    assert "Nothing is changed on berta or here." in capsys.readouterr().err
    assert pair.carried_on == 1
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        pair.there.is_away = False

    carry_on(pair.meet(places), pause)
    assert len(pauses) == 1 and pair.has == {"old"}
    carry_on(pair.meet(places), pause)
    assert len(pauses) == 1, "there is nothing to do"


def test_a_program_that_fails_is_told_with_what_became_of_it(
    places: Places, agent: Agent, pair: FakePair, image: str, capsys: Captured
) -> None:
    def fail() -> None:
        raise ToolError(("drbdadm", "create-md"), 1, "Do you want to proceed?")

    pair.fails = fail
    assert shoestring.main(brings(image, "--yes"), places) == Exit.FAILED
    said = " ".join(capsys.readouterr().err.split())
    assert "web-server is not added: drbdadm create-md failed" in said
    assert "Nothing was changed: what was made for it is removed again." in said
    assert pair.has == {"old"}


def test_a_machine_that_is_lost_after_the_decision_gets_it_later(
    places: Places, agent: Agent, pair: FakePair, image: str, capsys: Captured
) -> None:
    pair.fails = lambda: setattr(pair.there, "is_away", True)
    assert shoestring.main(brings(image, "--yes"), places) == Exit.FAILED
    said = capsys.readouterr().err
    assert "web-server is not added on both machines yet: the cable is out." in said
    assert "It is decided, and goes on by itself" in said
    assert pair.carried_on == 1
    pair.there.is_away = False
    carry_on(pair.meet(places))
    assert pair.has == {"old", "web-server"}


BACKED_UP = """
name: web
mac: 52:54:00:99:00:01
address: 10.0.2.77
memory: 768
vcpus: 2
place: 10
pause: 30
disks: {xvda: 131072}
"""


@pytest.fixture
def backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes one whose definition is what it is told."""

    def write(definition: str) -> str:
        monkeypatch.setattr(fake_backup, "DEFINITION", definition)
        return str(fake_backup.write(tmp_path, {"xvda": fake_backup.noise(2, 1)}))

    monkeypatch.setattr(running, "await_start", lambda name, places: Exit.PROTECTED)
    return write


def restores(places: Places, file: str, *more: str) -> int:
    return shoestring.main(["guest", "restore", file, *more, "--yes"], places)


def test_a_guest_is_restored_as_it_was(
    places: Places,
    agent: Agent,
    pair: FakePair,
    backup: Callable[[str], str],
    capsys: Captured,
) -> None:
    assert restores(places, backup(BACKED_UP)) == Exit.PROTECTED
    found = pair.b.guests["web"]
    assert found == replace(
        found,
        memory=768,
        vcpus=2,
        mac="52:54:00:99:00:01",
        address="10.0.2.77",
        place=10,
        pause=30,
        size=coming.volume_size(2 * fake_backup.BLOCK),
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "(of 2026-11-30 02:00 UTC), and starts on anna" in said
    assert "web is on both machines." in said


def test_beside_itself_it_gets_a_card_of_its_own(
    places: Places,
    agent: Agent,
    pair: FakePair,
    backup: Callable[[str], str],
    capsys: Captured,
) -> None:
    [counter] = config.load(places.file, places.cmdline).guests.values()
    taken = f"{{mac: '{counter.mac}', address: {counter.address}, memory: 128, name: counter}}"
    assert restores(places, backup(taken), "--name", "web", "--memory", "256") == Exit.PROTECTED
    found = pair.a.guests["web"]
    assert found.mac not in ("", counter.mac) and found.address == "" and found.memory == 256
    assert found.begins == Target.STOPPED
    said = " ".join(capsys.readouterr().out.split())
    assert f"counter has the MAC address {counter.mac} here, so this one does not get it." in said
    assert "and stays off at first." in said
    assert "web is on both machines, and off: `shoestring guest start web` starts it." in said


def test_a_clone_is_off_and_has_a_card_of_its_own(
    places: Places,
    agent: Agent,
    pair: FakePair,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    copies: list[Copy] = []

    def of_guest(name: str, found: Config, copy: Copy, sysfs: Path) -> Content:
        copies.append(copy)
        said = {"memory": "192", "vcpus": "2", "place": "10", "pause": "0"}
        return Content(f"the disk of {name}", (DISK,), said, (), lambda devices, show: None)

    monkeypatch.setattr(content, "of_guest", of_guest)
    argv = ["guest", "clone", "counter", "--name", "web", "--yes"]
    assert shoestring.main(argv, places) == Exit.FAILED
    assert "the copy on berta is the same: read there" in capsys.readouterr().err
    assert shoestring.main([*argv, "--here"], places) == Exit.PROTECTED
    found = pair.b.guests["web"]
    assert (found.memory, found.vcpus, found.place, found.begins) == (192, 2, 10, Target.STOPPED)
    assert found.mac.startswith("00:16:3e:") and found.address == ""
    # A person may have been asked for minutes.
    agent.says(both(elsewhere, silent, resource(link=Link.CONNECTING)))
    with pytest.raises(OperatorError, match="is not the newest, or nobody knows"), copies[-1]:
        pass


def test_what_comes_can_be_off(
    places: Places, agent: Agent, pair: FakePair, image: str, capsys: Captured
) -> None:
    assert shoestring.main(brings(image, "--off", "--yes"), places) == Exit.PROTECTED
    assert pair.a.guests["web-server"].begins == Target.STOPPED
    said = " ".join(capsys.readouterr().out.split())
    assert "`shoestring guest start web-server` starts it." in said


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ("{name: web}", "does not say what memory a guest of it has"),
        ("{memory: 512}", "does not say what name a guest of it has"),
        ("{name: all, memory: 512}", "'all' cannot be a guest's name"),
        ("{name: web, memory: [512]}", "Its memory in web-2026-11-30T0200Z"),
        ("{name: web, memory: 512, mac: x}", "Its mac in web-2026-11-30T0200Z"),
    ],
)
def test_what_a_backup_says_is_judged(
    places: Places,
    agent: Agent,
    pair: FakePair,
    backup: Callable[[str], str],
    capsys: Captured,
    definition: str,
    why: str,
) -> None:
    assert restores(places, backup(definition)) == Exit.FAILED
    assert why in capsys.readouterr().err
    assert pair.a.effects == pair.b.effects == 0


def test_more_than_one_machine_can_hold_takes_its_own_word(
    places: Places,
    agent: Agent,
    pair: FakePair,
    image: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.setattr(running, "await_start", lambda name, places: Exit.PROTECTED)
    measured = node(measured=Measured(memory=900, takes={"counter": 400}))
    agent.says(both(measured, hello(memory=900)))
    assert shoestring.main(brings(image, "--yes"), places) == Exit.FAILED
    said = " ".join(capsys.readouterr().err.split())
    assert "anna has 900 MiB for guests, and all of them take 916 MiB with web-server" in said
    assert "berta alone could not run them all." in said and "Nothing was changed" in said
    assert pair.a.effects == pair.b.effects == 0
    anyway = brings(image, "--yes", "--more-than-one-machine-can-hold")
    assert shoestring.main(anyway, places) == Exit.PROTECTED
    assert "berta alone could not run them all." in " ".join(capsys.readouterr().out.split())
    assert pair.has == {"old", "web-server"}


def ctrl_c() -> None:
    raise KeyboardInterrupt  # SIGINT itself is for whoever runs the tests


def kill(sign: signal.Signals) -> None:
    os.kill(os.getpid(), sign)


@pytest.mark.parametrize(
    "ends", [ctrl_c, partial(kill, signal.SIGHUP), partial(kill, signal.SIGTERM)]
)
def test_ctrl_c_and_a_lost_terminal_take_it_back(
    places: Places,
    agent: Agent,
    pair: FakePair,
    image: str,
    capsys: Captured,
    ends: Callable[[], None],
) -> None:
    pair.fails = ends
    assert shoestring.main(brings(image, "--yes"), places) == Exit.INTERRUPTED
    assert "The import of web-server was interrupted." in capsys.readouterr().err
    assert pair.has == {"old"} and pair.carried_on == 0


@pytest.mark.parametrize("at", ["decide", "carry_out"])
def test_ctrl_c_after_the_decision_says_that_it_counts(
    places: Places,
    agent: Agent,
    pair: FakePair,
    image: str,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Behind, at, interrupted)
        assert shoestring.main(brings(image, "--yes"), places) == Exit.INTERRUPTED
    said = " ".join(capsys.readouterr().err.split())
    assert "web-server is added on both machines, or soon will be. It goes on by itself" in said
    assert pair.carried_on == 1
    carry_on(pair.meet(places))
    assert pair.has == {"old", "web-server"}


def test_ctrl_c_that_the_other_one_cannot_be_told_of_is_carried_on(
    places: Places, agent: Agent, pair: FakePair, image: str, capsys: Captured
) -> None:
    def ends() -> None:
        pair.there.is_away = True
        raise KeyboardInterrupt

    pair.fails = ends
    assert shoestring.main(brings(image, "--yes"), places) == Exit.INTERRUPTED
    said = " ".join(capsys.readouterr().err.split())
    assert "web-server is not added. What was made for it is removed as soon as berta" in said
    assert pair.carried_on == 1
    pair.there.is_away = False
    carry_on(pair.meet(places))
    assert pair.has == {"old"}


def test_a_second_terminal_does_not_end_what_the_first_one_does(
    places: Places, agent: Agent, pair: FakePair, image: str, capsys: Captured, tmp_path: Path
) -> None:
    pair.lock = tmp_path / "run/list.lock"
    said: list[str] = []

    def elsewhere() -> None:
        assert shoestring.main(["guest", "edit", "counter", "--place", "3"], places) == Exit.FAILED
        said.append(capsys.readouterr().err)

    pair.fails = elsewhere
    assert shoestring.main(brings(image, "--off", "--yes"), places) == Exit.PROTECTED
    assert "Somebody else on this machine is changing the list of guests. Nothing" in said[0]
    assert pair.has == {"old", "web-server"}
    pair.fails = lambda: None
    assert shoestring.main(brings(image, "--off", "--name", "b", "--yes"), places) == Exit.PROTECTED


def test_what_carries_on_waits_until_a_person_is_done(pair: FakePair, places: Places) -> None:
    """It looks only then whether anything is open."""
    turns: list[str] = []

    @contextlib.contextmanager
    def turn() -> Iterator[None]:
        turns.append("waited")
        yield

    met = pair.meet(places)
    carry_on(met, turn=turn)
    assert turns == ["waited"]


def test_what_was_left_open_is_ended_first(
    places: Places, agent: Agent, pair: FakePair, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "await_start", lambda name, places: Exit.PROTECTED)
    pair.fails = lambda: setattr(pair.there, "is_away", True)
    assert shoestring.main(brings(image, "--yes"), places) == Exit.FAILED
    pair.there.is_away, pair.fails = False, lambda: None
    assert shoestring.main(brings(image, "--name", "mail", "--yes"), places) == Exit.PROTECTED
    assert pair.has == {"old", "web-server", "mail"}
    assert pair.a.guests["mail"].number != pair.a.guests["web-server"].number


def test_several_disks_lie_one_behind_the_other(
    places: Places,
    agent: Agent,
    pair: FakePair,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    sizes = (3 << 20, (2 << 20) + 1, 4096)

    def of_guest(name: str, *others: object) -> Content:
        return Content("three", sizes, {"memory": "192"}, (), lambda devices, show: None)

    monkeypatch.setattr(content, "of_guest", of_guest)
    argv = ["guest", "clone", "counter", "--here", "--yes", "--name"]
    assert shoestring.main([*argv, "web"], places) == Exit.PROTECTED
    assert "disks of 3.0 MiB, 2.0 MiB, 4 KiB, the" in " ".join(capsys.readouterr().out.split())
    found = pair.b.guests["web"]
    assert (found.slices, found.size) == ((3, 3), coming.volume_size((6 << 20) + 4096))
    assert shoestring.main([*argv, "mail", "--disk", "20M"], places) == Exit.PROTECTED
    larger = pair.b.guests["mail"]
    assert (larger.slices, larger.size) == ((3, 3), coming.volume_size(26 << 20))
    assert pair.a.guests["old"].slices == ()


def test_a_pc_with_too_many_disks_is_refused_before_anything_is_begun(
    places: Places,
    agent: Agent,
    pair: FakePair,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    said = {"memory": "192", "type": "hvm"}
    four = Content("four", (512,) * 4, said, (), lambda devices, show: None)
    monkeypatch.setattr(content, "of_guest", lambda *_: four)
    argv = ["guest", "clone", "counter", "--here", "--yes", "--name", "web"]
    assert shoestring.main(argv, places) == Exit.FAILED
    why = " ".join(capsys.readouterr().err.split())
    assert "web would have 4 disks, and a guest of type hvm has 3 at most." in why
    assert pair.a.effects == pair.b.effects == 0
    assert shoestring.main([*argv, "--type", "pv"], places) == Exit.PROTECTED


def test_the_room_for_drbd_is_behind_the_disk() -> None:
    for disk in (1 << 20, 1 << 30, 1 << 40, (1 << 40) + 512):
        volume = coming.volume_size(disk)
        assert volume % (4 << 20) == 0
        assert disk + disk / 32768 + 36 * 1024 <= volume <= disk * 1.001 + (9 << 20)


def test_the_pair_is_met_by_its_settings(places: Places) -> None:
    met = pairs.meet(places)
    found = config.load(places.file, places.cmdline)
    assert met.name == found.pair.names[1]
