# SPDX-License-Identifier: MIT
"""The unit files that the image brings: what the set-up and the clock depend on."""

import os
import re
import subprocess
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest

from firstboot import agreement, apply, forgetting
from firstboot.appliance import DOOR, Appliance
from firstboot.apply import COMPLETE
from firstboot.installing import mark
from firstboot.rendering import CROSSOVER, SETTINGS
from haagent.backup import news, schedule
from haagent.command import Exit
from haagent.console import menu
from haagent.control import SOCKET
from haagent.lan import LIMIT, UNIT

IMAGE = Path(__file__).parents[2] / "image"
EXTRA = IMAGE / "mkosi.extra"
UNITS = EXTRA / "usr/lib/systemd/system"
ENDED = EXTRA / "usr/lib/shoestring/setup-ended"
SCREEN_ENDED = EXTRA / "usr/lib/shoestring/screen-ended"


def settings(path: Path) -> dict[str, list[str]]:
    """Every setting of a unit, with all of its values."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_door_comes_with_its_card_and_after_a_set_up_in_any_case() -> None:
    """A start of multi-user.target would wait for a card that a blank machine has not, and say on
    its console that it did so in vain (systemd.socket(5), BindToDevice=).
    """
    door = settings(UNITS / DOOR)
    assert door["BindToDevice"] == [CROSSOVER]
    assert door["WantedBy"] == [f"sys-subsystem-net-devices-{CROSSOVER}.device"]
    ran: list[Sequence[str]] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        ran.append(argv)
        return ""

    Appliance(run).hand_over()
    assert ran == [("systemctl", "--no-block", "start", "multi-user.target", DOOR)]


def test_a_set_up_that_dies_comes_back_however_often() -> None:
    """systemd.service(5): Restart=on-failure is all that a oneshot may have."""
    setup = settings(UNITS / "shoestring-setup.service")
    assert setup["Type"] == ["oneshot"]
    assert setup["Restart"] == ["on-failure"]
    assert 1 <= int(setup["RestartSec"][0]) <= 10
    assert setup["StartLimitIntervalSec"] == ["0"], "a limit would leave the screen dead"
    assert setup["TimeoutStartSec"] == ["infinity"]
    assert setup["ConditionPathExists"] == ["!/state/setup/complete"]
    assert setup["ExecStopPost"] == [f"/{ENDED.relative_to(EXTRA)}"]
    assert os.access(ENDED, os.X_OK)


@pytest.mark.parametrize(
    ("result", "status", "expected"),
    [
        ("signal", "KILL", "The set-up ended by itself (signal KILL)."),
        ("exit-code", "1", "The set-up ended by itself (exit-code 1)."),
        ("signal", "TERM", ""),  # the machine is being switched off
        ("success", "0", ""),
    ],
)
def test_every_console_is_told(tmp_path: Path, result: str, status: str, expected: str) -> None:
    for name in ("tty1", "hvc0"):
        (tmp_path / name).touch()
    (tmp_path / "active").write_text("tty0 hvc0\n")
    script = ENDED.read_text().replace("/sys/class/tty/console/active", f"{tmp_path}/active")
    script = script.replace('"/dev/$2"', f'"{tmp_path}/$2"')
    subprocess.run(
        ["sh", "-c", script],
        env={**os.environ, "SERVICE_RESULT": result, "EXIT_STATUS": status},
        check=True,
        timeout=60,
    )
    for name in ("tty1", "hvc0"):
        told = (tmp_path / name).read_text()
        assert told.strip().startswith(expected) if expected else told == ""
    assert not (tmp_path / "tty0").exists()


def test_the_clock_is_set_and_the_batterys_clock_never() -> None:
    """safety: the agent takes a jump of the real-time clock for a machine that stood still."""
    preset = (UNITS.parent / "system-preset/00-shoestring.preset").read_text()
    assert "\nenable systemd-timesyncd.service\n" in preset
    assert "\n        systemd-timesyncd\n" in (IMAGE / "mkosi.conf.d/10-system.conf").read_text()
    binds = settings(UNITS / "systemd-timesyncd.service.d/50-shoestring.conf")["BindReadOnlyPaths"]
    (adjtime, resolv) = (bind.split(":") for bind in binds)
    # What it sees says LOCAL, and then it leaves the battery's clock alone; everybody else's UTC.
    assert adjtime[1] == "/etc/adjtime"
    assert (EXTRA / adjtime[0][1:]).read_text().splitlines()[2] == "LOCAL"
    assert (EXTRA / "etc/adjtime").read_text().splitlines()[2] == "UTC"
    # Both have to be there to be bound over: the root is read-only.
    assert resolv == ["-/state/etc/timesyncd-resolv.conf", "/etc/resolv.conf"]
    assert "nameserver" not in (EXTRA / "etc/resolv.conf").read_text()


def test_what_is_per_machine_leads_to_the_state_partition() -> None:
    link = EXTRA / "etc/systemd/timesyncd.conf.d/50-shoestring.conf"
    assert str(link.readlink()) == "/state/etc/systemd/timesyncd.conf"
    finalize = (IMAGE / "mkosi.finalize").read_text()
    assert 'ln -sf ../state/etc/localtime "$BUILDROOT/etc/localtime"' in finalize
    assert 'ln -sf /usr/share/zoneinfo/UTC "$BUILDROOT/state/etc/localtime"' in finalize


def test_what_a_survivor_agreed_on_is_written_before_anything_reads_it() -> None:
    unit = settings(UNITS / "shoestring-replace.service")
    readers = {"drbd-up.service", "heartbeat.service", "haagent.service"}
    assert set(unit["Before"][0].split()) == readers
    assert unit["Type"] == ["notify"], "it waits for the other machine when the files are written"
    assert unit["ConditionPathExists"] == ["/state/setup/complete", "/state/setup/agreement.json"]
    assert (unit["Restart"], unit["StartLimitIntervalSec"]) == (["on-failure"], ["0"])
    # haagent.service has a limit: what restarts it must not do so more often.
    assert int(unit["RestartSec"][0]) >= 30
    preset = (UNITS.parent / "system-preset/00-shoestring.preset").read_text()
    assert "\nenable shoestring-replace.service\n" in preset


def test_it_is_about_the_files_that_the_set_up_writes() -> None:
    conditions = settings(UNITS / "shoestring-replace.service")["ConditionPathExists"]
    assert conditions == [apply.COMPLETE.path, agreement.PATH]


def test_the_page_has_a_menu_and_an_open_shell_holds_up_no_shutdown() -> None:
    for name, program in (("console@", "console --menu"), ("rescue-console@", "rescue")):
        unit = settings(UNITS / f"{name}.service")
        assert unit["ExecStart"] == [f"/usr/bin/haagent {program}"]
        assert unit["StandardInput"] == ["tty-force"]  # or Ctrl-C would reach no program
        assert unit["SendSIGHUP"] == ["yes"] and int(unit["TimeoutStopSec"][0]) <= 10
        assert unit["Restart"] == ["always"]
        assert unit["StartLimitIntervalSec"] == ["0"], "a limit would leave the screen dead"


@pytest.mark.parametrize("name", ["rescue", "emergency"])
def test_the_last_way_in_comes_back_however_often_it_died(name: str) -> None:
    """systemd.unit(5): without it five ends in ten seconds would be the last."""
    unit = settings(UNITS / f"{name}.service.d/50-shoestring.conf")
    assert unit["ExecStart"] == ["", "-/usr/bin/haagent rescue"]
    assert (unit["Restart"], unit["StartLimitIntervalSec"]) == (["always"], ["0"])


@pytest.mark.parametrize(
    ("result", "status", "is_told"),
    [
        ("signal", "KILL", True),
        ("exit-code", "1", True),
        ("signal", "TERM", False),
        ("success", "0", False),
        ("exec-condition", "1", False),  # a line that is no screen of this boot
    ],
)
def test_a_screen_that_dies_shows_the_end_of_the_log(
    tmp_path: Path, result: str, status: str, is_told: bool
) -> None:
    unit = settings(UNITS / "console@.service")
    assert unit["ExecStopPost"] == [f"-/{SCREEN_ENDED.relative_to(EXTRA)} %I"]
    assert 3 <= int(unit["RestartSec"][0]) <= 10, "it has to be read, and it has to come back"
    journal = tmp_path / "journalctl"
    journal.write_text(f'#!/bin/sh\necho "$@"\necho {"x" * 200}\n')
    journal.chmod(0o755)
    told = subprocess.run(
        [SCREEN_ENDED, "hvc0"],
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SERVICE_RESULT": result,
            "EXIT_STATUS": status,
        },
        check=True,
        timeout=60,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    if not is_told:
        assert told == ""
        return
    assert f"This screen ended by itself ({result} {status})." in told
    assert "-u haagent -u console@hvc0" in told
    assert max(map(len, told.splitlines())) < 80


LEAVING = ("haagent.service", "shoestring-leave.service")


def test_nothing_of_the_pair_starts_before_it_is_forgotten() -> None:
    forget = settings(UNITS / "shoestring-forget.service")
    assert forget["ConditionPathExists"] == [forgetting.PATH]
    assert forget["TimeoutStartSec"] == ["infinity"]
    assert forget["Restart"] == ["on-failure"] and forget["StartLimitIntervalSec"] == ["0"]
    before = forget["Before"][0].split()
    preset = (UNITS.parent / "system-preset/00-shoestring.preset").read_text()
    assert "\nenable shoestring-forget.service\n" in preset
    for unit in UNITS.glob("*.service"):
        conditions = settings(unit).get("ConditionPathExists", [])
        # What comes after the set-up comes after this, too.
        waits = "shoestring-setup.service" in " ".join(settings(unit).get("After", []))
        if {SETTINGS, f"!{COMPLETE.path}"} & set(conditions):
            assert unit.name in before or waits, unit.name


def test_what_a_machine_does_as_it_leaves_is_kept() -> None:
    """The flush of the journal, when it is stopped, is the moment from which nothing is."""
    after = {name: " ".join(settings(UNITS / name)["After"]).split() for name in LEAVING}
    assert "systemd-journal-flush.service" in after["haagent.service"]
    assert "haagent.service" in after["shoestring-leave.service"]


def test_no_shell_comes_without_our_password() -> None:
    """safety: sulogin(8) knows root's password only, and there is none."""
    for kind in ("emergency", "rescue"):
        started = settings(UNITS / f"{kind}.service.d/50-shoestring.conf")["ExecStart"]
        assert started == ["", "-/usr/bin/haagent rescue"]


