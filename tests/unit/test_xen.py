# SPDX-License-Identifier: MIT
"""xl's lists, the definition of a guest, and the verbs against a small Xen."""

import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from haagent.core.wish import End, Ended
from haagent.errors import BugError, OperatorError, ParseError, ToolError
from haagent.guests.definition import DEVICE_MODEL, Guest, Kind, definition, identity
from haagent.guests.drive import Drives
from haagent.guests.xen import Domain, Memory, Xen, parse_free_memory, parse_kinds, parse_list
from haagent.run import Stream
from haagent.storage.slices import Slices
from tests.unit.fake_mapper import Mapper

DATA = Path(__file__).parents[1] / "data/xen"
IMAGE = Path(__file__).parents[2] / "image/mkosi.extra"
STRANGER = UUID("3ab5c8d2-55f0-4d5f-9c9e-0d8f6c0f4a11")
COUNTER = identity("counter")
HEADING = (DATA / "list-only-dom0.txt").read_text().splitlines()[0]
GUEST = Guest(
    name="counter",
    memory=192,
    vcpus=1,
    disks=(("xvda", "/dev/drbd0"),),
    mac="00:16:3e:00:00:01",
    bridge="lan",
)


Seen = Mapping[str, Ended | None]


class Hypervisor:
    """What xl talks to. A refusal is used up by one attempt."""

    def __init__(self, *domains: Domain) -> None:
        self.domains = list(domains)
        self.refusals: list[tuple[int | None, str]] = []
        self.leaves_a_half = False  # a failing `xl create` leaves a paused domain behind
        self.makes_zombies = False  # a destroyed domain's memory is still in use
        self.is_idle = False  # says yes, and does nothing
        self.comings: list[Domain] = []  # one each, while somebody looks at the memory
        self.done: list[tuple[str, ...]] = []
        self.timeouts: list[float] = []

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        assert argv[0] == "xl"
        if argv[1] == "list":
            return "\n".join((HEADING, *map(self.line, self.domains), ""))
        if argv[1] == "info":
            self.domains += self.comings[:1]
            del self.comings[:1]
            free = 4096 - sum(domain.memory for domain in self.domains)
            return f"total_memory           : 8104\nfree_memory            : {free}\n"
        self.done.append(tuple(argv[1:]))
        self.timeouts.append(timeout)
        if argv[1] == "create" and (self.leaves_a_half or not (self.refusals or self.is_idle)):
            assert "counter" in Path(argv[-1]).read_text()
            half = Domain(9, "counter", COUNTER, is_paused=self.leaves_a_half, memory=192)
            self.domains.append(half)
        if self.refusals:
            raise ToolError(argv, *self.refusals.pop(0))
        if argv[1] in ("shutdown", "destroy") and not self.is_idle:
            self.end(int(argv[-1]), is_destroyed=argv[1] == "destroy")
        return ""

    def end(self, number: int, is_destroyed: bool) -> None:
        (domain,) = [domain for domain in self.domains if domain.number == number]
        self.domains.remove(domain)
        if not is_destroyed:
            self.domains.append(replace(domain, is_shut_down=True))
        elif self.makes_zombies:
            self.domains.append(replace(domain, name=None, is_dying=True))

    @staticmethod
    def line(domain: Domain) -> str:
        flags = "".join(
            letter if is_so else "-"
            for letter, is_so in (
                ("-b", True),
                ("p", domain.is_paused),
                ("s", domain.is_shut_down),
                ("-", True),
                ("d", domain.is_dying),
            )
        )
        name = domain.name or "(null)"
        why = "-" if domain.reason is None else domain.reason
        counts = f"{domain.number:5} {domain.memory:5}     1"
        return f"{name:40} {counts}     {flags}       1.0 {domain.uuid} {why} -"


def running(number: int = 3) -> Domain:
    return Domain(number, "counter", COUNTER, memory=192)


def xen(
    hypervisor: Hypervisor,
    tmp_path: Path,
    limit: float = 5.0,
    pause: Callable[[float], None] | None = None,
) -> Xen:
    pauses: list[float] = []

    def no_longer_than_some_pauses(seconds: float) -> None:
        pauses.append(seconds)
        assert len(pauses) < 50

    pause = pause or no_longer_than_some_pauses
    made = Xen(["counter"], run=hypervisor, definitions=tmp_path, limit=limit, pause=pause)
    made.define(GUEST)
    return made


