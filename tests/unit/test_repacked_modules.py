# SPDX-License-Identifier: MIT
"""The kernel's modules, as image/mkosi.finalize.d/modules packs them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "image/mkosi.finalize.d/modules"
KERNEL = "6.12.0-test"
NEEDED = ("bash", "find", "xargs", "xz", "zstd")
missing = [name for name in NEEDED if shutil.which(name) is None]


@pytest.mark.skipif(bool(missing), reason=f"not on this host: {' '.join(missing)}")
def test_each_is_the_same_when_it_is_unpacked_and_all_are_listed_anew(tmp_path: Path) -> None:
    folder = tmp_path / "root/usr/lib/modules" / KERNEL / "kernel"
    modules = {f"drivers/a dir/m{number}.ko": os.urandom(999) for number in range(40)}
    for name, content in modules.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        subprocess.run(["xz", file], check=True, timeout=60)
    # depmod(8) is for root, and for real modules; what it was asked is enough.
    programs = tmp_path / "bin"
    programs.mkdir()
    depmod = programs / "depmod"
    depmod.write_text(f'#!/bin/sh\necho "$@" >"{tmp_path}/asked"\n')
    depmod.chmod(0o755)
    environment = {**os.environ, "BUILDROOT": str(tmp_path / "root")}
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    subprocess.run([SCRIPT], env=environment, check=True, timeout=60)
    packed = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert packed == {f"{name}.zst" for name in modules}
    for name, content in modules.items():
        unpacked = subprocess.run(
            ["zstd", "--decompress", "--stdout", folder / f"{name}.zst"],
            stdout=subprocess.PIPE,
            check=True,
            timeout=60,
        )
        assert unpacked.stdout == content
    assert (tmp_path / "asked").read_text() == f"--basedir {tmp_path}/root {KERNEL}\n"
