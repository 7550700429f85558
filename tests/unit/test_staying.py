# SPDX-License-Identifier: MIT
"""A survivor and a blank machine become a pair, with the power cut after everything that lasts on
either: each start finds the old pair whole, or makes the new one whole. The guest runs on.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import pytest

from firstboot import agreement as agreements
from firstboot import answers as answer_file
from firstboot.agreement import Agreement, Stage, heard, word
from firstboot.answers import MOST_KEYS, Answers
from firstboot.apply import COMPLETE, set_up
from firstboot.rendering import KEY, REPLACED_KEYS, SETTINGS, File
from firstboot.staying import Staying, keep_key, keys_of_replaced
from firstboot.steps import WriteFiles, plan
from firstboot.survivor import compose
from haagent.core.model import Disk, Link, Resource, Role
from haagent.errors import OperatorError
from tests.unit.fake_machine import TEXTS, FakeMachine, PowerCutError, finished, hardware
from tests.unit.test_survivor import NEW_SECRET, SUCCESSOR, survivor

IDENTITIES = ("a's stick", "c's stick")


class Texts(NamedTuple):
    """The answers of both machines, and what the survivor was: half of a pair, or alone."""

    stays: str
    joins: str
    was: str


@cache
def old_files(was: str = "a") -> dict[str, File]:
    return dict(finished(was).files)


@pytest.fixture(scope="module", params=["a", "alone"])
def texts(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Texts:
    was = answer_file.read(TEXTS[request.param])
    found = survivor(tmp_path_factory.mktemp("a"), was)
    return Texts(*compose(found, SUCCESSOR, NEW_SECRET), request.param)


class Lone(FakeMachine):
    """The survivor: a finished machine whose agent runs, and what those that run have read."""

    def __init__(self, text: str, was: str) -> None:
        super().__init__(None, hardware("a"), is_leader=True)
        self.before = old_files(was)
        self.files = dict(self.before)
        self.text = text
        self.new: New | None = None
        self.heralds = 0
        self.boot()

    def boot(self) -> None:
        super().boot()
        self.mirror_has = self.agent_has = ""
        self.runs = False

    def start_units(self) -> None:
        """What waits for the survivor's files, after a boot."""
        if not self.runs:
            self.runs = True
            self._read()

    def _read(self) -> None:
        self.mirror_has = self._text("/state/etc/drbd.d/counter.res")
        self.agent_has = self._text(KEY) + self._text(SETTINGS)

    def is_agent_running(self) -> bool:
        return self.runs

    def adjust_mirror(self, guest: str) -> None:
        self.mirror_has = self._text(f"/state/etc/drbd.d/{guest}.res")

    def restart_services(self) -> None:
        self.agent_has = self._text(KEY) + self._text(SETTINGS)

    def await_mirror(self, guest: str, is_enough: Callable[[Resource], bool]) -> Resource:
        for happens in (self._nothing_new, self._new_one_hears):
            happens()
            now = self._mirror()
            if is_enough(now):
                return now
        raise PowerCutError  # it waits as long as it takes; somebody switches it off

    def _nothing_new(self) -> None:
        pass

    def _new_one_hears(self) -> None:
        if self.new is not None:
            self.new.hear(self)

    def _mirror(self) -> Resource:
        link, theirs = Link.CONNECTING, Disk.OUTDATED
        if self.new is not None and self.new.is_handed_over:
            text = self.new._text("/state/etc/drbd.d/counter.res")
            assert text == self.mirror_has, "two secrets meet: DRBD hangs up for good"
            link, theirs = Link.SYNC_SOURCE, Disk.INCONSISTENT
        return Resource(Role.PRIMARY, link, Disk.UP_TO_DATE, theirs)

    @property
    def agreed(self) -> Agreement | None:
        return agreements.from_file(self.read(agreements.PATH))

    def commit(self) -> None:
        keep_key(self)
        agreed = Agreement(Stage.COMMITTED, IDENTITIES[1], self.text, NEW_SECRET)
        self.write(agreements.to_file(agreed))

    def go_on(self) -> bool:
        """As its unit does after every start, and when the command is done."""

        def ready() -> None:
            is_new = self.agreed is not None or self.files[SETTINGS] != self.before[SETTINGS]
            for path, file in (new_files(self.text) if is_new else self.before).items():
                if path in PAIRS:
                    assert self.files[path] == file, f"{path} is half"
            self.start_units()

        @contextlib.contextmanager
        def herald(agreed: Agreement, answers: Answers) -> Iterator[None]:
            new = self._text("/state/etc/drbd.d/counter.res")
            assert self.mirror_has == new, "it says that it has committed; DRBD is not there yet"
            assert "vacant" not in self._text(SETTINGS) + self.agent_has, "two would write"
            self.heralds += 1
            yield

        return Staying(self, self.tell, ready, herald).run()


PAIRS = (
    "/state/etc/drbd.d/counter.res",
    "/state/etc/drbd.d/shoestring.conf",
    "/state/etc/ha.d/authkeys",
    "/state/etc/ha.d/ha.cf",
    KEY,
    SETTINGS,
)


def new_files(text: str) -> dict[str, File]:
    steps = plan(answer_file.read(text), 1.0)
    return {file.path: file for s in steps if isinstance(s, WriteFiles) for file in s.files}


