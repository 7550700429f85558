# SPDX-License-Identifier: MIT
"""What must not have moved is found where it did; and the debugger finds its way into Xen."""

import socket
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.fake_story import FakeMachine, FakeStory
from tests.vm.beacons import Beacon
from tests.vm.chaos.faults import BOOT_ID
from tests.vm.incidents.disks import await_failed, record_of_lvm, superblock
from tests.vm.incidents.domains import MISER, SPINNERS, spun, take_memory, weight
from tests.vm.incidents.gdb import hang_xen
from tests.vm.incidents.generations import Reception, reception
from tests.vm.incidents.programs import MOVE, give_handler, give_handler_back, move
from tests.vm.incidents.standing import Standing, holder
from tests.vm.machine import Machine

JOURNAL = "1.5 a haagent[7]: a: b is heard\n"


@pytest.fixture
def fake() -> FakeStory:
    made = FakeStory()
    for machine in made.pair.both:
        machine.outs |= {BOOT_ID: "one\n", "journalctl": JOURNAL}
    return made


def says(machine: FakeMachine, text: str) -> None:
    # Its wall clock was set back meanwhile.
    machine.outs["journalctl"] += f"0.5 {machine.name} haagent[7]: {machine.name}: {text}\n"


def test_a_pair_that_stands_still_is_found_so(fake: FakeStory) -> None:
    before = Standing(fake.story)
    fake.beacons.heard.append(Beacon(2.0, "01-a", 2, 4))
    says(fake.a, "counter: in sync: our copy is of term 2")
    before.assert_unmoved()
    before.assert_nobody_was_missed()
    found = before.await_line(cast(Machine, fake.a), "in sync", 0)
    assert found.text == "a: counter: in sync: our copy is of term 2"


def test_another_start_of_the_guest_is_found(fake: FakeStory) -> None:
    before = Standing(fake.story)
    fake.beacons.heard.append(Beacon(2.0, "02-b", 1, 4))
    with pytest.raises(AssertionError, match="started anew"):
        before.assert_guest_stayed()
    before.await_next_start(0)


def test_another_holder_is_found(fake: FakeStory) -> None:
    before = Standing(fake.story)
    fake.b.status["guests"] = [{"runs_on": ["b"]}]
    with pytest.raises(AssertionError, match="b sees it elsewhere"):
        before.assert_guest_stayed()


def test_a_reset_is_found_and_only_the_holders_counts_for_the_guest(fake: FakeStory) -> None:
    before = Standing(fake.story)
    fake.b.outs[BOOT_ID] = "two\n"
    before.assert_guest_stayed()
    with pytest.raises(AssertionError, match="b was reset"):
        before.assert_unmoved()
    fake.a.outs[BOOT_ID] = "two\n"
    with pytest.raises(AssertionError, match="its holder was reset"):
        before.assert_guest_stayed()


@pytest.mark.parametrize("late", ["a is silent on every path", "our loop stood still for 9.0 s"])
def test_a_late_word_is_found(fake: FakeStory, late: str) -> None:
    before = Standing(fake.story)
    says(fake.b, late)
    with pytest.raises(AssertionError, match=late):
        before.assert_nobody_was_missed()


def test_a_guest_is_moved_as_soon_as_nothing_stands_in_the_way(fake: FakeStory) -> None:
    fake.a.status["guests"][0]["blocker"] = None
    move(cast(Machine, fake.a))
    assert fake.did == [f"a: {MOVE}"]


def test_the_holder_is_whom_one_machine_names(fake: FakeStory) -> None:
    fake.a.status["guests"][0]["runs_on"] = ["b"]
    assert holder(fake.story) is cast(Machine, fake.b)


def test_the_handler_is_named_and_ours_comes_back(fake: FakeStory) -> None:
    machine = cast(Machine, fake.a)
    give_handler(machine, "exit 42")
    give_handler_back(machine)
    did = "\n".join(fake.did)
    assert "'exit 42' > /run/handler" in did
    assert did.index('fence-peer "/run/handler";') < did.index('"/usr/bin/haagent fence-peer";')


def test_what_the_other_guests_spun(fake: FakeStory) -> None:
    heading = "Name                  ID   Mem VCPUs\tState\tTime(s)\n"
    listed = [f"{name}   {n}  192  1  r-----  {n}.5\n" for n, name in enumerate(SPINNERS, 2)]
    fake.a.outs["xl list"] = heading + "Domain-0  0  1024  1  -b----  99.0\n" + "".join(listed)
    assert spun(cast(Machine, fake.a)) == 10.5
    fake.a.outs["xl list"] = heading + "".join(listed[:2])
    with pytest.raises(AssertionError, match="only"):
        spun(cast(Machine, fake.a))


def test_what_a_domain_counts(fake: FakeStory) -> None:
    heading = "Name                                ID Weight  Cap\n"
    said = f"{heading}Domain-0                             0   2048    0\n"
    fake.a.outs["xl sched-credit2 -d Domain-0"] = said
    assert weight(cast(Machine, fake.a), "Domain-0") == 2048
    fake.a.outs["xl sched-credit2 -d Domain-0"] = heading
    with pytest.raises(AssertionError, match="Weight"):
        weight(cast(Machine, fake.a), "Domain-0")


