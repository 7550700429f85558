# SPDX-License-Identifier: MIT
"""Makes this machine one half of a pair, with a person at the console or a file on the stick.

python3 -m firstboot                 the set-up, as the appliance runs it
python3 -m firstboot --dry-run --machine FILE [--other FILE]
                                     asks and shows the same on any computer, about machines that
                                     FILEs describe, and changes nothing
python3 -m firstboot --forget        finishes what `shoestring factory-reset` began; systemd does
python3 -m firstboot --install       goes on with an install to a disk that was agreed to, likewise
"""

import argparse
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="firstboot", description=__doc__.split("\n")[0])
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    parser.add_argument("--machine", type=Path, help="a description of this machine")
    parser.add_argument("--other", type=Path, help="a description of the other machine")
    parser.add_argument("--forget", action="store_true", help="forget the pair, if that was agreed")
    parser.add_argument("--install", action="store_true", help="install, if that was agreed")
    options = parser.parse_args()
    if options.dry_run != (options.machine is not None):
        parser.error("--dry-run and --machine FILE go together")
    # Not above: neither needs what the other one does.
    if options.dry_run:
        try:
            from firstboot import rehearsal
        except ModuleNotFoundError as error:
            print(
                f"firstboot: the Python module {error.name} is missing. `make check` installs it in"
                " build/venv; run build/venv/bin/python -m firstboot.",
                file=sys.stderr,
            )
            return 1
        return rehearsal.run(options.machine, options.other)
    from firstboot import evening, forgetting
    from firstboot.appliance import Appliance
    from firstboot.terminals import Terminals, consoles
    from haagent.run import run

    if options.install:
        from firstboot.installing import install
        from firstboot.installing.carrying import Carrying

        return install.at_start(Carrying(), Terminals(consoles()).tell, run)
    if options.forget:
        return forgetting.at_start(Appliance(), Terminals(consoles()).tell, run)
    from firstboot.installing.carrying import Carrying

    evening.spend(Carrying(), Terminals(consoles()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
