# SPDX-License-Identifier: MIT
"""The verbs, against a small DRBD that keeps one resource; the watch, on streams of its lines."""

import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest

from haagent.core.model import Disk, Link, Resource, Role
from haagent.errors import OperatorError, ParseError, ToolError
from haagent.run import Stream
from haagent.storage.drbd import Drbd, drbdadm
from haagent.storage.events2 import ABSENT
from haagent.storage.holders import DeviceNews
from haagent.storage.slices import Slices
from tests.unit.fake_mapper import Mapper

DATA = Path(__file__).parents[1] / "data/drbd"
BUSY = "0: State change failed: (-12) Device is held open by someone\n"
BETWEEN = "counter: State change failed: (-18) In transient state, retry after next state change\n"
OVERDUE = "Command 'drbdsetup disconnect ...' did not terminate within 5 seconds\n"


class Kernel:
    """What drbdadm and drbdsetup talk to. A refusal is used up by one attempt."""

    def __init__(self, role: str = "Secondary", connection: str = "Connected") -> None:
        self.exists = True
        self.role = role
        self.connection = connection
        self.disk = "UpToDate"
        self.peer_disk = "UpToDate" if connection == "Connected" else "DUnknown"
        self.replication = "Established"
        self.refusals: list[tuple[int | None, str]] = []
        self.is_idle = False  # says yes, and does nothing
        self.done: list[str] = []
        self.timeouts: list[float] = []

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        assert "--force" not in argv
        if argv[:2] == ("drbdsetup", "verify"):  # by its minor
            return self.verify(argv)
        assert "counter" in argv
        if argv[:3] == ("drbdsetup", "events2", "--now"):
            return self.dump()
        assert argv[0] == "drbdadm" or argv[1] == "down"
        self.done.append(" ".join(a for a in argv[1:] if a != "counter"))
        self.timeouts.append(timeout)
        if self.refusals:
            raise ToolError(argv, *self.refusals.pop(0))
        if not self.is_idle:
            self.obey(argv[1])
        return ""

    def verify(self, argv: Sequence[str]) -> str:
        self.done.append(" ".join(argv[1:]))
        if self.refusals:
            raise ToolError(argv, *self.refusals.pop(0))
        self.replication = "VerifyS"
        return ""

    def obey(self, verb: str) -> None:
        if verb in ("up", "adjust"):
            self.exists, self.connection, self.disk = True, "Connecting", "Consistent"
        elif verb == "down":
            self.exists = False
        elif verb == "connect":
            assert self.connection == "StandAlone", "Device has a net-config (use disconnect first)"
            self.connection = "Connecting"
        elif verb == "disconnect":
            self.connection, self.peer_disk = "StandAlone", "DUnknown"
        elif verb == "outdate":
            self.disk = "Outdated"
        else:
            self.role = {"primary": "Primary", "secondary": "Secondary"}[verb]

    def dump(self) -> str:
        replication = self.replication if self.connection == "Connected" else "Off"
        told = (
            f"exists resource name:counter role:{self.role} suspended:no\n"
            f"exists connection name:counter connection:{self.connection} role:Unknown\n"
            f"exists device name:counter volume:0 minor:3 disk:{self.disk}\n"
            f"exists peer-device name:counter volume:0 replication:{replication}"
            f" peer-disk:{self.peer_disk}\n"
        )
        return (told if self.exists else "") + "exists -\n"


class News(DeviceNews):
    """Something happens to a device as soon as somebody waits for it."""

    def __init__(self, what: Callable[[], None] = lambda: None) -> None:
        self.what = what
        self.waited: list[float] = []

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.what()


def drbd(kernel: Kernel, limit: float = 5.0, news: News | None = None, root: Path = DATA) -> Drbd:
    return Drbd(limit=limit, run=kernel, news=lambda: news or News(), root=root)


