# SPDX-License-Identifier: MIT
"""Every condition of the two questions by itself: with all of them a proof holds, without any one
it does not.
"""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import lacking, proofs
from haagent.core.model import (
    NEVER,
    Disk,
    Evidence,
    Farewell,
    Link,
    Newest,
    Path,
    PathState,
    PeerOff,
    Phase,
    Policy,
    Request,
    Taking,
)
from tests.unit.states import (
    HELLO,
    NOW,
    SILENT,
    Change,
    asked,
    frozen,
    handed_over,
    in_maintenance,
    lone,
    survivor,
    with_durable,
    with_guest,
    with_hello,
    with_ledger,
    with_path,
    with_peer,
    with_resource,
    with_words,
)


def test_a_survivor_that_saw_all_has_both_proofs() -> None:
    assert proofs.peer_off(survivor(), "g") is PeerOff.SELF_FENCED
    assert proofs.newest(survivor(), "g") is Newest.UNBROKEN
    assert lacking.sentences(survivor(), "g") == []


SELF_FENCED_NEEDS: dict[str, Change] = {
    "the owner's leave": lambda s: replace(s, pair=replace(s.pair, policy=Policy.WAIT)),
    "silence for longer than the watchdog": lambda s: replace(s, now=SILENT + 15),
    "silence of DRBD as well": lambda s: with_peer(s, connected=NOW - 10),
    "silence of the peer's addresses": lambda s: with_peer(s, probe_answered=NOW - 10),
    "silence of heartbeat as well": lambda s: with_peer(
        s, paths={**s.peer.paths, Path.HEARTBEAT: PathState(NOW - 10)}
    ),
    "a gateway now": lambda s: replace(s, referee=replace(s.referee, answered=NOW - 3)),
    "a gateway all the time": lambda s: replace(s, referee=replace(s.referee, good_since=NOW - 10)),
    "a LAN proven until then": lambda s: with_path(s, Path.LAN, two_way=SILENT - 3),
    "a LAN heard until then": lambda s: with_path(s, Path.LAN, last_word=SILENT - 3),
    "a crossover heard until then": lambda s: with_path(s, Path.CROSSOVER, last_word=SILENT - 3),
    "something heard in this boot": lambda s: with_peer(s, paths={}, connected=NEVER),
    "an armed watchdog": lambda s: with_durable(
        s, peer_figures=replace(HELLO.figures, is_armed=False)
    ),
    "any figures": lambda s: with_durable(s, peer_figures=None),
    "the peer's own figures": lambda s: with_durable(
        s, peer_figures=replace(HELLO.figures, self_fence=30.0)
    ),
    "clocks to trust": lambda s: replace(s, doubted=SILENT + 1),
    "DRBD gone too": lambda s: with_resource(s, link=Link.CONNECTED),
}


@pytest.mark.parametrize("without", SELF_FENCED_NEEDS)
def test_self_fenced_needs(without: str) -> None:
    assert proofs.peer_off(SELF_FENCED_NEEDS[without](survivor()), "g") is None


UNBROKEN_NEEDS: dict[str, Change] = {
    "a chain": lambda s: with_guest(s, is_unbroken=False),
    "a gateway": lambda s: replace(s, referee=replace(s.referee, answered=NOW - 3)),
    "an UpToDate copy": lambda s: with_resource(s, disk=Disk.CONSISTENT),
    "a copy that is not Outdated": lambda s: with_resource(s, disk=Disk.OUTDATED),
    "a connection that is gone": lambda s: with_resource(s, link=Link.SYNC_SOURCE),
    "a last word that said Connected": lambda s: with_words(s, is_connected=False),
    "a last word that said UpToDate": lambda s: with_words(s, disk=Disk.INCONSISTENT),
    "a last word of this term": lambda s: with_words(s, term=0),
    "any last word": lambda s: with_peer(s, hello=None),
    "no higher term": lambda s: with_ledger(s, theirs=4),
}


