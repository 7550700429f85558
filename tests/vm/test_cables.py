# SPDX-License-Identifier: MIT
"""Cables are pulled, flap, or carry badly; the LAN goes, or somebody else is on it: what moves, and
what must not.
"""

from collections.abc import Callable, Mapping, Sequence

import pytest

from haagent.cluster.datagrams import PORT
from tests.vm.chaos.faults import DRBD
from tests.vm.evening import LAN
from tests.vm.incidents.network import (
    BEACONS,
    CROSSOVER,
    HEARTBEAT,
    LAN_CARD,
    ask_inside,
    await_complaint,
    befallen,
    cables_of,
    has_link,
    is_two_way,
)
from tests.vm.incidents.standing import Standing, await_time, runs_on
from tests.vm.incidents.sticks import plug_in_a_blank_one
from tests.vm.incidents.words import claims
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.mishaps import CUT, Corrupt, Delay, Duplicate, Limit, Lose, Mishap, Which
from tests.vm.pages import commands
from tests.vm.pair import TIMING, status
from tests.vm.story import BOOT, TAKEOVER, Story, await_stopped
from tests.vm.wait import wait_until

LARGE = 1280  # bytes; a word of the agents is smaller, and a full frame of DRBD larger
# What crosses the LAN of the pair's own is small; this is discarded there (RFC 863).
SAYS_LARGE = f"for n in {{1..20}}; do head --bytes=1400 /dev/zero >/dev/udp/{LAN[1]}/9; done"
THERE_AND_BACK = (("a", "b"), ("b", "a"))

Trouble = tuple[str, Mishap]  # a cable, and what it does between the two machines
Verb = Callable[[], object]


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def on_both(*mishaps: Mishap) -> tuple[Trouble, ...]:
    return tuple((cable, mishap) for cable in ("xo", "lan") for mishap in mishaps)


# Meanwhile both machines say PROTECTED.
UNNOTICED: Mapping[str, Sequence[Trouble]] = {
    "frames come twice and out of order": on_both(
        Duplicate(), Delay(seconds=0.0, jitter=0.1, keeps_order=False)
    ),
    "the crossover is slow, and the LAN late": (
        ("xo", Delay(seconds=0.2, jitter=0.05)),
        ("xo", Limit(bits_per_second=1e6)),
        ("lan", Delay(seconds=TIMING.dead / 5)),
    ),
    # What DRBD sends is not signed: the kernel must refuse it, and does so by TCP's checksum.
    "bits flip": on_both(
        Corrupt(share=0.3, which=Which(udp=PORT), repairs=True),
        Corrupt(share=0.3, which=Which(udp=HEARTBEAT), repairs=True),
        Corrupt(share=0.1, which=Which(tcp=DRBD)),
    ),
    "large frames do not pass the LAN": (("lan", Lose(which=Which(longer_than=LARGE))),),
}
# Meanwhile a screen may say what is missing.
NOTICED: Mapping[str, Sequence[Trouble]] = {
    "a third of all frames is lost": on_both(Lose(share=1 / 3, seed=1)),
    # Whatever is said to everybody comes again and again, until the line is full.
    "broadcasts storm on the LAN": (
        ("lan", Duplicate(times=50, which=Which(udp=BEACONS))),
        ("lan", Duplicate(times=50, which=Which(udp=HEARTBEAT))),
        ("lan", Limit(bits_per_second=500_000, queue=32_000)),
    ),
}


def hurt(story: Story, troubles: Sequence[Trouble]) -> None:
    for cable, mishap in troubles:
        for speaker, hearer in THERE_AND_BACK:
            cables_of(story).hurt(cable, mishap, speaker, hearer)


def mend(story: Story) -> None:
    for cable in ("xo", "lan"):
        cables_of(story).mend(cable)


