# SPDX-License-Identifier: MIT
"""Who is let in to a screen, and how one is entered: the first words of VNC's protocol."""

import socket
import threading
from collections.abc import Callable

import pytest

from haagent.guests import rfb

SOON = 10.0  # seconds; nothing here takes a tenth of it


def answers(talk: Callable[[socket.socket], None]) -> socket.socket:
    """One end of a line at whose other end somebody talks."""
    ours, theirs = socket.socketpair()

    def run() -> None:
        with theirs:
            talk(theirs)

    threading.Thread(target=run, daemon=True).start()
    return ours


def says(*steps: tuple[bytes, int]) -> Callable[[socket.socket], None]:
    """Sends each, and waits for so many bytes after it."""

    def talk(line: socket.socket) -> None:
        for said, count in steps:
            line.sendall(said)
            while count:
                more = line.recv(count)
                if not more:
                    return
                count -= len(more)

    return talk


def knows(password: str, greeting: bytes, result: list[bytes]) -> Callable[[socket.socket], None]:
    """A viewer that types PASSWORD, and what it was told in the end."""

    def talk(line: socket.socket) -> None:
        assert line.recv(12) == rfb.VERSION
        line.sendall(greeting)
        if greeting < b"RFB 003.007":
            assert line.recv(4) == b"\0\0\0\2"
        else:
            assert line.recv(2) == b"\1\2"
            line.sendall(b"\2")
        challenge = line.recv(16)
        line.sendall(rfb.answer(password, challenge))
        told = b""
        while more := line.recv(100):
            told += more
        result.append(told)

    return talk


def test_the_answer_is_that_of_des() -> None:
    """As `openssl enc -des-ecb -K ceccc64ea62e0000` has it: the bytes of s3cret, turned round."""
    challenge = bytes(range(16))
    assert rfb.answer("s3cret", challenge).hex() == "fc9a2bb8546a63388eb45b530d3a6337"
    assert rfb.answer("longer-than-8", challenge) == rfb.answer("longer-t", challenge)


@pytest.mark.parametrize(
    "greeting",
    [b"RFB 003.003\n", b"RFB 003.005\n", b"RFB 003.007\n", rfb.VERSION, b"RFB 003.889\n"],
)
@pytest.mark.parametrize("password", ["right", "wrong"])
def test_who_knows_the_password_is_let_in(greeting: bytes, password: str) -> None:
    result: list[bytes] = []
    done = threading.Event()
    talk = knows(password, greeting, result)

    def run(line: socket.socket) -> None:
        talk(line)
        done.set()

    with answers(run) as line:
        is_in = rfb.lets_in(line, "right", SOON)
    assert done.wait(SOON)
    assert is_in == (password == "right")
    assert result[0][:4] == (b"\0\0\0\0" if is_in else b"\0\0\0\1")
    has_reason = greeting >= rfb.VERSION and not is_in
    assert (b"The password is another one." in result[0]) == has_reason


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([(b"GET / HTTP/1.0\r\n\r\n", 12)], "does not speak VNC's"),
        ([(rfb.VERSION, 14), (b"\1", 0)], "takes no password"),
        ([(rfb.VERSION, 14), (b"\2", 16), (b"short", 0)], "hung up"),
    ],
)
def test_what_is_no_viewer_is_not(steps: list[tuple[bytes, int]], why: str) -> None:
    with answers(says(*steps)) as line, pytest.raises(rfb.Odd, match=why):
        rfb.lets_in(line, "right", SOON)


def test_who_says_nothing_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        rfb.lets_in(ours, "right", 0.05)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([(rfb.VERSION, 12), (b"\2\2\1", 1), (bytes(4), 0)], None),
        ([(b"RFB 003.003\n", 0)], "old version"),
        ([(rfb.VERSION, 12), (b"\1\2", 0)], "asks for a password"),
        ([(rfb.VERSION, 12), (b"\0", 0)], "asks for a password"),
        ([(rfb.VERSION, 12), (b"\1\1", 1), (b"\0\0\0\1", 0)], "lets nobody in"),
    ],
)
def test_a_screen_is_entered_that_asks_for_nothing(
    steps: list[tuple[bytes, int]], why: str | None
) -> None:
    with answers(says(*steps)) as line:
        if why is None:
            rfb.enter(line, SOON)
        else:
            with pytest.raises(rfb.Odd, match=why):
                rfb.enter(line, SOON)
