# SPDX-License-Identifier: MIT
"""One emulated PC: its QEMU process, its disks, its console, its control channel, and the ways to
hurt it.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

from tests.vm import tools
from tests.vm.control import Control
from tests.vm.serial_line import SerialLine
from tests.vm.wait import wait_until

OVMF = Path("/usr/share/OVMF")  # in the tools tree
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Nic:
    segment: str  # the cable it is plugged into
    mac: str
    model: str = "virtio-net-pci"

    def arguments(self, plug: Path) -> list[str]:
        """QEMU's, for this card at the PLUG of its cable."""
        return [
            "-netdev",
            f"dgram,id={self.segment},local.type=unix,local.path={plug}.in"
            f",remote.type=unix,remote.path={plug}.out",
            "-device",
            f"{self.model},netdev={self.segment},mac={self.mac},id=nic-{self.segment}",
        ]


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk behind nbdkit that forgets what was not flushed when the power is cut."""

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
        if self.sector != 512:
            device += f",logical_block_size={self.sector},physical_block_size={self.sector}"
        return [*argv, "-device", device]

    def file(self, folder: Path) -> Path:
        return folder / f"{self.name}.raw"

    def socket(self, folder: Path) -> Path:
        return folder / f"{self.name}.nbd"

    def control(self, folder: Path, word: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(folder / f"{self.name}.ctl"))
            connection.sendall(word.encode() + b"\n")
            return connection.makefile().readline().strip()


def copy(source: Path, target: Path) -> None:
    """Copies a disk without its holes."""
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)


class MachineDiedError(AssertionError):
    """QEMU could not start the machine; the text is what it said."""


class Machine:
    """A PC called NAME whose files are in FOLDER/NAME. It is off until `power_on`."""

    def __init__(
        self,
        name: str,
        folder: Path,
        disks: Sequence[Disk],
        nics: Sequence[Nic] = (),
        *,
        uefi: bool = False,
        memory: int = 2048,
        board: str = "q35",
        accel: str = "tcg",
    ) -> None:
        self.name = name
        self.disks = list(disks)
        self._cables = folder
        self.nics = list(nics)
        self._uefi = uefi
        self._memory = memory
        self._board = board
        self._accel = accel
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._qemu: SerialLine | None = None
        self._nbdkit: list[subprocess.Popen[bytes]] = []
        self._qmp: QEMUMonitorProtocol | None = None
        self._control: Control | None = None
        for disk in self.disks:
            if not disk.file(self.folder).exists():
                disk.create(self.folder)
        if uefi and not (self.folder / "vars.fd").exists():
            shutil.copy(tools.TREE / "usr/share/OVMF/OVMF_VARS_4M.fd", self.folder / "vars.fd")

    # --- power

    def power_on(self, incoming: Path | None = None) -> None:
        """Starts the disks and the machine; with INCOMING, as it was when that file was saved."""
        for disk in self.disks:
            self._start_disk(disk)
        argv = tools.command("qemu-system-x86_64", *self.arguments())
        if incoming:
            argv += ["-incoming", f"file:{incoming}"]
        self._qemu = SerialLine(
            argv,
            encoding="utf-8",
            codec_errors="replace",
            timeout=300,
            cwd=str(self.folder),
        )
        self._qmp = QEMUMonitorProtocol(str(self.folder / "qmp"))
        wait_until(f"{self.name}'s QMP greeting", self._connect_qmp, 30, 0.05)
        self._control = Control(self.name, self.folder / "control")
        if incoming:
            wait_until(
                f"{self.name}'s checkpoint to load",
                lambda: self.qmp("query-status")["status"] not in ("inmigrate", "prelaunch"),
                120,
                0.1,
            )
        else:
            self.qmp("cont")

    def arguments(self) -> list[str]:
        """QEMU's arguments; the machine starts paused, so that nothing it prints is lost."""
        # Not `max`: with it, programs in dom0 die at random once a PV guest runs beside it, about
        # one in a hundred. What QEMU emulates of newer CPUs does not survive Xen's switches.
        cpu = "host" if self._accel == "kvm" else "qemu64"
        argv = ["-nodefaults", "-S", "-name", self.name]
        argv += ["-machine", self._board, "-accel", self._accel]
        # The clock stops with the machine: a checkpoint is no stall, and whoever is stopped by QMP
        # cannot tell that it was.
        argv += ["-cpu", cpu, "-smp", "1", "-m", str(self._memory), "-rtc", "base=utc,clock=vm"]
        argv += [
            "-chardev",
            "stdio,id=console,signal=off,logfile=console.log,logappend=on",
            "-serial",
            "chardev:console",
        ]
        argv += ["-qmp", "unix:qmp,server=on,wait=off", "-vga", "std", "-display", "none"]
        argv += [
            "-object",
            "rng-random,id=rng,filename=/dev/urandom",
            "-device",
            "virtio-rng-pci,rng=rng",
        ]
        argv += [
            "-device",
            "virtio-serial-pci",
            "-chardev",
            "socket,id=control,path=control,server=on,wait=off",
        ]
        argv += ["-device", "virtserialport,chardev=control,name=org.shoestring.control"]
        argv += ["-device", "qemu-xhci"]
        if self._uefi:
            argv += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd"]
            argv += ["-drive", "if=pflash,format=raw,file=vars.fd"]
        for index, disk in enumerate(self.disks):
            argv += disk.arguments(index, f"{self.name}-{disk.name}".upper())
        for nic in self.nics:
            argv += nic.arguments(self._cables / f"{nic.segment}-{self.name}")
        return argv

    def power_cut(self, seed: int | None = None) -> None:
        """The plug is pulled: the machine is gone, and so is what its disks had not been told to
        keep.
        """
        self._kill_qemu()
        for disk in self.disks:
            disk.control(self.folder, "cut" if seed is None else f"cut {seed}")
        self._stop_disks()

    def unplug(self, segment: str) -> None:
        """Pulls the cable out of this machine's card: its carrier is gone (qemu-qmp-ref(7))."""
        self.qmp("set_link", name=segment, up=False)

    def plug(self, segment: str) -> None:
        self.qmp("set_link", name=segment, up=True)

    def plug_in_stick(self, image: Path) -> None:
        """A USB stick with the content of IMAGE is plugged in while the machine runs."""
        node = {"node-name": "plugged", "driver": "file", "filename": str(image)}
        self.qmp("blockdev-add", **node)
        self.qmp("device_add", driver="usb-storage", drive="plugged", id="plugged")

    def unplug_stick(self) -> None:
        """The USB stick that it started from is pulled while it runs; it is there again when the
        machine is switched on the next time.
        """
        assert self.disks[0].device == "usb-storage", "only what is at a USB port can be pulled"
        self.qmp("device_del", id=self.disks[0].name)

    def close(self) -> None:
        """Ends everything, whatever state it is in."""
        self._kill_qemu()
        self._stop_disks()

    # --- checkpoints

    def save(self, folder: Path) -> None:
        """Writes memory, devices and disks of this paused machine to FOLDER."""
        folder.mkdir(parents=True)
        self.qmp("migrate", uri=f"file:{folder / 'state'}")
        wait_until(f"{self.name} to be saved", self._is_saved, 300, 0.1)
        for disk in self.disks:
            disk.control(self.folder, "flush")
            copy(disk.file(self.folder), folder / disk.file(self.folder).name)
        if self._uefi:
            shutil.copy(self.folder / "vars.fd", folder)

    def _is_saved(self) -> bool:
        status = self.qmp("query-migrate").get("status")
        if status == "failed":
            raise AssertionError(f"{self.name} was not saved: {self.qmp('query-migrate')}")
        return status == "completed"

    def load(self, folder: Path) -> None:
        """Becomes, paused, the machine that was saved in FOLDER."""
        for disk in self.disks:
            copy(folder / disk.file(self.folder).name, disk.file(self.folder))
        if self._uefi:
            shutil.copy(folder / "vars.fd", self.folder)
        self.power_on(incoming=folder / "state")

    # --- inside

    def _start_disk(self, disk: Disk) -> None:
        for leftover in (disk.socket(self.folder), self.folder / f"{disk.name}.ctl"):
            leftover.unlink(missing_ok=True)
        argv = tools.command(
            "nbdkit", "--foreground", "--newstyle", "--unix", disk.socket(self.folder)
        )
        argv += ["python", str(Path(__file__).parent / "nbdkit_plugin.py")]
        argv += [f"file={disk.file(self.folder)}", f"control={self.folder / disk.name}.ctl"]
        with (self.folder / f"{disk.name}.log").open("a") as log:
            self._nbdkit.append(
                subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            )
        wait_until(f"{self.name}'s disk {disk.name}", disk.socket(self.folder).exists, 30, 0.02)

    def _stop_disks(self) -> None:
        for process in self._nbdkit:
            process.kill()
            process.wait()
        self._nbdkit.clear()

    @property
    def is_on(self) -> bool:
        return self._qemu is not None and self._qemu.proc.poll() is None

    def _kill_qemu(self) -> None:
        if self._qemu is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._qemu.proc.send_signal(signal.SIGKILL)
        self._qemu.proc.wait()
        if self._control:
            self._control.close()
        if self._qmp:
            with contextlib.suppress(
                Exception
            ):  # the peer died by our hand, its socket may say anything
                self._qmp.close()
        for name in ("qmp", "control"):
            (self.folder / name).unlink(missing_ok=True)
        self._qemu = self._qmp = self._control = None

    # --- talking to it

    def _connect_qmp(self) -> bool:
        assert self._qmp is not None
        if not self.is_on:
            raise MachineDiedError(f"{self.name}: QEMU ended at once:\n{self.console.read()}")
        try:
            self._qmp.connect()
        except (OSError, QMPError):
            return False
        return True

    def qmp(self, command: str, **arguments: object) -> dict[str, str]:
        """One QMP command (qemu-qmp-ref(7)). Raises what qemu.qmp raises."""
        assert self._qmp is not None, f"{self.name} is off"
        answer = self._qmp.cmd(command, **arguments)
        return answer if isinstance(answer, dict) else {}

    @property
    def console(self) -> SerialLine:
        """The serial line: GRUB, Xen, then dom0's hvc0. It loses part of what is pasted."""
        assert self._qemu is not None, f"{self.name} is off"
        return self._qemu

    @property
    def control(self) -> Control:
        assert self._control is not None, f"{self.name} is off"
        return self._control

    def run(self, script: str, timeout: float = 60) -> str:
        return self.control.run(script, timeout)

    def journal(self) -> str:
        """That of the boot before, as far as it was kept, and of the running one; or why it cannot
        be had.
        """
        return self._tell(
            "for boot in -1 0; do journalctl --boot=$boot --no-pager --output=short-monotonic; done"
        )

    def how_it_stands(self) -> str:
        """The status page and what is below it; or why it cannot be had."""
        return self._tell(
            "haagent status; xl list; cat /proc/drbd; systemctl --failed --no-pager;"
            " cat /run/shoestring/set-up"
        )

    def _tell(self, script: str) -> str:
        if not self.is_on:
            return "the machine is off\n"
        try:
            return self.control.try_run(script, 120).out
        except (TimeoutError, OSError) as error:
            return f"{error}\n"

    def screenshot(self, path: Path) -> None:
        """What the monitor shows, as a PNG or PPM by PATH's ending."""
        self.qmp("screendump", filename=str(path), format=path.suffix[1:])
