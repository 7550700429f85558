# SPDX-License-Identifier: MIT
"""What `drbdsetup events2` prints -> `Resource`. The streams are in tests/data/drbd."""

from itertools import permutations
from pathlib import Path

import pytest

from haagent.core.model import Disk, Link, Resource, Role
from haagent.errors import ParseError
from haagent.storage.events2 import REPLICATION, Connection, Fold, snapshot

DATA = Path(__file__).parents[1] / "data/drbd"
IN_SYNC = Resource(Role.PRIMARY, Link.CONNECTED, Disk.UP_TO_DATE, Disk.UP_TO_DATE)


def text(name: str) -> str:
    return (DATA / name).read_text()


def states(name: str) -> list[Resource | None]:
    """What the resource counter is after the dump, and then after each line that changes it."""
    fold = Fold()
    seen: list[Resource | None] = []
    for line in text(name).splitlines():
        fold.feed(line)
        now = fold.resources().get("counter")
        if fold.is_complete and (not seen or seen[-1] != now):
            seen.append(now)
    return seen


def one(volume: str = "", connection: str = "Connected", **fields: str) -> Resource:
    """The resource r with one volume, from the named fields."""
    words = {"replication": "Established", "disk": "UpToDate", "peer_disk": "UpToDate", **fields}
    return snapshot(
        f"exists resource name:r role:Secondary suspended:{words.get('suspended', 'no')}\n"
        f"exists connection name:r connection:{connection} role:Unknown\n"
        f"exists device name:r volume:0 minor:4 disk:{words['disk']}\n"
        f"exists peer-device name:r volume:0 replication:{words['replication']}"
        f" peer-disk:{words['peer_disk']}\n{volume}exists -\n"
    ).resources()["r"]


def two(first: tuple[str, str, str], second: tuple[str, str, str]) -> Resource:
    """The resource r with two volumes, each (disk, replication, peer's disk)."""
    (disk, replication, peer_disk), (disk_1, replication_1, peer_disk_1) = first, second
    further = (
        f"exists device name:r volume:1 minor:5 disk:{disk_1}\n"
        f"exists peer-device name:r volume:1 replication:{replication_1} peer-disk:{peer_disk_1}\n"
    )
    return one(further, disk=disk, replication=replication, peer_disk=peer_disk)


def test_a_pair_in_sync() -> None:
    fold = snapshot(text("now.txt"))
    assert fold.resources() == {"counter": IN_SYNC}
    assert fold.minors("counter") == (0,)


def test_a_holder_loses_its_peer_and_goes_on() -> None:
    seen = states("holder-loses-peer.txt")
    frozen = Resource(Role.PRIMARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.UNKNOWN, True)
    alone = Resource(Role.PRIMARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.OUTDATED, False)
    assert seen[0] == IN_SYNC
    assert frozen in seen
    assert seen[-1] == alone
    # No in-between state looks better than the one it leads to.
    after = [state for state in seen if state and state.link is Link.CONNECTING]
    assert all(state.is_suspended for state in after[:-1])


def test_a_node_that_returns_is_in_sync_only_at_the_end() -> None:
    seen = states("returns-and-resyncs.txt")
    assert [state.link for state in seen if state] == [
        Link.CONNECTING,
        *[Link.SYNC_TARGET] * 3,
        Link.CONNECTED,
    ]
    assert [state.is_in_sync for state in seen if state] == [False, False, False, False, True]


def test_a_handshake_is_not_yet_a_connection() -> None:
    lines = text("returns-and-resyncs.txt").splitlines()[:6]
    assert lines[-1].endswith("connection:Connected role:Primary")
    assert snapshot("\n".join(lines)).resources()["counter"].link is Link.CONNECTING


def test_what_the_metadata_says_of_the_peer_outlives_the_connection() -> None:
    seen = states("disconnects.txt")
    left_behind = Resource(Role.SECONDARY, Link.STANDALONE, Disk.OUTDATED, Disk.OUTDATED)
    assert left_behind in seen
    gone = seen.index(left_behind)
    assert seen[gone + 1 :] == [
        Resource(Role.SECONDARY, Link.STANDALONE, Disk.DISKLESS, Disk.UNKNOWN),
        None,
    ]


