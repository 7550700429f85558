# SPDX-License-Identifier: MIT
"""`shoestring replace`: gives a dead machine's place to a blank one; and what carries that on by
itself, after the command and after every start (python3 -m firstboot.replacement).

Until the last question is answered nothing is changed, on neither machine, and Ctrl-C leads out.
"""

import contextlib
import dataclasses
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import haagent
from firstboot.agreement import Agreement, to_file
from firstboot.answers import Answers
from firstboot.appliance import hidden
from firstboot.evening import RealCable
from firstboot.herald import Herald
from firstboot.hotplug import Changes
from firstboot.meeting import Gone, Meeting, Met
from firstboot.pairing.announcement import LONGEST_TEXT, Party, party
from firstboot.pairing.cards import Card, ethernet_cards
from firstboot.pairing.discovery import Observation, RouterSeen
from firstboot.pairing.radio import Radio
from firstboot.probe import probe
from firstboot.rendering import CROSSOVER, LAN_CARD, File
from firstboot.replacing import Replacing
from firstboot.roster import leading
from firstboot.roster.machine import Changing
from firstboot.roster.part import Part
from firstboot.seat import Seat
from firstboot.serving import Serving
from firstboot.staying import Staying, keep_key
from firstboot.survivor import Survivor
from firstboot.wording import sentence
from haagent import client
from haagent.asking import tell
from haagent.boot import boot_id
from haagent.command import Exit, Interrupted, Places, is_at_a_terminal, look
from haagent.console import prospects
from haagent.console.snapshot import Snapshot, from_dict
from haagent.core.model import CONNECTED
from haagent.errors import OperatorError, PeerError, ShoestringError
from haagent.progress import Line

NOTHING = "Nothing was changed, on neither machine."
GOES_ON = "The replacement is agreed on, and goes on by itself."
MEETS_WITHIN = 1800.0  # seconds: the new machine makes its disk ready, and starts its services


class CrossoverRadio(Radio):
    """Hears of the crossover and of the LAN alone, and takes the LAN for no crossover: the pair's
    cable is in the card that it was always in.
    """

    def __init__(self, cards: Callable[[], Iterable[Card]] = ethernet_cards) -> None:
        super().__init__(lambda: [one for one in cards() if one.name in (CROSSOVER, LAN_CARD)])

    def look(self, at: float) -> tuple[Observation, ...]:
        return (*super().look(at), RouterSeen(at, LAN_CARD))


class NoPlace:
    """A survivor keeps nothing while it talks; what is agreed on is written once, in the end."""

    def read(self, path: str) -> File | None:
        return None

    def write(self, file: File) -> None:
        raise AssertionError(f"{file.path} is written too early")

    def remove(self, path: str) -> None: ...


def replace(places: Places) -> Exit:
    """The command. Raises OperatorError, and Interrupted when Ctrl-C ended it."""
    if not is_at_a_terminal():
        raise OperatorError(
            "A replacement takes a person at a terminal.", "Log in, and type the command yourself."
        )
    shown = assert_alone(places)
    line = Line()
    part = Part(Changing(places.run), tell, line.shows)
    leading.settle_here(part)
    line.ends()
    hands, seat = Serving(), Seat()
    survivor = dataclasses.replace(hands.survivor(), apart=prospects.apart(shown))
    is_agreed = False

    def commit(agreement: Agreement) -> None:
        nonlocal is_agreed
        leading.settle_alone(part)
        assert_same_list(survivor, hands.survivor())
        keep_key(hands)
        hands.write(to_file(agreement))
        is_agreed = True

    hands.stop_carrying_on()
    try:
        with hands.open_crossover():
            _meet(hands, seat, survivor, lambda: assert_alone(places), commit)
    except KeyboardInterrupt:
        print()
        if not is_agreed:
            raise Interrupted(NOTHING, "The new machine begins again by itself.") from None
    finally:
        hands.carry_on()
    return _follow(places, hands.time_scale())


def assert_same_list(told: Survivor, now: Survivor) -> None:
    """Raises OperatorError if the guests are not those that the new machine was TOLD of: beside a
    machine that was alone nobody else kept them from coming and going meanwhile.
    """
    if (told.list, told.guests) != (now.list, now.guests):
        raise OperatorError(
            f"The list of guests of {now.name} has changed meanwhile. {NOTHING}",
            "Type `shoestring replace` again; the new machine begins again by itself.",
        )


def assert_alone(places: Places) -> Snapshot:
    """What the agent shows. Raises OperatorError unless this machine serves all guests alone, with
    the newest copies.
    """
    _, shown = look(places)
    if (found := prospects.no_replacement(shown)) is not None:
        why, hint = found
        what = f"{shown.peer} cannot be replaced now"
        if shown.is_vacant:
            what = f"No machine can come beside {shown.me} now"
        raise OperatorError(f"{what}: {why}. {NOTHING}", hint)
    return shown


