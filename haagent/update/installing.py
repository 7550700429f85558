# SPDX-License-Identifier: MIT
"""Puts an update into the slot that does not run, and has GRUB try it at the next start.

A power cut at any moment leaves a stick that boots what ran before, until the very last step: each
one lasts before the next begins. It asks nobody, and judges nothing but the bytes: whether
it should be done at all is for hindrances.py to say.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from haagent.errors import OperatorError
from haagent.update import slots
from haagent.update.archive import Reader
from haagent.update.manifest import ROOT, Manifest, Part
from haagent.update.medium import FAILING, Medium, intend, standing
from haagent.update.slots import CONFIG, TRIES, Intent, Standing

Progress = Callable[[str, float], None]  # what is being done, and how much of it: 0 to 1


def silent(what: str, share: float) -> None:
    """A `Progress` that nobody sees."""


def examine(reader: Reader, progress: Progress = silent) -> Manifest:
    """Reads all of an update, and checks every sum. Raises BadUpdate.

    So a damaged one is refused before anything is touched.
    """
    whole = sum(part.size for part in reader.manifest.parts)
    done = 0
    for _, chunks in reader.parts():
        for chunk in chunks:
            done += len(chunk)
            progress("Checking", done / whole)
    return reader.manifest


def install(reader: Reader, medium: Medium, cmdline: str, progress: Progress = silent) -> None:
    """READER's update is what GRUB boots next, when this returns; until then, what ran before.

    CMDLINE is the kernel's. Raises OperatorError, and OSError for the stick. It can be repeated.
    """
    found = standing(medium, cmdline)
    runs, target = found.running, slots.other(found.running)
    manifest = reader.manifest
    # safety: nothing on the stick may lead to the slot that is about to be torn up: neither what
    # GRUB prefers, if an update waits in it, nor what it would fall back to.
    intend(medium, found, replace(found.intent, preferred=runs, other=""))
    _empty(medium, target)
    whole = 2 * sum(part.size for part in manifest.parts)
    done = _write(reader, medium, target, lambda count: progress("Writing", count / whole))
    for part in manifest.parts:
        done = _check(
            medium, target, part, done, lambda count: progress("Reading back", count / whole)
        )
    # GRUB boots a slot that has this, so it comes last.
    config = slots.config(manifest.slot).encode()
    name = f"{slots.folder(target)}/{CONFIG}"
    medium.write(name, 0, config)
    medium.flush()
    if b"".join(medium.read_back(name, len(config) + 1)) != config:
        raise _not_kept(name)
    intend(medium, found, Intent(target, TRIES, other=runs))


def place(target: str, part: str) -> str:
    """Where PART of an update goes, as `Medium` names it."""
    return slots.root(target) if part == ROOT else f"{slots.folder(target)}/{part}"


def _empty(medium: Medium, target: str) -> None:
    """First what makes it a slot, then what is in it."""
    medium.remove(f"{slots.folder(target)}/{CONFIG}")
    medium.flush()
    for name in medium.names(slots.folder(target)):
        medium.remove(name)
    medium.flush()


def _write(reader: Reader, medium: Medium, target: str, progress: Callable[[int], None]) -> int:
    """All parts; how many bytes they were."""
    done = 0
    for part, chunks in reader.parts():
        offset = 0
        for chunk in chunks:
            medium.write(place(target, part.name), offset, chunk)
            offset += len(chunk)
            progress(done + offset)
        medium.flush()
        done += offset
    return done


def _check(
    medium: Medium, target: str, part: Part, done: int, progress: Callable[[int], None]
) -> int:
    """That PART is on the stick; DONE and its bytes."""
    digest = hashlib.sha256()
    name = place(target, part.name)
    for chunk in medium.read_back(name, part.size):
        digest.update(chunk)
        done += len(chunk)
        progress(done)
    if digest.hexdigest() != part.sha256:
        raise _not_kept(name)
    return done


def _not_kept(name: str) -> OperatorError:
    return OperatorError(
        f"{name} was written to the stick, and something else is read back.",
        f"What runs now starts again, too. {FAILING}",
    )


def dismiss_fallen(medium: Medium, found: Standing) -> None:
    """Nobody needs to be told any more that an update was given up. Raises as `intend`."""
    intend(medium, found, replace(found.intent, fallen=""))
