# SPDX-License-Identifier: MIT
"""Whether a machine gives up because of a data disk that does not answer."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from haagent.core import hanging
from haagent.core.decide import decide
from haagent.core.events import DiskHangs, Tick
from haagent.core.model import ATTACHED, Disk, Evidence, GuestState, Ledger, NodeState, Phase, Role
from tests.unit.states import (
    LATER,
    NOW,
    WORDS,
    holding,
    with_durable,
    with_guest,
    with_hello,
    with_ledger,
    with_peer,
    with_resource,
    with_words,
)

AT = NOW + 0.5


def hung(state: NodeState) -> NodeState:
    return decide(state, DiskHangs(AT, "g", True)).state


def gives_up(state: NodeState) -> bool:
    return decide(state, Tick(AT)).state.is_fenced


def standby() -> NodeState:
    """Node 1 does not hold the guest; node 0 does, and its copy is whole."""
    state = with_words(holding(), phase=Phase.HOLDING, theirs=3)
    state = with_guest(state, phase=Phase.RELEASED, is_running=False)
    return with_ledger(with_resource(state, role=Role.SECONDARY), held_in="")


@pytest.mark.parametrize("state", [holding(), standby()])
def test_who_has_a_disk_that_hangs_gives_up_for_the_other_one(state: NodeState) -> None:
    assert not gives_up(state)
    assert gives_up(hung(state))
    assert not gives_up(decide(hung(state), DiskHangs(AT, "g", False)).state), "it answers again"
    said = decide(hung(state), Tick(AT)).reasons
    assert "b: the disk below g does not answer: giving up" in said


NOBODY_WOULD_BE_HELPED: dict[str, Callable[[NodeState], NodeState]] = {
    "it wrote alone": lambda s: with_ledger(s, alone=Evidence.GATEWAY),
    "the other is silent": lambda s: with_peer(s, hello_at=AT - 5.0 - LATER),
    "nothing was heard": lambda s: with_peer(s, hello=None),
    "the other has no disk": lambda s: with_words(s, disk=Disk.DISKLESS),
    "its copy is being made": lambda s: with_words(s, disk=Disk.INCONSISTENT),
    "its copy may be old": lambda s: with_words(s, disk=Disk.CONSISTENT),
}


@pytest.mark.parametrize("name", NOBODY_WOULD_BE_HELPED)
def test_it_stays_where_that_would_help_nobody(name: str) -> None:
    state = NOBODY_WOULD_BE_HELPED[name](holding())
    assert not gives_up(hung(state))
    assert hanging.hung_below(hung(state)) == ["g"], "it is told all the same"


@pytest.mark.parametrize("disk", Disk)
def test_only_a_disk_that_is_attached_counts(disk: Disk) -> None:
    state = with_resource(hung(holding()), disk=disk)
    assert gives_up(state) is (disk in ATTACHED)


def test_nothing_is_known_of_a_disk_that_drbd_has_not_told_of() -> None:
    assert not gives_up(hung(with_guest(standby(), resource=None)))


@pytest.mark.parametrize(
    ("phase", "alone", "is_hung", "gives"),
    [
        (Phase.HOLDING, Evidence.GATEWAY, False, False),
        (Phase.HOLDING, Evidence.GATEWAY, True, True),
        (Phase.HOLDING, None, False, True),
        (Phase.RELEASED, Evidence.GATEWAY, False, True),
    ],
)
def test_what_runs_here_alone_on_a_disk_that_answers_is_not_given_up(
    phase: Phase, alone: Evidence | None, is_hung: bool, gives: bool
) -> None:
    state = with_hello(hung(holding()), guests={"g": WORDS, "h": WORDS})
    here = (holding() if phase is Phase.HOLDING else standby()).guests["g"]
    mine = replace(here, is_disk_hanging=is_hung)
    ledgers = {**state.durable.ledgers, "h": Ledger(3, 2, alone=alone)}
    other: dict[str, GuestState] = {**state.guests, "h": mine}
    assert gives_up(replace(with_durable(state, ledgers=ledgers), guests=other)) is gives
