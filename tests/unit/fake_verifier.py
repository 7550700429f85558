# SPDX-License-Identifier: MIT
"""Whoever has the two copies of a guest compared: notes what it is asked, refuses if told."""


class Verifier:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []  # for what, of which guest
        self.refusal: str | None = None

    def ask(self, guest: str) -> str | None:
        self.asked.append(("verify", guest))
        return self.refusal

    def take_note(self, guest: str) -> str | None:
        self.asked.append(("noted", guest))
        return self.refusal
