# SPDX-License-Identifier: MIT
"""The answers for both halves of a pair that gets a new second half: they fit each other, the new
machine's plan copies and declares nothing, and the survivor's touches no disk.
"""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from firstboot import answers as answer_file
from firstboot import rendering
from firstboot.answers import Answers, Part
from firstboot.hands import Interface
from firstboot.rendering import File
from firstboot.steps import (
    AwaitPeer,
    AwaitSync,
    EraseSecret,
    FillGuest,
    MakeStorage,
    StartMirror,
    TakeUp,
    WriteFiles,
    plan,
)
from firstboot.survivor import Successor, Survivor, Texts, compose, understand
from firstboot.validate import problems
from haagent import config
from haagent.errors import OperatorError
from haagent.storage.lvm import Volume
from tests.unit.fake_machine import SECRET, TEXTS, hardware

NEW_SECRET = "00112233445566778899aabbccddeeff" * 2
PASSWORD = "scrypt:" + "A" * 24 + ":" + "B" * 43 + "="
SUCCESSOR = Successor(
    name="b",
    address=IPv4Interface("10.0.2.12/24"),
    disk="C-DATA",
    erases=False,
    crossover_mac="52:54:00:00:0c:01",
    lan_mac="52:54:00:00:0c:02",
)
A = answer_file.read(TEXTS["a"])


def written(answers: Answers) -> dict[str, File]:
    steps = plan(answers, 1.0)
    return {file.path: file for s in steps if isinstance(s, WriteFiles) for file in s.files}


def loaded(tmp_path: Path, answers: Answers) -> config.Config:
    """The agent's own settings of a machine with ANSWERS."""
    files = written(answers)
    key, kept, settings = (tmp_path / name for name in ("pair.key", "replaced.key", "pair.yaml"))
    for path, text in (
        (key, files[rendering.KEY].text),
        (kept, "ab" * 32 + "\n"),
        (settings, files[rendering.SETTINGS].text.replace("/state/etc/shoestring", str(tmp_path))),
    ):
        path.write_text(text)
        path.chmod(0o600)
    cmdline = tmp_path / "cmdline"
    cmdline.write_text("quiet\n")
    return config.load(settings, cmdline)


def interfaces(answers: Answers) -> dict[str, Interface]:
    return {
        name: Interface(cable.mac, "", (cable.address,), ())
        for name, cable in (("crossover", answers.crossover), ("lan", answers.lan))
    }


def survivor(tmp_path: Path, was: Answers = A, **changes: Any) -> Survivor:
    """Machine a of tests/data/answers, or what else it WAS, as it finds itself."""
    files = written(was)
    given: dict[str, Any] = {
        "config": loaded(tmp_path, was),
        "interfaces": interfaces(was),
        "volumes": [Volume("counter", 512 << 20, True, False)],
        "texts": Texts(
            files[f"{rendering.NETWORK}/30-lan.network"].text,
            files[f"{rendering.STATE}/systemd/timesyncd.conf"].text,
            PASSWORD + "\n",
        ),
        "zone": "Europe/Berlin",
    }
    return understand(**(given | changes))


def both(tmp_path: Path, successor: Successor = SUCCESSOR) -> tuple[Answers, Answers]:
    stays, joins = compose(survivor(tmp_path), successor, NEW_SECRET)
    return answer_file.read(stays), answer_file.read(joins)


def test_the_new_machine_is_told_what_sectors_its_disk_has(tmp_path: Path) -> None:
    assert both(tmp_path)[1].sector == 512
    assert both(tmp_path, replace(SUCCESSOR, sector=4096))[1].sector == 4096


def test_a_machine_beside_one_that_was_alone_gets_what_was_kept_for_it(tmp_path: Path) -> None:
    found = survivor(tmp_path, answer_file.read(TEXTS["alone"]))
    assert found.is_vacant and not survivor(tmp_path).is_vacant
    texts = compose(found, SUCCESSOR, NEW_SECRET)
    stays, joins = map(answer_file.read, texts)
    assert (stays, joins) == both(tmp_path)  # as if there had been another one
    assert str(stays.crossover.peer) == "192.168.77.2"


def test_the_two_halves_fit_each_other(tmp_path: Path) -> None:
    stays, joins = both(tmp_path)
    assert (stays.part, joins.part) == (Part.STAYS, Part.JOINS)
    assert (stays.me, joins.me) == (0, 1)
    assert stays.names == joins.names == ("a", "b")
    for ours, theirs in ((stays.crossover, joins.crossover), (stays.lan, joins.lan)):
        assert (ours.address.ip, ours.mac) == (theirs.peer, theirs.peer_mac)
        assert (theirs.address.ip, theirs.mac) == (ours.peer, ours.peer_mac)
        assert ours.address.network == theirs.address.network
    assert stays.guests == joins.guests
    assert stays.secret == joins.secret == NEW_SECRET
    assert joins.password == PASSWORD and joins.zone == "Europe/Berlin"


