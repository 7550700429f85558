# SPDX-License-Identifier: MIT
"""Who is asked about the system disk, what is said, and that only the mark is written."""

import contextlib
from dataclasses import replace

import pytest

from firstboot import answers as answer_file
from firstboot.agreement import Stage as AgreementStage
from firstboot.agreement import Word
from firstboot.evening import _greeting
from firstboot.installing import asking
from firstboot.installing.asking import agreed_in_file, choose, is_possible
from firstboot.installing.mark import DONE, PATH, WHY_NOT, Mark, Stage
from firstboot.installing.on_a_pair import with_restart
from firstboot.meeting import InstallWished, Meeting
from firstboot.pairing import ceremony
from firstboot.pairing.announcement import Announcement
from firstboot.pairing.discovery import Crossover
from firstboot.probe import Disk, Machine
from firstboot.rendering import File
from haagent.command import Exit
from haagent.errors import OperatorError
from tests.unit.fake_evening import ADDRESSES, CARDS, NoNews, Stopped, World
from tests.unit.fake_install import GIB, INSIDE, STICK, FakeInstall
from tests.unit.fake_machine import TEXTS
from tests.unit.test_meeting import Typist

FULL = replace(INSIDE, name="sdc", serial="FULL-9876", holds=("a Windows file system (NTFS)",))
PAIRS = replace(INSIDE, name="sdd", serial="GUESTS", group="shoestring", holds=("x",))


class Hands(FakeInstall):
    """A blank machine."""

    def __init__(self, *disks: Disk) -> None:
        super().__init__(None)
        self.disks = (STICK, *disks)

    def examined_machine(self) -> Machine:
        return self.machine()


def page(*lines: str, hands: Hands) -> str:
    screen = Typist(*lines)
    with contextlib.suppress(Stopped):
        choose(screen, hands)
    return "\n".join(screen.said)


def test_a_person_chooses_a_disk_and_types_the_end_of_its_number() -> None:
    hands = Hands(INSIDE, FULL, PAIRS)
    said = page("2", "9876", hands=hands)
    for line in (
        "1  sdb: 120.0 GiB SATA SSD 850, serial S3Z2NB0K",
        "2  sdc: 120.0 GiB SATA SSD 850, serial FULL-9876",
        "NOT BLANK: a Windows file system (NTFS)",
        "sdd (120.0 GiB SSD 850) cannot be taken: it holds the guests of a pair.",
        "ERASED: sdc: 120.0 GiB SATA SSD 850\n  serial FULL-9876; LOST: a Windows file",
        "the stick does not start any more",
    ):
        assert line in said
    mark = hands.mark
    assert mark is not None
    expected = Mark(FULL.serial, FULL.model, FULL.size, True, mark.volume, Stage.AGREED)
    assert mark == expected and len(mark.volume) == 8
    assert hands.done == ["write"]


def test_a_blank_disk_is_asked_for_in_the_same_way() -> None:
    hands = Hands(INSIDE)
    assert "it is blank" in page("1", "nb0k", hands=hands)
    assert hands.mark is not None and not hands.mark.erases


@pytest.mark.parametrize(
    "typed", [("",), ("0",), ("2",), ("sdb",), ("1", ""), ("1", "yes"), ("1", "S3Z2"), ("1", "B0K")]
)
def test_anything_else_stays_on_the_stick(typed: tuple[str, ...]) -> None:
    hands = Hands(INSIDE)
    assert page(*typed, hands=hands).endswith(asking.STAYS)
    assert not hands.done


def test_without_a_disk_that_fits_nobody_is_asked() -> None:
    hands = Hands(PAIRS)
    assert "There is no disk that could be taken." in page(hands=hands)
    assert not hands.done


def test_what_became_of_the_last_try_is_said_until_the_next_one() -> None:
    hands = Hands(INSIDE)
    hands.files[WHY_NOT] = File(WHY_NOT, "The disk did not become it.\n")
    assert "The last try: The disk did not become it." in page("", hands=hands)
    assert WHY_NOT in hands.files
    page("1", "NB0K", hands=hands)
    assert WHY_NOT not in hands.files


def test_a_machine_on_its_disk_is_not_installed_once_more() -> None:
    hands = Hands(INSIDE)
    hands.files[DONE] = File(DONE, "{}")
    with pytest.raises(OperatorError, match="internal disk already"):
        choose(Typist("1", "NB0K"), hands)
    assert not hands.done


def test_the_restart_comes_after_the_mark_and_one_that_fails_takes_it_back() -> None:
    hands = Hands(INSIDE)
    marks: list[bool] = []

    def restart() -> Exit:
        marks.append(PATH in hands.files)
        return Exit.PROTECTED

    assert with_restart(Typist("1", "NB0K"), hands, restart) is Exit.PROTECTED
    assert marks == [True] and PATH in hands.files

    def refuse() -> Exit:
        raise OperatorError("no", "no")

    screen = Typist("1", "NB0K")
    with pytest.raises(OperatorError):
        with_restart(screen, hands, refuse)
    assert PATH not in hands.files and screen.said[-1] == asking.STAYS


def test_a_no_restarts_nothing() -> None:
    def restart() -> Exit:
        raise AssertionError("it restarts")

    assert with_restart(Typist(""), Hands(INSIDE), restart) is Exit.FAILED


