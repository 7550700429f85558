# SPDX-License-Identifier: MIT
"""Draws a snapshot as lines of plain ASCII, the most important ones first.

Pure. It must not leave a line that a terminal would wrap, and says so when it leaves lines out.
"""

import textwrap
from collections.abc import Iterator

from haagent.console import readiness
from haagent.console.complaints.complaint import Complaint
from haagent.console.sizes import size
from haagent.console.snapshot import GuestView, NodeView, PathView, Snapshot, Verdict
from haagent.console.times import age, clock, span
from haagent.core.model import Disk
from haagent.core.wish import Target
from haagent.errors import OperatorError

NOT_KNOWN = "NOT KNOWN"
CALM = "Either machine may fail now: the guests go on."
SHARE = 3  # of the lines, a guest each, while something else must be said too
OUTLOOK_SHARE = 6  # the same, for what would become of them


def render(
    shown: Snapshot, width: int, height: int, now: float | None = None, foot: str = ""
) -> list[str]:
    """At most HEIGHT lines of at most WIDTH characters, the last of which is FOOT.

    NOW is a moment of the clock that the snapshot was taken by; without it, ages are those of
    then.
    """
    now = shown.at if now is None else now
    lines = [_title(shown, width)]
    lines += _guests(shown, width, height)
    lines += _outlook(shown, width, height)
    for complaint in shown.complaints:
        lines += _said("!", complaint, width)
    if not shown.complaints and readiness.is_good(shown):
        lines += _fold(CALM, width)
    for note in shown.notes:
        lines += _said("*", note, width)
    for sentence in (*_nodes(shown, now), *_lately(shown), *_details(shown, now)):
        lines += _fold(sentence, width)
    return fit(lines, width, height, foot)


def _said(sign: str, about: Complaint, width: int) -> list[str]:
    first = f"{sign} {about.what} ({about.code})"
    return [
        line
        for text in (first, f"  {about.means}", f"  -> {about.do}")
        for line in _fold(text, width)
    ]


def starting(width: int, height: int, foot: str = "") -> list[str]:
    """The page for a machine that has just started: its agent has not said anything yet."""
    words = (
        "The agent is not there yet. That is usual for the first minute or two after the start; "
        "what goes on at the other machine is not touched by it."
    )
    return fit(["STARTING", *_fold(words, width)], width, height, foot)


def silence(
    error: OperatorError,
    last: Snapshot | None,
    width: int,
    height: int,
    now: float,
    foot: str = "",
) -> list[str]:
    """The page for an agent that does not answer: what that means, and what it said LAST."""
    lines = [NOT_KNOWN]
    lines += _fold(f"! {error.message}", width)
    lines += _fold(f"  -> {error.hint}", width)
    if last is not None:
        lines += _fold(f"What it said {age(last.at, now)} ago, and may not be so any more:", width)
        lines += render(last, width, height, now)
    return fit(lines, width, height, foot)


def fit(lines: list[str], width: int, height: int, foot: str = "") -> list[str]:
    """The first of LINES; the last one tells how many were left out. Raises nothing.

    With FOOT there are HEIGHT lines, and FOOT is the last one: it takes no line from a page that
    was cut anyway.
    """
    lines = [line.encode("ascii", "replace").decode()[:width].rstrip() for line in lines]
    room = height - bool(foot)
    if len(lines) <= room:
        return [*lines, *[""] * (room - len(lines)), foot[:width]] if foot else lines
    left_out = len(lines) - height + 1
    if foot:
        more = [f"({left_out} more lines)  {foot}", foot]
    else:
        more = [
            f"({left_out} more lines: `shoestring status` shows all)",
            f"({left_out} more lines)",
        ]
    last = next((text for text in more if len(text) <= width), "..."[:width])
    return [*lines[: height - 1], last][:height]


