# SPDX-License-Identifier: MIT
"""Asks the agent through its socket, as haagent/control.py answers there.

It must not judge what it is told, and never takes silence for an answer.
"""

import json
import select
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from haagent.control import SOCKET, Ask
from haagent.errors import OperatorError, PeerError

LONGEST = 1 << 20  # bytes of one answer
PATIENCE = 10.0  # seconds for an answer that the agent has at hand


class AgentSilent(OperatorError):
    """The agent does not run, went away, or does not answer in time."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The agent does not answer: {why}.",
            "`systemctl status haagent` and `journalctl -b -u haagent` say why. The guests go on "
            "as they are; if the agent does not come back soon, this machine resets itself.",
        )


class Refused(OperatorError):
    """The agent did not take the request."""


class NotLeft(OperatorError):
    """The agent has not signed off in time."""


class Connection:
    """One request to the agent at PATH, and its answers as they come. A context manager.

    Raises AgentSilent if nobody is there.
    """

    def __init__(self, request: Mapping[str, object], path: Path = SOCKET) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._heard = bytearray()
        self._socket.settimeout(PATIENCE)
        try:
            self._socket.connect(str(path))
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            self._socket.close()
            raise AgentSilent(f"{path}: {error.strerror or error}") from error

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """For select(2): something came, or the agent went away."""
        return self._socket.fileno()

    def read(self, timeout: float) -> list[dict[str, Any]]:
        """The answers that came whole. Waits TIMEOUT seconds at most, and less if a part came.

        Raises AgentSilent if the agent went away, Refused if it said no, PeerError for what is
        not of its language.
        """
        if not select.select([self._socket], [], [], max(0.0, timeout))[0]:
            return []
        try:
            data = self._socket.recv(1 << 16)
        except OSError as error:
            raise AgentSilent(error.strerror or str(error)) from error
        if not data:
            raise AgentSilent("it closed the connection")
        self._heard += data
        *lines, rest = self._heard.split(b"\n")
        self._heard = rest
        if len(rest) > LONGEST:
            raise PeerError("the agent's answer has no end")
        return [_answer(line) for line in lines]

    def first(self, timeout: float) -> dict[str, Any]:
        """The first answer; it must come within TIMEOUT seconds. Raises as `read`."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            for answer in self.read(left):
                return answer
        raise AgentSilent(f"nothing came for {timeout:g} s")

    def wait(self, key: str, timeout: float) -> Any:
        """What the first answer says for KEY; it must come within TIMEOUT seconds.

        Raises as `read`, and PeerError if the answer is to another question.
        """
        answer = self.first(timeout)
        if key not in answer:
            raise PeerError(f"the agent says nothing about {key}: {sorted(answer)}")
        return answer[key]


def _answer(line: bytearray) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise PeerError("the agent's answer is not JSON") from error
    if not isinstance(answer, dict):
        raise PeerError("the agent's answer is not an object of JSON")
    if "error" in answer:
        raise Refused(
            f"The agent did not do it: {answer['error']}.",
            "`shoestring status` lists what there is.",
        )
    return answer


def snapshot(path: Path = SOCKET, timeout: float = PATIENCE) -> dict[str, Any]:
    """The agent's newest snapshot, as console/snapshot.py reads it. Raises as `Connection.wait`."""
    with Connection({"ask": Ask.SNAPSHOT}, path) as connection:
        found = connection.wait("snapshot", timeout)
    if not isinstance(found, dict):
        raise PeerError("the agent's snapshot is not an object of JSON")
    return found


def confirm(guest: str, path: Path = SOCKET) -> None:
    """Tells the agent that a person wants GUEST to start here in spite of all.

    Returns when the agent has taken note; whether the guest then starts, a snapshot tells. Raises
    as `Connection.wait`.
    """
    _ask({"ask": Ask.CONFIRM, "guest": guest}, path)


def move(guest: str, path: Path = SOCKET) -> None:
    """Has GUEST shut down here, to start on the peer; returns when the agent has begun.

    Raises as `Connection.first`, and Refused with the agent's reason.
    """
    _ask({"ask": Ask.MOVE, "guest": guest}, path)


