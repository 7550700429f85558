# SPDX-License-Identifier: MIT
"""A note about each guest that this machine was to back up by itself, and has not."""

from collections.abc import Iterator

from haagent.backup.news import News
from haagent.console.alarms import Alarm
from haagent.console.complaints.complaint import Complaint
from haagent.console.surroundings import Surroundings
from haagent.console.times import since
from haagent.core.model import NodeState
from haagent.core.together import names

LATE = 86400.0  # seconds after it was due; until then it is caught up


def missing(state: NodeState, around: Surroundings) -> Iterator[Complaint]:
    """The pair is no less protected."""
    me, _ = names(state)
    for guest, news in sorted(around.backups.items()):
        if guest not in state.guests:
            yield Complaint(
                Alarm.BACKUP_MISSING,
                f"{me} is to back {guest} up by itself, and there is no such guest.",
                "Nothing is done until there is one.",
                f"`shoestring guest schedule {guest} --off` on {me} ends this.",
            )
        elif news.trouble:
            yield Complaint(
                Alarm.BACKUP_MISSING,
                f"The backup of {guest} on {me} failed.",
                f"{news.trouble} {_newest(news, around)}",
                "Put that right: it is tried again each hour, for a day. "
                f"`shoestring guest backup {guest}` makes one at once.",
            )
        elif news.expected is not None and around.wall >= news.expected + LATE:
            yield Complaint(
                Alarm.BACKUP_MISSING,
                f"The backup of {guest} on {me} was not made.",
                f"It was due on {since(news.expected, around.wall)}. {_newest(news, around)}",
                f"`journalctl -u shoestring-backup` on {me} may say why. "
                f"`shoestring guest backup {guest}` makes one at once.",
            )


def _newest(news: News, around: Surroundings) -> str:
    if news.done is None:
        return "No good one was made yet."
    return f"The newest good one is of {since(news.done, around.wall)}."
