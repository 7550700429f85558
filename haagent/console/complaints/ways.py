# SPDX-License-Identifier: MIT
"""Complaints about what lies between the machines: paths, addresses, the gateway, heartbeat."""

from collections.abc import Iterator

from haagent.console.alarms import Alarm
from haagent.console.complaints.complaint import Complaint
from haagent.console.facts import hello_of, is_answered, is_recent, is_talking
from haagent.console.surroundings import Surroundings
from haagent.core.model import LanStage, NodeState, Path, PathState
from haagent.core.proofs import is_lan_settled
from haagent.core.relocating import OPEN
from haagent.core.together import names

OWN_PATHS = {
    Path.CROSSOVER: ("the crossover cable", "Look at that cable and at its lamps on both sides."),
    Path.LAN: ("the LAN", "Look at the LAN cables of both machines and at the switch."),
}


def lan(state: NodeState) -> Iterator[Complaint]:
    """About addresses that are being changed."""
    me, peer = names(state)
    change = state.durable.lan
    if not _lan_changes(state):
        if state.lan_files != state.pair.lan:
            yield Complaint(
                Alarm.LAN_CHANGES,
                f"{me} has not written its new address to its stick yet.",
                "It would start with the old one, and take the new one up again then.",
                "Wait a minute. If this stays: `journalctl -b -t shoestring-lan` says why.",
            )
        return
    waits = change.stage is LanStage.PROVEN and state.pair.lan != change.number
    yield Complaint(
        Alarm.LAN_CHANGES,
        "The addresses on the LAN are being changed.",
        f"{me} is back at its old address: {peer} has not said yet whether the new ones stay."
        if waits
        else f"Guests stay where they run; until that is done neither {me} nor {peer} takes over.",
        f"Switch {peer} on, or bring the crossover cable back."
        if waits
        else "Wait, and leave both machines on.",
    )


def crossing(state: NodeState, around: Surroundings) -> Iterator[Complaint]:
    """About a crossover that leads to the LAN. While the two hear each other it is the crossover
    alone; else the LAN leads to the crossover as well, and the gateway tells at which of them.
    """
    if not is_recent(state, around.crossed_at):
        return
    me, peer = names(state)
    means = (
        "The crossover leads to the LAN. If the mirror works at all, what guests write goes that "
        "way, and one switch that fails takes both cables."
    )
    do = "Lead the crossover cable from card to card, with no switch between."
    if not is_talking(state):
        which = peer if is_answered(state) else me
        means = f"The two cables of {which} are exchanged, so nothing it says gets through."
        do = f"Exchange the two cables of {which}. If it stays so: {do[0].lower()}{do[1:]}"
    yield Complaint(
        Alarm.CROSSOVER_TO_LAN, f"The LAN card of {peer} is heard on the crossover.", means, do
    )


def paths(state: NodeState) -> Iterator[Complaint]:
    """About the ways to a peer that is heard on one of them at least."""
    me, peer = names(state)
    if not is_talking(state):
        return
    for path, (way, look) in OWN_PATHS.items():
        heard = _path(state, path)
        if not is_recent(state, heard.last_word):
            yield Complaint(
                Alarm.PATH_SILENT,
                f"Nothing comes from {peer} over {way}.",
                "The other way still works. If it fails too, no machine knows of the other.",
                look,
            )
        elif not is_recent(state, heard.two_way):
            yield Complaint(
                Alarm.PATH_ONE_WAY,
                f"{peer} does not hear {me} over {way}.",
                "It works in one direction only, and does not count.",
                look,
            )


def strangers(state: NodeState, around: Surroundings) -> Iterator[Complaint]:
    """A note about who speaks without the pair's key: anybody can, so it takes nothing from the
    verdict.
    """
    me, peer = names(state)
    for path, (way, _) in OWN_PATHS.items():
        stranger = around.strangers.get(path)
        if stranger is None or not is_recent(state, stranger.at):
            continue
        yield Complaint(
            Alarm.STRANGER,
            f"A machine without this pair's key speaks over {way}, from {stranger.address}.",
            "It may be one of another pair. It is refused, and nothing moves because of it.",
            f"See that the cable leads from {me} to {peer}, and nowhere else."
            if path is Path.CROSSOVER
            else f"Find who has that address: it takes {me} for the other half of its own pair.",
        )


