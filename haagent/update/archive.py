# SPDX-License-Identifier: MIT
"""An update as a file: a tar that is read as a stream, from its beginning to its end, once.

Nothing is ever unpacked by the names in it, and there is one way to write it: in this order, as
plain files, with nothing between or behind. It is not compressed: what would shrink is a third, the
sums are over the very bytes that get onto the stick, and no decoder meets what nobody has signed.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from haagent.update.manifest import BadUpdate, Manifest, Part, verified

SUFFIX = ".update"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
LONGEST_MANIFEST = 1 << 16  # bytes
SIGNATURE_BYTES = 64  # of Ed25519
CHUNK = 1 << 20  # bytes
NOT_WHOLE = "it is not whole, or something in it was changed"


class Reader:
    """One update, from FILE, which stands at its beginning. Every method raises BadUpdate."""

    def __init__(self, file: IO[bytes], key: Ed25519PublicKey) -> None:
        self._file = file
        data = self._small(MANIFEST, LONGEST_MANIFEST)
        signature = self._small(SIGNATURE, SIGNATURE_BYTES)
        self.manifest: Manifest = verified(data, signature, key)

    def parts(self) -> Iterator[tuple[Part, Iterator[bytes]]]:
        """Each part, and its bytes in chunks, which must all be taken before the next part. Whoever
        has taken the last chunk has taken what was signed, or got BadUpdate instead.
        """
        for part in self.manifest.parts:
            if self._header(part.name) != part.size:
                raise BadUpdate(f"{part.name} is not as long as it should be")
            yield part, self._checked(part)
        self._end()

    def _checked(self, part: Part) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for chunk in self._content(part.size):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != part.sha256:
            raise BadUpdate(f"{NOT_WHOLE}: the sum of {part.name} is wrong")

    def _small(self, name: str, limit: int) -> bytes:
        size = self._header(name)
        if size > limit:
            raise BadUpdate(f"it is no update of ours: its {name} is too long")
        return b"".join(self._content(size))

    def _header(self, name: str) -> int:
        """The size of the plain file NAME, whose header comes next."""
        try:
            found = tarfile.TarInfo.frombuf(self._exactly(tarfile.BLOCKSIZE), "ascii", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError):
            raise BadUpdate(f"it is no update of ours, or not whole: {name} is missing") from None
        # Not an extension of tar's either: those are other types, and would come first.
        if found.type != tarfile.REGTYPE or found.name != name or found.size < 0:
            raise BadUpdate(
                f"it is no update of ours: {found.name!r:.40} is where {name} should be"
            )
        return found.size

    def _content(self, size: int) -> Iterator[bytes]:
        left = size
        while left:
            chunk = self._exactly(min(left, CHUNK))
            left -= len(chunk)
            yield chunk
        self._zeros(-size % tarfile.BLOCKSIZE)

    def _end(self) -> None:
        self._zeros(2 * tarfile.BLOCKSIZE)
        if self._file.read(1):
            raise BadUpdate("there is more in it than there should be")

    def _zeros(self, count: int) -> None:
        if self._exactly(count).strip(b"\0"):
            raise BadUpdate(NOT_WHOLE)

    def _exactly(self, count: int) -> bytes:
        try:
            data = self._file.read(count)
        except OSError as error:
            raise unreadable(error) from error
        if len(data) != count:
            raise BadUpdate(f"{NOT_WHOLE}: it ends too early")
        return data


def opened(path: Path) -> IO[bytes]:
    """The update in PATH. Raises BadUpdate."""
    try:
        return path.open("rb")
    except OSError as error:
        raise unreadable(error) from error


def unreadable(error: OSError) -> BadUpdate:
    """What ERROR means to a person."""
    return BadUpdate(f"the file cannot be read: {error.strerror}")


def header(name: str, size: int) -> bytes:
    """What stands before a file; the same for the same file, on every day and machine."""
    made = tarfile.TarInfo(name)
    made.size, made.mode = size, 0o644
    return made.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def padding(size: int) -> bytes:
    """What stands behind a file of SIZE bytes."""
    return bytes(-size % tarfile.BLOCKSIZE)


END = bytes(2 * tarfile.BLOCKSIZE)
