# SPDX-License-Identifier: MIT
"""The counter: hands out 1, 2, 3, ... and answers only for a number that is safely on the disk.

Owns two files of its directory: `numbers`, a line for each number, and `epoch`, the count of its
starts. It repairs nothing except the one line that a power cut may have left unfinished, which
nobody was ever told of.

    POST /next  the next number, once it is on the disk; 503 if the disk did not take it, and then
                the process ends
    GET /all    every number so far, one a line, read back from the disk and checked just now
    UDP         ten times a second, to everybody: {"guest": name, "epoch": start, "seq": n,
                "last": number}
"""

import argparse
import contextlib
import itertools
import json
import os
import socket
import sys
import threading
import zlib
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

BEACON_INTERVAL = 0.1  # seconds
CLIENT_TIMEOUT = 10  # seconds; a client that vanished must not hold a thread for ever

EXIT_START_AGAIN = 1  # the disk failed us: a fresh start reads what it really holds
EXIT_DAMAGED = 3  # starting again would find the same

Sync = Callable[[int], None]


class Damaged(Exception):
    """A file holds something that no power cut can leave behind."""


class NotWritten(Exception):
    """The disk did not take a number; what it holds now is unknown until it is read again."""


class Recovered(NamedTuple):
    """What a file of numbers holds: the last whole number, and the offset where its line ends."""

    last: int
    end: int


def line(number: int) -> bytes:
    """How NUMBER is written: the number and its checksum, so that a line can be judged alone."""
    text = b"%d" % number
    return b"%s %08x\n" % (text, zlib.crc32(text))


def is_torn(tail: bytes, expected: bytes) -> bool:
    """Whether TAIL is what a power cut leaves of EXPECTED: shorter, or zeros instead of text.

    A journal keeps the file's length apart from its data, so the length alone proves nothing.
    """
    return len(tail) <= len(expected) and all(
        byte in (0, whole) for byte, whole in zip(tail, expected, strict=False)
    )


def recover(data: bytes) -> Recovered:
    """What DATA holds; its last line may be torn. Raises Damaged for anything else."""
    last = end = 0
    while end < len(data):
        expected = line(last + 1)
        found = data[end : end + len(expected)]
        if found != expected:
            if is_torn(data[end:], expected):
                break
            raise Damaged(f"line {last + 1} should be {expected!r} and is {found!r}")
        last += 1
        end += len(expected)
    return Recovered(last, end)


def sync_directory(directory: Path, sync: Sync) -> None:
    """Makes the names in DIRECTORY last; a file's own fsync does not promise its name."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def next_epoch(directory: Path, sync: Sync = os.fsync) -> str:
    """Counts this start on the disk and names it; as text, a later start sorts higher.

    The random part tells apart two copies of the guest that both started from the same disk
    contents.
    """
    path, new = directory / "epoch", directory / "epoch.new"
    try:
        starts = int(path.read_text()) if path.exists() else 0
    except ValueError as error:
        raise Damaged(f"{path} should hold a number: {error}") from error
    with new.open("w") as file:
        file.write(f"{starts + 1}\n")
        file.flush()
        sync(file.fileno())
    new.replace(path)
    sync_directory(directory, sync)
    return f"{starts + 1:08d}-{os.urandom(4).hex()}"


class Counter:
    """The numbers on the disk. One write is outstanding at a time, which recover() relies on."""

    def __init__(self, directory: Path, sync: Sync = os.fsync) -> None:
        self._sync = sync
        self._lock = threading.Lock()
        self._is_broken = False
        self._file = os.open(directory / "numbers", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        sync_directory(directory, sync)
        self.last, end = recover(self._read())
        os.ftruncate(self._file, end)
        # The process before us may have written a line and died before its fsync: it counts now, so
        # make it last.
        sync(self._file)

    def next(self) -> int:
        """The next number, on the disk. Raises NotWritten, and from then on always."""
        with self._lock:
            if self._is_broken:
                raise NotWritten("an earlier number could not be written")
            number = self.last + 1
            try:
                if os.write(self._file, line(number)) != len(line(number)):
                    raise OSError("only a part was written")
                self._sync(self._file)
            except OSError as error:
                self._is_broken = True
                raise NotWritten(f"number {number}: {error}") from error
            self.last = number
            return number

    def all(self) -> range:
        """Every number, read back. Raises Damaged if the disk does not hold what we wrote."""
        with self._lock:
            if self._is_broken:
                raise NotWritten("an earlier number could not be written")
            data = self._read()
            if recover(data) != (self.last, len(data)):
                raise Damaged(
                    f"{self.last} numbers were written, the file holds {recover(data).last}"
                )
            return range(1, self.last + 1)

    def close(self) -> None:
        os.close(self._file)

    def _read(self) -> bytes:
        # safety: after a failed fsync Linux keeps the page in memory and calls it clean (fsync(2)).
        # Let it go, so that what we read is what the disk holds.
        os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(self._file, os.fstat(self._file).st_size, 0)


class Server(ThreadingHTTPServer):
    """Serves one counter, until the counter fails."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], counter: Counter) -> None:
        super().__init__(address, Handler)
        self.counter = counter
        self.failure: Damaged | NotWritten | OSError | None = None


