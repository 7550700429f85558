# SPDX-License-Identifier: MIT
"""A Debian that nobody built for Xen, as a disk image: its own kernel, systemd, LVM, PostgreSQL.

mkosi makes the system (tests/vm/debian), and an installation in a plain QEMU puts it onto LVM.
"""

import hashlib
import os
import subprocess
from pathlib import Path

from tests.vm import tools
from tests.vm.accel import acceleration

FILES = tools.TOP / "tests/vm/debian"
OUT = tools.BUILD / "debian"
IMAGE = OUT / "debian.qcow2"
SIZE = 1400 << 20  # bytes; two of them fit a data disk beside the first guest
INSTALLS = 1800  # seconds, emulated on a busy host
LAST = 3000  # characters of what went wrong


def qcow2() -> Path:
    """The image, made if it is not there or was made of something else."""
    digest = hashlib.sha256()
    for path in sorted(FILES.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(FILES)}\0".encode() + path.read_bytes())
    made, inputs = OUT / "made", digest.hexdigest()
    if not IMAGE.exists() or not made.exists() or made.read_text() != inputs:
        made.unlink(missing_ok=True)
        _build()
        _install()
        made.write_text(inputs)
    return IMAGE


def _build() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "MKOSI_IMAGE": str(FILES)}
    _run([str(tools.TOP / "ci/mkosi"), "--force", "build"], environment)


def _install() -> None:
    target = OUT / "target.raw"
    with target.open("wb") as file:
        file.truncate(SIZE)
    argv = ["qemu-system-x86_64", "-accel", acceleration(), "-m", "1024", "-nographic"]
    argv += ["-no-reboot", "-nic", "none", "-kernel", f"{OUT}/vmlinuz", "-initrd", f"{OUT}/initrd"]
    argv += ["-append", "root=/dev/vda1 rw console=ttyS0 panic=-1 init=/usr/lib/guest/install"]
    for disk in (OUT / "system.raw", target):
        argv += ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"]
    said = _run(tools.command(*argv))
    assert "install: done" in said, f"the installation failed:\n{said[-LAST:]}"
    _run(tools.command("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", target, IMAGE))
    target.unlink()


def _run(argv: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=INSTALLS,
        check=False,
    )
    assert done.returncode == 0, f"{argv[0]} failed:\n{done.stdout[-LAST:]}"
    return done.stdout
