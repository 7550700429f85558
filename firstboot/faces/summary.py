# SPDX-License-Identifier: MIT
"""Both machines on one screen: what each is, and below it what is in the way or worth knowing.

Pure: lines of ASCII, never more than LINES of them, none longer than 79 characters. Whatever does
not fit is on the page of faces/page.py, and the last line says so.
"""

import re
import textwrap
from collections.abc import Sequence
from itertools import accumulate

from firstboot.compare import Comparison
from firstboot.faces.page import BETWEEN, COLUMN
from firstboot.faces.pager import ROOM
from firstboot.probe import Machine
from firstboot.proposal import Choice
from firstboot.remarks import room_for_guests
from firstboot.wording import Side, count, plain, size
from haagent.folding import WIDTH

LINES = ROOM - 2  # below it stands what Enter does
LABEL = 10  # characters of a row that say what it is
# What makers write into the names of their processors, and nobody needs.
NOISE = re.compile(r"\([^)]*\)|\bCPU\b|\bProcessor\b|@ ?[0-9.]+ ?GHz|\bwith Radeon.*", re.I)


def summary(here: Machine, there: Machine, found: Comparison) -> list[str]:
    """The whole page."""
    top = _side_by_side(here, there, found)
    return [*top, "=" * WIDTH, *_verdict(found, LINES - len(top) - 1)]


def _side_by_side(here: Machine, there: Machine, found: Comparison) -> list[str]:
    sides = (Side.HERE, Side.THERE)
    names = found.proposal.names
    heads = [f"{side.capitalize()}: {name}" for side, name in zip(sides, names, strict=True)]
    choices = zip((here, there), found.proposal.disks, strict=True)
    left, right = ([*_about(machine), *_disk(choice)] for machine, choice in choices)
    return [
        _row(*heads),
        "-" * (COLUMN + 1) + "+" + "-" * (COLUMN + 1),
        *(_row(*both) for both in zip(left, right, strict=True)),
    ]


def _row(left: str, right: str) -> str:
    return f"{_cut(left, COLUMN):<{COLUMN}}{BETWEEN}{_cut(right, COLUMN)}".rstrip()


def _cut(text: str, width: int) -> str:
    text = plain(text)
    return text if len(text) <= width else text[: width - 3].rstrip(" ,") + "..."


def _about(machine: Machine) -> list[str]:
    cores = f", {count(machine.cores, 'core')}"
    name = " ".join(NOISE.sub(" ", machine.processor).split())
    return [
        _labelled("PC", machine.model or machine.board or "unknown"),
        _labelled("Processor", _cut(name, COLUMN - LABEL - len(cores)) + cores),
        _labelled("Memory", _memory(machine)),
        _labelled("System", f"Xen {machine.xen or 'MISSING'}, DRBD {machine.drbd or 'MISSING'}"),
        _labelled("Network", _cards(machine)),
    ]


def _cards(machine: Machine) -> str:
    cables = [nic.has_carrier for nic in machine.nics]
    told = "cables not known" if None in cables else count(sum(map(bool, cables)), "cable")
    return f"{count(len(cables), 'card')}, {told}"


def _memory(machine: Machine) -> str:
    room = room_for_guests(machine)
    if machine.total_memory is None or room is None:
        return "not known"
    return f"{size(machine.total_memory)}, for guests {size(room)}"


def _disk(choice: Choice) -> list[str]:
    """Three rows about the data disk."""
    disk = choice.disk
    if disk is None:
        told = textwrap.wrap(choice.why, COLUMN - LABEL)[:2]
        return [_labelled("Data disk", "none proposed"), *(_more(told, 2))]
    verdict = {None: "not known", False: "good", True: "FAILING"}[disk.health.is_failing]
    worn = ", worn" if disk.health.signs and not disk.health.is_failing else ""
    bus = "" if disk.bus == "unknown" else f" {disk.bus.upper()}"
    return [
        _labelled("Data disk", f"{disk.name}, {size(disk.size)}{bus}, {disk.model}"),
        *_more((f"serial {disk.serial}", f"{_content(choice)}, health {verdict}{worn}"), 2),
    ]


def _content(choice: Choice) -> str:
    return "NOT BLANK" if choice.disk is not None and choice.disk.holds else "blank"


def _more(texts: Sequence[str], rows: int) -> list[str]:
    """TEXTS below a label, in just as many ROWS."""
    return [_labelled("", text) for text in (*texts, *[""] * rows)][:rows]


def _labelled(label: str, text: str) -> str:
    return f"{label:<{LABEL}}{text}"


def _verdict(found: Comparison, room: int) -> list[str]:
    """What is in the way; else what is worth knowing. ROOM is how many lines there are."""
    if found.refusals:
        blocks = [
            [
                *_folded(refusal.sentence, f"{number}. ", "   "),
                *_folded(refusal.remedy, "   -> ", "      "),
            ]
            for number, refusal in enumerate(found.refusals, 1)
        ]
        head = [f"NOT YET: {count(len(blocks), 'thing')} in the way"]
        return [*head, *_fitting(blocks, room - len(head))]
    tail = ["Nothing is in the way: the two can become a pair."]
    blocks = [_folded(remark.sentence, "- ", "  ") for remark in found.remarks]
    return [*_fitting(blocks, room - len(tail)), *tail]


def _fitting(blocks: Sequence[list[str]], room: int) -> list[str]:
    """As many whole BLOCKS as there is ROOM for, in their order, and how many are not shown."""
    if sum(map(len, blocks)) <= room:
        return [line for block in blocks for line in block]
    ends = list(accumulate(map(len, blocks)))
    shown = sum(end <= room - 1 for end in ends)
    lines = [line for block in blocks[:shown] for line in block]
    if not shown:  # the first alone is too long
        shown = 1
        lines = [*blocks[0][: room - 2], "   ..."]
    left = len(blocks) - shown
    more = f"And {left} more: type `details`." if left else "Type `details` for the rest."
    return [*lines, more]


def _folded(text: str, first: str, rest: str) -> list[str]:
    lines = textwrap.wrap(
        plain(text), WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )
    return [line.rstrip() for line in lines]
