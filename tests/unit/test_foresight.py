# SPDX-License-Identifier: MIT
"""What would become of a guest if the peer died now: the core's own answer, and nothing is done.

tests/sim/test_foresight.py compares it with what then happens.
"""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest

from haagent.core import foresight, proofs
from haagent.core.decide import decide
from haagent.core.events import Event
from haagent.core.foresight import Fate, Outlook, foresee
from haagent.core.model import (
    NEVER,
    Disk,
    Evidence,
    Link,
    Measured,
    NodeState,
    Path,
    PathState,
    Phase,
    Policy,
    Referee,
    Resource,
    Role,
)
from haagent.core.timing import Timing
from haagent.core.turn import Decision
from tests.unit.states import (
    HELLO,
    WORDS,
    survivor,
    with_durable,
    with_guest,
    with_ledger,
    with_peer,
    with_resource,
)

NOW = 120.0
TIMING = Timing()
SYNCED = Resource(Role.SECONDARY, Link.CONNECTED, Disk.UP_TO_DATE, Disk.UP_TO_DATE)

Change = Callable[[NodeState], NodeState]


def standby() -> NodeState:
    """Node 1 of a healthy pair at NOW; the guest is on node 0."""
    heard = PathState(NOW - 0.3, NOW - 0.6, 7)
    state = with_peer(
        survivor(),
        hello_at=NOW - 0.3,
        paths={Path.LAN: heard, Path.CROSSOVER: heard},
        confirmed=NOW - 0.6,
        connected=NOW,
    )
    state = replace(state, usable_since=1.0, hears_peer=True, is_armed=True)
    return with_guest(state, resource=SYNCED)


def holder() -> NodeState:
    """The same pair, seen from node 0."""
    hello = replace(HELLO, node=1, boot="b1", guests={"g": replace(WORDS, phase=Phase.RELEASED)})
    state = with_peer(standby(), hello=hello)
    state = replace(state, pair=replace(state.pair, me=0), boot="a1")
    held = replace(SYNCED, role=Role.PRIMARY)
    return with_guest(state, phase=Phase.HOLDING, since=10.0, is_running=True, resource=held)


def outlook(state: NodeState) -> Outlook:
    return foresee(state)["g"]


def test_a_standby_starts_the_guest_after_the_longest_wait() -> None:
    said = outlook(standby())
    assert (said.fate, said.phase, said.at, said.missing) == (Fate.STARTS, Phase.RELEASED, NOW, ())
    wait = TIMING.take
    assert wait - TIMING.keepalive <= said.seconds <= wait + TIMING.keepalive


def test_a_holder_goes_on_after_its_writes_have_waited() -> None:
    said = outlook(holder())
    assert (said.fate, said.missing) == (Fate.GOES_ON, ())
    wait = TIMING.drbd_notices + TIMING.resume
    assert wait - TIMING.keepalive <= said.seconds <= wait + TIMING.keepalive


def test_every_timer_is_stretched_with_the_scale() -> None:
    state = standby()
    slow = replace(state, pair=replace(state.pair, timing=TIMING.scaled(4), scale=4.0))
    figures = replace(HELLO.figures, self_fence=32.0, watchdog=20.0, feed=4.0)
    slow = with_durable(slow, peer_figures=figures)
    assert outlook(slow).seconds == pytest.approx(4 * outlook(state).seconds, abs=4.0)


