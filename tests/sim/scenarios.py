# SPDX-License-Identifier: MIT
"""Named histories of a pair: the faults that once broke earlier rules, and the ordinary ones.

Each gets a world, does something to it, and asserts what must come of it. That nothing was lost and
nobody wrote twice is asserted for all of them by the test that runs them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from haagent.core import events, proofs
from haagent.core.model import Disk, Link, Path, Phase, Policy
from tests.sim.drbd import Copy
from tests.sim.world import World, healthy

A, B = 0, 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story, and the pair that it begins with."""

    tell: Callable[[World], None]
    policy: Policy = Policy.AUTOMATIC
    is_exempt: bool = False  # of a class in which two machines may serve for a while
    guests: Mapping[str, int] = field(default_factory=lambda: {"g": A})


def begin(scenario: Scenario, seed: int = 0) -> World:
    return healthy(guests=dict(scenario.guests), policy=scenario.policy, seed=seed)


def phase(world: World, node: int, guest: str = "g") -> Phase:
    state = world.machines[node].state
    assert state is not None
    return state.guests[guest].phase


def disk(world: World, node: int) -> Disk:
    return world.mirrors["g"].copies[node].disk


def wait(world: World, seconds: float) -> None:
    world.run(world.now + seconds)


def expect(world: World, node: int | None, within: float, guest: str = "g") -> None:
    """The guest is served by NODE; or, with None, by nobody for as long as WITHIN."""
    if node is not None:
        world.run_until(lambda: world.serves(node, guest), world.now + within)
        return
    limit = world.now + within
    while world.now < limit:
        wait(world, 1.0)
        assert world.holders(guest) == [], "\n".join(world.log[-30:])


def stays(world: World, node: int, seconds: float, guest: str = "g") -> None:
    """NODE holds the guest all the time: it is not even started anew."""
    start = world.machines[node].domains[guest]
    wait(world, seconds)
    assert world.machines[node].domains.get(guest) == start, "\n".join(world.log[-30:])


def starts_anew(world: World, node: int, within: float) -> None:
    """The guest ends where it is, and is then served by NODE."""
    start = world.audit.starts["g"]
    world.run_until(
        lambda: world.audit.starts["g"] > start and world.serves(node), world.now + within
    )


def recovers(world: World, within: float = 120) -> None:
    world.heal()
    world.run_until(world.is_healthy, world.now + within)


def holder_loses_power(world: World) -> None:
    world.power_off(A)
    expect(world, B, 25)
    world.power_on(A)
    recovers(world)
    stays(world, B, 30)  # nothing fails back
    world.power_off(B)
    expect(world, A, 25)
    recovers(world)


def standby_loses_power(world: World) -> None:
    world.power_off(B)
    stays(world, A, 60)
    timing = world.timing
    assert world.audit.longest_gap["g"] <= timing.dead + timing.resume + 1
    recovers(world)


def crossover_is_pulled(world: World) -> None:
    world.unplug(Path.CROSSOVER)
    stays(world, A, 60)
    assert disk(world, B) is Disk.OUTDATED
    world.plug(Path.CROSSOVER)
    stays(world, A, 30)
    assert world.is_healthy()


def crossover_flaps(world: World) -> None:
    start = world.machines[A].domains["g"]
    for _ in range(10):
        world.unplug(Path.CROSSOVER)
        wait(world, 3)
        world.plug(Path.CROSSOVER)
        wait(world, 3)
    recovers(world)
    assert world.machines[A].domains["g"] == start


def crossover_is_put_into_another_pair(world: World) -> None:
    """For a moment: the same addresses, another secret. DRBD hangs up on it for good."""
    world.unplug(Path.CROSSOVER)
    stays(world, A, 15)
    mirror = world.mirrors["g"]
    ours = mirror.copies
    stranger = Copy(current=999, bitmap=998, secret="of another pair")
    stranger.attach()
    mirror.copies = (ours[A], stranger)
    world.plug(Path.CROSSOVER)
    world.run_until(lambda: ours[A].link is Link.STANDALONE, world.now + 10)
    world.unplug(Path.CROSSOVER)
    mirror.copies = ours
    mirror.changed(B)  # it was never asked
    world.plug(Path.CROSSOVER)
    stays(world, A, 30)
    assert world.is_healthy()
    wait(world, 15)
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def crossover_then_holder(world: World) -> None:
    world.unplug(Path.CROSSOVER)
    wait(world, 30)
    world.power_off(A)
    expect(world, None, 90)
    recovers(world)