def _title(shown: Snapshot, width: int) -> str:
    count = len(shown.complaints)
    title = str(shown.verdict)
    resting = [node.name for node in shown.nodes if node.in_maintenance and node.is_heard]
    if resting:
        title += f": {' and '.join(resting)} {'is' if len(resting) == 1 else 'are'} in maintenance"
    if count > 1:
        title += f", {count} reasons"
    pair = shown.me if shown.is_vacant else f"{shown.me} (and {shown.peer})"
    if shown.scale != 1:
        pair = f"time x{shown.scale:g}  {pair}"
    return f"{title}  {pair:>{max(0, width - len(title) - 2)}}"


def _guests(shown: Snapshot, width: int, height: int) -> Iterator[str]:
    """A line for each guest, those in trouble first; the others are counted when there are many."""
    ordered = sorted(shown.guests, key=lambda guest: (_is_well(guest), guest.name))
    room = len(ordered) if shown.verdict is Verdict.PROTECTED else max(1, height // SHARE)
    if len(ordered) > room:
        ordered, rest = ordered[: room - 1], ordered[room - 1 :]
    else:
        rest = []
    column = max((len(guest.name) for guest in ordered), default=0)
    for guest in ordered:
        yield guest_line(shown, guest, column)
    if rest:
        running = sum(1 for guest in rest if guest.runs_on)
        yield f"and {len(rest)} more guests: {running} running"


def guest_line(shown: Snapshot, guest: GuestView, column: int) -> str:
    """Where it runs and how its copies are, behind its name in a COLUMN so wide."""
    address = f", {guest.address}" if guest.address else ""
    copies = _only_copy(guest) if shown.is_vacant else _copies(guest)
    return f"{guest.name:<{column}}  {_where(guest)}, {copies}{address}"


def _is_well(guest: GuestView) -> bool:
    is_as_meant = len(guest.runs_on) == (0 if guest.target in MEANT else 1)
    return is_as_meant and guest.is_in_sync


MEANT = (Target.STOPPED, Target.OFF)
OFF = {
    Target.STOPPED: "stopped by you",
    Target.OFF: "switched itself off",
    Target.FAILED: "given up",
}


def _where(guest: GuestView) -> str:
    if guest.runs_on:
        return f"on {' AND '.join(guest.runs_on)}"
    return OFF.get(Target(guest.target), "not running")


def _only_copy(guest: GuestView) -> str:
    return "one copy" if guest.disk == Disk.UP_TO_DATE else f"one copy, {guest.disk or '?'}"


def _copies(guest: GuestView) -> str:
    if guest.is_split_brain:
        return "SPLIT BRAIN"
    if guest.is_in_sync:
        return f"mirrored{_compared(guest)}"
    disks = f"{guest.disk or '?'}/{guest.peer_disk or '?'}"
    return f"{guest.link or 'DRBD silent'}{_progress(guest)}, {disks}"


def _progress(guest: GuestView) -> str:
    return "" if guest.resync is None else _so_far(guest.resync.percent, guest.resync.seconds)


def _compared(guest: GuestView) -> str:
    now = guest.verification
    if not now.is_under_way:
        return ""
    return ", being verified" + ("" if now.percent is None else _so_far(now.percent, now.seconds))


def _so_far(percent: float, seconds: int | None) -> str:
    left = "nothing moves" if seconds is None else f"{span(seconds)} left"
    return f" {percent:.1f} %, {left}"


def verified(guest: GuestView, wall: float) -> str:
    """When the two copies were last compared, and what that found: a line without a name."""
    known = guest.verification
    if known.differs and not known.is_past:
        copied = " and were copied since" * bool(known.copied_from)
        found = f"{size(known.differs)} differed{copied}"
    else:
        found = "they were the same"
        if known.noted:
            found += f", but for {size(known.noted)} that you know of"
    if known.at is None:
        return "its two copies were never compared" + f"; {found}" * bool(known.differs)
    told = f"{span(wall - known.at)} ago" if known.at <= wall else "at a time that is to come"
    return f"its two copies were last compared {told}: {found}"


def _outlook(shown: Snapshot, width: int, height: int) -> list[str]:
    """What would become of the guests, cut short while something else must be said too."""
    lines = [line for said in readiness.sentences(shown) for line in _fold(said, width)]
    room = len(lines) if shown.verdict is Verdict.PROTECTED else max(1, height // OUTLOOK_SHARE)
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], f"{lines[room - 1][: max(0, width - 4)]} ..."]