def _meet(
    hands: Serving,
    seat: Seat,
    survivor: Survivor,
    assert_alone: Callable[[], object],
    commit: Callable[[Agreement], None],
) -> None:
    """Until both machines have agreed. Raises OperatorError."""
    scale = hands.time_scale()
    radio = CrossoverRadio()
    try:
        me = identity((survivor.name,) if survivor.is_vacant else survivor.names)
        meeting = Meeting(me, seat, radio, RealCable(scale), NoPlace(), time.monotonic, scale)
        while True:
            crossover = meeting.find(lambda: introduction(survivor), Changes())
            met: Met | None = None
            try:
                met = meeting.pair(crossover)
                Replacing(
                    meeting, met, hands.description, survivor, assert_alone, commit, shielded
                ).run()
                return
            except (Gone, PeerError) as error:
                seat.tell(f"{sentence(str(error))}\n{NOTHING} Beginning again.")
            finally:
                if met is not None:
                    met.session.close()
    finally:
        radio.close()


def introduction(survivor: Survivor) -> str:
    me, dead = survivor.name, survivor.dead
    if survivor.is_vacant:
        return "\n".join(
            [
                f"Another PC comes beside {me}. The guests run on here all the time.",
                "",
                "  1. Flash a stick for it, from the same image as that of this machine, and start"
                " the PC from it.",
                f"  2. Connect a card of it to the card {CROSSOVER} of {me} by a cable, and another"
                " one to the LAN.",
                "  3. It shows a code; the rest is asked here.",
                "",
                "Ctrl-C ends this; nothing is changed before the last question.",
            ]
        )
    return "\n".join(
        [
            f"Another PC takes the place of {dead}. The guests run on here, on {me}, all the time.",
            "",
            "  1. Flash a stick for it, as for a new pair, and start the PC from it.",
            f"  2. Put the crossover cable of {dead} into it, and its LAN cable.",
            "  3. It shows a code; the rest is asked here.",
            "",
            f"{dead} must be off, and stay off. Ctrl-C ends this; nothing is changed before the"
            " last question.",
        ]
    )


def identity(names: tuple[str, ...]) -> Party:
    """Who this machine says that it is, on the crossover: of one with these NAMES, or alone."""
    pair = " and ".join(names)[:LONGEST_TEXT]
    return party(probe().machine_id, boot_id(), haagent.__version__, pair)


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Ctrl-C waits, as does whatever else ends a command: between the other machine's promise and
    our word there is no way back.
    """
    ends = {signal.SIGINT, signal.SIGHUP, signal.SIGTERM}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _follow(places: Places, scale: float) -> Exit:
    """Tells how it goes on, until every guest is being copied."""
    tell(f"{GOES_ON} The new machine makes its disk ready; then the guests are copied to it.")
    said: set[str] = set()

    def seen(data: dict[str, Any]) -> bool:
        shown = from_dict(data)
        for line in progress(shown):
            if line not in said:
                said.add(line)
                print(f"{line} ...", flush=True)
        return is_met(shown)

    # The agent is started anew meanwhile, and does not answer for a moment.
    deadline = time.monotonic() + MEETS_WITHIN * scale
    try:
        while (left := deadline - time.monotonic()) > 0:
            try:
                if client.follow(seen, left, places.socket):
                    return _met(places)
            except client.AgentSilent:
                time.sleep(1.0)  # there is no event to wait for: nobody is there
    except KeyboardInterrupt:
        print()
        raise Interrupted(GOES_ON, "`shoestring status` shows how far it is.") from None
    raise OperatorError(
        "The new machine has not come. The guests run on here, alone.",
        "Look at its screen. It goes on by itself as soon as it can; if it cannot, start it from a"
        " stick flashed anew and type `shoestring replace` again.",
    )


def is_met(shown: Snapshot) -> bool:
    return bool(shown.guests) and all(guest.link in CONNECTED for guest in shown.guests)


def progress(shown: Snapshot) -> list[str]:
    return [
        f"{guest.name} is being copied" if guest.link in CONNECTED else f"{guest.name} waits for it"
        for guest in shown.guests
    ]


def _met(places: Places) -> Exit:
    _, shown = look(places)
    tell(
        f"{shown.peer} is the second half of this pair now. Until the copies are whole everything"
        f" is on {shown.me} alone: leave both on. `shoestring status` shows how far they are."
    )
    return Exit.PROTECTED


def carry_on() -> int:
    """What was agreed on is carried out; the exit status, for systemd."""

    def tell(text: str) -> None:
        print(hidden(text), flush=True)

    def herald(agreed: Agreement, answers: Answers) -> Herald:
        return Herald(identity(answers.names), agreed, answers.crossover.mac)

    try:
        Staying(Serving(), tell, notify_ready, herald).run()
    except ShoestringError as error:
        hint = error.hint if isinstance(error, OperatorError) else ""
        tell(f"The replacement stopped: {error} {hint}")
        return 1
    return 0


def notify_ready() -> None:
    """Tells systemd that whatever waits for us may start: sd_notify(3)."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if where:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
            door.sendto(b"READY=1", where.replace("@", "\0", 1))


if __name__ == "__main__":
    sys.exit(carry_on())
