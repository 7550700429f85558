# SPDX-License-Identifier: MIT
"""`shoestring update`: what it refuses, what it says before it asks, and what it leaves behind."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from haagent import handover, progress, shoestring, usb
from haagent.command import Exit, Places
from haagent.console.snapshot import Snapshot
from haagent.core.model import Measured
from haagent.errors import ToolError
from haagent.update import act, grubenv, hindrances, machine, news
from haagent.update.hindrances import Room, Understood
from haagent.update.machine import Ground
from haagent.update.manifest import Formats, Manifest, Part
from haagent.update.news import News
from haagent.update.release import Release
from haagent.update.slots import ENVIRONMENT, Intent, Standing
from tests.unit.fake_state import WELL, both, elsewhere, hello, look, node
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
    slot_of,
    update_file,
)

HERE: Snapshot = look(WELL)
THERE: Snapshot = look(elsewhere(WELL))
XEN = Path(__file__).parents[1] / "data/xen"


@dataclass
class Owner:
    """Somebody at a machine of their own."""

    folder: Path
    stick: FakeStick
    ran: list[str] = field(default_factory=list)
    disks: list[dict[str, Any]] = field(default_factory=list)
    domains: str = ""

    def run(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        match argv[0]:
            case "lsblk":
                return json.dumps({"blockdevices": self.disks})
            case "xl":
                return self.domains
            case "mount" | "umount" | "systemctl":
                self.ran.append(" ".join(argv))
                return ""
        raise ToolError(argv, 1, "not here")

    @property
    def places(self) -> Places:
        (self.folder / "cmdline").write_text(CMDLINE)
        none = self.folder / "none"
        return Places(none, self.folder / "cmdline", none, none, self.run)

    @property
    def ground(self) -> Ground:
        return ground_of(self.folder, self.stick)

    def pairs(self) -> None:
        pairs(self.folder)

    def says(self, *words: str) -> int:
        return shoestring.main(["update", "--here", *words], self.places)

    @property
    def has_restarted(self) -> bool:
        return "systemctl reboot" in self.ran


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Owner:
    made = Owner(tmp_path, FakeStick().holds("a", OLD).intends(Intent("a")))
    PACK.write_public(KEY, tmp_path / "update.pub")
    monkeypatch.setattr(usb, "POINT", tmp_path / "usb")
    monkeypatch.setattr(act.update, "__defaults__", (made.ground,))
    return made


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is typed; each question takes the first of it."""
    answers: list[str] = []

    def ask(prompt: str) -> str:
        print(prompt)
        return answers.pop(0)

    for module in (act, handover):
        monkeypatch.setattr(module, "ask", ask)
    for module in (progress, handover):
        monkeypatch.setattr(module, "is_at_a_terminal", lambda: True)
    return answers


def is_untouched(owner: Owner) -> bool:
    fresh = FakeStick().holds("a", OLD).intends(Intent("a"))
    return owner.stick.disk == fresh.disk and not owner.stick.pending and not owner.has_restarted


def test_a_machine_without_a_pair_is_updated_and_restarts(
    owner: Owner, capsys: pytest.CaptureFixture[str]
) -> None:
    path = update_file(owner.folder)
    assert owner.says(str(path), "--yes") == Exit.PROTECTED
    said = capsys.readouterr().out
    assert "0.2.0 is installed into slot b, while 0.1.0 runs on." in said
    assert "0.2.0 is on the stick, and was read back." in said
    assert said.count("Writing ...") == 1, "a log has one line for each step"
    assert grub_starts(owner.stick) == NEW
    assert owner.has_restarted
    assert news.read(owner.ground.news) == News(OLD, waits=NEW)


