# SPDX-License-Identifier: MIT
"""The invariants one by one: what each lets pass, and the nearest thing to it that it does not.

One that is too strict ends an agent that did right, and with it the guests of its machine.
"""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import actions
from haagent.core.actions import Action, LanOrder
from haagent.core.invariants import InvariantBroken, check
from haagent.core.model import (
    CONNECTED,
    GONE,
    HELD,
    PRESENT,
    Choice,
    Disk,
    Evidence,
    Farewell,
    FenceAnswer,
    LanChange,
    LanStage,
    Link,
    Newest,
    NodeState,
    PeerOff,
    Phase,
    Request,
    Role,
    Taking,
)
from haagent.core.saying import hello
from haagent.core.turn import Decision
from tests.unit.states import (
    HELLO,
    IN_SYNC,
    LATER,
    NOW,
    in_maintenance,
    survivor,
    with_durable,
    with_guest,
    with_ledger,
    with_resource,
)

BY_PROOF = Taking(PeerOff.SELF_FENCED, Newest.UNBROKEN, 2)
BY_PERSON = Taking(PeerOff.OPERATOR, Newest.OPERATOR, 2)


def holds(before: NodeState, after: NodeState, *what: Action) -> None:
    check(before, Decision(after, what, ()))


def breaks(sentence: str, before: NodeState, after: NodeState, *what: Action) -> None:
    with pytest.raises(InvariantBroken, match=sentence):
        holds(before, after, *what)


def ours(**changes: Any) -> NodeState:
    """Node 1, whose term is the highest."""
    return with_guest(with_ledger(survivor(), term=3), taking=BY_PROOF, **changes)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("term", "terms never fall"),
        ("theirs", "terms never fall"),
        ("promise", "promises are numbered upwards"),
        ("returned", "stays given back"),
    ],
)
def test_numbers_that_only_rise(name: str, sentence: str) -> None:
    before = with_ledger(survivor(), **{name: 4})
    holds(before, before)
    holds(before, with_ledger(before, **{name: 6}))
    breaks(sentence, before, with_ledger(before, **{name: 3}))


def test_choices_only_rise() -> None:
    before = with_ledger(survivor(), choice=Choice(4))
    holds(before, before)
    holds(before, with_ledger(before, choice=Choice(6)))
    breaks("choices are numbered upwards", before, with_ledger(before, choice=Choice(3)))


def test_what_was_given_back_is_no_evidence() -> None:
    before = with_ledger(survivor(), returned=3)
    holds(before, with_ledger(before, evidence=0))
    holds(before, with_ledger(before, evidence=4))
    breaks("no evidence", before, with_ledger(before, evidence=3))


@pytest.mark.parametrize("phase", Phase)
def test_whoever_holds_it_owns_the_highest_term(phase: Phase) -> None:
    holds(ours(phase=phase), ours(phase=phase))
    theirs = with_ledger(ours(phase=phase), term=4)
    higher = with_ledger(ours(phase=phase), theirs=4)
    if phase in (Phase.PROMOTING, Phase.CREATING) or phase in HELD:
        breaks("owns its term", theirs, theirs)
        breaks("below a term of the peer", higher, higher)
        holds(ours(phase=phase), with_ledger(ours(phase=phase), theirs=3))
    else:
        holds(theirs, theirs)
        holds(higher, higher)


def test_a_start_names_its_proofs_and_keeps_a_promise() -> None:
    starting = ours(phase=Phase.PROMOTING)
    breaks("both its proofs", starting, with_guest(starting, taking=None))
    promised = with_ledger(starting, stands_down=True)
    breaks("is kept", starting, promised)
    holds(starting, with_guest(promised, taking=BY_PERSON))
    holds(ours(phase=Phase.HOLDING), with_ledger(ours(phase=Phase.HOLDING), stands_down=True))


@pytest.mark.parametrize("disk", Disk)
def test_nobody_goes_on_alone_without_a_disk(disk: Disk) -> None:
    before = with_resource(ours(phase=Phase.HOLDING), disk=disk)
    after = with_ledger(before, term=5, alone=Evidence.GATEWAY)
    if disk in GONE:
        breaks("alone without a disk", before, after)
        breaks("alone without a disk", before, with_guest(after, resource=None))
    else:
        holds(before, after)
    holds(after, after)


