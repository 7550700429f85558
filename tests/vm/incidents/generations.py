# SPDX-License-Identifier: MIT
"""What one machine's heartbeat makes of another one that began anew, with whichever generation: by
its own words, for the agents see only that something is heard, or nothing is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.vm.machine import Machine

# Of heartbeat.c, 3.0.6: should_drop_message says it of each word, HBDoMsg_T_STATUS when the other
# one goes from its start to serving, restart_heartbeat when it forgets all by itself, as after
# hearing nothing of its own for deadtime, which a busy host may bring about.
DROPS = "attempted replay attack [{name}]"
FOLLOWS = "Status update for node {name}: status"
FORGETS = "Performing heartbeat restart exec"


@dataclass(frozen=True, slots=True)
class Reception:
    """How a heartbeat came to hear one that began anew."""

    was_deaf: bool  # it took the words of that for old ones, up to a start of its own
    forgot: bool  # such a start came about by itself


def reception(said: Sequence[str], name: str) -> Reception | None:
    """What a heartbeat has SAID since that of the node NAME began anew comes to; None while it does
    not follow that one.
    """
    follows = next((at for at, line in enumerate(said) if FOLLOWS.format(name=name) in line), None)
    if follows is None:
        return None
    before = said[:follows]
    return Reception(
        was_deaf=any(DROPS.format(name=name) in line for line in before),
        forgot=any(FORGETS in line for line in before),
    )


def heartbeat_said(machine: Machine) -> list[str]:
    """In this boot."""
    asked = "journalctl --boot --unit=heartbeat --no-pager --output=cat --quiet"
    return machine.run(asked, 120).splitlines()
