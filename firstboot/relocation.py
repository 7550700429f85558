# SPDX-License-Identifier: MIT
"""`shoestring lan`: other addresses on the LAN for both machines and another gateway, from one
console; and what takes them up, on each (python3 -m firstboot.relocation ORDER).

The command must not decide: it looks, asks, and tells what the two agents then show. Until yes is
typed nothing is changed, on neither machine.
"""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from firstboot import addresses, neighbours
from firstboot.addresses import Present, Wanted
from firstboot.appliance import hidden
from firstboot.interview import lan_of
from firstboot.prompts import BACK, Refused
from firstboot.rendering import CROSSOVER, LAN
from firstboot.serving import Serving
from firstboot.taking_up import TakingUp
from haagent import client, config, state
from haagent.asking import ask, tell
from haagent.command import Exit, Interrupted, Places, is_at_a_terminal, look
from haagent.config import Config
from haagent.console.snapshot import Snapshot, from_dict
from haagent.core.actions import LanOrder
from haagent.core.model import LanChange, LanStage
from haagent.core.resolving import RESTING
from haagent.core.timing import Timing
from haagent.errors import OperatorError, ShoestringError

NOTHING = "Nothing was changed, on neither machine."
GOES_ON = "The change goes on by itself; if the new addresses do not work, both keep the old ones."
LOCK = Path("/run/shoestring/lan.lock")
REST_WITHIN = 30.0  # seconds for what the agent is at, before it is restarted
LEAVE = ("", BACK, "no")


class Relocating(Serving):
    """This machine, while its addresses on the LAN change."""

    def config(self) -> Config:
        return config.load()

    def agreed(self) -> LanChange:
        config = self.config()
        found = state.examine(state.FOLDER, config.guests, gone=config.removed)
        return found.durable.lan if found.durable else LanChange()

    def agent_runs(self) -> int | None:
        try:
            return from_dict(client.snapshot()).lan.runs
        except ShoestringError:
            return None

    def await_rest(self) -> None:
        def rests(data: dict[str, Any]) -> bool:
            return all(guest.phase in RESTING for guest in from_dict(data).guests)

        # One that does not answer is at nothing.
        with contextlib.suppress(ShoestringError):
            client.follow(rests, REST_WITHIN * self.time_scale())

    def present(self) -> Present:
        crossover = self.interfaces().get(CROSSOVER)
        text = self._text(addresses.NETWORK_FILE)
        return addresses.present(self.config(), text, crossover.addresses if crossover else ())

    def objection(self, now: Present, new: Wanted, macs: Sequence[str]) -> str | None:
        """What the LAN says against NEW, in a sentence. MACS are the pair's own cards."""
        asked = [one.ip for one in new.addresses]
        for address, mac in neighbours.owners(LAN, asked).items():
            if mac not in macs:
                return f"{address} is taken: the card {mac} on the LAN has it."
        if self._gateway_answers(now, new):
            return None
        return (
            f"The gateway {new.gateway} does not answer {now.names[now.me]} from"
            f" {new.addresses[now.me]}. It has to be there, and to answer pings."
        )

    def _gateway_answers(self, now: Present, new: Wanted) -> bool:
        mine = new.addresses[now.me]
        if mine == now.addresses[now.me]:
            return neighbours.answers(LAN, new.gateway)
        with neighbours.also(LAN, mine, self._run):
            return neighbours.answers(LAN, new.gateway)


def relocate(places: Places) -> Exit:
    """The command. Raises OperatorError, and Interrupted when Ctrl-C ended the watching."""
    if not is_at_a_terminal():
        raise OperatorError(
            "To change the addresses takes a person at a terminal.",
            "Log in, and type the command yourself.",
        )
    _, shown = look(places)
    if shown.lan.is_open or not shown.lan.is_settled or shown.lan.runs != shown.lan.files:
        tell("A change of the LAN's addresses is under way.")
        return _follow(shown.lan.number, places)
    _refuse(shown)
    hands = Relocating()
    now = hands.present()
    tell(*introduction(now))
    new = _ask(hands, now)
    tell(*consequences(now, new))
    if ask("Type yes to do it: ").lower() != "yes":
        raise OperatorError(f"No yes was typed. {NOTHING}", "Say it again if you want it.")
    _, shown = look(places)  # the world may have moved while the person was reading
    _refuse(shown)
    first, second = map(str, new.addresses)
    client.lan(first, second, str(new.gateway), places.socket)
    return _follow(shown.lan.number + 1, places)


