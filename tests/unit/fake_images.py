# SPDX-License-Identifier: MIT
"""Images of disks, made by hand, byte by byte: what is whole, and what can be broken about it."""

import hashlib
import io
import random
import struct
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from haagent.run import Follow, Run

CLUSTER = 1 << 16
GRAIN = 128  # sectors
SECTOR = 512
BLOCK = 1 << 20  # of a VDI
AT_THE_END = (1 << 64) - 1


def nobody(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> NoReturn:
    """A `Run` that must not be called: what it would be told was to be refused before."""
    raise AssertionError(f"{argv} was run")


def followed(run: Run) -> Follow:
    """The programs of RUN, with nobody listening to them."""

    def follow(argv: Sequence[str], heard: Callable[[str], None], *, silence: float) -> None:
        run(argv, timeout=silence)

    return follow


def content(size: int = 4 << 20, seed: int = 1) -> bytes:
    """A disk with something, nothing, and little in it."""
    draw = random.Random(seed)
    data = bytearray(size)
    for at in range(0, size, 1 << 20):
        data[at : at + CLUSTER] = draw.randbytes(CLUSTER)
        data[at + 5 * CLUSTER : at + 5 * CLUSTER + 700] = draw.randbytes(700)
    return bytes(data)


def pieces(data: bytes, size: int) -> dict[int, bytes]:
    """Those parts of DATA, each of SIZE bytes, that are not zero, by their number."""
    parts = (data[at : at + size] for at in range(0, len(data), size))
    return {n: part.ljust(size, b"\0") for n, part in enumerate(parts) if part.strip(b"\0")}


def padded(data: bytes, size: int = SECTOR) -> bytes:
    return data + bytes(-len(data) % size)


def changed(data: bytes, offset: int, new: bytes) -> bytes:
    return data[:offset] + new + data[offset + len(new) :]


def qcow2(data: bytes, version: int = 3) -> bytes:
    """Clusters: the header, the refcounts' table and block, L1, L2, then the data."""
    parts = pieces(data, CLUSTER)
    first = 5
    l2 = bytearray(CLUSTER)
    for place, number in enumerate(parts):
        struct.pack_into(">Q", l2, 8 * number, (first + place) * CLUSTER | 1 << 63)
    head = struct.pack(
        ">4sIQIIQIIQQIIQ",
        *(b"QFI\xfb", version, 0, 0, 16, len(data), 0, 1, 3 * CLUSTER, CLUSTER, 1, 0, 0),
    )
    if version == 3:
        head += struct.pack(">QQQII", 0, 0, 0, 4, 104)
    refcounts = struct.pack(">H", 1) * (first + len(parts))
    l1 = struct.pack(">Q", 4 * CLUSTER | 1 << 63)
    tables = (head, struct.pack(">Q", 2 * CLUSTER), refcounts, l1, bytes(l2))
    return b"".join(padded(part, CLUSTER) for part in tables) + b"".join(parts.values())


def descriptor(kind: str, *extents: str, more: str = "") -> bytes:
    return (
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
        f'createType="{kind}"\n{more}\n# Extent description\n' + "\n".join(extents) + "\n"
        '# The Disk Data Base\n#DDB\nddb.adapterType = "ide"\n'
    ).encode()


def vmdk_header(capacity: int, directory: int, flags: int, text: int = 20) -> bytes:
    overhead, has_text = GRAIN, int(text > 0)
    fields = (b"KDMV", 1 if flags == 1 else 3, flags, capacity, GRAIN, has_text, text, 512, 0)
    more = (directory, overhead, 0, b"\n \r\n", int(flags != 1))
    return padded(struct.pack("<4sIIQQQQIQQQB4sH", *fields, *more))


def vmdk(data: bytes, text: bytes | None = None) -> bytes:
    """monolithicSparse: the header, the descriptor, the directory, one table, then the grains."""
    capacity = len(data) // SECTOR
    parts = pieces(data, GRAIN * SECTOR)
    table = bytearray(4 * 512)
    for place, number in enumerate(parts):
        struct.pack_into("<I", table, 4 * number, GRAIN + place * GRAIN)
    text = (
        descriptor("monolithicSparse", f'RW {capacity} SPARSE "x.vmdk"') if text is None else text
    )
    head = vmdk_header(capacity, 21, 1) + padded(text, 20 * SECTOR)
    head += padded(struct.pack("<I", 22)) + bytes(table)
    return padded(head, GRAIN * SECTOR) + b"".join(parts.values())


def stream_vmdk(data: bytes) -> bytes:
    """streamOptimized, as an OVA has it: grains that are packed, and all tables behind them."""
    capacity = len(data) // SECTOR
    made = vmdk_header(capacity, AT_THE_END, 0x30001)
    made += padded(descriptor("streamOptimized", f'RW {capacity} SPARSE "x.vmdk"'), 20 * SECTOR)
    made = padded(made, GRAIN * SECTOR)
    table = bytearray(4 * 512)
    for number, part in pieces(data, GRAIN * SECTOR).items():
        packed = zlib.compress(part)
        struct.pack_into("<I", table, 4 * number, len(made) // SECTOR)
        made += padded(struct.pack("<QI", number * GRAIN, len(packed)) + packed)
    made += padded(struct.pack("<QII", 4, 0, 1))
    at = len(made) // SECTOR
    made += bytes(table) + padded(struct.pack("<QII", 1, 0, 2))
    directory = len(made) // SECTOR
    made += padded(struct.pack("<I", at)) + padded(struct.pack("<QII", 1, 0, 3))
    return made + vmdk_header(capacity, directory, 0x30001) + bytes(SECTOR)


def vdi(data: bytes, kind: int = 1, parent: bytes = bytes(16)) -> bytes:
    parts = pieces(data, BLOCK)
    count = -(-len(data) // BLOCK)
    places = {number: place for place, number in enumerate(parts)}
    head = b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(0x40, b"\0")
    head += struct.pack("<IIIII256sII", 0xBEDA107F, 0x10001, 400, kind, 0, b"", SECTOR, 2 * SECTOR)
    head += struct.pack("<3I2IQ4I", 0, 0, 0, SECTOR, 0, len(data), BLOCK, 0, count, len(parts))
    head += b"u" * 16 + b"s" * 16 + bytes(16) + parent
    table = b"".join(struct.pack("<I", places.get(n, 0xFFFFFFFF)) for n in range(count))
    return padded(head) + padded(table) + b"".join(parts.values())


def item(number: int, kind: int, **more: object) -> str:
    inside = "".join(f"<rasd:{tag}>{text}</rasd:{tag}>" for tag, text in more.items())
    return (
        f"<Item><rasd:InstanceID>{number}</rasd:InstanceID>"
        f"<rasd:ResourceType>{kind}</rasd:ResourceType>{inside}</Item>"
    )


CPU = item(1, 3, VirtualQuantity=2)
MEMORY = item(2, 4, AllocationUnits="byte * 2^20", VirtualQuantity=1024)
CONTROLLER = item(3, 6, Address=0)
CARD = item(8, 10, Connection="VM Network")


def drive(number: int, disk: str, parent: int = 3, at: int = 0) -> str:
    return item(number, 17, HostResource=f"ovf:/disk/{disk}", Parent=parent, AddressOnParent=at)


def ovf(
    *items: str,
    files: str = '<File ovf:id="f1" ovf:href="disk1.vmdk"/>',
    disks: str = '<Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="4"'
    ' ovf:capacityAllocationUnits="byte * 2^20"/>',
    name: str = "Web Server",
    inside: str = "",
    head: str = '<?xml version="1.0" encoding="UTF-8"?>',
) -> str:
    return (
        f'{head}<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"'
        ' xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:vmw="http://www.vmware.com/ovf"'
        ' xmlns:vbox="http://www.virtualbox.org/ovf/machine"'
        ' xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/'
        'CIM_ResourceAllocationSettingData">'
        f"<References>{files}</References><DiskSection><Info>x</Info>{disks}</DiskSection>"
        f'<VirtualSystem ovf:id="id-of-it"><Info>x</Info><Name>{name}</Name>'
        f"<VirtualHardwareSection><Info>x</Info>{''.join(items)}</VirtualHardwareSection>{inside}"
        "</VirtualSystem></Envelope>"
    )


OVF = ovf(CPU, MEMORY, CONTROLLER, drive(4, "d1"), CARD)


def ovf_of(*disks: int | None) -> str:
    """Of a machine with so many disks: the first of the file disk1.vmdk, and so on; an empty one
    has its bytes.
    """
    numbers = range(1, len(disks) + 1)
    return ovf(
        *(CPU, MEMORY, CONTROLLER, CARD, *(drive(10 + n, f"d{n}", at=n) for n in numbers)),
        files="".join(f'<File ovf:id="f{n}" ovf:href="disk{n}.vmdk"/>' for n in numbers),
        disks="".join(
            f'<Disk ovf:diskId="d{n}" ovf:capacity="{size or 512}" '
            + (f'ovf:fileRef="f{n}"/>' if size is None else "/>")
            for n, size in zip(numbers, disks, strict=True)
        ),
    )


def sums(files: dict[str, bytes], kind: str = "sha256") -> bytes:
    lines = (
        f"{kind.upper()}({n})= {hashlib.new(kind, data).hexdigest()}" for n, data in files.items()
    )
    return "\n".join(lines).encode() + b"\n"


def tar(*files: tuple[str, bytes], format: int = tarfile.USTAR_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=format) as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


def ova(path: Path, files: dict[str, bytes] | None = None, kind: str = "sha256") -> Path:
    """A machine of one disk, whole, as the file PATH."""
    files = (
        {"it.ovf": OVF.encode(), "disk1.vmdk": stream_vmdk(content())} if files is None else files
    )
    manifest = ("it.mf", sums(files, kind))
    path.write_bytes(tar(*list(files.items())[:1], manifest, *list(files.items())[1:]))
    return path
