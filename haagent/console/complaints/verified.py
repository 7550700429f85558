# SPDX-License-Identifier: MIT
"""What verifications of a guest's two copies have found: a complaint until it is settled, and a
note where it settled itself and nobody has seen that.
"""

from collections.abc import Iterator

from haagent.console.alarms import Alarm
from haagent.console.complaints.complaint import Complaint
from haagent.console.facts import runs_on
from haagent.console.sizes import size
from haagent.console.surroundings import Surroundings
from haagent.console.times import since
from haagent.core.model import NodeState
from haagent.core.together import names
from haagent.storage.findings import NOT_SEEN, Finding


def differing(state: NodeState, around: Surroundings, guest: str) -> Iterator[Complaint]:
    """GUEST's two copies differ, or did when they were last compared."""
    finding = _finding(around, guest)
    if not finding.is_open:
        return
    me, peer = names(state)
    if finding.copied_from:
        yield Complaint(
            Alarm.COPIES_DIFFER,
            f"{guest}: {size(finding.differs)} differed between its two copies.",
            f"That was found {_when(finding, around)}. Since then {_source(finding)} was copied "
            "over the other one, as in every resync. Nobody knows whether that was the right one.",
            f"Look at the data in {guest}. `shoestring guest verify {guest}` tells whether the two "
            f"are the same now. {_note(guest)}",
        )
        return
    where = " and ".join(runs_on(state, guest))
    runs = f"{guest} goes on with the one on {where}. " if where else ""
    yield Complaint(
        Alarm.COPIES_DIFFER,
        f"{guest}: {size(finding.differs)} differ between the copies on {me} and {peer}.",
        f"That was found {_when(finding, around)}. Which copy is right cannot be told, and nothing "
        f"was changed. {runs}The next resync copies what differs from the machine that runs "
        f"{guest} then.",
        "Before you restart a machine, look for disk errors on both (`journalctl -k`), and have "
        f"the data in {guest} checked, on either copy. {_note(guest)}",
    )


def settled(state: NodeState, around: Surroundings) -> Iterator[Complaint]:
    """Of all guests: the two are the same again, and nobody has taken note of how; or they never
    were the same everywhere.
    """
    for guest in state.guests:
        finding = _finding(around, guest)
        if finding.is_first:
            yield _first(guest, finding, around)
        elif finding.differs and finding.is_past:
            yield Complaint(
                Alarm.COPIES_DIFFERED,
                f"{guest}: {size(finding.differs)} differed between its two copies, and do not "
                "any more.",
                f"That was found {_when(finding, around)}. Since then {_source(finding)} was "
                "copied over the other one. Nobody knows whether that was the right one.",
                f"Look at the data in {guest}. {_note(guest)}",
            )


def _first(guest: str, finding: Finding, around: Surroundings) -> Complaint:
    then = "A resync has made them the same since." if finding.copied_from else ""
    return Complaint(
        Alarm.COPIES_NEVER_SAME,
        f"{guest}: {size(finding.differs)} differed when its two copies were first compared.",
        f"That was found {_when(finding, around)}. What no guest has written yet is as each data "
        f"disk had it. {then}".rstrip(),
        f"Nothing has to be done. {_note(guest)}",
    )


def _finding(around: Surroundings, guest: str) -> Finding:
    found = around.verified.get(guest)
    return found.finding if found else Finding()


def _when(finding: Finding, around: Surroundings) -> str:
    return f"on {since(finding.since or 0.0, around.wall)}"


def _source(finding: Finding) -> str:
    if finding.copied_from == NOT_SEEN:
        return "one of them, that of the machine that ran it,"
    return f"the one on {finding.copied_from}"


def _note(guest: str) -> str:
    return f"`shoestring guest verified {guest}` on each machine ends this."
