# SPDX-License-Identifier: MIT
"""Where an update comes from: a file, a USB stick, or an address on the network.

It must not judge what it finds: nothing here is believed before its signature was checked. So a
transfer need not be secret, and who answers need not prove who it is.
"""

import contextlib
import http.client
import shutil
from collections.abc import Iterator
from pathlib import Path

from haagent import carrying, fetching, usb
from haagent.carrying import Words
from haagent.errors import OperatorError
from haagent.mounting import mounted
from haagent.run import Run
from haagent.update.archive import SUFFIX
from haagent.update.installing import Progress

FETCHED = Path("/state/update")  # the folder for what comes over the network
NAME = f"fetched{SUFFIX}"
SPARE = 64 << 20  # bytes that stay free on the state partition: the agent writes there
NO_STICK = (
    "Plug in a USB stick (FAT, exFAT or NTFS) with the file, not in a folder, wait a few seconds"
    " and say it again; or name a file or an address: `shoestring update http://192.168.1.5/...`."
)
SEVERAL = (
    f"Name one behind the command, as in `shoestring update shoestring-0.2.0{SUFFIX}`, or pull out"
    " the sticks that are not meant."
)
BY_ADDRESS = (
    "Give an address: `shoestring update http://192.168.1.5/...`; or bring the file on a USB stick."
)


@contextlib.contextmanager
def found(wanted: str | None, run: Run, folder: Path, progress: Progress) -> Iterator[Path]:
    """The file of the update WANTED, for as long as it is needed. None: the only one on a stick.

    FOLDER is where one from the network is kept meanwhile. Raises OperatorError and ToolError.
    """
    if wanted is not None and fetching.is_address(wanted):
        path = folder / NAME
        try:
            fetch(wanted, path, progress)
            yield path
        finally:
            path.unlink(missing_ok=True)
    elif wanted is not None and ("/" in wanted or Path(wanted).exists()):
        if not Path(wanted).is_file():
            raise OperatorError(f"There is no file {wanted}.", f"Nothing was changed. {NO_STICK}")
        yield Path(wanted)
    else:
        words = Words("update", NO_STICK, SEVERAL)
        stick, name = carrying.the_only(run, lambda file: file.suffix == SUFFIX, wanted, words)
        with mounted(stick.device, stick.kind, usb.POINT, run=run) as place:
            yield place / name


def fetch(url: str, path: Path, progress: Progress) -> None:
    """What is at URL, as the file PATH, readable for nobody else. Raises OperatorError."""
    fetching.check_host(url, BY_ADDRESS)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            path.chmod(0o600)
            fetching.fetch(
                url, file.write, room(path.parent), lambda share: progress("Fetching", share)
            )
    except (OSError, ValueError, http.client.HTTPException) as error:
        path.unlink(missing_ok=True)
        raise OperatorError(
            f"The update could not be fetched: {error!s:.200}.",
            "Nothing was changed. Look at the address and the LAN cable, or bring the file on a USB"
            " stick.",
        ) from error


def room(folder: Path) -> int:
    """Bytes that a file in FOLDER may have: the agent keeps its own there. Raises OSError."""
    return max(0, shutil.disk_usage(folder).free - SPARE)
