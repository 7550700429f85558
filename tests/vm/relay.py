# SPDX-License-Identifier: MIT
"""The cables: carries Ethernet frames between machines, and loses them on command.

Runs as a process of its own (`python -m tests.vm.relay FOLDER SEGMENT=PORT,PORT ...`) so that a
busy test cannot slow the network down. A segment is a hub: what one port sends, every other port of
it hears. QEMU's `dgram` netdev puts one frame into one datagram of a UNIX socket:
FOLDER/SEGMENT-PORT.out is where QEMU sends, FOLDER/SEGMENT-PORT.in where it listens.

The control socket FOLDER/relay takes one JSON object per connection, `{"lose": [[segment, from,
to], ...], "lose_tcp": [[segment, from, to, number], ...]}`: the ordered pairs of ports between
which every frame is lost from now on, and those between which frames of one TCP port are. The
answer is `{"carried": {...}, "lost": {...}}`, the frames counted per `segment/from/to` since the
start.
"""

import contextlib
import json
import selectors
import socket
import sys
from collections import Counter
from pathlib import Path

FRAME = 65536  # bytes; more than any frame: a datagram that is cut off would be lost silently
BUFFER = 4 << 20  # bytes; bursts of a resync must fit, as they do in a switch

IPV4, TCP = b"\x08\x00", 6  # in an Ethernet and an IPv4 header, RFC 894 and RFC 791

Pair = tuple[str, str, str]  # segment, from, to


def tcp_ports(frame: bytes) -> tuple[int, ...]:
    """Source and destination port, if FRAME begins a TCP packet over IPv4; else nothing."""
    if frame[12:14] != IPV4 or len(frame) < 34 or frame[23] != TCP:
        return ()
    begin = 14 + 4 * (frame[14] & 15)
    ports = frame[begin : begin + 4]
    return (int.from_bytes(ports[:2]), int.from_bytes(ports[2:])) if len(ports) == 4 else ()


class Relay:
    def __init__(self, folder: Path, segments: dict[str, list[str]]) -> None:
        self._folder = folder
        self._selector = selectors.DefaultSelector()
        self._lose: set[Pair] = set()
        self._lose_tcp: dict[Pair, set[int]] = {}
        self._carried: Counter[Pair] = Counter()
        self._lost: Counter[Pair] = Counter()
        for segment, ports in segments.items():
            for port in ports:
                self._add_port(segment, port, [p for p in ports if p != port])
        self._control = socket.socket(socket.AF_UNIX)
        self._control.bind(str(folder / "relay"))
        self._control.listen()
        self._selector.register(self._control, selectors.EVENT_READ, None)

    def _add_port(self, segment: str, port: str, others: list[str]) -> None:
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        ear.setblocking(False)
        ear.bind(str(self._folder / f"{segment}-{port}.out"))
        targets = [((segment, port, o), str(self._folder / f"{segment}-{o}.in")) for o in others]
        self._selector.register(ear, selectors.EVENT_READ, (ear, targets))

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._obey()
                else:
                    self._carry(*key.data)

    def _carry(self, ear: socket.socket, targets: list[tuple[Pair, str]]) -> None:
        while True:
            try:
                frame = ear.recv(FRAME)
            except BlockingIOError:
                return
            for pair, target in targets:
                if pair in self._lose or self._loses_tcp(pair, frame):
                    self._lost[pair] += 1
                    continue
                try:
                    ear.sendto(frame, target)
                    self._carried[pair] += 1
                except OSError:  # nobody there, or it does not listen: Ethernet loses the frame
                    self._lost[pair] += 1

    def _loses_tcp(self, pair: Pair, frame: bytes) -> bool:
        numbers = self._lose_tcp.get(pair)
        return numbers is not None and not numbers.isdisjoint(tcp_ports(frame))

    def _obey(self) -> None:
        connection, _ = self._control.accept()
        with connection, contextlib.suppress(ConnectionError):
            request = json.loads(connection.makefile().readline())
            self._lose = {(s, a, b) for s, a, b in request["lose"]}
            self._lose_tcp = {}
            for s, a, b, number in request["lose_tcp"]:
                self._lose_tcp.setdefault((s, a, b), set()).add(number)
            answer = {
                name: {"/".join(pair): n for pair, n in counter.items()}
                for name, counter in (("carried", self._carried), ("lost", self._lost))
            }
            connection.sendall(json.dumps(answer).encode() + b"\n")


def main() -> None:
    folder, *segments = sys.argv[1:]
    Relay(Path(folder), {s: p.split(",") for s, _, p in (a.partition("=") for a in segments)}).run()


if __name__ == "__main__":
    main()
