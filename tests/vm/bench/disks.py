# SPDX-License-Identifier: MIT
"""Makes a scratch resource of the pair's own kind beside the guest's, and measures how fast a copy
of it is brought up to date.

The resource is the guest's own with another name, port and volume, so that all that is configured
holds; only its handler is off, for nobody takes this one over. The pair is thrown away afterwards.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.vm.bench.figures import Bound, Figure, Target, ratios
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import Pair, healthy_pair
from tests.vm.wait import wait_until

RESYNC = "resync"
SIZE = 160 << 20  # bytes that are copied in a sample
PORT = 7801
LEAST_RATE = Target(Bound.AT_LEAST, 0.8)
MIB = 1 << 20
SETTLE = 300  # seconds; generous

MAKE = f"""set -e
umask 077
cd /state/etc/drbd.d
lvcreate --quiet --yes --wipesignatures y --size {SIZE >> 20}M --name bench shoestring
lvcreate --quiet --yes --wipesignatures y --size 32M --name bench-alone shoestring
sed -e 's/^resource counter {{/resource bench {{\\n    disk {{ fencing dont-care; }}/' \\
    -e 's!/dev/drbd0 minor 0;!/dev/drbd9 minor 9;!' \\
    -e 's!/counter;!/bench;!' -e 's/:7788;/:7800;/' counter.res >bench.res
drbdadm create-md bench
drbdadm up bench
"""
# Of the crossover, where DRBD has it.
ADDRESS = (
    r"sed -n '/^ *on b {/,/}/s/^ *address ipv4 \([0-9.]*\):.*/\1/p'"
    " /state/etc/drbd.d/counter.res"
)
RECEIVE = """python3 - {address} {port} <<'END'
import socket, sys, time
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    stream, _ = server.accept()
    began, total = time.monotonic(), 0
    while data := stream.recv(1 << 20):
        total += len(data)
    print("received", total, time.monotonic() - began)
END
"""
SEND = """python3 - {address} {port} {size} <<'END'
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as stream:
    left, data = int(sys.argv[3]), bytes(1 << 20)
    while left > 0:
        stream.sendall(data[:left])
        left -= len(data)
END
"""
BEGAN = re.compile(
    r"^\[ *(\d+\.\d+)\] .*\bdrbd9\b.*Began resync as SyncTarget.*sync (\d+) KB", re.M
)
DONE = re.compile(r"^\[ *(\d+\.\d+)\] .*\bdrbd9\b.*Resync done ", re.M)


class NotTold(ValueError):
    """What a machine printed is not what was asked for; the text has it."""


def stream_rate(text: str) -> float:
    """MiB per second, of what RECEIVE printed. Raises NotTold for a stream that was cut off."""
    found = re.search(r"^received (\d+) (\S+)$", text, re.MULTILINE)
    if not found or int(found[1]) != SIZE:
        raise NotTold(f"not {SIZE} bytes: {text[-200:]!r}")
    return SIZE / MIB / float(found[2])


def resync_rate(kernel: str) -> float:
    """MiB per second of the last whole resync in a KERNEL's log. Raises NotTold.

    By the times of the lines: DRBD's own figure counts whole seconds.
    """
    begun, done = list(BEGAN.finditer(kernel)), list(DONE.finditer(kernel))
    if not begun or not done or float(done[-1][1]) <= float(begun[-1][1]):
        raise NotTold(f"{len(begun)} began, {len(done)} done: {kernel[-200:]!r}")
    return int(begun[-1][2]) / 1024 / (float(done[-1][1]) - float(begun[-1][1]))


def make_scratch(pair: Pair) -> None:
    """Both copies UpToDate, a Primary, as the set-up makes a guest's."""
    for machine in pair.both:
        machine.run(MAKE, SETTLE)
    _await(pair.a, "cstate", "Connected")
    pair.a.run("drbdadm new-current-uuid --clear-bitmap bench/0", SETTLE)
    _await(pair.a, "dstate", "UpToDate/UpToDate")
    pair.a.run("drbdadm primary bench", SETTLE)


def _await(machine: Machine, what: str, wanted: str) -> None:
    wait_until(
        f"{what} {wanted} on {machine.name}",
        lambda: machine.control.try_run(f"drbdadm {what} bench").out.strip() == wanted,
        SETTLE,
    )


def resync(accel: str, samples: int) -> Iterator[Figure]:
    lab = Lab(accel)
    try:
        pair = healthy_pair(lab)
        make_scratch(pair)
        rounds = [(_stream(pair), _resync(pair)) for _ in range(samples)]
    finally:
        lab.close()
    streams, copies = zip(*rounds, strict=True)
    yield Figure(
        RESYNC,
        "one TCP stream over the crossover",
        "MiB/s",
        streams,
        note=f"{SIZE >> 20} MiB from dom0 to dom0, memory to memory: the relay's own rate",
    )
    yield Figure(RESYNC, "a whole resync", "MiB/s", copies)
    yield Figure(RESYNC, "resync against the relay", "ratio", ratios(copies, streams), LEAST_RATE)


def _stream(pair: Pair) -> float:
    address = pair.b.run(ADDRESS).strip()
    listens = f"ss --no-header --listening --tcp --numeric 'sport = :{PORT}'"
    with ThreadPoolExecutor() as pool:
        received = pool.submit(pair.b.run, RECEIVE.format(address=address, port=PORT), SETTLE)
        wait_until(
            "the receiver",
            lambda: received.done() or pair.b.control.try_run(listens).out.strip(),
            SETTLE,
        )
        if not received.done():
            pair.a.run(SEND.format(address=address, port=PORT, size=SIZE), SETTLE)
        return stream_rate(received.result())


def _resync(pair: Pair) -> float:
    """The copy of b, which is of no use to anybody, is taken for old and made anew."""
    before = len(DONE.findall(pair.b.run("dmesg")))
    pair.b.run("drbdadm invalidate bench", SETTLE)
    wait_until(
        "the resync to be done", lambda: len(DONE.findall(pair.b.run("dmesg"))) > before, SETTLE
    )
    return resync_rate(pair.b.run("dmesg"))
