# SPDX-License-Identifier: MIT
"""The cables: carries Ethernet frames between machines, and does to them what it is told.

Runs as a process of its own (`python -m tests.vm.relay FOLDER SEGMENT=PORT,PORT ...`) so that a
busy test cannot slow the network down. A segment is a hub: what one port sends, every other port of
it hears. QEMU's `dgram` netdev puts one frame into one datagram of a UNIX socket:
FOLDER/SEGMENT-PORT.out is where QEMU sends, FOLDER/SEGMENT-PORT.in where it listens. What happens
to a frame is decided in mishaps.py alone.

The control socket FOLDER/relay takes one JSON object per connection. Each part may be left out:
- `"mishaps": [[segment, from, to, mishap], ...]`, those of all ways from now on, in their order;
- `"record": [segment, port, which]`: what the port says of that kind is remembered from now on;
- `"recorded": [segment, port]`: until now; the answer's `said` is a list of `[seconds, frame]`;
- `"say": [segment, port, said]`: the port seems to say that, each frame after so many seconds.
A frame is in hexadecimal, and its seconds count from when the record was begun, or this was asked.
The answer has what was counted since the start, per `segment/from/to`: `carried` are frames that
got there, `lost` those of which nothing did, `hurt` those that came late, changed or not alone.
"""

import contextlib
import heapq
import itertools
import json
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.vm.mishaps import Course, Way, Which, unpacked

FRAME = 65536  # bytes; more than any frame: a datagram that is cut off would be lost silently
BUFFER = 4 << 20  # bytes; bursts of a resync must fit, as they do in a switch
BURST = 256  # frames of one port before others, and what is due, have their turn


@dataclass(slots=True)
class Recording:
    which: Which
    begin: float  # monotonic
    said: list[tuple[float, str]]  # seconds since then, and the frame


@dataclass(slots=True)
class Port:
    out: socket.socket  # where its machine sends
    targets: list[tuple[Way, str]]  # where everybody else on the segment listens
    recording: Recording | None = None


class Relay:
    def __init__(self, folder: Path, segments: dict[str, list[str]]) -> None:
        self._folder = folder
        self._selector = selectors.DefaultSelector()
        self._ports: dict[tuple[str, str], Port] = {}
        self._courses: dict[Way, Course] = {}  # of a way that is not here nothing happens
        # a heap: when, a number that keeps the order, what is to be done
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._carried: Counter[Way] = Counter()
        self._lost: Counter[Way] = Counter()
        self._hurt: Counter[Way] = Counter()
        for segment, ports in segments.items():
            for port in ports:
                self._add_port(segment, port, [p for p in ports if p != port])
        self._control = socket.socket(socket.AF_UNIX)
        self._control.bind(str(folder / "relay.new"))
        self._control.listen()
        (folder / "relay.new").rename(folder / "relay")  # whoever sees it is answered
        self._selector.register(self._control, selectors.EVENT_READ, None)

    def _add_port(self, segment: str, port: str, others: list[str]) -> None:
        out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        out.setblocking(False)
        out.bind(str(self._folder / f"{segment}-{port}.out"))
        targets = [((segment, port, o), str(self._folder / f"{segment}-{o}.in")) for o in others]
        made = self._ports[segment, port] = Port(out, targets)
        self._selector.register(out, selectors.EVENT_READ, made)

    def run(self) -> None:
        while True:
            rest = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            ready = [key.data for key, _ in self._selector.select(rest)]
            for port in filter(None, ready):
                self._listen(port)
            if None in ready:  # after the frames: what was said before it was told is not meant
                self._obey()
            while self._due and self._due[0][0] <= time.monotonic():
                heapq.heappop(self._due)[2]()

    def _listen(self, port: Port) -> None:
        for _ in range(BURST):
            try:
                frame = port.out.recv(FRAME)
            except BlockingIOError:
                return
            self._carry(port, frame)

    def _carry(self, port: Port, frame: bytes) -> None:
        """FRAME was said at PORT."""
        recording = port.recording
        if recording is not None and recording.which.has(frame):
            recording.said.append((time.monotonic() - recording.begin, frame.hex()))
        for way, target in port.targets:
            if way in self._courses:
                self._take_course(port, way, target, frame)
            else:
                self._deliver(port, way, target, frame)

    def _take_course(self, port: Port, way: Way, target: str, frame: bytes) -> None:
        """What comes of FRAME is due when it is due, be it at once: in its order."""
        now = time.monotonic()
        arrivals = self._courses[way].outcome(frame, now)
        if not arrivals:
            self._lost[way] += 1
        elif arrivals != [(now, frame)]:
            self._hurt[way] += 1
        for at, changed in arrivals:
            self._at(at, partial(self._arrive, port, way, target, changed))

    def _arrive(self, port: Port, way: Way, target: str, frame: bytes) -> None:
        """Unless the cable was cut meanwhile, and still is."""
        course = self._courses.get(way)
        if course is not None and course.is_cut:
            self._lost[way] += 1
        else:
            self._deliver(port, way, target, frame)

    def _deliver(self, port: Port, way: Way, target: str, frame: bytes) -> None:
        try:
            port.out.sendto(frame, target)
            self._carried[way] += 1
        except OSError:  # nobody there, or it does not listen: Ethernet loses the frame
            self._lost[way] += 1

    def _at(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), act))

    def _obey(self) -> None:
        connection, _ = self._control.accept()
        with connection, contextlib.suppress(ConnectionError):
            request = json.loads(connection.makefile().readline())
            answer = self._answer(request)
            connection.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        said: list[tuple[float, str]] = []
        if "mishaps" in request:
            self._set_courses(request["mishaps"])
        if "record" in request:
            segment, name, which = request["record"]
            self._ports[segment, name].recording = Recording(Which(**which), time.monotonic(), [])
        if "recorded" in request:
            port = self._ports[tuple(request["recorded"])]
            said, port.recording = (port.recording.said if port.recording else []), None
        if "say" in request:
            segment, name, what = request["say"]
            now = time.monotonic()
            for seconds, frame in what:
                say = partial(self._carry, self._ports[segment, name], bytes.fromhex(frame))
                self._at(now + seconds, say)
        counters = {"carried": self._carried, "lost": self._lost, "hurt": self._hurt}
        return {"said": said} | {
            name: {"/".join(way): n for way, n in counter.items()}
            for name, counter in counters.items()
        }

    def _set_courses(self, told: list[tuple[str, str, str, dict[str, Any]]]) -> None:
        ways: dict[Way, list[dict[str, Any]]] = {}
        for segment, speaker, hearer, mishap in told:
            ways.setdefault((segment, speaker, hearer), []).append(mishap)
        self._courses = {
            way: Course(way, map(unpacked, mishaps), self._courses.get(way))
            for way, mishaps in ways.items()
        }


def main() -> None:
    folder, *segments = sys.argv[1:]
    Relay(Path(folder), {s: p.split(",") for s, _, p in (a.partition("=") for a in segments)}).run()


if __name__ == "__main__":
    main()
