# SPDX-License-Identifier: MIT
"""How images get within reach: from here, from sticks, and from a server on this host."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from haagent import saving
from haagent.errors import OperatorError, ToolError
from haagent.images import sources
from haagent.images.blob import Blob
from haagent.images.inspection import inspect
from haagent.images.recognition import Format
from haagent.images.sources import Fetched, Here, OnStick, source
from haagent.run import run as real_run
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


@pytest.mark.parametrize("given", [None, SUM, SUM.upper()])
def test_one_from_the_network_does_not_stay(
    given: str | None, address: str, tmp_path: Path
) -> None:
    told: list[float] = []
    place = tmp_path / "kept"
    url = f"{address}/it.qcow2"
    with Fetched(url, place, ROOM, lambda _, share: told.append(share), given).opened() as blob:
        assert content_of(blob) == IMAGE
        assert blob.title == "it.qcow2"
        assert place.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == []
    assert told == sorted(told) and told[-1] == 1


@needs_qemu
def test_one_that_is_kept_on_a_volume_is_read_from_there(address: str, tmp_path: Path) -> None:
    file = tmp_path / "volume"
    file.write_bytes(b"\xa5" * (len(IMAGE) // 512 + 100) * 512)
    try:
        argv = ("losetup", "--find", "--show", str(file))
        volume = real_run(argv, timeout=20).strip()
    except ToolError as error:
        pytest.skip(f"no loop device: {error}")
    try:
        with Fetched(f"{address}/it", Path(volume), ROOM, ignored, SUM).opened() as blob:
            assert content_of(blob) == IMAGE
            # qemu-img reads the last sector as a whole, and must not see what was there before.
            rest = Path(volume).read_bytes()[len(IMAGE) :]
            assert rest.lstrip(b"\0") == rest[-len(IMAGE) % 512 :]
            image = inspect(blob, ROOM, real_qemu.run, follow=real_qemu.follow)
            assert (image.kind, image.size) == (Format.QCOW2, len(DATA))
            with pytest.raises(OperatorError, match="Device or resource busy"):
                contextlib.ExitStack().enter_context(
                    Fetched(f"{address}/it", Path(volume), ROOM, ignored).opened()
                )
        assert Path(volume).is_block_device()
    finally:
        real_run(("losetup", "--detach", volume), timeout=20)


@pytest.mark.parametrize(
    ("path", "room", "given", "says"),
    [
        ("/half", ROOM, None, "could not be fetched"),
        ("/it", len(IMAGE) - 1, None, "has room for"),
        ("/it", ROOM, SUM.replace(SUM[0], "x"), "is none of SHA-256"),
        ("/it", ROOM, "0" * 64, "its sum is " + SUM),
    ],
)
def test_what_does_not_come_as_it_should_leaves_nothing(
    path: str, room: int, given: str | None, says: str, address: str, tmp_path: Path
) -> None:
    fetched = Fetched(address + path, tmp_path / "kept", room, ignored, given)
    with pytest.raises(OperatorError, match=says), fetched.opened():
        raise AssertionError("it was taken")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_written_over(address: str, tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"mine")
    fetched = Fetched(f"{address}/it", tmp_path / "kept", ROOM, ignored)
    with pytest.raises(OperatorError, match="File exists"), fetched.opened():
        raise AssertionError("it was taken")
    assert (tmp_path / "kept").read_bytes() == b"mine"


def test_names_are_not_looked_up(tmp_path: Path) -> None:
    fetched = Fetched("http://server/it.ova", tmp_path / "kept", ROOM, ignored)
    with pytest.raises(OperatorError, match="looks no names up"), fetched.opened():
        raise AssertionError("it was taken")


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

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        match argv:
            case ("lsblk", *_):
                return json.dumps({"blockdevices": [stick(name) for name in self.names]})
            case ("mount", "-t", "exfat", "-o", options, device, point):
                self.options.append(options)
                Path(point).rmdir()
                Path(point).symlink_to(self.folder / Path(device).name)
                self.mounted.append(point)
            case ("umount", point):
                Path(point).unlink()
                Path(point).mkdir()
                self.mounted.remove(point)
            case _:
                raise AssertionError(f"{argv} was run")
        return ""


@pytest.fixture
def sticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sticks:
    monkeypatch.setattr(saving, "POINT", tmp_path / "usb")
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


def test_a_link_on_a_stick_leads_nowhere(sticks: Sticks, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(IMAGE)
    (tmp_path / "sdb/a.raw").symlink_to(tmp_path / "secret")
    with pytest.raises(OperatorError, match="only a link"), OnStick(None, sticks).opened():
        raise AssertionError("it was taken")


def test_what_a_person_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(url: str) -> Fetched:
        return Fetched(url, tmp_path / "kept", ROOM, ignored)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "near.raw").touch()
    url = "https://192.168.1.5/a.ova"
    assert source(url, nobody, fetched) == fetched(url)
    assert source("/dev/sdb1", nobody, fetched) == Here(Path("/dev/sdb1"))
    assert source("near.raw", nobody, fetched) == Here(Path("near.raw"))
    assert source("far.raw", nobody, fetched) == OnStick("far.raw", nobody)
    assert source(None, nobody, fetched) == OnStick(None, nobody)
    with source("near.raw", nobody, fetched).opened() as blob:
        assert blob.path == Path(os.path.realpath("near.raw"))
