# SPDX-License-Identifier: MIT
"""The loop around the core: what is decided is on disk before it is done, and a bug ends it."""

import logging
import time
from dataclasses import replace
from pathlib import Path as File

import pytest

from haagent import __version__
from haagent.clocks import Clocks
from haagent.cluster.wire import VERSION, decode, encode
from haagent.core import actions, events
from haagent.core.decide import first_state
from haagent.core.invariants import InvariantBroken
from haagent.core.model import (
    Disk,
    Durable,
    FenceAnswer,
    Hello,
    Ledger,
    Link,
    NodeState,
    Pair,
    Path,
    Peer,
    Phase,
    Referee,
    Resource,
)
from haagent.daemon import as_we_run_it, forget
from haagent.errors import ToolError
from haagent.hands import GuestAction, Hands
from haagent.journal import Journal
from haagent.loop import Loop
from haagent.machine import ways
from haagent.state import StateError
from tests.unit.states import survivor
from tests.unit.test_config import EXPECTED


class Recorded:
    """An outside that notes what is done to it, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.is_full = False
        self.hellos: list[Hello] = []
        self.reasons: tuple[str, ...] = ()

    def save(self, durable: Durable) -> None:
        if self.is_full:
            raise StateError("The state cannot be written.", "Make room.", "the disk is full")
        self.done.append("save")

    def send(self, hello: Hello, formats: tuple[int, ...]) -> None:
        self.hellos.append(hello)

    def tell_replaced(self, hello: Hello) -> None:
        self.done.append("tell the replaced machine")

    def probe_referee(self) -> None: ...
    def probe_peer(self) -> None: ...

    def feed(self) -> None:
        self.done.append("feed")

    def do(self, action: GuestAction) -> None:
        self.done.append(type(action).__name__)

    def answer_fence(self, guest: str, answer: FenceAnswer) -> None:
        self.done.append(f"answer {int(answer)}")

    def answer_operator(self, guest: str, refusal: str | None) -> None:
        self.done.append(f"tell {guest}: {refusal}")

    def take_up_lan(self, order: actions.LanOrder) -> None:
        self.done.append(f"LAN: {order}")

    def reset(self, is_overdue: bool) -> None:
        self.done.append("reset, overdue" if is_overdue else "reset")

    def finish_leaving(self) -> None:
        self.done.append("finish")

    def decided(self, reasons: tuple[str, ...]) -> None:
        self.reasons += reasons

    def publish(self, state: NodeState) -> None: ...


def test_what_is_decided_is_on_disk_before_it_is_done() -> None:
    outside = Recorded()
    loop = Loop(survivor(), outside)
    loop.take(events.Tick(121.0))
    assert outside.done == ["save", "Promote", "feed"]


def test_what_cannot_be_written_is_not_done_also_when_the_stick_is_back() -> None:
    outside = Recorded()
    outside.is_full = True
    loop = Loop(survivor(), outside)
    loop.take(events.Tick(121.0))
    assert outside.done == ["feed"]
    assert loop.state.guests["g"].phase is Phase.RELEASED
    assert loop.state.is_stateless
    assert "b: the stick cannot be written any more: the disk is full" in outside.reasons
    outside.is_full = False
    loop.take(events.Tick(121.5))
    assert outside.done == ["feed", "feed"]
    assert all(hello.is_stateless for hello in outside.hellos)


def test_what_is_heard_when_the_stick_is_lost_is_not_lost_with_it() -> None:
    """The peer's claim could not be written down: the guest ends here all the same."""
    outside = Recorded()
    outside.is_full = True
    state = survivor()
    ours = replace(state.durable.ledgers["g"], term=3, theirs=2, held_in="b1")
    guest = replace(state.guests["g"], phase=Phase.HOLDING, is_running=True)
    state = replace(state, durable=replace(state.durable, ledgers={"g": ours}), guests={"g": guest})
    assert state.peer.hello is not None
    words = replace(state.peer.hello.guests["g"], term=4)
    hello = replace(state.peer.hello, number=8, guests={"g": words})
    loop = Loop(state, outside)
    loop.take(events.HelloHeard(121.0, Path.LAN, hello))
    assert loop.state.peer.hello == hello
    assert outside.done == ["Destroy"]