@pytest.mark.parametrize("without", UNBROKEN_NEEDS)
def test_unbroken_needs(without: str) -> None:
    state = UNBROKEN_NEEDS[without](survivor())
    assert proofs.newest(state, "g") is None
    assert lacking.sentences(state, "g")


@pytest.mark.parametrize(
    ("told", "is_same"),
    [(0, False), (1, False), (2, True), (3, True), (4, False), (5, True), (6, False), (7, False)],
)
def test_a_term_that_was_raised_for_nothing_is_of_the_same_copy(told: int, is_same: bool) -> None:
    """Two starts have failed since term 2, in terms of ours; the peer took note, or did not."""
    state = with_guest(with_ledger(survivor(), term=5), failed_from=2)
    newest = proofs.newest(with_words(state, term=told), "g")
    assert newest is (Newest.UNBROKEN if is_same else None)


def test_of_which_term_our_copy_is() -> None:
    state = with_ledger(survivor(), term=7)
    assert proofs.base_term(state, "g") == 7
    failed = with_guest(state, failed_from=3)
    assert proofs.base_term(failed, "g") == 3
    taking = Taking(PeerOff.SELF_FENCED, Newest.UNBROKEN, from_term=5)
    assert proofs.base_term(with_guest(failed, taking=taking), "g") == 5


def test_a_lone_survivor_serves_again() -> None:
    assert proofs.peer_off(lone(), "g") is PeerOff.ALONE
    assert proofs.newest(lone(), "g") is Newest.LEFT_BEHIND


ALONE_NEEDS: dict[str, Change] = {
    "a mark on the peer's copy": lambda s: with_resource(s, peer_disk=Disk.UNKNOWN),
    "evidence": lambda s: with_ledger(s, alone=None),
    "no operator's mark": lambda s: with_ledger(s, by_operator=True),
    "a term of its own": lambda s: with_ledger(s, term=2),
    "silence": lambda s: with_peer(s, probe_answered=NOW - 1),
    "a whole wait since the boot": lambda s: replace(s, started=NOW - 10),
    "a gateway": lambda s: replace(s, referee=replace(s.referee, answered=NOW - 3)),
    "a gateway all the time": lambda s: replace(s, referee=replace(s.referee, good_since=NOW - 10)),
    "a watchdog at the peer": lambda s: with_durable(
        s, peer_figures=replace(HELLO.figures, is_armed=False)
    ),
    "clocks to trust": lambda s: replace(s, doubted=NOW - 20),
    "a copy of ours": lambda s: with_guest(s, resource=None),
}


@pytest.mark.parametrize("without", ALONE_NEEDS)
def test_alone_needs(without: str) -> None:
    assert proofs.peer_off(ALONE_NEEDS[without](lone()), "g") is None


def test_alone_after_a_promise_needs_no_gateway() -> None:
    state = replace(lone(), referee=replace(lone().referee, answered=NOW - 30))
    assert proofs.peer_off(with_ledger(state, evidence=1), "g") is PeerOff.ALONE


def test_a_higher_term_vetoes_a_copy_that_left_the_other_behind() -> None:
    assert proofs.newest(with_ledger(lone(), theirs=4), "g") is None


@pytest.mark.parametrize(
    ("change", "is_vetoed"),
    [
        ({}, False),
        ({"disk": Disk.OUTDATED}, True),
        ({"disk": Disk.INCONSISTENT}, True),
        ({"disk": Disk.CONSISTENT}, False),
        ({"disk": Disk.INCONSISTENT, "link": Link.SYNC_TARGET}, False),
    ],
)
def test_an_old_copy_that_is_not_connected_is_vetoed(change: Any, is_vetoed: bool) -> None:
    assert proofs.is_vetoed(with_resource(survivor(), **change), "g") is is_vetoed
    assert proofs.is_vetoed(with_ledger(with_resource(survivor(), **change), theirs=4), "g")


