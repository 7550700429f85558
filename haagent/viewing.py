# SPDX-License-Identifier: MIT
"""`shoestring guest screen`: the screen of a PC, for one viewer of VNC's on the LAN.

QEMU shows it at a socket that only root opens. What is here is the only door to it, and there while
the command runs: it has a password of its own, and closes with the first viewer that leaves.
"""

import argparse
import contextlib
import secrets
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from haagent import config
from haagent.asking import tell
from haagent.command import Exit, Places, look
from haagent.console.snapshot import GuestView, Snapshot
from haagent.errors import OperatorError
from haagent.guests import rfb
from haagent.guests.definition import SCREENS, Kind
from haagent.handover import guest_of

PORT = 5900  # IANA's for VNC
PATIENCE = 600.0  # seconds that a viewer is waited for
TYPING = 120.0  # seconds that it may take to say the password
GREETING = 20.0  # seconds that a screen may take
TRIES = 3  # at the password
GONE = 60  # seconds without a sign of life, and a viewer has left (tcp(7))
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # what nobody takes for another one
CHUNK = 1 << 16


def screen(
    arguments: argparse.Namespace, places: Places, port: int = PORT, screens: Path = SCREENS
) -> Exit:
    """Raises OperatorError."""
    _, shown = look(places)
    view = guest_of(shown, arguments.guest)
    found = config.load(places.file, places.cmdline)
    _refuse(shown, view, found.guests[view.name].kind)
    # safety: known to whoever reads this terminal, and to nobody else; for one viewer.
    password = "".join(secrets.choice(LETTERS) for _ in range(rfb.LONGEST))
    with _door(str(found.lan.address), port) as door:
        address, port = door.getsockname()
        tell(
            f"The screen of {view.name} waits for one viewer of VNC's, at {address}, port {port}."
            f" The password is {password} and holds this once. Whoever can listen on the LAN sees"
            " what is shown and typed: it is not encrypted.",
            f"Without a viewer it closes after {PATIENCE / 60:.0f} minutes, at Ctrl-C at once.",
        )
        with _first(door, password) as viewer, _screen(view.name, screens) as picture:
            door.close()
            tell("A viewer is in. The port is closed to others.")
            is_left = _carry(viewer, picture)
    if is_left:
        tell("The viewer left. Nothing listens any more.")
    else:
        tell(
            f"The PC of {view.name} ended, or starts anew: say it again to see it. Nothing listens."
        )
    return Exit.PROTECTED


def _refuse(shown: Snapshot, view: GuestView, kind: Kind) -> None:
    if kind is not Kind.HVM:
        raise OperatorError(
            f"{view.name} has no screen: it is of type {kind}.",
            f"Its text console: `shoestring guest console {view.name}`.",
        )
    if shown.me not in view.runs_on:
        where = f" It runs on {view.runs_on[0]}: say it there." if view.runs_on else ""
        raise OperatorError(
            f"{view.name} does not run on {shown.me}.",
            f"{where} `shoestring guest show {view.name}` tells how it is.".strip(),
        )


@contextlib.contextmanager
def _door(address: str, port: int) -> Iterator[socket.socket]:
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((address, port))
        except OSError as error:
            raise OperatorError(
                f"Nobody can be let in at {address}, port {port}: {error.strerror}.",
                "One screen is shown at a time. Look whether another one is, on this machine.",
            ) from error
        door.listen()
        yield door


def _first(door: socket.socket, password: str) -> socket.socket:
    """The first viewer that knows the PASSWORD. Raises OperatorError if none does."""
    end = time.monotonic() + PATIENCE
    for _ in range(TRIES):
        door.settimeout(max(0.01, end - time.monotonic()))
        try:
            viewer, (address, _) = door.accept()
        except TimeoutError:
            raise OperatorError(
                "No viewer came. Nothing listens any more.", "Say it again for another time."
            ) from None
        try:
            if rfb.lets_in(viewer, password, TYPING):
                _stay_alert(viewer)
                return viewer
            tell(f"Somebody at {address} did not know the password.")
        except (rfb.Odd, OSError) as error:
            tell(f"Somebody at {address} is no viewer that can be let in: {error}.")
        viewer.close()
    raise OperatorError(
        f"Nobody was let in at {TRIES} tries. Nothing listens any more.",
        "Say it again: there will be another password. A viewer must take VNC's own.",
    )


def _stay_alert(viewer: socket.socket) -> None:
    viewer.settimeout(None)
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, GONE // 2),
        (socket.TCP_KEEPINTVL, GONE // 6),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, GONE * 1000),
    ):
        viewer.setsockopt(socket.IPPROTO_TCP, option, value)


@contextlib.contextmanager
def _screen(name: str, screens: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as picture:
        try:
            picture.settimeout(GREETING)
            picture.connect(str(screens / name))
            rfb.enter(picture, GREETING)
        except (rfb.Odd, OSError) as error:
            raise OperatorError(
                f"The PC of {name} does not show its screen: {error}.",
                "It may have ended this moment: `shoestring status` tells. One that was started"
                " before an update shows it after its next start.",
            ) from error
        picture.settimeout(None)
        yield picture


def _carry(viewer: socket.socket, picture: socket.socket) -> bool:
    """What each says to the other one, until one of them has left; whether that is the viewer."""
    others = {viewer: picture, picture: viewer}
    while True:
        for one in select.select(list(others), (), ())[0]:
            try:
                said = one.recv(CHUNK)
            except OSError:
                said = b""
            if not said:
                return one is viewer
            try:
                others[one].sendall(said)
            except OSError:
                return others[one] is viewer
