# SPDX-License-Identifier: MIT
"""Who an SSH server is: the key that it shows, told to a person or held against what one was given.

Nothing is believed silently, and nothing is kept: it is asked anew each time.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from haagent.asking import ask, tell
from haagent.elsewhere.address import Address
from haagent.errors import OperatorError, ParseError, ToolError
from haagent.run import Run

# As ssh-keyscan(1) names them, the best first. One at a time: sshd shuts out for a while whoever
# connects often and does not log in (sshd_config(5), PerSourcePenalties).
KINDS = ("ed25519", "ecdsa", "rsa")
WAIT = 10  # seconds for one connection
LIMIT = 30.0


@dataclass(frozen=True, slots=True)
class HostKey:
    kind: str  # of the algorithm, as ssh writes it
    blob: str  # base64

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen(1) prints it."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def known(self, address: Address) -> str:
        """The line of a file of known hosts that has nobody else."""
        # sshd(8): a port that is not the usual one stands behind brackets.
        host = address.host if address.port == 22 else f"[{address.host}]:{address.port}"
        return f"{host} {self.kind} {self.blob}\n"


def scan_argv(address: Address, kind: str) -> tuple[str, ...]:
    how = ("-q", "-T", str(WAIT), "-p", str(address.port), "-t", kind)
    return ("ssh-keyscan", *how, address.host)


def parse(argv: Sequence[str], text: str) -> HostKey | None:
    """From ssh-keyscan; None if the server has no key of that kind. Raises ParseError."""
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    if not rows:
        return None
    try:
        [(_, kind, blob)] = rows
        base64.b64decode(blob, validate=True)
    except (ValueError, binascii.Error):
        raise ParseError(argv, text[:200]) from None
    return HostKey(kind, blob)


def agreed(address: Address, run: Run, given: str | None, *, may_ask: bool) -> HostKey:
    """The key of the server at ADDRESS, which is the one GIVEN, or which a person has agreed to.
    Raises OperatorError and ToolError.
    """
    seen: list[HostKey] = []
    for kind in KINDS:
        key = _scanned(address, kind, run)
        if key is None:
            continue
        if given is None:
            return _told(address, key, may_ask=may_ask)
        if key.fingerprint == given.rstrip("="):
            return key
        seen.append(key)
    if seen:
        shows = " and ".join(key.fingerprint for key in seen)
        raise OperatorError(
            f"{address.host} is not the computer that was meant: it shows {shows}, and {given} was"
            " given. Nothing was changed.",
            "Ask whoever looks after it. If it was set up anew, its key is another one now.",
        )
    raise OperatorError(
        f"{address.host} answers at port {address.port}, but not as an SSH server does. Nothing was"
        " changed.",
        "Look at the port. A server that was asked too often is silent for a minute, too.",
    )


def _scanned(address: Address, kind: str, run: Run) -> HostKey | None:
    argv = scan_argv(address, kind)
    try:
        return parse(argv, run(argv, timeout=LIMIT))
    except ToolError as error:
        if error.exit == 1:  # it found none
            return None
        raise


def _told(address: Address, key: HostKey, *, may_ask: bool) -> HostKey:
    if not may_ask:
        raise OperatorError(
            f"Nobody has said yet that {address.host} is the computer that was meant: it shows"
            f" {key.fingerprint}. Nothing was changed.",
            f"Compare that with what it says itself, and add --host-key {key.fingerprint}",
        )
    tell(
        f"{address.host} shows the key {key.fingerprint} ({key.kind}). If another computer answers"
        " in its place, it gets your password. On that computer itself `ssh-keygen -lf"
        " /etc/ssh/ssh_host_*_key.pub`, for each such file, says which keys it has."
    )
    if ask("Is it the same? Type yes: ") != "yes":
        raise OperatorError("Nothing was changed.", "Say it again if it is the same after all.")
    return key