@pytest.mark.parametrize("ours", Disk)
@pytest.mark.parametrize("theirs", Disk)
def test_the_peers_copy_is_older_by_its_own_word_and_ours_is_whole(
    ours: Disk, theirs: Disk
) -> None:
    state = with_words(with_resource(survivor(), disk=ours, link=Link.SYNC_TARGET), disk=theirs)
    is_older = ours in (Disk.CONSISTENT, Disk.UP_TO_DATE)
    is_older = is_older and theirs in (Disk.OUTDATED, Disk.INCONSISTENT)
    assert proofs.is_peer_outdated(state, "g") is is_older
    assert not proofs.is_peer_outdated(with_words(state, disk=theirs, term=4), "g")


def test_an_answer_to_our_question_is_a_proof() -> None:
    assert proofs.peer_off(asked(), "g") is PeerOff.AGREED
    assert proofs.newest(asked(), "g") is Newest.IN_SYNC


AGREED_NEEDS: dict[str, Change] = {
    "a question": lambda s: with_guest(s, request=None),
    "this question": lambda s: with_guest(s, request=Request(10, 3, NOW)),
    "this term": lambda s: with_guest(s, request=Request(9, 5, NOW)),
    "an answer": lambda s: with_words(s, phase=Phase.RELEASED),
    "a peer that let go": lambda s: with_words(s, phase=Phase.FORFEITING, grant=Request(9, 3)),
    "a peer that is there": lambda s: with_peer(s, hello_at=NOW - 6),
    "a peer that heard this boot": lambda s: with_hello(s, heard_boot="b0"),
}


@pytest.mark.parametrize("without", AGREED_NEEDS)
def test_agreed_needs(without: str) -> None:
    assert proofs.peer_off(AGREED_NEEDS[without](asked()), "g") is None


def test_a_farewell_counts_for_its_term_only() -> None:
    state = replace(with_ledger(survivor(), farewell=Farewell("a1", 2, True)), now=SILENT + 1)
    assert proofs.peer_off(state, "g") is PeerOff.FAREWELL
    assert proofs.peer_off(with_ledger(state, term=4), "g") is None


def test_a_farewell_of_a_machine_that_stays_counts_while_it_is_heard() -> None:
    assert proofs.peer_off(handed_over(), "g") is PeerOff.FAREWELL
    assert proofs.newest(handed_over(), "g") is Newest.IN_SYNC


FAREWELL_OF_WHO_STAYS_NEEDS: dict[str, Change] = {
    "this term": lambda s: with_ledger(s, term=4),
    "a peer that is there": lambda s: with_peer(s, hello_at=NOW - 6),
    "a peer that has not started it again": lambda s: with_words(s, phase=Phase.PROMOTING),
    "a connection": lambda s: replace(
        with_resource(s, link=Link.CONNECTING, peer_disk=Disk.UNKNOWN), now=SILENT + 5
    ),
    "copies that are one": lambda s: with_resource(s, link=Link.SYNC_TARGET),
    "clocks to trust": lambda s: replace(s, doubted=NOW - 0.2),
}


@pytest.mark.parametrize("without", FAREWELL_OF_WHO_STAYS_NEEDS)
def test_a_farewell_of_a_machine_that_stays_needs(without: str) -> None:
    assert proofs.peer_off(FAREWELL_OF_WHO_STAYS_NEEDS[without](handed_over()), "g") is None


def test_with_the_peers_consent_an_outdated_peer_makes_ours_the_newest() -> None:
    state = with_resource(asked(), link=Link.CONNECTING, disk=Disk.CONSISTENT)
    request = Request(9, 3)
    state = with_words(state, phase=Phase.RELEASED, grant=request, disk=Disk.OUTDATED)
    assert proofs.newest(state, "g") is Newest.PEER_OUTDATED
    assert proofs.newest(with_guest(state, request=None), "g") is None
    newer = with_words(state, phase=Phase.RELEASED, grant=request, disk=Disk.OUTDATED, term=4)
    assert proofs.newest(newer, "g") is None
    assert proofs.newest(with_resource(state, disk=Disk.INCONSISTENT), "g") is None


