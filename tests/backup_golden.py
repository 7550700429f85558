# SPDX-License-Identifier: MIT
"""Makes tests/data/backup, once, by the release that first wrote the format:

python -m tests.backup_golden
"""

from pathlib import Path

from haagent.backup.layout import VERSION
from tests.unit.fake_backup import BLOCK, Disks, write

FOLDER = Path(__file__).parent / "data" / "backup"


def days() -> list[Disks]:
    """Small when packed. On the second day a block is another, one is gone, a disk has grown."""
    text = [bytes([letter]) * BLOCK for letter in b"abc"]
    first = {"xvda": text[0] + bytes(BLOCK) + text[1] + b"end", "xvdb": text[2]}
    return [first, {"xvda": text[0] + text[2] + bytes(BLOCK) + b"end", "xvdb": text[2] + b"more"}]


def main() -> None:
    folder = FOLDER / f"version-{VERSION}"
    folder.mkdir(parents=True)
    first, second = days()
    write(folder, second, write(folder, first), hours=24)


if __name__ == "__main__":
    main()
