# SPDX-License-Identifier: MIT
"""Owns Xen's domains: lists them, watches them come and go, and carries out what was decided.

It must not decide anything: which guest runs here is the core's business. No verb takes a success
for granted; each looks again afterwards. Everything goes through xl(1).
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from haagent.core.wish import End, Ended
from haagent.errors import ParseError, ToolError
from haagent.guests.definition import SCREENS, Guest, Kind, definition, identity
from haagent.guests.drive import Drives
from haagent.guests.name import checked
from haagent.run import Run, Stream, run
from haagent.storage.slices import Slices

DEFINITIONS = Path("/run/shoestring/guests")
QUIET = 0.02  # seconds; domains that come or go together are looked at once
# Seconds. xenstored forgets a domain when it begins to die: nobody tells when it is gone.
LOOK_AGAIN = 0.5
TRIES = 5  # at two lists that are the same, with a look at the memory in between

LIST = ("xl", "list", "--verbose")
INFO = ("xl", "info")
CAPS = re.compile(r"^virt_caps +: (.*)$", re.MULTILINE)
# Xenstore's two special watches, docs/misc/xenstore.txt; @releaseDomain also fires when a domain
# has shut down and still exists. xenstore-watch(1) prints a line for each at once, and not before
# both are set.
EVENTS = ("xenstore-watch", "@introduceDomain", "@releaseDomain")

NAMELESS = "(null)"  # what xl prints for a domain that xenstored has forgotten
# tools/xl/xl_info.c, list_domains: name, number, memory in MiB, processors, six flags, time, UUID,
# then why it has shut down, or -, and the security label, which we leave alone.
LINE = re.compile(
    r"(?P<name>\S.*?) +(?P<number>\d+) +(?P<memory>\d+) +\d+ +"
    r"[r-][b-](?P<paused>[p-])(?P<shut_down>[s-])[-rscwS?](?P<dying>[d-]) +\d+\.\d "
    r"(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) +(?P<reason>-|[0-9a-f]+) .*"
)
# output_physinfo of the same file: what no domain has, nor has laid claim to, in MiB.
FREE = re.compile(r"^free_memory +: (\d+)$", re.MULTILINE)

# xen/include/public/sched.h, SHUTDOWN_*. What is none of these was not meant: the guest's own
# watchdog fired (4), it suspended itself (2), which nobody here asks for, or it crashed (3).
ENDS = {0: End.POWEROFF, 1: End.REBOOT, 5: End.REBOOT}  # 5: a soft reset, as for kexec


@dataclass(frozen=True, slots=True)
class Memory:
    """Of this machine, in MiB; what dom0 and Xen itself have is none of it."""

    free: int
    guests: Mapping[str, int]  # of each that has a domain here, what Xen has given it


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain as Xen shows it; Domain-0 is none of them."""

    number: int
    name: str | None  # None: xenstored has forgotten it
    uuid: UUID
    is_paused: bool = False
    is_shut_down: bool = False  # it ended, and waits to be destroyed
    is_dying: bool = False  # destroyed; it exists until nobody uses its memory any more
    reason: int | None = None  # why it has shut down
    memory: int = 0  # MiB that it has, and those that it will have when it is built

    @property
    def ended(self) -> Ended | None:
        """How it ended by itself, if it did."""
        if not self.is_shut_down or self.is_dying or self.reason is None:
            return None
        return Ended(self.number, ENDS.get(self.reason, End.CRASH))


def parse_list(text: str) -> tuple[Domain, ...]:
    """From `xl list --verbose`. Raises ParseError."""
    heading, *lines = text.splitlines() or [""]
    if not heading.startswith("Name ") or "UUID" not in heading:
        raise ParseError(LIST, text[:200])
    domains = []
    for line in lines:
        found = LINE.fullmatch(line)
        if not found:
            raise ParseError(LIST, line)
        domains.append(
            Domain(
                number=int(found["number"]),
                name=None if found["name"] == NAMELESS else found["name"],
                uuid=UUID(found["uuid"]),
                is_paused=found["paused"] == "p",
                is_shut_down=found["shut_down"] == "s",
                is_dying=found["dying"] == "d",
                reason=None if found["reason"] == "-" else int(found["reason"], 16),
                memory=int(found["memory"]),
            )
        )
    return tuple(domain for domain in domains if domain.number != 0)


def parse_free_memory(text: str) -> int:
    """MiB, from `xl info`. Raises ParseError."""
    found = FREE.search(text)
    if not found:
        raise ParseError(INFO, text[:200])
    return int(found[1])