def test_a_holder_goes_on_by_its_gateway() -> None:
    assert proofs.evidence(frozen(), "g") is Evidence.GATEWAY


GATEWAY_NEEDS: dict[str, Change] = {
    "a whole round after the loss": lambda s: with_guest(s, since=NOW - 6),
    "a peer that is silent since": lambda s: with_peer(s, probe_answered=NOW - 5),
    "a gateway": lambda s: replace(s, referee=replace(s.referee, answered=NOW - 3)),
    "a gateway all the time": lambda s: replace(s, referee=replace(s.referee, good_since=NOW - 5)),
    "a gateway that the peer had too": lambda s: with_peer(
        s, hello=replace(HELLO, has_referee=False)
    ),
    "a LAN proven until then": lambda s: with_path(s, Path.LAN, two_way=SILENT - 3),
    "both paths silent at once": lambda s: with_path(s, Path.CROSSOVER, last_word=SILENT - 3),
    "clocks to trust": lambda s: replace(s, doubted=SILENT + 1),
    "no higher term": lambda s: with_ledger(s, theirs=4),
    "a guest that is held": lambda s: with_guest(s, phase=Phase.DESTROYING),
    "a loss": lambda s: with_resource(s, link=Link.CONNECTED),
}


@pytest.mark.parametrize("without", GATEWAY_NEEDS)
def test_evidence_by_the_gateway_needs(without: str) -> None:
    assert proofs.evidence(GATEWAY_NEEDS[without](frozen()), "g") is None


def test_a_guest_that_is_shutting_down_goes_on_by_evidence_after_the_loss() -> None:
    """Its phase began long before: what counts is when DRBD lost the peer."""
    state = with_guest(frozen(), phase=Phase.STOPPING, since=NOW - 50, lost=NOW - 9)
    assert proofs.is_waiting(state, "g")
    assert proofs.evidence(state, "g") is Evidence.GATEWAY
    assert proofs.evidence(with_guest(state, lost=NOW - 6), "g") is None
    promised = with_ledger(state, evidence=1)
    assert proofs.evidence(promised, "g") is Evidence.STAND_DOWN
    assert proofs.evidence(with_guest(promised, lost=NOW - 1), "g") is None, "not in its gasp"
    assert not proofs.is_waiting(with_ledger(state, alone=Evidence.GATEWAY), "g")
    assert not proofs.is_waiting(with_resource(state, link=Link.CONNECTED), "g")


def test_in_maintenance_it_is_the_first_thing_that_is_missing() -> None:
    state = survivor()
    resting = in_maintenance(state)
    assert lacking.sentences(resting, "g") == ["b is in maintenance, and starts nothing by itself"]
    unknown = with_guest(resting, resource=None)
    assert lacking.sentences(unknown, "g")[1] == "DRBD has not told yet what our copy is"


def test_other_evidence_of_a_holder() -> None:
    no_gateway = replace(frozen(), referee=replace(frozen().referee, answered=NEVER))
    promised = with_ledger(no_gateway, evidence=1)
    assert proofs.evidence(promised, "g") is Evidence.STAND_DOWN
    assert proofs.evidence(with_guest(promised, since=NOW - 1), "g") is None, "not in its gasp"

    request = Request(9, 5)
    agreed = with_guest(no_gateway, request=request)
    outdated = {"phase": Phase.RELEASED, "grant": request, "is_connected": False}
    agreed = with_peer(with_words(agreed, **outdated, disk=Disk.OUTDATED), hello_at=NOW)
    assert proofs.evidence(agreed, "g") is Evidence.PEER_OUTDATED
    willing = with_peer(with_words(agreed, **outdated, disk=Disk.UP_TO_DATE), hello_at=NOW)
    assert proofs.evidence(willing, "g") is None, "its copy is not marked yet"
