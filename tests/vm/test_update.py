# SPDX-License-Identifier: MIT
"""Updates of one machine, on emulated ones: taken, refused, given up, and cut short."""

import subprocess
import sys
from pathlib import Path

import pytest

from haagent.update import archive, manifest
from haagent.update.archive import Reader
from haagent.update.grubenv import NotABlock, parse
from haagent.update.manifest import Manifest
from haagent.update.slots import Intent
from tests.vm import tools
from tests.vm.incidents.sticks import plug_in_files
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SCALE, prepare, status
from tests.vm.story import BOOT, TAKEOVER, Story, switch_on
from tests.vm.wait import wait_until

UPDATE = tools.BUILD / "shoestring-next.update"  # the test flavour, one release later
PACK = tools.TOP / "ci/pack"
MARKED = 900  # seconds; a start, and the time until it is marked
GIVEN_UP = 3600  # three starts that come to nothing, and one that does


@pytest.fixture
def blank(lab: Lab) -> Machine:
    """One machine without a pair, up and marked good."""
    machine = lab.machine("a")
    prepare(machine, SCALE, "1" * 32)
    switch_on(machine)
    await_intent(machine, Intent("a"))
    return machine


def intent(machine: Machine) -> Intent | None:
    """What GRUB is told on MACHINE's stick; None while nobody can look."""
    script = (
        "exec 9>/run/shoestring/esp.lock; flock 9; mkdir -p /run/esp-look;"
        " mount -o ro /dev/medium/esp /run/esp-look && cat /run/esp-look/grub/grubenv;"
        " umount /run/esp-look"
    )
    found = machine.control.try_run(script)
    try:
        return Intent.of(parse(found.out.encode()))
    except (NotABlock, ValueError):
        return None


def await_intent(machine: Machine, wanted: Intent, deadline: float = MARKED) -> None:
    wait_until(
        f"{machine.name}'s GRUB to be told {wanted}",
        lambda: intent(machine) == wanted,
        deadline,
        5,
    )


def begin(machine: Machine, *words: str) -> None:
    """The update from the stick is under way, and restarts MACHINE when it is done."""
    machine.run(f"systemd-run --unit=updating shoestring update --yes {' '.join(words)}")


def said(machine: Machine) -> str:
    """What the update has said so far, in this boot of MACHINE."""
    return machine.control.try_run(
        "journalctl --boot --unit=updating --output=cat --no-pager", 60
    ).out


def release(machine: Machine) -> str:
    """The release that runs, and the slot that it runs from, in MACHINE's own words."""
    return machine.run("shoestring update --status", 120).splitlines()[0]


def manifest_of(update: Path) -> Manifest:
    """What UPDATE says of itself, if the build's key signed it."""
    public = update.with_suffix(".pub")
    subprocess.run([sys.executable, PACK, "key", "--public", public], check=True)
    with update.open("rb") as file:
        return Reader(file, manifest.public_key(public.read_bytes())).manifest


def repacked(update: Path, folder: Path, flipped: str) -> Path:
    """UPDATE, packed and signed anew with one bit flipped in the middle of its file FLIPPED."""
    public = folder / "update.pub"
    subprocess.run([sys.executable, PACK, "key", "--public", public], check=True)
    words = []
    with update.open("rb") as file:
        reader = Reader(file, manifest.public_key(public.read_bytes()))
        for part, chunks in reader.parts():
            path = folder / part.name
            with path.open("wb") as out:
                for chunk in chunks:
                    out.write(chunk)
            if part.name == flipped:
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                path.write_bytes(data)
            words += [f"--{part.name}", str(path)]
    slot = reader.manifest.slot
    output = folder / "bad.update"
    words += ["--version", str(slot.release), "--roothash", slot.roothash]
    words += ["--blocks", str(slot.blocks), "--output", str(output)]
    subprocess.run([sys.executable, PACK, "update", *words], check=True)
    return output


def test_a_good_one_is_taken_and_marked(blank: Machine) -> None:
    before = release(blank)
    assert "from slot a" in before
    plug_in_files(blank, UPDATE)
    begin(blank)
    blank.control.wait_for_boot(TAKEOVER + BOOT)
    told = blank.run("journalctl --boot=-1 --unit=updating --output=cat --no-pager")
    assert "is on the stick, and was read back." in told
    wanted = manifest_of(UPDATE).release
    assert release(blank) == f"{wanted} runs, from slot b."
    await_intent(blank, Intent("b"))


