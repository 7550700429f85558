# SPDX-License-Identifier: MIT
"""Which images are taken in, and that qemu-img never sees one that leads to another file."""

import json
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from haagent.errors import OperatorError, ParseError, ToolError
from haagent.images import qemu
from haagent.images.blob import Blob, found
from haagent.images.inspection import Image, inspect
from haagent.images.recognition import Format
from haagent.run import Run
from tests.unit.fake_images import (
    CLUSTER,
    SECTOR,
    changed,
    content,
    descriptor,
    followed,
    nobody,
    padded,
    qcow2,
    stream_vmdk,
    vdi,
    vmdk,
    vmdk_header,
)
from tests.unit.real_qemu import needs_qemu, run

DATA = content()
ROOM = 1 << 30
RECORDED = Path(__file__).parents[1] / "data/qemu-img"
WHOLE: dict[str, tuple[Format, Callable[[bytes], bytes]]] = {
    "raw": (Format.RAW, lambda data: data),
    "qcow2": (Format.QCOW2, qcow2),
    "qcow2 of version 2": (Format.QCOW2, lambda data: qcow2(data, 2)),
    "vmdk": (Format.VMDK, vmdk),
    "stream vmdk": (Format.VMDK, stream_vmdk),
    "vdi": (Format.VDI, vdi),
}


def look(
    folder: Path, data: bytes, run: Run = nobody, room: int = ROOM, stated: Format | None = None
) -> Image:
    path = folder / "it"
    path.write_bytes(data)
    return inspect(found(path), room, run, stated, follow=followed(run))


def answers(size: int, kind: Format) -> Run:
    """A qemu-img that finds SIZE bytes, and nothing wrong."""

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        return json.dumps({"virtual-size": size, "format": kind}) if "info" in argv else ""

    return run


@pytest.mark.parametrize(("kind", "made"), WHOLE.values(), ids=list(WHOLE))
def test_a_whole_one_is_taken(kind: Format, made: Callable[[bytes], bytes], tmp_path: Path) -> None:
    image = look(tmp_path, made(DATA), answers(len(DATA), kind))
    assert (image.kind, image.size, image.remarks) == (kind, len(DATA), ())


