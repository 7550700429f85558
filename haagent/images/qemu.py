# SPDX-License-Identifier: MIT
"""What is said to qemu-img(1), and what its answers mean. It decides nothing about an image."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haagent.errors import ParseError
from haagent.images.blob import Blob
from haagent.images.recognition import Format

# safety: an image may be made to cost its reader memory, and the agent lives in the same GiB. What
# counts is data: of addresses qemu-img takes more than 1 GiB by its threads, of data below 100 MiB,
# of which most are their stacks; a check of a large qcow2 takes two bytes a cluster more.
MEMORY = 384 << 20  # bytes
STACK = 1 << 20  # bytes of each of up to 64 threads
# prctl(2), PR_SET_PDEATHSIG: whoever ends us, with SIGKILL even, ends what we have writing.
CAGE = (
    *("prlimit", f"--data={MEMORY}", f"--stack={STACK}"),
    *("setpriv", "--pdeathsig", "KILL", "qemu-img"),
)
SHARE = re.compile(r"\s*\(([0-9]{1,3}\.[0-9]+)/100%\)\s*")

# How `qemu-img check` ends, where it is not 0.
CORRUPTED, LEAKED = 2, 3
DIFFERS = 1  # how `qemu-img compare` does


@dataclass(frozen=True, slots=True)
class Info:
    """What `qemu-img info` says."""

    size: int  # bytes of the disk
    is_alone: bool  # it needs no other file
    is_encrypted: bool
    is_corrupt: bool


def info_argv(blob: Blob, kind: Format) -> tuple[str, ...]:
    return (*CAGE, "info", "--output=json", "-f", kind, blob.address(kind))


def check_argv(blob: Blob, kind: Format) -> tuple[str, ...]:
    return (*CAGE, "check", "-q", "-f", kind, blob.address(kind))


def convert_argv(blob: Blob, kind: Format, target: Path) -> tuple[str, ...]:
    """Writes all of the disk over TARGET, a volume that is there and at least as large.

    safety: the volume holds what somebody else left. Without --target-is-zero nothing is taken for
    zero beforehand: what is zero or missing in the image is zeroed in the volume. -S does not
    matter to that; it only tells how much of it is found out.
    """
    source = blob.address(kind)
    out = str(target)
    return (*CAGE, "convert", "-p", "-n", "-W", "-t", "none", "-f", kind, "-O", "raw", source, out)


def export_argv(blob: Blob, kind: Format, path: Path) -> tuple[str, ...]:
    """Makes PATH a file of this KIND, from a raw disk."""
    how = ("-o", "subformat=streamOptimized") if kind is Format.VMDK else ()
    source = blob.address(Format.RAW)
    return (*CAGE, "convert", "-p", "-W", "-f", "raw", "-O", kind, *how, source, str(path))


def same_argv(blob: Blob, kind: Format, path: Path) -> tuple[str, ...]:
    """Whether PATH holds what the raw disk does."""
    return (*CAGE, "compare", "-p", "-f", "raw", "-F", kind, blob.address(Format.RAW), str(path))


def compare_argv(blob: Blob, kind: Format, target: Path) -> tuple[str, ...]:
    """Without -s, what the TARGET has behind the end of the disk must be zero."""
    return (*CAGE, "compare", "-p", "-f", kind, "-F", "raw", blob.address(kind), str(target))


def share(line: str) -> float | None:
    """0 to 1, from a LINE that `-p` prints; None from another one."""
    found = SHARE.fullmatch(line)
    return min(1.0, float(found[1]) / 100) if found else None


def parse_info(argv: Sequence[str], kind: Format, text: str) -> Info:
    """Raises ParseError, also if the answer is about another format than KIND."""
    try:
        said: dict[str, Any] = json.loads(text)
        size = said["virtual-size"]
        data = said.get("format-specific", {}).get("data", {})
        if type(size) is not int or said["format"] != kind:
            raise ParseError(argv, text)
        names = ("backing-filename", "full-backing-filename", "backing-image")
        # Of a VMDK: each file that the disk is in.
        extents = data.get("extents", [{}])
        return Info(
            size,
            is_alone=not any(name in said for name in names)
            and "data-file" not in data
            and len(extents) == 1,
            is_encrypted=bool(said.get("encrypted")) or "encrypt" in data,
            is_corrupt=bool(data.get("corrupt")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParseError(argv, text) from error
