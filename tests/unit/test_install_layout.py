# SPDX-License-Identifier: MIT
"""How the new disk is divided, which disk that may be, and what is read and changed on an ESP."""

import json
from dataclasses import replace
from typing import Any

import pytest

from firstboot.health import Health
from firstboot.installing import esp, layout, target
from firstboot.installing.layout import Layout, Part
from firstboot.installing.mark import Mark
from firstboot.installing.target import Unfit
from firstboot.probe import Bus, Disk
from haagent.errors import OperatorError, ParseError
from tests.unit.fake_install import AGREED, GIB, INSIDE, STICK, STICK_LAYOUT, FakeInstall

ARGV = ("sfdisk", "--json", "/dev/sda")
SLOT = """\
set slot_version="0.1.0"
set slot_roothash="6ccb029fe85f470ffa9f2a8ff0f270c2952515358aa3bf86db3bd69d8c97b744"
set slot_blocks="63974"
set slot_size="264110080"
"""


def table(device: str = "/dev/sda", **changes: Any) -> str:
    between = "p" if device[-1].isdigit() else ""
    parts = [
        {
            "node": f"{device}{between}{part.number}",
            "start": part.start,
            "size": part.size,
            "type": part.kind.lower(),
            "uuid": "99F83E66-41A0-44D0-B2A6-418E08A5B654",
            "name": part.label,
            **({"attrs": part.attributes} if part.attributes else {}),
        }
        for part in STICK_LAYOUT.parts
    ]
    whole = {"label": "gpt", "unit": "sectors", "firstlba": 2048, "sectorsize": 512}
    return json.dumps({"partitiontable": {**whole, "partitions": parts, **changes}})


@pytest.mark.parametrize("device", ["/dev/sda", "/dev/nvme0n1", "/dev/vdb"])
def test_a_table_is_read(device: str) -> None:
    assert layout.parse_table(ARGV, table(device)) == STICK_LAYOUT


