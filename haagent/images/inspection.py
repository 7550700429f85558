# SPDX-License-Identifier: MIT
"""What lies there, and whether it can be a guest's disk: the gate that every image passes.

It writes nothing. What it lets through needs no other file, is whole as far as that can be told
without reading all of it, and fits.
"""

from dataclasses import dataclass

from haagent.errors import OperatorError, ToolError
from haagent.images import qcow2, qemu, vdi, vmdk
from haagent.images.blob import NOT_WHOLE, SECTOR, Blob, Window, damaged, found
from haagent.images.header import Header, needs_others
from haagent.images.recognition import DECRYPT, Format, recognise
from haagent.run import Follow, Run, follow

LIMIT = 60.0  # seconds, for what reads a header
CHECK_LIMIT = 3600.0  # for what reads all tables of a large image from a slow stick
MOST = 1 << 50  # bytes; what no disk has


@dataclass(frozen=True, slots=True)
class Image:
    """A disk that can be taken in."""

    blob: Blob
    kind: Format  # as which qemu-img reads it; never an OVA
    size: int  # bytes that the guest sees
    remarks: tuple[str, ...] = ()  # what is not taken over, in plain words


def inspect(
    blob: Blob, room: int, run: Run, stated: Format | None = None, *, follow: Follow = follow
) -> Image:
    """The disk in BLOB, which may have ROOM bytes. If a person has STATED the format, a raw one is
    not looked into: a guest's disk may begin with anything.

    Raises OperatorError if it cannot be taken in, and ToolError.
    """
    with blob.opened() as window:
        kind = _kind(window, stated)
        if kind is Format.VMDK and vmdk.is_text(window):
            blob, header = _flat(window)
            kind = Format.RAW
        else:
            header = _header(window, kind)
    title = blob.title
    _check_size(title, header.size, room)
    with blob.opened() as window:
        _check_end(window, kind)
    _ask_qemu(blob, kind, header, run, follow)
    return Image(blob, kind, header.size, header.remarks)


def _kind(window: Window, stated: Format | None) -> Format:
    if stated is Format.RAW and window.size:
        return stated
    kind = recognise(window)
    if stated not in (None, kind):
        raise OperatorError(
            f"{window.title} is no {stated}: it looks like {kind}. Nothing was changed.",
            f"Say that it is {kind}, or say nothing about it.",
        )
    if kind is Format.OVA:
        raise OperatorError(
            f"{window.title} is a machine as an OVA or another tar, and no disk. Nothing was"
            " changed.",
            "Name it as a machine, or unpack it and name a disk of it.",
        )
    return kind


def _header(window: Window, kind: Format) -> Header:
    match kind:
        case Format.QCOW2:
            return qcow2.header(window)
        case Format.VMDK:
            return vmdk.header(window)
        case Format.VDI:
            return vdi.header(window)
    return Header(window.size)


def _flat(window: Window) -> tuple[Blob, Header]:
    """Where the data of a descriptor lies: from there on it is a raw disk."""
    if window.blob.is_part or window.blob.is_device:
        raise needs_others(window.title, "is only the descriptor of a disk")
    data = vmdk.flat(window)
    try:
        beside = found(window.blob.path.parent / data.name)
    except OperatorError as error:
        raise OperatorError(
            f"{window.title} needs a second file: {error.message}",
            "A VMDK of this kind is two files, which must lie in the same folder.",
        ) from error
    if beside.is_device:
        raise needs_others(window.title, "has its data on a disk")
    if data.offset + data.size > beside.size:
        reach = data.offset + data.size
        raise damaged(beside.title, f"it ends at {beside.size}, and should reach {reach}")
    if (data.offset, data.size) == (0, beside.size):
        return beside, Header(data.size)
    return beside.part(data.offset, data.size, beside.path.name), Header(data.size)


def _check_size(title: str, size: int, room: int) -> None:
    if not 0 < size <= MOST:
        raise damaged(title, f"a disk of {size} bytes cannot be")
    if size % SECTOR:
        raise damaged(title, f"{size} bytes are no whole number of sectors ({SECTOR} bytes)")
    if size > room:
        raise OperatorError(
            f"The disk in {title} has {size >> 20} MiB, and there is room for {room >> 20} MiB."
            " Nothing was changed.",
            "Make room by removing a guest that is not needed, or make the disk smaller where it"
            " comes from.",
        )


def _check_end(window: Window, kind: Format) -> None:
    """A file that was cut short, where its tables tell. safety: past its end QEMU reads zeros."""
    ends = {Format.VMDK: vmdk.end, Format.VDI: vdi.end}
    end = ends[kind](window) if kind in ends else 0
    if end > window.size:
        raise damaged(window.title, f"it ends at {window.size}, and should reach {end}")


def _ask_qemu(blob: Blob, kind: Format, header: Header, run: Run, follow: Follow) -> None:
    argv = qemu.info_argv(blob, kind)
    try:
        info = qemu.parse_info(argv, kind, run(argv, timeout=LIMIT))
        if kind is Format.QCOW2:
            # Followed, so that an interrupt ends it, and the stick can be unmounted.
            follow(qemu.check_argv(blob, kind), lambda line: None, silence=CHECK_LIMIT)
    except ToolError as error:
        # Clusters that belong to nobody cost room in the file, and nothing else.
        if error.exit == qemu.LEAKED and "check" in error.argv:
            return
        if error.exit in (1, qemu.CORRUPTED):
            why = error.stderr.strip().rpartition("\n")[2] or "qemu-img found it corrupt"
            raise OperatorError(
                f"{blob.title} cannot be read as {kind}: {why}. Nothing was changed.", NOT_WHOLE
            ) from error
        raise
    if not info.is_alone:
        raise needs_others(blob.title, "needs another file")
    if info.is_encrypted:
        raise OperatorError(f"{blob.title} is encrypted. Nothing was changed.", DECRYPT)
    if info.is_corrupt or info.size != header.size:
        raise damaged(blob.title, f"{header.size} bytes were expected, {info.size} are in it")
