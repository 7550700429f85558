# SPDX-License-Identifier: MIT
"""What ip(8) prints, as captured from iproute2 6.15, and the leases in it."""

from ipaddress import IPv4Address, IPv4Interface

import pytest

from firstboot.leases import Lease, parse_leases, parse_time_servers
from haagent.errors import BugError

ADDRESSES = """[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP"],"mtu":65536,
"addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host","label":"lo",
"valid_life_time":4294967295,"preferred_life_time":4294967295}]},{},
{"ifindex":3,"ifname":"enp0s3","flags":["BROADCAST","UP"],"mtu":1500,"operstate":"UP",
"addr_info":[{"family":"inet","local":"10.0.2.15","prefixlen":24,"metric":1024,
"broadcast":"10.0.2.255","scope":"global","dynamic":true,"label":"enp0s3",
"valid_life_time":86397,"preferred_life_time":86397}]}]"""
ROUTES = """[{"dst":"default","gateway":"10.0.2.2","dev":"enp0s3","protocol":"dhcp",
"prefsrc":"10.0.2.15","metric":1024,"flags":[]}]"""


def test_a_card_with_a_lease() -> None:
    assert parse_leases(ADDRESSES, ROUTES) == (
        Lease("enp0s3", IPv4Interface("10.0.2.15/24"), IPv4Address("10.0.2.2")),
    )


@pytest.mark.parametrize("routes", ["", "[]", "[{}]"])
def test_a_lease_may_come_without_a_gateway(routes: str) -> None:
    assert parse_leases(ADDRESSES, routes)[0].gateway is None


@pytest.mark.parametrize("addresses", ["", "[]"])
def test_no_lease(addresses: str) -> None:
    assert parse_leases(addresses, "") == ()


@pytest.mark.parametrize(
    "text", ["x", '{"a": 1}', '[{"addr_info": [{"family": "inet", "dynamic": 1}]}]']
)
def test_anything_else_is_a_fault(text: str) -> None:
    with pytest.raises(BugError):
        parse_leases(text, "")


# In the shape of networkd-json.c of systemd 257.
NETWORKD = """{"Interfaces":[{"Index":1,"Name":"lo"},
{"Index":2,"Name":"enp0s2","NTP":[
{"Family":2,"Address":[192,168,1,1],"ConfigSource":"DHCPv4","ConfigProvider":[192,168,1,1]},
{"Family":2,"Address":[192,168,1,9],"ConfigSource":"runtime"}]},
{"Index":3,"Name":"enp0s3","NTP":[
{"Family":2,"Address":[192,168,1,2],"ConfigSource":"DHCPv4"},
{"Family":2,"Address":[192,168,1,1],"ConfigSource":"DHCPv4"},
{"Family":2,"Address":[0,0,0,0],"ConfigSource":"DHCPv4"},
{"Server":"time.example","ConfigSource":"DHCPv4"}]}]}"""


def test_time_servers_are_those_that_dhcp_named_each_once() -> None:
    assert parse_time_servers(NETWORKD) == (IPv4Address("192.168.1.1"), IPv4Address("192.168.1.2"))


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "{}", '{"Interfaces": [{"NTP": 1}]}', '{"Interfaces": [1]}']
)
def test_without_any_that_are_understood_there_are_others(text: str) -> None:
    assert parse_time_servers(text) == ()
