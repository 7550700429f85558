# SPDX-License-Identifier: MIT
"""A guest's disk becomes larger, on one machine, while the guest runs on: its volume, DRBD's own
data at the volume's end, and the device above. It must not decide anything, and never makes one
smaller.

What DRBD 8.4 does (drivers/block/drbd of Linux 6.12, drbd_nl.c and drbd_receiver.c), and what is
done here because of it:

- Each time that the two tell each other their sizes, at every connection, the device becomes as
  large as the smaller of the two volumes allows, and what is new is marked as different and not
  copied (receive_sizes). So the size is *held* before a volume grows: one that was set (`--size`)
  counts on both machines, and outlasts a connection as long as one of the two is not restarted.
- `drbdadm resize` would copy what is new from the machine that runs the guest: until the end of
  that the other copy is Inconsistent, and nobody could take the guest over. In the moment in which
  that begins the holder does not freeze without the other one any more, and that one does not know
  it yet: cut off just then, both could write. So nothing is copied (`--assume-clean`): each machine
  blanks its part before DRBD has it. Both copies are the same and UpToDate all the time, to the
  rules nothing happens at all, and no guest reads what another one left on the disk.
- Its own data move to the new end when the size is held once more. A power cut after the volume has
  grown and before that: drbdmeta, which drbdadm calls before it attaches a disk, finds nothing at
  the new end, looks where the end was, and moves them (apply-al, v08_check_for_resize). Where that
  was is in NOTE, on the stick, which neither a resize of the other machine nor an older one brings
  up to date. It is written and read back before.
- The move must not overwrite what is moved, for a power cut then leaves neither whole
  (v08_move_internal_md_after_resize). So a step is never smaller than these data.
- It resizes nothing that is not Primary on one of the two, nor while something is copied or
  compared (drbd_adm_resize). That is told before, by roster/obstacles.py.
- Without a connection a device grows only if DRBD is told that the other machine has the room
  (drbd_new_dev_size). On a machine that was set up alone it is: there is no other one, and a second
  one makes its volume as large as that is by then, and gets a whole copy.

If both machines lose their power while they blank, DRBD takes what is new when they meet, as it is.
No guest has written there, and a copy that is brought up to date after such a night has it with the
rest; else the next comparison may find what differs there.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from haagent.errors import OperatorError, ToolError
from haagent.guests.name import checked
from haagent.run import Run, run
from haagent.storage.lvm import GROUP, LIMIT, list_volumes, parse_volumes
from haagent.storage.snapshot import undisturbed
from haagent.storage.sysfs import SECTOR, disk_size

BLOCK_OF_A_BIT = 4096  # bytes; DRBD has its bitmap in memory as well
EXTENT = SECTOR * 8 * BLOCK_OF_A_BIT  # that a sector of it stands for; drbd_int.h, BM_SECT_TO_EXT
PAGE = 8  # sectors; the bitmap has whole ones
REST = 72  # sectors: the activity log and the superblock
# Bytes that are blanked at a time. safety: a read of the agent's waits behind them, and a disk that
# owes one for ten seconds is taken for one that hangs.
PIECE = 16 << 20
NOTE = "var/lib/drbd/drbd-minor-{minor}.lkbd"  # of drbd-utils: how large the volume was, for one

Progress = Callable[[str, float], None]  # what is being done, and how much of it: 0 to 1


def usable(volume: int) -> int:
    """Bytes of the device on a VOLUME of so many (drbd_md_set_sector_offsets, internal)."""
    bitmap = -(-volume // EXTENT)
    return (volume // SECTOR - -(-bitmap // PAGE) * PAGE - REST) * SECTOR


class Growth:
    """Of GUEST's disk, whose device has the number MINOR. Raises OperatorError and ToolError; all
    of it can be repeated from wherever it was cut short.
    """

    def __init__(self, guest: str, minor: int, run: Run = run, root: Path = Path("/")) -> None:
        self._guest, self._minor = checked(guest), minor
        self._run = run
        self._root = root
        self._volume = f"/dev/{GROUP}/{self._guest}"

    def disk(self) -> int | None:
        """Bytes of the device; None while DRBD has no data behind it."""
        return disk_size(f"drbd{self._minor}", self._root / "sys/class/block")

    def _length(self) -> int | None:
        """Bytes of the volume; None if there is none."""
        volumes = parse_volumes(self._run(list_volumes(GROUP), timeout=LIMIT))
        return next((one.size for one in volumes if one.name == self._guest), None)

    def prepare(self, target: int, show: Progress) -> None:
        """The volume has TARGET bytes, and what is new of it is blank and not DRBD's yet."""
        # safety: DRBD takes the disk when one who prepares it is done. No other one may still be
        # blanking it then, on behalf of a call that broke off. Nor has LVM a snapshot of it then.
        with undisturbed(self._guest, self._blanked.parent):
            disk, volume = self.disk(), self._length()
            if disk is None or volume is None:
                raise OperatorError(
                    f"The data disk of {self._guest} is not there. Its disk is as it was.",
                    "`shoestring status` says what is wrong with it.",
                )
            if disk >= usable(target):
                return  # DRBD has it already
            self._hold(disk)
            if volume < target:
                self._note(volume)
                argv = ("lvextend", "--size", f"{target}b", f"{GROUP}/{self._guest}")
                self._run(argv, timeout=LIMIT)
                if (found := self._length()) != target:
                    raise ToolError(argv, 0, f"lvs shows {found} bytes")
                self._flush()  # with LVM's own record: nothing of DRBD's may lie behind its end
                self._hold(disk)
            volume = max(volume, target)
            self._note(volume)
            self._blank(disk, usable(volume), show)

    def take(self, target: int, *, waits: bool, is_only: bool = False) -> None:
        """DRBD has all that both machines have prepared, and nothing is copied: TARGET bytes of
        volume, if this WAITS for it. Else the other machine is not there, and brings its own. Or
        this one IS the ONLY one that there ever was.
        """
        if (self.disk() or 0) >= usable(target):
            return  # also if the guest was stopped since, and DRBD would refuse to be asked
        how: tuple[str, ...] = ()
        if is_only:
            # safety: of a pair this would be said about a disk that nobody has looked at.
            how = ("--assume-peer-has-space",)
        elif waits:
            how = ("--assume-clean",)  # without a connection DRBD refuses it (ERR_NEED_APV_93)
        argv = self._resize(*how)
        end = time.monotonic() + LIMIT
        while (waits or is_only) and (self.disk() or 0) < usable(target):
            if time.monotonic() >= end:
                raise ToolError(argv, 0, f"the device has {self.disk()} bytes")
            time.sleep(0.2)  # the other machine says how large its own is; there is no event

    def _hold(self, disk: int) -> None:
        """Whatever happens to volumes and connections, the device has DISK bytes; and DRBD's own
        data are at the end of the volume as it is now.
        """
        argv = self._resize(f"--size={disk // SECTOR}s")
        if (found := self.disk()) != disk:
            raise ToolError(argv, 0, f"the device has {found} bytes instead of {disk}")

    def _resize(self, *how: str) -> tuple[str, ...]:
        argv = ("drbdsetup", "resize", str(self._minor), *how)
        self._run(argv, timeout=LIMIT)
        return argv

    def _note(self, volume: int) -> None:
        """safety: it is on the stick that DRBD's data are at the end of VOLUME bytes now."""
        argv = ("drbdsetup", "check-resize", str(self._minor))
        self._run(argv, timeout=LIMIT)
        path = self._root / NOTE.format(minor=self._minor)
        try:
            said = path.read_text().split()[:1]
        except OSError as error:
            raise OperatorError(
                f"{path} cannot be read: {error.strerror}. A power cut could not be survived now.",
                "The stick may be full or failing. Put it in order, and say it again.",
            ) from error
        if said != [str(volume)]:
            raise ToolError(argv, 0, f"{path} says {said} instead of {volume}")

    def _blank(self, start: int, end: int, show: Progress) -> None:
        # safety: DRBD holds the device at START, and its own data begin at END.
        done = f"{start} {end}"
        with contextlib.suppress(OSError):
            if self._blanked.read_text() == done:
                return  # in this boot, and nobody has had it since
        for at in range(start, end, PIECE):
            length = min(PIECE, end - at)
            where = ("--offset", str(at), "--length", str(length))
            self._run(("fallocate", "--zero-range", *where, self._volume), timeout=LIMIT)
            show("Blanking", (at + length - start) / (end - start))
        self._flush()
        self._blanked.write_text(done)

    def _flush(self) -> None:
        self._run(("sync", self._volume), timeout=LIMIT)

    @property
    def _blanked(self) -> Path:
        """Is there when all was blanked. No other guest ever has the number."""
        return self._root / f"run/shoestring/blanked-{self._minor}"
