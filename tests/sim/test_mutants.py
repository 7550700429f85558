# SPDX-License-Identifier: MIT
"""What breaks rules on purpose: it makes the mutants it says, and sees which of them are seen."""

import ast
from functools import partial
from pathlib import Path

import pytest

from haagent.core import proofs
from haagent.core.blockers import Blocker
from haagent.core.model import LanStage, PeerOff
from tests.sim.mutants import equivalent, grammar, named
from tests.sim.mutants.__main__ import chosen, report
from tests.sim.mutants.grammar import commute
from tests.sim.mutants.order import Order
from tests.sim.mutants.planting import plant
from tests.sim.mutants.results import Results
from tests.sim.mutants.sources import Mutant, module_of, places
from tests.sim.mutants.trial import Misfit, Trial, Verdict, courses, try_out
from tests.unit.states import lone, survivor

MADE: dict[str, list[tuple[str, str]]] = {
    "def f(a, b):\n    return a < b": [
        ("compare-0:< -> <=", "return a <= b"),
        ("compare-0:< -> >=", "return a >= b"),
    ],
    "def f(a, b):\n    return a == b is not None": [
        ("compare-0-of-0:== -> !=", "return a != b is not None"),
        ("compare-1-of-0:is not -> is", "return a == b is None"),
    ],
    "def f(a, b, c):\n    return a and b or c": [
        ("operand-0-of-0:without a and b", "return c"),
        ("operand-1-of-0:without c", "return a and b"),
        ("operand-0-of-1:without a", "return b or c"),
        ("operand-1-of-1:without b", "return a or c"),
    ],
    "def f(a):\n    return not a": [("not-0:dropped", "return a")],
    "def f(a) -> bool:\n    return a": [
        ("return-0:True", "return True"),
        ("return-0:False", "return False"),
    ],
    "def f(a) -> str | None:\n    if a:\n        return None\n    return 'no'": [
        ("return-0:None", "if a:\n    return None\nreturn None"),
    ],
    "def f(a):\n    return a.phase is Policy.AUTOMATIC": [
        ("compare-0:is -> is not", "return a.phase is not Policy.AUTOMATIC"),
        ("enum-0:Policy.AUTOMATIC -> WAIT", "return a.phase is Policy.WAIT"),
    ],
    "def f(a):\n    match a:\n        case Policy.WAIT:\n            return 1": [
        (
            "enum-0:Policy.WAIT -> AUTOMATIC",
            "match a:\n    case Policy.AUTOMATIC:\n        return 1",
        ),
    ],
    "def f(turn, g):\n    turn.act(g)\n    turn.say(g)\n    other(turn)": [
        ("action-0:dropped", "pass\nturn.say(g)\nother(turn)"),
        ("action-1:dropped", "turn.act(g)\nturn.say(g)\npass"),
    ],
    "def f(turn, g):\n    turn.act(g)\n    other(turn)": [
        ("action-0:dropped", "pass\nother(turn)"),
        ("action-0:swapped with the next", "other(turn)\nturn.act(g)"),
        ("action-1:dropped", "turn.act(g)\npass"),
    ],
    "X = {Policy.WAIT: 1}": [("enum-0:Policy.WAIT -> AUTOMATIC", "X = {Policy.AUTOMATIC: 1}")],
}


@pytest.mark.parametrize("source", MADE)
def test_the_grammar_makes(source: str) -> None:
    made = list(grammar.mutants(proofs, ast.parse(source)))
    assert [(one.name.partition(":")[2], became(source, one)) for one in made] == MADE[source]
    (function,) = {one.function for one in made}
    assert {one.name.partition(":")[0] for one in made} == {f"proofs.{function}"}


def became(source: str, mutant: Mutant) -> str:
    """The body of the function that MUTANT is about, when it is done."""
    tree = ast.parse(source)
    place = next(one for one in places(tree) if one.name == mutant.function)
    mutant.change(place)
    return "\n".join(map(ast.unparse, place.tree.body))


