# SPDX-License-Identifier: MIT
"""From the mark to a blank machine, with the power cut after everything that lasts."""

from dataclasses import replace
from pathlib import Path

import pytest

from firstboot import forgetting
from firstboot.appliance import pair_files
from firstboot.apply import COMPLETE, set_up
from firstboot.forgetting import PATH, Mark, Stage, at_start, forget, from_file, our_disk, to_file
from firstboot.rendering import SETTINGS, File
from haagent.errors import OperatorError, ToolError
from haagent.state import FOLDER, trace_of
from tests.unit.fake_agent import Systemctl
from tests.unit.fake_machine import TEXTS, DataDisk, FakeMachine, PowerCutError, finished


def pair_machine(name: str = "a") -> FakeMachine:
    """One that lived as half of a pair for a while."""
    machine = finished(name)
    machine.zone = "Europe/Berlin"
    trace = str(FOLDER.with_name(trace_of(FOLDER)))
    for path in ("/state/haagent/state-a.json", trace, "/state/var/lib/drbd/drbd-minor-0.lkbd"):
        machine.files[path] = File(path, "{}")
    machine.effects = 0
    machine.said.clear()
    return machine


def mark(machine: FakeMachine) -> Mark:
    found = our_disk(machine)
    assert found is not None
    disk, identity = found
    return Mark(identity, disk.serial)


def marked(name: str = "a") -> FakeMachine:
    machine = pair_machine(name)
    machine.files[PATH] = to_file(mark(machine))
    return machine


def is_blank(machine: FakeMachine) -> bool:
    is_kept = "answers.done.yaml" in machine.stick
    return not (machine.files or is_kept) and (machine.disk, machine.zone) == (DataDisk(), "UTC")


def starts(machine: FakeMachine) -> str:
    """What the conditions of the units let start on this machine (image/mkosi.extra)."""
    if SETTINGS in machine.files:
        return "pair"
    return "nothing" if COMPLETE.path in machine.files else "set-up"


def test_nothing_is_forgotten_without_a_mark() -> None:
    machine = pair_machine()
    assert not forget(machine, machine.tell)
    assert machine.effects == 0 and starts(machine) == "pair"


def test_nothing_is_left_of_the_pair() -> None:
    machine = marked()
    assert forget(machine, machine.tell)
    assert is_blank(machine)
    assert not forget(machine, machine.tell)


def test_a_stick_that_keeps_its_answers_is_told_and_forgets_the_rest() -> None:
    machine = marked()

    def fail() -> None:
        raise ToolError(("mount",), 32, "no medium")

    machine.forget_answers = fail  # type: ignore[method-assign]
    assert forget(machine, machine.tell)
    assert not machine.files and machine.disk == DataDisk()
    assert any("is still on the stick" in line for line in machine.said)


def whole() -> int:
    machine = marked()
    forget(machine, machine.tell)
    return machine.effects


@pytest.mark.parametrize("cut", range(1, whole() + 1))
def test_a_cut_after_every_effect_ends_with_a_blank_machine(cut: int) -> None:
    machine = marked()
    machine.cut = cut
    with pytest.raises(PowerCutError):
        forget(machine, machine.tell)
    machine.cut = None
    machine.boot()
    is_whole_disk = machine.disk.has_group and all(
        volume.is_finished for volume in machine.disk.volumes.values()
    )
    assert is_whole_disk or starts(machine) != "pair", "half a pair would start"
    assert PATH in machine.files or is_blank(machine), "nobody would go on"
    forget(machine, machine.tell)
    assert is_blank(machine)
    machine.boot()  # as at_start has it
    machine.stick["answers.yaml"] = TEXTS["a"]
    assert set_up(machine, machine.tell), "it can become half of a new pair"


def test_a_cut_while_the_mark_is_written_leaves_a_pair_or_a_machine_that_forgets() -> None:
    for cut in (1, 2):
        machine = pair_machine()
        written = to_file(mark(machine))
        machine.cut = cut
        with pytest.raises(PowerCutError):
            machine.write(written)
        machine.cut = None
        machine.boot()
        assert forget(machine, machine.tell) == (cut == 2)
        assert is_blank(machine) if cut == 2 else starts(machine) == "pair"


def test_the_set_up_waits_until_all_is_forgotten() -> None:
    """COMPLETE goes right before the mark: until then no unit would start."""
    machine = marked()
    removed: list[str] = []
    remove = machine.remove

    def note(path: str) -> None:
        removed.append(path)
        remove(path)

    machine.remove = note  # type: ignore[method-assign]
    forget(machine, machine.tell)
    assert removed[0] == SETTINGS
    assert removed[-2:] == [COMPLETE.path, PATH]


