# SPDX-License-Identifier: MIT
"""Guests that come to a pair as images: made on one of its machines, and brought in."""

from tests.vm.machine import Machine
from tests.vm.story import TAKEOVER

PLACE = "/state/images"  # of the images, and of a backup
FILES = "/usr/share/shoestring/guest"  # of the built-in guest
MAKE = f"{FILES}/make-disk"


def make_image(
    machine: Machine, name: str, address: str, *, size: str = "192M", files: str = FILES
) -> str:
    """A guest of its own that answers for ADDRESS, on MACHINE, made of FILES there."""
    path = f"{PLACE}/{name}.raw"
    make = f"truncate -s {size} {path} && GUEST_FILES={files} {MAKE} {path} {address}/24 10.0.2.2"
    machine.run(f"mkdir -p {PLACE} && {make}", timeout=TAKEOVER)
    return path


def bring(image: str, address: str, *more: str) -> str:
    options = f"--memory 192 --type pv --address {address}"  # its kernel is unpacked
    return " ".join(("shoestring guest import", image, options, *more, "--yes"))


def begin_to_bring(machine: Machine, command: str) -> None:
    """COMMAND is given to MACHINE, and nobody waits for its end; what it says is in the journal."""
    machine.run(f"systemd-run --unit=bring --property=RemainAfterExit=yes -- {command}")


def fate(machine: Machine) -> str:
    """Of that command: what systemd calls its state."""
    return machine.control.try_run("systemctl is-failed bring").out