def test_the_only_copy_is_not_given_up() -> None:
    only = with_guest(survivor(), is_only_copy=True)
    breaks("is not given up", only, only, actions.Outdate("g"))
    holds(survivor(), only, actions.Outdate("g"))
    holds(only, survivor(), actions.Outdate("g"))


def started(before: NodeState, **changes: Any) -> NodeState:
    mine = {"phase": Phase.PROMOTING, "taking": BY_PROOF} | changes
    return with_guest(with_ledger(before, term=3), **mine)


PROMOTE = actions.Promote("g", True)


def test_a_term_rises_on_disk_before_drbd_is_asked() -> None:
    holds(survivor(), started(survivor()), PROMOTE)
    again = started(survivor())
    breaks("before DRBD is asked", again, started(again), PROMOTE)
    unfresh = with_guest(survivor(), phase=Phase.HOLDING)
    breaks("before DRBD is asked", unfresh, started(survivor()), PROMOTE)
    unrisen = with_ledger(survivor(), term=3)
    breaks("before DRBD is asked", unrisen, started(unrisen), PROMOTE)


@pytest.mark.parametrize("phase", Phase)
def test_drbd_is_asked_to_promote_for_a_start_alone(phase: Phase) -> None:
    if phase is Phase.PROMOTING:
        holds(survivor(), started(survivor()), PROMOTE)
    else:
        breaks("a start alone", survivor(), started(survivor(), phase=phase), PROMOTE)


def test_without_a_stick_nothing_is_started() -> None:
    lost = replace(started(survivor()), is_stateless=True)
    breaks("without a stick", survivor(), lost, PROMOTE)


@pytest.mark.parametrize("disk", Disk)
@pytest.mark.parametrize("link", Link)
def test_no_term_is_taken_for_a_copy_that_drbd_will_not_start(disk: Disk, link: Link) -> None:
    before = with_resource(survivor(), disk=disk, link=link)
    if link in CONNECTED or disk in (Disk.UP_TO_DATE, Disk.CONSISTENT):
        holds(before, started(before), PROMOTE)
    else:
        breaks("will not start", before, started(before), PROMOTE)
    unknown = with_guest(survivor(), resource=None)
    breaks("will not start", unknown, started(unknown), PROMOTE)


def test_in_maintenance_only_a_person_starts_it() -> None:
    before = in_maintenance(survivor())
    breaks("only a person", before, started(before), PROMOTE)
    breaks("only a person", before, with_ledger(before, term=3), PROMOTE)
    holds(before, started(before, taking=BY_PERSON), PROMOTE)


@pytest.mark.parametrize("phase", Phase)
def test_a_domain_is_created_on_a_primary_that_we_hold(phase: Phase) -> None:
    before = ours(phase=phase)
    if phase in (Phase.PROMOTING, Phase.HOLDING):
        holds(before, ours(phase=Phase.CREATING), actions.Create("g"))
    else:
        breaks("a Primary that we hold", before, before, actions.Create("g"))


@pytest.mark.parametrize("phase", Phase)
def test_a_guest_is_asked_once_to_shut_down(phase: Phase) -> None:
    stopping, shut = ours(phase=Phase.STOPPING), actions.Shutdown("g")
    if phase is Phase.STOPPING:
        breaks("asked once", stopping, stopping, shut)
    else:
        holds(ours(phase=phase), stopping, shut)
        breaks("asked once", ours(phase=phase), ours(phase=phase), shut)


CHOSEN = Choice(1, 0, "20260102-0304", True, True, True)
UNCHOSEN: dict[str, Choice] = {
    "a choice that is over": replace(CHOSEN, is_open=False),
    "a choice on one disk alone": replace(CHOSEN, is_agreed=False),
    "a choice of our copy": replace(CHOSEN, node=1),
}
BUSY: dict[str, dict[str, Any]] = {
    "a guest that is here": {"phase": Phase.HOLDING},
    "a domain": {"is_running": True},
    "a Xen that was not asked": {"is_running": None},
    "a DRBD that was not asked": {"resource": None},
}


def test_a_copy_is_given_up_at_a_persons_word_alone() -> None:
    give_up = actions.Discard("g")
    chosen = with_ledger(ours(), choice=CHOSEN)
    holds(chosen, chosen, give_up)
    without = with_ledger(ours(), choice=replace(CHOSEN, stamp="", is_kept=False))
    holds(without, without, give_up)
    unkept = with_ledger(ours(), choice=replace(CHOSEN, is_kept=False))
    breaks("kept first", unkept, unkept, give_up)
    for choice in UNCHOSEN.values():
        other = with_ledger(ours(), choice=choice)
        breaks("on both disks", other, other, give_up)
    for change in BUSY.values():
        breaks("does not run", chosen, with_guest(chosen, **change), give_up)
    breaks("does not run", chosen, with_resource(chosen, role=Role.PRIMARY), give_up)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("answer", [FenceAnswer.PEER_OFF, FenceAnswer.PEER_OUTDATED])
