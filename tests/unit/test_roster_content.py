# SPDX-License-Identifier: MIT
"""What a new guest's disk is filled with: an image, a machine in an OVA, a backup."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from firstboot.roster import content
from haagent import config
from haagent.backup import plain
from haagent.command import Places
from haagent.config import GuestConfig
from haagent.elsewhere.share import Reach
from haagent.errors import OperatorError
from haagent.images import conversion, export
from tests.unit import fake_backup, fake_images, real_qemu
from tests.unit.fake_agent import agent, places, systemctl
from tests.unit.real_qemu import needs_qemu
from tests.unit.test_images_ova import DATA, DISK, vmdk_of

__all__ = ["agent", "places", "systemctl"]  # fixtures

COUNTER = GuestConfig(
    first_node=0,
    mac="00:16:3e:00:00:01",
    address=None,
    memory=192,
    vcpus=1,
    disks=(("xvda", "/dev/drbd0"),),
    place=10,
)
DIRTY = b"what a guest left here" * 40000


def silent(what: str, share: float) -> None:
    pass


def volume(folder: Path) -> Path:
    path = folder / "volume"
    path.write_bytes(DIRTY)
    return path


def test_a_backup_with_its_base_fills_a_volume_that_is_not_blank(tmp_path: Path) -> None:
    old = fake_backup.noise(1, 1) + bytes(fake_backup.BLOCK) + fake_backup.noise(1, 2)
    new = fake_backup.noise(1, 3) + bytes(2 * fake_backup.BLOCK)
    base = fake_backup.write(tmp_path, {"xvda": old})
    file = fake_backup.write(tmp_path, {"xvda": new}, base, hours=1)
    device = volume(tmp_path)
    with content.of_backup(file) as found:
        assert found.size == len(new)
        assert found.said == {"name": "web", "memory": "512"}
        found.put(device, silent)
    assert device.read_bytes() == new + bytes(len(DIRTY) - len(new))


def test_a_backup_with_two_disks_is_not_half_restored(tmp_path: Path) -> None:
    file = fake_backup.write(tmp_path, fake_backup.disks())
    with (
        pytest.raises(OperatorError, match="2 disks, and a guest here has one"),
        content.of_backup(file),
    ):
        pass


def test_a_plain_backup_fills_a_volume_as_well(tmp_path: Path) -> None:
    data = fake_backup.noise(1, 1) + bytes(fake_backup.BLOCK)
    with fake_backup.sources(tmp_path, {"xvda": data}) as given:
        folder = plain.write(tmp_path, "web", fake_backup.AT, "name: web\nmemory: 512\n", given)
    device = volume(tmp_path)
    with content.of_backup(folder) as found:
        assert (found.title, found.size) == (folder.name, len(data))
        assert found.said == {"name": "web", "memory": "512"}
        found.put(device, silent)
    assert device.read_bytes() == data + bytes(len(DIRTY) - len(data))


def test_a_machine_says_what_it_is(tmp_path: Path) -> None:
    path = fake_images.ova(tmp_path / "it.ova")
    with content.of_image(str(path), Reach(vmdk_of()), silent) as found:
        assert found.title == "it.ova (ova)"
        assert found.size == len(DATA)
        assert found.said == {"name": "web-server", "memory": "1024", "vcpus": "2"}
        assert "'Web Server' is called web-server here" in found.remarks


def test_an_image_says_its_name_at_most(tmp_path: Path) -> None:
    path = tmp_path / "Web Server.vmdk"
    path.write_bytes(DISK)
    with content.of_image(str(path), Reach(vmdk_of()), silent) as found:
        assert found.title == "Web Server.vmdk (vmdk)"
        assert found.said == {"name": "web-server"}


@needs_qemu
def test_a_guest_is_copied_without_what_is_drbds(
    tmp_path: Path, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fake_images.content(1 << 20)
    origin, sysfs = tmp_path / "origin", tmp_path / "sys" / "drbd0"
    origin.write_bytes(data + b"drbd's own")
    sysfs.mkdir(parents=True)
    (sysfs / "size").write_text(f"{len(data) // 512}\n")
    read = []

    @contextlib.contextmanager
    def snapshot(name: str, run: object) -> Iterator[Path]:
        read.append(name)
        yield origin

    monkeypatch.setattr(export, "snapshot", snapshot)
    bring = partial(conversion.bring, follow=real_qemu.follow)
    monkeypatch.setattr(conversion, "bring", bring)
    device = tmp_path / "device"
    device.write_bytes(DIRTY * 2)
    found = replace(config.load(places.file, places.cmdline), guests={"counter": COUNTER})
    disk = content.of_guest("counter", found, real_qemu.run, sysfs.parent)
    assert disk.title == "the disk of counter"
    numbers = {"memory": "192", "vcpus": "1", "place": "10", "pause": "0"}
    assert disk.said == {**numbers, "type": "pv"}
    assert read == []
    disk.put(device, silent)
    assert read == ["counter"]
    assert device.read_bytes() == data + bytes(len(DIRTY) * 2 - len(data))
