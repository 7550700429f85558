# SPDX-License-Identifier: MIT
import base64
import ctypes
import queue
import threading
from collections.abc import Iterator
from ctypes import c_char_p, c_int, c_void_p
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from haagent.cluster import heartbeat
from haagent.cluster.heartbeat import Cluster, Heartbeat, HeartbeatLost
from haagent.errors import BugError
from tests.unit.fake_heartbeat import FakeHeartbeat, from_node

SECONDS = 10  # a deadline; nothing here takes so long


class Client:
    """A Heartbeat in a thread of its own, and what it reported."""

    def __init__(self, fake: FakeHeartbeat) -> None:
        self.heartbeat = Heartbeat(fake.library)
        self.reported: queue.Queue[tuple[Any, ...]] = queue.Queue()
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run)
        self.is_on = threading.Event()

    def start(self) -> "Client":
        self.thread.start()
        assert self.is_on.wait(SECONDS)
        return self

    def end(self) -> None:
        self.heartbeat.close()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()

    def _run(self) -> None:
        self.heartbeat.sign_on()
        self.is_on.set()
        try:
            self._receive()
        except Exception as error:  # for the test to look at
            self.error = error

    def _receive(self) -> None:
        self.heartbeat.receive(self._report, self._report, self._report)

    def _report(self, *what: Any) -> None:
        self.reported.put(what)


def report_nothing(*what: Any) -> None:
    raise AssertionError(what)


@pytest.fixture
def fake() -> Iterator[FakeHeartbeat]:
    made = FakeHeartbeat()
    yield made
    made.close()
    assert made.faults == []


@pytest.fixture
def client(fake: FakeHeartbeat) -> Iterator[Client]:
    made = Client(fake).start()
    yield made
    made.end()
    assert fake.handles == set(), "it did not sign off"
    assert fake.messages == {}, "messages were not freed"


def test_it_listens_before_it_signs_on_and_never_blocks_in_a_send(fake: FakeHeartbeat) -> None:
    client = Heartbeat(fake.library)
    client.sign_on("haagent")
    assert fake.calls == [
        ("set_msg_callback",),
        ("set_nstatus_callback",),
        ("set_ifstatus_callback",),
        ("signon", b"haagent"),
        ("set_send_block_mode", 0),
    ]
    client.close()
    assert fake.handles == set()


def test_nodes_and_links_and_their_statuses(fake: FakeHeartbeat) -> None:
    client = Heartbeat(fake.library)
    client.sign_on()
    assert client.nodes() == {"a": "active", "b": "dead"}
    assert client.links("b") == {"crossover": "up", "lan": "dead"}
    assert fake.calls[-4:] == [
        ("init_nodewalk",),
        ("end_nodewalk",),
        ("init_ifwalk", b"b"),
        ("end_ifwalk",),
    ]
    client.close()


def test_the_peers_words_are_heard_and_not_our_own(client: Client, fake: FakeHeartbeat) -> None:
    words = bytes(range(256))
    fake.tell(from_node(b"a", base64.b64encode(b"echo")))
    fake.tell(from_node(b"b", b"not base64"))
    fake.tell({b"t": b"shoestring", b"src": b"b"})
    fake.tell(from_node(b"b", base64.b64encode(words)))
    assert client.reported.get(timeout=SECONDS) == ("b", words)
    assert client.reported.empty()
    assert client.heartbeat.ignored == 2


def test_whatever_it_gives_is_an_answer_be_it_our_own_words(
    client: Client, fake: FakeHeartbeat
) -> None:
    for what in ((from_node(b"a", base64.b64encode(b"echo")),), (b"b", b"lan", b"up")):
        client.heartbeat.answered_at = 0.0
        fake.tell(*what)
        fake.tell(b"b", b"active")
        while client.reported.get(timeout=SECONDS) != ("b", "active"):
            pass
        assert client.heartbeat.answered_at > 0.0


def test_a_sign_on_begins_anew(fake: FakeHeartbeat) -> None:
    client = Heartbeat(fake.library)
    client.answered_at = 0.0
    assert client.signed_on_at is None
    client.sign_on()
    assert client.answered_at > 0.0
    assert client.signed_on_at is not None
    fake.refuses = {"signon"}
    with pytest.raises(HeartbeatLost):
        client.sign_on()
    assert client.signed_on_at is None, "there is none"
    client.close()


