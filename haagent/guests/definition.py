# SPDX-License-Identifier: MIT
"""Owns what a guest is to Xen: a `Guest` -> the text that `xl create` reads, xl.cfg(5).

It must not run anything. Every value is checked against a pattern first, so that none of them can
end its string and add a setting of its own.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import UUID, uuid5

from haagent.errors import BugError, OperatorError
from haagent.guests import disks
from haagent.guests.name import checked

# Names the guests' identities; made once, for good.
NAMESPACE = UUID("fe820daa-7fab-435f-acf9-4cc2350cfc0c")

VDEV = re.compile("xvd[a-z]|sd[a-z]|hd[a-d]", re.ASCII)
DEVICE = re.compile("/dev/drbd[0-9]{1,7}", re.ASCII)
MAC = re.compile("[0-9a-f][02468ace](:[0-9a-f]{2}){5}", re.ASCII)  # of one card, not of a group
BRIDGE = re.compile("[A-Za-z0-9_.-]{1,15}", re.ASCII)  # IFNAMSIZ, linux/if.h
MOST_MEMORY, MOST_VCPUS = 1 << 24, 512

# safety: Xen's own script would let a guest speak with any address of Ethernet. Xen looks for it in
# /etc/xen/scripts (image/mkosi.extra).
SCRIPT = "vif-shoestring"


class Kind(StrEnum):
    """How Xen runs a guest (xl.cfg(5), `type`)."""

    PV = "pv"  # on every processor; its kernel must be one that GRUB can unpack: gzip, xz or none
    PVH = "pvh"  # on one that helps with virtualization; the kernel unpacks itself
    HVM = "hvm"  # on such a one, as a PC that QEMU makes up: whatever a PC with a BIOS starts


# GRUB in two forms (package grub-xen-host); each starts the kernel that is on the guest's own disk.
# It is not ours to read a guest's file systems in dom0, as pygrub does.
GRUB = {
    Kind.PV: "/usr/lib/grub-xen/grub-x86_64-xen.bin",
    Kind.PVH: "/usr/lib/grub-xen/grub-i386-xen_pvh.bin",
}
# QEMU as the image starts it: what a guest has it do comes after what the agent does.
DEVICE_MODEL = "/usr/lib/shoestring/device-model"
PC_DISKS = re.compile("(xvd|hd)[abd]", re.ASCII)  # what is an IDE disk as well, but the CD drive
CD_DRIVE = "hdc"
SCREENS = Path("/run/shoestring/screens")
CD = re.compile("/[A-Za-z0-9/._-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Guest:
    """One guest. Raises OperatorError if a value is not fit for xl's configuration."""

    name: str
    memory: int  # MiB
    vcpus: int
    disks: tuple[tuple[str, str], ...]  # (xvda, /dev/drbd0), in the guest's order
    mac: str
    bridge: str
    kind: Kind = Kind.PV
    slices: tuple[int, ...] = ()  # MiB of each disk but the last, where one device has several

    @property
    def given(self) -> tuple[tuple[str, str], ...]:
        """Its disks as Xen gets them."""
        if not self.slices:
            return self.disks
        names = disks.names(self.slices, is_pc=self.kind is Kind.HVM)
        return tuple((name, str(disks.path(self.minor, name))) for name in names)

    @property
    def minor(self) -> int:
        """The number N of the first device, /dev/drbdN."""
        return int(self.disks[0][1].removeprefix("/dev/drbd"))

    def __post_init__(self) -> None:
        checked(self.name)
        self._match("MAC address", MAC, self.mac)
        self._match("bridge", BRIDGE, self.bridge)
        for vdev, device in self.disks:
            self._match("disk's name", VDEV, vdev)
            self._match("disk's device", DEVICE, device)
            if self.kind is Kind.HVM:
                self._match("disk's name in a PC", PC_DISKS, vdev)
        if not self.disks or len(dict(self.disks)) != len(self.disks):
            raise self._unfit("list of disks", [vdev for vdev, _ in self.disks])
        if (self.slices and len(self.disks) != 1) or len(self.given) <= len(self.slices):
            raise self._unfit("number of disks", len(self.slices) + 1)
        for what, number, most in (
            ("memory in MiB", self.memory, MOST_MEMORY),
            ("number of processors", self.vcpus, MOST_VCPUS),
        ):
            # The type is checked too: what is written must be a number whatever a caller hands in.
            if type(number) is not int or not 1 <= number <= most:
                raise self._unfit(what, number)

    def _match(self, what: str, pattern: re.Pattern[str], value: str) -> None:
        if not pattern.fullmatch(value):
            raise self._unfit(what, value)

    def _unfit(self, what: str, value: object) -> OperatorError:
        return OperatorError(
            f"the {what} of guest {self.name} cannot be {value!r}",
            "Correct the guest's settings; both machines must have the same.",
        )


def identity(name: str) -> UUID:
    """The domain's UUID: the same on both nodes, and known when Xen has forgotten the name."""
    return uuid5(NAMESPACE, checked(name))


def screen(name: str) -> Path:
    """Where QEMU shows the screen of the PC called NAME, by the protocol of VNC."""
    return SCREENS / checked(name)


def definition(guest: Guest, cd: Path | None = None) -> str:
    """The configuration of GUEST for xl. A PC starts from CD, if it has one."""
    disks = [
        f'"vdev={vdev},access=rw,format=raw,backendtype=phy,target={device}"'
        for vdev, device in guest.given
    ]
    if cd is not None:
        if guest.kind is not Kind.HVM or not CD.fullmatch(str(cd)):
            raise BugError(f"a guest of type {guest.kind} gets the CD {cd}")
        disks.append(f'"vdev={CD_DRIVE},devtype=cdrom,access=ro,format=raw,target={cd}"')
    is_pc = guest.kind is Kind.HVM
    card = f"mac={guest.mac},bridge={guest.bridge},script={SCRIPT}" + ",model=e1000" * is_pc
    # safety: a guest never starts by itself, not even again; only the agent knows whether this
    # node still holds it. What has ended stays until the agent has seen how, and destroys it.
    return f"""\
name = "{guest.name}"
uuid = "{identity(guest.name)}"
type = "{guest.kind}"
{_pc(guest.name, cd) if is_pc else f'kernel = "{GRUB[guest.kind]}"'}
memory = {guest.memory}
vcpus = {guest.vcpus}
disk = [ {", ".join(disks)} ]
vif = [ "{card}" ]
on_poweroff = "preserve"
on_reboot = "preserve"
on_crash = "preserve"
on_watchdog = "preserve"
on_soft_reset = "preserve"
"""


def _pc(name: str, cd: Path | None) -> str:
    """The firmware is SeaBIOS; `xl console` shows the first serial line, and the screen is behind a
    socket that only root opens.
    """
    # safety: libxl gives QEMU the disks with cache=writeback (qemu_disk_ide_drive_string in
    # tools/libs/light/libxl_dm.c of Xen 4.20): what the guest flushes is flushed to DRBD, what it
    # does not may be lost with this machine, as in any PC's disk. A kernel with Xen's drivers
    # unplugs them and the card (docs/misc/hvm-emulated-unplug.pandoc), and has those of the other
    # types.
    return f"""\
device_model_version = "qemu-xen"
device_model_override = "{DEVICE_MODEL}"
boot = "{"c" if cd is None else "dc"}"
vga = "stdvga"
vnc = 1
vncunused = 0
vnclisten = "unix:{screen(name)}"
serial = "pty"
usbdevice = "tablet"\
"""
