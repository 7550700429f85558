# SPDX-License-Identifier: MIT
"""Measures how large what is shipped is, in the files as they were built. Boots nothing."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.vm import tools
from tests.vm.bench.figures import Figure
from tests.vm.lab import SHIPPED

NAME = "sizes"
MIB = 1 << 20
SECTOR = 512  # bytes; what sfdisk counts in
# erofs_super_block of include/uapi or fs/erofs/erofs_fs.h of Linux 6.12
SUPERBLOCK, MAGIC, BLOCK_BITS, BLOCKS = 1024, bytes.fromhex("e2e1f5e0"), 12, 36


def partitions(image: Path) -> Mapping[str, int]:
    """Where each partition of IMAGE starts, in bytes, by its label."""
    told = subprocess.run(
        tools.command("sfdisk", "--json", image),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    ).stdout
    found = json.loads(told)["partitiontable"]["partitions"]
    return {one.get("name", ""): one["start"] * SECTOR for one in found}


def erofs_size(image: Path, offset: int) -> int:
    """Bytes of the erofs at OFFSET of IMAGE. Raises ValueError if there is none."""
    with image.open("rb") as file:
        file.seek(offset + SUPERBLOCK)
        head = file.read(128)
    if head[:4] != MAGIC:
        raise ValueError(f"{image}: no erofs at {offset}")
    return int.from_bytes(head[BLOCKS : BLOCKS + 4], "little") << head[BLOCK_BITS]


def esp_files(image: Path, offset: int) -> dict[str, int]:
    """Bytes of each file of the FAT at OFFSET of IMAGE, by its path there."""
    with TemporaryDirectory(dir="/tmp") as folder:
        copied = tools.command("mcopy", "-s", "-n", "-i", f"{image}@@{offset}", "::", folder)
        subprocess.run(copied, check=True)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.stat().st_size for path in files}


def measure() -> Iterator[Figure]:
    starts = partitions(SHIPPED)
    files = esp_files(SHIPPED, starts["shoestring-esp"])
    sizes = {
        "raw": SHIPPED.stat().st_size,
        "packed (.raw.zst)": SHIPPED.with_suffix(".raw.zst").stat().st_size,
        "root": erofs_size(SHIPPED, starts["shoestring-root-a"]),
        "initrd": files["slot-a/initrd"],
        "ESP content": sum(files.values()),
    }
    for name, size in sizes.items():
        if not size:
            raise ValueError(f"{SHIPPED}: {name} is empty")
        yield Figure(NAME, name, "MiB", (size / MIB,), is_exact=True)
