# SPDX-License-Identifier: MIT
"""Lets one command ask for names, and says in plain words why another computer is not reached.

Nothing else of this machine may ever wait for an answer about a name: /etc/resolv.conf is empty.
"""

import ctypes
import os
import socket
from collections.abc import Callable
from pathlib import Path

from haagent.errors import OperatorError, ToolError
from haagent.run import Run

RESOLVER = Path("/state/etc/timesyncd-resolv.conf")  # the set-up wrote it: the gateway is asked
CLONE_NEWNS = 0x00020000  # unshare(2)
LIMIT = 20.0  # seconds for a mount of this machine's own
PATIENCE = 15.0  # seconds until somebody takes a connection


def unshare(flag: int) -> None:
    """unshare(2), which Python has since 3.12. Raises ToolError."""
    if ctypes.CDLL(None, use_errno=True).unshare(flag):
        number = ctypes.get_errno()
        raise ToolError(("unshare", "--mount"), number, os.strerror(number))


def have_own_mounts(run: Run, unshare: Callable[[int], None] = unshare) -> None:
    """From here on this process, and what it runs, has mounts of its own and asks the gateway for
    names. The kernel ends them with the last of these processes. Raises ToolError.
    """
    unshare(CLONE_NEWNS)
    # mount(8): what others mount and unmount we see still, and nobody sees ours.
    run(("mount", "--make-rslave", "/"), timeout=LIMIT)
    if RESOLVER.exists():
        run(("mount", "--bind", str(RESOLVER), "/etc/resolv.conf"), timeout=LIMIT)


def check_answers(host: str, port: int) -> None:
    """Raises OperatorError unless HOST takes a connection at PORT."""
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except (OSError, UnicodeError) as error:
        raise unreachable(host, port, error) from error


def unreachable(host: str, port: int, error: Exception) -> OperatorError:
    """What ERROR, of whoever wanted to reach HOST at PORT, means."""
    match error:
        case socket.gaierror() | UnicodeError():
            return OperatorError(
                f"Nobody could say which address {host} has. Nothing was changed.",
                "The gateway was asked. Look at the name, or give the address itself, as"
                " 192.168.1.5.",
            )
        case ConnectionRefusedError():
            return OperatorError(
                f"{host} is there, and nothing answers at its port {port}. Nothing was changed.",
                "See that the service is switched on there, and that its firewall lets this"
                " machine in.",
            )
        case TimeoutError():
            why = "does not answer"
        case _:
            why = f"cannot be reached: {getattr(error, 'strerror', None) or error}"
    return OperatorError(
        f"{host}, port {port}, {why}. Nothing was changed.",
        "See that it is on, and that this machine's LAN cable is plugged in.",
    )
