# SPDX-License-Identifier: MIT
"""A disk with a write cache that a power cut empties: what nbdkit serves, apart from how it is
served.

A real disk acknowledges writes that are still in its cache, and promises only what came before a
flush. Killing QEMU does not show that: the host's page cache keeps what the guest never flushed.
This disk does not.
"""

import os
import random
from pathlib import Path

BLOCK = 4096  # bytes; what is forgotten or kept as one


class VolatileCache:
    """Reads and writes go through the cache; `flush` makes the writes so far durable."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR)
        self.size = os.fstat(self._fd).st_size
        self._cache: dict[int, bytearray] = {}

    def close(self) -> None:
        """What was not flushed is gone."""
        os.close(self._fd)

    @property
    def unflushed(self) -> int:
        """How many blocks a power cut would put at risk now."""
        return len(self._cache)

    def read(self, count: int, offset: int) -> bytes:
        data = bytearray(os.pread(self._fd, count, offset))
        if self._cache:
            for block in range(offset // BLOCK, (offset + count - 1) // BLOCK + 1):
                if (cached := self._cache.get(block)) is not None:
                    start = max(offset, block * BLOCK)
                    end = min(offset + count, (block + 1) * BLOCK)
                    data[start - offset : end - offset] = cached[
                        start - block * BLOCK : end - block * BLOCK
                    ]
        return bytes(data)

    def write(self, data: bytes, offset: int) -> None:
        done = 0
        while done < len(data):
            block, within = divmod(offset + done, BLOCK)
            part = data[done : done + BLOCK - within]
            if len(part) == BLOCK:
                self._cache[block] = bytearray(part)
            else:
                cached = self._cache.get(block)
                if cached is None:
                    cached = self._cache[block] = bytearray(
                        os.pread(self._fd, BLOCK, block * BLOCK)
                    )
                cached[within : within + len(part)] = part
            done += len(part)

    def zero(self, count: int, offset: int) -> None:
        """Durable at once, which a disk may always choose: a cache of gigabytes of zeros would
        serve nobody.
        """
        self.flush()
        end = offset + count
        while (offset := self._next_data(offset)) < end:
            step = min(1 << 20, end - offset)
            os.pwrite(self._fd, bytes(step), offset)
            offset += step

    def _next_data(self, offset: int) -> int:
        """Where the file next holds something; a hole reads as zeros already."""
        try:
            return os.lseek(self._fd, offset, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but hole up to the end
            return self.size

    def flush(self) -> None:
        """The file is only as durable as this host: the power that fails here is the guest's, not
        ours.
        """
        for block, data in sorted(self._cache.items()):
            os.pwrite(self._fd, data, block * BLOCK)
        self._cache.clear()

    def rot(self, offset: int, count: int, seed: int) -> None:
        """Turns one bit, drawn from SEED, over in each of COUNT bytes that are stored at OFFSET.

        What was not durable yet becomes it before: else the next flush would write over the rot.
        Raises ValueError if the disk is not that long.
        """
        self.flush()
        stored = os.pread(self._fd, count, offset)
        if len(stored) != count:
            raise ValueError(f"the disk has no {count} bytes at {offset}, only {self.size} in all")
        chance = random.Random(seed)
        os.pwrite(self._fd, bytes(byte ^ 1 << chance.randrange(8) for byte in stored), offset)

    def power_cut(self, seed: int | None) -> None:
        """Forgets every unflushed block; with a SEED, a random half of them had just reached the
        platter.
        """
        if seed is not None:
            chance = random.Random(seed)
            self._cache = {b: d for b, d in sorted(self._cache.items()) if chance.random() < 0.5}
            self.flush()
        self._cache.clear()
