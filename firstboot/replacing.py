# SPDX-License-Identifier: MIT
"""The conversation of a survivor with the blank machine that takes the dead one's place: looks at
it, asks a person, agrees. Until both have agreed nothing is written on either.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface

from firstboot.agreement import Agreement, Stage
from firstboot.description import Description, from_message
from firstboot.driving import LOOK, MEND, PREPARE, Driving, card_of
from firstboot.fitness import candidates, is_plain, page, sector, unfit
from firstboot.meeting import Meeting, Met, Screens
from firstboot.probe import Disk
from firstboot.prompts import Prompt, Refused, ask
from firstboot.proposal import in_words
from firstboot.question import TELLING, consent
from firstboot.survivor import Successor, Survivor, compose
from firstboot.values import HOST_NAME, SECTOR
from firstboot.wording import in_short
from haagent.errors import PeerError

IN_THE_WAY = "Something is in the way; the screen of the other machine says what."


@dataclass(frozen=True, slots=True)
class Conversing:
    """prompts.Screens, on which the other machine is listened to meanwhile."""

    screens: Screens
    show: Callable[[str], None]
    read: Callable[[], str]

    def prompt(self, text: str) -> None:
        self.screens.prompt(text)

    def hide(self, is_hidden: bool) -> None:
        self.screens.hide(is_hidden)


class Replacing(Driving):
    """One conversation, driven by the survivor."""

    def __init__(
        self,
        meeting: Meeting,
        met: Met,
        describe: Callable[[], Description],
        survivor: Survivor,
        assert_alone: Callable[[], object],
        commit: Callable[[Agreement], None],
        shielded: Callable[[], AbstractContextManager[object]],
    ) -> None:
        """ASSERT_ALONE raises OperatorError if this machine does not serve alone any more. COMMIT
        writes the agreement down: what it says is done from then on. SHIELDED is a context that no
        key ends.
        """
        super().__init__(meeting, met, describe)
        self._survivor = survivor
        self._assert_alone = assert_alone
        self._commit = commit
        self._shielded = shielded

    def run(self) -> None:
        """Until both are agreed. Raises PeerError if the other one went away."""
        there = self._look_at_both()
        told = ""
        while True:
            successor = self._choose(there, told)
            texts = compose(self._survivor, successor, self._met.keys.secret)
            answer = self._ask({"ask": "check", "answers": texts[1]}, LOOK)
            found = answer.get("problems")
            if not isinstance(found, list):
                raise PeerError("the other machine does not say whether it can")
            if not found:
                break
            told = f"The other machine says: {found[0]!s:.400}"
        self._agree(texts)

    def _look_at_both(self) -> Description:
        """The new machine, once nothing is in the way and somebody has seen the page."""
        survivor, screens = self._survivor, self._meeting.screens
        place = "a place" if survivor.is_vacant else f"the place of {survivor.dead}"
        self._tell_other(
            f"This machine takes {place} beside {survivor.name}. Go to {survivor.name}: all is"
            " asked there, and nothing is written here before it is."
        )
        while True:
            screens.tell("Looking at the new machine. Disks that sleep take a while ...")
            here, there = self._describe(), from_message(self._ask({"ask": "look"}, LOOK))
            survivor = self._survivor = replace(survivor, sector=sector(here.machine))
            speed = self._measure()
            found = list(unfit(survivor, here, there))
            lines = page(survivor, here.machine, there.machine, speed)
            if not found:
                self.show("\n".join([*lines, "", "Press Enter to go on to the questions."]))
                self._read()
                return there
            for number, (sentence, remedy) in enumerate(found, 1):
                lines += [f"{number}. {sentence}", f"   -> {remedy}"]
            self._tell_other(IN_THE_WAY)
            self.show("\n".join([*lines, MEND.partition(";")[0] + "."]))
            self._read()

    def _choose(self, there: Description, told: str) -> Successor:
        """What a person wants of the new machine, to the consent. TOLD is what was wrong before."""
        survivor = self._survivor
        crossover_mac = self._met.crossover.peer_mac
        lan_mac = there.lan_mac(card_of(there, crossover_mac))
        if lan_mac is None:
            raise PeerError(
                "it cannot be told which card of the new machine is for the LAN: leave only one of"
                " the others plugged in"
            )
        disks = candidates(survivor, there.machine)

        def question(given: Sequence[object]) -> Prompt | None:
            return self._prompt(disks, given, there)

        given = ask(Conversing(self._meeting.screens, self.show, self._read), question, told)
        disk, address, name, _ = given
        assert isinstance(disk, Disk) and isinstance(address, IPv4Interface)
        return Successor(
            str(name),
            address,
            disk.serial,
            bool(disk.holds),
            crossover_mac,
            lan_mac,
            disk.logical_sector or SECTOR,
        )

    def _prompt(
        self, disks: tuple[Disk, ...], given: Sequence[object], there: Description
    ) -> Prompt | None:
        match len(given):
            case 0:
                return _disk_prompt(disks, is_plain(self._survivor, there.machine))
            case 1:
                return _address_prompt(self._survivor)
            case 2:
                return _name_prompt(self._survivor)
            case 4:
                return None
        disk = given[0]
        assert isinstance(disk, Disk)
        return _consent_prompt(self._survivor, disk)

    def _agree(self, texts: tuple[str, str]) -> None:
        """The new machine is prepared, and then this one decides: alone, for it has the guests."""
        self._meeting.screens.tell("Writing down on both machines what was agreed ...")
        self._assert_alone()
        with self._shielded():
            answer = self._ask({"ask": "prepare", "answers": texts[1]}, PREPARE)
            if answer.get("problems") != []:
                raise PeerError(f"the other machine cannot do it: {answer.get('problems')!r:.200}")
            self._commit(
                Agreement(
                    Stage.COMMITTED,
                    self._met.crossover.peer.party.identity,
                    texts[0],
                    self._met.keys.secret,
                )
            )


def _disk_prompt(disks: tuple[Disk, ...], is_plain: bool) -> Prompt:
    lines = ["(1 of 4) Which disk of the new machine shall hold the guests?"]
    for number, disk in enumerate(disks, 1):
        lines.append(f"  {number}  {in_words(disk)}")
        if disk.holds:
            lines.append(f"     NOT BLANK: {in_short(disk.holds)}")
    lines.append("All that is on it will be erased. `back` goes back, here and later.")

    def take(text: str) -> Disk:
        if not re.fullmatch("[0-9]{1,3}", text) or not 0 < int(text) <= len(disks):
            raise Refused(f"Type the number of a disk, 1 to {len(disks)}.")
        return disks[int(text) - 1]

    return Prompt(tuple(lines), "1" if is_plain else "", take)


def _address_prompt(survivor: Survivor) -> Prompt:
    network = survivor.lan.address.network
    default = "" if survivor.is_vacant else f"{survivor.lan.peer}/{network.prefixlen}"
    example = default or f"{survivor.lan.address}"

    def take(text: str) -> IPv4Interface:
        try:
            address = IPv4Interface(text if "/" in text else f"{text}/{network.prefixlen}")
        except ValueError:
            raise Refused(f"{text:.40} is not an address such as {example}.") from None
        if address.network != network:
            raise Refused(f"{address} is not in the LAN of {survivor.name}, {network}.")
        if address.ip in (survivor.lan.address.ip, survivor.gateway):
            raise Refused(f"{address.ip} is the address of another machine.")
        return address

    lines = (
        "(2 of 4) Which address shall the new machine have on the LAN?",
        f"{survivor.name} has {survivor.lan.address}; choose one that nobody has, and reserve it in"
        " your router."
        if survivor.is_vacant
        else f"{survivor.dead} had the one in [ ]: Enter takes it.",
    )
    return Prompt(lines, default, take)


def _name_prompt(survivor: Survivor) -> Prompt:
    def take(text: str) -> str:
        if not HOST_NAME.fullmatch(text) or text == "localhost":
            raise Refused("A name has lower case letters, digits and hyphens, and no dot.")
        if text == survivor.name:
            raise Refused(f"This machine is called {survivor.name} already.")
        return text

    lines = (
        "(3 of 4) What shall the new machine be called?",
        "Enter takes the name in [ ]."
        if survivor.is_vacant
        else "Enter gives it the name of the dead one.",
    )
    return Prompt(lines, survivor.dead, take)


def _given_up(survivor: Survivor) -> list[str]:
    """What the dead machine has; and what a split brain means for the consent."""
    me, dead = survivor.name, survivor.dead
    return [
        f"GIVEN UP:  whatever {dead} wrote that {me} has not. Never switch {dead} on"
        " again with its old stick and its data disk: it has no place here any more.",
        *(
            f"  SPLIT BRAIN: both machines wrote {guest} without the other. The copy on {me} counts"
            f" then, and what {dead} wrote meanwhile is lost for good."
            for guest in survivor.apart
        ),
    ]


def _consent_prompt(survivor: Survivor, disk: Disk) -> Prompt:
    words = in_words(disk).removesuffix(f", serial {disk.serial}")
    lost = f"LOST: {in_short(disk.holds)}" if disk.holds else "it is blank"
    lines = (
        "(4 of 4) This will be erased on the new machine, and cannot be brought back.",
        f"ERASED:  {words}",
        f"  serial {disk.serial}; {lost}",
        f"The disk of {survivor.name} is not touched: its guests run on, and are copied meanwhile.",
        *([] if survivor.is_vacant else _given_up(survivor)),
        f"To go on, type the last {TELLING} characters of the serial number: {'?' * TELLING}",
    )

    return Prompt(lines, "", consent(disk.serial), is_kept=False)