class Rich(FakeMachine):
    """It has 850 MiB for guests, of which a domain gets what it asks for, and some for itself."""

    def __init__(self, gives: int) -> None:
        self.did: list[str] = []
        super().__init__("a", self.did)
        self.gives = gives

    def run(self, script: str, timeout: float = 60) -> str:
        free = 850 - self.gives * any("xl create" in what for what in self.did)
        self.outs["xl info"] = f"host : a\nfree_memory            : {free}\nfree_cpus : 0\n"
        return super().run(script, timeout)


def test_the_memory_is_taken_or_it_is_told() -> None:
    machine = Rich(gives=757)
    take_memory(cast(Machine, machine))
    did = "\n".join(machine.did)
    assert f'name = "{MISER}"' in did and "memory = 754\n" in did
    with pytest.raises(AssertionError, match="100 MiB are left on a"):
        take_memory(cast(Machine, Rich(gives=750)))


class Stub:
    """A machine whose debugger's door answers: dom0 runs first, then Xen does, at 0x1000."""

    def __init__(self, folder: Path) -> None:
        self.name = "a"
        self.folder = folder
        self.asked: list[str] = []
        self._registers = [self._with(cs=0xE033), self._with(cs=0xE008)]

    def _with(self, cs: int) -> bytes:
        rip, flags = (0x1000).to_bytes(8, "little"), bytes(4)
        return bytes(128) + rip + flags + cs.to_bytes(4, "little") + bytes(64)

    def qmp(self, command: str, **arguments: Any) -> dict[str, str]:
        assert command == "human-monitor-command"
        assert arguments == {"command-line": "gdbserver unix:gdb,server=on,wait=off"}
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / "gdb"))
        listener.listen()
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
        return {}

    def _serve(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        heard = b""
        while data := connection.recv(4096):
            heard += data
            while b"\x03" in heard or b"#" in heard[:-2]:
                if heard.lstrip(b"+").startswith(b"\x03"):
                    heard = heard.lstrip(b"+")[1:]
                    self._answer(connection, "T02thread:01;")
                    continue
                packet, _, rest = heard.partition(b"#")
                heard = rest[2:]
                connection.sendall(b"+")
                self._take(connection, packet.partition(b"$")[2].decode())

    def _take(self, connection: socket.socket, packet: str) -> None:
        self.asked.append(packet)
        if packet == "g":
            self._answer(connection, self._registers.pop(0).hex())
        elif packet != "c":
            self._answer(connection, "OK")

    def _answer(self, connection: socket.socket, text: str) -> None:
        connection.sendall(f"${text}#{sum(text.encode()) % 256:02x}".encode())


def test_xen_is_made_to_hang_where_it_is(tmp_path: Path) -> None:
    machine = Stub(tmp_path)
    hang_xen(cast(Machine, machine))
    assert machine.asked == ["?", "g", "c", "g", "M1000,3:faebfe", "D"]


def test_where_the_record_of_lvm_is() -> None:
    said = (
        "  mda_header_1 at 4096 # metadata area\n  metadata text at 7168 crc 0xc95ce133 # vgname\n"
    )
    assert record_of_lvm(said) == 7168
    with pytest.raises(AssertionError, match="no record there"):
        record_of_lvm("  mda_header_1 at 4096 # metadata area\n")


def test_where_the_superblock_of_a_volume_is() -> None:
    # 196 MiB that begin at the first, and a volume that ends within a block.
    assert superblock("0 401408 linear 254:16 2048\n") == (1 << 20) + (196 << 20) - 4096
    assert superblock("0 9 linear 254:16 8") == 4096
    with pytest.raises(AssertionError, match="not in one piece"):
        superblock("0 8192 linear 254:16 2048\n8192 8192 linear 254:16 20480\n")


def test_both_screens_must_say_which_disk_does_not_work(fake: FakeStory) -> None:
    what = "counter: the disk on b does not work. DRBD calls it Diskless."
    told = {"code": "SHOE-205", "what": what, "means": "", "do": ""}
    for machine in fake.pair.both:
        machine.status |= {"verdict": "NOT PROTECTED", "complaints": [{"code": "SHOE-301"}, told]}
    await_failed(fake.story, cast(Machine, fake.b))
    fake.a.status["verdict"] = "PROTECTED"
    with pytest.raises(AssertionError):
        await_failed(fake.story, cast(Machine, fake.b))


# As heartbeat says it in the journal, 3.0.6.
OLD_WORDS = (
    "[813]: ERROR: should_drop_message: attempted replay attack [b]?"
    " [gen = 978307201, curgen = 1796000001]"
)
FOLLOWED = "[813]: info: Status update for node b: status up"
ANEW = "[813]: info: Performing heartbeat restart exec."


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([], None),
        ([OLD_WORDS, "[813]: WARN: node b: is dead", OLD_WORDS], None),
        ([OLD_WORDS, ANEW, "[813]: info: Status update for node a: status active"], None),
        ([OLD_WORDS, "[977]: info: Heartbeat generation: 7", FOLLOWED], Reception(True, False)),
        ([OLD_WORDS, ANEW, FOLLOWED], Reception(True, True)),
        (["[813]: WARN: node b: is dead", FOLLOWED], Reception(False, False)),
        ([ANEW, FOLLOWED, OLD_WORDS], Reception(False, True)),
    ],
)
def test_a_heartbeat_says_what_it_makes_of_the_other_ones_generation(
    said: list[str], found: Reception | None
) -> None:
    assert reception(said, "b") == found