@pytest.mark.parametrize("change", [{"label": "dos"}, {"partitions": [{}]}, {"firstlba": "x"}])
def test_a_table_that_is_none_is_not_guessed_at(change: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        layout.parse_table(ARGV, table(**change))


def test_a_medium_with_large_sectors_is_not_copied() -> None:
    with pytest.raises(OperatorError, match="4096 bytes"):
        layout.parse_table(ARGV, table(sectorsize=4096))


def test_the_new_disk_has_all_in_the_same_place_and_more_for_state() -> None:
    made = layout.for_disk(STICK_LAYOUT, INSIDE.size)
    assert made.parts[:-1] == STICK_LAYOUT.parts[:-1]
    state = made.part(layout.STATE)
    assert state.start == STICK_LAYOUT.part(layout.STATE).start
    end = state.start + state.size
    assert end % layout.GRAIN == 0
    last_usable = INSIDE.size // 512 - 34
    assert end - 1 <= last_usable < end + layout.GRAIN
    assert layout.parse_table(ARGV, table()) == STICK_LAYOUT


def test_a_disk_of_the_least_size_has_room_for_state() -> None:
    least = layout.needed(STICK_LAYOUT, 3 << 30)
    state = layout.for_disk(STICK_LAYOUT, least).part(layout.STATE)
    assert state.size * 512 >= (6 << 30) - (2 << 20)
    assert layout.needed(STICK_LAYOUT, 0) == (3936256 + 2048) * 512 + GIB


def test_a_state_partition_that_is_not_the_last_cannot_grow() -> None:
    first, *rest = STICK_LAYOUT.parts
    moved = replace(STICK_LAYOUT, parts=(*rest, replace(first, start=9_000_000)))
    with pytest.raises(OperatorError, match="not the last"):
        layout.for_disk(moved, INSIDE.size)


@pytest.mark.parametrize("parts", [(), (Part(1, 1, 1, "X", "s"), Part(2, 3, 1, "X", "s"))])
def test_a_label_that_is_missing_or_twice_is_none(parts: tuple[Part, ...]) -> None:
    with pytest.raises(OperatorError, match="called s"):
        Layout(34, parts).part("s")


def test_what_sfdisk_reads_names_no_identity() -> None:
    text = layout.script(STICK_LAYOUT)
    assert text.startswith("label: gpt\nunit: sectors\nfirst-lba: 2048\n\n1 : start=2048, ")
    assert 'name="shoestring-root-a", attrs="GUID:59"\n' in text
    assert "uuid" not in text and "label-id" not in text


def test_partitions_have_the_names_that_the_kernel_gives() -> None:
    assert layout.node("sda", 5) == "sda5"
    assert layout.node("nvme0n1", 5) == "nvme0n1p5"


FOUND = {
    "the stick": (STICK, Unfit.BOOT_MEDIUM),
    "a pair's": (replace(INSIDE, group="shoestring", holds=("x",)), Unfit.OURS),
    "the data disk": (replace(INSIDE, serial="DATA"), Unfit.IN_USE),
    "a card": (replace(INSIDE, is_removable=True), Unfit.REMOVABLE),
    "at USB": (replace(INSIDE, bus=Bus.USB), Unfit.REMOVABLE),
    "locked": (replace(INSIDE, is_read_only=True), Unfit.READ_ONLY),
    "nameless": (replace(INSIDE, serial=""), Unfit.NO_SERIAL),
    "4K": (replace(INSIDE, logical_sector=4096), Unfit.SECTORS),
    "unknown": (replace(INSIDE, logical_sector=None), Unfit.SECTORS),
    "small": (replace(INSIDE, size=2 * GIB), Unfit.TOO_SMALL),
    "blank": (INSIDE, None),
    "full": (replace(INSIDE, holds=("a Windows file system (NTFS)",)), None),
}


@pytest.mark.parametrize("name", FOUND)
def test_which_disks_may_be_taken(name: str) -> None:
    disk, why = FOUND[name]
    hands = FakeInstall()
    hands.disks = (STICK, disk) if disk is not STICK else (STICK,)
    assert target.unfit(disk, hands.machine(), 3 * GIB, ("DATA",)) is why


def test_two_disks_that_say_the_same_are_neither_taken() -> None:
    hands = FakeInstall()
    hands.disks = (STICK, INSIDE, replace(INSIDE, name="sdc"))
    assert target.unfit(INSIDE, hands.machine(), GIB) is Unfit.SERIAL_TWICE
    assert not target.fitting(hands.machine(), GIB)


def test_the_largest_is_left_to_the_guests_and_blank_ones_come_first() -> None:
    hands = FakeInstall()
    small, full = (
        replace(INSIDE, name="sdc", serial="C", size=32 * GIB),
        replace(INSIDE, name="sdd", serial="D", size=8 * GIB, holds=("a GPT partition table",)),
    )
    hands.disks = (STICK, INSIDE, full, small)
    assert [disk.name for disk in target.fitting(hands.machine(), GIB)] == ["sdc", "sdb", "sdd"]


def test_it_is_said_what_is_needed_and_what_the_disk_says_of_itself() -> None:
    assert target.why_not(INSIDE, Unfit.TOO_SMALL, 3 * GIB).endswith("small: 3.0 GiB are needed.")
    failing: Disk = replace(INSIDE, health=Health(True, None, ("2 sectors waiting",)))
    assert target.warning(failing).startswith("WARNING: it says that it is failing (2 sectors")
    assert "wear" in target.warning(replace(INSIDE, health=Health(False, None, ("old",))))
    assert target.warning(INSIDE) == ""


def test_a_slot_is_read() -> None:
    slot = esp.parse_slot("a", SLOT)
    assert (slot.blocks, slot.size) == (63974, 264110080)
    assert len(slot.roothash) == 64


@pytest.mark.parametrize(
    ("old", "new"),
    [("63974", ""), ("63974", "0"), ("264110080", "262037504"), ("6ccb", "6CCB"), ("b744", "b7")],
)
def test_a_damaged_slot_is_not_copied(old: str, new: str) -> None:
    assert old in SLOT
    with pytest.raises(OperatorError, match="slot-a"):
        esp.parse_slot("a", SLOT.replace(old, new))


def test_all_starts_are_given_back_and_nothing_else_changes() -> None:
    lines = b"# GRUB Environment Block\npreferred=a\nleft=1\nother=b\nfallen=\n"
    new = esp.with_all_starts(lines.ljust(1024, b"#"))
    assert len(new) == 1024 and new.startswith(b"# GRUB Environment Block\n")
    kept = new.rstrip(b"#").splitlines()[1:]
    assert sorted(kept) == [b"fallen=", b"left=3", b"other=b", b"preferred=a"]
    assert esp.with_all_starts(new) == new


@pytest.mark.parametrize("block", [b"", b"#" * 1024, b"# GRUB Environment Block\n".ljust(512)])
def test_what_is_no_environment_block_is_not_written(block: bytes) -> None:
    with pytest.raises(OperatorError, match="damaged"):
        esp.with_all_starts(block)


def boot_sector(size: int = 512) -> bytes:
    sector = bytearray(512)
    sector[11:13], sector[50:52] = size.to_bytes(2, "little"), (6).to_bytes(2, "little")
    sector[67:71], sector[82:90], sector[510:] = b"\1\2\3\4", b"FAT32   ", b"\x55\xaa"
    return bytes(sector)


def test_the_new_esp_has_an_id_of_its_own() -> None:
    sector = esp.with_volume(boot_sector(), "cafe1234")
    assert sector[67:71] == bytes.fromhex("3412feca")
    assert esp.has_volume(sector, "cafe1234") and not esp.has_volume(boot_sector(), "cafe1234")
    assert sector[:67] + sector[71:] == boot_sector()[:67] + boot_sector()[71:]
    assert not esp.has_volume(bytes(512), "00000000")
    assert esp.with_volume(bytes(512), "cafe1234") == bytes(512)
    assert esp.backup_at(boot_sector()) == 6 * 512
    assert esp.backup_at(boot_sector(4096)) == 6 * 4096
    with pytest.raises(OperatorError, match="FAT32"):
        esp.backup_at(bytes(512))


def test_boot_code_that_leads_elsewhere_is_told() -> None:
    sector = bytes(0x5C) + (2048).to_bytes(8, "little") + bytes(512 - 0x64)
    assert esp.boot_code_leads_to(sector, 2048)
    assert not esp.boot_code_leads_to(sector, 4096)
    assert not esp.boot_code_leads_to(bytes(512), 2048)


def test_a_stick_that_was_given_up_starts_the_disk_or_says_why_it_does_not() -> None:
    words = esp.given_up(AGREED)
    assert "search --no-floppy --fs-uuid --set=installed CAFE-1234" in words
    found, missing = words.split("\nfi\n")
    assert "configfile ($installed)/grub/menu.cfg" in found and "configfile" not in missing
    assert "flash this stick anew" in missing
    assert "linux" not in words and "multiboot" not in words, "it must start nothing of its own"


def test_nothing_that_a_disk_says_of_itself_is_obeyed_by_grub() -> None:
    words = esp.given_up(Mark('S"1`', 'SSD"; $(reboot) \\', 1, False, "cafe1234"))
    assert 'echo "SSD?? ??reboot? ?, serial S?1? ..."' in words
