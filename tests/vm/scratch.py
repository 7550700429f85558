# SPDX-License-Identifier: MIT
"""A mirrored disk beside the guest's, on which sequences of tests/sim/sequences.py are played.

It is configured as the guest's is, with faster timers, and with a fence-peer handler that says what
it is told to: what is in /run/model/code, else whatever is put into /run/model/fifo, which it waits
for. Nothing is kept of what a resync writes over. No agent knows of it. Its cable is cut by the
relay, which loses its TCP port alone.

A power cut is one for the disk and for the peer: the cable goes, the disk is copied as it is at
that moment, and when all is taken down, in order or not, the copy is put back.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from haagent.core.model import Disk, Link
from haagent.storage.events2 import snapshot
from tests.sim.readings import Both, Reading, Row, is_restless, left_trying, row
from tests.sim.sequences import Step
from tests.vm.control import Result
from tests.vm.pair import Pair
from tests.vm.wait import wait_until

T = TypeVar("T")

NAME, MINOR, PORT = "model", 10, 7810
SIZE = 8  # MiB
DEVICE, VOLUME = f"/dev/drbd{MINOR}", f"/dev/shoestring/{NAME}"
BLOCKS = 64  # how many of 4096 bytes are read back; write N goes to block N
SETTLE = 120  # seconds; generous
EVERY = 0.3  # seconds between two looks; twice the same, and nothing under way, is rest

TIMERS = "ping-int 3; ping-timeout 25; timeout 25; connect-int 3;"
HANDLER = (  # as sed wants it
    rf'fence-peer "\/bin\/sh \/run\/{NAME}\/fence-peer";'
    ' before-resync-target ":"; after-resync-target ":";'
)
MAKE = f"""set -e
umask 077
mkdir -p /run/{NAME}
cd /run/{NAME}
mkfifo fifo
cat >fence-peer <<'END'
cd /run/{NAME}
exec 9>>asked
flock --shared 9
if [ -s code ]; then read -r code <code; else read -r code <fifo || code=1; fi
exit "$code"
END
lvcreate --quiet --yes --wipesignatures y --size {SIZE}M --name {NAME} shoestring
cd /state/etc/drbd.d
sed -e 's/^resource counter {{/resource {NAME} {{\\n    handlers {{ {HANDLER} }}/' \\
    -e 's/^ *net {{/&\\n        {TIMERS}/' \\
    -e 's!/dev/drbd0 minor 0;!{DEVICE} minor {MINOR};!' \\
    -e 's!/counter;!/{NAME};!' -e 's/:7788;/:{PORT};/' counter.res >{NAME}.res
drbdadm dump {NAME} >/dev/null
"""
# Lets every handler end that waits. It holds a lock while it does.
LET_GO = f"""cd /run/{NAME}
exec 3<>fifo
for _ in 1 2 3 4; do echo 1 >&3; done
flock --timeout 30 asked true
"""
# A device that is open cannot be taken down: what waits comes to its end first.
TAKE_DOWN = f"""echo 1 >/run/{NAME}/code
{LET_GO}
drbdadm resume-io {NAME}
flock --timeout 30 writing true
udevadm settle --timeout=20
drbdadm secondary {NAME}
drbdadm disconnect --force {NAME}
drbdadm down {NAME}
flock --timeout 30 asked true
rm -f code wrote.*
if drbdsetup events2 --now {NAME} | grep '^exists resource'; then exit 1; fi
"""
FRESH = f"""set -e
dd if=/dev/zero of={VOLUME} bs=1M count={SIZE} oflag=direct status=none
drbdadm create-md {NAME}
dmesg --clear
drbdadm up {NAME}
"""
DIE = f"""dd if={VOLUME} of=/run/{NAME}/image bs=1M iflag=direct status=none || exit 1
{TAKE_DOWN}
dd if=image of={VOLUME} bs=1M oflag=direct status=none
"""
# A resync that is over has the kernel call unfence-peer, which is another one.
CALLS = rf"grep -o ' fence-peer {NAME}\( exit code\)\?'"
LOOK = f"""drbdsetup events2 --now {NAME} 2>/dev/null
echo == helper
dmesg | {CALLS}
echo == data
dd if={VOLUME} bs=4096 count={BLOCKS} iflag=direct status=none | tr -d '\\0'
echo == writing
flock --nonblock /run/{NAME}/writing true || echo yes
"""
WRITE = f"""cd /run/{NAME}
flock writing sh -c 'echo write $0 | dd of={DEVICE} bs=4096 count=1 seek=$0 conv=sync \\
    iflag=fullblock oflag=direct status=none; echo $? >wrote.$0' {{number}} >/dev/null 2>&1 &
