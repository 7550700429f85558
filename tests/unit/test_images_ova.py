# SPDX-License-Identifier: MIT
"""A machine in one file: what is taken from its description, and what is refused."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from haagent.errors import OperatorError
from haagent.guests.name import fitted
from haagent.images import ova, ovf
from haagent.images.blob import found
from haagent.images.ova import Machine
from haagent.images.ovf import Firmware
from haagent.images.tar import members
from haagent.run import Run
from tests.unit import fake_images, real_qemu
from tests.unit.fake_images import (
    CARD,
    CONTROLLER,
    CPU,
    MEMORY,
    OVF,
    content,
    drive,
    item,
    nobody,
    sums,
    tar,
)
from tests.unit.real_qemu import needs_qemu

DATA = content()
DISK = fake_images.stream_vmdk(DATA)
FILES = {"it.ovf": OVF.encode(), "disk1.vmdk": DISK}
ROOM = 1 << 30


def vmdk_of(size: int = len(DATA)) -> Run:
    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        return json.dumps({"virtual-size": size, "format": "vmdk"})

    return run


def read(
    path: Path, run: Run | None = None, told: list[float] | None = None, room: int = ROOM
) -> Machine:
    shares = [] if told is None else told
    return ova.read(found(path), room, run or vmdk_of(), lambda what, share: shares.append(share))


def packed(folder: Path, data: bytes) -> Path:
    path = folder / "it.ova"
    path.write_bytes(data)
    return path


def described(text: str) -> ovf.Described:
    return ovf.parse("it.ova", text.encode())


@pytest.mark.parametrize("kind", ["sha1", "sha256", "sha512"])
def test_a_machine_is_read(kind: str, tmp_path: Path) -> None:
    told: list[float] = []
    machine = read(fake_images.ova(tmp_path / "it.ova", kind=kind), told=told)
    assert (machine.name, machine.memory, machine.vcpus, machine.cards) == (
        "web-server",
        1024,
        2,
        1,
    )
    (disk,) = machine.disks
    assert disk.size == len(DATA) and disk.image is not None
    assert disk.image.blob.title == "disk1.vmdk"
    assert machine.remarks == (
        "'Web Server' is called web-server here",
        "network cards get new MAC addresses",
    )
    assert told == sorted(told) and told[-1] == 1


@needs_qemu
def test_its_disk_is_read_where_it_lies(tmp_path: Path) -> None:
    machine = read(fake_images.ova(tmp_path / "it.ova"), real_qemu.run)
    image = machine.disks[0].image
    assert image is not None and image.blob.is_part
    with image.blob.opened() as window:
        assert b"".join(window.chunks()) == DISK


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_every_kind_of_tar(format: int, tmp_path: Path) -> None:
    machine = read(packed(tmp_path, tar(*FILES.items(), format=format)))
    assert machine.memory == 1024
    assert ova.NO_SUMS in machine.remarks


def extended(keys: dict[str, str], name: str = "it.ovf", kind: bytes | None = None) -> bytes:
    """A tar whose only file has an extension of pax with KEYS."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size = 600
        member.pax_headers = keys
        if kind is not None:
            member.type = kind
        archive.addfile(member, io.BytesIO(bytes(600)))
    return made.getvalue()


def test_what_an_extension_says_of_a_file_counts(tmp_path: Path) -> None:
    path = packed(tmp_path, extended({"mtime": "1.5", "path": "an.ovf"}))
    with found(path).opened() as window:
        held = members(window)
    assert {name: part.size for name, part in held.items()} == {"an.ovf": 600}


def linked(kind: bytes, name: str = "disk1.vmdk") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/dev/sda"
    return member.tobuf(tarfile.USTAR_FORMAT)


