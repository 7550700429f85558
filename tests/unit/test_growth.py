# SPDX-License-Identifier: MIT
"""A disk becomes larger on two machines, wherever their power or their cable fails: DRBD's own data
are always found, nothing of the guest's is blanked, and what is new is blank when DRBD has it.
"""

import contextlib
import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest

from haagent.errors import OperatorError, ToolError
from haagent.storage import growth
from haagent.storage.growth import NOTE, PIECE, usable
from tests.unit.fake_growing import MINOR, Grower
from tests.unit.fake_roster import PowerCutError

MIB = 1 << 20
SMALL, LARGE = 256 * MIB, 288 * MIB


def silent(what: str, share: float) -> None:
    """Nobody watches."""


class Two:
    """`a` leads; the guest runs on `b`."""

    def __init__(self, root: Path, volume: int = SMALL) -> None:
        self.a, self.b = (Grower(root / name, volume) for name in "ab")
        self.b.is_primary = True
        self.a.meets(self.b)

    def grow(self, target: int = LARGE) -> None:
        """As roster/part.py has it: who leads comes last."""
        self.b.growth.prepare(target, silent)
        self.a.growth.prepare(target, silent)
        self.a.growth.take(target, waits=True)

    def comes_back(self) -> None:
        for one in (self.a, self.b):
            if one.is_off:
                one.boot()
        if self.a.peer is None:
            self.a.meets(self.b)

    def assert_grown(self, target: int = LARGE) -> None:
        for one in (self.a, self.b):
            assert one.volume == one.end == target
            assert one.device == usable(target) and one.held == 0
            assert one.written == [], "DRBD has what was never blanked"


@pytest.fixture
def number(tmp_path: Path) -> Callable[[], Path]:
    """A new folder each time."""
    made = iter(range(10_000))
    return lambda: tmp_path / str(next(made))


@pytest.mark.parametrize(
    ("volume", "disk"),
    [  # bytes: the formula of DRBD's user guide, in sectors: ceil(volume / 2^18) * 8 + 72
        (1 << 28, (1 << 28) - 88 * 512),
        ((1 << 28) + (4 << 20), (1 << 28) + (4 << 20) - 96 * 512),
        (1 << 40, (1 << 40) - (8192 * 8 + 72) * 512),
    ],
)
def test_what_drbd_leaves_of_a_volume(volume: int, disk: int) -> None:
    assert usable(volume) == disk