def holder_leaves(world: World) -> None:
    world.leave(A)
    expect(world, B, 6)
    recovers(world)
    stays(world, B, 30)


def standby_leaves(world: World) -> None:
    world.leave(B)
    stays(world, A, 60)
    recovers(world)


def stale_one_returns_first(world: World) -> None:
    world.power_off(B)
    wait(world, 30)
    world.power_off(A)
    wait(world, 5)
    world.power_on(B)
    expect(world, None, 120)
    recovers(world)
    assert world.holders() == [A]


def newer_one_returns_first(world: World) -> None:
    world.power_off(B)
    wait(world, 30)
    world.power_off(A)
    wait(world, 5)
    world.power_on(A)
    expect(world, A, 60)
    recovers(world)


def both_reboot(world: World) -> None:
    for node in (A, B):
        world.reset(node)
    expect(world, A, 60)
    recovers(world)


def both_lose_power_one_returns(world: World) -> None:
    world.power_off(A)
    world.power_off(B)
    world.power_on(A)
    expect(world, None, 120)
    recovers(world)


def holder_returns_before_the_takeover(world: World) -> None:
    world.power_off(A)
    world.power_on(A, 8)
    expect(world, A, 60)
    recovers(world)


def holders_cards_die(world: World) -> None:
    world.kill_nics(A)
    expect(world, B, 25)
    assert world.machines[A].resets == 1
    recovers(world)
    stays(world, B, 30)


def standbys_cards_die(world: World) -> None:
    world.kill_nics(B)
    stays(world, A, 40)
    assert disk(world, B) is Disk.OUTDATED
    world.power_off(A)
    expect(world, None, 60)
    recovers(world)


def cards_heal_after_the_holder_died(world: World) -> None:
    world.kill_nics(B)
    wait(world, 40)
    world.power_off(A)
    wait(world, 30)
    world.heal_nics(B)
    expect(world, None, 90)
    recovers(world)
    assert world.holders() == [A]


def standby_stalls_while_the_holder_writes_and_dies(world: World) -> None:
    world.stall(B, 20)
    wait(world, 17)
    world.power_off(A)
    expect(world, None, 90)
    recovers(world)


def old_silence_new_gateway(world: World) -> None:
    world.kill_nics(B)
    wait(world, 55)
    world.pull_lan(A)
    world.nic_dead.discard((Path.LAN, B))
    stays(world, A, 90)
    recovers(world)


def holder_is_heard_and_hears_nothing(world: World) -> None:
    for path in (Path.CROSSOVER, Path.LAN):
        world.unplug(path, B)
    wait(world, 60)
    assert world.audit.together == 0
    recovers(world)


def standby_hears_nothing(world: World) -> None:
    for path in (Path.CROSSOVER, Path.LAN):
        world.unplug(path, A)
    wait(world, 60)
    assert world.audit.together == 0
    recovers(world)


def gateway_then_standby(world: World) -> None:
    world.set_gateway(False)
    wait(world, 20)
    world.power_off(B)
    stays(world, A, 60)
    assert world.machines[A].resets == 0
    world.power_off(A)
    world.power_on(A)
    expect(world, A, 60)  # it relies on the promise, and needs no gateway
    recovers(world)


def gateway_then_holder(world: World) -> None:
    world.set_gateway(False)
    wait(world, 20)
    world.power_off(A)
    expect(world, None, 60)
    world.set_gateway(True)
    expect(world, None, 30)  # the promise stands until it was given back
    recovers(world)


def gateway_comes_back(world: World) -> None:
    world.set_gateway(False)
    wait(world, 20)
    state = world.machines[B].state
    assert state is not None and state.durable.ledgers["g"].stands_down
    world.set_gateway(True)
    wait(world, 10)
    state = world.machines[B].state
    assert state is not None and not state.durable.ledgers["g"].stands_down
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def lan_is_filtered_then_standby_dies(world: World) -> None:
    world.unplug(Path.LAN)
    wait(world, 30)
    world.power_off(B)
    stays(world, A, 60)
    recovers(world)


def lan_is_filtered_then_crossover_cut(world: World) -> None:
    world.unplug(Path.LAN)
    wait(world, 30)
    world.unplug(Path.CROSSOVER)
    stays(world, A, 90)
    recovers(world)


def standby_dies_and_holder_reboots(world: World) -> None:
    world.power_off(B)
    wait(world, 30)
    world.reset(A)
    expect(world, A, 70)
    recovers(world)