def test_a_flipped_byte_is_refused_and_nothing_changes(blank: Machine, lab: Lab) -> None:
    damaged = lab.folder / "damaged.update"
    with UPDATE.open("rb") as source, damaged.open("wb") as out:
        at = UPDATE.stat().st_size // 2
        while chunk := source.read(archive.CHUNK):
            if 0 <= at < len(chunk):
                chunk = chunk[:at] + bytes([chunk[at] ^ 1]) + chunk[at + 1 :]
            at -= len(chunk)
            out.write(chunk)
    plug_in_files(blank, damaged)
    refused = blank.control.try_run("shoestring update --yes", TAKEOVER)
    assert refused.rc == 70 and "it is not whole" in refused.out, refused.out
    assert intent(blank) == Intent("a")
    assert "Slot b is empty." in blank.run("shoestring update --status", 120)


@pytest.mark.row("G9")
def test_a_bad_one_is_given_up_and_that_is_told(lab: Lab) -> None:
    """On the standby of a pair: the guest goes on all the while, and the screen says what was.

    One bit of its root is not what its root hash says; the sums and the signature are right.
    """
    story = Story(lab)
    b = story.pair.b
    with story:
        story.await_numbers(20)
        before = release(b)
        await_intent(b, Intent("a"))
        bad = repacked(UPDATE, lab.folder, "root")
        plug_in_files(b, bad)
        begin(b, "--here")
        # What does not start has no shell that would say so: the next one is after the fall-back.
        b.control.wait_for_boot(TAKEOVER + GIVEN_UP)
        assert release(b) == before
        found = intent(b)
        assert found is not None and (found.preferred, found.fallen) == ("a", "b")

        def is_told() -> bool:
            return any(c["code"] == "SHOE-701" for c in status(b).get("complaints", []))

        wait_until("b to tell of the update", is_told, BOOT, 2)
        (told,) = [c["what"] for c in status(b)["complaints"] if c["code"] == "SHOE-701"]
        assert f"The update to {manifest_of(bad).release} did not start on b" in told
        b.run("shoestring update --dismiss", 120)
        story.await_protected()
        story.await_numbers(20)
        story.audit()


def test_a_pair_is_updated_by_one_command(lab: Lab) -> None:
    """The guest goes on all the while, but for one move; for a time the releases differ."""
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before, wanted = release(a), manifest_of(UPDATE).release
        for machine in (a, b):
            await_intent(machine, Intent("a"))
        starts = {beacon.epoch for beacon in story.beacons.heard}
        assert len(starts) == 1
        plug_in_files(a, UPDATE)
        begin(a)
        b.control.wait_for_boot(TAKEOVER + BOOT)
        wait_until("a to hear of the new release", lambda: differs(a, str(wanted)), BOOT, 2)
        assert release(a) == before
        story.await_numbers(20)
        assert {beacon.epoch for beacon in story.beacons.heard} == starts, "it was started anew"
        a.control.wait_for_boot(TAKEOVER + BOOT)
        print(a.run("journalctl --boot=-1 --unit=updating --output=cat --no-pager"))
        for machine in (a, b):
            assert release(machine) == f"{wanted} runs, from slot b."
        for machine in (a, b):
            await_intent(machine, Intent("b"))
        story.await_protected()
        story.await_numbers(20)
        assert status(a)["guests"][0]["runs_on"] == ["b"]
        assert len({beacon.epoch for beacon in story.beacons.heard}) == 2, "more than one move"
        assert b.run("ls /state/update").strip() == "", "the file is still there"
        story.audit()


def differs(machine: Machine, wanted: str) -> bool:
    """MACHINE tells that the other one runs the release WANTED, as a note."""
    shown = status(machine)
    nodes = {node["name"]: node["release"] for node in shown.get("nodes", [])}
    return wanted in nodes.values() and any(
        note["code"] == "SHOE-331" for note in shown.get("notes", [])
    )


@pytest.mark.row("G9")
@pytest.mark.parametrize("seed", [None, 7])
def test_a_power_cut_while_it_is_written(blank: Machine, seed: int | None) -> None:
    before = release(blank)
    plug_in_files(blank, UPDATE)
    begin(blank)
    wait_until("the slot to be written", lambda: "Writing ..." in said(blank), TAKEOVER, 0.2)
    blank.power_cut(seed=seed)
    switch_on(blank)
    assert release(blank) == before
    assert "Slot b is empty." in blank.run("shoestring update --status", 120)
    await_intent(blank, Intent("a"))
