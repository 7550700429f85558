# SPDX-License-Identifier: MIT
"""One disk of an emulated PC: its files, and how QEMU sees it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk behind nbdkit that forgets what was not flushed when the power is cut, and fails when
    it is told to.

    What fails reaches the machine as an error of its disk, ENOSPC too: by itself QEMU would stop
    the machine on that one (qemu(1), -drive), and it would look as if it hung.
    """

    name: str
    size: int  # bytes
    base: Path | None = None  # what is on it at first; blank otherwise
    device: str = "virtio-blk-pci"  # what QEMU calls it: ide-hd, nvme, scsi-hd, usb-storage
    # QEMU's name of a controller that is there for this disk alone, such as megasas or usb-ehci;
    # without one it is at a port that the machine has anyway.
    controller: str = ""
    sector: int = 512  # bytes; the least that it reads and writes

    def create(self, folder: Path) -> None:
        file = self.file(folder)
        if self.base:
            copy(self.base, file)
        else:
            file.touch()
        os.truncate(file, self.size)

    def arguments(self, index: int, serial: str) -> list[str]:
        """QEMU's, for the disk that firmware tries as number INDEX."""
        argv = [
            "-blockdev",
            f"driver=nbd,node-name={self.name},server.type=unix,server.path={self.name}.nbd",
        ]
        device = f"{self.device},drive={self.name},serial={serial},bootindex={index},id={self.name}"
        if self.controller:
            argv += ["-device", f"{self.controller},id={self.name}-port"]
            device += f",bus={self.name}-port.0"
        elif self.device == "ide-hd":
            device += f",bus=ide.{index}"  # a port of q35's AHCI, or a cable of pc's IDE, for each
        if self.device != "nvme":  # which has no such setting, and always reports
            device += ",rerror=report,werror=report"
        if self.sector != 512:
            device += f",logical_block_size={self.sector},physical_block_size={self.sector}"
        return [*argv, "-device", device]

    def file(self, folder: Path) -> Path:
        return folder / f"{self.name}.raw"

    def socket(self, folder: Path) -> Path:
        return folder / f"{self.name}.nbd"

    def control(self, folder: Path) -> Path:
        """Where whoever serves it listens; it is served once that is there."""
        return folder / f"{self.name}.ctl"


def copy(source: Path, target: Path) -> None:
    """Copies a disk without its holes."""
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)
