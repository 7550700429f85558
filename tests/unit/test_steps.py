# SPDX-License-Identifier: MIT
"""The plan, and every file that it writes, word for word."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from firstboot.answers import Answers, read
from firstboot.journal import digest
from firstboot.keys import physical_volume
from firstboot.rendering import PUBLIC, SECRET, SETTINGS, File
from firstboot.steps import (
    AwaitSync,
    EraseSecret,
    FillGuest,
    MakeStorage,
    NameHost,
    Plan,
    SetClock,
    StartMirror,
    StartNetwork,
    WriteFiles,
    plan,
    storage,
)
from haagent import config
from haagent.core.model import Policy

DATA = Path(__file__).parents[1] / "data/answers"
A = read((DATA / "a.yaml").read_text())
B = read((DATA / "b.yaml").read_text())


def files(steps: Plan) -> list[File]:
    return [file for step in steps if isinstance(step, WriteFiles) for file in step.files]


def texts(answers: Answers, scale: float) -> dict[str, str]:
    return {file.path: file.text for file in files(plan(answers, scale))}


@pytest.mark.parametrize(("answers", "scale", "golden"), [(A, 1, "a"), (B, 6, "b")])
def test_the_files_are_those_of_the_golden_folder(
    answers: Answers, scale: float, golden: str
) -> None:
    folder = DATA / golden
    expected = {
        f"/{path.relative_to(folder)}": path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }
    found = texts(answers, scale)
    assert found.keys() == expected.keys()
    for path, text in found.items():
        assert text == expected[path], path


def test_the_longest_time_scale_stays_within_what_drbd_takes() -> None:
    """linux/drbd_limits.h: ping-int 120 s, connect-int 120 s, timeout 600, ping-timeout 300."""
    common = texts(A, 20)["/state/etc/drbd.d/shoestring.conf"]
    for line in ("ping-int 20;", "ping-timeout 300;", "timeout 400;", "connect-int 41;"):
        assert f" {line}" in common


def test_whatever_holds_a_key_is_for_root_alone() -> None:
    keys = {
        "/state/etc/drbd.d/counter.res",
        "/state/etc/ha.d/authkeys",
        "/state/etc/shoestring/pair.key",
    }
    for file in files(plan(A, 1)):
        assert file.mode == (SECRET if file.path in keys else PUBLIC), file.path


def test_no_step_prints_a_key() -> None:
    printed = repr(plan(A, 1)) + "".join(map(digest, plan(A, 1)))
    for file in files(plan(A, 1)):
        if file.mode == SECRET:
            for word in file.text.replace('"', " ").replace(";", " ").split():
                assert len(word) < 40 or word not in printed
    assert A.secret not in printed


def test_node_0_leads_and_fills_the_built_in_guest() -> None:
    kinds = [type(step) for step in plan(A, 1)]
    assert kinds == [
        WriteFiles,
        NameHost,
        WriteFiles,
        StartNetwork,
        WriteFiles,
        SetClock,
        WriteFiles,
        MakeStorage,
        WriteFiles,
        StartMirror,
        AwaitSync,
        FillGuest,
        WriteFiles,
        EraseSecret,
    ]
    steps = {step.name: step for step in plan(A, 1)}
    assert steps["name"] == NameHost("a")
    assert steps["sync counter"] == AwaitSync("counter", "b", True, "Meeting b about counter")
    assert steps["guest counter"] == FillGuest(
        "counter",
        "/dev/drbd0",
        IPv4Interface("10.0.2.50/24"),
        IPv4Address("10.0.2.2"),
        "Making the built-in guest counter",
    )


def test_node_1_waits_and_fills_nothing() -> None:
    steps = {step.name: step for step in plan(B, 1)}
    assert not any(isinstance(step, FillGuest) for step in steps.values())
    for guest in ("counter", "mail-server"):
        met = steps[f"sync {guest}"]
        assert isinstance(met, AwaitSync) and not met.is_leader and met.peer == "a"
    # All mirrors look for the peer before the first of them is waited for.
    names = list(steps)
    assert names.index("mirror mail-server") < names.index("sync counter")


def test_only_the_built_in_guest_is_filled() -> None:
    leading = replace(A, guests=B.guests)
    assert [step.guest for step in plan(leading, 1) if isinstance(step, FillGuest)] == ["counter"]


def test_the_storage_is_ours_by_name_and_not_by_chance() -> None:
    made = storage(B)
    assert made == MakeStorage(
        "B-DATA",
        physical_volume(B.secret, 1),
        (("counter", 512 << 20), ("mail-server", 1 << 30)),
    )
    assert made in plan(B, 1)
    assert made.physical_volume != storage(replace(B, me=0)).physical_volume


def test_the_settings_are_the_last_file_and_the_secret_goes_last_of_all() -> None:
    """Whatever a cut leaves out, a machine with settings has everything else."""
    for answers in (A, B):
        steps = plan(answers, 1)
        assert files(steps)[-1].path == SETTINGS
        last = steps[-2]
        assert isinstance(last, WriteFiles) and last.files[-1].path == SETTINGS
        assert steps[-1] == EraseSecret()


def test_every_step_has_a_name_of_its_own() -> None:
    names = [step.name for step in plan(B, 1)]
    assert len(set(names)) == len(names)


def test_a_step_that_asks_for_something_else_has_another_digest() -> None:
    changed = replace(A, guests=(replace(A.guests[0], disk=1 << 30),))
    assert digest(storage(A)) == digest(storage(replace(A, names=("x", "y"))))
    assert digest(storage(A)) != digest(storage(changed))
    assert digest(storage(A)) != digest(storage(replace(A, disk="OTHER")))


def test_the_agent_reads_what_is_written_for_it(tmp_path: Path) -> None:
    found = texts(B, 6)
    key = tmp_path / "pair.key"
    key.touch(0o600)
    key.write_text(found["/state/etc/shoestring/pair.key"])
    settings = tmp_path / "pair.yaml"
    settings.write_text(found[SETTINGS].replace("/state/etc/shoestring/pair.key", str(key)))
    cmdline = tmp_path / "cmdline"
    cmdline.write_text("shoestring.timescale=6\n")

    loaded = config.load(settings, cmdline)

    assert loaded.pair.me == 1
    assert loaded.pair.names == ("a", "b")
    assert loaded.pair.policy is Policy.WAIT
    assert loaded.pair.guests == {"counter": 0, "mail-server": 1}
    assert loaded.crossover == config.PathConfig(
        "crossover", IPv4Address("192.168.77.2"), IPv4Address("192.168.77.1"), "52:54:00:00:0a:01"
    )
    assert loaded.lan == config.PathConfig(
        "lan", IPv4Address("10.0.2.12"), IPv4Address("10.0.2.11"), "52:54:00:00:0a:02"
    )
    assert loaded.bridge == "lan"
    assert loaded.referees == B.referees
    assert loaded.guests["counter"].disks == (("xvda", "/dev/drbd0"),)
    assert loaded.guests["counter"].address == IPv4Address("10.0.2.50")
    assert loaded.guests["mail-server"].disks == (("xvda", "/dev/drbd1"),)
    assert loaded.guests["mail-server"].address is None
