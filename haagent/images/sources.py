# SPDX-License-Identifier: MIT
"""How an image gets within reach: it lies here, on a USB stick, or at an address on the network.

It must not judge what it finds; that is for inspection.
"""

import contextlib
import hashlib
import http.client
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from haagent import carrying, fetching
from haagent.errors import OperatorError
from haagent.images.blob import SECTOR, Blob, Progress, found
from haagent.mounting import mounted
from haagent.run import Run

POINT = Path("/run/shoestring/images")  # the folder for sticks, each by its device
SUFFIXES = (".ova", ".vmdk", ".qcow2", ".vdi", ".raw", ".img")
SHA256 = re.compile("[0-9a-fA-F]{64}", re.ASCII)
NO_STICK = (
    "Plug in a USB stick (FAT or exFAT) with the image, not in a folder, wait a few seconds and say"
    " it again; or name a file with its folder, a disk as /dev/..., or an address:"
    " http://192.168.1.5/..."
)
SEVERAL = "Name one, or pull out the sticks that are not meant."
BY_ADDRESS = "Give an address: http://192.168.1.5/...; or bring the image on a USB stick."


class Source(Protocol):
    """Where an image lies."""

    def opened(self) -> contextlib.AbstractContextManager[Blob]:
        """Its bytes, which can be read anywhere in them and as often as one likes, for as long as
        they are needed. Raises OperatorError and ToolError.
        """


@dataclass(frozen=True, slots=True)
class Here:
    """A file or a disk of this machine."""

    path: Path

    @contextlib.contextmanager
    def opened(self) -> Iterator[Blob]:
        yield found(self.path.absolute())


@dataclass(frozen=True, slots=True)
class OnStick:
    """A file on a USB stick. None: the only one that has a name like an image."""

    name: str | None
    run: Run

    @contextlib.contextmanager
    def opened(self) -> Iterator[Blob]:
        listed = carrying.on_sticks(self.run, self._is_meant)
        stick, name = carrying.the_only(listed, self.name, "image", NO_STICK, SEVERAL)
        # safety: for hours. At the place where others mount for a moment, they would unmount it.
        point = POINT / stick.device
        with mounted(stick.device, stick.kind, point, run=self.run) as place:
            yield found(place / name)

    def _is_meant(self, file: Path) -> bool:
        if self.name is not None:
            return file.name == self.name
        # The data of a flat VMDK are meant by its descriptor; Macs leave ._NAME beside NAME.
        is_half = file.name.endswith("-flat.vmdk") or file.name.startswith(".")
        return file.suffix.lower() in SUFFIXES and not is_half


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is at an address. It is kept at PLACE meanwhile: on a volume, which stays, or in a file
    that is not there yet and goes afterwards. An image cannot be read front to back, so none is
    taken in while it comes.
    """

    url: str
    place: Path
    room: int  # bytes that it may have
    progress: Progress
    sha256: str | None = None  # as its maker tells it; else nothing tells that it came unchanged

    @contextlib.contextmanager
    def opened(self) -> Iterator[Blob]:
        fetching.check_host(self.url, BY_ADDRESS)
        if self.sha256 is not None and not SHA256.fullmatch(self.sha256):
            raise OperatorError(
                "The sum that was given is none of SHA-256. Nothing was changed.",
                "It has 64 hex digits; `sha256sum FILE` tells it.",
            )
        with contextlib.ExitStack() as undo:
            is_device = self.place.is_block_device()
            with _told():
                file = undo.enter_context(_made(self.place, is_device))
            if not is_device:
                undo.callback(self.place.unlink)
            yield self._brought(file, is_device)

    def _brought(self, file: IO[bytes], is_device: bool) -> Blob:
        summing = hashlib.sha256()

        def write(chunk: bytes) -> None:
            summing.update(chunk)
            file.write(chunk)

        with _told():
            size = fetching.fetch(
                self.url, write, self.room, lambda share: self.progress("Fetching", share)
            )
            # What a part of a volume is read by, sector by sector, must not be what was there.
            file.write(bytes(-size % SECTOR))
            file.flush()
            os.fsync(file.fileno())
        if self.sha256 is not None and summing.hexdigest() != self.sha256.lower():
            raise OperatorError(
                f"The image was fetched, and its sum is {summing.hexdigest()}, which is another."
                " Nothing was changed.",
                "It is not the one that was meant, or it was changed on its way: look where both"
                " come from.",
            )
        name = self.url.rpartition("/")[2] or "the image"
        return Blob(self.place.resolve(), size, is_device=is_device, is_part=True, name=name)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What fails in here is told to a person."""
    try:
        yield
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise OperatorError(
            f"The image could not be fetched: {error!s:.200}.",
            "Nothing was changed. Look at the address and the LAN cable, or bring it on a USB"
            " stick.",
        ) from error


def _made(place: Path, is_device: bool) -> IO[bytes]:
    """PLACE, to write to it. Raises OSError where somebody has it in use."""
    # safety: open(2), O_EXCL: of a block device, not where it is mounted or taken.
    flags = os.O_WRONLY | os.O_EXCL | (0 if is_device else os.O_CREAT)
    return os.fdopen(os.open(place, flags, 0o600), "wb")


def source(wanted: str | None, run: Run, fetched: Callable[[str], Fetched]) -> Source:
    """What a person means by WANTED; FETCHED is asked where that is an address. None: the only
    image on a stick that is plugged in.
    """
    if wanted is not None and fetching.is_address(wanted):
        return fetched(wanted)
    if wanted is not None and ("/" in wanted or Path(wanted).exists()):
        return Here(Path(wanted))
    return OnStick(wanted, run)
