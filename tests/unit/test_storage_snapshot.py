# SPDX-License-Identifier: MIT
"""A snapshot of a guest's volume: there while it is read, gone afterwards, and nobody else's."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from haagent.errors import OperatorError, ToolError
from haagent.storage import snapshot as snapshots
from haagent.storage.kept import CHUNK, LIST, MIB, NOTE, PASSING, Kept
from haagent.storage.snapshot import LEAST, snapshot

SIZE = 2048 * MIB
NAME = "web_passing"


@dataclass(frozen=True)
class Row:
    name: str
    size: int = SIZE
    tags: str = ""
    origin: str = ""


class Lvm:
    """The group, as far as it matters here."""

    def __init__(self, *rows: Row, free: int = 8 * SIZE) -> None:
        self.rows = {row.name: row for row in rows}
        self.free = free
        self.in_use: set[str] = set()
        self.done: list[str] = []
        self.fails = ""

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        if argv == LIST:
            return json.dumps({"report": [{"lv": [self._told(row) for row in self.rows.values()]}]})
        if argv[0] == "vgs":
            return json.dumps({"report": [{"vg": [{"vg_free": str(self.free)}]}]})
        self.done.append(argv[0])
        if argv[0] == self.fails:
            raise ToolError(argv, 5, "no")
        words = dict(pairwise(argv))
        if argv[0] == "lvcreate":
            size = int(words["--size"].removesuffix("b"))
            assert size <= self.free
            is_snapshot = "--snapshot" in argv
            assert not is_snapshot or words["--permission"] == "r"
            origin = "web" if is_snapshot else ""
            self.rows[words["--name"]] = Row(words["--name"], size, words["--addtag"], origin)
        else:
            name = argv[-1].removeprefix("shoestring/")
            if name in self.in_use:
                raise ToolError(argv, 5, "Logical volume contains a filesystem in use.")
            del self.rows[name]
        return ""

    def _told(self, row: Row) -> dict[str, str]:
        return {
            "lv_name": row.name,
            "lv_size": str(row.size),
            "lv_tags": row.tags,
            "origin": row.origin,
            "lv_active": "active",
            "lv_snapshot_invalid": "",
        }


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "LOCKS", tmp_path / "run")


def test_two_that_begin_in_one_moment_leave_each_others_alone() -> None:
    lvm = Lvm(Row("web"), Row("mail"))
    with snapshot("web", lvm):
        with pytest.raises(OperatorError, match="web is being read already"), snapshot("web", lvm):
            pass
        assert NAME in lvm.rows
        with snapshot("mail", lvm):
            pass
        assert lvm.done == ["lvcreate", "lvcreate", "lvremove"]
    with snapshot("web", lvm):
        pass


def test_it_is_there_for_a_while_with_room_for_all() -> None:
    lvm = Lvm(Row("web"))
    with snapshot("web", lvm) as device:
        assert str(device) == f"/dev/shoestring/{NAME}"
        made = lvm.rows[NAME]
        assert made.tags == PASSING and made.size >= SIZE + SIZE // CHUNK * NOTE
        assert Kept(lvm).copies() == (), "a person is not told of it"
    assert list(lvm.rows) == ["web"]


def test_it_takes_what_room_there_is() -> None:
    lvm = Lvm(Row("web"), free=300 * MIB)
    with snapshot("web", lvm):
        assert lvm.rows[NAME].size == 300 * MIB


@pytest.mark.parametrize("free", [SIZE // 10 - 1, 0])
def test_without_room_nothing_is_begun(free: int) -> None:
    lvm = Lvm(Row("web"), free=free)
    with pytest.raises(OperatorError, match="MiB free for what web writes"), snapshot("web", lvm):
        pass
    assert lvm.done == []


def test_a_small_volume_takes_no_more_than_it_can_use() -> None:
    small = 16 * MIB
    lvm = Lvm(Row("web", small), free=40 * MIB)
    assert lvm.free < LEAST
    with snapshot("web", lvm):
        assert lvm.rows[NAME].size < lvm.free


def test_it_goes_whatever_happens() -> None:
    lvm = Lvm(Row("web"))
    with pytest.raises(KeyboardInterrupt), snapshot("web", lvm):
        raise KeyboardInterrupt
    assert list(lvm.rows) == ["web"]


def test_what_a_power_cut_left_is_removed() -> None:
    lvm = Lvm(Row("web"), Row(NAME, tags=PASSING, origin="web"))
    with snapshot("web", lvm):
        assert lvm.done == ["lvremove", "lvcreate"]


@pytest.mark.parametrize("strange", [Row(NAME, origin="web"), Row(NAME, tags=PASSING)])
def test_a_strangers_volume_is_left_alone(strange: Row) -> None:
    lvm = Lvm(Row("web"), strange)
    with pytest.raises(OperatorError, match="is no snapshot of ours"), snapshot("web", lvm):
        pass
    assert lvm.done == []


def test_two_do_not_read_it_at_once() -> None:
    lvm = Lvm(Row("web"), Row(NAME, tags=PASSING, origin="web"))
    lvm.in_use.add(NAME)
    with pytest.raises(OperatorError, match="web is being read already"), snapshot("web", lvm):
        pass
    assert NAME in lvm.rows


def test_a_guest_without_a_volume() -> None:
    with pytest.raises(OperatorError, match="The volume of web is not in the group"):  # noqa: SIM117
        with snapshot("web", Lvm(Row("mail"))):
            pass


def test_a_failure_of_lvm_is_told() -> None:
    lvm = Lvm(Row("web"))
    lvm.fails = "lvcreate"
    with pytest.raises(ToolError), snapshot("web", lvm):
        pass
    assert list(lvm.rows) == ["web"]
