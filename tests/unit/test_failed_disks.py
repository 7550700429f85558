# SPDX-License-Identifier: MIT
"""What a node knows and does when a data disk has failed, its own or the peer's."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import agreeing, doubting, foresight, lacking, moving, proofs, rules
from haagent.core.actions import Outdate
from haagent.core.blockers import Blocker
from haagent.core.decide import decide
from haagent.core.events import Deed, Failed, ResourceChanged
from haagent.core.foresight import Fate
from haagent.core.model import (
    GONE,
    Disk,
    Evidence,
    Farewell,
    Link,
    Newest,
    NodeState,
    Path,
    PeerOff,
    Phase,
    Request,
    Resource,
    Role,
)
from haagent.core.turn import Turn
from tests.unit.states import (
    HELLO,
    NOW,
    WORDS,
    Change,
    frozen,
    holding,
    survivor,
    with_guest,
    with_ledger,
    with_peer,
    with_resource,
    with_words,
)

ASKED = Request(99, 4, NOW)
NONE = Disk.DISKLESS


def standing_in(**words: Any) -> NodeState:
    """Node 1, connected to node 0, which holds the guest and whose disk has failed."""
    state = with_resource(survivor(), link=Link.CONNECTED, peer_disk=Disk.DISKLESS)
    state = with_words(state, disk=Disk.DISKLESS, **words)
    state = with_peer(state, hello_at=NOW, confirmed=NOW)
    return with_guest(state, is_only_copy=True)


def signed_off() -> NodeState:
    """It signed the guest off, and stays."""
    state = standing_in(phase=Phase.RELEASED, farewell=2)
    return with_ledger(state, farewell=Farewell("a1", 2, is_leaving=False))


def granted() -> NodeState:
    """The two do not meet, and it consents to our term."""
    request = Request(9, 3, NOW - 1)
    state = standing_in(phase=Phase.RELEASED, is_connected=False, grant=request)
    state = with_resource(state, link=Link.CONNECTING, peer_disk=Disk.UNKNOWN)
    return with_guest(state, request=request, is_unbroken=False)


def test_a_peer_without_a_disk_gives_its_guest_away() -> None:
    assert proofs.peer_off(signed_off(), "g") is PeerOff.FAREWELL
    assert proofs.newest(signed_off(), "g") is Newest.ONLY_COPY
    assert proofs.may_ask(signed_off(), "g")
    assert proofs.peer_off(granted(), "g") is PeerOff.AGREED
    assert proofs.newest(granted(), "g") is Newest.ONLY_COPY


ONLY_COPY_NEEDS: dict[str, Change] = {
    "to have seen its disk fail": lambda s: with_guest(s, is_only_copy=False),
    "a disk of our own": lambda s: with_resource(s, disk=Disk.CONSISTENT),
    "no term of the peer above ours": lambda s: with_ledger(s, theirs=4),
    "a word of the peer": lambda s: with_peer(s, hello=None),
}
CONNECTED_NEEDS: dict[str, Change] = {
    **ONLY_COPY_NEEDS,
    "a peer without a disk, by DRBD": lambda s: with_resource(s, peer_disk=Disk.INCONSISTENT),
    "a peer without a disk, by its word": lambda s: with_words(s, phase=Phase.RELEASED),
    "its word that it is connected": lambda s: with_words(s, disk=NONE, is_connected=False),
    "its word that its term is not above": lambda s: with_words(s, disk=NONE, term=4),
    "a fresh word": lambda s: with_peer(s, hello_at=NOW - 6),
    "clocks to trust": lambda s: replace(s, doubted=NOW + 1),
    "no resync": lambda s: with_resource(s, link=Link.SYNC_SOURCE),
}


@pytest.mark.parametrize("without", CONNECTED_NEEDS)
def test_only_copy_needs_where_it_is_connected(without: str) -> None:
    state = CONNECTED_NEEDS[without](signed_off())
    assert proofs.newest(state, "g") is None
    assert not proofs.may_ask(state, "g")
    assert not proofs.has_farewell(state, "g")


@pytest.mark.parametrize("without", ONLY_COPY_NEEDS)
def test_only_copy_needs_with_consent(without: str) -> None:
    state = ONLY_COPY_NEEDS[without](granted())
    assert proofs.newest(state, "g") is None
    assert not proofs.is_only_copy(state, "g")


@pytest.mark.parametrize(
    "unknown",
    [
        with_guest(signed_off(), resource=None),
        with_peer(signed_off(), hello=None),
        with_resource(signed_off(), disk=Disk.CONSISTENT),
    ],
)
def test_nobody_is_met_without_a_disk_where_that_is_not_known(unknown: NodeState) -> None:
    assert not proofs.is_met_without_disk(unknown, "g")
    assert not proofs.is_only_copy(unknown, "g")


def test_a_farewell_without_a_connection_is_none() -> None:
    state = with_resource(signed_off(), link=Link.CONNECTING, peer_disk=Disk.UNKNOWN)
    assert not proofs.has_farewell(state, "g")


def test_only_copy_needs_consent_where_it_is_not_connected() -> None:
    state = with_guest(granted(), request=None)
    assert proofs.newest(state, "g") is None
    assert proofs.may_ask(state, "g"), "but that is worth asking for"


@pytest.mark.parametrize("disk", sorted(GONE))
def test_unbroken_where_the_last_word_is_that_it_has_no_disk(disk: Disk) -> None:
    assert proofs.newest(with_words(survivor(), disk=disk), "g") is Newest.UNBROKEN


def seen(state: NodeState, **changes: Any) -> NodeState:
    """DRBD shows that."""
    resource = state.guests["g"].resource
    assert resource is not None
    return decide(state, ResourceChanged(NOW, "g", replace(resource, **changes))).state


@pytest.mark.parametrize("disk", Disk)
def test_a_disk_that_fails_leaves_the_other_one_as_the_only_copy(disk: Disk) -> None:
    in_sync = with_resource(survivor(), link=Link.CONNECTED, peer_disk=Disk.UP_TO_DATE)
    assert seen(in_sync, peer_disk=disk).guests["g"].is_only_copy is (disk in GONE)
    unknown = with_guest(in_sync, is_unbroken=False)
    assert not seen(unknown, peer_disk=disk).guests["g"].is_only_copy


def test_its_last_word_tells_of_a_failed_disk_as_well() -> None:
    assert stood_in(with_words(survivor(), disk=NONE)).guests["g"].is_only_copy
    assert not stood_in(survivor()).guests["g"].is_only_copy
    for state in (
        with_words(survivor(), disk=NONE, is_connected=False),
        with_guest(with_words(survivor(), disk=NONE), is_unbroken=False),
        with_peer(survivor(), hello=None),
        with_guest(survivor(), resource=None),
    ):
        assert not stood_in(state).guests["g"].is_only_copy


def test_it_is_the_only_copy_until_they_are_one_again_or_it_fails_itself() -> None:
    assert seen(standing_in(), link=Link.CONNECTING).guests["g"].is_only_copy
    syncs = seen(standing_in(), link=Link.SYNC_SOURCE, peer_disk=Disk.INCONSISTENT)
    assert syncs.guests["g"].is_only_copy
    met = seen(syncs, link=Link.CONNECTED, peer_disk=Disk.UP_TO_DATE)
    assert not met.guests["g"].is_only_copy
    failed = seen(standing_in(), disk=Disk.FAILED)
    assert (failed.guests["g"].is_only_copy, failed.guests["g"].is_unbroken) == (False, False)
    outdated = seen(with_guest(survivor(), is_only_copy=True), disk=Disk.OUTDATED)
    assert (outdated.guests["g"].is_only_copy, outdated.guests["g"].is_unbroken) == (False, True)


SERVES_NEEDS: dict[str, Change] = {
    "a holder": lambda s: with_words(s, disk=NONE, phase=Phase.RELEASED),
    "our term": lambda s: with_words(s, disk=NONE, term=0),
    "its word that it is connected": lambda s: with_words(s, disk=NONE, is_connected=False),
    "its word that it has no disk": with_words,
    "no term above ours": lambda s: with_ledger(s, theirs=4),
}


def stood_in(state: NodeState) -> NodeState:
    turn = Turn(state)
    rules.stand_in(turn, "g")
    return turn.state


def test_a_holder_without_a_disk_is_connected_to_what_it_wrote() -> None:
    fresh = with_guest(standing_in(), is_only_copy=False, is_unbroken=False)
    mine = stood_in(fresh).guests["g"]
    assert (mine.is_only_copy, mine.is_unbroken) == (True, True)
    giving_up = with_guest(fresh, phase=Phase.FORFEITING)
    assert stood_in(giving_up).guests["g"].phase is Phase.RELEASED
    again = with_guest(standing_in(phase=Phase.RELEASED), is_unbroken=False)
    assert stood_in(again).guests["g"].is_unbroken, "the chain of what was seen goes on"


@pytest.mark.parametrize("without", SERVES_NEEDS)
def test_that_takes(without: str) -> None:
    fresh = with_guest(standing_in(), is_only_copy=False, is_unbroken=False)
    mine = stood_in(SERVES_NEEDS[without](fresh)).guests["g"]
    assert (mine.is_only_copy, mine.is_unbroken) == (False, False)


def test_the_only_copy_is_given_up_for_nobody() -> None:
    lost = with_guest(survivor(), is_only_copy=True)
    turn = Turn(lost)
    doubting.break_chains(turn, "the gateway does not answer us")
    assert not turn.actions and not turn.mine("g").is_unbroken
    for disk, is_only in ((Disk.UP_TO_DATE, True), (Disk.DISKLESS, False)):
        turn = Turn(with_guest(lost, is_only_copy=is_only))
        words = replace(WORDS, disk=disk, is_connected=False, request=ASKED)
        agreeing.consider_request(turn, "g", words)
        assert turn.mine("g").grant is None and not turn.actions


@pytest.mark.parametrize("disk", Disk)
def test_who_has_no_disk_neither_asks_nor_goes_on(disk: Disk) -> None:
    state = with_words(frozen(), phase=Phase.RELEASED, is_connected=False, disk=Disk.OUTDATED)
    state = with_resource(with_peer(state, hello_at=NOW, confirmed=NOW), disk=disk)
    turn = Turn(state)
    agreeing.ask(turn, "g")
    assert (turn.mine("g").request is not None) is (disk is Disk.UP_TO_DATE)
    promised = with_ledger(state, evidence=3)
    found = proofs.evidence(promised, "g")
    assert found is (Evidence.STAND_DOWN if disk is Disk.UP_TO_DATE else None)


@pytest.mark.parametrize("disk", Disk)
def test_consent_of_a_peer_without_a_disk_is_evidence(disk: Disk) -> None:
    request = Request(9, 5, NOW - 1)
    said = {"phase": Phase.RELEASED, "is_connected": False, "grant": request, "disk": disk}
    state = with_peer(with_words(frozen(), **said), hello_at=NOW, confirmed=NOW)
    is_enough = disk in {Disk.OUTDATED, Disk.INCONSISTENT, *GONE}
    expected = Evidence.PEER_OUTDATED if is_enough else None
    assert proofs.evidence(with_guest(state, request=request), "g") is expected


@pytest.mark.parametrize(
    ("disk", "peer_disk", "is_returned"),
    [
        (Disk.DISKLESS, Disk.UP_TO_DATE, True),
        (Disk.DISKLESS, Disk.DISKLESS, False),
        (Disk.UP_TO_DATE, Disk.DISKLESS, False),  # it may need that promise yet
    ],
)
def test_a_promise_is_of_no_use_without_a_disk(
    disk: Disk, peer_disk: Disk, is_returned: bool
) -> None:
    resource = Resource(Role.PRIMARY, Link.CONNECTED, disk, peer_disk)
    state = with_ledger(holding(resource=resource), evidence=3)
    turn = Turn(replace(state, usable_since=NOW - 3))
    words = replace(WORDS, stands_down=True, promise=3)
    agreeing.keep_promise_of_peer(turn, "g", words)
    assert (turn.ledger("g").returned, turn.ledger("g").evidence) == (
        (3, 0) if is_returned else (0, 3)
    )


def test_a_promise_is_relied_on_before_drbd_has_told_anything() -> None:
    turn = Turn(replace(with_guest(holding(), resource=None), usable_since=NOW - 3))
    agreeing.keep_promise_of_peer(turn, "g", replace(WORDS, stands_down=True, promise=3))
    assert turn.ledger("g").evidence == 3


def test_who_has_no_disk_consents_at_once() -> None:
    asks = replace(WORDS, phase=Phase.FROZEN, is_connected=False, request=ASKED)
    for disk in GONE:
        turn = Turn(with_resource(survivor(), disk=disk))
        agreeing.consider_request(turn, "g", asks)
        assert turn.mine("g").grant == ASKED and not turn.actions
        assert turn.ledger("g").theirs == ASKED.term


def test_a_copy_that_fails_while_it_is_given_up_is_none() -> None:
    state = with_guest(survivor(), phase=Phase.FORFEITING)
    failed = Failed(NOW, "g", Deed.OUTDATE, "it is Diskless")
    assert decide(state, failed).state.guests["g"].phase is Phase.FORFEITING
    gone = decide(with_resource(state, disk=Disk.DISKLESS), failed)
    assert gone.state.guests["g"].phase is Phase.RELEASED
    assert Outdate("g") not in gone.actions


@pytest.mark.parametrize("ours", Disk)
@pytest.mark.parametrize("theirs", Disk)
def test_what_may_be_moved(ours: Disk, theirs: Disk) -> None:
    resource = Resource(Role.PRIMARY, Link.CONNECTED, ours, theirs)
    why = moving._not_in_sync(holding(resource=resource), "g")
    may = theirs is Disk.UP_TO_DATE and ours in {Disk.UP_TO_DATE, *GONE}
    assert (why is None) is may
    apart = holding(resource=replace(resource, link=Link.CONNECTING))
    assert moving._not_in_sync(apart, "g") == "its copy on a is not connected"


@pytest.mark.parametrize("disk", sorted(GONE))
def test_what_a_start_on_a_failed_disk_lacks(disk: Disk) -> None:
    state = with_resource(survivor(), disk=disk)
    assert lacking.blockers(state, "g") == (Blocker.NO_DISK,)


def test_a_holder_without_a_disk_would_not_survive_its_peer() -> None:
    resource = Resource(Role.PRIMARY, Link.CONNECTED, Disk.DISKLESS, Disk.UP_TO_DATE)
    state = holding(resource=resource)
    paths = {path: replace(heard, last_word=NOW, two_way=NOW) for path, heard in _paths(state)}
    state = with_peer(state, paths=paths, connected=NOW, hello=HELLO)
    outlook = foresight.foresee(state)["g"]
    assert outlook.fate is Fate.NOT
    assert outlook.missing == ("our copy has no working disk: DRBD calls it Diskless",)


def _paths(state: NodeState) -> list[tuple[Path, Any]]:
    return list(state.peer.paths.items())
