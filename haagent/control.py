# SPDX-License-Identifier: MIT
"""The agent's door: one UNIX socket through which this machine's own programs ask and are told.

It must not decide anything: what is asked becomes an event, what is answered comes from the core,
or from storage/verification.py, whose business is none of the core's.
No client can hold up another, or the agent: nothing in here waits for a client, each has a limit
to its time and to its memory, and their number is bounded.

One request a connection, a line of JSON; each answer is a line of JSON:

    {"ask": "snapshot"}               {"snapshot": {...}}
    {"ask": "watch"}                  the same, now and after each change, until the client goes
    {"ask": "fence", "guest": NAME}   {"answer": 1 | 4 | 7}, when the core says so
    {"ask": "confirm", "guest": NAME} {"accepted": true}; what comes of it, a snapshot tells
    {"ask": "move", "guest": NAME}    {"accepted": true}, or {"refused": WHY}, when the core says so
    {"ask": "start", "guest": NAME}   the same; it is to run from now on. And for "stop"
    {"ask": "restart", "guest": NAME} the same, for one that runs here
    {"ask": "verify", "guest": NAME}  the same: both copies are compared, as soon as may be
    {"ask": "noted", "guest": NAME}   the same: a person has taken note of what that has found
    {"ask": "resolve", "guest": NAME, "copy": 0 | 1, "stamp": TEXT, "choice": NUMBER}
                                      the same: {"accepted": true} is on its way to the peer
    {"ask": "lan", "first": A, "second": A, "gateway": A}
                                      the same, about other addresses: node 0's and node 1's, each
                                      with its prefix, and the gateway's
    {"ask": "maintenance on"}         the same, and for "maintenance off"
    {"ask": "leave"}                  snapshots as for watch, at last {"left": true}
    anything else                     {"error": TEXT}
"""

import fcntl
import json
import os
import queue
import selectors
import socket
import threading
import time
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from ipaddress import IPv4Address, IPv4Interface
from math import inf
from pathlib import Path
from typing import Protocol

from haagent.core.events import (
    ChoiceAsked,
    Event,
    FenceAsked,
    LanAsked,
    Leave,
    MaintenanceAsked,
    MoveAsked,
    OperatorConfirmed,
    RestartAsked,
    WishAsked,
)
from haagent.core.model import FenceAnswer
from haagent.core.wish import Target
from haagent.errors import OperatorError

SOCKET = Path("/run/shoestring/agent.sock")

CLIENTS = 128  # at once
# Of one guest that wait, the last so many. DRBD calls a handler at each loss and never ends one;
# where the peer was back before anything was proven, nobody needs it any more. An older one may
# ask after a newer one when the agent was restarted, so that the last alone would not do.
HANDLERS = 4
LONGEST = 4096  # bytes of a request
REQUEST_LIMIT = 5.0  # seconds to say it
STALL_LIMIT = 10.0  # seconds without taking a byte of an answer


class Ask(StrEnum):
    """What a client may ask."""

    SNAPSHOT = "snapshot"
    WATCH = "watch"
    FENCE = "fence"
    CONFIRM = "confirm"
    MOVE = "move"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    VERIFY = "verify"
    NOTED = "noted"
    RESOLVE = "resolve"
    LAN = "lan"
    MAINTENANCE_ON = "maintenance on"
    MAINTENANCE_OFF = "maintenance off"
    LEAVE = "leave"


STREAMS = (Ask.WATCH, Ask.LEAVE)  # they get every snapshot that they are fast enough to take
PATIENT = (Ask.FENCE, Ask.LEAVE)  # they are never dropped in favour of another client
ACTS_ON_A_GUEST = (Ask.MOVE, Ask.START, Ask.STOP, Ask.RESTART)
OF_A_GUEST = frozenset({Ask.FENCE, Ask.CONFIRM, Ask.VERIFY, Ask.NOTED, *ACTS_ON_A_GUEST})
WITH_MORE = frozenset({Ask.RESOLVE, Ask.LAN})  # not only a guest
OF_THE_MACHINE = (Ask.MAINTENANCE_ON, Ask.MAINTENANCE_OFF, Ask.LAN)
LONGEST_STAMP = 32  # characters