@needs_qemu
@pytest.mark.parametrize(("kind", "made"), WHOLE.values(), ids=list(WHOLE))
def test_so_it_is_by_the_real_qemu_img(
    kind: Format, made: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    image = look(tmp_path, made(DATA), run)
    assert (image.kind, image.size) == (kind, len(DATA))


@needs_qemu
@pytest.mark.parametrize("subformat", ["monolithicSparse", "streamOptimized", "monolithicFlat"])
def test_so_is_a_vmdk(subformat: str, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(DATA)
    made = tmp_path / "of qemu's.vmdk"
    argv = ("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={subformat}")
    run((*argv, str(tmp_path / "raw"), str(made)), timeout=60)
    image = inspect(found(made), ROOM, run)
    is_flat = subformat == "monolithicFlat"
    assert image.kind == (Format.RAW if is_flat else Format.VMDK)
    assert image.size == len(DATA)
    assert image.blob.path.name == ("of qemu's-flat.vmdk" if is_flat else made.name)


@needs_qemu
def test_clusters_that_belong_to_nobody_are_no_harm(tmp_path: Path) -> None:
    leaked = changed(qcow2(DATA), 2 * CLUSTER, struct.pack(">H", 2))
    with pytest.raises(ToolError) as caught:
        (tmp_path / "leaked").write_bytes(leaked)
        run(qemu.check_argv(found(tmp_path / "leaked"), Format.QCOW2), timeout=60)
    assert caught.value.exit == qemu.LEAKED
    assert look(tmp_path, leaked, run).size == len(DATA)


HEADER = qcow2(DATA)
EXTENSION = struct.pack(">II", 0x44415441, 8) + b"/etc/pwd"
NO_DESCRIPTOR = vmdk_header(len(DATA) // SECTOR, 21, 1, 0)
PARENT = descriptor("monolithicSparse", more='parentFileNameHint="/etc/shadow"')


def elsewhere(whole: bytes, text: bytes) -> bytes:
    """The VMDK with TEXT at its end, and a header that names that for its descriptor."""
    return changed(whole, 28, struct.pack("<Q", len(whole) // SECTOR)) + padded(text, 20 * SECTOR)


LEADING = {
    "a backing file": (changed(HEADER, 8, struct.pack(">QI", 112, 11)), "backing file"),
    "a backing file without a place": (changed(HEADER, 16, struct.pack(">I", 11)), "backing file"),
    "a data file": (changed(HEADER, 72, struct.pack(">Q", 4)), "data in another file"),
    "the name of a data file": (changed(HEADER, 104, EXTENSION), "data in another file"),
    "a parent": (vmdk(DATA, PARENT), "changes to another image"),
    "a parent's number": (
        vmdk(DATA, descriptor("monolithicSparse").replace(b"ffffffff", b"00000001")),
        "changes to another image",
    ),
    "a parent behind the end of the text": (
        changed(vmdk(DATA), 15 * SECTOR, b'\nparentFileNameHint="/etc/shadow"\n'),
        "changes to another image",
    ),
    # QEMU looks behind the header, whatever place that names for the descriptor.
    "a parent where the header does not look": (
        elsewhere(vmdk(DATA, PARENT), descriptor("monolithicSparse")),
        "changes to another image",
    ),
    "a parent where QEMU does not look": (
        elsewhere(vmdk(DATA), PARENT),
        "changes to another image",
    ),
    "a list of extents": (changed(vmdk(DATA), 12, bytes(8)), "no size"),
    "a piece of several": (NO_DESCRIPTOR + vmdk(DATA)[SECTOR:], "one piece of a disk"),
    "another kind": (vmdk(DATA, descriptor("twoGbMaxExtentSparse")), "twoGbMaxExtentSparse"),
    "a VDI's difference": (vdi(DATA, kind=4), "changes to another image"),
    "a VDI's parent": (vdi(DATA, parent=b"p" * 16), "changes to another image"),
}
ENCRYPTED = {
    "qcow2": (changed(HEADER, 32, struct.pack(">I", 1)), "encrypted"),
    "qcow2 with LUKS": (changed(HEADER, 104, struct.pack(">II", 0x0537BE77, 16)), "encrypted"),
    "vmdk": (vmdk(DATA, descriptor("monolithicSparse", more='encryption.keySafe="x"')), "encrypt"),
    "LUKS": (b"LUKS\xba\xbe" + DATA, "encrypted as a whole"),
}
BROKEN = {
    "empty": (b"", "is empty"),
    "a raw disk that was cut": (DATA[:-100], "whole number of sectors"),
    "of no size": (changed(HEADER, 24, bytes(8)), "0 bytes cannot be"),
    "of half a sector": (changed(HEADER, 24, struct.pack(">Q", 1000)), "whole number of sectors"),
    "too large for anything": (changed(HEADER, 24, b"\x7f" * 8), "cannot be"),
    "too large for the room": (changed(HEADER, 24, struct.pack(">Q", ROOM + 512)), "room for 1024"),
    "corrupt": (changed(HEADER, 72, struct.pack(">Q", 2)), "marked as corrupt"),
    "of another clusters' size": (changed(HEADER, 20, struct.pack(">I", 40)), "clusters"),
    "of tomorrow": (changed(HEADER, 72, struct.pack(">Q", 1 << 7)), "newer"),
    "of version 4": (changed(HEADER, 4, struct.pack(">I", 4)), "version 4"),
    "a header alone": (HEADER[:60], "ends at 60"),
    "without its tables": (HEADER[: 3 * CLUSTER], "its tables at"),
    "a vmdk's header alone": (vmdk(DATA)[:100], "ends at 100"),
    "a vmdk without its last grain": (vmdk(DATA)[:-SECTOR], "and should reach"),
    "a vmdk without its tables": (vmdk(DATA)[: 21 * SECTOR], "should reach"),
    "a vmdk with strange grains": (changed(vmdk(DATA), 20, struct.pack("<Q", 100)), "cannot be"),
    "a vmdk sent as text": (changed(vmdk(DATA), 73, b"\n \n\n"), "as text"),
    "a stream that was cut": (stream_vmdk(DATA)[: -3 * SECTOR], "has no end"),
    "a stream that was cut in a sector": (stream_vmdk(DATA)[:-100], "has no end"),
    "a stream of two": (
        stream_vmdk(DATA)[: -2 * SECTOR] + vmdk_header(1, 40, 0x30001) + bytes(SECTOR),
        "of two disks",
    ),
    "a VDI's header alone": (vdi(DATA)[:400], "ends at 400"),
    "a VDI without its last block": (vdi(DATA)[:-SECTOR], "and should reach"),
    "a VDI with too few blocks": (changed(vdi(DATA), 0x180, struct.pack("<I", 1)), "1 blocks"),
    "a VDI of another version": (changed(vdi(DATA), 0x44, struct.pack("<I", 1)), "version 0.1"),
}
OTHERS = {
    "VHD": (b"conectix" + DATA, "is a VHD"),
    "fixed VHD": (DATA + padded(b"conectix"), "is a VHD"),
    "VHDX": (b"vhdxfile" + DATA, "is a VHDX"),
    "DMG": (DATA + padded(b"koly"), "is a DMG"),
    "gzip": (b"\x1f\x8b" + DATA, "packed by gzip"),
    "zip": (b"PK\x03\x04" + DATA, "is a ZIP"),
    "CD": (changed(DATA, 0x8001, b"CD001"), "CD or DVD"),
    "old VMDK": (b"COWD" + DATA, "old VMware"),
    "XML": (b"<?xml version='1.0'?><Envelope/>", "description in XML"),
    "OVA": (changed(DATA, 257, b"ustar"), "is a machine"),
}
REFUSED = {**LEADING, **ENCRYPTED, **BROKEN, **OTHERS}


@pytest.mark.parametrize(("data", "says"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_refused_is_never_seen_by_qemu_img(data: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=says) as caught:
        look(tmp_path, data)
    assert "Nothing was changed" in caught.value.message
    assert caught.value.hint


def test_a_raw_disk_that_looks_like_something_else_is_raw_if_a_person_says_so(
    tmp_path: Path,
) -> None:
    data, _ = LEADING["a backing file"]
    image = look(tmp_path, data, answers(len(data), Format.RAW), stated=Format.RAW)
    assert (image.kind, image.size) == (Format.RAW, len(data))


def test_another_format_than_was_said_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="is no qcow2: it looks like vdi"):
        look(tmp_path, vdi(DATA), stated=Format.QCOW2)


def test_snapshots_are_remarked(tmp_path: Path) -> None:
    data = changed(HEADER, 60, struct.pack(">I", 3))
    image = look(tmp_path, data, answers(len(DATA), Format.QCOW2))
    assert image.remarks == ("3 snapshots in it; the disk is taken as it is now",)


def flat(folder: Path, line: str, kind: str = "monolithicFlat") -> Image:
    (folder / "it-flat.vmdk").write_bytes(DATA)
    return look(folder, descriptor(kind, line), answers(len(DATA), Format.RAW))


SECTORS = len(DATA) // SECTOR


@pytest.mark.parametrize("kind", ["monolithicFlat", "vmfs"])
def test_a_descriptor_leads_to_the_file_beside_it(kind: str, tmp_path: Path) -> None:
    word = "VMFS" if kind == "vmfs" else "FLAT"
    image = flat(tmp_path, f'RW {SECTORS} {word} "it-flat.vmdk" 0', kind)
    assert image.blob.path == tmp_path / "it-flat.vmdk"
    assert (image.kind, image.size, image.blob.is_part) == (Format.RAW, len(DATA), False)


def test_or_into_it(tmp_path: Path) -> None:
    (tmp_path / "it-flat.vmdk").write_bytes(DATA)
    text = descriptor("monolithicFlat", f'RW {SECTORS - 4} FLAT "it-flat.vmdk" 2')
    image = look(tmp_path, text, answers(len(DATA) - 2048, Format.RAW))
    assert (image.blob.offset, image.size) == (1024, len(DATA) - 2048)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (f'RW {SECTORS} FLAT "/etc/shadow" 0', "outside of its own folder"),
        (f'RW {SECTORS} FLAT "../it-flat.vmdk" 0', "outside of its own folder"),
        (f'RW {SECTORS} FLAT ".." 0', "outside of its own folder"),
        (f'RW {SECTORS} FLAT "c:\\it-flat.vmdk" 0', "outside of its own folder"),
        (f'RW {SECTORS} FLAT "link.vmdk" 0', "is only a link"),
        (f'RW {SECTORS} FLAT "none.vmdk" 0', "No such file"),
        (f'RW {SECTORS + 1} FLAT "it-flat.vmdk" 0', "should reach"),
        (f'RW {SECTORS} FLAT "it-flat.vmdk" 1', "should reach"),
        (f'RW {SECTORS} SPARSE "it-flat.vmdk"', "has its data as"),
        (f'NOACCESS {SECTORS} FLAT "it-flat.vmdk" 0', "has its data as"),
        (f"RW {SECTORS} FLAT it-flat.vmdk 0", "has its data as"),
        ('RW 2 FLAT "it-flat.vmdk" 0\nRW 2 FLAT "it-flat.vmdk" 2', "a disk of 2 files"),
        ("", "a disk of 0 files"),
    ],
)
def test_a_descriptor_leads_nowhere_else(lines: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "link.vmdk").symlink_to("/etc/passwd")
    (tmp_path / "it-flat.vmdk").write_bytes(DATA)
    with pytest.raises(OperatorError, match=says):
        look(tmp_path, descriptor("monolithicFlat", lines))


def test_a_descriptor_inside_of_something_leads_to_nothing(tmp_path: Path) -> None:
    text = descriptor("monolithicFlat", f'RW {SECTORS} FLAT "it-flat.vmdk" 0')
    (tmp_path / "it").write_bytes(text)
    whole = found(tmp_path / "it")
    with pytest.raises(OperatorError, match="only the descriptor"):
        inspect(whole.part(0, whole.size, "a.vmdk"), ROOM, nobody)


def test_a_link_out_of_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_bytes(DATA)
    (tmp_path / "in/link").symlink_to("../out")
    with pytest.raises(OperatorError, match="is only a link"):
        found(tmp_path / "in/link")
    (tmp_path / "in/file").write_bytes(DATA)
    (tmp_path / "in/near").symlink_to("file")
    assert found(tmp_path / "in/near").path == tmp_path / "in/file"


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        with pytest.raises(OperatorError, match="neither a file nor a disk"):
            found(path)
    with pytest.raises(OperatorError, match="No such file"):
        found(tmp_path / "none")


def test_a_name_that_qemu_cannot_be_told_is_refused(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.raw"
    Path(os.fsdecode(path)).write_bytes(DATA)
    with pytest.raises(OperatorError, match="not in UTF-8"):
        found(Path(os.fsdecode(path)))


def test_a_file_that_becomes_shorter_meanwhile_is_told(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(DATA)
    blob = found(tmp_path / "it")
    os.truncate(tmp_path / "it", 1000)
    with blob.opened() as window, pytest.raises(OperatorError, match="ends at 1000"):
        window.read(0, 2000)


def test_what_qemu_img_is_told() -> None:
    whole = Blob(Path("/mnt/nbd:x"), 1000)
    argv = qemu.info_argv(whole, Format.QCOW2)
    assert argv[-4:] == ("--output=json", "-f", "qcow2", "/mnt/nbd:x")
    part = Blob(Path("/dev/sdb"), 1000, is_device=True).part(512, 300, 'a "disk"')
    address = part.address("vmdk")
    assert json.loads(address.removeprefix("json:")) == {
        "driver": "vmdk",
        "file": {
            "driver": "raw",
            "offset": 512,
            "size": 512,
            "file": {"driver": "host_device", "filename": "/dev/sdb"},
        },
    }


RECORDS = sorted(RECORDED.glob("*/*.json"))


@pytest.mark.parametrize("file", RECORDS, ids=[f"{f.parent.name}-{f.stem}" for f in RECORDS])
def test_what_real_qemu_imgs_say_is_understood(file: Path) -> None:
    kind = Format(file.stem.partition("-")[0])
    info = qemu.parse_info(("qemu-img",), kind, file.read_text())
    bad = ("backing-file", "data-file", "split", "child")
    assert info.is_alone == (not file.stem.endswith(bad))
    assert info.is_encrypted == file.stem.endswith("encrypted")
    assert info.is_corrupt == file.stem.endswith("corrupt")
    assert info.size == (4 << 30 if file.stem.endswith("split") else 8 << 20)
    with pytest.raises(ParseError):
        other = Format.VDI if kind is Format.RAW else Format.RAW
        qemu.parse_info(("qemu-img",), other, file.read_text())


def test_all_that_was_recorded_is_there() -> None:
    assert len(RECORDS) == 24


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"virtual-size": "1", "format": "raw"}', "7"])
def test_what_is_no_answer_is_not_guessed_at(text: str) -> None:
    with pytest.raises(ParseError):
        qemu.parse_info(("qemu-img",), Format.RAW, text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"backing-filename": "x"}, "needs another file"),
        ({"encrypted": True}, "is encrypted"),
        ({"virtual-size": len(DATA) - 512}, "were expected"),
        ({"format-specific": {"data": {"corrupt": True}}}, "is damaged"),
    ],
)
def test_what_qemu_img_finds_counts_as_well(
    change: dict[str, object], says: str, tmp_path: Path
) -> None:
    said = {"virtual-size": len(DATA), "format": "qcow2", **change}

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        return json.dumps(said) if "info" in argv else ""

    with pytest.raises(OperatorError, match=says):
        look(tmp_path, HEADER, run)


@needs_qemu
@pytest.mark.parametrize(
    "data",
    [
        HEADER[: -3 * CLUSTER],  # it ends before its last clusters
        changed(HEADER, 4 * CLUSTER, b"\x80" + b"\xff" * 6 + b"\0"),  # one lies nowhere
    ],
)
def test_what_only_a_check_of_all_tables_finds(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be read as qcow2"):
        look(tmp_path, data, run)


def test_a_qemu_img_that_is_missing_or_killed_is_no_damage(tmp_path: Path) -> None:
    def dies(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        raise ToolError(argv, -9, "")

    with pytest.raises(ToolError):
        look(tmp_path, HEADER, dies)


def test_the_check_is_one_that_an_interrupt_ends(tmp_path: Path) -> None:
    """Else it would hold the stick for an hour, which could not be unmounted behind it."""
    (tmp_path / "it").write_bytes(HEADER)
    ran: list[str] = []

    def only_info(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        assert "info" in argv
        return json.dumps({"virtual-size": len(DATA), "format": "qcow2"})

    def interrupted(argv: Sequence[str], heard: Callable[[str], None], *, silence: float) -> None:
        ran.append(argv[argv.index("qemu-img") + 1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inspect(found(tmp_path / "it"), ROOM, only_info, follow=interrupted)
    assert ran == ["check"]
