# SPDX-License-Identifier: MIT
"""Makes one half of a pair a blank machine again, whatever moment the power fails in.

Owns the mark that says so. It is written once a person has agreed and nothing runs here any more;
from then on every start of the machine comes here first, until nothing of the pair is left. It must
not erase any disk but the one with the very identity that the mark names.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from firstboot.apply import COMPLETE
from firstboot.hands import Signature
from firstboot.probe import Disk, Machine
from firstboot.rendering import SETTINGS, File
from firstboot.zones import UTC
from haagent.errors import OperatorError, ShoestringError, ToolError
from haagent.run import Run

PATH = "/state/setup/forgetting.json"
VERSION = 1
LIMIT = 60.0  # seconds for one program
PATIENCE = 60.0  # seconds that a data disk may come late, on USB for one


class Stage(StrEnum):
    """How far it is."""

    AGREED = "agreed"  # the data disk may still be ours
    ERASED = "erased"  # it is not, and no disk is touched any more


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person agreed to. Without a data disk both texts are empty."""

    physical_volume: str  # the LVM identity of the data disk
    serial: str
    stage: Stage = Stage.AGREED


class Hands(Protocol):
    """What is needed of a machine; like firstboot/hands.py."""

    def machine(self) -> Machine: ...

    def signature(self, disk: str) -> Signature: ...

    def clear_disk(self, disk: str) -> None: ...

    def read(self, path: str) -> File | None: ...

    def write(self, file: File) -> None: ...

    def remove(self, path: str) -> None: ...

    def forget_answers(self) -> None:
        """Removes the answers that a set-up put away on the stick."""

    def set_time_zone(self, zone: str) -> None: ...

    def await_hardware_for(self, seconds: float) -> bool:
        """Blocks until a disk or a network card came or went; False if none did in SECONDS."""

    def pair_files(self) -> Sequence[str]:
        """Every file on the state partition that a set-up or a pair's life has written."""


def to_file(mark: Mark) -> File:
    content = {
        "version": VERSION,
        "stage": mark.stage.value,
        "physical-volume": mark.physical_volume,
        "serial": mark.serial,
    }
    return File(PATH, json.dumps(content, indent=1) + "\n")


def from_file(file: File | None) -> Mark | None:
    """The reverse; None if there is no such file. Raises OperatorError if it is damaged."""
    if file is None:
        return None
    try:
        content = json.loads(file.text)
        if content["version"] != VERSION:
            raise ValueError(f"its version is {content['version']}")
        texts = content["physical-volume"], content["serial"]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("something in it is no text")
        return Mark(*texts, Stage(content["stage"]))
    except (KeyError, TypeError, ValueError) as error:
        raise OperatorError(
            f"{PATH} is damaged: {error!r}",
            "This machine was to forget its pair. Flash its stick anew; that forgets all but the"
            " data disk.",
        ) from error


def our_disk(hands: Hands) -> tuple[Disk, str] | None:
    """The data disk and its LVM identity; None: it is not there, or cannot be read.

    Raises OperatorError if there are two: nobody knows which of them is meant.
    """
    found = [
        (disk, one.physical_volume)
        for disk, one in _signatures(hands)
        if one.is_a_pairs and one.physical_volume
    ]
    if len(found) > 1:
        names = " and ".join(disk.serial or disk.name for disk, _ in found)
        raise OperatorError(
            f"There are two disks with the guests of a pair: {names}.",
            "Unplug the one that does not belong to this machine.",
        )
    return found[0] if found else None


def forget(hands: Hands, tell: Callable[[str], None]) -> bool:
    """Forgets the pair if a mark says so, and tells each step; whether there was one.

    Raises ShoestringError: the next call goes on.
    """
    mark = from_file(hands.read(PATH))
    if mark is None:
        return False
    tell("This machine leaves its pair and forgets it, as was agreed. Leave it on.")
    # safety: first of all, so that nothing of the pair starts any more while there is half of it.
    # The set-up does not start either, as long as COMPLETE is there.
    hands.remove(SETTINGS)
    if mark.stage is Stage.AGREED:
        _erase(hands, mark, tell)
        hands.write(to_file(replace(mark, stage=Stage.ERASED)))
    tell("Removing what it knows of the pair.")
    hands.set_time_zone(UTC)
    for path in hands.pair_files():
        if path not in (COMPLETE.path, PATH):
            hands.remove(path)
    _forget_answers(hands, tell)
    hands.remove(COMPLETE.path)
    hands.remove(PATH)
    tell("Nothing is left of the pair. This machine starts again, as if it were new.")
    return True


def at_start(hands: Hands, tell: Callable[[str], None], run: Run) -> int:
    """What systemd runs before anything of a pair starts; its exit code. A machine that forgot its
    pair restarts: its cards and it itself still have their old names.
    """
    try:
        if forget(hands, tell):
            # It only asks for it: whatever waits for us is not started any more.
            run(("systemctl", "--no-block", "reboot"), timeout=LIMIT)
    except ShoestringError as error:
        hint = f"\n{error.hint}" if isinstance(error, OperatorError) else ""
        tell(f"This machine could not forget its pair: {error}{hint}\nIt tries again by itself.")
        return 1
    return 0


def _erase(hands: Hands, mark: Mark, tell: Callable[[str], None]) -> None:
    if not mark.physical_volume:
        return
    disk = _find(hands, mark)
    while disk is None:
        tell(f"Waiting for the data disk {mark.serial}, a minute at most.")
        if not hands.await_hardware_for(PATIENCE):
            tell(f"It does not come, so it keeps what is on it: {mark.serial}.")
            return
        disk = _find(hands, mark)
    # safety: read from the disk itself, right before it is erased.
    found = hands.signature(disk.name)
    if found.physical_volume != mark.physical_volume:
        if found.kinds:
            tell(f"The disk {mark.serial} holds something else by now. It is left alone.")
        return
    tell(f"Erasing the data disk {mark.serial}.")
    hands.clear_disk(disk.name)
    if hands.signature(disk.name).kinds:
        raise OperatorError(
            f"The disk {mark.serial} was erased, and something is read back from it.",
            "It is failing. Unplug it, and start this machine again.",
        )


def _forget_answers(hands: Hands, tell: Callable[[str], None]) -> None:
    """They hold no key: a stick that cannot be written keeps no machine from being blank."""
    try:
        hands.forget_answers()
    except ShoestringError as error:
        tell(f"What was answered in the set-up is still on the stick: {error}.")


def _find(hands: Hands, mark: Mark) -> Disk | None:
    """The disk that the mark names; or, erased by an earlier try, the one with its serial."""
    signatures = _signatures(hands)
    for disk, found in signatures:
        if found.physical_volume == mark.physical_volume:
            return disk
    return next(
        (disk for disk, _ in signatures if mark.serial and disk.serial == mark.serial), None
    )


def _signatures(hands: Hands) -> list[tuple[Disk, Signature]]:
    """What is on each disk that can be read."""
    found = []
    for disk in hands.machine().disks:
        if disk.is_boot_medium:
            continue
        try:
            found.append((disk, hands.signature(disk.name)))
        except ToolError:
            continue  # no card in its slot, or a dead disk: nobody can erase it
    return found
