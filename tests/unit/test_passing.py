# SPDX-License-Identifier: MIT
"""The volume for what is fetched: there while it is read, gone afterwards, and nobody else's."""

from pathlib import Path

import pytest

from haagent.errors import OperatorError, ToolError
from haagent.storage import passing
from haagent.storage.kept import MIB, PASSING, Kept
from haagent.storage.passing import NAME, volume
from tests.unit.test_storage_snapshot import Lvm, Row


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "LOCKS", tmp_path / "run")


def test_it_is_there_for_a_while() -> None:
    lvm = Lvm(Row("web"))
    with volume(5 * MIB + 1, lvm) as device:
        assert device == Path("/dev/shoestring") / NAME
        assert (lvm.rows[NAME].size, lvm.rows[NAME].tags) == (8 * MIB, PASSING)
        assert list(Kept(lvm).needs()) == ["web"], "nobody keeps a copy of it"
        with pytest.raises(OperatorError, match="being fetched already"), volume(MIB, lvm):
            pass
    assert list(lvm.rows) == ["web"] and lvm.done == ["lvcreate", "lvremove"]


def test_it_goes_whatever_happens() -> None:
    lvm = Lvm(Row("web"))
    with pytest.raises(KeyboardInterrupt), volume(MIB, lvm):
        raise KeyboardInterrupt
    assert list(lvm.rows) == ["web"]


def test_what_a_power_cut_left_is_removed_first() -> None:
    lvm = Lvm(Row(NAME, tags=PASSING), free=0)
    with pytest.raises(OperatorError, match=r"has 2 MiB, .* 0 MiB are free there"):  # noqa: SIM117
        with volume(2 * MIB, lvm):
            pass
    assert lvm.done == ["lvremove"]


def test_without_room_nothing_is_made() -> None:
    lvm = Lvm(Row("web"), free=8 * MIB)
    with pytest.raises(OperatorError, match="Nothing was changed"), volume(8 * MIB + 1, lvm):
        pass
    assert lvm.done == []
    with volume(8 * MIB, lvm):
        pass


def test_a_strangers_volume_is_left_alone() -> None:
    lvm = Lvm(Row(NAME))
    with pytest.raises(OperatorError, match="that is not ours"), volume(MIB, lvm):
        pass
    assert lvm.done == []


def test_a_failure_of_lvm_is_told() -> None:
    lvm = Lvm(Row("web"))
    lvm.fails = "lvcreate"
    with pytest.raises(ToolError), volume(MIB, lvm):
        pass
    assert list(lvm.rows) == ["web"]
