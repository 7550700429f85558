# SPDX-License-Identifier: MIT
"""What is read of a mirrored disk after each step of a sequence, and the table that it makes.

The same words for the model and for a real pair, and the same rules for when there is something to
read. Nothing here knows either of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from haagent.core.model import CONNECTED, Disk, Link, Resource
from tests.sim.sequences import NODES, Step

# As it was read on a real pair; tests/vm/test_models.py writes it.
RECORDED = Path(__file__).parents[1] / "data" / "drbd-sequences.txt"
COLUMNS = (22, 16, 62)  # widths; the last one has none


@dataclass(frozen=True, slots=True)
class Reading:
    """One node. RESOURCE is None while it is down; DATA are the writes that its copy has."""

    resource: Resource | None
    data: tuple[int, ...] = ()
    waits: bool = False  # a write of this node is not acknowledged

    @property
    def link(self) -> Link:
        return self.resource.link if self.resource else Link.STANDALONE

    @property
    def is_suspended(self) -> bool:
        return self.resource is not None and self.resource.is_suspended

    @property
    def is_thawing(self) -> bool:
        """Its writes wait, though it is connected and there is a disk to write to."""
        now = self.resource
        return now is not None and now.is_suspended and Disk.UP_TO_DATE in (now.disk, now.peer_disk)

    @property
    def is_beginning(self) -> bool:
        """It is to be brought up to date, and DRBD has yet to exchange what differs."""
        now = self.resource
        return (
            now is not None and now.link is Link.SYNC_TARGET and now.disk is not Disk.INCONSISTENT
        )

    def __str__(self) -> str:
        data = " ".join(map(str, self.data))
        if self.resource is None:
            return f"down [{data}]"
        now = self.resource
        frozen = " frozen" if now.is_suspended else ""
        waits = ", one waits" if self.waits else ""
        return f"{now.role} {now.link} {now.disk}/{now.peer_disk}{frozen} [{data}]{waits}"


Both = tuple[Reading, Reading]


@dataclass(frozen=True, slots=True)
class Row:
    """A step, how it ended, and both nodes afterwards."""

    step: str
    ended: str
    nodes: tuple[str, str]

    def __str__(self) -> str:
        cells = (self.step, self.ended, *self.nodes)
        widths = (*COLUMNS, 0)
        return " | ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))


def row(step: Step, ended: str, asked: Sequence[int], now: Both) -> Row:
    """ASKED are the nodes whose handler was called in this step."""
    names = " ".join(NODES[node] for node in sorted(set(asked)))
    return Row(step.text, f"{ended}, asks {names}" if names else ended, (str(now[0]), str(now[1])))


def is_restless(now: Both, is_whole: bool, is_held: bool) -> bool:
    """Whether DRBD will change this by itself. IS_WHOLE: the cable carries both ways; IS_HELD: a
    resync does not get on.
    """
    links = {one.link for one in now}
    if links & CONNECTED:
        if not is_whole or any(one.is_thawing or one.is_beginning for one in now):
            return True
        return links != {Link.CONNECTED} and not (
            is_held and links == {Link.SYNC_SOURCE, Link.SYNC_TARGET}
        )
    return is_whole and links == {Link.CONNECTING}


def left_trying(step: Step, before: Both, now: Both) -> int | None:
    """The node that goes on trying where the other one hung up by itself.

    Which of the two hangs up is a race of their last packets (DRBD 8.4 users guide, "Manual split
    brain recovery"); so that a sequence goes the same way each time, the other one is hung up.
    """
    for node in (0, 1):
        is_ours = step.node == node
        if is_ours and step.verb in ("disconnect", "down", "dies"):
            continue
        tried = before[node].link is not Link.STANDALONE or (
            is_ours and step.verb in ("connect", "discard", "up")
        )
        hung_up = now[node].resource is not None and now[node].link is Link.STANDALONE
        if tried and hung_up and now[1 - node].link is Link.CONNECTING:
            return 1 - node
    return None


Table = Mapping[str, Sequence[Row]]


def write(about: str, table: Table) -> str:
    """The text of a file; ABOUT is one line."""
    parts = [f"# {about}\n"]
    for name, rows in table.items():
        lines = "".join(f"{line}".rstrip() + "\n" for line in rows)
        parts.append(f"\n{name}\n{lines}")
    return "".join(parts)


def read(text: str) -> dict[str, list[Row]]:
    """What `write` wrote. Raises ValueError."""
    table: dict[str, list[Row]] = {}
    name = ""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        if not line or line.startswith("#"):
            continue
        if len(cells) == 1:
            name = line
            table[name] = []
        else:
            step, ended, a, b = cells
            table[name].append(Row(step, ended, (a, b)))
    return table


def differences(ours: Sequence[Row], theirs: Sequence[Row], names: tuple[str, str]) -> list[str]:
    """The steps, and under each that differs both rows; nothing if none does."""
    if list(ours) == list(theirs):
        return []
    shown = []
    width = max(map(len, names))
    for number in range(max(len(ours), len(theirs))):
        one, other = (rows[number] if number < len(rows) else None for rows in (ours, theirs))
        sign = " " if one == other else "!"
        shown.append(f"{sign} {names[0]:{width}}  {one or 'no such step'}")
        if one != other:
            shown.append(f"{sign} {names[1]:{width}}  {other or 'no such step'}")
    return shown
