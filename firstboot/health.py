# SPDX-License-Identifier: MIT
"""Asks a disk how it is, with smartctl(8). Not every disk answers: "not known" is an answer, and
never means well.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from firstboot.wording import count, printable
from haagent.errors import ParseError

BELIEVABLE = range(1_000_000)  # hours; a century has fewer
WORN_OUT = 90  # per cent of what an SSD's maker promised that it endures
# Attributes of ATA disks, all counts of sectors: the words for one of them, and for several.
SECTORS = {
    5: "{} replaced because it failed",
    197: "{} waiting to be replaced",
    198: "{} that cannot be read",
}
# The bits of critical_warning, NVM Express Base Specification, SMART / Health Information.
NVME_WARNINGS = {
    0x01: "its spare room is used up",
    0x04: "it is not reliable any more",
    0x08: "it takes no more writes",
    0x10: "it may lose what it just took when the power fails",
}


@dataclass(frozen=True, slots=True)
class Health:
    """What a disk says of itself."""

    is_failing: bool | None = None  # its own verdict; None: it does not say
    hours: int | None = None  # that it was switched on
    signs: tuple[str, ...] = ()  # of wear, in words


def ask_disk(disk: str) -> tuple[str, ...]:
    """smartctl(8). Its exit status repeats, bit by bit, what it prints, and is not 0 for every
    disk that is failing or cannot answer: through a shell that ignores it, the text is there.
    """
    argv = ("smartctl", "--json", "--health", "--attributes", f"/dev/{disk}")
    return ("sh", "-c", '"$@" || :', "sh", *argv)


def parse_health(argv: tuple[str, ...], text: str) -> Health:
    """From `smartctl --json`. Raises ParseError for what is not that."""
    try:
        told = json.loads(text)
        passed = told.get("smart_status", {}).get("passed")
        hours = told.get("power_on_time", {}).get("hours")
        nvme = told.get("nvme_smart_health_information_log", {})
        table = told.get("ata_smart_attributes", {}).get("table", [])
        return Health(
            is_failing=not passed if isinstance(passed, bool) else None,
            hours=hours if hours in BELIEVABLE else None,
            signs=(*_ata_signs(table), *_nvme_signs(nvme)),
        )
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise ParseError(argv, text[:200]) from error


def _ata_signs(table: list[dict[str, Any]]) -> Iterator[str]:
    for row in table:
        # The raw value packs other things in its upper bytes; the text begins with the count.
        number = str(row.get("raw", {}).get("string", "")).split(" ")[0]
        if row.get("id") in SECTORS and number.isdecimal() and int(number):
            yield SECTORS[row["id"]].format(count(int(number), "sector"))
        elif row.get("when_failed") == "now":
            yield f"{printable(str(row.get('name')))} is beyond its limit"


def _nvme_signs(log: dict[str, Any]) -> Iterator[str]:
    for bit, words in NVME_WARNINGS.items():
        if log.get("critical_warning", 0) & bit:
            yield words
    if log.get("percentage_used", 0) >= WORN_OUT:
        yield f"{log['percentage_used']} % of its life is used"
    if log.get("media_errors", 0):
        yield f"{count(log['media_errors'], 'error')} in what it stored"
