# SPDX-License-Identifier: MIT
"""`shoestring update`: said first, agreed to, installed, and then the restart.

It must not decide anything: whether it can be done is hindrances.py's to say.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from haagent import handover
from haagent.asking import ask, tell
from haagent.command import Exit, Places
from haagent.console.snapshot import Snapshot
from haagent.errors import OperatorError
from haagent.progress import Line
from haagent.update import installing, machine, news, slots, source
from haagent.update.archive import Reader, opened
from haagent.update.hindrances import Hindrance
from haagent.update.machine import Ground
from haagent.update.manifest import BadUpdate, Manifest, public_key
from haagent.update.medium import standing
from haagent.update.slots import Standing

HERE = Ground()
INTERRUPTED = "The update was interrupted."
GOES_ON = "The stick still starts. `shoestring update --status` says what it starts next."


def update(arguments: argparse.Namespace, places: Places, ground: Ground = HERE) -> Exit:
    if arguments.status:
        return _status(places, ground)
    if arguments.dismiss:
        return _dismiss(places, ground)
    if machine.is_paired(ground) and not arguments.here:
        from haagent.update import pair  # what the door does needs this module, and not that

        return pair.update(arguments, places, ground)
    refuse(machine.of_machine(places, ground))
    key = signers_key(ground)
    line = Line()
    with source.found(arguments.source, places.run, ground.fetched, line.shows) as path:
        manifest = examine(path, key, line.shows)
        line.ends()
        found = fits(manifest, places, ground, is_older_wanted=arguments.older)
        tell(*prospect(manifest, found, machine.snapshot(places)))
        handover.agree(arguments)
        # The world may have moved while the person was reading.
        refuse(machine.of_machine(places, ground))
        with line.watched(INTERRUPTED, GOES_ON):
            put_in(path, key, manifest, places, ground, line.shows)
    tell(f"{manifest.release} is on the stick, and was read back.")
    return _restart(manifest, arguments.yes, places)


def signers_key(ground: Ground) -> Ed25519PublicKey:
    """Whose updates this stick takes. Raises OperatorError."""
    try:
        return public_key(ground.key.read_bytes())
    except OSError as error:
        raise OperatorError(
            f"The key that updates are checked with cannot be read: {error.strerror}.",
            "Nothing was changed. Flash the stick anew.",
        ) from error


def examine(path: Path, key: Ed25519PublicKey, progress: installing.Progress) -> Manifest:
    """The update in PATH, if all of it is what was signed. Raises BadUpdate."""
    with opened(path) as file:
        return installing.examine(Reader(file, key), progress)


def refuse(found: Sequence[Hindrance]) -> None:
    """Raises OperatorError if there are any."""
    if found:
        raise OperatorError(
            f"Nothing was changed: {'; '.join(one.what for one in found)}.",
            " ".join(one.do for one in found),
        )


def prospect(manifest: Manifest, found: Standing, shown: Snapshot | None) -> list[str]:
    """What would happen, for the person who is asked."""
    runs, target = machine.current(found), slots.other(found.running)
    lost = f" {found.release(target)} is lost there." if target in found.slots else ""
    lines = [
        f"{manifest.release} is installed into slot {target}, while {runs} runs on.{lost}",
        f"Then this machine restarts with it. If it does not start, {runs} comes back by itself.",
    ]
    if manifest.release < runs:
        lines.insert(0, f"{manifest.release} is OLDER than {runs}.")
    if shown is not None:
        there = [guest.name for guest in shown.guests if guest.runs_on == (shown.peer,)]
        if there:
            lines.append(
                f"{' and '.join(there)}: on {shown.peer}, meanwhile and afterwards. Until"
                f" {shown.me} is back, nothing protects what runs there."
            )
    return lines


def fits(manifest: Manifest, places: Places, ground: Ground, *, is_older_wanted: bool) -> Standing:
    """The slots of the stick that MANIFEST's update would go onto. Raises OperatorError if not."""
    cmdline = places.cmdline.read_text()
    with ground.medium() as medium:
        found = standing(medium, cmdline)
        reasons = machine.of_update(manifest, medium, found, is_older_wanted=is_older_wanted)
    refuse(reasons)
    return found


def put_in(
    path: Path,
    key: Ed25519PublicKey,
    manifest: Manifest,
    places: Places,
    ground: Ground,
    progress: installing.Progress,
) -> None:
    """The update in PATH is what this machine starts next, and its screens say so. Raises
    OperatorError, and BadUpdate if PATH is not MANIFEST's any more.
    """
    cmdline = places.cmdline.read_text()
    with opened(path) as file, ground.medium(is_writable=True) as medium:
        reader = Reader(file, key)
        if reader.manifest != manifest:
            raise BadUpdate("the file was exchanged meanwhile")
        installing.install(reader, medium, cmdline, progress)
        news.write(news.of(standing(medium, cmdline)), ground.news)


def _restart(manifest: Manifest, is_agreed: bool, places: Places) -> Exit:
    if not is_agreed and ask("Type yes to restart this machine now: ").lower() != "yes":
        tell(f"{manifest.release} waits for the next start: `shoestring reboot`.")
        return Exit.PROTECTED
    machine.restart(places)
    tell(f"This machine restarts with {manifest.release}.")
    return Exit.PROTECTED


def _status(places: Places, ground: Ground) -> Exit:
    with ground.medium() as medium:
        found = standing(medium, places.cmdline.read_text())
    tell(*slots.sentences(found))
    return Exit.PROTECTED


def _dismiss(places: Places, ground: Ground) -> Exit:
    with ground.medium(is_writable=True) as medium:
        found = standing(medium, places.cmdline.read_text())
        if not found.intent.fallen:
            tell("No update was given up: there is nothing to put aside.")
            return Exit.PROTECTED
        installing.dismiss_fallen(medium, found)
        news.write(news.of(standing(medium, places.cmdline.read_text())), ground.news)
    tell(f"{machine.current(found)} stays, and no screen tells of the other one any more.")
    return Exit.PROTECTED
