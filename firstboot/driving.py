# SPDX-License-Identifier: MIT
"""The machine that a person sits at, once both are sure of each other: looks at both, asks, agrees.

Nothing here is written to a data disk. Whatever is refused leads back to a question, and a machine
that went away to the first page.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv4Interface
from typing import Any

from firstboot import answers as answer_file
from firstboot import zones
from firstboot.agreement import Agreement, Stage
from firstboot.answers import AnswersError
from firstboot.compare import Comparison, compare
from firstboot.compose import Found, Made, Side, compose, guest_mac
from firstboot.description import Description, from_message
from firstboot.faces import page as comparison_page
from firstboot.faces import pager, questions
from firstboot.faces.summary import summary
from firstboot.interview import Interview
from firstboot.meeting import DETAILS, Meeting, Met
from firstboot.probe import Disk, Machine
from firstboot.proposal import Between, in_words
from firstboot.question import DiskChoice, Facts, Topic
from firstboot.validate import Problem, Reason, problems
from firstboot.values import SECTOR
from haagent.errors import PeerError

LOOK = 180.0  # seconds: a disk that slept takes its time to answer
PREPARE = 60.0
FILL = "x" * 200_000
FILLS = 100  # 20 MB: a second of a slow cable
GO_ON = (
    "Press Enter to go on to the questions; `details` shows more. Nothing is written\n"
    "before the last one is answered."
)
MEND = "Mend that, then press Enter to look again; `details` shows more."
# For whoever stands before the other machine.
IN_THE_WAY = "Something is in the way of the pair; the screen of the other machine says what."

# What a person changes when this is in the way.
MENDS = {
    Reason.DISK_NOT_FOUND: Topic.DISKS,
    Reason.DISK_TWICE: Topic.DISKS,
    Reason.DISK_IS_BOOT_MEDIUM: Topic.DISKS,
    Reason.DISK_NOT_EMPTY: Topic.DISKS,
    Reason.DISK_OURS: Topic.DISKS,
    Reason.DISK_TOO_SMALL: Topic.DISKS,
    Reason.DISK_SECTORS: Topic.DISKS,
    Reason.NAMES_EQUAL: Topic.NAMES,
}


class Driving:
    """One conversation."""

    def __init__(self, meeting: Meeting, met: Met, describe: Callable[[], Description]) -> None:
        self._meeting = meeting
        self._met = met
        self._describe = describe

    def run(self) -> None:
        """Until both machines are prepared. Raises PeerError if the other one went away."""
        here, there, found = self._look()
        while found.refusals:
            here, there, found = self._look()
        texts = self._interview(here, there, found)
        self._agree(texts)

    def _look(self) -> tuple[Description, Description, Comparison]:
        """Both machines, once somebody has seen the page about them."""
        screens = self._meeting.screens
        screens.tell("Looking at both machines. Disks that sleep take a while ...")
        here, there = self._describe(), from_message(self._ask({"ask": "look"}, LOOK))
        between = Between(
            crossover=self._macs(),
            speed=self._measure(),
            apart=self._clock_difference(),
            lans=tuple(lease.address.network for side in (here, there) for lease in side.leases),
        )
        found = compare(here.machine, there.machine, between)
        self._present(here.machine, there.machine, found)
        return here, there, found

    def _present(self, here: Machine, there: Machine, found: Comparison) -> None:
        """Until Enter is pressed; everything there is to say, page by page, for who asks."""
        told = MEND if found.refusals else GO_ON
        short = "\n".join([*summary(here, there, found), told])
        if found.refusals:
            self._tell_other(IN_THE_WAY)
        self.show(short)
        while typed := self._read().strip().lower():
            if typed in DETAILS:
                self.show("\n".join([*comparison_page.page(here, there, found), "", told]))
            else:
                self.show(short)

    def _macs(self) -> tuple[str, str]:
        crossover = self._met.crossover
        return self._meeting.mac(crossover.card), crossover.peer_mac

    def _measure(self) -> float:
        """Mbit/s of real data through the crossover."""
        start = time.monotonic()
        for _ in range(FILLS):
            self._met.session.say({"ask": "fill", "text": FILL})
        sent = self._ask({"ask": "filled"}, LOOK).get("bytes")
        if sent != FILLS * len(FILL):
            raise PeerError("the other machine lost some of what was sent")
        return len(FILL) * FILLS * 8 / 1e6 / (time.monotonic() - start)

    def _clock_difference(self) -> float:
        """Seconds that the other machine's clock is ahead."""
        before = time.time()
        theirs = self._ask({"ask": "time"}, PREPARE).get("time")
        if not isinstance(theirs, float):
            raise PeerError("the other machine does not tell its time")
        return theirs - (before + time.time()) / 2

    def _ask(self, question: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        return self._met.session.ask(question, timeout * self._meeting.scale)

    def _tell_other(self, text: str) -> None:
        self._ask({"ask": "tell", "text": text}, PREPARE)

    def show(self, text: str) -> None:
        """TEXT, which stops where the screen is full."""
        first, *others = pager.parts(text)
        self._meeting.screens.tell(first)
        for part in others:
            self._meeting.screens.prompt(pager.MORE)
            self._read()
            self._meeting.screens.tell(part)

    def _read(self) -> str:
        """The next line that is typed. Raises PeerError as soon as the other machine is gone."""
        while not isinstance(typed := self._wait(), str):
            pass
        return typed

    def _wait(self) -> str | int | None:
        """As the meeting's; raises PeerError as soon as the other machine is gone."""
        came = self._meeting.wait(self._met.session.fileno())
        if came == self._met.session.fileno() and not isinstance(came, str):
            if self._met.session.hear():
                raise PeerError("the other machine speaks without being asked")
            return None
        return came

    def _interview(
        self, here: Description, there: Description, found: Comparison
    ) -> tuple[str, str]:
        """Both sets of answers, once nothing is against them."""
        sides = self._sides(here, there)
        network = found.proposal.crossover
        if network is None:
            raise PeerError("every private network is in use: there is none for the crossover")
        first, second = (IPv4Interface((host, network.prefixlen)) for host in network.hosts())
        between = Found(sides, (first, second))
        made = Made(guest_mac(), self._met.keys.secret, secrets.token_bytes(16))
        interview = Interview(self._facts(here, there, found))
        told = ""
        while (question := interview.question) is not None:
            if question.topic is Topic.CONSENT:
                mended, problem = self._judged(interview, between, made, here)
                if mended is not interview:
                    interview, told = mended, problem
                    continue
            screens = self._meeting.screens
            self.show(questions.page(question, told))
            if question.is_secret or question.topic is Topic.CONSENT:
                screens.hide(question.is_secret)
            screens.prompt(questions.prompt(question))
            replied = questions.reply(interview, self._read())
            screens.hide(False)
            interview, told = replied.interview, replied.said
        return compose(interview, between, made)

    def _judged(
        self, interview: Interview, between: Found, made: Made, here: Description
    ) -> tuple[Interview, str]:
        """The interview as it is, if both machines can do what was answered; else before the
        answer that stands in the way, and why.
        """
        texts = compose(interview, between, made)
        try:
            ours = problems(answer_file.read(texts[0]), here.machine, here.scale)
        except AnswersError as error:
            return interview.change(Topic.NAMES), str(error)
        if ours:
            return interview.change(_mends(ours[0])), ours[0].sentence
        answer = self._ask({"ask": "check", "answers": texts[1]}, LOOK)
        theirs = answer.get("problems")
        if not isinstance(theirs, list):
            raise PeerError("the other machine does not say whether it can")
        if theirs:
            return interview.change(Topic.DISKS), f"The other machine says: {theirs[0]}"
        return interview, ""

    def _sides(self, here: Description, there: Description) -> tuple[Side, Side]:
        """The cards of both machines. Raises PeerError if a LAN card cannot be told."""
        crossover = self._met.crossover
        ours = here.lan_mac(crossover.card)
        theirs = there.lan_mac(card_of(there, crossover.peer_mac))
        if ours is None or theirs is None:
            whose = "this machine" if ours is None else "the other machine"
            raise PeerError(
                f"it cannot be told which card of {whose} is for the LAN: leave only one of the"
                " others plugged in"
            )
        return Side(self._macs()[0], ours), Side(crossover.peer_mac, theirs)

    def _facts(self, here: Description, there: Description, found: Comparison) -> Facts:
        crossover = self._met.crossover
        leases = (
            here.lan(crossover.card),
            there.lan(card_of(there, crossover.peer_mac)),
        )
        gateways = {lease.gateway for lease in leases if lease is not None}
        choices = found.proposal.disks
        first, second = (tuple(map(_choice, choice.candidates)) for choice in choices)
        return Facts(
            names=found.proposal.names,
            leases=(
                None if leases[0] is None else leases[0].address,
                None if leases[1] is None else leases[1].address,
            ),
            gateway=gateways.pop() if len(gateways) == 1 else None,
            disks=(first, second),
            has_proposal=all(choice.disk is not None for choice in choices),
            zones=zones.known(),
            time_servers=here.time_servers or there.time_servers,
        )

    def _agree(self, texts: tuple[str, str]) -> None:
        """Both machines write down what was agreed: the other one first."""
        self._meeting.screens.tell("Writing down on both machines what was agreed ...")
        answer = self._ask({"ask": "prepare", "answers": texts[1]}, PREPARE)
        if answer.get("problems") != []:
            raise PeerError(f"the other machine cannot do it: {answer.get('problems')!r:.200}")
        self._meeting.keep(
            Agreement(
                Stage.PREPARED,
                self._met.crossover.peer.party.identity,
                texts[0],
                self._met.keys.secret,
            )
        )


def _choice(disk: Disk) -> DiskChoice:
    return DiskChoice(disk.serial, in_words(disk), disk.holds, disk.logical_sector or SECTOR)


def _mends(problem: Problem) -> Topic:
    return MENDS.get(problem.reason, Topic.LAN)


def card_of(there: Description, mac: str) -> str:
    """What the other machine calls its card MAC; "" if it has none."""
    return next((nic.name for nic in there.machine.nics if nic.mac == mac), "")