class Handler(BaseHTTPRequestHandler):
    """One request. A failure is answered first and ends the server then."""

    server: Server
    timeout = CLIENT_TIMEOUT

    def do_POST(self) -> None:
        if self.path == "/next":
            self._answer_with(lambda: f"{self.server.counter.next()}\n")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "only /next can be posted to\n")

    def do_GET(self) -> None:
        if self.path == "/all":
            self._answer_with(
                lambda: "".join(f"{number}\n" for number in self.server.counter.all())
            )
        else:
            self._answer(HTTPStatus.NOT_FOUND, "only /all can be read\n")

    def _answer_with(self, make_text: Callable[[], str]) -> None:
        try:
            text = make_text()
        except (Damaged, NotWritten, OSError) as error:
            try:
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n")
            finally:
                self.server.failure = error
                self.server.shutdown()
        else:
            self._answer(HTTPStatus.OK, text)

    def _answer(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Says nothing: a console line for each number would be slower than the number."""


def send_beacons(
    to: tuple[str, int], name: str, epoch: str, counter: Counter, stop: threading.Event
) -> None:
    """Tells the LAN who runs and how far it is. Takes no lock: the disk may be standing still."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for seq in itertools.count():
            message = {"guest": name, "epoch": epoch, "seq": seq, "last": counter.last}
            # The network may be away; the next beacon tells the same.
            with contextlib.suppress(OSError):
                sender.sendto(json.dumps(message).encode(), to)
            if stop.wait(BEACON_INTERVAL):
                return


def main() -> int:
    parser = argparse.ArgumentParser(prog="counter")
    parser.add_argument("--directory", type=Path, default=Path("/data"))
    parser.add_argument("--name", default="counter")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--beacon-port", type=int, default=7777)
    settings = parser.parse_args()
    try:
        counter = Counter(settings.directory)
        epoch = next_epoch(settings.directory)
        server = Server(("", settings.port), counter)
    except Damaged as error:
        print(f"counter: {error}; refusing to serve", file=sys.stderr)
        return EXIT_DAMAGED
    except OSError as error:
        print(f"counter: cannot start: {error}", file=sys.stderr)
        return EXIT_START_AGAIN
    beacon = (("255.255.255.255", settings.beacon_port), settings.name, epoch, counter)
    threading.Thread(target=send_beacons, args=(*beacon, threading.Event()), daemon=True).start()
    print(f"counter: {settings.name} start {epoch}, last number {counter.last}", file=sys.stderr)
    server.serve_forever()
    print(f"counter: {server.failure}; stopping", file=sys.stderr)
    return EXIT_DAMAGED if isinstance(server.failure, Damaged) else EXIT_START_AGAIN


if __name__ == "__main__":
    sys.exit(main())
