# SPDX-License-Identifier: MIT
"""What an act would do, in words: which guest stops, where it starts again, why one does not."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.console import prospects
from haagent.console.snapshot import GuestView, Snapshot
from haagent.core.model import Disk, Evidence, LanStage, Link, Phase
from tests.unit.fake_state import (
    WELL,
    both,
    elsewhere,
    lan,
    ledger,
    look,
    resource,
    resting,
    silent,
)

CALM = look(WELL)
AWAY = (
    "A guest is away for its own shutdown and its own start, and about 2 s more; a shutdown is "
    "forced after 60 s."
)
REST = (
    "From then on nothing starts on anna by itself, also after a reboot: if berta dies, its guests "
    "are off until you say `shoestring maintenance off`."
)
ALONE = "Until anna is back, nothing protects what runs on berta."


def view(name: str = "counter", **changes: Any) -> GuestView:
    return replace(CALM.guests[0], name=name, **changes)


def shown(*guests: GuestView, like: Snapshot = CALM) -> Snapshot:
    return replace(like, guests=guests)


THERE = view("web", phase="released", peer_phase="holding", runs_on=("berta",), blocker="no")
OLD = view("mail", is_in_sync=False, in_sync_at=1000.0, blocker="its copy on berta is Outdated")
STUCK = view("news", blocker="berta is in maintenance")


def test_of_a_move() -> None:
    assert prospects.of_move(CALM, view()) == [
        "counter shuts down on anna and starts on berta.",
        AWAY,
    ]
    slow = replace(CALM, scale=4.0)
    told = prospects.of_move(slow, view())[1]
    assert "about 8 s more" in told and "forced after 240 s" in told


def roomy(left: int) -> Snapshot:
    """Berta has so many MiB left, beside a guest that has 100."""
    anna, berta = CALM.nodes
    return replace(CALM, nodes=(anna, replace(berta, memory=left + 100, memory_used=100)))


def test_of_a_move_for_which_there_is_no_memory() -> None:
    assert prospects.of_move(roomy(195), view(takes=196)) == [
        "counter shuts down on anna, finds too little memory on berta (it needs 196 MiB), and "
        "comes back to anna.",
        AWAY,
    ]
    goes = ["counter shuts down on anna and starts on berta.", AWAY]
    for there in (roomy(196), CALM):  # in which it is not known
        assert prospects.of_move(there, view(takes=196)) == goes
    assert prospects.of_move(roomy(0), view()) == goes


def test_guests_that_go_one_after_the_other_share_what_memory_there_is() -> None:
    three = [view(name, takes=takes) for name, takes in (("a", 100), ("b", 150), ("c", 90))]
    now = shown(*three, like=roomy(200))
    short = "b shuts down on anna, finds too little memory on berta (it needs 150 MiB), and is off"
    for told, until in (
        (prospects.of_maintenance(now, True), "the maintenance is over"),
        (prospects.of_going_down(now, True), "anna is back"),
        (prospects.of_going_down(now, False), "anna is switched on again"),
    ):
        assert told[:3] == [
            "a shuts down on anna and starts on berta.",
            f"{short} until {until}.",
            "c shuts down on anna and starts on berta.",
        ]


def test_of_maintenance() -> None:
    assert prospects.of_maintenance(shown(view(), THERE), True) == [
        "counter shuts down on anna and starts on berta.",
        AWAY,
        REST,
    ]
    assert prospects.of_maintenance(shown(view(), view("web")), True)[:3] == [
        "counter shuts down on anna and starts on berta.",
        "web shuts down on anna and starts on berta.",
        "They go one after the other: none is shut down before the last one runs.",
    ]
    assert prospects.of_maintenance(shown(STUCK), True) == [
        "news stays on anna, because berta is in maintenance. It goes when it can.",
        REST,
    ]
    assert prospects.of_maintenance(shown(THERE), True) == [REST]
    assert prospects.of_maintenance(CALM, False) == [
        "Guests may start on anna by themselves again. Nothing moves back to it."
    ]


def test_of_a_reboot() -> None:
    assert prospects.of_going_down(shown(view(), THERE), is_back_soon=True) == [
        "counter shuts down on anna and starts on berta.",
        AWAY,
        "web goes on on berta.",
        ALONE,
    ]


def test_of_a_reboot_of_the_machine_that_has_the_only_copy() -> None:
    there = replace(THERE, peer_disk=Disk.DISKLESS)
    assert prospects.of_going_down(shown(there), is_back_soon=True)[0] == (
        "web stops on berta: the disk there does not work, and the only copy is on anna."
    )


def test_of_a_shutdown_with_an_old_copy_there() -> None:
    now = replace(shown(OLD), wall=1720.0)
    assert prospects.of_going_down(now, is_back_soon=False) == [
        "mail would be off until anna is switched on again, because its copy on berta is 12 min "
        "old (its copy on berta is Outdated).",
        AWAY,
        "Until anna is switched on again, nothing protects what runs on berta.",
    ]
    set_back = replace(now, wall=5.0)
    assert "because its copy on berta is Outdated." in prospects.of_going_down(set_back, True)[0]


def test_of_a_reboot_of_a_machine_in_maintenance() -> None:
    now = shown(STUCK, like=look(resting(WELL)))
    assert prospects.of_going_down(now, is_back_soon=True) == [
        "news would be off until anna is back, because berta is in maintenance.",
        AWAY,
        "anna is in maintenance: it starts nothing by itself then, either.",
        ALONE,
    ]


def test_a_replacement_waits_for_no_start_that_drbd_refuses() -> None:
    away: dict[str, Any] = {"phase": "released", "runs_on": ()}
    now = look(silent(WELL))
    found = prospects.no_replacement(shown(view(**away), like=now))
    assert found is not None and "--anyway" in found[1]
    found = prospects.no_replacement(shown(view(**away, unstartable="it is a part"), like=now))
    assert found is not None and "--anyway" not in found[1] and "it is a part" in found[1]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "counter runs on anna"),
        ({"phase": "stopping"}, "counter is shutting down on anna"),
        ({"phase": "released", "runs_on": ()}, "counter is off"),
        (
            {"phase": "released", "runs_on": (), "peer_phase": "promoting"},
            "counter is being started on berta",
        ),
        (
            {"phase": "released", "runs_on": (), "peer_phase": "creating"},
            "counter is being started on berta",
        ),
        ({"phase": "creating", "runs_on": ()}, "counter is being started on anna"),
        ({"phase": "destroying", "runs_on": ()}, "counter is being ended on anna"),
        ({"phase": "released", "runs_on": ("berta",)}, "counter runs on berta"),
        ({"runs_on": ("anna", "berta")}, "counter runs on both machines"),
    ],
)
def test_where_it_is_on_its_way(changes: dict[str, Any], told: str) -> None:
    assert prospects.whereabouts(CALM, view(**changes)) == told
    assert prospects.progress(shown(view(**changes), THERE), ["counter"]) == [told]


@pytest.mark.parametrize("phase", Phase)
def test_who_is_here_and_who_goes(phase: Phase) -> None:
    now = shown(view(phase=str(phase)), STUCK, THERE)
    names = [guest.name for guest in prospects.here(now)]
    is_here = phase in (Phase.PROMOTING, Phase.CREATING, Phase.HOLDING, Phase.FROZEN)
    assert names == ["counter"] * is_here + ["news"]
    assert [guest.name for guest in prospects.going(now)] == ["counter"] * is_here


def test_a_guest_that_runs_there_is_not_here() -> None:
    assert prospects.here(look(both(elsewhere)(WELL))) == []


@pytest.mark.parametrize(
    ("stage", "runs", "files", "is_refused"),
    [
        (LanStage.KEPT, 2, 2, False),
        (LanStage.KEPT, 2, 0, True),  # the new files would be made of the old ones
        (LanStage.DROPPED, 0, 0, False),
        (LanStage.PROVEN, 0, 0, False),  # the dead one alone could have said what becomes of it
        (LanStage.PROVEN, 2, 0, True),
        (LanStage.AGREED, 0, 0, True),
        (LanStage.DROPPED, 2, 0, True),
    ],
)
def test_no_machine_is_replaced_while_addresses_change(
    stage: LanStage, runs: int, files: int, is_refused: bool
) -> None:
    alone = both(
        resource(link=Link.CONNECTING, peer_disk=Disk.OUTDATED),
        ledger(alone=Evidence.TAKEOVER),
        lan(stage, runs, files),
        silent,
    )
    found = prospects.no_replacement(look(alone(WELL)))
    assert (found is not None) is is_refused
    assert found is None or "its address on the LAN" in found[0]


def test_a_restart_that_makes_two_copies_the_same_is_told_before() -> None:
    """By a resync from whoever runs the guest then, right or wrong."""
    known = replace(CALM.guests[0].verification, differs=8, since=1.0)
    apart = view(verification=known)
    told = prospects.of_going_down(shown(apart), is_back_soon=True)
    assert told[-2] == ALONE
    assert told[-1] == (
        "The two copies of counter differ, and nobody knows which is right (SHOE-210). When anna "
        "is back, DRBD copies what differs from the machine that runs counter then."
    )
    settled = view(verification=replace(known, copied_from="anna"))
    assert prospects.of_going_down(shown(settled), is_back_soon=True)[-1] == ALONE