def printing(*files: str, then: str = "sleep 600") -> Callable[[Sequence[str]], Stream]:
    """Streams that print FILES of tests/data/drbd, one file per start, and THEN."""
    left = list(files)

    def start(argv: Sequence[str]) -> Stream:
        assert argv[:2] == ("drbdsetup", "events2")
        return Stream(("sh", "-c", f"cat {DATA / left.pop(0)}; {then}"))

    return start


def test_reading() -> None:
    assert drbd(Kernel()).read("counter") == Resource(
        Role.SECONDARY, Link.CONNECTED, Disk.UP_TO_DATE, Disk.UP_TO_DATE
    )


def test_what_drbd_does_not_have_has_no_disk() -> None:
    kernel = Kernel()
    kernel.exists = False
    assert drbd(kernel).read("counter") == ABSENT
    assert Resource(Role.SECONDARY, Link.STANDALONE, Disk.DISKLESS, Disk.UNKNOWN) == ABSENT


@pytest.mark.parametrize("name", ["all", "minor-0", "--force", "0", "Counter", "a b", "", "a-"])
def test_only_a_guests_name_reaches_a_tool(name: str) -> None:
    with pytest.raises(OperatorError):
        drbdadm("outdate", name)
    with pytest.raises(OperatorError):
        drbd(Kernel()).read(name)


# What each verb is asked for as, and the role and connection in which it has something to do.
VERBS: dict[str, tuple[Callable[[Drbd], None], str, str]] = {
    "up": (lambda d: d.up("counter"), "Secondary", "StandAlone"),
    "down": (lambda d: d.down("counter"), "Secondary", "Connected"),
    "connect": (lambda d: d.connect("counter"), "Secondary", "StandAlone"),
    "disconnect": (lambda d: d.disconnect("counter"), "Secondary", "Connected"),
    "outdate": (lambda d: d.outdate("counter"), "Secondary", "StandAlone"),
    "primary": (lambda d: d.promote("counter", False, 60), "Secondary", "Connected"),
    "secondary": (lambda d: d.demote("counter"), "Primary", "Connected"),
}


def before(verb: str) -> Kernel:
    kernel = Kernel(*VERBS[verb][1:])
    kernel.exists = verb != "up"
    return kernel


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_does_its_one_thing(verb: str) -> None:
    kernel = before(verb)
    VERBS[verb][0](drbd(kernel))
    assert kernel.done == [verb]


@pytest.mark.parametrize("verb", VERBS)
def test_no_success_without_seeing_it(verb: str) -> None:
    kernel = before(verb)
    kernel.is_idle = True
    with pytest.raises(ToolError, match="counter is"):
        VERBS[verb][0](drbd(kernel))


@pytest.mark.parametrize("verb", VERBS)
def test_a_refusal_is_told(verb: str) -> None:
    kernel = before(verb)
    kernel.refusals = [(11, "0: State change failed: (-2) Need access to UpToDate data\n")]
    with pytest.raises(ToolError, match="Need access to UpToDate data") as caught:
        VERBS[verb][0](drbd(kernel))
    assert (caught.value.exit, kernel.done) == (11, [verb])


@pytest.mark.parametrize("quote", ["", "'"])
def test_the_pairs_key_is_never_told(quote: str) -> None:
    kernel = Kernel(connection="StandAlone")
    line = f"Command 'drbdsetup connect counter {quote}--shared-secret=0123abcd{quote} --timeout=30"
    kernel.refusals = [(10, f"{line}' terminated with exit code 10\n")]
    with pytest.raises(ToolError, match="--timeout=30") as caught:
        drbd(kernel).connect("counter")
    assert "0123abcd" not in str(caught.value)


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - {"primary"}))
def test_what_is_so_already_is_left_alone(verb: str) -> None:
    kernel = before(verb)
    VERBS[verb][0](drbd(kernel))
    VERBS[verb][0](drbd(kernel))
    assert kernel.done == [verb]


def test_a_resource_that_was_brought_up_by_half_is_finished() -> None:
    kernel = Kernel(connection="StandAlone")
    kernel.disk = "Diskless"
    drbd(kernel).up("counter")
    assert kernel.done == ["adjust"]


