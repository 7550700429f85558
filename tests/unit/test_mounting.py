# SPDX-License-Identifier: MIT
"""File systems that a person plugs in, for as long as they are needed."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from haagent.mounting import mounted


@pytest.mark.parametrize(
    ("kind", "driver"), [("vfat", "vfat"), ("exfat", "exfat"), ("ntfs", "ntfs3")]
)
def test_it_is_read_by_the_kernels_driver_and_by_nobody_else(
    kind: str, driver: str, tmp_path: Path
) -> None:
    ran: list[Sequence[str]] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        ran.append(argv)
        return ""

    point = tmp_path / "usb"
    with mounted("sdb1", kind, point, run=run):
        assert len(ran) == 1
    options = "ro,nosuid,nodev,noexec,umask=0077"
    assert ran == [
        ("mount", "-t", driver, "-o", options, "/dev/sdb1", str(point)),
        ("umount", str(point)),
    ]
