# SPDX-License-Identifier: MIT
"""The conversation of two machines that are sure of each other: one is driven by the other.

Owns the stream and its sealing. The driver asks, the other one answers; each question has its
answer or ends the conversation. What is asked and what it means is not known here.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from firstboot.pairing.ceremony import Keys
from firstboot.pairing.channel import Channel
from firstboot.pairing.stream import Stream
from haagent.errors import PeerError

Message = Mapping[str, Any]


class Session:
    """One end. After a PeerError it is closed."""

    def __init__(self, stream: Stream, keys: Keys) -> None:
        self._stream = stream
        self._channel = Channel(keys)

    def fileno(self) -> int:
        """Can be read when something came, or the end."""
        return self._stream.fileno()

    def say(self, message: Message) -> None:
        """Raises PeerError."""
        self._stream.send(self._channel.seal(message))

    def ask(self, message: Message, timeout: float) -> dict[str, Any]:
        """The other machine's answer. Raises PeerError if there is none within TIMEOUT seconds."""
        self.say(message)
        answer = self._channel.open(self._stream.receive(timeout))
        if answer is None:
            raise PeerError("the other machine ended the conversation")
        return answer

    def hear(self) -> list[dict[str, Any]]:
        """The questions that came, without waiting. Raises PeerError when there will be no more."""
        opened = [self._channel.open(sealed) for sealed in self._stream.hear()]
        if None in opened:
            raise PeerError("the other machine ended the conversation")
        return [message for message in opened if message is not None]

    def close(self) -> None:
        """Says farewell, if anybody still listens."""
        with contextlib.suppress(PeerError):
            self._stream.send(self._channel.farewell())
        self._stream.close()