def test_drbd_is_told_only_what_is_proven_on_disk(phase: Phase, answer: FenceAnswer) -> None:
    told, state = actions.AnswerFence("g", answer), ours(phase=phase)
    alone = with_ledger(state, alone=Evidence.GATEWAY)
    holds(state, state, actions.AnswerFence("g", FenceAnswer.UNPROVEN))
    if phase is Phase.PROMOTING:
        holds(state, state, told)
    else:
        breaks("only on proof", state, state, told)
    if phase in (Phase.PROMOTING, Phase.HOLDING, Phase.STOPPING):
        holds(alone, alone, told)
    else:
        breaks("only on proof", alone, alone, told)


FEED = actions.Feed()


def test_who_gave_up_is_not_fed() -> None:
    holds(ours(), ours(), FEED)
    breaks("never fed again", ours(), replace(ours(), is_fenced=True), FEED)


@pytest.mark.parametrize("phase", [Phase.FROZEN, Phase.STOPPING])
def test_a_holder_that_waits_is_not_fed_for_ever(phase: Phase) -> None:
    """From its loss on: 8 s until it is not seen any more, and 7 s for evidence."""

    def waiting(since: float, lost: float) -> NodeState:
        return ours(phase=phase, since=NOW - since, lost=NOW - lost)

    holds(ours(), waiting(15.0 - LATER, 99.0), FEED)
    breaks("not fed for ever", ours(), waiting(15.0, 99.0), FEED)
    if phase is Phase.STOPPING:
        holds(ours(), waiting(99.0, 15.0 - LATER), FEED)
        holds(ours(), with_ledger(waiting(99.0, 99.0), alone=Evidence.GATEWAY), FEED)
        holds(ours(), with_resource(waiting(99.0, 99.0), link=Link.CONNECTED), FEED)
    else:
        breaks("not fed for ever", ours(), waiting(99.0, 15.0 - LATER), FEED)


def test_whoever_cannot_end_a_guest_is_not_fed_for_ever() -> None:
    holds(ours(), ours(phase=Phase.DESTROYING, since=NOW - 5.0 + LATER), FEED)
    breaks("cannot end or see", ours(), ours(phase=Phase.DESTROYING, since=NOW - 5.0), FEED)


@pytest.mark.parametrize("unseen", [{"is_running": None}, {"resource": None}])
def test_whoever_cannot_see_a_guest_is_not_fed_for_ever(unseen: dict[str, Any]) -> None:
    def blind(seconds: float) -> NodeState:
        state = with_ledger(ours(phase=Phase.RELEASED, **unseen), held_in="b1")
        return replace(state, started=NOW - seconds)

    holds(ours(), blind(16.0 - LATER), FEED)
    breaks("cannot end or see", ours(), blind(16.0), FEED)
    holds(ours(), with_ledger(blind(16.0), held_in="b0"), FEED)
    holds(ours(), with_guest(blind(16.0), is_running=False, resource=IN_SYNC), FEED)


@pytest.mark.parametrize(
    "phase", sorted(PRESENT - {Phase.FROZEN, Phase.STOPPING, Phase.DESTROYING})
)
def test_others_are_fed(phase: Phase) -> None:
    state = ours(phase=phase, since=NOW - 99, lost=NOW - 99)
    holds(state, state, FEED)


@pytest.mark.parametrize("link", [Link.CONNECTING, Link.CONNECTED])
@pytest.mark.parametrize("disk", [Disk.OUTDATED, Disk.INCONSISTENT, Disk.UP_TO_DATE])
def test_without_a_stick_a_mark_on_the_disk_is_the_only_consent(disk: Disk, link: Link) -> None:
    state = replace(with_resource(survivor(), disk=disk, link=link), is_stateless=True)
    said = hello(state)
    holds(state, state, actions.SendHello(said, (1,)))
    words = replace(said.guests["g"], grant=Request(1, 4))
    told = actions.SendHello(replace(said, guests={"g": words}), (1,))
    if disk is not Disk.UP_TO_DATE and link is Link.CONNECTING:
        holds(state, state, told)
    else:
        breaks("marked on the data disk", state, state, told)
    with_a_stick = replace(state, is_stateless=False)
    holds(with_a_stick, with_a_stick, told)


