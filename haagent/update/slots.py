# SPDX-License-Identifier: MIT
"""The two slots of a stick: what each holds, which one runs, what GRUB does at the next start.

Pure: text -> values -> sentences. GRUB's own half of it is image/menu.cfg; the two must agree.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from haagent.errors import OperatorError
from haagent.update.release import Release

NAMES = ("a", "b")
BLOCK = 4096  # bytes of a data block, of erofs and of dm-verity
TRIES = 3  # starts that GRUB gives a slot until it was seen to be well
ENVIRONMENT = "grub/grubenv"  # on the ESP
CONFIG = "slot.cfg"  # in a slot's folder: a slot without it is empty
LINE = re.compile(r'set slot_(\w+)="([^"\\$]*)"')
ROOT_HASH = re.compile(r"[0-9a-f]{64}")


def folder(slot: str) -> str:
    """Of SLOT's files, on the ESP."""
    return f"slot-{slot}"


def root(slot: str) -> str:
    """The partition of SLOT's root, below /dev/medium."""
    return f"root-{slot}"


def other(slot: str) -> str:
    """The one that is not SLOT."""
    return NAMES[1 - NAMES.index(slot)]


@dataclass(frozen=True, slots=True)
class Slot:
    """What a slot holds."""

    release: Release
    roothash: str  # of its dm-verity tree, 64 hexadecimal digits
    blocks: int  # of BLOCK bytes, before the hash tree
    size: int  # bytes of the file system and the hash tree


def parse(text: str) -> Slot:
    """From slot.cfg, which GRUB runs. Raises ValueError; a line of a later release is no error."""
    lines = filter(None, map(LINE.fullmatch, text.splitlines()))
    found = {str(line[1]): str(line[2]) for line in lines}
    try:
        slot = Slot(
            Release.of(found["version"]),
            found["roothash"],
            int(found["blocks"]),
            int(found["size"]),
        )
    except KeyError as error:
        raise ValueError(f"it does not say its {error.args[0]}") from None
    if ROOT_HASH.fullmatch(slot.roothash) is None or not 0 < slot.blocks * BLOCK < slot.size:
        raise ValueError("its figures do not belong together")
    return slot


def config(slot: Slot) -> str:
    """The reverse of `parse`."""
    return (
        f'set slot_version="{slot.release}"\n'
        f'set slot_roothash="{slot.roothash}"\n'
        f'set slot_blocks="{slot.blocks}"\n'
        f'set slot_size="{slot.size}"\n'
    )


def running(cmdline: str) -> str:
    """The slot that this machine was started from. Raises OperatorError."""
    words = dict(word.split("=", 1) for word in cmdline.split() if "=" in word)
    slot = words.get("shoestring.slot", "")
    if slot not in NAMES:
        raise OperatorError(
            "This machine does not know which slot of its stick it was started from.",
            "Only a machine that GRUB started from a Shoestring stick can be updated.",
        )
    return slot


@dataclass(frozen=True, slots=True)
class Intent:
    """GRUB's variables: what it does at the next start."""

    preferred: str = NAMES[0]  # the slot that is booted
    left: int = TRIES  # starts until it is given up; the next one takes one more
    other: str = ""  # what is booted then; "": nothing, it is tried for ever
    fallen: str = ""  # the slot that was given up last; "": none since the last update

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Self:
        """Raises ValueError if GRUB would not know what to do."""
        intent = cls(
            variables.get("preferred", ""),
            int(variables.get("left", "")),
            variables.get("other", ""),
            variables.get("fallen", ""),
        )
        is_sound = intent.preferred in NAMES and 0 <= intent.left <= TRIES
        if not is_sound or {intent.other, intent.fallen} - {"", *NAMES}:
            raise ValueError("it names no slot, or more starts than there can be")
        return intent

    def variables(self) -> dict[str, str]:
        """The reverse of `of`."""
        return {
            "preferred": self.preferred,
            "left": str(self.left),
            "other": self.other,
            "fallen": self.fallen,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything about the slots of this machine."""

    running: str
    intent: Intent
    slots: Mapping[str, Slot]  # those that hold something that can be understood
    rest: Mapping[str, str] = field(default_factory=dict)  # variables of GRUB that are not ours
    is_damaged: bool = False  # GRUB's variables cannot be read; then INTENT is what they should be

    @property
    def is_on_trial(self) -> bool:
        """What runs was installed, and was never seen to be well. The mark of that is the slot to
        fall back to: whoever finds the running one well takes it away.
        """
        return self.intent.preferred == self.running and self.intent.other not in (
            "",
            self.running,
        )

    @property
    def waits(self) -> bool:
        """Another slot than the running one is booted next."""
        return self.intent.preferred != self.running

    def release(self, slot: str) -> str:
        """For a sentence: what SLOT holds."""
        held = self.slots.get(slot)
        return "what is in it" if held is None else str(held.release)


def sentences(standing: Standing) -> list[str]:
    """For a person: what runs, what else is there, what the next start does."""
    runs, intent = standing.running, standing.intent
    lines = [f"{standing.release(runs).capitalize()} runs, from slot {runs}."]
    beside = other(runs)
    if beside in standing.slots:
        lines.append(f"Slot {beside} holds {standing.release(beside)}.")
    else:
        lines.append(f"Slot {beside} is empty.")
    if standing.waits:
        what = standing.release(intent.preferred)
        back = " If it does not start, what runs now starts again." if intent.other else ""
        lines.append(f"The next start takes {what}, from slot {intent.preferred}.{back}")
    elif standing.is_on_trial:
        lines.append(
            f"It is on trial: if it does not do well, {standing.release(intent.other)} starts again"
            f" after {_starts(intent.left)} more."
        )
    if intent.fallen:
        lines.append(
            f"Slot {intent.fallen} was given up: {standing.release(intent.fallen)} did not"
            " start, or did not do well."
        )
    return lines


def _starts(count: int) -> str:
    return "1 start" if count == 1 else f"{count} starts"
