# SPDX-License-Identifier: MIT
"""The phases of a guest on one node, and every way from one to another.

The table is the law: a move that is not in it is a bug. `diagram` draws it for ARCHITECTURE.md.
"""

from collections.abc import Mapping

from haagent.core.model import Phase

EDGES: Mapping[tuple[Phase, Phase], str] = {
    (Phase.RELEASED, Phase.PROMOTING): "both questions have a proof; the term is persisted",
    (Phase.RELEASED, Phase.FORFEITING): "unbroken is broken, or the peer asks for our consent",
    (Phase.RELEASED, Phase.HOLDING): "the agent came back in the boot in which it held the guest",
    (Phase.RELEASED, Phase.DESTROYING): "something of the guest is here that nobody may hold",
    (Phase.FORFEITING, Phase.RELEASED): "Outdated and Secondary were read back",
    (Phase.PROMOTING, Phase.CREATING): "Primary was read back",
    (Phase.PROMOTING, Phase.DESTROYING): "DRBD refused, or a proof fell",
    (Phase.CREATING, Phase.HOLDING): "Xen runs it",
    (Phase.CREATING, Phase.DESTROYING): "Xen could not, or the term was lost",
    (Phase.HOLDING, Phase.CREATING): "the guest ended by itself; it starts again here",
    (Phase.HOLDING, Phase.FROZEN): "DRBD lost the peer; writes wait",
    (Phase.FROZEN, Phase.HOLDING): "DRBD is connected again, or evidence came and the term rose",
    (
        Phase.HOLDING,
        Phase.STOPPING,
    ): "a person moves or stops it; the machine leaves; the guest ended",
    (Phase.HOLDING, Phase.DESTROYING): "a higher term was heard",
    (Phase.FROZEN, Phase.DESTROYING): "no evidence in time, or a higher term was heard",
    (Phase.STOPPING, Phase.DESTROYING): "it would not stop, no evidence in time, or a higher term",
    (Phase.STOPPING, Phase.RELEASED): "stopped and Secondary: farewell",
    (Phase.DESTROYING, Phase.RELEASED): "gone and Secondary",
}


def diagram() -> str:
    """The table as a list, one line an edge, for ARCHITECTURE.md."""
    width = max(len(str(phase)) for phase in Phase)
    return "\n".join(
        f"{before:<{width}} -> {after:<{width}}  {why}" for (before, after), why in EDGES.items()
    )