def test_a_fresh_reading_of_a_disconnected_resource() -> None:
    resource = snapshot(text("standalone-now.txt")).resources()["counter"]
    assert resource == Resource(
        Role.SECONDARY, Link.STANDALONE, Disk.UP_TO_DATE, Disk.OUTDATED, False
    )
    assert resource.has_left_peer_behind


def test_a_resource_comes_up() -> None:
    seen = states("comes-up.txt")
    assert seen[0] is None
    assert seen[-1] == Resource(Role.SECONDARY, Link.CONNECTING, Disk.CONSISTENT, Disk.UNKNOWN)


def test_a_change_during_the_dump_is_newer_than_the_dump() -> None:
    assert states("dump-mixed-with-changes.txt") == [
        Resource(Role.PRIMARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.UNKNOWN)
    ]


def test_the_words_of_drbd_9() -> None:
    assert snapshot(text("drbd9.txt")).resources() == {
        "counter": Resource(Role.SECONDARY, Link.CONNECTED, Disk.UP_TO_DATE, Disk.UP_TO_DATE)
    }


@pytest.mark.parametrize("word", [c.value for c in Connection if c is not Connection.CONNECTED])
def test_only_connected_is_connected(word: str) -> None:
    wanted = Link.STANDALONE if word == "StandAlone" else Link.CONNECTING
    assert one(connection=word).link is wanted


@pytest.mark.parametrize(
    ("word", "link"),
    [
        ("Off", Link.CONNECTING),
        ("Established", Link.CONNECTED),
        ("VerifyT", Link.CONNECTED),
        ("WFBitMapS", Link.SYNC_SOURCE),
        ("SyncSource", Link.SYNC_SOURCE),
        ("PausedSyncS", Link.SYNC_SOURCE),
        ("Ahead", Link.SYNC_SOURCE),
        ("WFSyncUUID", Link.SYNC_TARGET),
        ("SyncTarget", Link.SYNC_TARGET),
        ("PausedSyncT", Link.SYNC_TARGET),
        ("Behind", Link.SYNC_TARGET),
    ],
)
def test_what_a_replication_state_amounts_to(word: str, link: Link) -> None:
    assert one(replication=word).link is link


@pytest.mark.parametrize("word", [w for w, link in REPLICATION.items() if link != Link.CONNECTED])
def test_a_volume_that_is_not_established_is_never_in_sync(word: str) -> None:
    assert not one(replication=word).is_in_sync
    assert one().is_in_sync


@pytest.mark.parametrize("word", list(Disk))
def test_every_disk_state_is_known(word: Disk) -> None:
    assert (one(disk=word).disk, one(peer_disk=word).peer_disk) == (word, word)


@pytest.mark.parametrize(
    ("word", "is_suspended"),
    [
        ("no", False),
        ("fencing", True),
        ("no-data", True),
        ("user", False),
        ("user,no-data,fencing", True),
    ],
)
def test_only_fencing_waits_for_the_handler(word: str, is_suspended: bool) -> None:
    assert one(suspended=word).is_suspended is is_suspended


@pytest.mark.parametrize("turn", [0, 1])
def test_the_worst_of_two_volumes_counts(turn: int) -> None:
    def fold(*volumes: tuple[str, str, str]) -> Resource:
        return two(*list(permutations(volumes))[turn])

    good = ("UpToDate", "Established", "UpToDate")
    assert fold(good, good).is_in_sync
    assert fold(good, ("Inconsistent", "SyncTarget", "UpToDate")) == Resource(
        Role.SECONDARY, Link.SYNC_TARGET, Disk.INCONSISTENT, Disk.UP_TO_DATE
    )
    assert fold(good, ("UpToDate", "SyncSource", "Inconsistent")) == Resource(
        Role.SECONDARY, Link.SYNC_SOURCE, Disk.UP_TO_DATE, Disk.INCONSISTENT
    )
    source, target = (
        ("UpToDate", "SyncSource", "Inconsistent"),
        ("Outdated", "WFBitMapT", "UpToDate"),
    )
    assert fold(source, target).link is Link.SYNC_TARGET
    assert fold(good, ("UpToDate", "Off", "DUnknown")).link is Link.CONNECTING
    assert fold(good, ("Diskless", "Established", "UpToDate")).disk is Disk.DISKLESS


