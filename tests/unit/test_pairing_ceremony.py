# SPDX-License-Identifier: MIT
"""The ceremony, played through to its end and cut, changed and repeated everywhere."""

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import pytest

from firstboot.pairing import ceremony
from firstboot.pairing.announcement import party
from firstboot.pairing.ceremony import (
    MOST_WRONG,
    Asker,
    Keys,
    Outcome,
    Output,
    Outputs,
    Paired,
    Send,
    ShowCode,
    Shower,
    TryEnded,
    WantKey,
    shows,
)
from firstboot.pairing.code import shown
from firstboot.pairing.spake import Exchange
from haagent.errors import PeerError

SEED = 20261123
ONE, OTHER = sorted(party(machine * 32, "boot", "0.1.0") for machine in "12")
RIGHT, NEXT, WRONG = "482913", "000107", "482914"


def codes(*given: str) -> Callable[[], str]:
    """Gives the codes of GIVEN and then others."""

    def endless() -> Iterator[str]:
        yield from given
        for number in range(10**6):
            yield f"{number:06}"

    source = endless()
    return lambda: next(source)


class Table:
    """Two machines side by side, and everything that goes over the cable."""

    def __init__(self, *given: str) -> None:
        rng = random.Random(SEED)
        self.shower = Shower(ONE, OTHER, codes(*(given or (RIGHT, NEXT))), rng.randbytes)
        self.asker = Asker(OTHER, ONE, rng.randbytes)
        self.wire: list[bytes] = []
        self.pending: list[tuple[int, bytes]] = []  # to whom, what
        self.told: tuple[list[Output], list[Output]] = ([], [])  # shower, asker
        self.change: Callable[[int, bytes], bytes | None] = lambda _, data: data
        self.keep(0, self.shower.start())

    def keep(self, who: int, outputs: Outputs) -> list[bytes]:
        """Puts down what WHO was told; what it sends."""
        self.told[who].extend(one for one in outputs if not isinstance(one, Send))
        return [one.data for one in outputs if isinstance(one, Send)]

    def attempt(self, code: str) -> None:
        """Somebody types CODE; messages go back and forth until nobody says anything."""
        self.type_code(code)
        while self.pending:
            self.step()
        self.hang_up()

    def type_code(self, code: str) -> None:
        self.pending = [(0, data) for data in self.keep(1, self.asker.type_code(code))]

    def step(self) -> None:
        """The next message arrives."""
        at, data = self.pending.pop(0)
        self.wire.append(data)
        changed = self.change(len(self.wire) - 1, data)
        if changed is not None:
            answers = self.keep(at, (self.shower, self.asker)[at].receive(changed))
            self.pending += [(1 - at, answer) for answer in answers]

    def hang_up(self) -> None:
        self.keep(0, self.shower.lost())
        self.keep(1, self.asker.lost())

    def code(self) -> str:
        """What the screen shows."""
        return next(one.code for one in reversed(self.told[0]) if isinstance(one, ShowCode))

    def keys(self, who: int) -> list[Keys]:
        return [one.keys for one in self.told[who] if isinstance(one, Paired)]

    def ends(self, who: int) -> list[Outcome]:
        return [one.outcome for one in self.told[who] if isinstance(one, TryEnded)]

    def sentence(self, who: int) -> str:
        """The last one that somebody read there."""
        return [one.sentence for one in self.told[who] if isinstance(one, TryEnded)][-1]


def test_the_lower_identity_shows_and_the_other_one_asks() -> None:
    assert shows(ONE, OTHER) and not shows(OTHER, ONE)
    same = replace(ONE, nonce="f" * 32)
    assert shows(ONE, same) and not shows(same, ONE)


def test_the_right_code_gives_both_the_same_keys() -> None:
    table = Table()
    table.attempt(RIGHT)
    [ours], [theirs] = table.keys(0), table.keys(1)
    assert ours.to_peer == theirs.from_peer and ours.from_peer == theirs.to_peer
    assert ours.secret == theirs.secret
    assert len(ours.to_peer) == len(ours.from_peer) == 32
    assert len(bytes.fromhex(ours.secret)) == 32
    assert len({ours.to_peer, ours.from_peer, bytes.fromhex(ours.secret)}) == 3
    assert table.ends(0) == table.ends(1) == []
    assert [len(data) for data in table.wire] == [65, 33, 33, 33]


def test_the_same_code_gives_other_keys_each_time() -> None:
    shower, asker = Shower(ONE, OTHER, codes(RIGHT)), Asker(OTHER, ONE)
    table = Table()
    table.shower, table.asker = shower, asker
    shower.start()
    table.attempt(RIGHT)
    first = Table()
    first.attempt(RIGHT)
    assert first.keys(0)[0].secret != table.keys(0)[0].secret


