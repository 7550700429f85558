# SPDX-License-Identifier: MIT
"""A set-up from its answers to a finished machine, and the same with the power cut everywhere."""

import contextlib
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from firstboot import journal
from firstboot.answers import AnswersError, read
from firstboot.apply import COMPLETE, set_up
from firstboot.hands import Interface
from firstboot.rendering import SETTINGS, File
from haagent.core.model import Disk, Resource, Role
from haagent.errors import OperatorError, ToolError
from tests.unit.fake_machine import (
    DATA,
    SECRET,
    TEXTS,
    DataDisk,
    FakeMachine,
    PowerCutError,
    blank,
    done,
    effects,
    finished,
    hardware,
    run_into,
)

NODES = ["a", "b"]
SEED = 20261123  # of the cuts in a row; a failure prints it with the cuts


@pytest.mark.parametrize("name", NODES)
def test_a_machine_is_set_up(name: str) -> None:
    machine = finished(name)
    assert machine.host == name
    assert machine.interfaces().keys() == {"crossover", "lan0", "lan"}
    guests = read(TEXTS[name]).guests
    assert {guest: volume.size for guest, volume in machine.disk.volumes.items()} == {
        guest.name: guest.disk for guest in guests
    }
    assert all(volume.metadata == "data" for volume in machine.disk.volumes.values())
    assert set(machine.roles.values()) == {Role.SECONDARY}
    assert machine.files[SETTINGS].text == (DATA / name / SETTINGS[1:]).read_text()
    assert machine.files[COMPLETE.path] == COMPLETE
    assert machine.is_handed_over


def test_the_first_node_fills_the_built_in_guest_on_both() -> None:
    machine = finished("a")
    assert machine.disk.volumes["counter"].content == "10.0.2.50/24 10.0.2.2"
    assert machine.peer.volumes["counter"].content == "10.0.2.50/24 10.0.2.2"


@pytest.mark.parametrize("name", NODES)
def test_the_secret_is_on_the_stick_no_more(name: str) -> None:
    machine = finished(name)
    assert machine.stick.keys() == {"answers.done.yaml"}
    assert SECRET not in str(machine.stick).lower()
    journal_text = machine.files[journal.PATH].text
    assert SECRET not in "".join([journal_text, *machine.said]).lower()


@pytest.mark.parametrize("name", NODES)
def test_a_power_cut_after_every_single_effect_changes_nothing_in_the_end(name: str) -> None:
    whole = finished(name)
    for cut in range(1, whole.effects + 1):
        machine = blank(name)
        run_into(machine, cut)
        assert set_up(machine, machine.tell), cut
        assert machine.kept() == whole.kept(), f"cut after effect {cut}, {machine.said[-3:]}"


@pytest.mark.parametrize("name", NODES)
def test_neither_do_several_cuts_in_a_row(name: str) -> None:
    chance = random.Random(SEED)
    whole = finished(name)
    for _ in range(100):
        machine = blank(name)
        cuts = [chance.randrange(1, whole.effects) for _ in range(3)]
        for cut in cuts:
            machine.cut = machine.effects + cut
            with contextlib.suppress(PowerCutError):
                set_up(machine, machine.tell)
            machine.cut = None
            machine.boot()
        assert set_up(machine, machine.tell), cuts
        assert machine.kept() == whole.kept(), f"seed {SEED}, cuts {cuts}"


@pytest.mark.parametrize("name", NODES)
def test_a_second_run_does_nothing(name: str) -> None:
    machine = finished(name)
    before = machine.effects
    assert set_up(machine, machine.tell)
    assert machine.effects == before


def test_without_answers_nothing_happens() -> None:
    machine = FakeMachine(None, hardware("a"), is_leader=True)
    assert not set_up(machine, machine.tell)
    assert machine.effects == 0
    assert machine.said == []


def test_unarmed_answers_change_nothing_and_say_why() -> None:
    unarmed = TEXTS["a"].replace("erase the disks", "look at the disks")
    machine = FakeMachine(unarmed, hardware("a"), is_leader=True)
    with pytest.raises(AnswersError, match="arm should be exactly"):
        set_up(machine, machine.tell)
    assert machine.effects == 0


