# SPDX-License-Identifier: MIT
"""Looks closer than probe.py: asks the programs that know more than files tell. Changes nothing.

Each that fails, or says what nobody understands, leaves "not known" behind, and never a good word:
what is on a disk that cannot be read counts as something.
"""

from collections.abc import Mapping
from dataclasses import replace

from firstboot import contents, health
from firstboot.hypervisor import ASK, START, parse_hypervisor
from firstboot.probe import Disk, Health, Machine
from firstboot.wording import printable
from haagent.errors import ToolError
from haagent.run import Run, run
from haagent.storage import lvm

LIMIT = 60.0  # seconds for one program; a disk that slept takes its time, a failing one even more


def examine(machine: Machine, run: Run = run) -> Machine:
    """MACHINE, as `probe` read it just now, with what programs tell. Raises nothing."""
    groups = _groups(run) if machine.disks else {}
    machine = replace(machine, disks=tuple(_disk(disk, groups, run) for disk in machine.disks))
    if machine.xen is None:
        return machine
    try:
        run(START, timeout=LIMIT)
        xen = parse_hypervisor(run(ASK, timeout=LIMIT))
    except ToolError:
        return machine
    return replace(
        machine,
        cores=xen.processors,
        has_hvm=xen.has_hvm,
        total_memory=xen.total_memory,
        free_memory=xen.free_memory,
    )


def _groups(run: Run) -> Mapping[str, str]:
    """LVM's group of each device that is in one."""
    try:
        found = lvm.parse_physical_volumes(run(lvm.LIST_PHYSICAL, timeout=LIMIT))
    except ToolError:
        return {}
    return {volume.device.removeprefix("/dev/"): volume.group for volume in found}


def _disk(disk: Disk, groups: Mapping[str, str], run: Run) -> Disk:
    disk = replace(disk, health=_health(disk, run))
    if disk.is_boot_medium:
        return disk  # it cannot be taken, whatever is on it
    devices = (disk.name, *disk.partitions)
    argv = contents.find_marks(devices)
    try:
        marks = contents.parse_marks(argv, run(argv, timeout=LIMIT))
    except ToolError:
        # safety: nobody knows what is there, so it is not blank.
        holds = tuple(dict.fromkeys((*disk.holds, contents.UNREADABLE)))
        return replace(disk, holds=holds, physical_volume="")
    return replace(
        disk,
        holds=contents.holds(disk.name, disk.partitions, marks, groups),
        physical_volume=contents.sole_physical_volume(disk.name, disk.partitions, marks),
        group=printable(next((groups[name] for name in devices if groups.get(name)), "")),
    )


def _health(disk: Disk, run: Run) -> Health:
    argv = health.ask_disk(disk.name)
    try:
        return health.parse_health(argv, run(argv, timeout=LIMIT))
    except ToolError:
        return Health()
