# SPDX-License-Identifier: MIT
"""The program that DRBD runs as its fence-peer handler: asks the agent, and exits with its answer.

It must not judge anything. safety: DRBD believes its exit code whatever it is, so whatever goes
wrong in here ends in 1, which changes nothing: a frozen device stays frozen.

drbd.conf(5) of drbd-utils 9.22, for the 8.4 driver: the handler gets the resource's name in
DRBD_RESOURCE. 4 says that the peer is outdated, 7 that it is off; 5 is never said. drbdadm(8) sets
no time limit: the handler may wait, and DRBD's writes wait with it.

Only small modules are imported: it runs when the machine may be short of everything, and the sooner
it asks the better. The tests compare the constants with those of haagent.control and core/model.py.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Mapping

SOCKET = "/run/shoestring/agent.sock"
UNPROVEN = 1
BELIEVED = (4, 7)
PATIENCE = 600.0  # seconds; a holder that is still frozen then has been reset long ago
LONGEST = 4096  # bytes of an answer


class Unanswered(Exception):
    """There is no answer that means anything."""


class AgentWentAway(Exception):
    """The connection ended before the answer."""


def main(
    environment: Mapping[str, str] = os.environ, path: str = SOCKET, patience: float = PATIENCE
) -> int:
    """The exit code: 4 or 7 if the agent said so in so many words, else 1.

    DRBD calls its handler once for each loss. So an agent that goes away, as one that is restarted
    does, is asked again when it is back; for PATIENCE seconds.
    """
    deadline = time.monotonic() + patience
    try:
        while True:
            try:
                return ask(environment["DRBD_RESOURCE"], path)
            except (OSError, AgentWentAway):
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.2)  # there is no event to wait for: nobody is there
    except Exception as error:
        # safety: no failure, of whatever kind, may look like an answer.
        print(f"fence-peer: nothing is proven: {error!r}", file=sys.stderr)
        return UNPROVEN


def ask(guest: str, path: str) -> int:
    """The agent's answer for GUEST: 1, 4 or 7. Waits for it as long as the agent lives.

    Raises OSError, ValueError, AgentWentAway or Unanswered.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        connection.sendall(json.dumps({"ask": "fence", "guest": guest}).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            data = connection.recv(LONGEST)
            line += data
            if not data or len(line) > LONGEST:
                raise AgentWentAway(f"after {len(line)} bytes")
    reply = json.loads(line)
    answer = reply.get("answer") if isinstance(reply, dict) else None
    if type(answer) is int and answer in BELIEVED and reply == {"answer": answer}:
        return answer
    if reply == {"answer": UNPROVEN}:
        return UNPROVEN
    raise Unanswered(f"the agent said {line[:80]!r}")