def test_a_guest_keeps_its_device_and_its_port(tmp_path: Path) -> None:
    """Others that came before it may be gone."""
    (counter,) = A.guests
    settings = loaded(tmp_path, replace(A, guests=(replace(counter, number=7),)))
    found = survivor(tmp_path, config=settings)
    for answers in map(answer_file.read, compose(found, SUCCESSOR, NEW_SECRET)):
        assert answers.guests[0].number == 7
        resource = written(answers)[f"{rendering.STATE}/drbd.d/counter.res"].text
        assert "/dev/drbd7 minor 7;" in resource and ":7795;" in resource


def test_the_next_guest_gets_a_number_that_no_other_had(tmp_path: Path) -> None:
    """It is that of the change of the list, which goes on counting."""
    found = survivor(tmp_path, config=replace(loaded(tmp_path, A), list=7))
    for answers in map(answer_file.read, compose(found, SUCCESSOR, NEW_SECRET)):
        assert loaded(tmp_path, answers).list == 7
    with pytest.raises(answer_file.AnswersError, match="list should be a number"):
        answer_file.read(TEXTS["a"] + "list: -1\n")


def test_who_joins_learns_the_keys_of_all_who_have_no_place_any_more(tmp_path: Path) -> None:
    old = ("12" * 32, "34" * 32)
    found = survivor(tmp_path, texts=Texts("Gateway=10.0.2.2\n", "", replaced_keys=old))
    assert not any(key in repr(found) for key in old)
    stays, joins = map(answer_file.read, compose(found, SUCCESSOR, NEW_SECRET))
    assert (stays.replaced_keys, joins.replaced_keys) == ((), old)
    assert not any(key in repr(joins) for key in old)
    files = {file.path: file for file in rendering.agent(joins)}
    kept = files[rendering.REPLACED_KEYS]
    assert (kept.text, kept.mode) == ("".join(f"{key}\n" for key in old), 0o600)
    assert rendering.REPLACED_KEYS in files[rendering.SETTINGS].text
    assert list(files)[-1] == rendering.SETTINGS, "it says that all is there"


def test_who_joins_a_pair_without_such_keys_has_no_such_file(tmp_path: Path) -> None:
    files = {file.path: file for file in rendering.agent(both(tmp_path)[1])}
    assert rendering.REPLACED_KEYS not in files
    assert "replaced" not in files[rendering.SETTINGS].text


@pytest.mark.parametrize("text", ["[abcd]", f"[{'AB' * 32}]", f"{'ab' * 32}"])
def test_what_is_no_key_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    _, joins = compose(survivor(tmp_path), SUCCESSOR, NEW_SECRET)
    with pytest.raises(OperatorError) as caught:
        answer_file.read(f"{joins}replaced-keys: {text}\n")
    assert "replaced-keys" in str(caught.value) + caught.value.hint
    assert "ab" * 32 not in (str(caught.value) + caught.value.hint).lower()


def test_the_survivor_keeps_its_addresses_and_the_new_one_takes_the_dead_ones(
    tmp_path: Path,
) -> None:
    stays, joins = both(tmp_path)
    assert (stays.crossover.address, stays.lan.address) == (A.crossover.address, A.lan.address)
    assert (joins.crossover.address.ip, joins.lan.address.ip) == (A.crossover.peer, A.lan.peer)


def test_a_new_name_and_address_are_known_to_both(tmp_path: Path) -> None:
    other = replace(SUCCESSOR, name="clara", address=IPv4Interface("10.0.2.99/24"))
    stays, joins = both(tmp_path, other)
    assert stays.names == joins.names == ("a", "clara")
    assert stays.lan.peer == joins.lan.address.ip == IPv4Address("10.0.2.99")
    resource = written(stays)["/state/etc/drbd.d/counter.res"].text
    assert "on clara {" in resource and "on b {" not in resource
    assert "node a clara" in written(stays)["/state/etc/ha.d/ha.cf"].text


def test_everything_that_signs_has_another_key_on_both(tmp_path: Path) -> None:
    stays, joins = both(tmp_path)
    before = written(A)
    for path in (rendering.KEY, "/state/etc/ha.d/authkeys", "/state/etc/drbd.d/counter.res"):
        assert written(stays)[path] == written(joins)[path] != before[path]
        assert written(stays)[path].mode == 0o600