def test_a_person_agrees_first_and_again_to_the_restart(
    owner: Owner, at_a_terminal: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    at_a_terminal += ["no", "yes", "not now"]
    path = str(update_file(owner.folder))
    assert owner.says(path) == Exit.FAILED
    assert is_untouched(owner)
    assert owner.says(path) == Exit.PROTECTED
    said = capsys.readouterr().out
    assert "0.2.0 waits for the next start: `shoestring reboot`." in said
    assert "\rChecking 100 %" in said and "\rReading back 100 %" in said
    assert grub_starts(owner.stick) == NEW and not owner.has_restarted
    assert at_a_terminal == []


def test_no_script_without_a_word(owner: Owner) -> None:
    assert owner.says(str(update_file(owner.folder))) == Exit.FAILED
    assert is_untouched(owner)


@pytest.mark.parametrize(
    ("release", "code"), [("0.0.9", Exit.FAILED), (OLD, Exit.FAILED), (NEW, Exit.PROTECTED)]
)
def test_an_older_one_takes_a_word(owner: Owner, release: str, code: Exit) -> None:
    path = str(update_file(owner.folder, release))
    assert owner.says(path, "--yes") == code
    assert is_untouched(owner) is (code is Exit.FAILED)
    assert owner.says(path, "--yes", "--older") == Exit.PROTECTED
    assert grub_starts(owner.stick) == release


def test_a_flipped_byte_changes_nothing(owner: Owner, capsys: pytest.CaptureFixture[str]) -> None:
    path = update_file(owner.folder)
    data = path.read_bytes()
    path.write_bytes(data[:9000] + bytes([data[9000] ^ 1]) + data[9001:])
    assert owner.says(str(path), "--yes") == Exit.FAILED
    assert "it is not whole, or something in it was changed" in capsys.readouterr().err
    assert is_untouched(owner)


def test_somebody_elses_changes_nothing(owner: Owner) -> None:
    path = update_file(owner.folder, key=Ed25519PrivateKey.generate())
    assert owner.says(str(path), "--yes") == Exit.FAILED
    assert is_untouched(owner)


def test_on_trial_the_other_slot_is_the_way_back(
    owner: Owner, capsys: pytest.CaptureFixture[str]
) -> None:
    owner.stick.intends(Intent("a", 2, other="b"))
    assert owner.says(str(update_file(owner.folder)), "--yes") == Exit.FAILED
    assert "0.1.0 is on trial: the other slot is the way back" in capsys.readouterr().err
    assert owner.stick.steps == 0


@pytest.mark.parametrize(("shown", "code"), [(HERE, Exit.FAILED), (THERE, Exit.PROTECTED)])
def test_a_machine_that_holds_a_guest_is_left_alone(
    owner: Owner, shown: Snapshot, code: Exit, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.pairs()
    monkeypatch.setattr(machine, "snapshot", lambda places: shown)
    assert owner.says(str(update_file(owner.folder)), "--yes") == code
    assert is_untouched(owner) is (code is Exit.FAILED)


def test_a_guest_that_came_while_it_was_read_is_left_alone(
    owner: Owner, at_a_terminal: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.pairs()
    shown = [THERE]
    monkeypatch.setattr(machine, "snapshot", lambda places: shown[0])

    def agree(arguments: object) -> None:
        shown[0] = HERE

    monkeypatch.setattr(handover, "agree", agree)
    assert owner.says(str(update_file(owner.folder))) == Exit.FAILED
    assert is_untouched(owner)


@pytest.mark.parametrize(
    ("file", "code"), [("list-only-dom0", Exit.PROTECTED), ("list-running", Exit.FAILED)]
)
def test_without_an_agent_xen_is_asked(
    owner: Owner, file: str, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    owner.pairs()
    owner.ground.hypervisor.touch()
    owner.domains = (XEN / f"{file}.txt").read_text()
    assert owner.says(str(update_file(owner.folder)), "--yes") == code
    if code is Exit.FAILED:
        assert "counter runs here, and the agent does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "is_paired", "told"),
    [
        ("forgetting.json", True, "forgetting its pair"),
        ("agreement.json", True, "being replaced"),
        ("journal.json", False, "set-up of this machine is under way"),
    ],
)
def test_nothing_half_done_is_restarted(
    owner: Owner, name: str, is_paired: bool, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    owner.pairs()
    if not is_paired:
        (owner.ground.setup / "complete").unlink()
    (owner.ground.setup / name).touch()
    assert owner.says(str(update_file(owner.folder)), "--yes") == Exit.FAILED
    assert told in capsys.readouterr().err
    assert is_untouched(owner)


def test_a_guest_that_comes_or_goes_is_waited_for(
    owner: Owner, capsys: pytest.CaptureFixture[str]
) -> None:
    owner.pairs()
    owner.ground.change.touch()
    assert owner.says(str(update_file(owner.folder)), "--yes") == Exit.FAILED
    assert "The list of guests is being changed" in capsys.readouterr().err
    assert is_untouched(owner)


def test_a_pair_that_changes_its_addresses_or_its_copies_waits() -> None:
    assert list(hindrances.of_pair(THERE)) == []
    (one,) = hindrances.of_pair(replace(THERE, lan=replace(THERE.lan, is_open=True)))
    assert "addresses" in one.what
    guests = tuple(replace(guest, is_proposed=True) for guest in THERE.guests)
    (one,) = hindrances.of_pair(replace(THERE, guests=guests))
    assert "given up" in one.what
    nodes = tuple(replace(node, is_leaving=True) for node in THERE.nodes)
    assert len(list(hindrances.of_pair(replace(THERE, nodes=nodes)))) == 2


def test_guests_that_find_no_memory_over_there_are_not_sent() -> None:
    """The other machine would have them while this one restarts."""
    measured = node(measured=Measured(memory=900, takes={"counter": 196}))
    assert list(hindrances.of_leader(look(both(measured, hello(memory=196))(WELL)))) == []
    (one,) = hindrances.of_leader(look(both(measured, hello(memory=190))(WELL)))
    assert one.what == (
        "berta has too little memory left for counter, which needs 196 MiB and is to move there"
    )


MANIFEST = Manifest(
    slot_of(NEW),
    Formats(1, 3),
    Formats(3, 3),
    (Part("root", 3 * 4096, ""), Part("xen", 5 << 20, "")),
)
ROOM = Room(3 * 4096, 6 << 20)


@pytest.mark.parametrize(
    ("manifest", "room", "ours", "told"),
    [
        (MANIFEST, ROOM, Understood(3, Formats(3, 3)), None),
        (MANIFEST, Room(3 * 4096 - 1, 6 << 20), Understood(3, Formats(3, 3)), "and the slot"),
        (MANIFEST, Room(3 * 4096, (6 << 20) - 1), Understood(3, Formats(3, 3)), "to boot from"),
        (MANIFEST, ROOM, Understood(4, Formats(3, 3)), "would not understand"),
        (MANIFEST, ROOM, Understood(3, Formats(4, 5)), "could not talk"),
    ],
)
def test_what_does_not_fit_is_not_taken(
    manifest: Manifest, room: Room, ours: Understood, told: str | None
) -> None:
    found = Standing("a", Intent("a"), {"a": slot_of(OLD)})
    said = [one.what for one in hindrances.of_update(manifest, found, room, ours, Release.of(OLD))]
    assert [told in what for what in said if told] == [True] * bool(told)
    assert bool(said) is bool(told)


def test_room_counts_what_is_written_over(owner: Owner) -> None:
    before = machine.room(owner.stick, "b")
    owner.stick.holds("b", "0.1.5")
    assert machine.room(owner.stick, "b") == before


def plugged_in(*parts: str) -> dict[str, Any]:
    row = {"fstype": None, "partlabel": None, "mountpoints": [None], "size": "4G"}
    children = [{**row, "name": name, "fstype": "vfat"} for name in parts]
    return {**row, "name": "sdc", "tran": "usb", "model": "Cruzer", "children": children}


def test_the_only_one_on_a_stick_is_taken_from_it_read_only(owner: Owner) -> None:
    owner.disks = [plugged_in("sdc1")]
    (owner.folder / "usb").mkdir()
    update_file(owner.folder).rename(owner.folder / "usb/shoestring-0.2.0.update")
    assert owner.says("--yes") == Exit.PROTECTED
    mounts = [line for line in owner.ran if line.startswith("mount ")]
    assert mounts and all(" ro," in line for line in mounts)
    assert len(mounts) == len([line for line in owner.ran if line.startswith("umount ")])
    assert grub_starts(owner.stick) == NEW


@pytest.mark.parametrize(
    ("names", "words", "told"),
    [
        ((), (), "no update on a USB stick"),
        (("one.update", "tw\x1bo.update"), (), "several updates: one.update, tw?o.update"),
        (("one.update",), ("two.update",), "no two.update on a USB stick"),
        (("one.update",), ("/none/two.update",), "no file /none/two.update"),
    ],
)
def test_nothing_is_guessed(
    owner: Owner,
    names: Sequence[str],
    words: Sequence[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    owner.disks = [plugged_in("sdc1")]
    (owner.folder / "usb").mkdir()
    for name in names:
        (owner.folder / "usb" / name).touch()
    assert owner.says(*words, "--yes") == Exit.FAILED
    assert told in capsys.readouterr().err
    assert is_untouched(owner)


def test_the_status_is_only_looked_at(owner: Owner, capsys: pytest.CaptureFixture[str]) -> None:
    assert owner.says("--status") == Exit.PROTECTED
    assert capsys.readouterr().out == "0.1.0 runs, from slot a.\nSlot b is empty.\n"
    assert is_untouched(owner)


def test_one_that_was_given_up_can_be_put_aside(owner: Owner) -> None:
    owner.stick.holds("b", NEW).intends(Intent("a", fallen="b"))
    assert owner.says("--dismiss") == Exit.PROTECTED
    assert grubenv.parse(owner.stick.disk[ENVIRONMENT])["fallen"] == ""
    assert news.read(owner.ground.news) == News(OLD)
    assert owner.says("--dismiss") == Exit.PROTECTED