@pytest.mark.parametrize(
    ("interface", "wrong"),
    [
        ("lan", {"mac": "52:54:00:00:0c:02"}),
        ("lan", {"broadcasts": ()}),
        ("crossover", {"broadcasts": (IPv4Address("192.168.77.0"),)}),
        ("crossover", {"addresses": ()}),
        ("crossover", {"mac": "52:54:00:00:0c:01"}),
        ("lan0", {"bridge": ""}),
    ],
)
def test_a_network_that_is_not_as_written_is_told(interface: str, wrong: dict[str, Any]) -> None:
    class Miswired(FakeMachine):
        def interfaces(self) -> Mapping[str, Interface]:
            found = dict(super().interfaces())
            if interface in found:
                found[interface] = replace(found[interface], **wrong)
            return found

    machine = Miswired(TEXTS["a"], hardware("a"), is_leader=True)
    with pytest.raises(OperatorError, match="The network does not come up"):
        set_up(machine, machine.tell)
    assert machine.disk == DataDisk()


def test_times_are_shown_in_the_zone_and_the_clock_follows_who_dhcp_named() -> None:
    machine = finished("b")
    assert machine.zone == "Europe/Berlin"
    assert "NTP=10.0.2.2 10.0.2.4" in machine.clock_follows
    assert finished("a").zone == "UTC"
    assert "NTP=" not in finished("a").clock_follows


def test_a_time_zone_that_does_not_last_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = blank("b")
    monkeypatch.setattr(machine, "set_time_zone", lambda zone: None)
    with pytest.raises(OperatorError, match="does not take the time zone Europe/Berlin"):
        set_up(machine, machine.tell)


def test_an_interrupted_set_up_says_where_it_goes_on() -> None:
    machine = blank("a")
    run_into(machine, 5)
    assert set_up(machine, machine.tell)
    assert "Continuing the set-up that was interrupted at step 2 of 14." in machine.said
    assert not any("Continuing" in text for text in finished("a").said)


def test_a_secret_that_stays_on_the_stick_is_told() -> None:
    class Sticky(FakeMachine):
        def retire_answers(self) -> None:
            pass

    machine = Sticky(TEXTS["a"], hardware("a"), is_leader=True)
    with pytest.raises(OperatorError, match="is still on the stick"):
        set_up(machine, machine.tell)
    assert COMPLETE.path not in machine.files


def test_a_peer_that_was_met_need_not_be_there_again() -> None:
    for cut in range(1, effects("b")):
        machine = blank("b")
        run_into(machine, cut)
        if {"sync counter", "sync mail-server"} <= done(machine):
            machine.peer.is_there = False
            machine.peer.stays_away = True
            assert set_up(machine, machine.tell)
            return
    raise AssertionError("the peer was never met")


def test_the_journal_names_every_step_that_is_done() -> None:
    assert done(finished("a")) == {
        "host name",
        "name",
        "network files",
        "network",
        "clock files",
        "clock",
        "mirror files",
        "storage",
        "heartbeat files",
        "mirror counter",
        "sync counter",
        "guest counter",
        "agent files",
        "secret",
    }


def test_a_damaged_journal_stops_everything() -> None:
    machine = blank("a")
    machine.files[journal.PATH] = File(journal.PATH, '{"version": 2, "steps": {}}')
    with pytest.raises(OperatorError, match="its version is 2"):
        set_up(machine, machine.tell)
    machine.files[journal.PATH] = File(journal.PATH, "{")
    with pytest.raises(OperatorError, match="cannot be understood"):
        set_up(machine, machine.tell)
    assert machine.effects == 0


def test_answers_that_vanish_half_way_are_missed() -> None:
    machine = blank("a")
    run_into(machine, 20)
    machine.stick.clear()
    with pytest.raises(OperatorError, match=r"answers.yaml is gone"):
        set_up(machine, machine.tell)


def test_corrected_answers_are_taken_up() -> None:
    """The first try named the wrong peer; the disk that was made ours stays so."""
    machine = blank("a")
    machine.stick["answers.yaml"] = TEXTS["a"].replace("0b:01", "0c:01")
    machine.peer.has_other_secret = True
    with pytest.raises(OperatorError, match="do not accept each other"):
        set_up(machine, machine.tell)
    machine.boot()
    machine.stick["answers.yaml"] = TEXTS["a"]
    machine.peer.has_other_secret = False
    assert set_up(machine, machine.tell)
    assert "52:54:00:00:0b:01" in machine.files[SETTINGS].text


