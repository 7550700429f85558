# SPDX-License-Identifier: MIT
"""Makes the plan of a set-up: answers in, an ordered tuple of steps out. Pure.

A step says what shall be so, not how: apply.py carries it out. Owns the order, which is what makes
a plan safe to cut anywhere: nothing that could start a guest is written before both copies of its
disk are the same, and the secret is erased when everything that needs it is there.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface

from firstboot import keys, rendering
from firstboot.answers import Answers, Part
from firstboot.keys import physical_volume
from firstboot.rendering import File
from haagent.config import mark_of
from haagent.core.timing import Timing

LEADER = 0  # the node that does what only one may do


@dataclass(frozen=True, slots=True)
class WriteFiles:
    """FILES are there, word for word, in this order."""

    name: str
    title: str
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class NameHost:
    """The running kernel knows the name that the next boot will give it."""

    host: str
    name: str = "name"
    title: str = "Taking the new name"


@dataclass(frozen=True, slots=True)
class StartNetwork:
    """The cards have their names and the interfaces their addresses."""

    cards: tuple[tuple[str, str], ...]  # name, MAC address
    bridge: str
    port: str  # the card in the bridge
    addresses: tuple[tuple[str, IPv4Interface], ...]  # interface, address
    name: str = "network"
    title: str = "Starting the network"


@dataclass(frozen=True, slots=True)
class SetClock:
    """Times are shown in ZONE, and the clock follows the servers that were written down."""

    zone: str
    name: str = "clock"
    title: str = "Setting the clock"


@dataclass(frozen=True, slots=True)
class MakeStorage:
    """The data disk is our volume group, with a volume for each guest, ready to be mirrored and
    never used. All of it or nothing: what a power cut left is made again from a blank disk.
    """

    serial: str
    physical_volume: str  # the identity that tells our disk from anybody else's
    volumes: tuple[tuple[str, int], ...]  # guest, bytes
    is_alone: bool = False  # there is no second machine: each volume's metadata say so
    # Whether what is on it may be lost. It is no part of what the disk shall be in the end, so that
    # whoever adds it later goes on with the same step.
    erases: bool = field(default=False, repr=False)
    name: str = "storage"
    title: str = "Making the data disk ours"


@dataclass(frozen=True, slots=True)
class StartMirror:
    """DRBD has the guest's disk and looks for the peer's."""

    guest: str
    title: str

    @property
    def name(self) -> str:
        return f"mirror {self.guest}"


@dataclass(frozen=True, slots=True)
class AwaitSync:
    """Both copies are UpToDate. Both are blank, so that the leader may say it without copying."""

    guest: str
    peer: str
    is_leader: bool
    title: str

    @property
    def name(self) -> str:
        return f"sync {self.guest}"


@dataclass(frozen=True, slots=True)
class FillGuest:
    """The built-in guest's file system is on its disk, on each machine that there is."""

    guest: str
    device: str
    address: IPv4Interface | None
    gateway: IPv4Address
    title: str
    is_alone: bool = False

    @property
    def name(self) -> str:
        return f"guest {self.guest}"


@dataclass(frozen=True, slots=True)
class TakeUp:
    """What runs here has what was written down for the new peer: DRBD its secret, heartbeat its
    key, the agent all of it. No guest is stopped.
    """

    guests: tuple[str, ...]
    mark: str  # of the new pair: the step of another replacement is another one
    name: str = "take up"
    title: str = "Making room for the new machine"


@dataclass(frozen=True, slots=True)
class AwaitPeer:
    """The new machine's copy of the guest is connected. The other way round is never waited for:
    this copy is what is copied.
    """

    guest: str
    title: str

    @property
    def name(self) -> str:
        return f"peer {self.guest}"


@dataclass(frozen=True, slots=True)
class EraseSecret:
    """The answers are put away without the secret. Nothing after it may need an answer."""

    name: str = "secret"
    title: str = "Erasing the secret from the stick"