"""
PRIMARY = f"""echo {{code}} >/run/{NAME}/code
drbdadm primary {NAME}
ended=$?
rm /run/{NAME}/code
exit $ended
"""
# Ends with 124 if no handler reads it.
ANSWER = f"timeout 30 sh -c 'echo {{code}} >/run/{NAME}/fifo'"
QUIET = "udevadm settle --timeout=20\n"  # who looks at a device that changed has it open
SCRIPTS = {
    "primary": PRIMARY,
    "rushes": PRIMARY,
    "answer": ANSWER,
    "secondary": f"{QUIET}drbdadm secondary {NAME}",
    "down": f"{QUIET}drbdadm down {NAME}",
    "up": f"drbdadm up {NAME}",
    "disconnect": f"drbdadm disconnect {NAME}",
    "connect": f"drbdadm connect {NAME}",
    "discard": f"drbdadm disconnect {NAME}; drbdadm connect --discard-my-data {NAME}",
    "outdate": f"drbdadm outdate {NAME}",
    "invalidate": f"drbdadm invalidate {NAME}",
    "hold": f"drbdadm pause-sync {NAME}",
    "let": f"drbdadm resume-sync {NAME}",
    "detach": f"{QUIET}drbdadm detach {NAME}",
    "attach": f"drbdadm attach {NAME}",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What one machine shows: how often the kernel called the handler, and how often it ended."""

    reading: Reading
    calls: int = 0
    ends: int = 0


Looks = tuple[Look, Look]


def parse(text: str) -> Look:
    """What LOOK printed. Raises ParseError or ValueError."""
    events, _, rest = text.partition("== helper\n")
    helper, _, rest = rest.partition("== data\n")
    data, _, writing = rest.partition("== writing\n")
    calls = helper.splitlines()
    ends = sum(line.endswith("exit code") for line in calls)
    writes = tuple(int(line.removeprefix("write ")) for line in data.splitlines())
    resource = snapshot(events).resources().get(NAME)
    return Look(Reading(resource, writes, "yes" in writing), len(calls) - ends, ends)


def both(looks: Looks) -> Both:
    return looks[0].reading, looks[1].reading


def is_awaited(before: Look, now: Look) -> bool:
    """Whether the kernel has yet to call the handler, or a write to come to its end."""
    reading = now.reading
    is_new = reading.is_suspended and not before.reading.is_suspended
    if reading.resource is not None and reading.resource.disk is Disk.DISKLESS:
        is_new = False  # it waits for a disk, and no handler is called
    return (is_new and now.calls == before.calls) or (reading.waits and not reading.is_suspended)


