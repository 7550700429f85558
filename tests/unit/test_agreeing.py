# SPDX-License-Identifier: MIT
"""What two machines agree on about a guest: each condition of an answer, of a promise, of trust in
one, and of a question, by itself.
"""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import agreeing
from haagent.core.actions import Outdate
from haagent.core.model import (
    PRESENT,
    Disk,
    Evidence,
    GuestHello,
    Link,
    NodeState,
    Phase,
    Request,
    Role,
)
from haagent.core.turn import Turn
from tests.unit.states import (
    LATER,
    NOW,
    WORDS,
    Change,
    frozen,
    survivor,
    with_guest,
    with_hello,
    with_ledger,
    with_peer,
    with_resource,
    with_words,
)

ASKED = Request(99, 4)


def idle() -> NodeState:
    """Node 1 in sync with node 0, which is heard; the guest is nowhere, and was node 0's."""
    state = with_resource(survivor(), link=Link.CONNECTED, peer_disk=Disk.UP_TO_DATE)
    state = with_words(state, phase=Phase.RELEASED)
    return with_peer(state, hello_at=NOW, confirmed=NOW)


def words(**changes: Any) -> GuestHello:
    return replace(WORDS, phase=Phase.RELEASED, request=ASKED, **changes)


def answered(state: NodeState, said: GuestHello) -> Turn:
    turn = Turn(state)
    agreeing.consider_request(turn, "g", said)
    return turn


def apart(state: NodeState, **changes: Any) -> NodeState:
    changes = {"link": Link.CONNECTING, "peer_disk": Disk.UNKNOWN} | changes
    return with_resource(state, **changes)


def test_consent_is_written_down_with_all_that_it_takes_back() -> None:
    state = with_ledger(idle(), evidence=3, returned=1)
    turn = answered(with_guest(state, request=Request(5, 3)), words(promise=3))
    mine, ledger = turn.mine("g"), turn.ledger("g")
    assert (ledger.theirs, ledger.evidence, ledger.returned) == (4, 0, 3)
    assert (mine.grant, mine.request, mine.is_unbroken) == (ASKED, None, False)
    assert turn.actions == [] and turn.reasons == ["b: g: agreed: term 4 is the peer's"]
    turn = answered(with_ledger(idle(), returned=7), words(promise=3))
    assert turn.ledger("g").returned == 7


@pytest.mark.parametrize("node", [0, 1])
def test_two_that_asked_at_once_do_not_ask_again_at_once(node: int) -> None:
    state = replace(idle(), pair=replace(idle().pair, me=node))
    asked = words() if node == 1 else replace(words(), request=Request(99, 5))
    assert answered(state, asked).mine("g").retry_at == NOW + 5.0 * (1 + node)


MARKED: dict[str, tuple[NodeState, GuestHello, bool]] = {
    "both are connected": (idle(), words(), False),
    "ours is not connected": (apart(idle()), words(), True),
    "the peer's is not connected": (idle(), words(is_connected=False), True),
    "ours is Outdated already": (apart(idle(), disk=Disk.OUTDATED), words(), False),
    "ours is Inconsistent": (apart(idle(), disk=Disk.INCONSISTENT), words(), False),
    "ours has no disk": (apart(idle(), disk=Disk.DISKLESS), words(), False),
}


@pytest.mark.parametrize("name", MARKED)
def test_a_copy_that_would_not_follow_is_marked_before_the_answer(name: str) -> None:
    state, said, is_marked = MARKED[name]
    turn = answered(state, said)
    assert turn.mine("g").grant == ASKED
    assert turn.actions == ([Outdate("g")] if is_marked else [])
    assert turn.mine("g").phase is (Phase.FORFEITING if is_marked else Phase.RELEASED)
    assert turn.ledger("g").is_parted is is_marked


