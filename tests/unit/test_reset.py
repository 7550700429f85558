# SPDX-License-Identifier: MIT
"""How a machine resets itself: with its reason on the disk, unless the other one counts on it."""

from pathlib import Path

import pytest

from haagent import journal, machine


@pytest.mark.parametrize("is_overdue", [False, True])
def test_only_a_reset_that_is_not_overdue_waits_for_its_reason(
    is_overdue: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = tmp_path / "sysrq-trigger"
    waited: list[float] = []
    monkeypatch.setattr(machine, "SYSRQ", trigger)
    monkeypatch.setattr(journal, "sync", waited.append)
    machine.Machine.reset(object.__new__(machine.Machine), is_overdue)
    assert trigger.read_text() == "b"
    assert waited == ([] if is_overdue else [journal.LAST_WORDS])


def test_a_journal_that_falls_over_keeps_no_machine_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall_over(limit: float) -> None:
        raise RuntimeError(f"no thread to be had for {limit} s")

    trigger = tmp_path / "sysrq-trigger"
    monkeypatch.setattr(machine, "SYSRQ", trigger)
    monkeypatch.setattr(journal, "sync", fall_over)
    with pytest.raises(RuntimeError):
        machine.Machine.reset(object.__new__(machine.Machine), False)
    assert trigger.read_text() == "b"