def test_changes_of_nodes_and_links_are_told(client: Client, fake: FakeHeartbeat) -> None:
    fake.tell(b"b", b"active")
    assert client.reported.get(timeout=SECONDS) == ("b", "active")
    fake.tell(b"b", b"lan", b"up")
    assert client.reported.get(timeout=SECONDS) == ("b", "lan", "up")
    fake.tell(b"b", None)
    assert client.reported.get(timeout=SECONDS) == ("b", "")


def test_a_word_from_another_thread_wakes_the_owner(client: Client, fake: FakeHeartbeat) -> None:
    for words in (b"one", b"\0two"):
        client.heartbeat.send(words)
        assert fake.sent.get(timeout=SECONDS) == {
            b"t": b"shoestring",
            b"payload": base64.b64encode(words),
        }
    assert client.heartbeat.dropped == 0


def test_what_heartbeat_does_not_take_is_counted(client: Client, fake: FakeHeartbeat) -> None:
    fake.refuses = {"sendclustermsg"}
    client.heartbeat.send(b"lost")
    fake.sent.get(timeout=SECONDS)
    fake.tell(b"b", b"active")  # a later event: the count is done by then
    client.reported.get(timeout=SECONDS)
    assert client.heartbeat.dropped == 1


def test_a_queue_that_nobody_empties_keeps_the_newest(fake: FakeHeartbeat) -> None:
    client = Client(fake)
    client.heartbeat.sign_on()
    for n in range(20):
        client.heartbeat.send(b"%d" % n)
    assert client.heartbeat.dropped == 4
    fake.die()
    with pytest.raises(HeartbeatLost):
        client.heartbeat.receive(report_nothing, report_nothing, report_nothing)
    assert base64.b64decode(fake.sent.get_nowait()[b"payload"]) == b"4"
    assert fake.sent.qsize() == 15
    client.heartbeat.close()


def test_a_lost_heartbeat_is_noticed_and_can_be_signed_on_to_again(fake: FakeHeartbeat) -> None:
    client = Client(fake).start()
    fake.die()
    client.thread.join(SECONDS)
    assert isinstance(client.error, HeartbeatLost)
    assert "closed the connection" in str(client.error)
    first = set(fake.handles)
    client.heartbeat.send(b"from before")

    fake.is_there = True
    client.heartbeat.sign_on()
    assert len(fake.handles) == 1
    assert fake.handles != first, "the dead connection was used again"
    fake.die()
    with pytest.raises(HeartbeatLost):
        client.heartbeat.receive(report_nothing, report_nothing, report_nothing)
    assert fake.sent.empty(), "words of the time before were sent"
    client.heartbeat.close()
    assert fake.handles == set()


def test_a_heartbeat_that_goes_while_we_leave_is_no_error(fake: FakeHeartbeat) -> None:
    client = Heartbeat(fake.library)
    client.sign_on()

    def leave(*_: Any) -> None:
        fake.die()
        client.close()

    fake.tell(b"b", b"active")
    client.receive(report_nothing, leave, report_nothing)
    assert fake.handles == set()


@pytest.mark.parametrize("call", ["signon", "set_msg_callback", "set_send_block_mode"])
def test_a_refusal_says_what_and_why(fake: FakeHeartbeat, call: str) -> None:
    fake.refuses = {call}
    client = Heartbeat(fake.library)
    with pytest.raises(HeartbeatLost, match=f"{call} failed: no such socket$"):
        client.sign_on()
    client.close()
    assert fake.handles == set()


@pytest.mark.parametrize("call", ["init_nodewalk", "end_nodewalk", "init_ifwalk", "end_ifwalk"])
def test_half_a_list_is_not_a_list(fake: FakeHeartbeat, call: str) -> None:
    fake.refuses = {call}
    client = Heartbeat(fake.library)
    client.sign_on()
    with pytest.raises(HeartbeatLost, match=f"{call} failed"):
        client.nodes()
        client.links("b")
    client.close()


def test_a_status_that_heartbeat_does_not_know_is_not_made_up(fake: FakeHeartbeat) -> None:
    client = Heartbeat(fake.library)
    client.sign_on()
    fake.link_statuses = {b"lan": None}  # type: ignore[dict-item]
    with pytest.raises(HeartbeatLost, match="does not know a status"):
        client.links("b")
    client.close()


