# SPDX-License-Identifier: MIT
"""A machine made of values, whose power can be cut after every single thing that lasts.

It keeps what a real one keeps (the stick, the state partition, the data disk) and forgets what a
real one forgets (names, addresses, DRBD). It is as strict as the real tools: what they refuse, it
refuses.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from firstboot import agreement as agreements
from firstboot import journal
from firstboot.agreement import Stage
from firstboot.apply import set_up
from firstboot.hands import Interface, Signature
from firstboot.probe import LVM, Disk, Machine, Nic
from firstboot.rendering import NETWORK, SETTINGS, File
from haagent.core.model import Disk as DiskState
from haagent.core.model import Link, Resource, Role
from haagent.errors import ToolError

DATA = Path(__file__).parents[1] / "data/answers"
TEXTS = {name: (DATA / f"{name}.yaml").read_text() for name in ("a", "b", "alone")}
SECRET = "5f1d6e0b9c3a4728b6d0e1f2a3948576"


class PowerCutError(Exception):
    """The machine is off. Nothing of ours may catch this."""


@dataclass
class Volume:
    """A guest's copy on one node."""

    size: int
    is_finished: bool = False
    metadata: str = ""  # "" none, "fresh" as create-md leaves it, "only" copy there is, "data"
    content: str = ""


@dataclass
class DataDisk:
    """What is on the data disk."""

    kinds: tuple[str, ...] = ()
    physical_volume: str = ""
    has_group: bool = False
    volumes: dict[str, Volume] = field(default_factory=dict)


@dataclass
class Peer:
    """The other machine, as far as DRBD sees it. It is blank, and comes when it is waited for."""

    is_leader: bool
    volumes: dict[str, Volume] = field(default_factory=dict)
    is_there: bool = False
    stays_away: bool = False
    has_other_secret: bool = False