def listed(name: str) -> Xen:
    """An adapter to which xl prints the list NAME of tests/data/xen."""

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        return (DATA / name).read_text()

    return Xen(["counter"], run=run)


def test_domain_0_is_no_guest() -> None:
    assert parse_list((DATA / "list-only-dom0.txt").read_text()) == ()


def test_running_domains() -> None:
    assert parse_list((DATA / "list-running.txt").read_text()) == (
        Domain(1, "counter", COUNTER, memory=192),
        Domain(12, "a-guest-with-a-name-of-32-letters", STRANGER, memory=4096),
    )


def test_a_domain_that_shut_down_exists_until_it_is_destroyed() -> None:
    adapter = listed("list-shut-down.txt")
    assert [domain.is_shut_down for domain in adapter.domains()] == [True, True]
    assert adapter.running() == {"counter", "crashed"}
    assert adapter.zombies() == frozenset()


def test_a_zombie_is_known_by_its_identity() -> None:
    adapter = listed("list-zombies.txt")
    assert adapter.running() == adapter.zombies() == {"counter", "domain-7"}


def test_a_guest_under_another_name_is_still_that_guest() -> None:
    assert listed("list-renamed.txt").running() == {"counter"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "counter 1 192 1 -b---- 4.2",
        "Name ID Mem VCPUs State Time(s)\n",  # not the long form
        f"{HEADING}\ncounter 1 192 1 -b---- 4.2\n",
        f"{HEADING}\n{Hypervisor.line(running()).replace('-b----', '-b-X--')}\n",
        f"{HEADING}\nlibxl: error: something\n",
    ],
)
def test_a_list_that_is_not_understood(text: str) -> None:
    with pytest.raises(ParseError):
        parse_list(text)


def test_the_memory_that_is_free() -> None:
    assert parse_free_memory((DATA / "info.txt").read_text()) == 2788
    for text in ("", "total_memory           : 8104\n", "xl: free_memory : 1\n"):
        with pytest.raises(ParseError):
            parse_free_memory(text)


def test_what_the_processor_can_run() -> None:
    text = (DATA / "info.txt").read_text()
    assert parse_kinds(text) == set(Kind)
    assert parse_kinds(text.replace("pv hvm hap shadow", "pv")) == {Kind.PV}
    with pytest.raises(ParseError):
        parse_kinds("xl: virt_caps : hvm\n")


def test_each_type_has_a_grub_of_its_own() -> None:
    for kind, file in ((Kind.PV, "grub-x86_64-xen.bin"), (Kind.PVH, "grub-i386-xen_pvh.bin")):
        text = definition(replace(GUEST, kind=kind))
        assert f'type = "{kind}"\nkernel = "/usr/lib/grub-xen/{file}"\n' in text


def test_a_guest_of_type_hvm_is_a_pc() -> None:
    assert definition(replace(GUEST, kind=Kind.HVM)) == (DATA / "pc.cfg").read_text()
    cd = Path("/run/shoestring/cds/counter")
    text = definition(replace(GUEST, kind=Kind.HVM), cd)
    assert 'boot = "dc"\n' in text
    assert f', "vdev=hdc,devtype=cdrom,access=ro,format=raw,target={cd}" ]\n' in text
    for kind, odd in ((Kind.PVH, cd), (Kind.HVM, Path('/run/a"\nb'))):
        with pytest.raises(BugError):
            definition(replace(GUEST, kind=kind), odd)
    program = IMAGE / DEVICE_MODEL.removeprefix("/")
    assert os.access(program, os.X_OK)
    for vdev in ("xvde", "sda"):
        with pytest.raises(OperatorError, match="disk's name in a PC"):
            replace(GUEST, kind=Kind.HVM, disks=((vdev, "/dev/drbd0"),))


