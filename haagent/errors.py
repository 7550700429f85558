# SPDX-License-Identifier: MIT
"""Every error of ours, by whose fault it was. They are raised below and caught at one place above.

No message may carry a secret.
"""

from collections.abc import Sequence


class ShoestringError(Exception):
    """The base: whoever catches it knows that the program said why it stopped."""


class OperatorError(ShoestringError):
    """A person can put it right: MESSAGE says what failed on what, HINT what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class PeerError(ShoestringError):
    """What came from outside breaks the protocol; it was not acted on."""


class ToolError(ShoestringError):
    """A program that we ran failed. EXIT is its status, or None if it was killed at its limit; with
    0 it did not do what it was run for, and STDERR says what was seen instead.
    """

    def __init__(self, argv: Sequence[str], exit: int | None, stderr: str) -> None:
        how = {None: "did not end in time", 0: "ended well, but in vain"}.get(
            exit, f"failed with exit status {exit}"
        )
        said = f": {stderr.strip()}" if stderr.strip() else ""
        super().__init__(f"{' '.join(argv)} {how}{said}")
        self.argv = tuple(argv)
        self.exit = exit
        self.stderr = stderr

    @property
    def timed_out(self) -> bool:
        return self.exit is None


class ParseError(ToolError):
    """A program ended well and printed TEXT, which we do not understand and must not guess at."""

    def __init__(self, argv: Sequence[str], text: str) -> None:
        super().__init__(argv, 0, f"we do not understand {text!r}")


class BugError(ShoestringError):
    """We broke our own rules; nothing after it can be trusted."""
