# SPDX-License-Identifier: MIT
"""What the radio hears on real cards, and what becomes of cards that come and go."""

import contextlib
import socket
from ipaddress import IPv6Address

from firstboot.pairing import frames
from firstboot.pairing.announcement import Announcement
from firstboot.pairing.discovery import (
    CardGone,
    FrameSeen,
    Heard,
    RouterSeen,
)
from firstboot.pairing.obstacles import Obstacle, Reason
from firstboot.pairing.radio import Radio
from tests.unit.real_cards import (
    FASTER,
    ROUTER,
    SECONDS,
    SILENT,
    Finder,
    Machine,
    a_frame,
    ip,
    machines,
    plug,
    stranger,
    two,
    wired,
)
from tests.vm.wait import wait_until

__all__ = ["machines", "two", "wired"]  # fixtures


def test_a_cable_with_both_ends_in_one_machine(two: tuple[Machine, Machine]) -> None:
    a, _ = two
    plug(a, a, "cable", "lan")
    finder = a.do(Finder, a)

    def is_found() -> bool:
        finding = a.do(finder.tick)
        return isinstance(finding, Obstacle) and finding.reason is Reason.LOOP

    wait_until("the loop to be seen", is_found, SECONDS, every=1 / FASTER)
    a.do(finder.radio.close)


def heard_by(machine: Machine, radio: Radio, kind: type) -> list[object]:
    """What is observed until something of KIND is."""
    seen: list[object] = []

    def is_there() -> bool:
        seen.extend(machine.do(radio.look, 0.0))
        seen.extend(machine.do(radio.hear, 0.0))
        return any(isinstance(one, kind) for one in seen)

    wait_until(f"a {kind.__name__}", is_there, SECONDS, every=0.02)
    return seen


def test_a_card_that_is_off_is_switched_on(two: tuple[Machine, Machine]) -> None:
    plug(*two, "cable", "cable", up=False)
    radios = [machine.do(Radio, machine.cards) for machine in two]
    for machine, radio in zip(two, radios, strict=True):
        machine.do(radio.look, 0.0)
    assert two[0].address() and two[1].address()
    for machine, radio in zip(two, radios, strict=True):
        machine.do(radio.close)


def test_a_card_goes_and_comes_back(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    b.address()
    radio, other = a.do(Radio, a.cards), b.do(Radio, b.cards)
    assert radio.fileno() >= 0
    b.do(other.look, 0.0)
    a.address()
    a.do(radio.look, 0.0)
    b.do(other.announce, b.party, SILENT, {})
    assert heard_by(a, radio, Heard)

    ip("-n", a.name, "link", "delete", "cable")
    b.do(other.announce, b.party, SILENT, {})  # to nobody, through a card that is gone
    a.do(radio.announce, a.party, SILENT, {})
    a.do(radio.hear, 0.0)
    assert a.do(radio.look, 0.0) == (CardGone(0.0, "cable"),)
    assert b.do(other.look, 0.0) == (CardGone(0.0, "cable"),)
    plug(a, b, "cable", "cable")
    a.address()
    b.address()
    a.do(radio.look, 0.0)
    b.do(other.look, 0.0)
    b.do(other.announce, b.party, SILENT, {"cable": 3})
    [heard] = [one for one in heard_by(a, radio, Heard) if isinstance(one, Heard)]
    assert heard.announcement == Announcement(b.party, b.mac("cable"), b.address(), 1000, 3, SILENT)
    a.do(radio.close)
    b.do(other.close)


def test_a_card_that_came_back_between_two_looks_is_another_one(
    wired: tuple[Machine, Machine],
) -> None:
    a, b = wired
    a.address()
    radio = a.do(Radio, a.cards)
    a.do(radio.look, 0.0)
    ip("-n", a.name, "link", "delete", "cable")
    plug(a, b, "cable", "cable")
    assert a.do(radio.look, 0.0)[0] == CardGone(0.0, "cable")
    a.do(radio.close)


def test_what_else_is_on_the_cable(wired: tuple[Machine, Machine]) -> None:
    """Strangers and routers are told, our own frames are not, and broken ones are counted."""
    a, b = wired
    a.address()
    b.address()
    radio = a.do(Radio, a.cards)
    a.do(radio.look, 0.0)
    mouth = stranger(b, "cable")
    announcement = frames.build(Announcement(b.party, b.mac("cable")))
    for frame in (
        a_frame(ROUTER),
        a_frame(ROUTER),
        announcement[:-1] + b"?",
        announcement[:40] + bytes(30),
        announcement[:14] + b"an experiment of somebody else's, with the same ethertype",
        bytes.fromhex("333300000001 52540000dead 86dd 6000000000103aff")
        + IPv6Address("fe80::1").packed
        + IPv6Address("ff02::1").packed
        + bytes.fromhex("8600")
        + bytes(14),
        b"\0" * 60,
    ):
        mouth.send(frame)
    a.do(radio.announce, a.party, SILENT, {})
    seen = heard_by(a, radio, RouterSeen)
    assert not any(isinstance(one, Heard) for one in seen)
    macs = [one.mac for one in seen if isinstance(one, FrameSeen)]
    assert {ROUTER, "52:54:00:00:de:ad", b.mac("cable")} <= set(macs)
    assert a.mac("cable") not in macs
    assert RouterSeen(0.0, "cable") in seen
    assert radio.ignored["cable"] == 2
    mouth.close()
    a.do(radio.close)


def test_a_flood_is_read_in_parts(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    a.address()
    b.address()
    radio = a.do(Radio, a.cards)
    a.do(radio.look, 0.0)
    mouth = stranger(b, "cable")
    announcement = frames.build(Announcement(b.party, b.mac("cable")))
    for _ in range(3000):
        with contextlib.suppress(BlockingIOError, OSError):
            mouth.send(announcement, socket.MSG_DONTWAIT)
    assert 0 < len(a.do(radio.hear, 0.0)) <= 64
    mouth.close()
    a.do(radio.close)
