# SPDX-License-Identifier: MIT
"""Two machines agree, with a power cut after every step: both set up, or both begin again."""

import itertools
from dataclasses import replace

import pytest

from firstboot.agreement import Agreement, Stage, Word, from_file, heard, to_file, word
from firstboot.rendering import File
from haagent.errors import OperatorError

SECRET = "0123456789abcdef" * 4
IDS = ("first", "second")


def prepared(me: int) -> Agreement:
    return Agreement(Stage.PREPARED, IDS[1 - me], f"answers of {me}", SECRET)


def test_both_prepared_commit() -> None:
    a, b = prepared(0), prepared(1)
    a_after = heard(a, IDS[1], word(b, IDS[1]))
    assert a_after == replace(a, stage=Stage.COMMITTED)
    assert heard(b, IDS[0], word(a_after, IDS[0])) == replace(b, stage=Stage.COMMITTED)


def test_who_hears_that_the_other_is_blank_forgets() -> None:
    assert heard(prepared(0), IDS[1], Word(Stage.BLANK)) is None


def test_who_is_prepared_first_waits_while_the_two_are_talking() -> None:
    assert heard(prepared(0), IDS[1], Word(Stage.PAIRING)) == prepared(0)


def test_a_stranger_changes_nothing() -> None:
    mine = prepared(0)
    assert heard(mine, "third", Word(Stage.BLANK)) == mine
    assert heard(mine, "third", word(prepared(1), "third")) == mine


@pytest.mark.parametrize(("name", "proof"), [("", "0" * 64), ("0" * 32, ""), ("", "x")])
def test_words_without_the_secret_change_nothing(name: str, proof: str) -> None:
    mine, said = prepared(0), word(prepared(1), IDS[1])
    changed = Word(said.stage, name or said.name, proof or said.proof)
    assert heard(mine, IDS[1], changed) == mine
    other = replace(prepared(1), secret="f0e1d2c3b4a59687" * 4)
    assert heard(mine, IDS[1], word(other, IDS[1])) == mine


def test_a_proof_is_of_one_stage_and_one_machine() -> None:
    said = word(prepared(1), IDS[1])
    assert said.proof != word(prepared(1), IDS[0]).proof
    assert said.proof != word(replace(prepared(1), stage=Stage.COMMITTED), IDS[1]).proof


def test_a_committed_machine_never_goes_back() -> None:
    mine = replace(prepared(0), stage=Stage.COMMITTED)
    assert heard(mine, IDS[1], Word(Stage.BLANK)) == mine


def test_whatever_is_cut_or_lost_never_one_alone() -> None:
    """All orders of: prepare here, prepare there, a word each way; and who is cut forgets nothing
    that it wrote down. At the end, with all words heard, both committed or both are blank.
    """
    steps = ["prepare 0", "prepare 1", "word 0", "word 1"]
    for order in itertools.product(steps, repeat=5):
        kept: list[Agreement | None] = [None, None]
        was_prepared = [False, False]
        for step in [*order, "word 0", "word 1", "word 0", "word 1"]:
            what, node = step.split()
            me = int(node)
            if what == "prepare" and not was_prepared[me]:
                kept[me] = prepared(me)
                was_prepared[me] = True
            elif what == "word":
                mine = kept[me]
                if mine is not None:
                    kept[me] = heard(mine, IDS[1 - me], word(kept[1 - me], IDS[1 - me]))
        stages = {one.stage if one else Stage.BLANK for one in kept}
        assert len(stages) == 1, (order, stages)


def test_it_is_kept_without_telling_its_secret() -> None:
    mine = prepared(0)
    file = to_file(mine)
    assert file.mode == 0o600
    assert from_file(file) == mine
    assert SECRET not in repr(mine) and "answers of" not in repr(mine)
    assert SECRET not in mine.name


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "stage": "x"}'])
def test_a_damaged_file_is_told(text: str) -> None:
    with pytest.raises(OperatorError, match="damaged"):
        from_file(File("/x", text))


def test_nothing_was_agreed_without_a_file() -> None:
    assert from_file(None) is None
