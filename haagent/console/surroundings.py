# SPDX-License-Identifier: MIT
"""What a page about a pair is made of and the core does not know, or must not. Values only.

Whoever decides never looks at any of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from haagent.backup.news import News as Backups
from haagent.cluster.speech import Stranger
from haagent.core.foresight import Outlook
from haagent.core.model import NEVER, Path
from haagent.storage.resync import Progress
from haagent.storage.verification import Verified
from haagent.update.news import News


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A mapping is by the guest's name where no other is said, and lacks those of which nothing is
    known.
    """

    heartbeat: Mapping[str, bool] | None = None  # its links, is each up; None: it does not answer
    is_heartbeat_deaf: bool = False  # it has let nothing of a peer through that is there
    failed_units: tuple[str, ...] = ()
    wall: float = 0.0  # seconds since the epoch, now
    in_sync_at: Mapping[str, float] = field(default_factory=dict)  # when it last was, so too
    addresses: Mapping[str, str] = field(default_factory=dict)
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)
    resyncs: Mapping[str, Progress] = field(default_factory=dict)
    hanging_resyncs: frozenset[str] = frozenset()  # guests: all is copied, and DRBD does not end it
    verified: Mapping[str, Verified] = field(default_factory=dict)
    update: News | None = None  # None: nothing is known
    backups: Mapping[str, Backups] = field(
        default_factory=dict
    )  # that this machine makes by itself
    lately: tuple[tuple[float, str], ...] = ()  # what was decided: when, so too; the newest first
    has_strange_disk: bool = False  # the data disk is not the one of this machine
    misunderstood_at: float = NEVER  # monotonic: when the peer last spoke a format that is not ours
    crossed_at: float = NEVER  # monotonic: when the peer's LAN card last spoke on the crossover
    strangers: Mapping[Path, Stranger] = field(default_factory=dict)  # by the path they spoke on
