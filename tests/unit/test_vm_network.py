# SPDX-License-Identifier: MIT
"""What a scenario about cables asks: each answer can be no as well."""

from types import SimpleNamespace
from typing import cast

import pytest

from tests.unit.fake_story import FakeStory
from tests.vm.cables import Cables
from tests.vm.incidents.network import (
    CROSSOVER,
    ask_inside,
    await_complaint,
    befallen,
    has_link,
    is_two_way,
)
from tests.vm.machine import Machine


def test_only_what_befell_the_words_between_the_machines_counts() -> None:
    counted = {
        "carried": {"xo/a/b": 100},
        "lost": {"xo/a/b": 1, "xo/a/ear": 2, "lan/gw/a": 4},
        "hurt": {"lan/b/a": 8, "lan/b/gw": 16},
    }
    assert befallen(cast(Cables, SimpleNamespace(frames=lambda: counted))) == 9


def test_a_path_that_is_not_there_or_one_way_does_not_count() -> None:
    fake = FakeStory()
    machine = cast(Machine, fake.a)
    assert not is_two_way(machine, "LAN")
    fake.a.status["paths"] = [
        {"name": "crossover", "is_two_way": True},
        {"name": "LAN", "is_two_way": False},
    ]
    assert is_two_way(machine, "crossover")
    assert not is_two_way(machine, "LAN")


def test_a_complaint_is_found_by_its_words() -> None:
    fake = FakeStory()
    machine = cast(Machine, fake.a)
    fake.a.status["complaints"] = [{"what": "b is silent.", "means": "It is off, or it hangs."}]
    await_complaint(machine, "is silent", 0)
    await_complaint(machine, "it hangs", 0)
    with pytest.raises(TimeoutError, match="a's screen to say 'on fire'"):
        await_complaint(machine, "on fire", 0)


def test_a_card_without_a_cable_has_no_link() -> None:
    fake = FakeStory()
    fake.a.outs |= {"/sys/class/net/crossover/carrier": "1\n"}
    assert has_link(cast(Machine, fake.a), CROSSOVER)
    fake.b.outs |= {"/sys/class/net/crossover/carrier": "0\n"}
    assert not has_link(cast(Machine, fake.b), CROSSOVER)


def test_a_number_that_was_asked_for_inside_counts() -> None:
    fake = FakeStory()
    fake.a.outs |= {"http://10.0.2.50/next": "4\n"}
    ask_inside(fake.story, cast(Machine, fake.a))
    assert fake.recorder.acknowledged == [1, 2, 3, 4]
    assert len(fake.recorder.moments) == 4
