# SPDX-License-Identifier: MIT
"""Sticks and disks that are plugged in by USB: those that a person means."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from haagent.errors import ParseError
from haagent.usb import LIST, READABLE, WRITABLE, Plugged, plugged, sticks
from tests.unit.fake_usb import OTHERS, STICK, disk, part


def seen(kinds: Sequence[str], *disks: dict[str, Any]) -> Plugged:
    return plugged(lambda argv, *, timeout, stdin=None: json.dumps({"blockdevices": disks}), kinds)


def test_the_stick_that_was_plugged_in_is_found_among_all_others() -> None:
    (found,) = seen(WRITABLE, *OTHERS, STICK).fit
    assert (found.device, found.kind) == ("sdc1", "vfat")
    assert found.title == "Cruzer Blade, 7.5G (sdc1)"


def test_so_is_one_without_partitions() -> None:
    """Whatever the kernel takes its beginning for."""
    odd = disk("sdc", part("sdc1", "exfat"), fstype="exfat")
    (found,) = seen(WRITABLE, odd).fit
    assert (found.device, found.kind) == ("sdc", "exfat")


def test_a_name_on_a_stick_is_no_order_to_a_terminal() -> None:
    odd = disk("sdc", part("sdc1", "vfat"), model="\x1b[2Jgone")
    (found,) = seen(WRITABLE, odd).fit
    assert found.title.startswith("?[2Jgone")


@pytest.mark.parametrize("text", ["", "{}", '{"blockdevices": [{}]}', "[1]"])
def test_what_is_no_list_is_not_guessed_at(text: str) -> None:
    with pytest.raises(ParseError):
        sticks(LIST, text)


def test_a_disk_of_a_windows_computer_is_read_and_not_written() -> None:
    """What is said then names it, so that nobody looks for a loose plug."""
    disks = (*OTHERS, STICK)
    assert [one.device for one in seen(READABLE, *disks).fit] == ["sdd1", "sdc1"]
    found = seen(WRITABLE, *OTHERS)
    assert found.seen == "none"
    assert found.remark == " Cruzer Blade, 7.5G (sdd1) has ntfs, which is not taken for this."


def test_a_data_disk_by_usb_is_none_of_them() -> None:
    assert seen(READABLE, disk("sdb", fstype="LVM2_member"), disk("sdc", part("sdc1"))) == Plugged(
        [], []
    )
