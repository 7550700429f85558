# SPDX-License-Identifier: MIT
"""Owns the volume group that holds the guests' disks, and one volume for each of them.

It must not destroy anything that it did not make: a disk that carries anything is refused. The
set-up uses it; of the agent only storage/kept.py does, for what the two have in common.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from haagent.errors import OperatorError, ParseError, ToolError
from haagent.guests.name import checked
from haagent.run import Run, run

GROUP = "shoestring"
LIMIT = 120.0  # seconds for one of LVM's programs; an old disk takes its time
SECTOR = 512  # bytes; lvcreate(8) takes no other fraction
# A volume has this tag while it is made, so that a power cut is known from a volume in use.
UNFINISHED = "unfinished"

JSON = ("--reportformat", "json", "--units", "b", "--nosuffix", "--options")
LIST_PHYSICAL = ("pvs", *JSON, "pv_name,pv_uuid,vg_name")


@dataclass(frozen=True, slots=True)
class PhysicalVolume:
    device: str
    uuid: str
    group: str  # empty: in none


@dataclass(frozen=True, slots=True)
class Volume:
    name: str
    size: int  # bytes
    is_active: bool
    is_unfinished: bool


def parse_physical_volumes(text: str) -> tuple[PhysicalVolume, ...]:
    """From `pvs`. Raises ParseError."""
    return tuple(
        PhysicalVolume(row["pv_name"], row["pv_uuid"], row["vg_name"])
        for row in _rows(LIST_PHYSICAL, text, "pv", {"pv_name", "pv_uuid", "vg_name"})
    )


def parse_volumes(text: str) -> tuple[Volume, ...]:
    """From `lvs`. Raises ParseError."""
    columns = {"lv_name", "lv_size", "lv_active", "lv_tags"}
    volumes = []
    for row in _rows(list_volumes(GROUP), text, "lv", columns):
        if not row["lv_size"].isdecimal():
            raise ParseError(list_volumes(GROUP), row["lv_size"])
        is_unfinished = UNFINISHED in row["lv_tags"].split(",")
        is_active = row["lv_active"] == "active"
        volumes.append(Volume(row["lv_name"], int(row["lv_size"]), is_active, is_unfinished))
    return tuple(volumes)


def _rows(argv: Sequence[str], text: str, kind: str, columns: set[str]) -> list[dict[str, str]]:
    try:
        rows = json.loads(text)["report"][0][kind]
        if all(isinstance(row, Mapping) and columns <= row.keys() for row in rows):
            return [{column: str(row[column]) for column in columns} for row in rows]
    except (ValueError, KeyError, IndexError, TypeError):
        pass  # told below, like a row that lacks a column
    raise ParseError(argv, text[:200])


def list_volumes(group: str) -> tuple[str, ...]:
    """lvs(8); a selection, because naming a group that is not there would be an error."""
    return ("lvs", *JSON, "lv_name,lv_size,lv_active,lv_tags", "--select", f"vg_name={group}")


def create_physical(disk: str, uuid: str | None) -> tuple[str, ...]:
    """pvcreate(8). Without --yes: should LVM find something there after all, it shall refuse."""
    chosen = () if uuid is None else ("--uuid", uuid, "--norestorefile")
    return ("pvcreate", *chosen, disk)


def create_volume(group: str, name: str, size: int) -> tuple[str, ...]:
    """lvcreate(8), for SIZE bytes rounded up to sectors; LVM rounds up further, to its extents."""
    sectors = -(-size // SECTOR)
    wipe = ("--wipesignatures", "y", "--yes")
    tag = ("--addtag", UNFINISHED)
    return ("lvcreate", *wipe, *tag, "--size", f"{sectors * SECTOR}b", "--name", name, group)


def ensure_volume_group(
    disk: str | Path, name: str = GROUP, *, uuid: str | None = None, run: Run = run
) -> None:
    """Makes the volume group NAME on the whole of DISK, or finds that it is there.

    UUID is the physical volume's, in LVM's form (6-4-4-4-4-4-6 of letters and digits), chosen and
    written down by the caller before. It tells a disk that we began, and that a power cut left
    without its group, from a stranger's, and our group from another pair's of the same name.
    Without it, a group NAME on DISK is taken for ours and everything else is refused.

    Raises OperatorError for a disk that carries anything else, ToolError if LVM fails or the
    group cannot be read back.
    """
    device = Path(disk).resolve()
    ours = _physical_on(device, name, uuid, run)
    if ours is None:
        _refuse_unless_blank(device, run)
        run(create_physical(str(device), uuid), timeout=LIMIT)
    if ours is None or not ours.group:
        run(("vgcreate", name, str(device)), timeout=LIMIT)
    made = _physical_on(device, name, uuid, run)
    if made is None or made.group != name:
        raise ToolError(("vgcreate", name, str(device)), 0, f"{device} is in no group {name}")


def _physical_on(device: Path, name: str, uuid: str | None, run: Run) -> PhysicalVolume | None:
    """Our physical volume on DEVICE, with its group or still without. Raises OperatorError for a
    stranger's, and for a group NAME elsewhere.
    """
    all_of_them = parse_physical_volumes(run(LIST_PHYSICAL, timeout=LIMIT))
    here = next((p for p in all_of_them if Path(p.device).resolve() == device), None)
    elsewhere = [p.device for p in all_of_them if p is not here and p.group == name]
    if elsewhere:
        raise OperatorError(
            f"a volume group {name} is on {elsewhere[0]} already",
            "Unplug the disk that does not belong here, or name that one as the data disk.",
        )
    if here is None:
        return None
    is_ours = here.uuid == uuid if uuid is not None else here.group == name
    if not is_ours or here.group not in ("", name):
        what = f"the LVM volume group {here.group}" if here.group else "an LVM physical volume"
        raise _occupied(device, f"{what} that this set-up did not make")
    return here


def _refuse_unless_blank(device: Path, run: Run) -> None:
    argv = ("lsblk", "--json", "--paths", "--output", "NAME,TYPE", str(device))
    text = run(argv, timeout=LIMIT)
    try:
        (entry,) = json.loads(text)["blockdevices"]
        kind, parts = str(entry["type"]), [str(part["name"]) for part in entry.get("children", ())]
    except (ValueError, KeyError, TypeError) as error:
        raise ParseError(argv, text[:200]) from error
    if kind != "disk":
        raise OperatorError(
            f"{device} is not a disk but of the kind `{kind}`", "Name a whole disk of this machine."
        )
    if parts:
        raise _occupied(device, f"partitions or volumes ({', '.join(parts)})")
    found = run(("wipefs", "--noheadings", "--output", "TYPE", str(device)), timeout=LIMIT).split()
    if found:
        raise _occupied(device, f"the marks of {', '.join(found)}")


def _occupied(device: Path, what: str) -> OperatorError:
    return OperatorError(
        f"the disk {device} is not empty: it carries {what}",
        f"If nothing on it is needed any more, erase it with `wipefs --all {device}` and start "
        "again; otherwise take another disk.",
    )


def ensure_volume(name: str, size_bytes: int, group: str = GROUP, *, run: Run = run) -> Path:
    """Makes the volume NAME of at least SIZE_BYTES, or finds it, and returns its device.

    A volume whose making was cut short was never used and is made anew. Raises OperatorError for
    one that is there and smaller, or for a name that no guest can have; ToolError if LVM fails or
    the volume cannot be read back.
    """
    found = _volume(checked(name), group, run)
    if found is not None and found.is_unfinished:
        # safety: only a volume with our tag; a volume that was ever handed out has none.
        run(("lvremove", "--yes", f"{group}/{name}"), timeout=LIMIT)
        found = None
    if found is None:
        run(create_volume(group, name, size_bytes), timeout=LIMIT)
        run(("lvchange", "--deltag", UNFINISHED, f"{group}/{name}"), timeout=LIMIT)
    elif found.size < size_bytes:
        raise OperatorError(
            f"the volume {name} is there already, with {found.size} bytes instead of {size_bytes}",
            "Ask for no more than that, or give the guest another name.",
        )
    elif not found.is_active:
        run(("lvchange", "--activate", "y", f"{group}/{name}"), timeout=LIMIT)
    made = _volume(name, group, run)
    if made is None or made.size < size_bytes or not made.is_active or made.is_unfinished:
        raise ToolError(create_volume(group, name, size_bytes), 0, f"lvs shows {made}")
    return Path("/dev") / group / name


def _volume(name: str, group: str, run: Run) -> Volume | None:
    volumes = parse_volumes(run(list_volumes(group), timeout=LIMIT))
    return next((volume for volume in volumes if volume.name == name), None)