NOT_STARTED: dict[str, tuple[Change, str]] = {
    "no gateway": (
        lambda s: replace(s, referee=Referee(NOW - 60)),
        "the gateway does not answer us",
    ),
    "the owner wants to be asked": (
        lambda s: replace(s, pair=replace(s.pair, policy=Policy.WAIT)),
        "you chose to decide by yourself",
    ),
    "the LAN was cut before": (
        lambda s: with_peer(s, paths={**s.peer.paths, Path.LAN: PathState(NOW - 30, NOW - 30, 3)}),
        "did not fall silent on both cables at once",
    ),
    "a copy that is being brought up to date": (
        lambda s: with_resource(s, link=Link.SYNC_TARGET, disk=Disk.INCONSISTENT),
        "our copy is Inconsistent",
    ),
    "a copy that was left behind": (
        lambda s: with_resource(s, link=Link.CONNECTING, disk=Disk.OUTDATED),
        "our copy is Outdated",
    ),
    "a promise": (lambda s: with_ledger(s, stands_down=True), "we promised a not to start it"),
    "a newer term": (
        lambda s: with_ledger(with_resource(s, link=Link.CONNECTING), theirs=4),
        "a has a newer copy",
    ),
    "no watchdog there": (
        lambda s: with_durable(s, peer_figures=None),
        "a has no watchdog",
    ),
    "a machine that leaves": (lambda s: replace(s, left=NOW - 1), "b is shutting down"),
    "a machine that has given up": (lambda s: replace(s, is_fenced=True), "b has given up"),
    "a guest of which nothing is known": (
        lambda s: with_guest(s, is_running=None),
        "it is not settled what is here of it",
    ),
    "a disk of which nothing is known": (
        lambda s: with_guest(s, resource=None),
        "DRBD has not told yet",
    ),
}


@pytest.mark.parametrize("name", NOT_STARTED)
def test_what_keeps_a_guest_from_starting_is_named(name: str) -> None:
    change, why = NOT_STARTED[name]
    said = outlook(change(standby()))
    assert said.fate is Fate.NOT
    assert why in "; ".join(said.missing)


@pytest.mark.parametrize("state", [standby, holder])
def test_nothing_goes_on_with_a_disk_that_hangs(state: Callable[[], NodeState]) -> None:
    hung = with_ledger(with_guest(state(), is_disk_hanging=True), alone=Evidence.GATEWAY)
    lost = with_resource(hung, link=Link.CONNECTING)
    said = outlook(lost)
    assert (said.fate, said.missing) == (Fate.NOT, ("the disk of our copy does not answer",))


def test_a_holder_that_may_be_the_one_cut_off_does_not_go_on() -> None:
    said = outlook(replace(holder(), referee=Referee(NOW - 60)))
    assert said.fate is Fate.NOT
    assert said.missing == (
        "b is silent, and the gateway does not answer us: we may be the one cut off",
    )


def test_a_holder_with_the_peers_promise_goes_on_without_a_gateway() -> None:
    state = with_ledger(replace(holder(), referee=Referee(NOW - 60)), evidence=1)
    assert outlook(state).fate is Fate.GOES_ON


def test_a_holder_that_writes_alone_is_not_touched() -> None:
    alone = {"link": Link.CONNECTING, "peer_disk": Disk.OUTDATED}
    state = with_ledger(with_resource(holder(), **alone), alone=Evidence.GATEWAY)
    assert (outlook(state).fate, outlook(state).seconds) == (Fate.GOES_ON, 0.0)


def test_a_holder_whose_peer_is_behind_goes_on_as_soon_as_it_is_lost() -> None:
    state = with_resource(holder(), link=Link.SYNC_SOURCE, peer_disk=Disk.INCONSISTENT)
    said = outlook(state)
    assert said.fate is Fate.GOES_ON
    assert said.seconds <= TIMING.drbd_notices + TIMING.keepalive


def test_a_guest_without_memory_is_no_start_that_one_could_count_on() -> None:
    short = replace(standby(), measured=Measured(memory=150, takes={"g": 196}))
    said = outlook(short)
    assert said.fate is Fate.NOT
    assert said.missing == ("b has 150 MiB for guests, and g needs 196",)
    assert (
        outlook(replace(short, measured=Measured(memory=196, takes={"g": 196}))).fate is Fate.STARTS
    )
    held = replace(holder(), measured=Measured(memory=150, takes={"g": 196}))
    assert outlook(held).fate is Fate.GOES_ON
    stuck = replace(short, left=NOW - 1)
    assert outlook(stuck).missing == ("b is shutting down",)