def gateway(state: NodeState) -> Iterator[Complaint]:
    """About the referee, and what was promised for want of one."""
    # Addresses change without a referee, by promises: it is not the router that is to be looked at.
    if not _lan_changes(state):
        yield from _promises(state)
        yield from _referee(state)


def _promises(state: NodeState) -> Iterator[Complaint]:
    me, peer = names(state)
    for guest in state.guests:
        hello = hello_of(state, guest)
        ours = state.durable.ledgers[guest].stands_down
        theirs = hello is not None and hello.stands_down
        for name in (*[me] * ours, *[peer] * theirs):
            yield Complaint(
                Alarm.STANDS_DOWN,
                f"{name} stands down for {guest}.",
                f"It promised not to start {guest} while no gateway answers both machines.",
                "Bring the gateway back. The promise is then given back by itself.",
            )


def referee_sentence(state: NodeState) -> str:
    """Whom the gateway answers."""
    me, peer = names(state)
    if state.usable_since is not None:
        return f"answers {me} and {peer}"
    hello = state.peer.hello
    deaf = [me] * (not is_answered(state))
    if hello is not None and is_talking(state):
        deaf += [peer] * (not hello.has_referee)
        return f"does not answer {' and '.join(deaf)}" if deaf else "answers, but not reliably yet"
    return f"does not answer {me}" if deaf else f"answers {me}"


def _referee(state: NodeState) -> Iterator[Complaint]:
    me, _ = names(state)
    if state.usable_since is not None or (not is_talking(state) and is_answered(state)):
        return  # a silent peer has a complaint of its own
    yield Complaint(
        Alarm.NO_REFEREE,
        f"No referee: the gateway {referee_sentence(state)}.",
        "Neither machine could tell whether it is the one cut off, so none takes over."
        if is_talking(state)
        else f"{me} may be the one cut off, so it takes nothing over.",
        "Look at the router and the LAN. `haagent show-config` lists the referees.",
    )


def heartbeat(state: NodeState, around: Surroundings) -> Iterator[Complaint]:
    """What heartbeat alone tells: of a silent cable, or peer, somebody else complains."""
    if not around.heartbeat:
        is_deaf = around.heartbeat is None
        yield Complaint(
            Alarm.HEARTBEAT_SILENT if is_deaf else Alarm.HEARTBEAT_NO_LINK,
            "heartbeat does not answer."
            if is_deaf
            else "heartbeat has no link to the other machine.",
            "A third way of hearing the other machine is missing.",
            "It is restarted by itself. If this stays: `systemctl status heartbeat`.",
        )
        return
    if not is_talking(state):
        return
    silent = {
        path.lower() for path in OWN_PATHS if not is_recent(state, _path(state, path).last_word)
    }
    dead = sorted(link for link, is_up in around.heartbeat.items() if not is_up)
    if not dead and around.is_heartbeat_deaf:
        _, peer = names(state)
        yield Complaint(
            Alarm.HEARTBEAT_DEAF,
            f"Nothing of {peer} comes by heartbeat, though both cables carry its words.",
            f"heartbeat hears {peer} and takes what it says for old words. A third way is missing.",
            "It is started again by itself. If this stays: `systemctl status heartbeat`.",
        )
    for link in dead:
        if link.lower() not in silent:
            yield Complaint(
                Alarm.HEARTBEAT_LINK_DOWN,
                f"heartbeat hears nothing on {link}.",
                "We do hear the other machine there. One of its ways to us is down.",
                "It mends by itself. If this stays: `systemctl status heartbeat`.",
            )


def _lan_changes(state: NodeState) -> bool:
    return state.durable.lan.stage in OPEN or not is_lan_settled(state)


def _path(state: NodeState, path: Path) -> PathState:
    return state.peer.paths.get(path, PathState())
