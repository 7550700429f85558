# SPDX-License-Identifier: MIT
"""All named histories of a pair, by family: faults that once broke rules, and ordinary ones.

A new history goes into its family's module, and is found here.
"""

from collections.abc import Mapping

from tests.sim.both import BOTH
from tests.sim.cables import CABLES
from tests.sim.choices import CHOICES
from tests.sim.deaths import DEATHS
from tests.sim.disks import DISKS
from tests.sim.hangs import HANGS
from tests.sim.lone import LONE
from tests.sim.moves import MOVES
from tests.sim.orders import ORDERS
from tests.sim.releases import RELEASES
from tests.sim.relocations import RELOCATIONS
from tests.sim.resyncs import RESYNCS
from tests.sim.sticks import STICKS
from tests.sim.successions import SUCCESSIONS
from tests.sim.telling import Scenario
from tests.sim.wishes import WISHES

# Of two machines and two addresses that stay the same.
ORDINARY: Mapping[str, Scenario] = {
    **DEATHS,
    **BOTH,
    **CABLES,
    **CHOICES,
    **MOVES,
    **STICKS,
    **DISKS,
    **HANGS,
    **RESYNCS,
}
SCENARIOS: Mapping[str, Scenario] = {
    **ORDINARY,
    **SUCCESSIONS,
    **LONE,
    **RELOCATIONS,
    **RELEASES,
    **WISHES,
    **ORDERS,
}
