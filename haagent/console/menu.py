# SPDX-License-Identifier: MIT
"""What can be done at a screen: the acts, how they are listed, and what a typed line means. Pure.

Each act is a command of `shoestring`, under the same word; it must not know how one is run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from haagent.folding import WIDTH, folded

_SET_IN = " " * 6  # an explanation, below its act
PROGRAM = "shoestring"
SHELL = "shell"
BACK = ("back", "exit", "quit", "q", "0")
EXPLAIN = ("?", "help")
# What pages and alarms also name, and what only the shell has.
OF_THE_SHELL = ("cl_status", "drbdadm", "haagent", "journalctl", "smartctl", "systemctl", "xl")

QUESTION = "A number or a word; ? explains; Enter alone goes back: "


class Asked(StrEnum):
    """What an act needs to know, if it was not typed behind its word."""

    GUEST = "guest"
    SWITCH = "on or off"
    VERB = "start, stop, restart, backup or verify, and a guest"


@dataclass(frozen=True, slots=True)
class Act:
    """One line of the menu. EXPLANATION may name the machines, as {me} and {peer}."""

    word: str
    title: str
    explanation: str
    is_guarded: bool = True  # it asks for the password
    asked: Asked | None = None
    always: tuple[str, ...] = ()  # arguments that are always given


# Their numbers are on people's notes: a new one is added at the end.
ACTS = (
    Act(
        "status",
        "details: everything there is to know",
        "The status page with all of its lines.",
        is_guarded=False,
    ),
    Act(
        "guests",
        "where each guest runs, and whether it can be moved",
        "Each guest with its copies, and why it cannot be moved from here; the memory for guests.",
        is_guarded=False,
    ),
    Act(
        "report",
        "all about this machine, for whoever helps you",
        "Settings, logs and states without keys. It is long: q stops it. `save-report` writes it "
        "onto a USB stick.",
        is_guarded=False,
    ),
    Act(
        "move",
        "shut a guest down here and start it on the other machine",
        "Says first what will happen, and asks. The guest is away for its own shutdown and start.",
        asked=Asked.GUEST,
    ),
    Act(
        "maintenance",
        "on: empty this machine, start nothing here; off: end that",
        "For work on this machine. It lasts over a reboot, until it is ended.",
        asked=Asked.SWITCH,
    ),
    Act(
        "shutdown",
        "hand the guests over, then switch this machine off",
        "Says first which guest goes and which would be off, and asks.",
    ),
    Act(
        "reboot",
        "hand the guests over, then restart this machine",
        "Says first which guest goes and which would be off, and asks.",
    ),
    Act(
        "start",
        "start a guest in spite of what is missing",
        "The last resort: it may give up what {peer} wrote last. Shows both histories, then asks.",
        asked=Asked.GUEST,
        always=("--anyway",),
    ),
    Act(
        "resolve",
        "say whose copy of a guest shall count, after a split brain",
        "Shows both histories, asks, keeps the copy that is given up, and watches the resync.",
        asked=Asked.GUEST,
    ),
    Act(
        "replace",
        "give the place of a machine that died to a new one",
        "{peer} is off for good, or never was there: another PC takes that place. The guests run "
        "on here.",
    ),
    Act(
        "lan",
        "give both machines other addresses on the LAN",
        "Asks for both addresses and the gateway, tries them, and goes back if they do not work.",
    ),
    Act(
        SHELL,
        "a root shell on this screen",
        "For commands that are not in this list. `exit` ends it.",
    ),
    Act(
        "password",
        "change the password of this machine's screens",
        "Asks for the old one once more. {peer} keeps its own.",
    ),
    Act(
        "factory-reset",
        "this machine leaves the pair and forgets it",
        "Says first what is lost. The guests go on on {peer}, which is alone then.",
    ),
    Act(
        "save-report",
        "write the report onto a USB stick, for whoever helps you",
        "Plug a stick in first, with FAT or exFAT on it. Nothing else on it is touched.",
    ),
    Act(
        "update",
        "install another release, and restart with it",
        "From a USB stick, or `update http://...`. Says first what will happen, and asks.",
    ),
    Act(
        "install",
        "put the system on an internal disk; the stick is free then",
        "Says first what is erased, and asks. The guests go to {peer}, for {me} restarts.",
    ),
    Act(
        "guest",
        "start, stop, restart, back up or verify a guest",
        "What is stopped is off on both machines, until it is started again. A backup goes onto "
        "the one USB disk that is plugged in. `verify` compares both copies block by block, and "
        "changes nothing.",
        asked=Asked.VERB,
    ),
)
BY_NAME = {
    **{act.word: act for act in ACTS},
    **{str(number): act for number, act in enumerate(ACTS, 1)},
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """An act, and the arguments that were typed behind its word."""

    act: Act
    arguments: tuple[str, ...]

    @property
    def needs(self) -> Asked | None:
        """What is still to be asked."""
        if self.act.asked is Asked.VERB and len(self.arguments) == 1:
            return Asked.GUEST
        return None if self.arguments else self.act.asked

    def command(self, *answers: str) -> tuple[str, ...]:
        """The command line, with what was asked after all."""
        given = (*self.arguments, *answers)
        always = (word for word in self.act.always if word not in given)
        return (PROGRAM, self.act.word, *given, *always)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing can be made of the line; WORDS say why, and what to type instead."""

    words: str


