# SPDX-License-Identifier: MIT
"""What a new guest's disk is filled with: an image, a machine in an OVA, a backup."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
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
from haagent.images import conversion
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
MIB = 1 << 20
DIRTY = b"what a guest left here" * 40000


def silent(what: str, share: float) -> None:
    pass


def volume(folder: Path) -> Path:
    path = folder / "volume"
    path.write_bytes(DIRTY)
    return path


def volumes(folder: Path, *sizes: int) -> list[Path]:
    """So many MiB each, and not blank."""
    made = [folder / f"volume-{n}" for n in range(len(sizes))]
    for path, size in zip(made, sizes, strict=True):
        path.write_bytes(b"\xa5" * (size * MIB))
    return made


def test_a_backup_with_its_base_fills_a_volume_that_is_not_blank(tmp_path: Path) -> None:
    old = fake_backup.noise(1, 1) + bytes(fake_backup.BLOCK) + fake_backup.noise(1, 2)
    new = fake_backup.noise(1, 3) + bytes(2 * fake_backup.BLOCK)
    base = fake_backup.write(tmp_path, {"xvda": old})
    file = fake_backup.write(tmp_path, {"xvda": new}, base, hours=1)
    device = volume(tmp_path)
    with content.of_backup(file) as found:
        assert found.sizes == (len(new),)
        assert found.said == {"name": "web", "memory": "512"}
        found.put([device], silent)
    assert device.read_bytes() == new + bytes(len(DIRTY) - len(new))


@pytest.mark.parametrize("is_plain", [False, True])
def test_a_backup_with_two_disks_fills_two_devices(tmp_path: Path, is_plain: bool) -> None:
    disks = fake_backup.disks()
    sizes = tuple(len(data) for data in disks.values())
    if is_plain:
        with fake_backup.sources(tmp_path, disks) as given:
            definition = fake_backup.DEFINITION
            file = plain.write(tmp_path, "web", fake_backup.AT, definition, given)
    else:
        file = fake_backup.write(tmp_path, disks)
    devices = volumes(tmp_path, *(-(-size // MIB) + 1 for size in sizes))
    with content.of_backup(file) as found:
        assert found.sizes == sizes
        found.put(devices, silent)
    for device, data in zip(devices, disks.values(), strict=True):
        assert device.read_bytes() == data.ljust(device.stat().st_size, b"\0")


def test_a_backup_with_more_disks_than_a_guest_has_is_not_half_restored(tmp_path: Path) -> None:
    disks = {f"xvd{letter}": b"x" * 512 for letter in "abcdefghi"}
    file = fake_backup.write(tmp_path, disks)
    with (
        pytest.raises(OperatorError, match="9 disks, and a guest here 8 at most"),
        content.of_backup(file),
    ):
        pass


def test_a_plain_backup_fills_a_volume_as_well(tmp_path: Path) -> None:
    data = fake_backup.noise(1, 1) + bytes(fake_backup.BLOCK)
    with fake_backup.sources(tmp_path, {"xvda": data}) as given:
        folder = plain.write(tmp_path, "web", fake_backup.AT, "name: web\nmemory: 512\n", given)
    device = volume(tmp_path)
    with content.of_backup(folder) as found:
        assert (found.title, found.sizes) == (folder.name, (len(data),))
        assert found.said == {"name": "web", "memory": "512"}
        found.put([device], silent)
    assert device.read_bytes() == data + bytes(len(DIRTY) - len(data))


def test_a_machine_says_what_it_is(tmp_path: Path) -> None:
    path = fake_images.ova(tmp_path / "it.ova")
    with content.of_image(str(path), Reach(vmdk_of()), silent) as found:
        assert found.title == "it.ova (ova)"
        assert found.sizes == (len(DATA),)
        assert found.said == {"name": "web-server", "memory": "1024", "vcpus": "2"}
        assert "'Web Server' is called web-server here" in found.remarks


def test_an_image_says_its_name_at_most(tmp_path: Path) -> None:
    path = tmp_path / "Web Server.vmdk"
    path.write_bytes(DISK)
    with content.of_image(str(path), Reach(vmdk_of()), silent) as found:
        assert found.title == "Web Server.vmdk (vmdk)"
        assert found.said == {"name": "web-server"}


@dataclass
class Origin:
    """The volume of a guest whose device has DATA, and its snapshots; DRBD's own lie behind."""

    folder: Path
    data: bytes
    read: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def snapshot(self, name: str, run: object) -> Iterator[Path]:
        self.read.append(name)
        path = self.folder / "origin"
        path.write_bytes(self.data + b"drbd's own")
        yield path

    @property
    def sysfs(self) -> Path:
        size = self.folder / "sys/drbd0/size"
        size.parent.mkdir(parents=True, exist_ok=True)
        size.write_text(f"{len(self.data) // 512}\n")
        return self.folder / "sys"


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Origin:
    made = Origin(tmp_path, fake_images.content(3 << 20))
    monkeypatch.setattr(conversion, "bring", partial(conversion.bring, follow=real_qemu.follow))
    return made


