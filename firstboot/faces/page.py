# SPDX-License-Identifier: MIT
"""Both machines side by side, and below them what is in the way and what the owner should know.

Pure: lines of ASCII for any console there is, none longer than 79 characters whatever the strings
are, because the last column makes some terminals wrap.
"""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import zip_longest

from firstboot.compare import Comparison
from firstboot.probe import Bus, Disk, Machine, Nic
from firstboot.proposal import Choice
from firstboot.remarks import room_for_guests
from firstboot.wording import Side, count, plain, size
from haagent.folding import WIDTH

COLUMN = 38
BETWEEN = " | "
LABEL = 10  # characters of a cell that say what it is
LAST_SECOND = 253_402_300_799  # of the year 9999, the last one that a date can have

Cell = list[str]  # the lines of one thing in one column
EMPTY: Cell = []


def page(here: Machine, there: Machine, found: Comparison) -> list[str]:
    """The whole page, what matters most at its end: that is what a console shows of a page that is
    too long for it.
    """
    return [*side_by_side(here, there, found), "=" * WIDTH, *verdict(found)]


def side_by_side(here: Machine, there: Machine, found: Comparison) -> list[str]:
    """What the two machines are made of."""
    machines = (here, there)
    choices = found.proposal.disks
    return [
        *_beside([Side.HERE.capitalize()], [Side.THERE.capitalize()]),
        _line(),
        *_rows([_about(machine) for machine in machines]),
        _line(),
        *_rows([[_nic(nic) for nic in machine.nics] for machine in machines], "no network card"),
        _line(),
        *_rows(
            [
                [_disk(disk, choice) for disk in machine.disks]
                for machine, choice in zip(machines, choices, strict=True)
            ],
            "no disk",
        ),
    ]


def verdict(found: Comparison) -> list[str]:
    """What is proposed, worth knowing, and in the way."""
    return [*_proposed(found), *_known(found), *_refused(found)]


def _line() -> str:
    return "-" * (COLUMN + 1) + "+" + "-" * (COLUMN + 1)


def _rows(columns: Sequence[Sequence[Cell]], nothing: str = "") -> Iterator[str]:
    """The things of both machines, each beside its counterpart."""
    left, right = ([*column] or [[nothing]] for column in columns)
    for one, other in zip_longest(left, right, fillvalue=EMPTY):
        yield from _beside(one, other)


def _beside(left: Cell, right: Cell) -> Iterator[str]:
    for one, other in zip_longest(left, right, fillvalue=""):
        yield f"{one:<{COLUMN}}{BETWEEN}{other}".rstrip()


def _cell(text: str, first: str = "", rest: str = "  ") -> Cell:
    """TEXT in lines that fit a column; FIRST and REST are how they begin."""
    return _folded(text, COLUMN, first, rest)


def _labelled(label: str, text: str) -> Cell:
    return _cell(text, f"{label:<{LABEL}}", " " * LABEL)


def _folded(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    lines = textwrap.wrap(
        plain(text),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    )
    return [line.rstrip() for line in lines] or [first.rstrip()]


def _about(machine: Machine) -> list[Cell]:
    """The same rows for every machine, so that they stay side by side."""
    return [
        _labelled("PC", machine.model or machine.board or "unknown"),
        _labelled("Processor", f"{machine.processor}, {count(machine.cores, 'core')}"),
        _labelled("Memory", _memory(machine)),
        _labelled("Guests", _guests(machine)),
        _labelled("Xen", machine.xen or "NOT RUNNING"),
        _labelled("DRBD", machine.drbd or "MISSING"),
        _labelled("Watchdog", ", ".join(machine.watchdogs) or "MISSING"),
        _labelled("Version", machine.version or "unknown"),
        _labelled("Linux", machine.kernel or "unknown"),
        _labelled("Clock", _clock(machine.clock)),
    ]


def _memory(machine: Machine) -> str:
    room = room_for_guests(machine)
    if machine.total_memory is None or room is None:
        return "not known"
    return f"{size(machine.total_memory)}, {size(room)} for guests"


def _guests(machine: Machine) -> str:
    return {
        True: "of any kind",
        False: "Linux that knows Xen, nothing else",
        None: "Linux that knows Xen; others: not known",
    }[machine.has_hvm]


def _clock(seconds: int | None) -> str:
    if seconds is None or seconds > LAST_SECOND:
        return "not known"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _nic(nic: Nic) -> Cell:
    link = {None: "cable: not known yet", True: "cable", False: "NO CABLE"}[nic.has_carrier]
    speed = f", {nic.speed} Mbit/s" if nic.speed else ""
    bus = f" ({nic.bus})" if nic.bus else ""
    return [
        *_cell(f"{nic.name}  {nic.mac}"),
        *_cell(f"{nic.driver}{bus}, {link}{speed}", "  "),
    ]


def _disk(disk: Disk, choice: Choice) -> Cell:
    lines = [
        *_cell(f"{disk.name}  {size(disk.size)}{_kind(disk)}"),
        *_cell(f"{disk.model}, serial {disk.serial or 'unknown'}", "  "),
    ]
    if disk.is_boot_medium:
        return [*lines, *_cell("started from this", "  ")]
    lines += _cell(f"holds: {', '.join(disk.holds) or 'nothing'}", "  ")
    lines += _cell(f"health: {_health(disk)}", "  ")
    if disk == choice.disk:
        lines += _cell("PROPOSED FOR THE GUESTS", "  ")
    return lines


def _kind(disk: Disk) -> str:
    words = [] if disk.bus is Bus.UNKNOWN else [disk.bus.upper()]
    if disk.is_rotational is not None:
        words.append("spins" if disk.is_rotational else "SSD")
    if disk.logical_sector and disk.logical_sector != 512:
        words.append(f"{disk.logical_sector}-byte sectors")
    if disk.is_removable:
        words.append("removable")
    if disk.is_read_only:
        words.append("READ-ONLY")
    return "".join(f", {word}" for word in words)


def _health(disk: Disk) -> str:
    told = {None: "not known", False: "good", True: "FAILING"}[disk.health.is_failing]
    hours = f", {disk.health.hours} hours" if disk.health.hours is not None else ""
    signs = "".join(f", {sign}" for sign in disk.health.signs)
    return f"{told}{hours}{signs}"


def _proposed(found: Comparison) -> Iterator[str]:
    proposal = found.proposal
    sides = (Side.HERE, Side.THERE)
    for side, choice, name in zip(sides, proposal.disks, proposal.names, strict=True):
        disk = (
            f"its disk {choice.disk.name} for the guests. {choice.why}"
            if choice.disk
            else f"no disk is proposed for the guests. {choice.why}"
        )
        yield from _folded(f"{side.capitalize()}: called {name}, {disk}", WIDTH, "", "  ")
    crossover = proposal.crossover or "no network is free for it; choose one yourself"
    yield from _folded(f"Crossover: {crossover}", WIDTH, "", "  ")


def _known(found: Comparison) -> Iterator[str]:
    if found.remarks:
        yield ""
        yield "Worth knowing"
    for remark in found.remarks:
        yield from _folded(remark.sentence, WIDTH, " - ", "   ")


def _refused(found: Comparison) -> Iterator[str]:
    yield ""
    if not found.refusals:
        yield "Nothing is in the way: the two can become a pair."
        return
    yield f"NOT YET: {count(len(found.refusals), 'thing')} in the way"
    for number, refusal in enumerate(found.refusals, 1):
        yield from _folded(refusal.sentence, WIDTH, f"{number:>2}. ", "    ")
        yield from _folded(refusal.remedy, WIDTH, "    -> ", "       ")
