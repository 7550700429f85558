# SPDX-License-Identifier: MIT
"""Named histories of guests that a person moves, and of machines in maintenance."""

from collections.abc import Mapping

from haagent.core import lacking
from haagent.core.model import Disk, Link, Path, Phase
from haagent.core.wish import Target
from tests.sim.machine import Machine
from tests.sim.telling import (
    A,
    B,
    Scenario,
    disk,
    expect,
    name_of,
    named,
    phase,
    recovers,
    starts_anew,
    stays,
    wait,
)
from tests.sim.world import World


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


def promotion_fails_after_a_farewell(world: World) -> None:
    """Who signs off for a restart loses its power before DRBD has promoted the other, which fails
    for that. Nothing was written, so what was proven still is.
    """
    world.leave(A)
    world.run_until(lambda: phase(world, B) is Phase.PROMOTING, world.now + 8)
    world.power_off(A)
    expect(world, B, 40)
    recovers(world)
    _goes_there_and_dies(world)


def promotion_fails_that_the_peer_took_note_of(world: World) -> None:
    """The cable goes first. By the LAN the one that leaves has heard of the term that was raised
    for nothing, and calls its copy one of that.
    """
    world.leave(A)
    world.run_until(lambda: phase(world, B) is Phase.PROMOTING, world.now + 8)
    world.unplug(Path.CROSSOVER)
    a, b = world.machines
    world.run_until(lambda: _term(a) == _term(b), world.now + 2)
    wait(world, world.timing.keepalive)  # it says so
    world.power_off(A)
    expect(world, B, 40)
    recovers(world)
    _goes_there_and_dies(world)


def what_could_not_start_is_in_sync_again(world: World) -> None:
    """A start that failed is over when both copies are one: the next loss is about that term."""
    world.move(A)
    world.run_until(lambda: phase(world, B) is Phase.PROMOTING, world.now + 6)
    world.unplug(Path.CROSSOVER)
    world.run_until(lambda: phase(world, B) is Phase.RELEASED, world.now + 10)
    recovers(world)
    _goes_there_and_dies(world)


def _term(machine: Machine) -> int:
    assert machine.state is not None
    return machine.state.durable.ledgers["g"].term


def _goes_there_and_dies(world: World) -> None:
    """The guest, to A and with it."""
    if world.holders() == [B]:
        _settles(world)
        world.move(B)
        expect(world, A, 10)
    _settles(world)
    world.power_off(A)
    expect(world, B, 40)


def _settles(world: World) -> None:
    """A move would be allowed."""
    world.run_until(world.is_healthy, world.now + 60)
    wait(world, 20)


def crossover_is_pulled_as_the_moved_guest_stops(world: World) -> None:
    """The other marks its copy, the guest comes to its end, and starts again where it was."""
    world.move(A)
    wait(world, 0.5)
    world.unplug(Path.CROSSOVER)
    starts_anew(world, A, 60)
    assert disk(world, B) is Disk.OUTDATED
    recovers(world)


def crossover_is_pulled_as_the_moved_guest_starts(world: World) -> None:
    """It is the other's by then, and so the one that gave it away marks its copy."""
    world.move(A)
    world.run_until(lambda: phase(world, B) is Phase.CREATING, world.now + 6)
    world.unplug(Path.CROSSOVER)
    expect(world, B, 30)
    stays(world, B, 30)
    assert disk(world, A) is Disk.OUTDATED
    recovers(world)
    stays(world, B, 30)


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
    assert lacking.sentences(state, "g") == ["a is in maintenance, and starts nothing by itself"]
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


def stopped_guest_holds_up_no_other(world: World) -> None:
    """Whoever it was stopped by, and wherever, it is on its way to nowhere."""
    world.want(A, Target.STOPPED)
    world.run_until(lambda: not world.holders("g"), world.now + 10)
    for source, target in ((A, B), (B, A)):
        world.maintenance(source, True)
        expect(world, target, 20, "h")
        world.maintenance(source, False)
        wait(world, 5)
    expect(world, None, 10)
    world.want(B, Target.STARTED)
    expect(world, B, 12)
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


MOVES: Mapping[str, Scenario] = named(
    guest_is_moved,
    peer_dies_before_the_moved_guest_stops,
    peer_dies_as_the_moved_guest_stops,
    peer_dies_as_the_moved_guest_starts,
    holder_dies_as_the_moved_guest_stops,
    holder_dies_after_its_farewell,
    promotion_fails_after_a_farewell,
    promotion_fails_that_the_peer_took_note_of,
    what_could_not_start_is_in_sync_again,
    crossover_is_pulled_as_the_moved_guest_stops,
    crossover_is_pulled_as_the_moved_guest_starts,
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
) | {
    name_of(tell): Scenario(tell, guests={"g": A, "h": A})
    for tell in (
        two_guests_go_one_after_the_other,
        stopped_guest_holds_up_no_other,
        second_guest_stays_when_the_first_cannot_start_there,
    )
}
