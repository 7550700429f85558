# SPDX-License-Identifier: MIT
"""`shoestring save-report`: the report as a file on a USB stick, to be carried to whoever helps.

It must not write to any disk that was not plugged in for that.
"""

import argparse
import contextlib
import socket
import time

from haagent import report, usb
from haagent.asking import tell
from haagent.command import Exit, Places
from haagent.errors import OperatorError, ToolError
from haagent.mounting import mounted
from haagent.run import Run
from haagent.usb import WRITABLE, Plugged, Stick, plugged

READ_BACK = "Use another stick: this one does not keep what is written to it."


def save_report(arguments: argparse.Namespace, places: Places) -> Exit:
    stick = _only(plugged(places.run, WRITABLE))
    print(f"Collecting, and writing to {stick.title} ...", flush=True)
    sources = report.Sources(places.file, places.cmdline, places.folder, places.socket)
    data = "".join(report.report(sources)).encode()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    name = f"shoestring-{socket.gethostname()}-{stamp}.txt"
    _write(stick, name, data, places.run)
    tell(f"{name} is on the stick, and was read back. It holds no keys. You can pull it out.")
    return Exit.PROTECTED


def _only(found: Plugged) -> Stick:
    """Raises OperatorError unless there is one."""
    match found.fit:
        case [stick]:
            return stick
        case []:
            raise OperatorError(
                f"There is no USB stick that the report could be written to.{found.remark}"
                " Nothing was written.",
                "Plug one in that has a FAT or exFAT file system, as sticks are sold, wait a few "
                "seconds, and say it again. The stick that this machine runs from is not taken.",
            )
    raise OperatorError(
        f"There are several places for the report: {found.seen}. Nothing was written.",
        "Leave only one of the sticks plugged in; one with a single partition is best.",
    )


def _write(stick: Stick, name: str, data: bytes, run: Run) -> None:
    """Raises OperatorError if it is not there afterwards."""
    try:
        with mounted(stick.device, stick.kind, usb.POINT, is_writable=True, run=run) as folder:
            try:
                (folder / name).write_bytes(data)
            except OSError:
                with contextlib.suppress(OSError):
                    (folder / name).unlink()
                raise
        with mounted(stick.device, stick.kind, usb.POINT, run=run) as folder:
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
