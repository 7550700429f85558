# SPDX-License-Identifier: MIT
"""From a stick to a disk, with the power cut after everything that lasts on either."""

from dataclasses import replace

import pytest

from firstboot.installing.install import MOST_TRIES, PULL, at_start, install
from firstboot.installing.layout import for_disk
from firstboot.installing.mark import PATH, VERSION, WHY_NOT, Mark, Stage, from_file, to_file
from firstboot.rendering import SETTINGS, File
from haagent.errors import OperatorError, ToolError
from tests.unit.fake_agent import Systemctl
from tests.unit.fake_install import AGREED, INSIDE, STICK, STICK_LAYOUT, VOLUME, FakeInstall
from tests.unit.fake_machine import PowerCutError

DECIDED = replace(AGREED, stage=Stage.DECIDED, tries=1)


def is_moved(machine: FakeInstall) -> bool:
    """The disk is the machine with all that it knew, and the stick says so and is none."""
    return (
        machine.is_disk_a_machine
        and machine.is_disk_whole
        and machine.disk.state == {SETTINGS: machine.files[SETTINGS]}
        and not machine.has_state
        and AGREED.serial in machine.words
    )


def test_nothing_is_installed_without_a_mark() -> None:
    machine = FakeInstall(None)
    assert not install(machine, machine.tell)
    assert machine.effects == 0 and machine.is_stick_a_machine


def test_the_disk_is_the_machine_then_and_the_stick_is_none() -> None:
    machine = FakeInstall()
    assert install(machine, machine.tell)
    assert is_moved(machine)
    assert machine.disk.layout == for_disk(STICK_LAYOUT, INSIDE.size)
    assert PULL in machine.said[-1]


def whole() -> int:
    machine = FakeInstall()
    install(machine, machine.tell)
    return machine.effects


@pytest.mark.parametrize("cut", range(1, whole() + 1))
def test_a_cut_after_every_effect_ends_with_one_machine(cut: int) -> None:
    """FakeInstall asserts after each effect that there are never two, nor a half one."""
    machine = FakeInstall()
    machine.cut = cut
    with pytest.raises(PowerCutError):
        install(machine, machine.tell)
    assert machine.is_stick_a_machine or machine.mark or is_moved(machine), "nobody would go on"
    if not machine.words:
        machine.start()
        assert install(machine, machine.tell)
    assert machine.is_disk_a_machine and machine.is_disk_whole and machine.words
    # With its words the stick leads to the disk, whether its state is gone or not.
    assert not machine.is_stick_a_machine


@pytest.mark.parametrize("cut", range(1, whole() + 1))
def test_a_second_cut_changes_nothing_about_that(cut: int) -> None:
    for again in range(1, whole() + 1):
        machine = FakeInstall()
        for at in (cut, again):
            if machine.words:
                break
            machine.start()
            machine.cut, machine.effects = at, 0
            try:
                install(machine, machine.tell)
            except PowerCutError:
                continue
            break
        if not machine.words:
            machine.start()
            install(machine, machine.tell)
        assert machine.is_disk_a_machine and machine.words and not machine.is_stick_a_machine


@pytest.mark.parametrize("cut", range(1, whole() + 1))
def test_without_the_disk_the_stick_is_the_machine_until_it_is_decided_and_never_after(
    cut: int,
) -> None:
    machine = FakeInstall()
    machine.cut = cut
    with pytest.raises(PowerCutError):
        install(machine, machine.tell)
    if machine.words:
        return
    machine.start()
    was_decided = not machine.is_stick_a_machine
    machine.disks = (STICK,)
    systemctl = Systemctl()
    assert at_start(machine, machine.tell, systemctl) == (1 if was_decided else 0)
    assert machine.is_stick_a_machine != was_decided
    assert (machine.mark is None) != was_decided
    assert bool(systemctl.ran) != was_decided, "it stays where it is, and starts nothing"


def test_the_stick_is_left_as_it_is_until_the_disk_can_start() -> None:
    machine = FakeInstall()
    install(machine, machine.tell)
    order = machine.done
    for earlier, later in zip(
        ("clear", "divide", "is_state_whole", "start", "words"),
        ("divide", "esp", "start", "words", "state gone"),
        strict=True,
    ):
        assert order.index(earlier) < order.index(later)
    decided = len(order) - 1 - order[::-1].index("write")
    assert order.index("is_state_whole") < decided < order.index("start")


def test_what_the_machine_learnt_between_two_tries_is_copied() -> None:
    machine = FakeInstall()
    machine.cut = whole() - 5  # before the decision, with the state copied
    with pytest.raises(PowerCutError):
        install(machine, machine.tell)
    assert machine.disk.is_state_whole and machine.is_stick_a_machine
    machine.start()
    machine.files[SETTINGS] = File(SETTINGS, "newer\n")
    install(machine, machine.tell)
    assert is_moved(machine)


def test_a_disk_that_is_this_machine_already_is_not_written_to() -> None:
    """A stick that was pulled before it was given up, and is started months later."""
    machine = FakeInstall(DECIDED)
    machine.disk.esp = machine.disk.first_sector = VOLUME
    machine.disk.layout = for_disk(STICK_LAYOUT, INSIDE.size)
    machine.disk.boot_code = machine.disk.slots = machine.disk.is_state_whole = True
    machine.disk.state = {SETTINGS: File(SETTINGS, "of months later\n")}
    assert install(machine, machine.tell)
    assert machine.disk.state[SETTINGS].text == "of months later\n"
    assert machine.done == ["words", "state gone"]