def test_a_wrong_code_is_told_to_both_and_there_is_a_new_one() -> None:
    table = Table()
    table.attempt(WRONG)
    assert table.keys(0) == table.keys(1) == []
    assert table.ends(0) == table.ends(1) == [Outcome.WRONG_CODE]
    assert (
        table.sentence(0) == "Somebody typed a wrong code on the other machine. This is a new one."
    )
    assert table.sentence(1) == "That was not the code. The other machine shows a new one by now."
    assert table.code() == NEXT
    table.attempt(NEXT)
    assert table.keys(0) and table.keys(1)


def test_a_code_that_was_tried_is_refused_even_if_it_was_right() -> None:
    table = Table()
    table.change = lambda number, data: None if number == 2 else data  # the proof is lost
    table.attempt(RIGHT)
    table.attempt(RIGHT)
    assert table.keys(0) == table.keys(1) == []
    assert table.ends(0) == table.ends(1) == [Outcome.ABANDONED, Outcome.WRONG_CODE]


def test_a_code_never_comes_again() -> None:
    table = Table(RIGHT, RIGHT, RIGHT, NEXT, RIGHT)
    table.attempt(WRONG)
    assert table.code() == NEXT
    table.attempt(WRONG)
    assert table.code() not in (RIGHT, NEXT)


@pytest.mark.parametrize("lost", [1, 2])
def test_a_try_that_is_not_finished_burns_the_code(lost: int) -> None:
    table = Table()
    table.change = lambda number, data: None if number == lost else data
    table.attempt(RIGHT)
    assert table.ends(0) == table.ends(1) == [Outcome.ABANDONED]
    assert table.sentence(0) == (
        "The other machine began to use the code, and did not finish. This is a new one."
    )
    assert table.code() == NEXT


def test_a_connection_without_a_try_burns_nothing() -> None:
    table = Table()
    table.hang_up()
    assert table.told == ([ShowCode(RIGHT)], [])
    table.attempt(RIGHT)
    assert table.keys(0) and table.keys(1)


def test_if_the_last_message_is_lost_only_the_shower_is_sure() -> None:
    """Somebody has to say the last word. Whoever goes on notices at the first sealed message."""
    table = Table()
    table.change = lambda number, data: None if number == 3 else data
    table.attempt(RIGHT)
    assert table.keys(0) and not table.keys(1)
    assert table.ends(1) == [Outcome.ABANDONED]


def test_after_five_wrong_codes_somebody_has_to_come() -> None:
    table = Table()
    for _ in range(MOST_WRONG):
        assert not any(isinstance(one, WantKey) for one in table.told[0])
        table.attempt(WRONG)
    assert table.told[0][-1] == WantKey()
    assert "until Enter is pressed" in table.sentence(0)
    before = table.code()
    table.attempt(before)
    assert table.keys(0) == table.keys(1) == []
    assert table.ends(1)[-1] is table.ends(0)[-1] is Outcome.LOCKED
    assert "Press Enter at the other machine" in table.sentence(1)

    table.keep(0, table.shower.press_key())
    assert table.code() != before
    table.attempt(table.code())
    assert table.keys(0) and table.keys(1)


def test_unfinished_and_wrong_tries_count_together() -> None:
    table = Table()
    for number in range(MOST_WRONG):
        table.change = lambda _, data: data
        if number % 2:
            start = len(table.wire)
            table.change = lambda place, data, start=start: (  # type: ignore[misc]
                None if place == start + 2 else data
            )
        table.attempt(WRONG)
    assert table.told[0][-1] == WantKey()


def test_a_key_gives_five_more_tries() -> None:
    table = Table()
    for _ in range(MOST_WRONG):
        table.attempt(WRONG)
    table.keep(0, table.shower.press_key())
    for _ in range(MOST_WRONG - 1):
        table.attempt(WRONG)
        assert isinstance(table.told[0][-1], ShowCode)
    table.attempt(WRONG)
    assert table.told[0][-1] == WantKey()


def test_a_key_that_nobody_waits_for_does_nothing() -> None:
    table = Table()
    assert table.shower.press_key() == ()
    table.attempt(RIGHT)
    assert table.shower.press_key() == ()


def test_two_that_see_different_machines_do_not_pair() -> None:
    table = Table()
    table.asker = Asker(replace(OTHER, nonce="0" * 32), ONE)
    table.attempt(RIGHT)
    assert table.keys(0) == table.keys(1) == []
    assert table.ends(0) == table.ends(1) == [Outcome.STRANGER]
    assert table.code() == NEXT


