# SPDX-License-Identifier: MIT
"""Owns what the phases of a boot are: the lines of a console, each with the moment when this host
read it, and what systemd noted -> seconds for each phase.

Pure. The console of a `quiet` boot shows where GRUB, Xen and Linux begin and where the first prompt
is; where the initrd begins is in the kernel's log, and where it ends is known to systemd
(`systemctl show`, a field that systemd-analyze(1) reads).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PROMPT = r"Press Enter to look at the hardware again"
# The first line of each, in the order in which they must come.
GRUB = r"GNU GRUB|Welcome to GRUB|GRUB loading"
XEN = r"\(XEN\) Xen version"
# drivers/xen: arch/x86/xen/enlighten_pv.c says it before anything else of the kernel runs.
KERNEL = r"about to get started"
# run_init_process in init/main.c, of the initrd's own /init; then systemd, when it has the root.
INITRD = re.compile(r"^\[ *(\d+\.\d+)\] Run /init as init process$", re.MULTILINE)
USERSPACE = re.compile(r"^UserspaceTimestampMonotonic=([1-9]\d*)$", re.MULTILINE)
ASK = "dmesg | grep -F 'Run /init'; systemctl show --property=UserspaceTimestampMonotonic"


@dataclass(frozen=True, slots=True)
class Stamped:
    """One line of a console, or the part of one that nothing has followed yet. AT is seconds of
    this host's monotonic clock, when the first of it was read.
    """

    at: float
    text: str


class NotSeen(ValueError):
    """A line that every boot shows is not there; the text says which."""


def first(lines: Sequence[Stamped], pattern: str, after: float) -> float:
    """When the first line not before AFTER matched PATTERN. Raises NotSeen."""
    for line in lines:
        if line.at >= after and re.search(pattern, line.text):
            return line.at
    raise NotSeen(f"the console never showed {pattern!r}")


def on_console(lines: Sequence[Stamped], start: float, prompt: str = PROMPT) -> dict[str, float]:
    """Seconds of each phase of the boot that began at START, as far as a console tells; their sum
    is the time to the first prompt. Raises NotSeen.
    """
    marks = [start]
    for pattern in (GRUB, XEN, KERNEL, prompt):
        marks.append(first(lines, pattern, marks[-1]))
    names = ("firmware", "GRUB", "Xen", "Linux")
    return {name: end - begin for name, begin, end in zip(names, marks, marks[1:], strict=False)}


def split_linux(seconds: float, text: str) -> dict[str, float]:
    """`Linux` of `on_console` in its three parts, by the TEXT that ASK printed.

    Both clocks count from the kernel's first moments; the one in the text begins a little later,
    when the kernel has a clock at all. That little is counted as userspace. Raises NotSeen when
    something is missing, or cannot be of that boot.
    """
    begun, ended = INITRD.search(text), USERSPACE.search(text)
    if begun is None or ended is None:
        raise NotSeen(f"the machine said {text!r}")
    initrd, userspace = float(begun[1]), int(ended[1]) / 1e6
    if not 0 < initrd < userspace < seconds:
        raise NotSeen(f"initrd at {initrd}, userspace at {userspace}, prompt at {seconds}")
    return {
        "kernel": initrd,
        "initrd": userspace - initrd,
        "userspace": seconds - userspace,
    }


class Lines:
    """Cuts what a console sends, in pieces of any size, into stamped lines."""

    def __init__(self) -> None:
        self._whole: list[Stamped] = []
        self._open: Stamped | None = None

    def take(self, at: float, piece: str) -> None:
        """PIECE was read AT."""
        *whole, rest = re.split(r"[\r\n]+", piece)
        for text in whole:
            line = self._joined(at, text)
            self._open = None
            if line.text:
                self._whole.append(line)
        if rest:
            self._open = self._joined(at, rest)

    def _joined(self, at: float, text: str) -> Stamped:
        return Stamped(self._open.at, self._open.text + text) if self._open else Stamped(at, text)

    @property
    def seen(self) -> list[Stamped]:
        """All lines, and what has no end yet: a prompt never has one."""
        return [*self._whole, *([self._open] if self._open else [])]


def text_of(lines: Iterable[Stamped]) -> str:
    return "\n".join(line.text for line in lines)
