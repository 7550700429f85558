# SPDX-License-Identifier: MIT
"""Two machines to play with: `make run-pair`. Type them into a pair, pull plugs and cables, look at
screens. With --answers they make themselves one.
"""

import cmd
import contextlib
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

from pexpect import EOF, TIMEOUT

from tests.vm.accel import acceleration
from tests.vm.cables import GATEWAY, GUEST
from tests.vm.evening import LAN
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import blank_pair, flash

LEAVE = "\x1d"  # Ctrl-]


class Pair(cmd.Cmd):
    """The prompt. A machine is named by its letter, a or b."""

    prompt = "pair> "
    intro = (
        "Two machines, a and b, with a crossover cable (xo) and a LAN (lan). They boot in two or\n"
        f"three minutes. `console a` sits down at one: type there. On the LAN, {LAN[0]}/24 and\n"
        f"{LAN[1]} are free for them, {GUEST} for the guest, and the gateway is {GATEWAY}.\n"
        "`help` lists what else there is: cables and plugs to pull."
    )

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self._lab = lab

    def _machine(self, name: str) -> Machine:
        try:
            return self._lab.machines[name]
        except KeyError:
            raise ValueError(f"there is no machine {name!r}, only a and b") from None

    def onecmd(self, line: str) -> bool:
        """A slip of the finger must not end the session and both machines with it."""
        try:
            return super().onecmd(line)
        except (ValueError, AssertionError, OSError) as error:
            print(error)
            return False

    def emptyline(self) -> bool:
        return False

    def do_console(self, name: str) -> None:
        """console a: the machine's serial line; Ctrl-] comes back here."""
        machine = self._machine(name)
        print("Ctrl-] comes back; Enter draws the page again.")
        done = threading.Event()
        printer = threading.Thread(target=self._print_console, args=(machine, done), daemon=True)
        printer.start()
        try:
            with raw_terminal():
                while (key := sys.stdin.read(1)) != LEAVE and machine.is_on:
                    machine.console.send("\r" if key == "\n" else key)
        finally:
            done.set()
            printer.join()
            print()

    @staticmethod
    def _print_console(machine: Machine, done: threading.Event) -> None:
        while not done.is_set():
            try:
                sys.stdout.write(machine.console.read_nonblocking(4096, timeout=0.2))
                sys.stdout.flush()
            except TIMEOUT:
                continue
            except (EOF, AssertionError):
                print("\r\n(the machine is off)\r")
                return

    def do_on(self, name: str) -> None:
        """on a: switches a machine on."""
        machine = self._machine(name)
        if machine.is_on:
            raise ValueError(f"{name} is on already")
        machine.power_on()

    def do_cut(self, name: str) -> None:
        """cut a: pulls the machine's plug; unflushed writes are lost."""
        machine = self._machine(name)
        if not machine.is_on:
            raise ValueError(f"{name} is off already")
        machine.power_cut()

    def do_unplug(self, segment: str) -> None:
        """unplug xo | unplug lan: nothing passes on that cable any more."""
        self._cable(segment)
        assert self._lab.cables is not None
        self._lab.cables.unplug(segment)

    def do_plug(self, segment: str) -> None:
        """plug xo | plug lan: it passes again."""
        self._cable(segment)
        assert self._lab.cables is not None
        self._lab.cables.plug(segment)

    @staticmethod
    def _cable(segment: str) -> None:
        if segment not in ("xo", "lan"):
            raise ValueError(f"there is no cable {segment!r}, only xo and lan")

    def do_screen(self, name: str) -> None:
        """screen a: what the machine's monitor shows, as a PNG file."""
        path = Path.cwd() / f"build/screen-{name}.png"
        self._machine(name).screenshot(path)
        print(path)

    def do_run(self, line: str) -> None:
        """run a COMMAND: as root in the machine (test flavour only)."""
        name, _, script = line.partition(" ")
        result = self._machine(name).control.try_run(script, timeout=30)
        print(result.out, end="" if result.out.endswith("\n") else "\n")
        if result.rc != 0:
            print(f"(ended with {result.rc})")

    def do_quit(self, _: str) -> bool:
        """quit: switches both off and forgets them."""
        return True

    do_EOF = do_quit


@contextlib.contextmanager
def raw_terminal() -> Iterator[None]:
    """Every key goes through as it is, when there is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def main() -> None:
    lab = Lab(acceleration())
    try:
        pair = flash(lab) if "--answers" in sys.argv else blank_pair(lab)
        for machine in pair.both:
            machine.power_on()
        Pair(lab).cmdloop()
    finally:
        lab.close()


if __name__ == "__main__":
    main()
