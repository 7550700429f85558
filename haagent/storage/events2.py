# SPDX-License-Identifier: MIT
"""Owns what `drbdsetup events2` means: its lines -> one `Resource` per DRBD resource.

It must not run anything, and must not guess: a word that it does not know is a ParseError.

The lines are those of drbd-utils 9.22, which prints the state of a DRBD 8.4 kernel with the words
of DRBD 9 (user/v84/drbdsetup.c, print_notifications); the older words are understood as well. A
line names only the fields that changed. One change of the kernel's comes as several lines, in the
order resource, connection, device, peer-device (drbd_state.c, broadcast_state_change).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from haagent.core.model import Disk, Link, Resource, Role
from haagent.errors import ParseError

PROGRAM = ("drbdsetup", "events2")

# What DRBD does not have is not mirrored, and has no disk here.
ABSENT = Resource(Role.SECONDARY, Link.STANDALONE, Disk.DISKLESS, Disk.UNKNOWN)

# The kernel's order, linux/drbd.h: the worst first. DUnknown is never said of our own disk.
WORST_FIRST = (
    Disk.DISKLESS,
    Disk.ATTACHING,
    Disk.DETACHING,
    Disk.FAILED,
    Disk.NEGOTIATING,
    Disk.INCONSISTENT,
    Disk.OUTDATED,
    Disk.UNKNOWN,
    Disk.CONSISTENT,
    Disk.UP_TO_DATE,
)


class Connection(StrEnum):
    """States of the connection, without what is replicated over it."""

    STANDALONE = "StandAlone"
    DISCONNECTING = "Disconnecting"
    UNCONNECTED = "Unconnected"  # a moment, or a second, between two tries
    TIMEOUT = "Timeout"
    BROKEN_PIPE = "BrokenPipe"
    NETWORK_FAILURE = "NetworkFailure"
    PROTOCOL_ERROR = "ProtocolError"
    TEAR_DOWN = "TearDown"
    WF_CONNECTION = "WFConnection"
    CONNECTING = "Connecting"  # DRBD 9's word for WFConnection
    WF_REPORT_PARAMS = "WFReportParams"
    CONNECTED = "Connected"  # the utils' word for WFReportParams: see REPLICATION for the rest


# Of a volume whose connection is up. Off is the handshake; Ahead and Behind are volumes that have
# stopped mirroring for the time being, and resync later.
REPLICATION: dict[str, Link] = {
    "Off": Link.CONNECTING,
    "Established": Link.CONNECTED,
    "Connected": Link.CONNECTED,
    "VerifyS": Link.CONNECTED,
    "VerifyT": Link.CONNECTED,
    "StartingSyncS": Link.SYNC_SOURCE,
    "WFBitMapS": Link.SYNC_SOURCE,
    "SyncSource": Link.SYNC_SOURCE,
    "PausedSyncS": Link.SYNC_SOURCE,
    "Ahead": Link.SYNC_SOURCE,
    "StartingSyncT": Link.SYNC_TARGET,
    "WFBitMapT": Link.SYNC_TARGET,
    "WFSyncUUID": Link.SYNC_TARGET,
    "SyncTarget": Link.SYNC_TARGET,
    "PausedSyncT": Link.SYNC_TARGET,
    "Behind": Link.SYNC_TARGET,
}

# Both copies are compared, from here or from the peer: for everything else the two are connected.
VERIFYING = frozenset({"VerifyS", "VerifyT"})

SUSPENSIONS = frozenset({"no", "user", "no-data", "fencing", "quorum"})
OBJECTS = frozenset({"resource", "connection", "device", "peer-device"})
IGNORED = frozenset({"helper", "path"})
KINDS = frozenset({"exists", "create", "change", "destroy"})


@dataclass(slots=True)
class _Volume:
    disk: Disk = Disk.DISKLESS
    replication: str = "Off"
    peer_disk: Disk = Disk.UNKNOWN


@dataclass(slots=True)
class _Parts:
    role: Role = Role.SECONDARY
    is_suspended: bool = False
    connection: Connection = Connection.STANDALONE
    volumes: dict[str, _Volume] = field(default_factory=dict)
    minors: dict[str, int] = field(default_factory=dict)

    def fold(self) -> Resource:
        volumes = list(self.volumes.values())
        peer_disks = [volume.peer_disk for volume in volumes]
        return Resource(
            self.role,
            self._link(),
            _worst([volume.disk for volume in volumes], Disk.DISKLESS),
            # safety: one volume of which nothing is known may be newer on the peer, whatever our
            # metadata says of the others.
            Disk.UNKNOWN if Disk.UNKNOWN in peer_disks else _worst(peer_disks, Disk.UNKNOWN),
            self.is_suspended,
        )

    def _link(self) -> Link:
        if self.connection is Connection.STANDALONE:
            return Link.STANDALONE
        if self.connection is not Connection.CONNECTED:
            return Link.CONNECTING
        links = {REPLICATION[volume.replication] for volume in self.volumes.values()}
        # The least of all volumes counts, and a target is less than a source.
        for link in (Link.CONNECTING, Link.SYNC_TARGET, Link.SYNC_SOURCE, Link.CONNECTED):
            if link in links:
                return link
        return Link.CONNECTING  # no volume, so nothing is mirrored


class Fold:
    """What the lines so far add up to."""

    def __init__(self) -> None:
        self.is_complete = False  # every object was told once
        self.has_gap = False  # the kernel's messages were lost: start again
        self._parts: dict[str, _Parts] = {}
        self._touched: set[tuple[str, ...]] = set()

    def feed(self, line: str) -> None:
        """Takes the next line in. Raises ParseError."""
        words = line.split()
        if words == ["exists", "-"]:
            self.is_complete = True
        elif words[:2] == ["-", "skipped"]:
            self.has_gap = True
        elif len(words) >= 2 and words[1] in IGNORED:
            pass
        elif len(words) >= 3 and words[0] in KINDS and words[1] in OBJECTS:
            try:
                self._take(words[0], words[1], _fields(words[2:]))
            except (KeyError, ValueError) as error:
                raise ParseError(PROGRAM, line) from error
        else:
            raise ParseError(PROGRAM, line)

    def resources(self) -> dict[str, Resource]:
        """Name -> state, of all resources that there are now."""
        return {name: parts.fold() for name, parts in self._parts.items()}

    def connection(self, name: str) -> Connection:
        """The connection of resource NAME, in DRBD's own words."""
        return self._parts[name].connection if name in self._parts else Connection.STANDALONE

    def is_verifying(self, name: str) -> bool:
        """Whether the two copies of resource NAME, or of a volume of it, are being compared."""
        parts = self._parts.get(name)
        return (
            parts is not None
            and parts.connection is Connection.CONNECTED
            and any(volume.replication in VERIFYING for volume in parts.volumes.values())
        )

    def minors(self, name: str) -> tuple[int, ...]:
        """The numbers N of the devices /dev/drbdN of resource NAME."""
        return tuple(self._parts[name].minors.values()) if name in self._parts else ()

    def _take(self, kind: str, thing: str, fields: dict[str, str]) -> None:
        name, volume = fields["name"], fields.get("volume", "")
        identity = (thing, name, volume)
        if kind != "exists":
            self._touched.add(identity)
        elif not self.is_complete and identity in self._touched:
            # The dump was made before this change and is sent piece by piece; the kernel lets
            # them mix (drbd_nl.c, get_initial_state). The change is the newer one.
            return
        if kind == "destroy" and name not in self._parts:
            return
        if thing == "resource":
            self._take_resource(kind, name, fields)
        elif thing == "connection":
            self._take_connection(kind, name, fields)
        elif thing == "device":
            self._take_device(kind, name, volume, fields)
        else:
            self._take_peer_device(kind, name, volume, fields)

    def _take_resource(self, kind: str, name: str, fields: dict[str, str]) -> None:
        if kind == "destroy":
            del self._parts[name]
            return
        parts = self._parts.setdefault(name, _Parts())
        if "role" in fields:
            parts.role = Role(fields["role"])
        if "suspended" in fields:
            reasons = set(fields["suspended"].split(","))
            if not reasons <= SUSPENSIONS:
                raise ValueError(fields["suspended"])
            parts.is_suspended = bool(reasons & {"fencing", "no-data"})

    def _take_connection(self, kind: str, name: str, fields: dict[str, str]) -> None:
        if kind == "destroy":
            # DRBD 8.4 says this when a connection becomes StandAlone; the object stays.
            self._parts[name].connection = Connection.STANDALONE
            return
        if "role" in fields:
            Role(fields["role"])
        if "connection" in fields:
            self._parts.setdefault(name, _Parts()).connection = Connection(fields["connection"])

    def _take_device(self, kind: str, name: str, volume: str, fields: dict[str, str]) -> None:
        parts = self._parts.setdefault(name, _Parts())
        if kind == "destroy":
            parts.volumes.pop(volume, None)
            parts.minors.pop(volume, None)
            return
        device = parts.volumes.setdefault(volume, _Volume())
        if "minor" in fields:
            parts.minors[volume] = int(fields["minor"])
        if "disk" in fields:
            device.disk = Disk(fields["disk"])

    def _take_peer_device(self, kind: str, name: str, volume: str, fields: dict[str, str]) -> None:
        volumes = self._parts.setdefault(name, _Parts()).volumes
        if kind == "destroy":
            # What our metadata says of the peer's disk is still true, and still in the kernel.
            if volume in volumes:
                volumes[volume].replication = "Off"
            return
        device = volumes.setdefault(volume, _Volume())
        if "replication" in fields:
            REPLICATION[fields["replication"]]  # an unknown one is refused here
            device.replication = fields["replication"]
        if "peer-disk" in fields:
            device.peer_disk = Disk(fields["peer-disk"])


def snapshot(text: str) -> Fold:
    """What `drbdsetup events2 --now` printed. Raises ParseError, also if the end is missing."""
    fold = Fold()
    for line in text.splitlines():
        fold.feed(line)
    if not fold.is_complete:
        raise ParseError(PROGRAM, text[-200:])
    return fold


def _fields(words: list[str]) -> dict[str, str]:
    """key:value words; a value may have colons of its own."""
    return dict(_pair(word) for word in words)


def _pair(word: str) -> tuple[str, str]:
    key, colon, value = word.partition(":")
    if not colon:
        raise ValueError(word)
    return key, value


def _worst(disks: list[Disk], without: Disk) -> Disk:
    return min(disks, key=WORST_FIRST.index, default=without)