def test_a_disk_with_something_else_on_it_is_not_taken_for_this_machine() -> None:
    machine = FakeInstall(DECIDED)
    machine.disk.kinds = ("ntfs",)
    assert at_start(machine, machine.tell, Systemctl()) == 1
    assert not machine.done and not machine.is_stick_a_machine


@pytest.mark.parametrize("piece", ["boot_code", "esp", "slots", "is_state_whole"])
def test_a_disk_that_keeps_nothing_is_given_back(piece: str) -> None:
    machine = FakeInstall()
    machine.bad = piece
    systemctl = Systemctl()
    assert at_start(machine, machine.tell, systemctl) == 0
    assert machine.is_stick_a_machine and not machine.is_disk_a_machine
    assert machine.mark is None and machine.files[SETTINGS].text == "a pair's\n"
    assert "reads otherwise" in machine.files[WHY_NOT].text
    assert "goes on from its stick" in machine.said[-1]
    assert systemctl.ran == ["systemctl --no-block reboot"]


def test_a_machine_that_dies_at_each_try_goes_on_from_its_stick() -> None:
    machine = FakeInstall()
    for _ in range(MOST_TRIES):
        machine.start()
        machine.cut, machine.effects = 9, 0
        with pytest.raises(PowerCutError):
            install(machine, machine.tell)
    machine.start()
    machine.effects = 0
    assert install(machine, machine.tell)
    assert machine.mark is None and machine.is_stick_a_machine
    assert "begun 3 times" in machine.files[WHY_NOT].text


def test_guests_are_never_written_over() -> None:
    """safety: whatever was agreed to, and however far it was."""
    for stage in (Stage.AGREED, Stage.BEGUN):
        machine = FakeInstall(replace(AGREED, erases=True, stage=stage))
        machine.disk.is_a_pairs, machine.disk.kinds = True, ("LVM2_member",)
        assert install(machine, machine.tell)
        assert "holds the guests" in machine.files[WHY_NOT].text
        assert machine.disk.kinds == ("LVM2_member",) and "clear" not in machine.done


def test_a_disk_that_was_blank_and_is_not_any_more_is_left_alone() -> None:
    machine = FakeInstall()
    machine.disk.kinds = ("ext4",)
    assert install(machine, machine.tell)
    assert "holds something by now: ext4" in machine.files[WHY_NOT].text
    assert "clear" not in machine.done and machine.is_stick_a_machine


def test_what_was_agreed_to_is_erased() -> None:
    machine = FakeInstall(replace(AGREED, erases=True))
    machine.disk.kinds = ("gpt", "ntfs")
    assert install(machine, machine.tell)
    assert is_moved(machine)


@pytest.mark.parametrize(
    "other",
    [
        replace(INSIDE, size=INSIDE.size * 2),
        replace(INSIDE, serial="S3Z2NB0L"),
        replace(INSIDE, logical_sector=4096),
        replace(INSIDE, is_read_only=True),
    ],
)
def test_another_disk_is_not_the_one(other: object) -> None:
    machine = FakeInstall()
    machine.disks = (STICK, other)  # type: ignore[assignment]
    assert install(machine, machine.tell)
    assert machine.mark is None and "clear" not in machine.done


def test_a_disk_that_is_there_twice_is_neither() -> None:
    machine = FakeInstall()
    machine.disks = (STICK, INSIDE, replace(INSIDE, name="sdc"))
    assert install(machine, machine.tell)
    assert "clear" not in machine.done and machine.is_stick_a_machine


def test_a_disk_that_comes_late_is_waited_for() -> None:
    machine = FakeInstall()
    machine.disks, machine.later = (STICK,), [(STICK, INSIDE)]
    assert install(machine, machine.tell)
    assert is_moved(machine)


def test_a_decision_that_does_not_last_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeInstall()
    write = machine.write

    def forgets(file: File) -> None:
        if '"decided"' not in file.text:
            write(file)

    monkeypatch.setattr(machine, "write", forgets)
    assert install(machine, machine.tell)
    assert machine.is_stick_a_machine and not machine.is_disk_a_machine


def test_a_stick_that_cannot_be_given_up_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeInstall()

    def fail(words: str) -> None:
        raise ToolError(("sfdisk",), 1, "no medium")

    monkeypatch.setattr(machine, "give_up_stick", fail)
    systemctl = Systemctl()
    assert at_start(machine, machine.tell, systemctl) == 1
    assert not systemctl.ran and not machine.is_stick_a_machine and machine.is_disk_a_machine


def test_a_mark_survives_its_file() -> None:
    for stage in Stage:
        written = Mark("S3Z2", "SSD", 1 << 37, True, VOLUME, stage, 2)
        assert from_file(to_file(written)) == written
    assert from_file(None) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f'"version": {VERSION}', '"version": 99'),
        ('"agreed"', '"done"'),
        ("cafe1234", "cafe"),
        ("cafe1234", "cafe123x"),
        ('"tries": 0', '"tries": "0"'),
        ('"erases": false', '"erases": 0'),
        ('"serial"', '"cereal"'),
    ],
)
def test_a_damaged_mark_is_not_guessed_at_and_nothing_starts(old: str, new: str) -> None:
    text = to_file(AGREED).text
    assert old in text
    with pytest.raises(OperatorError, match="is damaged"):
        from_file(File(PATH, text.replace(old, new)))
    machine = FakeInstall()
    machine.files[PATH] = File(PATH, text.replace(old, new))
    assert at_start(machine, machine.tell, Systemctl()) == 1
    assert not machine.done