def test_a_person_is_told_what_became_of_it() -> None:
    outside = Recorded()
    loop = Loop(survivor(), outside)
    loop.take(events.MoveAsked(121.0, "g"))
    loop.take(events.MaintenanceAsked(121.0, True))
    assert outside.done == ["tell g: it does not run on b", "save", "tell : None"]
    outside.done.clear()
    outside.is_full = True
    loop.take(events.MaintenanceAsked(121.0, False))
    assert outside.done == ["tell : b cannot write to its stick any more"]
    assert loop.state.durable.in_maintenance


def test_a_broken_invariant_ends_the_loop() -> None:
    state = survivor()
    guest = replace(state.guests["g"], phase=Phase.HOLDING)
    loop = Loop(replace(state, guests={"g": guest}), Recorded())
    with pytest.raises(InvariantBroken):
        loop.take(events.Tick(121.0))


def test_an_adapter_that_gives_up_ends_the_loop() -> None:
    loop = Loop(survivor(), Recorded())
    loop.events.put(ToolError(["drbdsetup", "events2"], 1, "gone"))
    with pytest.raises(ToolError):
        loop.run(Clocks(2.0, File("/nowhere")))


def test_a_turn_judges_only_when_the_queue_is_empty() -> None:
    """The answer of the gateway waits in the queue: it is taken in before anything is judged."""
    state = first_state(Pair(0, ("a", "b"), {"g": 0}), "boot", None, time.monotonic())
    outside = Recorded()
    loop = Loop(state, outside)
    now = time.monotonic()
    loop.events.put(events.RefereeAnswered(now, now))
    in_sync = Resource(link=Link.CONNECTED, disk=Disk.UP_TO_DATE, peer_disk=Disk.UP_TO_DATE)
    loop.events.put(events.ResourceChanged(now, "g", in_sync))

    def stop(hello: Hello, formats: tuple[int, ...]) -> None:
        outside.hellos.append(hello)
        raise KeyboardInterrupt

    outside.send = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        loop.run(Clocks(2.0, File("/nowhere")))
    (hello,) = outside.hellos
    assert hello.has_referee
    assert hello.guests["g"].is_connected


def test_a_guest_that_is_gone_is_forgotten_and_one_of_its_name_begins_anew() -> None:
    durable = survivor().durable
    old = replace(durable, ledgers={**durable.ledgers, "old": Ledger(term=8)})
    assert forget(old, ["old", "older"]) == durable
    pair = replace(survivor().pair, guests={**survivor().pair.guests, "old": 1})
    assert first_state(pair, "boot", forget(old, ["old"]), 0.0).durable.ledgers["old"].term == 1


def test_the_agent_speaks_what_this_release_speaks() -> None:
    """All that the core asks for can be said: in both formats, with our release in the newer."""
    pair = as_we_run_it(Pair(0, ("a", "b"), {"g": 0}), b"k" * 32)
    outside, said = Recorded(), list[tuple[Hello, tuple[int, ...]]]()
    outside.send = lambda *what: said.append(what)  # type: ignore[method-assign]
    Loop(first_state(pair, "boot", None, 100.0), outside).take(events.Tick(101.0))
    [(hello, formats)] = said
    messages = [decode(encode(hello, b"k" * 32, one), b"k" * 32) for one in formats]
    assert [(one.version, one.hello.release) for one in messages] == [
        (VERSION, __version__),
        (VERSION - 1, ""),
    ]