GOOD = tar(*FILES.items())
MANIFEST = sums(FILES)
FIRST = tar(("it.ovf", OVF.encode()))[: 512 + len(OVF) + -len(OVF) % 512]
BAD_TARS = {
    "a name with a folder": (tar(("a/it.ovf", b"x")), "with the name a/it.ovf"),
    "a name that leads out": (tar(("../it.ovf", b"x")), "with the name"),
    "a name that is a folder": (tar(("..", b"x")), "with the name"),
    "an absolute name": (tar(("/it.ovf", b"x")), "with the name"),
    "the same name twice": (tar(("it.ovf", b"x"), ("it.ovf", b"y")), "has it.ovf twice"),
    "a link": (FIRST + linked(tarfile.SYMTYPE), "no plain file"),
    "a hard link": (FIRST + linked(tarfile.LNKTYPE), "no plain file"),
    "a device": (FIRST + linked(tarfile.BLKTYPE), "no plain file"),
    "a folder": (FIRST + linked(tarfile.DIRTYPE), "no plain file"),
    "a long name of GNU": (FIRST + linked(tarfile.GNUTYPE_LONGNAME), "no plain file"),
    "a sparse file of GNU": (FIRST + linked(tarfile.GNUTYPE_SPARSE), "no plain file"),
    "a sparse file of pax": (extended({"GNU.sparse.major": "1"}), "no plain file"),
    "an extension that leads out": (extended({"path": "../it.ovf"}), "with the name"),
    "an extension with a size that is none": (extended({"size": "-1"}), "no number"),
    "an extension that is huge": (extended({"comment": "x" * 70000}), "too long"),
    "cut within a disk": (GOOD[:-20000], "ends within disk1.vmdk"),
    "cut within a header": (GOOD[: len(FIRST) + 100], "ends at"),
    "something between": (FIRST + b"x" * 512, "no tar's"),
    "a thousand files": (
        tar(*((f"{n}.txt", b"") for n in range(1001))),
        "more than 1000 files",
    ),
    "no description": (tar(("disk1.vmdk", DISK)), "no description"),
    "two descriptions": (tar(*FILES.items(), ("b.OVF", b"x")), "2 files"),
    "a long description": (tar(("it.ovf", b" " * (ovf.LONGEST + 1))), "too long"),
    "two manifests": (tar(*FILES.items(), ("a.mf", b""), ("b.mf", b"")), "2 files"),
    "no disk": (tar(("it.ovf", OVF.encode())), "no file disk1.vmdk"),
    "a disk that is no vmdk": (
        tar(("it.ovf", OVF.encode()), ("disk1.vmdk", fake_images.qcow2(DATA))),
        "looks like qcow2",
    ),
    "a disk that is a text": (
        tar(("it.ovf", OVF.encode()), ("disk1.vmdk", fake_images.descriptor("monolithicFlat"))),
        "only the descriptor",
    ),
}


@pytest.mark.parametrize(("data", "says"), BAD_TARS.values(), ids=list(BAD_TARS))
def test_what_is_refused(data: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=says) as caught:
        read(packed(tmp_path, data), nobody)
    assert "Nothing was changed" in caught.value.message


BAD_MANIFESTS = {
    "a wrong sum": (MANIFEST.replace(b"= ", b"= 0")[:-2] + b"\n", "cannot be read"),
    "another file's": (sums({**FILES, "disk1.vmdk": b"x"}), "the sum of disk1.vmdk is wrong"),
    "a missing file's": (MANIFEST + sums({"disk2.vmdk": b""}), "disk2.vmdk is missing"),
    "a text": (b"hello\n", "cannot be read: hello"),
    "an unknown sum": (MANIFEST.replace(b"SHA256", b"MD5"), "cannot be read"),
    "a sum of another length": (MANIFEST.replace(b"SHA256", b"SHA1"), "cannot be read"),
    "a file twice": (MANIFEST + MANIFEST, "cannot be read"),
    "what a terminal obeys": (b"\x1b[2J\n", r"\?\[2J"),
}


@pytest.mark.parametrize(("manifest", "says"), BAD_MANIFESTS.values(), ids=list(BAD_MANIFESTS))
def test_a_manifest_must_be_right(manifest: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=says):
        read(packed(tmp_path, tar(*FILES.items(), ("it.mf", manifest))))


def test_a_file_without_a_sum_is_remarked(tmp_path: Path) -> None:
    manifest = ("it.mf", sums({"it.ovf": OVF.encode()}).replace(b"(", b" ("))
    machine = read(packed(tmp_path, tar(*FILES.items(), manifest, ("it.cert", b"x"))))
    assert machine.remarks[-1] == "its manifest has no sum of disk1.vmdk"


def test_the_room_is_for_all_disks_together(tmp_path: Path) -> None:
    disks = "".join(
        f'<Disk ovf:diskId="d{n}" {file} ovf:capacity="{len(DATA)}"/>'
        for n, file in ((1, 'ovf:fileRef="f1"'), (2, ""))
    )
    text = fake_images.ovf(
        CPU, MEMORY, CONTROLLER, drive(4, "d2", at=1), drive(5, "d1"), disks=disks
    )
    path = packed(tmp_path, tar(("it.ovf", text.encode()), ("disk1.vmdk", DISK)))
    first, second = read(path, room=2 * len(DATA)).disks
    assert first.image is not None and second.image is None
    assert first.size == second.size == len(DATA)
    with pytest.raises(OperatorError, match="finds no room"):
        read(path, room=2 * len(DATA) - 1)
    with pytest.raises(OperatorError, match="there is room for"):
        read(path, nobody, room=len(DATA) - 1)


