# SPDX-License-Identifier: MIT
"""`shoestring guest backup` and `backup`: what is refused, and what is there afterwards."""

import contextlib
import errno
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from haagent import shoestring, usb
from haagent.backup import act, finding, layout
from haagent.backup.naming import Kind, Name
from haagent.backup.retention import Point
from haagent.command import Exit, Places
from haagent.core.model import Disk, Link, Phase
from haagent.elsewhere import share
from haagent.elsewhere.share import Reach
from haagent.errors import OperatorError, ToolError
from haagent.images import conversion, export
from haagent.storage.findings import Finding
from haagent.storage.verification import Verified
from tests.unit import real_qemu
from tests.unit.fake_agent import Agent, Captured, agent, cut_in_two, places, systemctl
from tests.unit.fake_state import (
    AROUND,
    WELL,
    Change,
    both,
    elsewhere,
    guest,
    look,
    resource,
    silent,
)
from tests.unit.real_qemu import needs_qemu

__all__ = ["agent", "places", "systemctl"]  # fixtures

BEGIN = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)
MIB = 1 << 20


class Machine:
    """Its copy of the guest's disk, with DRBD's own data behind it, and a clock."""

    def __init__(self, root: Path) -> None:
        self.volume, self.size = root / "volume", 3 * MIB
        self.before = root / "before"  # a resync
        self.before.write_bytes(b"y" * self.size + b"drbd's own")
        self.volume.write_bytes(bytes(2 * MIB) + b"x" * MIB + b"drbd's own")
        self.folder, self.sysfs = root / "backups", root / "sys"
        self.folder.mkdir()
        (self.sysfs / "drbd0").mkdir(parents=True)
        (self.sysfs / "drbd0" / "size").write_text(f"{self.size // 512}\n")
        self.now = BEGIN
        self.read = 0

    @contextlib.contextmanager
    def snapshot(self, name: str, run: object) -> Iterator[Path]:
        self.read += 1
        yield self.volume

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[Path]:
        yield self.before

    def writes(self, at: int, data: bytes) -> None:
        with self.volume.open("r+b") as file:
            file.seek(at)
            file.write(data)

    def grows(self, data: bytes) -> None:
        """What is new of the disk holds DATA; DRBD's own moves behind it."""
        self.volume.write_bytes(self.disk() + data + b"drbd's own")
        self.size += len(data)
        (self.sysfs / "drbd0/size").write_text(f"{self.size // 512}\n")

    def disk(self) -> bytes:
        return self.volume.read_bytes()[: self.size]

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def machine(tmp_path: Path, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    agent.says(elsewhere)
    back_up = act.back_up

    class Clock:
        @staticmethod
        def now(zone: object) -> datetime:
            made.now += timedelta(minutes=1)
            return made.now

        fromtimestamp = datetime.fromtimestamp

    monkeypatch.setattr(act, "snapshot", made.snapshot)
    monkeypatch.setattr(act, "Overwritten", lambda run: made)
    monkeypatch.setattr(act, "datetime", Clock)
    monkeypatch.setattr(act, "back_up", lambda said, places: back_up(said, places, made.sysfs))
    return made


def back_up(machine: Machine, places: Places, *more: str) -> int:
    argv = ["guest", "backup", "counter", "--to", str(machine.folder), *more]
    return shoestring.main(argv, places)


def test_a_backup_and_what_changed_since(
    machine: Machine, places: Places, capsys: Captured, tmp_path: Path
) -> None:
    assert back_up(machine, places) == Exit.PROTECTED
    assert "counter with 3 MiB of disk in" in capsys.readouterr().out
    machine.writes(0, b"news")
    assert back_up(machine, places) == Exit.PROTECTED
    assert "with what changed since counter-2026-11-30T0201Z.full.shoestring" in (
        " ".join(capsys.readouterr().out.split())
    )
    full, later = machine.names()
    assert full == "counter-2026-11-30T0201Z.full.shoestring"
    assert later == "counter-2026-11-30T0202Z.incremental.shoestring"

    path = str(machine.folder / later)
    assert shoestring.main(["backup", "verify", path], places) == Exit.PROTECTED
    told = " ".join(capsys.readouterr().out.split())
    assert "every sum is right" in told and full in told and later in told
    assert shoestring.main(["backup", "show", path], places) == Exit.PROTECTED
    assert "incremental" in capsys.readouterr().out
    out = tmp_path / "out"
    out.mkdir()
    assert shoestring.main(["backup", "unpack", path, str(out)], places) == Exit.PROTECTED
    assert (out / "counter-xvda.raw").read_bytes() == machine.disk()
    assert "memory: 192" in (out / "counter.yaml").read_text()
    assert shoestring.main(["backup", "unpack", path, str(out)], places) == Exit.FAILED
    assert "is there already. Nothing was written." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("finding", "is_told"),
    [
        (Finding(at=9.0, differs=8, since=9.0), True),
        (Finding(at=9.0, differs=8, since=9.0, copied_from="anna"), False),
        (Finding(at=9.0, differs=8, since=9.0, is_first=True), False),
        (Finding(at=9.0), False),
    ],
)
def test_of_copies_that_differ_one_may_be_wrong(
    machine: Machine,
    agent: Agent,
    places: Places,
    capsys: Captured,
    finding: Finding,
    is_told: bool,
) -> None:
    around = replace(AROUND, verified={"counter": Verified(finding)})
    agent.shows(look(elsewhere(WELL), around))
    assert back_up(machine, places) == Exit.PROTECTED
    assert ("differ (SHOE-210), and nobody" in " ".join(capsys.readouterr().out.split())) is is_told
    assert back_up(machine, places, "--json") == Exit.PROTECTED
    assert json.loads(capsys.readouterr().out)["differs"] == (8 if is_told else 0)


