# SPDX-License-Identifier: MIT
"""The stream of messages, on a pair of local sockets: deadlines, ends, and whatever may come in."""

import random
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from firstboot.pairing.stream import LARGEST, Messages, Stream
from haagent.errors import BugError, PeerError

SEED = 20261123
SECONDS = 10  # a deadline; nothing here takes so long
SOON = 0.2  # the deadline of a stream that is let down


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(4) + message


@pytest.fixture
def line() -> Iterator[tuple[Stream, socket.socket]]:
    """A stream, and the bare socket at its other end."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    far.settimeout(SECONDS)
    stream = Stream(near, limit=SOON)
    yield stream, far
    stream.close()
    far.close()


def test_a_stream_is_cut_into_messages_however_it_arrives() -> None:
    rng = random.Random(SEED)
    sent = [rng.randbytes(rng.choice([1, 2, 100, 5000])) for _ in range(50)]
    data = b"".join(map(framed, sent))
    for _ in range(20):
        messages, came, place = Messages(), [], 0
        while place < len(data):
            step = rng.choice([1, 3, 1000, 100_000])
            came += messages.feed(data[place : place + step])
            place += step
        assert came == sent, f"seed {SEED}"
        assert not messages.is_partial


def test_the_largest_message_and_one_more() -> None:
    messages = Messages(largest=10)
    assert messages.feed(framed(b"x" * 10)) == [b"x" * 10]
    with pytest.raises(PeerError, match="11 bytes"):
        messages.feed((11).to_bytes(4))


@pytest.mark.parametrize("head", [b"\0\0\0\0", b"\xff\xff\xff\xff", (LARGEST + 1).to_bytes(4)])
def test_a_length_that_must_not_be_is_refused_at_once(head: bytes) -> None:
    with pytest.raises(PeerError):
        Messages().feed(head)


def test_random_bytes_are_messages_or_an_error() -> None:
    rng = random.Random(SEED)
    for _ in range(500):
        messages = Messages()
        try:
            for _ in range(5):
                messages.feed(rng.randbytes(rng.randrange(40)))
        except PeerError:
            continue


def test_what_is_sent_arrives(line: tuple[Stream, socket.socket]) -> None:
    stream, far = line
    stream.send(b"hello")
    assert far.recv(100) == framed(b"hello")
    far.sendall(framed(b"one") + framed(b"two") + framed(b"three")[:5])
    assert stream.hear() == (b"one", b"two")
    assert stream.hear() == ()
    far.sendall(framed(b"three")[5:])
    assert stream.receive() == b"three"


def test_messages_that_came_together_are_received_one_by_one(
    line: tuple[Stream, socket.socket],
) -> None:
    stream, far = line
    far.sendall(framed(b"one") + framed(b"two"))
    assert [stream.receive(), stream.receive()] == [b"one", b"two"]


def test_a_large_message_passes_through_small_buffers(
    line: tuple[Stream, socket.socket],
) -> None:
    stream, far = line
    message = random.Random(SEED).randbytes(LARGEST)
    came = bytearray()

    def swallow() -> None:
        while len(came) < LARGEST + 4:
            came.extend(far.recv(65536))

    reader = threading.Thread(target=swallow)
    reader.start()
    stream.send(message)
    reader.join(SECONDS)
    assert bytes(came) == framed(message)


def gone(stream: Stream) -> bool:
    for attempt in (stream.hear, stream.receive, lambda: stream.send(b"x")):
        with pytest.raises(PeerError, match="has ended"):
            attempt()
    return stream.is_closed


def test_the_end_is_told_after_the_last_message(line: tuple[Stream, socket.socket]) -> None:
    stream, far = line
    far.sendall(framed(b"last"))
    far.close()
    assert stream.hear() == (b"last",)
    with pytest.raises(PeerError, match="hung up"):
        stream.hear()
    assert gone(stream)


def test_an_end_in_the_middle_of_a_message(line: tuple[Stream, socket.socket]) -> None:
    stream, far = line
    far.sendall(framed(b"broken")[:7])
    far.close()
    with pytest.raises(PeerError, match="hung up"):
        stream.receive()
    assert gone(stream)


def test_a_message_that_never_ends(line: tuple[Stream, socket.socket]) -> None:
    stream, far = line
    began = time.monotonic()
    far.sendall(framed(b"x" * 100)[:20])
    with pytest.raises(PeerError, match="in time"):
        stream.receive(timeout=SECONDS)
    assert time.monotonic() - began < SECONDS / 2
    assert gone(stream)


def test_a_message_that_trickles_has_no_more_time_than_any_other(
    line: tuple[Stream, socket.socket],
) -> None:
    stream, far = line
    data = iter(framed(b"x" * 1000))
    deadline = time.monotonic() + SECONDS
    with pytest.raises(PeerError, match="middle of a message"):
        while time.monotonic() < deadline:
            far.sendall(bytes([next(data)]))
            assert stream.hear() == ()
            threading.Event().wait(0.01)
    assert gone(stream)


def test_nobody_speaks(line: tuple[Stream, socket.socket]) -> None:
    stream, _ = line
    assert stream.hear() == ()
    with pytest.raises(PeerError, match="in time"):
        stream.receive()
    assert gone(stream)


def test_nobody_listens(line: tuple[Stream, socket.socket]) -> None:
    stream, _ = line
    with pytest.raises(PeerError, match="in time"):
        for _ in range(1000):
            stream.send(b"x" * LARGEST)
    assert gone(stream)


def test_a_line_that_breaks_while_we_speak(line: tuple[Stream, socket.socket]) -> None:
    stream, far = line
    far.close()
    with pytest.raises(PeerError, match="gone"):
        stream.send(b"x")
    assert gone(stream)


@pytest.mark.parametrize("message", [b"", b"x" * (LARGEST + 1)])
def test_what_must_not_be_sent_is_a_mistake_of_ours(
    message: bytes, line: tuple[Stream, socket.socket]
) -> None:
    with pytest.raises(BugError):
        line[0].send(message)