def start(guest: str, path: Path = SOCKET) -> None:
    """GUEST is to run from now on; returns when that is written down here. Raises as `move`."""
    _ask({"ask": Ask.START, "guest": guest}, path)


def stop(guest: str, path: Path = SOCKET) -> None:
    """GUEST is to be off from now on, on either machine. As `start`."""
    _ask({"ask": Ask.STOP, "guest": guest}, path)


def restart(guest: str, path: Path = SOCKET) -> None:
    """Has GUEST, which runs here, start anew; returns when it is about to be asked to."""
    _ask({"ask": Ask.RESTART, "guest": guest}, path)


def verify(guest: str, path: Path = SOCKET) -> None:
    """Has both copies of GUEST compared; returns when that is about to begin. Raises as `move`."""
    _ask({"ask": Ask.VERIFY, "guest": guest}, path)


def noted(guest: str, path: Path = SOCKET) -> None:
    """A person has taken note of what differs between the copies of GUEST. Raises as `move`."""
    _ask({"ask": Ask.NOTED, "guest": guest}, path)


def resolve(guest: str, node: int, stamp: str, path: Path = SOCKET, *, about: int = 0) -> None:
    """Says that NODE's copy of GUEST counts; returns when that is on its way to the other machine.

    STAMP names the copy that is kept of what is given up; "" keeps none. ABOUT is the number of the
    open choice that shall go on without a copy; 0 makes a new one. Raises as `move`.
    """
    _ask({"ask": Ask.RESOLVE, "guest": guest, "copy": node, "stamp": stamp, "choice": about}, path)


def lan(first: str, second: str, gateway: str, path: Path = SOCKET) -> None:
    """Asks for other addresses on the LAN: node 0's, node 1's, with prefixes, and the gateway's.

    Returns when that is on its way to the other machine. Raises as `move`.
    """
    _ask({"ask": Ask.LAN, "first": first, "second": second, "gateway": gateway}, path)


def maintenance(is_on: bool, path: Path = SOCKET) -> None:
    """Turns maintenance on or off; returns when that is written down. Raises as `move`."""
    _ask({"ask": Ask.MAINTENANCE_ON if is_on else Ask.MAINTENANCE_OFF}, path)


def _ask(request: Mapping[str, object], path: Path) -> None:
    with Connection(request, path) as connection:
        answer = connection.first(PATIENCE)
    match answer:
        case {"accepted": True}:
            return
        case {"refused": str(why)}:
            raise Refused(
                f"Nothing was done: {why}.", "`shoestring status` says what is wrong, if anything."
            )
    raise PeerError("the agent did not say that it took note")


def follow(seen: Callable[[dict[str, Any]], bool], timeout: float, path: Path = SOCKET) -> bool:
    """Gives SEEN each snapshot until it says that it has seen what it waits for.

    False if that did not come within TIMEOUT seconds. Raises as `Connection.read`.
    """
    deadline = time.monotonic() + timeout
    with Connection({"ask": Ask.WATCH}, path) as connection:
        while (left := deadline - time.monotonic()) > 0:
            for answer in connection.read(left):
                if isinstance(answer.get("snapshot"), dict) and seen(answer["snapshot"]):
                    return True
    return False


def leave(
    progress: Callable[[dict[str, Any]], object], timeout: float, path: Path = SOCKET
) -> None:
    """Asks the agent to sign off, and returns when nothing of ours runs here any more.

    PROGRESS gets each snapshot meanwhile. Raises as `Connection.read`, and NotLeft after TIMEOUT
    seconds.
    """
    deadline = time.monotonic() + timeout
    with Connection({"ask": Ask.LEAVE}, path) as connection:
        while (left := deadline - time.monotonic()) > 0:
            for answer in connection.read(left):
                if answer == {"left": True}:
                    return
                if isinstance(answer.get("snapshot"), dict):
                    progress(answer["snapshot"])
    raise NotLeft(
        f"The agent has not signed off after {timeout:g} s.",
        "Its guests may still run here. If the machine goes down now, they end as in a power cut, "
        "and the peer takes over only when it is sure that this machine is off.",
    )
