# SPDX-License-Identifier: MIT
"""Machines that are not like each other, nor like those of the other scenarios."""

import pytest

from tests.vm import evening
from tests.vm.lab import Hardware, Lab, data, stick
from tests.vm.pair import SETUP, blank_pair, flash, set_up, status
from tests.vm.story import Story, switch_on

VIRTIO = "virtio-net-pci"
PAIRS = {
    "a new one and an old one": (
        Hardware(
            stick=stick("usb-storage"),
            data=data("nvme"),
            cards=(("lan", "e1000e"), ("xo", "e1000e")),
            uefi=True,
        ),
        Hardware(
            stick=stick("ide-hd"),
            data=data("ide-hd"),
            cards=(("spare", "e1000"), ("xo", "rtl8139"), ("lan", VIRTIO)),
            memory=8192,
        ),
    ),
    "all at USB ports, and all behind a controller": (
        Hardware(
            stick=stick("usb-storage"),
            data=data("usb-storage"),
            cards=(("xo", "e1000"), ("lan", "e1000e")),
        ),
        Hardware(
            stick=stick("scsi-hd", "virtio-scsi-pci"),
            data=data("scsi-hd", "virtio-scsi-pci"),
            cards=(("lan", VIRTIO), ("xo", VIRTIO)),
            memory=3072,
        ),
    ),
    "sectors of 4096 bytes on both": (
        Hardware(data=data("nvme", sector=4096)),
        Hardware(data=data("scsi-hd", "virtio-scsi-pci", sector=4096)),
    ),
}


@pytest.mark.row("A1")
@pytest.mark.parametrize("built", PAIRS.values(), ids=PAIRS)
def test_an_unlike_pair_sets_itself_up_and_takes_over(
    lab: Lab, built: tuple[Hardware, Hardware]
) -> None:
    pair = flash(lab, built=built)
    set_up(pair, is_typed=False)
    story = Story(lab, pair)
    with story:
        story.await_numbers(20)
        pair.a.power_cut(seed=1)
        story.await_numbers(10)
        assert status(pair.b)["guests"][0]["runs_on"] == ["b"]
        story.return_of(pair.a)
        pair.b.power_cut(seed=2)
        story.await_numbers(10)
        story.return_of(pair.b)
        story.audit()


def test_a_typed_evening_on_unlike_machines(lab: Lab) -> None:
    pair = blank_pair(lab, built=PAIRS["a new one and an old one"])
    set_up(pair, is_typed=True)


def test_data_disks_with_different_sectors_are_refused(lab: Lab) -> None:
    pair = blank_pair(lab, built=(Hardware(), Hardware(data=data("nvme", sector=4096))))
    for machine in pair.both:
        machine.power_on()
    seats = evening.sit_down(*pair.both)
    seats.asks.answers("Type it here", seats.read_code())
    seats.asks.reads(r"sectors\s+of\s+512\s+bytes\s+here\s+and\s+4096", within=SETUP)


def test_one_card_and_too_little_memory_are_refused(lab: Lab) -> None:
    """The first thing that a person reads of a machine that would not do, whichever it is."""
    short = (Hardware(cards=(("xo", VIRTIO),)), Hardware(memory=1536))
    pair = blank_pair(lab, built=short)
    for machine in pair.both:
        machine.power_on()
    seats = evening.sit_down(*pair.both)
    seats.asks.answers("Type it here", seats.read_code())
    seats.asks.reads(r"has\s+one\s+network\s+card,\s+and\s+two\s+are\s+needed", within=SETUP)
    seats.asks.reads(r"MiB\s+of\s+memory,\s+and\s+2048\s+MiB\s+are\s+needed")


# Disks of kinds that a PC may start from, as far as this emulator's BIOS starts from them, too.
PORTS = {
    "USB 2, and a RAID controller": (
        Hardware(stick=stick("usb-storage", "usb-ehci")),
        Hardware(stick=stick("scsi-hd", "megasas")),
    ),
    "IDE, and SATA": (
        Hardware(stick=stick("ide-hd"), board="pc"),
        Hardware(stick=stick("ide-hd")),
    ),
}


@pytest.mark.parametrize("built", PORTS.values(), ids=PORTS)
def test_a_stick_is_found_at_whatever_port_it_is(
    lab: Lab, built: tuple[Hardware, Hardware]
) -> None:
    a, b = lab.unlike(a=built[0], b=built[1])
    switch_on(a, b)
    for machine in (a, b):
        machine.run("findmnt /state")