def test_what_the_listener_raises_is_not_lost_in_c(fake: FakeHeartbeat) -> None:
    client = Heartbeat(fake.library)
    client.sign_on()
    fake.tell(b"b", b"active")
    fake.tell(b"b", b"lan", b"up")

    def complain(*_: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.receive(report_nothing, complain, report_nothing)
    heard: list[tuple[str, ...]] = []

    def hear(*link: str) -> None:
        heard.append(link)
        client.close()

    client.receive(report_nothing, report_nothing, hear)
    assert heard == [("b", "lan", "up")], "what came with it was lost"


def test_a_new_connection_tells_nothing_old(fake: FakeHeartbeat) -> None:
    client = Heartbeat(fake.library)
    client.sign_on()
    fake.tell(b"b", b"active")
    fake.tell(b"b", b"lan", b"up")

    def complain(*_: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.receive(report_nothing, complain, report_nothing)
    client.sign_on()
    fake.tell(b"b", b"dead")
    client.receive(report_nothing, lambda *_: client.close(), report_nothing)


def test_what_the_library_has_buffered_is_not_waited_for(fake: FakeHeartbeat) -> None:
    client = Heartbeat(fake.library)
    client.sign_on()
    fake.tell(b"b", b"active")
    client.receive(
        report_nothing,
        lambda *_: fake.tell_buffered(b"b", b"lan", b"up"),
        lambda *_: client.close(),
    )


def test_it_sleeps_when_there_is_nothing_to_do(client: Client, fake: FakeHeartbeat) -> None:
    for _ in range(3):
        client.heartbeat.send(b"words")
        fake.sent.get(timeout=SECONDS)
        threading.Event().wait(0.05)  # time for a busy loop to show itself
    assert fake.receives < 20


def test_the_handle_belongs_to_one_thread(client: Client) -> None:
    for use in (client.heartbeat.nodes, lambda: client.heartbeat.links("b")):
        with pytest.raises(BugError, match="belongs to the thread"):
            use()
    with pytest.raises(BugError, match="belongs to the thread"):
        client.heartbeat.receive(report_nothing, report_nothing, report_nothing)


def test_nothing_works_before_the_sign_on(fake: FakeHeartbeat) -> None:
    client = Heartbeat(fake.library)
    with pytest.raises(BugError, match="belongs to the thread"):
        client.nodes()
    client.close()


def test_nothing_works_after_a_sign_on_that_failed(fake: FakeHeartbeat) -> None:
    client = Heartbeat(fake.library)
    client.sign_on()
    fake.is_installed = False
    with pytest.raises(HeartbeatLost, match="not installed"):
        client.sign_on()
    with pytest.raises(BugError, match="without having signed on"):
        client.nodes()
    client.close()


def test_a_library_that_has_no_memory(fake: FakeHeartbeat) -> None:
    fake.has_memory = False
    client = Heartbeat(fake.library)
    with pytest.raises(HeartbeatLost, match="no memory"):
        client.sign_on()
    client.close()


def test_the_end_leaves_nothing_open(fake: FakeHeartbeat) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    client = Heartbeat(fake.library)
    client.sign_on()
    client.close()
    client.receive(report_nothing, report_nothing, report_nothing)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_end_can_come_twice_and_nothing_is_sent_after_it(fake: FakeHeartbeat) -> None:
    client = Client(fake).start()
    client.end()
    client.end()
    assert client.error is None
    client.heartbeat.send(b"from beyond")
    assert fake.sent.empty()


def test_a_host_without_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(HeartbeatLost, match=r"libhbclient\.so\.1: cannot open"):
        Heartbeat(heartbeat.load).sign_on()


def test_pointers_keep_all_their_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """ctypes takes an undeclared result for a C int, and cuts a pointer in half."""
    symbols: dict[str, Any] = {}

    class Shared:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattr__(self, symbol: str) -> Any:
            return symbols.setdefault(f"{self.name} {symbol}", SimpleNamespace())

    monkeypatch.setattr(ctypes, "CDLL", Shared)
    library = heartbeat.load()
    plumb = "libplumb.so.2"
    assert {name: (f.restype, f.argtypes) for name, f in symbols.items()} == {
        "libhbclient.so.1 ll_cluster_new": (ctypes.POINTER(Cluster), (c_char_p,)),
        f"{plumb} ha_msg_new": (c_void_p, (c_int,)),
        f"{plumb} ha_msg_add": (c_int, (c_void_p, c_char_p, c_char_p)),
        f"{plumb} ha_msg_del": (None, (c_void_p,)),
        f"{plumb} cl_get_string": (c_char_p, (c_void_p, c_char_p)),
    }
    assert library.ha_msg_new is symbols[f"{plumb} ha_msg_new"]
    assert library.ha_msg_add is symbols[f"{plumb} ha_msg_add"]
    assert library.ha_msg_del is symbols[f"{plumb} ha_msg_del"]
    assert library.cl_get_string is symbols[f"{plumb} cl_get_string"]