def crossover_dead_and_holder_reboots(world: World) -> None:
    world.unplug(Path.CROSSOVER)
    wait(world, 30)
    world.reset(A)
    expect(world, A, 60)
    recovers(world)


def brown_out_with_the_crossover_dead(world: World) -> None:
    world.unplug(Path.CROSSOVER)
    for node in (A, B):
        world.reset(node)
    expect(world, None, 90)
    world.plug(Path.CROSSOVER)
    expect(world, A, 30)
    recovers(world)


def farewell_of_long_ago(world: World) -> None:
    for node in (A, B):
        world.leave(node)
        expect(world, 1 - node, 6)
        wait(world, 60)
    world.kill_nics(A)
    wait(world, 60)
    assert world.audit.together == 0
    recovers(world)


def holder_without_a_watchdog(world: World) -> None:
    world.machines[A].has_watchdog = False
    world.machines[A].fed = None
    world.restart_agent(A)
    wait(world, 10)
    world.kill_nics(A)
    wait(world, 60)
    assert world.holders() in ([A], [])
    recovers(world)


def operator_starts_the_old_copy(world: World) -> None:
    world.power_off(B)
    wait(world, 20)
    world.power_off(A)
    world.power_on(B)
    wait(world, 40)
    world.audit.acked["g"].clear()  # the operator gives up what A alone has
    world.post(B, lambda: events.OperatorConfirmed(world.clock(B), "g"))
    expect(world, B, 10)
    wait(world, 20)
    world.power_off(B)
    world.power_on(A, 10)
    world.power_on(B, 20)
    wait(world, 90)
    assert A not in world.holders()
    parted = {world.mirrors["g"].copies[node].link for node in (A, B)}
    assert Link.STANDALONE in parted


def operator_wants_a_part_of_a_copy(world: World) -> None:
    """The holder dies while the other copy is brought up to date: no word can start that one, and
    none may keep the holder from serving when it is back.
    """
    world.power_off(B)
    stays(world, A, 60)
    world.sync_takes = 3600.0
    world.power_on(B)
    world.run_until(lambda: disk(world, B) is Disk.INCONSISTENT, world.now + 60)
    world.power_off(A)
    wait(world, 30)
    world.post(B, lambda: events.OperatorConfirmed(world.clock(B), "g"))
    expect(world, None, 30)
    world.power_on(A)
    expect(world, A, 90)
    world.sync_takes = None
    world.break_mirror()
    recovers(world)


def operator_wants_an_outdated_copy(world: World) -> None:
    """The other one wrote since, and DRBD knows it: without force it starts nothing on that."""
    world.unplug(Path.CROSSOVER)
    wait(world, 30)
    assert disk(world, B) is Disk.OUTDATED
    world.power_off(A)
    wait(world, 30)
    world.post(B, lambda: events.OperatorConfirmed(world.clock(B), "g"))
    expect(world, None, 30)
    world.power_on(A)
    expect(world, A, 90)
    recovers(world)


def dying_gasp(world: World) -> None:
    world.unplug(Path.CROSSOVER)
    wait(world, 2.5)
    world.power_off(A)
    expect(world, None, 60)
    recovers(world)


def somebody_answers_for_the_dead(world: World) -> None:
    world.ghost = True
    world.power_off(A)
    expect(world, None, 90)
    recovers(world)


def agent_restarts(world: World) -> None:
    for node in (A, B, A):
        world.restart_agent(node)
        stays(world, A, 10)
    assert disk(world, B) is Disk.UP_TO_DATE
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def agent_hangs(world: World) -> None:
    world.stall_agent(A, 30)
    wait(world, 60)
    assert world.machines[A].resets == 1
    assert world.audit.together == 0
    recovers(world)


def holders_lan_dies_then_the_holder(world: World) -> None:
    world.pull_lan(A)
    stays(world, A, 30)
    world.power_off(A)
    expect(world, None, 60)
    recovers(world)


def switch_reboots(world: World) -> None:
    start = world.machines[A].domains["g"]
    world.unplug(Path.LAN)
    world.set_gateway(False)
    wait(world, 40)
    world.plug(Path.LAN)
    world.set_gateway(True)
    wait(world, 20)
    assert world.machines[A].domains["g"] == start
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def taker_dies_too(world: World) -> None:
    world.power_off(A)
    expect(world, B, 25)
    wait(world, 5)
    world.power_off(B)
    world.power_on(A)
    expect(world, None, 90)
    recovers(world)
    assert world.holders() == [B]