def _refuse(shown: Snapshot) -> None:
    if shown.lan.blocker is not None:
        raise OperatorError(
            f"The LAN's addresses cannot be changed now: {shown.lan.blocker}. {NOTHING}",
            "Both machines must be well first: `shoestring status` says what to do.",
        )


def introduction(now: Present) -> list[str]:
    this, other = now.names[now.me], now.names[1 - now.me]
    mine, theirs = now.addresses[now.me], now.addresses[1 - now.me]
    return [
        f"On the LAN {this} is {mine}, {other} is {theirs.ip}, the gateway is {now.gateway}.",
        f"Which addresses shall they have? {this}'s with its prefix, {other}'s, and the gateway's,"
        " such as:",
        "    10.0.2.11/24 10.0.2.12 10.0.2.1",
        "? explains. Enter alone leaves all as it is.",
    ]


def explanation(now: Present) -> list[str]:
    this, other = now.names[now.me], now.names[1 - now.me]
    return [
        f"Three addresses with blanks between them: of {this}, which is this machine, of {other},"
        " and of the gateway, all in one network. Take addresses that your router does not give"
        " away. What stays the same is typed again. The gateway must be there already, and answer"
        " pings: it is asked before anything is changed.",
    ]


def _ask(hands: Relocating, now: Present) -> Wanted:
    """What is wanted, and free. Raises OperatorError if a person leaves it."""
    while True:
        typed = ask("> ")
        if typed.lower() in LEAVE:
            raise OperatorError(f"Left as it is. {NOTHING}", "Say it again if you want it.")
        if typed == "?":
            tell(*explanation(now))
            continue
        try:
            new = understood(now, typed)
        except Refused as error:
            tell(f"{error} Nothing was changed; type all three again.")
            continue
        tell("Asking the LAN whether they are free, and whether the gateway answers ...")
        why = hands.objection(now, new, _own_macs(hands))
        if why is None:
            return new
        tell(f"{why} Nothing was changed; type others, or the same again once that is put right.")


def understood(now: Present, typed: str) -> Wanted:
    """Raises Refused, with a sentence."""
    lan = lan_of(typed)
    if lan.guest is not None:
        raise Refused("Only three addresses: those of the guests are not changed here.")
    new = addresses.wanted(now, lan)
    if (why := addresses.flaw(now, new)) is not None:
        raise Refused(why)
    return new


def _own_macs(hands: Relocating) -> tuple[str, ...]:
    lan = hands.interfaces().get(LAN)
    return (hands.config().lan.peer_mac, *([lan.mac] if lan else []))


def consequences(now: Present, new: Wanted) -> list[str]:
    """What will happen, for whoever is about to say yes."""
    this, other = now.names[now.me], now.names[1 - now.me]
    lines = [
        f"    {now.names[node]:<12} {now.addresses[node]} -> {new.addresses[node]}"
        for node in (now.me, 1 - now.me)
    ]
    lines.append(f"    {'gateway':<12} {now.gateway} -> {new.gateway}")
    lines.append(
        "The guests run on where they are. Inside of them nothing is changed: they keep their own"
        " addresses, and the gateway that they know."
    )
    if away := addresses.guests_left_behind(now, new):
        lines.append(
            f"NOT in the network {new.network} then: {', '.join(away)}. Give each its new address"
            " inside the guest, or leave a router between the two networks."
        )
    return [
        *lines,
        f"First {other} takes up its new address, then {this}. They stay only if both hear each"
        " other there and the gateway answers both; if not, and if a machine is restarted"
        " meanwhile, both go back to the old ones by themselves.",
        "Until that is done, a minute or a few, neither machine takes over from the other.",
    ]