class BadRequest(Exception):
    """A client said something that means nothing; the message is its answer."""


@dataclass(eq=False, slots=True)
class _Client:
    socket: socket.socket
    deadline: float  # when it is dropped
    ask: Ask | None = None
    guest: str = ""
    heard: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)
    newest: bytes | None = None  # the snapshot to send next; older ones are left out
    is_done: bool = False  # gone as soon as everything is sent


class Verifier(Protocol):
    """What storage/verification.py does. Both say why not, or None."""

    def ask(self, guest: str) -> str | None: ...
    def take_note(self, guest: str) -> str | None: ...


class Server:
    """Listens at PATH in a thread of its own. What is asked is posted as events of the core.

    POST is called in that thread and must not block. `publish`, `answer_fence`, `answer_operator`
    and `finish_leaving` may be called from any thread and do not block either.
    """

    def __init__(
        self,
        path: Path,
        guests: Collection[str],
        post: Callable[[Event], None],
        verifier: Verifier,
    ) -> None:
        self._path = path
        self._guests = frozenset(guests)
        self._post = post
        self._verifier = verifier
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Not in `stop`: publishing to a closed door is no error.
        weakref.finalize(self, os.close, self._wake)
        self._selector = selectors.DefaultSelector()
        self._clients: list[_Client] = []  # the oldest first
        self._line: bytes | None = None  # the newest snapshot
        self._has_left = False
        self._is_stopping = False
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)

    def start(self) -> None:
        """Opens the door. Raises OperatorError if another agent has it, or OSError."""
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise OperatorError(
                f"Another agent has {self._path}.",
                "Only one may run. `systemctl status haagent` shows it.",
            ) from error
        self._listener = _listen(self._path)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """Closes the door; every client notices. Once, after `start`."""
        self._do(self._stop)
        self._thread.join()
        os.close(self._lock)

    def publish(self, snapshot: Mapping[str, object]) -> None:
        """What everybody who asks is shown from now on. Raises ValueError if it is not JSON's."""
        line = _line({"snapshot": snapshot})
        self._do(lambda: self._publish(line))

    def answer_fence(self, guest: str, answer: FenceAnswer) -> None:
        """Answers every handler that waits for GUEST."""
        line = _line({"answer": int(answer)})
        self._do(lambda: self._answer(Ask.FENCE, guest, line))

    def answer_operator(self, guest: str, refusal: str | None) -> None:
        """Answers everybody who asked for an act on GUEST, such as to move it, or, with "", about
        maintenance or for other addresses.

        Who asks both in one moment gets one answer for both; what is then shown tells them apart.
        """
        line = _verdict(refusal)
        for ask in (*ACTS_ON_A_GUEST, Ask.RESOLVE) if guest else OF_THE_MACHINE:
            self._do(partial(self._answer, ask, guest, line))

    def finish_leaving(self) -> None:
        """Nothing of ours runs any more: tells whoever asked us to leave, now or later."""
        self._do(self._leave)

    def _do(self, task: Callable[[], None]) -> None:
        self._tasks.put(task)
        os.eventfd_write(self._wake, 1)

    def _serve(self) -> None:
        while not self._is_stopping:
            now = time.monotonic()
            for client in [c for c in self._clients if c.deadline <= now]:
                self._drop(client)
            nearest = min((client.deadline for client in self._clients), default=inf)
            for key, _ in self._selector.select(None if nearest == inf else nearest - now):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj == self._wake:
                    self._run_tasks()
                elif key.data in self._clients:  # not dropped by one before it
                    self._attend(key.data)

    def _run_tasks(self) -> None:
        os.eventfd_read(self._wake)
        while not self._tasks.empty():
            self._tasks.get()()

    def _stop(self) -> None:
        self._is_stopping = True
        self._path.unlink(missing_ok=True)
        for client in list(self._clients):
            self._drop(client)
        self._listener.close()
        self._selector.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # it went away again
        connection.setblocking(False)
        if len(self._clients) >= CLIENTS:
            # Whoever waits for an answer that a guest depends on stays.
            droppable = [client for client in self._clients if client.ask not in PATIENT]
            if not droppable:
                connection.close()
                return
            self._drop(droppable[0])
        client = _Client(connection, time.monotonic() + REQUEST_LIMIT)
        self._clients.append(client)
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _drop(self, client: _Client) -> None:
        self._clients.remove(client)
        self._selector.unregister(client.socket)
        client.socket.close()

    def _attend(self, client: _Client) -> None:
        try:
            data = client.socket.recv(LONGEST)
        except BlockingIOError:
            self._flush(client)
            return
        except OSError:
            data = b""
        if not data or client.ask is not None:
            self._drop(client)  # it is gone, or says more than one thing
            return
        client.heard += data
        if b"\n" not in client.heard and len(client.heard) <= LONGEST:
            return
        client.deadline = inf
        try:
            self._take(client, bytes(client.heard))
        except BadRequest as error:
            self._send(client, _line({"error": str(error)}), is_last=True)

    def _take(self, client: _Client, line: bytes) -> None:
        """Acts on the request LINE. Raises BadRequest."""
        client.ask, client.guest = parse(line, self._guests)
        now = time.monotonic()
        match client.ask:
            case Ask.FENCE:
                self._dismiss_handlers(client.guest)
                self._post(FenceAsked(now, client.guest))
            case Ask.CONFIRM:
                self._post(OperatorConfirmed(now, client.guest))
                self._send(client, _line({"accepted": True}), is_last=True)
            case Ask.MOVE:
                self._post(MoveAsked(now, client.guest))
            case Ask.START | Ask.STOP:
                target = Target.STARTED if client.ask is Ask.START else Target.STOPPED
                self._post(WishAsked(now, client.guest, target))
            case Ask.RESTART:
                self._post(RestartAsked(now, client.guest))
            case Ask.VERIFY:
                self._send(client, _verdict(self._verifier.ask(client.guest)), is_last=True)
            case Ask.NOTED:
                self._send(client, _verdict(self._verifier.take_note(client.guest)), is_last=True)
            case Ask.RESOLVE:
                self._post(ChoiceAsked(now, client.guest, *parse_choice(line)))
            case Ask.LAN:
                self._post(LanAsked(now, *parse_lan(line)))
            case Ask.MAINTENANCE_ON | Ask.MAINTENANCE_OFF:
                self._post(MaintenanceAsked(now, client.ask is Ask.MAINTENANCE_ON))
            case Ask.LEAVE:
                self._post(Leave(now))
                self._show(client)
                if self._has_left:
                    self._leave()
            case Ask.SNAPSHOT | Ask.WATCH:
                self._show(client)

    def _dismiss_handlers(self, guest: str) -> None:
        """safety: those of a crossover that flaps would fill the door, and the one that a loss for
        good calls would not be let in: who holds the only living copy would be reset.
        """
        waiting = [
            one
            for one in self._clients
            if one.ask is Ask.FENCE and one.guest == guest and not one.is_done
        ]
        for old in waiting[:-HANDLERS]:
            self._send(old, _line({"answer": int(FenceAnswer.UNPROVEN)}), is_last=True)

    def _publish(self, line: bytes) -> None:
        if line == self._line:
            return
        self._line = line
        for client in list(self._clients):
            if client.ask in STREAMS or client.ask is Ask.SNAPSHOT:
                self._show(client)

    def _show(self, client: _Client) -> None:
        """Sends the newest snapshot, as soon as there is one and the client took the one before."""
        if self._line is None:
            return
        if client.unsent:
            client.newest = self._line
        else:
            self._send(client, self._line, is_last=client.ask is Ask.SNAPSHOT)

    def _answer(self, ask: Ask, guest: str, line: bytes) -> None:
        for client in list(self._clients):
            if client.ask is ask and client.guest == guest and not client.is_done:
                client.newest = None
                self._send(client, line, is_last=True)

    def _leave(self) -> None:
        self._has_left = True
        self._answer(Ask.LEAVE, "", _line({"left": True}))

    def _send(self, client: _Client, line: bytes, is_last: bool) -> None:
        client.is_done = is_last
        client.unsent += line
        self._flush(client)

    def _flush(self, client: _Client) -> None:
        """Sends what the client takes without waiting for it."""
        try:
            while client.unsent:
                del client.unsent[: client.socket.send(client.unsent)]
                client.deadline = inf
                if not client.unsent and client.newest is not None:
                    client.unsent += client.newest
                    client.newest = None
        except BlockingIOError:
            client.deadline = min(client.deadline, time.monotonic() + STALL_LIMIT)
        except OSError:
            self._drop(client)
            return
        if client.is_done and not client.unsent:
            self._drop(client)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.unsent else 0)
        self._selector.modify(client.socket, wanted, client)


