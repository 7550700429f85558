# SPDX-License-Identifier: MIT
"""The password of this pair's consoles: a text to keep in its place, and whether one fits it.

scrypt, RFC 7914, with figures that cost a slow PC about a second: the console is asked once a day,
and a stick that is lost may be asked a million times.
"""

import base64
import re

KEPT = "/state/etc/shoestring/password"
COST, BLOCK, PARALLEL = 1 << 14, 8, 1  # 16 MiB
LEAST = 6  # characters; it guards a console that somebody has to stand at
LENGTH = 32  # bytes of salt and of what is derived
SHAPE = re.compile(r"scrypt:([A-Za-z0-9+/=]{24,64}):([A-Za-z0-9+/=]{44})")


def kept(password: str, salt: bytes) -> str:
    """What is written down instead of PASSWORD. SALT is random, 16 bytes at least."""
    if len(salt) < 16:
        raise ValueError("a salt has 16 random bytes at least")
    return f"scrypt:{_text(salt)}:{_text(_derived(password, salt))}"


def flaw(password: str) -> str | None:
    """Why PASSWORD will not do, in a sentence that does not quote it; None if it will."""
    if len(password) < LEAST:
        return f"At least {LEAST} characters or digits are needed."
    if not password.isascii() or not password.isprintable():
        # A console's keyboard may be another one on the day it is needed.
        return "Only plain letters, digits and signs, without accents, can be used."
    return None


def is_kept(text: str) -> bool:
    """Whether TEXT is of the shape that `kept` gives."""
    return SHAPE.fullmatch(text) is not None


def fits(password: str, text: str) -> bool:
    """Whether PASSWORD is the one that TEXT was made of; never, if TEXT is not of its shape."""
    import hmac  # it brings OpenSSL, which is megabytes, and each screen has us for ever

    match = SHAPE.fullmatch(text.strip())
    if match is None:
        return False
    try:
        salt = base64.b64decode(match[1], validate=True)
    except ValueError:
        return False
    return hmac.compare_digest(_text(_derived(password, salt)), match[2])


def _derived(password: str, salt: bytes) -> bytes:
    import hashlib  # as above

    return hashlib.scrypt(
        password.encode(), salt=salt, n=COST, r=BLOCK, p=PARALLEL, maxmem=64 << 20, dklen=LENGTH
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
