# SPDX-License-Identifier: MIT
"""Complaints about updates of this machine: one that came to nothing, one that is not over."""

from collections.abc import Iterator

from haagent.console.alarms import Alarm
from haagent.console.complaints.complaint import Complaint
from haagent.console.surroundings import Surroundings
from haagent.core.model import NodeState
from haagent.core.together import names


def ours(state: NodeState, around: Surroundings) -> Iterator[Complaint]:
    """About this machine's stick."""
    me, _ = names(state)
    news = around.update
    if news is None:
        return
    if news.fallen:
        yield Complaint(
            Alarm.UPDATE_FELL_BACK,
            f"The update to {news.fallen} did not start on {me}; {news.runs} runs again.",
            "It was given up by itself. Nothing is lost.",
            f"Install another one; or stay with {news.runs}, and `shoestring update --dismiss` on"
            f" {me} ends this.",
        )
    if news.waits:
        yield Complaint(
            Alarm.UPDATE_WAITS,
            f"{me} starts {news.waits} at its next start; {news.runs} runs until then.",
            "Also after a power cut. The update is not over before that start.",
            f"`shoestring reboot` on {me}.",
        )