@pytest.mark.parametrize("connection", ["StandAlone", "Connecting"])
def test_data_is_given_up_with_a_new_connection(connection: str) -> None:
    """DRBD takes no such word for a connection that it already has, or tries to have."""
    kernel = Kernel(connection=connection)
    drbd(kernel).discard("counter")
    parted = [] if connection == "StandAlone" else ["disconnect"]
    assert kernel.done == [*parted, "connect --discard-my-data"]


def test_nothing_is_given_up_that_is_in_use_or_connected() -> None:
    in_use = Kernel("Primary", "StandAlone")
    with pytest.raises(ToolError, match="not tried: counter is Primary"):
        drbd(in_use).discard("counter")
    connected = Kernel()
    drbd(connected).discard("counter")
    assert in_use.done == connected.done == []


def test_data_that_was_not_given_up_is_told() -> None:
    kernel = Kernel(connection="StandAlone")
    kernel.is_idle = True
    with pytest.raises(ToolError, match="counter is Secondary, StandAlone"):
        drbd(kernel).discard("counter")


@pytest.mark.parametrize("role", ["Primary", "Secondary"])
def test_only_the_source_of_a_resync_connects_anew(role: str) -> None:
    kernel = Kernel(role)
    for kernel.replication in ("Established", "SyncTarget"):
        drbd(kernel).reconnect("counter")
    assert kernel.done == []
    kernel.replication = "SyncSource"
    drbd(kernel).reconnect("counter")
    assert (kernel.done, kernel.connection) == (["disconnect", "connect"], "Connecting")
    drbd(kernel).reconnect("counter")
    assert len(kernel.done) == 2, "there is nothing to take down"


def test_outdate_disconnects_first() -> None:
    kernel = Kernel()
    drbd(kernel).outdate("counter")
    assert kernel.done == ["disconnect", "outdate"]
    assert (kernel.disk, kernel.connection) == ("Outdated", "StandAlone")


@pytest.mark.parametrize("disk", ["Inconsistent", "Outdated"])
def test_a_copy_that_is_stale_already_is_as_good_as_outdated(disk: str) -> None:
    kernel = Kernel()
    kernel.disk = disk
    drbd(kernel).outdate("counter")
    assert kernel.done == ["disconnect"]


def test_a_primary_is_not_outdated_and_keeps_its_connection() -> None:
    kernel = Kernel(role="Primary")
    with pytest.raises(ToolError, match="not tried"):
        drbd(kernel).outdate("counter")
    assert kernel.done == []


def test_a_copy_without_a_disk_is_not_outdated() -> None:
    kernel = Kernel(connection="StandAlone")
    kernel.disk, kernel.is_idle = "Diskless", True
    with pytest.raises(ToolError, match="Diskless"):
        drbd(kernel).outdate("counter")


@pytest.mark.parametrize(("what", "becomes"), [("connection", "Connecting"), ("role", "Primary")])
def test_outdated_is_not_enough(what: str, becomes: str) -> None:
    class Restless(Kernel):
        def obey(self, verb: str) -> None:
            super().obey(verb)
            if verb == "outdate":
                setattr(self, what, becomes)

    with pytest.raises(ToolError, match=becomes):
        drbd(Restless()).outdate("counter")


@pytest.mark.parametrize("refusal", [(11, BETWEEN), (20, OVERDUE)])
def test_a_disconnect_between_two_states_is_tried_again(refusal: tuple[int, str]) -> None:
    kernel = Kernel(connection="Unconnected")
    kernel.refusals = [refusal]
    adapter = Drbd(run=kernel, stream=printing("between-two-tries.txt"))
    adapter.disconnect("counter")
    assert kernel.done == ["disconnect", "disconnect"]


