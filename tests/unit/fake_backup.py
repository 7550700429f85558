# SPDX-License-Identifier: MIT
"""A guest's disks as files, and backups of them with small blocks."""

import contextlib
import io
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from haagent.backup import index as indexes
from haagent.backup import plain, writing
from haagent.backup.disks import Source, source
from haagent.backup.files import whole_file
from haagent.backup.layout import (
    CLOSING,
    CLOSING_TAG,
    INDEX_TAG,
    MAGIC,
    RECORD,
    START,
    SUM,
    VERSION,
    Progress,
    checksum,
    silent,
)
from haagent.backup.reading import Backup
from haagent.backup.writing import Written

BLOCK = 1 << 16
AT = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)
DEFINITION = "name: web\nmemory: 512\ndisks: [xvda, xvdb]\n"
Disks = dict[str, bytes]


def noise(blocks: int, seed: int) -> bytes:
    """Each block differs from every other, and can hardly be packed."""
    return random.Random(seed).randbytes(blocks * BLOCK)


def disks(seed: int = 0) -> Disks:
    """Two disks: data, zeros, text that packs well; an end that is no whole block; all zeros."""
    text = b"To be packed. " * (2 * BLOCK // 14 + 1)
    data = noise(2, seed) + bytes(3 * BLOCK) + text[: 2 * BLOCK] + noise(1, seed + 1)[:5120]
    return {"xvda": data, "xvdb": bytes(2 * BLOCK)}


@contextlib.contextmanager
def sources(folder: Path, contents: Mapping[str, bytes]) -> Iterator[list[Source]]:
    """The disks, as files in FOLDER meanwhile."""
    with contextlib.ExitStack() as stack:
        for name, data in contents.items():
            (folder / name).write_bytes(data)
        yield [stack.enter_context(source(name, folder / name)) for name in contents]
    for name in contents:
        (folder / name).unlink()


def write(
    folder: Path, contents: Mapping[str, bytes], base: Path | None = None, hours: int = 0
) -> Path:
    """A backup in FOLDER, with blocks of BLOCK."""
    with contextlib.ExitStack() as stack:
        under = stack.enter_context(Backup(base)) if base is not None else None
        given = stack.enter_context(sources(folder, contents))
        at = AT + timedelta(hours=hours)
        head = replace(writing.planned("web", at, DEFINITION, given, under), block=BLOCK)
        path = folder / str(head.name)
        with whole_file(path) as file:
            writing.write(file, head, given, under)
    return path


def piped(folder: Path, contents: Mapping[str, bytes]) -> tuple[bytes, Written]:
    """What goes through a pipe, which cannot be gone back in."""
    out = io.BytesIO()
    with sources(folder, contents) as given:
        head = replace(writing.planned("web", AT, DEFINITION, given), block=BLOCK)
        written = writing.write(out, head, given)
    return out.getvalue(), written


def write_plain(folder: Path, progress: Progress = silent) -> Path:
    with sources(folder, disks()) as given:
        return plain.write(folder, "web", AT, DEFINITION, given, progress)


def records(path: Path) -> list[tuple[int, int, str, int]]:
    """Where each block in the file begins, how long it is with its record, its disk and offset."""
    with Backup(path) as backup:
        found, at = [], backup.blocks_at
        head, firsts = backup.head, backup.head.firsts
        for block, (_, stored) in enumerate(backup.index):
            if stored:
                disk = max(i for i in range(len(head.disks)) if firsts[i] <= block)
                offset = (block - firsts[disk]) * head.block
                found.append((at, RECORD.size + stored, head.disks[disk].name, offset))
                at += RECORD.size + stored
    return found


def forged(said: bytes, blocks: bytes = b"", index: bytes = b"", raw: bytes = b"") -> bytes:
    """A file in which every sum is right, whatever it says: SAID is its head, INDEX the pieces of
    its index, which are made from RAW if there are none.
    """
    start = START.pack(MAGIC, VERSION, len(said)) + said
    made = start + checksum(start) + blocks
    index_at = len(made)
    pieces = index or b"".join(indexes.pieces(bytearray(raw)))
    made += INDEX_TAG + pieces
    digest = indexes.digest(start, bytearray(raw))
    whole = len(made) + CLOSING.size
    made += CLOSING.pack(CLOSING_TAG, index_at, whole, digest, bytes(SUM))[:-SUM]
    return made + checksum(made)


def head(**values: object) -> bytes:
    """What a backup of one disk of one block says, but for VALUES."""
    content = {
        "id": "0" * 32,
        "guest": "web",
        "at": "2026-11-30T0200Z",
        "definition": DEFINITION,
        "block": BLOCK,
        "disks": [{"name": "xvda", "bytes": BLOCK}],
        "base": None,
        "depth": 0,
    }
    return json.dumps({**content, **values}).encode()