@needs_qemu
def test_a_guest_is_copied_without_what_is_drbds(
    origin: Origin, tmp_path: Path, places: Places
) -> None:
    found = replace(config.load(places.file, places.cmdline), guests={"counter": COUNTER})
    disk = content.of_guest(
        "counter", found, origin.snapshot("counter", real_qemu.run), origin.sysfs
    )
    assert disk.title == "the disk of counter"
    numbers = {"memory": "192", "vcpus": "1", "place": "10", "pause": "0"}
    assert disk.said == {**numbers, "type": "pv"}
    assert origin.read == []
    [device] = volumes(tmp_path, 4)
    disk.put([device], silent)
    assert origin.read == ["counter"]
    assert device.read_bytes() == origin.data + bytes(MIB)


@needs_qemu
def test_several_disks_of_a_guest_are_copied_from_one_moment(
    origin: Origin, tmp_path: Path, places: Places
) -> None:
    guests = {"counter": replace(COUNTER, slices=(1,))}
    found = replace(config.load(places.file, places.cmdline), guests=guests)
    copy = content.of_guest(
        "counter", found, origin.snapshot("counter", real_qemu.run), origin.sysfs
    )
    assert (copy.title, copy.sizes) == ("the disks of counter", (MIB, 2 * MIB))
    devices = volumes(tmp_path, 2, 3)
    copy.put(devices, silent)
    assert origin.read == ["counter"]
    assert devices[0].read_bytes() == origin.data[:MIB] + bytes(MIB)
    assert devices[1].read_bytes() == origin.data[MIB:] + bytes(MIB)


@needs_qemu
def test_each_disk_of_a_machine_gets_onto_its_own_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "bring", partial(conversion.bring, follow=real_qemu.follow))
    other = fake_images.content(2 << 20, seed=2)
    files = {
        "it.ovf": fake_images.ovf_of(None, 1 << 20, None).encode(),
        "disk1.vmdk": DISK,
        "disk3.vmdk": fake_images.stream_vmdk(other),
    }
    path = fake_images.ova(tmp_path / "it.ova", files)
    devices = volumes(tmp_path, 4, 1, 3)
    told = []
    with content.of_image(str(path), Reach(real_qemu.run), silent) as found:
        assert found.sizes == (len(DATA), 1 << 20, len(other))
        found.put(devices, lambda what, share: told.append(what))
    assert devices[0].read_bytes() == DATA
    assert devices[1].read_bytes() == bytes(1 << 20)
    assert devices[2].read_bytes() == other + bytes(1 << 20)
    assert {"Copying, disk 1 of 3", "Comparing, disk 3 of 3"} <= set(told)


@pytest.mark.parametrize(
    ("disks", "says", "do"),
    [((None,) * 9, "with disks: 9, empty ones: 0", "fewer"), ((512, 512), "ones: 2", "create")],
)
def test_a_machine_with_too_many_disks_or_nothing_on_them_is_refused(
    tmp_path: Path, disks: tuple[int | None, ...], says: str, do: str
) -> None:
    full = {f"disk{n}.vmdk": DISK for n, size in enumerate(disks, 1) if size is None}
    files = {"it.ovf": fake_images.ovf_of(*disks).encode(), **full}
    path = fake_images.ova(tmp_path / "it.ova", files)
    with (
        pytest.raises(OperatorError, match=says) as caught,
        content.of_image(str(path), Reach(vmdk_of()), silent),
    ):
        pass
    assert do in caught.value.hint