def test_a_disconnect_waits_while_drbd_is_between_two_states() -> None:
    kernel = Kernel(connection="Unconnected")
    kernel.refusals = [(11, BETWEEN)] * 100
    files = ["unconnected-now.txt"] * 100
    with pytest.raises(ToolError, match="In transient state"):
        Drbd(limit=0.5, run=kernel, stream=printing(*files)).disconnect("counter")
    assert len(kernel.done) == 2  # one at the start, one after nothing happened for the limit


def test_a_connection_that_went_away_by_itself_is_disconnected() -> None:
    class Racing(Kernel):
        def obey(self, verb: str) -> None:
            super().obey(verb)
            raise ToolError((verb,), 10, "additional info from kernel:\nunknown connection\n")

    kernel = Racing()
    drbd(kernel).disconnect("counter")
    assert kernel.done == ["disconnect"]


def test_promote_leaves_room_for_the_handler() -> None:
    kernel = Kernel()
    drbd(kernel).promote("counter", disconnect=False, timeout=77)
    assert (kernel.done, kernel.timeouts) == (["primary"], [77])
    assert kernel.connection == "Connected"


def test_promote_alone_disconnects_first() -> None:
    kernel = Kernel()
    drbd(kernel).promote("counter", disconnect=True, timeout=77)
    assert kernel.done == ["disconnect", "primary"]
    assert (kernel.role, kernel.connection) == ("Primary", "StandAlone")


def test_promote_alone_is_not_done_while_connected() -> None:
    class Reconnecting(Kernel):
        def obey(self, verb: str) -> None:
            super().obey(verb)
            if verb == "primary":
                self.connection = "Connecting"

    with pytest.raises(ToolError, match="Primary, Connecting"):
        drbd(Reconnecting()).promote("counter", disconnect=True, timeout=77)


def test_a_handler_without_an_answer_is_told_as_a_timeout() -> None:
    kernel = Kernel()
    kernel.refusals = [(None, "")]
    with pytest.raises(ToolError) as caught:
        drbd(kernel).promote("counter", disconnect=False, timeout=1)
    assert caught.value.timed_out


def test_demote_waits_for_whoever_has_the_device() -> None:
    kernel = Kernel(role="Primary")
    kernel.refusals = [(11, BUSY)] * 2
    news = News()
    drbd(kernel, news=news).demote("counter")
    assert kernel.done == ["secondary"] * 3
    assert len(news.waited) == 2
    assert max(news.waited) <= 0.5  # the kernel's own users tell nobody


def test_demote_gives_up_and_names_who_has_the_device(tmp_path: Path) -> None:
    vbd = tmp_path / "sys/bus/xen-backend/devices/vbd-7-51712"
    vbd.mkdir(parents=True)
    (vbd / "physical_device").write_text("93:3\n")
    kernel = Kernel(role="Primary")
    kernel.refusals = [(11, BUSY)] * 100
    with pytest.raises(ToolError, match="held open by someone\nkept open by the guest with Xen's"):
        drbd(kernel, limit=0, root=tmp_path).demote("counter")
    assert kernel.done == ["secondary"]


def with_slices(kernel: Kernel, root: Path, limit: float = 5) -> tuple[Drbd, Mapper, News]:
    """Whose guest has two disks. DRBD refuses while one is there."""
    mapper, news = Mapper(root), News()
    mapper.has_drbd(3, 1 << 30)
    Slices(run=mapper, root=root).make(3, ("xvda", "xvdb"), (64,))

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        if argv[0] == "dmsetup":
            return mapper(argv, timeout=timeout)
        if argv[1] in ("secondary", "down") and mapper.tables:
            raise ToolError(argv, 11, BUSY)
        return kernel(argv, timeout=timeout)

    return Drbd(limit=limit, run=run, news=lambda: news, root=root), mapper, news


@pytest.mark.parametrize(
    "verb", [Drbd.demote, Drbd.down, Drbd.forget], ids=["demote", "down", "forget"]
)
def test_slices_are_taken_away_before(verb: Callable[[Drbd, str], None], tmp_path: Path) -> None:
    kernel = Kernel(role="Primary")
    adapter, mapper, _ = with_slices(kernel, tmp_path)
    verb(adapter, "counter")
    assert mapper.tables == {}
    assert kernel.done == ["secondary" if verb is Drbd.demote else "down"]


