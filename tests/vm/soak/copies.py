# SPDX-License-Identifier: MIT
"""The sums of one copy of the guest's disk, made inside its machine."""

# DRBD's own data are behind what it shows as the disk, at the end of the volume ("meta-disk
# internal", drbd.conf(5)), and are not the same on both machines. A Secondary cannot be opened, so
# how long the disk is comes from sysfs, in sectors of 512 bytes. The volume below it can be read
# meanwhile; past the page cache, for DRBD writes past it as well.
SIZE, VOLUME = "/sys/block/drbd0/size", "/dev/shoestring/counter"
DIRECT = "os.O_DIRECT"

SUMS = """\
python3 - <<'END'
import hashlib, mmap, os
left = 512 * int(open("{size}").read())
volume = os.open("{volume}", os.O_RDONLY | {flags})
room = mmap.mmap(-1, 1 << 20)
at = 0
while left:
    part = memoryview(room)[:min(left, len(room))]
    got = os.preadv(volume, [part], at)
    if got != len(part):
        raise SystemExit(f"only {{got}} bytes could be read at {{at}}")
    print(hashlib.sha256(part).hexdigest())
    at, left = at + got, left - got
END
"""


def script(size: str = SIZE, volume: str = VOLUME, flags: str = DIRECT) -> str:
    """For a shell: prints the sha256 of each MiB, the last one of what is left, a line each."""
    return SUMS.format(size=size, volume=volume, flags=flags)