def test_the_new_machine_copies_and_declares_nothing(tmp_path: Path) -> None:
    """safety: only the first set-up of two blank machines may skip a sync, or fill a guest."""
    _, joins = both(tmp_path)
    for answers in (joins, replace(joins, me=0)):
        steps = plan(answers, 1.0)
        assert not [s for s in steps if isinstance(s, AwaitSync | FillGuest | StartMirror)]
        assert [s.serial for s in steps if isinstance(s, MakeStorage)] == ["C-DATA"]


def test_the_survivor_touches_no_disk_no_card_and_no_guest(tmp_path: Path) -> None:
    stays, _ = both(tmp_path)
    kinds = [type(step) for step in plan(stays, 1.0)]
    assert kinds == [WriteFiles, WriteFiles, WriteFiles, TakeUp, AwaitPeer, EraseSecret]
    assert not [path for path in written(stays) if "/systemd/" in path or "hostname" in path]


def test_the_new_volumes_are_as_large_as_the_survivors(tmp_path: Path) -> None:
    """DRBD refuses a peer with a smaller disk (drbd_receiver.c, receive_sizes)."""
    grown = survivor(tmp_path, volumes=[Volume("counter", 516 << 20, True, False)])
    _, joins = compose(grown, SUCCESSOR, NEW_SECRET)
    [made] = [s for s in plan(answer_file.read(joins), 1.0) if isinstance(s, MakeStorage)]
    assert made.volumes == (("counter", 516 << 20),)


def test_the_new_machine_judges_the_answers_as_any_others(tmp_path: Path) -> None:
    _, joins = both(tmp_path)
    machine = hardware("c")
    assert problems(joins, machine, 1.0) == ()
    small = replace(machine, disks=(machine.disks[0], replace(machine.disks[1], size=256 << 20)))
    assert [one.reason.value for one in problems(joins, small, 1.0)] == ["disk too small"]


def test_the_agent_reads_the_survivors_settings(tmp_path: Path) -> None:
    stays, joins = both(tmp_path)
    after = loaded(tmp_path, stays)
    assert after.replaced_file == tmp_path / "replaced.key"
    assert after.lan.peer_mac == SUCCESSOR.lan_mac
    assert after.crossover.peer_mac == SUCCESSOR.crossover_mac
    assert loaded(tmp_path, joins).replaced_file is None
    assert after.guests == loaded(tmp_path, A).guests, "a guest is what it was"


def test_processors_that_were_added_are_kept(tmp_path: Path) -> None:
    given = loaded(tmp_path, A)
    more = replace(given, guests={"counter": replace(given.guests["counter"], vcpus=3)})
    _, joins = compose(survivor(tmp_path, config=more), SUCCESSOR, NEW_SECRET)
    assert 'vcpus: "3"' in written(answer_file.read(joins))[rendering.SETTINGS].text


def test_a_guest_with_several_disks_keeps_them(tmp_path: Path) -> None:
    given = changed(loaded(tmp_path, A), slices=(16, 8))
    for text in compose(survivor(tmp_path, config=given), SUCCESSOR, NEW_SECRET):
        answers = answer_file.read(text)
        assert loaded(tmp_path, answers).guests["counter"].slices == (16, 8)
    stays, joins = compose(survivor(tmp_path), SUCCESSOR, NEW_SECRET)
    assert "slices" not in stays + joins


def changed(given: config.Config, **guest: Any) -> config.Config:
    return replace(given, guests={"counter": replace(given.guests["counter"], **guest)})


def test_a_guest_that_was_left_behind_by_other_addresses_is_not_in_the_way(tmp_path: Path) -> None:
    left = changed(loaded(tmp_path, A), address=IPv4Address("192.168.7.50"))
    _, joins = compose(survivor(tmp_path, config=left), SUCCESSOR, NEW_SECRET)
    found = answer_file.read(joins)
    assert [guest.address for guest in found.guests] == [None]
    assert problems(found, hardware("c"), 1.0) == ()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("two disks", "disks of the guest counter"),
        ("no volume", "disks of the guest counter"),
        ("odd volume", "bytes"),
        ("no gateway", "gateway"),
        ("no address", "No interface lan"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, what: str, message: str) -> None:
    given = loaded(tmp_path, A)
    two = (("xvda", "/dev/drbd0"), ("xvdb", "/dev/drbd1"))
    changes: dict[str, dict[str, Any]] = {
        "two disks": {"config": changed(given, disks=two)},
        "no volume": {"volumes": []},
        "odd volume": {"volumes": [Volume("counter", (512 << 20) + 512, True, False)]},
        "no gateway": {"texts": Texts("", "")},
        "no address": {"interfaces": {}},
    }
    with pytest.raises(OperatorError, match=message):
        survivor(tmp_path, **changes[what])


def test_no_secret_is_printed(tmp_path: Path) -> None:
    one = survivor(tmp_path)
    assert PASSWORD not in repr(one) and SECRET not in repr(one)
