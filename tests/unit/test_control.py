# SPDX-License-Identifier: MIT
"""The agent's socket, with real clients: what they get, and that none of them can hold it up."""

import contextlib
import json
import os
import queue
import select
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest

from haagent import client, control
from haagent.client import AgentSilent, Connection, NotLeft, Refused
from haagent.control import CLIENTS, LONGEST, Ask, BadRequest, Server, parse, parse_lan
from haagent.core.events import (
    ChoiceAsked,
    Event,
    FenceAsked,
    LanAsked,
    Leave,
    MaintenanceAsked,
    MoveAsked,
    OperatorConfirmed,
)
from haagent.core.model import FenceAnswer
from haagent.errors import OperatorError, PeerError
from tests.unit.fake_verifier import Verifier

SOON = 10.0  # seconds; nothing here takes a tenth of it


class Agent:
    """A server, and the queue that its events arrive in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.verifier = Verifier()
        self.server = Server(path, ["counter", "mail"], self.events.put, self.verifier)
        self.server.start()

    def event(self) -> Event:
        return self.events.get(timeout=SOON)

    def knock(self, data: bytes = b"") -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(SOON)
        connection.connect(str(self.path))
        connection.sendall(data)
        return connection

    def ask(self, **request: str) -> Connection:
        return Connection(request, self.path)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path / "run" / "agent.sock")
    yield agent
    agent.server.stop()


def answers(connection: Connection, number: int) -> list[dict[str, Any]]:
    """The next NUMBER answers; red when they do not come."""
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + SOON
    while len(found) < number:
        assert time.monotonic() < deadline, f"only {len(found)} came"
        found += connection.read(SOON)
    return found


def test_nobody_but_its_owner_can_knock(agent: Agent) -> None:
    status = agent.path.stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600


def test_it_is_private_before_it_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        modes.append(stat.S_IMODE(self.stat().st_mode))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    before = os.umask(0)
    try:
        control._listen(tmp_path / "s").close()
    finally:
        os.umask(before)
    assert modes == [0o600]


def test_a_snapshot_is_the_newest(agent: Agent) -> None:
    agent.server.publish({"n": 1})
    agent.server.publish({"n": 2})
    assert client.snapshot(agent.path) == {"n": 2}


def test_a_snapshot_waits_for_the_first_one(agent: Agent) -> None:
    with agent.ask(ask="snapshot") as connection, agent.ask(ask="confirm", guest="mail") as other:
        assert other.wait("accepted", SOON) is True  # the first was heard before
        assert connection.read(0) == []
        agent.server.publish({"n": 1})
        assert connection.wait("snapshot", SOON) == {"n": 1}


def test_a_watcher_sees_each_change_and_no_repetition(agent: Agent) -> None:
    agent.server.publish({"n": 1})
    with agent.ask(ask="watch") as connection:
        assert answers(connection, 1) == [{"snapshot": {"n": 1}}]
        for n in (1, 1, 2):
            agent.server.publish({"n": n})
        assert answers(connection, 1) == [{"snapshot": {"n": 2}}]


def test_a_fence_question_waits_for_the_core(agent: Agent) -> None:
    with agent.ask(ask="fence", guest="counter") as connection:
        match agent.event():
            case FenceAsked(at, "counter"):
                assert at > 0
            case other:
                pytest.fail(f"{other}")
        agent.server.publish({"n": 1})
        agent.server.answer_fence("mail", FenceAnswer.PEER_OFF)
        agent.server.answer_fence("counter", FenceAnswer.PEER_OUTDATED)
        # Neither the snapshot nor another guest's answer came before it.
        assert answers(connection, 1) == [{"answer": 4}]
        with pytest.raises(AgentSilent, match="closed"):
            connection.read(SOON)


def test_an_answer_is_for_those_who_wait_and_for_nobody_after(agent: Agent) -> None:
    agent.server.answer_fence("counter", FenceAnswer.PEER_OFF)
    with agent.ask(ask="fence", guest="counter") as connection:
        agent.event()
        agent.server.answer_fence("counter", FenceAnswer.UNPROVEN)
        assert connection.wait("answer", SOON) == 1


def test_a_confirmation_becomes_an_event(agent: Agent) -> None:
    client.confirm("mail", agent.path)
    event = agent.event()
    assert isinstance(event, OperatorConfirmed)
    assert event.guest == "mail"


class Person:
    """Asks in a thread of its own, and keeps what came of it."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(ask,))
        self._thread.start()

    def _run(self, ask: Callable[[], None]) -> None:
        try:
            ask()
        except Exception as error:
            self.error = error

    def told(self) -> str | None:
        """What the refusal says; None: it was done."""
        self._thread.join(SOON)
        assert not self._thread.is_alive()
        return None if self.error is None else str(self.error)


