# SPDX-License-Identifier: MIT
"""The code that one screen shows and a person types on the other machine. Pure, but for its
randomness. How often one may be tried is not decided here.
"""

import secrets

from haagent.errors import OperatorError

DIGITS = 6
LONGEST = 64  # characters; nobody types more by mistake

# What people type for a digit that looks like it.
_LOOK_ALIKES = str.maketrans("OoIilL|", "0011111")
_SEPARATORS = "-._"
_HINT = f"Type the {DIGITS} digits that the other machine shows."


def new() -> str:
    """A code that nobody can guess: DIGITS digits."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"


def shown(code: str) -> str:
    """As it stands on the screen: `482 913`."""
    return f"{code[: DIGITS // 2]} {code[DIGITS // 2 :]}"


def parse(typed: str) -> str:
    """The code that TYPED means. Raises OperatorError, with a sentence for who typed it."""
    if len(typed) > LONGEST:
        raise OperatorError("That is too long for a code.", _HINT)
    text = "".join(char for char in typed if not char.isspace() and char not in _SEPARATORS)
    text = text.translate(_LOOK_ALIKES)
    for char in text:
        if not (char.isascii() and char.isdigit()):
            # repr() of what a screen might obey.
            raise OperatorError(f"A code has digits only, and {char!a} is none.", _HINT)
    if len(text) != DIGITS:
        raise OperatorError(f"A code has {DIGITS} digits; there are {len(text)}.", _HINT)
    return text
