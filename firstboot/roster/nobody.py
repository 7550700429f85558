# SPDX-License-Identifier: MIT
"""The other side of a change where there is no second machine."""

from firstboot.roster.change import Change
from firstboot.roster.part import Standing


class Nobody:
    """leading.Side's: it agrees to all at once, does nothing, and has nothing open."""

    def standing(self) -> Standing:
        return Standing(0, None)

    def disk_size(self, guest: str) -> int | None:
        return None

    def begin(self, change: Change) -> None: ...
    def prepare(self, number: int) -> None: ...
    def decide(self, change: Change) -> None: ...
    def carry_out(self) -> None: ...
    def drop(self, number: int, *, keeps_word: bool = False) -> None: ...
