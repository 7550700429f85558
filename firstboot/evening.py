# SPDX-License-Identifier: MIT
"""The set-up from its first page to its end, whatever the power does meanwhile.

Answers may come from a file on the stick or from a person; from then on both are the same.
"""

import logging
import time
from ipaddress import IPv6Address

import haagent
from firstboot import agreement as agreements
from firstboot import alone, journal
from firstboot import answers as answer_file
from firstboot.agreement import Stage
from firstboot.answers import Part
from firstboot.appliance import Appliance, hidden
from firstboot.apply import set_up
from firstboot.description import Description
from firstboot.driven import Driven
from firstboot.driving import Driving
from firstboot.faces import line
from firstboot.faces.pager import ROOM
from firstboot.herald import Herald
from firstboot.hotplug import Changes
from firstboot.installing import asking
from firstboot.installing.carrying import Carrying
from firstboot.meeting import AloneWished, Gone, InstallWished, Meeting, Met
from firstboot.pairing import stream
from firstboot.pairing.announcement import Party, party
from firstboot.pairing.cards import ethernet_cards
from firstboot.pairing.discovery import Observation, RouterSeen
from firstboot.pairing.radio import Radio
from firstboot.pairing.stream import Listener, Stream
from firstboot.probe import Machine
from firstboot.terminals import Terminals
from firstboot.wording import sentence
from haagent.boot import boot_id
from haagent.errors import OperatorError, PeerError, ShoestringError
from haagent.folding import folded

OUR_FAULT = (
    "The set-up stopped by a fault of its own. `journalctl -u shoestring-setup` tells more, in the"
    " shell of the boot menu's Rescue entry."
)

log = logging.getLogger(__name__)


class RealCable:
    """The cards and sockets of this machine, for meeting.py. SCALE stretches their limits."""

    def __init__(self, scale: float) -> None:
        self._limit = stream.LIMIT * scale

    def address(self, card: str) -> IPv6Address:
        """Raises PeerError."""
        found = next((one.address for one in ethernet_cards() if one.name == card), None)
        if found is None:
            raise PeerError(f"{card} has no address yet")
        return found

    def mac(self, card: str) -> str:
        """Raises PeerError."""
        found = next((one.mac for one in ethernet_cards() if one.name == card), None)
        if found is None:
            raise PeerError(f"{card} is gone")
        return found

    def call(self, card: str, ours: IPv6Address, peer: IPv6Address) -> Stream:
        return stream.call(card, ours, peer, limit=self._limit)

    def listen(self, card: str, ours: IPv6Address, peer: IPv6Address) -> Listener:
        return Listener(card, ours, peer, limit=self._limit)


class LeaseRadio(Radio):
    """Also hears of the addresses that DHCP gives: a cable with such a server is no crossover."""

    def __init__(self, hands: Appliance) -> None:
        super().__init__()
        self._hands = hands
        self._asks = False

    def look(self, at: float) -> tuple[Observation, ...]:
        """As the radio's. Raises ToolError."""
        if not self._asks:
            self._hands.start_looking_for_addresses()
            self._asks = True
        given = {lease.card for lease in self._hands.leases()}
        return (*super().look(at), *(RouterSeen(at, card) for card in sorted(given)))


def spend(hands: Carrying, screens: Terminals) -> None:
    """Returns when this machine is one half of a pair, or restarts to be installed to a disk."""
    while True:
        try:
            if _install_first(hands) or _set_up(hands, screens):
                return
            _meet(hands, screens)
            continue
        except InstallWished:
            if _install(hands, screens):
                return
            continue
        except AloneWished:
            _alone(hands, screens)
            continue
        except ShoestringError as error:
            hint = error.hint if isinstance(error, OperatorError) else ""
            screens.tell(hidden(_stopped(str(error), hint)))
        except Exception:
            # A dead screen helps nobody: whatever it was, there is a person before it.
            log.exception("a bug")
            screens.tell(OUR_FAULT)
        screens.tell("Press Enter to try again. What is done already is kept.")
        while screens.read(None) is None:
            pass


