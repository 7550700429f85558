# SPDX-License-Identifier: MIT
"""Where an update comes from: a file, a USB stick, or an address on the network.

It must not judge what it finds: nothing here is believed before its signature was checked. So a
transfer need not be secret, and who answers need not prove who it is.
"""

import contextlib
import http.client
import shutil
import ssl
import urllib.request
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from haagent import saving
from haagent.errors import OperatorError
from haagent.mounting import LIMIT, mounted
from haagent.run import Run
from haagent.saving import Stick
from haagent.update.archive import CHUNK, SUFFIX
from haagent.update.installing import Progress

FETCHED = Path("/state/update")  # the folder for what comes over the network
NAME = f"fetched{SUFFIX}"
SPARE = 64 << 20  # bytes that stay free on the state partition: the agent writes there
PATIENCE = 30.0  # seconds without a byte
SCHEMES = ("http", "https")
NO_STICK = (
    "Plug in a USB stick (FAT or exFAT) with the file, not in a folder, wait a few seconds and say"
    " it again; or name a file or an address: `shoestring update http://192.168.1.5/...`."
)


@contextlib.contextmanager
def found(wanted: str | None, run: Run, folder: Path, progress: Progress) -> Iterator[Path]:
    """The file of the update WANTED, for as long as it is needed. None: the only one on a stick.

    FOLDER is where one from the network is kept meanwhile. Raises OperatorError and ToolError.
    """
    if wanted is not None and urlsplit(wanted).scheme in SCHEMES:
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
        stick, name = _only(on_sticks(run), wanted)
        with mounted(stick.device, stick.kind, saving.POINT, run=run) as place:
            yield place / name


def on_sticks(run: Run) -> list[tuple[Stick, str]]:
    """Every update on a stick that is plugged in. Raises ToolError."""
    listed: list[tuple[Stick, str]] = []
    for stick in saving.sticks(saving.LIST, run(saving.LIST, timeout=LIMIT)):
        with mounted(stick.device, stick.kind, saving.POINT, run=run) as place:
            names = sorted(file.name for file in place.glob(f"*{SUFFIX}") if file.is_file())
        listed += [(stick, name) for name in names]
    return listed


def _only(listed: list[tuple[Stick, str]], wanted: str | None) -> tuple[Stick, str]:
    fitting = [one for one in listed if wanted in (None, one[1])]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        what = "update" if wanted is None else wanted
        raise OperatorError(f"There is no {what} on a USB stick. Nothing was changed.", NO_STICK)
    # safety: a file's name is whatever somebody wrote there, and a terminal obeys.
    names = ", ".join("".join(c if c.isprintable() else "?" for c in one[1]) for one in fitting)
    raise OperatorError(
        f"There are several updates: {names}. Nothing was changed.",
        f"Name one behind the command, as in `shoestring update shoestring-0.2.0{SUFFIX}`, or pull"
        " out the sticks that are not meant.",
    )


def fetch(url: str, path: Path, progress: Progress) -> None:
    """What is at URL, as the file PATH, readable for nobody else. Raises OperatorError."""
    _check_host(url)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with _opener().open(url, timeout=PATIENCE) as answer, path.open("xb") as file:
            path.chmod(0o600)
            _copy(answer, file, int(answer.headers.get("Content-Length") or 0), progress)
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


def _copy(answer: http.client.HTTPResponse, file: IO[bytes], length: int, report: Progress) -> None:
    done = 0
    # With and without a length: nobody's answer may fill the partition that the agent writes to.
    limit = room(Path(file.name).parent)
    while chunk := answer.read(CHUNK):
        done += len(chunk)
        if max(done, length) > limit:
            raise OSError(
                f"it has {max(done, length) >> 20} MiB, and the stick has room for {limit >> 20}"
            )
        file.write(chunk)
        if length:
            report("Fetching", done / length)
    if length and done != length:
        raise OSError(f"it ended after {done} of {length} bytes")


def _check_host(url: str) -> None:
    host = urlsplit(url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        # image/mkosi.extra/etc/resolv.conf: nobody may ever wait for an answer about a name.
        raise OperatorError(
            f"This machine looks no names up, so {host or 'that'} means nothing to it.",
            "Nothing was changed. Give an address: `shoestring update http://192.168.1.5/...`; or"
            " bring the file on a USB stick.",
        ) from None


def _opener() -> urllib.request.OpenerDirector:
    # safety: the certificate of an address proves nothing, and the image has none to compare it
    # with. What counts is the signature in the file.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
