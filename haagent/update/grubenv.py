# SPDX-License-Identifier: MIT
"""GRUB's environment block: bytes -> variables -> bytes. Pure; it knows no variable.

The format is that of GRUB 2, grub-core/lib/envblk.c: a first line, `name=value` lines in which a
backslash stands before a backslash or a line's end, and `#` up to the block's size. GRUB saves by
the list of blocks that the file has: it must keep its size and its place on the disk for ever.
"""

from collections.abc import Mapping

SIZE = 1024  # bytes, always
SECTOR = 512  # bytes that a disk writes as one
SIGNATURE = b"# GRUB Environment Block\n"


class NotABlock(Exception):
    """GRUB would not read these bytes either, or would read something else."""


def parse(data: bytes) -> dict[str, str]:
    """The variables of a block. Raises NotABlock."""
    if len(data) != SIZE or not data.startswith(SIGNATURE):
        raise NotABlock("it does not begin as GRUB's does, or has another size")
    found: dict[str, str] = {}
    rest = data[len(SIGNATURE) :]
    while rest.strip(b"#"):
        line, rest = _line(rest)
        if line.startswith(b"#"):
            continue
        name, equals, value = line.partition(b"=")
        try:
            if not equals or not name:
                raise ValueError
            found[name.decode("ascii")] = value.decode("ascii")
        except ValueError:
            raise NotABlock(f"{line!r:.60} is no variable") from None
    return found


def build(variables: Mapping[str, str]) -> bytes:
    """The reverse of `parse`. Raises NotABlock if they are too many, or GRUB cannot have them."""
    lines = [SIGNATURE]
    for name, value in variables.items():
        if not (name.isascii() and name.replace("_", "").isalnum() and value.isascii()):
            raise NotABlock(f"{name!r:.40} cannot be a variable with that value")
        escaped = value.replace("\\", "\\\\").replace("\n", "\\\n")
        lines.append(f"{name}={escaped}\n".encode())
    content = b"".join(lines)
    # safety: a power cut may tear the write between two sectors. What is in the second one never
    # changes, so there is always an old block or a new one, and no mixture.
    if len(content) > SECTOR:
        raise NotABlock(f"{len(content)} bytes of variables do not fit into one sector")
    return content.ljust(SIZE, b"#")


def _line(data: bytes) -> tuple[bytes, bytes]:
    """The first line without its end, unescaped, and what follows it. Raises NotABlock."""
    line, at = bytearray(), 0
    while at < len(data):
        byte = data[at : at + 1]
        if byte == b"\n":
            return bytes(line), data[at + 1 :]
        if byte == b"\\" and not line.startswith(b"#"):
            at += 1
            byte = data[at : at + 1]
        line += byte
        at += 1
    raise NotABlock("its last line has no end")