def test_a_move_waits_for_what_the_core_says(agent: Agent) -> None:
    for refusal, told in ((None, None), ("mail is older", "Nothing was done: mail is older.")):
        person = Person(lambda: client.move("mail", agent.path))
        event = agent.event()
        assert isinstance(event, MoveAsked)
        assert event.guest == "mail"
        agent.server.answer_operator("", "not about maintenance")
        agent.server.answer_operator("counter", "not about this guest")
        agent.server.answer_operator("mail", refusal)
        assert person.told() == told


def test_so_does_a_choice(agent: Agent) -> None:
    for refusal, told in ((None, None), ("they are one", "Nothing was done: they are one.")):
        person = Person(lambda: client.resolve("mail", 1, "20260102-0304", agent.path))
        event = agent.event()
        assert isinstance(event, ChoiceAsked)
        assert (event.guest, event.node, event.stamp) == ("mail", 1, "20260102-0304")
        agent.server.answer_operator("mail", refusal)
        assert person.told() == told


def test_a_word_about_an_open_choice_says_which_one(agent: Agent) -> None:
    person = Person(lambda: client.resolve("mail", 1, "", agent.path, about=7))
    event = agent.event()
    assert isinstance(event, ChoiceAsked)
    assert (event.node, event.stamp, event.about) == (1, "", 7)
    agent.server.answer_operator("mail", None)
    assert person.told() is None


@pytest.mark.parametrize("is_on", [True, False])
def test_so_does_maintenance(agent: Agent, is_on: bool) -> None:
    person = Person(lambda: client.maintenance(is_on, agent.path))
    event = agent.event()
    assert isinstance(event, MaintenanceAsked)
    assert event.is_on is is_on
    agent.server.answer_operator("", None)
    assert person.told() is None


def test_following_ends_when_it_was_seen_or_in_time(agent: Agent) -> None:
    seen = []

    def is_over(snapshot: dict[str, Any]) -> bool:
        seen.append(snapshot["n"])
        agent.server.publish({"n": snapshot["n"] + 1})
        return bool(snapshot["n"] == 2)

    agent.server.publish({"n": 1})
    assert client.follow(is_over, SOON, agent.path) is True
    assert seen == [1, 2]
    assert client.follow(lambda snapshot: False, 0.05, agent.path) is False


def test_leaving_is_followed_to_its_end(agent: Agent) -> None:
    agent.server.publish({"n": 1})
    seen = []

    def progress(snapshot: dict[str, Any]) -> None:
        seen.append(snapshot["n"])
        if snapshot["n"] == 1:
            assert isinstance(agent.event(), Leave)
            agent.server.publish({"n": 2})
        else:
            agent.server.finish_leaving()

    client.leave(progress, SOON, agent.path)
    assert seen == [1, 2]
    # The agent says so on every turn, and to whoever asks later.
    agent.server.finish_leaving()
    client.leave(lambda snapshot: None, SOON, agent.path)


