# SPDX-License-Identifier: MIT
"""Runs of scenarios that never were."""

from dataclasses import replace
from typing import Any

from tests.vm.runs.record import Outcome, Record

COMMIT = "c" * 40
IMAGE = {"shoestring-test.raw": "1" * 64}

RUN = Record(
    when="2026-11-29T05:00:00+00:00",
    name="tests/vm/test_one.py::test_a",
    rows=("A1",),
    outcome=Outcome.PASSED,
    seconds=300.0,
    commit=COMMIT,
    is_dirty=False,
    images=IMAGE,
    seed=None,
    accel="tcg",
    scale=4.0,
    load=1.5,
)


def run(**changes: Any) -> Record:
    return replace(RUN, **changes)
