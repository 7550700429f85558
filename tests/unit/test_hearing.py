# SPDX-License-Identifier: MIT
"""What a hello of the peer makes known, what it does not, and what follows from it at once."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import actions, events, saying
from haagent.core.actions import Destroy
from haagent.core.decide import decide
from haagent.core.model import (
    NEVER,
    Disk,
    Farewell,
    Figures,
    GuestState,
    Hello,
    Ledger,
    Link,
    NodeState,
    Path,
    PathState,
    Phase,
    Request,
)
from haagent.core.turn import Decision
from tests.unit.states import (
    HELLO,
    NOW,
    SILENT,
    WORDS,
    holding,
    survivor,
    with_durable,
    with_guest,
    with_ledger,
    with_peer,
    with_resource,
    with_words,
)

AT = NOW + 1
NEXT = replace(HELLO, number=8)


def hears(state: NodeState, hello: Hello = NEXT, path: Path = Path.LAN) -> Decision:
    return decide(state, events.HelloHeard(AT, path, hello))


def says(**words: Any) -> Hello:
    return replace(NEXT, guests={"g": replace(WORDS, **words)})


def starts(boot: str = "a2", **changes: Any) -> Hello:
    """The first word of another boot, which has heard us just now."""
    return replace(HELLO, boot=boot, number=1, heard={Path.LAN: 42}, **changes)


def lately(state: NodeState, seconds: float = 0.5) -> NodeState:
    """We said our newest, 42, so many SECONDS ago."""
    return replace(state, number=42, sent=(AT - seconds,))


def spoken() -> NodeState:
    """We sent 40, 41 and 42 at these moments, and remember no others."""
    return replace(survivor(), number=42, sent=(110.0, 110.5, 111.0))


CONFIRMED: dict[str, tuple[Hello, float, float]] = {
    "on this path": (replace(NEXT, heard={Path.LAN: 41}), 110.5, 110.5),
    "on another path": (replace(NEXT, heard={Path.CROSSOVER: 42}), SILENT - 0.5, 111.0),
    "the newest": (replace(NEXT, heard={Path.LAN: 42}), 111.0, 111.0),
    "the oldest that we remember": (replace(NEXT, heard={Path.LAN: 40}), 110.0, 110.0),
    "one of long ago": (replace(NEXT, heard={Path.LAN: 39}), SILENT - 0.5, SILENT - 0.5),
    "one that we never sent": (replace(NEXT, heard={Path.LAN: 43}), SILENT - 0.5, SILENT - 0.5),
    "none": (NEXT, SILENT - 0.5, SILENT - 0.5),
    "one of another boot of ours": (
        replace(NEXT, heard={Path.LAN: 42}, heard_boot="b0"),
        SILENT - 0.5,
        SILENT - 0.5,
    ),
}


@pytest.mark.parametrize("what", CONFIRMED)
def test_what_it_confirms_is_known_by_when_we_sent_it(what: str) -> None:
    hello, two_way, confirmed = CONFIRMED[what]
    peer = hears(spoken(), hello).state.peer
    assert peer.paths[Path.LAN] == PathState(AT, two_way, 8)
    assert peer.confirmed == confirmed
    assert (peer.hello, peer.hello_at) == (hello, AT)


def test_an_older_confirmation_takes_nothing_back() -> None:
    hello = replace(NEXT, heard={Path.LAN: 40})
    paths = {**spoken().peer.paths, Path.LAN: PathState(SILENT, 115.0, 7)}
    peer = hears(with_peer(spoken(), confirmed=116.0, paths=paths), hello).state.peer
    assert (peer.confirmed, peer.paths[Path.LAN].two_way) == (116.0, 115.0)


def test_the_same_words_by_another_way_tell_of_that_way_alone() -> None:
    first = hears(spoken(), replace(NEXT, heard={Path.LAN: 41})).state
    again = replace(NEXT, heard={Path.CROSSOVER: 42}, guests={})
    state = decide(first, events.HelloHeard(AT + 1, Path.CROSSOVER, again)).state
    assert state.peer.paths[Path.CROSSOVER] == PathState(AT + 1, 111.0, 8)
    assert state.peer.confirmed == 111.0
    assert (state.peer.hello, state.peer.hello_at) == (first.peer.hello, AT)


def test_a_path_that_was_never_heard_has_its_first_word() -> None:
    state = hears(spoken(), path=Path.HEARTBEAT).state
    assert state.peer.paths[Path.HEARTBEAT] == PathState(AT, NEVER, 8)
    assert state.peer.paths.keys() == {Path.LAN, Path.CROSSOVER, Path.HEARTBEAT}


def test_a_new_boot_begins_anew() -> None:
    state = hears(lately(survivor()), starts()).state
    assert state.peer.paths.keys() == {Path.LAN}
    assert state.peer.past_boots == {"a1"}
    again = hears(state, replace(HELLO, boot="a2", number=2)).state
    assert again.peer.past_boots == {"a1"}
    third = hears(again, starts("a3")).state
    assert third.peer.past_boots == {"a1", "a2"}


@pytest.mark.parametrize("number", [6, 7])
def test_a_late_or_repeated_hello_says_nothing(number: int) -> None:
    assert hears(survivor(), replace(HELLO, number=number)).state.peer == survivor().peer


def test_a_hello_of_a_boot_that_is_over_says_nothing() -> None:
    state = hears(lately(survivor()), starts()).state
    assert hears(state, replace(HELLO, number=99)).state.peer == state.peer


def test_a_hello_of_our_own_is_not_the_peers() -> None:
    own = replace(HELLO, node=1, number=99)
    assert hears(survivor(), own).state.peer == survivor().peer


STARTS: dict[str, tuple[float, Hello, bool]] = {
    "it heard us on this path": (0.5, starts(), True),
    "it heard us on another path": (
        0.5,
        replace(starts(), heard={Path.LAN: 7, Path.HEARTBEAT: 42}),
        True,
    ),
    "it heard us as long ago as may be": (5.0, starts(), True),
    "it heard us long ago": (5.0 + 1 / 1024, starts(), False),
    "it heard our boot, and nobody knows when": (0.5, replace(starts(), heard={}), False),
    "it heard an earlier boot of ours": (0.5, starts(heard_boot="b0"), False),
    "it has our place": (60.0, starts(heard_boot="", has_replaced=True), True),
}


@pytest.mark.parametrize("what", STARTS)
def test_another_boot_counts_by_what_it_heard_of_us_a_moment_ago(what: str) -> None:
    seconds, hello, counts = STARTS[what]
    peer = hears(lately(survivor(), seconds), hello).state.peer
    assert peer.hello is not None
    assert (peer.hello.boot, peer.met) == (("a2", "") if counts else ("a1", "a2"))


OTHER = replace(
    NEXT, boot="a2", number=1, heard_boot="b0"
)  # what it was told by an earlier of ours


def test_a_boot_that_has_not_heard_ours_is_no_word_but_life() -> None:
    """It may be one of long ago that is played again."""
    before = with_ledger(spoken(), farewell=Farewell("a1", 3, True))
    state = hears(with_guest(before, is_unbroken=True, grant=Request(1, 5)), OTHER).state
    assert (state.peer.hello, state.peer.hello_at) == (before.peer.hello, before.peer.hello_at)
    assert (state.peer.past_boots, state.peer.paths) == (frozenset(), before.peer.paths)
    assert (state.peer.met, state.peer.probe_answered) == ("a2", AT)
    assert state.durable.ledgers["g"].farewell is None
    assert (state.guests["g"].is_unbroken, state.guests["g"].grant) == (False, None)


def test_a_boot_that_has_not_heard_ours_binds_us() -> None:
    high = replace(OTHER, guests={"g": replace(WORDS, term=100)})
    decision = hears(holding(), high)
    assert decision.state.durable.ledgers["g"].theirs == 100
    assert decision.state.guests["g"].phase is Phase.DESTROYING
    told = hears(spoken(), replace(OTHER, has_replaced=True)).state
    assert told.peer.hello is not None and told.peer.hello.has_replaced


@pytest.mark.parametrize("term", [101, 4], ids=["ours", "lower than what was heard"])
def test_a_boot_that_has_not_heard_ours_binds_us_to_its_highest_term_alone(term: int) -> None:
    state = with_ledger(survivor(), theirs=50)
    told = replace(OTHER, guests={"g": replace(WORDS, term=term)})
    assert hears(state, told).state.durable.ledgers["g"].theirs == 50


def test_another_boot_is_asked_once_the_known_one_is_silent() -> None:
    """Its echo is what makes it count; a boot that talks is no boot of the past."""
    state = hears(spoken(), OTHER).state
    talking = with_peer(state, hello_at=AT)
    assert (saying.hello(talking).heard_boot, bool(saying.hello(talking).heard)) == ("a1", True)
    silent = with_peer(state, hello_at=AT - 60)
    assert (saying.hello(silent).heard_boot, saying.hello(silent).heard) == ("a2", {Path.LAN: 1})
    met = hears(lately(silent), starts()).state
    assert not met.peer.met and not met.peer.met_numbers and met.peer.past_boots == {"a1"}
    assert saying.hello(met).heard_boot == "a2"


def says_connected(link: Link, **words: object) -> bool:
    state = with_words(with_resource(holding(), link=link), phase=Phase.RELEASED, **words)
    return saying.hello(state).guests["g"].is_connected


@pytest.mark.parametrize("disk", Disk)
def test_who_brings_the_peer_up_to_date_does_not_say_that_it_is_connected(disk: Disk) -> None:
    """Whatever the peer says of its copy. DRBD here would not freeze us without it."""
    assert not says_connected(Link.SYNC_SOURCE, disk=disk)
    assert says_connected(Link.SYNC_TARGET, disk=disk)
    assert says_connected(Link.CONNECTED, disk=disk)
    assert not says_connected(Link.CONNECTING, disk=disk)


def test_who_was_told_nothing_of_its_disk_does_not_say_that_it_is_connected() -> None:
    not_told = with_guest(holding(), resource=None)
    assert not saying.hello(not_told).guests["g"].is_connected


def test_what_was_heard_of_a_boot_that_is_met_is_known_by_path() -> None:
    state = hears(spoken(), replace(OTHER, number=5)).state
    state = hears(state, replace(OTHER, number=4)).state
    state = hears(state, replace(OTHER, number=6), Path.CROSSOVER).state
    assert state.peer.met_numbers == {Path.LAN: 5, Path.CROSSOVER: 6}
    assert hears(state, replace(OTHER, boot="a3")).state.peer.met_numbers == {Path.LAN: 1}


def test_the_first_boot_that_is_heard_replaces_none() -> None:
    state = hears(with_peer(survivor(), hello=None, paths={})).state
    assert state.peer.past_boots == frozenset()
    assert state.peer.hello == NEXT


def test_its_own_figures_are_written_down() -> None:
    other = Figures(False, 9.0, 6.0, 2.0)
    after = hears(survivor(), replace(NEXT, figures=other)).state
    assert after.durable.peer_figures == other
    lost = replace(survivor(), is_stateless=True)
    assert hears(lost, replace(NEXT, figures=other)).state.durable == lost.durable


def test_that_we_were_replaced_is_said_once() -> None:
    def said(decision: Decision) -> bool:
        return any("was replaced" in reason for reason in decision.reasons)

    first = hears(survivor(), replace(NEXT, has_replaced=True))
    assert said(first) and not said(hears(survivor()))
    assert not said(hears(first.state, replace(NEXT, number=9, has_replaced=True)))
    assert said(hears(with_peer(survivor(), hello=None), replace(NEXT, has_replaced=True)))


def test_words_about_some_guests_leave_the_others_alone() -> None:
    state = survivor()
    ledgers = {**state.durable.ledgers, "h": Ledger(0)}
    state = with_durable(state, ledgers=ledgers)
    state = replace(state, guests={**state.guests, "h": GuestState()})
    after = hears(state, says(term=4)).state
    assert after.durable.ledgers == {"g": Ledger(2, 4), "h": Ledger(0)}


@pytest.mark.parametrize(("term", "theirs"), [(4, 4), (2, 2), (0, 2), (5, 2), (3, 2)])
def test_the_highest_of_its_own_terms_is_remembered(term: int, theirs: int) -> None:
    assert hears(survivor(), says(term=term)).state.durable.ledgers["g"].theirs == theirs


def test_a_higher_term_ends_what_runs_here_at_once() -> None:
    decision = hears(holding(), says(term=4))
    assert decision.actions == (Destroy("g"),)
    assert not hears(holding(), says(term=2)).actions


def test_what_was_agreed_with_an_earlier_boot_is_void() -> None:
    state = with_guest(survivor(), grant=Request(1, 4))
    asks = {"g": replace(WORDS, phase=Phase.RELEASED, request=Request(1, 6))}
    new = hears(lately(state), starts(guests=asks)).state
    assert new.guests["g"].grant == Request(1, 6), "the number alone is the same"
    same = hears(state, replace(NEXT, guests=asks)).state
    assert same.guests["g"].grant == Request(1, 4)


UNBROKEN: dict[str, tuple[Hello, Link, bool]] = {
    "it still says Connected": (says(), Link.CONNECTING, True),
    "it lost the connection, too": (says(is_connected=False), Link.CONNECTING, False),
    "it was started anew": (starts(), Link.CONNECTING, False),
    "it lost it, and we did not": (says(is_connected=False), Link.CONNECTED, True),
    "it was started anew, and is connected": (starts(), Link.CONNECTED, True),
}


@pytest.mark.parametrize("what", UNBROKEN)
def test_the_chain_holds_while_nothing_can_escape_us(what: str) -> None:
    hello, link, is_unbroken = UNBROKEN[what]
    after = hears(lately(with_resource(survivor(), link=link)), hello).state
    assert after.peer.hello == hello
    assert after.guests["g"].is_unbroken is is_unbroken


def test_a_farewell_stands_until_it_is_not_said_any_more() -> None:
    after = hears(survivor(), says(phase=Phase.RELEASED, farewell=2)).state
    assert after.durable.ledgers["g"].farewell == Farewell("a1", 2, False)
    leaving = replace(says(phase=Phase.RELEASED, farewell=2), number=9, is_leaving=True)
    after = hears(after, leaving).state
    assert after.durable.ledgers["g"].farewell == Farewell("a1", 2, True)
    after = hears(after, replace(says(), number=10)).state
    assert after.durable.ledgers["g"].farewell is None


@pytest.mark.parametrize(("returned", "stands_down"), [(2, True), (3, False), (4, False)])
def test_a_promise_stands_until_it_is_given_back(returned: int, stands_down: bool) -> None:
    state = with_ledger(survivor(), stands_down=True, promise=3)
    decision = hears(state, says(returned=returned))
    assert decision.state.durable.ledgers["g"].stands_down is stands_down
    assert any("given back" in reason for reason in decision.reasons) is not stands_down
    free = with_ledger(survivor(), promise=3)
    assert not any("given back" in one for one in hears(free, says(returned=3)).reasons)


def test_its_promise_and_its_question_are_taken_in() -> None:
    after = hears(survivor(), says(stands_down=True, promise=3)).state
    assert after.durable.ledgers["g"].evidence == 3
    asked = hears(with_resource(survivor(), link=Link.CONNECTED), says(request=Request(1, 4)))
    assert asked.state.guests["g"].grant == Request(1, 4)


def test_the_replaced_machine_is_answered() -> None:
    decision = decide(survivor(), events.ReplacedHeard(AT))
    assert [type(action) for action in decision.actions] == [actions.TellReplaced]