def test_a_file_is_one_disk(tmp_path: Path) -> None:
    disks = "".join(f'<Disk ovf:diskId="d{n}" ovf:fileRef="f1" ovf:capacity="1"/>' for n in (1, 2))
    text = fake_images.ovf(CPU, MEMORY, drive(4, "d1"), drive(5, "d2"), disks=disks)
    with pytest.raises(OperatorError, match="one file for several"):
        read(packed(tmp_path, tar(("it.ovf", text.encode()), ("disk1.vmdk", DISK))), nobody)


def test_another_size_than_was_said_is_remarked(tmp_path: Path) -> None:
    text = OVF.replace('capacity="4"', 'capacity="5"')
    machine = read(packed(tmp_path, tar(("it.ovf", text.encode()), ("disk1.vmdk", DISK))))
    assert any("and not the 5242880" in remark for remark in machine.remarks)
    assert machine.disks[0].size == len(DATA)


def test_the_disks_are_in_the_order_of_the_controllers() -> None:
    files = "".join(f'<File ovf:id="f{n}" ovf:href="{n}.vmdk"/>' for n in range(1, 6))
    disks = "".join(
        f'<Disk ovf:diskId="d{n}" ovf:fileRef="f{n}" ovf:capacity="{n}"/>' for n in range(1, 5)
    )
    items = (drive(9, "d1", 4, 0), drive(10, "d2", 3, 15), drive(11, "d3", 3, 2))
    lone = item(12, 17, HostResource="/disk/d4")
    file = item(13, 17, HostResource="ovf:/file/f5", Parent=4, AddressOnParent=1)
    ide = item(4, 5, Address=0)
    found = described(
        fake_images.ovf(CPU, MEMORY, *items, lone, file, CONTROLLER, ide, files=files, disks=disks)
    )
    assert [d.href for d in found.drives] == [f"{n}.vmdk" for n in (3, 2, 1, 5, 4)]
    assert [d.capacity for d in found.drives] == [3, 2, 1, None, 4]


@pytest.mark.parametrize(
    ("unit", "bytes_"),
    [
        ("byte * 2^30", 1 << 30),
        ("byte*2^20", 1 << 20),
        ("byte * 10^9", 10**9),
        ("byte", 1),
        ("GigaBytes", 1 << 30),
        ("MegaBytes", 1 << 20),
        ("KiloBytes", 1 << 10),
    ],
)
def test_units(unit: str, bytes_: int) -> None:
    (one,) = described(OVF.replace('"byte * 2^20"/>', f'"{unit}"/>')).drives
    assert one.capacity == 4 * bytes_


def test_memory_has_a_unit_too() -> None:
    two = item(2, 4, AllocationUnits="GigaBytes", VirtualQuantity=2)
    assert described(fake_images.ovf(CPU, two, drive(4, "d1"))).memory == 2048
    plain = item(2, 4, VirtualQuantity=512)
    assert described(fake_images.ovf(CPU, plain, drive(4, "d1"))).memory == 512


@pytest.mark.parametrize(
    ("inside", "firmware"),
    [
        ("", None),
        ('<x><vmw:Config vmw:key="firmware" vmw:value="efi"/></x>', Firmware.EFI),
        ('<x><vmw:Config vmw:key="firmware" vmw:value="bios"/></x>', Firmware.BIOS),
        ('<vbox:Machine><Hardware><Firmware type="EFI"/></Hardware></vbox:Machine>', Firmware.EFI),
        (
            '<vbox:Machine><Hardware><Firmware type="BIOS"/></Hardware></vbox:Machine>',
            Firmware.BIOS,
        ),
    ],
)
def test_what_starts_it(inside: str, firmware: Firmware | None) -> None:
    found = described(fake_images.ovf(CPU, MEMORY, drive(4, "d1"), inside=inside))
    assert found.firmware == firmware


def test_what_is_not_taken_over_is_said() -> None:
    extra = (item(5, 15), item(6, 35), item(7, 23), CARD, CARD)
    secure = '<vmw:Config vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>'
    inside = (
        f"<ProductSection/><EulaSection/><vbox:Machine><Snapshot/></vbox:Machine><x>{secure}</x>"
    )
    found = described(fake_images.ovf(CPU, MEMORY, drive(4, "d1"), *extra, inside=inside))
    assert found.cards == 2
    assert found.remarks == (
        "the CD drive, the sound card: not taken over",
        "network cards get new MAC addresses",
        "secure boot is not taken over",
        "settings that its maker asks for at the set-up are not asked here",
        "it comes with a licence, which is not shown here",
        "its snapshots are not taken over",
    )


