# SPDX-License-Identifier: MIT
"""A folder whose power fails on command, and what may go wrong with a copy of the state in it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


class PowerCut(Exception):
    """The machine is off."""


@dataclass
class ForgetfulDisk:
    """A folder that keeps names only once they were synced, and whose power fails on command.

    Changes of names reach the medium in order (ext4's journal); a power cut keeps any number of
    those that were not synced.
    """

    medium: dict[str, bytes] = field(default_factory=dict)
    waiting: list[Callable[[dict[str, bytes]], object]] = field(default_factory=list)
    steps_left: int = 1000

    def _step(self) -> None:
        if not self.steps_left:
            raise PowerCut
        self.steps_left -= 1

    def prepare(self) -> None:
        self._step()

    def read(self, name: str) -> bytes | None:
        files = dict(self.medium)
        for change in self.waiting:
            change(files)
        return files.get(name)

    def write(self, name: str, data: bytes) -> None:
        # Until the write returns, anything may be in the file.
        self.waiting.append(lambda files: files.update({name: data[: len(data) // 2]}))
        self._step()
        self.waiting.append(lambda files: files.update({name: data}))

    def rename(self, old: str, new: str) -> None:
        self._step()
        self.waiting.append(lambda files: files.update({new: files.pop(old)}))

    def sync(self) -> None:
        self._step()
        for change in self.waiting:
            change(self.medium)
        self.waiting.clear()

    def survivors(self) -> "Iterator[ForgetfulDisk]":
        """Every folder that may be found when the power is back."""
        for kept in range(len(self.waiting) + 1):
            files = dict(self.medium)
            for change in self.waiting[:kept]:
                change(files)
            yield ForgetfulDisk(files)


def damage(data: bytes) -> bytes:
    """One flipped bit, in the middle of what matters."""
    at = data.index(b'"term"') + 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def altered(data: bytes, old: str, new: str) -> bytes:
    """DATA with another content, and the checksum that belongs to it."""
    content = json.loads(data.replace(old.encode(), new.encode()))["content"]
    spelled = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    checksum = hashlib.sha256(spelled).hexdigest()
    return json.dumps({"content": content, "sha256": checksum}).encode()
