# SPDX-License-Identifier: MIT
"""One emulated PC: its QEMU process, its disks, its console, its control channel, and the ways to
hurt it.
"""

import contextlib
import json
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from tests.vm import tools
from tests.vm.control import Control
from tests.vm.disk import Disk, copy
from tests.vm.disk_faults import Fault
from tests.vm.drive import Drive
from tests.vm.qmp import Qmp
from tests.vm.serial_line import SerialLine
from tests.vm.volatile import VolatileCache
from tests.vm.wait import wait_until

OVMF = Path("/usr/share/OVMF")  # in the tools tree
STATE = "state"  # of a machine that was saved as it ran: its memory and devices

WatchdogAction = Literal["reset", "pause", "poweroff", "none"]


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
        watchdog: str = "",
        accel: str = "tcg",
    ) -> None:
        """A board of kind q35 has an iTCO watchdog by itself. WATCHDOG is another that is plugged
        in, as QEMU calls it, such as i6300esb.
        """
        self.name = name
        self.disks = list(disks)
        self._cables = folder
        self.nics = list(nics)
        self._uefi = uefi
        self._memory = memory
        self._board = board
        self._watchdog = watchdog
        self._accel = accel
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._qemu: SerialLine | None = None
        self._drives: dict[str, Drive] = {}  # by the name of the disk; none when it is off
        self._faults: dict[str, list[Fault]] = {}  # of a disk, those that outlast a power cut
        self._qmp: Qmp | None = None
        self._control: Control | None = None
        for disk in self.disks:
            if not disk.file(self.folder).exists():
                disk.create(self.folder)
        if uefi and not (self.folder / "vars.fd").exists():
            shutil.copy(tools.TREE / "usr/share/OVMF/OVMF_VARS_4M.fd", self.folder / "vars.fd")

    # --- power

    def power_on(self, incoming: Path | None = None, *, clock: datetime | None = None) -> None:
        """Starts the disks and the machine; with INCOMING, as it was when that file was saved.

        CLOCK, in UTC, is what its battery-backed clock says when it starts, this once; without, it
        is right. What was saved has a clock of its own.
        """
        assert not self.is_on, f"{self.name} is on already"
        self.close()  # what is left of one that switched itself off
        self._start_disks()
        argv = tools.command("qemu-system-x86_64", *self.arguments(clock))
        if incoming:
            argv += ["-incoming", f"file:{incoming}"]
        self._qemu = SerialLine(
            argv,
            encoding="utf-8",
            codec_errors="replace",
            timeout=300,
            cwd=str(self.folder),
        )
        self._qmp = Qmp(self.name, self.folder / "qmp")
        wait_until(f"{self.name}'s QMP greeting", self._connect_qmp, 120, 0.05)
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

    def arguments(self, clock: datetime | None = None) -> list[str]:
        """QEMU's arguments; the machine starts paused, so that nothing it prints is lost."""
        base = f"{clock:%Y-%m-%dT%H:%M:%S}" if clock else "utc"
        # Not `max`: with it, programs in dom0 die at random once a PV guest runs beside it, about
        # one in a hundred. What QEMU emulates of newer CPUs does not survive Xen's switches. SVM is
        # the help with virtualization that it emulates, and that most PCs have: for guests of type
        # pvh.
        cpu = "host" if self._accel == "kvm" else "qemu64,+svm,+npt"
        argv = ["-nodefaults", "-S", "-name", self.name]
        argv += ["-machine", self._board, "-accel", self._accel]
        # The clock stops with the machine: a checkpoint is no stall, and whoever is stopped by QMP
        # cannot tell that it was.
        argv += ["-cpu", cpu, "-smp", "1", "-m", str(self._memory), "-rtc", f"base={base},clock=vm"]
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
        if self._watchdog:
            argv += ["-device", self._watchdog]
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
        for drive in self._drives.values():
            drive.power_cut(seed)
        self._stop_disks()

    def reset(self) -> None:
        """The reset button: it starts anew at once, and its disks keep what they were told. QEMU
        waits for requests that hang in a disk first, and says nothing by QMP meanwhile.
        """
        self.qmp("system_reset")

    def press_power_button(self) -> None:
        """A short press: whoever runs is asked to shut down (ACPI), and QEMU ends when that is
        done.
        """
        self.qmp("system_powerdown")

    def stand_still(self) -> None:
        """It stops with all its clocks, and so its watchdogs, which count virtual time: no real PC
        does that. QEMU waits for requests that hang in a disk first.
        """
        self.qmp("stop")

    def go_on(self) -> None:
        self.qmp("cont")

    def when_unfed(self, action: WatchdogAction) -> None:
        """What QEMU does from now on when a watchdog of the machine has not been fed in time:
        `reset` it (that is so without this), `pause` it as `stand_still` does, `poweroff`, or
        `none`: a watchdog that does not bite (qemu-qmp-ref(7), watchdog-set-action).
        """
        self.qmp("watchdog-set-action", action=action)

    def hurt(self, disk: str, fault: Fault) -> None:
        """FAULT is for what is asked of its DISK from now on. It stays until it is healed, also
        when the machine is off meanwhile; only one with `times` is forgotten then.
        """
        drive = self._drives.get(self._disk(disk).name)
        assert drive or fault.times is None, f"{self.name} is off: nobody would count"
        if fault.times is None:
            self._faults.setdefault(disk, []).append(fault)
        if drive:
            drive.hurt(fault)

    def heal(self, disk: str) -> None:
        """No fault of its DISK is left, and what hung goes on. What has rotted stays."""
        self._faults.pop(self._disk(disk).name, None)
        if drive := self._drives.get(disk):
            drive.heal()

    def rot(self, disk: str, offset: int, count: int = 1, seed: int = 0) -> None:
        """COUNT bytes that its DISK stores at OFFSET are wrong from now on, each by one bit. A
        machine that has them in memory does not notice.
        """
        named = self._disk(disk)
        if drive := self._drives.get(disk):
            drive.rot(offset, count, seed)
        else:
            with contextlib.closing(VolatileCache(named.file(self.folder))) as stored:
                stored.rot(offset, count, seed)

    def met(self, disk: str) -> int:
        """How many requests to its DISK have met a fault since the machine was switched on."""
        drive = self._drives.get(self._disk(disk).name)
        return drive.met if drive else 0

    def broken(self) -> list[str]:
        """What this host could not serve, in sentences: no fault of the machine's."""
        told = []
        for name, drive in self._drives.items():
            try:
                if failed := drive.broken:
                    told.append(f"this host failed {failed} requests to the disk {name}")
            except OSError as error:
                told.append(f"the disk {name} does not answer: {error}")
        return told

    def _disk(self, name: str) -> Disk:
        """The one called NAME."""
        found = next((disk for disk in self.disks if disk.name == name), None)
        assert found, f"{self.name} has no disk called {name!r}"
        return found

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
        """Writes memory, devices and disks of this paused machine to FOLDER; of one that is off,
        its disks.
        """
        folder.mkdir(parents=True)
        if self.is_on:
            self.qmp("migrate", uri=f"file:{folder / STATE}")
            wait_until(f"{self.name} to be saved", self._is_saved, 300, 0.1)
        for disk in self.disks:
            if drive := self._drives.get(disk.name):
                drive.flush()
            copy(disk.file(self.folder), folder / disk.file(self.folder).name)
        if self._uefi:
            shutil.copy(self.folder / "vars.fd", folder)

    def _is_saved(self) -> bool:
        status = self.qmp("query-migrate").get("status")
        if status == "failed":
            raise AssertionError(f"{self.name} was not saved: {self.qmp('query-migrate')}")
        return status == "completed"

    def load(self, folder: Path) -> None:
        """Becomes, paused or off, the machine that was saved in FOLDER."""
        for disk in self.disks:
            copy(folder / disk.file(self.folder).name, disk.file(self.folder))
        if self._uefi:
            shutil.copy(folder / "vars.fd", self.folder)
        if (folder / STATE).exists():
            self.power_on(incoming=folder / STATE)

    # --- inside

    def _start_disks(self) -> None:
        for disk in self.disks:
            faults = self._faults.get(disk.name, ())
            self._drives[disk.name] = Drive(disk, self.folder, faults)

    def _stop_disks(self) -> None:
        for drive in self._drives.values():
            drive.stop()
        self._drives.clear()

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
            self._qmp.close()
        for name in ("qmp", "control"):
            (self.folder / name).unlink(missing_ok=True)
        self._qemu = self._qmp = self._control = None

    # --- talking to it

    def _connect_qmp(self) -> bool:
        assert self._qmp is not None
        if not self.is_on:
            raise MachineDiedError(f"{self.name}: QEMU ended at once:\n{self.console.read()}")
        return self._qmp.connect()

    def qmp(self, command: str, **arguments: object) -> dict[str, str]:
        """One QMP command (qemu-qmp-ref(7)). Raises what `Qmp.tell` raises."""
        assert self._qmp is not None, f"{self.name} is off"
        return self._qmp.tell(command, **arguments)

    def happened(self, event: str) -> int:
        """How often QEMU has told of EVENT since the machine was switched on: WATCHDOG, when one
        was not fed in time, RESET, STOP and others (qemu-qmp-ref(7)).
        """
        assert self._qmp is not None, f"{self.name} is off"
        return self._qmp.happened(event)

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

    def answer(self, command: str, timeout: float = 60) -> Any:
        """What COMMAND answers a program: what it takes from standard output with --json."""
        return json.loads(self.run(f"{command} --json 2>/dev/null", timeout))

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
