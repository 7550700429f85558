# SPDX-License-Identifier: MIT
"""A pair in which everything holds, as its first machine knows it, and all that may not.

A Change makes another state of one; `both` joins some.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from haagent.console.snapshot import (
    Snapshot,
)
from haagent.console.surroundings import Surroundings
from haagent.console.survey import snapshot
from haagent.core.foresight import Fate, Outlook
from haagent.core.model import (
    Choice,
    Disk,
    Durable,
    Evidence,
    Figures,
    GuestState,
    Hello,
    LanChange,
    LanStage,
    Ledger,
    Link,
    Measured,
    NodeState,
    Pair,
    Path,
    PathState,
    Peer,
    Phase,
    Referee,
    Resource,
    Role,
)
from haagent.core.wish import Target, Wish
from tests.unit import states

NOW = 1000.0

ARMED = Figures(is_armed=True, self_fence=8.0, watchdog=5.0, feed=1.0)

SYNCED = Resource(Role.PRIMARY, Link.CONNECTED, Disk.UP_TO_DATE, Disk.UP_TO_DATE)

WORDS = replace(states.WORDS, theirs=2, phase=Phase.RELEASED)

HEARD = PathState(last_word=NOW - 0.4, two_way=NOW - 0.6, number=7)

WELL = NodeState(
    pair=Pair(me=0, names=("anna", "berta"), guests={"counter": 0}),
    boot="b0",
    durable=Durable({"counter": Ledger(term=2)}, ARMED),
    guests={"counter": GuestState(Phase.HOLDING, 900.0, SYNCED, is_running=True)},
    now=NOW,
    peer=Peer(
        hello=Hello(1, "b1", 7, "b0", {}, 1.0, ARMED, True, {"counter": WORDS}),
        hello_at=NOW - 0.4,
        paths={Path.CROSSOVER: HEARD, Path.LAN: HEARD},
        connected=NOW,
    ),
    referee=Referee(NOW - 0.1, 900.0),
    usable_since=900.0,
    is_armed=True,
)

AROUND = Surroundings(heartbeat={"crossover": True, "lan": True})

Change = Callable[[NodeState], NodeState]


def nothing_missing(state: NodeState, guest: str) -> Sequence[str]:
    return ()


def something_missing(state: NodeState, guest: str) -> Sequence[str]:
    return (f"{guest} is not ready", "berta is there")


def look(state: NodeState, around: Surroundings = AROUND) -> Snapshot:
    return snapshot(state, something_missing, around)


def guest(**changes: Any) -> Change:
    return lambda state: replace(
        state, guests={"counter": replace(state.guests["counter"], **changes)}
    )


def resource(**changes: Any) -> Change:
    return guest(resource=replace(SYNCED, **changes))


def ledger(**changes: Any) -> Change:
    def change(state: NodeState) -> NodeState:
        changed = replace(state.durable.ledgers["counter"], **changes)
        return replace(state, durable=replace(state.durable, ledgers={"counter": changed}))

    return change


def node(**changes: Any) -> Change:
    return lambda state: replace(state, **changes)


def hello(**changes: Any) -> Change:
    def change(state: NodeState) -> NodeState:
        assert state.peer.hello is not None
        return replace(state, peer=replace(state.peer, hello=replace(state.peer.hello, **changes)))

    return change


def lan(stage: LanStage, runs: int = 0, files: int = 0, **said: Any) -> Change:
    """A change of the LAN's addresses at STAGE here; berta SAID something about it."""
    change_ = LanChange(2, "10.0.2.11/24", "10.0.2.12/24", "10.0.2.1", stage, "b0")

    def change(state: NodeState) -> NodeState:
        assert state.peer.hello is not None
        told = replace(state.peer.hello, **{"lan": change_, **said})
        return replace(
            state,
            pair=replace(state.pair, lan=runs),
            durable=replace(state.durable, lan=change_),
            lan_files=files,
            peer=replace(state.peer, hello=told),
        )

    return change


def words(**changes: Any) -> Change:
    return hello(guests={"counter": replace(WORDS, **changes)})


def path(which: Path, **changes: Any) -> Change:
    return lambda state: replace(
        state,
        peer=replace(state.peer, paths={**state.peer.paths, which: replace(HEARD, **changes)}),
    )


def vacant(state: NodeState) -> NodeState:
    """Set up alone: there is no berta, and no gateway is needed either."""
    pair = replace(state.pair, is_vacant=True)
    nobody = replace(state, pair=pair, peer=Peer(), referee=Referee(), usable_since=None)
    behind = resource(link=Link.CONNECTING, peer_disk=Disk.OUTDATED)
    return both(behind, ledger(alone=Evidence.TAKEOVER))(nobody)


def silent(state: NodeState) -> NodeState:
    return replace(state, peer=replace(state.peer, hello_at=NOW - 60))


def both(*changes: Change) -> Change:
    def change(state: NodeState) -> NodeState:
        for one in changes:
            state = one(state)
        return state

    return change


def resting(state: NodeState) -> NodeState:
    return replace(state, durable=replace(state.durable, in_maintenance=True))


elsewhere = both(guest(phase=Phase.RELEASED, is_running=False), words(phase=Phase.HOLDING))

CHOSEN = Choice(3, 0, "20260102-0304", is_open=True, is_agreed=True)

APART = both(resource(link=Link.STANDALONE), words(is_connected=False, is_alone=True, term=1))

CHOOSING = both(
    APART, ledger(choice=CHOSEN), words(choice=CHOSEN, is_connected=False, is_alone=True)
)

MEASURED = node(measured=Measured(memory=100, takes={"counter": 196}))

