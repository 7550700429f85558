# SPDX-License-Identifier: MIT
"""Makes the snapshot: what the agent knows, turned into what a person needs.

Pure. It must not decide anything that the core decides; whether the pair is protected is a
sentence about the state, and changes nothing.
"""

from haagent.console import facts
from haagent.console.complaints import ranking, ways
from haagent.console.complaints.complaint import Complaint, Missing
from haagent.console.snapshot import (
    ChoiceView,
    GuestView,
    LanView,
    NodeView,
    OutlookView,
    PathView,
    ResyncView,
    Snapshot,
    Verdict,
    VerificationView,
)
from haagent.console.surroundings import Surroundings
from haagent.core import fitting, lacking, moving, proofs, relocating, resolving, together
from haagent.core.foresight import Fate
from haagent.core.model import (
    NEVER,
    PRESENT,
    GuestHello,
    Link,
    NodeState,
    Path,
    PathState,
    Resource,
)
from haagent.storage.verification import Verified

OUTDATED = 20.0  # seconds; whoever looks ahead does so every few of them


def snapshot(state: NodeState, missing: Missing, around: Surroundings | None = None) -> Snapshot:
    """STATE for a person. MISSING says what stands in the way of a start, as core/lacking.py does.

    Without AROUND nothing is known of heartbeat, and the pair does not count as protected.
    """
    around = around or Surroundings()
    me, peer = together.names(state)
    found = ranking.find(state, around, missing)
    return Snapshot(
        me=me,
        peer=peer,
        at=state.now,
        wall=around.wall,
        verdict=_verdict(state, found),
        complaints=found,
        notes=ranking.notes(state, around),
        nodes=(_me(state), _peer(state)),
        guests=tuple(_guest(state, around, guest, missing) for guest in state.guests),
        paths=tuple(_path(state, path) for path in Path),
        heartbeat=None if around.heartbeat is None else tuple(sorted(around.heartbeat.items())),
        referee=ways.referee_sentence(state),
        lan=_lan(state),
        policy=str(state.pair.policy),
        is_vacant=proofs.is_vacant(state),
        scale=state.pair.scale,
        lately=tuple((at, what.removeprefix(f"{me}: ")) for at, what in around.lately),
    )


def _lan(state: NodeState) -> LanView:
    change, hello = state.durable.lan, state.peer.hello
    is_told = hello is not None and facts.is_talking(state) and hello.lan.number == change.number
    return LanView(
        number=change.number,
        words=relocating.in_words(change) if change.number else "",
        stage=str(change.stage),
        is_open=change.stage in relocating.OPEN,
        peer_stage=str(hello.lan.stage) if hello and is_told else "",
        runs=state.pair.lan,
        peer_runs=hello.lan_runs if hello else -1,
        files=state.lan_files,
        is_settled=proofs.is_lan_settled(state),
        blocker=relocating.blocker(state),
        troubles=(state.lan_trouble, hello.lan_trouble if hello else ""),
    )


def _verdict(state: NodeState, found: tuple[Complaint, ...]) -> Verdict:
    if not all(facts.is_as_meant(state, guest) for guest in state.guests):
        return Verdict.STOPPED
    return Verdict.NOT_PROTECTED if found else Verdict.PROTECTED


def _guest(state: NodeState, around: Surroundings, guest: str, missing: Missing) -> GuestView:
    mine, ledger = state.guests[guest], state.durable.ledgers[guest]
    hello = facts.hello_of(state, guest)
    resource = mine.resource
    return GuestView(
        name=guest,
        runs_on=facts.runs_on(state, guest),
        phase=str(mine.phase),
        peer_phase=str(hello.phase) if hello and facts.is_talking(state) else "",
        term=ledger.term,
        newest_term=max(ledger.term, ledger.theirs),
        link=str(resource.link) if resource else "",
        disk=str(resource.disk) if resource else "",
        peer_disk=str(resource.peer_disk) if resource else "",
        peer_says=str(hello.disk) if hello else "",
        is_in_sync=mine.is_in_sync,
        in_sync_at=around.in_sync_at.get(guest),
        is_alone=ledger.alone is not None,
        is_split_brain=facts.is_split_brain(state, guest),
        missing=() if mine.phase in PRESENT else tuple(missing(state, guest)),
        unstartable=lacking.unstartable(state, guest),
        blocker=moving.blocker(state, guest),
        ours=_our_history(state, guest, resource),
        theirs=_their_history(state, hello),
        address=around.addresses.get(guest, ""),
        outlook=_outlook(state, around, guest),
        resync=_resync(around, guest, resource),
        choice=_choice(state, guest),
        is_proposed=mine.proposal is not None,
        unfit=tuple(resolving.blocker(state, guest, node) for node in (0, 1)),
        troubles=(mine.trouble, facts.troubles_of_peer(state).get(guest, "")),
        differs=(state.measured.differs.get(guest, -1), hello.differs if hello else -1),
        target=str(ledger.wish.target),
        copy_needs=state.measured.needs.get(guest, -1),
        takes=state.measured.takes.get(guest, -1),
        verification=_verification(around, guest),
    )


