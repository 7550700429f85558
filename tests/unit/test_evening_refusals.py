# SPDX-License-Identifier: MIT
"""Everything that can be in the way of a pair: a plain sentence on the screen, and a way on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from firstboot import agreement as agreements
from firstboot import answers as answer_file
from firstboot.agreement import Agreement, Stage
from firstboot.driving import IN_THE_WAY
from firstboot.pairing.announcement import Announcement, party
from firstboot.proposal import LEAST_DATA_DISK
from tests.unit.fake_evening import (
    ADDRESSES,
    LIMIT,
    Machine,
    World,
    assert_agreed,
    code_on,
    happy,
    hurry,
    play,
    roles,
    wrong_code_on,
)
from tests.unit.fake_machine import SECRET
from tests.vm.wait import wait_until


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def enter(*acts: Callable[[], object]) -> Callable[[], str]:
    """Does ACTS, and presses Enter."""

    def act() -> str:
        for one in acts:
            one()
        return ""

    return act


def switch_off(*machines: Machine) -> None:
    for machine in machines:
        machine.person.is_off = True
        machine.thread.join(LIMIT)


def both_told(words: str, machines: tuple[Machine, Machine]) -> None:
    """WORDS, and what to do about it, on both screens."""
    for machine in machines:
        machine.thread.start()
    wait_until(words, lambda: all(words in machine.person.page for machine in machines), LIMIT)
    switch_off(*machines)


# What the machine is made of, what is said about it, and what to do.
UNFIT: list[tuple[dict[str, Any], str, str]] = [
    ({"total_memory": 1 << 30}, "2048 MiB are needed", "-> Put more memory in"),
    ({"nics": 1}, "has one network card", "-> Put another one in"),
    (
        {"data": {"size": LEAST_DATA_DISK - 1}},
        "is too small: 512 MiB are needed",
        "-> Put in a larger one",
    ),
    (
        {"data": {"holds": ("an LVM volume",), "group": "shoestring"}},
        "holds the guests of a Shoestring pair",
        "-> To keep them, take the disk out",
    ),
    ({"data": {"is_read_only": True}}, "takes no writes", "-> Look for a switch on it"),
    ({"data": None}, "has no disk but the one", "-> Put in a blank one"),
    ({"machine_id": "of the other"}, "one stick is a copy of the other", "-> Flash one of the two"),
    (
        {"version": "0.0.9"},
        "different versions of Shoestring",
        "-> Flash both sticks with the same",
    ),
    ({"xen": None}, "was started without Xen", "-> Start it again"),
    (
        {"data": {"logical_sector": 4096}},
        "what a guest writes on the one cannot be written on the other",
        "-> Put a disk with sectors of 512 bytes",
    ),
]


def changes(machine: Machine, other: Machine, wanted: dict[str, Any]) -> dict[str, Any]:
    """WANTED as fields of MACHINE."""
    whole = machine.describe().machine
    made = dict(wanted)
    if "nics" in made:
        made["nics"] = whole.nics[: made["nics"]]
    if "machine_id" in made:
        made["machine_id"] = other.describe().machine.machine_id
    if "data" in made:
        data = made.pop("data")
        made["disks"] = tuple(
            disk if disk.is_boot_medium else replace(disk, **data)
            for disk in whole.disks
            if disk.is_boot_medium or data is not None
        )
    return made


@pytest.mark.parametrize("number", range(len(UNFIT)))
def test_a_machine_that_will_not_do_is_told_and_mended(number: int) -> None:
    """In turns the one that a person types at, and the other one."""
    wanted, sentence, remedy = UNFIT[number]
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    bad, good = (asker, shower) if number % 2 else (shower, asker)
    bad.changes = changes(bad, good, wanted)
    script = happy(shower, asker)
    in_the_way = "Mend that, then press Enter to look again"
    asker.person.answers = [
        script[0],
        (in_the_way, enter()),  # nothing was mended yet
        (in_the_way, enter(bad.changes.clear)),
        *script[1:],
    ]
    play(machines)
    assert_agreed(world)
    told = " ".join(asker.person.page.split())
    assert "NOT YET: 1 thing in the way" in told
    assert told.count(sentence) == 2 and told.count(remedy) == 2
    assert shower.person.page.count(IN_THE_WAY) == 2


def test_a_disk_with_data_needs_a_number_and_a_consent_that_names_what_is_lost() -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    full = ("a GPT partition table", "a Windows file system (NTFS) in sda1")
    shower.changes = changes(shower, asker, {"data": {"holds": full}})
    script = happy(shower, asker)
    asker.person.answers = [
        *script[:4],
        (r"\(3 of(.|\n)*NOT BLANK: a GPT partition table, a Windows", enter()),
        (r"Something has to be typed here(.|\n)*\(3 of", lambda: "1 1"),
        *script[5:8],
        (r"\(7 of", lambda: "yes"),
        (r"Nothing is erased(.|\n)*LOST: a GPT partition table, a Windows", script[8][1]),
    ]
    play(machines)
    assert_agreed(world)
    kept = {machine: machine.place.agreement for machine in machines}
    erases = {m.number: answer_file.read(a.answers).erases for m, a in kept.items() if a}
    assert erases == {shower.number: True, asker.number: False}
    page = " ".join(asker.person.page.split())
    assert "is not blank, it holds a GPT partition table, a Windows" in page


def test_disks_that_do_not_go_together_are_not_chosen_together() -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    stick, data = asker.describe().machine.disks
    large = replace(data, name="sdz", serial="BIG-1", size=2 * data.size, logical_sector=4096)
    asker.changes = {"disks": (stick, data, large)}
    script = happy(shower, asker)
    asker.person.answers = [
        *script[:4],
        (r"\(3 of", enter()),
        (r"Something has to be typed here(.|\n)*\(3 of", lambda: "1 1"),
        (r"do not go together(.|\n)*\(3 of", lambda: "2 1"),
        *script[5:],
    ]
    play(machines)
    assert_agreed(world)
    agreed = asker.place.agreement
    assert agreed is not None
    assert answer_file.read(agreed.answers).disk == data.serial


def test_a_code_serves_for_one_guess() -> None:
    """Also the right one, once another was tried for it."""
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    shown: list[str] = []

    def wrong() -> str | None:
        typed = wrong_code_on(shower)
        shown.extend(shower.person.tried)
        return typed

    asker.person.answers = [
        ("code > ", wrong),
        ("code > ", lambda: code_on(shower) and shown[0]),
        *happy(shower, asker),
    ]
    play(machines)
    assert_agreed(world)
    assert asker.person.page.count("That was not the code. The other machine shows a new one") == 2
    assert shower.person.page.count("Somebody typed a wrong code on the other machine.") == 2
    assert len(shower.person.tried) == 3


def test_five_wrong_codes_ask_for_somebody_at_the_other_machine() -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)

    def wrong() -> str | None:
        return wrong_code_on(shower)

    shower.person.answers = [("Press Enter for a new code", enter())]
    asker.person.answers = [*[("code > ", wrong)] * 5, *happy(shower, asker)]
    play(machines)
    assert_agreed(world)
    assert "After 5 codes in vain there is no new one until Enter is pressed" in shower.person.page


def test_nobody_at_the_other_end_and_then_somebody() -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    asker.person.answers = [
        ("Switch the other machine on", enter(shower.thread.start)),
        *happy(shower, asker),
    ]
    asker.thread.start()
    wait_until("the other one to be switched on", lambda: bool(asker.person.typed), LIMIT)
    for machine in machines:
        machine.thread.join(LIMIT)
    assert_agreed(world)
    assert "No other machine of this kind was heard" in asker.person.page


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ("router", "that cable leads to a switch or router"),
        ("third", "More than one machine that could be the other half answers at enp1s0"),
    ],
)
def test_a_cable_that_is_no_crossover_is_told_and_mended(spoil: str, sentence: str) -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    third = Announcement(party("third", "", "0.1.0"), "52:54:00:00:0c:01", ADDRESSES[0], 1000, 0)
    for machine in machines:
        machine.air.has_router = spoil == "router"
        machine.air.strangers = [third] if spoil == "third" else []

    def pull() -> None:
        for machine in machines:
            machine.air.is_cut, machine.air.has_router = True, False
            machine.air.strangers = []

    def plug() -> str | None:
        if not all(machine.air.has_shown_cut for machine in machines):
            return None  # nobody moves a cable that fast
        for machine in machines:
            machine.air.is_cut = False
        return ""

    asker.person.answers = [
        (sentence, enter(pull)),
        ("Listening on every network card", plug),
        *happy(shower, asker),
    ]
    play(machines)
    assert_agreed(world)
    assert "straight from one to the other" in asker.person.page


def test_one_network_card_and_then_another_one() -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    asker.air.has_one_card = True

    def plug_in() -> None:
        asker.air.has_one_card = False

    asker.person.answers = [
        ("This machine has only one network card, enp1s0", enter(plug_in)),
        *happy(shower, asker),
    ]
    play(machines)
    assert_agreed(world)
    assert "A USB network card will do: plug it in." in " ".join(asker.person.page.split())


def test_a_machine_of_another_pair_is_left_alone_and_goes_on_to_its_own() -> None:
    world = World()
    theirs = Agreement(Stage.COMMITTED, "somebody else", "answers", SECRET)
    file = agreements.to_file(theirs)
    world.places[1].files[file.path] = file
    alone, paired = world.start()
    paired.other_is_committed = lambda: False  # its own peer, which is not here
    for machine in (alone, paired):
        machine.thread.start()
    words = "The machine at the other end belongs to another pair already."
    wait_until(words, lambda: words in alone.person.page, LIMIT)
    switch_off(alone, paired)
    assert "Connect a machine that was never set up, or flash that one's stick anew." in (
        alone.person.page
    )
    assert world.places[1].agreement == theirs and world.places[0].agreement is None


def test_a_stick_that_is_a_copy_is_told_on_both_screens() -> None:
    machines = World().start()
    machines[1].become(party("machine 0", "another boot", "0.1.0"))
    both_told("the two sticks are copies of one another", machines)
    assert "Flash one of the two sticks anew" in machines[0].person.page


def test_another_version_is_told_on_both_screens() -> None:
    machines = World().start()
    machines[1].become(party("machine 1", "boot", "0.2.0"))
    both_told("Flash both sticks from the same image.", machines)
    assert "runs version 0.1.0, and the other one runs version 0.2.0" in machines[0].person.page


def test_the_code_is_asked_for_where_it_is_not_shown() -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    asker.person.answers = [
        ("code > ", lambda: "?"),
        ("The other machine of the pair shows the code", lambda: code_on(shower)),
        *happy(shower, asker)[1:],
    ]
    play(machines)
    assert_agreed(world)
