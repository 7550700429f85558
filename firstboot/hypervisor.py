# SPDX-License-Identifier: MIT
"""Asks Xen what the whole machine has: dom0, which we run in, sees only its own share."""

from dataclasses import dataclass

from haagent.errors import ParseError

START = ("systemctl", "start", "xen.service")  # xl would wait for a store that is not there
ASK = ("xl", "info")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """What xl(1) tells; sizes are bytes."""

    processors: int
    total_memory: int  # of the machine, all that Xen manages
    free_memory: int  # that guests can still get
    has_hvm: bool  # whether the processor virtualises, and the firmware lets it


def parse_hypervisor(text: str) -> Hypervisor:
    """From `xl info` (tools/xl/xl_info.c: `name : value`). Raises ParseError."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    try:
        return Hypervisor(
            processors=int(found["nr_cpus"]),
            total_memory=int(found["total_memory"]) * MIB,
            free_memory=int(found["free_memory"]) * MIB,
            has_hvm="hvm" in found["virt_caps"].split(),
        )
    except (KeyError, ValueError) as error:
        raise ParseError(ASK, text[:200]) from error
