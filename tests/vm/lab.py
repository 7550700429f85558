# SPDX-License-Identifier: MIT
"""One scenario's world: a folder, cables, machines; and checkpoints of all of it."""

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.vm import tools
from tests.vm.cables import Cables
from tests.vm.disk import GIB, Disk
from tests.vm.machine import Machine, Nic

SHIPPED = tools.BUILD / "shoestring.raw"
TEST_FLAVOUR = tools.BUILD / "shoestring-test.raw"
STICK = 4 * GIB  # the smallest stick the README allows
DATA = 2 * GIB
NUMBERS = {"xo": 1, "lan": 2}  # the last octet of a card's MAC address; of any other cable, 3
CHECKPOINTS = tools.BUILD / "checkpoints"
FAILED = tools.BUILD / "failed"
OURS = re.compile(r" (haagent|shoestring-setup)\[")  # in a journal
LAST_LINES = 30


def stick(device: str = "virtio-blk-pci", controller: str = "") -> Disk:
    """One that was just flashed, at a port for DEVICE."""
    return Disk("stick", STICK, TEST_FLAVOUR, device, controller)


def data(device: str = "virtio-blk-pci", controller: str = "", sector: int = 512) -> Disk:
    """A blank disk for the guests."""
    return Disk("data", DATA, None, device, controller, sector)


@dataclass(frozen=True, slots=True)
class Hardware:
    """One PC; as it stands, the one that most scenarios use."""

    stick: Disk = field(default_factory=stick)
    data: Disk = field(default_factory=data)
    # The cable and the model of each network card, in the order of their slots.
    cards: tuple[tuple[str, str], ...] = (("xo", "virtio-net-pci"), ("lan", "virtio-net-pci"))
    memory: int = 2048  # MiB
    board: str = "q35"  # or pc: of 1996, with IDE instead of SATA
    watchdog: str = ""  # one that is plugged in beside the board's, such as i6300esb
    uefi: bool = False

    def nics(self, name: str) -> tuple[Nic, ...]:
        """The cards of the machine NAME, a letter that a MAC address can hold."""
        return tuple(
            Nic(segment, f"52:54:00:00:0{name}:0{NUMBERS.get(segment, 3)}", model)
            for segment, model in self.cards
        )


