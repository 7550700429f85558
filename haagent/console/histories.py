# SPDX-License-Identifier: MIT
"""What a person is shown who chooses between two copies of a disk: how each came about, what a
choice would give up, and how far it is.

Pure, and only words: whether something can be chosen is core/resolving.py's to say.
"""

from dataclasses import dataclass

from haagent.console.sizes import size
from haagent.console.snapshot import GuestView, Snapshot
from haagent.console.times import since, span
from haagent.core.model import Link, Phase

STEP = 5  # percent between two lines about one resync


@dataclass(frozen=True, slots=True)
class GroundsView:
    """What a choice would mean."""

    node: int  # whose copy counts
    given_up: str  # the name of the other one
    stamp: str  # "": nothing is kept
    lines: tuple[str, ...]

    @property
    def keeps(self) -> bool:
        return bool(self.stamp)


def histories(shown: Snapshot, view: GuestView) -> list[str]:
    """Both copies, side by side, and where the guest is."""
    same = "never, as far as is known"
    if view.in_sync_at is not None:
        same = since(view.in_sync_at, shown.wall)
    where = " and ".join(view.runs_on)
    lines = [
        f"{view.name}: both copies were written without the other, and DRBD will not join them.",
        f"They were last the same: {same}.",
    ]
    for name, sentences, differs in zip(
        (shown.me, shown.peer), (view.ours, view.theirs), view.differs, strict=True
    ):
        lines += ["", f"The copy on {name}:", *(f"  - {sentence}" for sentence in sentences)]
        if differs >= 0:
            lines.append(f"  - {size(differs)} of it were written since, as DRBD counts")
        lines += ["  - the guest runs on it now"] * (name in view.runs_on)
    return [
        *lines,
        "",
        f"{view.name} runs on {where}." if where else f"{view.name} does not run.",
        "One copy will count. The other is given up: what was written only there since then",
        "is lost to the guest.",
    ]


def grounds(shown: Snapshot, view: GuestView, node: int, stamp: str) -> GroundsView:
    """What it means that NODE's copy counts; STAMP is what the other would be kept by."""
    names = {one.number: one.name for one in shown.nodes}
    room = next(one.room for one in shown.nodes if one.number == 1 - node)
    counts, given_up, name = names[node], names[1 - node], view.name
    is_resting = any(one.in_maintenance for one in shown.nodes if one.number == node)
    lines = ["", f"The copy on {counts} counts. {given_up} gives up its own."]
    if given_up in view.runs_on:
        lines.append(
            f"{name} is shut down on {given_up} first; what it writes until then is given up, too."
        )
    if is_resting and counts not in view.runs_on:
        lines += [
            f"{counts} IS IN MAINTENANCE: {name} does not start there. It is off until all is",
            f"copied, which may take hours, or until `shoestring maintenance off` on {counts}.",
        ]
    elif given_up in view.runs_on:
        lines.append(f"It starts on {counts} as soon as the copying has begun.")
    elif counts in view.runs_on:
        lines.append(f"{name} goes on on {counts} all the time.")
    else:
        lines.append(f"{name} starts when the copying has begun.")
    is_known, needs = room >= 0 and view.copy_needs >= 0, view.copy_needs
    if is_known and room < needs:
        lines += [
            f"There is no room on {given_up} to keep a copy of what is given up:",
            f"it takes {needs} MiB, {room} MiB are free, {needs - room} MiB are missing.",
        ]
        return GroundsView(node, given_up, "", tuple(lines))
    lines.append(f"What is given up is kept first, on {given_up}, as {name}-before-{stamp}")
    lines.append(
        f"({needs} of {room} MiB that are free there)."
        if is_known
        else "(whether there is room is not known yet; without it nothing is given up)."
    )
    return GroundsView(node, given_up, stamp, tuple(lines))


def stage(shown: Snapshot, view: GuestView) -> str:
    """How far the choice is, in words that change only when it gets on."""
    name, choice = view.name, view.choice
    if choice is None or not choice.is_open:
        return f"{name}: the choice is done with"
    counts, given_up = choice.counts, choice.given_up
    if view.link in (Link.SYNC_SOURCE, Link.SYNC_TARGET):
        if view.resync is None:
            return f"{given_up} is being brought up to date"
        percent = int(view.resync.percent) // STEP * STEP
        left = view.resync.seconds
        estimate = "" if left is None or percent else f", about {span(left)}"
        return f"{given_up} is being brought up to date, {percent} %{estimate}"
    for whose, trouble in zip((shown.me, shown.peer), view.troubles, strict=True):
        if trouble:
            return f"{whose}: {trouble}; it is tried again (`shoestring resolve {name}` tells more)"
    if not any(node.is_heard for node in shown.nodes if not node.is_me):
        return f"Waiting for {shown.peer}, which is silent"
    phase = view.phase if given_up == shown.me else view.peer_phase
    if phase not in (Phase.RELEASED, ""):
        return f"{name} is being shut down on {given_up}"
    if choice.stamp and not choice.is_kept:
        return f"Keeping a copy on {given_up}"
    return f"{given_up} gives up its copy, and waits for {counts}"
