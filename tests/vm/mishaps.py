# SPDX-License-Identifier: MIT
"""What can happen to a frame on its way from one port of a cable to another. Pure: no socket, no
clock; time is given, and chance is drawn from a seed.

A way is a segment and two of its ports: who speaks, and who hears. The mishaps of a way happen one
after the other, in the order in which they were told: each makes of a frame that comes to it what
goes on, which may be nothing, the same a little later, or more than one. Two ways never share a
chance or a queue, and a mishap draws the same whatever else happens.
"""

import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.vm import frames

Way = tuple[str, str, str]  # segment, who speaks, who hears
Arrival = tuple[float, bytes]  # when a frame gets there, in seconds of the monotonic clock


@dataclass(frozen=True, slots=True)
class Which:
    """Frames for which all that is named here is so; every frame, if nothing is."""

    tcp: int | None = None  # a port that it is from or to
    udp: int | None = None  # likewise
    ethertype: int | None = None  # such as frames.ARP
    longer_than: int | None = None  # bytes, with the Ethernet header: 1514 for an MTU of 1500

    def has(self, frame: bytes) -> bool:
        if self.longer_than is not None and len(frame) <= self.longer_than:
            return False
        if self.ethertype is not None and frames.ethertype(frame) != self.ethertype:
            return False
        return self._has_port(frame)

    def _has_port(self, frame: bytes) -> bool:
        if self.tcp is None and self.udp is None:
            return True
        packet = frames.packet(frame)
        wanted = {frames.TCP: self.tcp, frames.UDP: self.udp}
        return packet is not None and wanted[packet.protocol] in packet.ports


@dataclass(slots=True)
class Memory:
    """What one mishap remembers of one way."""

    chance: random.Random
    until: float = 0.0  # when the last frame so far arrives, or the line is free again


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """Happens to a SHARE, from 0 to 1, of the frames that are WHICH, drawn from SEED."""

    which: Which = field(default_factory=Which)
    share: float = 1.0
    seed: int = 0

    def outcome(self, arrival: Arrival, memory: Memory) -> list[Arrival]:
        """What goes on of a frame that would arrive then."""
        if not self.which.has(arrival[1]):
            return [arrival]
        if self.share < 1 and memory.chance.random() >= self.share:
            return [arrival]
        return self.befall(*arrival, memory)

    def befall(self, at: float, frame: bytes, memory: Memory) -> list[Arrival]:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Lose(Mishap):
    """The frame is gone."""

    def befall(self, at: float, frame: bytes, memory: Memory) -> list[Arrival]:
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(Mishap):
    """It takes SECONDS longer, and up to JITTER seconds more. Without KEEPS_ORDER, one that drew
    less overtakes.
    """

    seconds: float
    jitter: float = 0.0
    keeps_order: bool = True

    def befall(self, at: float, frame: bytes, memory: Memory) -> list[Arrival]:
        at += self.seconds + self.jitter * memory.chance.random()
        if self.keeps_order:
            at = memory.until = max(at, memory.until)
        return [(at, frame)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate(Mishap):
    """It arrives so many TIMES in all."""

    times: int = 2

    def befall(self, at: float, frame: bytes, memory: Memory) -> list[Arrival]:
        return [(at, frame)] * self.times


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrupt(Mishap):
    """BITS of what a program sent are turned over, each at a place of its own; of a frame that
    carries nothing, none.

    The frame stays one that a card takes, and finds its way. Its TCP or UDP checksum is wrong then,
    and the kernel that gets it throws it away; with REPAIRS it is right again, and only the program
    can notice.
    """

    bits: int = 1
    repairs: bool = False

    def befall(self, at: float, frame: bytes, memory: Memory) -> list[Arrival]:
        places = frames.content(frame)
        count = 8 * len(places)
        changed = bytearray(frame)
        for bit in memory.chance.sample(range(count), min(self.bits, count)):
            changed[places[bit // 8]] ^= 1 << bit % 8
        return [(at, frames.repaired(bytes(changed)) if self.repairs else bytes(changed))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit(Mishap):
    """The line carries BITS_PER_SECOND. A frame that finds more than QUEUE bytes before it is gone;
    it waits for the others.
    """

    bits_per_second: float
    queue: int = 256 << 10  # bytes, about what a small switch has for a port

    def befall(self, at: float, frame: bytes, memory: Memory) -> list[Arrival]:
        begin = max(at, memory.until)
        if (begin - at) * self.bits_per_second / 8 > self.queue:
            return []
        memory.until = begin + 8 * len(frame) / self.bits_per_second
        return [(memory.until, frame)]


KINDS = {kind.__name__: kind for kind in (Lose, Delay, Duplicate, Corrupt, Limit)}
CUT = Lose()  # nothing passes


def packed(mishap: Mishap) -> dict[str, Any]:
    """For JSON: its fields, and what `kind` it is."""
    return {"kind": type(mishap).__name__, **asdict(mishap)}


def unpacked(said: dict[str, Any]) -> Mishap:
    """What `packed` made. Raises KeyError or TypeError for anything else."""
    fields = {name: value for name, value in said.items() if name not in ("kind", "which")}
    return KINDS[said["kind"]](which=Which(**said["which"]), **fields)


class Course:
    """The mishaps of one way, and what they remember."""

    def __init__(self, way: Way, mishaps: Iterable[Mishap], before: "Course | None" = None) -> None:
        """One that was among those of BEFORE goes on as it was."""
        known = dict(before._steps) if before else {}
        self._steps: list[tuple[Mishap, Memory]] = [
            (mishap, known.get(mishap) or Memory(random.Random(f"{way} {mishap!r}")))
            for mishap in mishaps
        ]
        self.is_cut = CUT in (mishap for mishap, _ in self._steps)

    def outcome(self, frame: bytes, now: float) -> list[Arrival]:
        """When and as what FRAME, said NOW, gets to the other end."""
        arrivals = [(now, frame)]
        for mishap, memory in self._steps:
            arrivals = [one for came in arrivals for one in mishap.outcome(came, memory)]
        return arrivals