def test_the_memory_of_the_guests_is_told_apart_from_that_of_others(tmp_path: Path) -> None:
    dying = replace(running(2), name=None, is_dying=True, memory=7)
    other = Domain(12, "other", STRANGER, memory=1024)
    found = xen(Hypervisor(dying, running(), other), tmp_path).memory()
    assert found == Memory(4096 - 1024 - 192 - 7, {"counter": 199})
    assert xen(Hypervisor(), tmp_path).memory() == Memory(4096, {})


def test_memory_is_not_counted_across_a_change(tmp_path: Path) -> None:
    """Else what a guest has that starts meanwhile would be missing."""
    hypervisor = Hypervisor()
    hypervisor.comings = [running()]
    assert xen(hypervisor, tmp_path).memory() == Memory(4096 - 192, {"counter": 192})
    hypervisor.comings = [replace(running(), number=number) for number in range(4, 40)]
    with pytest.raises(ToolError, match="no two lists"):
        xen(hypervisor, tmp_path).memory()


def test_the_definition_of_the_built_in_guest() -> None:
    assert definition(GUEST) == (DATA / "counter.cfg").read_text()


def test_disks_are_in_the_guests_order() -> None:
    guest = replace(GUEST, disks=(("xvdb", "/dev/drbd7"), ("xvda", "/dev/drbd3")))
    text = definition(guest)
    assert text.index("vdev=xvdb") < text.index("target=/dev/drbd7") < text.index("vdev=xvda")


def test_a_guest_is_never_started_by_xl() -> None:
    ways = [line.split(" = ") for line in definition(GUEST).splitlines() if line.startswith("on_")]
    assert {way for way, _ in ways} == {
        f"on_{way}" for way in ("poweroff", "reboot", "crash", "watchdog", "soft_reset")
    }
    assert {what for _, what in ways} == {'"preserve"'}


def test_an_identity_never_changes() -> None:
    assert identity("counter") == UUID("896596fc-ae18-56f9-8e6b-1b8d5c292d0c")
    assert identity("other") != COUNTER


@pytest.mark.parametrize(
    "change",
    [
        {"name": 'a"\non_crash="restart'},
        {"name": "Counter"},
        {"name": "all"},
        {"name": ""},
        {"memory": 0},
        {"memory": True},
        {"memory": "192\nvcpus=2"},
        {"vcpus": 513},
        {"disks": ()},
        {"disks": (("xvda", "/dev/sda"),)},
        {"disks": (("xvda", "/dev/drbd0,script=evil"),)},
        {"disks": (("xvda,access=r", "/dev/drbd0"),)},
        {"disks": (("xvda", "/dev/drbd0"), ("xvda", "/dev/drbd1"))},
        {"mac": "00:16:3E:00:00:01"},
        {"mac": "01:16:3e:00:00:01"},
        {"mac": "00:16:3e:00:00:01\n"},
        {"bridge": "lan,script=evil"},
        {"bridge": "b" * 16},
        {"slices": (8,), "disks": (("xvda", "/dev/drbd0"), ("xvdb", "/dev/drbd1"))},
        {"slices": (8,) * 8},
        {"slices": (8,) * 3, "kind": Kind.HVM},
    ],
)
def test_nothing_can_be_slipped_into_a_definition(change: dict[str, object]) -> None:
    with pytest.raises(OperatorError):
        replace(GUEST, **change)  # type: ignore[arg-type]


def test_create(tmp_path: Path) -> None:
    hypervisor = Hypervisor()
    xen(hypervisor, tmp_path).create("counter")
    assert hypervisor.done == [("create", "--quiet", f"{tmp_path}/counter.cfg")]
    assert (tmp_path / "counter.cfg").read_text() == definition(GUEST)
    assert [file.name for file in tmp_path.iterdir()] == ["counter.cfg"]


@pytest.mark.parametrize(
    ("kind", "names"), [(Kind.PVH, "abc"), (Kind.HVM, "abd")], ids=["pvh", "hvm"]
)
def test_disks_that_are_slices_of_one_device(kind: Kind, names: str) -> None:
    text = definition(replace(GUEST, kind=kind, slices=(64, 128)))
    found = re.findall(r"vdev=(\w+),access=rw,format=raw,backendtype=phy,target=([^\"]+)", text)
    assert found == [(f"xvd{name}", f"/run/shoestring/slices/drbd0-xvd{name}") for name in names]


