# SPDX-License-Identifier: MIT
"""An update gets onto the stick, and no power cut on that way leaves one that does not start."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from haagent.errors import OperatorError
from haagent.update import archive, grubenv, installing, medium
from haagent.update.archive import Reader
from haagent.update.installing import install
from haagent.update.manifest import BadUpdate
from haagent.update.slots import ENVIRONMENT, TRIES, Intent
from tests.unit.fake_stick import (
    CMDLINE,
    KEY,
    NEW,
    OLD,
    FakeStick,
    PowerCutError,
    grub_falls_back_to,
    grub_starts,
    held,
    update_file,
)

GIVEN_UP = "0.1.5"  # was in the other slot, and did not start
# Where an update may begin: nothing in the other slot; one that was given up; one that waits for
# its restart; a marked one that could still be gone back to.
BEGINNINGS = {
    "fresh": (None, Intent("a")),
    "fallen": (GIVEN_UP, Intent("a", fallen="b")),
    "waiting": (GIVEN_UP, Intent("b", other="a")),
    "way back": (GIVEN_UP, Intent("a", other="b")),
}
SEEDS = 4


@pytest.fixture(scope="module")
def update(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return update_file(tmp_path_factory.mktemp("update")).read_bytes()


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each file takes several writes."""
    monkeypatch.setattr(archive, "CHUNK", 1500)


def reader(update: bytes) -> Reader:
    return Reader(io.BytesIO(update), KEY.public_key())


def begun(beginning: str, *, cut_at: int | None = None, seed: int = 0) -> FakeStick:
    held, intent = BEGINNINGS[beginning]
    stick = FakeStick(cut_at=cut_at, seed=seed).holds("a", OLD).intends(intent, odd="kept")
    return stick.holds("b", held) if held else stick


def put(stick: FakeStick, update: bytes) -> None:
    install(reader(update), stick, CMDLINE)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_it_is_tried_at_the_next_start_and_has_a_way_back(beginning: str, update: bytes) -> None:
    stick = begun(beginning)
    put(stick, update)
    assert grub_starts(stick) == NEW
    assert stick.pending == []
    variables = grubenv.parse(stick.disk[ENVIRONMENT])
    assert Intent.of(variables) == Intent("b", TRIES, other="a", fallen="")
    assert variables["odd"] == "kept", "a variable that is not ours is lost"
    assert sorted(stick.names("slot-b")) == [
        f"slot-b/{name}" for name in ("initrd", "slot.cfg", "vmlinux", "vmlinuz", "xen")
    ]


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_power_cut_at_any_step_leaves_what_ran_before(beginning: str, update: bytes) -> None:
    whole = begun(beginning)
    put(whole, update)
    assert whole.steps > 30
    fresh = set()
    for cut_at in range(1, whole.steps + 1):
        for seed in range(SEEDS):
            stick = begun(beginning, cut_at=cut_at, seed=seed)
            with pytest.raises(PowerCutError):
                put(stick, update)
            starts = grub_starts(stick)
            # One that waited for its restart may still be taken, until the first step lasts.
            may = {OLD, GIVEN_UP} if beginning == "waiting" and cut_at <= 2 else {OLD}
            # The last two steps say that the new one is wanted: it is whole by then.
            may |= {NEW} if cut_at >= whole.steps - 1 else set()
            assert starts in may, f"cut at {cut_at} of {whole.steps}, seed {seed}"
            assert grub_falls_back_to(stick) in ("", OLD, GIVEN_UP)
            assert held(stick, "b") in ("slot b is empty", GIVEN_UP, NEW), "half a slot"
            fresh.add(starts)
            # And whatever the power did, the same once more gets it done.
            again = begun(beginning)
            again.disk = dict(stick.disk)
            runs = CMDLINE if starts == OLD else CMDLINE.replace("slot=a", "slot=b")
            install(reader(update), again, runs)
            assert grub_starts(again) == NEW
    assert NEW in fresh, "no cut ever came at the decision: the last step is not tried"


def test_the_count_of_what_runs_is_not_touched_before_the_end(update: bytes) -> None:
    whole = begun("fresh")
    put(whole, update)
    stick = begun("fresh", cut_at=whole.steps - 5)
    stick.intends(Intent("a", 1))
    with pytest.raises(PowerCutError):
        put(stick, update)
    assert Intent.of(grubenv.parse(stick.disk[ENVIRONMENT])).left == 1


@pytest.mark.parametrize("at", [-1000, 8000, 20000])
def test_a_damaged_one_is_found_before_anything_is_touched(at: int, update: bytes) -> None:
    at %= len(update)
    bad = update[:at] + bytes([update[at] ^ 4]) + update[at + 1 :]
    with pytest.raises(BadUpdate):
        installing.examine(reader(bad))


def test_one_that_is_damaged_on_the_way_is_not_started(update: bytes) -> None:
    """It was whole when it was looked at."""
    stick = begun("fallen")
    bad = update[:20000] + bytes([update[20000] ^ 4]) + update[20001:]
    with pytest.raises(BadUpdate, match="the sum of"):
        put(stick, bad)
    assert grub_starts(stick) == OLD
    assert "slot-b/slot.cfg" not in stick.files


@pytest.mark.parametrize("flips", ["root-b", "slot-b/initrd", "slot-b/slot.cfg", ENVIRONMENT])
def test_a_stick_that_does_not_keep_it_is_found_out(flips: str, update: bytes) -> None:
    stick = begun("fresh")
    stick.flips = flips
    with pytest.raises(OperatorError, match="read back"):
        put(stick, update)
    if flips != ENVIRONMENT:
        assert grub_starts(stick) == OLD


def test_variables_that_cannot_be_read_do_not_stop_it(update: bytes) -> None:
    stick = begun("fresh")
    stick.disk[ENVIRONMENT] = b"\xff" * grubenv.SIZE
    put(stick, update)
    assert grub_starts(stick) == NEW


def test_progress_goes_up_to_the_whole(update: bytes) -> None:
    told: list[tuple[str, float]] = []
    install(reader(update), begun("fresh"), CMDLINE, lambda *one: told.append(one))
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert {what for what, _ in told} == {"Writing", "Reading back"}


def test_what_was_given_up_can_be_put_aside(update: bytes) -> None:
    stick = begun("fallen")
    found = medium.standing(stick, CMDLINE)
    installing.dismiss_fallen(stick, found)
    assert medium.standing(stick, CMDLINE) == replace(found, intent=Intent("a"))


def test_a_real_file_is_packed_with_all_of_its_parts(tmp_path: Path) -> None:
    made = update_file(tmp_path)
    with made.open("rb") as file:
        found = installing.examine(Reader(file, KEY.public_key()))
    assert str(found.release) == NEW
    assert not made.with_name(f"{made.name}.new").exists()
