# SPDX-License-Identifier: MIT
"""What a complaint is. The sentences are in the modules beside this one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from haagent.console.alarms import Alarm
from haagent.core.model import NodeState

Missing = Callable[[NodeState, str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Complaint:
    """A code, and three sentences about this time."""

    code: Alarm
    what: str
    means: str
    do: str
