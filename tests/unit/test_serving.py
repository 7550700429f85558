# SPDX-License-Identifier: MIT
"""The hands of a machine that serves meanwhile: what is run, and in which order; and the terminal
that the command was typed at.
"""

import io
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from firstboot import replacement, serving
from firstboot.agreement import Agreement, Stage, to_file
from firstboot.replacement import notify_ready
from firstboot.seat import Seat
from firstboot.serving import Serving, link_local
from haagent.command import Places
from haagent.errors import OperatorError, ToolError

ADDRESSES = (
    '[{"ifname":"crossover","address":"52:54:00:00:0a:01","addr_info":[{"family":"inet",'
    '"local":"192.168.77.1","prefixlen":24,"broadcast":"192.168.77.255"}]}]'
)


class Tools:
    """What was run, in order. FAILS ends badly."""

    def __init__(self, fails: str = "nothing") -> None:
        self.done: list[str] = []
        self.fails = fails

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        line = " ".join(argv)
        self.done.append(line)
        if self.fails in line:
            raise ToolError(argv, 3, "")
        return ADDRESSES if "address show" in line else ""


@pytest.fixture(autouse=True)
def no_hardware(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(serving, "FORBIDS_IPV6", tmp_path / "disable_ipv6")


def test_the_agent_is_restarted_alone_and_last() -> None:
    tools = Tools()
    Serving(tools).restart_services()
    assert tools.done == [
        "systemctl restart heartbeat.service",
        "systemctl reset-failed haagent.service",
        "systemctl restart haagent.service",
    ]


def test_without_heartbeat_the_agent_is_left_alone() -> None:
    tools = Tools("heartbeat")
    with pytest.raises(ToolError):
        Serving(tools).restart_services()
    assert not [line for line in tools.done if "haagent" in line]


@pytest.mark.parametrize(("fails", "runs"), [("nothing", True), ("is-active", False)])
def test_whether_the_agent_runs(fails: str, runs: bool) -> None:
    assert Serving(Tools(fails)).is_agent_running() is runs


def test_the_crossover_has_an_address_for_as_long_as_the_two_talk(tmp_path: Path) -> None:
    tools = Tools()
    with pytest.raises(KeyboardInterrupt), Serving(tools).open_crossover():
        assert tools.done[-1].startswith("ip -6 address replace fe80::5054:ff:fe00:a01/64")
        assert (tmp_path / "disable_ipv6").read_text() == "0"
        raise KeyboardInterrupt
    assert tools.done[-1] == "ip -6 address del fe80::5054:ff:fe00:a01/64 dev crossover"


def test_a_link_local_address_is_the_cards_own() -> None:
    """RFC 4291, appendix A."""
    assert str(link_local("52:54:00:00:0a:01")) == "fe80::5054:ff:fe00:a01"
    assert str(link_local("00:00:5e:00:53:01")) == "fe80::200:5eff:fe00:5301"


@pytest.mark.parametrize("is_agreed", [True, False])
def test_only_what_was_agreed_on_goes_on(is_agreed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = Tools()
    hands = Serving(tools)
    file = to_file(Agreement(Stage.COMMITTED, "c", "version: 1", "5f" * 32))
    monkeypatch.setattr(hands, "read", lambda path: file if is_agreed else None)
    hands.carry_on()
    assert tools.done == ["systemctl --no-block start shoestring-replace.service"] * is_agreed


def test_systemd_is_told_when_the_files_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify_ready()
        assert systemd.recv(64) == b"READY=1"
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify_ready()  # run by hand


def test_a_replacement_takes_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    with pytest.raises(OperatorError, match="a person at a terminal"):
        replacement.replace(Places())


def test_a_seat_gives_lines_and_waits_for_others_too() -> None:
    reader, writer = os.pipe()
    other, others_writer = os.pipe()
    seat = Seat(reader)
    assert seat.read(0.0, other) is None
    os.write(writer, b"482 9\x7f913\nnext\nha")
    assert seat.read(10.0) == "482 913"
    assert seat.read(10.0) == "next"
    os.write(others_writer, b"x")
    assert seat.read(10.0, other) in (other, None)
    os.write(writer, b"lf\n")
    assert seat.read(10.0) == "half"
    os.close(writer)
    with pytest.raises(OperatorError, match="nothing was changed"):
        seat.read(10.0)
    for one in (reader, other, others_writer):
        os.close(one)
