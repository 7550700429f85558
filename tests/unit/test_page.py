# SPDX-License-Identifier: MIT
"""Both machines on one page: it fits any console, and says everything."""

import random
import string
from dataclasses import replace
from pathlib import Path

import pytest

from firstboot.compare import compare
from firstboot.faces.page import COLUMN, page, side_by_side, verdict
from firstboot.machine_json import loads
from firstboot.probe import Disk, Machine, Nic
from firstboot.wording import LONGEST
from haagent.folding import WIDTH

MACHINES = {
    name: loads((Path(__file__).parents[1] / f"data/machine-{name}.json").read_text())
    for name in ("virtio", "nvme", "sata", "usb-4k", "foreign")
}
BARE = Machine("", 0, 0, "", "", None, None, (), False, None, (), ())


def drawn(here: Machine, there: Machine) -> list[str]:
    lines = page(here, there, compare(here, there))
    for line in lines:
        assert len(line) <= WIDTH and line == line.rstrip()
        assert line.isascii() and (line.isprintable() or not line)
    return lines


@pytest.mark.parametrize("there", MACHINES)
@pytest.mark.parametrize("here", MACHINES)
def test_any_two_machines_fit(here: str, there: str) -> None:
    drawn(MACHINES[here], MACHINES[there])


def test_two_machines_of_which_nothing_is_known_fit() -> None:
    text = "\n".join(drawn(BARE, BARE))
    for words in ("no network card", "no disk", "NOT RUNNING", "not known", "MISSING"):
        assert words in text


def test_what_belongs_together_is_side_by_side() -> None:
    here, there = MACHINES["nvme"], MACHINES["sata"]
    lines = side_by_side(here, there, compare(here, there))
    assert all(line[COLUMN : COLUMN + 3] in (" | ", "-+-", " |") for line in lines)
    for row in (
        "Memory    4.0 GiB, 2.9 GiB for guests  | Memory    1.8 GiB, 771 MiB for guests",
        "  e1000e (pci), cable, 1000 Mbit/s     |   8139cp (pci), NO CABLE",
        "  QEMU HARDDISK, serial B-STICK        |   QEMU HARDDISK, serial C-DATA",
        "  PROPOSED FOR THE GUESTS              |",
    ):
        assert row in lines


def test_the_last_line_says_whether_it_can_go_on() -> None:
    here, there, foreign = (MACHINES[name] for name in ("nvme", "virtio", "foreign"))
    good, bad = compare(here, there), compare(here, foreign)
    assert verdict(good)[-1] == "Nothing is in the way: the two can become a pair."
    lines = verdict(bad)
    assert f"NOT YET: {len(bad.refusals)} things in the way" in lines
    told = " ".join(" ".join(lines).split())
    for refusal in bad.refusals:
        assert refusal.sentence in told and f"-> {refusal.remedy}" in told
    for remark in bad.remarks:
        assert remark.sentence in told


def test_whatever_the_strings_are_the_page_fits() -> None:
    """The descriptions are cleaned on their way here; the page does not rely on it."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(60):
        drawn(strange(chance), strange(chance))


def strange(chance: random.Random) -> Machine:
    base = chance.choice(list(MACHINES.values()))
    return replace(
        base,
        processor=word(chance),
        version=word(chance),
        kernel=word(chance),
        model=word(chance),
        xen=word(chance),
        watchdogs=tuple(word(chance) for _ in range(chance.randrange(4))),
        cores=chance.choice((0, 10**18)),
        total_memory=chance.choice((None, 0, (1 << 63) - 1)),
        free_memory=chance.choice((None, 0, (1 << 63) - 1)),
        clock=chance.choice((None, 0, (1 << 63) - 1)),
        rtc=chance.choice((None, 0, (1 << 63) - 1)),
        nics=tuple(
            Nic(word(chance), word(chance), word(chance), False, (1 << 63) - 1, word(chance))
            for _ in range(chance.randrange(4))
        ),
        disks=tuple(strange_disk(chance) for _ in range(chance.randrange(4))),
    )


def strange_disk(chance: random.Random) -> Disk:
    base = chance.choice([disk for machine in MACHINES.values() for disk in machine.disks])
    return replace(
        base,
        name=word(chance),
        model=word(chance),
        serial=word(chance),
        size=chance.choice((0, (1 << 63) - 1)),
        holds=tuple(word(chance) for _ in range(chance.randrange(5))),
        health=replace(base.health, hours=(1 << 63) - 1, signs=(word(chance),)),
    )


def word(chance: random.Random) -> str:
    letters = chance.choice((string.ascii_letters, " -a", "\x00\x1b\t\r\n\u2028\xe9\U0001f600 "))
    return "".join(chance.choice(letters) for _ in range(chance.choice((0, 1, 40, LONGEST))))
