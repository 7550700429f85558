# SPDX-License-Identifier: MIT
"""A boot is cut where its console says so, and nowhere else."""

import pytest

from tests.vm.bench.phases import (
    Lines,
    NotSeen,
    Stamped,
    on_console,
    split_linux,
    text_of,
)

# As the serial line of an emulated machine sent it, in pieces.
PIECES = (
    (101.0, "\x1b[H\x1b[J\x1b[1;1H\x1b[2;25HGNU GRUB  ver"),
    (101.1, "sion 2.12-9+deb13u4\r\n\r\n"),
    (104.5, "\rLoading Xen ...\r\r\n"),
    (107.0, "\r(XEN) Xen version 4.20.5-pre (Debian 4.20.4)\r\r\n(XEN) CPU Vendor: AMD"),
    (107.4, ", Family 15\r\r\n"),
    (110.0, "mapping kernel into physical memory\r\nabout to get started...\r\n"),
    (190.0, "\r\nPress Enter to look at the hard"),
    (190.2, "ware again; `details` shows everything."),
)
TOLD = "[    9.500000] Run /init as init process\nUserspaceTimestampMonotonic=43000000\n"


def console(pieces: tuple[tuple[float, str], ...] = PIECES) -> list[Stamped]:
    lines = Lines()
    for at, piece in pieces:
        lines.take(at, piece)
    return lines.seen


def test_a_line_is_stamped_when_its_first_piece_came() -> None:
    assert Stamped(107.0, "(XEN) CPU Vendor: AMD, Family 15") in console()
    assert Stamped(104.5, "Loading Xen ...") in console()


def test_a_line_without_an_end_is_seen() -> None:
    assert console()[-1].text == "Press Enter to look at the hardware again; `details`" + (
        " shows everything."
    )
    assert console()[-1].at == 190.0


def test_an_end_that_comes_late_is_not_a_line_of_its_own() -> None:
    lines = Lines()
    lines.take(1, "one")
    lines.take(2, "\r\n")
    lines.take(3, "two\n")
    assert lines.seen == [Stamped(1, "one"), Stamped(3, "two")]
    assert text_of(lines.seen) == "one\ntwo"


def test_the_phases_add_up_to_the_whole_boot() -> None:
    found = on_console(console(), 100.0)
    assert found == {"firmware": 1.0, "GRUB": 6.0, "Xen": 3.0, "Linux": 80.0}


@pytest.mark.parametrize("missing", range(len(PIECES)))
def test_a_phase_that_never_began_is_no_figure(missing: int) -> None:
    """Each piece alone is enough to spoil it, but for those that only say more."""
    pieces = PIECES[:missing] + PIECES[missing + 1 :]
    if missing in (1, 2, 4):
        assert sum(on_console(console(pieces), 100.0).values()) == 90.0
    else:
        with pytest.raises(NotSeen):
            on_console(console(pieces), 100.0)


def test_a_line_of_the_boot_before_does_not_count() -> None:
    before = (*((at - 100, piece) for at, piece in PIECES), (95.0, "\r\n"))
    with pytest.raises(NotSeen, match="about to get started"):
        on_console(console(before + PIECES[:5]), 100.0)


def test_the_machine_splits_what_the_console_cannot() -> None:
    split = split_linux(80.0, TOLD)
    assert split == {"kernel": 9.5, "initrd": 33.5, "userspace": 37.0}
    assert sum(split.values()) == 80.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "UserspaceTimestampMonotonic=43000000\n",
        "[    9.500000] Run /init as init process\n",
        "[    9.500000] Run /init as init process\nUserspaceTimestampMonotonic=0\n",
        "[    9.500000] Run /sbin/init as init process\nUserspaceTimestampMonotonic=43000000\n",
    ],
)
def test_a_boot_that_does_not_tell_is_not_split(text: str) -> None:
    with pytest.raises(NotSeen, match="the machine said"):
        split_linux(80.0, text)


@pytest.mark.parametrize("seconds", [43.0, 20.0])
def test_what_is_of_another_boot_does_not_split_this_one(seconds: float) -> None:
    with pytest.raises(NotSeen):
        split_linux(seconds, TOLD)
