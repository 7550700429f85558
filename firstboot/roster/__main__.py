# SPDX-License-Identifier: MIT
"""Ends what a change of the list of guests left open: shoestring-list.service, at each start of the
machine, and after a change whose other machine was lost.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from functools import partial

from firstboot.roster import leading
from firstboot.roster.change import Stage
from firstboot.roster.pair import LOCK, Pair, Turn, meet
from haagent.alone import in_turn
from haagent.command import Places
from haagent.errors import PeerError, ShoestringError

AGAIN = 10.0  # seconds until a machine that is away is asked again


def carry_on(
    pair: Pair,
    pause: Callable[[float], None] = time.sleep,
    turn: Callable[[], Turn] = contextlib.nullcontext,
) -> None:
    """Until nothing is open here; it waits for its TURN each time. Raises ShoestringError."""
    said = ""
    while True:
        try:
            with turn():
                if (change := pair.here.standing().change) is None:
                    return
                if not change.leads and change.stage is not Stage.DECIDED:
                    print(f"{change}. {pair.name} sees to its end.", flush=True)
                    return
                leading.settle(pair.here, pair.there)
        except PeerError as error:
            if (text := f"{change}. {pair.name} has to be told, and cannot be: {error}.") != said:
                print(text, flush=True)
            said = text
            pause(AGAIN)


def main() -> int:
    try:
        carry_on(meet(Places()), turn=partial(in_turn, LOCK))
    except ShoestringError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
