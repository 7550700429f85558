# SPDX-License-Identifier: MIT
"""What the image says about things that hang, die or run out: each has an end, or comes back."""

import re
import subprocess
from pathlib import Path

import pytest

from haagent.core.timing import Timing
from haagent.fencing import watchdog
from haagent.handover import LEAVE_LIMIT
from tests.unit.test_units import EXTRA, IMAGE, INIT, UNITS, settings

LARGEST_SCALE = 4  # of the time, on emulated machines (HACKING.md)


def seconds(text: str) -> int:
    """systemd.time(7), as far as it is used here."""
    number, unit = re.fullmatch(r"(\d+)(s|min|)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"min": 60}.get(unit, 1)


def only(unit: dict[str, list[str]], key: str) -> str:
    (value,) = unit[key]
    return value


def test_a_disk_that_hangs_does_not_keep_the_agent_from_starting() -> None:
    """systemd.service(5): for a oneshot the limit of its start is off by default."""
    mirror = settings(UNITS / "drbd-up.service")
    assert only(mirror, "Type") == "oneshot"
    assert 60 <= seconds(only(mirror, "TimeoutStartSec")) <= 300
    # systemd waits that long after SIGTERM, and as long after SIGKILL.
    assert seconds(only(mirror, "TimeoutStopSec")) <= 60
    assert (only(mirror, "Restart"), only(mirror, "StartLimitIntervalSec")) == ("on-failure", "0")
    agent = settings(UNITS / "haagent.service")
    assert "drbd-up.service" in " ".join(agent["After"]).split()
    assert "Requires" not in agent and "Requisite" not in agent, "it tells what is wrong"


def test_every_start_that_may_hang_has_a_limit_or_says_that_it_waits() -> None:
    for file in UNITS.glob("*.service"):
        unit = settings(file)
        if unit.get("Type") == ["oneshot"] and unit.get("ExecStart") != ["/usr/bin/true"]:
            assert "TimeoutStartSec" in unit, file.name


def test_a_shutdown_ends() -> None:
    leave = settings(UNITS / "shoestring-leave.service")
    farewell = seconds(only(leave, "TimeoutStopSec"))
    assert farewell > LEAVE_LIMIT * LARGEST_SCALE + Timing().take, "its own limit comes first"
    for name in ("reboot", "poweroff"):
        target = settings(UNITS / f"{name}.target.d/50-shoestring.conf")
        # What comes after the farewell is over in less; and it is less than Debian's half an hour.
        assert farewell + 180 <= seconds(only(target, "JobTimeoutSec")) < 1800
    seed = settings(UNITS / "systemd-random-seed.service.d/50-shoestring.conf")
    assert seconds(only(seed, "TimeoutStopSec")) <= 30
    end = settings(EXTRA / "etc/systemd/system.conf.d/50-shoestring.conf")
    # 30 s for a sync, 90 s for each of two signals: then it is no longer fed.
    assert 210 < seconds(only(end, "RebootWatchdogSec")) <= 600


def test_nobody_but_the_agent_feeds_its_watchdog() -> None:
    """safety: systemd-shutdown feeds one. Fed by it, a machine whose agent is gone would live on
    with its guests; and it takes watchdog0 if nobody says which.
    """
    device = only(
        settings(EXTRA / "etc/systemd/system.conf.d/50-shoestring.conf"), "WatchdogDevice"
    )
    (rule,) = [
        line
        for line in (EXTRA / "usr/lib/udev/rules.d/70-shoestring-watchdog.rules")
        .read_text()
        .splitlines()
        if not line.startswith("#")
    ]
    assert f'ATTR{{identity}}!="{watchdog.XEN}"' in rule.split(", ")
    assert f'SYMLINK+="{device.removeprefix("/dev/")}"' in rule.split(", ")
    assert "xen-wdt" in settings(UNITS / "xen.service")["ExecStartPre"][0].split()
    for file in EXTRA.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert "\nRuntimeWatchdogSec" not in file.read_text(), file


def test_what_guests_need_comes_back_however_often() -> None:
    consoles = settings(UNITS / "xenconsoled.service")
    assert (only(consoles, "Restart"), only(consoles, "StartLimitIntervalSec")) == ("always", "0")
    xen = settings(UNITS / "xen.service")
    assert (only(xen, "Restart"), only(xen, "StartLimitIntervalSec")) == ("on-failure", "0")
    assert int(only(xen, "RestartSec")) >= 5
    # Debian's own unit restarts it when it fails.
    network = settings(UNITS / "systemd-networkd.service.d/50-shoestring.conf")
    assert (only(network, "StartLimitIntervalSec"), only(network, "RestartSec")) == ("0", "1")


def test_a_slow_stick_does_not_end_a_replacement() -> None:
    replacement = settings(UNITS / "shoestring-replace.service")
    assert seconds(only(replacement, "TimeoutStartSec")) >= 300


def test_what_the_pair_lives_by_is_not_killed_for_memory() -> None:
    agent = settings(UNITS / "haagent.service")
    heartbeat = settings(UNITS / "heartbeat.service.d/50-shoestring.conf")
    consoles = settings(UNITS / "xenconsoled.service")
    assert only(agent, "OOMScoreAdjust") == only(heartbeat, "OOMScoreAdjust") == "-1000"
    assert only(consoles, "OOMScoreAdjust") == "-900"
    assert only(agent, "OOMPolicy") == "continue"
    template = (IMAGE.parent / "firstboot/templates/ha.cf.j2").read_text()
    assert "realtime" not in template, "heartbeat locks its memory unless it is told not to"


def test_dom0_comes_before_its_guests_and_xen_is_there_without_that() -> None:
    (weigh,) = settings(UNITS / "xen.service")["ExecStartPost"]
    assert weigh == "-/usr/sbin/xl sched-credit2 -d 0 -w 2048"


def test_a_kernel_that_stumbled_ends() -> None:
    lines = (EXTRA / "usr/lib/sysctl.d/60-shoestring.conf").read_text().splitlines()
    assert "kernel.panic_on_oops = 1" in lines
    assert "panic=10" in (IMAGE / "menu.cfg").read_text()
    # A stick that is slow to death makes both; the guests need nothing of it.
    for name in ("hung_task_panic", "softlockup_panic"):
        assert not any(line.startswith(f"kernel.{name}") for line in lines)


def test_state_that_is_found_damaged_is_not_written_to_any_more() -> None:
    """The agent's next save fails, and then it is a machine without its stick (test_keeping.py)."""
    (mount,) = [line for line in INIT.read_text().splitlines() if "/dev/medium/state /sys" in line]
    (entry,) = [
        line.split()
        for line in (EXTRA / "etc/fstab").read_text().splitlines()
        if line.startswith("/dev/medium/state")
    ]
    options = mount.split(" -o ")[1].split()[0].split(",")
    assert "errors=remount-ro" in options
    assert [one for one in entry[3].split(",") if one != "x-initrd.mount"] == options


def test_the_journal_is_seldom_more_than_half_a_minute_behind() -> None:
    journal = settings(EXTRA / "etc/systemd/journald.conf.d/50-shoestring.conf")
    assert seconds(only(journal, "SyncIntervalSec")) == 30


@pytest.mark.parametrize("file", sorted((EXTRA / "usr/lib/shoestring").iterdir()), ids=str)
def test_every_script_can_be_read_by_its_shell(file: Path) -> None:
    if file.read_bytes().startswith(b"#!"):
        shell = file.read_text().splitlines()[0].split("/")[-1].split()[-1]
        subprocess.run([shell, "-n", file], check=True, timeout=60)
