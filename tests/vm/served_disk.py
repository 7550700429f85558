# SPDX-License-Identifier: MIT
"""A disk that forgets and fails, as whoever serves it has it: by requests that come at any time,
and by the words that hurt it.

It is safe to use from many threads. A request that hangs or waits keeps nobody else from anything.
"""

import json
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.vm.disk_faults import Faults, Operation, unpacked
from tests.vm.volatile import VolatileCache


class ServedDisk:
    """The disk whose content is the file at PATH. A request that fails raises OSError."""

    def __init__(self, path: Path) -> None:
        self._cache = VolatileCache(path)
        self._faults = Faults()
        self._turn = threading.Condition()  # for all that is here; told of every healing
        self._broken = 0  # requests that this host could not serve
        self.size = self._cache.size

    def read(self, count: int, offset: int) -> bytes:
        with self._request(Operation.READ, offset, count):
            return self._cache.read(count, offset)

    def write(self, data: bytes, offset: int) -> None:
        with self._request(Operation.WRITE, offset, len(data)):
            self._cache.write(data, offset)

    def zero(self, count: int, offset: int) -> None:
        with self._request(Operation.WRITE, offset, count):
            self._cache.zero(count, offset)

    def trim(self, count: int, offset: int) -> None:
        """A disk may ignore it, but not while it hangs."""
        with self._request(Operation.WRITE, offset, count):
            pass

    def flush(self) -> None:
        with self._request(Operation.FLUSH, 0, 0):
            self._cache.flush()

    @contextmanager
    def _request(self, operation: Operation, offset: int, count: int) -> Iterator[None]:
        """It is its turn, and no fault is in its way, or not any more."""
        with self._turn:
            self._bear(operation, offset, count)
            try:
                yield
            except OSError:
                self._broken += 1
                raise

    def _bear(self, operation: Operation, offset: int, count: int) -> None:
        """Returns when the request may be served. Our turn is given up meanwhile."""
        meeting = self._faults.meet(operation, offset, count, time.monotonic())
        if meeting is None:
            return
        if meeting.error:
            raise OSError(meeting.error, os.strerror(meeting.error), "as it was told")
        healings = self._faults.healings
        while self._faults.healings == healings:
            rest = meeting.until - time.monotonic()
            if rest <= 0:
                return
            self._turn.wait(None if math.isinf(rest) else rest)

    def obey(self, line: str) -> str:
        """Does what one LINE says and answers with another, a JSON object. Nothing here waits for a
        request, and no request's fault touches it:
        - `flush`, all that was written becomes durable; `cut`, `cut SEED`, the power is cut;
        - `hurt FAULT`, as disk_faults.py packs it; `heal`, no fault is left, and what hung goes on;
        - `rot OFFSET COUNT SEED`, that many bytes are stored wrong;
        - `look`, nothing.
        The answer has `unflushed`, the blocks that a power cut would put at risk, `met`, the
        requests that met a fault so far, and `broken`, those that nobody was told to fail and this
        host could not serve; or `error`, what is wrong with LINE, or why it could not be done.
        """
        with self._turn:
            try:
                self._do(*line.split(maxsplit=1))
            except (ValueError, KeyError, TypeError, OSError) as error:
                return json.dumps({"error": f"{line!r}: {error!r}"})
            return json.dumps(
                {
                    "unflushed": self._cache.unflushed,
                    "met": self._faults.met,
                    "broken": self._broken,
                }
            )

    def _do(self, word: str, argument: str = "") -> None:
        match word:
            case "flush":
                self._cache.flush()
            case "cut":
                self._cache.power_cut(int(argument) if argument else None)
            case "hurt":
                self._faults.hurt(unpacked(argument))
            case "heal":
                self._faults.heal()
                self._turn.notify_all()
            case "rot":
                offset, count, seed = map(int, argument.split())
                self._cache.rot(offset, count, seed)
            case "look":
                pass
            case _:
                raise ValueError("there is no such word")