def test_the_first_page_speaks_of_it_only_where_it_is_possible() -> None:
    for disks, is_told in (
        ((INSIDE,), True),
        ((PAIRS,), False),
        ((), False),
        ((replace(INSIDE, is_removable=True),), False),
        ((replace(INSIDE, logical_sector=4096),), False),
    ):
        hands = Hands(*disks)
        assert is_possible(hands.machine()) is is_told
        assert ("`install`" in _greeting(hands.machine())) is is_told
    built_in = replace(STICK, is_removable=False, bus=INSIDE.bus)
    machine = replace(Hands(INSIDE).machine(), disks=(built_in, INSIDE))
    assert not is_possible(machine)


@pytest.mark.parametrize("shows", [True, False])
def test_the_word_works_beside_the_code(shows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines with a cable between them have left the first page before anybody can type."""
    machine, other = World().start()
    monkeypatch.setattr(ceremony, "shows", lambda *_: shows)
    end = machine.cable.at(0)
    met = Meeting(machine.me, Typist("install"), machine.air, end, machine.place, lambda: 0.0)
    monkeypatch.setattr(met, "assert_there", lambda crossover: None)
    peer = Announcement(other.me, CARDS[1], ADDRESSES[1], word=Word(AgreementStage.BLANK))
    with pytest.raises(InstallWished):
        met.pair(Crossover("enp1s0", peer))


def test_the_word_works_on_the_first_page() -> None:
    machine = World().start()[0]
    for word in ("install", " Install "):
        end = machine.cable.at(0)
        screen = Typist(word)
        met = Meeting(machine.me, screen, machine.air, end, machine.place, lambda: 0.0)
        with pytest.raises(InstallWished):
            met.find(lambda: "Welcome", NoNews())


def test_a_machine_that_takes_a_dead_ones_place_goes_on() -> None:
    machine = World().start()[0]
    me = replace(machine.me, pair="anna and berta")
    screen = Typist("install")
    met = Meeting(me, screen, machine.air, machine.cable.at(0), machine.place, lambda: 0.0)
    with pytest.raises(Stopped):
        met.find(lambda: "Welcome", NoNews())


FILE = TEXTS["a"] + "system-disk:\n  serial: S3Z2NB0K\n"


def test_answers_without_a_system_disk_stay_on_the_stick() -> None:
    hands = Hands(INSIDE)
    assert not agreed_in_file(answer_file.read(TEXTS["a"]), hands)
    assert not hands.done


def test_answers_with_one_install_first_and_then_go_on() -> None:
    hands = Hands(INSIDE)
    answers = answer_file.read(FILE)
    assert (answers.system_disk, answers.erases_system_disk) == ("S3Z2NB0K", False)
    assert agreed_in_file(answers, hands)
    assert hands.mark is not None and hands.mark.serial == "S3Z2NB0K"
    hands.files[DONE] = File(DONE, "{}")
    assert not agreed_in_file(answers, hands)


@pytest.mark.parametrize(
    ("disk", "told"),
    [
        (replace(INSIDE, serial="ELSE"), "No disk has the serial number"),
        (replace(INSIDE, holds=("a GPT partition table",)), "is not empty"),
        (replace(INSIDE, group="shoestring", holds=("x",)), "holds the guests"),
        (replace(INSIDE, size=2 * GIB), "too small"),
    ],
)
def test_a_file_erases_nothing_that_it_does_not_speak_of(disk: Disk, told: str) -> None:
    hands = Hands(disk)
    with pytest.raises(OperatorError, match=told):
        agreed_in_file(answer_file.read(FILE), hands)
    assert not hands.done


def test_a_file_may_say_that_all_is_lost_but_not_the_guests() -> None:
    answers = answer_file.read(FILE + "  erase: true\n")
    hands = Hands(replace(INSIDE, holds=("a GPT partition table",)))
    assert agreed_in_file(answers, hands)
    assert hands.mark is not None and hands.mark.erases
    with pytest.raises(OperatorError, match="holds the guests"):
        agreed_in_file(answers, Hands(replace(INSIDE, group="shoestring", holds=("x",))))


def test_answers_that_name_what_the_machine_runs_from_go_on() -> None:
    hands = Hands()
    hands.disks = (replace(STICK, serial="S3Z2NB0K"),)
    assert not agreed_in_file(answer_file.read(FILE), hands)
    assert not hands.done


def test_the_system_and_the_guests_need_two_disks() -> None:
    answers = replace(answer_file.read(FILE), disk="S3Z2NB0K")
    with pytest.raises(OperatorError, match="it is to hold the guests"):
        agreed_in_file(answers, Hands(INSIDE))


def test_a_try_that_failed_is_told_once_and_then_tried_again() -> None:
    hands = Hands(INSIDE)
    hands.files[WHY_NOT] = File(WHY_NOT, "The disk did not become it.\n")
    with pytest.raises(OperatorError, match="did not become it"):
        agreed_in_file(answer_file.read(FILE), hands)
    assert agreed_in_file(answer_file.read(FILE), hands)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("system-disk: S3Z2\n", "should be a list"),
        ("system-disk:\n  erase: true\n", "needs 'serial'"),
        ("system-disk:\n  serial: X\n  wipe: true\n", "has no 'wipe'"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(OperatorError, match=told):
        answer_file.read(TEXTS["a"] + text)
