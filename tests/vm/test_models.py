# SPDX-License-Identifier: MIT
"""The simulator's DRBD does what DRBD does: every sequence on a real pair, step by step.

One boot for all of them. `RECORD=1` writes what was read into tests/data/drbd-sequences.txt, which
`make check` compares the model with, instead of comparing here.
"""

import os
from collections.abc import Iterator

import pytest

from tests.sim.player import Player
from tests.sim.readings import RECORDED, Row, differences, read, write
from tests.sim.sequences import SEQUENCES, UNLIKE, steps
from tests.vm.lab import Lab
from tests.vm.pair import healthy_pair
from tests.vm.scratch import Scratch

ABOUT = (
    "echo \"Linux $(uname -r), $(drbdadm --version | sed -n 's/DRBDADM_VERSION=/drbd-utils /p')\""
)
LAST_LINES = 60  # of each kernel, when something differs
IS_RECORDING = bool(os.environ.get("RECORD"))


@pytest.fixture(scope="module")
def scratch(accel: str) -> Iterator[Scratch]:
    lab = Lab(accel)
    try:
        made = Scratch(healthy_pair(lab))
        made.make()
        yield made
    finally:
        lab.close()


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_model_does_what_drbd_does(scratch: Scratch, name: str) -> None:
    scratch.reset()
    rows: list[Row] = []
    try:
        for step in steps(name):
            rows.append(scratch.take(step))
    except TimeoutError as error:
        pytest.fail(f"{error}\n" + "\n".join(map(str, rows)) + _kernels(scratch))
    if IS_RECORDING:
        _record(scratch, name, rows)
        return
    found = differences(Player().play(name), rows, ("model", "machine"))
    if name in UNLIKE:
        assert found, f"the model does it, too; take it out of UNLIKE: {UNLIKE[name]}"
        return
    assert not found, "\n".join(["", *found]) + _kernels(scratch)


def _record(scratch: Scratch, name: str, rows: list[Row]) -> None:
    """Into the file at once, so that a run that is cut short loses little. What was read of another
    kernel is not kept beside it.
    """
    about = f"Read on an emulated pair: {scratch.about(ABOUT)}"
    text = RECORDED.read_text() if RECORDED.exists() else ""
    table = read(text) if text.startswith(f"# {about}\n") else {}
    table[name] = rows
    new = RECORDED.with_suffix(".new")
    new.write_text(write(about, {one: table[one] for one in SEQUENCES if one in table}))
    new.replace(RECORDED)


def _kernels(scratch: Scratch) -> str:
    parts = []
    for node, name in enumerate("ab"):
        lines = scratch.kernel(node).splitlines()[-LAST_LINES:]
        parts += [f"--- {name}'s kernel ---", *lines]
    return "\n".join(["", *parts])
