# SPDX-License-Identifier: MIT
"""How an image gets within reach: it lies here, on a USB stick, or on another computer.

It must not judge what it finds; that is for inspection.
"""

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Protocol

from haagent import carrying, fetching
from haagent.asking import tell
from haagent.backup.files import SettledFile
from haagent.carrying import Words
from haagent.console.sizes import size
from haagent.elsewhere import address
from haagent.elsewhere.address import Address
from haagent.elsewhere.share import Reach
from haagent.errors import OperatorError
from haagent.images.blob import SECTOR, Blob, Progress, found
from haagent.mounting import mounted
from haagent.run import Run
from haagent.storage import passing

POINT = Path("/run/shoestring/images")  # the folder for sticks, each by its device
SUFFIXES = (".ova", ".vmdk", ".qcow2", ".vdi", ".raw", ".img")
SHA256 = re.compile("[0-9a-fA-F]{64}", re.ASCII)
STICKS = Words(
    "image",
    "Plug in a USB stick (FAT, exFAT or NTFS) with the image, not in a folder, wait a few seconds"
    " and say it again; or name a file with its folder, a disk as /dev/..., or an address:"
    " http://192.168.1.5/...",
    "Name one, or pull out the sticks that are not meant.",
)

# A device of so many bytes at least, that is gone afterwards.
Volume = Callable[[int], contextlib.AbstractContextManager[Path]]


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
        stick, name = carrying.the_only(self.run, self._is_meant, self.name, STICKS)
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
class Shared:
    """A file in a folder of another computer."""

    address: Address
    reach: Reach

    @contextlib.contextmanager
    def opened(self) -> Iterator[Blob]:
        folder, name = self.address.split()
        with self.reach.folder(folder, is_writable=False) as place:
            yield found(place / name)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is at an address. It lies on a volume meanwhile, which goes afterwards: an image cannot
    be read front to back, and servers need not give parts.
    """

    url: str
    reach: Reach
    volume: Volume
    progress: Progress
    sha256: str | None = None  # as its maker tells it; else nothing tells that it came unchanged

    @contextlib.contextmanager
    def opened(self) -> Iterator[Blob]:
        if self.sha256 is not None and not SHA256.fullmatch(self.sha256):
            raise OperatorError(
                "The sum that was given is none of SHA-256. Nothing was changed.",
                "It has 64 hex digits; `sha256sum FILE` tells it.",
            )
        self.reach.have_own_mounts(self.reach.run)
        with fetching.asked(self.url) as answer, contextlib.ExitStack() as stack:
            length = _length(answer, self.url)
            place = stack.enter_context(self.volume(length))
            tell(
                f"{size(length >> 10)} are fetched onto the data disk first, and removed from there"
                " afterwards."
            )
            self._bring(answer, length, place)
            answer.close()  # what comes now takes hours
            name = fetching.name_of(self.url) or "the image"
            is_device = place.is_block_device()
            yield Blob(place.resolve(), length, is_device=is_device, is_part=True, name=name)

    def _bring(self, answer: HTTPResponse, length: int, place: Path) -> None:
        summing = hashlib.sha256()
        with (
            _told(self.url),
            # safety: open(2), O_EXCL: of a block device, not where it is mounted or taken.
            SettledFile(os.open(place, os.O_WRONLY | os.O_EXCL), "wb") as raw,
            io.BufferedWriter(raw, fetching.CHUNK) as file,
        ):

            def write(chunk: bytes) -> None:
                summing.update(chunk)
                file.write(chunk)

            fetching.receive(answer, write, length, lambda part: self.progress("Fetching", part))
            # What a part of a volume is read by, sector by sector, must not be what was there.
            file.write(bytes(-length % SECTOR))
            file.flush()
            os.fsync(raw.fileno())
        if self.sha256 is not None and summing.hexdigest() != self.sha256.lower():
            raise OperatorError(
                f"The image was fetched, and its sum is {summing.hexdigest()}, which is another."
                " Nothing was changed.",
                "It is not the one that was meant, or it was changed on its way: look where both"
                " come from.",
            )


def _length(answer: HTTPResponse, url: str) -> int:
    """Bytes that come. Raises OperatorError."""
    length = None
    with contextlib.suppress(ValueError):
        length = fetching.length_of(answer)
    if length is None or length <= 0:
        what = "is empty" if length == 0 else "comes without a word on how large it is"
        raise OperatorError(
            f"{fetching.name_of(url) or 'What is there'} {what}, so no room can be made for it."
            " Nothing was changed.",
            "Is it a page that the server makes, instead of a file? Else bring it on a USB stick.",
        )
    return length


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """What fails in here is told to a person."""
    try:
        yield
    except (OSError, ValueError, HTTPException) as error:
        raise OperatorError(
            f"{fetching.name_of(url) or 'The image'} did not come whole: {error!s:.200}. Nothing"
            " was changed.",
            "Look at the LAN cable and at the server, and say it again; or bring it on a USB"
            " stick.",
        ) from error


def source(
    wanted: str | None, reach: Reach, progress: Progress, *, sha256: str | None = None
) -> Source:
    """What a person means by WANTED. None: the only image on a stick that is plugged in. SHA256 is
    the sum of what is fetched. Raises OperatorError.
    """
    if wanted is not None and fetching.is_address(wanted):
        volume = partial(passing.volume, run=reach.run)
        return Fetched(wanted, reach, volume, progress, sha256)
    if sha256 is not None:
        raise OperatorError(
            "--sha256 is for what is fetched over HTTP. Nothing was changed.",
            "Leave it out here; `sha256sum FILE` compares a file.",
        )
    if wanted is not None and address.is_one(wanted):
        return Shared(address.parse(wanted), reach)
    if wanted is not None and ("/" in wanted or Path(wanted).exists()):
        return Here(Path(wanted))
    return OnStick(wanted, reach.run)
