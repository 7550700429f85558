# SPDX-License-Identifier: MIT
"""`make reliability`: writes docs/reliability.md anew from build/vm-results.jsonl."""

import sys
from pathlib import Path

from tests.vm import tools
from tests.vm.runs import results
from tests.vm.runs.marks import marked
from tests.vm.runs.page import NOTHING, NotKept, by_hand, page
from tests.vm.runs.rows import ROWS

PAGE = tools.TOP / "docs/reliability.md"


def write(file: Path, lines: Path) -> None:
    """FILE from the runs in LINES, with what it has by hand. Raises NotKept, having done nothing.
    It is there whole or as it was.
    """
    kept = by_hand(file.read_text()) if file.exists() else NOTHING
    new = file.with_suffix(".new")
    new.write_text(page(ROWS, marked(), results.read(lines), kept))
    new.replace(file)


def main() -> int:
    try:
        write(PAGE, results.FILE)
    except NotKept as error:
        print(f"{PAGE}: {error}. Nothing was written.", file=sys.stderr)
        return 1
    print(f"{PAGE} is written: look at what changed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
