# SPDX-License-Identifier: MIT
"""Judges two machines as one pair, before anything is written: what is in the way, what the owner
should know, what is proposed. Pure.
"""

from dataclasses import dataclass

from firstboot.probe import Disk, Machine
from firstboot.proposal import NOTHING_MORE, Between, Proposal, propose
from firstboot.refusals import Refusal, mismatch, refusals
from firstboot.remarks import Remark, remarks


@dataclass(frozen=True, slots=True)
class Comparison:
    """All there is to say. Without REFUSALS the two can become a pair."""

    refusals: tuple[Refusal, ...]
    remarks: tuple[Remark, ...]
    proposal: Proposal


def compare(
    here: Machine,
    there: Machine,
    between: Between = NOTHING_MORE,
    chosen: tuple[Disk | None, Disk | None] = (None, None),
) -> Comparison:
    """CHOSEN are the data disks that a person chose; without, the proposed ones are judged."""
    proposal = propose(here, there, between)
    first, second = (
        disk or choice.disk for disk, choice in zip(chosen, proposal.disks, strict=True)
    )
    return Comparison(
        refusals=(
            *refusals(here, there, between.begun),
            *mismatch(here, there, between.begun),
        ),
        remarks=tuple(remarks(here, there, between, (first, second))),
        proposal=proposal,
    )
