# SPDX-License-Identifier: MIT
"""Rules that are broken on purpose: a check that cannot see them is no check."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from haagent.cluster import wire
from haagent.cluster.wire import New
from haagent.core import (
    agreeing,
    decide,
    departing,
    doubting,
    feeding,
    fitting,
    hanging,
    hearing,
    lacking,
    moving,
    proofs,
    rules,
    saying,
    speaking,
    starting,
    stateless,
)
from haagent.core.decide import HANDLERS
from haagent.core.events import Event, HelloHeard, ProbeAnswered
from haagent.core.invariants import InvariantBroken
from haagent.core.model import (
    GONE,
    Choice,
    Disk,
    Evidence,
    Farewell,
    FenceAnswer,
    GuestHello,
    Hello,
    NodeState,
    Path,
    Phase,
)
from haagent.core.turn import Decision, Turn
from haagent.storage.reconnection import Hang
from tests.sim import machine as simulated
from tests.sim.cables import paths_cut_apart
from tests.sim.drbd import Mirror
from tests.sim.scenarios import SCENARIOS
from tests.sim.telling import begin
from tests.sim.world import healthy

Plant = Callable[[pytest.MonkeyPatch], None]


def no_waiting(plant: pytest.MonkeyPatch) -> None:
    def hasty(state: NodeState, since: float) -> bool:
        return state.now - max(since, proofs.last_word(state)) >= state.timing.dead

    plant.setattr(proofs, "has_waited", hasty)


def silence_that_began_earlier(plant: pytest.MonkeyPatch) -> None:
    """Every sign of life is taken for older than it is, as only DRBD's may be, and by T_dead."""
    last_word = proofs.last_word
    plant.setattr(proofs, "last_word", lambda state: last_word(state) - state.timing.dead)