def test_demote_waits_for_whoever_has_a_slice(tmp_path: Path) -> None:
    kernel = Kernel(role="Primary")
    adapter, mapper, news = with_slices(kernel, tmp_path)
    mapper.busy = {"drbd3-xvdb"}
    news.what = mapper.busy.clear  # its guest's last write is done
    adapter.demote("counter")
    assert (mapper.tables, kernel.role, len(news.waited)) == ({}, "Secondary", 1)


def test_a_slice_that_stays_in_use_fails_the_demotion_and_the_next_one_does_it(
    tmp_path: Path,
) -> None:
    kernel = Kernel(role="Primary")
    adapter, mapper, _ = with_slices(kernel, tmp_path, limit=0)
    mapper.busy = {"drbd3-xvdb"}
    with pytest.raises(ToolError, match=r"busy\n.*\nkept open by the device dm-6 on top"):
        adapter.demote("counter")
    assert kernel.role == "Primary"
    mapper.busy = set()
    adapter.demote("counter")
    assert kernel.role == "Secondary"


def watched(
    adapter: Drbd, stop_after: int, expected: Collection[str] = ()
) -> list[tuple[str, Resource]]:
    """What is posted, at most STOP_AFTER times; less if nothing more comes for too long."""
    posts: list[tuple[str, Resource]] = []
    guard = threading.Timer(20, adapter.stop)

    def post(guest: str, resource: Resource) -> None:
        posts.append((guest, resource))
        if len(posts) == stop_after:
            threading.Thread(target=adapter.stop).start()

    guard.start()
    adapter.watch(post, expected)
    guard.cancel()
    return posts


def scripted(script: str) -> Drbd:
    return Drbd(stream=lambda argv: Stream(("sh", "-c", f"cd {DATA}; {script}; sleep 600")))


def test_watch_posts_the_start_and_each_change() -> None:
    file = "holder-loses-peer.txt"
    posts = watched(scripted(f"head -n 5 {file}; sleep 0.3; tail -n +6 {file}"), stop_after=2)
    assert [name for name, _ in posts] == ["counter", "counter"]
    assert posts[0][1].is_in_sync
    # The lines that follow each other at once are one change.
    assert posts[1][1] == Resource(
        Role.PRIMARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.OUTDATED, False
    )


def test_watch_does_not_post_a_dump_by_halves() -> None:
    posts = watched(scripted("head -n 3 now.txt; sleep 0.3; tail -n +4 now.txt"), stop_after=1)
    assert posts[0][1].is_in_sync


def test_watch_posts_what_went_away_and_nothing_twice() -> None:
    helper = "call helper name:counter helper:fence-peer"
    script = f"cat now.txt; sleep 0.2; echo {helper}; sleep 0.2; echo destroy resource name:counter"
    assert watched(scripted(script), stop_after=2)[1:] == [("counter", ABSENT)]


def test_watch_posts_what_is_expected_and_not_there() -> None:
    """Its disk is dead, so that nothing was brought up."""
    assert watched(scripted("echo exists -"), 1, ["counter"]) == [("counter", ABSENT)]


def test_watch_posts_what_comes_late() -> None:
    """The disk is on USB, and is found only now. The lines of its coming are no second ABSENT."""
    coming = "head -n -1 now.txt | sed s/^exists/create/"
    posts = watched(scripted(f"echo exists -; sleep 0.3; {coming}"), 2, ["counter"])
    assert len(posts) == 2
    assert posts[0] == ("counter", ABSENT)
    assert posts[1][1].is_in_sync


def test_watch_starts_again_after_lost_messages() -> None:
    adapter = Drbd(stream=printing("with-a-gap.txt", "standalone-now.txt"))
    assert [resource.link for _, resource in watched(adapter, stop_after=1)] == [Link.STANDALONE]