INIT = IMAGE / "initrd/mkosi.extra/init"


def functions_of_init(folder: Path) -> str:
    """What the initrd's script defines, with FOLDER in the place of its files outside."""
    script, main = INIT.read_text().split("\nbegin\n")
    assert main.startswith("medium=")
    for path in ("/sys/class/tty/console", "/proc/cmdline", "/proc/sysrq-trigger", "/run/stopped"):
        script = script.replace(path, f"{folder}/{Path(path).name}")
    return script.replace('"/dev/$2"', f'"{folder}/$2"')


@pytest.mark.parametrize(("words", "seconds"), [("quiet", 20), ("shoestring.last quiet", 300)])
def test_a_machine_that_does_not_start_says_so_on_every_console(
    tmp_path: Path, words: str, seconds: int
) -> None:
    for name in ("tty1", "hvc0", "sysrq-trigger"):
        (tmp_path / name).touch()
    (tmp_path / "console").mkdir()
    (tmp_path / "console/active").write_text("tty0 hvc0\n")
    (tmp_path / "cmdline").write_text(f"{words}\n")
    script = (
        functions_of_init(tmp_path) + '\nsleep() { echo "$1" >>"$0.slept"; }\ntrap give_up EXIT\n'
    )
    script += 'found=$(stop "The stick is" gone.)\n'  # as it is called: in a shell of its own
    runner = tmp_path / "run"
    runner.write_text(script)
    assert subprocess.run(["sh", str(runner)], timeout=60).returncode == 1
    for name in ("tty1", "hvc0"):
        told = (tmp_path / name).read_text()
        assert "\nThe stick is gone.\n" in told and f"again in {seconds} seconds" in told
        assert max(map(len, told.splitlines())) < 80
    assert (tmp_path / "sysrq-trigger").read_text() == "b\n"
    assert (tmp_path / "run.slept").read_text().split()[0] == str(seconds)


