# SPDX-License-Identifier: MIT
"""How images get within reach: from here, from sticks, and from other computers."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haagent import usb
from haagent.elsewhere import share
from haagent.elsewhere.address import parse
from haagent.elsewhere.share import Reach
from haagent.errors import OperatorError, ToolError
from haagent.images import sources
from haagent.images.blob import Blob
from haagent.images.inspection import inspect
from haagent.images.recognition import Format
from haagent.images.sources import Fetched, Here, OnStick, Shared, source
from tests.unit import real_qemu
from tests.unit.fake_images import content, nobody, qcow2
from tests.unit.fake_server import serving
from tests.unit.real_qemu import needs_qemu

DATA = content()
IMAGE = qcow2(DATA)[:-1000]  # its last cluster is not written to the end, as it may be
SUM = hashlib.sha256(IMAGE).hexdigest()
ROOM = 1 << 30


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(IMAGE) as address:
        yield address


def ignored(what: str, share: float) -> None:
    pass


def content_of(blob: Blob) -> bytes:
    with blob.opened() as window:
        return b"".join(window.chunks())


def test_a_file_here(tmp_path: Path) -> None:
    (tmp_path / "it.qcow2").write_bytes(IMAGE)
    with Here(tmp_path / "it.qcow2").opened() as blob:
        assert content_of(blob) == IMAGE
        assert not blob.is_part


class Volumes:
    """Room for what is fetched, in a file; what was there before is in it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "volume"
        self.asked: list[int] = []

    @contextlib.contextmanager
    def __call__(self, size: int) -> Iterator[Path]:
        self.asked.append(size)
        self.path.write_bytes(b"\xa5" * (size // 512 + 100) * 512)
        try:
            yield self.path
        finally:
            self.path.unlink()


REACH = Reach(nobody, have_own_mounts=lambda run: None, check_answers=lambda host, port: None)


@pytest.mark.parametrize("given", [None, SUM, SUM.upper()])
def test_one_from_the_network_does_not_stay(
    given: str | None, address: str, tmp_path: Path
) -> None:
    told: list[float] = []
    volumes = Volumes(tmp_path)
    url = f"{address}/The%20image.qcow2?for=us"
    fetched = Fetched(url, REACH, volumes, lambda _, share: told.append(share), given)
    with fetched.opened() as blob:
        assert content_of(blob) == IMAGE
        assert blob.title == "The image.qcow2"
        # qemu-img reads the last sector as a whole, and must not see what was there before.
        rest = volumes.path.read_bytes()[len(IMAGE) :]
        assert rest[: -len(IMAGE) % 512] == bytes(-len(IMAGE) % 512) and rest[-1] == 0xA5
    assert list(tmp_path.iterdir()) == [] and volumes.asked == [len(IMAGE)]
    assert told == sorted(told) and told[-1] == 1


@needs_qemu
def test_what_lies_on_a_volume_can_be_an_image(address: str, tmp_path: Path) -> None:
    with Fetched(f"{address}/it", REACH, Volumes(tmp_path), ignored, SUM).opened() as blob:
        image = inspect(blob, ROOM, real_qemu.run, follow=real_qemu.follow)
        assert (image.kind, image.size) == (Format.QCOW2, len(DATA))


@pytest.mark.parametrize(
    ("path", "given", "says"),
    [
        ("/half", None, "half did not come whole"),
        ("/no-length", None, "no-length comes without a word on how large it is"),
        ("/none", None, "has nothing of that name .HTTP 404."),
        ("/it", SUM.replace(SUM[0], "x"), "is none of SHA-256"),
        ("/it", "0" * 64, "its sum is " + SUM),
    ],
)
def test_what_does_not_come_as_it_should_leaves_nothing(
    path: str, given: str | None, says: str, address: str, tmp_path: Path
) -> None:
    fetched = Fetched(address + path, REACH, Volumes(tmp_path), ignored, given)
    with pytest.raises(OperatorError, match=says), fetched.opened():
        raise AssertionError("it was taken")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_it_comes_leaves_nothing(address: str, tmp_path: Path) -> None:
    def interrupt(what: str, share: float) -> None:
        raise KeyboardInterrupt

    fetched = Fetched(f"{address}/it", REACH, Volumes(tmp_path), interrupt)
    with pytest.raises(KeyboardInterrupt), fetched.opened():
        raise AssertionError("it was taken")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "POINT", tmp_path)
    ran: list[Sequence[str]] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        ran.append(argv)
        if argv[0] == "mount":
            (tmp_path / "it.qcow2").write_bytes(IMAGE)
        else:
            (tmp_path / "it.qcow2").unlink()
        return ""

    reach = replace(REACH, run=run)
    with source("nfs://nas/vm/it.qcow2", reach, ignored).opened() as blob:
        assert content_of(blob) == IMAGE
    mount, umount = ran
    assert mount[-2:] == ("nas:/vm", str(tmp_path)) and "ro,vers=4.1,soft" in mount[4]
    assert umount == ("umount", str(tmp_path))


def stick(name: str) -> dict[str, Any]:
    """A row of `lsblk --json`, as util-linux 2.41 prints it."""
    row = {"name": name, "tran": "usb", "fstype": "exfat", "partlabel": None, "size": "60G"}
    return {**row, "mountpoints": [None], "model": "Cruzer"}


class Sticks:
    """lsblk, mount and umount, for sticks that are folders."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.names = folder, names
        self.options: list[str] = []
        self.mounted: list[str] = []
        self.unreadable = ""  # the one whose file system is none

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        match argv:
            case ("lsblk", *_):
                return json.dumps({"blockdevices": [stick(name) for name in self.names]})
            case ("mount", *_, device, _) if device == f"/dev/{self.unreadable}":
                raise ToolError(argv, 32, "mount: wrong fs type, bad superblock.")
            case ("mount", "-t", "exfat", "-o", options, device, point):
                self.options.append(options)
                Path(point).rmdir()
                Path(point).symlink_to(self.folder / Path(device).name)
                self.mounted.append(point)
            case ("umount", point) if point not in self.mounted:
                raise ToolError(argv, 32, "not mounted")
            case ("umount", point):
                Path(point).unlink()
                Path(point).mkdir()
                self.mounted.remove(point)
            case _:
                raise AssertionError(f"{argv} was run")
        return ""


@pytest.fixture
def sticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sticks:
    monkeypatch.setattr(usb, "POINT", tmp_path / "usb")
    monkeypatch.setattr(sources, "POINT", tmp_path / "images")
    for name in ("sdb", "sdc"):
        (tmp_path / name).mkdir()
    return Sticks(tmp_path, "sdb", "sdc")


def test_the_only_image_on_a_stick_is_found(sticks: Sticks, tmp_path: Path) -> None:
    (tmp_path / "sdb/Machine.OVA").write_bytes(IMAGE)
    for name in ("._Machine.OVA", "disk-flat.vmdk", "notes.txt"):
        (tmp_path / "sdb" / name).write_bytes(b"x")
    (tmp_path / "sdc/folder.ova").mkdir()
    with OnStick(None, sticks).opened() as blob:
        assert content_of(blob) == IMAGE
        assert sticks.mounted == [str(tmp_path / "images/sdb")]
    assert {option.partition(",")[0] for option in sticks.options} == {"ro"}
    assert sticks.mounted == []


def test_or_the_one_that_is_named_whatever_its_name(sticks: Sticks, tmp_path: Path) -> None:
    (tmp_path / "sdb/Machine.ova").write_bytes(b"x")
    (tmp_path / "sdc/disk").write_bytes(IMAGE)
    with OnStick("disk", sticks).opened() as blob:
        assert content_of(blob) == IMAGE


@pytest.mark.parametrize(
    ("files", "wanted", "says"),
    [
        ((), None, "no image on a USB stick"),
        (("sdb/a.raw", "sdc/b.raw"), None, "several images: a.raw, b.raw"),
        (("sdb/a.raw", "sdc/a.raw"), "a.raw", "several images"),
        (("sdb/a.raw",), "b.raw", "no b.raw on a USB stick"),
        (("sdb/\x1b[2J.raw", "sdc/b.raw"), None, r"\?\[2J.raw"),
    ],
)
def test_without_just_one_nothing_is_taken(
    files: tuple[str, ...], wanted: str | None, says: str, sticks: Sticks, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).write_bytes(IMAGE)
    with pytest.raises(OperatorError, match=says), OnStick(wanted, sticks).opened():
        raise AssertionError("it was taken")
    assert sticks.mounted == []


def test_a_stick_that_cannot_be_read_is_in_nobodys_way(sticks: Sticks, tmp_path: Path) -> None:
    """And is told of, where it may have what is missed."""
    sticks.unreadable = "sdb"
    with (
        pytest.raises(OperatorError, match=r"Cruzer, 60G \(sdb\) cannot be read: mount: wrong fs"),
        OnStick(None, sticks).opened(),
    ):
        raise AssertionError("it was taken")
    (tmp_path / "sdc/disk.raw").write_bytes(IMAGE)
    with OnStick(None, sticks).opened() as blob:
        assert content_of(blob) == IMAGE


def test_a_link_on_a_stick_leads_nowhere(sticks: Sticks, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(IMAGE)
    (tmp_path / "sdb/a.raw").symlink_to(tmp_path / "secret")
    with pytest.raises(OperatorError, match="only a link"), OnStick(None, sticks).opened():
        raise AssertionError("it was taken")


def test_what_a_person_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "near.raw").touch()

    def meant(wanted: str | None, sha256: str | None = None) -> object:
        return source(wanted, REACH, ignored, sha256=sha256)

    fetched = meant("https://example.org/a.ova", SUM)
    assert isinstance(fetched, Fetched)
    assert (fetched.url, fetched.sha256) == ("https://example.org/a.ova", SUM)
    assert meant("ssh://me@nas/vm/a.ova") == Shared(parse("ssh://me@nas/vm/a.ova"), REACH)
    assert meant("/dev/sdb1") == Here(Path("/dev/sdb1"))
    assert meant("near.raw") == Here(Path("near.raw"))
    assert meant("far.raw") == OnStick("far.raw", nobody)
    assert meant(None) == OnStick(None, nobody)
    with source("near.raw", REACH, ignored).opened() as blob:
        assert blob.path == Path(os.path.realpath("near.raw"))
    with pytest.raises(OperatorError, match=r"smb://nas/a\.ova is no address here"):
        meant("smb://nas/a.ova")
    with pytest.raises(OperatorError, match="for what is fetched over HTTP"):
        meant("near.raw", SUM)
