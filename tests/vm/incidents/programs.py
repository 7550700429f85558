# SPDX-License-Identifier: MIT
"""Programs of a machine: killed, hung, hindered. What each script does is done when it returns."""

from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.story import BOOT, TAKEOVER
from tests.vm.wait import wait_until

# A person's acts; they go on for a while, and nobody waits for their last word.
MOVE = "systemd-run --quiet --collect shoestring move counter --yes"
SHUT_DOWN = "systemd-run --quiet --collect shoestring shutdown --yes"
POWER_OFF = "systemctl --no-block poweroff"  # as a UPS tells it, or a button

# Whoever calls xl from now on waits for ever. /usr/sbin/xl is a script that leads there.
HANG_XL = r"""
set -e
printf '#!/bin/sh\nexec sleep infinity\n' > /run/xl-hangs
chmod +x /run/xl-hangs
mount --bind /run/xl-hangs /usr/lib/xen-4.20/bin/xl
"""
XL_HANGS = "timeout 5 xl list"  # ends with 124 then, timeout(1)

DRBDS_SETTINGS = "/state/etc/drbd.d/shoestring.conf"
OUR_HANDLER = "/usr/bin/haagent fence-peer"
HANDLER_WAS_CALLED = "test -s /run/handler-was-called"

HOLD_THE_DISK = (
    "systemd-run --quiet --collect --unit=holds-the-disk sh -c 'exec sleep infinity </dev/drbd0'"
)
LET_THE_DISK_GO = "systemctl stop holds-the-disk"

SET_CLOCK_RIGHT = "date --set=@$(cat /sys/class/rtc/rtc0/since_epoch)"  # its battery went on

# It takes all of the memory that there is, and touches it, a MiB at a time.
EAT_MEMORY = (
    "systemd-run --quiet --collect --unit=eats-memory python3 -c '"
    "from itertools import count; eaten = [bytes([i % 256]) * (1 << 20) for i in count(1)]'"
)

NO_MORE_PROCESSES = "echo 0 > /sys/fs/cgroup/system.slice/haagent.service/pids.max"  # cgroup-v2.rst
PROCESSES_AGAIN = "echo max > /sys/fs/cgroup/system.slice/haagent.service/pids.max"

# Nothing else gets the only processor then. Linux 6.12 keeps a twentieth of it for ordinary
# programs, by debugfs (fair_server in kernel/sched/debug.c) or, before, by the limit of sched(7).
MAY_TAKE_ALL = """
set -e
mountpoint --quiet /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
for runtime in /sys/kernel/debug/sched/fair_server/cpu*/runtime; do echo 0 > $runtime; done
sysctl --quiet kernel.sched_rt_runtime_us=-1
"""
TAKE_ALL = "chrt --fifo 99 sh -c 'while :; do :; done'"


def begin(machine: Machine, script: str) -> None:
    """SCRIPT begins when the shell has answered: it is one that nobody comes back from."""
    machine.run(f"( sleep 1; {script} ) </dev/null >/dev/null 2>&1 &")


def move(machine: Machine) -> None:
    """A person at MACHINE moves the guest to the other one, as soon as that can be done."""
    wait_until(
        "nothing to stand in the way of a move",
        lambda: status(machine)["guests"][0]["blocker"] is None,
        TAKEOVER,
        2,
    )
    machine.run(MOVE)


def signal_all(unit: str, name: str) -> str:
    """A script that sends the signal NAME to every process of UNIT."""
    return f"systemctl kill --kill-whom=all --signal={name} {unit}"


def main_pid(machine: Machine, unit: str) -> int:
    """0 while UNIT does not run."""
    return int(machine.run(f"systemctl show --property=MainPID --value {unit}"))


def await_anew(machine: Machine, unit: str, was: int) -> None:
    """UNIT runs in another process than WAS."""
    wait_until(
        f"{machine.name}'s {unit} to be back",
        lambda: main_pid(machine, unit) not in (0, was),
        BOOT,
        1,
    )


def give_handler(machine: Machine, script: str) -> None:
    """DRBD calls SCRIPT when it asks what became of the peer: it reads its settings each time."""
    machine.run(
        f"printf '%s\\n' '#!/bin/sh' 'echo called >> /run/handler-was-called' '{script}'"
        " > /run/handler && chmod +x /run/handler && rm -f /run/handler-was-called"
    )
    _name_handler(machine, "/run/handler")


def give_handler_back(machine: Machine) -> None:
    _name_handler(machine, OUR_HANDLER)


def _name_handler(machine: Machine, command: str) -> None:
    machine.run(f'sed -i \'s#fence-peer ".*";#fence-peer "{command}";#\' {DRBDS_SETTINGS} && sync')
    machine.run(f"grep --quiet 'fence-peer \"{command}\";' {DRBDS_SETTINGS}")
