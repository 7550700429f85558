# SPDX-License-Identifier: MIT
"""How a medium of ours is divided, and how the new disk will be. Pure.

The new one has each partition in the same place as the stick, so that GRUB's boot code, which knows
its own place by number, works from it unchanged; only the state partition fills what is left.
Everything here counts in sectors of 512 bytes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from haagent.errors import OperatorError, ParseError

SECTOR = 512  # bytes
BIOS = "shoestring-bios"
ESP = "shoestring-esp"
STATE = "shoestring-state"
ROOTS = {"a": "shoestring-root-a", "b": "shoestring-root-b"}
GRAIN = 2048  # a partition begins and ends at a whole MiB
BACKUP = 33  # the second table, at the end of a disk (UEFI 2.10, 5.3.1)
LEAST_STATE = 1 << 30  # bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One partition."""

    number: int
    start: int
    size: int
    kind: str  # its type, a GUID
    label: str
    attributes: str = ""  # as sfdisk(8) writes them


@dataclass(frozen=True, slots=True)
class Layout:
    """One medium's, in the order of the partitions' numbers."""

    first: int  # the first sector that may belong to a partition
    parts: tuple[Part, ...]

    def part(self, label: str) -> Part:
        """Raises OperatorError unless there is one that is called LABEL."""
        found = [part for part in self.parts if part.label == label]
        if len(found) != 1:
            raise OperatorError(
                f"The medium that this machine started from has {len(found)} partitions called"
                f" {label}, and one is needed.",
                "Nothing was done. Flash a new stick, and install from that one.",
            )
        return found[0]


def read_table(device: str) -> tuple[str, ...]:
    """sfdisk(8); it changes nothing."""
    return ("sfdisk", "--json", device)


def parse_table(argv: Sequence[str], text: str) -> Layout:
    """From `sfdisk --json`. Raises ParseError; OperatorError for what GRUB could not start from."""
    try:
        table = json.loads(text)["partitiontable"]
        if (table["label"], table["unit"]) != ("gpt", "sectors"):
            raise ValueError("no GPT")
        sector = int(table["sectorsize"])
        parts = tuple(
            Part(
                number=_number(one["node"]),
                start=int(one["start"]),
                size=int(one["size"]),
                kind=str(one["type"]).upper(),
                label=str(one.get("name", "")),
                attributes=str(one.get("attrs", "")),
            )
            for one in table["partitions"]
        )
        found = Layout(int(table["firstlba"]), parts)
    except (ValueError, KeyError, TypeError) as error:
        raise ParseError(argv, text[:200]) from error
    if sector != SECTOR:
        raise OperatorError(
            f"The medium that this machine started from has sectors of {sector} bytes.",
            "Nothing was done. Only media with sectors of 512 bytes can be copied.",
        )
    return found


def _number(node: str) -> int:
    """/dev/nvme0n1p5 -> 5, /dev/sda5 -> 5. Raises ValueError."""
    digits = node[len(node.rstrip("0123456789")) :]
    return int(digits)


def needed(stick: Layout, used: int) -> int:
    """Bytes that a disk must have; USED is what is on the state partition. Raises OperatorError."""
    return (stick.part(STATE).start + GRAIN) * SECTOR + max(LEAST_STATE, 2 * used)


def for_disk(stick: Layout, size: int) -> Layout:
    """The layout of a disk of SIZE bytes. Raises OperatorError."""
    state = stick.part(STATE)
    if any(part.start > state.start for part in stick.parts):
        raise OperatorError(
            "The state partition is not the last one of the medium that this machine started from.",
            "Nothing was done. Flash a new stick, and install from that one.",
        )
    end = (size // SECTOR - 1 - BACKUP) // GRAIN * GRAIN
    grown = replace(state, size=end - state.start)
    return replace(stick, parts=tuple(grown if part == state else part for part in stick.parts))


def script(layout: Layout) -> str:
    """What sfdisk(8) reads. Without identities: it makes up new ones."""
    lines = ["label: gpt", "unit: sectors", f"first-lba: {layout.first}", ""]
    for part in layout.parts:
        attributes = f', attrs="{part.attributes}"' if part.attributes else ""
        lines.append(
            f"{part.number} : start={part.start}, size={part.size}, type={part.kind},"
            f' name="{part.label}"{attributes}'
        )
    return "\n".join(lines) + "\n"


def node(disk: str, number: int) -> str:
    """sda, 5 -> sda5; nvme0n1, 5 -> nvme0n1p5 (block/partitions/core.c of the kernel)."""
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"
