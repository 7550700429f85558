# SPDX-License-Identifier: MIT
"""Runs other programs: one to its end (`run`), one that takes long and tells how far it is
(`follow`), one that goes on printing lines (`Stream`), or one that nobody waits for (`Program`).

It knows no program and decides nothing. What went wrong is a ToolError; what was given on the
standard input never appears in one.
"""

import contextlib
import math
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Protocol, Self

from haagent.errors import ToolError

KILLED_WITHIN = 1.0  # seconds; a killed program that is still there then waits in the kernel
CHUNK = 65536  # bytes per read of a stream
NOT_STARTED = 127  # what a shell says of a program that cannot be started


class Run(Protocol):
    """How the adapters run a program; the tests have fakes of it."""

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str: ...


def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
    """Runs ARGV to its end, for at most TIMEOUT seconds, and returns what it printed.

    Raises ToolError if it cannot be started, ends with another status than 0 (a signal counts
    as its negative number), or is not done in time; then it is killed, with every process of
    its group. A program that waits in the kernel cannot be killed, and what it asked the kernel
    for may still happen after this has raised.

    A process that it left behind and that keeps its output open is not waited for: all output
    goes to memory files, so only the program's own end counts.
    """
    with (
        _memory_file("stdin") as given,
        _memory_file("stdout") as out,
        _memory_file("stderr") as err,
    ):
        given.write((stdin or "").encode())
        given.seek(0)
        process = _start(argv, given, out, err)
        if not _ends_within(process, timeout):
            _kill_group(process)
            _ends_within(process, KILLED_WITHIN)
            process.poll()  # so that no zombie of ours stays, unless it is stuck in the kernel
            raise ToolError(argv, None, _text(err))
        if process.wait() != 0:
            raise ToolError(argv, process.returncode, _text(err))
        return _text(out)


class Follow(Protocol):
    """How the adapters run a program that takes long; the tests have fakes of it."""

    def __call__(
        self, argv: Sequence[str], heard: Callable[[str], None], *, silence: float
    ) -> None: ...


def follow(argv: Sequence[str], heard: Callable[[str], None], *, silence: float) -> None:
    """Runs ARGV to its end, however long that takes, and hands over each line that it prints; one
    that it draws anew, with a carriage return, is a line each time.

    Raises ToolError if it cannot be started, ends with another status than 0, or prints nothing
    for SILENCE seconds. Whatever ends this, an interrupt too, ends the program with its group.
    """
    with Stream(argv, is_redrawn=True) as stream:
        while True:
            try:
                lines = stream.read(quiet=0, timeout=silence)
            except ToolError as error:
                if error.exit == 0:
                    return
                raise
            if not lines:
                raise ToolError(argv, None, f"it said nothing for {silence:.0f} s")
            for line in lines:
                heard(line)


class Program:
    """A program that is begun and never waited for; what it prints does not matter. Raises
    ToolError if it cannot be started.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        null = subprocess.DEVNULL
        self._process = _start(argv, null, null, null)

    def status(self) -> int | None:
        """With which it has ended by now; None if it has not, as one that waits in the kernel."""
        return self._process.poll()


class Stream:
    """A program that prints lines for as long as it runs, such as `drbdsetup events2`.

    One thread reads; `stop` may be called from another. Used as a context manager it is stopped
    on the way out. Raises ToolError if the program cannot be started. If a line IS_REDRAWN, a
    carriage return ends it as well, and empty ones are left out.
    """

    def __init__(self, argv: Sequence[str], *, is_redrawn: bool = False) -> None:
        self._argv = tuple(argv)
        self._is_redrawn = is_redrawn
        self._partial = b""
        self._stopped = False
        # `stop` must not meet a process that was reaped, or a descriptor that was closed.
        self._lock = threading.Lock()
        self._closed = False
        with contextlib.ExitStack() as undo:
            self._err = undo.enter_context(_memory_file("stderr"))
            self._process = _start(argv, subprocess.DEVNULL, subprocess.PIPE, self._err)
            undo.pop_all()
        self._wake = os.eventfd(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        _ends_within(self._process, KILLED_WITHIN)
        with self._lock:
            self._process.poll()
            if not self._closed:
                assert self._process.stdout is not None
                self._process.stdout.close()
                self._err.close()
                os.close(self._wake)
            self._closed = True

    def read(self, quiet: float, timeout: float | None = None) -> list[str] | None:
        """The next lines: they are held back until nothing followed for QUIET seconds, because
        one change often takes several lines.

        An empty list after TIMEOUT seconds without a line; None once `stop` was called. Raises
        ToolError when the program ends by itself, whatever its status.
        """
        lines: list[str] = []
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._stopped:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            chunk = self._next_chunk(quiet if lines else left)
            if chunk is None:
                return lines
            if chunk == b"":
                if lines:
                    return lines  # the end is found again, and told, at the next read
                break
            if self._is_redrawn:
                chunk = chunk.replace(b"\r", b"\n")
            *whole, self._partial = (self._partial + chunk).split(b"\n")
            lines += [
                line.decode(errors="replace") for line in whole if line or not self._is_redrawn
            ]
        if self._stopped:
            return None
        _ends_within(self._process, KILLED_WITHIN)
        with self._lock:
            status = self._process.poll()
        raise ToolError(self._argv, status, _text(self._err))

    def _next_chunk(self, wait: float | None) -> bytes | None:
        """None if nothing came in time; empty at the end, or when stopped."""
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        ready = _ready([output, self._wake], wait)
        if self._wake in ready:
            return b""
        return os.read(output, CHUNK) if ready else None

    def stop(self) -> None:
        """Ends the program; the reader gets None at once, even from one stuck in the kernel."""
        self._stopped = True
        with self._lock:
            if self._closed:
                return
            os.eventfd_write(self._wake, 1)
            if self._process.poll() is None:
                _kill_group(self._process)


def _start(
    argv: Sequence[str], given: IO[bytes] | int, out: IO[bytes] | int, err: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            stdin=given,
            stdout=out,
            stderr=err,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,  # a group of its own, so that it can be killed as a whole
        )
    except OSError as error:
        raise ToolError(argv, NOT_STARTED, error.strerror or str(error)) from error


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Waits for the end as an event; Popen.wait with a timeout would look every 50 ms."""
    if process.poll() is not None:
        return True
    handle = os.pidfd_open(process.pid)
    try:
        return bool(_ready([handle], seconds))
    finally:
        os.close(handle)


def _ready(descriptors: Sequence[int], seconds: float | None) -> set[int]:
    """Those that can be read, or have ended; empty after SECONDS. None waits for ever."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    limit = None if seconds is None else math.ceil(seconds * 1000)
    return {descriptor for descriptor, _ in poll.poll(limit)}


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Only for a process that was not reaped: its number is still its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _memory_file(name: str) -> IO[bytes]:
    return os.fdopen(os.memfd_create(name), "w+b")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