class New(FakeMachine):
    """The blank machine."""

    def __init__(self, text: str) -> None:
        super().__init__(None, hardware("c"), is_leader=False)
        self.text = text

    @property
    def agreed(self) -> Agreement | None:
        return agreements.from_file(self.read(agreements.PATH))

    def prepare(self) -> None:
        agreed = Agreement(Stage.PREPARED, IDENTITIES[0], self.text, NEW_SECRET)
        self.write(agreements.to_file(agreed))

    def hear(self, other: Lone) -> None:
        """What the survivor says now, and what comes of it."""
        mine = self.agreed
        if mine is not None and mine.stage is Stage.PREPARED and other.agreed is not None:
            after = heard(mine, IDENTITIES[0], word(other.agreed, IDENTITIES[0]))
            assert after is not None and after.stage is Stage.COMMITTED
            self.write(agreements.to_file(after))
        self.go_on()

    def go_on(self) -> None:
        agreed = self.agreed
        is_committed = agreed is not None and agreed.stage is Stage.COMMITTED
        if is_committed or SETTINGS in self.files:
            assert set_up(self, self.tell)
            self.is_handed_over = True

    def skip_first_sync(self, guest: str) -> None:
        raise AssertionError("safety: the survivor's data would never be copied")

    def promote(self, guest: str) -> None:
        raise AssertionError("safety: a new machine is no Primary")


def play(a: Lone, c: New) -> None:
    c.prepare()
    a.commit()
    a.new = c
    assert a.go_on()


def fresh(texts: Texts) -> tuple[Lone, New]:
    a, c = Lone(texts.stays, texts.was), New(texts.joins)
    a.start_units()  # it has served for long
    return a, c


def assert_new(a: Lone, c: New) -> None:
    for path, file in new_files(a.text).items():
        assert a.files[path] == file
    assert a.agent_has == a.files[KEY].text + a.files[SETTINGS].text
    assert agreements.PATH not in a.files, "the secret stays on the stick"
    assert agreements.PATH not in c.files and COMPLETE.path in c.files
    assert a.files[REPLACED_KEYS].text == a.before[KEY].text
    assert a.files[REPLACED_KEYS].mode == 0o600
    volume = c.disk.volumes["counter"]
    assert (volume.metadata, volume.content) == ("fresh", ""), "DRBD copies all of it"


def test_who_was_alone_was_so_before(texts: Texts) -> None:
    a, _ = fresh(texts)
    assert ("vacant" in a.agent_has) is (texts.was == "alone")


def test_from_one_machine_to_a_pair(texts: Texts) -> None:
    a, c = fresh(texts)
    play(a, c)
    assert_new(a, c)


def count(texts: Texts, who: int) -> int:
    both = fresh(texts)
    play(*both)
    return both[who].effects


@pytest.mark.parametrize("who", [0, 1])
def test_a_power_cut_after_everything_that_lasts(texts: Texts, who: int) -> None:
    """The one that lost its power comes back; what was agreed on by then is carried out."""
    for cut in range(1, count(texts, who) + 1):
        a, c = fresh(texts)
        victim: Lone | New = (a, c)[who]
        victim.cut = cut
        with contextlib.suppress(PowerCutError):
            play(a, c)
        victim.cut = None
        victim.boot()
        a.new = c
        if a.agreed is None and a.files.get(SETTINGS) == a.before[SETTINGS]:
            # Nothing came of it, or nothing yet: the old pair is whole, and it is typed again.
            assert not a.go_on()
            assert a.agent_has == a.before[KEY].text + a.before[SETTINGS].text
            if c.agreed is not None:
                assert c.agreed.stage is Stage.PREPARED
                c.remove(agreements.PATH)
            assert c.disk.volumes == {} and SETTINGS not in c.files, (
                "it was begun, by nobody's word"
            )
            play(a, c)
        else:
            c.go_on()
            a.go_on()
            a.start_units()
        assert_new(a, c)


def test_a_survivor_whose_new_peer_never_comes_serves_on_in_the_new_pair(
    texts: Texts,
) -> None:
    a, _ = fresh(texts)
    a.commit()
    with pytest.raises(PowerCutError):  # it is waited for as long as it takes
        a.go_on()
    a.boot()
    with pytest.raises(PowerCutError):
        a.go_on()
    assert a.runs and a.agent_has == a.files[KEY].text + a.files[SETTINGS].text
    assert a.heralds == 2 and a.agreed is not None


def test_the_agent_is_restarted_once_however_often_this_is_cut_short(
    texts: Texts,
) -> None:
    """systemd lets a unit start ten times a minute, and an agent that stays down is a reset."""
    a, _ = fresh(texts)
    a.commit()
    restarts: list[str] = []
    restart = a.restart_services

    def counted() -> None:
        restarts.append("")
        restart()

    a.restart_services = counted  # type: ignore[method-assign]
    for _ in range(5):
        with pytest.raises(PowerCutError):
            a.go_on()
    assert len(restarts) == 1


def test_keys_of_earlier_ones_are_kept_but_not_for_ever(texts: Texts) -> None:
    a = Lone(texts.stays, texts.was)
    for number in range(20):
        a.write(File(KEY, f"{number:064x}\n", 0o600))
        keep_key(a)
        keep_key(a)
    kept = a.files[REPLACED_KEYS].text.split()
    assert kept == [f"{number:064x}" for number in range(19, 19 - MOST_KEYS, -1)]
    # What is handed to the new machine is what the survivor itself will know.
    assert list(keys_of_replaced(a.files[KEY].text, a.files[REPLACED_KEYS].text)) == kept


def test_an_agreement_about_a_new_pair_is_refused_by_a_machine_that_serves(
    texts: Texts,
) -> None:
    a = Lone(texts.joins, texts.was)
    a.commit()
    with pytest.raises(OperatorError, match="not about this machine's pair"):
        a.go_on()
    assert {path: a.files[path] for path in PAIRS} == {path: a.before[path] for path in PAIRS}


def test_a_blank_machine_cannot_stay(texts: Texts) -> None:
    machine = FakeMachine(texts.stays, hardware("c"), is_leader=False)
    with pytest.raises(OperatorError, match="never set up"):
        set_up(machine, machine.tell)
    assert machine.effects == 0
