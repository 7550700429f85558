# SPDX-License-Identifier: MIT
"""`shoestring lan`, with a real door to an agent that is played by the test; and the program that
takes addresses up.
"""

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from firstboot import neighbours, relocation
from firstboot.addresses import Present, Wanted
from firstboot.relocation import Relocating, Watch
from haagent import shoestring
from haagent.command import Exit, Places
from haagent.console.snapshot import Snapshot, to_dict
from haagent.core.events import LanAsked
from haagent.core.model import LanStage
from haagent.errors import OperatorError, ToolError
from tests.unit.fake_agent import Agent, Captured, types
from tests.unit.fake_state import WELL, Change, both, hello, lan, look, node, silent
from tests.unit.test_config import Machine

TYPED = "10.0.2.11/24 10.0.2.12 10.0.2.1\n"
NOW = Present(
    0,
    ("anna", "berta"),
    (IPv4Interface("192.168.1.11/24"), IPv4Interface("192.168.1.12/24")),
    IPv4Address("192.168.1.1"),
    (IPv4Interface("192.168.77.1/24"),),
    {"counter": IPv4Address("192.168.1.50")},
)


def at(stage: LanStage, runs: int = 0, files: int = 0, peer_runs: int = 0) -> Change:
    return lan(stage, runs, files, lan_runs=peer_runs)


WAY = (
    at(LanStage.ASKED),
    at(LanStage.AGREED),
    at(LanStage.AGREED, peer_runs=2),
    at(LanStage.AGREED, 2, 0, 2),
    at(LanStage.KEPT, 2, 0, 2),
    at(LanStage.KEPT, 2, 2, 2),
)
DROPPED = both(at(LanStage.DROPPED), node(lan_trouble="the new gateway does not answer berta"))


class Hands:
    """The machine, without its LAN. OBJECTIONS are what the LAN says, one after the other."""

    def __init__(self, *objections: str | None) -> None:
        self.objections = list(objections)
        self.asked: list[Wanted] = []

    def present(self) -> Present:
        return NOW

    def objection(self, now: Present, new: Wanted, macs: Sequence[str]) -> str | None:
        self.asked.append(new)
        return self.objections.pop(0) if self.objections else None


@pytest.fixture
def places(tmp_path: Path) -> Places:
    machine = Machine(tmp_path)
    return Places(machine.file, machine.cmdline, tmp_path / "state", tmp_path / "run" / "s")


@pytest.fixture
def agent(places: Places, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    wear(monkeypatch, Hands())
    monkeypatch.setattr(relocation, "_own_macs", lambda hands: ())
    agent = Agent(places.socket)
    agent.says(node())
    agent.is_watched.set()
    yield agent
    agent.stop()


def wear(monkeypatch: pytest.MonkeyPatch, hands: Hands) -> Hands:
    monkeypatch.setattr(relocation, "Relocating", lambda: hands)
    return hands


def test_it_is_asked_checked_said_done_and_verified(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.then = WAY
    screen = types(monkeypatch, f"{TYPED}yes\n")
    assert shoestring.main(["lan"], places) == Exit.PROTECTED
    page = screen.getvalue()
    order = [
        "anna is 192.168.1.11/24, berta is 192.168.1.12, the gateway is 192.168.1.1.",
        "whether the gateway answers ...",
        "192.168.1.11/24 -> 10.0.2.11/24",
        "they keep their own addresses, and the gateway that they know.",
        "NOT in the network 10.0.2.0/24 then: counter (192.168.1.50).",
        "First berta takes up its new address",
        "Type yes to do it: ",
        "anna and berta have their new addresses: 10.0.2.11/24, 10.0.2.12, gateway 10.0.2.1.",
    ]
    whole = " ".join(page.split())
    found = [whole.index(line.strip()) for line in order]
    assert found == sorted(found)
    lines = page.replace("> ", "\n").replace("do it: ", "\n").splitlines()
    assert max(map(len, lines)) < 80
    (event,) = agent.heard
    assert isinstance(event, LanAsked)
    assert (event.first, event.second, event.gateway) == (
        "10.0.2.11/24",
        "10.0.2.12/24",
        "10.0.2.1",
    )


@pytest.mark.parametrize("typed", ["\n", "back\n", TYPED, f"{TYPED}no\n", f"?\n{TYPED}\n"])
def test_without_a_yes_nothing_is_asked(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured, typed: str
) -> None:
    types(monkeypatch, typed)
    assert shoestring.main(["lan"], places) == Exit.FAILED
    assert "Nothing was changed, on neither machine." in capsys.readouterr().err
    assert agent.heard == []


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("10.0.2.11 10.0.2.12 10.0.2.1\n", "needs its prefix"),
        ("10.0.2.11/24\n", "Two addresses and the gateway are needed"),
        ("10.0.2.11/24 10.0.2.12 10.0.3.1\n", "not in the network"),
        (TYPED.strip() + " 10.0.2.50\n", "those of the guests are not changed here"),
        ("192.168.1.11/24 192.168.1.12 192.168.1.1\n", "have now"),
        ("192.168.77.11/24 192.168.77.12 192.168.77.3\n", "overlaps"),
    ],
)
def test_what_is_mistyped_is_told_and_asked_again(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, typed: str, why: str
) -> None:
    agent.then = WAY
    screen = types(monkeypatch, f"{typed}{TYPED}yes\n")
    assert shoestring.main(["lan"], places) == Exit.PROTECTED
    assert why in " ".join(screen.getvalue().split())
    assert len(agent.heard) == 1