def _listen(path: Path) -> socket.socket:
    """A socket that only its owner can open, from its first moment."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # unix(7), net/unix/af_unix.c: the name is made with the mode that the socket has at bind.
    os.fchmod(listener.fileno(), 0o600)
    # Under another name first: a dead agent's socket is replaced without a moment of no socket.
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    listener.bind(str(new))
    listener.listen()
    listener.setblocking(False)
    new.rename(path)
    return listener


def _line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message, allow_nan=False).encode() + b"\n"


def _verdict(refusal: str | None) -> bytes:
    return _line({"accepted": True} if refusal is None else {"refused": refusal})


def parse(line: bytes, guests: Collection[str]) -> tuple[Ask, str]:
    """A request as (what, guest), with "" for no guest. Raises BadRequest."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise BadRequest("a request is one line of JSON") from None
    match request:
        case {"ask": str(ask), "guest": str(guest), **rest} if ask in OF_A_GUEST and not rest:
            if guest not in guests:
                raise BadRequest(f"there is no guest {guest}")
            return Ask(ask), guest
        case {
            "ask": Ask.RESOLVE,
            "guest": str(guest),
            "copy": _,
            "stamp": _,
            "choice": _,
            **rest,
        } if not rest:
            if guest not in guests:
                raise BadRequest(f"there is no guest {guest}")
            parse_choice(line)
            return Ask.RESOLVE, guest
        case {"ask": Ask.LAN, "first": _, "second": _, "gateway": _, **rest} if not rest:
            parse_lan(line)
            return Ask.LAN, ""
        case {"ask": str(ask), **rest} if ask in set(Ask) - OF_A_GUEST - WITH_MORE and not rest:
            return Ask(ask), ""
    raise BadRequest(f"a request asks for one of: {', '.join(Ask)}")