def test_the_initrd_reads_what_the_boot_menu_says(tmp_path: Path) -> None:
    """The words of menu.cfg are those that the script asks for."""
    said = set(re.findall(r"shoestring\.(\w+)=", (IMAGE / "menu.cfg").read_text()))
    asked = set(re.findall(r"\(word (\w+)\)", INIT.read_text()))
    assert asked == {"slot", "roothash", "blocks", "boot"}
    assert said == asked | {"size"}, "the initrd of the release before may be in the other slot"
    (tmp_path / "cmdline").write_text("shoestring.slot=b shoestring.blocks=8192 quiet\n")
    script = functions_of_init(tmp_path) + '\necho "$(word slot) $(word blocks) [$(word boot)]"\n'
    told = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True, text=True)
    assert told.stdout == "b 8192 []\n"


def test_the_boot_menu_leads_to_the_rescue_target() -> None:
    entries = (IMAGE / "menu.cfg").read_text().split("menuentry ")[1:]
    (rescue,) = [entry for entry in entries if "systemd.unit=" in entry]
    assert rescue.startswith('"Rescue')
    assert "systemd.unit=shoestring-rescue.target" in rescue
    target = settings(UNITS / "shoestring-rescue.target")
    preset = (UNITS.parent / "system-preset/00-shoestring.preset").read_text()
    (consoles,) = [line.split()[2:] for line in preset.splitlines() if "console@" in line]
    assert target["Wants"][0].split() == [f"rescue-console@{name}.service" for name in consoles]
    assert "take the entry Rescue of its boot menu" in " ".join(menu.NO_PASSWORD)


