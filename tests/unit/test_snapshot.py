# SPDX-License-Identifier: MIT
"""The verdict on a pair, and what is shown of it: PROTECTED only if everything holds."""

import json
from dataclasses import replace
from typing import Any

import pytest

from haagent.console.alarms import Alarm
from haagent.console.snapshot import (
    VERSION,
    NodeView,
    OutlookView,
    ResyncView,
    Verdict,
    from_dict,
    is_stale,
    to_dict,
)
from haagent.console.survey import snapshot
from haagent.core.foresight import Fate
from haagent.core.model import (
    Link,
    Peer,
    Phase,
)
from haagent.errors import PeerError
from haagent.storage.resync import Progress
from tests.unit.fake_state import (
    AROUND,
    NOT_PROTECTED,
    NOW,
    STOPPED,
    WELL,
    Change,
    elsewhere,
    foreseen,
    hello,
    ledger,
    look,
    node,
    nothing_missing,
    resource,
    silent,
    words,
)


def test_a_pair_in_which_everything_holds_is_protected() -> None:
    shown = look(WELL)
    assert (shown.verdict, shown.complaints) == (Verdict.PROTECTED, ())
    assert shown.guests[0].runs_on == ("anna",)
    assert shown.referee == "answers anna and berta"
    assert shown.nodes == (
        NodeView("anna", True, True, NOW, False, False, True, True, 0, -1, "", 1, -1, 0),
        NodeView("berta", False, True, NOW - 0.4, False, False, True, True, 1, -1, "", 0, -1, 0),
    )


def test_so_is_one_whose_guest_is_on_the_peer() -> None:
    shown = look(elsewhere(WELL))
    assert (shown.verdict, shown.complaints) == (Verdict.PROTECTED, ())
    assert shown.guests[0].runs_on == ("berta",)


def test_without_a_word_about_its_surroundings_a_pair_is_not_protected() -> None:
    assert snapshot(WELL, nothing_missing).verdict is Verdict.NOT_PROTECTED


def test_an_agent_that_stood_still_is_noticed() -> None:
    shown = look(WELL)
    assert not is_stale(shown, NOW + 10)
    assert is_stale(shown, NOW + 10.1)
    assert not is_stale(replace(shown, scale=6.0), NOW + 60)


@pytest.mark.parametrize("change", [change for _, change in NOT_PROTECTED + STOPPED])
def test_it_survives_the_way_through_json(change: Change) -> None:
    shown = look(change(WELL))
    text = json.dumps(to_dict(shown), allow_nan=False)
    assert from_dict(json.loads(text)) == shown


@pytest.mark.parametrize(
    "damage",
    [
        {"version": VERSION + 1},
        {"verdict": "FINE"},
        {"guests": [{}]},
        {"guests": None},
        {"complaints": [{"what": "x"}]},
        {"complaints": [{"code": "SHOE-999", "what": "x", "means": "x", "do": "x"}]},
        {"nodes": [{"name": "anna"}]},
        {"lately": [1.0]},
        {"more": 1},
    ],
)
def test_another_shape_is_not_guessed_at(damage: dict[str, Any]) -> None:
    with pytest.raises(PeerError):
        from_dict({**to_dict(look(WELL)), **damage})
    with pytest.raises(PeerError):
        from_dict({})


def test_a_farewell_of_a_machine_that_stays_is_no_shutdown() -> None:
    """It was moved to us: the other goes on."""
    shown = look(words(farewell=2)(WELL))
    assert shown.verdict is Verdict.PROTECTED
    assert not shown.nodes[1].is_leaving
    assert look(hello(is_leaving=True)(WELL)).nodes[1].is_leaving


def test_what_keeps_a_guest_from_being_moved_is_told() -> None:
    assert look(WELL).guests[0].blocker is None
    assert look(silent(WELL)).guests[0].blocker == "berta is silent"


def test_the_newest_term_is_that_of_whoever_has_it() -> None:
    view = look(ledger(term=2, theirs=3)(WELL)).guests[0]
    assert (view.term, view.newest_term) == (2, 3)


def test_of_a_peer_that_was_never_heard_nothing_is_known() -> None:
    _, berta = look(node(peer=Peer())(WELL)).nodes
    assert berta == NodeView(
        "berta", False, False, None, False, None, None, None, 1, -1, "", 0, -1, 0
    )


def test_what_was_foreseen_is_told() -> None:
    (view,) = look(WELL, foreseen()).guests
    assert view.outlook == OutlookView(Fate.GOES_ON, 11.0, ())
    (view,) = look(WELL, foreseen(fate=Fate.NOT, missing=("a proof",))).guests
    assert view.outlook == OutlookView(Fate.NOT, None, ("a proof",))


def test_when_the_peer_is_silent_the_wait_has_begun() -> None:
    (view,) = look(silent(WELL), foreseen()).guests
    assert view.outlook == OutlookView(Fate.GOES_ON, 8.0, ())
    (view,) = look(silent(WELL), foreseen(seconds=1.0)).guests
    assert view.outlook == OutlookView(Fate.GOES_ON, 0.0, ())


def test_what_was_foreseen_of_another_situation_is_not_told() -> None:
    for around in (AROUND, foreseen(phase=Phase.RELEASED), foreseen(at=NOW - 21)):
        assert look(WELL, around).guests[0].outlook is None
    scaled = replace(WELL, pair=replace(WELL.pair, scale=4.0))
    assert look(scaled, foreseen(at=NOW - 79)).guests[0].outlook is not None


def test_how_far_a_resync_is_counts_only_while_there_is_one() -> None:
    around = replace(AROUND, resyncs={"counter": Progress(8972, 11664, 62)})
    (view,) = look(resource(link=Link.SYNC_SOURCE)(WELL), around).guests
    assert view.resync == ResyncView(23.0, 62)
    assert look(WELL, around).guests[0].resync is None


def test_where_a_guest_is_and_what_was_decided() -> None:
    lately = ((1_000_001.0, "anna: counter: alone in term 4"), (1_000_000.0, "anna: leaving"))
    around = replace(AROUND, addresses={"counter": "10.0.2.20"}, lately=lately, wall=1_000_002.0)
    shown = look(WELL, around)
    assert shown.guests[0].address == "10.0.2.20"
    assert shown.lately == ((1_000_001.0, "counter: alone in term 4"), (1_000_000.0, "leaving"))
    assert shown.wall == 1_000_002.0


def test_all_of_it_survives_the_way_through_json() -> None:
    around = replace(
        foreseen(fate=Fate.NOT, missing=("a proof",)),
        resyncs={"counter": Progress(1, 2, None)},
        lately=((1.5, "anna: leaving"),),
    )
    shown = look(resource(link=Link.SYNC_TARGET)(WELL), around)
    back = from_dict(json.loads(json.dumps(to_dict(shown), allow_nan=False)))
    assert back == shown
    assert type(back.complaints[0].code) is Alarm
