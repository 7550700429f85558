# SPDX-License-Identifier: MIT
"""A switch joins two cables as long as it is there, and carries what is for the other one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from haagent.network.frames import mac_bytes
from tests.unit.test_relay import Plug
from tests.vm.cables import Cables
from tests.vm.disk import Disk
from tests.vm.incidents.wiring import Switch, exchange_cables, joined
from tests.vm.lab import DATA
from tests.vm.machine import Machine, Nic

ALL = "ff:ff:ff:ff:ff:ff"
A, B, AWAY = (f"52:54:00:00:0{last}" for last in ("a:01", "b:01", "c:01"))


def frame(source: str, to: str, said: bytes = b"") -> bytes:
    return mac_bytes(to) + mac_bytes(source) + b"\x88\xb5" + said


def test_a_switch_learns_who_is_on_which_cable() -> None:
    switch = Switch()
    assert switch.lets_pass("xo", frame(A, B))  # it does not know b yet
    assert switch.lets_pass("xo", frame(B, ALL))
    assert not switch.lets_pass("xo", frame(A, B))
    assert switch.lets_pass("lan", frame(AWAY, B))
    assert switch.lets_pass("xo", frame(A, AWAY))
    assert switch.lets_pass("xo", frame(A, ALL))


@pytest.fixture
def plugs(tmp_path: Path) -> Iterator[dict[str, Plug]]:
    cables = Cables(tmp_path, {"xo": ["a", "b", "ear"], "lan": ["a", "b", "ear"]})
    names = ("xo-a", "xo-b", "lan-a", "lan-b", "lan-ear")
    yield {name: Plug(tmp_path, *name.split("-")) for name in names}
    cables.close()


def test_two_cables_are_one_network_for_a_while(plugs: dict[str, Plug], tmp_path: Path) -> None:
    with joined(tmp_path):
        plugs["xo-a"].send(frame(A, ALL, b"one"))
        for name in ("xo-b", "lan-a", "lan-b"):
            assert plugs[name].hear() == frame(A, ALL, b"one")
        plugs["lan-b"].send(frame(B, A, b"two"))
        for name in ("lan-a", "xo-a", "xo-b", "lan-ear"):
            assert plugs[name].hear() == frame(B, A, b"two")
        plugs["xo-b"].send(frame(AWAY, A, b"three"))
        assert plugs["xo-a"].hear() == frame(AWAY, A, b"three")
    plugs["xo-a"].send(frame(A, ALL, b"four"))
    plugs["lan-a"].send(frame(AWAY, ALL, b"five"))
    assert plugs["xo-b"].hear() == frame(A, ALL, b"four")
    for name in ("lan-b", "lan-ear"):
        assert plugs[name].hear() == frame(AWAY, ALL, b"five"), "it heard the crossover"


def test_the_cables_of_a_machine_change_places_and_its_cards_do_not(tmp_path: Path) -> None:
    machine = Machine("a", tmp_path, [Disk("data", DATA)], [Nic("xo", A), Nic("lan", B)])
    exchange_cables(machine)
    assert machine.nics == [Nic("lan", A), Nic("xo", B)]
    exchange_cables(machine)
    assert machine.nics == [Nic("xo", A), Nic("lan", B)]
