# SPDX-License-Identifier: MIT
"""GRUB's environment block, as GRUB's own tool writes it."""

from pathlib import Path

import pytest

from haagent.update.grubenv import SECTOR, SIGNATURE, SIZE, NotABlock, build, parse

FILE = Path(__file__).parents[1] / "data/update/grubenv"
VARIABLES = {"preferred": "b", "left": "3", "other": "a", "fallen": ""}


def test_what_grubs_own_tool_wrote_is_understood() -> None:
    found = parse(FILE.read_bytes())
    assert found == {"preferred": "a", "left": "3", "other": "", "fallen": "", "odd": "a\\b"}


def test_there_and_back() -> None:
    odd = {**VARIABLES, "odd": "a\\b\nc"}
    block = build(odd)
    assert parse(block) == odd
    assert len(block) == SIZE and block.startswith(SIGNATURE)


def test_two_blocks_differ_in_one_sector_only() -> None:
    """safety: so a torn write of two sectors leaves the old one or the new one."""
    one, other = build({}), build(VARIABLES)
    assert one[SECTOR:] == other[SECTOR:] == b"#" * (SIZE - SECTOR)


def test_what_does_not_fit_into_it_is_not_built() -> None:
    build({"long": "x" * (SECTOR - len(SIGNATURE) - len("long=\n"))})
    with pytest.raises(NotABlock):
        build({"long": "x" * (SECTOR - len(SIGNATURE) - len("long=\n") + 1)})


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("a b", "x"), ("a=b", "x"), ("a", "\xe4")])
def test_what_grub_cannot_have_is_not_built(name: str, value: str) -> None:
    with pytest.raises(NotABlock):
        build({name: value})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#" * SIZE,
        build(VARIABLES)[:-1],
        build(VARIABLES) + b"#",
        SIGNATURE + b"left=3".ljust(SIZE - len(SIGNATURE), b"\\"),
        (SIGNATURE + b"nothing\n").ljust(SIZE, b"#"),
        (SIGNATURE + b"=3\n").ljust(SIZE, b"#"),
        (SIGNATURE + b"left=\xff\n").ljust(SIZE, b"#"),
    ],
)
def test_what_is_no_block_is_not_guessed_at(data: bytes) -> None:
    with pytest.raises(NotABlock):
        parse(data)
