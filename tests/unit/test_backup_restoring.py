# SPDX-License-Identifier: MIT
"""Where a backup is put: onto what is not blank, large enough, and nobody else's."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from haagent.backup import chain, restoring
from haagent.backup.chain import Chain
from haagent.backup.disks import Target, source, target
from haagent.errors import OperatorError
from tests.unit.fake_backup import BLOCK, disks, noise, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path, disks())


@pytest.fixture
def backup(path: Path) -> Iterator[Chain]:
    with chain.opened(path) as found:
        yield found


def test_zeros_are_written_over_what_was_there(tmp_path: Path, backup: Chain) -> None:
    to, size = tmp_path / "device", len(disks()["xvda"])
    to.write_bytes(b"\xee" * (size + 700))
    done = restoring.restore(backup, {"xvda": to}, is_read_back=True)
    assert to.read_bytes() == disks()["xvda"] + b"\xee" * 700
    assert (done.disks, done.zeros, done.data) == (("xvda",), 3 * BLOCK, size - 3 * BLOCK)
    assert done.read_back == size


def test_a_file_keeps_its_holes(tmp_path: Path, backup: Chain) -> None:
    to = tmp_path / "file"
    with to.open("wb") as file:
        file.truncate(2 * BLOCK)
    restoring.restore(backup, {"xvda": tmp_path / "new", "xvdb": to})
    assert to.stat().st_blocks == 0
    assert (tmp_path / "new").stat().st_blocks * 512 <= len(disks()["xvda"]) - 3 * BLOCK + 8192
    assert (tmp_path / "new").read_bytes() == disks()["xvda"]
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_a_new_file_has_its_name_when_it_is_whole(tmp_path: Path, backup: Chain) -> None:
    to = {name: tmp_path / name for name in disks()}

    def look(share: float) -> None:
        assert not any(path.exists() for path in to.values())
        assert len(list(tmp_path.glob("*.part"))) == 2

    restoring.restore(backup, to, look)
    assert all(path.exists() for path in to.values()) and not list(tmp_path.glob("*.part"))


def test_what_is_interrupted_has_no_name(tmp_path: Path, backup: Chain) -> None:
    def cut(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restoring.restore(backup, {"xvda": tmp_path / "xvda"}, cut)
    assert not list(tmp_path.glob("xvda*"))


def test_too_small_is_told_before_anything_is_written(tmp_path: Path, backup: Chain) -> None:
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(b"\xee" * len(disks()["xvda"]))
    small.write_bytes(b"\xee" * (2 * BLOCK - 1))
    with pytest.raises(OperatorError, match="Disk xvdb has 131072 bytes, and small only 131071"):
        restoring.restore(backup, {"xvda": large, "xvdb": small})
    assert set(large.read_bytes() + small.read_bytes()) == {0xEE}


def test_one_place_is_no_two_targets(tmp_path: Path, backup: Chain, path: Path) -> None:
    to, link, before = tmp_path / "device", tmp_path / "link", path.read_bytes()
    to.write_bytes(bytes(1 << 20))
    link.symlink_to(to)
    with pytest.raises(OperatorError, match="another disk's target"):
        restoring.restore(backup, {"xvda": to, "xvdb": link})
    with path.open("ab") as file:
        file.write(bytes(1 << 20))
    with pytest.raises(OperatorError, match="or the backup itself"):
        restoring.restore(backup, {"xvdb": path})
    assert path.read_bytes() == before + bytes(1 << 20)


@pytest.mark.parametrize("to", ["/dev/null", "/tmp", "/nowhere/at/all"])
def test_what_cannot_be_a_disk(backup: Chain, to: str) -> None:
    with pytest.raises(OperatorError) as caught:
        restoring.restore(backup, {"xvdb": Path(to)})
    assert any(word in caught.value.message for word in ("Nothing was changed", "It is not there"))


def test_a_disk_that_is_not_in_it(tmp_path: Path, backup: Chain) -> None:
    with pytest.raises(OperatorError, match="no disk 'xvdc'") as caught:
        restoring.restore(backup, {"xvdc": tmp_path / "to"})
    assert caught.value.hint == "It has xvda, xvdb."
    assert not (tmp_path / "to").exists()


class Forgetful(Target):
    """A disk that keeps the first bytes of a write to itself."""

    def write(self, offset: int, data: bytes) -> None:
        super().write(offset, bytes([data[0] ^ 1]) + data[1:])


class Lazy(Target):
    """A disk that does nothing with zeros."""

    def zero(self, offset: int, length: int) -> None:
        pass


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Forgetful, "The block at byte 0 of disk xvda"), (Lazy, "The block at byte 131072 of disk")],
)
def test_a_disk_that_does_not_keep_it_is_told(
    tmp_path: Path, backup: Chain, monkeypatch: pytest.MonkeyPatch, kind: type[Target], said: str
) -> None:
    to = tmp_path / "device"
    to.write_bytes(b"\xee" * len(disks()["xvda"]))
    monkeypatch.setattr("haagent.backup.disks.Target", kind)
    restoring.restore(backup, {"xvda": to})  # who does not look does not see it
    to.write_bytes(b"\xee" * len(disks()["xvda"]))
    with pytest.raises(OperatorError, match=f"{said}.* something else is read back"):
        restoring.restore(backup, {"xvda": to}, is_read_back=True)


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file may have more than two blocks, as FAT has a largest file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * BLOCK, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_no_more_is_told(tmp_path: Path, backup: Chain, no_room: None) -> None:
    (tmp_path / "device").write_bytes(b"")
    os.truncate(tmp_path / "device", 2 * BLOCK)
    with pytest.raises(OperatorError, match="xvda could not be written: File too large") as told:
        restoring.restore(backup, {"xvda": tmp_path / "xvda"})
    assert "exFAT" in told.value.hint
    with (
        target(tmp_path / "device") as found,
        pytest.raises(OperatorError, match="device could not be written at byte 131070: File too"),
    ):
        found.write(2 * BLOCK - 2, b"data")
    assert (tmp_path / "device").read_bytes()[-3:] == b"\0da"
    with pytest.raises(OperatorError, match="The backup could not be written: File too large"):
        write(tmp_path, {"xvda": noise(2, 1), "xvdb": noise(2, 2)}, hours=1)
    assert not list(tmp_path.glob("*.part"))


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A block device of 1 MiB that is full of something."""
    if os.geteuid() != 0 or shutil.which("losetup") is None:
        pytest.skip("a block device needs root and losetup")
    (tmp_path / "volume").write_bytes(b"\xee" * (1 << 20))
    argv = ["losetup", "--find", "--show", str(tmp_path / "volume")]
    made = subprocess.run(argv, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no block device to be had: {made.stderr.strip()}")
    yield Path(made.stdout.strip())
    subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


def test_a_block_device_is_written_and_read_back(
    tmp_path: Path, backup: Chain, device: Path
) -> None:
    restoring.restore(backup, {"xvda": device}, is_read_back=True)
    whole = disks()["xvda"]
    assert device.read_bytes() == whole + b"\xee" * ((1 << 20) - len(whole))
    with source("xvda", device) as found:
        assert (found.size, found.read(0, len(whole))) == (1 << 20, whole)


def test_a_block_device_in_use_is_not_touched(tmp_path: Path, backup: Chain, device: Path) -> None:
    held = os.open(device, os.O_RDONLY | os.O_EXCL)  # as a mount, DRBD or LVM holds it
    try:
        with pytest.raises(OperatorError, match=r"resource busy\. Nothing was changed"):
            restoring.restore(backup, {"xvda": device})
    finally:
        os.close(held)
    assert set(device.read_bytes()) == {0xEE}