class FakeMachine:
    """Hands. CUT is how many effects happen before the power fails; None is never."""

    def __init__(self, answers: str | None, hardware: Machine, *, is_leader: bool) -> None:
        self.stick: dict[str, str] = {} if answers is None else {"answers.yaml": answers}
        self.files: dict[str, File] = {}
        self.disk = DataDisk()
        self.zone = "UTC"
        self.clock_follows = ""  # what was written for it when it was restarted last
        self.peer = Peer(is_leader=not is_leader)
        self.hardware = hardware
        self.plugged_in_later: list[Machine] = []
        self.boot_names: dict[str, str] = {}  # that udev has yet to give to cards, by their old
        self.scale = 1.0
        self.cut: int | None = None
        self.effects = 0
        self.said: list[str] = []
        self.boot()

    # What a test does to it.

    def boot(self) -> None:
        """As the real one boots: by the files on its state partition, and by nothing else."""
        self.host = self._text("/state/etc/hostname").strip() or "localhost"
        self.roles: dict[str, Role] = {}  # of the resources that DRBD has
        self.is_handed_over = False
        self.network_runs = False
        self.card_names = {nic.mac: nic.name for nic in self.hardware.nics}
        self._name_cards()
        if f"{NETWORK}/30-lan.network" in self.files:
            self.network_runs = True

    def tell(self, text: str) -> None:
        self.said.append(text)

    def kept(self) -> object:
        """Everything that outlives a power cut and matters afterwards; the journal does not."""
        files = {path: file for path, file in self.files.items() if path != journal.PATH}
        return (self.stick, files, self.disk, self.peer.volumes, self.zone)

    # Hands: what there is.

    def machine(self) -> Machine:
        nics = tuple(replace(nic, name=self.card_names[nic.mac]) for nic in self.hardware.nics)
        disks = tuple(
            replace(disk, holds=self.disk.kinds, physical_volume=self.disk.physical_volume)
            if not disk.is_boot_medium
            else disk
            for disk in self.hardware.disks
        )
        return replace(self.hardware, nics=nics, disks=disks)

    def time_scale(self) -> float:
        return self.scale

    def await_hardware(self) -> None:
        assert self.plugged_in_later, f"waits for ever, after saying {self.said[-1]!r}"
        self.hardware = self.plugged_in_later.pop(0)
        self.card_names |= {
            nic.mac: nic.name for nic in self.hardware.nics if nic.mac not in self.card_names
        }

    def await_hardware_for(self, seconds: float) -> bool:
        if self.plugged_in_later:
            self.await_hardware()
            return True
        return False

    def pair_files(self) -> list[str]:
        return sorted(self.files)

    def answers(self) -> str | None:
        agreed = agreements.from_file(self.read(agreements.PATH))
        if agreed is not None and agreed.stage is Stage.COMMITTED:
            return agreed.answers
        return self.stick.get("answers.yaml")

    def read(self, path: str) -> File | None:
        return self.files.get(path)

    def host_name(self) -> str:
        return self.host

    def interfaces(self) -> Mapping[str, Interface]:
        found = {name: Interface(mac, "", (), ()) for mac, name in self.card_names.items()}
        if self.network_runs:
            self._add_network(found)
        return found

    def time_zone(self) -> str:
        return self.zone

    def time_servers(self) -> tuple[IPv4Address, ...]:
        return ()

    def signature(self, disk: str) -> Signature:
        assert self._is_data_disk(disk)
        return Signature(self.disk.kinds, self.disk.physical_volume, self.disk.has_group)

    def has_volume(self, guest: str) -> bool:
        return guest in self.disk.volumes and self.disk.volumes[guest].is_finished

    # Hands: what is done.

    def write(self, file: File) -> None:
        self._effect(lambda: None)  # the new file, under its other name
        self._effect(lambda: self.files.update({file.path: file}))

    def remove(self, path: str) -> None:
        if path in self.files:
            self._effect(lambda: self.files.pop(path))

    def retire_answers(self) -> None:
        self.remove(agreements.PATH)
        text = self.stick.get("answers.yaml")
        if text is None:
            return
        if "\0" not in text:
            without = re.sub("(?m)^secret: .*$", "secret: erased", text)
            self._effect(lambda: self.stick.update({"answers.done.yaml": without}))
        self._effect(lambda: self.stick.update({"answers.yaml": "\0" * len(text)}))
        self._effect(lambda: self.stick.pop("answers.yaml"))

    def forget_answers(self) -> None:
        if "answers.done.yaml" in self.stick:
            self._effect(lambda: self.stick.pop("answers.done.yaml"))

    def set_host_name(self, name: str) -> None:
        self.host = name

    def set_time_zone(self, zone: str) -> None:
        self._effect(lambda: setattr(self, "zone", zone))

    def restart_clock(self) -> None:
        self.clock_follows = self._text("/state/etc/systemd/timesyncd.conf")

    def settle_cards(self) -> None:
        """The boot's own events for the cards come to their end; our files are there since."""
        for mac, name in self.card_names.items():
            self.card_names[mac] = self.boot_names.pop(name, name)

    def rename_card(self, name: str) -> None:
        self.settle_cards()  # at the worst moment, if nobody waited for it before
        assert name in self.card_names.values(), "no such card any more"
        assert not self.network_runs, "udev does not rename a card that is in use"
        self._name_cards()

    def restart_network(self) -> None:
        assert self.interfaces().keys() >= {"crossover", "lan0"}, "nothing to configure"
        self.network_runs = True

    def clear_disk(self, disk: str) -> None:
        assert self._is_data_disk(disk)
        assert self.disk.kinds, "only ever for a disk that holds something"
        self._effect(lambda: self._set(has_group=False, volumes={}))
        self._effect(lambda: self._set(kinds=(), physical_volume=""))

    def make_group(self, disk: str, physical_volume: str) -> None:
        assert self._is_data_disk(disk)
        if self.disk.kinds:
            raise ToolError(("pvcreate",), 5, "the disk is not blank")
        self._effect(lambda: self._set(kinds=(LVM,), physical_volume=physical_volume))
        self._effect(lambda: self._set(has_group=True))

    def make_volume(self, guest: str, size: int) -> None:
        if not self.disk.has_group or guest in self.disk.volumes:
            raise ToolError(("lvcreate",), 5, "no group, or the volume is there")
        volume = Volume(size)
        self._effect(lambda: self.disk.volumes.update({guest: volume}))
        self._effect(lambda: setattr(volume, "is_finished", True))

    def make_metadata(self, guest: str) -> None:
        volume = self.disk.volumes[guest]
        if volume.metadata or not volume.is_finished:
            raise ToolError(("drbdadm", "create-md"), 1, "Operation cancelled.")
        self._effect(lambda: setattr(volume, "metadata", "fresh"))

    def declare_only(self, guest: str) -> None:
        volume = self.disk.volumes[guest]
        if volume.metadata != "fresh" or guest in self.roles:
            raise ToolError(("drbdmeta", "set-gi"), 20, "it is used, or configured")
        self._effect(lambda: setattr(volume, "metadata", "only"))

    def start_mirror(self, guest: str) -> None:
        if self.host not in self._text(f"/state/etc/drbd.d/{guest}.res"):
            raise ToolError(("drbdadm", "up"), 3, f"{guest} not defined on {self.host}")
        if not self.interfaces()["crossover"].addresses or not self.disk.volumes[guest].metadata:
            raise ToolError(("drbdadm", "up"), 20, "IP not found on this host, or no metadata")
        self.roles.setdefault(guest, Role.SECONDARY)

    def await_mirror(self, guest: str, is_enough: Callable[[Resource], bool]) -> Resource:
        """Something happens on the other machine each time that we wait on."""
        for happens in (self._nothing, self._peer_comes, self._peer_leads, self._resync):
            happens(guest)
            now = self._resource(guest)
            if is_enough(now):
                return now
        raise AssertionError(f"waits for ever: {now}")

    def skip_first_sync(self, guest: str) -> None:
        assert not self.peer.is_leader, "only one of the two may say it"
        if not self._are_blank(guest):
            raise ToolError(("drbdadm", "new-current-uuid"), 10, "not just created")
        self._effect(lambda: setattr(self.disk.volumes[guest], "metadata", "data"))
        self._effect(lambda: setattr(self.peer.volumes[guest], "metadata", "data"))

    def promote(self, guest: str) -> None:
        now = self._resource(guest)
        if not (now.is_in_sync or now.has_left_peer_behind):
            raise ToolError(("drbdadm", "primary"), 17, "Need access to UpToDate data")
        self.roles[guest] = Role.PRIMARY

    def demote(self, guest: str) -> None:
        self.roles[guest] = Role.SECONDARY

    def fill(self, device: str, address: IPv4Interface | None, gateway: IPv4Address) -> None:
        guest = sorted(self.disk.volumes)[int(device.removeprefix("/dev/drbd"))]
        assert self.roles[guest] is Role.PRIMARY, "the device is read-only"
        assert SETTINGS not in self.files, "the guest may have run: its data is gone now"
        for content in ("", "half a file system", f"{address} {gateway}"):
            for disk in (self.disk.volumes, self.peer.volumes):
                if guest in disk:
                    self._effect(partial(setattr, disk[guest], "content", content))

    def hand_over(self) -> None:
        self.is_handed_over = True

    # How it works inside.

    def _effect(self, happen: Callable[[], object]) -> None:
        """Something that lasts; the power may fail right after it."""
        assert self.effects != self.cut, "the machine is off"
        happen()
        self.effects += 1
        if self.effects == self.cut:
            raise PowerCutError

    def _text(self, path: str) -> str:
        return self.files[path].text if path in self.files else ""

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            setattr(self.disk, name, value)

    def _is_data_disk(self, name: str) -> bool:
        return any(disk.name == name and not disk.is_boot_medium for disk in self.hardware.disks)

    def _name_cards(self) -> None:
        """As udev does, by the .link files."""
        for path, file in self.files.items():
            if path.endswith(".link"):
                mac = file.text.partition("MACAddress=")[2].split()[0]
                if mac in self.card_names:
                    self.card_names[mac] = file.text.partition("\nName=")[2].strip()

    def _add_network(self, found: dict[str, Interface]) -> None:
        """As systemd-networkd does, by the .netdev and .network files."""
        for path, file in self.files.items():
            if path.endswith(".netdev"):
                values = dict(re.findall("(?m)^([A-Za-z]+)=(.*)$", file.text))
                found[values["Name"]] = Interface(values["MACAddress"], "", (), ())
        for path, file in self.files.items():
            values = dict(re.findall("(?m)^([A-Za-z]+)=(.*)$", file.text))
            if path.endswith(".network") and values["Name"] in found:
                addresses = [values["Address"]] if "Address" in values else []
                broadcasts = [values["Broadcast"]] if "Broadcast" in values else []
                found[values["Name"]] = replace(
                    found[values["Name"]],
                    bridge=values.get("Bridge", ""),
                    addresses=tuple(map(IPv4Interface, addresses)),
                    broadcasts=tuple(map(IPv4Address, broadcasts)),
                )

    def _resource(self, guest: str) -> Resource:
        assert guest in self.roles, "DRBD does not have it"
        ours = _state(self.disk.volumes[guest])
        if not self.peer.is_there or guest not in self.peer.volumes:
            is_only = self.disk.volumes[guest].metadata == "only"
            theirs = DiskState.OUTDATED if is_only else DiskState.UNKNOWN
            return Resource(self.roles[guest], Link.CONNECTING, ours, theirs)
        if self.peer.has_other_secret:
            return Resource(self.roles[guest], Link.STANDALONE, ours, DiskState.UNKNOWN)
        theirs = _state(self.peer.volumes[guest])
        link = Link.CONNECTED
        if ours is not theirs:
            link = Link.SYNC_SOURCE if ours is DiskState.UP_TO_DATE else Link.SYNC_TARGET
        return Resource(self.roles[guest], link, ours, theirs)

    def _are_blank(self, guest: str) -> bool:
        copies = (self.disk.volumes[guest], self.peer.volumes.get(guest))
        return self.peer.is_there and all(copy and copy.metadata == "fresh" for copy in copies)

    def _nothing(self, guest: str) -> None:
        pass

    def _peer_comes(self, guest: str) -> None:
        self.peer.is_there = not self.peer.stays_away
        size = self.disk.volumes[guest].size
        self.peer.volumes.setdefault(guest, Volume(size, True, "fresh"))

    def _peer_leads(self, guest: str) -> None:
        if self.peer.is_leader and self._are_blank(guest):
            for copy in (self.peer.volumes[guest], self.disk.volumes[guest]):
                self._effect(partial(setattr, copy, "metadata", "data"))

    def _resync(self, guest: str) -> None:
        """The kernel's: a blank copy follows one that is not."""
        copies = (self.disk.volumes[guest], self.peer.volumes[guest])
        sources = [copy for copy in copies if copy.metadata == "data"]
        if len(sources) == 1 and not self.peer.has_other_secret:
            for copy in copies:
                self._effect(partial(setattr, copy, "content", sources[0].content))
                self._effect(partial(setattr, copy, "metadata", "data"))


