# SPDX-License-Identifier: MIT
"""Which changes of the LAN's addresses are agreed to, and what each word of the peer does."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import events, proofs, relocating
from haagent.core.actions import AnswerOperator, LanOrder, TakeUpLan
from haagent.core.decide import decide
from haagent.core.invariants import InvariantBroken, check
from haagent.core.model import (
    Choice,
    Disk,
    GuestHello,
    LanChange,
    LanStage,
    Link,
    NodeState,
    Path,
    PathState,
    Phase,
    Resource,
)
from haagent.core.turn import Decision
from tests.unit.states import HELLO, NOW, WORDS, survivor, with_guest, with_ledger

HEARD = PathState(NOW - 0.2, NOW - 0.4, 7)
TYPED = ("10.0.2.11/24", "10.0.2.12/24", "10.0.2.1")
HERE, THERE = 3, 2  # numbers of changes that are asked for on node 1, which we are, and on node 0
IN_SYNC = Resource(link=Link.CONNECTED, disk=Disk.UP_TO_DATE)


def change(number: int, stage: LanStage, **changes: Any) -> LanChange:
    return replace(LanChange(number, *TYPED, stage, "b1"), **changes)


def well(**words: Any) -> NodeState:
    """Node 1, which does not have the guest; node 0 has it, and said WORDS about it."""
    state = with_guest(survivor(), is_running=False)
    resource = replace(IN_SYNC, peer_disk=IN_SYNC.disk)
    return says(with_guest(state, resource=resource), guest=words)


def says(state: NodeState, guest: dict[str, Any] | None = None, **changes: Any) -> NodeState:
    """STATE, with a peer that said CHANGES just now, and GUEST about the guest."""
    about: GuestHello = replace(WORDS, is_connected=True, phase=Phase.HOLDING)
    hello = replace(HELLO, heard_boot="b1", guests={"g": replace(about, **(guest or {}))})
    paths = {Path.LAN: HEARD, Path.CROSSOVER: HEARD}
    peer = replace(
        state.peer,
        hello=replace(hello, **changes),
        hello_at=NOW - 0.2,
        paths=paths,
        confirmed=NOW - 0.4,
    )
    referee = replace(state.referee, answered=NOW)
    return replace(state, peer=peer, referee=referee, ticked=NOW)


def on_disk(state: NodeState, ours: LanChange, **changes: Any) -> NodeState:
    durable = replace(state.durable, lan=ours)
    return replace(state, durable=durable, lan_since=NOW - 1, **changes)


def runs(state: NodeState, number: int, files: int = 0) -> NodeState:
    return replace(state, pair=replace(state.pair, lan=number), lan_files=files)


def hears(state: NodeState, **changes: Any) -> Decision:
    assert state.peer.hello is not None
    hello = replace(state.peer.hello, number=state.peer.hello.number + 1, **changes)
    decision = decide(state, events.HelloHeard(NOW, Path.CROSSOVER, hello))
    check(state, decision)
    return decision


def tick(state: NodeState, at: float = NOW + 0.1) -> Decision:
    decision = decide(state, events.Tick(at))
    check(state, decision)
    return decision


def stage(decision: Decision) -> LanStage:
    return decision.state.durable.lan.stage


def orders(decision: Decision) -> list[LanOrder]:
    return [action.order for action in decision.actions if isinstance(action, TakeUpLan)]


def asked(state: NodeState) -> Decision:
    return decide(state, events.LanAsked(NOW, *TYPED))


def test_a_pair_that_is_well_may_be_asked() -> None:
    decision = asked(well())
    assert decision.state.durable.lan == change(1, LanStage.ASKED)
    assert AnswerOperator("", None) in decision.actions


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (replace(well(), peer=replace(well().peer, hello_at=NOW - 60)), "a is silent"),
        (replace(well(), left=NOW), "b is shutting down"),
        (says(well(), is_leaving=True), "a is shutting down"),
        (replace(well(), is_fenced=True), "b has given up"),
        (says(well(), has_replaced=True), "b has given up"),
        (replace(well(), doubted=NOW), "b stood still a moment ago"),
        (replace(well(), peer=replace(well().peer, paths={Path.LAN: HEARD})), "the crossover"),
        (on_disk(well(), change(HERE, LanStage.ASKED)), "under way already"),
        (on_disk(well(), change(HERE, LanStage.KEPT)), "under way already"),
        (
            runs(on_disk(says(well(), lan=change(HERE, LanStage.PROVEN), lan_runs=HERE),
                         change(HERE, LanStage.KEPT)), HERE, HERE),
            "under way already",
        ),
        (says(well(), lan_runs=2), "an earlier change"),
        (
            runs(on_disk(says(well(), lan_runs=HERE), change(HERE, LanStage.KEPT)), HERE, 0),
            "b has not written its addresses",
        ),
        (well(phase=Phase.STOPPING), "exactly one"),
        (well(phase=Phase.RELEASED), "exactly one"),
        (well(is_connected=False), "not connected and the same"),
        (with_guest(well(), resource=Resource()), "not connected and the same"),
        (with_ledger(well(), choice=Choice(2, 0, is_open=True)), "a choice"),
        (well(choice=Choice(2, 0, is_open=True)), "a choice"),
    ],
)  # fmt: skip
def test_it_is_refused_with_its_reason(state: NodeState, why: str) -> None:
    assert why in (relocating.blocker(state) or "")
    decision = asked(state)
    assert decision.state.durable.lan == state.durable.lan
    assert AnswerOperator("", relocating.blocker(state)) in decision.actions


def test_what_the_other_is_asked_is_written_down() -> None:
    decision = hears(well(), lan=change(THERE, LanStage.ASKED))
    assert decision.state.durable.lan == change(THERE, LanStage.WRITTEN)


def test_what_cannot_be_now_is_not_written_down_and_the_asker_is_told_why() -> None:
    state = with_guest(well(), resource=Resource())
    decision = hears(state, lan=change(THERE, LanStage.ASKED))
    assert decision.state.durable.lan == LanChange()
    hello = tick(decision.state).actions
    assert any("not connected" in getattr(action, "hello", HELLO).lan_trouble for action in hello)


@pytest.mark.parametrize("told", [stage for stage in LanStage if stage is not LanStage.ASKED])
def test_only_what_is_asked_is_written_down(told: LanStage) -> None:
    assert hears(well(), lan=change(THERE, told)).state.durable.lan == LanChange()


def test_it_is_agreed_only_when_the_guests_holder_can_do_without_the_lan() -> None:
    state = on_disk(well(), change(HERE, LanStage.ASKED))
    written = change(HERE, LanStage.WRITTEN, boot="a1")
    assert stage(hears(state, lan=written)) is LanStage.ASKED
    state = with_ledger(state, stands_down=True, promise=4)
    assert stage(hears(state, lan=written)) is LanStage.ASKED
    state = on_disk(well(evidence=4), change(HERE, LanStage.ASKED))
    state = with_ledger(state, stands_down=True, promise=4)
    assert stage(hears(state, lan=written)) is LanStage.AGREED


def test_it_is_not_agreed_when_something_forbids_it_by_now() -> None:
    written = change(HERE, LanStage.WRITTEN, boot="a1")
    state = on_disk(well(evidence=4), change(HERE, LanStage.ASKED), left=NOW)
    state = with_ledger(state, stands_down=True, promise=4)
    assert stage(hears(state, lan=written)) is LanStage.DROPPED


@pytest.mark.parametrize("before", [LanStage.ASKED, LanStage.WRITTEN])
def test_it_is_agreed_soon_or_not_at_all(before: LanStage) -> None:
    state = on_disk(says(well(), lan=change(HERE, before)), change(HERE, before))
    in_time = replace(state, lan_since=NOW - 10.0)
    assert stage(tick(in_time, NOW)) is before
    assert stage(tick(replace(in_time, lan_since=NOW - 10.125), NOW)) is LanStage.DROPPED
    silent = replace(state, peer=replace(state.peer, hello_at=NOW - 6))
    assert stage(tick(silent, NOW)) is LanStage.DROPPED


def test_who_was_asked_follows() -> None:
    state = on_disk(well(), change(THERE, LanStage.WRITTEN))
    assert stage(hears(state, lan=change(THERE, LanStage.ASKED))) is LanStage.WRITTEN
    assert stage(hears(state, lan=change(THERE, LanStage.AGREED))) is LanStage.AGREED


def test_who_was_asked_goes_first() -> None:
    agreed = change(THERE, LanStage.AGREED)
    assert orders(tick(on_disk(says(well(), lan=agreed), agreed))) == [LanOrder.TRY]
    ours = change(HERE, LanStage.AGREED)
    assert orders(tick(on_disk(says(well(), lan=ours), ours))) == []
    there = says(well(), lan=ours, lan_runs=HERE)
    assert orders(tick(on_disk(there, ours))) == [LanOrder.TRY]


def test_nobody_goes_before_the_other_has_it_as_agreed() -> None:
    agreed, written = change(THERE, LanStage.AGREED), change(THERE, LanStage.ASKED)
    assert orders(tick(on_disk(says(well(), lan=written), agreed))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"lan_runs": 0},
        {"has_referee": False},
    ],
)
def test_it_is_not_proven_by_halves(changes: dict[str, Any]) -> None:
    agreed = change(THERE, LanStage.AGREED)
    state = runs(on_disk(says(well(), lan=agreed, lan_runs=THERE), agreed), THERE)
    assert stage(tick(state)) is LanStage.PROVEN
    assert stage(tick(says(state, **{"lan": agreed, "lan_runs": THERE, **changes}))) is (
        LanStage.AGREED
    )
    assert stage(tick(replace(state, referee=replace(state.referee, answered=NOW - 60)))) is (
        LanStage.AGREED
    )
    deaf = replace(state.peer, paths={Path.CROSSOVER: HEARD})
    assert stage(tick(replace(state, peer=deaf))) is LanStage.AGREED
    assert stage(tick(runs(state, 0))) is LanStage.AGREED


def test_the_asker_keeps_what_the_other_has_proven() -> None:
    agreed = change(HERE, LanStage.AGREED)
    for theirs, ours in ((LanStage.AGREED, LanStage.AGREED), (LanStage.PROVEN, LanStage.KEPT)):
        there = says(well(), lan=change(HERE, theirs), lan_runs=HERE)
        assert stage(tick(runs(on_disk(there, agreed), HERE))) is ours


def test_what_is_kept_is_taken_up_for_good_also_after_a_power_cut() -> None:
    kept = change(HERE, LanStage.KEPT)
    for now, files in ((HERE, 0), (0, 0)):
        state = runs(on_disk(well(), kept, boot="b9"), now, files)
        assert orders(tick(state)) == [LanOrder.KEEP]
    assert orders(tick(runs(on_disk(well(), kept), HERE, HERE))) == []


def test_an_order_is_not_given_again_at_once() -> None:
    first = tick(runs(on_disk(well(), change(HERE, LanStage.KEPT)), 0))
    assert orders(first) and not orders(tick(first.state, NOW + 1))
    later = NOW + 1 + first.state.timing.take
    assert orders(tick(replace(first.state, ticked=later), later)) == [LanOrder.KEEP]


def test_the_verdict_is_followed() -> None:
    for before in (LanStage.WRITTEN, LanStage.AGREED, LanStage.PROVEN):
        state = on_disk(well(), change(THERE, before))
        dropped = hears(state, lan=change(THERE, LanStage.DROPPED))
        assert stage(dropped) is LanStage.DROPPED
    for before in (LanStage.PROVEN, LanStage.DROPPED):
        state = on_disk(well(), change(THERE, before))
        assert stage(hears(state, lan=change(THERE, LanStage.KEPT))) is LanStage.KEPT


def test_the_asker_drops_what_the_other_has_dropped_and_only_until_it_is_kept() -> None:
    for before in (LanStage.ASKED, LanStage.AGREED):
        state = on_disk(well(), change(HERE, before))
        assert stage(hears(state, lan=change(HERE, LanStage.DROPPED))) is LanStage.DROPPED
    state = on_disk(well(), change(HERE, LanStage.KEPT))
    assert stage(hears(state, lan=change(HERE, LanStage.DROPPED))) is LanStage.KEPT


@pytest.mark.parametrize("before", [LanStage.ASKED, LanStage.WRITTEN, LanStage.AGREED])
def test_a_start_of_the_machine_ends_it(before: LanStage) -> None:
    state = on_disk(well(), change(HERE, before, boot="an earlier one"))
    assert stage(tick(state)) is LanStage.DROPPED


@pytest.mark.parametrize("before", [LanStage.ASKED, LanStage.WRITTEN, LanStage.AGREED])
def test_it_ends_in_time(before: LanStage) -> None:
    state = on_disk(says(well(), lan=change(HERE, before)), change(HERE, before))
    assert stage(tick(replace(state, lan_since=NOW - 130))) is LanStage.DROPPED


def test_who_has_proven_it_goes_back_in_time_and_waits_for_the_verdict() -> None:
    proven = change(THERE, LanStage.PROVEN)
    state = runs(on_disk(says(well(), lan=change(THERE, LanStage.AGREED)), proven), THERE)
    assert orders(tick(state)) == []
    late = tick(replace(state, lan_since=NOW - 130))
    assert (stage(late), orders(late)) == (LanStage.PROVEN, [LanOrder.BACK])
    later = tick(replace(runs(state, 0), lan_since=NOW - 130))
    assert (stage(later), orders(later)) == (LanStage.PROVEN, [])


def test_the_asker_drops_what_the_other_went_back_from() -> None:
    agreed = change(HERE, LanStage.AGREED)
    there = says(well(), lan=change(HERE, LanStage.PROVEN), lan_runs=0)
    assert stage(tick(runs(on_disk(there, agreed), HERE))) is LanStage.DROPPED


def test_what_was_dropped_is_gone_back_from() -> None:
    state = runs(on_disk(well(), change(HERE, LanStage.DROPPED)), HERE)
    assert orders(tick(state)) == [LanOrder.BACK]


def test_it_is_over_when_the_other_does_not_know_of_it() -> None:
    """Its stick was put back from a copy, or it is asking for something else."""
    for before in (LanStage.AGREED, LanStage.PROVEN):
        state = on_disk(well(), change(THERE, before))
        assert stage(hears(state, lan=LanChange())) is LanStage.DROPPED


def test_a_machine_that_leaves_drops_it() -> None:
    state = on_disk(well(), change(HERE, LanStage.AGREED), left=NOW)
    assert stage(tick(state)) is LanStage.DROPPED


@pytest.mark.parametrize("ours", list(LanStage))
def test_the_lan_counts_only_with_addresses_that_stay(ours: LanStage) -> None:
    together = well()
    assert proofs.fell_silent_together(together) and proofs.has_usable_referee(together)
    state = on_disk(together, change(HERE, ours))
    is_calm = ours is LanStage.DROPPED
    assert proofs.has_usable_referee(state) is is_calm
    is_whole = ours in (LanStage.DROPPED, LanStage.ASKED, LanStage.WRITTEN)
    assert proofs.fell_silent_together(state) is is_whole
    if ours is LanStage.KEPT:
        assert proofs.fell_silent_together(runs(state, HERE, HERE))


def test_the_checks_know_what_must_not_be() -> None:
    state = on_disk(says(well(), lan=change(HERE, LanStage.AGREED)), change(HERE, LanStage.AGREED))

    def becomes(after: LanStage, *actions: TakeUpLan) -> Decision:
        return Decision(on_disk(state, change(HERE, after)), actions, ())

    with pytest.raises(InvariantBroken, match="both machines have on disk that they work"):
        check(state, becomes(LanStage.KEPT))
    with pytest.raises(InvariantBroken, match="taken up as it was agreed"):
        check(state, becomes(LanStage.AGREED, TakeUpLan(LanOrder.KEEP)))
    with pytest.raises(InvariantBroken, match="numbered upwards"):
        check(state, Decision(on_disk(state, LanChange()), (), ()))
    doubting = on_disk(state, change(HERE, LanStage.PROVEN))
    with pytest.raises(InvariantBroken, match="does not drop the change alone"):
        check(doubting, becomes(LanStage.DROPPED))


def test_an_order_to_try_is_taken_back_however_far_it_came() -> None:
    """Nobody counts on the LAN before it is known that the old addresses are there."""
    agreed = change(THERE, LanStage.AGREED)
    out = tick(on_disk(says(well(), lan=agreed), agreed)).state
    dropped = hears(out, lan=change(THERE, LanStage.DROPPED)).state
    later = NOW + 20
    settled = replace(dropped, ticked=later)
    assert orders(tick(settled, later)) == [LanOrder.BACK]
    assert not proofs.is_lan_settled(settled)
    back = decide(settled, events.LanWritten(later, 0)).state
    assert proofs.is_lan_settled(back)
    assert orders(tick(back, later)) == []
