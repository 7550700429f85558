# SPDX-License-Identifier: MIT
"""An ear on a cable: hears every frame on it, from the relay's port `ear`, until it is closed."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self


class Ear:
    """Hands every frame on SEGMENT of the relay in FOLDER to HEARD, in a thread of its own."""

    def __init__(self, folder: Path, segment: str, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        self._path = folder / f"{segment}-ear.in"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        threading.Thread(target=self._listen, daemon=True, name=f"ear on {segment}").start()

    def _listen(self) -> None:
        while True:
            try:
                frame = self._socket.recv(65536)
            except OSError:
                return
            if not frame:
                return  # shut down; a frame is never empty
            self._heard(frame)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RD)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
