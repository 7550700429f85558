# SPDX-License-Identifier: MIT
"""What was not heard, or not asked for yet, proves nothing, and nobody falls over it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from haagent.core import events, lacking, proofs
from haagent.core.decide import decide
from haagent.core.model import (
    NEVER,
    Disk,
    Evidence,
    LanChange,
    LanStage,
    Link,
    NodeState,
    Path,
    Phase,
    Request,
    Role,
)
from tests.unit.states import (
    HELLO,
    NOW,
    SILENT,
    WORDS,
    Change,
    asked,
    frozen,
    survivor,
    with_durable,
    with_guest,
    with_ledger,
    with_path,
    with_peer,
    with_resource,
    with_words,
)

UNKNOWN: dict[str, Change] = {
    "the peer": lambda s: with_peer(s, hello=None),
    "the guest to the peer": lambda s: with_peer(s, hello=replace(HELLO, guests={})),
    "our copy": lambda s: with_guest(s, resource=None),
}
# What nothing of the above may prove, in a state in which it is proven otherwise, or nearly so.
PROVEN: dict[str, tuple[Callable[[NodeState], object], NodeState]] = {
    "an answer to our question": (lambda s: proofs.is_granted(s, "g"), asked()),
    "that ours is the newest": (
        lambda s: proofs.newest(s, "g"),
        with_guest(survivor(), request=Request(9, 3)),
    ),
    "that it was unbroken": (lambda s: proofs.is_unbroken(s, "g"), survivor()),
    "that the peer's is old": (
        lambda s: proofs.is_peer_outdated(s, "g"),
        with_words(survivor(), disk=Disk.OUTDATED),
    ),
    "that a holder may go on": (lambda s: proofs.evidence(s, "g"), frozen()),
    "a farewell of who stays": (lambda s: proofs.has_farewell(s, "g"), survivor()),
    "a split brain": (
        lambda s: proofs.wrote_apart(s, "g"),
        with_ledger(survivor(), alone=Evidence.GATEWAY),
    ),
}


NEEDLESS = {
    ("an answer to our question", "our copy"),
    ("that a holder may go on", "the guest to the peer"),
}


@pytest.mark.parametrize("unknown", UNKNOWN)
@pytest.mark.parametrize("proof", PROVEN)
def test_nothing_is_proven(proof: str, unknown: str) -> None:
    asked, state = PROVEN[proof]
    if (proof, unknown) not in NEEDLESS:
        assert not asked(UNKNOWN[unknown](state))


@pytest.mark.parametrize("unknown", UNKNOWN)
@pytest.mark.parametrize("phase", Phase)
def test_nothing_falls_over(phase: Phase, unknown: str) -> None:
    """The agent of a machine that holds a guest ends the guest with itself."""
    state = UNKNOWN[unknown](with_guest(with_ledger(frozen(), term=3), phase=phase))
    after = decide(state, events.Tick(NOW + 0.5)).state
    assert lacking.sentences(after, "g") is not None


def test_a_copy_that_was_not_seen_yet_cannot_be_started_by_anybody() -> None:
    state = with_guest(survivor(), resource=None, is_confirmed=True)
    assert lacking.unstartable(state, "g") == "DRBD has not told yet what our copy is"
    assert proofs.is_vetoed(state, "g")
    assert proofs.newest(state, "g") is None
    assert not proofs.has_hung_up(state, "g")
    assert not proofs.has_peer_back(with_guest(state, phase=Phase.FROZEN), "g")


def test_a_higher_term_is_not_asked_about() -> None:
    """The peer may have taken it since, whatever it says of its copy."""
    state = with_resource(with_words(survivor(), disk=Disk.OUTDATED), disk=Disk.CONSISTENT)
    assert proofs.may_ask(state, "g")
    assert not proofs.may_ask(with_ledger(state, theirs=4), "g")


def test_what_drbd_knows_of_the_peers_copy_is_evidence_at_once() -> None:
    """If it does not wait for its handler; then the peer said so itself, when it left."""
    state = with_guest(frozen(), since=NOW)
    outdated = with_resource(state, peer_disk=Disk.OUTDATED, is_suspended=False)
    assert proofs.evidence(outdated, "g") is Evidence.PEER_OUTDATED
    assert proofs.evidence(with_resource(outdated, is_suspended=True), "g") is None
    assert proofs.evidence(with_resource(outdated, peer_disk=Disk.UNKNOWN), "g") is None
    assert proofs.evidence(with_resource(outdated, link=Link.CONNECTED), "g") is None


def test_an_outdated_copy_of_the_peer_is_evidence_with_its_consent_alone() -> None:
    blind = replace(frozen(), referee=replace(frozen().referee, answered=NEVER))
    request = Request(9, 5)
    state = with_guest(blind, request=request)
    words = {"phase": Phase.RELEASED, "grant": request, "disk": Disk.OUTDATED}
    words |= {"is_connected": False}
    state = with_peer(with_words(state, **words), hello_at=NOW)
    assert proofs.evidence(state, "g") is Evidence.PEER_OUTDATED
    for change in ({"grant": None}, {"is_connected": True}, {"disk": Disk.UP_TO_DATE}):
        other = with_peer(with_words(state, **words | change), hello_at=NOW)
        assert proofs.evidence(other, "g") is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"disk": Disk.OUTDATED}, "our copy is Outdated: a may have written since"),
        ({"disk": Disk.INCONSISTENT}, "our copy is Inconsistent: a may have written since"),
        ({"link": Link.SYNC_TARGET}, "our copy is still being brought up to date by a"),
        ({"disk": Disk.CONSISTENT}, "nothing proves that a has written nothing since we last saw"),
    ],
)
def test_why_ours_may_not_be_the_newest_is_told(change: dict[str, object], why: str) -> None:
    state = with_guest(with_resource(survivor(), **change), is_unbroken=False)
    assert any(one.startswith(why) for one in lacking.sentences(state, "g"))


def well() -> NodeState:
    """Both are there, and see the gateway and each other on the LAN."""
    return with_path(with_peer(survivor(), hello_at=NOW), Path.LAN, two_way=NOW)


def changing(state: NodeState, stage: LanStage, number: int = 0) -> NodeState:
    change = LanChange(number, stage=stage)
    return with_durable(state, lan=change)


USABLE_NEEDS: dict[str, Change] = {
    "a gateway here": lambda s: replace(s, referee=replace(s.referee, answered=NOW - 3)),
    "a peer": lambda s: with_peer(s, hello=None),
    "a gateway there": lambda s: with_peer(s, hello=replace(HELLO, has_referee=False)),
    "a peer that is heard": lambda s: with_peer(s, hello_at=NOW - 6),
    "a LAN between the two": lambda s: with_path(s, Path.LAN, two_way=NOW - 6),
    "any LAN": lambda s: with_peer(s, paths={}),
    "addresses that are ours": lambda s: replace(s, pair=replace(s.pair, lan=1)),
    "no order to change them": lambda s: replace(s, lan_tried=True),
} | {
    f"no change of the LAN that is {stage}": lambda s, stage=stage: changing(s, stage)
    for stage in sorted(proofs.OPEN_LAN)
}


@pytest.mark.parametrize("without", USABLE_NEEDS)
def test_a_usable_referee_needs(without: str) -> None:
    assert proofs.has_usable_referee(well())
    assert proofs.has_usable_referee(changing(well(), LanStage.DROPPED))
    assert not proofs.has_usable_referee(USABLE_NEEDS[without](well()))


def test_the_lan_is_settled_by_the_change_that_was_kept_or_by_the_files() -> None:
    kept = changing(survivor(), LanStage.KEPT, number=2)
    assert proofs.lan_wanted(kept) == 2
    assert not proofs.is_lan_settled(kept)
    assert proofs.is_lan_settled(replace(kept, pair=replace(kept.pair, lan=2)))
    dropped = replace(changing(survivor(), LanStage.DROPPED, number=2), lan_files=1)
    assert proofs.lan_wanted(dropped) == 1
    never = replace(changing(survivor(), LanStage.KEPT), lan_files=1)
    assert proofs.lan_wanted(never) == 1, "there never was a change"


@pytest.mark.parametrize(
    ("change", "is_refused"),
    [
        ({}, True),
        ({"disk": Disk.DISKLESS}, False),
        ({"link": Link.CONNECTING}, False),
    ],
)
def test_drbd_hung_up_by_itself(change: dict[str, object], is_refused: bool) -> None:
    state = with_resource(survivor(), **{"link": Link.STANDALONE, **change})
    assert proofs.is_refused(state.guests["g"], state.durable.ledgers["g"]) is is_refused
    parted = with_ledger(state, is_parted=True)
    assert not proofs.is_refused(parted.guests["g"], parted.durable.ledgers["g"])


def test_drbds_word_is_as_old_as_it_may_be() -> None:
    """It calls a dead peer connected until it notices."""
    state = with_peer(survivor(), connected=NOW)
    assert proofs.last_word(state) == NOW - state.timing.drbd_notices
    assert proofs.last_word(with_peer(state, probe_answered=NOW - 1)) == NOW - 1
    assert proofs.last_word(with_peer(state, connected=SILENT)) == SILENT + 0.1


@pytest.mark.parametrize("phase", Phase)
def test_where_the_peer_has_it_or_is_at_it(phase: Phase) -> None:
    assert proofs.is_present(replace(WORDS, phase=phase)) is (
        phase not in (Phase.RELEASED, Phase.FORFEITING)
    )


def test_nothing_of_it_is_here() -> None:
    assert proofs.is_settled(survivor(), "g")
    for state in (
        with_guest(survivor(), is_running=None),
        with_guest(survivor(), is_running=True),
        with_guest(survivor(), resource=None),
        with_resource(survivor(), role=Role.PRIMARY),
    ):
        assert not proofs.is_settled(state, "g")