def test_a_disk_that_comes_late_is_waited_for() -> None:
    machine = marked()
    there = machine.hardware
    machine.hardware = replace(there, disks=there.disks[:1])
    machine.plugged_in_later = [there]
    assert forget(machine, machine.tell)
    assert is_blank(machine)


def test_a_disk_that_never_comes_keeps_what_is_on_it_and_that_is_said() -> None:
    machine = marked()
    machine.hardware = replace(machine.hardware, disks=machine.hardware.disks[:1])
    assert forget(machine, machine.tell)
    assert not machine.files and machine.disk.has_group
    assert "It does not come, so it keeps what is on it: A-DATA." in machine.said


def test_another_pairs_disk_is_not_touched() -> None:
    """safety: the mark names an identity, and nothing else is erased."""
    machine = marked()
    machine.disk.physical_volume = "another"
    assert forget(machine, machine.tell)
    assert machine.disk.has_group and machine.disk.physical_volume == "another"
    assert any("holds something else by now" in line for line in machine.said)


def test_no_disk_is_erased_for_a_mark_without_one() -> None:
    machine = pair_machine()
    machine.files[PATH] = to_file(Mark("", ""))
    assert forget(machine, machine.tell)
    assert machine.disk.has_group and not machine.files


def test_a_disk_that_does_not_take_it_is_told_and_nothing_starts() -> None:
    machine = marked()
    machine.clear_disk = lambda disk: None  # type: ignore[method-assign]
    systemctl = Systemctl()
    assert at_start(machine, machine.tell, systemctl) == 1
    assert not systemctl.ran and starts(machine) == "nothing" and PATH in machine.files
    assert "could not forget" in machine.said[-1] and "It is failing" in machine.said[-1]


def test_the_machine_restarts_once_it_has_forgotten() -> None:
    machine = marked()
    systemctl = Systemctl()
    for _ in range(2):
        assert at_start(machine, machine.tell, systemctl) == 0
    assert systemctl.ran == ["systemctl --no-block reboot"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"version": 2}', '{"version": 1, "stage": "x"}', '{"version": 1}']
)
def test_a_damaged_mark_is_not_guessed_at(text: str) -> None:
    with pytest.raises(OperatorError, match="is damaged"):
        from_file(File(PATH, text))


def test_a_mark_survives_its_file() -> None:
    for stage in Stage:
        written = Mark("CcKxoH", "A-DATA", stage)
        assert from_file(to_file(written)) == written


def test_a_disk_that_cannot_be_read_is_as_good_as_gone() -> None:
    machine = pair_machine()

    def fail(disk: str) -> None:
        raise ToolError(("wipefs",), 1, "Input/output error")

    machine.signature = fail  # type: ignore[method-assign, assignment]
    assert our_disk(machine) is None


def test_of_two_disks_with_a_pair_none_is_guessed() -> None:
    machine = pair_machine()
    data = machine.hardware.disks[1]
    twin = replace(data, name="sdc", serial="OTHER")
    machine.hardware = replace(machine.hardware, disks=(*machine.hardware.disks, twin))
    with pytest.raises(
        OperatorError, match="two disks with the guests of a pair: A-DATA and OTHER"
    ):
        our_disk(machine)


def test_every_file_of_the_pair_is_found_and_nothing_of_the_sticks_own(tmp_path: Path) -> None:
    pairs = (
        "etc/drbd.d/counter.res",
        "etc/hostname",
        "etc/shoestring/password",
        "haagent.saved",
        "haagent/state-a.json",
        "later/what-nobody-knows-yet",
        "on-top",
        "setup/complete",
        "var/lib/drbd/drbd-minor-0.lkbd",
        "var/lib/heartbeat/hostcache",
    )
    own = (
        "identity/machine-id",
        "lost+found/x",
        "var/lib/heartbeat/hb_generation",
        "var/lib/heartbeat/hb_generation.highest",
        "var/lib/heartbeat/hb_uuid",
        "var/lib/systemd/random-seed",
        "var/log/journal/x",
    )
    for name in (*pairs, *own):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "etc/localtime").symlink_to("/usr/share/zoneinfo/UTC")  # always there
    (tmp_path / "etc/folder").symlink_to(tmp_path / "identity")  # removed, and not followed
    expected = sorted(str(tmp_path / name) for name in (*pairs, "etc/folder"))
    assert pair_files(tmp_path) == expected


def test_the_wait_for_a_disk_has_an_end() -> None:
    assert 0 < forgetting.PATIENCE < 300
