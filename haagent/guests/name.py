# SPDX-License-Identifier: MIT
"""Owns what a guest may be called. One name serves as Xen's domain, DRBD's resource and LVM's
volume, so it must mean nothing special to any of their tools.
"""

import re
import unicodedata

from haagent.errors import OperatorError

LONGEST = 32
PATTERN = re.compile("[a-z]([a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
# drbdadm(8) takes `all` and `minor-N` for more than a name; lvm(8) keeps the other two for itself.
RESERVED = re.compile("all|minor-[0-9]+|pvmove.*|snapshot.*")


def checked(name: str) -> str:
    """NAME itself. Raises OperatorError if no guest can be called that."""
    # safety: a name that a tool reads as an option, a number or `all` would hit other guests.
    if PATTERN.fullmatch(name) and not RESERVED.fullmatch(name):
        return name
    raise OperatorError(
        f"{name!r} cannot be a guest's name.",
        "Take 1 to 32 of a-z, 0-9 and -, beginning with a letter and not ending with -; "
        "not `all`, and not beginning with minor-, pvmove or snapshot.",
    )


def fitted(text: str) -> str | None:
    """A name like TEXT that a guest can be called by, or None where nothing of it can be used."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub("[^a-z0-9]+", "-", plain).lstrip("-0123456789")[:LONGEST].strip("-")
    try:
        return checked(name)
    except OperatorError:
        return None
