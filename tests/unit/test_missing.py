# SPDX-License-Identifier: MIT
"""What a person is told about a guest that does not start: each reason, and no other beside it."""

from dataclasses import replace

import pytest

from haagent.core import proofs
from haagent.core.model import Choice, Disk, Link, NodeState, Path, Phase, Policy, Role
from tests.unit.states import (
    NOW,
    SILENT,
    WORDS,
    survivor,
    with_guest,
    with_ledger,
    with_path,
    with_peer,
    with_resource,
)
from tests.unit.test_proofs import SELF_FENCED_NEEDS

WHY: dict[str, tuple[NodeState, str]] = {
    "the peer is there": (
        with_path(with_peer(survivor(), hello_at=NOW), Path.LAN, last_word=NOW),
        "a is there, and has not agreed to a start here",
    ),
    "its watchdog is not armed": (
        SELF_FENCED_NEEDS["an armed watchdog"](survivor()),
        "a has no watchdog that is known to reset it when it is cut off",
    ),
    "a person wants to decide": (
        replace(survivor(), pair=replace(survivor().pair, policy=Policy.WAIT)),
        "a is silent, and you chose to decide by yourself",
    ),
    "both cables did not die at once": (
        with_path(survivor(), Path.LAN, last_word=SILENT - 3),
        "a did not fall silent on both cables at once: it may be alive",
    ),
    "its watchdog has not reset it yet": (
        replace(
            survivor(), now=SILENT + 15, referee=replace(survivor().referee, answered=SILENT + 15)
        ),
        "a is silent; waiting until its watchdog has reset it",
    ),
    "a choice is being carried out": (
        with_ledger(survivor(), choice=Choice(2, 0, "", True, True)),
        "a person chose the copy on a, and that is being carried out",
    ),
    "a choice of ours is": (
        with_ledger(survivor(), choice=Choice(2, 1, "", True, True)),
        "a person chose the copy on b, and that is being carried out",
    ),
    "a promise": (
        with_ledger(survivor(), stands_down=True),
        "we promised a not to start it while no gateway answers both of us",
    ),
    "a higher term": (with_ledger(survivor(), theirs=4), "a has a newer copy than this one"),
    "a copy that may be old": (
        with_guest(survivor(), is_unbroken=False),
        "nothing proves that a has written nothing since we last saw it",
    ),
}


@pytest.mark.parametrize("name", WHY)
def test_the_one_thing_that_is_missing(name: str) -> None:
    state, why = WHY[name]
    assert proofs.missing(state, "g") == [why]
    assert proofs.missing(survivor(), "g") == []


def test_without_a_gateway_two_things_are_missing() -> None:
    blind = replace(survivor(), referee=replace(survivor().referee, answered=NOW - 3))
    assert proofs.missing(blind, "g") == [
        "nothing proves that a has written nothing since we last saw it",
        "a is silent, and the gateway does not answer us: we may be the one cut off",
    ]


def test_without_a_stick_that_is_missing_too() -> None:
    lost = replace(survivor(), is_stateless=True)
    assert proofs.missing(lost, "g") == ["b cannot write to its stick any more"]


UNSTARTABLE = {
    Disk.INCONSISTENT: "our copy is Inconsistent: only a part of it was brought up to date by a",
    Disk.OUTDATED: "our copy is Outdated, and DRBD starts nothing on it: a may have written since",
}


@pytest.mark.parametrize("disk", Disk)
def test_why_nobody_can_start_it(disk: Disk) -> None:
    why = proofs.unstartable(with_resource(survivor(), disk=disk), "g")
    if disk in (Disk.UP_TO_DATE, Disk.CONSISTENT):
        assert why is None
    else:
        no_disk = f"our copy has no working disk: DRBD calls it {disk}"
        assert why == UNSTARTABLE.get(disk, no_disk)
    connected = with_resource(survivor(), disk=disk, link=Link.SYNC_TARGET)
    assert proofs.unstartable(connected, "g") is None


@pytest.mark.parametrize("phase", Phase)
def test_where_the_peer_has_it_or_is_at_it(phase: Phase) -> None:
    assert proofs.is_present(replace(WORDS, phase=phase)) is (
        phase not in (Phase.RELEASED, Phase.FORFEITING)
    )


def test_nothing_of_it_is_here() -> None:
    assert proofs.is_settled(survivor(), "g")
    for state in (
        with_guest(survivor(), is_running=None),
        with_guest(survivor(), is_running=True),
        with_guest(survivor(), resource=None),
        with_resource(survivor(), role=Role.PRIMARY),
    ):
        assert not proofs.is_settled(state, "g")