@pytest.mark.parametrize(
    "change",
    [
        {"identity": "5" * 64},
        {"nonce": "5" * 32},
        {"image": "0.2.0"},
        {"protocol": 2},
        {"pair": "cleo-dora"},
    ],
)
@pytest.mark.parametrize("whose", [0, 1])
def test_everything_about_both_is_part_of_the_key(change: dict[str, Any], whose: int) -> None:
    """Also if the first check of it were passed over, which tells only what anybody can hear."""
    parties = [ONE, OTHER]
    parties[whose] = replace(parties[whose], **change)
    table = Table()
    table.asker = Asker(parties[1], parties[0])
    genuine = Asker(OTHER, ONE).type_code(RIGHT)[0]
    assert isinstance(genuine, Send)

    def pretend(number: int, data: bytes) -> bytes:
        return data[:1] + genuine.data[1:33] + data[33:] if number == 0 else data

    table.change = pretend
    table.attempt(RIGHT)
    assert table.keys(0) == table.keys(1) == []
    assert table.ends(0) == [Outcome.WRONG_CODE]


def test_neither_code_nor_key_is_on_the_wire() -> None:
    table = Table()
    table.attempt(WRONG)
    table.attempt(NEXT)
    [keys] = table.keys(0)
    said = b"".join(table.wire)
    for code in (RIGHT, WRONG, NEXT):
        number = int(code)
        for form in (
            code.encode(),
            shown(code).encode(),
            number.to_bytes(3),
            number.to_bytes(3, "little"),
            bytes(map(int, code)),
            bytes.fromhex(code),
        ):
            assert form not in said
    for secret in (keys.to_peer, keys.from_peer, bytes.fromhex(keys.secret)):
        assert secret not in said and secret.hex().encode() not in said


def test_no_secret_shows_itself() -> None:
    table = Table()
    seen = repr(table.told) + repr(vars(table.shower)["_exchange"])
    table.attempt(RIGHT)
    [keys] = table.keys(0)
    seen += repr(table.told) + repr(keys) + f"{keys}"
    for secret in (RIGHT, keys.secret, keys.to_peer.hex(), repr(keys.to_peer), repr(keys.secret)):
        assert secret not in seen


