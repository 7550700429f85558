# SPDX-License-Identifier: MIT
"""From the agreement to the finished pair, with the power cut after everything that lasts: both
machines go on to the end, or both begin again. Never half.
"""

import re
from collections.abc import Callable

import pytest

from firstboot import agreement as agreements
from firstboot import journal
from firstboot.agreement import Agreement, Stage, heard, word
from firstboot.apply import COMPLETE, set_up
from firstboot.rendering import SETTINGS
from tests.unit.fake_machine import SECRET, TEXTS, FakeMachine, PowerCutError, hardware

NAMES = ("a", "b")
IDENTITIES = ("a's stick", "b's stick")
PAIR_SECRET = "00112233445566778899aabbccddeeff" * 2  # of the agreement


class Half(FakeMachine):
    """One machine, with what was agreed."""

    def __init__(self, me: int) -> None:
        super().__init__(None, hardware(NAMES[me]), is_leader=me == 0)
        self.me = me

    @property
    def agreed(self) -> Agreement | None:
        return agreements.from_file(self.read(agreements.PATH))

    @property
    def stage(self) -> Stage:
        """What there is to know of it, also when the agreement is gone because all is done."""
        if self.read(COMPLETE.path) is not None or self.read(SETTINGS) is not None:
            return Stage.COMMITTED
        return Stage.BLANK if self.agreed is None else self.agreed.stage

    def prepare(self) -> None:
        agreed = Agreement(
            Stage.PREPARED, IDENTITIES[1 - self.me], TEXTS[NAMES[self.me]], PAIR_SECRET
        )
        self.write(agreements.to_file(agreed))

    def hear(self, other: "Half") -> None:
        """What the other one says now, as firstboot/meeting.py takes it."""
        mine = self.agreed
        if mine is None or mine.stage is not Stage.PREPARED:
            return
        after = heard(mine, IDENTITIES[other.me], word(other.agreed, IDENTITIES[other.me]))
        if after is None:
            self.remove(agreements.PATH)
        elif after != mine:
            self.write(agreements.to_file(after))

    def go_on(self) -> None:
        """As firstboot/evening.py begins after every start."""
        if self.stage is Stage.COMMITTED:
            assert set_up(self, self.tell)


def begin(a: Half, b: Half) -> None:
    """The end of the conversation: the driven machine writes first."""
    b.prepare()
    a.prepare()


def finish(a: Half, b: Half) -> None:
    for one, other in ((a, b), (b, a), (a, b)):
        one.hear(other)
    stages = {a.stage, b.stage}
    assert stages in ({Stage.BLANK}, {Stage.COMMITTED}), stages
    for one in (a, b):
        one.go_on()


def whole_pair() -> tuple[Half, Half]:
    a, b = Half(0), Half(1)
    begin(a, b)
    finish(a, b)
    return a, b


def cut_pair(who: int, cut: int) -> tuple[Half, Half]:
    """The same, until the power of one fails after CUT effects; the other one did what it could
    until then, and is switched off as well.
    """
    both = Half(0), Half(1)
    both[who].cut = cut

    def attempt(act: Callable[[], None]) -> None:
        try:
            act()
        except PowerCutError:
            both[who].cut = None
            raise

    with pytest.raises(PowerCutError):
        attempt(lambda: begin(*both))
        attempt(lambda: finish(*both))
    for one in both:
        one.boot()
    return both


WHOLE = whole_pair()


@pytest.mark.parametrize("who", [0, 1])
def test_a_cut_after_every_effect_ends_with_a_pair_or_with_two_blank_machines(who: int) -> None:
    begun_anew = 0
    continued = set()
    for cut in range(1, WHOLE[who].effects + 1):
        a, b = cut_pair(who, cut)
        assert {a.stage, b.stage} != {Stage.BLANK, Stage.COMMITTED}, cut
        disks = [one.disk.kinds for one in (a, b)]
        finish(a, b)
        if a.stage is Stage.BLANK:
            assert disks == [(), ()], f"nothing may be written before both have agreed: {cut}"
            begun_anew += 1
            begin(a, b)
            finish(a, b)
        for one, whole in zip((a, b), WHOLE, strict=True):
            assert one.kept() == whole.kept(), f"cut of {NAMES[who]} after effect {cut}"
        told = "\n".join((a, b)[who].said)
        continued |= set(re.findall(r"Continuing the set-up .* at (step \d+|its last step)", told))
    assert begun_anew, "no cut was so early"
    steps = len(re.findall(r"^\d+/", "\n".join(WHOLE[who].said), re.M))
    # The first step has nothing to go on from, and renaming a running machine leaves no trace.
    missing = {f"step {number}" for number in range(2, steps)} - continued
    assert not missing and "its last step" in continued, missing


@pytest.mark.parametrize("who", [0, 1])
def test_nothing_with_a_secret_is_left_in_the_end(who: int) -> None:
    for cut in [None, *range(1, WHOLE[who].effects + 1)]:
        both = WHOLE if cut is None else cut_pair(who, cut)
        finish(*both)
        if both[0].stage is Stage.BLANK:
            begin(*both)
            finish(*both)
        for one in both:
            assert agreements.PATH not in one.files and "answers.yaml" not in one.stick
            kept = "".join(file.text for file in one.files.values())
            assert PAIR_SECRET not in kept and SECRET not in kept.lower(), cut
            assert one.files[COMPLETE.path] == COMPLETE and journal.PATH in one.files


def test_whoever_loses_its_power_for_good_leaves_the_other_one_a_way_back() -> None:
    """The stick of one was flashed anew after it had prepared: it is blank, under the same name or
    another one.
    """
    a = Half(0)
    a.prepare()
    a.hear(Half(1))
    assert a.stage is Stage.BLANK and not a.disk.kinds