def hole(world: World) -> None:
    for path in (Path.CROSSOVER, Path.LAN):
        world.unplug(path)
    wait(world, 60)
    assert world.holders() == [A, B]
    world.heal()
    wait(world, 60)
    assert len(world.holders()) == 1  # the lower term gives way
    assert all(copy.link is Link.STANDALONE for copy in world.mirrors["g"].copies)


def hole_with_the_owner_asked(world: World) -> None:
    for path in (Path.CROSSOVER, Path.LAN):
        world.unplug(path)
    stays(world, A, 60)
    assert world.holders() == [A]
    recovers(world)


def frozen_holder(world: World) -> None:
    world.freeze(A, 30)
    expect(world, B, 25) if not world.holders() else wait(world, 25)
    wait(world, 20)
    assert A not in world.holders()
    recovers(world)


def frozen_standby(world: World) -> None:
    world.freeze(B, 24)
    wait(world, 20)
    world.power_off(A)
    wait(world, 60)
    recovers(world)


def split_brain(world: World) -> None:
    """Both wrote alone: A has the guest now, and B has ended its own. What led here is forgiven."""
    for path in (Path.CROSSOVER, Path.LAN):
        world.unplug(path)
    wait(world, 60)
    world.heal()
    wait(world, 30)
    assert world.holders() == [A]
    one, other = (copy.data for copy in world.mirrors["g"].copies)
    world.audit.forgive("g", one ^ other)
    world.note("== split brain")


def split_brain_is_ended_where_it_runs(world: World) -> None:
    split_brain(world)
    world.choose(B, A)
    stays(world, A, 40)
    assert world.is_healthy()


def split_brain_is_ended_the_other_way(world: World) -> None:
    split_brain(world)
    world.choose(A, B)
    expect(world, B, 20)
    recovers(world)


def paths_cut_apart(world: World, seconds: float) -> None:
    """The LAN, and so much later the crossover; the other way round if SECONDS is negative."""
    first, second = (Path.LAN, Path.CROSSOVER) if seconds > 0 else (Path.CROSSOVER, Path.LAN)
    world.unplug(first)
    wait(world, abs(seconds))
    world.unplug(second)
    wait(world, 60)
    assert world.audit.together == 0
    recovers(world)


def guest_is_moved(world: World) -> None:
    """A person moves it there and back; each time it starts once, and nobody takes it back."""
    for source, target in ((A, B), (B, A)):
        starts = world.audit.starts["g"]
        world.move(source)
        expect(world, target, 6)
        stays(world, target, 60)
        assert world.audit.starts["g"] == starts + 1
        assert world.is_healthy()
    assert world.refusals == [None, None]


def peer_dies_before_the_moved_guest_stops(world: World) -> None:
    """The writes of a guest that is shutting down wait; its machine goes on alone, then has it."""
    world.power_off(B)
    wait(world, 0.3)
    world.move(A)
    assert world.refusals == [None]
    starts_anew(world, A, 60)
    recovers(world)


def peer_dies_as_the_moved_guest_stops(world: World) -> None:
    """The farewell finds nobody any more: it starts again where it was."""
    world.move(A)
    world.run_until(lambda: phase(world, A) is Phase.RELEASED, world.now + 6)
    world.power_off(B)
    starts_anew(world, A, 25)
    recovers(world)


def peer_dies_as_the_moved_guest_starts(world: World) -> None:
    """It is the other's already, by a risen term; the one that gave it away takes it over."""
    world.move(A)
    world.run_until(lambda: phase(world, B) is Phase.CREATING, world.now + 6)
    world.power_off(B)
    expect(world, A, 25)
    recovers(world)
    stays(world, A, 30)


def holder_dies_as_the_moved_guest_stops(world: World) -> None:
    """Without a farewell it is a takeover like any other."""
    world.move(A)
    wait(world, 0.8)
    assert phase(world, A) is Phase.STOPPING
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)
    stays(world, B, 30)


def holder_dies_after_its_farewell(world: World) -> None:
    """The other has heard it, and goes on alone."""
    world.move(A)
    world.run_until(lambda: phase(world, B) is Phase.PROMOTING, world.now + 6)
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)
    stays(world, B, 30)


def crossover_is_pulled_as_the_moved_guest_stops(world: World) -> None:
    """The other marks its copy, the guest comes to its end, and starts again where it was."""
    world.move(A)
    wait(world, 0.5)
    world.unplug(Path.CROSSOVER)
    starts_anew(world, A, 60)
    assert disk(world, B) is Disk.OUTDATED
    recovers(world)


