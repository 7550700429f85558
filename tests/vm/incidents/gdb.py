# SPDX-License-Identifier: MIT
"""QEMU's door for a debugger, through which what runs in a machine is changed under its feet.

Speaks the little of GDB's remote protocol that is needed (GDB manual, "Remote Protocol").
"""

import socket

from tests.vm.machine import Machine
from tests.vm.wait import wait_until

HANG = bytes.fromhex("faebfe")  # cli; and a jump to itself
# Where they are in the answer to `g`, for x86-64: behind 16 registers of 8 bytes comes rip, then
# the flags and the segments with 4 bytes each.
RIP = slice(128, 136)
CS = slice(140, 144)
PRIVILEGE = 3  # of CS, the lowest bits: 0 is Xen, and all of a PV dom0 is above


class Debugger:
    """Connected to MACHINE, which stands still until `close`."""

    def __init__(self, machine: Machine) -> None:
        path = machine.folder / "gdb"
        machine.qmp(
            "human-monitor-command",
            **{"command-line": f"gdbserver unix:{path.name},server=on,wait=off"},
        )
        wait_until("the debugger's door", path.exists, 30, 0.05)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")

    def ask(self, packet: str) -> str:
        """The answer to PACKET."""
        self._send(packet)
        return self._read()

    def interrupt(self) -> None:
        """Of a machine that was let go: it stands still again."""
        self._socket.sendall(b"\x03")
        self._read()

    def let_go(self) -> None:
        """It runs on; the answer comes when it stops."""
        self._send("c")

    def close(self) -> None:
        self.ask("D")  # detach: it runs on
        self._stream.close()
        self._socket.close()

    def _send(self, packet: str) -> None:
        self._socket.sendall(f"${packet}#{sum(packet.encode()) % 256:02x}".encode())

    def _read(self) -> str:
        while (byte := self._stream.read(1)) != b"$":
            assert byte, "QEMU hung up"  # else an acknowledgement of what we sent
        packet = b""
        while (byte := self._stream.read(1)) != b"#":
            assert byte, "QEMU hung up"
            packet += byte
        self._stream.read(2)
        self._socket.sendall(b"+")
        return packet.decode()


def hang_xen(machine: Machine) -> None:
    """The hypervisor comes to a loop with interrupts off, where it idles or works right now."""
    debugger = Debugger(machine)
    debugger.ask("?")

    def is_in_xen() -> int:
        registers = bytes.fromhex(debugger.ask("g"))
        if int.from_bytes(registers[CS], "little") & PRIVILEGE == 0:
            return int.from_bytes(registers[RIP], "little")
        debugger.let_go()
        debugger.interrupt()
        return 0

    rip = wait_until(f"{machine.name}'s processor to be in Xen", is_in_xen, 120, 0.01)
    assert debugger.ask(f"M{rip:x},{len(HANG):x}:{HANG.hex()}") == "OK"
    debugger.close()
