# SPDX-License-Identifier: MIT
"""Named histories of cables, cards, the switch and the gateway."""

from collections.abc import Mapping

from haagent.core import proofs
from haagent.core.model import Disk, Link, Path, Policy
from tests.sim.copies import Copy
from tests.sim.telling import A, B, Scenario, disk, expect, named, recovers, stays, wait
from tests.sim.world import World


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


def dying_gasp(world: World) -> None:
    world.unplug(Path.CROSSOVER)
    wait(world, 2.5)
    world.power_off(A)
    expect(world, None, 60)
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


def paths_cut_apart(world: World, seconds: float) -> None:
    """The LAN, and so much later the crossover; the other way round if SECONDS is negative."""
    first, second = (Path.LAN, Path.CROSSOVER) if seconds > 0 else (Path.CROSSOVER, Path.LAN)
    world.unplug(first)
    wait(world, abs(seconds))
    world.unplug(second)
    wait(world, 60)
    assert world.audit.together == 0
    recovers(world)


def old_words_meet_a_rebooted_machine(world: World) -> None:
    """What b said before both restarted comes again over the LAN. a, which remembers nothing of
    that boot, must not take it for b's present one, and b itself for one of the past.
    """
    begin = world.now
    wait(world, 0.1)
    world.leave(B)
    world.reset(A)
    wait(world, 60)
    world.run_until(world.is_healthy, world.now + 60)
    world.play_again(B, Path.LAN, begin - 1.0, begin + 0.1)
    wait(world, 10)
    for machine in world.machines:
        assert machine.state is not None and proofs.is_talking(machine.state)
    world.power_off(A if world.holders() == [A] else B)
    expect(world, B if world.machines[B].is_on else A, 25)
    recovers(world)


def both_start_with_old_words(world: World) -> None:
    """Each hears first what the other said before both restarted, and takes it for the present. The
    true boots do not count; each asks the one that it met, as soon as the old one is silent.
    """
    begin = world.now
    for path in (Path.CROSSOVER, Path.LAN):
        world.unplug(path)
    for node in (A, B):
        world.reset(node)
    wait(world, 27)
    for node in (A, B):
        world.play_again(node, Path.LAN, begin - 5.0, begin)
    world.note("-- what both said before comes again")
    wait(world, 1)
    for path in (Path.CROSSOVER, Path.LAN):
        world.plug(path)
    expect(world, A, 30)
    recovers(world)
    for machine in world.machines:
        assert machine.state is not None and len(machine.state.peer.past_boots) == 1


def words_of_a_boot_in_between_come_late(world: World) -> None:
    """b starts and hears a, but what it says is kept back on the LAN; and before that comes, it has
    started once more. It says that it hears a's present boot, and is of the past all the same.
    """
    world.reset(B)
    world.unplug(Path.CROSSOVER)
    world.note("-- what b says on the LAN is kept back")
    for path in (Path.LAN, Path.HEARTBEAT):
        world.late[path, B] = 60.0
    wait(world, 30)
    world.reset(B)
    world.late.clear()
    world.plug(Path.CROSSOVER)
    wait(world, 40)
    for _ in range(30):
        wait(world, 1)
        for machine in world.machines:
            assert machine.state is not None and proofs.is_talking(machine.state)
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


CABLES: Mapping[str, Scenario] = named(
    old_words_meet_a_rebooted_machine,
    both_start_with_old_words,
    words_of_a_boot_in_between_come_late,
    crossover_is_pulled,
    crossover_flaps,
    crossover_is_put_into_another_pair,
    crossover_then_holder,
    holders_cards_die,
    standbys_cards_die,
    cards_heal_after_the_holder_died,
    old_silence_new_gateway,
    holder_is_heard_and_hears_nothing,
    standby_hears_nothing,
    gateway_then_standby,
    gateway_then_holder,
    gateway_comes_back,
    lan_is_filtered_then_standby_dies,
    lan_is_filtered_then_crossover_cut,
    crossover_dead_and_holder_reboots,
    brown_out_with_the_crossover_dead,
    dying_gasp,
    holders_lan_dies_then_the_holder,
    switch_reboots,
) | {
    "hole-automatic": Scenario(hole, is_exempt=True),
    "hole-wait-for-me": Scenario(hole_with_the_owner_asked, policy=Policy.WAIT),
}