NOT_PROTECTED: list[tuple[str, Change]] = [
    ("counter: the copy on berta is being given up for the one on anna.", CHOOSING),
    ("counter: its disk is not known yet.", guest(resource=None)),
    ("counter: the copy on berta is being brought up to date.", resource(link=Link.SYNC_SOURCE)),
    ("counter: the copy on anna is being brought up to date.", resource(link=Link.SYNC_TARGET)),
    ("counter: the disk on berta does not work. DRBD", resource(peer_disk=Disk.DISKLESS)),
    ("counter: the disk on anna does not work. DRBD", resource(disk=Disk.DISKLESS)),
    ("counter: the disk on anna does not answer.", guest(is_disk_hanging=True)),
    ("counter: its copy is Consistent on anna and UpToDate", resource(disk=Disk.CONSISTENT)),
    ("counter is not mirrored: DRBD is Connecting.", resource(link=Link.CONNECTING)),
    ("counter: split brain.", both(APART, ledger(alone=Evidence.GATEWAY))),
    ("counter is not mirrored: DRBD is StandAlone.", resource(link=Link.STANDALONE)),
    (
        "counter is not mirrored: DRBD is StandAlone.",
        both(resource(link=Link.STANDALONE), ledger(is_parted=True)),
    ),
    ("counter is frozen on anna", guest(phase=Phase.FROZEN)),
    ("counter is being shut down on anna.", guest(phase=Phase.STOPPING)),
    ("counter runs on both machines.", words(phase=Phase.HOLDING)),
    ("Do not power up berta alone.", ledger(by_operator=True)),
    ("anna has given up.", node(is_fenced=True)),
    ("anna is shutting down.", node(left=NOW)),
    ("The watchdog of anna is not armed.", node(is_armed=False)),
    ("The watchdog of berta is not armed.", hello(figures=replace(ARMED, is_armed=False))),
    ("berta is silent.", silent),
    ("berta is silent.", node(peer=Peer())),
    ("Nothing comes from berta over the crossover", path(Path.CROSSOVER, last_word=NOW - 5.1)),
    ("Nothing comes from berta over the LAN.", path(Path.LAN, last_word=NOW - 5.1)),
    ("berta does not hear anna over the crossover", path(Path.CROSSOVER, two_way=NOW - 5.1)),
    ("berta does not hear anna over the LAN.", path(Path.LAN, two_way=NOW - 5.1)),
    ("The addresses on the LAN are being changed.", lan(LanStage.ASKED)),
    ("The addresses on the LAN are being changed.", lan(LanStage.AGREED, runs=2)),
    ("The addresses on the LAN are being changed.", lan(LanStage.PROVEN)),
    ("The addresses on the LAN are being changed.", lan(LanStage.DROPPED, runs=2)),
    ("anna has not written its new address to its stick yet.", lan(LanStage.KEPT, runs=2)),
    (
        "anna cannot write to its stick any more (Input/output error).",
        node(is_stateless=True, lost_because="Input/output error"),
    ),
    ("berta cannot write to its stick any more.", hello(is_stateless=True)),
    ("berta is shutting down.", hello(is_leaving=True)),
    ("anna is in maintenance.", resting),
    ("anna was replaced.", hello(has_replaced=True)),
    ("The machine that berta replaced is switched on.", node(replaced_at=NOW - 4.0)),
    ("berta is in maintenance.", hello(in_maintenance=True)),
    ("The time scale is 1 on anna and 6 on berta.", hello(scale=6.0)),
    ("berta has no memory for counter.", both(MEASURED, hello(memory=100))),
    ("anna has no memory for counter.", both(elsewhere, MEASURED, hello(memory=900))),
    ("anna stands down for counter.", ledger(stands_down=True)),
    ("berta stands down for counter.", words(stands_down=True)),
    ("No referee: the gateway answers, but not reliably yet.", node(usable_since=None)),
    (
        "No referee: the gateway does not answer anna.",
        node(usable_since=None, referee=Referee(NOW - 2.1)),
    ),
    (
        "No referee: the gateway does not answer berta.",
        both(node(usable_since=None), hello(has_referee=False)),
    ),
    (
        "No referee: the gateway does not answer anna and berta.",
        both(node(usable_since=None, referee=Referee()), hello(has_referee=False)),
    ),
]

STOPPED: list[tuple[str, Change]] = [
    (
        "counter crashed again and again, and was given up.",
        both(guest(phase=Phase.RELEASED), ledger(wish=Wish(3, Target.FAILED))),
    ),
    ("counter runs nowhere.", guest(phase=Phase.RELEASED)),
    ("counter runs nowhere.", guest(phase=Phase.HOLDING, is_running=False)),
    ("counter is being started on anna.", guest(phase=Phase.PROMOTING)),
    ("counter is being started on anna.", guest(phase=Phase.CREATING)),
    ("counter is being ended on anna.", guest(phase=Phase.DESTROYING)),
    (
        "counter is creating on berta.",
        both(guest(phase=Phase.RELEASED), words(phase=Phase.CREATING)),
    ),
    ("counter is on its way to berta.", guest(phase=Phase.RELEASED, farewell=2)),
    ("counter runs nowhere.", both(guest(phase=Phase.RELEASED, farewell=2), silent)),
    ("counter was on berta, and berta is silent.", both(elsewhere, silent)),
    ("counter runs nowhere.", both(guest(phase=Phase.RELEASED), node(peer=Peer()))),
]


def foreseen(**changes: Any) -> Surroundings:
    outlook = Outlook(Fate.GOES_ON, Phase.HOLDING, NOW - 3, 11.0, ())
    return replace(AROUND, outlooks={"counter": replace(outlook, **changes)})
