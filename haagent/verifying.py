# SPDX-License-Identifier: MIT
"""An owner's acts on what is known of a guest's two copies: have them compared, and take note.

It must not decide anything: what is reported in the end is what this machine's agent then shows.
"""

import argparse
from typing import Any

from haagent import client, config
from haagent.asking import tell
from haagent.command import Exit, Places, look
from haagent.console.histories import STEP
from haagent.console.sizes import size
from haagent.console.snapshot import GuestView, Snapshot, from_dict
from haagent.console.times import since, span
from haagent.errors import OperatorError
from haagent.handover import agree, guest_of, saying_what_goes_on

BEGIN_LIMIT = 30.0  # seconds, on real hardware, until DRBD has begun
LIMIT = 30 * 86400.0  # of the whole of it: nobody who watches is sent away


def verify(arguments: argparse.Namespace, places: Places) -> Exit:
    _, shown = look(places)
    before = guest_of(shown, arguments.guest)
    name = before.name
    if not before.verification.is_under_way:
        client.verify(name, places.socket)
    tell(
        f"The two copies of {name} are compared block by block. {name} goes on meanwhile: where it "
        "uses its disk, it comes first, down to 10 MB a second for the comparison."
    )
    watch = _Watch(before)
    with saying_what_goes_on(f"The comparison of {name} goes on."):
        limit = BEGIN_LIMIT * config.time_scale(places.cmdline)
        if client.follow(watch.has_begun, limit, places.socket):
            client.follow(watch.has_ended, LIMIT, places.socket)
    return _result(name, watch)


def verified(arguments: argparse.Namespace, places: Places) -> Exit:
    _, shown = look(places)
    view = guest_of(shown, arguments.guest)
    name, known = view.name, view.verification
    if not known.differs:
        tell(f"Nothing was found to differ between the two copies of {name}.")
        return Exit.PROTECTED
    tell(
        f"{size(known.differs)} differed between the two copies of {name}. That was found on "
        f"{since(known.since or 0.0, shown.wall)}.",
        f"{shown.me} tells of it no more. Nothing is changed on either disk, and what is found "
        "later is told again.",
    )
    agree(arguments)
    client.noted(name, places.socket)
    tell(f"{shown.me} has taken note. Say it on {shown.peer}, too, if its screen still tells.")
    return Exit.PROTECTED


class _Watch:
    """Prints how far the comparison of a guest is, which was known as BEFORE."""

    def __init__(self, before: GuestView) -> None:
        self._before = before
        self._said = -1
        self.newest: Snapshot | None = None

    def has_begun(self, data: dict[str, Any]) -> bool:
        return self._now(data).verification.is_under_way or self.is_done

    def has_ended(self, data: dict[str, Any]) -> bool:
        now = self._now(data).verification
        if now.percent is not None and (step := int(now.percent) // STEP * STEP) > self._said:
            self._said = step
            left = "" if now.seconds is None or not step else f", about {span(now.seconds)}"
            print(f"{self._before.name}: {step} %{left} ...", flush=True)
        return not now.is_under_way

    @property
    def is_done(self) -> bool:
        """All was compared, since it was asked for."""
        return self.guest.verification.at != self._before.verification.at

    @property
    def guest(self) -> GuestView:
        """As it was seen last."""
        return self._before if self.newest is None else guest_of(self.newest, self._before.name)

    def _now(self, data: dict[str, Any]) -> GuestView:
        self.newest = from_dict(data)
        return self.guest


def _result(name: str, watch: _Watch) -> Exit:
    known = watch.guest.verification
    if not watch.is_done:
        raise OperatorError(
            f"The comparison of {name} did not come to its end.",
            "A lost connection or a disk error cuts it short, and `shoestring status` tells of "
            "those; `journalctl -b -u haagent` says why one did not begin. Say it again.",
        )
    if known.is_first and not known.is_past:
        tell(
            f"{size(known.differs)} differ between the two copies of {name}. They were never the "
            "same there: what no guest has written yet is as each data disk had it."
        )
        return Exit.PROTECTED
    if known.differs and not known.is_past:
        raise OperatorError(
            f"{size(known.differs)} differ between the two copies of {name}.",
            "Nothing was changed. `shoestring status` says what that means, and what to do.",
        )
    but = f", but for {size(known.noted)} that you know of" if known.noted else ""
    tell(f"The two copies of {name} are the same{but}.")
    return Exit.PROTECTED
