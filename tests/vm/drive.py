# SPDX-License-Identifier: MIT
"""A disk that is on: the nbdkit that serves it, and how to talk to it. What it does to requests is
decided in there, by served_disk.py.
"""

import json
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.vm import tools
from tests.vm.disk import Disk
from tests.vm.disk_faults import Fault, packed
from tests.vm.wait import wait_until

PLUGIN = Path(__file__).parent / "nbdkit_plugin.py"


class Drive:
    """DISK of the machine whose files are in FOLDER, with FAULTS from its first request on."""

    def __init__(self, disk: Disk, folder: Path, faults: Iterable[Fault] = ()) -> None:
        self._name = f"{folder.name}'s disk {disk.name}"
        self._control = disk.control(folder)
        for leftover in (disk.socket(folder), self._control):
            leftover.unlink(missing_ok=True)
        argv = tools.command("nbdkit", "--foreground", "--newstyle", "--unix", disk.socket(folder))
        argv += ["python", str(PLUGIN), f"file={disk.file(folder)}", f"control={self._control}"]
        with (folder / f"{disk.name}.log").open("a") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self._name, self._is_served, 120, 0.02)
        for fault in faults:
            self.hurt(fault)

    def _is_served(self) -> bool:
        assert self._process.poll() is None, f"{self._name}: nbdkit ended at once, see its log"
        return self._control.exists()

    def flush(self) -> None:
        """All that was written is durable. A disk may do that at any moment."""
        self._tell("flush")

    def power_cut(self, seed: int | None = None) -> None:
        """Forgets what was not flushed; with a SEED, half of it. It goes on serving."""
        self._tell("cut" if seed is None else f"cut {seed}")

    def hurt(self, fault: Fault) -> None:
        """FAULT is for what is asked from now on."""
        self._tell(f"hurt {packed(fault)}")

    def heal(self) -> None:
        """No fault is left, and what hung goes on."""
        self._tell("heal")

    def rot(self, offset: int, count: int, seed: int) -> None:
        """COUNT bytes that are stored at OFFSET are wrong from now on, each by one bit."""
        self._tell(f"rot {offset} {count} {seed}")

    @property
    def unflushed(self) -> int:
        """Blocks that a power cut would put at risk."""
        return self._tell("look")["unflushed"]

    @property
    def met(self) -> int:
        """Requests that have met a fault."""
        return self._tell("look")["met"]

    @property
    def broken(self) -> int:
        """Requests that this host could not serve: a fault of the test bench."""
        return self._tell("look")["broken"]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _tell(self, line: str) -> dict[str, int]:
        """Says LINE, and what is answered: see `ServedDisk.obey`."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._control))
            connection.sendall(line.encode() + b"\n")
            answer: dict[str, int] = json.loads(connection.makefile().readline())
        assert "error" not in answer, f"{self._name}: {answer['error']}"
        return answer