REFUSED: dict[str, tuple[NodeState, GuestHello]] = {
    "no question": (idle(), replace(words(), request=None)),
    "we hold it": (with_guest(idle(), phase=Phase.HOLDING), words()),
    "we are at it": (with_guest(idle(), phase=Phase.PROMOTING), words()),
    "it runs here": (with_guest(idle(), is_running=True), words()),
    "Xen was not asked yet": (with_guest(idle(), is_running=None), words()),
    "DRBD was not asked yet": (with_guest(idle(), resource=None), words()),
    "we are Primary": (with_resource(idle(), role=Role.PRIMARY), words()),
    "a term of ours": (idle(), replace(words(), request=Request(99, 5))),
    "a term that our copy has": (with_ledger(idle(), term=4), words()),
    "a term below one that it took": (with_ledger(idle(), theirs=6), words()),
    "we ask, and held it last": (
        with_guest(with_ledger(idle(), term=3), request=Request(5, 5)),
        words(),
    ),
    "we left its copy behind": (
        apart(with_ledger(idle(), term=3), peer_disk=Disk.OUTDATED),
        words(),
    ),
    "we left its copy behind, and its term was the last": (
        apart(idle(), peer_disk=Disk.OUTDATED),
        words(),
    ),
    "a stick that is gone, and it has begun": (
        replace(idle(), is_stateless=True),
        replace(words(), phase=Phase.PROMOTING),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_consent_where(name: str) -> None:
    state, said = REFUSED[name]
    turn = answered(state, said)
    assert turn.mine("g").grant is None
    assert turn.state == state and not turn.actions and not turn.reasons


GRANTED: dict[str, NodeState] = {
    "a term above all": with_ledger(idle(), term=3),
    "one that we heard of already": with_ledger(idle(), theirs=4),
    "a last holder that does not ask itself": with_ledger(idle(), term=3),
    "one that asks, and was not the last holder": with_guest(idle(), request=Request(5, 3)),
    "a copy that is older than a term of the peer": apart(
        with_ledger(idle(), term=3, theirs=4), peer_disk=Disk.OUTDATED
    ),
    "a copy that was left behind and met again": with_ledger(idle(), term=3, alone=None),
}


@pytest.mark.parametrize("name", GRANTED)
def test_consent_to(name: str) -> None:
    assert answered(GRANTED[name], words()).mine("g").grant == ASKED


def test_an_answer_stands_until_another_question_or_none() -> None:
    state = answered(idle(), words()).state
    assert answered(state, words()).state == state, "the same question by another way"
    again = replace(words(), request=Request(100, 4))
    assert answered(state, again).mine("g").grant == Request(100, 4)
    assert answered(state, replace(words(), request=None)).mine("g").grant is None


def steady(state: NodeState, seconds: float = 2.0) -> NodeState:
    return replace(state, usable_since=NOW - seconds)


def promised(state: NodeState, number: int = 3, stands_down: bool = True) -> Turn:
    turn = Turn(state)
    said = replace(WORDS, promise=number, stands_down=stands_down)
    agreeing.keep_promise_of_peer(turn, "g", said)
    return turn


TRUST: dict[str, tuple[NodeState, tuple[int, int], bool]] = {
    "a promise": (idle(), (3, 0), True),
    "one that we rely on already": (with_ledger(idle(), evidence=3), (3, 0), False),
    "one that was given back": (with_ledger(idle(), returned=3), (0, 3), False),
    "one after that": (with_ledger(idle(), returned=2), (3, 2), True),
    "one that is over, for the gateway answers": (
        steady(with_ledger(idle(), evidence=3)),
        (0, 3),
        True,
    ),
    "a gateway that has not answered for long": (
        steady(with_ledger(idle(), evidence=3), 2.0 - LATER),
        (3, 0),
        False,
    ),
    "a gateway, and copies that are not one": (
        steady(apart(with_ledger(idle(), evidence=3))),
        (3, 0),
        False,
    ),
    "a stick that is gone": (replace(idle(), is_stateless=True), (0, 0), False),
}


@pytest.mark.parametrize("name", TRUST)
def test_a_promise_is_relied_on_or_given_back(name: str) -> None:
    state, numbers, is_said = TRUST[name]
    turn = promised(state)
    assert (turn.ledger("g").evidence, turn.ledger("g").returned) == numbers
    assert bool(turn.reasons) is is_said


def test_what_was_not_promised_is_not_relied_on() -> None:
    turn = promised(idle(), stands_down=False)
    assert turn.state == idle() and not turn.reasons


def beside_a_holder() -> NodeState:
    """Node 0 holds the guest; no gateway answers both since T_ref ago."""
    state = with_words(idle(), phase=Phase.HOLDING)
    return replace(with_peer(state, hello_at=NOW), unusable_since=NOW - 2.0)


def stood_down(state: NodeState) -> Turn:
    turn = Turn(state)
    agreeing.stand_down(turn, "g")
    return turn


@pytest.mark.parametrize("phase", sorted(PRESENT))
def test_without_a_gateway_whoever_does_not_hold_it_promises(phase: Phase) -> None:
    turn = stood_down(with_words(beside_a_holder(), phase=phase))
    assert (turn.ledger("g").stands_down, turn.ledger("g").promise) == (True, 1)
    again = stood_down(turn.state)
    assert again.state == turn.state and not again.reasons


PROMISE_NEEDS: dict[str, Change] = {
    "a guest that is not here": lambda s: with_guest(s, phase=Phase.PROMOTING),
    "a peer that has it": lambda s: with_words(s, phase=Phase.RELEASED),
    "a peer": lambda s: with_peer(s, hello=None),
    "a peer that is heard": lambda s: with_peer(s, hello_at=NOW - 5.0 - LATER),
    "a gateway that answers not both": lambda s: replace(s, usable_since=NOW),
    "T_ref without it": lambda s: replace(s, unusable_since=NOW - 2.0 + LATER),
    "a stick": lambda s: replace(s, is_stateless=True),
    "a peer with a stick": lambda s: with_hello(s, is_stateless=True),
}


@pytest.mark.parametrize("without", PROMISE_NEEDS)
def test_a_promise_needs(without: str) -> None:
    turn = stood_down(PROMISE_NEEDS[without](beside_a_holder()))
    assert (turn.ledger("g").stands_down, turn.ledger("g").promise) == (False, 0)
    assert not turn.reasons


def ours() -> NodeState:
    """Like `idle`, and our own guest: the last term is ours, and node 0 knows."""
    return with_ledger(idle(), term=3)


def asking(state: NodeState) -> Request | None:
    turn = Turn(state)
    agreeing.ask(turn, "g")
    assert not turn.actions
    return turn.mine("g").request


def test_the_last_holder_asks_at_once_for_the_next_term() -> None:
    state = replace(ours(), number=41, started=NOW)
    assert asking(state) == Request(42, 5, NOW)
    assert asking(with_ledger(state, theirs=4)) is None, "it may be the peer's by now"
    assert asking(replace(state, pair=replace(state.pair, me=0))) is None


def test_the_other_asks_when_it_had_time_enough() -> None:
    state = replace(idle(), started=NOW - 16.0)
    assert asking(state) == Request(1, 3, NOW)
    assert asking(replace(state, started=NOW - 16.0 + LATER)) is None
    assert asking(with_guest(state, since=NOW - 16.0 + LATER)) is None
    assert asking(with_guest(state, since=NOW - 16.0)) is not None


def test_whom_it_was_handed_to_goes_first() -> None:
    state = replace(ours(), started=NOW)
    assert asking(with_guest(state, farewell=3)) is None
    assert asking(with_guest(with_ledger(state, alone=Evidence.GATEWAY), farewell=3)) is not None


QUESTION_NEEDS: dict[str, Change] = {
    "a peer": lambda s: with_peer(s, hello=None),
    "a peer that is heard": lambda s: with_peer(s, hello_at=NOW - 5.0 - LATER),
    "a peer that has it not": lambda s: with_words(s, phase=Phase.HOLDING),
    "a peer that is not at it": lambda s: with_words(s, phase=Phase.PROMOTING),
    "a stick": lambda s: replace(s, is_stateless=True),
    "a guest that is not here": lambda s: with_guest(s, phase=Phase.STOPPING),
    "nothing that forbids it": lambda s: with_ledger(s, stands_down=True),
    "a copy that would be the newest": lambda s: apart(s, disk=Disk.CONSISTENT),
}


@pytest.mark.parametrize("without", QUESTION_NEEDS)
def test_a_question_needs(without: str) -> None:
    assert asking(ours()) is not None
    assert asking(QUESTION_NEEDS[without](ours())) is None


def test_a_peer_that_marks_its_copy_may_be_asked() -> None:
    assert asking(with_words(ours(), phase=Phase.FORFEITING)) is not None


def test_a_frozen_holder_asks_after_its_gasp() -> None:
    state = with_peer(with_words(frozen(), phase=Phase.RELEASED), hello_at=NOW)
    assert asking(with_guest(state, since=NOW - 2.5)) == Request(1, 5, NOW)
    assert asking(with_guest(state, since=NOW - 2.5 + LATER)) is None
    lost = replace(with_guest(state, since=NOW - 9), is_stateless=True)
    assert asking(lost) is None, "it could not write down what it is told"


def test_an_old_question_is_asked_anew_but_not_while_drbd_promotes() -> None:
    old = Request(7, 5, NOW - 5.0)
    assert asking(with_guest(ours(), request=old)) == Request(1, 5, NOW)
    young = replace(old, at=NOW - 5.0 + LATER)
    assert asking(with_guest(ours(), request=young)) == young
    assert asking(with_guest(ours(), request=old, phase=Phase.PROMOTING)) == old
    silent = with_peer(ours(), hello_at=NOW - 9)
    assert asking(with_guest(silent, request=old)) is None
