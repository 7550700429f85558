# SPDX-License-Identifier: MIT
"""Who keeps a DRBD device open, found in a small sysfs and procfs."""

from pathlib import Path

from haagent.storage.holders import holders, mapped


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_every_kind_of_holder_is_found(tmp_path: Path) -> None:
    backend = tmp_path / "sys/bus/xen-backend/devices"
    write(backend / "vbd-7-51712/physical_device", "93:3\n")
    write(backend / "vbd-8-51712/physical_device", "93:4\n")
    write(tmp_path / "proc/self/mountinfo", "36 1 147:3 / /mnt rw - ext4 /dev/drbd3 rw\n37 1\n")
    write(tmp_path / "sys/block/drbd3/holders/dm-1", "")
    write(tmp_path / "proc/42/comm", "blkid\n")
    (tmp_path / "proc/42/fd").mkdir()
    (tmp_path / "proc/42/fd/3").symlink_to("/dev/drbd3")
    (tmp_path / "proc/42/fd/4").symlink_to("/dev/drbd31")
    assert holders(3, tmp_path) == (
        "the guest with Xen's number 7",
        "the mount on /mnt",
        "the device dm-1 on top of it",
        "process 42 (blkid)",
    )
    assert holders(31, tmp_path) == ("process 42 (blkid)",)
    assert holders(0, tmp_path) == ()


def test_who_has_a_slice_is_found(tmp_path: Path) -> None:
    block = tmp_path / "sys/block"
    write(block / "drbd3/holders/dm-17", "")
    write(block / "dm-17/dev", "253:17\n")
    write(block / "dm-17/dm/name", "drbd3-xvdb\n")
    write(tmp_path / "sys/bus/xen-backend/devices/vbd-7-51728/physical_device", "fd:11\n")
    write(tmp_path / "sys/bus/xen-backend/devices/vbd-8-51728/physical_device", "fd:17\n")
    write(tmp_path / "proc/42/comm", "qemu\n")
    (tmp_path / "proc/42/fd").mkdir()
    (tmp_path / "proc/42/fd/3").symlink_to("/dev/dm-17")
    assert holders(3, tmp_path) == (
        "the guest with Xen's number 7",
        "the device dm-17 on top of it",
        "process 42 (qemu)",
    )
    assert mapped(3, block) == {"drbd3-xvdb": "dm-17"}
    assert mapped(4, block) == {}
