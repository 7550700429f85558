# SPDX-License-Identifier: MIT
"""What a resync writes over is kept meanwhile; and no failure of that ends in another code than 0,
for which DRBD would drop the connection.
"""

import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

import haagent
from haagent.errors import OperatorError
from haagent.storage.kept import MIB, Kept, name_of, needed
from haagent.storage.overwritten import Overwritten, size_of
from haagent.storage.resync_handlers import AFTER, BEFORE, main
from haagent.storage.snapshot import LEAST
from tests.unit.test_kept import SIZE, STAMP, Group

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
NAME = "mail_resync"
CHANGES = 100 * MIB
CONF = Path(__file__).parents[1] / "data/answers/a/state/etc/drbd.d/shoestring.conf"


class Machine:
    """Its volume group and its DRBD, which has the guest mail as number 3."""

    def __init__(self, root: Path) -> None:
        self.lvm, self.proc, self.locks = Group(), root / "drbd", root / "run"
        self.log = root / "kmsg"
        self.snapshots = Overwritten(self.lvm, self.proc, self.locks)
        self.shows("WFSyncUUID", "Outdated")

    def shows(self, link: str, disk: str) -> None:
        self.proc.write_text(
            "version: 8.4.11 (api:1/proto:86-101)\n"
            " 0: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----\n"
            "    ns:0 nr:8 dw:8 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n\n"
            f" 3: cs:{link} ro:Secondary/Primary ds:{disk}/UpToDate C r-----\n"
            f"    ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:{CHANGES >> 10}\n"
        )

    def has_left(self, **odd: object) -> None:
        """A snapshot of a resync before."""
        self.lvm.volumes[NAME] = {
            **{"size": 64 * MIB, "origin": "mail", "tags": "resync", "invalid": ""},
            **odd,
        }

    def begins(self) -> str:
        return self.snapshots.keep("mail", 3, NOW)

    def ends(self) -> str:
        return self.snapshots.drop("mail", 3)

    def told(self, word: str, **environment: str) -> str:
        """What the handler writes into the log."""
        self.log.write_text("")
        known = {"DRBD_RESOURCE": "mail", "DRBD_MINOR": "3"} | environment
        assert main(word, known, self.snapshots, self.log) == 0
        return self.log.read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_whole_copy_is_kept_until_the_resync_is_over(machine: Machine) -> None:
    assert machine.begins() == (
        f"{NAME} is what its copy was, until the resync is over ({size_of(CHANGES, SIZE) // MIB}"
        " MiB)"
    )
    assert machine.lvm.done == ["lvcreate", "lvchange"]
    made = machine.lvm.volumes[NAME]
    assert (made["tags"], made["origin"]) == ("resync", "mail")
    assert Kept(machine.lvm).copies() == (), "nobody's data were given up"
    machine.shows("SyncTarget", "Inconsistent")
    assert machine.ends().endswith(f"and {NAME} stays")
    machine.shows("Connected", "UpToDate")
    assert machine.ends() == f"{NAME} is removed"
    assert list(machine.lvm.volumes) == ["mail"]
    assert machine.ends() == f"there is no {NAME}"