@pytest.mark.row("B9", "B10", "B11", "B12", "B16", "B17")
def test_frames_are_lost_late_doubled_and_changed_and_nothing_moves(story: Story) -> None:
    """One after the other on the same pair, each for as long as a takeover waits. No machine misses
    a word of the other, and what is mended is forgotten.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        for what, troubles in {**UNNOTICED, **NOTICED}.items():
            print(what)
            already = befallen(cables_of(story))
            hurt(story, troubles)
            a.run(SAYS_LARGE)
            await_time(a, TIMING.take)
            story.await_numbers(5)
            if what in UNNOTICED:
                story.await_protected()
            assert befallen(cables_of(story)) > already + 10, f"nothing happened: {what}"
            before.assert_nobody_was_missed()
            before.assert_unmoved()
            mend(story)
            story.await_protected()
        for machine in (a, b):
            before.await_line(machine, "a message that is not signed with this pair's key")
        story.await_numbers(20)
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        story.audit(may_freeze=True)


GIVES_UP: Mapping[str, tuple[Mishap, Sequence[tuple[str, str]]]] = {
    "one direction is dead": (CUT, (("b", "a"),)),
    "the mirror's port is lost": (Lose(which=Which(tcp=DRBD)), THERE_AND_BACK),
    # Longer than DRBD waits, and no silence yet.
    "every frame is late": (Delay(seconds=0.9 * TIMING.dead), THERE_AND_BACK),
}


@pytest.mark.row("B7", "B8", "B10", "B17")
def test_a_mirror_that_gives_up_is_as_a_pulled_crossover(story: Story) -> None:
    """The words still pass, on the LAN at least: the other machine gives its copy up, the holder
    goes on alone, and nobody takes over.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        for what, (mishap, ways) in GIVES_UP.items():
            print(what)
            before = Standing(story)
            for speaker, hearer in ways:
                cables_of(story).hurt("xo", mishap, speaker, hearer)
            before.await_line(a, "alone in term .*outdated")
            for machine in (a, b):
                await_complaint(machine, "counter is not mirrored")
            story.await_numbers(10)
            if mishap is CUT:
                for machine in (a, b):
                    await_one_way(machine, "crossover")
            mend(story)
            expect_no_harm(story, before)

        # What small frames begin again, large ones cannot finish: it is not waited for.
        before = Standing(story)
        hurt(story, [("xo", Lose(which=Which(longer_than=LARGE)))])
        before.await_line(a, "alone in term .*outdated")
        mend(story)
        expect_no_harm(story, before)
        story.audit(may_freeze=True)


def expect_no_harm(story: Story, before: Standing) -> None:
    """All is mended: both are protected again, and nothing has moved since BEFORE."""
    story.await_protected()
    story.await_numbers(10)
    before.assert_nobody_was_missed()
    before.assert_unmoved()


def await_one_way(machine: Machine, path: str) -> None:
    wait_until(
        f"{machine.name} not to count on the {path}",
        lambda: not is_two_way(machine, path),
        TAKEOVER,
        1,
    )


@pytest.mark.row("B8")
def test_heartbeats_port_alone_is_lost(story: Story) -> None:
    """On both cables. The agents hear each other without it; both screens warn."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        hurt(story, on_both(Lose(which=Which(udp=HEARTBEAT))))
        for machine, peer in ((a, b), (b, a)):
            before.await_line(machine, rf"heartbeat: link \S+ to {peer.name} is dead")
            await_complaint(machine, "heartbeat hears nothing on")
        await_time(a, TIMING.take)
        story.await_numbers(10)
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        mend(story)
        expect_no_harm(story, before)
        story.audit()


@pytest.mark.row("B4", "B5", "B7")
def test_the_lan_of_one_machine_and_then_of_both_is_gone(story: Story) -> None:
    """Without a gateway that answers both, nobody could tell who is cut off: the standby promises
    not to take over, and both screens say why. The guest runs on, also where nobody can reach it.
    """
    a, _ = story.pair.both
    cables = cables_of(story)
    with story:
        story.await_numbers(20)
        print("the standby's LAN")
        expect_promise(story, lambda: cables.unplug("lan", "b"), lambda: story.await_numbers(10))
        print("the holder's LAN")
        expect_promise(story, lambda: cables.unplug("lan", "a"), lambda: ask_inside(story, a))
        print("the switch")
        expect_promise(story, lambda: cables.unplug("lan"), lambda: ask_inside(story, a))
        print("one direction of the LAN")
        expect_promise(
            story, lambda: cables.cut_one_way("lan", "a", "b"), lambda: story.await_numbers(10)
        )
        story.audit()


def expect_promise(story: Story, cut: Verb, ask: Verb) -> None:
    """CUT takes from one machine at least what it needs of the LAN; by ASK the guest serves on."""
    a, b = story.pair.both
    before = Standing(story)
    cut()
    before.await_line(b, "standing down: no gateway answers both of us")
    before.await_line(a, "the peer promised not to start it")
    for machine in (a, b):
        await_complaint(machine, "so none takes over")
        await_one_way(machine, "LAN")
    await_time(b, TIMING.take)
    ask()
    before.assert_nobody_was_missed()
    before.assert_unmoved()
    cables_of(story).plug("lan")
    before.await_line(b, "our promise not to start it was given back")
    expect_no_harm(story, before)


@pytest.mark.row("B18")
def test_a_stranger_has_an_address_of_ours(story: Story) -> None:
    """First the standby's, then the holder's. What is for that machine goes astray, the gateway's
    answers too; its guest has an address of its own.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        for address in (LAN[1], LAN[0]):
            before = Standing(story)
            cables_of(story).say("lan", "ear", claims(address, 2 * TIMING.take))
            before.await_line(b, "standing down: no gateway answers both of us")
            story.await_numbers(20)
            before.await_line(b, "our promise not to start it was given back")
            await_time(a, 2 * TIMING.take)  # the stranger is silent by now
            expect_no_harm(story, before)
        story.audit()


