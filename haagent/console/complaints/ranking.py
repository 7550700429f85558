# SPDX-License-Identifier: MIT
"""All complaints about a pair, the worst first. The one place that orders them."""

from haagent.console.complaints import (
    backups,
    data,
    guests,
    lone,
    machines,
    updates,
    verified,
    ways,
)
from haagent.console.complaints.complaint import Complaint, Missing
from haagent.console.surroundings import Surroundings
from haagent.core import proofs
from haagent.core.model import NodeState


def find(state: NodeState, around: Surroundings, missing: Missing) -> tuple[Complaint, ...]:
    """Everything that keeps the pair from being protected, the worst first."""
    if proofs.is_vacant(state):
        return lone.find(state, around, missing)
    names = list(state.guests)
    return (
        *(c for guest in names for c in guests.whereabouts(state, around, guest, missing)),
        *(c for guest in names for c in data.copies(state, around, guest)),
        *(c for guest in names for c in verified.differing(state, around, guest)),
        *machines.ours(state),
        *machines.replaced(state),
        *ways.lan(state),
        *ways.crossing(state, around),
        *machines.silence(state, around),
        *ways.paths(state),
        *machines.peers(state),
        *(c for guest in names for c in guests.memory(state, guest)),
        *ways.gateway(state),
        *ways.heartbeat(state, around),
        *machines.units(around),
        *updates.ours(state, around),
    )


def notes(state: NodeState, around: Surroundings) -> tuple[Complaint, ...]:
    """What is worth knowing, and keeps nobody from being protected."""
    return (
        *guests.tried(state),
        *verified.settled(state, around),
        *backups.missing(state, around),
        *ways.strangers(state, around),
        *machines.releases(state),
    )
