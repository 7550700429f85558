# SPDX-License-Identifier: MIT
"""`shoestring factory-reset`, with a real door to an agent that is played by the test."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from firstboot.forgetting import PATH, Mark, from_file
from firstboot.leaving import leave_the_pair
from haagent.command import Places
from haagent.core.events import Leave
from haagent.core.model import Disk, Evidence, Link, Phase
from haagent.errors import OperatorError, ToolError
from tests.unit.fake_agent import STARTING, THERE, Agent, Systemctl, agent, places, systemctl, types
from tests.unit.fake_machine import FakeMachine
from tests.unit.fake_state import Change, both, guest, ledger, resource, silent, vacant, words
from tests.unit.test_forgetting import mark, pair_machine

__all__ = ["agent", "places", "systemctl"]  # fixtures

LOST = both(THERE, silent)
OFF = guest(phase=Phase.RELEASED, is_running=False)
APART = both(  # split brain
    THERE,
    resource(link=Link.STANDALONE, peer_disk=Disk.UNKNOWN),
    ledger(alone=Evidence.TAKEOVER),
    words(phase=Phase.HOLDING, term=3, is_connected=False, is_alone=True),
)
ROW = {"lv_name": "counter-before-20260102-0304", "lv_size": "1", "origin": "counter"}
ROW |= {"lv_tags": "", "lv_active": "active", "lv_snapshot_invalid": ""}
KEPT = json.dumps({"report": [{"lv": [ROW, ROW | {"lv_name": "counter", "origin": ""}]}]})
NO_DOMAIN = "Name  ID Mem VCPUs State Time(s) UUID Reason-Code Security Label\n"
DOMAIN0 = (
    "Domain-0   0  1024     2     r-----       5.0 00000000-0000-0000-0000-000000000000"
    "        -                -\n"
)
GUEST = (
    "counter   3   192     1     -b----       5.0 3b1c0a57-8a54-5c4e-9a3e-1d5f2f9d9d11"
    "        -                -\n"
)


@pytest.fixture
def machine() -> FakeMachine:
    return pair_machine()


def nothing_happened(machine: FakeMachine, agent: Agent, systemctl: Systemctl) -> bool:
    return PATH not in machine.files and not agent.heard and not systemctl.ran


def test_it_says_what_is_lost_signs_off_marks_and_restarts(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    machine: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent.says(THERE)
    screen = types(monkeypatch, "data\n")
    leave_the_pair(places, machine)
    page = " ".join(screen.getvalue().split())
    for line in (
        "anna leaves its pair with berta, for good",
        "ERASED: the data disk Disk, 4.0 GiB, serial A-DATA.",
        "FORGOTTEN: its name, addresses, keys and password.",
        "counter goes on on berta, from its own copy.",
        "berta is alone then: it serves on, shows NOT PROTECTED",
        "type the last 4 characters of that serial number",
    ):
        assert line in page
    assert "LAST COPY" not in page
    assert max(map(len, screen.getvalue().splitlines())) < 80
    assert [type(event) for event in agent.heard] == [Leave]
    assert from_file(machine.read(PATH)) == mark(machine)
    assert systemctl.ran == ["systemctl reboot"]


def test_a_machine_alone_leaves_nobody(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    machine: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent.says(vacant)
    types(monkeypatch, "data\n")
    with pytest.raises(OperatorError, match="counter runs on anna") as caught:
        leave_the_pair(places, machine)
    assert "guest stop" in caught.value.hint
    agent.says(both(vacant, OFF))
    screen = types(monkeypatch, "data\n")
    leave_the_pair(places, machine)
    page = " ".join(screen.getvalue().split())
    assert "anna forgets all that it is, for good" in page
    assert "counter: what is erased here is THE LAST COPY, but for backups." in page
    assert "berta" not in page and systemctl.ran == ["systemctl reboot"]


@pytest.mark.parametrize("typed", ["", "\n", "yes\n", "A-DATA\n", "anna\n", "DAT\n"])
def test_anything_else_forgets_nothing(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    machine: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
) -> None:
    agent.says(THERE)
    types(monkeypatch, typed)
    with pytest.raises(OperatorError, match="Nothing was done"):
        leave_the_pair(places, machine)
    assert nothing_happened(machine, agent, systemctl)


@pytest.mark.parametrize("change", [both(), guest(phase=Phase.STOPPING), guest(phase=Phase.FROZEN)])
def test_a_machine_with_a_guest_stays(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    machine: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
    change: Change,
) -> None:
    agent.says(change)
    types(monkeypatch, "data\n")
    with pytest.raises(OperatorError, match="counter runs on anna") as caught:
        leave_the_pair(places, machine)
    assert "maintenance on" in caught.value.hint
    assert nothing_happened(machine, agent, systemctl)


def test_no_script_forgets_a_pair(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    machine: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent.says(THERE)
    types(monkeypatch, "data\n").isatty = lambda: False  # type: ignore[method-assign]
    with pytest.raises(OperatorError, match="only for a person"):
        leave_the_pair(places, machine)
    assert nothing_happened(machine, agent, systemctl)


def test_of_a_peer_that_drbd_lost_its_own_word_counts(
    places: Places, agent: Agent, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.says(
        both(
            THERE,
            resource(link=Link.CONNECTING, peer_disk=Disk.UNKNOWN),
            words(phase=Phase.HOLDING, term=3, is_connected=False, is_alone=True),
        )
    )
    screen = types(monkeypatch, "\n")
    with pytest.raises(OperatorError):
        leave_the_pair(places, machine)
    assert "counter goes on on berta, from its own copy." in screen.getvalue()


@pytest.mark.parametrize(
    ("volumes", "told"),
    [
        (KEPT, "ERASED, too: what was kept of given-up data, counter-before-20260102-0304."),
        ("no JSON", "LVM does not say whether copies"),
    ],
)
def test_kept_copies_go_with_the_disk_and_are_named(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    machine: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
    volumes: str,
    told: str,
) -> None:
    agent.says(THERE)
    systemctl.volumes = volumes
    screen = types(monkeypatch, "\n")
    with pytest.raises(OperatorError):
        leave_the_pair(places, machine)
    assert told in " ".join(screen.getvalue().split())


@pytest.mark.parametrize(
    "change",
    [
        LOST,
        STARTING,  # it is on its way, and does not run yet
        both(THERE, resource(peer_disk=Disk.DISKLESS)),  # it reads all from our copy
        both(THERE, resource(link=Link.SYNC_SOURCE, peer_disk=Disk.INCONSISTENT)),
        APART,
        both(  # it lost its disk, and then we lost it
            THERE,
            resource(link=Link.CONNECTING, peer_disk=Disk.UNKNOWN),
            words(phase=Phase.HOLDING, term=3, is_connected=False, disk=Disk.DISKLESS),
        ),
    ],
)
def test_the_last_copy_is_said_to_be_one(
    places: Places,
    agent: Agent,
    machine: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
    change: Change,
) -> None:
    agent.says(change)
    screen = types(monkeypatch, "\n")
    with pytest.raises(OperatorError):
        leave_the_pair(places, machine)
    page = " ".join(screen.getvalue().split())
    assert "What is erased here may be THE LAST COPY." in page
    assert "goes on on" not in page


def test_a_peer_that_runs_it_without_the_mirror_has_its_own_copy(
    places: Places, agent: Agent, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.says(both(THERE, resource(link=Link.CONNECTING, peer_disk=Disk.UNKNOWN)))
    screen = types(monkeypatch, "data\n")
    leave_the_pair(places, machine)
    assert "counter goes on on berta, from its own copy." in screen.getvalue()


def test_a_peer_that_dies_meanwhile_keeps_this_copy(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    machine: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """safety: the last word before the mark is the agent's, as it signs off."""
    agent.says(THERE)
    agent.says_while_leaving = LOST
    types(monkeypatch, "data\n")
    with pytest.raises(OperatorError, match="does not run on berta any more") as caught:
        leave_the_pair(places, machine)
    assert "shoestring reboot" in caught.value.hint
    assert PATH not in machine.files and not systemctl.ran