def old_boots_that_are_believed(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(hearing, "_is_fresh", lambda state, hello: True)


def whoever_heard_our_boot_once(plant: pytest.MonkeyPatch) -> None:
    """It is believed, whenever it said so."""

    def is_fresh(state: NodeState, hello: Hello) -> bool:
        return hello.has_replaced or hello.heard_boot == state.boot

    plant.setattr(hearing, "_is_fresh", is_fresh)


def an_answer_that_confirms_nothing(plant: pytest.MonkeyPatch) -> None:
    """To a boot that was met, which shall count by that."""
    heard = saying._heard

    def silent(state: NodeState) -> tuple[str, Mapping[Path, int]]:
        boot, numbers = heard(state)
        return boot, {} if boot == state.peer.met else numbers

    plant.setattr(saying, "_heard", silent)


def no_forfeit(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(doubting, "break_chains", lambda turn, why: None)


def no_doubt(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(doubting, "doubt", lambda turn, why: None)


def always_fed(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(feeding, "starves_because", lambda state: "")


def going_on_at_once(plant: pytest.MonkeyPatch) -> None:
    def hasty(state: NodeState, guest: str) -> Evidence | None:
        is_frozen = state.guests[guest].phase is Phase.FROZEN
        return Evidence.GATEWAY if is_frozen and proofs.has_referee(state) else None

    plant.setattr(proofs, "evidence", hasty)


def no_yielding(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(rules, "yield_to_higher_term", lambda turn, guest: None)


def promises_forgotten(plant: pytest.MonkeyPatch) -> None:
    def forget(turn: Turn, guest: str) -> None:
        if turn.ledger(guest).stands_down:
            turn.write(guest, stands_down=False)

    plant.setattr(agreeing, "stand_down", forget)


def a_handler_that_always_says_off(plant: pytest.MonkeyPatch) -> None:
    def answer(mirror: Mirror, node: int, _: FenceAnswer) -> None:
        mirror.copies[node].is_suspended = False
        mirror._write_alone(node)

    plant.setattr(Mirror, "lose", lambda mirror, node: answer(_lose(mirror, node), node, _OFF))


_OFF = FenceAnswer.PEER_OFF
_original_lose = Mirror.lose


def _lose(mirror: Mirror, node: int) -> Mirror:
    _original_lose(mirror, node)
    return mirror


def our_own_guest_taken_for_the_peers(plant: pytest.MonkeyPatch) -> None:
    hear = HANDLERS[ProbeAnswered]

    def credulous(turn: Turn, event: ProbeAnswered) -> None:
        hear(turn, replace(event, guest=""))

    plant.setattr(decide, "HANDLERS", {**HANDLERS, ProbeAnswered: credulous})


def taken_back_at_once(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(moving, "is_handed_over", lambda state, guest: False)


def a_farewell_for_ever(plant: pytest.MonkeyPatch) -> None:
    """Of a machine that stays, taken for that of one that goes down."""
    plant.setattr(hearing, "Farewell", lambda boot, term, _: Farewell(boot, term, True))


def starting_in_maintenance(plant: pytest.MonkeyPatch) -> None:
    may_start = starting.may_start

    def eager(state: NodeState, guest: str) -> bool:
        durable = replace(state.durable, in_maintenance=False)
        return may_start(replace(state, durable=durable), guest)

    plant.setattr(starting, "may_start", eager)


def all_at_once(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(departing, "_is_on_its_way", lambda state, guest: False)


def moved_whatever_the_other_is(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(moving, "_not_in_sync", lambda state, guest: None)


def stopping_for_ever(plant: pytest.MonkeyPatch) -> None:
    """A guest that is shutting down is not looked after when the peer is lost."""
    plant.setattr(
        proofs, "is_waiting", lambda state, guest: state.guests[guest].phase is Phase.FROZEN
    )


def a_word_that_drbd_cannot_follow(plant: pytest.MonkeyPatch) -> None:
    """The invariants are blind to it, too: that the good copy is shut out is what is left."""
    plant.setattr(lacking, "unstartable", lambda state, guest: None)
    plant.setattr(simulated, "check", lambda before, decision: None)


def a_mirror_that_is_never_tried_again(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(proofs, "has_hung_up", lambda state, guest: False)


def left_out(**unsaid: object) -> Plant:
    """The format before is spoken without these fields of a guest, as if nothing rested on them."""

    def plant(plant: pytest.MonkeyPatch) -> None:
        new = {name: New(value, may_lack=True) for name, value in unsaid.items()}
        plant.setattr(wire, "_NEW", {**wire._NEW, GuestHello: new})
        for cached in ("_sent_fields", "_unsaid"):
            plant.setattr(wire, cached, getattr(wire, cached).__wrapped__)

    return plant


def an_earlier_boots_format(plant: pytest.MonkeyPatch) -> None:
    """A machine that went back to the release before is spoken to as if it had not."""

    def hear(turn: Turn, event: HelloHeard) -> int:
        return max(turn.state.peer.format, event.format)

    plant.setattr(speaking, "hear", hear)


def the_newest_format_alone(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(speaking, "formats", lambda state: state.pair.formats[:1])


def starting_without_a_stick(plant: pytest.MonkeyPatch) -> None:
    may_start = starting.may_start
    plant.setattr(
        starting,
        "may_start",
        lambda state, guest: may_start(replace(state, is_stateless=False), guest),
    )


def going_on_alone_without_a_stick(plant: pytest.MonkeyPatch) -> None:
    evidence = proofs.evidence
    plant.setattr(
        proofs,
        "evidence",
        lambda state, guest: evidence(replace(state, is_stateless=False), guest),
    )


def a_loss_that_stops_the_holder(plant: pytest.MonkeyPatch) -> None:
    """What can be written no more is a reason to give up."""
    lose = stateless.lose

    def give_up(turn: Turn, why: str) -> None:
        lose(turn, why)
        turn.set(is_fenced=True)

    plant.setattr(stateless, "lose", give_up)


def claims_in_memory(plant: pytest.MonkeyPatch) -> None:
    """Whatever is decided without a stick is kept as if it were on it; the invariants are blind."""
    starting_without_a_stick(plant)
    going_on_alone_without_a_stick(plant)
    plant.setattr(stateless, "binding", lambda ledger, changes: dict(changes))
    plant.setattr(simulated, "check", lambda before, decision: None)


def consent_without_a_mark(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(stateless, "is_marked", lambda state, guest: True)


def promises_to_who_cannot_rely_on_them(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(stateless, "has_peer_lost_it", lambda state: False)


def a_loss_that_is_forgotten(plant: pytest.MonkeyPatch) -> None:
    """The next event is judged as if the stick were there."""

    def forgetful(state: NodeState, event: Event) -> Decision:
        return decide.decide(replace(state, is_stateless=False), event)

    plant.setattr(simulated, "decide", forgetful)


def an_end_that_is_told_in_vain(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(rules, "_revive", lambda turn, guest: None)


def a_peers_failed_disk_that_is_not_noticed(plant: pytest.MonkeyPatch) -> None:
    """The copy that is the only one is taken for one of two."""
    plant.setattr(rules, "stand_in", lambda turn, guest: None)


def whoever_meets_no_disk_has_the_newest(plant: pytest.MonkeyPatch) -> None:
    """As DRBD thinks, which calls it UpToDate; and the terms are the same."""

    def is_only_copy(state: NodeState, guest: str) -> bool:
        resource = state.guests[guest].resource
        return (
            resource is not None
            and resource.is_connected
            and resource.peer_disk in GONE
            and resource.disk is Disk.UP_TO_DATE
        )

    plant.setattr(proofs, "is_only_copy", is_only_copy)


def a_term_for_who_has_no_disk(plant: pytest.MonkeyPatch) -> None:
    """Whoever is frozen asks, and is given it; the invariants are blind."""

    has_reason = agreeing._has_reason_to_ask

    def has_any(state: NodeState, guest: str) -> bool:
        is_over = state.now - proofs.lost_since(state, guest) >= state.timing.gasp
        return (proofs.is_waiting(state, guest) and is_over) or has_reason(state, guest)

    plant.setattr(agreeing, "_has_reason_to_ask", has_any)
    plant.setattr(agreeing, "_refusal", lambda state, guest, words, asked: None)
    plant.setattr(simulated, "check", lambda before, decision: None)


def no_consent_without_a_disk(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(proofs, "GONE", frozenset())


def a_dead_disk_that_is_not_told_of(plant: pytest.MonkeyPatch) -> None:
    """Where nothing is brought up, DRBD tells of nothing."""
    tell = simulated.Machine.resource_changed

    def of_what_is_up(machine: simulated.Machine, guest: str) -> None:
        if machine.ground.mirrors[guest].copies[machine.node].is_attached:
            tell(machine, guest)

    plant.setattr(simulated.Machine, "resource_changed", of_what_is_up)


def a_start_that_failed_is_the_term_of_the_data(plant: pytest.MonkeyPatch) -> None:
    set_guest = Turn.set_guest

    def forgetful(turn: Turn, guest: str, **changes: object) -> None:
        if changes.get("failed_from") is None:
            set_guest(turn, guest, **changes)

    plant.setattr(Turn, "set_guest", forgetful)


def a_start_that_failed_for_ever(plant: pytest.MonkeyPatch) -> None:
    """What was once not written stays the term of the data, however often it is written since."""
    set_guest = Turn.set_guest

    def stubborn(turn: Turn, guest: str, **changes: object) -> None:
        if changes.get("failed_from", 0) is None:
            del changes["failed_from"]
        set_guest(turn, guest, **changes)

    plant.setattr(Turn, "set_guest", stubborn)


def a_term_raised_for_nothing_is_another_copys(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(
        proofs,
        "_is_of_our_data",
        lambda state, guest, term: term == proofs.base_term(state, guest),
    )


def nothing_left_to_the_next_agent(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(feeding, "left_by", lambda state: None)


def a_dead_agents_feed(plant: pytest.MonkeyPatch) -> None:
    """What Linux feeds when it closes the watchdog is taken for fed."""
    plant.setattr(feeding, "is_overdue", lambda state: False)


def nothing_before_it_is_seen(plant: pytest.MonkeyPatch) -> None:
    """What an agent was not told of is taken for absent; the invariants are blind to it, too."""
    plant.setattr(proofs, "may_be_here", lambda state, guest: False)
    plant.setattr(simulated, "check", lambda before, decision: None)


def the_term_of_another_for_what_is_not_seen(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(proofs, "may_be_here", lambda state, guest: False)


def a_lone_one_that_is_always_fed(plant: pytest.MonkeyPatch) -> None:
    starves_because = feeding.starves_because

    def lenient(state: NodeState) -> str:
        is_alone = all(ledger.alone for ledger in state.durable.ledgers.values())
        return "" if is_alone else starves_because(state)

    plant.setattr(feeding, "starves_because", lenient)
    plant.setattr(simulated, "check", lambda before, decision: None)


def a_disk_that_may_hang_for_ever(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(hanging, "look", lambda turn: None)


def a_disk_that_hangs_whatever_the_other_has(plant: pytest.MonkeyPatch) -> None:
    """Who gives up for it asks nothing about the other machine."""
    plant.setattr(hanging, "can_peer_go_on", lambda state, guest: True)


def a_resync_that_may_hang_for_ever(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(Hang, "look", lambda hang, is_copied: False)


def the_word_of_drbd_that_misses_an_end(plant: pytest.MonkeyPatch) -> None:
    """Who would not be frozen without the other says that the two are connected."""
    plant.setattr(saying, "_is_source", lambda mine: False)


def a_flag_that_is_left_on(plant: pytest.MonkeyPatch) -> None:
    """A second machine comes, and the first goes on believing that there is none."""
    take_up = simulated.Machine.take_up

    def forgetful(machine: simulated.Machine) -> None:
        was_vacant = machine.is_vacant
        take_up(machine)
        machine.is_vacant = was_vacant

    plant.setattr(simulated.Machine, "take_up", forgetful)


def a_second_machine_that_is_not_believed(plant: pytest.MonkeyPatch) -> None:
    """The settings say that there is none, whoever speaks."""
    plant.setattr(proofs, "is_vacant", lambda state: state.pair.is_vacant)


def nor_by_any_check(plant: pytest.MonkeyPatch) -> None:
    a_second_machine_that_is_not_believed(plant)
    plant.setattr(simulated, "check", lambda before, decision: None)


def waiting_for_who_was_never_there(plant: pytest.MonkeyPatch) -> None:
    """As one that lost somebody, who may have the guest and no watchdog that is known."""

    def is_alone(state: NodeState, guest: str) -> bool:
        return proofs.is_lone(state, guest) and proofs.has_waited_with_referee(state, state.started)

    plant.setattr(proofs, "_is_alone", is_alone)


def going_where_there_is_no_room(plant: pytest.MonkeyPatch) -> None:
    """Away from a disk that failed, to a machine that cannot start it, and with no way back."""
    plant.setattr(fitting, "surely_fits", lambda state, guest: True)


def staying_on_two_machines(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(departing, "_why_not_to_stay", lambda state, guest: None)


PLANTS: tuple[tuple[Plant, str], ...] = (
    (no_waiting, "holders-cards-die"),
    (silence_that_began_earlier, "holders-cards-die"),
    (old_boots_that_are_believed, "old-words-meet-a-rebooted-machine"),
    (whoever_heard_our_boot_once, "words-of-a-boot-in-between-come-late"),
    (an_answer_that_confirms_nothing, "both-start-with-old-words"),
    (no_forfeit, "standbys-cards-die"),
    (no_doubt, "frozen-standby"),
    (always_fed, "holders-cards-die"),
    (going_on_at_once, "standby-hears-nothing"),
    (no_yielding, "frozen-holder"),
    (promises_forgotten, "gateway-comes-back"),
    (a_handler_that_always_says_off, "holders-cards-die"),
    (our_own_guest_taken_for_the_peers, "standby-loses-power"),
    (taken_back_at_once, "guest-is-moved"),
    (a_farewell_for_ever, "moving-cables-after-a-farewell"),
    (starting_in_maintenance, "maintenance-and-the-peer-dies"),
    (all_at_once, "two-guests-go-one-after-the-other"),
    (moved_whatever_the_other_is, "move-is-refused"),
    (stopping_for_ever, "peer-dies-before-the-moved-guest-stops"),
    (a_word_that_drbd_cannot_follow, "operator-wants-a-part-of-a-copy"),
    (a_mirror_that_is_never_tried_again, "crossover-is-put-into-another-pair"),
    (a_word_that_drbd_cannot_follow, "operator-wants-an-outdated-copy"),
    (left_out(promise=0, stands_down=False), "mixed-gateway-then-standby"),
    (left_out(evidence=0, returned=0), "mixed-gateway-comes-back"),
    (left_out(choice=Choice()), "mixed-split-brain-is-ended-where-it-runs"),
    (left_out(choice=Choice()), "crosswise-split-brain-is-ended-the-other-way"),
    (left_out(proposal=None), "mixed-split-brain-is-ended-where-it-runs"),
    (an_earlier_boots_format, "updated-machine-falls-back-by-itself"),
    (the_newest_format_alone, "update-is-taken-back"),
    (starting_without_a_stick, "standby-without-its-stick"),
    (going_on_alone_without_a_stick, "holder-without-its-stick-loses-the-other"),
    (a_loss_that_stops_the_holder, "holder-loses-its-stick"),
    (claims_in_memory, "holder-without-its-stick-loses-the-other"),
    (claims_in_memory, "standby-without-its-stick"),
    (consent_without_a_mark, "holder-returns-to-a-standby-without-its-stick"),
    (promises_to_who_cannot_rely_on_them, "gateway-fails-beside-a-machine-without-its-stick"),
    (promises_to_who_cannot_rely_on_them, "stick-is-lost-while-the-other-stands-down"),
    (a_loss_that_is_forgotten, "standby-without-its-stick"),
    (nothing_left_to_the_next_agent, "agent-dies-again-and-again"),
    (nothing_left_to_the_next_agent, "blind-agents-die-one-after-the-other"),
    (a_dead_agents_feed, "agent-dies-as-its-watchdog-runs-out"),
    (the_term_of_another_for_what_is_not_seen, "blind-agent-hears-of-a-start-elsewhere"),
    (nothing_before_it_is_seen, "blind-agent-is-cut-off"),
    (nothing_before_it_is_seen, "blind-agent-never-sees"),
    (nothing_before_it_is_seen, "agent-restarts-while-writes-wait"),
    (a_lone_one_that_is_always_fed, "zombie-of-who-is-alone"),
    (a_lone_one_that_is_always_fed, "xl-hangs-at-the-taker"),
    (an_end_that_is_told_in_vain, "guest-ends-while-its-writes-wait"),
    (a_peers_failed_disk_that_is_not_noticed, "holders-disk-fails"),
    (a_peers_failed_disk_that_is_not_noticed, "failed-disk-is-back-and-the-crossover-dead"),
    (whoever_meets_no_disk_has_the_newest, "both-disks-fail-one-after-the-other"),
    (a_term_for_who_has_no_disk, "holders-disk-fails-then-the-crossover"),
    (no_consent_without_a_disk, "standbys-disk-fails-then-the-crossover"),
    (a_disk_that_may_hang_for_ever, "holders-disk-hangs"),
    (a_disk_that_may_hang_for_ever, "standbys-disk-hangs"),
    (a_disk_that_hangs_whatever_the_other_has, "disk-hangs-of-who-is-alone"),
    (a_disk_that_hangs_whatever_the_other_has, "disk-hangs-of-a-standby-without-its-holder"),
    (a_start_that_failed_is_the_term_of_the_data, "promotion-fails-after-a-farewell"),
    (
        a_term_raised_for_nothing_is_another_copys,
        "promotion-fails-that-the-peer-took-note-of",
    ),
    (a_start_that_failed_for_ever, "promotion-fails-after-a-farewell"),
    (a_start_that_failed_for_ever, "what-could-not-start-is-in-sync-again"),
    (a_dead_disk_that_is_not_told_of, "standbys-disk-is-dead-at-the-start"),
    (a_resync_that_may_hang_for_ever, "resync-hangs-at-its-end"),
    (the_word_of_drbd_that_misses_an_end, "holder-dies-as-its-mirror-connects-anew"),
    (the_word_of_drbd_that_misses_an_end, "holder-is-cut-off-while-a-resync-hangs"),
    (the_word_of_drbd_that_misses_an_end, "holder-is-cut-off-as-a-resync-ends"),
    (a_flag_that_is_left_on, "machine-beside-a-lone-one-is-chosen"),
    (a_second_machine_that_is_not_believed, "flag-is-left-beside-a-second-machine"),
    (nor_by_any_check, "flag-is-left-beside-a-second-machine"),
    (waiting_for_who_was_never_there, "lone-machine-reboots-when-it-has-agreed"),
    (going_where_there_is_no_room, "holders-disk-fails-and-nobody-else-has-room"),
    (staying_on_two_machines, "holders-disk-fails"),
)


@pytest.mark.parametrize(("plant", "name"), PLANTS)
def test_a_broken_rule_is_seen(plant: Plant, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert_seen(name)


def assert_seen(name: str) -> None:
    """The history NAME does not end as it should."""
    scenario = SCENARIOS[name]
    world = begin(scenario)
    try:
        scenario.tell(world)
    except (AssertionError, InvariantBroken):
        return
    assert world.audit.violations or world.audit.together, "nobody noticed"


def test_a_missing_proof_of_the_lan_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "fell_silent_together", lambda state: True)
    with pytest.raises(AssertionError):
        paths_cut_apart(healthy(), -2.4)


def test_a_state_that_is_saved_too_late_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder's risen term is lost in the power cut that follows its first lone write."""
    write = Turn.write

    def forgetful(turn: Turn, guest: str, **changes: object) -> None:
        if changes.get("alone") is None:
            write(turn, guest, **changes)

    monkeypatch.setattr(Turn, "write", forgetful)
    scenario = SCENARIOS["standby-dies-and-holder-reboots"]
    world = begin(scenario)
    with pytest.raises((AssertionError, InvariantBroken)):
        scenario.tell(world)