def test_waits_for_a_disk_and_a_card_that_come_later() -> None:
    machine = blank("a")
    whole = machine.hardware
    machine.hardware = replace(whole, disks=whole.disks[:1], nics=whole.nics[:1])
    machine.plugged_in_later = [replace(whole, nics=whole.nics[:1]), whole]
    machine.boot()
    assert set_up(machine, machine.tell)
    waiting = [text for text in machine.said if "plugged in" in text]
    assert len(waiting) == 2
    assert "serial number A-DATA" in waiting[0] and "52:54:00:00:0a:02" in waiting[0]
    assert "A-DATA" not in waiting[1]


def test_a_card_whose_first_name_is_not_final_yet() -> None:
    """As seen on slow machines: udev was not done with the boot when the set-up began."""
    machine = blank("a")
    machine.boot_names = {name: f"enp0s-{name}" for name in machine.card_names.values()}
    set_up(machine, machine.tell)
    assert set(machine.card_names.values()) >= {"crossover", "lan0"}
    assert machine.is_handed_over


def test_does_not_wait_for_what_waiting_does_not_mend() -> None:
    machine = blank("a")
    machine.scale = 100
    with pytest.raises(OperatorError, match="time scale is 100"):
        set_up(machine, machine.tell)
    assert machine.effects == 0


def test_a_peer_that_goes_away_at_the_wrong_moment_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = blank("a")
    lost: list[str] = []

    def losing(act: Callable[[str], None], verb: str) -> Callable[[str], None]:
        def attempt(guest: str) -> None:
            if verb not in lost:
                lost.append(verb)
                machine.peer.is_there = False
                raise ToolError(("drbdadm", verb), 10, "the peer went away")
            act(guest)

        return attempt

    monkeypatch.setattr(machine, "skip_first_sync", losing(machine.skip_first_sync, "skip"))
    monkeypatch.setattr(machine, "promote", losing(machine.promote, "primary"))
    assert set_up(machine, machine.tell)
    assert lost == ["skip", "primary"]
    assert machine.kept() == finished("a").kept()


@pytest.mark.parametrize("verb", ["skip_first_sync", "promote"])
def test_a_tool_that_fails_beside_a_present_peer_is_told(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = blank("a")

    def fail(guest: str) -> None:
        raise ToolError(("drbdadm",), 10, f"no {verb} today")

    monkeypatch.setattr(machine, verb, fail)
    with pytest.raises(ToolError, match="today"):
        set_up(machine, machine.tell)
    assert SETTINGS not in machine.files


def test_a_disk_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = blank("a")

    def failing(guest: str, is_enough: Callable[[Resource], bool]) -> Resource:
        now = Resource(disk=Disk.DISKLESS)
        assert is_enough(now), "waits for ever for a disk that is gone"
        return now

    monkeypatch.setattr(machine, "await_mirror", failing)
    with pytest.raises(OperatorError, match="disk of the guest counter fails"):
        set_up(machine, machine.tell)


def test_a_stick_that_does_not_keep_what_was_written_is_told() -> None:
    class Forgetful(FakeMachine):
        def write(self, file: File) -> None:
            super().write(replace(file, text=file.text[:-1]))

    machine = Forgetful(TEXTS["a"], hardware("a"), is_leader=True)
    with pytest.raises(OperatorError, match="something else is read back"):
        set_up(machine, machine.tell)


def test_a_file_with_the_wrong_mode_is_written_again() -> None:
    machine = blank("a")
    run_into(machine, effects("a") - 12)
    path = "/state/etc/ha.d/authkeys"
    good = machine.files[path]
    machine.files[path] = replace(good, mode=0o644)
    assert set_up(machine, machine.tell)
    assert machine.files[path] == good


def test_the_person_at_the_screen_is_told_what_happens() -> None:
    said = finished("a").said
    assert said[0] == "Setting up a, as answers.yaml on the stick says."
    assert "8/14 Making the data disk ours." in said
    assert "  Waiting for b, as long as it takes." in said
    assert "  counter: Secondary, Connecting, disk Inconsistent, the peer's disk DUnknown" in said
    assert said[-1] == "This machine is set up."