def test_several_disks_are_of_one_moment(machine: Machine, places: Places, tmp_path: Path) -> None:
    cut_in_two(places)
    assert back_up(machine, places) == back_up(machine, places, "--plain") == Exit.PROTECTED
    machine.writes(2 * MIB, b"news")
    assert back_up(machine, places) == Exit.PROTECTED
    assert machine.read == 3, "one snapshot for each backup"
    _, folder, later = machine.names()
    out = tmp_path / "out"
    out.mkdir()
    argv = ["backup", "unpack", str(machine.folder / later), str(out)]
    assert shoestring.main(argv, places) == Exit.PROTECTED
    assert (out / "counter-xvda.raw").read_bytes() == machine.disk()[:MIB]
    assert (out / "counter-xvdb.raw").read_bytes() == machine.disk()[MIB:]
    assert {path.name: path.stat().st_size for path in (machine.folder / folder).glob("*.raw")} == {
        "xvda.raw": MIB,
        "xvdb.raw": 2 * MIB,
    }
    text = yaml.safe_load((machine.folder / folder / "counter.yaml").read_text())
    assert text["disks"] == {"xvda": MIB, "xvdb": 2 * MIB}


def test_after_seven_there_is_a_full_one_again(machine: Machine, places: Places) -> None:
    for _ in range(act.DEEPEST + 2):
        assert back_up(machine, places, "--json") == Exit.PROTECTED
    kinds = [name.split(".")[1] for name in machine.names()]
    assert kinds == ["full", *["incremental"] * act.DEEPEST, "full"]


def unpacked(places: Places, path: Path, out: Path) -> bytes:
    out.mkdir()
    assert shoestring.main(["backup", "unpack", str(path), str(out)], places) == Exit.PROTECTED
    return (out / "counter-xvda.raw").read_bytes()