class Kit:
    """DRBD and Xen that note what is done to them; promote fails while `is_stubborn`."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.is_stubborn = False

    def outdate(self, guest: str) -> None:
        self.done.append("outdate")

    def connect(self, guest: str) -> None:
        self.done.append("connect")

    def discard(self, guest: str) -> None:
        self.done.append("discard")

    def keep(self, guest: str, stamp: str, number: int) -> None:
        self.done.append(f"keep {stamp} {number}")

    def promote(self, guest: str, disconnect: bool, timeout: float) -> None:
        if self.is_stubborn:
            raise ToolError(["drbdadm", "primary", guest], 11, "Refusing to be Primary")
        self.done.append("promote")

    def demote(self, guest: str) -> None:
        self.done.append("demote")

    def reconnect(self, guest: str) -> None:
        if self.is_stubborn:
            raise ToolError(["drbdadm", "disconnect", guest], None, "")
        self.done.append("reconnect")

    def verify(self, guest: str) -> None:
        if self.is_stubborn:
            raise ToolError(["drbdsetup", "verify", guest], 11, "")
        self.done.append("verify")

    def down(self, guest: str) -> None:
        self.done.append("down")

    def create(self, guest: str) -> None:
        self.done.append("create")

    def shutdown(self, guest: str, grace: float) -> bool:
        self.done.append("shutdown")
        return True

    def restart(self, guest: str) -> None:
        self.done.append("restart")

    def destroy(self, guest: str) -> None:
        self.done.append("destroy")


def hands(kit: Kit, loop: Loop) -> Hands:
    return Hands(
        ["g"],
        kit,
        kit,
        kit,
        lambda guest: kit.done.append("announce"),
        loop.events.put,
        patience=1.0,
        grace=1.0,
    )


DEEDS: tuple[tuple[GuestAction, list[str], events.Deed], ...] = (
    (actions.Outdate("g"), ["outdate"], events.Deed.OUTDATE),
    (actions.Connect("g"), ["connect"], events.Deed.CONNECT),
    (actions.KeepCopy("g", "20260102-0304", 2), ["keep 20260102-0304 2"], events.Deed.KEEP),
    (actions.Discard("g"), ["discard"], events.Deed.DISCARD),
    (actions.Promote("g", True), ["promote"], events.Deed.PROMOTE),
    (actions.Create("g"), ["create", "announce"], events.Deed.CREATE),
    (actions.Shutdown("g"), ["shutdown", "demote"], events.Deed.SHUTDOWN),
    (actions.Restart("g"), ["restart"], events.Deed.RESTART),
    (actions.Destroy("g"), ["destroy", "demote"], events.Deed.DESTROY),
)


@pytest.mark.parametrize(("action", "done", "deed"), DEEDS)
def test_a_deed_is_done_and_told(action: GuestAction, done: list[str], deed: events.Deed) -> None:
    kit, loop = Kit(), Loop(survivor(), Recorded())
    hands(kit, loop).do(action)
    event = loop.events.get(timeout=10)
    assert isinstance(event, events.Done)
    assert (event.guest, event.deed) == ("g", deed)
    assert kit.done == done


def test_a_deed_that_fails_is_told_with_its_reason() -> None:
    kit, loop = Kit(), Loop(survivor(), Recorded())
    kit.is_stubborn = True
    hands(kit, loop).do(actions.Promote("g", True))
    event = loop.events.get(timeout=10)
    assert isinstance(event, events.Failed)
    assert "Refusing to be Primary" in event.why


def test_drbd_connects_anew_between_two_deeds_and_nothing_is_told_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kit, loop = Kit(), Loop(survivor(), Recorded())
    ours = hands(kit, loop)
    for deed in (actions.Outdate("g"), actions.Connect("g")):
        ours.do(deed)
        ours.reconnect("g")
    told = [loop.events.get(timeout=10) for _ in range(2)]
    assert [event.deed for event in told if isinstance(event, events.Done)] == [
        events.Deed.OUTDATE,
        events.Deed.CONNECT,
    ]
    kit.is_stubborn = True
    ours.reconnect("g")
    ours.do(actions.Outdate("g"))
    assert isinstance(loop.events.get(timeout=10), events.Done), "a failure is no end"
    assert kit.done == ["outdate", "reconnect", "connect", "reconnect", "outdate"]
    (line,) = caplog.messages
    assert line.startswith("g: DRBD did not connect anew: drbdadm")
    assert loop.events.empty()


def test_a_verification_begins_between_two_deeds(caplog: pytest.LogCaptureFixture) -> None:
    kit, loop = Kit(), Loop(survivor(), Recorded())
    ours = hands(kit, loop)
    ours.verify("g")
    ours.do(actions.Connect("g"))
    assert isinstance(loop.events.get(timeout=10), events.Done)
    kit.is_stubborn = True
    ours.verify("g")
    ours.do(actions.Outdate("g"))
    assert isinstance(loop.events.get(timeout=10), events.Done), "a failure is no end"
    assert kit.done == ["verify", "connect", "outdate"]
    (line,) = caplog.messages
    assert line.startswith("g: its two copies cannot be compared: drbdsetup verify")
    assert loop.events.empty()


def test_a_machine_that_stood_still_is_noticed(tmp_path: File) -> None:
    clock = tmp_path / "since_epoch"
    clock.write_text("1000\n")
    clocks = Clocks(2.0, clock)
    assert clocks.gap(50.0) is None
    clock.write_text("1001\n")
    assert clocks.gap(50.4) is None  # whole seconds
    clock.write_text("1021\n")
    gap = clocks.gap(51.0)
    assert gap is not None and gap == pytest.approx(19.4)
    clock.write_text("1022\n")
    assert clocks.gap(52.0) is None
    clock.write_text("900\n")
    assert clocks.gap(53.0) is None  # set back: proves nothing
    clock.write_text("nonsense\n")
    assert clocks.gap(54.0) is None


def test_what_is_said_before_a_reset_reaches_the_disk_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """journald writes out what is critical at once, and other lines minutes later."""
    state = survivor()
    guest = replace(state.guests["g"], phase=Phase.FROZEN, since=state.now - 500)
    frozen = replace(state, guests={"g": guest}, peer=Peer(), referee=Referee())
    caplog.set_level(logging.INFO)
    Loop(frozen, Recorded()).take(events.Tick(frozen.now))
    last = next(record for record in caplog.records if "giving up" in record.getMessage())
    assert last.levelno == logging.CRITICAL
    assert Journal("%(message)s").format(last).startswith("<2>")


def test_why_feeding_ends_is_critical_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """The watchdog bites before the guest is given up: that line would come too late."""
    state = survivor()
    guest = replace(state.guests["g"], phase=Phase.FROZEN, since=state.now - 1)
    silent = replace(state.peer, confirmed=state.now - state.timing.self_fence)
    ours = replace(state.durable, ledgers={"g": Ledger(3, 2, held_in="b1")})
    frozen = replace(state, guests={"g": guest}, durable=ours, peer=silent, referee=Referee())
    outside = Recorded()
    loop = Loop(frozen, outside)
    caplog.set_level(logging.INFO)
    for moment in (0.0, 0.5, 1.0):
        loop.take(events.Tick(frozen.now + moment))
    assert "feed" not in outside.done
    (last,) = [record for record in caplog.records if "is not fed" in record.getMessage()]
    assert last.levelno == logging.CRITICAL
    assert last.getMessage() == (
        "b: the watchdog is not fed: g is here, and nobody confirms this machine"
    )


def test_the_last_word_is_said_on_the_lan_first() -> None:
    assert list(ways(EXPECTED)) == [Path.LAN, Path.CROSSOVER]
    assert [way.interface for way in ways(EXPECTED).values()] == ["lan", "crossover"]