def test_the_end_of_the_events_is_an_error() -> None:
    posts: list[str] = []
    adapter = Drbd(stream=printing("now.txt", then="echo no module >&2; exit 20"))
    with pytest.raises(ToolError, match="no module"):
        adapter.watch(lambda guest, resource: posts.append(guest))
    assert posts == ["counter"]


def test_an_unknown_word_ends_the_watch() -> None:
    adapter = scripted("cat now.txt; echo change resource name:counter role:Boss")
    with pytest.raises(ParseError, match="Boss"):
        adapter.watch(lambda guest, resource: None)


def test_a_watch_that_was_stopped_before_does_not_begin() -> None:
    adapter = Drbd(stream=printing())
    adapter.stop()
    adapter.watch(lambda guest, resource: None)


def test_another_secret_is_taken_up_without_hanging_up() -> None:
    kernel = Kernel("Primary", "Connecting")
    kernel.is_idle = True  # as far as anybody can see
    drbd(kernel).adjust("counter")
    assert kernel.done == ["adjust"]
    assert (kernel.role, kernel.connection) == ("Primary", "Connecting")


def test_whoever_loses_its_role_or_disk_by_that_is_told() -> None:
    kernel = Kernel("Primary", "Connecting")  # this one obeys, and comes up anew
    with pytest.raises(ToolError, match="Consistent"):
        drbd(kernel).adjust("counter")


def test_a_verification_begins_at_the_first_block() -> None:
    """And not where one was cut short, whenever that was."""
    kernel = Kernel("Primary")
    for _ in range(2):
        drbd(kernel).verify("counter")
    assert kernel.done == ["verify 3 --start=0"], "one that runs is left alone"


@pytest.mark.parametrize(
    ("connection", "replication", "disk", "peer_disk"),
    [
        ("Connected", "VerifyT", "UpToDate", "UpToDate"),
        ("Connected", "SyncSource", "UpToDate", "Inconsistent"),
        ("Connected", "Established", "UpToDate", "Diskless"),
        ("Connecting", "Off", "UpToDate", "Outdated"),
        ("StandAlone", "Off", "UpToDate", "DUnknown"),
    ],
)
def test_only_two_that_are_one_are_verified(
    connection: str, replication: str, disk: str, peer_disk: str
) -> None:
    kernel = Kernel("Primary", connection)
    kernel.replication, kernel.disk, kernel.peer_disk = replication, disk, peer_disk
    drbd(kernel).verify("counter")
    kernel.exists = False
    drbd(kernel).verify("counter")
    assert kernel.done == []


def test_a_verification_that_drbd_refuses_is_told() -> None:
    kernel = Kernel()
    why = "Need a verify algorithm to start online verify"
    kernel.refusals = [(11, f"3: State change failed: (-14) {why}\n")]
    with pytest.raises(ToolError, match=why):
        drbd(kernel).verify("counter")


def test_the_watch_tells_of_a_verification_and_posts_none_of_it() -> None:
    lines = (DATA / "verifies.txt").read_text().splitlines(keepends=True)
    script = "\n".join(f"printf '%s' '{line}'; sleep 0.1" for line in lines)
    adapter, posts, told = scripted(script), [], []

    def tell(guest: str, resource: Resource, is_verifying: bool) -> None:
        told.append((resource.link, is_verifying))
        if resource.link is Link.CONNECTING:
            threading.Thread(target=adapter.stop).start()

    guard = threading.Timer(20, adapter.stop)
    guard.start()
    adapter.watch(lambda guest, resource: posts.append(resource.link), (), tell)
    guard.cancel()
    assert posts == [Link.CONNECTED, Link.CONNECTING]
    assert told == [
        (Link.CONNECTED, False),
        (Link.CONNECTED, True),
        (Link.CONNECTED, False),
        (Link.CONNECTED, True),
        (Link.CONNECTING, False),
    ]