def asked(state: NodeState, ours: LanStage, theirs: LanChange | None) -> NodeState:
    """Node 1 with change 2 on disk, and what node 0 says of changes; None: it was never heard."""
    state = with_durable(state, lan=LanChange(2, stage=ours))
    heard = replace(HELLO, lan=theirs) if theirs is not None else None
    return replace(state, peer=replace(state.peer, hello=heard))


@pytest.mark.parametrize("theirs", LanStage)
def test_addresses_are_kept_by_both_and_dropped_by_whoever_may(theirs: LanStage) -> None:
    state, told = survivor(), LanChange(2, stage=theirs)
    before = asked(state, LanStage.AGREED, told)
    if theirs in (LanStage.PROVEN, LanStage.KEPT):
        holds(before, asked(state, LanStage.KEPT, told))
    else:
        breaks("on disk that they work", before, asked(state, LanStage.KEPT, told))
    for unknown in (None, replace(told, number=1)):
        breaks("on disk that they work", before, asked(state, LanStage.KEPT, unknown))
    holds(before, asked(state, LanStage.DROPPED, None))

    proven = asked(state, LanStage.PROVEN, told)
    holds(proven, proven)
    if theirs is LanStage.DROPPED:
        holds(proven, asked(state, LanStage.DROPPED, told))
    else:
        breaks("does not drop the change alone", proven, asked(state, LanStage.DROPPED, told))
    holds(proven, asked(state, LanStage.DROPPED, replace(told, number=1)))
    breaks("does not drop the change alone", proven, asked(state, LanStage.DROPPED, None))
    kept = asked(state, LanStage.KEPT, None)
    holds(kept, kept)


def test_changes_of_the_lan_only_rise() -> None:
    before = asked(survivor(), LanStage.DROPPED, None)
    older = with_durable(before, lan=LanChange(1))
    breaks("LAN are numbered upwards", before, older)
    newer = LanChange(4, stage=LanStage.ASKED)
    holds(before, with_durable(before, lan=newer))


def test_a_stick_that_was_lost_binds_and_gives_nothing_back() -> None:
    lost = replace(ours(), is_stateless=True)
    holds(lost, lost)
    breaks("stays lost", lost, replace(lost, is_stateless=False))
    resting = in_maintenance(lost)
    breaks("cannot be written down", lost, resting)
    holds(ours(), with_ledger(ours(), promise=1, stands_down=True))
    for claim in ({"term": 5}, {"promise": 1}, {"by_operator": True}, {"choice": Choice(2)}):
        breaks("no claim and no promise", lost, with_ledger(lost, **claim))
    full = with_ledger(
        lost, alone=Evidence.GATEWAY, evidence=1, farewell=Farewell("a1", 2, True), held_in="b1"
    )
    for name, gone in (("alone", None), ("evidence", 0), ("farewell", None), ("held_in", "")):
        holds(full, with_ledger(full, **{name: gone}))
    others = {
        "alone": Evidence.STAND_DOWN,
        "evidence": 2,
        "farewell": Farewell("a1", 4, True),
        "held_in": "b2",
    }
    for name, other in others.items():
        breaks("no claim and no promise", full, with_ledger(full, **{name: other}))
    holds(full, with_ledger(full, theirs=4, is_parted=True, term=3))


MEANT = {
    LanOrder.TRY: {LanStage.AGREED},
    LanOrder.KEEP: {LanStage.KEPT},
    LanOrder.BACK: {LanStage.DROPPED, LanStage.PROVEN, LanStage.KEPT},
}


@pytest.mark.parametrize("order", LanOrder)
@pytest.mark.parametrize("stage", LanStage)
def test_addresses_are_taken_up_as_it_is_on_disk(order: LanOrder, stage: LanStage) -> None:
    state = survivor()
    state = with_durable(state, lan=LanChange(2, stage=stage))
    if stage in MEANT[order]:
        holds(state, state, actions.TakeUpLan(order))
    else:
        breaks("as it was agreed", state, state, actions.TakeUpLan(order))
    lost = replace(state, is_stateless=True)
    breaks("without a stick", lost, lost, actions.TakeUpLan(order))
