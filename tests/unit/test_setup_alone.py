# SPDX-License-Identifier: MIT
"""A machine that is set up alone, from its answers to its end, with the power cut everywhere."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from firstboot.answers import NOBODYS_ADDRESS, NOBODYS_MACS, AnswersError, Part, read
from firstboot.apply import set_up
from firstboot.rendering import KEY, SETTINGS
from firstboot.steps import AwaitSync, FillGuest, MakeStorage, plan
from firstboot.validate import Reason, problems
from haagent import config
from haagent.core.model import Policy, Role
from tests.unit.fake_machine import TEXTS, blank, finished, hardware, run_into

TEXT = TEXTS["alone"]
ALONE = read(TEXT)


def test_what_stands_for_the_other_machine_is_made_up() -> None:
    assert ALONE.part is Part.ALONE
    assert (ALONE.me, ALONE.names, ALONE.policy) == (0, ("a", "second"), Policy.AUTOMATIC)
    assert ALONE.crossover.peer == IPv4Address("192.168.77.2")  # kept for a second one
    assert ALONE.lan.peer == NOBODYS_ADDRESS
    assert (ALONE.crossover.peer_mac, ALONE.lan.peer_mac) == tuple(NOBODYS_MACS.values())
    assert [guest.first_node for guest in ALONE.guests] == [0]


def test_the_other_address_of_the_crossover_and_another_name_are_found() -> None:
    text = TEXT.replace("192.168.77.1/24", "192.168.77.2/24").replace("[a]", "[second]")
    found = read(text)
    assert found.crossover.peer == IPv4Address("192.168.77.1")
    assert found.names == ("second", "other")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("part: alone", "part: alone\nme: 0", "the file has no 'me'"),
        ("names: [a]", "names: [a, b]", "names should be a list of 1"),
        ("names: [a]", "", "the file needs 'names'"),
        ("/24\n\nlan", "/24\n  peer: 192.168.77.2\n\nlan", "crossover has no 'peer'"),
        ("  address: 192.168.77.1/24", "", "crossover needs 'address'"),
        ("part: alone", "", "the file needs 'me'"),
    ],
)
def test_what_is_not_asked_of_it_is_refused(old: str, new: str, complaint: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(AnswersError) as caught:
        read(TEXT.replace(old, new))
    assert complaint in str(caught.value)


def test_nothing_is_in_its_way() -> None:
    machine = hardware("a")
    assert problems(ALONE, machine, 1.0) == ()
    (found,) = problems(ALONE, replace(machine, nics=machine.nics[1:]), 1.0)
    assert found.reason is Reason.NIC_NOT_FOUND


def test_it_waits_for_nobody() -> None:
    steps = plan(ALONE, 1.0)
    assert not any(isinstance(step, AwaitSync) for step in steps)
    (storage,) = (step for step in steps if isinstance(step, MakeStorage))
    (fill,) = (step for step in steps if isinstance(step, FillGuest))
    assert storage.is_alone and fill.is_alone


def test_it_is_set_up(tmp_path: Path) -> None:
    machine = finished("alone")
    volume = machine.disk.volumes["counter"]
    assert (volume.metadata, volume.content) == ("only", "10.0.2.50/24 10.0.2.2")
    assert machine.roles == {"counter": Role.SECONDARY}
    assert not machine.peer.is_there and not machine.peer.volumes
    assert machine.is_handed_over and machine.stick.keys() == {"answers.done.yaml"}
    key = tmp_path / "pair.key"
    key.touch(0o600)
    key.write_text(machine.files[KEY].text)
    (tmp_path / "cmdline").write_text("")
    (tmp_path / "pair.yaml").write_text(machine.files[SETTINGS].text.replace(KEY, str(key)))
    found = config.load(tmp_path / "pair.yaml", tmp_path / "cmdline")
    assert found.pair.is_vacant and found.pair.names == ("a", "second")


def test_a_power_cut_after_every_single_effect_changes_nothing_in_the_end() -> None:
    whole = finished("alone")
    for cut in range(1, whole.effects + 1):
        machine = blank("alone")
        run_into(machine, cut)
        assert set_up(machine, machine.tell), cut
        assert machine.kept() == whole.kept(), f"cut after effect {cut}, {machine.said[-3:]}"


@pytest.mark.parametrize("name", ["a", "b"])
def test_no_half_of_a_pair_says_that_it_is_alone(name: str) -> None:
    assert "vacant" not in finished(name).files[SETTINGS].text