def changes(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """DATA with every byte flipped, cut off everywhere, and too long."""
    for place in range(len(data)):
        for flip in (1 << rng.randrange(8), rng.randrange(1, 256), 0xFF):
            yield data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
        yield data[:place]
    yield data + b"\0"
    yield data * 2
    yield rng.randbytes(len(data))
    yield rng.randbytes(100_000)


@pytest.mark.parametrize("number", range(4))
def test_a_changed_message_never_gives_its_receiver_a_key(number: int) -> None:
    """Every byte of every message. Nothing raises, and both know that it came to nothing."""
    halfway = Table()
    halfway.type_code(RIGHT)
    for _ in range(number):
        halfway.step()
    [(receiver, genuine)] = halfway.pending
    for changed in changes(genuine, random.Random(SEED)):
        table = deepcopy(halfway)
        table.pending = [(receiver, changed)]
        while table.pending:
            table.step()
        table.hang_up()
        what = f"seed {SEED}, message {number} became {changed[:80].hex()}"
        assert not table.keys(receiver) and not table.keys(1), what
        assert table.ends(1), what
        if number < 3:
            assert not table.keys(0), what
            assert table.code() != RIGHT or table.ends(0) == [Outcome.NONSENSE], what


def test_a_refusal_that_was_changed_is_still_one() -> None:
    rng = random.Random(SEED)
    asked = Table()
    asked.type_code(WRONG)
    for why in range(256):
        for data in (bytes([5, why]), bytes([why, 1]), bytes([5]), rng.randbytes(why)):
            asker = deepcopy(asked.asker)
            ends = asker.receive(data)
            assert [type(one) for one in ends] == [TryEnded], f"seed {SEED}: {data.hex()}"
            assert isinstance(Asker(OTHER, ONE).receive(data)[0], TryEnded)


def test_messages_in_any_order_never_give_a_key() -> None:
    """Whoever is on the cable says again what was said, in any order, to either machine."""
    rng = random.Random(SEED)
    whole = Table()
    whole.attempt(RIGHT)
    wrong = Table(NEXT)
    wrong.attempt(WRONG)
    heard = [*whole.wire, *wrong.wire, b"", b"\0", b"\6" * 33]
    for _ in range(50):
        shower, asker = Shower(ONE, OTHER, codes(RIGHT)), Asker(OTHER, ONE)
        shower.start()
        outputs: list[Output] = []
        for _ in range(12):
            match rng.randrange(8):
                case 0:
                    outputs += asker.type_code(RIGHT)
                case 1:
                    outputs += shower.lost() + asker.lost()
                case 2:
                    outputs += shower.press_key()
                case 3 | 4:
                    outputs += asker.receive(rng.choice(heard))
                case _:
                    outputs += shower.receive(rng.choice(heard))
        assert not any(isinstance(one, Paired) for one in outputs), f"seed {SEED}"


def test_our_own_words_do_not_convince_us() -> None:
    """A mirror instead of a machine: it knows neither code nor key."""
    asker = Asker(OTHER, ONE)
    [said] = asker.type_code(RIGHT)
    assert isinstance(said, Send)
    [ended] = asker.receive(b"\2" + said.data[33:])
    assert isinstance(ended, TryEnded) and ended.outcome is Outcome.NONSENSE

    table = Table()
    table.change = lambda at, data: b"\4" + table.wire[2][1:] if at == 3 else data
    table.attempt(RIGHT)
    assert table.ends(1) == [Outcome.WRONG_CODE] and not table.keys(1)


def test_a_second_try_during_the_first_ends_both() -> None:
    shower = Shower(ONE, OTHER, codes(RIGHT, NEXT))
    shower.start()
    askers = [Asker(OTHER, ONE), Asker(OTHER, ONE)]
    tries = [asker.type_code(RIGHT)[0] for asker in askers]
    assert isinstance(tries[0], Send) and isinstance(tries[1], Send)
    [answer] = shower.receive(tries[0].data)
    ended, new = shower.receive(tries[1].data)
    assert isinstance(ended, TryEnded) and ended.outcome is Outcome.NONSENSE
    assert new == ShowCode(NEXT)
    assert isinstance(answer, Send)
    [proof] = askers[0].receive(answer.data)
    assert isinstance(proof, Send)
    [ended] = shower.receive(proof.data)
    assert isinstance(ended, TryEnded), "the first try is over"


def test_once_paired_nothing_changes_any_more() -> None:
    table = Table()
    table.attempt(RIGHT)
    for data in [*table.wire, b"", b"x"]:
        assert table.shower.receive(data) == ()
        assert table.asker.receive(data) == ()
    assert table.asker.type_code(NEXT) == ()
    assert table.shower.lost() == table.asker.lost() == ()


def test_a_code_is_not_typed_into_a_try_that_is_under_way() -> None:
    asker = Asker(OTHER, ONE)
    assert len(asker.type_code(WRONG)) == 1
    assert asker.type_code(RIGHT) == ()


def test_every_outcome_has_a_sentence_on_both_screens() -> None:
    for sentences in (ceremony._SHOWER, ceremony._ASKER):
        assert set(sentences) == set(Outcome)
        assert all(text.endswith(".") and text.isascii() for text in sentences.values())


# Encodings of points of order 1, 2, 4 and 8, and of no point at all.
NO_ELEMENTS = [
    bytes([1]) + bytes(31),
    bytes(32),
    bytes.fromhex("ec" + "ff" * 30 + "7f"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    b"\xff" * 32,
    bytes([2]) + bytes(31),
]


@pytest.mark.parametrize("element", [*NO_ELEMENTS, b"", b"\1" * 31, b"\1" * 33])
def test_an_element_that_is_none_is_refused(element: bytes) -> None:
    exchange = Exchange(RIGHT, b"one", b"other", shows=True)
    with pytest.raises(PeerError):
        exchange.finish(element)


def test_a_genuine_element_with_something_behind_it_is_refused() -> None:
    other = Exchange(RIGHT, b"one", b"other", shows=False)
    with pytest.raises(PeerError, match="33 bytes"):
        Exchange(RIGHT, b"one", b"other", shows=True).finish(other.element + b"x")


def test_the_transcript_is_part_of_everything_that_is_derived() -> None:
    """Whatever the package may already have put into its key."""
    parts = [b"key", b"shower", b"asker", b"its element", b"the other's"]

    def derived(key: bytes, shower: bytes, asker: bytes, one: bytes, other: bytes) -> list[object]:
        made = ceremony._agree(key, (shower, asker), one, other)
        return [getattr(made, field.name) for field in fields(made)]

    seen = derived(*parts)
    for place in range(len(parts)):
        changed = [*parts[:place], parts[place] + b"x", *parts[place + 1 :]]
        seen += derived(*changed)
    swapped = [parts[0], parts[2], parts[1], parts[4], parts[3]]
    seen += derived(*swapped)
    assert len(set(seen)) == len(seen) == 35


def test_an_exchange_serves_once() -> None:
    one = Exchange(RIGHT, b"one", b"other", shows=True)
    other = Exchange(RIGHT, b"one", b"other", shows=False)
    assert one.finish(other.element) == other.finish(one.element)
    with pytest.raises(PeerError):
        one.finish(other.element)
