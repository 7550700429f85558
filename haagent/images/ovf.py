# SPDX-License-Identifier: MIT
"""A machine as an OVF describes it: XML -> `Described`; DMTF's DSP0243. Pure.

What it does not know it leaves out, and says so. Numbers are checked here, names by who uses them.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from haagent.carrying import shown
from haagent.errors import OperatorError
from haagent.guests.definition import MOST_MEMORY, MOST_VCPUS

LONGEST = 1 << 20  # bytes
MOST_DISKS = 24  # xvda to xvdx
UNIT = re.compile(r"byte(?:\s*\*\s*(2|10)\s*\^\s*([0-9]{1,2}))?", re.ASCII)
OLD_UNITS = {"kilobytes": 1 << 10, "megabytes": 1 << 20, "gigabytes": 1 << 30, "terabytes": 1 << 40}
# What a disk of the machine is: ovf:/disk/ID of DiskSection, or a file at once.
HOST_RESOURCE = re.compile(r"(?:ovf:)?/(disk|file)/(.+)")
EXPORT = "Export the machine anew where it comes from, or bring its disks one by one."


class Firmware(StrEnum):
    """What starts the machine."""

    BIOS = "bios"
    EFI = "efi"


class Resource(IntEnum):
    """CIM_ResourceAllocationSettingData.ResourceType, DSP1041."""

    CPU = 3
    MEMORY = 4
    NETWORK_CARD = 10
    DISK = 17


LEFT_OUT = {
    14: "the floppy drive",
    15: "the CD drive",
    16: "the DVD drive",
    18: "the tape drive",
    21: "the serial port",
    22: "the parallel port",
    35: "the sound card",
}


@dataclass(frozen=True, slots=True)
class Drive:
    """A disk as it is described."""

    href: str | None  # the file that it comes in; None: it is empty
    capacity: int | None  # bytes; None where it is not said


@dataclass(frozen=True, slots=True)
class Described:
    """A machine."""

    title: str  # whatever somebody called it
    memory: int  # MiB
    vcpus: int
    drives: tuple[Drive, ...]  # as its controllers have them
    cards: int
    firmware: Firmware | None  # None: it does not say
    remarks: tuple[str, ...]


class UnfitError(Exception):
    """What is wrong with the description, in words."""


def parse(title: str, data: bytes) -> Described:
    """The machine in DATA, the OVF of the file called TITLE. Raises OperatorError."""
    try:
        root = _tree(data)
        return _machine(root)
    except UnfitError as error:
        raise OperatorError(
            f"The description of the machine in {title} cannot be used: {error}. Nothing was"
            " changed.",
            EXPORT,
        ) from error


def _tree(data: bytes) -> ET.Element:
    if len(data) > LONGEST:
        raise UnfitError("it is too long")
    try:
        # safety: in another encoding the next line would look past what it looks for. The parser
        # gets text, so that what the file says about its encoding does not count.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnfitError("it is not in UTF-8") from error
    # safety: an entity may be made of others, a billion times.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UnfitError("it has a document type, which no OVF needs")
    try:
        return ET.fromstring(text)
    except ET.ParseError as error:
        raise UnfitError(f"it is no XML ({error})") from error


def _machine(root: ET.Element) -> Described:
    systems = [one for one in root.iter() if _tag(one) == "VirtualSystem"]
    if len(systems) != 1:
        raise UnfitError(f"there are {len(systems)} machines in it, and one is taken in at a time")
    (system,) = systems
    sections = _children(system, "VirtualHardwareSection")
    if not sections:
        raise UnfitError("it says nothing about the machine's hardware")
    hardware = sections[0]
    items = [one for one in hardware if _tag(one) in ("Item", "StorageItem", "EthernetPortItem")]
    cards = sum(_kind(item) == Resource.NETWORK_CARD for item in items)
    firmware, is_secure = _firmware(system)
    return Described(
        title=_text(system, "Name") or _attribute(system, "id") or "",
        memory=_memory(items),
        vcpus=_vcpus(items),
        drives=_drives(root, items),
        cards=cards,
        firmware=firmware,
        remarks=tuple(_remarks(root, system, items, cards, len(sections), is_secure)),
    )


def _memory(items: list[ET.Element]) -> int:
    """MiB."""
    found = [item for item in items if _kind(item) == Resource.MEMORY]
    if len(found) != 1:
        raise UnfitError("it does not say how much memory the machine has")
    unit = _unit(_text(found[0], "AllocationUnits") or "byte * 2^20")
    memory = _number("memory", _text(found[0], "VirtualQuantity")) * unit >> 20
    if not 1 <= memory <= MOST_MEMORY:
        raise UnfitError(f"the machine cannot have {memory} MiB of memory")
    return memory


def _vcpus(items: list[ET.Element]) -> int:
    found = [item for item in items if _kind(item) == Resource.CPU]
    vcpus = sum(_number("processors", _text(item, "VirtualQuantity")) for item in found)
    if not 1 <= vcpus <= MOST_VCPUS:
        raise UnfitError(f"the machine cannot have {vcpus} processors")
    return vcpus


def _drives(root: ET.Element, items: list[ET.Element]) -> tuple[Drive, ...]:
    files = {_attribute(file, "id"): file for file in root.iter() if _tag(file) == "File"}
    disks = {_attribute(disk, "diskId"): disk for disk in root.iter() if _tag(disk) == "Disk"}
    controllers = [_text(item, "InstanceID") for item in items]

    def place(item: ET.Element) -> tuple[int, int]:
        parent, at = _text(item, "Parent"), _text(item, "AddressOnParent")
        known = controllers.index(parent) if parent in controllers else len(controllers)
        return known, _number("place of a disk", at) if at else 0

    drives = []
    for item in sorted((one for one in items if _kind(one) == Resource.DISK), key=place):
        named = HOST_RESOURCE.fullmatch(_text(item, "HostResource") or "")
        if not named:
            raise UnfitError("a disk of the machine is not in it")
        if named[1] == "file":
            drives.append(Drive(_href(files, named[2]), None))
            continue
        if named[2] not in disks:
            raise UnfitError(f"it has no disk {shown(named[2]):.40}")
        drives.append(_drive(disks[named[2]], files))
    if not 1 <= len(drives) <= MOST_DISKS:
        raise UnfitError(f"the machine cannot have {len(drives)} disks")
    return tuple(drives)


def _drive(disk: ET.Element, files: dict[str | None, ET.Element]) -> Drive:
    if _attribute(disk, "parentRef"):
        raise UnfitError("a disk in it is only the changes to another one")
    unit = _unit(_attribute(disk, "capacityAllocationUnits") or "byte")
    capacity = _number("capacity of a disk", _attribute(disk, "capacity")) * unit
    reference = _attribute(disk, "fileRef")
    return Drive(None if reference is None else _href(files, reference), capacity)


def _href(files: dict[str | None, ET.Element], reference: str) -> str:
    file = files.get(reference)
    href = None if file is None else _attribute(file, "href")
    if file is None or not href:
        raise UnfitError(f"it has no file {shown(reference):.40}")
    if _attribute(file, "compression") not in (None, "", "identity"):
        raise UnfitError(f"{shown(href):.80} is packed")
    if _attribute(file, "chunkSize"):
        raise UnfitError(f"{shown(href):.80} is in pieces")
    return href


def _firmware(system: ET.Element) -> tuple[Firmware | None, bool]:
    """And whether it starts only what is signed. VMware and VirtualBox each have their own word."""
    found, is_secure = None, False
    for one in system.iter():
        key, value = _attribute(one, "key"), (_attribute(one, "value") or "").lower()
        if _tag(one) == "Firmware":  # VirtualBox: <Firmware type="EFI"/>
            key, value = "firmware", (_attribute(one, "type") or "").lower()
        if key == "firmware" and found is None:
            found = Firmware.EFI if value.startswith("efi") else Firmware.BIOS
        if key is not None and key.endswith("efiSecureBootEnabled"):
            is_secure = is_secure or value == "true"
    return found, is_secure


def _remarks(
    root: ET.Element,
    system: ET.Element,
    items: list[ET.Element],
    cards: int,
    sections: int,
    is_secure: bool,
) -> Iterator[str]:
    kinds = {_kind(item) for item in items}
    left = [words for kind, words in LEFT_OUT.items() if kind in kinds]
    if left:
        yield f"{', '.join(left)}: not taken over"
    if cards:
        yield "network cards get new MAC addresses"
    if sections > 1:
        yield "it describes the hardware in several ways; the first one is taken"
    if is_secure:
        yield "secure boot is not taken over"
    if any(_tag(one) == "DeploymentOptionSection" for one in root.iter()):
        yield "it can be set up in several sizes; what is said of the usual one is taken"
    if _children(system, "ProductSection"):
        yield "settings that its maker asks for at the set-up are not asked here"
    if any(_tag(one) == "EulaSection" for one in root.iter()):
        yield "it comes with a licence, which is not shown here"
    if any(_tag(one) == "Snapshot" for one in root.iter()):
        yield "its snapshots are not taken over"


def _kind(item: ET.Element) -> int | None:
    text = _text(item, "ResourceType") or ""
    return int(text) if re.fullmatch("[0-9]{1,5}", text, re.ASCII) else None


def _number(what: str, text: str | None) -> int:
    # ${...} stands for a question at the set-up; it is no number.
    if text is None or not re.fullmatch("[0-9]{1,18}", text, re.ASCII):
        raise UnfitError(f"the {what} is no number: {shown(text or 'nothing'):.40}")
    return int(text)


def _unit(text: str) -> int:
    found = UNIT.fullmatch(text.strip())
    if found:
        return 1 if found[1] is None else int(found[1]) ** int(found[2])
    if text.strip().lower() in OLD_UNITS:
        return OLD_UNITS[text.strip().lower()]
    raise UnfitError(f"it counts in {shown(text):.40}, and nobody knows how much that is")


def _tag(one: ET.Element) -> str:
    """Without the namespace, of which there are several versions."""
    return one.tag.rpartition("}")[2]


def _children(one: ET.Element, tag: str) -> list[ET.Element]:
    return [child for child in one if _tag(child) == tag]


def _text(one: ET.Element, tag: str) -> str | None:
    return next(((child.text or "").strip() for child in _children(one, tag)), None)


def _attribute(one: ET.Element, name: str) -> str | None:
    return next((v for key, v in one.attrib.items() if key.rpartition("}")[2] == name), None)