COMMUTING = {
    "turn.act(a); turn.write(g, term=1)": True,
    "turn.write(g, term=1); turn.write(g, theirs=1)": True,
    "turn.write(g, term=1); turn.set_guest(g, grant=None)": True,
    "turn.write(g, term=1); turn.write(g, term=2)": False,
    "turn.act(a); turn.act(b)": False,
    "turn.write(g, term=1); turn.act(turn.ledger(g))": False,
    "turn.act(turn.ledger(g)); turn.write(g, term=1)": False,
    "turn.write(g, term=1); turn.set_guest(g, since=turn.ledger(g).term)": False,
    "turn.set(is_stateless=True); turn.write(g, term=1)": False,
    "turn.move(g, p, w); turn.set_guest(g, phase=q)": False,
    "turn.act(a); other(turn)": False,
}


@pytest.mark.parametrize("source", COMMUTING)
def test_only_an_order_that_could_be_seen_is_changed(source: str) -> None:
    one, other = ast.parse(source).body
    assert isinstance(one, ast.Expr) and isinstance(other, ast.Expr)
    assert commute(one, other) is COMMUTING[source]


def every() -> dict[str, Mutant]:
    modules = map(module_of, grammar.MODULES)
    found = [*named.mutants(), *(one for module in modules for one in grammar.mutants(module))]
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def test_each_proof_blocker_inequality_persisted_field_and_refusal_has_its_own() -> None:
    names = set(every())
    for proof in PeerOff:
        assert {f"named.PeerOff.{proof.name}:always", f"named.PeerOff.{proof.name}:never"} <= names
    for blocker in Blocker:
        assert f"named.{blocker}:unreported" in names
    for name in (
        "named.Newest.UNBROKEN:always",
        "named.Evidence.STAND_DOWN:never",
        "named.timing:feed < watchdog",
        "named.Ledger.returned:unwritten",
        "named.Ledger.returned:forgotten",
        "named.Durable.peer_figures:forgotten",
        "named.refusal:agreeing._refusal-1",
        "named.refusal:together.blocker-5",
    ):
        assert name in names


def tried(name: str, *trials: Trial) -> Verdict:
    return try_out(partial(plant, every()[name]), trials, lambda trial: 1.0)


SURVIVOR_TAKES = Trial("takes", lambda: proofs.peer_off(survivor(), "g") is PeerOff.SELF_FENCED)
LONE_TAKES = Trial("lone takes", lambda: proofs.peer_off(lone(), "g") is PeerOff.ALONE)


def test_a_mutant_is_caught_by_the_first_test_that_fails() -> None:
    verdict = tried("named.PeerOff.ALONE:never", SURVIVOR_TAKES, LONE_TAKES, SURVIVOR_TAKES)
    assert (verdict.caught_by, verdict.asked) == ("lone takes", 2)
    assert SURVIVOR_TAKES.passes() and LONE_TAKES.passes(), "only the child is broken"


def test_what_changes_nothing_is_not_caught() -> None:
    verdict = tried("named.PeerOff.AGREED:never", SURVIVOR_TAKES, LONE_TAKES)
    assert (verdict.caught_by, verdict.asked) == (None, 2)


def test_values_outside_of_functions_reach_who_imported_them() -> None:
    """`is_lan_settled` reads one that is made of another."""
    wanted = {LanStage.AGREED, LanStage.PROVEN}
    trial = Trial("as it was", lambda: wanted == proofs.LAN_ON_TRIAL < proofs.OPEN_LAN)
    assert trial.passes()
    assert tried("proofs.:enum-0:LanStage.AGREED -> PROVEN", trial).caught_by == "as it was"


def endlessly() -> bool:
    while True:
        pass


def test_an_endless_loop_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.sim.mutants.trial.ENDLESS", 0.5)
    verdict = try_out(lambda: None, [Trial("endless", endlessly)], lambda trial: 0.0)
    assert verdict.caught_by == "endless" and verdict.is_endless


def test_a_mutant_that_cannot_be_planted_is_no_catch() -> None:
    def fall_over() -> None:
        raise ValueError

    with pytest.raises(Misfit):
        try_out(fall_over, [SURVIVOR_TAKES], lambda trial: 1.0)


