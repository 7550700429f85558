# SPDX-License-Identifier: MIT
"""What a change of the list of guests writes on each machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from firstboot import answers as answer_file
from firstboot import rendering
from firstboot.roster import files
from firstboot.roster.change import Change, Kind
from haagent import config
from haagent.config import Config
from haagent.core.wish import Target
from haagent.settings import ConfigError
from tests.unit.fake_machine import TEXTS
from tests.unit.fake_roster import WEB
from tests.unit.test_survivor import loaded

KEY = bytes(range(32))
WANTED = replace(WEB, number=2, mac="00:16:3e:00:00:05", address="10.0.2.51", place=10, pause=30)
ADD = Change(4, Kind.ADDED, WANTED)


def of(tmp_path: Path, name: str) -> Config:
    folder = tmp_path / name
    folder.mkdir()
    return loaded(folder, answer_file.read(TEXTS[name]))


def reloaded(tmp_path: Path, text: str) -> Config:
    path, cmdline = tmp_path / "new.yaml", tmp_path / "cmdline"
    path.write_text(text)
    cmdline.write_text("quiet\n")
    return config.load(path, cmdline)


@pytest.mark.parametrize("name", ["a", "b"])
def test_settings_are_written_as_they_were_read(tmp_path: Path, name: str) -> None:
    before = replace(of(tmp_path, name), list=7)
    assert reloaded(tmp_path, rendering.settings(before)) == before


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_guest_comes_and_goes(tmp_path: Path, name: str) -> None:
    before = of(tmp_path, name)
    added = files.settings(before, ADD)
    assert (added.path, added.mode) == (rendering.SETTINGS, 0o644)
    with_it = reloaded(tmp_path, added.text)
    assert with_it.list == 4 and with_it.guests == {**before.guests, "web": ADD.guest.config}
    assert with_it.pair.places == {"web": 10} and with_it.pair.guests["web"] == 0
    removed = files.settings(with_it, Change(5, Kind.REMOVED, ADD.guest))
    without = reloaded(tmp_path, removed.text)
    assert without == replace(before, list=5, removed=("web",))
    again = files.settings(without, replace(ADD, number=6))
    assert reloaded(tmp_path, again.text) == replace(with_it, list=6)


def test_a_guest_has_another_name_and_the_old_one_is_forgotten(tmp_path: Path) -> None:
    before = reloaded(tmp_path, files.settings(of(tmp_path, "a"), ADD).text)
    rename = Change(5, Kind.RENAMED, replace(WANTED, name="shop", begins="stopped"), was="web")
    after = reloaded(tmp_path, files.settings(before, rename).text)
    assert after.guests.keys() == {"counter", "shop"} and after.removed == ("web",)
    assert after.guests["shop"] == replace(before.guests["web"], begins=Target.STOPPED)
    back = Change(6, Kind.RENAMED, WANTED, was="shop")
    again = reloaded(tmp_path, files.settings(after, back).text)
    assert again == replace(before, list=6, removed=("shop",))


def test_no_guest_is_there_and_to_be_forgotten(tmp_path: Path) -> None:
    before = of(tmp_path, "a")
    both = rendering.settings(replace(before, removed=("counter",)))
    with pytest.raises(ConfigError, match="guest counter is used twice"):
        reloaded(tmp_path, both)


def test_both_machines_give_drbd_the_same(tmp_path: Path) -> None:
    mirrors = {files.mirror(of(tmp_path, name), ADD, KEY) for name in "ab"}
    (mirror,) = mirrors
    assert mirror.path == "/state/etc/drbd.d/web.res" and mirror.mode == 0o600
    assert "device /dev/drbd2 minor 2;" in mirror.text
    assert "address ipv4 192.168.77.1:7790;" in mirror.text
    assert "fencing" not in mirror.text
    assert KEY.hex() not in mirror.text


def test_what_nobody_knows_yet_does_not_wait_for_the_other_machine(tmp_path: Path) -> None:
    of_a = of(tmp_path, "a")
    mirror, passing = files.mirror(of_a, ADD, KEY), files.passing_mirror(of_a, ADD, KEY)
    assert passing.path.startswith("/run/") and passing.mode == 0o600
    assert "fencing dont-care;" in passing.text
    assert passing.text.startswith('include "/state/etc/drbd.d/shoestring.conf";\n')
    for line in mirror.text.splitlines():
        assert line in passing.text
