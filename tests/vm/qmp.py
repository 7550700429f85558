# SPDX-License-Identifier: MIT
"""What QEMU is told, and what it tells, beside the machine it runs: QMP, qemu-qmp-ref(7)."""

import contextlib
from collections import Counter
from pathlib import Path

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

SILENCE = 300  # seconds in which QEMU answers, however busy this host is


class Qmp:
    """With the QEMU of machine NAME that listens at PATH, once it does."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._protocol = QEMUMonitorProtocol(str(path))
        self._protocol.settimeout(SILENCE)
        self._events: Counter[str] = Counter()

    def connect(self) -> bool:
        """Whether it listens."""
        try:
            self._protocol.connect()
        except (OSError, QMPError):
            return False
        return True

    def tell(self, command: str, **arguments: object) -> dict[str, str]:
        """Raises what qemu.qmp raises, and TimeoutError when QEMU says nothing, as while it waits
        for a disk that hangs.
        """
        try:
            answer = self._protocol.cmd(command, **arguments)
        except TimeoutError as error:
            raise TimeoutError(f"{self._name}: QEMU did not answer {command}") from error
        return answer if isinstance(answer, dict) else {}

    def happened(self, event: str) -> int:
        """How often EVENT was told of."""
        self.tell("query-status")  # what was told before this answer has come by now
        self._events.update(told["event"] for told in self._protocol.get_events())
        return self._events[event]

    def close(self) -> None:
        with contextlib.suppress(Exception):  # QEMU died by our hand, its socket may say anything
            self._protocol.close()