def test_one_guest_that_cannot_go_on_takes_the_machine_and_the_others_with_it() -> None:
    """Whoever gives up stops feeding the watchdog, and it resets the whole machine."""
    state = replace(holder(), referee=Referee(NOW - 60))
    lone = replace(
        state.guests["g"],
        resource=replace(SYNCED, role=Role.PRIMARY, link=Link.CONNECTING, peer_disk=Disk.OUTDATED),
    )
    ledger = replace(state.durable.ledgers["g"], alone=Evidence.GATEWAY)
    durable = replace(state.durable, ledgers={**state.durable.ledgers, "h": ledger})
    state = replace(state, guests={**state.guests, "h": lone}, durable=durable)
    assert {guest: said.fate for guest, said in foresee(state).items()} == {
        "g": Fate.NOT,
        "h": Fate.NOT,
    }


def test_a_guest_that_is_being_started_comes_up() -> None:
    lost = replace(SYNCED, role=Role.PRIMARY, link=Link.STANDALONE, peer_disk=Disk.OUTDATED)
    state = with_guest(standby(), phase=Phase.CREATING, resource=lost, since=NOW - 1)
    state = with_ledger(state, term=3, alone=Evidence.TAKEOVER, held_in="b1")
    assert (outlook(state).fate, outlook(state).phase) == (Fate.STARTS, Phase.CREATING)


def test_when_the_peer_is_silent_already_the_wait_is_shorter() -> None:
    silent = PathState(NOW - 10, NOW - 10.5, 7)
    state = with_peer(
        standby(), hello_at=NOW - 10, paths=dict.fromkeys(standby().peer.paths, silent)
    )
    state = with_peer(with_resource(state, link=Link.CONNECTING), connected=NOW - 9)
    said = outlook(state)
    assert said.fate is Fate.STARTS
    assert said.seconds == pytest.approx(TIMING.take - 10, abs=TIMING.keepalive)


def test_between_the_two_cables_of_one_hello_a_healthy_pair_is_one() -> None:
    """The newest hello has come by the crossover, and is about to come by the LAN."""
    state = replace(standby(), number=10, sent=(NOW - 0.5,))
    hello = replace(HELLO, number=8, heard_boot="b1", heard={Path.LAN: 10, Path.CROSSOVER: 10})
    half = with_peer(
        state,
        hello=hello,
        hello_at=NOW,
        paths={
            Path.CROSSOVER: PathState(NOW, NOW - 0.4, 8),
            Path.LAN: PathState(NOW - 0.5, NOW - 1.005, 7),
        },
    )
    assert outlook(half).fate is Fate.STARTS
    lost = PathState(NOW - 2.5, NOW - 3, 3)
    cut = with_peer(half, paths={**half.peer.paths, Path.LAN: lost})
    assert outlook(cut).fate is Fate.NOT


def test_it_changes_nothing() -> None:
    for state in (standby(), holder()):
        before = copy.deepcopy(state)
        foresee(state)
        assert state == before


def test_it_decides_by_the_rules_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that changes changes what is foreseen: there is no copy of it."""
    monkeypatch.setattr(proofs, "evidence", lambda state, guest: None)
    assert outlook(holder()).fate is Fate.NOT
    monkeypatch.setattr(proofs, "has_waited", lambda state, since: state.now > NOW + 9)
    assert outlook(standby()).seconds == pytest.approx(9.0, abs=1.0)


@pytest.mark.parametrize("state", [standby(), replace(standby(), referee=Referee(NOW - 60))])
def test_it_is_cheap(state: NodeState, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the number of decisions: an emulated machine takes about a millisecond for each."""
    made = 0

    def counted(state: NodeState, event: Event) -> Decision:
        nonlocal made
        made += 1
        return decide(state, event)

    monkeypatch.setattr(foresight, "decide", counted)
    outlook(state)
    assert 0 < made < 250


def test_a_peer_that_was_never_heard_proves_nothing() -> None:
    nothing = with_peer(standby(), hello=None, paths={}, hello_at=NEVER, confirmed=NEVER)
    said = outlook(with_resource(nothing, link=Link.CONNECTING, disk=Disk.CONSISTENT))
    assert said.fate is Fate.NOT