TWO = fake_images.ovf(CPU, MEMORY, drive(4, "d1")).replace(
    "</Envelope>", '<VirtualSystem ovf:id="b"/></Envelope>'
)
BILLION = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
UNFIT = {
    "a document type": (fake_images.ovf(CPU, head=BILLION), "document type"),
    "no XML": (OVF[:-10], "is no XML"),
    "an unknown entity": (OVF.replace("Web Server", "&a;"), "is no XML"),
    "two machines": (TWO, "2 machines"),
    "no machine": ("<Envelope/>", "0 machines"),
    "no hardware": (
        OVF.replace("VirtualHardwareSection", "OtherSection"),
        "nothing about the machine's hardware",
    ),
    "no memory": (fake_images.ovf(CPU, drive(4, "d1")), "how much memory"),
    "no processor": (fake_images.ovf(MEMORY, drive(4, "d1")), "0 processors"),
    "many processors": (
        fake_images.ovf(item(1, 3, VirtualQuantity=4096), MEMORY, drive(4, "d1")),
        "4096 processors",
    ),
    "no disk": (fake_images.ovf(CPU, MEMORY), "0 disks"),
    "many disks": (
        fake_images.ovf(CPU, MEMORY, *(drive(n, "d1") for n in range(4, 30))),
        "26 disks",
    ),
    "a disk that is not there": (fake_images.ovf(CPU, MEMORY, drive(4, "d2")), "no disk d2"),
    "a disk of the host's": (
        fake_images.ovf(CPU, MEMORY, item(4, 17, HostResource="/dev/sda")),
        "is not in it",
    ),
    "a file that is not there": (OVF.replace('fileRef="f1"', 'fileRef="f2"'), "no file f2"),
    "a disk that is packed": (OVF.replace('href="', 'compression="gzip" ovf:href="'), "is packed"),
    "a disk in pieces": (OVF.replace('href="', 'chunkSize="9" ovf:href="'), "in pieces"),
    "a disk of a snapshot": (OVF.replace('diskId="', 'parentRef="d0" ovf:diskId="'), "changes to"),
    "a question": (OVF.replace('capacity="4"', 'capacity="${size}"'), "no number"),
    "a negative number": (OVF.replace('capacity="4"', 'capacity="-4"'), "no number"),
    "an unknown unit": (OVF.replace('"byte * 2^20"/>', '"furlong"/>'), "counts in furlong"),
    "too much memory": (OVF.replace("byte * 2^20<", "byte * 2^60<"), "of memory"),
}


@pytest.mark.parametrize(("text", "says"), UNFIT.values(), ids=list(UNFIT))
def test_what_a_description_may_not_say(text: str, says: str) -> None:
    with pytest.raises(OperatorError, match=says):
        described(text)


def test_another_encoding_hides_nothing() -> None:
    text = fake_images.ovf(CPU, head=f'<?xml version="1.0" encoding="UTF-16"?>{BILLION}')
    for data in (text.encode("utf-16"), text.encode("utf-7") + b"\xff"):
        with pytest.raises(OperatorError, match="not in UTF-8"):
            ovf.parse("it.ova", data)
    # What it says of its encoding does not count.
    said = OVF.replace('encoding="UTF-8"', 'encoding="UTF-16"')
    assert described("\ufeff" + said).memory == 1024


def test_one_that_is_nested_without_end_is_only_odd() -> None:
    deep = "<a>" * 150_000 + "</a>" * 140_000
    with pytest.raises(OperatorError, match="is no XML"):
        described(deep)
    whole = "<a>" * 130_000 + "</a>" * 130_000
    with pytest.raises(OperatorError, match="0 machines"):
        described(whole)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("web", "web"),
        ("Web Server (new)", "web-server-new"),
        ("2. Büro & Küche", "buro-kuche"),
        ("a" * 31 + " b", "a" * 31),
        ("все", None),
        ("", None),
        ("all", None),
        ("Snapshot 1", None),
        ("123", None),
    ],
)
def test_a_name_is_made_fit(title: str, name: str | None) -> None:
    assert fitted(title) == name


def test_a_name_that_cannot_be_made_fit_is_said(tmp_path: Path) -> None:
    text = fake_images.ovf(CPU, MEMORY, drive(4, "d1"), name="\u202e все")
    path = packed(tmp_path, tar(("it.ovf", text.encode()), ("disk1.vmdk", DISK)))
    machine = read(path)
    assert machine.name is None
    assert machine.remarks[0] == "its name, '? все', cannot be a guest's: give one"
