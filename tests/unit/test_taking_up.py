# SPDX-License-Identifier: MIT
"""One machine takes addresses up and gives them up, with the power cut after everything that lasts:
each start finds the old ones whole, or makes the new ones whole.
"""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from firstboot.addresses import NETWORK_FILE, TRIAL_NETWORK, TRIAL_SETTINGS, address_in
from firstboot.hands import Interface
from firstboot.rendering import LAN, SETTINGS, File
from firstboot.taking_up import TakingUp
from haagent.config import Config
from haagent.core.actions import LanOrder
from haagent.core.model import LanChange, LanStage
from haagent.errors import OperatorError, ToolError
from tests.unit.test_addresses import CHANGE, loaded
from tests.unit.test_staying import old_files

RUN = "/run/"
NEW = IPv4Interface("192.168.5.11/24")


class PowerCutError(Exception):
    """The machine is off."""


class Box:
    """A machine that serves: files, a network that reads them, an agent that reads them."""

    def __init__(self, folder: Path, stage: LanStage) -> None:
        self.folder = folder
        self.files = dict(old_files())
        self.change = replace(CHANGE, stage=stage)
        self.done: list[str] = []
        self.steps_left = 1000
        self.is_deaf = False  # networkd does not give the address
        self.boot()
        self.old = self.address

    def boot(self) -> None:
        self.files = {path: file for path, file in self.files.items() if RUN not in path}
        self.restart_network()
        self.agent: int | None = self._settings().pair.lan
        self.done.clear()

    def _step(self, what: str) -> None:
        if not self.steps_left:
            raise PowerCutError
        self.steps_left -= 1
        self.done.append(what)

    def _settings(self) -> Config:
        """That an agent which starts now would read."""
        file = self.files.get(TRIAL_SETTINGS) or self.files[SETTINGS]
        return loaded(self.folder, file.text)

    def config(self) -> Config:
        return loaded(self.folder, self.files[SETTINGS].text)

    def agreed(self) -> LanChange:
        return self.change

    def read(self, path: str) -> File | None:
        return self.files.get(path)

    def write(self, file: File) -> None:
        self._step(f"write {file.path}")
        self.files[file.path] = file

    def remove(self, path: str) -> None:
        self._step(f"remove {path}")
        self.files.pop(path, None)

    def interfaces(self) -> Mapping[str, Interface]:
        broadcast = self.address.network.broadcast_address
        return {LAN: Interface("52:54:00:00:0a:02", "", (self.address,), (broadcast,))}

    def restart_network(self) -> None:
        self.done.append("network")
        file = self.files.get(TRIAL_NETWORK) or self.files[NETWORK_FILE]
        if not self.is_deaf:
            self.address = address_in(file.text)

    def restart_clock(self) -> None:
        self.done.append("clock")

    def agent_runs(self) -> int | None:
        return self.agent

    def await_rest(self) -> None:
        self.done.append("rest")

    def restart_services(self) -> None:
        self.done.append("services")
        self.agent = self._settings().pair.lan

    def does(self, order: LanOrder) -> None:
        TakingUp(self, lambda text: None).run(order)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path, LanStage.AGREED)


def test_a_trial_is_gone_with_the_next_start(box: Box) -> None:
    before = dict(box.files)
    box.does(LanOrder.TRY)
    assert (box.address, box.agent) == (NEW, CHANGE.number)
    assert box.done[-3:] == ["network", "rest", "services"]
    box.boot()
    assert (box.address, box.agent, box.files) == (box.old, 0, before)


def test_a_trial_that_does_not_get_its_address_is_taken_back(box: Box) -> None:
    box.is_deaf = True
    with pytest.raises(OperatorError, match="did not get the address"):
        box.does(LanOrder.TRY)
    assert TRIAL_NETWORK not in box.files and TRIAL_SETTINGS not in box.files
    assert box.agent == 0 and "services" not in box.done


def test_a_network_that_cannot_be_restarted_is_taken_back(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box, "restart_network", lambda: failing())
    with pytest.raises(ToolError):
        box.does(LanOrder.TRY)
    assert TRIAL_SETTINGS not in box.files


def failing() -> None:
    raise ToolError(("systemctl", "restart", "systemd-networkd"), 1, "no")


def test_an_order_of_long_ago_is_not_followed(box: Box) -> None:
    box.change = replace(CHANGE, stage=LanStage.DROPPED)
    for order in (LanOrder.TRY, LanOrder.KEEP):
        with pytest.raises(OperatorError, match="is dropped"):
            box.does(order)
    assert box.done == []


def test_what_is_kept_after_a_trial_restarts_nothing(box: Box) -> None:
    box.does(LanOrder.TRY)
    box.change = replace(CHANGE, stage=LanStage.KEPT)
    box.done.clear()
    box.does(LanOrder.KEEP)
    assert not {"network", "services"} & set(box.done) and "clock" in box.done
    assert TRIAL_SETTINGS not in box.files and TRIAL_NETWORK not in box.files
    box.boot()
    assert (box.address, box.agent) == (NEW, CHANGE.number)


def test_what_is_gone_back_from_is_as_before(box: Box) -> None:
    before = dict(box.files)
    box.does(LanOrder.TRY)
    box.does(LanOrder.BACK)
    assert (box.address, box.agent, box.files) == (box.old, 0, before)
    box.done.clear()
    box.does(LanOrder.BACK)
    assert not {"network", "services"} & set(box.done), "it runs on the old ones already"


def test_a_trial_that_ended_half_way_is_gone_back_from(box: Box) -> None:
    """The program was killed between the network and the agent."""
    box.steps_left = 2
    box.restart_services = failing  # type: ignore[method-assign]
    with pytest.raises(ToolError):
        box.does(LanOrder.TRY)
    assert (box.address, box.agent) == (NEW, 0)
    del box.restart_services
    box.steps_left = 10
    box.does(LanOrder.BACK)
    assert (box.address, box.agent) == (box.old, 0)
    assert box.done[-1] == "services", "heartbeat may have the new addresses"


def test_a_power_cut_after_everything_that_lasts(tmp_path: Path) -> None:
    """In KEEP, after the trial or after a start: it is done again, and ends whole."""
    for is_on_trial in (True, False):
        for steps in range(20):
            box = Box(tmp_path, LanStage.AGREED)
            if is_on_trial:
                box.does(LanOrder.TRY)
            box.change = replace(CHANGE, stage=LanStage.KEPT)
            box.steps_left = steps
            try:
                box.does(LanOrder.KEEP)
            except PowerCutError:
                box.steps_left = 1000
                box.boot()
                if box.agent == CHANGE.number:
                    assert box.address == NEW, "the agent's settings came before the others"
                box.does(LanOrder.KEEP)
            else:
                assert steps > 4
                break
            box.boot()
            assert (box.address, box.agent) == (NEW, CHANGE.number)
            whole = Box(tmp_path, LanStage.KEPT)
            whole.does(LanOrder.KEEP)
            assert box.files == whole.files
        else:
            raise AssertionError("it never came to its end")


def test_a_stick_that_keeps_nothing_is_told(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.change = replace(CHANGE, stage=LanStage.KEPT)
    monkeypatch.setattr(box, "write", lambda file: None)
    with pytest.raises(OperatorError, match="something else is read back"):
        box.does(LanOrder.KEEP)
    assert "services" not in box.done
