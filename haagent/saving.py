# SPDX-License-Identifier: MIT
"""`shoestring save-report`: the report as a file on a USB stick, to be carried to whoever helps.

It must not write to any disk that was not plugged in for that: neither to the stick that the
machine runs from, nor to a data disk. Those have no FAT, or partitions with our names.
"""

import argparse
import contextlib
import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haagent import report
from haagent.command import Exit, Places
from haagent.errors import OperatorError, ParseError, ToolError
from haagent.mounting import LIMIT, mounted
from haagent.run import Run

LIST = ("lsblk", "--json", "--output", "NAME,TRAN,FSTYPE,PARTLABEL,MOUNTPOINTS,MODEL,SIZE")
POINT = Path("/run/shoestring/usb")
KINDS = ("vfat", "exfat")  # what sticks are sold with, and every computer reads
OURS = "shoestring-"  # what the labels of all partitions of our own stick begin with
READ_BACK = "Use another stick: this one does not keep what is written to it."


@dataclass(frozen=True, slots=True)
class Stick:
    """A file system on a disk that is plugged in by USB."""

    device: str  # sdb1
    kind: str  # as mount(8) names it
    title: str  # for a person


def save_report(arguments: argparse.Namespace, places: Places) -> Exit:
    stick = _only(sticks(LIST, places.run(LIST, timeout=LIMIT)))
    print(f"Collecting, and writing to {stick.title} ...", flush=True)
    sources = report.Sources(places.file, places.cmdline, places.folder, places.socket)
    data = "".join(report.report(sources)).encode()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    name = f"shoestring-{socket.gethostname()}-{stamp}.txt"
    _write(stick, name, data, places.run)
    print(f"{name} is on the stick, and was read back. It holds no keys. You can pull it out.")
    return Exit.PROTECTED


def sticks(argv: Sequence[str], text: str) -> list[Stick]:
    """From lsblk(8): where a report could be written. Raises ParseError."""
    try:
        return [
            Stick(str(part["name"]), str(part["fstype"]), f"{_title(disk)} ({part['name']})")
            for disk in json.loads(text)["blockdevices"]
            if disk["tran"] == "usb"
            if not any(str(part["partlabel"]).startswith(OURS) for part in _parts(disk))
            for part in _parts(disk)
            if part["fstype"] in KINDS and not any(part["mountpoints"])
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ParseError(argv, text) from error


def _parts(disk: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Where there may be a file system. A stick that is one as a whole has no partitions, although
    the kernel takes the beginning of some for a partition table.
    """
    if disk["fstype"] is not None:
        yield disk
        return
    for part in disk.get("children", ()):
        yield from _parts(part)


def _title(disk: Mapping[str, Any]) -> str:
    # safety: a stick's model is whatever somebody wrote there, and a terminal obeys.
    model = "".join(c if c.isprintable() else "?" for c in str(disk["model"] or "a USB stick"))
    return f"{model}, {disk['size']}"


def _only(found: Sequence[Stick]) -> Stick:
    """Raises OperatorError unless there is one."""
    match found:
        case [stick]:
            return stick
        case []:
            raise OperatorError(
                "There is no USB stick that the report could be written to. Nothing was written.",
                "Plug one in that has a FAT or exFAT file system, as sticks are sold, wait a few "
                "seconds, and say it again. The stick that this machine runs from is not taken.",
            )
    titles = " and ".join(stick.title for stick in found)
    raise OperatorError(
        f"There are several places for the report: {titles}. Nothing was written.",
        "Leave only one of the sticks plugged in; one with a single partition is best.",
    )


def _write(stick: Stick, name: str, data: bytes, run: Run) -> None:
    """Raises OperatorError if it is not there afterwards."""
    try:
        with mounted(stick.device, stick.kind, POINT, is_writable=True, run=run) as folder:
            try:
                (folder / name).write_bytes(data)
            except OSError:
                with contextlib.suppress(OSError):
                    (folder / name).unlink()
                raise
        with mounted(stick.device, stick.kind, POINT, run=run) as folder:
            is_there = (folder / name).read_bytes() == data
    except (OSError, ToolError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise OperatorError(
            f"The report could not be written to {stick.title}: {why}.",
            "It may be full, locked by its switch, or broken: use another one.",
        ) from error
    if not is_there:
        raise OperatorError(
            f"The report was written to {stick.title}, and something else is read back.", READ_BACK
        )
