# SPDX-License-Identifier: MIT
"""`shoestring factory-reset`: says what is lost, has a person agree to it, and leaves the pair.

It erases nothing: it writes the mark of firstboot/forgetting.py and restarts the machine, which
then forgets the pair before anything of it starts. Until the mark is written this machine is one
half of its pair, whatever fails.
"""

import socket
from dataclasses import dataclass
from typing import Any

from firstboot import forgetting
from firstboot.forgetting import Hands, Mark
from firstboot.probe import Disk
from firstboot.question import TELLING, telling
from firstboot.wording import size
from haagent import config, handover
from haagent.asking import ask
from haagent.client import AgentSilent
from haagent.command import Places, is_at_a_terminal, look
from haagent.console import prospects
from haagent.console.snapshot import GuestView, Snapshot, from_dict
from haagent.core.model import Disk as DiskState
from haagent.errors import OperatorError, ToolError
from haagent.folding import folded
from haagent.guests.xen import LIST, parse_list
from haagent.storage.kept import Kept

LIMIT = 60.0  # seconds for one program
RETURN = "It has signed off: `shoestring reboot` brings it back into the pair."


@dataclass(frozen=True, slots=True)
class Loss:
    """What is known before anybody agrees. Without an agent, PEER and GUESTS say little."""

    me: str
    peer: str
    disk: Disk | None  # None: it is not there
    identity: str  # of its physical volume
    safe: tuple[str, ...]  # guests that go on at the peer, from its own copy
    last: tuple[str, ...]  # guests of which nobody knows a newer copy than the one here
    is_agent_there: bool
    kept: tuple[str, ...] | None = ()  # copies of given-up data on the disk; None: LVM does not say
    is_vacant: bool = False  # there is no peer

    @property
    def consent(self) -> str:
        """What has to be typed."""
        return self.me if self.disk is None else telling(self.disk.serial) or self.me


def leave_the_pair(places: Places, hands: Hands | None = None) -> None:
    """Returns when the machine goes down to forget. Raises ShoestringError: nothing is forgotten,
    and the message says what became of this machine.
    """
    if not is_at_a_terminal():
        raise OperatorError(
            "Nothing was done: a machine forgets its pair only for a person at a terminal.",
            "Type the command yourself; no script may do it.",
        )
    hands = hands or _appliance()
    loss = _loss(places, hands)
    for paragraph in words(loss):
        print("\n".join(folded(paragraph)))
    if ask(f"{_asked(loss)}: ").upper() != loss.consent.upper():
        raise OperatorError(
            "Nothing was done: that was something else.", "Say it again if you want it."
        )
    # The world may have moved while the person was reading.
    if _loss(places, hands) != loss:
        raise OperatorError("Nothing was done: what is lost has changed.", "Look at it again.")
    if loss.is_agent_there:
        _sign_off(places, loss)
    hands.write(
        forgetting.to_file(Mark(loss.identity, loss.disk.serial if loss.disk is not None else ""))
    )
    print(f"{loss.me} restarts now, forgets the pair, and then starts as if it were new.")
    try:
        places.run(("systemctl", "reboot"), timeout=LIMIT)
    except ToolError as error:
        raise OperatorError(
            f"{loss.me} does not restart: {error}.",
            "Switch it off and on. It forgets its pair when it starts, and not before.",
        ) from error


def words(loss: Loss) -> list[str]:
    """What would be lost, and what becomes of the other machine; a paragraph each."""
    me, peer, disk = loss.me, loss.peer, loss.disk
    found = [f"{me} leaves its pair with {peer}, for good, and becomes a blank machine."]
    if loss.is_vacant:
        found = [f"{me} forgets all that it is, for good, and becomes a blank machine."]
    if disk is None:
        found.append(
            "Its data disk is not there, or cannot be read. If it is plugged in again, it still"
            " holds the guests."
        )
    else:
        found.append(
            f"ERASED: the data disk {disk.model}, {size(disk.size)}, serial {disk.serial}. It is"
            " made blank, not overwritten: whoever gets it may find data on it."
        )
        if loss.kept is None:
            found.append("LVM does not say whether copies that were kept of given-up data go, too.")
        elif loss.kept:
            found.append(f"ERASED, too: what was kept of given-up data, {', '.join(loss.kept)}.")
    found.append("FORGOTTEN: its name, addresses, keys and password. The logs stay.")
    if not loss.is_agent_there:
        found.append(
            f"The agent of {me} does not answer, so nobody here knows what {peer} has. Look at its"
            " screen first: if it does not show the guests as running there, what is erased here"
            " may be THE LAST COPY."
        )
    if loss.is_vacant:
        only = "what is erased here is THE LAST COPY, but for backups."
        return [*found, *(f"{name}: {only}" for name in loss.last)]
    found += [f"{name} goes on on {peer}, from its own copy." for name in loss.safe]
    found += [
        f"{name}: nothing proves that {peer} has all of it. What is erased here may be THE LAST"
        " COPY."
        for name in loss.last
    ]
    found.append(
        f"{peer} is alone then: it serves on, shows NOT PROTECTED, and looks for {me} for ever."
        f" {me} cannot come back to it; as a blank machine it can become half of a new pair."
    )
    return found


