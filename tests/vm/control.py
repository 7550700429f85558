# SPDX-License-Identifier: MIT
"""The harness's side of the test flavour's root shell; ci/image holds the other side and the
protocol.
"""

import json
import queue
import socket
import threading
from dataclasses import dataclass
from itertools import count
from pathlib import Path


class CommandError(AssertionError):
    """A script in the machine failed; the text says which, how, and what it printed."""


@dataclass(frozen=True, slots=True)
class Result:
    rc: int | None  # None: it was killed after its time
    out: str


class Control:
    """Runs scripts as root in one machine. Connects when the machine is powered on, lives until it
    is cut.
    """

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._ids = count(1)
        self._answers: dict[int, queue.Queue[Result]] = {}
        self._boots: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True, name=f"control-{name}").start()

    def _listen(self) -> None:
        for line in self._socket.makefile("rb"):
            answer = json.loads(line)
            if "boot" in answer:
                self._boots.put(answer["boot"])
            elif waiting := self._answers.pop(answer["id"], None):
                waiting.put(Result(answer["rc"], answer["out"]))

    def wait_for_boot(self, deadline: float) -> str:
        """The boot id, once the shell is there. Raises TimeoutError."""
        try:
            return self._boots.get(timeout=deadline)
        except queue.Empty:
            raise TimeoutError(f"{self._name}: no root shell within {deadline:.0f} s") from None

    def hello(self, deadline: float) -> str:
        """The boot id of a machine that was already up, as after a checkpoint."""
        self._socket.sendall(b'{"hello": true}\n')
        return self.wait_for_boot(deadline)

    def try_run(self, script: str, timeout: float = 60) -> Result:
        """Runs a bash script. Raises TimeoutError when the machine itself does not answer."""
        return self._answer(timeout, run=script)

    def try_haagent(self, *argv: str, timeout: float = 60) -> Result:
        """Runs `haagent ARGV` in a Python that has loaded it already, which is much less work for
        an emulated processor than a script. Raises as `try_run`.
        """
        return self._answer(timeout, haagent=argv)

    def _answer(self, timeout: float, **what: object) -> Result:
        number = next(self._ids)
        waiting: queue.Queue[Result] = queue.Queue()
        self._answers[number] = waiting
        request = {"id": number, "timeout": timeout, **what}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        try:
            return waiting.get(timeout=timeout + 30)
        except queue.Empty:
            raise TimeoutError(f"{self._name}: no answer to {what}") from None

    def run(self, script: str, timeout: float = 60) -> str:
        """What a bash script printed. Raises CommandError unless it ends with 0."""
        result = self.try_run(script, timeout)
        if result.rc != 0:
            fate = (
                f"ended with {result.rc}"
                if result.rc is not None
                else f"was killed after {timeout:.0f} s"
            )
            raise CommandError(f"{self._name}: {script!r} {fate}:\n{result.out}")
        return result.out

    def close(self) -> None:
        self._socket.close()
