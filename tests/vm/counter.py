# SPDX-License-Identifier: MIT
"""The recorder: talks to the built-in guest from outside the pair, and remembers every number it
acknowledged.
"""

import http.client
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

# Also by half of an answer, of a guest that ended meanwhile.
UNANSWERED = (OSError, urllib.error.URLError, http.client.HTTPException)


@dataclass(slots=True)
class Recorder:
    """Asks the counter for numbers through PORT on this host."""

    port: int
    acknowledged: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)  # when, on this host's monotonic clock

    def next(self, timeout: float = 10) -> int | None:
        """The next number, or None when no answer came: then nobody was promised anything."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/next", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                number = int(answer.read())
        except (*UNANSWERED, ValueError):
            return None
        self.acknowledged.append(number)
        self.moments.append(time.monotonic())
        return number

    def present(self, timeout: float = 30) -> list[int] | None:
        """Every number that the guest finds on its disk, or None when it does not answer."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/all", timeout=timeout
            ) as answer:
                return [int(line) for line in answer.read().split()]
        except UNANSWERED:
            return None

    def keep_asking(self, stop: threading.Event) -> threading.Thread:
        """Asks without a pause, in the background, until STOP is set."""

        def ask() -> None:
            while not stop.is_set():
                self.next()

        thread = threading.Thread(target=ask, daemon=True, name="recorder")
        thread.start()
        return thread