def _state(volume: Volume) -> DiskState:
    is_whole = volume.metadata in ("data", "only")
    return DiskState.UP_TO_DATE if is_whole else DiskState.INCONSISTENT


def hardware(me: str) -> Machine:
    """A PC with a stick, a blank data disk and two cards, called as in tests/data/answers."""
    return Machine(
        processor="Old Faithful 3000",
        cores=2,
        memory=1 << 30,
        machine_id="0123456789abcdef0123456789abcdef",
        kernel="6.12.0-amd64",
        xen="4.20.1",
        drbd="8.4.11",
        watchdogs=("xen_wdt",),
        root_is_read_only=True,
        state_size=2 << 30,
        nics=(
            Nic("enp0s2", f"52:54:00:00:0{me}:01", "e1000e", None, None),
            Nic("enp0s3", f"52:54:00:00:0{me}:02", "e1000e", None, None),
        ),
        disks=(
            Disk("sda", "Stick", "STICK", 4 << 30, True, True, ("gpt", "sda1")),
            Disk("sdb", "Disk", f"{me.upper()}-DATA", 4 << 30, False, False),
        ),
        esp="sda2",
    )


def blank(name: str) -> FakeMachine:
    return FakeMachine(TEXTS[name], hardware(name[0]), is_leader=name == "a")


def finished(name: str) -> FakeMachine:
    machine = blank(name)
    assert set_up(machine, machine.tell)
    return machine


def run_into(machine: FakeMachine, cut: int) -> None:
    """The set-up, until the power fails after CUT more effects; then the next boot."""
    machine.cut = machine.effects + cut
    with pytest.raises(PowerCutError):
        set_up(machine, machine.tell)
    machine.cut = None
    machine.boot()


def effects(name: str) -> int:
    return finished(name).effects


def done(machine: FakeMachine) -> set[str]:
    if journal.PATH not in machine.files:
        return set()
    steps = json.loads(machine.files[journal.PATH].text)["steps"]
    return {name for name, entry in steps.items() if entry["mark"] == "done"}