def sliced(hypervisor: Hypervisor, tmp_path: Path) -> tuple[Xen, Mapper]:
    """A guest with two disks."""
    mapper = Mapper(tmp_path)
    mapper.has_drbd(0, 256 << 20)
    slices = Slices(run=mapper, root=tmp_path)
    made = Xen(["counter"], run=hypervisor, definitions=tmp_path, slices=slices, limit=5)
    made.define(replace(GUEST, slices=(64,)))
    return made, mapper


def test_slices_are_there_before_their_guest(tmp_path: Path) -> None:
    hypervisor = Hypervisor()
    adapter, mapper = sliced(hypervisor, tmp_path)
    adapter.create("counter")
    assert list(mapper.tables) == ["drbd0-xvda", "drbd0-xvdb"]
    assert hypervisor.done == [("create", "--quiet", f"{tmp_path}/counter.cfg")]
    adapter.destroy("counter")
    assert list(mapper.tables) == ["drbd0-xvda", "drbd0-xvdb"], "whoever demotes takes them away"


def test_a_guest_that_starts_again_has_the_slices_that_are_wanted(tmp_path: Path) -> None:
    """What ended by itself has them open until it is destroyed; its disk has grown since."""
    ended = replace(running(), is_shut_down=True, reason=1)
    hypervisor = Hypervisor(ended)
    adapter, mapper = sliced(hypervisor, tmp_path)
    mapper.plant("drbd0-xvda", "0 131072 linear 147:0 0")
    mapper.plant("drbd0-xvdb", "0 8192 linear 147:0 131072")
    mapper.closing = {"drbd0-xvdb"}
    adapter.create("counter")
    assert hypervisor.done[0] == ("destroy", "3")
    assert mapper.done == ["remove drbd0-xvdb", "create drbd0-xvdb"]
    assert mapper.tables["drbd0-xvdb"] == "0 393216 linear 147:0 131072"


def test_a_guest_whose_slices_cannot_be_made_does_not_start(tmp_path: Path) -> None:
    hypervisor = Hypervisor()
    adapter, mapper = sliced(hypervisor, tmp_path)
    mapper.plant("drbd0-xvdb", "0 393216 linear 147:1 131072")  # another guest's disk
    mapper.busy = {"drbd0-xvdb"}
    with pytest.raises(ToolError, match="busy"):
        adapter.create("counter")
    assert hypervisor.done == []


def test_a_cd_is_in_the_drive_for_one_start(tmp_path: Path) -> None:
    hypervisor, drives = Hypervisor(), Drives(tmp_path / "cds")
    adapter = Xen(
        ["counter"],
        run=hypervisor,
        definitions=tmp_path,
        drives=drives,
        screens=tmp_path / "screens",
    )
    adapter.define(replace(GUEST, kind=Kind.HVM))
    assert (tmp_path / "screens").stat().st_mode & 0o777 == 0o700
    drives.insert("counter", tmp_path / "debian.iso")
    for is_there in (True, False):
        adapter.create("counter")
        text = (tmp_path / "counter.cfg").read_text()
        assert ("devtype=cdrom" in text) == is_there
        hypervisor.domains = [replace(hypervisor.domains[0], is_shut_down=True, reason=1)]


def test_create_without_a_domain_afterwards_is_an_error(tmp_path: Path) -> None:
    hypervisor = Hypervisor()
    hypervisor.is_idle = True
    with pytest.raises(ToolError, match="no domain"):
        xen(hypervisor, tmp_path).create("counter")


def test_create_beside_a_domain_leaves_that_alone(tmp_path: Path) -> None:
    hypervisor = Hypervisor(running())
    with pytest.raises(ToolError, match="exists already"):
        xen(hypervisor, tmp_path).create("counter")
    assert hypervisor.done == []


@pytest.mark.parametrize("refusals", [[], [(3, "no memory")], [(None, "")]])
def test_a_half_made_domain_does_not_stay(
    tmp_path: Path, refusals: list[tuple[int | None, str]]
) -> None:
    hypervisor = Hypervisor()
    hypervisor.leaves_a_half = True
    hypervisor.refusals = refusals
    with pytest.raises(ToolError):
        xen(hypervisor, tmp_path).create("counter")
    assert hypervisor.domains == []


