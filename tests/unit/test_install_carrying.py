# SPDX-License-Identifier: MIT
"""What is copied from one disk to another, on disks that are files; a disk that lies is caught."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from firstboot import stick
from firstboot.installing import carrying, esp
from firstboot.installing.carrying import Carrying, difference
from firstboot.installing.layout import Layout, Part
from haagent.errors import OperatorError, ToolError
from haagent.update import slots as slot_files
from haagent.update.release import Release
from haagent.update.slots import Slot
from tests.unit.test_install_layout import boot_sector

SMALL = Layout(
    34,
    (
        Part(1, 40, 8, "B", "shoestring-bios"),
        Part(2, 48, 64, "E", "shoestring-esp"),
        Part(3, 112, 32, "R", "shoestring-root-a"),
        Part(4, 144, 64, "S", "shoestring-state"),
    ),
)
VOLUME = "cafe1234"


class Disks(Carrying):
    """sda is the stick, sdb the disk; each partition is a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[str] = []
        self.verdicts: list[bool] = []
        self._run = self.runs
        sector = bytes(0x5C) + (40).to_bytes(8, "little") + bytes(range(1, 101)).ljust(412, b"x")
        (folder / "sda").write_bytes(sector)
        (folder / "sdb").write_bytes(b"old" * 1000)
        for part in SMALL.parts:
            seed = f"{part.label}{part.number}".encode()
            (folder / f"sda{part.number}").write_bytes((seed * part.size * 512)[: part.size * 512])
            (folder / f"sdb{part.number}").write_bytes(b"\xff" * (part.size * 512))
        content = bytearray((folder / "sda2").read_bytes())
        content[:512] = content[6 * 512 : 7 * 512] = boot_sector()
        (folder / "sda2").write_bytes(content)

    def runs(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        self.ran.append(" ".join(argv))
        if argv[0] == "cp":
            shutil.copytree(self.folder / "state", self.folder / "new", dirs_exist_ok=True)
            self.after_copy()
        if argv[0] == "veritysetup" and not self.verdicts.pop(0):
            raise ToolError(argv, 1, "Verification of root hash failed.")
        return ""

    def after_copy(self) -> None:
        """For a test to spoil it."""

    def clear_disk(self, disk: str) -> None:
        self.ran.append(f"clear {disk}")

    def _medium(self) -> str:
        return "sda"

    def _table(self, disk: str) -> Layout:
        return SMALL


@pytest.fixture
def disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disks:
    monkeypatch.setattr(carrying, "DEV", tmp_path)
    return Disks(tmp_path)


@pytest.fixture
def lying(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """From the call on, the disk called so keeps one byte otherwise than it was written."""

    def begin(name: str) -> None:
        honest = carrying.write

        def write(path: Path, at: int, parts: Iterator[bytes] | list[bytes]) -> None:
            honest(path, at, parts)
            if path.name == name:
                with path.open("r+b") as file:
                    file.seek(at + 300)
                    byte = file.read(1)
                    file.seek(at + 300)
                    file.write(bytes([byte[0] ^ 1]))

        monkeypatch.setattr(carrying, "write", write)

    return begin


def test_boot_code_goes_over_and_the_partition_table_does_not(disks: Disks) -> None:
    disks.copy_boot_code("sdb", SMALL)
    old, new = ((disks.folder / name).read_bytes() for name in ("sda", "sdb"))
    assert new[:440] == old[:440] and new[440:] == (b"old" * 1000)[440:]
    assert (disks.folder / "sdb1").read_bytes() == (disks.folder / "sda1").read_bytes()


@pytest.mark.parametrize("name", ["sdb", "sdb1"])
def test_boot_code_that_reads_otherwise_is_told(
    disks: Disks, lying: Callable[[str], None], name: str
) -> None:
    lying(name)
    with pytest.raises(OperatorError):
        disks.copy_boot_code("sdb", SMALL)


def test_boot_code_that_is_not_grubs_is_not_copied(disks: Disks) -> None:
    (disks.folder / "sda").write_bytes(bytes(512))
    with pytest.raises(OperatorError, match="boot code"):
        disks.copy_boot_code("sdb", SMALL)


def test_the_copied_esp_is_no_file_system_until_its_first_sector_comes(disks: Disks) -> None:
    disks.copy_esp("sdb", SMALL, VOLUME)
    old, new = ((disks.folder / name).read_bytes() for name in ("sda2", "sdb2"))
    assert new[:512] == bytes(512)
    assert len(new) == len(old)
    assert new[512 : 6 * 512] == old[512 : 6 * 512] and new[7 * 512 :] == old[7 * 512 :]
    assert esp.has_volume(new[6 * 512 : 7 * 512], VOLUME)
    disks.start_from("sdb", SMALL, VOLUME)
    started = (disks.folder / "sdb2").read_bytes()
    assert started[:512] == esp.with_volume(old[:512], VOLUME)
    assert started[512:] == new[512:]


def test_an_esp_that_is_there_is_not_written_again(disks: Disks) -> None:
    """An update may have changed it since, or its FAT may be marked as mounted."""
    disks.copy_esp("sdb", SMALL, VOLUME)
    disks.start_from("sdb", SMALL, VOLUME)
    path = disks.folder / "sdb2"
    with path.open("r+b") as file:
        file.seek(65)
        file.write(b"\1")
    before = path.read_bytes()
    disks.start_from("sdb", SMALL, VOLUME)
    assert path.read_bytes() == before


def test_somebody_elses_esp_is_not_written_over(disks: Disks) -> None:
    with pytest.raises(OperatorError, match="something else"):
        disks.start_from("sdb", SMALL, VOLUME)
    assert (disks.folder / "sdb2").read_bytes() == b"\xff" * (64 * 512)


@pytest.mark.parametrize("name", ["sdb2"])
def test_an_esp_that_reads_otherwise_is_told(
    disks: Disks, lying: Callable[[str], None], name: str
) -> None:
    lying(name)
    with pytest.raises(OperatorError, match="read back"):
        disks.copy_esp("sdb", SMALL, VOLUME)


def slots(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    place = folder / "esp/slot-a"
    place.mkdir(parents=True)
    (place / "slot.cfg").write_text(text)

    @contextlib.contextmanager
    def mounted(*_: object, **__: object) -> Iterator[Path]:
        yield folder / "esp"

    monkeypatch.setattr(stick, "mounted", mounted)


SLOT = slot_files.config(Slot(Release.of("0.1.0"), "a" * 64, 2, 12288))


def test_a_slot_is_copied_as_far_as_it_goes_and_verified(
    disks: Disks, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots(monkeypatch, disks.folder, SLOT)
    disks.verdicts = [False, True]
    disks.copy_slots("sdb", SMALL, lambda _: None)
    new = (disks.folder / "sdb3").read_bytes()
    assert new[:12288] == (disks.folder / "sda3").read_bytes()[:12288]
    assert new[12288:] == b"\xff" * (32 * 512 - 12288)
    place = disks.folder / "sdb3"
    argv = f"veritysetup verify {place} {place} {'a' * 64} --hash-offset=8192"
    assert disks.ran == [argv, argv]


def test_a_slot_that_an_earlier_try_left_is_not_copied_again(
    disks: Disks, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots(monkeypatch, disks.folder, SLOT)
    disks.verdicts = [True]
    disks.copy_slots("sdb", SMALL, lambda _: None)
    assert (disks.folder / "sdb3").read_bytes() == b"\xff" * (32 * 512)


@pytest.mark.parametrize("size", ["12288", "999999999"])
def test_a_slot_that_is_not_what_it_says_is_told(
    disks: Disks, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    slots(monkeypatch, disks.folder, SLOT.replace("12288", size))
    disks.verdicts = [False, False]
    with pytest.raises((ToolError, OperatorError)):
        disks.copy_slots("sdb", SMALL, lambda _: None)


def test_the_stick_loses_its_state_after_it_says_so(
    disks: Disks, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots(monkeypatch, disks.folder, SLOT)
    grub = disks.folder / "esp/grub"
    grub.mkdir()
    (grub / "grub.cfg").write_text("old")
    (grub / "menu.cfg").write_text("old")
    (grub.parent / "answers.yaml").write_text("secret: abcd\n")
    disks.give_up_stick("words\n")
    assert (grub / "grub.cfg").read_text() == "words\n"
    assert not (grub / "menu.cfg").exists(), "another grub.cfg would go on with it"
    assert not (grub.parent / "answers.yaml").exists()
    assert disks.ran[-1].startswith("sfdisk") and disks.ran[-1].endswith(f"{disks.folder}/sda 4")
    assert "--delete" in disks.ran[-1]


def test_what_ends_too_early_is_told(disks: Disks) -> None:
    (disks.folder / "sda1").write_bytes(b"short")
    with pytest.raises(OperatorError, match="it ends after"):
        disks.copy_boot_code("sdb", SMALL)


def test_what_could_start_is_gone_before_there_is_a_table(disks: Disks) -> None:
    """An older ESP or state in just this place would come back with the table."""
    path = disks.folder / "sdb"
    path.write_bytes(b"\xff" * (4 << 20))
    disks.clear("sdb", SMALL)
    assert disks.ran == ["clear sdb"]
    data = path.read_bytes()
    for start in (0, 48 * 512, 144 * 512):
        assert data[start : start + (1 << 20)] == bytes(1 << 20)
    assert data[-1:] == b"\xff" and len(data) == 4 << 20


def test_a_table_that_is_not_taken_is_told(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    disks.divide("sdb", SMALL)
    assert any(line.startswith("sfdisk") and line.endswith("/sdb") for line in disks.ran)
    monkeypatch.setattr(disks, "_table", lambda disk: Layout(34, SMALL.parts[:-1]))
    with pytest.raises(ToolError, match="others than were asked for"):
        disks.divide("sdb", SMALL)


def test_grubs_count_of_starts_is_filled_in_its_place(
    disks: Disks, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots(monkeypatch, disks.folder, SLOT)
    disks.count_starts_anew()  # no environment: GRUB counts none
    block = disks.folder / "esp/grub/grubenv"
    block.parent.mkdir()
    block.write_bytes(b"# GRUB Environment Block\nleft=1\n".ljust(1024, b"#"))
    before = block.stat().st_ino
    disks.count_starts_anew()
    assert b"left=3\n" in block.read_bytes() and block.stat().st_size == 1024
    assert block.stat().st_ino == before, "GRUB knows the file by its blocks"


def state(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the machine knows; the place where the copy will be."""
    one, new = disks.folder / "state", disks.folder / "new"
    (one / "setup").mkdir(parents=True)
    for name in ("install.json", "install-failed", "complete"):
        (one / f"setup/{name}").write_text(name)
    monkeypatch.setattr(carrying, "STATE", one)
    monkeypatch.setattr(carrying, "NEW_STATE", new)
    return new


def test_state_is_copied_without_the_mark_and_says_where_it_is(
    disks: Disks, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = state(disks, monkeypatch)
    disks.copy_state("sdb", SMALL)
    assert sorted(path.name for path in (new / "setup").iterdir()) == ["complete", "installed.json"]
    programs = [line.split()[0] for line in disks.ran]
    order = ["journalctl", "mkfs.ext4", "mount", "cp", "umount", "e2fsck", "mount", "umount"]
    assert programs == order


def test_a_copy_of_state_that_is_not_the_same_is_told(
    disks: Disks, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = state(disks, monkeypatch)
    monkeypatch.setattr(disks, "after_copy", lambda: (new / "setup/complete").write_text("torn"))
    with pytest.raises(OperatorError, match="setup/complete is not the same"):
        disks.copy_state("sdb", SMALL)
    assert disks.ran[-1].startswith("umount")


def two_trees(tmp_path: Path) -> tuple[Path, Path]:
    trees = tmp_path / "one", tmp_path / "other"
    for tree in trees:
        (tree / "etc/shoestring").mkdir(parents=True)
        (tree / "etc/shoestring/pair.key").write_text("key")
        (tree / "etc/shoestring/pair.key").chmod(0o600)
        (tree / "etc/localtime").symlink_to("/usr/share/zoneinfo/UTC")
        (tree / "var/log").mkdir(parents=True)
    return trees


def test_two_trees_that_are_the_same(tmp_path: Path) -> None:
    one, other = two_trees(tmp_path)
    (one / "var/log/x").write_text("it moves on")
    (other / "lost+found").mkdir()
    (one / "setup").mkdir()
    (other / "setup").mkdir()
    (one / "setup/install.json").write_text("mark")
    (other / "setup/installed.json").write_text("done")
    assert difference(one, other) is None


def content(tree: Path) -> None:
    (tree / "etc/shoestring/pair.key").write_text("kez")


def mode(tree: Path) -> None:
    (tree / "etc/shoestring/pair.key").chmod(0o644)


def link(tree: Path) -> None:
    (tree / "etc/localtime").unlink()
    (tree / "etc/localtime").symlink_to("elsewhere")


def missing(tree: Path) -> None:
    (tree / "etc/shoestring/pair.key").unlink()


def kind(tree: Path) -> None:
    missing(tree)
    os.mkfifo(tree / "etc/shoestring/pair.key")


@pytest.mark.parametrize("change", [content, mode, link, missing, kind])
@pytest.mark.parametrize("which", [0, 1])
def test_every_difference_is_found(
    tmp_path: Path, change: Callable[[Path], None], which: int
) -> None:
    trees = two_trees(tmp_path)
    change(trees[which])
    assert difference(*trees) in (Path("etc/shoestring/pair.key"), Path("etc/localtime"))