def test_leaving_takes_no_end_of_the_agent_for_a_farewell(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent.sock")
    agent.server.publish({"n": 1})
    with pytest.raises(AgentSilent, match="closed"):
        client.leave(lambda snapshot: agent.server.stop(), SOON, agent.path)


def test_leaving_has_a_limit(agent: Agent) -> None:
    with pytest.raises(NotLeft, match=r"not signed off after 0\.05 s"):
        client.leave(lambda snapshot: None, 0.05, agent.path)


@pytest.mark.parametrize(
    "request_",
    [
        b"\n",
        b"snapshot\n",
        b"[]\n",
        b'"snapshot"\n',
        b"{}\n",
        b'{"ask": "reboot"}\n',
        b'{"ask": ["snapshot"]}\n',
        b'{"ask": "snapshot", "guest": "counter"}\n',
        b'{"ask": "fence"}\n',
        b'{"ask": "move"}\n',
        b'{"ask": "move", "guest": "nobody"}\n',
        b'{"ask": "maintenance on", "guest": "counter"}\n',
        b'{"ask": "resolve"}\n',
        b'{"ask": "resolve", "guest": "counter"}\n',
        b'{"ask": "resolve", "guest": "nobody", "copy": 0, "stamp": "", "choice": 0}\n',
        b'{"ask": "resolve", "guest": "counter", "copy": 2, "stamp": "", "choice": 0}\n',
        b'{"ask": "resolve", "guest": "counter", "copy": true, "stamp": "", "choice": 0}\n',
        b'{"ask": "resolve", "guest": "counter", "copy": 0, "stamp": null, "choice": 0}\n',
        b'{"ask": "resolve", "guest": "counter", "copy": 0, "stamp": "%s", "choice": 0}\n'
        % (b"1" * 33),
        b'{"ask": "resolve", "guest": "counter", "copy": 0, "stamp": "", "choice": 0, "more": 1}\n',
        b'{"ask": "resolve", "guest": "counter", "copy": 0, "stamp": ""}\n',
        b'{"ask": "resolve", "guest": "counter", "copy": 0, "stamp": "", "choice": -1}\n',
        b'{"ask": "resolve", "guest": "counter", "copy": 0, "stamp": "", "choice": true}\n',
        b'{"ask": "resolve", "guest": "counter", "copy": 0, "stamp": "1", "choice": 2}\n',
        b'{"ask": "maintenance"}\n',
        b'{"ask": 1}\n',
        b'{"ask": "fence", "guest": 1}\n',
        b'{"ask": "fence", "guest": "counter", "more": 1}\n',
        b'{"ask": "fence", "guest": "nobody"}\n',
        b'{"ask": "snapshot"}\n{"ask": "snapshot"}\n',
        b"\xff\n",
        b"[" * 4000 + b"\n",
        b"x" * (LONGEST + 1),
    ],
)
def test_garbage_gets_an_error_and_asks_nothing(agent: Agent, request_: bytes) -> None:
    agent.server.publish({"n": 1})
    with agent.knock(request_) as connection:
        reply = connection.recv(4096)
        assert list(json.loads(reply)) == ["error"]
        assert connection.recv(4096) == b""
    assert client.snapshot(agent.path) == {"n": 1}
    assert agent.events.empty()


def test_an_error_is_told_to_the_person(agent: Agent) -> None:
    with pytest.raises(Refused, match="there is no guest nobody"):
        client.confirm("nobody", agent.path)


def test_a_request_may_come_in_pieces(agent: Agent) -> None:
    agent.server.publish({"n": 1})
    with agent.knock(b'{"ask": ') as connection:
        assert client.snapshot(agent.path) == {"n": 1}
        connection.sendall(b'"snapshot"}\n')
        assert json.loads(connection.recv(4096)) == {"snapshot": {"n": 1}}


def test_whoever_says_nothing_is_dropped(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "REQUEST_LIMIT", 0.05)
    with agent.knock(b'{"ask": ') as connection:
        assert connection.recv(4096) == b""


def test_whoever_waits_for_an_answer_is_not_dropped(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "REQUEST_LIMIT", 0.05)
    with agent.ask(ask="fence", guest="counter") as fence, agent.knock() as silent:
        assert silent.recv(4096) == b""  # its time is over, and so would be the other's
        agent.server.answer_fence("counter", FenceAnswer.PEER_OFF)
        assert fence.wait("answer", SOON) == 7


def test_handlers_of_a_cable_that_flaps_do_not_fill_the_door(agent: Agent) -> None:
    """DRBD calls one at each loss, and ends none."""
    with contextlib.ExitStack() as stack:
        asked = []
        for _ in range(2 * control.CLIENTS):
            asked.append(stack.enter_context(agent.ask(ask="fence", guest="counter")))
            assert isinstance(agent.event(), FenceAsked), "it was not let in"
        for old in asked[: -control.HANDLERS]:
            assert old.wait("answer", SOON) == FenceAnswer.UNPROVEN
        agent.server.answer_fence("counter", FenceAnswer.PEER_OFF)
        for last in asked[-control.HANDLERS :]:
            assert last.wait("answer", SOON) == FenceAnswer.PEER_OFF


def test_whoever_says_more_than_one_thing_is_dropped(agent: Agent) -> None:
    with agent.knock(b'{"ask": "fence", "guest": "counter"}\n') as connection:
        agent.event()
        connection.sendall(b"x")
        assert connection.recv(4096) == b""


BIG = "x" * 600_000  # more than a socket holds


def test_a_slow_watcher_gets_the_newest_and_holds_up_nobody(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy host the others take longer than it may be silent: that it is dropped is below.
    monkeypatch.setattr(control, "STALL_LIMIT", inf)
    agent.server.publish({"n": 0, "big": BIG})
    with agent.ask(ask="watch") as slow:
        for n in range(1, 20):
            agent.server.publish({"n": n, "big": BIG})
            assert client.snapshot(agent.path)["n"] == n
        first, last = (answer["snapshot"]["n"] for answer in answers(slow, 2))
        assert first < last == 19  # and nothing between what it began with and the newest


def test_whoever_takes_nothing_is_dropped(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "STALL_LIMIT", 0.05)
    agent.server.publish({"n": 0, "big": BIG})
    with agent.knock(b'{"ask": "watch"}\n') as stalled:
        # It notices without taking a byte.
        poll = select.poll()
        poll.register(stalled, select.POLLHUP)
        assert poll.poll(SOON * 1000)
    assert client.snapshot(agent.path)["n"] == 0


def test_too_many_clients_cost_the_oldest_idle_one(agent: Agent) -> None:
    agent.server.publish({"n": 1})
    with agent.ask(ask="fence", guest="counter") as fence:
        agent.event()
        idle = [agent.knock() for _ in range(CLIENTS)]
        assert client.snapshot(agent.path) == {"n": 1}
        assert idle[0].recv(1) == b""
        agent.server.answer_fence("counter", FenceAnswer.PEER_OFF)
        assert fence.wait("answer", SOON) == 7
        for connection in idle:
            connection.close()


def test_a_second_agent_is_refused(agent: Agent) -> None:
    with pytest.raises(OperatorError, match="Another agent has"):
        Server(agent.path, [], agent.events.put, Verifier()).start()
    agent.server.publish({"n": 1})
    assert client.snapshot(agent.path) == {"n": 1}


def test_a_dead_agents_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    for name in (path, path.with_suffix(".new")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(name))
    with pytest.raises(AgentSilent, match="Connection refused"):
        client.snapshot(path)
    agent = Agent(path)
    agent.server.publish({"n": 1})
    assert client.snapshot(path) == {"n": 1}
    agent.server.stop()


def test_when_it_stops_everybody_notices(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent.sock")
    with agent.ask(ask="fence", guest="counter") as fence:
        agent.event()
        agent.server.stop()
        with pytest.raises(AgentSilent):
            fence.read(SOON)
    with pytest.raises(AgentSilent, match="No such file"):
        client.snapshot(agent.path)


def test_what_is_not_json_is_never_published(agent: Agent) -> None:
    with pytest.raises(ValueError, match="JSON"):
        agent.server.publish({"age": float("inf")})


def test_an_agent_that_says_nothing_is_silent(agent: Agent) -> None:
    with pytest.raises(AgentSilent, match=r"nothing came for 0\.05 s"):
        client.snapshot(agent.path, timeout=0.05)


@pytest.mark.parametrize("reply", [b"x\n", b"[]\n", b'{"other": 1}\n'])
def test_an_agent_of_another_language_is_not_believed(tmp_path: Path, reply: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with Connection({"ask": "snapshot"}, tmp_path / "s") as connection:
            accepted, _ = listener.accept()
            with accepted:
                accepted.sendall(reply)
                with pytest.raises(PeerError):
                    connection.wait("snapshot", SOON)


def lan_line(**changes: object) -> bytes:
    request = {"first": "10.0.2.11/24", "second": "10.0.2.12/24", "gateway": "10.0.2.1"}
    return json.dumps({"ask": "lan", **request, **changes}).encode() + b"\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"first": "10.0.2.300/24"},
        {"second": 5},
        {"gateway": "router"},
        {"second": "10.0.3.12/24"},
        {"gateway": "10.0.3.1"},
        {"third": "10.0.2.13"},
    ],
)
def test_addresses_that_cannot_be_are_refused_at_the_door(changes: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        parse(lan_line(**changes), [])


def test_who_asks_for_other_addresses_is_answered_by_the_core(agent: Agent) -> None:
    with agent.ask(
        ask=Ask.LAN, first="10.0.2.11/24", second="10.0.2.12/24", gateway="10.0.2.1"
    ) as connection:
        event = agent.event()
        assert isinstance(event, LanAsked)
        assert (event.first, event.gateway) == ("10.0.2.11/24", "10.0.2.1")
        agent.server.answer_operator("", "b is silent")
        assert connection.first(SOON) == {"refused": "b is silent"}


def test_a_request_is_parsed() -> None:
    assert parse(b'{"ask": "fence", "guest": "a"}\n', ["a"]) == (Ask.FENCE, "a")
    assert parse(b'{"ask": "leave"}\n', []) == (Ask.LEAVE, "")
    assert parse(b'{"ask": "move", "guest": "a"}\n', ["a"]) == (Ask.MOVE, "a")
    assert parse(b'{"ask": "maintenance on"}\n', ["a"]) == (Ask.MAINTENANCE_ON, "")
    assert parse(lan_line(), []) == (Ask.LAN, "")
    assert parse_lan(lan_line()) == ("10.0.2.11/24", "10.0.2.12/24", "10.0.2.1")
    with pytest.raises(
        BadRequest,
        match="fence, confirm, move, start, stop, restart, verify, noted, resolve, lan",
    ):
        parse(b'{"ask": "sleep"}\n', [])


@pytest.mark.parametrize("ask", ["verify", "noted"])
def test_a_verification_is_no_business_of_the_core(agent: Agent, ask: str) -> None:
    acts = {"verify": client.verify, "noted": client.noted}
    acts[ask]("mail", agent.path)
    agent.verifier.refusal = "berta is silent"
    with pytest.raises(Refused, match="Nothing was done: berta is silent"):
        acts[ask]("mail", agent.path)
    assert agent.verifier.asked == [(ask, "mail")] * 2
    assert agent.events.empty()
