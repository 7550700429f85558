# SPDX-License-Identifier: MIT
"""The real hands: what hands.py promises, done to the machine we run on, by its own programs.

No policy is in here. Whatever lands on the data disk is flushed to the platter before a method
ends, because the journal that is written next lives on another disk.
"""

import contextlib
import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from firstboot import agreement as agreements
from firstboot import files, leases, metadata, stick, zones
from firstboot.agreement import Stage
from firstboot.examine import examine
from firstboot.hands import Interface, Signature
from firstboot.hotplug import await_change, hardware_changes
from firstboot.leases import Lease
from firstboot.probe import LVM, Machine, probe
from firstboot.rendering import CROSSOVER, GROUP, LAN, File, volume
from haagent import config
from haagent.core.model import Resource
from haagent.errors import OperatorError, ParseError, ToolError
from haagent.run import Run, run
from haagent.storage import lvm
from haagent.storage.drbd import Drbd

LIMIT = 120.0  # seconds for one program
LONG_LIMIT = 1800.0  # for making the guest's disk: its writes wait while the peer is away
ADDRESSES_WITHIN = 120  # seconds that systemd-networkd gets
DOOR = "shoestring-update.socket"
MAKE_DISK = "/usr/share/shoestring/guest/make-disk"
WAIT_ONLINE = "/usr/lib/systemd/systemd-networkd-wait-online"
HEAD = str(1 << 20)  # bytes of a volume; drbdmeta looks at less
STATE = Path("/state")
OF_THE_STICK = ("identity", "lost+found")  # below STATE
IN_VAR = ("drbd", "heartbeat")  # below STATE's var/lib: what keeps something of the pair there
# Its own identity. The generation must never go back: a peer drops what is older as a replay. The
# highest one is what guards it (heartbeat-generation of the image).
OF_HEARTBEAT = ("hb_generation", "hb_generation.highest", "hb_uuid")
ZONE = STATE / "etc/localtime"  # the image's /etc/localtime leads to it
GROUP_NAME = re.compile(r"[A-Za-z0-9_+.][A-Za-z0-9_+.-]*")  # lvm(8)
KEY = re.compile(r"\b[0-9a-fA-F]{32,}\b")