def test_destroy_is_by_number_and_only_that_guest(tmp_path: Path) -> None:
    other = Domain(5, "other", STRANGER)
    hypervisor = Hypervisor(running(3), other)
    xen(hypervisor, tmp_path).destroy("counter")
    assert hypervisor.done == [("destroy", "3")]
    assert hypervisor.domains == [other]


def test_what_is_gone_is_destroyed(tmp_path: Path) -> None:
    hypervisor = Hypervisor()
    xen(hypervisor, tmp_path).destroy("counter")
    assert hypervisor.done == []


def test_destroy_tries_again(tmp_path: Path) -> None:
    hypervisor = Hypervisor(running())
    hypervisor.refusals = [(1, "destroy failed (rc=-3)")]
    xen(hypervisor, tmp_path).destroy("counter")
    assert hypervisor.done == [("destroy", "3")] * 2


def test_a_zombie_is_waited_for(tmp_path: Path) -> None:
    hypervisor = Hypervisor(running())
    hypervisor.makes_zombies = True
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            hypervisor.domains.clear()

    xen(hypervisor, tmp_path, pause=pause).destroy("counter")
    assert (len(waited), hypervisor.done) == (3, [("destroy", "3")])


@pytest.mark.parametrize("way", ["makes_zombies", "is_idle"])
def test_destroy_says_what_is_still_there(tmp_path: Path, way: str) -> None:
    hypervisor = Hypervisor(running())
    setattr(hypervisor, way, True)
    with pytest.raises(ToolError, match="counter is still there"):
        xen(hypervisor, tmp_path, limit=0).destroy("counter")


def test_a_willing_guest_shuts_down(tmp_path: Path) -> None:
    hypervisor = Hypervisor(running())
    assert xen(hypervisor, tmp_path).shutdown("counter", grace=30)
    # The domain that has shut down still exists: nobody else may be there to remove it.
    assert hypervisor.done == [("shutdown", "--wait", "-F", "3"), ("destroy", "3")]
    assert hypervisor.timeouts[0] == 30
    assert hypervisor.domains == []


@pytest.mark.parametrize("refusal", [(None, ""), (1, "PV control interface not available")])
def test_an_unwilling_guest_is_destroyed(tmp_path: Path, refusal: tuple[int | None, str]) -> None:
    hypervisor = Hypervisor(running())
    hypervisor.refusals = [refusal]
    assert not xen(hypervisor, tmp_path).shutdown("counter", grace=30)
    assert hypervisor.domains == []


def test_a_zombie_is_not_asked_to_shut_down(tmp_path: Path) -> None:
    hypervisor = Hypervisor(Domain(3, None, COUNTER, is_dying=True))
    with pytest.raises(ToolError, match="still there"):
        xen(hypervisor, tmp_path, limit=0).shutdown("counter", grace=30)
    assert hypervisor.done == []


def watched(hypervisor: Hypervisor, script: str, posts: list[Seen], stop_after: int) -> None:
    adapter = Xen(["counter"], run=hypervisor, stream=lambda argv: Stream(("sh", "-c", script)))

    guard = threading.Timer(20, adapter.stop)

    def post(names: Seen) -> None:
        posts.append(names)
        hypervisor.domains = [] if names else [running()]
        if len(posts) == stop_after:
            threading.Thread(target=adapter.stop).start()

    guard.start()
    try:
        adapter.watch(post)
    finally:
        guard.cancel()


def test_watch_posts_the_start_and_each_change() -> None:
    posts: list[Seen] = []
    script = "echo @introduceDomain; sleep 0.2; echo @releaseDomain; sleep 600"
    watched(Hypervisor(), script, posts, stop_after=2)
    assert posts == [{}, {"counter": None}]


def test_watch_looks_after_zombies_without_an_event() -> None:
    posts: list[Seen] = []
    zombie = Domain(3, None, COUNTER, is_dying=True)
    watched(Hypervisor(zombie), "echo @releaseDomain; sleep 600", posts, stop_after=2)
    assert posts == [{"counter": None}, {}]


