# SPDX-License-Identifier: MIT
"""Measures how fast an image becomes a guest's disk, and how fast that is backed up, each against
what the data disk of the same machine does in the same minute.

The guest is never started: its disk is noise, which nothing packs or leaves out.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.vm.bench.disks import MIB, NotTold
from tests.vm.bench.figures import Figure, ratios
from tests.vm.incidents.arrivals import PLACE, bring
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pages import typing
from tests.vm.pair import Pair, healthy_pair
from tests.vm.story import BOOT

NAME = "images"
SIZE = 192 << 20  # bytes of the guest's disk
ADDRESS = "10.0.2.51"
IMAGE = f"{PLACE}/bench.raw"
MAKE_IMAGE = f"mkdir -p {PLACE} && head -c {SIZE} /dev/urandom >{IMAGE} && sync"
MAKE_VOLUME = (
    f"lvcreate --quiet --yes --wipesignatures y --size {SIZE // MIB}M --name bench-raw shoestring"
)
IMPORT = bring(IMAGE, ADDRESS, "--off")
BACK_UP = f"shoestring guest backup bench --full --to {PLACE}"
FORGET = f"rm -f {PLACE}/*.shoestring"
REMOVE = typing("shoestring guest remove bench", "bench")
LONG = 1800  # seconds; generous

# Past the page cache, a MiB at a time, and flushed at the end.
RAW = f"""python3 - <<'END'
import mmap, os, time
volume = os.open("/dev/shoestring/bench-raw", os.O_RDWR | os.O_DIRECT)
data = mmap.mmap(-1, {MIB})
data.write(os.urandom({MIB}))
def rate(act):
    began = time.monotonic()
    for at in range(0, {SIZE}, {MIB}):
        assert act(volume, [data], at) == {MIB}
    os.fsync(volume)
    return {SIZE // MIB} / (time.monotonic() - began)
print("raw", rate(os.pwritev), rate(os.preadv))
END
"""


@dataclass(frozen=True, slots=True)
class Raw:
    """MiB per second of a volume that is not mirrored."""

    written: float
    read: float


@dataclass(frozen=True, slots=True)
class Round:
    here: Raw  # of the machine that imports
    imported: float  # MiB of the disk for each second of the whole command, as below
    there: Raw  # of the machine that backs up
    backed_up: float


def raw_rates(text: str) -> Raw:
    """What RAW printed. Raises NotTold."""
    found = re.search(r"^raw (\S+) (\S+)$", text, re.MULTILINE)
    if not found:
        raise NotTold(f"no rates: {text[-200:]!r}")
    return Raw(float(found[1]), float(found[2]))


def measure(accel: str, samples: int) -> Iterator[Figure]:
    lab = Lab(accel)
    try:
        pair = healthy_pair(lab)
        for machine in pair.both:
            machine.run(MAKE_VOLUME, LONG)
        pair.a.run(MAKE_IMAGE, LONG)
        pair.b.run(f"mkdir -p {PLACE}")
        rounds = [_round(pair) for _ in range(samples)]
    finally:
        lab.close()
    yield from figures(rounds)


def _round(pair: Pair) -> Round:
    """The guest is imported where the first one runs, and backed up on the other machine."""
    here = raw_rates(pair.a.run(RAW, LONG))
    imported = _rate(pair.a, IMPORT)
    pair.await_protected(BOOT)
    there = raw_rates(pair.b.run(RAW, LONG))
    backed_up = _rate(pair.b, BACK_UP)
    pair.b.run(FORGET)
    pair.a.run(REMOVE, LONG)
    pair.await_protected(BOOT)
    return Round(here, imported, there, backed_up)


def _rate(machine: Machine, command: str) -> float:
    began = time.monotonic()
    machine.run(command, LONG)
    return SIZE / MIB / (time.monotonic() - began)


def figures(rounds: list[Round]) -> Iterator[Figure]:
    size = f"{SIZE // MIB} MiB of noise, by the whole command"
    yield from _against(
        "import",
        [one.imported for one in rounds],
        f"{size}: written on both machines, and compared with the image",
        "the raw disk, written",
        [one.here.written for one in rounds],
    )
    yield from _against(
        "backup",
        [one.backed_up for one in rounds],
        f"{size}: all of the standby's copy, into a file on its stick",
        "the raw disk, read",
        [one.there.read for one in rounds],
    )


def _against(
    act: str, rates: Sequence[float], note: str, raw: str, raws: Sequence[float]
) -> Iterator[Figure]:
    yield Figure(NAME, act, "MiB/s", tuple(rates), note=note)
    yield Figure(NAME, raw, "MiB/s", tuple(raws))
    yield Figure(NAME, f"{act} against the raw disk", "ratio", ratios(rates, raws))
