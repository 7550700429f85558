# SPDX-License-Identifier: MIT
"""What a guest says under another address of Ethernet than its card's is dropped by the kernel
(vif-shoestring, image/mkosi.extra/etc/xen/scripts); this tells how much that was. Changes nothing.
"""

import json
from pathlib import Path

from haagent.errors import ParseError
from haagent.guests.definition import identity
from haagent.guests.xen import LIST, parse_list
from haagent.run import Run

LIMIT = 30.0  # seconds for one program
NET = Path("/sys/class/net")


def show_filter(card: str) -> tuple[str, ...]:
    """tc(8)."""
    return ("tc", "-json", "-statistics", "filter", "show", "dev", card, "ingress")


def parse_dropped(card: str, text: str) -> int:
    """Frames, from `show_filter`. Raises ParseError, also where there is no filter at all."""
    try:
        found = [
            action["stats"]["drops"]
            for one in json.loads(text)
            for action in one.get("options", {}).get("actions", ())
        ]
        if not found:
            raise ValueError("no filter")
        return sum(map(int, found))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParseError(show_filter(card), text[:200]) from error


def dropped(guest: str, run: Run, net: Path = NET) -> int | None:
    """Frames of GUEST since it started here; None if it does not run here. Raises ToolError."""
    for domain in parse_list(run(LIST, timeout=LIMIT)):
        if domain.uuid == identity(guest) and not domain.is_dying:
            return sum(
                parse_dropped(card, run(show_filter(card), timeout=LIMIT))
                for card in cards(domain.number, net)
            )
    return None


def cards(domain: int, net: Path) -> list[str]:
    """Of a PC there is an emulated one as well (libxl__device_nic_devname)."""
    card, emulated = f"vif{domain}.0", f"vif{domain}.0-emu"
    return [card, emulated] if (net / emulated).exists() else [card]
