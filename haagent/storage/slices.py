# SPDX-License-Identifier: MIT
"""Makes the disks of a guest that has several, as devices: slices of its one mirrored device, by
device-mapper's linear target. How they lie: guests/disks.py. It must not decide anything.

They are there where the guest runs, and only while DRBD is Primary: each keeps the device open, so
none outlasts a demotion, which takes them away first (drbd.py). What the agent left when it died is
as good as new if it has exactly the table that is wanted, and is made anew else.

No udevd is waited for, as none may be there when it counts (dmsetup(8), --noudevsync,
--noudevrules), and so none is in /dev/mapper: what is used are the kernel's own /dev/dm-N, by links
of ours. Nobody in dom0 looks for a file system in one, nor LVM for a group (image/:
56-shoestring-slices.rules, lvm.conf).
"""

import re
from collections.abc import Sequence
from pathlib import Path

from haagent.errors import ToolError
from haagent.guests.disks import LINKS, Slice, cut, device, path
from haagent.run import Run, run
from haagent.storage.holders import MAJOR, mapped
from haagent.storage.sysfs import SECTOR, disk_size

NAMES = ("dmsetup", "ls")  # a line for each: the name, a tab, and (MAJOR:MINOR)
BUSY = "Device or resource busy"  # strerror(3) of what the kernel answers while one is open
WITHOUT_UDEV = ("--noudevsync", "--noudevrules")
NAME = re.compile("drbd([0-9]{1,7})-xvd[a-z]", re.ASCII)


def table(minor: int, part: Slice) -> str:
    """dm-linear's, in sectors (Documentation/admin-guide/device-mapper/linear.rst)."""
    return f"0 {part.size // SECTOR} linear {MAJOR}:{minor} {part.start // SECTOR}"


def parse_names(text: str) -> list[str]:
    """Of all devices that device-mapper has; it says in words if there are none."""
    return [line.partition("\t")[0] for line in text.splitlines() if "\t" in line]


def show(called: str) -> tuple[str, ...]:
    """Its table; nothing where it has none yet."""
    return ("dmsetup", "table", called)


def create(called: str, wanted: str) -> tuple[str, ...]:
    return ("dmsetup", "create", *WITHOUT_UDEV, called, "--table", wanted)


def remove(called: str, *how: str) -> tuple[str, ...]:
    """Refused as busy while somebody has it open."""
    return ("dmsetup", "remove", *WITHOUT_UDEV, *how, called)


class Slices:
    """On this machine. LIMIT is how long, in seconds, one program may take. Both verbs can be
    repeated, and raise ToolError if what they are for cannot be seen afterwards.
    """

    def __init__(self, *, limit: float = 30.0, run: Run = run, root: Path = Path("/")) -> None:
        self._limit = limit
        self._run = run
        self._root = root

    def make(self, minor: int, names: Sequence[str], sizes: Sequence[int]) -> tuple[Path, ...]:
        """The devices of a guest's disks on /dev/drbdMINOR, which is Primary: called NAMES, with
        SIZES in MiB of all but the last. Raises OperatorError as well, if they cannot be.
        """
        whole = disk_size(f"drbd{minor}", self._root / "sys/class/block")
        if whole is None:
            raise ToolError(NAMES, 0, f"not tried: /dev/drbd{minor} has no data behind it")
        parts = cut(names, sizes, whole)
        wanted = {device(minor, part.disk): table(minor, part) for part in parts}
        found = self._tables_of(minor)
        for one, lines in found.items():
            # safety: whoever left it, what lies elsewhere or ends elsewhere is another disk.
            if wanted.get(one) != lines:
                # Whoever gave it to an earlier domain may not have let go of it yet.
                self._do(remove(one, "--retry"))
        for one, lines in wanted.items():
            if found.get(one) != lines:
                self._do(create(one, lines))
        if (now := self._tables_of(minor)) != wanted:
            raise ToolError(NAMES, 0, f"device-mapper has {now} instead of {wanted}")
        here = mapped(minor, self._root / "sys/block")
        if missing := wanted.keys() - here:
            raise ToolError(NAMES, 0, f"/dev/drbd{minor} is not below {', '.join(missing)}")
        for one in wanted:
            self._link(one, here[one])
        return tuple(path(minor, disk) for disk in names)

    def remove(self, minor: int) -> None:
        """Nothing of a guest's lies on /dev/drbdMINOR."""
        for one in self._lying_on(minor):
            self._do(remove(one))
            self._at(one).unlink(missing_ok=True)
        if left := self._lying_on(minor):
            raise ToolError(remove(left[0]), 0, f"{left[0]} is still there")

    def _lying_on(self, minor: int) -> list[str]:
        """By the kernel's word, which no program has to be asked for: most guests have none."""
        return [one for one in mapped(minor, self._root / "sys/block") if _is_of(minor, one)]

    def _link(self, called: str, kernel: str) -> None:
        """safety: numbers are used again. A link to what is gone would be one to another disk."""
        link = self._at(called)
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(Path("/dev") / kernel)

    def _at(self, called: str) -> Path:
        return self._root / LINKS.relative_to("/") / called

    def _tables_of(self, minor: int) -> dict[str, str]:
        """Of those that are called as if they lay on /dev/drbdMINOR. No others are asked for: they
        come and go.
        """
        names = [one for one in parse_names(self._do(NAMES)) if _is_of(minor, one)]
        return {one: self._do(show(one)).strip() for one in names}

    def _do(self, argv: Sequence[str]) -> str:
        return self._run(argv, timeout=self._limit)


def _is_of(minor: int, called: str) -> bool:
    found = NAME.fullmatch(called)
    return found is not None and found[1] == str(minor)
