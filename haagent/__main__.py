# SPDX-License-Identifier: MIT
"""Where `haagent` begins: DRBD's handlers at once, everything else through haagent/cli.py."""

import sys


def main() -> int:
    """The exit code. safety: `haagent fence-peer` is judged by it, see fencing/fence_peer.py."""
    if sys.argv[1:] == ["fence-peer"]:
        from haagent.fencing import fence_peer

        return fence_peer.main()
    if sys.argv[1:] in (["before-resync-target"], ["after-resync-target"]):
        from haagent.storage import resync_handlers

        return resync_handlers.main(sys.argv[1])
    from haagent.console import screen

    if (words := tuple(sys.argv[1:])) in screen.WORDS:
        return screen.main(has_menu=screen.WORDS[words])
    from haagent.cli import main as command

    return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
