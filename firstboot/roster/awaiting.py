# SPDX-License-Identifier: MIT
"""Waits for both copies of a guest that comes, as long as the other machine is there."""

from collections.abc import Callable
from threading import Timer
from typing import Protocol

from haagent.core.model import Resource
from haagent.errors import PeerError


class Watched(Protocol):
    """DRBD, as storage/drbd.py watches it."""

    def watch(self, post: Callable[[str, Resource], None]) -> None: ...
    def stop(self) -> None: ...


def await_both(
    drbd: Watched,
    guest: str,
    is_enough: Callable[[Resource], bool],
    patience: float,
    after: Callable[[float, Callable[[], None]], Timer] = Timer,
) -> None:
    """Until the mirror of GUEST IS_ENOUGH. Raises PeerError once it has not been connected for
    PATIENCE seconds: whoever waits at the screen must be told.
    """
    is_met = False
    waiting: Timer | None = None

    def look(name: str, now: Resource) -> None:
        nonlocal is_met, waiting
        if name != guest or is_met:
            return
        if now.is_connected and waiting is not None:
            waiting.cancel()
            waiting = None
        elif not now.is_connected and waiting is None:
            waiting = after(patience, drbd.stop)
            waiting.daemon = True
            waiting.start()
        if is_enough(now):
            is_met = True
            drbd.stop()

    try:
        drbd.watch(look)
    finally:
        if waiting is not None:
            waiting.cancel()
    if not is_met:
        raise PeerError(f"the mirror of {guest} was not connected for {patience:.0f} s")
