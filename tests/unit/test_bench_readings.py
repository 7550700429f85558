# SPDX-License-Identifier: MIT
"""What the kernel says of a service, and what its minute cost."""

import pytest

from tests.vm.bench.idle import AGENT, HEARTBEAT, SCREENS, XENS, Minute
from tests.vm.bench.readings import parse, program, without

# smaps_rollup as Linux 6.12 prints it (proc_pid_smaps(5)).
MEMORY = """\
55a0c0000000-7ffd00000000 ---p 00000000 00:00 0                          [rollup]
Rss:               {rss:>5} kB
Pss:               {pss:>5} kB
Pss_Dirty:          9000 kB
Private_Dirty:      9000 kB
Swap:                  0 kB
"""


def reading(uptime: float, agent: int, screen: int, heartbeat: int) -> str:
    """With so many microseconds used."""
    return (
        f"uptime {uptime}\n"
        f"unit haagent.service\nusage_usec {agent}\n"
        "process 700 /usr/bin/python3 /usr/bin/haagent daemon \n"
        + MEMORY.format(rss=30720, pss=20480)
        + "process 900 /usr/lib/xen-4.20/bin/xl create --quiet /run/counter.cfg \n"
        + MEMORY.format(rss=2048, pss=1024)
        # gone before its memory was read
        + "process 901 \n"
        + f"unit heartbeat.service\nusage_usec {heartbeat}\n"
        + "process 500 heartbeat: master control process \n"
        + MEMORY.format(rss=10240, pss=9216)
        + "".join(
            f"unit console@{line}.service\nusage_usec {screen}\n"
            "process 800 /usr/bin/python3 /usr/bin/haagent console --menu \n"
            + MEMORY.format(rss=20480, pss=10240)
            for line in ("hvc0", "tty1")
        )
    )


FIRST = parse(reading(100.0, 5_000_000, 1_000_000, 4_000_000))
LATER = parse(reading(160.0, 5_600_000, 1_150_000, 4_300_000))


def test_a_service_is_its_processes_and_what_it_used() -> None:
    assert (FIRST.at, FIRST.of(AGENT).used) == (100.0, 5.0)
    assert FIRST.of(AGENT).rss == (30720 + 2048) * 1024
    assert FIRST.of(AGENT).pss == (20480 + 1024) * 1024
    assert [program(one) for one in FIRST.of(AGENT).processes] == ["python3", "xl"]


def test_the_screens_are_one_sum() -> None:
    assert FIRST.of(SCREENS).used == 2.0
    assert FIRST.of(SCREENS).rss == 2 * 20480 * 1024
    assert FIRST.of(f"{AGENT}|{SCREENS}").used == 7.0


def test_the_watcher_of_a_guest_is_xens_memory_not_ours() -> None:
    assert without(FIRST.of(AGENT), XENS).rss == 30720 * 1024
    assert Minute(FIRST, LATER).memory(AGENT).pss == 20480 * 1024


def test_a_minute_is_told_in_milliseconds_a_second() -> None:
    minute = Minute(FIRST, LATER)
    assert minute.used(AGENT) == pytest.approx(10.0)
    assert minute.used(SCREENS) == pytest.approx(5.0)
    assert minute.used(HEARTBEAT) == pytest.approx(5.0)


def test_a_service_that_is_not_there_costs_no_zero() -> None:
    with pytest.raises(LookupError, match="no service"):
        FIRST.of(r"nobody\.service")


@pytest.mark.parametrize(
    "text", ["", "uptime 100.0\n", "unit haagent.service\nusage_usec 5\n", "uptime 1\nunit a\n"]
)
def test_half_a_reading_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a whole reading"):
        parse(text)


def test_a_service_whose_time_could_not_be_read_spoils_the_reading() -> None:
    with pytest.raises(ValueError, match="not a whole reading"):
        parse(reading(100.0, 0, 1, 1))