def _nodes(shown: Snapshot, now: float) -> Iterator[str]:
    """What is known of each machine."""
    for node in shown.nodes[:1] if shown.is_vacant else shown.nodes:
        if node.last_word is None:
            yield f"{node.name}: not heard since this machine started"
            continue
        armed = "armed" if node.is_armed else "NOT armed"
        gateway = "answers" if node.has_gateway else "does NOT answer"
        yield f"{node.name}: {_presence(node, now)}, watchdog {armed}, gateway {gateway}"


def _presence(node: NodeView, now: float) -> str:
    leaving = ", leaving" * node.is_leaving + ", in maintenance" * bool(node.in_maintenance)
    if node.is_me:
        return f"this machine{leaving}"
    if node.is_heard:
        return f"heard{leaving}"
    return f"silent for {age(node.last_word, now)}{leaving}; before that"


def _lately(shown: Snapshot) -> Iterator[str]:
    """What was decided here, the newest first: what is cut off is the oldest."""
    if shown.lately:
        yield "Decided here lately (UTC):"
    for at, what in shown.lately:
        yield f"  {clock(at, shown.wall)} {what}"


def memory_line(node: NodeView) -> str:
    """What NODE has for guests."""
    if node.memory < 0:
        return f"{node.name}: how much memory it has for guests is not known"
    left = max(0, node.memory - node.memory_used)
    when = "" if node.is_heard else ", when it was heard last"
    return (
        f"{node.name}: {node.memory} MiB of memory for guests, {node.memory_used} used, {left} left"
        f"{when}"
    )


def _details(shown: Snapshot, now: float) -> Iterator[str]:
    if not shown.is_vacant:
        yield from _ways(shown, now)
    yield from (memory_line(node) for node in shown.nodes if node.memory >= 0)
    if shown.scale != 1:
        yield f"Time scale {shown.scale:g}: every timer is stretched. Only for emulated machines."
    for guest in shown.guests:
        there = f", {guest.peer_phase} on {shown.peer}" if guest.peer_phase else ""
        yield (
            f"{guest.name}: {guest.phase} on {shown.me}{there}, term {guest.term}"
            f"{', alone' if guest.is_alone else ''}; DRBD {guest.link or 'silent'}, "
            f"{guest.disk or '?'}/{guest.peer_disk or '?'}"
        )
        if not shown.is_vacant:
            yield f"  {verified(guest, shown.wall)}"
        if guest.missing and not guest.runs_on:
            yield f"  before it may start on {shown.me}: {'; '.join(guest.missing)}"


def _ways(shown: Snapshot, now: float) -> Iterator[str]:
    """Between the two machines, and what is to be done without them."""
    heard = ", ".join(
        f"{path.name} {age(path.last_word, now)}{' (one way)' * _is_deaf(path)}"
        for path in shown.paths
    )
    yield f"Heard: {heard}"
    links = shown.heartbeat
    if links is not None:
        yield f"heartbeat: {', '.join(f'{link} {_up(is_up)}' for link, is_up in links)}"
    yield f"If both cables fail at once: {shown.policy}"


def _is_deaf(path: PathView) -> bool:
    return path.last_word is not None and not path.is_two_way


def _up(is_up: bool) -> str:
    return "up" if is_up else "DOWN"


def _fold(text: str, width: int) -> list[str]:
    """TEXT in lines of WIDTH, the later ones as far in as the first."""
    indent = " " * min(len(text) - len(text.lstrip()) + 2 * text.startswith(("!", "*")), width // 4)
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False) or [""]
