# SPDX-License-Identifier: MIT
"""Reads and changes what is on a stick, as a person would on another PC: files of its FAT, which is
the ESP on one that was just flashed. mtools does it, and ntfs-3g for NTFS; neither root nor a loop
device is needed.
"""

import json
import subprocess
from pathlib import Path

from tests.vm import tools

SECTOR = 512  # bytes; what sfdisk counts in


def put(stick: Path, name: str, text: str) -> None:
    """Writes TEXT to the file NAME of the ESP."""
    _mtools("mcopy", "-D", "o", "-i", _esp(stick), "-", f"::/{name}", text=text)


def get(stick: Path, name: str) -> str:
    """The file NAME of the ESP."""
    return _mtools("mcopy", "-i", _esp(stick), f"::/{name}", "-")


def stretch_time(stick: Path, scale: float) -> None:
    """Every timer of the agent takes SCALE times as long: emulated machines are slow."""
    _add_argument(stick, f"shoestring.timescale={scale}")


def identify(stick: Path, machine_id: str) -> None:
    """The machine takes MACHINE_ID, 32 hexadecimal digits, at its first boot, and makes up none:
    what is decided by the order of two of them is the same each time (kernel-command-line(7)).
    """
    _add_argument(stick, f"systemd.machine_id={machine_id}")


def make_blank(image: Path, size: int = 64 << 20) -> None:
    """A stick of SIZE bytes without partitions and files, as some are sold."""
    _mtools("mformat", "-C", "-T", str(size // SECTOR), "-i", str(image), "::")


def make_with(image: Path, *files: Path) -> None:
    """A stick without partitions that has FILES, and room for a little more."""
    size = sum(file.stat().st_size for file in files) + (64 << 20)
    _mtools("mformat", "-C", "-F", "-T", str(size // SECTOR), "-i", str(image), "::")
    _mtools("mcopy", "-i", str(image), *map(str, files), "::/")


def make_ntfs(image: Path, *files: Path) -> None:
    """A disk without partitions as a Windows computer formats it, with FILES."""
    with image.open("wb") as disk:
        disk.truncate(sum(file.stat().st_size for file in files) + (64 << 20))
    subprocess.run(tools.command("mkntfs", "--quiet", "--fast", "--force", image), check=True)
    for file in files:
        subprocess.run(tools.command("ntfscp", "--quiet", image, file, file.name), check=True)


def read(image: Path, name: str) -> str:
    """The file NAME of a stick without partitions."""
    return _mtools("mcopy", "-i", str(image), f"::/{name}", "-")


def _add_argument(stick: Path, argument: str) -> None:
    config = get(stick, "grub/menu.cfg")
    changed = config.replace('set linux_args="', f'set linux_args="{argument} ')
    assert changed != config, "menu.cfg has no linux_args any more"
    put(stick, "grub/menu.cfg", changed)


def flip(stick: Path, partition: str, offset: int) -> None:
    """Flips one bit, OFFSET bytes into the PARTITION of that name."""
    with stick.open("r+b") as file:
        at = file.seek(_start(stick, partition) + offset)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def _esp(stick: Path) -> str:
    return f"{stick}@@{_start(stick, 'shoestring-esp')}"


def _start(stick: Path, partition: str) -> int:
    """Where PARTITION begins, in bytes."""
    table = subprocess.run(
        tools.command("sfdisk", "--json", stick),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # it misses the backup table at the end of the stick
        check=True,
    ).stdout
    partitions = json.loads(table)["partitiontable"]["partitions"]
    (start,) = (p["start"] for p in partitions if p.get("name") == partition)
    return int(start) * SECTOR


def _mtools(*argv: str, text: str | None = None) -> str:
    ended = subprocess.run(
        tools.command(*argv), input=text, stdout=subprocess.PIPE, text=True, check=True
    )
    return ended.stdout
