# SPDX-License-Identifier: MIT
"""The plain face: text in 80 columns of ASCII, for any console there is."""

from firstboot.probe import Disk, Machine, Nic
from firstboot.wording import count, size
from haagent import __version__
from haagent.folding import WIDTH

NOT_SET_UP = "This machine is not set up. It looks for the other one; `alone` does without."
UNTOUCHED = "Nothing was written to any disk but the one marked as boot medium."
AGAIN = "Press Enter to look at the hardware again; `details` shows everything."
INSTALLABLE = "`install` puts the system on an internal disk; else it stays on the stick."
MOST_THINGS = 5  # cards and disks on the first page, which leaves room for a few lines below it


def greeting(machine: Machine, *, may_install: bool = False) -> str:
    """The whole first page: who we are, what this machine is made of, what happens next."""
    cards, disks = map(_nic, machine.nics), map(_disk, machine.disks)
    things = [*cards, *disks]
    if len(things) > MOST_THINGS:
        hidden = len(things) - (MOST_THINGS - 1)
        things = [*things[: MOST_THINGS - 1], f"  {'And more':<12}{hidden} cards and disks"]
    return _page(
        f"Welcome to Shoestring {__version__}",
        *_facts(machine),
        *things,
        *_missing(machine),
        "",
        NOT_SET_UP,
        UNTOUCHED,
        AGAIN,
        *([INSTALLABLE] if may_install else []),
    )


def details(machine: Machine) -> str:
    """All that is known of this machine, however long."""
    return _page(
        *_facts(machine), *map(_nic, machine.nics), *map(_disk, machine.disks), *_missing(machine)
    )


def _page(*lines: str) -> str:
    return "\n".join(line[:WIDTH] for line in lines)


def _facts(machine: Machine) -> list[str]:
    return [f"  {name:<12}{value}" for name, value in _about(machine)]


def _missing(machine: Machine) -> list[str]:
    """What there should be, and is not."""
    found = []
    if not machine.nics:
        found.append("  Card        none found: a pair needs two")
    if not machine.disks:
        found.append("  Disk        none found")
    return found


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
    return f"  {'Card':<12}{nic.name}  {nic.mac}  {link}{speed}, {nic.driver}"


def _disk(disk: Disk) -> str:
    # Before the model, which may be long: which disk nobody can take is what matters.
    notes = ["boot medium"] * disk.is_boot_medium + ["removable"] * disk.is_removable
    serial = f"serial {disk.serial}" if disk.serial else "no serial"
    told = f" ({', '.join(notes)})" if notes else ""
    return f"  {'Disk':<12}{disk.name}{told}  {size(disk.size)}  {disk.model}, {serial}"