@pytest.mark.parametrize("turn", [0, 1])
def test_one_volume_of_unknown_age_on_the_peer_is_not_left_behind(turn: int) -> None:
    known, unknown = ("UpToDate", "Off", "Outdated"), ("UpToDate", "Off", "DUnknown")
    volumes = list(permutations([known, unknown]))[turn]
    assert two(*volumes).peer_disk is Disk.UNKNOWN
    assert not two(*volumes).has_left_peer_behind
    assert two(known, known).has_left_peer_behind


def test_a_volume_of_which_the_peer_said_nothing_is_not_in_sync() -> None:
    assert not one("exists device name:r volume:1 minor:5 disk:UpToDate\n").is_in_sync


def test_a_connection_that_is_no_more_stands_alone() -> None:
    fold = snapshot(text("now.txt"))
    fold.feed("destroy connection name:counter peer-node-id:0 conn-name:peer")
    assert fold.resources()["counter"].link is Link.STANDALONE


def test_a_peer_device_that_is_no_more_leaves_what_the_metadata_says() -> None:
    fold = snapshot(text("standalone-now.txt"))
    before = fold.resources()
    fold.feed("destroy peer-device name:counter peer-node-id:0 volume:0")
    assert fold.resources() == before


@pytest.mark.parametrize("thing", ["peer-device", "connection", "device", "resource"])
def test_the_end_of_something_unknown_makes_nothing(thing: str) -> None:
    fold = Fold()
    fold.feed(f"destroy {thing} name:counter volume:0")
    assert fold.resources() == {}


def test_two_resources_do_not_mix() -> None:
    other = text("standalone-now.txt").replace("name:counter", "name:other")
    both = text("now.txt").replace("exists -\n", "") + other
    assert {name: r.link for name, r in snapshot(both).resources().items()} == {
        "counter": Link.CONNECTED,
        "other": Link.STANDALONE,
    }


@pytest.mark.parametrize(
    "line",
    [
        "exists resource name:r role:Tertiary",
        "exists resource name:r role:TOO_LARGE",
        "exists resource name:r suspended:perhaps",
        "exists connection name:r connection:Maybe",
        "exists connection name:r connection:Connected role:Boss",
        "exists device name:r volume:0 minor:x disk:UpToDate",
        "exists device name:r volume:0 disk:Fine",
        "exists peer-device name:r volume:0 replication:SyncSideways",
        "exists peer-device name:r volume:0 peer-disk:Fine",
        "exists planet name:r",
        "rename resource name:r new_name:s",
        "exists resource role:Primary",
        "exists resource name:r Primary",
        "drbdsetup: something went wrong",
        "",
    ],
)
def test_what_is_not_known_is_never_guessed(line: str) -> None:
    with pytest.raises(ParseError) as caught:
        Fold().feed(line)
    assert line in str(caught.value)


def test_a_dump_without_its_end_is_refused() -> None:
    with pytest.raises(ParseError):
        snapshot(text("now.txt").replace("exists -\n", ""))


def test_lost_messages_are_noticed() -> None:
    fold = Fold()
    fold.feed("- skipped 3")
    assert fold.has_gap


@pytest.mark.parametrize("word", ["VerifyS", "VerifyT"])
def test_two_that_are_compared_are_connected_and_it_is_known(word: str) -> None:
    told = text("now.txt").replace("replication:Established", f"replication:{word}")
    fold = snapshot(told)
    assert fold.resources()["counter"].is_in_sync
    assert fold.is_verifying("counter")
    assert not snapshot(text("now.txt")).is_verifying("counter")
    assert not fold.is_verifying("mail")
    fold.feed("destroy connection name:counter peer-node-id:0 conn-name:peer")
    assert not fold.is_verifying("counter"), "what DRBD does not take back is over all the same"
