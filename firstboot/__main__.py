# SPDX-License-Identifier: MIT
"""The console until the machine belongs to a pair, and the set-up that makes it belong to one.

python3 -m firstboot         greets, shows the hardware, waits; the page is drawn again when
                             Enter is pressed and when a disk or network card comes or goes
python3 -m firstboot apply   does what answers.yaml on the stick says, if there is one;
                             ends with 1 if that was not possible
"""

import argparse
import select
import socket
import sys
from pathlib import Path

from firstboot import files
from firstboot.faces import line
from firstboot.hotplug import LARGEST, QUIET, concerns_hardware, hardware_changes
from firstboot.probe import probe
from haagent.errors import OperatorError, ShoestringError

# What the set-up had to say at its end; the greeting repeats it.
LAST_WORDS = Path("/run/shoestring/set-up")
OUR_FAULT = (
    "The set-up ended by a fault of its own. `journalctl -u shoestring-setup` tells more.\n"
    "Switch the machine off and on to try again."
)


def wait_for_reason(events: socket.socket) -> bool:
    """Waits until the page should be drawn again; False when the console is gone."""
    changed = False
    while True:
        ready, _, _ = select.select([sys.stdin, events], [], [], QUIET if changed else None)
        if not ready:
            return True
        if events in ready:
            changed = concerns_hardware(events.recv(LARGEST)) or changed
        if sys.stdin in ready:
            return bool(sys.stdin.readline())


def greet() -> None:
    """Shows the first page for as long as somebody may look at it."""
    events = hardware_changes()
    while True:
        said = LAST_WORDS.read_text() if LAST_WORDS.exists() else ""
        print("\n" + line.greeting(probe(), said), flush=True)
        if not wait_for_reason(events):
            return


def apply() -> int:
    """Carries out the answers; the exit status. The one place that catches our errors."""
    # Not above: the greeting needs none of it, and should be there soon.
    from firstboot.appliance import Appliance, hidden
    from firstboot.apply import set_up
    from firstboot.screen import Screen

    screen = Screen()
    files.write(LAST_WORDS, OUR_FAULT.encode(), 0o644)  # until we know better
    try:
        set_up(Appliance(), screen.tell)
    except ShoestringError as error:
        hint = error.hint if isinstance(error, OperatorError) else "Switch it off and on to go on."
        words = hidden(f"The set-up of this machine stopped.\n{error}\n{hint}")
        screen.tell(words)
        files.write(LAST_WORDS, words.encode(), 0o644)
        return 1
    files.remove(LAST_WORDS)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="firstboot", description=__doc__.split("\n")[0])
    parser.add_argument("command", nargs="?", choices=["greet", "apply"], default="greet")
    if parser.parse_args().command == "apply":
        return apply()
    greet()
    return 0


if __name__ == "__main__":
    sys.exit(main())
