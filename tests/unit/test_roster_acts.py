# SPDX-License-Identifier: MIT
"""`shoestring guest edit`, `resize` and `remove`: said first, agreed to, led, and told."""

from dataclasses import replace

import pytest

from firstboot.roster.__main__ import carry_on
from firstboot.roster.change import Change
from firstboot.roster.coming import volume_size
from firstboot.roster.part import Part
from haagent import shoestring
from haagent.command import Exit, Places
from haagent.errors import OperatorError
from haagent.storage.growth import usable
from tests.unit.fake_agent import Agent, Captured, agent, cut_in_two, places, systemctl, types
from tests.unit.fake_pair import STOPPED, FakePair, image, pair
from tests.unit.fake_roster import OLD, Behind, FakeHost, is_open

__all__ = ["agent", "image", "pair", "places", "systemctl"]  # fixtures


def counter(host: FakeHost) -> None:
    """Its only guest is the one that the agent shows."""
    host.guests = {"counter": replace(OLD, name="counter")}
    host.volumes, host.known = {"counter"}, {"counter"}
    host.mirrors = {"counter": "lasting"}


def test_a_guest_goes_when_its_name_is_typed(
    places: Places, agent: Agent, pair: FakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in (pair.a, pair.b):
        counter(host)
    agent.says(STOPPED)
    types(monkeypatch, "yes\n")
    assert shoestring.main(["guest", "remove", "counter"], places) == Exit.FAILED
    assert pair.a.effects == 0
    screen = types(monkeypatch, "counter\n")
    assert shoestring.main(["guest", "remove", "counter"], places) == Exit.PROTECTED
    assert "All that is on it is lost\nfor good" in screen.getvalue()
    assert pair.has == set()


def test_what_is_started_while_it_goes_is_not_cut_off(
    places: Places, agent: Agent, pair: FakePair, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A person at the other machine had it started."""
    for host in (pair.a, pair.b):
        counter(host)
    agent.says(STOPPED)
    decide = Part.decide

    def started(part: Part, change: Change) -> None:
        decide(part, change)
        pair.b.in_the_way = "counter is not stopped."

    monkeypatch.setattr(Part, "decide", started)
    types(monkeypatch, "counter\n")
    assert shoestring.main(["guest", "remove", "counter"], places) == Exit.FAILED
    assert "is not removed on both machines yet: It waits: counter is" in capsys.readouterr().err
    assert pair.has == {"counter"} and pair.carried_on == 1
    with pytest.raises(OperatorError, match="It waits"):
        carry_on(pair.meet(places))
    monkeypatch.setattr(Part, "decide", decide)
    pair.b.in_the_way = None
    carry_on(pair.meet(places))
    assert pair.has == set()


def renames(places: Places, name: str) -> int:
    return shoestring.main(["guest", "rename", "counter", name, "--yes"], places)


def test_a_guest_that_is_off_is_called_otherwise(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured
) -> None:
    for host in (pair.a, pair.b):
        counter(host)
    agent.says(STOPPED)
    assert renames(places, "shop") == Exit.PROTECTED
    assert pair.has == {"shop"}
    found = pair.b.guests["shop"]
    assert (found.number, found.mac, found.begins) == (0, "00:16:3e:00:00:01", "stopped")
    said = " ".join(capsys.readouterr().out.split())
    assert "counter is called shop from now on, on anna and on berta." in said
    assert "`shoestring guest start shop` starts it." in said


@pytest.mark.parametrize(
    ("name", "why"),
    [("counter", "is called so already"), ("Shop", "cannot be a guest's name")],
)
def test_a_name_that_will_not_do_is_refused(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured, name: str, why: str
) -> None:
    agent.says(STOPPED)
    assert renames(places, name) == Exit.FAILED
    assert why in " ".join(capsys.readouterr().err.split())
    assert pair.a.effects == 0


def test_what_runs_keeps_its_name(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured
) -> None:
    assert renames(places, "shop") == Exit.FAILED
    assert "counter is not stopped. Nothing was done." in capsys.readouterr().err
    assert pair.a.effects == 0


def edits(places: Places, *options: str) -> int:
    return shoestring.main(["guest", "edit", "counter", *options, "--yes"], places)


def test_what_is_set_changes_on_both_and_is_told(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured
) -> None:
    for host in (pair.a, pair.b):
        counter(host)
    assert edits(places, "--memory", "768", "--place", "10", "--on", "berta") == Exit.PROTECTED
    said = " ".join(capsys.readouterr().out.split())
    assert "counter, memory: 192 MiB, from now on 768 MiB." in said
    assert "counter, starts first on: anna, from now on berta." in said
    assert "until it is started anew: `shoestring guest restart counter`" in said
    for host in (pair.a, pair.b):
        found = host.guests["counter"]
        assert (found.memory, found.place, found.first_node) == (768, 10, 1)


def test_what_holds_at_once_waits_for_no_start(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured
) -> None:
    assert edits(places, "--place", "10") == Exit.PROTECTED
    assert "anew" not in capsys.readouterr().out


def test_a_card_of_what_was_started_meanwhile_waits(
    places: Places, agent: Agent, pair: FakePair, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """It would be announced with addresses that it does not have."""
    for host in (pair.a, pair.b):
        counter(host)
    agent.says(STOPPED)
    decide = Part.decide

    def started(part: Part, change: Change) -> None:
        decide(part, change)
        pair.b.in_the_way = "counter runs, and its card's addresses change only while it is off."

    monkeypatch.setattr(Part, "decide", started)
    assert edits(places, "--mac", "00:16:3e:00:00:07") == Exit.FAILED
    assert "not edited on both machines yet: It waits: counter runs" in capsys.readouterr().err
    for host in (pair.a, pair.b):
        assert host.guests["counter"].mac != "00:16:3e:00:00:07"
    monkeypatch.setattr(Part, "decide", decide)
    pair.b.in_the_way = None
    carry_on(pair.meet(places))
    for host in (pair.a, pair.b):
        assert host.guests["counter"].mac == "00:16:3e:00:00:07"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "Nothing of counter would change."),
        (("--vcpus", "1"), "Nothing of counter would change."),
        (("--vcpus", "none"), "--vcpus should be a number of processors"),
        (("--mac", "00:16:3e:00:00:07"), "its mac can change only while it is off"),
        (("--address", "none"), "its address can change only while it is off"),
    ],
)
def test_what_cannot_be_set_is_refused(
    places: Places,
    agent: Agent,
    pair: FakePair,
    capsys: Captured,
    options: tuple[str, ...],
    why: str,
) -> None:
    assert edits(places, *options) == Exit.FAILED
    assert why in " ".join(capsys.readouterr().err.split())
    assert pair.a.effects == pair.b.effects == 0


def test_a_card_changes_while_the_guest_is_off(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured
) -> None:
    agent.says(STOPPED)
    assert edits(places, "--mac", "00:16:3e:00:00:07", "--address", "none") == Exit.PROTECTED
    found = pair.b.guests["counter"]
    assert (found.mac, found.address) == ("00:16:3e:00:00:07", "")
    assert "anew" not in capsys.readouterr().out


def test_what_runs_is_not_removed_nor_by_a_script(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured
) -> None:
    assert shoestring.main(["guest", "remove", "counter"], places) == Exit.FAILED
    assert "`shoestring guest stop counter` first" in capsys.readouterr().err
    agent.says(STOPPED)
    assert shoestring.main(["guest", "remove", "counter"], places) == Exit.FAILED
    assert "takes a person at a terminal" in capsys.readouterr().err
    assert pair.a.effects == 0


def grows(places: Places, size: str, *more: str) -> int:
    return shoestring.main(["guest", "resize", "counter", "--disk", size, *more], places)


def test_a_disk_becomes_larger_on_both(
    places: Places, agent: Agent, pair: FakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in (pair.a, pair.b):
        counter(host)
    screen = types(monkeypatch, "yes\n")
    assert grows(places, "2G") == Exit.PROTECTED
    said = " ".join(screen.getvalue().split())
    assert "The disk of counter grows from 1.0 GiB to 2.0 GiB, on anna and on berta" in said
    assert "counter runs on, and is protected all the time." in said
    assert "A Linux guest sees the larger disk at once" in said
    assert said.endswith("counter has 2.0 GiB of disk, on anna and on berta.")
    for host in (pair.a, pair.b):
        assert host.grown == host.disks == {"counter": volume_size(2 << 30)}
        assert usable(host.grown["counter"]) >= 2 << 30


def test_the_last_of_several_disks_becomes_larger(
    places: Places, agent: Agent, pair: FakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_in_two(places)
    for host in (pair.a, pair.b):
        counter(host)
    screen = types(monkeypatch, "yes\n")
    assert grows(places, "2G") == Exit.PROTECTED
    said = " ".join(screen.getvalue().split())
    assert "The last disk of counter, xvdb, grows from 1023.0 MiB to 2.0 GiB, on anna" in said
    assert "The guest sees the larger disk when it is next started." in said
    assert said.endswith("counter has 2.0 GiB of disk xvdb, on anna and on berta.")
    assert pair.a.disks == {"counter": volume_size((2 << 30) + (1 << 20))}
    assert pair.a.guests["counter"].slices == (1,)


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ("512M", "The disk of counter has 1.0 GiB, and a disk only grows"),
        ("1G", "The disk of counter has 1.0 GiB, and a disk only grows"),
        ("20", "--disk should be a size"),
        ("9T", "A disk has 8 TiB at most, or it could not be backed up."),
    ],
)
def test_a_size_that_cannot_be_is_refused(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured, size: str, why: str
) -> None:
    assert grows(places, size, "--yes") == Exit.FAILED
    said = " ".join(capsys.readouterr().err.split())
    assert why in said and "Nothing was changed" in said
    assert pair.a.effects == pair.b.effects == 0


def test_what_is_in_the_way_of_a_larger_disk_is_said_by_either(
    places: Places, agent: Agent, pair: FakePair, capsys: Captured
) -> None:
    pair.b.in_the_way = "the data disk of berta has 3 MiB free, and it takes 1024 more."
    assert grows(places, "2G", "--yes") == Exit.FAILED
    assert "Nothing was begun: the data disk of berta has 3 MiB free" in capsys.readouterr().err
    assert pair.a.grown == pair.b.grown == {}


def test_a_resize_that_is_interrupted_says_what_becomes_of_it(
    places: Places, agent: Agent, pair: FakePair, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    for host in (pair.a, pair.b):
        counter(host)
    prepare, grow = Behind.prepare, FakeHost.grow_disk

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Behind, "prepare", interrupted)
    assert grows(places, "2G", "--yes") == Exit.INTERRUPTED
    assert "was interrupted.\n  Nothing was changed." in capsys.readouterr().err
    assert pair.carried_on == 0 and not is_open(pair.a) and not is_open(pair.b)
    monkeypatch.setattr(Behind, "prepare", prepare)
    monkeypatch.setattr(FakeHost, "grow_disk", interrupted)
    assert grows(places, "2G", "--yes") == Exit.INTERRUPTED
    said = " ".join(capsys.readouterr().err.split())
    assert "counter is resized on both machines, or soon will be. It goes on by itself" in said
    assert pair.carried_on == 1
    monkeypatch.setattr(FakeHost, "grow_disk", grow)
    carry_on(pair.meet(places))
    assert pair.a.disks == pair.b.disks == {"counter": volume_size(2 << 30)}


def test_a_machine_whose_drbd_does_not_show_it_is_named(
    places: Places, agent: Agent, pair: FakePair, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    for host in (pair.a, pair.b):
        counter(host)
    for there, shows in ((None, "none"), (1 << 30, "1.0 GiB")):
        monkeypatch.setattr(Behind, "disk_size", lambda self, guest, there=there: there)
        assert grows(places, "2G", "--yes") == Exit.FAILED
        assert f"larger, and DRBD on berta shows {shows}." in capsys.readouterr().err