def cards_die_as_the_moved_guest_stops(world: World) -> None:
    """A machine that is cut off with a guest half shut down gives it up in time."""
    world.move(A)
    wait(world, 0.5)
    world.kill_nics(A)
    expect(world, B, 25)
    assert world.audit.together == 0
    recovers(world)
    stays(world, B, 30)


def moved_guest_cannot_start_there(world: World) -> None:
    """It comes back where it was, when the other had its turn."""
    for source in (A, B):
        world.machines[1 - source].is_full = True
        world.move(source)
        starts_anew(world, source, 40)
        stays(world, source, 30)
        world.machines[1 - source].is_full = False
        if source == A:
            world.move(A)
            expect(world, B, 6)
            wait(world, 10)
    recovers(world)


def move_is_refused(world: World) -> None:
    """Where the other would not surely start it, nothing is touched."""
    start = world.machines[A].domains["g"]
    world.move(B)  # it does not run there
    world.unplug(Path.LAN)
    wait(world, 8)
    world.move(A)  # one cable is dead
    world.plug(Path.LAN)
    wait(world, 3)
    world.power_off(B)
    wait(world, 30)
    world.move(A)  # the other is silent
    world.power_on(B)
    world.run_until(lambda: world.mirrors["g"].copies[A].link is Link.SYNC_SOURCE, world.now + 60)
    wait(world, 1)
    world.move(A)  # its copy there is being brought up to date
    world.set_gateway(False)
    wait(world, 20)
    world.move(A)  # the other stands down
    assert world.refusals == [
        "it runs on a, which is where to ask for it",
        "a and b do not hear each other over the LAN",
        "b is silent",
        "its copy on b is Inconsistent",
        "b promised not to start it while no gateway answers both machines",
    ]
    assert world.machines[A].domains["g"] == start
    recovers(world)


def moving_cables_after_a_farewell(world: World) -> None:
    """The farewell is heard by one that judges it when the mirror is broken, and is cut off then.

    Whoever stays after a farewell is alive, and may start the guest again when all is silent.
    """
    world.move(A)
    world.run_until(lambda: phase(world, A) is Phase.RELEASED, world.now + 6)
    world.stall_agent(B, 1.5)
    wait(world, 0.55)
    world.kill_nics(A)
    world.break_mirror()
    wait(world, 1.7)
    world.nic_dead.discard((Path.LAN, A))
    world.pull_lan(B)
    wait(world, 60)
    assert world.audit.together == 0
    recovers(world)


def maintenance_and_the_peer_dies(world: World) -> None:
    """The guest goes to the other; when that one dies, nothing starts here until a person says."""
    world.maintenance(A, True)
    expect(world, B, 6)
    stays(world, B, 30)
    world.power_off(B)
    expect(world, None, 90)
    state = world.machines[A].state
    assert state is not None
    assert proofs.missing(state, "g") == ["a is in maintenance, and starts nothing by itself"]
    world.maintenance(A, False)
    expect(world, A, 6)
    recovers(world)


def maintenance_on_and_off(world: World) -> None:
    """Nothing moves back by itself, and the pair protects again."""
    world.maintenance(A, True)
    expect(world, B, 6)
    wait(world, 30)
    world.maintenance(A, False)
    stays(world, B, 60)
    assert world.is_healthy()
    world.power_off(B)
    expect(world, A, 25)
    recovers(world)


def maintenance_survives_a_power_cut(world: World) -> None:
    """On the machine that holds the guest alone, and then finds its maintenance written down."""
    world.power_off(B)
    wait(world, 20)
    world.maintenance(A, True)
    stays(world, A, 20)  # nobody could take it
    world.reset(A)
    expect(world, None, 90)
    world.maintenance(A, False)
    expect(world, A, 25)
    recovers(world)


def guest_in_maintenance_goes_when_it_can(world: World) -> None:
    """It stays while the other copy is old, and goes as soon as the two are one."""
    world.power_off(B)
    wait(world, 20)
    world.maintenance(A, True)
    stays(world, A, 20)
    world.power_on(B)
    expect(world, B, 60)
    recovers(world)
    stays(world, B, 30)