def test_addresses_are_taken_up_by_a_unit_that_the_agent_starts() -> None:
    unit = settings(UNITS / "shoestring-lan@.service")
    assert UNIT.format("try") == "shoestring-lan@try.service"
    assert unit["ExecStart"] == ["/usr/bin/python3 -m firstboot.relocation %i"]
    # One that failed is told of by the agent: it is not to stay on the page as a broken part.
    assert unit["CollectMode"] == ["inactive-or-failed"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    # The agent waits longer than the unit may take, so that it never starts a second one.
    assert float(unit["TimeoutStartSec"][0]) < LIMIT
    # It is no part of a start: what is on trial ends with the boot.
    preset = (UNITS.parent / "system-preset/00-shoestring.preset").read_text()
    assert "shoestring-lan" not in preset


def test_the_lan_does_not_speak_for_the_crossover() -> None:
    """ip-sysctl.rst: a source must come in where its answers go out; ARP is answered by the card
    that has the address.
    """
    lines = (EXTRA / "usr/lib/sysctl.d/60-shoestring.conf").read_text().splitlines()
    kept = dict(line.split(" = ") for line in lines if line and not line.startswith("#"))
    for name, value in (("rp_filter", "1"), ("arp_ignore", "1"), ("arp_announce", "2")):
        assert kept[f"net.ipv4.conf.*.{name}"] == value


def test_xen_is_there_when_its_unit_is() -> None:
    """Everything waits for xen.service; the daemons, and what they need, come before it."""
    xen = settings(UNITS / "xen.service")
    store = settings(UNITS / "xenstored.service")
    consoles = settings(UNITS / "xenconsoled.service")
    assert (xen["Type"], xen["RemainAfterExit"]) == (["oneshot"], ["yes"])
    assert xen["Requires"] == ["xenstored.service"]
    assert xen["After"] == ["xenstored.service xenconsoled.service"]
    assert consoles["After"] == ["xenstored.service"]
    assert store["Requires"] == ["proc-xen.mount"]
    assert "proc-xen.mount" in store["After"][0].split()
    # Without Xen none of them is tried, and none has failed.
    mount = settings(UNITS / "proc-xen.mount")
    for unit in (xen, store, consoles, mount):
        assert unit["ConditionPathExists"] == ["/sys/hypervisor/type"]
    modules = " ".join(xen["ExecStartPre"] + store["ExecStartPre"]).split()
    needed = {"xen-blkback", "xen-evtchn", "xen-gntalloc", "xen-gntdev", "xen-netback", "xen-wdt"}
    assert needed <= set(modules)
    preset = (UNITS.parent / "system-preset/00-shoestring.preset").read_text()
    assert "\nenable xen.service\n" in preset


def test_xenstored_writes_no_logs_that_a_guest_could_fill() -> None:
    lines = (EXTRA / "etc/xen/oxenstored.conf").read_text().splitlines()
    said = dict(line.split(" = ") for line in lines if line and not line.startswith("#"))
    assert (said["access-log-nb-files"], said["xenstored-log-level"]) == ("0", "null")
    assert said["quota-activate"] == "true" and said["perms-activate"] == "true"


def test_nothing_stops_xenstored() -> None:
    """safety: guests are handed over while a shutdown goes on, and it forgets all when it ends."""
    store = settings(UNITS / "xenstored.service")
    assert store["DefaultDependencies"] == ["no"], "a shutdown would stop it"
    assert store["RefuseManualStop"] == store["IgnoreOnIsolate"] == ["yes"]
    assert not {"Conflicts", "BindsTo", "PartOf", "Restart"} & set(store)
    assert store["OOMScoreAdjust"] == ["-1000"]
    leave = settings(UNITS / "shoestring-leave.service")
    assert "xen.service" in leave["After"][0].split(), "consoles are read until the guests left"


def test_a_machine_whose_xenstored_ends_starts_anew() -> None:
    """But for one that goes down, or that is no half of a pair yet."""
    store = settings(UNITS / "xenstored.service")
    assert store["OnFailure"] == store["OnSuccess"] == ["xenstored-ended.service"]
    assert {"OnFailureJobMode", "Restart"}.isdisjoint(store)
    ended = settings(UNITS / "xenstored-ended.service")
    assert ended["Type"] == ["oneshot"]
    assert ended["ExecStart"] == ["/usr/bin/systemctl reboot --force"]
    assert ended["ConditionPathExists"] == [str(SOCKET)]
    assert "DefaultDependencies" not in ended, "by default a unit conflicts with a shutdown"
    assert "WantedBy" not in ended


def test_the_daemons_are_those_of_our_xen() -> None:
    packages = (IMAGE / "mkosi.conf.d/20-xen.conf").read_text()
    programs = [
        value.split()[0]
        for name in ("xen", "xenstored", "xenconsoled")
        for value in settings(UNITS / f"{name}.service")["ExecStart"]
    ]
    for program in programs:
        version = program.removeprefix("/usr/lib/xen-").partition("/")[0]
        assert f"\n        xen-utils-{version}\n" in packages
        assert f"\n        xen-hypervisor-{version}-amd64\n" in packages


def test_nothing_puts_a_machine_to_sleep_and_its_power_button_works() -> None:
    """safety: logind.conf(5) would suspend at a key or at a lid, unless told otherwise."""
    keys = settings(EXTRA / "etc/systemd/logind.conf.d/50-shoestring.conf")
    assert keys["HandlePowerKey"] == ["poweroff"]
    for name in ("SuspendKey", "SuspendKeyLongPress", "HibernateKey", "LidSwitch"):
        assert keys[f"Handle{name}"] == ["ignore"]
    sleep = settings(EXTRA / "etc/systemd/sleep.conf.d/50-shoestring.conf")
    kinds = ("Suspend", "Hibernation", "SuspendThenHibernate", "HybridSleep")
    assert sleep == {f"Allow{kind}": ["no"] for kind in kinds}


def test_what_makes_the_mounts_is_there() -> None:
    """Generators that have nothing to do are removed; those of fstab and the command line stay."""
    removed = (IMAGE / "mkosi.conf.d/15-boot.conf").read_text()
    assert "systemd-sysv-generator" in removed
    for name in ("fstab", "debug"):
        assert f"systemd-{name}-generator" not in removed


def test_nothing_of_ours_needs_what_is_not_started() -> None:
    told = re.findall(
        r"^ +/usr/lib/systemd/system/(?:\*\.wants/)?(\S+)$",
        (IMAGE / "mkosi.conf.d/15-boot.conf").read_text(),
        re.MULTILINE,
    )
    assert len(told) > 20
    for file in UNITS.rglob("*"):
        for key in ("After", "Requires", "Wants", "BindsTo"):
            for line in settings(file).get(key, []) if file.is_file() else []:
                for unit in line.split():
                    assert not any(fnmatch(unit, name) for name in told), f"{file.name}: {unit}"


def test_there_is_a_clock_from_outside_as_soon_as_there_is_a_network() -> None:
    network = settings(UNITS / "systemd-networkd.service.d/50-shoestring.conf")
    clock = settings(UNITS / "systemd-timesyncd.service.d/50-shoestring.conf")
    assert network["Wants"] == ["systemd-timesyncd.service"]
    assert clock["ConditionPathExists"] == network["ConditionPathExists"]


def test_whoever_is_waited_for_is_served_before_what_nobody_waits_for() -> None:
    assert settings(UNITS / "shoestring-setup.service")["Nice"] == ["-10"]
    assert settings(UNITS / "haagent.service")["Nice"] == ["-10"]
    assert settings(UNITS / "shoestring-well.service")["Nice"] == ["19"]
    kept = (EXTRA / "usr/lib/sysctl.d/60-shoestring.conf").read_text()
    assert "\nkernel.sched_autogroup_enabled = 0\n" in kept, "or nice values say nothing"
    for name in ("dbus-broker", "systemd-logind"):
        late = settings(UNITS / f"{name}.service.d/50-shoestring.conf")
        assert late["After"] == ["xen.service"]


def test_a_good_start_is_marked_without_holding_up_the_start() -> None:
    unit = settings(UNITS / "shoestring-well.service")
    assert unit["ExecStart"] == ["/usr/bin/haagent well"]
    # It waits long: as a oneshot it would be a job that keeps the start from being over.
    assert unit["Type"] == ["exec"]
    assert (unit["Restart"], unit["StartLimitIntervalSec"]) == (["on-failure"], ["0"])
    assert "shoestring-setup.service" not in unit["After"][0], "a blank machine would never be well"
    preset = (UNITS.parent / "system-preset/00-shoestring.preset").read_text()
    assert "\nenable shoestring-well.service\n" in preset
    # Only an ordinary start is counted by GRUB, and only that is marked.
    assert unit["WantedBy"] == ["multi-user.target"]


def test_a_backup_is_in_nobodys_way() -> None:
    unit = settings(UNITS / "shoestring-backup.service")
    assert unit["ExecStart"] == ["/usr/bin/haagent backups"]
    # A start that meets one is over all the same, and a shutdown waits no longer than for others.
    assert unit["Type"] == ["exec"]
    assert int(unit["TimeoutStopSec"][0]) <= 60 and unit["KillMode"] == ["mixed"]
    assert not {"DefaultDependencies", "Before", "After", "Restart", "WantedBy"} & set(unit)
    # One that was ended by a shutdown, or failed and was told of, is no part that failed.
    assert unit["SuccessExitStatus"] == [str(int(Exit.INTERRUPTED))]
    assert (unit["Nice"], unit["IOSchedulingClass"]) == (["19"], ["idle"])
    assert int(unit["OOMScoreAdjust"][0]) > 0 and "MemoryHigh" in unit and "MemoryMax" not in unit


def test_a_machine_looks_for_backups_that_are_due() -> None:
    """And writes nothing to the stick for that, nor starts anything where there are none."""
    unit = settings(UNITS / "shoestring-backup.service")
    assert unit["ConditionPathExistsGlob"] == [f"|{schedule.path('x')}".replace("x.json", "*.json")]
    assert unit["ConditionPathExists"] == [f"|{news.FILE}"]
    assert SOCKET.with_name(news.NAME) == news.FILE
    assert unit["LogLevelMax"] == unit["SyslogLevel"] == ["notice"]
    timer = settings(UNITS / "shoestring-backup.timer")
    (every,) = timer["OnCalendar"]
    assert every == "*:0/5" and schedule.AGAIN > 300
    assert timer["WantedBy"] == ["multi-user.target"]
    preset = (UNITS.parent / "system-preset/00-shoestring.preset").read_text()
    assert "\nenable shoestring-backup.timer\n" in preset
    assert "shoestring-backup.service" not in preset


def test_nothing_of_ours_starts_beside_an_install_nor_after_one_that_failed() -> None:
    """safety: after the decision the stick is no machine. Without a mark the unit is skipped, and
    whoever requires it starts all the same (systemd.unit(5)).
    """
    unit = settings(UNITS / "shoestring-install.service")
    assert unit["ConditionPathExists"] == [mark.PATH]
    assert unit["Restart"] == ["on-failure"] and unit["StartLimitIntervalSec"] == ["0"]
    assert (unit["Type"], unit["TimeoutStartSec"]) == (["oneshot"], ["infinity"])
    forgetting_waits = settings(UNITS / "shoestring-forget.service")["Before"][0].split()
    before = unit["Before"][0].split()
    # The mark of a good start would mount the ESP meanwhile, or restart a machine that is copying.
    ours = {"shoestring-forget.service", "shoestring-well.service"}
    assert set(before) == {*forgetting_waits, *ours}
    required = {name for line in unit["RequiredBy"] for name in line.split()}
    consoles = {f"console@{name}.service" for name in ("tty1", "hvc0", "ttyS0")}
    assert required == {*before, *consoles}
    # The screens wait for the set-up, which waits for it.
    assert "shoestring-setup.service" in settings(UNITS / "console@.service")["After"][0]
    preset = (UNITS.parent / "system-preset/00-shoestring.preset").read_text()
    assert "\nenable shoestring-install.service\n" in preset


def test_the_image_has_the_programs_of_an_install() -> None:
    packages = (IMAGE / "mkosi.conf.d/20-storage.conf").read_text().split()
    assert {"fdisk", "cryptsetup-bin", "e2fsprogs"} <= set(packages)


@pytest.mark.parametrize("folder", ["/var/lib/xen", "/var/log/xen"])
def test_xen_writes_to_memory_and_not_to_the_stick(folder: str) -> None:
    """libxl does not destroy a domain whose lock file it cannot make (libxl_domain.c)."""
    start = INIT.read_text()
    assert '"/sysroot/var/$folder/xen"' in start and "for folder in lib log; do" in start
    assert not (UNITS / f"{folder[1:].replace('/', '-')}.mount").exists(), "who mounts it?"
    needed = settings(UNITS / "xen.service")["RequiresMountsFor"]
    assert folder in needed[0].split()


@pytest.mark.parametrize(("folder", "memory"), [("/var/run", "/run"), ("/var/lock", "/run/lock")])
def test_debians_links_into_memory_are_mounts(folder: str, memory: str) -> None:
    """A link on the stick cannot be read once it is pulled; xl has its locks behind one."""
    fstab = [line.split() for line in (EXTRA / "etc/fstab").read_text().splitlines()]
    assert [memory, folder, "none", "bind,x-initrd.mount", "0", "0"] in fstab
    finalize = (IMAGE / "mkosi.finalize").read_text().splitlines()
    assert any(line.startswith("rm ") and f'"$BUILDROOT{folder}"' in line for line in finalize)
    assert any(line.startswith("mkdir ") and f'"$BUILDROOT{folder}"' in line for line in finalize)