def test_both_grow_and_nothing_is_copied(tmp_path: Path) -> None:
    two = Two(tmp_path)
    shown: list[float] = []
    two.b.growth.prepare(LARGE, lambda what, share: shown.append(share))
    assert two.a.device == two.b.device == usable(SMALL), "the other one has no room for it yet"
    two.a.growth.prepare(LARGE, silent)
    assert two.a.device == usable(SMALL) and two.a.held == two.b.held == two.a.device
    two.a.growth.take(LARGE, waits=True)
    two.assert_grown()
    assert shown == sorted(shown) and shown[-1] == 1.0
    assert len(shown) == -(-(usable(LARGE) - usable(SMALL)) // PIECE)
    assert two.a.asked[-1] == f"drbdsetup resize {MINOR} --assume-clean"
    first = next(n for n, what in enumerate(two.b.asked) if what.startswith("lvextend"))
    before = two.b.asked[:first]
    assert f"drbdsetup resize {MINOR} --size={usable(SMALL) // 512}s" in before
    assert f"drbdsetup check-resize {MINOR}" in before


def lone(root: Path) -> Grower:
    return Grower(root, SMALL, is_primary=True, is_only=True)


def grow_alone(one: Grower) -> None:
    one.growth.prepare(LARGE, silent)
    one.growth.take(LARGE, waits=True, is_only=True)


def test_the_only_one_grows_wherever_its_power_fails(number: Callable[[], Path]) -> None:
    whole = lone(number())
    grow_alone(whole)
    for cut in range(1, whole.effects + 1):
        one = lone(number())
        one.cut = cut
        with contextlib.suppress(PowerCutError):
            grow_alone(one)
        assert one.is_off
        one.boot()
        grow_alone(one)
        assert one.device == usable(LARGE) and one.volume == one.end == LARGE
        assert one.held == 0 and one.written == []


def test_of_a_pair_nobody_says_what_the_other_one_has_room_for(tmp_path: Path) -> None:
    """Nor does it grow beside a machine that is away."""
    two = Two(tmp_path)
    two.a.loses()
    two.b.growth.prepare(LARGE, silent)
    two.b.growth.take(LARGE, waits=False)
    assert two.b.device == usable(SMALL)
    with pytest.raises(AssertionError, match="nobody has looked"):
        two.b.growth.take(LARGE, waits=False, is_only=True)


def test_what_was_blanked_is_not_blanked_again(tmp_path: Path) -> None:
    two = Two(tmp_path)
    two.b.growth.prepare(LARGE, silent)
    done = list(two.b.blank)
    two.b.growth.prepare(LARGE, silent)
    assert two.b.blank == done
    two.b.loses()
    two.b.is_off = True
    two.comes_back()
    two.b.growth.prepare(LARGE, silent)
    assert len(two.b.blank) == 2 * len(done), "a power cut may have lost what was written"
    two.grow()
    two.assert_grown()
    two.grow()
    two.assert_grown()


def test_a_step_after_the_other(tmp_path: Path) -> None:
    two = Two(tmp_path)
    for target in (LARGE, LARGE + 4 * MIB, 2 * LARGE):
        two.grow(target)
        two.assert_grown(target)


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_power_fails_after_every_single_effect(number: Callable[[], Path], name: str) -> None:
    whole = Two(number())
    before = getattr(whole, name).effects
    whole.grow()
    for cut in range(1, getattr(whole, name).effects - before + 1):
        two = Two(number())
        getattr(two, name).cut = cut
        with contextlib.suppress(PowerCutError, ToolError):
            two.grow()
        assert getattr(two, name).is_off
        two.comes_back()
        two.grow()
        two.assert_grown()


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_cable_fails_for_a_moment_after_every_single_effect(
    number: Callable[[], Path], name: str
) -> None:
    """What DRBD does by itself when it connects."""
    whole = Two(number())
    whole.grow()
    for at in range(1, getattr(whole, name).effects + 1):
        two = Two(number())
        one = getattr(two, name)
        effect = one._effect

        def flap(
            happen: Callable[[], object],
            effect: Callable[[Callable[[], object]], None] = effect,
            two: Two = two,
            one: Grower = one,
            at: int = at,
        ) -> None:
            effect(happen)
            if one.effects == at:
                two.a.loses()
                two.a.meets(two.b)

        one._effect = flap
        two.grow()
        two.assert_grown()


@pytest.mark.parametrize("name", ["a", "b"])
def test_both_lose_their_power_after_every_single_effect(
    number: Callable[[], Path], name: str
) -> None:
    """DRBD takes what is new when they meet, blank or not. Then nothing of it is blanked any more:
    it is the guest's.
    """
    taken = 0
    whole = Two(number())
    whole.grow()
    for cut in range(1, getattr(whole, name).effects + 1):
        two = Two(number())
        getattr(two, name).cut = cut
        with contextlib.suppress(PowerCutError, ToolError):
            two.grow()
        two.a.is_off = two.b.is_off = True
        two.a.loses()
        two.comes_back()
        is_taken = two.a.device == usable(LARGE)
        taken += is_taken
        before = [*two.a.blank, *two.b.blank]
        two.grow()
        assert not is_taken or [*two.a.blank, *two.b.blank] == before
        for one in (two.a, two.b):
            assert one.volume == one.end == LARGE and one.device == usable(LARGE)
            assert one.written == [] or is_taken
    assert (taken > 0) is (name == "a"), "only who comes last has the other one's ready"


def test_one_that_is_left_alone_leaves_it_to_the_next_one(tmp_path: Path) -> None:
    two = Two(tmp_path)
    two.b.loses()
    two.b.growth.prepare(LARGE, silent)
    two.b.growth.take(LARGE, waits=False)
    assert two.b.volume == two.b.end == LARGE and two.b.device == usable(SMALL)
    done = list(two.b.blank)
    two.b.growth.prepare(LARGE, silent)
    two.b.growth.take(LARGE, waits=False)
    assert two.b.blank == done, "a replacement asks twice"
    new = Grower(tmp_path / "new", LARGE)
    new.device = 0
    new.blank = [range(LARGE)]
    new.meets(two.b)
    assert new.device == two.b.device == usable(LARGE)
    assert two.b.written == []


def test_without_a_note_no_volume_grows(tmp_path: Path) -> None:
    two = Two(tmp_path)
    run = two.b.run

    def forgets(argv: list[str], **more: float) -> str:
        said = run(argv, timeout=1)
        (two.b.root / NOTE.format(minor=MINOR)).unlink(missing_ok=True)
        return said

    two.b.run = forgets  # type: ignore[assignment,method-assign]
    with pytest.raises(OperatorError, match="A power cut could not be survived"):
        two.b.growth.prepare(LARGE, silent)
    assert two.b.volume == SMALL
    other = two.a.root / NOTE.format(minor=MINOR)
    run_a = two.a.run

    def lies(argv: list[str], **more: float) -> str:
        said = run_a(argv, timeout=1)
        other.write_text("12345\t/dev/shoestring/web\n")
        return said

    two.a.run = lies  # type: ignore[assignment,method-assign]
    with pytest.raises(ToolError, match="instead of"):
        two.a.growth.prepare(LARGE, silent)
    assert two.a.volume == SMALL


def test_nothing_grows_while_the_guest_is_off(tmp_path: Path) -> None:
    two = Two(tmp_path)
    two.b.is_primary = False
    with pytest.raises(ToolError, match="Need one Primary"):
        two.b.growth.prepare(LARGE, silent)
    assert two.b.volume == SMALL


def test_what_drbd_has_already_is_not_asked_for(tmp_path: Path) -> None:
    """The power failed before that was written down, and the guest is off since."""
    two = Two(tmp_path)
    two.grow()
    two.b.is_primary = False
    two.grow()
    two.assert_grown()


def test_only_one_blanks_at_a_time_and_no_backup_is_made_meanwhile(tmp_path: Path) -> None:
    two = Two(tmp_path)
    two.b.growth.prepare(SMALL, silent)
    lock = two.b.root / "run/shoestring/reading-web.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OperatorError, match="or its disk is being made larger"):
            two.b.growth.prepare(LARGE, silent)
    assert two.b.volume == SMALL


def test_a_disk_that_is_not_there_is_told(tmp_path: Path) -> None:
    two = Two(tmp_path)
    (two.b.root / f"sys/class/block/drbd{MINOR}/size").write_text("0\n")
    with pytest.raises(OperatorError, match="is not there"):
        two.b.growth.prepare(LARGE, silent)


def test_a_device_that_does_not_grow_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "LIMIT", 0.0)
    two = Two(tmp_path)
    two.a.growth.prepare(LARGE, silent)
    with pytest.raises(ToolError, match=f"the device has {usable(SMALL)} bytes"):
        two.a.growth.take(LARGE, waits=True)