FLAPS = 8
CONNECTED = ("Connected", "SyncSource")
LINES = 12  # of a machine's agent, for each time that the cable goes and comes


@pytest.mark.row("B13")
def test_the_crossover_flaps_for_minutes(story: Story) -> None:
    """Whenever the mirror has noticed, the cable is back; whenever it is mended, it goes again."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        for _ in range(FLAPS):
            pull_crossover(story)
            wait_until("the mirror to notice", lambda: link(a) == "Connecting", TAKEOVER, 1)
            plug_crossover(story)
            wait_until("it to be mended", lambda: link(a) in CONNECTED, TAKEOVER, 1)
        for machine in (a, b):
            said = len(before.said(machine))
            assert said <= FLAPS * LINES, f"{machine.name}'s agent said {said} lines"
        expect_no_harm(story, before)
        story.audit(may_freeze=True)


def pull_crossover(story: Story) -> None:
    for machine in story.pair.both:
        machine.unplug("xo")


def plug_crossover(story: Story) -> None:
    for machine in story.pair.both:
        machine.plug("xo")


def link(machine: Machine) -> str:
    """What MACHINE's agent says that DRBD's connection is; nothing while it does not answer."""
    guests = status(machine).get("guests", ())
    return "".join(one["link"] for one in guests)


@pytest.mark.row("B3")
def test_the_crossover_is_pulled_and_later_the_holder_dies(story: Story) -> None:
    """The standby knows that the other copy is newer. It starts nothing, and says since when. What
    it has can be saved.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        pull_crossover(story)
        before.await_line(a, "alone in term .*outdated")
        story.await_numbers(20)
        a.power_cut(seed=51)
        told = await_stopped(b)
        assert "a has a newer copy than this one" in told
        assert "last the same on" in told, "it does not say since when"
        plug_in_a_blank_one(b)
        for typed in commands("replace-a-machine"):
            if typed.at == "older":
                print(b.run(typed.words, TAKEOVER))
        b.plug("xo")  # that of a is plugged in when it is switched on
        story.return_of(a)
        story.await_numbers(10)
        assert runs_on(a) == runs_on(b) == ["a"], "the old copy was started"
        story.audit(may_freeze=True)


@pytest.mark.row("B19", "B20")
def test_a_link_is_no_sign_of_life_and_none_of_death(story: Story) -> None:
    """The cards of two that live lose their link, and nobody takes over; those of the standby keep
    it as the holder dies, and it takes over all the same.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        pull_crossover(story)
        for machine in (a, b):
            await_link(machine, CROSSOVER, False)
        before.await_line(a, "alone in term .*outdated")
        await_time(b, TIMING.take)
        before.assert_unmoved()
        plug_crossover(story)
        expect_no_harm(story, before)

        b.unplug("lan")
        await_link(b, LAN_CARD, False)
        before.await_line(b, "standing down: no gateway answers both of us")
        await_time(b, TIMING.take)
        before.assert_unmoved()
        b.plug("lan")
        await_link(b, LAN_CARD, True)
        expect_no_harm(story, before)

        a.power_cut(seed=61)
        story.await_line(b, "promoting.*self-fenced.*unbroken")
        for card in (CROSSOVER, LAN_CARD):
            assert has_link(b, card), f"{card} lost its link: this shows nothing"
        story.await_numbers(10)
        story.audit(may_freeze=True)


def await_link(machine: Machine, card: str, is_there: bool) -> None:
    wait_until(
        f"{machine.name}'s {card} to notice", lambda: has_link(machine, card) is is_there, BOOT, 1
    )