class Scratch:
    """The disk on both machines of PAIR. EVERY is the seconds between two looks."""

    def __init__(self, pair: Pair, every: float = EVERY) -> None:
        assert pair.lab.cables is not None
        self._pair = pair
        self._cables = pair.lab.cables
        self._deaf: set[int] = set()  # machines whose frames are lost
        self._held: set[int] = set()  # machines that pause a resync
        self._writes = 0
        self._every = every

    def make(self) -> None:
        for machine in self._pair.both:
            machine.run(MAKE, SETTLE)

    def reset(self) -> None:
        """Both copies UpToDate, connected and Secondary, as fresh as the set-up makes them."""
        self._plug()
        self._held.clear()
        self._writes = 0
        for script in (TAKE_DOWN, FRESH):
            for machine in self._pair.both:
                machine.run(script, SETTLE)
        self._await("both to be connected", partial(self._has, "Connected"))
        self._pair.a.run(f"drbdadm new-current-uuid --clear-bitmap {NAME}/0", SETTLE)
        wait_until(
            f"{NAME} to be in sync", partial(self._has, "UpToDate/UpToDate"), SETTLE, self._every
        )

    def _await(self, what: str, look: Callable[[], T | None]) -> T:
        return wait_until(what, look, SETTLE, self._every)

    def _has(self, word: str) -> bool:
        return all(word in str(look.reading) for look in self.look())

    def look(self) -> Looks:
        with ThreadPoolExecutor() as pool:
            a, b = pool.map(self._look, (0, 1))
        return a, b

    def _look(self, node: int) -> Look:
        return parse(self._run(node, LOOK).out)

    def kernel(self, node: int) -> str:
        """What the kernel said of the disk since the sequence began."""
        return self._run(node, f"dmesg | grep 'drbd.*{NAME}'").out

    def about(self, script: str) -> str:
        """What SCRIPT says on the first machine."""
        return self._run(0, script).out.strip()

    def take(self, step: Step) -> Row:
        """Raises TimeoutError if the machines do not come to rest."""
        before = self.look()
        if step.verb != "answer":
            self._let_go(before)
        ended = self._do(step, before)
        now = self._rest(step, before, ended)
        trying = left_trying(step, both(before), both(now))
        if trying is not None:
            self._run(trying, SCRIPTS["disconnect"])
            now = self._rest(step, before, ended)
        asked = [
            node
            for node in (0, 1)
            if now[node].calls > before[node].calls and (step.verb, step.node) != ("dies", node)
        ]
        return row(step, ended, asked, both(now))

    def _run(self, node: int, script: str) -> Result:
        return self._pair.both[node].control.try_run(script, SETTLE)

    def _let_go(self, looks: Looks) -> None:
        """A handler whose device is not frozen any more ends, so that the next one is answered."""
        for node, look in enumerate(looks):
            if look.calls > look.ends and not look.reading.is_suspended:
                wait_until(
                    "the handler to end", partial(self._has_ended, node), SETTLE, self._every
                )

    def _has_ended(self, node: int) -> bool:
        look = self._look(node)
        if look.calls > look.ends:
            self._run(node, LET_GO)
        return look.calls == look.ends

    def _rest(self, step: Step, before: Looks, ended: str) -> Looks:
        """What both show when nothing is under way any more."""
        is_answered = step.verb == "answer" and ended == "0"
        last: list[Looks] = []

        def look() -> Looks | None:
            now = self.look()
            is_whole = not self._deaf and all(one.reading.resource for one in now)
            is_resting = (
                not is_restless(both(now), is_whole, bool(self._held))
                and not any(map(is_awaited, before, now))
                and not (is_answered and now[step.node or 0].calls > now[step.node or 0].ends)
            )
            is_same = last == [now]
            last[:] = [now]
            return now if is_resting and is_same else None

        try:
            return self._await(f"rest after {step.text!r}", look)
        except TimeoutError as error:
            shown = " | ".join(str(one.reading) for one in last[0]) if last else "nothing"
            raise TimeoutError(f"no rest after {step.text!r}: {shown}") from error

    def _do(self, step: Step, before: Looks) -> str:
        """How it ended: an exit code, or what became of a write."""
        if step.verb == "cut":
            self._cut(*((0, 1) if step.node is None else (step.node,)))
            return "0"
        if step.node is None:
            self._plug()
            return "0"
        if step.verb == "write":
            return self._write(step.node)
        if step.verb == "dies":
            return self._die(step.node)
        if step.verb == "rushes":
            self._cut(0, 1)
        if step.verb == "connect" and before[step.node].reading.link is not Link.STANDALONE:
            return "0"
        if step.verb == "down":
            self._held.discard(step.node)
        elif step.verb == "hold":
            self._held.add(step.node)
        elif step.verb == "let":
            self._held.discard(step.node)
        return str(self._run(step.node, SCRIPTS[step.verb].format(code=step.code)).rc)

    def _cut(self, *nodes: int) -> None:
        self._deaf |= set(nodes)
        self._cables.lose_tcp("xo", PORT, *(self._pair.both[node].name for node in nodes))

    def _plug(self) -> None:
        self._deaf.clear()
        self._cables.carry_tcp("xo", PORT)

    def _write(self, node: int) -> str:
        self._writes += 1
        number = self._writes
        self._run(node, WRITE.format(number=number))

        def is_decided() -> str:
            ended = self._run(node, f"cat /run/{NAME}/wrote.{number}")
            if ended.rc == 0:
                said = ended.out.strip()
                return "acknowledged" if said == "0" else f"failed with {said}"
            reading = self._look(node).reading
            return "waits" if reading.waits and reading.is_suspended else ""

        return self._await(f"write {number}", is_decided)

    def _die(self, node: int) -> str:
        was_deaf = set(self._deaf)
        self._held.discard(node)
        self._cut(0, 1)
        ended = self._run(node, DIE)
        if not was_deaf:
            self._plug()
        return str(ended.rc)
