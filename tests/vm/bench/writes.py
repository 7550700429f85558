# SPDX-License-Identifier: MIT
"""Measures what mirroring costs a guest's writes: a guest of its own has a mirrored and a plain
volume side by side, and writes to them in turns.

It is the built-in guest's kernel and programs with another init, so that nothing of the measure is
in the image. What it finds it writes onto a third disk, and switches itself off.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tests.vm.bench.disks import SETTLE, NotTold, make_scratch
from tests.vm.bench.figures import Figure, ratios
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import healthy_pair
from tests.vm.wait import wait_until

NAME = "writes"
COUNT = 200  # writes in a round
BLOCK = 4096  # bytes
PLAIN, MIRRORED = "plain", "mirrored"

# The guest's init. Busybox and Python are those of the built-in guest (image/guest).
INIT = """#!/bin/busybox sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
modprobe xen-blkfront
until [ -e /dev/xvda ] && [ -e /dev/xvdb ] && [ -e /dev/xvdc ]; do usleep 100000; done
python3 -IS /measure.py {rounds} >/dev/xvdc && sync
busybox poweroff -f
"""
MEASURE = f"""import os, sys, time
volumes = [("{PLAIN}", os.open("/dev/xvda", os.O_WRONLY)),
           ("{MIRRORED}", os.open("/dev/xvdb", os.O_WRONLY))]
data = os.urandom({BLOCK})
for turn in range(int(sys.argv[1])):
    for name, volume in volumes:
        for number in range({COUNT}):
            began = time.monotonic()
            os.pwrite(volume, data, {BLOCK} * number)
            os.fsync(volume)
            print(name, turn, time.monotonic() - began)
print("end", flush=True)
"""
# The kernel takes archives one after the other (initramfs buffer format, Linux's documentation).
START = """set -e
cd /run
mkdir -p bench
cat >bench/init <<'END'
{init}END
cat >bench/measure.py <<'END'
{measure}END
python3 - >bench/initramfs <<'END'
import pathlib, sys
def entry(name, mode, data):
    fields = (1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + bytes(1)
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
found = [entry("bench", 0o100755, pathlib.Path("bench/init").read_bytes()),
         entry("measure.py", 0o100644, pathlib.Path("bench/measure.py").read_bytes()),
         entry("TRAILER!!!", 0, b"")]
theirs = pathlib.Path("/usr/share/shoestring/guest/initramfs").read_bytes()
sys.stdout.buffer.write(b"".join(found) + theirs)
END
lvcreate --quiet --yes --wipesignatures y --size 4M --name bench-told shoestring
cat >bench/cfg <<'END'
name = "bench"
type = "pv"
kernel = "/usr/share/shoestring/guest/vmlinux"
ramdisk = "/run/bench/initramfs"
extra = "console=hvc0 quiet panic=1 rdinit=/bench"
memory = 192
disk = [ "vdev=xvda,access=rw,format=raw,backendtype=phy,target=/dev/shoestring/bench-alone",
         "vdev=xvdb,access=rw,format=raw,backendtype=phy,target=/dev/drbd9",
         "vdev=xvdc,access=rw,format=raw,backendtype=phy,target=/dev/shoestring/bench-told" ]
on_poweroff = "destroy"
on_crash = "destroy"
END
xl create --quiet bench/cfg
"""
TOLD = "tr -d '\\0' </dev/shoestring/bench-told"


@dataclass(frozen=True, slots=True)
class Round:
    """Medians of COUNT writes each, in seconds, one volume after the other."""

    plain: float
    mirrored: float


def rounds_of(text: str, count: int) -> list[Round]:
    """What the guest left on its third disk. Raises NotTold unless all COUNT rounds are there."""
    if not text.endswith("end\n"):
        raise NotTold(f"it was cut off: {text[-200:]!r}")
    took = {
        (name, turn): [
            float(seconds) for seconds in re.findall(rf"^{name} {turn} (\S+)$", text, re.MULTILINE)
        ]
        for turn in range(count)
        for name in (PLAIN, MIRRORED)
    }
    for (name, turn), found in took.items():
        if len(found) != COUNT:
            raise NotTold(f"{len(found)} {name} writes of {COUNT} in round {turn}")
    return [Round(median(took[PLAIN, turn]), median(took[MIRRORED, turn])) for turn in range(count)]


def measure(accel: str, samples: int) -> Iterator[Figure]:
    lab = Lab(accel)
    try:
        pair = healthy_pair(lab)
        make_scratch(pair)
        told = rounds_of(_written_by_a_guest(pair.a, samples), samples)
    finally:
        lab.close()
    yield from figures(told)


def _written_by_a_guest(machine: Machine, rounds: int) -> str:
    machine.run(START.format(init=INIT.format(rounds=rounds), measure=MEASURE), SETTLE)
    wait_until(
        "the writing guest to end",
        lambda: machine.control.try_run("xl list bench").rc != 0,
        SETTLE,
        1,
    )
    return machine.run(TOLD, SETTLE)


def figures(told: Sequence[Round]) -> Iterator[Figure]:
    plain, mirrored = ([1000 * getattr(one, name) for one in told] for name in (PLAIN, MIRRORED))
    note = (
        f"the median of {COUNT} writes of {BLOCK} bytes with fsync, in a guest beside an idle one"
    )
    yield Figure(NAME, "on a plain LVM volume", "ms", tuple(plain), note=note)
    yield Figure(NAME, "on a mirrored volume", "ms", tuple(mirrored), note=note)
    yield Figure(NAME, "mirrored against plain", "ratio", ratios(mirrored, plain))