def parse_kinds(text: str) -> frozenset[Kind]:
    """Of guests that the processor can run, from `xl info`: its virt_caps, which have `hvm` where
    the processor helps and the firmware lets it (xl(1)). Raises ParseError.
    """
    found = CAPS.search(text)
    if not found:
        raise ParseError(INFO, text[:200])
    names = found[1].split()
    return frozenset(Kind) if "hvm" in names else frozenset({Kind.PV})


def create_domain(definition_file: Path) -> tuple[str, ...]:
    return ("xl", "create", "--quiet", str(definition_file))


def shutdown_domain(number: int) -> tuple[str, ...]:
    """--wait once: until it has shut down, whether somebody then destroys it or not. -F: one of
    type hvm that has none of Xen's drivers is asked as by a PC's power button.
    """
    return ("xl", "shutdown", "--wait", "-F", str(number))


def reboot_domain(number: int) -> tuple[str, ...]:
    """Without -F: that would be a PC's reset, which asks nobody."""
    return ("xl", "reboot", str(number))


def destroy_domain(number: int) -> tuple[str, ...]:
    """By number: a domain may lose its name, and xl gives out no number again for a minute."""
    return ("xl", "destroy", str(number))


class Xen:
    """The guests on this machine. GUESTS are the names that may be met.

    A domain belongs to the guest whose identity it has, whatever its name is now; else it is known
    by its name, else as `domain-N`. LIMIT is how long, in seconds, one of xl's programs may take,
    and how long a destroyed domain may take to be gone. The verbs raise ToolError if what they
    are for cannot be seen afterwards.
    """

    def __init__(
        self,
        guests: Iterable[str],
        *,
        definitions: Path = DEFINITIONS,
        drives: Drives | None = None,
        slices: Slices | None = None,
        screens: Path = SCREENS,
        limit: float = 60.0,
        run: Run = run,
        stream: Callable[[Sequence[str]], Stream] = Stream,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._guests = {identity(name): name for name in guests}
        self._defined: dict[str, Guest] = {}
        self._definitions = definitions
        self._drives = drives or Drives()
        self._slices = slices or Slices(limit=limit, run=run)
        self._screens = screens
        self._limit = limit
        self._run = run
        self._open = stream
        self._pause = pause
        self._lock = threading.Lock()
        self._watched: Stream | None = None
        self._is_stopping = False

    def domains(self) -> tuple[Domain, ...]:
        """All that exist, but Domain-0. Raises ToolError, or ParseError."""
        return parse_list(self._run(LIST, timeout=self._limit))

    def running(self) -> frozenset[str]:
        """The guests of which a domain exists, in whatever state; a dying one may still write."""
        return frozenset(self._guest_of(domain) for domain in self.domains())

    def zombies(self) -> frozenset[str]:
        """The guests of which a domain was destroyed and still exists."""
        return frozenset(self._guest_of(domain) for domain in self.domains() if domain.is_dying)

    def memory(self) -> Memory:
        """What guests have here, and what they could get. A domain that is none of them has its
        part for itself.

        Raises ToolError, or ParseError; and ToolError when domains come and go all the time.
        """
        for _ in range(TRIES):
            domains = self.domains()
            free = parse_free_memory(self._run(INFO, timeout=self._limit))
            if self.domains() == domains:
                held: dict[str, int] = {}
                for domain in domains:
                    if (guest := self._guests.get(domain.uuid)) is not None:
                        held[guest] = held.get(guest, 0) + domain.memory
                return Memory(free, held)
        raise ToolError(INFO, 0, "no two lists of domains were the same")

    def define(self, guest: Guest) -> Path:
        """Writes what `create` will read, and returns where it is."""
        self._defined[guest.name] = guest
        if guest.kind is Kind.HVM:
            # safety: whoever is let in there sees the guest's screen, and types.
            self._screens.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._write(definition(guest), guest.name)

    def create(self, guest: str) -> None:
        """Starts the guest as `define` wrote it down, with a CD if there is one for it, and sees it
        exist and not paused. If it has several disks, they are made before; whoever demotes what
        they lie on takes them away.

        What is left of one that ended by itself is destroyed before. What a failed attempt of ours
        leaves behind is destroyed before the error is raised, as nobody would finish it. A domain
        that was there before, and has not ended, is an error and stays.
        """
        argv = create_domain(self._definition_file(checked(guest)))
        found = self._domains_of(guest)
        if found and all(domain.ended for domain in found):
            self.destroy(guest)
        if self._domains_of(guest):
            raise ToolError(argv, 0, f"not tried: a domain of {guest} exists already")
        defined = self._defined[guest]
        if defined.slices:
            names = [name for name, _ in defined.given]
            self._slices.make(defined.minor, names, defined.slices)
        if defined.kind is Kind.HVM:
            self._write(definition(defined, self._drives.load(guest)), guest)
        try:
            self._run(argv, timeout=self._limit)
            made = self._domains_of(guest)
            if len(made) != 1 or made[0].is_paused or made[0].is_dying:
                raise ToolError(argv, 0, f"xl shows {made or 'no domain'}")
        except ToolError:
            self.destroy(guest)
            raise

    def shutdown(self, guest: str, grace: float) -> bool:
        """Asks the guest to shut down, destroys it after GRACE seconds, and sees it gone.

        True if it shut down by itself. A guest that cannot be asked is destroyed at once.
        """
        is_willing = True
        for domain in self._domains_of(checked(guest)):
            if not domain.is_dying and not domain.is_shut_down:
                try:
                    self._run(shutdown_domain(domain.number), timeout=grace)
                except ToolError:  # whatever the reason, what is left to us is the same
                    is_willing = False
        # Also after a willing end: the xl that waits for it to destroy it may be dead.
        self.destroy(guest)
        return is_willing

    def restart(self, guest: str) -> None:
        """Asks the guest to start anew. Whether it does, `watch` tells."""
        for domain in self._domains_of(checked(guest)):
            if not domain.is_dying and not domain.is_shut_down:
                self._run(reboot_domain(domain.number), timeout=self._limit)

    def destroy(self, guest: str) -> None:
        """Ends the guest at once, without its consent, and sees that no domain of it exists.

        libxl only tells QEMU to end (libxl__kill_xs_path); until that has, a domain of its memory
        exists, and whoever demotes the disk waits until nobody has it open.
        """
        deadline = time.monotonic() + self._limit
        failure: ToolError | None = None
        while found := self._domains_of(checked(guest)):
            for domain in found:
                if not domain.is_dying:
                    try:
                        self._run(destroy_domain(domain.number), timeout=self._limit)
                    except ToolError as error:  # the next look decides, and its end tells this
                        failure = error
            left = self._domains_of(guest)
            if not left:
                return
            if time.monotonic() >= deadline:
                said = failure.stderr + "\n" if failure else ""
                exit = failure.exit if failure else 0
                raise ToolError(
                    destroy_domain(left[0].number), exit, f"{said}{guest} is still there: {left}"
                )
            self._pause(LOOK_AGAIN)

    def watch(self, post: Callable[[Mapping[str, Ended | None]], None]) -> None:
        """Calls POST with the guests of which a domain exists now, and how it ended if it did by
        itself; and whenever that has changed, until `stop`.

        Blocks. Raises ToolError when the stream of events ends or does not begin, or xl fails.
        """
        with self._lock:
            if self._is_stopping:
                return
            self._watched = self._open(EVENTS)
        posted: Mapping[str, Ended | None] | None = None
        wait: float | None = self._limit
        with self._watched as stream:
            while (lines := stream.read(QUIET, wait)) is not None:
                if posted is None and not lines:
                    # A xenstored that hangs takes the watches and never says so.
                    raise ToolError(EVENTS, None, "xenstored does not answer")
                domains = self.domains()
                wait = LOOK_AGAIN if any(domain.is_dying for domain in domains) else None
                now: dict[str, Ended | None] = {}
                for domain in sorted(domains, key=lambda domain: domain.ended is None):
                    now[self._guest_of(domain)] = domain.ended  # what runs tells more
                if now != posted:
                    posted = now
                    post(now)

    def stop(self) -> None:
        """Ends `watch`, now or whenever it is called; may be called from another thread."""
        with self._lock:
            self._is_stopping = True
            if self._watched is not None:
                self._watched.stop()

    def _guest_of(self, domain: Domain) -> str:
        return self._guests.get(domain.uuid) or domain.name or f"domain-{domain.number}"

    def _domains_of(self, guest: str) -> list[Domain]:
        return [domain for domain in self.domains() if self._guest_of(domain) == guest]

    def _write(self, text: str, guest: str) -> Path:
        self._definitions.mkdir(parents=True, exist_ok=True)
        file = self._definition_file(guest)
        new = file.with_suffix(".new")
        new.write_text(text)
        new.replace(file)
        return file

    def _definition_file(self, guest: str) -> Path:
        return self._definitions / f"{checked(guest)}.cfg"
