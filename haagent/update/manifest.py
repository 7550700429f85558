# SPDX-License-Identifier: MIT
"""What an update says of itself, and whether it may be believed. Pure: bytes -> values.

The signature is over the bytes of the manifest, which names the sum of everything else: nothing in
an update is used that is not covered by it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from haagent.errors import OperatorError
from haagent.update.release import Release
from haagent.update.slots import BLOCK, ROOT_HASH, Slot

FORMAT = 1  # of the manifest and of the file around it
PRODUCT = "shoestring"
ROOT = "root"
FILES = (ROOT, "xen", "vmlinux", "vmlinuz", "initrd")  # in the order in which they follow
SUM = re.compile(r"[0-9a-f]{64}")
KEYS = {"format", "product", "version", "state", "wire", "roothash", "blocks", "size", "files"}

ANOTHER = "Get the file once more, or ask whoever made it."


class BadUpdate(OperatorError):
    """It is not an update for this stick, or not a whole one. Nothing was changed."""

    def __init__(self, what: str, hint: str = ANOTHER) -> None:
        super().__init__(f"This update is not taken: {what}.", f"Nothing was changed. {hint}")


@dataclass(frozen=True, slots=True)
class Formats:
    """The versions of a format that a release reads; it writes the newest."""

    oldest: int
    newest: int

    def __contains__(self, version: int) -> bool:
        return self.oldest <= version <= self.newest

    def meets(self, other: "Formats") -> bool:
        """Whether there is one that both read."""
        return self.oldest <= other.newest and other.oldest <= self.newest


@dataclass(frozen=True, slots=True)
class Part:
    """One of the files that follow."""

    name: str
    size: int  # bytes
    sha256: str  # hexadecimal


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in an update."""

    slot: Slot  # as it will be in slot.cfg
    state: Formats  # of haagent/state.py
    wire: Formats  # of haagent/cluster/wire.py
    parts: tuple[Part, ...]

    @property
    def release(self) -> Release:
        return self.slot.release


def text(manifest: Manifest) -> bytes:
    """As it is in the file; `parse` is the reverse."""
    slot = manifest.slot
    content = {
        "format": FORMAT,
        "product": PRODUCT,
        "version": str(slot.release),
        "state": [manifest.state.oldest, manifest.state.newest],
        "wire": [manifest.wire.oldest, manifest.wire.newest],
        "roothash": slot.roothash,
        "blocks": slot.blocks,
        "size": slot.size,
        "files": [
            {"name": part.name, "bytes": part.size, "sha256": part.sha256}
            for part in manifest.parts
        ],
    }
    return json.dumps(content, indent=1).encode() + b"\n"


def public_key(pem: bytes) -> Ed25519PublicKey:
    """Raises OperatorError."""
    try:
        key = load_pem_public_key(pem)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise OperatorError(
            "The key that this stick checks updates with cannot be read.",
            "Nothing was changed. Flash the stick anew.",
        )
    return key


def verified(data: bytes, signature: bytes, key: Ed25519PublicKey) -> Manifest:
    """The manifest DATA, if the owner of KEY signed it. Raises BadUpdate."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        raise BadUpdate(
            "it is not signed by whoever made this stick, or it was changed",
            "Take one that was built where this stick was, or flash the stick anew.",
        ) from None
    return parse(data)


def parse(data: bytes) -> Manifest:
    """DATA, understood in full. Raises BadUpdate."""
    try:
        content = json.loads(data)
        if not isinstance(content, dict):
            raise ValueError("it is no object")
        _check_kind(content)
        return _understood(content)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadUpdate(f"its manifest is not understood ({error!s:.80})") from error


def _check_kind(content: Mapping[str, Any]) -> None:
    if content.get("product") != PRODUCT:
        raise BadUpdate(f"it is for {content.get('product')!r:.40}, and this is {PRODUCT}")
    if content.get("format") != FORMAT:
        raise BadUpdate(
            f"its format is {content.get('format')!r:.20}, and this release reads {FORMAT}",
            "It may be too new to be reached in one step: take the release between.",
        )
    if set(content) != KEYS:
        raise ValueError(f"{sorted(set(content) ^ KEYS)} should, or should not, be in it")


def _understood(content: Mapping[str, Any]) -> Manifest:
    """Raises ValueError, TypeError or KeyError."""
    parts = tuple(_part(item) for item in content["files"])
    if tuple(part.name for part in parts) != FILES:
        raise ValueError(f"its files are not {', '.join(FILES)}")
    blocks, size, roothash = (content[name] for name in ("blocks", "size", "roothash"))
    if type(blocks) is not int or type(size) is not int or not 0 < blocks * BLOCK < size:
        raise ValueError("its figures do not belong together")
    if size != parts[0].size or size % BLOCK or ROOT_HASH.fullmatch(roothash) is None:
        raise ValueError("its root is not what it says")
    slot = Slot(Release.of(content["version"]), roothash, blocks, size)
    return Manifest(slot, _formats(content["state"]), _formats(content["wire"]), parts)


def _part(item: Mapping[str, Any]) -> Part:
    if set(item) != {"name", "bytes", "sha256"}:
        raise ValueError("a file has a name, a number of bytes and a sum")
    size = item["bytes"]
    if type(size) is not int or size <= 0 or SUM.fullmatch(item["sha256"]) is None:
        raise ValueError("a file's figures are wrong")
    return Part(item["name"], size, item["sha256"])


def _formats(item: object) -> Formats:
    match item:
        case [int(oldest), int(newest)] if 0 < oldest <= newest:
            return Formats(oldest, newest)
    raise ValueError("a format is told by its oldest and its newest version")
