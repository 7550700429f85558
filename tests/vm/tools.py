# SPDX-License-Identifier: MIT
"""Programs of the mkosi tools tree (QEMU, nbdkit, OVMF, mtools, ntfs-3g), run on a host that has
none of them.
"""

import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / "build"
TREE = BUILD / "tools"
SANDBOX = BUILD / "mkosi/usr/lib/python3/dist-packages/mkosi/sandbox.py"


def command(*argv: str | Path) -> list[str]:
    """ARGV with the tools tree as its /usr, everything else as on the host; mkosi's sandbox
    replaces itself by it.
    """
    host = [p for p in (TOP, Path("/tmp"), Path("/sys"), Path("/run")) if p.exists()]
    return [
        sys.executable,
        str(SANDBOX),
        *("--ro-bind", str(TREE / "usr"), "/usr"),
        *("--ro-bind", str(TREE / "etc"), "/etc"),
        *(
            part
            for name in ("bin", "lib", "lib64", "sbin")
            for part in ("--symlink", f"usr/{name}", f"/{name}")
        ),
        *("--bind", "/dev", "/dev", "--proc", "/proc"),
        *(part for path in host for part in ("--bind", str(path), str(path))),
        "--same-dir",
        "--",
        *map(str, argv),
    ]
