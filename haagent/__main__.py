# SPDX-License-Identifier: MIT
"""The command line: `haagent timers` prints the figures the pair lives by."""

import argparse
from dataclasses import asdict

from haagent import __version__
from haagent.core.timing import Timing


def main() -> None:
    parser = argparse.ArgumentParser(prog="haagent", description=__doc__)
    parser.add_argument("--version", action="version", version=f"haagent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    timers = commands.add_parser("timers", help="print every timer, in seconds")
    timers.add_argument("--scale", type=float, default=1.0, help="stretch them all by this factor")
    arguments = parser.parse_args()
    for name, seconds in asdict(Timing().scaled(arguments.scale)).items():
        print(f"{name:<14}{seconds:8.2f}")


if __name__ == "__main__":
    main()