def _stopped(error: str, hint: str) -> str:
    """One screen, with a line left for what Enter does."""
    lines, rest = folded(error), folded(hint)
    room = ROOM - len(rest) - 2
    if len(lines) > room:
        lines = [*lines[: room - 1], f"... and {len(lines) - room + 1} lines more"]
    return "\n".join(["The set-up of this machine stopped.", *lines, *rest])


def _set_up(hands: Appliance, screens: Terminals) -> bool:
    """Whether there were answers, and they were carried out. Raises ShoestringError."""
    agreed = agreements.from_file(hands.read(agreements.PATH))
    if agreed is None or agreed.stage is not Stage.COMMITTED:
        return set_up(hands, screens.tell)
    answers = answer_file.read(agreed.answers)
    if answers.part is Part.ALONE:
        return set_up(hands, screens.tell)  # there is nobody to be told
    with Herald(_me(hands), agreed, answers.crossover.mac):
        return set_up(hands, screens.tell)


def _install_first(hands: Carrying) -> bool:
    """Whether a file says so, and the machine restarts for it: before anything is set up, so that
    what goes on after the restart is a set-up from its beginning. Raises ShoestringError.
    """
    text = hands.answers()
    if text is None or journal.load(hands.read(journal.PATH), hands.write):
        return False
    if not asking.agreed_in_file(answer_file.read(text), hands):
        return False
    hands.restart()
    return True


def _install(hands: Carrying, screens: Terminals) -> bool:
    """Whether a person has agreed, and the machine restarts for it."""
    try:
        if not asking.choose(screens, hands):
            return False
        hands.restart()
    except ShoestringError as error:
        hint = error.hint if isinstance(error, OperatorError) else ""
        screens.tell(f"{sentence(str(error))} {hint}")
        return False
    return True


def _alone(hands: Appliance, screens: Terminals) -> None:
    """What a person agrees to for this machine by itself is the decision, at once."""
    try:
        agreement = alone.choose(screens, lambda: _description(hands))
    except ShoestringError as error:
        hint = error.hint if isinstance(error, OperatorError) else ""
        screens.tell(f"{sentence(str(error))} {hint}\nNothing was written.")
        return
    finally:
        screens.hide(False)
    if agreement is not None:
        hands.write(agreements.to_file(agreement))


def _meet(hands: Appliance, screens: Terminals) -> None:
    """Returns when both machines have agreed. Raises OperatorError."""
    radio = LeaseRadio(hands)
    try:
        scale = hands.time_scale()
        cable = RealCable(scale)
        meeting = Meeting(_me(hands), screens, radio, cable, hands, time.monotonic, scale)
        if meeting.agreement is not None:
            screens.tell("Continuing the set-up that was interrupted: all was agreed on already.")
        while not (meeting.agreement is not None and meeting.commit()):
            _agree(meeting, hands)
    finally:
        radio.close()


def _agree(meeting: Meeting, hands: Appliance) -> None:
    """From the first page to where this machine is prepared; or to where nothing came of it."""

    def describe() -> Description:
        return _description(hands)

    crossover = meeting.find(
        lambda: _greeting(hands.machine()), Changes(), lambda: line.details(hands.machine())
    )
    met: Met | None = None
    try:
        met = meeting.pair(crossover)
        if met.drives:
            Driving(meeting, met, describe).run()
        else:
            Driven(meeting, met, describe).run()
    except (Gone, PeerError) as error:
        log.info("%s", error)
        if meeting.agreement is None:
            meeting.screens.tell(f"{sentence(str(error))}\nNothing was written. Beginning again.")
    finally:
        meeting.screens.hide(False)
        if met is not None:
            met.session.close()


def _description(hands: Appliance) -> Description:
    return Description(
        hands.examined_machine(), hands.leases(), hands.time_scale(), hands.time_servers()
    )


def _greeting(machine: Machine) -> str:
    return line.greeting(machine, may_install=asking.is_possible(machine))


def _me(hands: Appliance) -> Party:
    return party(hands.machine().machine_id, boot_id(), haagent.__version__)