class Watch:
    """Sees how a change goes on, and tells it."""

    def __init__(self, number: int, patience: float) -> None:
        """NUMBER or a higher one is the change that is meant. After PATIENCE seconds a machine is
        called silent: it is longer than an agent takes to come back.
        """
        self._number = number
        self._patience = patience
        self._said = ""
        self._heard: float | None = None  # when the other machine last was, by the agent's clock

    def __call__(self, data: dict[str, Any]) -> bool:
        """Whether it has come to its end."""
        shown = from_dict(data)
        if shown.lan.number < self._number:
            return False
        if self._heard is None or _is_heard(shown):
            self._heard = shown.at
        is_silent = shown.at - self._heard > self._patience
        line = f"{shown.peer} is silent: waiting for it" if is_silent else stage(shown)
        if line != self._said and not is_back(shown):
            tell(f"{line} ...")
            self._said = line
        # safety: who is silent cannot keep alone what was dropped here; what is kept, it must take.
        return is_over(shown) or (is_silent and is_back(shown))


def _follow(number: int, places: Places) -> Exit:
    """Tells how it goes on, until both machines have the same addresses for good. NUMBER as in
    Watch.
    """
    scale = config.time_scale(places.cmdline)
    watch = Watch(number, Timing().take * scale)
    deadline = time.monotonic() + 4 * Timing().trial * scale
    try:
        while (left := deadline - time.monotonic()) > 0:
            try:
                if client.follow(watch, left, places.socket):
                    return _verdict(places)
            except client.AgentSilent:
                time.sleep(1.0)  # it is being restarted; there is no event to wait for
    except KeyboardInterrupt:
        print()
        raise Interrupted(GOES_ON, "`shoestring lan` shows how far it is.") from None
    raise OperatorError(
        "The two machines have not come to an end with it.",
        f"{GOES_ON} `shoestring status` on both says what is missing.",
    )


def stage(shown: Snapshot) -> str:
    """What is going on at the moment."""
    lan, me, peer = shown.lan, shown.me, shown.peer
    match lan.stage:
        case LanStage.ASKED | LanStage.WRITTEN:
            return "Both machines write it down"
        case LanStage.DROPPED:
            return "Going back to the old addresses"
        case LanStage.KEPT:
            return "The new addresses work; both machines keep them"
    for name, runs in ((peer, lan.peer_runs), (me, lan.runs)):
        if runs != lan.number:
            return f"{name} takes up its new address"
    return "Waiting until both hear each other there, and the gateway answers both"


def _is_heard(shown: Snapshot) -> bool:
    return any(node.is_heard for node in shown.nodes if not node.is_me)


def is_back(shown: Snapshot) -> bool:
    """The change was dropped, and this machine has its old address."""
    lan = shown.lan
    return lan.stage == LanStage.DROPPED and lan.is_settled and lan.runs == lan.files


def is_over(shown: Snapshot) -> bool:
    """Both machines say that they have the same addresses, and this one has them on its files."""
    lan = shown.lan
    if lan.is_open or not lan.is_settled or not _is_heard(shown):
        return False
    if not lan.runs == lan.files == lan.peer_runs:
        return False
    return lan.stage != LanStage.KEPT or lan.peer_stage == LanStage.KEPT


def _verdict(places: Places) -> Exit:
    _, shown = look(places)
    lan, me, peer = shown.lan, shown.me, shown.peer
    if lan.stage != LanStage.KEPT:
        why = next(filter(None, lan.troubles), "no answer came")
        now = (
            "Both machines have their old ones."
            if is_over(shown)
            else f"{me} has its old one. {peer} is silent; it goes back to its own by itself."
        )
        raise OperatorError(
            f"The new addresses were not kept: {why}. {now}",
            "Put that right, then type `shoestring lan` again.",
        )
    tell(
        f"{me} and {peer} have their new addresses: {lan.words}. They hear each other there, and"
        " the gateway answered both."
    )
    return Exit.PROTECTED


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """No two orders at once: an older one may still be restarting something."""
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def carry_out(argv: Sequence[str]) -> int:
    """One order of the agent's; the exit status, for systemd."""
    if len(argv) != 1 or argv[0] not in list(LanOrder):
        print(f"usage: python3 -m firstboot.relocation {'|'.join(LanOrder)}", file=sys.stderr)
        return Exit.USAGE

    def log(text: str) -> None:
        print(hidden(text), flush=True)

    try:
        with _alone():
            TakingUp(Relocating(), log).run(LanOrder(argv[0]))
    except ShoestringError as error:
        hint = error.hint if isinstance(error, OperatorError) else ""
        log(f"{error} {hint}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(carry_out(sys.argv[1:]))