def test_the_end_of_the_events_is_an_error() -> None:
    posts: list[Seen] = []
    script = "echo @introduceDomain; echo xenstored is gone >&2; exit 1"
    with pytest.raises(ToolError, match="xenstored is gone"):
        watched(Hypervisor(), script, posts, stop_after=9)
    assert posts == [{}]


@pytest.mark.parametrize(
    ("reason", "how"),
    [(0, End.POWEROFF), (1, End.REBOOT), (2, End.CRASH), (3, End.CRASH), (4, End.CRASH)],
)
def test_watch_tells_how_a_domain_ended(reason: int, how: End) -> None:
    posts: list[Seen] = []
    over = replace(running(), is_shut_down=True, reason=reason)
    watched(Hypervisor(over), "echo @releaseDomain; sleep 600", posts, stop_after=1)
    assert posts == [{"counter": Ended(3, how)}]


def test_what_is_destroyed_has_not_ended_by_itself() -> None:
    posts: list[Seen] = []
    gone = replace(running(), is_shut_down=True, is_dying=True, reason=0)
    watched(Hypervisor(gone), "echo @releaseDomain; sleep 600", posts, stop_after=1)
    assert posts == [{"counter": None}]


def test_beside_what_is_left_of_one_the_domain_that_runs_is_told() -> None:
    posts: list[Seen] = []
    over = replace(running(2), is_shut_down=True, reason=3)
    for domains in ((over, running()), (running(), over)):
        watched(Hypervisor(*domains), "echo @releaseDomain; sleep 600", posts, stop_after=1)
        assert posts.pop() == {"counter": None}


def test_create_clears_away_what_has_ended(tmp_path: Path) -> None:
    hypervisor = Hypervisor(replace(running(), is_shut_down=True, reason=3))
    xen(hypervisor, tmp_path).create("counter")
    assert [verb for verb, *_ in hypervisor.done] == ["destroy", "create"]


def test_a_guest_that_has_ended_is_not_asked_to_shut_down(tmp_path: Path) -> None:
    hypervisor = Hypervisor(replace(running(), is_shut_down=True, reason=0))
    assert xen(hypervisor, tmp_path).shutdown("counter", grace=30)
    assert hypervisor.done == [("destroy", "3")]


def test_restart_asks_the_guest(tmp_path: Path) -> None:
    hypervisor = Hypervisor(running())
    xen(hypervisor, tmp_path).restart("counter")
    assert hypervisor.done == [("reboot", "3")]


def test_an_event_that_changes_nothing_is_not_posted() -> None:
    posts: list[Seen] = []
    script = "echo @introduceDomain; sleep 0.2; echo @releaseDomain; exit 1"
    adapter = Xen([], run=Hypervisor(), stream=lambda argv: Stream(("sh", "-c", script)))
    with pytest.raises(ToolError):
        adapter.watch(posts.append)
    assert posts == [{}]


def test_watches_that_are_never_set_are_an_error() -> None:
    """xenstored hangs, and xenstore-watch with it."""
    stream = lambda argv: Stream(("sleep", "600"))  # noqa: E731
    adapter = Xen(["counter"], run=Hypervisor(), stream=stream, limit=0.1)
    with pytest.raises(ToolError, match="xenstored does not answer"):
        adapter.watch(lambda names: pytest.fail("nothing was seen"))


def test_a_xenstored_that_has_answered_may_be_silent() -> None:
    posts: list[Seen] = []
    stream = lambda argv: Stream(("sh", "-c", "echo @releaseDomain; sleep 0.5; exit 1"))  # noqa: E731
    adapter = Xen(["counter"], run=Hypervisor(), stream=stream, limit=0.1)
    with pytest.raises(ToolError, match="exit"):
        adapter.watch(posts.append)
    assert posts == [{}]


def test_the_first_look_is_not_before_the_watches_are_set() -> None:
    posts: list[Seen] = []
    with pytest.raises(ToolError):
        watched(Hypervisor(), "exit 1", posts, stop_after=9)
    assert posts == []


def test_a_watch_that_was_stopped_before_does_not_begin() -> None:
    adapter = Xen([], stream=lambda argv: pytest.fail("started"))
    adapter.stop()
    adapter.watch(lambda names: None)