def parse_lan(line: bytes) -> tuple[str, str, str]:
    """Both addresses and the gateway, of a request that `parse` took for LAN. Raises BadRequest."""
    request = json.loads(line)
    if not all(isinstance(value, str) for value in request.values()):
        raise BadRequest("addresses are texts")
    try:
        first, second = IPv4Interface(request["first"]), IPv4Interface(request["second"])
        gateway = IPv4Address(request["gateway"])
    except ValueError:
        raise BadRequest("two addresses with prefixes, and a gateway's, are needed") from None
    if first.network != second.network or gateway not in first.network:
        raise BadRequest("the three addresses are not of one network")
    return str(first), str(second), str(gateway)


def parse_choice(line: bytes) -> tuple[int, str, int]:
    """The node whose copy counts, the stamp, and the number of the open choice that is meant (0: a
    new one is made), of a request that `parse` took for RESOLVE. Raises BadRequest.
    """
    request = json.loads(line)
    node, stamp, about = request["copy"], request["stamp"], request["choice"]
    if type(node) is not int or node not in (0, 1):
        raise BadRequest("the copy that counts is that of node 0 or 1")
    is_text = isinstance(stamp, str) and stamp.isascii() and stamp.isprintable()
    if not is_text or len(stamp) > LONGEST_STAMP:
        raise BadRequest("a stamp is a short text")
    if type(about) is not int or about < 0 or (about and stamp):
        raise BadRequest("a choice has a number; one that is open can only lose its stamp")
    return node, stamp, about
