# SPDX-License-Identifier: MIT
"""Who has no key says old words again, or new ones, or is another pair's: nothing is proven."""

from collections.abc import Mapping, Sequence

import pytest

from haagent.cluster.datagrams import PORT
from haagent.cluster.speech import QUIET
from tests.vm.cables import Said
from tests.vm.incidents.network import HEARTBEAT, await_complaint, cables_of
from tests.vm.incidents.standing import Standing, await_time, runs_on
from tests.vm.incidents.words import again, forged, of_another_pair, speaker
from tests.vm.journal import find
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.mishaps import Which
from tests.vm.pair import TIMING, status
from tests.vm.story import BOOT, TAKEOVER, Story, await_stopped, lines, switch_on
from tests.vm.wait import wait_until

REFUSED = "a message that is not signed with this pair's key"
WAYS = {"xo": "the crossover cable", "lan": "the LAN"}  # what the screens call them

Words = Mapping[str, Sequence[Said]]  # by the cable


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def listen(story: Story, port: int) -> dict[str, Words]:
    """What each machine says from or to UDP PORT for a while, by its name."""
    cables = cables_of(story)
    places = [(machine.name, cable) for machine in story.pair.both for cable in ("xo", "lan")]
    for name, cable in places:
        cables.record(cable, name, Which(udp=port))
    await_time(story.pair.a, 2 * TIMING.dead)
    heard: dict[str, Words] = {}
    for name, cable in places:
        heard[name] = {**heard.get(name, {}), cable: cables.recorded(cable, name)}
    return heard


def play(story: Story, words: Words, port: str, seconds: float = 2 * TIMING.take) -> None:
    """PORT's owner seems to say WORDS over and over, on both cables."""
    for cable, said in words.items():
        cables_of(story).say(cable, port, again(said, seconds))


@pytest.mark.row("F6")
def test_old_words_are_played_again(story: Story) -> None:
    """The holder dies, and goes on speaking: it is taken over from all the same. It returns and
    hears what the other one said when it held nothing yet, and nothing else: it starts nothing.
    Both are back, and one of them speaks from the boot before as well: nobody cares.
    """
    a, b = story.pair.both
    cables = cables_of(story)
    with story:
        story.await_numbers(20)
        words, beats = listen(story, PORT), listen(story, HEARTBEAT)
        a.power_cut(seed=71)
        for said in (words, beats):
            play(story, said["a"], "a")
        silent = story.await_line(b, "a is silent on every path")
        story.await_line(b, "promoting.*self-fenced.*unbroken")
        assert find(lines(b), "a is heard", silent.at) is None
        story.await_numbers(10)

        for cable in ("xo", "lan"):
            cables.cut_between(cable, "a", "b")
        switch_on(a)
        wait_until("a's agent", lambda: status(a), BOOT, 1)
        play(story, words["b"], "ear")
        story.await_line(a, "b is heard")
        await_stopped(a)
        for cable in ("xo", "lan"):
            cables.plug(cable)
        story.await_protected()
        assert runs_on(a) == runs_on(b) == ["b"]

        before = Standing(story)
        for said in (words, beats):
            play(story, said["a"], "a")
        await_time(b, 2 * TIMING.take)
        story.await_numbers(20)
        story.await_protected()
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        story.audit(may_freeze=True)


@pytest.mark.row("F7")
def test_words_are_forged_without_the_key(story: Story) -> None:
    """Each machine seems to say that it had the guest in a higher term, and signs it off: believed,
    the holder would end it, and the standby start it. They are refused, by a few lines in the log.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        words = listen(story, PORT)
        before = Standing(story)
        for machine in (a, b):
            for cable, said in words[machine.name].items():
                lies = again([forged(one) for one in said], TIMING.take, every=0.1)
                cables_of(story).say(cable, machine.name, lies)
        for machine in (a, b):
            before.await_line(machine, REFUSED)
        await_time(a, TIMING.take)
        story.await_numbers(20)
        for machine in (a, b):
            told = [line for line in before.said(machine) if REFUSED in line.text]
            assert len(told) <= TIMING.take / QUIET + 2, f"{machine.name} filled its journal"
        story.await_protected()
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        story.audit()


def notes(machine: Machine) -> str:
    """What MACHINE's screen says beside the verdict."""
    return " ".join(note["what"] for note in status(machine).get("notes", ()))


def await_named(machine: Machine, addresses: Mapping[str, str], verdict: str) -> None:
    """MACHINE names who speaks from ADDRESSES, by the cable, while it says VERDICT."""
    named = [f"over {WAYS[cable]}, from {address}." for cable, address in addresses.items()]
    wait_until(
        f"{machine.name} to name who is on its cables, and to say {verdict}",
        lambda: (
            all(words in notes(machine) for words in named)
            and status(machine).get("verdict") == verdict
        ),
        TAKEOVER,
        1,
    )


@pytest.mark.row("F4")
def test_a_machine_of_another_pair_is_on_the_cable(story: Story) -> None:
    """It speaks to the holder, as to its own other half, from the standby's addresses. First the
    standby is there, too; then the crossover leads to the stranger alone. It is named all the time,
    and nothing moves.
    """
    a, b = story.pair.both
    cables, seconds = cables_of(story), 8 * TIMING.dead
    with story:
        story.await_numbers(20)
        words = listen(story, PORT)["b"]
        addresses = {cable: speaker(said[0]) for cable, said in words.items()}

        def speak_to_the_holder() -> None:
            for cable, said in words.items():
                cables.say(cable, "ear", again([of_another_pair(one) for one in said], seconds))

        before = Standing(story)
        story.await_protected()
        speak_to_the_holder()
        await_named(a, addresses, "PROTECTED")
        cables.cut_between("xo", "a", "b")
        speak_to_the_holder()
        await_complaint(a, "Nothing comes from b over the crossover cable")
        await_named(a, addresses, "NOT PROTECTED")
        cables.plug("xo")
        wait_until("a to name nobody any more", lambda: notes(a) == "", TAKEOVER, 1)
        story.await_protected()
        story.await_numbers(20)
        told = [line for line in before.said(a) if REFUSED in line.text]
        assert 0 < len(told) <= 2 * seconds / QUIET + 2, "too much or nothing"
        assert notes(b) == ""
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        story.audit(may_freeze=True)