Step = (
    WriteFiles
    | NameHost
    | StartNetwork
    | SetClock
    | MakeStorage
    | StartMirror
    | AwaitSync
    | FillGuest
    | TakeUp
    | AwaitPeer
    | EraseSecret
)


Plan = tuple[Step, ...]


def plan(answers: Answers, scale: float) -> Plan:
    """The plan for these answers, which validate.py has nothing against. SCALE stretches the
    timers.
    """
    timing = Timing().scaled(scale)
    if answers.part is Part.STAYS:
        return _staying(answers, timing)
    return (
        WriteFiles("host name", "Writing the name down", rendering.host_name(answers)),
        NameHost(answers.names[answers.me]),
        WriteFiles("network files", "Writing the network down", rendering.network(answers)),
        _network(answers),
        WriteFiles("clock files", "Writing the clock down", rendering.clock(answers)),
        SetClock(answers.zone),
        WriteFiles("mirror files", "Writing the mirror down", rendering.mirror(answers, timing)),
        storage(answers),
        WriteFiles(
            "heartbeat files", "Writing heartbeat down", rendering.heartbeat(answers, timing)
        ),
        # safety: who joins declares no copy the same as another; DRBD copies all of a new one.
        *(_guests(answers) if answers.part in (Part.FOUNDS, Part.ALONE) else ()),
        # Its last file is what every unit of a finished pair waits for.
        WriteFiles("agent files", "Writing the pair down", rendering.agent(answers)),
        EraseSecret(),
    )


def _staying(answers: Answers, timing: Timing) -> Plan:
    """For a machine that serves its guests meanwhile: nothing in here touches a disk, a network
    card or a guest. The files may be written at any time, for only a start reads them.
    """
    peer = answers.names[1 - answers.me]
    names = tuple(guest.name for guest in answers.guests)
    return (
        WriteFiles("mirror files", "Writing the mirror down", rendering.mirror(answers, timing)),
        WriteFiles(
            "heartbeat files", "Writing heartbeat down", rendering.heartbeat(answers, timing)
        ),
        WriteFiles("agent files", "Writing the pair down", rendering.agent(answers)),
        TakeUp(names, mark_of(bytes.fromhex(keys.agent(answers.secret)))),
        *(AwaitPeer(name, f"Waiting for {peer} about {name}") for name in names),
        EraseSecret(),
    )


def storage(answers: Answers) -> MakeStorage:
    """The one step that can destroy something."""
    return MakeStorage(
        answers.disk,
        physical_volume(answers.secret, answers.me),
        tuple((guest.name, guest.disk) for guest in answers.guests),
        answers.part is Part.ALONE,
        answers.erases,
    )


def _network(answers: Answers) -> StartNetwork:
    return StartNetwork(
        cards=(
            (rendering.CROSSOVER, answers.crossover.mac),
            (rendering.LAN_CARD, answers.lan.mac),
        ),
        bridge=rendering.LAN,
        port=rendering.LAN_CARD,
        addresses=(
            (rendering.CROSSOVER, answers.crossover.address),
            (rendering.LAN, answers.lan.address),
        ),
    )


def _guests(answers: Answers) -> list[Step]:
    """All mirrors first: then the peer is waited for once."""
    is_alone, leads = answers.part is Part.ALONE, answers.me == LEADER
    peer = answers.names[1 - answers.me]
    names = [guest.name for guest in answers.guests]
    steps: list[Step] = [StartMirror(name, f"Starting the mirror of {name}") for name in names]
    if not is_alone:
        steps += [AwaitSync(name, peer, leads, f"Meeting {peer} about {name}") for name in names]
    steps += [
        FillGuest(
            guest.name,
            rendering.device(guest.number),
            guest.address,
            answers.gateway,
            f"Making the built-in guest {guest.name}",
            is_alone,
        )
        for guest in answers.guests
        if guest.is_built_in and leads
    ]
    return steps
