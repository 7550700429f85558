# SPDX-License-Identifier: MIT
"""Which addresses will do, and the files that a machine gets with them."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from firstboot import addresses
from firstboot.addresses import Present, Wanted
from firstboot.interview import lan_of
from firstboot.rendering import NETWORK, SETTINGS, STATE
from haagent import config
from haagent.config import Config
from haagent.core.model import LanChange, LanStage
from haagent.errors import OperatorError
from tests.unit.test_staying import old_files

CHANGE = LanChange(2, "192.168.5.11/24", "192.168.5.12/24", "192.168.5.1", LanStage.AGREED, "a1")
TYPED = "192.168.5.11/24 192.168.5.12 192.168.5.1"


@pytest.fixture
def old(tmp_path: Path) -> Config:
    return loaded(tmp_path, old_files()[SETTINGS].text)


def loaded(folder: Path, text: str) -> Config:
    """TEXT as the agent reads it."""
    key = folder / "pair.key"
    key.write_text("5f" * 32)
    key.chmod(0o600)
    file, cmdline = folder / "pair.yaml", folder / "cmdline"
    file.write_text(text.replace(f"{STATE}/shoestring/pair.key", str(key)))
    cmdline.write_text("quiet\n")
    return config.load(file, cmdline)


def network_text() -> str:
    return old_files()[f"{NETWORK}/30-lan.network"].text


def now(old: Config) -> Present:
    return addresses.present(old, network_text(), (IPv4Interface("192.168.77.1/24"),))


def new(now_: Present, typed: str = TYPED) -> Wanted:
    return addresses.wanted(now_, lan_of(typed))


def test_what_is_there_is_understood(old: Config) -> None:
    found = now(old)
    assert found.addresses[found.me] == IPv4Interface((old.lan.address, 24))
    assert found.addresses[1 - found.me].ip == old.lan.peer_address
    assert (found.gateway,) == old.referees
    with pytest.raises(OperatorError, match="do not fit together"):
        addresses.present(old, network_text().replace(str(old.lan.address), "10.1.1.1"), ())


def test_this_machine_is_typed_first_wherever_it_is_typed(old: Config) -> None:
    here = now(old)
    assert new(here).addresses[here.me].ip == IPv4Address("192.168.5.11")
    there = replace(here, me=1 - here.me, addresses=here.addresses[::-1])
    assert new(there).addresses[there.me].ip == IPv4Address("192.168.5.11")


def test_addresses_that_will_not_do_are_refused_with_a_reason(old: Config) -> None:
    here = now(old)
    mine, theirs = here.addresses[here.me], here.addresses[1 - here.me]
    assert addresses.flaw(here, new(here)) is None
    same = new(here, f"{mine} {theirs.ip} {here.gateway}")
    assert "have now" in (addresses.flaw(here, same) or "")
    swapped = new(here, f"{theirs} {mine.ip} {here.gateway}")
    assert "present address" in (addresses.flaw(here, swapped) or "")
    for one in (mine, theirs):
        ours = new(here, f"10.0.2.21/24 10.0.2.22 {one.ip}")
        assert "no gateway" in (addresses.flaw(here, ours) or "")
    crossover = new(here, "192.168.77.11/24 192.168.77.12 192.168.77.3")
    assert "overlaps" in (addresses.flaw(here, crossover) or "")
    (name, guest), *_ = here.guests.items()
    taken = replace(same, gateway=guest)
    assert f"of the guest {name}" in (addresses.flaw(here, taken) or "")


def test_guests_that_are_left_behind_are_named(old: Config) -> None:
    here = now(old)
    (name, guest), *_ = here.guests.items()
    assert addresses.guests_left_behind(here, new(here)) == [f"{name} ({guest})"]
    near = replace(new(here), addresses=here.addresses)
    assert addresses.guests_left_behind(here, near) == []


def test_the_agent_reads_the_new_settings_and_all_else_stays(old: Config, tmp_path: Path) -> None:
    settings, network = addresses.on_trial(old, CHANGE)
    assert settings.path == str(config.ON_TRIAL)
    found = loaded(tmp_path, settings.text)
    me = old.pair.me
    both = IPv4Address("192.168.5.11"), IPv4Address("192.168.5.12")
    assert (found.lan.address, found.lan.peer_address) == (both[me], both[1 - me])
    assert found.pair.lan == 2
    assert found.referees == (IPv4Address("192.168.5.1"),)
    kept = replace(
        found,
        pair=replace(found.pair, lan=0),
        lan=old.lan,
        referees=old.referees,
        key_file=old.key_file,
    )
    assert kept == old
    assert network.path.startswith("/run/systemd/network/")
    # The first by name is the one that counts: systemd.network(5).
    assert Path(network.path).name < "30-lan.network"
    assert f"Address={CHANGE.first if me == 0 else CHANGE.second}\n" in network.text
    assert "Gateway=192.168.5.1\n" in network.text and "Broadcast=192.168.5.255\n" in network.text


def test_other_referees_stay_unless_they_were_on_the_old_lan(old: Config, tmp_path: Path) -> None:
    more = replace(old, referees=(*old.referees, IPv4Address("9.9.9.9")))
    settings, _ = addresses.on_trial(more, CHANGE)
    found = loaded(tmp_path, settings.text)
    assert found.referees == (IPv4Address("192.168.5.1"), IPv4Address("9.9.9.9"))


def test_the_files_that_last_end_with_the_agents_settings(old: Config) -> None:
    clock = f"[Time]\nNTP={old.referees[0]} 9.9.9.9\n"
    files = addresses.for_good(old, CHANGE, network_text(), clock)
    assert [file.path for file in files][-2:] == [f"{NETWORK}/30-lan.network", SETTINGS]
    assert files[0].text == "[Time]\nNTP=192.168.5.1 9.9.9.9\n"
    assert files[1].text == "nameserver 192.168.5.1\n"
    trial = addresses.on_trial(old, CHANGE)
    assert [file.text for file in files[-2:]] == [trial[1].text, trial[0].text]


def test_what_cannot_be_understood_becomes_no_file(old: Config) -> None:
    with pytest.raises(OperatorError, match="cannot be understood"):
        addresses.on_trial(old, replace(CHANGE, gateway="192.168.5.1\nDHCP=yes"))
