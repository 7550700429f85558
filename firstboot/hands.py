# SPDX-License-Identifier: MIT
"""What a set-up needs done to a machine: the one interface that apply.py acts through.

No policy is in here. appliance.py has the real hands; the tests have a machine of their own whose
power can be cut.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Protocol

from firstboot.probe import Machine
from firstboot.rendering import File
from haagent.core.model import Resource
from haagent.errors import OperatorError


class Files(Protocol):
    """The files of a machine, on its stick."""

    def read(self, path: str) -> File | None: ...
    def write(self, file: File) -> None: ...


FAILING_STICK = (
    "The stick is failing. The guests run on; put this machine's stick in order before it is"
    " restarted."
)


def put(hands: Files, file: File, advice: str) -> None:
    """FILE is there, and written only if it was not.

    Raises OperatorError with ADVICE if something else is read back.
    """
    if hands.read(file.path) != file:
        hands.write(file)
    if hands.read(file.path) != file:
        raise OperatorError(f"{file.path} was written, and something else is read back.", advice)


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface, as ip(8) shows it."""

    mac: str
    bridge: str  # that it is a port of; empty: of none
    addresses: tuple[IPv4Interface, ...]
    broadcasts: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """What is on a disk, read from the disk just now."""

    kinds: tuple[str, ...]  # as wipefs(8) names them; empty: nothing it knows
    physical_volume: str  # the LVM identity, if that is all there is; else empty
    is_a_pairs: bool = False  # whether a volume group with the name of ours is on it


class Hands(Protocol):
    """Every method ends when what it did lasts, or raises ShoestringError. All can be repeated."""

    def machine(self) -> Machine:
        """The hardware there is now."""

    def time_scale(self) -> float:
        """The factor on the kernel's command line."""

    def await_hardware(self) -> None:
        """Blocks until a disk or a network card came or went."""

    def answers(self) -> str | None:
        """The text of what both machines agreed on, or of answers.yaml on the stick; None if there
        is neither.
        """

    def retire_answers(self) -> None:
        """Puts the answers away without their secret, wherever they are."""

    def read(self, path: str) -> File | None:
        """The file at PATH, None if there is none."""

    def write(self, file: File) -> None:
        """Replaces the file as a whole: after a power cut it is the old one or the new one."""

    def remove(self, path: str) -> None:
        """Removes the file, if it is there, so that it stays away."""

    def host_name(self) -> str:
        """The kernel's."""

    def set_host_name(self, name: str) -> None:
        """The kernel's, for this boot."""

    def interfaces(self) -> Mapping[str, Interface]:
        """All of them, by name."""

    def settle_cards(self) -> None:
        """Lets udev read our files, and waits until it has done what it had to do since the boot:
        from here on no card changes its name under our hands.
        """

    def rename_card(self, name: str) -> None:
        """Lets udev give the card NAME its name from our files."""

    def restart_network(self) -> None:
        """Lets systemd-networkd read our files, and waits until it has carried them out."""

    def time_zone(self) -> str:
        """That times are shown in; "" if none was ever set."""

    def set_time_zone(self, zone: str) -> None:
        """From now on, for all programs that start."""

    def restart_clock(self) -> None:
        """Lets what sets the clock over the network read its file."""

    def signature(self, disk: str) -> Signature:
        """What is on the disk called DISK."""

    def clear_disk(self, disk: str) -> None:
        """Makes the disk blank. safety: it asks nobody."""

    def make_group(self, disk: str, physical_volume: str) -> None:
        """Our volume group on the whole of a blank disk; refuses any other."""

    def has_volume(self, guest: str) -> bool:
        """Whether our group has a volume for GUEST."""

    def make_volume(self, guest: str, size: int) -> None:
        """A volume of SIZE bytes."""

    def make_metadata(self, guest: str) -> None:
        """DRBD's metadata of a volume that was never used, on GUEST's blank volume."""

    def declare_only(self, guest: str) -> None:
        """That metadata say from now on that nobody else has a copy of it."""

    def start_mirror(self, guest: str) -> None:
        """DRBD has the resource and looks for its peer."""

    def await_mirror(self, guest: str, is_enough: Callable[[Resource], bool]) -> Resource:
        """Blocks until GUEST's resource is as IS_ENOUGH wants it, and calls it at each change."""

    def skip_first_sync(self, guest: str) -> None:
        """Declares two connected, never used copies the same."""

    def promote(self, guest: str) -> None:
        """Makes us Primary."""

    def demote(self, guest: str) -> None:
        """Makes us Secondary."""

    def fill(self, device: str, address: IPv4Interface | None, gateway: IPv4Address) -> None:
        """Replaces whatever is on DEVICE by the built-in guest's file system."""

    def hand_over(self) -> None:
        """Lets systemd start what waited for the end of the set-up."""