class Appliance:
    """This machine."""

    def __init__(self, run: Run = run) -> None:
        self._run = run
        # Opened before anybody looks at the hardware: no change is missed.
        self._changes = hardware_changes()

    def machine(self) -> Machine:
        return probe()

    def time_scale(self) -> float:
        return config.time_scale()

    def await_hardware(self) -> None:
        await_change(self._changes)

    def await_hardware_for(self, seconds: float) -> bool:
        return await_change(self._changes, seconds)

    def examined_machine(self) -> Machine:
        """What there is, looked at closer: it may take a minute."""
        return examine(probe(), self._run)

    def start_looking_for_addresses(self) -> None:
        """Lets every card ask for an address, until this machine belongs to a pair."""
        files.write(Path(leases.BEFORE_SET_UP), leases.NETWORK.encode(), 0o644)
        self._run(("systemctl", "restart", "systemd-networkd.service"), timeout=LIMIT)

    def leases(self) -> tuple[Lease, ...]:
        """What was given so far."""
        addresses = self._run(leases.ADDRESSES, timeout=LIMIT)
        return leases.parse_leases(addresses, self._run(leases.ROUTES, timeout=LIMIT))

    def time_servers(self) -> tuple[IPv4Address, ...]:
        """What DHCP named so far."""
        try:
            return leases.parse_time_servers(self._run(leases.TIME_SERVERS, timeout=LIMIT))
        except ToolError:
            return ()  # it asks over D-Bus, and nothing here may depend on that

    def answers(self) -> str | None:
        agreed = agreements.from_file(self.read(agreements.PATH))
        if agreed is not None and agreed.stage is Stage.COMMITTED:
            return agreed.answers
        with stick.mounted(self._esp(), run=self._run) as folder:
            return stick.read_answers(folder)

    def retire_answers(self) -> None:
        self.remove(agreements.PATH)
        with stick.mounted(self._esp(), is_writable=True, run=self._run) as folder:
            stick.retire_answers(folder)

    def forget_answers(self) -> None:
        with stick.mounted(self._esp(), is_writable=True, run=self._run) as folder:
            stick.forget_answers(folder)

    def read(self, path: str) -> File | None:
        place = Path(path)
        try:
            return File(path, place.read_text(encoding="utf-8"), place.stat().st_mode & 0o7777)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise _failing(path, "read", error) from error

    def write(self, file: File) -> None:
        try:
            files.write(Path(file.path), file.text.encode(), file.mode)
        except OSError as error:
            raise _failing(file.path, "written", error) from error

    def remove(self, path: str) -> None:
        """Removes the file, if it is there, so that it stays away."""
        try:
            files.remove(Path(path))
        except OSError as error:
            raise _failing(path, "removed", error) from error

    def pair_files(self) -> list[str]:
        try:
            return pair_files(STATE)
        except OSError as error:
            raise _failing(str(error.filename), "read", error) from error

    def host_name(self) -> str:
        return socket.gethostname()

    def set_host_name(self, name: str) -> None:
        socket.sethostname(name)

    def interfaces(self) -> Mapping[str, Interface]:
        argv = ("ip", "-json", "address", "show")
        return parse_interfaces(argv, self._run(argv, timeout=LIMIT))

    def settle_cards(self) -> None:
        self._run(("udevadm", "control", "--reload"), timeout=LIMIT)
        self._settle()

    def rename_card(self, name: str) -> None:
        # A card that is up keeps its name, and udev gives names only when a card is new to it.
        self._run(("ip", "link", "set", "dev", name, "down"), timeout=LIMIT)
        card = f"/sys/class/net/{name}"
        self._run(("udevadm", "trigger", "--action=add", "--settle", card), timeout=LIMIT)

    def restart_network(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            Path(leases.BEFORE_SET_UP).unlink()
        self._run(("systemctl", "restart", "systemd-networkd.service"), timeout=LIMIT)
        # With or without a cable, as in the network files.
        names = (f"--interface={name}:no-carrier" for name in (CROSSOVER, LAN))
        argv = (WAIT_ONLINE, "--quiet", f"--timeout={ADDRESSES_WITHIN}", *names)
        self._run(argv, timeout=2 * ADDRESSES_WITHIN)

    def time_zone(self) -> str:
        try:
            return str(ZONE.readlink().relative_to(zones.FOLDER))
        except (OSError, ValueError):
            return ""

    def set_time_zone(self, zone: str) -> None:
        try:
            files.link(ZONE, Path(zones.FOLDER) / zone)
        except OSError as error:
            raise _failing(str(ZONE), "written", error) from error

    def restart_clock(self) -> None:
        # One that does not run stays so: a pair needs the same time as little as any time at all.
        self._run(("systemctl", "try-restart", "systemd-timesyncd.service"), timeout=LIMIT)

    def signature(self, disk: str) -> Signature:
        argv = ("wipefs", "--noheadings", "--output", "TYPE,UUID", f"/dev/{disk}")
        found = parse_signature(self._run(argv, timeout=LIMIT))
        return replace(found, is_a_pairs=GROUP in self._groups_on(Path("/dev") / disk))

    def clear_disk(self, disk: str) -> None:
        device = Path("/dev") / disk
        # What is just being activated since the disk appeared would keep it busy.
        self._settle()
        for group in sorted(self._groups_on(device)):
            if group == GROUP:
                self._run(("vgremove", "--force", "--yes", GROUP), timeout=LIMIT)
            elif GROUP_NAME.fullmatch(group):
                # Somebody else's was activated when the disk appeared, and keeps it busy. A group
                # that a power cut left unreadable has no such name here, and nothing active.
                self._run(("vgchange", "--activate", "n", group), timeout=LIMIT)
        self._wipe(device)
        # Its partitions are gone, and their devices with them as soon as udev knows.
        self._run(("udevadm", "settle", f"--timeout={LIMIT:.0f}"), timeout=2 * LIMIT)

    def make_group(self, disk: str, physical_volume: str) -> None:
        device = Path("/dev") / disk
        lvm.ensure_volume_group(device, GROUP, uuid=physical_volume, run=self._run)
        _flush(device)

    def has_volume(self, guest: str) -> bool:
        text = self._run(lvm.list_volumes(GROUP), timeout=LIMIT)
        return any(
            found.name == guest and not found.is_unfinished for found in lvm.parse_volumes(text)
        )

    def make_volume(self, guest: str, size: int) -> None:
        device = lvm.ensure_volume(guest, size, GROUP, run=self._run)
        self._wipe(device)
        # A disk that was used has something there, and drbdmeta asks a person whether that is data
        # (check_for_existing_data in drbdmeta.c). Nobody knows of any by now.
        self._run(
            ("fallocate", "--zero-range", "--offset", "0", "--length", HEAD, str(device)),
            timeout=LIMIT,
        )
        _flush(device)

    def make_metadata(self, guest: str, config: Path | None = None) -> None:
        """CONFIG is what DRBD reads instead of the machine's own."""
        metadata.create(guest, self._run, _which(config))
        _flush(Path(volume(guest)))

    def declare_only(self, guest: str, config: Path | None = None) -> None:
        metadata.declare_only(guest, self._run, _which(config))
        _flush(Path(volume(guest)))

    def start_mirror(self, guest: str) -> None:
        self._run(("lvchange", "--activate", "y", f"{GROUP}/{guest}"), timeout=LIMIT)
        drbd = Drbd(limit=LIMIT, run=self._run)
        drbd.up(guest)
        drbd.connect(guest)

    def await_mirror(self, guest: str, is_enough: Callable[[Resource], bool]) -> Resource:
        drbd = Drbd(limit=LIMIT, run=self._run)
        seen: list[Resource] = []

        def look(name: str, now: Resource) -> None:
            if name == guest and not seen and is_enough(now):
                seen.append(now)
                drbd.stop()

        drbd.watch(look)
        return seen[0]

    def skip_first_sync(self, guest: str) -> None:
        Drbd(limit=LIMIT, run=self._run).skip_first_sync(guest)

    def promote(self, guest: str) -> None:
        Drbd(limit=LIMIT, run=self._run).promote(guest, disconnect=False, timeout=LIMIT)

    def demote(self, guest: str) -> None:
        Drbd(limit=LIMIT, run=self._run).demote(guest)

    def fill(self, device: str, address: IPv4Interface | None, gateway: IPv4Address) -> None:
        self._wipe(Path(device))
        network = () if address is None else (str(address), str(gateway))
        self._run((MAKE_DISK, device, *network), timeout=LONG_LIMIT)
        _flush(Path(device))

    def hand_over(self) -> None:
        """All of the pair's units start. The door for updates comes with its card, and is said too:
        before there were settings it was skipped.
        """
        self._run(("systemctl", "--no-block", "start", "multi-user.target", DOOR), timeout=LIMIT)

    def restart(self) -> None:
        """It only asks for it: whatever waits for us is not started any more."""
        self._run(("systemctl", "--no-block", "reboot"), timeout=LIMIT)

    def _groups_on(self, device: Path) -> set[str]:
        """LVM's groups on DEVICE or on a partition of it."""
        found = lvm.parse_physical_volumes(self._run(lvm.LIST_PHYSICAL, timeout=LIMIT))
        disk = str(device.resolve())
        between = "p" if disk[-1].isdigit() else ""  # block/partitions/core.c of the kernel
        partition = re.compile(rf"{re.escape(disk)}({between}[0-9]+)?")
        return {one.group for one in found if partition.fullmatch(str(Path(one.device).resolve()))}

    def _esp(self) -> str:
        esp = self.machine().esp
        if not esp:
            raise OperatorError(
                "The stick that this machine started from has no ESP.", "Flash it anew."
            )
        return esp

    def _settle(self) -> None:
        """Waits until udev has done what it has to do."""
        self._run(("udevadm", "settle", f"--timeout={LIMIT:.0f}"), timeout=2 * LIMIT)

    def _wipe(self, device: Path) -> None:
        argv = ("wipefs", "--all", "--quiet", str(device))
        self._run(argv, timeout=LIMIT)
        _flush(device)
        left = self._run(("wipefs", "--noheadings", "--output", "TYPE", str(device)), timeout=LIMIT)
        if left.strip():
            raise ToolError(argv, 0, f"{device} still holds {left.strip()}")


def _which(config: Path | None) -> tuple[str, ...]:
    return () if config is None else ("--config-file", str(config))


def pair_files(state: Path) -> list[str]:
    """Every file below STATE, but for who this machine is, and what the system itself keeps. Raises
    OSError: what cannot be looked into is not taken for empty.
    """
    own = {
        *(state / name for name in OF_THE_STICK),
        state / "etc/localtime",
        *(state / "var/lib/heartbeat" / name for name in OF_HEARTBEAT),
    }
    tops = [entry for entry in state.iterdir() if entry.name != "var"]
    tops += [folder for name in IN_VAR if (folder := state / "var/lib" / name).is_dir()]
    return sorted(str(path) for top in tops for path in _files(top, own))


def _files(path: Path, own: Set[Path]) -> Iterator[Path]:
    """PATH, or the files below it; links are files. Nothing of OWN."""
    if path in own:
        return
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    for entry in path.iterdir():
        yield from _files(entry, own)


def _flush(device: Path) -> None:
    """What was written to DEVICE is on its platter. Raises OperatorError."""
    try:
        files.sync(device)
    except OSError as error:
        raise OperatorError(
            f"{device} does not keep what is written to it: {error.strerror}",
            "The data disk or its cable is failing. Replace it.",
        ) from error


def hidden(text: str) -> str:
    """TEXT without anything that could be a key of the pair, or its secret. For whatever is shown
    to people: a program may quote its configuration in an error.
    """
    return KEY.sub("(hidden)", text)


def parse_signature(text: str) -> Signature:
    """From `wipefs --noheadings --output TYPE,UUID`: a line for each mark that was found."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    kinds = tuple(dict.fromkeys(line[0] for line in lines))
    is_ours_alone = kinds == (LVM,) and len(lines) == 1 and len(lines[0]) == 2
    return Signature(kinds, lines[0][1] if is_ours_alone else "")


def parse_interfaces(argv: tuple[str, ...], text: str) -> dict[str, Interface]:
    """From `ip -json address show`. Raises ParseError."""
    try:
        return {
            str(link["ifname"]): Interface(
                mac=str(link.get("address", "")),
                bridge=str(link.get("master", "")),
                addresses=tuple(
                    IPv4Interface((one["local"], one["prefixlen"])) for one in _inet(link)
                ),
                broadcasts=tuple(
                    IPv4Address(one["broadcast"]) for one in _inet(link) if "broadcast" in one
                ),
            )
            for link in json.loads(text)
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParseError(argv, text[:200]) from error


def _inet(link: dict[str, list[dict[str, str]]]) -> list[dict[str, str]]:
    return [one for one in link.get("addr_info", []) if one["family"] == "inet"]


def _failing(path: str, verb: str, error: OSError | UnicodeDecodeError) -> OperatorError:
    why = error.strerror if isinstance(error, OSError) else "it is not text"
    return OperatorError(
        f"{path} cannot be {verb}: {why}", "The stick may be full or failing. Use another one."
    )
