# SPDX-License-Identifier: MIT
"""A virtual machine is brought in as an image, is taken over like any other, and goes again."""

from collections.abc import Callable

import pytest

from tests.vm.incidents.arrivals import PLACE, begin_to_bring, bring, fate, make_image
from tests.vm.incidents.roster import (
    FILLS,
    WEB,
    await_guests,
    await_nothing_left,
    guests,
    left_behind,
    remove,
)
from tests.vm.incidents.saved import numbers_in
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.story import TAKEOVER, Story, lines
from tests.vm.wait import wait_until

OTHERS = {"web": WEB, "mail": "10.0.2.52", "db": "10.0.2.53"}


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def test_a_guest_comes_is_taken_over_and_goes(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        image = make_image(a, "web", WEB)
        a.run(f"head -c 1000000 {image} | tr '\\000' q >{PLACE}/bad.qcow2")
        a.run(f"printf 'QFI\\373' | dd of={PLACE}/bad.qcow2 conv=notrunc status=none")
        refused = a.control.try_run(f"{bring(f'{PLACE}/bad.qcow2', WEB)} 2>&1")
        assert refused.rc and "Nothing was changed" in refused.out, refused.out
        story.beacons.set_apart(WEB)
        answer = a.answer(bring(image, WEB), FILLS)
        print(answer)
        assert answer["exit"] == 0 and answer["said"][-1] == "web runs on a."
        for machine in (a, b):
            assert left_behind(machine, "counter", "web") == []
            assert guests(machine) == {"counter": ["a"], "web": ["a"]}
        story.await_beacons(20, of=WEB)
        story.await_protected()

        a.power_cut(seed=87)
        await_guests(b, counter="b", web="b")
        story.await_numbers(20)
        story.await_beacons(20, of=WEB)
        story.return_of(a)

        answer = b.answer("shoestring guest stop web --yes", TAKEOVER)
        assert answer["said"][-1].startswith("web is off, and stays so")
        listed = {one["name"]: one["runs_on"] for one in b.answer("shoestring guests")["guests"]}
        assert listed == {"counter": ["b"], "web": []}
        assert "web is removed, on both machines." in b.run(remove("web"), timeout=TAKEOVER)
        await_nothing_left(story, "counter")
        assert guests(a) == guests(b) == {"counter": ["b"]}
        story.await_protected()
        story.audit(may_freeze=True)


def test_a_guest_is_edited_restored_beside_itself_and_renamed(story: Story) -> None:
    """What is set takes effect at its next start. What is restored is off, for it has the same
    address inside.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        edit = "shoestring guest edit counter --memory 208 --place 10 --yes"
        print(a.run(edit, timeout=TAKEOVER))
        wait_until("both to have it", lambda: memory(a) == memory(b) == 208, TAKEOVER, 2)
        assert "192" in a.run("xl list counter | tail -1")
        a.run("shoestring guest restart counter --yes", timeout=TAKEOVER)
        wait_until("it", lambda: "208" in a.run("xl list counter | tail -1"), TAKEOVER, 2)
        story.await_numbers(20)

        before = list(story.recorder.acknowledged)
        b.run(f"mkdir -p {PLACE} && shoestring guest backup counter --to {PLACE}", timeout=FILLS)
        restore = f"shoestring guest restore {PLACE}/*.shoestring --name again --yes"
        said = b.run(restore, timeout=FILLS)
        print(said)
        assert "again is on both machines, and off" in said
        assert guests(a) == guests(b) == {"again": [], "counter": ["a"]}
        story.await_protected()
        found = numbers_on(b, "again")
        assert set(before) <= found, sorted(set(before) - found)

        b.run("shoestring guest rename again shop --yes", timeout=TAKEOVER)
        assert guests(a) == guests(b) == {"counter": ["a"], "shop": []}
        await_nothing_left(story, "counter", "shop")
        story.await_protected()
        assert found <= numbers_on(a, "shop")
        b.run(remove("shop"), timeout=TAKEOVER)
        await_nothing_left(story, "counter")
        story.await_protected()
        story.audit()


def memory(machine: Machine) -> int:
    found: int = machine.answer("shoestring guest show counter")["settings"]["memory"]
    return found


def numbers_on(machine: Machine, guest: str) -> set[int]:
    """What the file system of GUEST, which is off, has on MACHINE, read below its mirror."""
    volume = f"shoestring/{guest}"
    machine.run(f"lvcreate --yes --snapshot --size 64M --name look {volume} && udevadm settle")
    try:
        return numbers_in(machine, "/dev/shoestring/look")
    finally:
        machine.run("umount /run/look; lvremove --yes shoestring/look")


def interrupt(story: Story) -> None:
    story.pair.a.run("systemctl kill --signal=INT bring")


def pull_the_crossover(story: Story) -> None:
    for machine in story.pair.both:
        machine.unplug("xo")


def cut_who_leads(story: Story) -> None:
    story.pair.a.power_cut(seed=88)


@pytest.mark.parametrize("happens", [interrupt, pull_the_crossover, cut_who_leads])
def test_an_import_that_is_interrupted_leaves_nothing(
    story: Story, happens: Callable[[Story], None]
) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        command = bring(make_image(a, "web", WEB), WEB)
        begin_to_bring(a, command)
        wait_until("the disk to be filled", lambda: filling(b), TAKEOVER, 1)
        happens(story)
        if happens is cut_who_leads:
            story.return_of(a)
        else:
            wait_until("it to end", lambda: "failed" in fate(a), FILLS, 2)
            print(a.run("journalctl --unit=bring --output=cat --no-pager"))
            a.run("systemctl reset-failed bring")  # the screens tell of any unit that failed
            for machine in story.pair.both:
                machine.plug("xo")
        await_nothing_left(story, "counter")
        assert "web" not in {*guests(a), *guests(b)}
        story.await_protected()
        story.audit(may_freeze=True)


def filling(machine: Machine) -> bool:
    """Whether another machine's writes reach the disk of the guest that comes."""
    return "peer role:Primary" in machine.run("drbdsetup status web 2>/dev/null; true")


def test_four_guests_are_taken_over_in_their_order(story: Story) -> None:
    """Two run on each machine. Either is cut: all four serve on the other one."""
    a, b = story.pair.both
    places = {"web": 90, "mail": 20, "db": 10}  # the first guest has 50
    order = ["db", "mail", "counter", "web"]
    with story:
        story.await_numbers(20)
        story.beacons.set_apart(*OTHERS.values())
        for (name, address), machine in zip(OTHERS.items(), (a, b, b), strict=True):
            image = make_image(machine, name, address)
            machine.run(bring(image, address, f"--place {places[name]}"), timeout=FILLS)
            machine.run(f"rm {image}")
            story.await_beacons(10, of=address)
        await_guests(a, counter="a", web="a", mail="b", db="b")
        story.await_protected()

        for dies, lives, starts in ((b, a, ["db", "mail"]), (a, b, order)):
            began = len(lines(lives))
            dies.power_cut(seed=89)
            await_guests(lives, **dict.fromkeys(order, lives.name))
            for address in OTHERS.values():
                story.await_beacons(10, of=address)
            story.await_numbers(20)
            said = [line.text for line in lines(lives)[began:]]
            started = [name for text in said for name in order if f"{name}: promoting ->" in text]
            print(f"{dies.name} was cut; {lives.name} starts {', '.join(started)}")
            assert started == starts
            story.return_of(dies)
        assert guests(a) == guests(b) == {name: ["b"] for name in order}
        story.audit(may_freeze=True)
