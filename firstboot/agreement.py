# SPDX-License-Identifier: MIT
"""How two machines make up their minds together, whatever moment the power fails in. Pure.

Each writes down what was agreed (`prepared`), and says so with a proof that only the two can make.
Who is prepared and hears that the other is, too, commits; nothing is erased before. Neither waits
for a word that the other might have lost: both stages are said again and again, and a machine that
committed goes on saying so until the pair has met.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from enum import StrEnum

from firstboot.keys import expand
from firstboot.rendering import SECRET, File
from haagent.errors import OperatorError

PATH = "/state/setup/agreement.json"
VERSION = 1


class Stage(StrEnum):
    """How far a machine is."""

    BLANK = "blank"  # nothing was agreed here, and nobody is at it
    REPLACING = "replacing"  # half of a pair that lives; the place of the other half is free
    PAIRING = "pairing"  # the same, but the two are talking just now
    PREPARED = "prepared"  # all is written down; nothing was erased, and all may be forgotten
    COMMITTED = "committed"  # the set-up goes on to its end


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed, as one of the two machines keeps it."""

    stage: Stage
    peer: str  # the identity of the other machine's stick
    answers: str = field(repr=False)  # this machine's answers, as of an answers.yaml
    secret: str = field(repr=False)  # the pair's, hex

    @property
    def name(self) -> str:
        """The same on both machines, and of no use to anybody else."""
        return expand(self.secret, "agreement name", 16).hex()


@dataclass(frozen=True, slots=True)
class Word:
    """What a machine says about itself, in every announcement."""

    stage: Stage
    name: str = ""  # of the agreement
    proof: str = ""


def word(agreement: Agreement | None, identity: str) -> Word:
    """What the machine with IDENTITY says."""
    if agreement is None:
        return Word(Stage.BLANK)
    proof = _proof(agreement.secret, agreement.stage, identity)
    return Word(agreement.stage, agreement.name, proof)


def heard(agreement: Agreement, identity: str, said: Word) -> Agreement | None:
    """What becomes of AGREEMENT when the machine with IDENTITY says SAID; None: forget it."""
    if agreement.stage is not Stage.PREPARED or identity != agreement.peer:
        return agreement
    if said.stage in (Stage.BLANK, Stage.REPLACING):
        # safety: it never was prepared, or gave up being so; then it has not committed either.
        return None
    if said.name != agreement.name:
        return agreement
    if not hmac.compare_digest(said.proof, _proof(agreement.secret, said.stage, identity)):
        return agreement
    return replace(agreement, stage=Stage.COMMITTED)


def _proof(secret: str, stage: Stage, identity: str) -> str:
    # It may be heard and said again by anybody: what it says stays true. Only we two can make it.
    key = expand(secret, "agreement proof", 32)
    return hmac.new(key, f"{stage} {identity}".encode(), hashlib.sha256).hexdigest()


def to_file(agreement: Agreement) -> File:
    """What is kept on the state partition; for root alone."""
    content = {
        "version": VERSION,
        "stage": agreement.stage.value,
        "peer": agreement.peer,
        "answers": agreement.answers,
        "secret": agreement.secret,
    }
    return File(PATH, json.dumps(content, indent=1) + "\n", SECRET)


def from_file(file: File | None) -> Agreement | None:
    """The reverse; None if there is no such file. Raises OperatorError if it is damaged."""
    if file is None:
        return None
    try:
        content = json.loads(file.text)
        if content["version"] != VERSION:
            raise ValueError(f"its version is {content['version']}")
        texts = {key: content[key] for key in ("peer", "answers", "secret")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise ValueError("something in it is no text")
        return Agreement(Stage(content["stage"]), **texts)
    except (KeyError, TypeError, ValueError) as error:
        raise OperatorError(
            f"{PATH} is damaged: {error!r}",
            "Flash both sticks anew and begin again; empty the data disks if they are not.",
        ) from None