def test_a_disk_that_grew_is_in_the_next_one(
    machine: Machine, places: Places, tmp_path: Path
) -> None:
    """Whole blocks, a half one, and one that becomes whole."""
    for number, more in enumerate((bytes(MIB), b"y" * (MIB // 2), b"z" * MIB, b"")):
        if more:
            machine.grows(more)
        assert back_up(machine, places) == Exit.PROTECTED
        newest = machine.folder / machine.names()[-1]
        assert (newest.name.split(".")[1] == "full") is (number == 0)
        assert unpacked(places, newest, tmp_path / f"out{number}") == machine.disk()


def test_a_disk_that_grew_too_large_for_its_blocks_is_in_a_full_one(
    machine: Machine, places: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(layout, "MOST_BLOCKS", 4)
    assert back_up(machine, places) == Exit.PROTECTED
    machine.grows(b"y" * 2 * MIB)
    assert back_up(machine, places) == Exit.PROTECTED
    assert [name.split(".")[1] for name in machine.names()] == ["full", "full"]
    assert unpacked(places, machine.folder / machine.names()[-1], tmp_path / "out") == (
        machine.disk()
    )
    assert back_up(machine, places) == Exit.PROTECTED
    assert machine.names()[-1].split(".")[1] == "incremental"


def test_a_full_one_can_be_wanted(machine: Machine, places: Places) -> None:
    for _ in range(2):
        assert back_up(machine, places, "--full") == Exit.PROTECTED
    assert [name.split(".")[1] for name in machine.names()] == ["full", "full"]


def test_an_incremental_one_whose_base_is_gone_is_no_base(machine: Machine, places: Places) -> None:
    for _ in range(2):
        back_up(machine, places)
    (machine.folder / machine.names()[0]).unlink()
    assert back_up(machine, places) == Exit.PROTECTED
    assert machine.names()[-1].endswith(".full.shoestring")


def test_a_plain_one_needs_nothing_of_ours(machine: Machine, places: Places) -> None:
    assert back_up(machine, places, "--plain") == Exit.PROTECTED
    [name] = machine.names()
    folder = machine.folder / name
    assert (folder / "xvda.raw").read_bytes() == machine.disk()
    assert (folder / "SHA256SUMS").exists() and (folder / "counter.yaml").exists()


def test_what_is_not_kept_is_removed_and_told(
    machine: Machine, places: Places, capsys: Captured
) -> None:
    for _ in range(3):
        back_up(machine, places, "--full", "--keep", "2")
    assert len(machine.names()) == 2
    told = " ".join(capsys.readouterr().out.split())
    assert "Removed, for they are not kept any more: counter-2026-11-30T0201Z.full" in told


def test_a_clock_that_was_ahead_costs_no_newer_backup(
    machine: Machine, places: Places, capsys: Captured
) -> None:
    machine.now += timedelta(days=400)
    back_up(machine, places, "--full")
    machine.now = BEGIN
    capsys.readouterr()
    assert back_up(machine, places, "--keep", "1", "--json") == Exit.PROTECTED
    told = json.loads(capsys.readouterr().out)
    assert Path(told["file"]).exists() and told["removed"] == []
    assert told["base"] is None, "what is dated ahead is no base for years"
    assert back_up(machine, places, "--plain", "--keep", "1", "--json") == Exit.PROTECTED
    assert json.loads(capsys.readouterr().out)["removed"] == [], "it is the last of its kind"
    assert back_up(machine, places, "--full", "--keep", "1", "--json") == Exit.PROTECTED
    assert json.loads(capsys.readouterr().out)["removed"] == [Path(told["file"]).name]


def test_what_cannot_be_removed_is_told_beside_the_backup(
    machine: Machine, places: Places, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(machine, places, "--full")
    capsys.readouterr()

    def refuses(path: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuses)
        assert back_up(machine, places, "--full", "--keep", "1") == Exit.PROTECTED
    told = " ".join(capsys.readouterr().out.split())
    assert "cannot be removed: counter-2026-11-30T0201Z.full.shoestring (Operation not" in told
    assert len(machine.names()) == 2


@pytest.mark.parametrize("state", [{"disk": Disk.INCONSISTENT}, {"link": Link.CONNECTING}])
def test_a_copy_that_is_written_over_meanwhile_is_not_read(
    machine: Machine,
    places: Places,
    agent: Agent,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    state: dict[str, Any],
) -> None:
    """While a person is asked for a password, or between the last look and the snapshot."""
    taken = machine.snapshot

    @contextlib.contextmanager
    def overtaken(name: str, run: object) -> Iterator[Path]:
        agent.says(both(elsewhere, silent, resource(**state)))
        with taken(name, run) as path:
            yield path

    monkeypatch.setattr(act, "snapshot", overtaken)
    assert back_up(machine, places) == Exit.FAILED
    assert "is not the newest, or nobody knows" in capsys.readouterr().err
    assert machine.names() == []


def test_an_older_copy_is_of_the_moment_until_which_it_was_the_newest(
    machine: Machine, places: Places, agent: Agent, capsys: Captured
) -> None:
    """Or it would be taken for newer than the backups that were made since."""
    last = datetime(2026, 11, 9, 7, 30, tzinfo=UTC)
    assert back_up(machine, places) == Exit.PROTECTED
    alone = both(elsewhere, silent, resource(link=Link.CONNECTING, disk=Disk.OUTDATED))
    shown = look(alone(WELL))
    [view] = shown.guests
    agent.shows(replace(shown, guests=(replace(view, in_sync_at=last.timestamp()),)))
    capsys.readouterr()
    assert back_up(machine, places, "--older", "--json") == Exit.PROTECTED
    told = json.loads(capsys.readouterr().out)
    assert told["file"].endswith("counter-2026-11-09T0730Z.full.shoestring")
    assert told["base"] is None


def test_other_guests_backups_are_not_ours_to_remove(machine: Machine, places: Places) -> None:
    back_up(machine, places)
    strange = machine.folder / "counter-2026-11-30T0000Z.full.shoestring"
    strange.write_bytes(b"no backup")
    back_up(machine, places, "--full", "--keep", "1")
    assert strange.exists()


def test_for_programs(machine: Machine, places: Places, capsys: Captured) -> None:
    assert back_up(machine, places, "--json") == Exit.PROTECTED
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["disk_bytes"] == machine.size and told["base"] is None and told["removed"] == []


REFUSED: tuple[tuple[Change, str], ...] = (
    (both(), "counter runs on anna, and the copy on berta is the same"),
    (both(elsewhere, resource(disk=Disk.INCONSISTENT)), "is not the newest, or nobody knows"),
    (both(elsewhere, silent, resource(link=Link.CONNECTING)), "is not the newest"),
    (both(elsewhere, resource(disk=Disk.OUTDATED)), "it is Outdated"),
)


@pytest.mark.parametrize(("change", "why"), REFUSED)
def test_a_copy_that_is_not_to_be_read(
    machine: Machine, places: Places, agent: Agent, capsys: Captured, change: Change, why: str
) -> None:
    agent.says(change)
    assert back_up(machine, places) == Exit.FAILED
    assert why in capsys.readouterr().err
    assert (machine.read, machine.names()) == (0, [])


@pytest.mark.parametrize("disk", [Disk.OUTDATED, Disk.CONSISTENT, Disk.UP_TO_DATE])
def test_the_older_copy_is_read_if_a_person_means_it(
    machine: Machine, places: Places, agent: Agent, capsys: Captured, disk: Disk
) -> None:
    agent.says(both(elsewhere, silent, resource(link=Link.CONNECTING, disk=disk)))
    assert back_up(machine, places) == Exit.FAILED
    assert "`shoestring guest backup counter --older` reads the copy here as it is" in " ".join(
        capsys.readouterr().err.split()
    )
    assert back_up(machine, places, "--older") == Exit.PROTECTED
    told = " ".join(capsys.readouterr().out.split())
    assert "This is the copy on anna, which is not the newest, or may not be" in told
    assert back_up(machine, places, "--older", "--json") == Exit.PROTECTED
    assert "written on berta" in json.loads(capsys.readouterr().out)["older"]
    assert [name.rpartition("Z")[2] for name in machine.names()] == [".full.shoestring"] * 2


PART = resource(link=Link.CONNECTING, disk=Disk.INCONSISTENT)


def test_of_a_part_what_was_before_is_read_if_a_person_means_it(
    machine: Machine, places: Places, agent: Agent, capsys: Captured, tmp_path: Path
) -> None:
    agent.says(both(elsewhere, silent, PART))
    assert back_up(machine, places) == Exit.FAILED
    told = " ".join(capsys.readouterr().err.split())
    assert "it is Inconsistent" in told and "--older` reads what the copy here was before." in told
    assert back_up(machine, places, "--older") == Exit.PROTECTED
    told = " ".join(capsys.readouterr().out.split())
    assert "what the copy on anna was before it began to be written over. What was" in told
    [full] = machine.names()
    assert unpacked(places, machine.folder / full, tmp_path / "out") == b"y" * machine.size
    assert machine.read == 0


@needs_qemu
def test_an_export_of_a_part_is_of_what_was_before(
    machine: Machine, places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.says(both(elsewhere, silent, PART))
    write_out = partial(conversion.write_out, follow=real_qemu.follow)
    monkeypatch.setattr(conversion, "write_out", write_out)
    asked = export.export
    monkeypatch.setattr(export, "export", lambda said, places: asked(said, places, machine.sysfs))
    argv = ["guest", "export", "counter", "--to", str(machine.folder), "--format", "raw", "--older"]
    assert shoestring.main(argv, places) == Exit.PROTECTED
    [name] = machine.names()
    assert (machine.folder / name).read_bytes() == b"y" * machine.size


def test_what_is_being_brought_up_to_date_is_waited_for(
    machine: Machine, places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.says(both(elsewhere, resource(link=Link.SYNC_TARGET, disk=Disk.INCONSISTENT)))
    assert back_up(machine, places, "--older") == Exit.FAILED
    assert "wait until both copies are the same" in " ".join(capsys.readouterr().err.split())
    assert machine.names() == []


@pytest.mark.parametrize("disk", [Disk.DISKLESS, Disk.FAILED, Disk.UNKNOWN])
def test_what_never_was_a_disk_is_read_for_nobody(
    machine: Machine, places: Places, agent: Agent, capsys: Captured, disk: Disk
) -> None:
    agent.says(both(elsewhere, silent, resource(link=Link.CONNECTING, disk=disk)))
    assert back_up(machine, places, "--older") == Exit.FAILED
    assert f"it is {disk}" in (told := " ".join(capsys.readouterr().err.split()))
    assert "--older" not in told
    assert (machine.read, machine.names()) == (0, [])


def test_for_an_older_copy_nothing_is_removed(
    machine: Machine, places: Places, agent: Agent, capsys: Captured
) -> None:
    for _ in range(2):
        assert back_up(machine, places, "--full") == Exit.PROTECTED
    agent.says(both(elsewhere, silent, resource(link=Link.CONNECTING, disk=Disk.OUTDATED)))
    assert back_up(machine, places, "--full", "--older", "--keep", "1") == Exit.PROTECTED
    assert len(machine.names()) == 3
    assert "Removed" not in capsys.readouterr().out


def test_the_newest_copy_is_no_older_one(
    machine: Machine, places: Places, capsys: Captured
) -> None:
    assert back_up(machine, places, "--older", "--json") == Exit.PROTECTED
    assert json.loads(capsys.readouterr().out)["older"] == ""


def test_where_it_runs_a_person_may_insist(machine: Machine, places: Places, agent: Agent) -> None:
    agent.says(both())
    assert back_up(machine, places, "--here") == Exit.PROTECTED


def test_who_runs_it_alone_is_read_there(machine: Machine, places: Places, agent: Agent) -> None:
    agent.says(
        both(silent, resource(link=Link.CONNECTING), guest(phase=Phase.HOLDING, is_running=True))
    )
    assert back_up(machine, places) == Exit.PROTECTED


def test_an_interruption_leaves_nothing(
    machine: Machine, places: Places, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("haagent.backup.disks.Source.read", interrupt)
    assert back_up(machine, places) == Exit.INTERRUPTED
    assert "There is none: what was written is removed." in capsys.readouterr().err
    assert machine.names() == []


def test_a_snapshot_that_ran_out_of_room_is_no_backup(
    machine: Machine, places: Places, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel answers all reads of it with an error then."""

    def fails(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.pread", fails)
    assert back_up(machine, places) == Exit.FAILED
    assert "could not be read at byte 0: Input/output error" in capsys.readouterr().err
    assert machine.names() == []


@pytest.mark.parametrize(("ahead", "which"), [((), "0203"), ((1,), None), ((0, 1, 2), "0203")])
def test_which_is_the_newest_is_not_guessed(
    machine: Machine, ahead: tuple[int, ...], which: str | None
) -> None:
    """One clock was wrong: that of who wrote them, or ours."""
    points = [
        Point(f"{at:%H%M}", Name("web", at + timedelta(days=9) * (number in ahead), Kind.FULL), "")
        for number, at in enumerate(BEGIN + timedelta(minutes=n) for n in (1, 2, 3))
    ]
    now = BEGIN + timedelta(minutes=9)
    if which is not None:
        assert finding.newest(points, now).file == which
        return
    with pytest.raises(OperatorError, match=r"0202 is dated ahead of .* clock, and 0203 is not"):
        finding.newest(points, now)


def test_a_folder_that_is_not_there(machine: Machine, places: Places, capsys: Captured) -> None:
    argv = ["guest", "backup", "counter", "--to", "/nowhere"]
    assert shoestring.main(argv, places) == Exit.FAILED
    assert "There is no folder nowhere. Nothing was done." in capsys.readouterr().err


def test_the_one_usb_disk_is_taken(
    machine: Machine,
    places: Places,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    plugged = [usb.Stick("sdc1", "ntfs", "A large disk")]  # nothing is written there

    @contextlib.contextmanager
    def mounted(*_: object, **__: object) -> Iterator[Path]:
        yield machine.folder

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        return ""

    monkeypatch.setattr(usb, "sticks", lambda argv, text: plugged)
    monkeypatch.setattr(finding, "mounted", mounted)
    monkeypatch.setattr(finding, "POINT", tmp_path / "run/backups")
    without = Places(places.file, places.cmdline, places.folder, places.socket, run)
    assert shoestring.main(["guest", "backup", "counter"], without) == Exit.FAILED
    said = " ".join(capsys.readouterr().err.split())
    assert "there is none. A large disk has ntfs, which is not taken for this. Nothing" in said
    plugged.append(usb.Stick("sdb1", "exfat", "a disk"))
    assert shoestring.main(["guest", "backup", "counter"], without) == Exit.PROTECTED
    [first] = machine.names()
    machine.writes(0, b"later")
    assert shoestring.main(["guest", "backup", "counter"], without) == Exit.PROTECTED
    newest = machine.names()[-1]
    capsys.readouterr()
    busy = ["guest", "backup", "counter"]
    with finding.usb_disk("A test takes", without.run, is_writable=False):
        assert shoestring.main(busy, without) == Exit.FAILED
    assert "The USB disk is in use already" in capsys.readouterr().err
    for said, found in ((first, first), ("counter", newest), (f"{machine.folder}/{first}", first)):
        assert shoestring.main(["backup", "verify", said], without) == Exit.PROTECTED
        assert f"every sum is right: {found}" in capsys.readouterr().out.replace("\n", " ")
    assert shoestring.main(["backup", "verify", "mail"], without) == Exit.FAILED
    assert "It has backups of: counter." in " ".join(capsys.readouterr().err.split())


def test_what_one_that_was_killed_left_mounted_is_in_nobodys_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk that is mounted is no disk that is plugged in for this."""
    ran: list[str] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        ran.append(" ".join(argv))
        mounts = "/run/shoestring/backups" if len(ran) == 1 else None
        part = {"name": "sdb", "tran": "usb", "fstype": "exfat", "partlabel": None}
        rest = {"mountpoints": [mounts], "model": "Disk", "size": "1T"}
        return json.dumps({"blockdevices": [{**part, **rest}]}) if argv[0] == "lsblk" else ""

    monkeypatch.setattr(finding, "POINT", tmp_path / "run/backups")
    monkeypatch.setattr(Path, "is_mount", lambda path: len(ran) < 1)
    with finding.usb_disk("A test takes", run, is_writable=False) as place:
        assert place == finding.POINT
    verbs = [line.split()[0] for line in ran]
    assert verbs == ["umount", "lsblk", "mount", "umount"]


def test_a_folder_of_another_computer_is_taken(
    machine: Machine, places: Places, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[str] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        if argv[0] == "mount":
            modes.append(argv[4].split(",")[0])
        return ""

    reach = Reach(run, have_own_mounts=lambda run: None, check_answers=lambda host, port: None)
    monkeypatch.setattr(share, "POINT", machine.folder)
    monkeypatch.setattr(share, "of", lambda *_: reach)
    argv = ["guest", "backup", "counter", "--to", "nfs://nas/backups/"]
    assert shoestring.main(argv, places) == Exit.PROTECTED
    [full] = machine.names()
    assert f"nfs://nas/backups/{full}: counter with" in " ".join(capsys.readouterr().out.split())
    machine.writes(0, b"news")
    assert shoestring.main([*argv, "--json"], places) == Exit.PROTECTED
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == f"nfs://nas/backups/{machine.names()[-1]}" and told["base"] == full
    assert shoestring.main(["backup", "verify", told["file"]], places) == Exit.PROTECTED
    assert full in capsys.readouterr().out
    assert modes == ["rw", "rw", "ro"]


def test_a_server_that_is_lost_meanwhile_is_told(
    machine: Machine, places: Places, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr("os.fsync", lost)
    assert back_up(machine, places) == Exit.FAILED
    said = " ".join(capsys.readouterr().err.split())
    assert "could not be written: Transport endpoint is not connected. It is not there." in said
    assert "The other computer was lost on the way" in said
    assert machine.names() == []


@needs_qemu
@pytest.mark.parametrize("kind", ["qcow2", "vmdk", "vdi", "raw"])
def test_an_export_is_for_another_hypervisor(
    machine: Machine,
    places: Places,
    agent: Agent,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    write_out = partial(conversion.write_out, follow=real_qemu.follow)
    monkeypatch.setattr(conversion, "write_out", write_out)
    asked = export.export
    monkeypatch.setattr(export, "export", lambda said, places: asked(said, places, machine.sysfs))
    argv = ["guest", "export", "counter", "--to", str(machine.folder), "--format", kind]
    assert shoestring.main(argv, places) == Exit.PROTECTED
    [name] = machine.names()
    assert name.startswith("counter-") and name.endswith(f"Z.{kind}")
    assert "was compared with the disk" in " ".join(capsys.readouterr().out.split())
    back = machine.folder / "back"
    turn = ("qemu-img", "convert", "-f", kind, "-O", "raw", str(machine.folder / name), str(back))
    real_qemu.run(turn, timeout=60)
    assert back.read_bytes() == machine.disk()
    agent.says(lambda state: state)
    assert shoestring.main(argv, places) == Exit.FAILED
    assert "the copy on berta is the same" in capsys.readouterr().err


@needs_qemu
def test_an_export_of_several_disks_is_a_file_for_each(
    machine: Machine, places: Places, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_in_two(places)
    write_out = partial(conversion.write_out, follow=real_qemu.follow)
    monkeypatch.setattr(conversion, "write_out", write_out)
    asked = export.export
    monkeypatch.setattr(export, "export", lambda said, places: asked(said, places, machine.sysfs))
    argv = ["guest", "export", "counter", "--to", str(machine.folder), "--format", "raw"]
    assert shoestring.main(argv, places) == Exit.PROTECTED
    first, second = machine.names()
    assert first.endswith("Z-xvda.raw") and second.endswith("Z-xvdb.raw")
    both = (machine.folder / first).read_bytes(), (machine.folder / second).read_bytes()
    assert both == (machine.disk()[:MIB], machine.disk()[MIB:])
    assert machine.read == 1, "both are of one moment"


def test_an_export_that_fails_leaves_nothing(
    machine: Machine, places: Places, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:

    def fail(argv: Sequence[str], heard: object, *, silence: float) -> None:
        raise ToolError(argv, 1, "No space left on device")

    monkeypatch.setattr(conversion, "write_out", partial(conversion.write_out, follow=fail))
    asked = export.export
    monkeypatch.setattr(export, "export", lambda said, places: asked(said, places, machine.sysfs))
    argv = ["guest", "export", "counter", "--to", str(machine.folder)]
    assert shoestring.main(argv, places) == Exit.FAILED
    assert "could not be written: No space left on device" in capsys.readouterr().err
    assert machine.names() == []
