# SPDX-License-Identifier: MIT
"""Where the files in a tar lie. It never unpacks one, and uses nothing else that is said of them.

tarfile would hold an extension of any length in memory, and follow links; so only its headers are
used, one by one.
"""

import re
import tarfile
from collections.abc import Mapping

from haagent.carrying import shown
from haagent.errors import OperatorError
from haagent.images.blob import Blob, Window, damaged

PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE)  # pax(1)
MOST = 1000  # headers
LONGEST_EXTENSION = 1 << 16  # bytes
BLOCK = tarfile.BLOCKSIZE
NAME = re.compile(r"[^/\\\0]{1,100}")
UNDERSTOOD = "path", "size"  # of an extension's keys, those that change what a member is
HARMFUL = re.compile("linkpath|GNU.sparse.*|SCHILY.(filetype|realsize)")
PACK = "Pack it anew, with plain files alone: `tar --format=ustar -cf NEW.ova IT.ovf IT.mf DISKS`."


def members(window: Window) -> dict[str, Blob]:
    """The files by their names, in their order. Raises OperatorError if it is not whole, or there
    is anything but plain files of different names, in no folder.
    """
    held: dict[str, Blob] = {}
    extra: Mapping[str, str] = {}
    at = 0
    for _ in range(MOST):
        data = window.read(at, BLOCK) if at < window.size else bytes(BLOCK)
        if not data.strip(b"\0"):
            return held
        found = _header(window, data)
        size = _size(window, extra.get("size"), found.size)
        if found.type in EXTENSIONS:
            if size > LONGEST_EXTENSION:
                raise _unfit(window, "has an extension that is too long")
            told = _records(window, window.read(at + BLOCK, size))
            extra = told if found.type == tarfile.XHDTYPE else extra
        else:
            name = extra.get("path", found.name)
            _check(window, found, name, held)
            if at + BLOCK + size > window.size:
                raise damaged(window.title, f"it ends within {shown(name)}")
            held[name] = window.blob.part(at + BLOCK, size, name)
            extra = {}
        at += BLOCK + size + -size % BLOCK
    raise _unfit(window, f"has more than {MOST} files")


def _header(window: Window, data: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(data, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise damaged(window.title, "what stands between its files is no tar's") from error


def _check(window: Window, found: tarfile.TarInfo, name: str, held: Mapping[str, Blob]) -> None:
    # safety: nothing is written by these names; but they are compared, shown and looked up.
    if found.type not in PLAIN:
        raise _unfit(window, f"has something that is no plain file: {shown(name):.80}")
    if not NAME.fullmatch(name) or name in (".", ".."):
        raise _unfit(window, f"has a file with the name {shown(name):.80}")
    if name in held:
        raise _unfit(window, f"has {shown(name)} twice")


def _size(window: Window, told: str | None, size: int) -> int:
    if told is not None:
        if not re.fullmatch("[0-9]{1,18}", told, re.ASCII):
            raise damaged(window.title, "the size of a file in it is no number")
        size = int(told)
    if size < 0:
        raise damaged(window.title, "the size of a file in it is no number")
    return size


def _records(window: Window, data: bytes) -> dict[str, str]:
    """pax(1): "LENGTH KEY=VALUE" and a line end, each with its length first."""
    told: dict[str, str] = {}
    while data:
        length, blank, _ = data.partition(b" ")
        if not blank or not re.fullmatch(b"[1-9][0-9]{0,5}", length) or int(length) > len(data):
            raise damaged(window.title, "what is said of a file in it is not whole")
        record, data = data[: int(length)], data[int(length) :]
        key, _, value = record[len(length) + 1 :].decode(errors="replace").partition("=")
        if HARMFUL.fullmatch(key):
            raise _unfit(window, "has something that is no plain file")
        if key in UNDERSTOOD:
            told[key] = value.removesuffix("\n")
    return told


def _unfit(window: Window, what: str) -> OperatorError:
    return OperatorError(f"{window.title} {what}. Nothing was changed.", PACK)