def test_what_the_lan_objects_to_is_asked_again(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = wear(monkeypatch, Hands("10.0.2.12 is taken: the card 52:54:00:12:34:56 has it."))
    agent.then = WAY
    screen = types(monkeypatch, f"{TYPED}{TYPED}yes\n")
    assert shoestring.main(["lan"], places) == Exit.PROTECTED
    assert "is taken" in screen.getvalue() and len(hands.asked) == 2


def test_what_was_not_kept_is_a_failure_with_its_reason(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    agent.then = (at(LanStage.ASKED), at(LanStage.AGREED), DROPPED)
    types(monkeypatch, f"{TYPED}yes\n")
    assert shoestring.main(["lan"], places) == Exit.FAILED
    told = capsys.readouterr().err
    assert "were not kept: the new gateway does not answer berta." in told
    assert "Both machines have their old ones." in told


def test_a_pair_that_is_not_well_is_not_asked_at_all(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    agent.says(silent)
    screen = types(monkeypatch, f"{TYPED}yes\n")
    assert shoestring.main(["lan"], places) == Exit.FAILED
    assert "berta is silent, and it takes both machines" in capsys.readouterr().err
    assert screen.getvalue() == "" and agent.heard == []


def test_what_is_under_way_is_only_watched(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.says(WAY[2])
    screen = types(monkeypatch, "")
    is_over = relocation.is_over

    def goes_on(shown: Snapshot) -> bool:
        agent.says(WAY[5])
        return is_over(shown)

    monkeypatch.setattr(relocation, "is_over", goes_on)
    assert shoestring.main(["lan"], places) == Exit.PROTECTED
    assert "anna takes up its new address ..." in screen.getvalue()
    assert agent.heard == []


def test_it_is_over_only_when_both_have_the_same_for_good() -> None:
    def over(change: Change) -> bool:
        return relocation.is_over(look(change(WELL)))

    assert [over(change) for change in WAY] == [False] * 5 + [True]
    assert over(DROPPED)
    assert not over(at(LanStage.DROPPED, 2, 0, 0)) and not over(at(LanStage.DROPPED, peer_runs=2))
    waits = hello(lan=replace(lan(LanStage.PROVEN)(WELL).durable.lan, stage=LanStage.PROVEN))
    assert not over(both(WAY[5], waits))


def watched(change: Change, at: float) -> dict[str, Any]:
    return to_dict(replace(look(change(WELL)), at=at))


def test_a_silent_machine_is_named_and_not_waited_for_once_it_is_dropped(capsys: Captured) -> None:
    watch = Watch(2, patience=16.0)
    assert not watch(watched(WAY[2], 100.0))
    assert not watch(watched(both(WAY[2], silent), 110.0))
    assert not watch(watched(both(WAY[2], silent), 117.0))
    assert not watch(watched(both(at(LanStage.DROPPED, 2, 0), silent), 140.0)), "we are not back"
    assert watch(watched(both(DROPPED, silent), 141.0))
    assert capsys.readouterr().out.splitlines() == [
        "anna takes up its new address ...",
        "berta is silent: waiting for it ...",
    ]


def test_an_agent_on_its_way_back_is_waited_for() -> None:
    watch = Watch(2, patience=16.0)
    assert not watch(watched(both(DROPPED, silent), 100.0)), "the first that is seen"
    assert not watch(watched(both(DROPPED, silent), 116.0))
    assert watch(watched(both(DROPPED, silent), 117.0))
    assert watch(watched(DROPPED, 118.0))
    assert not watch(watched(both(DROPPED, silent), 119.0)), "it was heard meanwhile"


def test_what_is_kept_is_over_when_the_other_one_says_so_too() -> None:
    watch = Watch(2, patience=16.0)
    assert watch(watched(WAY[5], 90.0))
    assert not watch(watched(both(WAY[5], silent), 100.0))
    assert not watch(watched(both(WAY[5], silent), 200.0))


def test_an_older_change_is_not_taken_for_the_one_that_was_asked_for(capsys: Captured) -> None:
    assert not Watch(3, patience=16.0)(watched(WAY[5], 100.0))
    assert capsys.readouterr().out == ""


def test_it_is_not_said_of_a_silent_machine_that_it_is_back(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(relocation, "Watch", lambda number, patience: Watch(number, -1.0))
    agent.then = (both(DROPPED, silent),)
    types(monkeypatch, f"{TYPED}yes\n")
    assert shoestring.main(["lan"], places) == Exit.FAILED
    told = " ".join(capsys.readouterr().err.split())
    assert "anna has its old one. berta is silent; it goes back to its own by itself." in told


def test_it_takes_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    with pytest.raises(OperatorError, match="a person at a terminal"):
        relocation.relocate(Places())


class Lan:
    """Who is there, for `objection`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: str, answers: bool) -> None:
        self.ran: list[str] = []
        self.answered_with: list[str] = []
        found = {IPv4Address("10.0.2.12"): owner} if owner else {}
        monkeypatch.setattr(neighbours, "owners", lambda interface, asked: found)
        monkeypatch.setattr(neighbours, "answers", lambda interface, gateway: self.answer(answers))

    def answer(self, is_there: bool) -> bool:
        self.answered_with = list(self.ran)
        return is_there

    def run(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        self.ran.append(" ".join(argv))
        return ""


NEW = Wanted(
    (IPv4Interface("10.0.2.11/24"), IPv4Interface("10.0.2.12/24")), IPv4Address("10.0.2.1")
)


def test_the_gateway_is_asked_from_a_second_address_that_is_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = Lan(monkeypatch, "", answers=True)
    assert Relocating(there.run).objection(NOW, NEW, ()) is None
    assert there.answered_with == ["ip address add 10.0.2.11/24 dev lan broadcast +"]
    assert there.ran[-1] == "ip address del 10.0.2.11/24 dev lan"


def test_an_address_that_stays_is_not_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Lan(monkeypatch, "", answers=True)
    new = Wanted(NOW.addresses, IPv4Address("192.168.1.254"))
    assert Relocating(there.run).objection(NOW, new, ()) is None
    assert there.ran == []


def test_taken_addresses_and_a_silent_gateway_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    mac = "52:54:00:12:34:56"
    taken = Lan(monkeypatch, mac, answers=True)
    why = Relocating(taken.run).objection(NOW, NEW, ())
    assert why is not None and "10.0.2.12 is taken" in why and taken.ran == []
    ours = Lan(monkeypatch, mac, answers=False)
    why = Relocating(ours.run).objection(NOW, NEW, (mac,))
    assert why is not None and "gateway 10.0.2.1 does not answer anna from 10.0.2.11/24" in why


def test_a_second_address_is_taken_away_whatever_happens() -> None:
    ran: list[str] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        ran.append(" ".join(argv))
        if "del" in argv:
            raise ToolError(argv, 2, "it is gone")
        return ""

    with pytest.raises(KeyboardInterrupt), neighbours.also("lan", NEW.addresses[0], run):
        raise KeyboardInterrupt
    assert ran[-1] == "ip address del 10.0.2.11/24 dev lan"


@pytest.mark.parametrize("argv", [[], ["stop"], ["try", "keep"]])
def test_only_orders_are_carried_out(argv: list[str], capsys: Captured) -> None:
    assert relocation.carry_out(argv) == Exit.USAGE
    assert "try|keep|back" in capsys.readouterr().err


def test_an_order_that_fails_says_why_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(relocation, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(Relocating, "agreed", lambda self: failing())
    assert relocation.carry_out(["try"]) == 1
    assert "No state. Look." in capsys.readouterr().out


def failing() -> None:
    raise OperatorError("No state.", "Look.")
