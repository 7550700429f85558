# SPDX-License-Identifier: MIT
"""Which settings the agent starts with, and how orders about addresses leave it."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from firstboot import addresses
from haagent.config import Config
from haagent.core.actions import LanOrder
from haagent.core.events import Event, LanWritten
from haagent.errors import ToolError
from haagent.lan import Addresses, settings_now
from tests.unit.test_addresses import CHANGE, old

__all__ = ["old"]  # a fixture
SOON = 10.0  # seconds


def places(folder: Path, config: Config) -> tuple[Path, Path, Path]:
    """The file that lasts, the one on trial, and the kernel's command line."""
    trial = folder / "trial.yaml"
    text, _ = addresses.on_trial(config, CHANGE)
    trial.write_text(text.text)
    return folder / "pair.yaml", trial, folder / "cmdline"


def test_what_is_on_trial_counts_and_what_lasts_is_known(old: Config, tmp_path: Path) -> None:
    file, trial, cmdline = places(tmp_path, old)
    found, lasts = settings_now(file, trial, cmdline)
    assert (found.pair.lan, lasts) == (CHANGE.number, 0)
    trial.unlink()
    found, lasts = settings_now(file, trial, cmdline)
    assert (found, lasts) == (old, 0)


def test_what_cannot_be_read_is_no_trial(old: Config, tmp_path: Path) -> None:
    """The agent lives on with what it had: a guest depends on it."""
    file, trial, cmdline = places(tmp_path, old)
    trial.write_text("lan: [")
    assert settings_now(file, trial, cmdline) == (old, 0)


class Systemctl:
    """Starts units: one call at a time is let go on."""

    def __init__(self, fails: bool = False) -> None:
        self.started: list[str] = []
        self.may_end = threading.Event()
        self.fails = fails

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        self.started.append(argv[-1])
        self.may_end.wait(SOON)
        if self.fails:
            raise ToolError(argv, 1, "no")
        return ""


def end(thread: threading.Thread | None, systemctl: Systemctl) -> None:
    systemctl.may_end.set()
    assert thread is not None
    thread.join(SOON)


@pytest.mark.parametrize("order", list(LanOrder))
def test_an_order_starts_its_unit_and_tells_what_lasts(
    order: LanOrder, old: Config, tmp_path: Path
) -> None:
    systemctl, told = Systemctl(), list[Event]()
    file, _, cmdline = places(tmp_path, old)
    end(Addresses(systemctl, file, cmdline).take_up(order, told.append), systemctl)
    assert systemctl.started == [f"shoestring-lan@{order}.service"]
    # Who tries new ones is another agent by the end of it: this one has nothing to tell.
    assert [type(event) for event in told] == [LanWritten] * (order is not LanOrder.TRY)
    assert all(isinstance(event, LanWritten) and event.number == 0 for event in told)


def test_one_order_at_a_time(old: Config, tmp_path: Path) -> None:
    systemctl, told = Systemctl(), list[Event]()
    file, _, cmdline = places(tmp_path, old)
    hands = Addresses(systemctl, file, cmdline)
    first = hands.take_up(LanOrder.BACK, told.append)
    assert hands.take_up(LanOrder.BACK, told.append) is None
    end(first, systemctl)
    assert len(told) == 1
    end(hands.take_up(LanOrder.BACK, told.append), systemctl)
    assert len(systemctl.started) == 2


def test_what_failed_is_not_told_as_done(old: Config, tmp_path: Path) -> None:
    systemctl, told = Systemctl(fails=True), list[Event]()
    file, _, cmdline = places(tmp_path, old)
    hands = Addresses(systemctl, file, cmdline)
    end(hands.take_up(LanOrder.KEEP, told.append), systemctl)
    assert told == []
    end(hands.take_up(LanOrder.KEEP, told.append), systemctl)
    assert len(systemctl.started) == 2