class Lab:
    """Machines on cables in a folder of their own. Close it, whatever happened."""

    def __init__(self, accel: str) -> None:
        # short, because a UNIX socket's address holds 107 bytes
        self.folder = Path(tempfile.mkdtemp(prefix="shoestring-", dir="/tmp"))
        self._accel = accel
        self.machines: dict[str, Machine] = {}
        self.cables: Cables | None = None

    def machine(
        self,
        name: str,
        image: Path = TEST_FLAVOUR,
        *,
        stick: str = "virtio-blk-pci",
        data: bool = False,
        nics: Sequence[Nic] = (),
        uefi: bool = False,
    ) -> Machine:
        """A PC with a freshly flashed stick; with DATA, a blank data disk beside it."""
        disks = [Disk("stick", STICK, image, stick)] + [Disk("data", DATA)] * data
        made = Machine(name, self.folder, disks, nics, uefi=uefi, accel=self._accel)
        self.machines[name] = made
        return made

    def unlike(self, **built: Hardware) -> tuple[Machine, ...]:
        """Machines BUILT unlike each other, by name, a letter each, on the cables that they have a
        card for. Whoever has the cables `xo` and `lan` shares them with the others.
        """
        cables = {"xo": ["ear"], "lan": ["ear"]}
        for name, hardware in built.items():
            for segment, _ in hardware.cards:
                cables.setdefault(segment, []).append(name)
        self.cables = Cables(self.folder, cables, gateway=True)
        for name, hardware in built.items():
            self.machines[name] = Machine(
                name,
                self.folder,
                (hardware.stick, hardware.data),
                hardware.nics(name),
                uefi=hardware.uefi,
                memory=hardware.memory,
                board=hardware.board,
                watchdog=hardware.watchdog,
                accel=self._accel,
            )
        return tuple(self.machines[name] for name in built)

    def pair(self, image: Path = TEST_FLAVOUR) -> tuple[Machine, Machine]:
        """Two machines as their users have them: a crossover cable, a LAN with a gateway, blank
        data disks.
        """
        a, b = self.connected("a", "b", image=image)
        return a, b

    def connected(self, *names: str, image: Path = TEST_FLAVOUR) -> tuple[Machine, ...]:
        """The same with as many machines as there are NAMES, a letter each: what should be a
        crossover cable is a switch then.
        """
        self.cables = Cables(
            self.folder, {"xo": [*names, "ear"], "lan": [*names, "ear"]}, gateway=True
        )
        return tuple(
            self.machine(
                name,
                image,
                data=True,
                nics=[
                    Nic(segment, f"52:54:00:00:0{name}:0{number}")
                    for number, segment in enumerate(("xo", "lan"), 1)
                ],
            )
            for name in names
        )

    def checkpoint_key(self, name: str) -> Path:
        """Where a checkpoint called NAME of exactly this image, QEMU, command line and harness is
        kept.
        """
        digest = hashlib.sha256()
        with TEST_FLAVOUR.open("rb") as image:
            digest.update(hashlib.file_digest(image, "sha256").digest())
        qemu = tools.command("qemu-system-x86_64", "--version")
        digest.update(subprocess.run(qemu, stdout=subprocess.PIPE, check=True).stdout)
        for machine in self.machines.values():
            digest.update(json.dumps(machine.arguments()).replace(str(self.folder), "").encode())
        for source in sorted(Path(__file__).parent.glob("*.py")):
            if not source.name.startswith("test_"):  # what follows a checkpoint is not in it
                digest.update(source.read_bytes())
        return CHECKPOINTS / f"{name}-{digest.hexdigest()[:16]}"

    def save(self, checkpoint: Path) -> None:
        """Saves every machine as it runs, or is off, and lets it run on.

        Those that run are paused first. A disk may make its cache durable at any moment, so that
        is done before its file is copied: what is saved is a state the disks could have been in
        anyway.
        """
        work = checkpoint.with_suffix(".new")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        running = [machine for machine in self.machines.values() if machine.is_on]
        for machine in running:
            machine.qmp("stop")
        try:
            for machine in self.machines.values():
                machine.save(work / machine.name)
        finally:
            for machine in running:
                machine.qmp("cont")
        shutil.rmtree(checkpoint, ignore_errors=True)
        work.rename(checkpoint)

    def load(self, checkpoint: Path) -> None:
        """Every machine as it was when CHECKPOINT was saved, running or off."""
        for machine in self.machines.values():
            machine.load(checkpoint / machine.name)
        running = [machine for machine in self.machines.values() if machine.is_on]
        for machine in running:
            machine.qmp("cont")
        for machine in running:
            machine.control.hello(60)

    def keep_evidence(self, name: str) -> str:
        """Copies consoles, journals and logs to where they outlive the lab. The end of each, and
        where the rest is: a report may be all that somebody ever sees.
        """
        kept = FAILED / name
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        told = []
        for machine in self.machines.values():
            journal, state = machine.journal(), machine.how_it_stands()
            (kept / f"{machine.name}.journal").write_text(journal)
            (kept / f"{machine.name}.state").write_text(state)
            ours = [line for line in journal.splitlines() if OURS.search(line)]
            told += [f"--- {machine.name} ---", *machine.broken(), *ours[-LAST_LINES:], state]
            if machine.is_on:
                machine.screenshot(kept / f"{machine.name}.png")
        for log in self.folder.rglob("*.log"):
            shutil.copy(log, kept / "-".join(log.relative_to(self.folder).parts))
        return "\n".join([*told, f"The rest: less {kept}/*"])

    def close(self) -> None:
        for machine in self.machines.values():
            machine.close()
        if self.cables:
            self.cables.close()
        shutil.rmtree(self.folder)