def both_in_maintenance(world: World) -> None:
    """What runs stays where it is; what stops, stops."""
    world.maintenance(A, True)
    expect(world, B, 6)
    world.maintenance(B, True)
    stays(world, B, 60)
    world.move(B)
    assert world.refusals[-1] == "a is in maintenance"
    world.reset(B)
    expect(world, None, 120)
    world.maintenance(B, False)
    expect(world, B, 6)
    recovers(world)


def maintenance_of_the_standby(world: World) -> None:
    """It still does what keeps the other safe: it outdates its copy, and answers."""
    world.maintenance(B, True)
    world.unplug(Path.CROSSOVER)
    stays(world, A, 40)
    assert disk(world, B) is Disk.OUTDATED
    world.plug(Path.CROSSOVER)
    stays(world, A, 30)
    world.power_off(A)
    expect(world, None, 60)
    world.power_on(A)
    expect(world, A, 60)
    recovers(world)


def two_guests_go_one_after_the_other(world: World) -> None:
    """In maintenance the second is not shut down before the first runs again."""
    world.maintenance(A, True)

    def are_there() -> bool:
        assert world.holders("g") or world.holders("h")
        return world.serves(B, "g") and world.serves(B, "h")

    world.run_until(are_there, world.now + 20)
    recovers(world)


def second_guest_stays_when_the_first_cannot_start_there(world: World) -> None:
    """Nothing more is stopped for a machine that has just failed to start the one before."""
    world.machines[B].is_full = True
    world.maintenance(A, True)
    wait(world, 4)
    expect(world, None, 60)
    stays(world, A, 30, "h")
    world.machines[B].is_full = False
    expect(world, B, 40)
    expect(world, B, 10, "h")
    recovers(world)


SCENARIOS: Mapping[str, Scenario] = (
    {
        tell.__name__.replace("_", "-"): Scenario(tell)
        for tell in (
            holder_loses_power,
            standby_loses_power,
            crossover_is_pulled,
            crossover_flaps,
            crossover_is_put_into_another_pair,
            crossover_then_holder,
            holder_leaves,
            standby_leaves,
            stale_one_returns_first,
            newer_one_returns_first,
            both_reboot,
            both_lose_power_one_returns,
            holder_returns_before_the_takeover,
            holders_cards_die,
            standbys_cards_die,
            cards_heal_after_the_holder_died,
            standby_stalls_while_the_holder_writes_and_dies,
            old_silence_new_gateway,
            holder_is_heard_and_hears_nothing,
            standby_hears_nothing,
            gateway_then_standby,
            gateway_then_holder,
            gateway_comes_back,
            lan_is_filtered_then_standby_dies,
            lan_is_filtered_then_crossover_cut,
            standby_dies_and_holder_reboots,
            crossover_dead_and_holder_reboots,
            brown_out_with_the_crossover_dead,
            farewell_of_long_ago,
            holder_without_a_watchdog,
            operator_starts_the_old_copy,
            operator_wants_a_part_of_a_copy,
            operator_wants_an_outdated_copy,
            dying_gasp,
            somebody_answers_for_the_dead,
            agent_restarts,
            agent_hangs,
            holders_lan_dies_then_the_holder,
            switch_reboots,
            taker_dies_too,
            guest_is_moved,
            peer_dies_before_the_moved_guest_stops,
            peer_dies_as_the_moved_guest_stops,
            peer_dies_as_the_moved_guest_starts,
            holder_dies_as_the_moved_guest_stops,
            holder_dies_after_its_farewell,
            crossover_is_pulled_as_the_moved_guest_stops,
            cards_die_as_the_moved_guest_stops,
            moved_guest_cannot_start_there,
            move_is_refused,
            moving_cables_after_a_farewell,
            maintenance_and_the_peer_dies,
            maintenance_on_and_off,
            maintenance_survives_a_power_cut,
            guest_in_maintenance_goes_when_it_can,
            both_in_maintenance,
            maintenance_of_the_standby,
            split_brain_is_ended_where_it_runs,
            split_brain_is_ended_the_other_way,
        )
    }
    | {
        tell.__name__.replace("_", "-"): Scenario(tell, guests={"g": A, "h": A})
        for tell in (
            two_guests_go_one_after_the_other,
            second_guest_stays_when_the_first_cannot_start_there,
        )
    }
    | {
        "hole-automatic": Scenario(hole, is_exempt=True),
        "hole-wait-for-me": Scenario(hole_with_the_owner_asked, policy=Policy.WAIT),
        "frozen-holder": Scenario(frozen_holder, is_exempt=True),
        "frozen-standby": Scenario(frozen_standby),
    }
)