def test_what_changed_while_the_person_was_reading_counts(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    machine: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent.says(THERE)
    types(monkeypatch, "data\n")

    def read() -> str:
        agent.says(LOST)
        return "data\n"

    monkeypatch.setattr("sys.stdin.readline", read, raising=False)
    with pytest.raises(OperatorError, match="has changed"):
        leave_the_pair(places, machine)
    assert nothing_happened(machine, agent, systemctl)


def test_without_a_data_disk_the_machines_name_is_typed(
    places: Places, agent: Agent, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.says(THERE)
    machine.hardware = replace(machine.hardware, disks=machine.hardware.disks[:1])
    screen = types(monkeypatch, "anna\n")
    leave_the_pair(places, machine)
    assert "Its data disk is not there" in screen.getvalue()
    assert from_file(machine.read(PATH)) == Mark("", "")


class Xl(Systemctl):
    """Also lists domains."""

    listing = NO_DOMAIN + DOMAIN0

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        if argv[0] == "xl":
            return self.listing
        return super().__call__(argv, timeout=timeout)


def test_without_an_agent_xen_is_asked(
    places: Places, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    xl = Xl()
    alone = replace(places, run=xl)  # nobody answers the door
    screen = types(monkeypatch, "data\n")
    leave_the_pair(alone, machine)
    assert "does not answer, so nobody here knows" in " ".join(screen.getvalue().split())
    assert PATH in machine.files and xl.ran == ["systemctl reboot"]


def test_without_an_agent_a_guest_still_counts(
    places: Places, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    xl = Xl()
    xl.listing += GUEST
    types(monkeypatch, "data\n")
    with pytest.raises(OperatorError, match="guests run here \\(counter\\)"):
        leave_the_pair(replace(places, run=xl), machine)
    assert PATH not in machine.files and not xl.ran


def test_without_an_agent_and_without_xen_nothing_can_run(
    places: Places, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.hardware = replace(machine.hardware, xen=None)
    types(monkeypatch, "data\n")
    leave_the_pair(places, machine)
    assert PATH in machine.files


def test_a_xen_that_does_not_answer_is_no_proof(
    places: Places, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        raise ToolError(argv, 1, "no")

    types(monkeypatch, "data\n")
    with pytest.raises(ToolError):
        leave_the_pair(replace(places, run=fail), machine)
    assert PATH not in machine.files


def test_a_restart_that_fails_is_told_with_what_comes_of_it(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    machine: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent.says(THERE)
    systemctl.fails = True
    types(monkeypatch, "data\n")
    with pytest.raises(OperatorError, match="does not restart") as caught:
        leave_the_pair(places, machine)
    assert "forgets its pair when it starts" in caught.value.hint