def _choice(state: NodeState, guest: str) -> ChoiceView | None:
    choice, hello = state.durable.ledgers[guest].choice, facts.hello_of(state, guest)
    if not choice.number:
        return None
    # Whether it is kept is told by the machine that keeps it.
    is_ours = choice.node != state.me
    told = hello.choice if hello and hello.choice.number == choice.number else None
    return ChoiceView(
        number=choice.number,
        counts=state.pair.names[choice.node],
        given_up=state.pair.names[1 - choice.node],
        stamp=choice.stamp,
        is_open=choice.is_open,
        is_agreed=choice.is_agreed,
        is_kept=choice.is_kept if is_ours else told is not None and told.is_kept,
    )


def _outlook(state: NodeState, around: Surroundings, guest: str) -> OutlookView | None:
    """What was foreseen, unless that was about another situation than the present one."""
    found = around.outlooks.get(guest)
    if found is None or found.phase is not state.guests[guest].phase:
        return None
    age = state.now - found.at
    if age > OUTDATED * state.pair.scale:
        return None
    if found.fate is Fate.NOT:
        return OutlookView(found.fate, None, found.missing)
    # While the peer speaks its death is always still to come; else the wait has begun.
    waited = 0.0 if facts.is_talking(state) else age
    return OutlookView(found.fate, round(max(0.0, found.seconds - waited), 1), ())


def _resync(around: Surroundings, guest: str, resource: Resource | None) -> ResyncView | None:
    found = around.resyncs.get(guest)
    is_under_way = resource is not None and resource.link in (Link.SYNC_SOURCE, Link.SYNC_TARGET)
    if found is None or not is_under_way:
        return None
    return ResyncView(found.percent, found.seconds)


def _verification(around: Surroundings, guest: str) -> VerificationView:
    known = around.verified.get(guest, Verified())
    finding, progress = known.finding, known.progress
    return VerificationView(
        at=finding.at,
        differs=finding.differs,
        since=finding.since,
        copied_from=finding.copied_from,
        is_past=finding.is_past,
        is_first=finding.is_first,
        noted=finding.noted,
        is_under_way=known.is_under_way,
        percent=progress.percent if progress else None,
        seconds=progress.seconds if progress else None,
    )


def _our_history(state: NodeState, guest: str, resource: Resource | None) -> tuple[str, ...]:
    ledger = state.durable.ledgers[guest]
    sentences = [f"its data belongs to term {ledger.term}"]
    if ledger.theirs > ledger.term:
        sentences.append(f"the peer has had it since, in term {ledger.theirs}")
    if resource is None:
        sentences.append("DRBD has not told what it is")
    else:
        sentences.append(f"DRBD calls it {resource.disk}, and the peer's {resource.peer_disk}")
    if ledger.alone is not None:
        sentences.append(f"it was written to without the peer: {ledger.alone}")
    if ledger.by_operator:
        sentences.append("a person chose it once, and the two have not met since")
    if state.peer.connected == NEVER:
        sentences.append("the two copies have not met since this machine started")
    return tuple(sentences)


def _their_history(state: NodeState, hello: GuestHello | None) -> tuple[str, ...]:
    if hello is None:
        return ("nothing was heard of it since this machine started",)
    sentences = [
        f"its data belongs to term {hello.term}",
        f"DRBD there calls it {hello.disk}",
        f"the guest was {hello.phase} there",
    ]
    if hello.is_alone:
        sentences.append("it was written to without us")
    if not facts.is_talking(state):
        sentences.append("all this is what the peer said last; it is silent now")
    return tuple(sentences)


def _path(state: NodeState, path: Path) -> PathView:
    heard = state.peer.paths.get(path, PathState())
    return PathView(
        name=str(path),
        last_word=facts.moment(heard.last_word),
        is_two_way=facts.is_recent(state, heard.two_way),
    )


def _me(state: NodeState) -> NodeView:
    return NodeView(
        name=together.names(state)[0],
        is_me=True,
        is_heard=True,
        last_word=state.now,
        is_leaving=state.left is not None or state.is_fenced,
        in_maintenance=state.durable.in_maintenance,
        is_armed=state.is_armed,
        has_gateway=facts.is_answered(state),
        number=state.me,
        room=state.measured.room,
        release=state.pair.release,
        format=state.pair.formats[0],
        memory=state.measured.memory,
        memory_used=fitting.used(state, state.me),
    )


def _peer(state: NodeState) -> NodeView:
    hello = state.peer.hello
    return NodeView(
        name=together.names(state)[1],
        is_me=False,
        is_heard=facts.is_talking(state),
        last_word=facts.moment(state.peer.hello_at),
        is_leaving=hello is not None and hello.is_leaving,
        in_maintenance=hello.in_maintenance if hello else None,
        is_armed=hello.figures.is_armed if hello else None,
        has_gateway=hello.has_referee if hello else None,
        number=1 - state.me,
        room=hello.room if hello else -1,
        release=hello.release if hello else "",
        format=state.peer.format,
        memory=hello.memory if hello else -1,
        memory_used=fitting.used(state, 1 - state.me),
    )
