# SPDX-License-Identifier: MIT
"""The cards of a machine, from a copy of sysfs; and those that are none of ours."""

from ipaddress import IPv6Address
from pathlib import Path

import pytest

from firstboot.pairing.cards import Card, ethernet_cards, link_local_addresses

# As a machine with an address of every kind shows it.
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fe800000000000005054 00fffe000a01 02 40 20 80     eth0
20010db8000000005054 00fffe000a01 02 40 00 00     eth0
fe80000000000000000000000000000f 03 40 20 c0     eth1
fe80000000000000000000000000000e 04 40 20 88     eth2
fe80000000000000000000000000000d 05 40 20 80     eth3
fe80000000000000000000000000000c 05 40 20 80     eth3
""".replace("5054 00ff", "505400ff")


def add(root: Path, name: str, **files: str) -> Path:
    entry = root / "sys/class/net" / name
    entry.mkdir(parents=True)
    (entry / "device").mkdir()
    usual = {
        "type": "1",
        "ifindex": "2",
        "address": "52:54:00:00:0a:01",
        "carrier": "1",
        "speed": "1000",
    }
    for file, text in {**usual, **files}.items():
        if text:
            (entry / file).write_text(f"{text}\n")
    return entry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/if_inet6").write_text(IF_INET6)
    return tmp_path


def test_a_card_with_its_cable_and_its_address(root: Path) -> None:
    add(root, "eth0")
    address = IPv6Address("fe80::5054:ff:fe00:a01")
    expected = Card("eth0", 2, "52:54:00:00:0a:01", True, True, 1000, address)
    assert ethernet_cards(root) == (expected,)


def test_a_card_that_is_off_or_has_no_cable(root: Path) -> None:
    add(root, "eth0", carrier="", speed="")
    add(root, "eth1", carrier="0", speed="-1")
    off, on = ethernet_cards(root)
    assert (off.is_on, off.has_carrier, off.speed) == (False, False, None)
    assert (on.is_on, on.has_carrier, on.speed) == (True, False, None)


def test_what_is_no_ethernet_card_is_left_out(root: Path) -> None:
    add(root, "ib0", type="32")
    (add(root, "wlan0") / "phy80211").mkdir()
    (add(root, "br0") / "device").rmdir()
    add(root, "vanishing", address="")
    add(root, "going", ifindex="")
    assert ethernet_cards(root) == ()


def test_a_machine_without_any(tmp_path: Path) -> None:
    assert ethernet_cards(tmp_path) == ()


def test_only_an_address_that_can_be_used_counts() -> None:
    """eth1 is not sure of its address yet, eth2 has somebody else's; of two, the lower one."""
    assert link_local_addresses(IF_INET6) == {
        "eth0": IPv6Address("fe80::5054:ff:fe00:a01"),
        "eth3": IPv6Address("fe80::c"),
    }
