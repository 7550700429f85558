# SPDX-License-Identifier: MIT
"""A small device-mapper: what dmsetup(8) does with linear tables, and what sysfs says of them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from haagent.errors import ToolError

BUSY = "device-mapper: remove ioctl on {} failed: Device or resource busy\nCommand failed.\n"
NO_DEVICE = "device-mapper: reload ioctl on {} failed: No such device or address\nCommand failed.\n"


class Mapper:
    """Its devices lie on DRBD's that are in ROOT/sys. One that is BUSY is open, and is not removed;
    one that is CLOSING is so for a second.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tables: dict[str, str] = {}
        self.busy: set[str] = set()
        self.closing: set[str] = set()
        self.is_idle = False  # says yes, and does nothing
        self.done: list[str] = []
        self._numbers: dict[str, int] = {}

    def has_drbd(self, minor: int, size: int) -> None:
        """DRBD has SIZE bytes behind its device MINOR."""
        for path, text in (
            (self.root / f"sys/class/block/drbd{minor}/size", f"{size // 512}\n"),
            (self.root / f"sys/block/drbd{minor}/holders/.keep", ""),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.root / f"sys/block/drbd{minor}/holders/.keep").unlink()

    def plant(self, device: str, table: str) -> None:
        """As somebody else has left it."""
        self.tables[device] = table
        number = self._numbers.setdefault(device, len(self._numbers) + 5)
        block = self.root / "sys/block"
        (block / f"dm-{number}/dm").mkdir(parents=True, exist_ok=True)
        (block / f"dm-{number}/dm/name").write_text(f"{device}\n")
        (block / f"dm-{number}/dev").write_text(f"253:{number}\n")
        if table:
            below = table.split()[3].removeprefix("147:")
            (block / f"drbd{below}/holders/dm-{number}").mkdir(parents=True, exist_ok=True)

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        program, verb, *rest = argv
        assert program == "dmsetup"
        if verb == "ls":
            lines = (f"{name}\t(253:{n})\n" for n, name in enumerate(sorted(self.tables)))
            return "".join(lines) or "No devices found\n"
        if verb == "table":
            return f"{self.tables[rest[0]]}\n"
        # Nobody waits for udevd.
        assert rest[:2] == ["--noudevsync", "--noudevrules"]
        device = rest[2] if verb == "create" else rest[-1]
        self.done.append(f"{verb} {device}")
        if self.is_idle:
            return ""
        if verb == "create":
            assert rest[3] == "--table" and device not in self.tables
            below = rest[4].split()[3].removeprefix("147:")
            if not (self.root / f"sys/class/block/drbd{below}").exists():
                raise ToolError(argv, 1, NO_DEVICE.format(device))
            self.plant(device, rest[4])
            return ""
        assert verb == "remove" and device in self.tables
        is_closing = device in self.closing and "--retry" not in rest
        if device in self.busy or is_closing:
            raise ToolError(argv, 1, BUSY.format(device))
        del self.tables[device]
        number = self._numbers.pop(device)
        shutil.rmtree(self.root / f"sys/block/dm-{number}")
        for link in (self.root / "sys/block").glob(f"drbd*/holders/dm-{number}"):
            link.rmdir()
        return ""
