# SPDX-License-Identifier: MIT
"""A machine is set up alone, with a person before it: looks at it, asks, and makes the very text
that could have been on the stick. Until the last question is answered nothing is written.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Protocol, TypeVar

import yaml

from firstboot import answers as answer_file
from firstboot import zones
from firstboot.agreement import Agreement, Stage
from firstboot.answers import ARM, MOST_TIME_SERVERS, VERSION, AnswersError, Part
from firstboot.compose import BUILT_IN, guest_mac
from firstboot.description import Description
from firstboot.faces import line, pager
from firstboot.interview import address_of, interface_of
from firstboot.probe import Disk, Nic
from firstboot.prompts import BACK, Again, Prompt, Refused, ask
from firstboot.proposal import HOST_NAMES, choose_disk, crossover_network, in_words
from firstboot.question import TELLING, consent
from firstboot.refusals import of_one
from firstboot.validate import Reason, problems
from firstboot.values import HOST_NAME, SECTOR
from firstboot.wording import in_short
from haagent import password
from haagent.errors import OperatorError

T = TypeVar("T")

NAME, CARD, LAN, DISK, PASSWORD, AGAIN, CONSENT = range(7)
GO_ON = "Press Enter to go on to the questions; nothing is written before the last one is answered."
MEND = "Mend that, then press Enter to look again."
FIRST_PAGE = "`back` leads to the first page."
MEANS = (
    "This machine is set up ALONE: it runs guests, and nothing takes over when it dies. A second"
    " one can come beside it later, by `shoestring replace`, while the guests run on."
)
MENDS = {Reason.NAMES_EQUAL: NAME, Reason.NIC_NOT_FOUND: CARD, Reason.MAC_TWICE: CARD}


class Terminals(Protocol):
    """firstboot/terminals.py's."""

    def tell(self, text: str) -> None: ...
    def prompt(self, text: str) -> None: ...
    def read(self, timeout: float | None, *others: int) -> str | int | None: ...
    def hide(self, is_hidden: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Paged:
    """prompts.Screens on TERMINALS: what is shown stops where the screen is full."""

    terminals: Terminals

    def show(self, text: str) -> None:
        first, *others = pager.parts(text)
        self.terminals.tell(first)
        for part in others:
            self.prompt(pager.MORE)
            self.read()
            self.terminals.tell(part)

    def prompt(self, text: str) -> None:
        self.terminals.prompt(text)

    def hide(self, is_hidden: bool) -> None:
        self.terminals.hide(is_hidden)

    def read(self) -> str:
        while not isinstance(typed := self.terminals.read(None), str):
            pass
        return typed


@dataclass(frozen=True, slots=True)
class Lan:
    """This machine's address there, the gateway, and the built-in guest's; None: by DHCP."""

    address: IPv4Interface
    gateway: IPv4Address
    guest: IPv4Address | None


def choose(terminals: Terminals, describe: Callable[[], Description]) -> Agreement | None:
    """What a person agreed to for this machine, which nobody else has to agree to; None if they
    went back to the first page. Raises OperatorError.
    """
    screens = Paged(terminals)
    terminals.tell("Looking at this machine. Disks that sleep take a while ...")
    here = describe()
    while found := list(of_one(here.machine)):
        lines = [line.details(here.machine), ""]
        for number, refusal in enumerate(found, 1):
            lines += [f"{number}. {refusal.sentence}", f"   -> {refusal.remedy}"]
        screens.show("\n".join([*lines, "", f"{MEND} {FIRST_PAGE}"]))
        if screens.read().strip().lower() == BACK:
            return None
        here = describe()
    screens.show("\n".join([line.details(here.machine), "", MEANS, "", f"{GO_ON} {FIRST_PAGE}"]))
    if screens.read().strip().lower() == BACK:
        return None
    made = Made(secrets.token_hex(32), secrets.token_bytes(16), guest_mac())
    asking = Asking(here, made)
    given = ask(screens, asking.question)
    return Agreement(Stage.COMMITTED, "", asking.answers(given), made.secret)


@dataclass(frozen=True, slots=True)
class Made:
    """What is made up at random for this machine."""

    secret: str
    salt: bytes
    guest_mac: str


class Asking:
    """The questions about the machine HERE."""

    def __init__(self, here: Description, made: Made) -> None:
        self._here = here
        self._made = made
        choice = choose_disk(here.machine)
        self._disks, self._is_plain = choice.candidates, choice.disk is not None
        network = crossover_network(lease.address.network for lease in here.leases)
        if network is None:
            raise OperatorError(
                "Every private network is in use: there is none for a crossover.",
                "Take the cables out of this machine but one, and begin again.",
            )
        self._crossover = IPv4Interface((next(network.hosts()), network.prefixlen))

    def question(self, given: Sequence[object]) -> Prompt | None:
        """The one after all that was GIVEN."""
        match len(given):
            case 0:
                return _name_prompt()
            case 1:
                return self._card_prompt()
            case 2:
                return self._lan_prompt(_given(given, CARD, Nic))
            case 3:
                return self._disk_prompt()
            case 4:
                return _password_prompt()
            case 5:
                return _again_prompt(str(given[PASSWORD]))
            case 6:
                self._judge(given)
                return _consent_prompt(_given(given, DISK, Disk))
        return None

    def answers(self, given: Sequence[object]) -> str:
        """The text of answers.yaml."""
        name, zone = _given(given, NAME, tuple)
        lan, disk = _given(given, LAN, Lan), _given(given, DISK, Disk)
        nic = _given(given, CARD, Nic)
        counter = {"built-in": "true", "mac": self._made.guest_mac, **BUILT_IN}
        if lan.guest is not None:
            counter["address"] = f"{lan.guest}/{lan.address.network.prefixlen}"
        servers = self._here.time_servers[:MOST_TIME_SERVERS]
        content = {
            "version": str(VERSION),
            "arm": ARM,
            "part": str(Part.ALONE),
            "names": [name],
            "data-disk": {
                "serial": disk.serial,
                **({"erase": "true"} if disk.holds else {}),
                **({"sector": str(sector)} if (sector := _sector(disk)) != SECTOR else {}),
            },
            "crossover": {"mac": self._other_card(nic).mac, "address": str(self._crossover)},
            "lan": {"mac": nic.mac, "address": str(lan.address), "gateway": str(lan.gateway)},
            "time-zone": zone,
            **({"time-servers": list(map(str, servers))} if servers else {}),
            "secret": self._made.secret,
            "password": password.kept(str(given[PASSWORD]), self._made.salt),
            "guests": {"counter": counter},
        }
        return yaml.safe_dump(content, sort_keys=False)

    def _judge(self, given: Sequence[object]) -> None:
        """Raises Again for what this machine cannot do."""
        try:
            answers = answer_file.read(self.answers(given))
        except AnswersError as error:
            raise Again(NAME, str(error)) from error
        found = problems(answers, self._here.machine, self._here.scale)
        if found:
            is_of_a_disk = found[0].reason.name.startswith("DISK")
            raise Again(
                DISK if is_of_a_disk else MENDS.get(found[0].reason, LAN), found[0].sentence
            )

    def _other_card(self, lan: Nic) -> Nic:
        """For the crossover, one day: one without a cable first."""
        others = [nic for nic in self._here.machine.nics if nic.mac != lan.mac]
        return min(others, key=lambda nic: bool(nic.has_carrier))

    def _card_prompt(self) -> Prompt:
        nics = self._here.machine.nics
        known = self._here.lan_mac("")
        default = next((str(n) for n, nic in enumerate(nics, 1) if nic.mac == known), "")
        lines = ["(2 of 7) Which network card is the LAN's?"]
        for number, nic in enumerate(nics, 1):
            cable = {None: "", True: ", a cable is in it", False: ", no cable"}[nic.has_carrier]
            lines.append(f"  {number}  {nic.name}  {nic.mac}  {nic.driver}{cable}")
        lines.append("Another one is kept for the cable to a second machine.")
        return Prompt(tuple(lines), default, lambda text: _of_list(text, nics, "card"))

    def _lan_prompt(self, nic: Nic) -> Prompt:
        leases = [lease for lease in self._here.leases if lease.card == nic.name]
        default = next((f"{one.address} {one.gateway}" for one in leases if one.gateway), "")
        lines = (
            "(3 of 7) Which address shall this machine have on the LAN?",
            "Its address with the prefix, and the gateway's; a third one is the built-in guest's,",
            "which asks your router for one otherwise. Such as:",
            "    192.168.1.11/24 192.168.1.1",
            "Reserve it in your router. Without a LAN now, type what it will have.",
        )
        return Prompt(lines, default, _take_lan)

    def _disk_prompt(self) -> Prompt:
        lines = ["(4 of 7) Which disk shall hold the guests? All that is on it will be erased."]
        for number, disk in enumerate(self._disks, 1):
            lines.append(f"  {number}  {in_words(disk)}")
            if disk.holds:
                lines.append(f"     NOT BLANK: {in_short(disk.holds)}")
        lines.append("NEVER the disk with your backups: take it out now, if it is in.")
        default = "1" if self._is_plain else ""
        return Prompt(tuple(lines), default, lambda text: _of_list(text, self._disks, "disk"))


def _name_prompt() -> Prompt:
    def take(text: str) -> tuple[str, str]:
        name, _, rest = text.lower().strip().partition(" ")
        if not HOST_NAME.fullmatch(name) or name == "localhost":
            raise Refused(f"{name:.40} will not do: a name has letters a to z, digits and hyphens.")
        typed_zone = text.strip().partition(" ")[2].strip()
        try:
            return name, zones.find(typed_zone or zones.UTC, zones.known()) if rest else zones.UTC
        except ValueError as error:
            raise Refused(str(error)) from None

    lines = (
        "(1 of 7) What shall this machine be called?",
        "Its name, and the time zone, such as Europe/Berlin, if it is not UTC. `back` goes back,"
        " here and later.",
    )
    return Prompt(lines, f"{HOST_NAMES[0]} {zones.UTC}", take)


def _take_lan(text: str) -> Lan:
    words = re.split(r"[\s,]+", text.strip())
    if len(words) not in (2, 3):
        raise Refused("An address and the gateway are needed, such as: 192.168.1.11/24 192.168.1.1")
    return Lan(
        interface_of(words[0]),
        address_of(words[1]),
        address_of(words[2]) if len(words) > 2 else None,
    )


def _of_list(text: str, things: Sequence[T], what: str) -> T:
    if not re.fullmatch("[0-9]{1,3}", text) or not 0 < int(text) <= len(things):
        raise Refused(f"Type the number of a {what}, 1 to {len(things)}.")
    return things[int(text) - 1]


def _password_prompt() -> Prompt:
    def take(text: str) -> str:
        if (flaw := password.flaw(text)) is not None:
            raise Refused(flaw)
        return text

    lines = (
        "(5 of 7) Choose a password for the console.",
        "It is asked for before anything that destroys something, and for a shell. Nobody can tell"
        f" it to you later. At least {password.LEAST} characters; it does not appear while you type"
        " it.",
    )
    return Prompt(lines, "", take, is_secret=True)


def _again_prompt(chosen: str) -> Prompt:
    def take(text: str) -> str:
        if text != chosen:
            raise Again(PASSWORD, "That was another one. Choose it anew.")
        return text

    lines = ("(6 of 7) The same password again.",)
    return Prompt(lines, "", take, is_secret=True)


def _consent_prompt(disk: Disk) -> Prompt:
    lost = f"LOST: {in_short(disk.holds)}" if disk.holds else "it is blank"
    lines = (
        "(7 of 7) This will be erased, and cannot be brought back.",
        f"ERASED:  {in_words(disk).removesuffix(f', serial {disk.serial}')}",
        f"  serial {disk.serial}; {lost}",
        "Nothing takes over from this machine until a second one comes beside it.",
        f"To go on, type the last {TELLING} characters of the serial number: {'?' * TELLING}",
    )
    return Prompt(lines, "", consent(disk.serial), is_kept=False)


def _given(given: Sequence[object], number: int, kind: type[T]) -> T:
    found = given[number]
    assert isinstance(found, kind)
    return found


def _sector(disk: Disk) -> int:
    return disk.logical_sector or SECTOR