def _asked(loss: Loss) -> str:
    if loss.disk is None or not telling(loss.disk.serial):
        return f"To go on, type the name of this machine, {loss.me}"
    return f"To go on, type the last {TELLING} characters of that serial number"


def _loss(places: Places, hands: Hands) -> Loss:
    """Raises OperatorError if a guest runs here, or ToolError if nobody knows."""
    found = forgetting.our_disk(hands)
    disk, identity = (None, "") if found is None else found
    kept = () if disk is None else _kept(places)
    try:
        shown = look(places)[1]
    except AgentSilent:
        _refuse_domains(places, hands)
        return Loss(socket.gethostname(), "the other machine", disk, identity, (), (), False, kept)
    running = [guest.name for guest in prospects.here(shown)]
    running += [guest.name for guest in shown.guests if shown.me in guest.runs_on]
    if running:
        raise OperatorError(
            f"Nothing was done: {' and '.join(dict.fromkeys(running))} runs on {shown.me}.",
            prospects.to_empty(shown),
        )
    safe = tuple(guest.name for guest in shown.guests if _is_safe(shown, guest))
    last = tuple(guest.name for guest in shown.guests if guest.name not in safe)
    return Loss(
        shown.me, shown.peer, disk, identity, safe, last, True, kept, is_vacant=shown.is_vacant
    )


def _kept(places: Places) -> tuple[str, ...] | None:
    try:
        return Kept(places.run).copies()
    except ToolError:
        return None  # a person who empties a failing disk is told so, and not stopped by it


def _is_safe(shown: Snapshot, guest: GuestView) -> bool:
    """The peer is heard, and runs it from a disk of its own: a Primary may be without one, and
    read all from ours. Of a peer that DRBD has lost ours says nothing; then the peer's own word
    counts. After a split brain ours has writes that the peer has not.
    """
    if guest.is_split_brain:
        return False
    is_whole = guest.peer_disk == DiskState.UP_TO_DATE or (
        guest.peer_disk == DiskState.UNKNOWN and guest.peer_says == DiskState.UP_TO_DATE
    )
    is_heard = any(not node.is_me and node.is_heard for node in shown.nodes)
    return is_heard and guest.runs_on == (shown.peer,) and is_whole


def _refuse_domains(places: Places, hands: Hands) -> None:
    """Without an agent, Xen says whether a guest runs here."""
    if hands.machine().xen is None:
        return
    domains = parse_list(places.run(LIST, timeout=LIMIT))
    if domains:
        names = ", ".join(domain.name or f"number {domain.number}" for domain in domains)
        raise OperatorError(
            f"Nothing was done: guests run here ({names}), and the agent does not answer.",
            "`systemctl status haagent` says why. `xl shutdown NAME` ends one.",
        )


def _sign_off(places: Places, loss: Loss) -> None:
    """The agent's farewell. Raises ShoestringError."""
    newest: list[Snapshot] = []

    def see(data: dict[str, Any]) -> None:
        newest[:] = [from_dict(data)]

    print(f"{loss.me} signs off ...", flush=True)
    handover.leave(see, handover.LEAVE_LIMIT * config.time_scale(places.cmdline), places)
    # safety: the peer may have died just then, and what runs nowhere else has its copy here.
    fewer = [
        guest.name
        for now in newest
        for guest in now.guests
        if guest.name in loss.safe and not _is_safe(now, guest)
    ]
    if fewer:
        raise OperatorError(
            f"Nothing was forgotten: {' and '.join(fewer)} does not run on {loss.peer} any more.",
            RETURN,
        )


def _appliance() -> Hands:
    from firstboot.appliance import Appliance  # it listens for hardware from its beginning

    return Appliance()