@pytest.mark.parametrize(
    ("differs", "volume"),
    [(0, 100 << 30), (4096, 100 << 30), (CHANGES, SIZE), (SIZE, SIZE), (4096, 4 * MIB)],
)
def test_it_has_room_for_what_is_copied_and_for_what_is_written(differs: int, volume: int) -> None:
    size = size_of(differs, volume)
    assert size % MIB == 0, "LVM takes no part of a sector"
    assert size >= min(needed(differs + max(LEAST, volume // 10)), needed(volume))
    assert size < needed(volume) + MIB, "more can never be used"


@pytest.mark.parametrize("disk", ["Inconsistent", "Diskless", "Failed", "Attaching"])
def test_what_is_not_whole_is_not_kept(machine: Machine, disk: str) -> None:
    """A new machine's, or one whose last resync was cut short."""
    machine.shows("WFSyncUUID", disk)
    assert machine.begins() == f"its copy is {disk}, not whole, and nothing is kept of it"
    assert machine.lvm.done == []


def test_what_an_earlier_resync_left_whole_stays_while_the_next_one_goes_on(
    machine: Machine,
) -> None:
    machine.begins()
    before = machine.lvm.volumes.copy()
    machine.shows("WFConnection", "Inconsistent")
    assert machine.ends().endswith(f"and {NAME} stays")
    machine.shows("WFSyncUUID", "Inconsistent")
    assert machine.begins().endswith(f"; {NAME} stays")
    assert machine.lvm.volumes == before and machine.lvm.done == ["lvcreate", "lvchange"]


def test_what_a_crash_left_gives_way_to_the_newer_whole_copy(machine: Machine) -> None:
    machine.has_left()
    machine.begins()
    assert machine.lvm.done == ["lvremove", "lvcreate", "lvchange"]


@pytest.mark.parametrize("odd", [{"tags": "resync,unfinished"}, {"invalid": "snapshot invalid"}])
@pytest.mark.parametrize("act", [Machine.begins, Machine.ends])
def test_one_that_is_not_what_the_copy_was_is_worth_nothing(
    machine: Machine, odd: dict[str, object], act: Callable[[Machine], str]
) -> None:
    """LVM came to its end when the resync had begun, or the room was used up."""
    machine.has_left(**odd)
    machine.shows("SyncTarget", "Inconsistent")
    act(machine)
    assert list(machine.lvm.volumes) == ["mail"]


@pytest.mark.parametrize(
    ("link", "disk", "is_over"),
    [
        ("Connected", "UpToDate", True),
        ("WFConnection", "Consistent", True),
        ("WFConnection", "Outdated", True),
        ("StandAlone", "UpToDate", True),
        ("WFConnection", "Inconsistent", False),
        ("Connected", "Inconsistent", False),
        # The handler is over, and the kernel has not gone on yet.
        ("WFSyncUUID", "Outdated", False),
        ("WFBitMapT", "Outdated", False),
        ("PausedSyncT", "Inconsistent", False),
        ("Connected", "Negotiating", False),
    ],
)
def test_only_a_whole_copy_has_it_removed(
    machine: Machine, link: str, disk: str, is_over: bool
) -> None:
    machine.has_left()
    machine.shows(link, disk)
    machine.ends()
    assert (NAME not in machine.lvm.volumes) is is_over


def test_of_a_device_that_drbd_does_not_know_nothing_is_removed(machine: Machine) -> None:
    machine.has_left()
    assert "Diskless" in machine.snapshots.drop("mail", 7)
    assert NAME in machine.lvm.volumes


def test_without_room_nothing_is_made(machine: Machine) -> None:
    size = size_of(CHANGES, SIZE)
    machine.lvm.free = size - MIB
    assert f"it takes {size // MIB} MiB, and {size // MIB - 1} MiB are free" in machine.begins()
    assert machine.lvm.done == []
    machine.lvm.free = size
    machine.begins()
    assert NAME in machine.lvm.volumes


@pytest.mark.parametrize(
    ("stamp", "odd", "is_enough"),
    [
        (STAMP, {}, True),
        ("20260102-0254", {}, False),
        ("20251002-0304", {}, False),
        (STAMP, {"invalid": "snapshot invalid"}, False),
        (STAMP, {"tags": "unfinished,choice-2"}, False),
        (STAMP, {"origin": "web"}, False),
    ],
)
def test_of_one_moment_one_copy_is_enough(
    machine: Machine, stamp: str, odd: dict[str, object], is_enough: bool
) -> None:
    """A person has just given up what is here, and all of it is kept."""
    copy = {"size": needed(SIZE), "origin": "mail", "tags": "choice-2", "invalid": ""}
    machine.lvm.volumes[name_of("mail", stamp)] = copy | odd
    assert ("no other copy is kept" in machine.begins()) is is_enough
    assert (NAME not in machine.lvm.volumes) is is_enough


@pytest.mark.parametrize("odd", [{"tags": ""}, {"origin": "web"}, {"origin": ""}])
def test_a_strangers_volume_is_left_alone(machine: Machine, odd: dict[str, object]) -> None:
    machine.has_left(**odd)
    for word in (BEFORE, AFTER):
        assert f"{NAME} is no snapshot of ours" in machine.told(word)
    assert machine.lvm.done == [] and NAME in machine.lvm.volumes


def test_what_has_no_volume_of_ours_is_let_be(machine: Machine) -> None:
    assert "has no volume in the group" in machine.told(BEFORE, DRBD_RESOURCE="web")
    assert machine.lvm.done == []


def test_it_is_read_as_long_as_it_is_whole(machine: Machine) -> None:
    machine.begins()
    with machine.snapshots.opened("mail") as device:
        assert str(device) == f"/dev/shoestring/{NAME}"
    assert NAME in machine.lvm.volumes, "it is not the reader's"


@pytest.mark.parametrize(
    "odd", [None, {"tags": "resync,unfinished"}, {"invalid": "1"}, {"tags": ""}, {"origin": "web"}]
)
def test_what_is_not_whole_is_not_read(machine: Machine, odd: dict[str, object] | None) -> None:
    if odd is not None:
        machine.has_left(**odd)
    with pytest.raises(OperatorError, match="has of mail is a part"):  # noqa: SIM117
        with machine.snapshots.opened("mail"):
            pass


def test_the_handler_tells_what_it_did(machine: Machine) -> None:
    assert machine.told(BEFORE).startswith(f"<5>shoestring: mail: {NAME} is what its copy was")
    machine.shows("Connected", "UpToDate")
    assert machine.told(AFTER) == f"<5>shoestring: mail: {NAME} is removed\n"


@pytest.mark.parametrize("program", ["lvcreate", "lvchange", "lvremove"])
def test_a_failure_of_lvm_is_told_and_ends_well(machine: Machine, program: str) -> None:
    machine.has_left()
    machine.lvm.dies_at = program
    assert "the resync goes on without a copy: ToolError" in machine.told(BEFORE)
    assert machine.log.read_text().count("\n") == 1


@pytest.mark.parametrize("environment", [{"DRBD_MINOR": "3 4"}, {"DRBD_RESOURCE": "--yes"}])
def test_what_drbd_does_not_say_is_no_reason_to_fail(
    machine: Machine, environment: dict[str, str]
) -> None:
    assert "the resync goes on without a copy" in machine.told(BEFORE, **environment)
    assert main(BEFORE, {}, machine.snapshots, machine.log) == 0
    assert main(BEFORE, {}, machine.snapshots, machine.log.parent) == 0, "it cannot be told"


def test_a_signal_ends_the_wait(machine: Machine, tmp_path: Path) -> None:
    def waits(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it went on")

    machine.snapshots = Overwritten(waits, machine.proc, machine.locks)
    assert "TimeoutError('DRBD cannot wait any longer')" in machine.told(BEFORE)


def test_who_comes_second_waits_and_looks_anew(machine: Machine) -> None:
    """DRBD's handler while a start of the machine removes what was left."""
    machine.has_left()
    removing, goes_on = threading.Event(), threading.Event()

    def slow(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        if argv[0] == "lvremove":
            removing.set()
            assert goes_on.wait(10)
        return machine.lvm(argv, timeout=timeout)

    machine.shows("WFConnection", "Outdated")
    first = Overwritten(slow, machine.proc, machine.locks)
    start = threading.Thread(target=first.drop, args=("mail", 3))
    start.start()
    assert removing.wait(10)
    machine.shows("WFSyncUUID", "Outdated")
    handler = threading.Thread(target=machine.begins)
    handler.start()
    handler.join(0.3)
    assert handler.is_alive() and machine.lvm.done == []
    goes_on.set()
    start.join(10)
    handler.join(10)
    assert machine.lvm.done == ["lvremove", "lvcreate", "lvchange"]
    assert NAME in machine.lvm.volumes


# What `haagent before-resync-target` runs, with files and programs of a test.
PROGRAM = """
import sys
from pathlib import Path
from haagent.storage import overwritten, resync_handlers
root = Path(sys.argv.pop())
overwritten.Overwritten.__init__.__defaults__ = (overwritten.run, root / "drbd", root / "run")
resync_handlers.main.__defaults__ = (*resync_handlers.main.__defaults__[:2], root / "kmsg")
from haagent import __main__
code = __main__.main()
heavy = {"yaml", "jinja2", "argparse", "haagent.core", "haagent.cli", "haagent.config"}
print(sorted(heavy & sys.modules.keys()))
sys.exit(code)
"""


def call(machine: Machine, root: Path, lvs: str, limit: int) -> "subprocess.CompletedProcess[str]":
    """As DRBD's configuration has it called, with an `lvs` that is a script."""
    (root / "bin").mkdir()
    (root / "bin/lvs").write_text(f"#!/bin/sh\n{lvs}\n")
    (root / "bin/lvs").chmod(0o755)
    (command,) = re.findall(f'{BEFORE} "(.*)";', CONF.read_text())
    program = f"{shlex.quote(sys.executable)} -c {shlex.quote(PROGRAM)}"
    command = command.replace(f"/usr/bin/haagent {BEFORE}", f"{program} {BEFORE} {root}")
    limited = command.replace("-k 1 7 ", f"-k 1 {limit} ")
    assert limited != command
    return subprocess.run(
        ["/bin/sh", "-c", limited],
        env={
            "DRBD_RESOURCE": "mail",
            "DRBD_MINOR": "3",
            "PATH": f"{root / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(Path(haagent.__file__).parent.parent),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_as_a_program_it_loads_nothing_heavy(machine: Machine, tmp_path: Path) -> None:
    done = call(machine, tmp_path, 'echo \'{"report": [{"lv": []}]}\'', 60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert "mail: it has no volume in the group" in machine.log.read_text()


def test_an_lvm_that_hangs_is_not_waited_for_nor_killed(machine: Machine, tmp_path: Path) -> None:
    """Killed in the middle it could leave the volume suspended, with the mirror on it."""
    fifo, ended = tmp_path / "fifo", tmp_path / "ended"
    done = call(machine, tmp_path, f"mkfifo {fifo}; read line <{fifo}; echo $line >{ended}", 3)
    assert done.returncode == 0
    assert "TimeoutError('DRBD cannot wait any longer')" in machine.log.read_text()
    assert not ended.exists()
    fifo.write_text("by itself\n")
    end = time.monotonic() + 10
    while not (ended.exists() and ended.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("word", [BEFORE, AFTER])
@pytest.mark.parametrize("program", ["false", "no-such-program", "sleep 30", "sh -c 'kill -9 $$'"])
def test_whatever_becomes_of_the_program_drbd_sees_0(word: str, program: str) -> None:
    """A release before this one does not know the word, and ends with 64."""
    (command,) = re.findall(f'{word} "(.*)";', CONF.read_text())
    assert command == f"timeout -k 1 7 /usr/bin/haagent {word} || :"
    said = command.replace(f"/usr/bin/haagent {word}", program).replace(" 7 ", " 1 ")
    assert subprocess.run(["/bin/sh", "-c", said], check=False).returncode == 0