class Wish(StrEnum):
    """What a line may mean but an act."""

    BACK = "back"
    EXPLAIN = "explain"


def understand(line: str) -> Chosen | Refusal | Wish:
    """What LINE means. A command as the status page spells it means the same here."""
    words = line.strip("` \t").split()
    if words[:1] == [PROGRAM]:
        words = words[1:]
    if not words or words[0].lower() in BACK:
        return Wish.BACK
    first, arguments = words[0].lower(), tuple(words[1:])
    if first in EXPLAIN:
        return Wish.EXPLAIN
    if first in OF_THE_SHELL:
        return Refusal(f"{words[0]} is a command for the shell, which is number {number(SHELL)}.")
    act = BY_NAME.get(first)
    if act is None:
        return Refusal(f"There is no {words[0]!r} in this list.")
    # safety: `report FILE` writes a file. Without the password nobody says where.
    if arguments and (not act.is_guarded or act.word == SHELL):
        return Refusal(f"{act.word} takes no other word here.")
    return Chosen(act, arguments)


def number(word: str) -> int:
    """The number of the act WORD."""
    return next(place for place, act in enumerate(ACTS, 1) if act.word == word)


def page(has_password: bool) -> list[str]:
    """The menu, without its question; it fits a small screen together with a first line."""
    lines = [_line(act) for act in ACTS if not act.is_guarded]
    if has_password:
        lines.append("After the password:")
        lines += [_line(act) for act in ACTS if act.is_guarded]
    else:
        lines += NO_PASSWORD
    return lines


NO_PASSWORD = (
    "",
    "No password is kept on this machine, so nothing can be changed at its screens,",
    "and there is no shell. To choose one: restart the machine, and take the entry",
    "Rescue of its boot menu.",
)


def explanation(me: str, peer: str) -> list[str]:
    """A line or two about each act, in lines for `pages`."""
    lines = []
    for act in ACTS:
        lines.append(_line(act))
        explained = folded(act.explanation.format(me=me, peer=peer), WIDTH - len(_SET_IN))
        lines += [_SET_IN + line for line in explained]
    return [
        *lines,
        *folded(
            "Words work like numbers, also as the status page spells them: `shoestring "
            "maintenance off`, or just: maintenance off. Ctrl-C ends an act, and comes back here."
        ),
    ]


def pages(lines: Sequence[str], room: int) -> list[list[str]]:
    """LINES in pages of ROOM, one at least."""
    return [list(lines[at : at + room]) for at in range(0, max(1, len(lines)), room)]


def _line(act: Act) -> str:
    return f"  {number(act.word):>2}  {act.word:<14} {act.title}"