def test_a_test_that_fails_with_nothing_broken_is_a_misfit() -> None:
    with pytest.raises(Misfit, match="fails with no mutant"):
        courses([Trial("never", lambda: False)], [])


def test_the_lines_that_a_test_runs_are_known() -> None:
    file = str(proofs.__file__)
    lines = courses([LONE_TAKES], [file])["lone takes"].lines
    (alone,) = (n for n, line in enumerate(source_of(file), 1) if "return PeerOff.ALONE" in line)
    (off,) = (n for n, line in enumerate(source_of(file), 1) if "return PeerOff.OPERATOR" in line)
    assert (file, alone) in lines
    assert (file, off) not in lines


def source_of(file: str) -> list[str]:
    return Path(file).read_text().splitlines()


def test_the_reviewed_list_has_only_mutants_that_exist() -> None:
    told = equivalent.read(equivalent.FILE.read_text())
    assert equivalent.complaints(told, every().keys(), {}) == []


def test_a_name_in_the_list_has_a_reason_and_is_no_lie() -> None:
    told = equivalent.read("# head\nIt is\nthe same.\n  a:1\n  b:2\n\nOther.\n  c:3\n")
    assert told == {"a:1": "It is the same.", "b:2": "It is the same.", "c:3": "Other."}
    wrong = equivalent.complaints(told, {"a:1", "b:2"}, {"b:2": "a test"})
    assert wrong == ["c:3: there is no such mutant", "b:2: it is not equivalent, a test sees it"]
    with pytest.raises(ValueError, match="no reason"):
        equivalent.read("  a:1\n")


def test_shares_are_all_of_them_and_none_twice() -> None:
    mutants = list(every().values())
    shares = [chosen(mutants, "", f"{k}/5") for k in range(1, 6)]
    assert sorted(one.name for share in shares for one in share) == sorted(every())
    assert all(len(share) > len(mutants) / 10 for share in shares)
    some = chosen(mutants, "proofs.has_waited:", "1/1")
    assert some and all(one.function == "has_waited" for one in some)


def test_what_caught_a_mutant_nearby_is_asked_first() -> None:
    order = Order()
    assert order.cost("f", "slow", 2.0) > order.cost("f", "quick", 1.0)
    order.note("f", ["quick", "slow"], "slow")
    assert order.cost("f", "slow", 2.0) < order.cost("f", "quick", 1.0)
    assert order.cost("f", "slow", 2.0) < order.cost("g", "slow", 2.0)
    for _ in range(100):
        order.note("f", ["quick"], None)
    assert order.cost("f", "new", 1.0) < order.cost("f", "quick", 1.0)


def test_what_is_known_of_a_mutant_lasts_until_something_changes(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    test = "tests/unit/test_proofs.py::test_x"
    results = Results([test], file)
    results.add("a", "f", test)
    results.add("b", "f", None)
    again = Results([test], file)
    assert (again.fresh("a"), again.fresh("b")) == (results.known["a"], results.known["b"])
    assert again.fresh("c") is None
    file.write_text(file.read_text().replace(results.rests_on(test), "other"))
    changed = Results([test], file)
    assert changed.fresh("a") is None and changed.fresh("b") is not None
    more = Results([test, "tests/unit/test_moving.py::test_y"], file)
    assert more.fresh("b") is None, "there are other tests to ask"


def test_a_survivor_that_is_not_known_as_equivalent_is_told(tmp_path: Path) -> None:
    results = Results([], tmp_path / "results.jsonl")
    one, other = list(every().values())[:2]
    results.add(one.name, "f", "history 7")
    said: list[str] = []
    assert report(list(every().values()), [one], results, said.append) == 0
    assert said == ["1/1 caught, 0 more are known to change nothing"]
    results.add(other.name, "f", None)
    said.clear()
    assert report(list(every().values()), [one, other], results, said.append) == 1
    assert said[0].startswith(f"survives: {other.name}") and said[1].startswith("1/2 caught")
