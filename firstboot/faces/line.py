# SPDX-License-Identifier: MIT
"""The plain face: text in 80 columns of ASCII, for any console there is."""

from firstboot.probe import Disk, Machine, Nic
from firstboot.wording import count, size
from haagent import __version__

WIDTH = 80
NOT_SET_UP = (
    "This machine is not set up. It looks for the other machine by itself.",
    "Nothing was written to any disk but the one marked as boot medium.",
)


def greeting(machine: Machine) -> str:
    """The whole first page: who we are, what this machine is made of, what happens next."""
    return "\n".join(
        [
            f"Welcome to Shoestring {__version__}",
            "Two ordinary PCs and a crossover cable: when one dies, the other takes over.",
            "",
            "This machine",
            *(f"  {name:<12}{value}"[:WIDTH] for name, value in _about(machine)),
            "",
            "Network cards",
            *([_nic(n)[:WIDTH] for n in machine.nics] or ["  none found: a pair needs two"]),
            "",
            "Disks",
            *([_disk(d)[:WIDTH] for d in machine.disks] or ["  none found"]),
            "",
            *NOT_SET_UP,
            "",
            "Press Enter to look at the hardware again.",
            "",
        ]
    )


def _about(machine: Machine) -> list[tuple[str, str]]:
    state = size(machine.state_size) if machine.state_size else "MISSING, settings cannot be kept"
    return [
        ("Processor", f"{machine.processor}, {count(machine.cores, 'core')}"),
        ("Memory", f"{size(machine.memory)}{' for the system itself' if machine.xen else ''}"),
        (
            "Hypervisor",
            f"Xen {machine.xen}" if machine.xen else "none: guests cannot run (rescue boot)",
        ),
        ("Kernel", f"Linux {machine.kernel}"),
        ("Mirroring", f"DRBD {machine.drbd}" if machine.drbd else "MISSING, DRBD is not loaded"),
        ("Watchdog", ", ".join(machine.watchdogs) or "MISSING"),
        ("Root", "read-only" if machine.root_is_read_only else "WRITABLE, it should not be"),
        ("State", state),
        ("Identity", machine.machine_id or "MISSING"),
    ]


def _nic(nic: Nic) -> str:
    link = {None: "not in use yet", True: "cable connected", False: "no cable"}[nic.has_carrier]
    speed = f", {nic.speed} Mbit/s" if nic.speed else ""
    return f"  {nic.name:<10}{nic.mac}  {nic.driver:<12}{link}{speed}"


def _disk(disk: Disk) -> str:
    notes = ["boot medium"] * disk.is_boot_medium + ["removable"] * disk.is_removable
    serial = f"serial {disk.serial}" if disk.serial else "no serial"
    return f"  {disk.name:<10}{size(disk.size):>9}  {disk.model}, {serial}" + (
        f" ({', '.join(notes)})" if notes else ""
    )
