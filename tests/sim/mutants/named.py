# SPDX-License-Identifier: MIT
"""What must be seen whatever else is: each proof, blocker, inequality, persisted field, refusal."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from types import ModuleType

from haagent.core.model import Durable, Ledger
from tests.sim.mutants.sources import (
    Change,
    Mutant,
    Place,
    Slot,
    lines_of,
    module_of,
    parsed,
    places,
    text_of,
)

GIVEN = ("PeerOff", "Newest", "Evidence", "Blocker")
GIVING = ("proofs", "starting", "lacking")
TELLING = ("lacking", "wishing")
REFUSING = (
    "agreeing",
    "moving",
    "together",
    "stateless",
    "resolving",
    "replacing",
    "relocating",
    "wishing",
)


def mutants() -> Iterator[Mutant]:
    for name in GIVING:
        yield from given(module_of(name))
    for name in TELLING:
        yield from unreported(module_of(name))
    yield from inequalities(module_of("timing"))
    yield from persisted()
    for name in REFUSING:
        yield from refusals(module_of(name))


def given(module: ModuleType) -> Iterator[Mutant]:
    """Each proof and blocker where it is told: without its condition, and never."""
    ordinals: Counter[str] = Counter()
    for place in places(parsed(module)):
        for number, slot in enumerate(place.slots()):
            if (told := _told_if(slot.node)) is None:
                continue
            name = _numbered(told, ordinals)
            for becomes, test in (("always", True), ("never", False)):
                yield Mutant(
                    f"named.{name}:{becomes}",
                    module.__name__,
                    place.name,
                    lines_of(slot.node),
                    text_of(_test(slot.node)),
                    _decided(number, test),
                )


def _numbered(told: str, ordinals: Counter[str]) -> str:
    ordinals[told] += 1
    return told if ordinals[told] == 1 else f"{told}#{ordinals[told]}"


def _told_if(node: ast.AST) -> str | None:
    match node:
        case ast.If(body=[ast.Expr(ast.Yield(ast.Attribute(value=ast.Name(id=kind)) as told)), *_]):
            pass
        case ast.If(body=[*_, ast.Return(ast.Attribute(value=ast.Name(id=kind)) as told)]):
            pass
        case ast.IfExp(body=ast.Attribute(value=ast.Name(id=kind)) as told):
            pass
        case _:
            return None
    return text_of(told) if kind in GIVEN else None


def _test(node: ast.AST) -> ast.expr:
    assert isinstance(node, ast.If | ast.IfExp)
    return node.test


def _decided(number: int, test: bool) -> Change:
    def change(place: Place) -> None:
        node = place.slots()[number].node
        assert isinstance(node, ast.If | ast.IfExp)
        node.test = ast.Constant(test)

    return change


def unreported(module: ModuleType) -> Iterator[Mutant]:
    """Each blocker, where it is told: nothing is said in its place."""
    ordinals: Counter[str] = Counter()
    for place in places(parsed(module)):
        for number, slot in enumerate(place.slots()):
            match slot.node:
                case ast.Return(value=told) | ast.Expr(value=ast.Yield(value=told)):
                    pass
                case _:
                    continue
            match told:
                case ast.Attribute(value=ast.Name(id="Blocker")):
                    yield Mutant(
                        f"named.{_numbered(text_of(told), ordinals)}:unreported",
                        module.__name__,
                        place.name,
                        lines_of(slot.node),
                        text_of(slot.node),
                        _silenced(number),
                    )


def _silenced(number: int) -> Change:
    def change(place: Place) -> None:
        slot = place.slots()[number]
        silence = "return" if isinstance(slot.node, ast.Return) else "yield from ()"
        slot.put(ast.parse(silence).body[0])

    return change


def inequalities(module: ModuleType) -> Iterator[Mutant]:
    """Each rule of the timers, unchecked."""
    for place in places(parsed(module)):
        for number, slot in enumerate(place.slots()):
            match slot.node:
                case ast.Tuple([ast.Compare() as holds, ast.Constant(value=str(rule))]):
                    yield Mutant(
                        f"named.timing:{rule.partition(':')[0]}",
                        module.__name__,
                        place.name,
                        lines_of(slot.node),
                        text_of(holds),
                        _unchecked(number),
                    )


def _unchecked(number: int) -> Change:
    def change(place: Place) -> None:
        node = place.slots()[number].node
        assert isinstance(node, ast.Tuple)
        node.elts[0] = ast.Constant(True)

    return change


def persisted() -> Iterator[Mutant]:
    """Each field that must survive a power cut: it is never written, or not there at a start.

    The mark of the pair is not decided on by any turn: it is what the agent starts with.
    """
    of_guests = [field.name for field in fields(Ledger)]
    of_the_machine = [field.name for field in fields(Durable) if field.name not in ("ledgers",)]
    for name in of_guests:
        unwritten = f"changes.pop({name!r}, None)"
        yield _begun(f"Ledger.{name}:unwritten", "turn", "Turn.write", unwritten)
        fresh = f"Ledger(pair.guests.get(guest, 0)).{name}"
        yield _begun(
            f"Ledger.{name}:forgotten",
            "decide",
            "first_state",
            "if durable is not None: durable = replace(durable, ledgers={guest: "
            f"replace(one, {name}={fresh}) for guest, one in durable.ledgers.items()}})",
        )
    for name in of_the_machine:
        if name != "mark":
            unwritten = (
                f"if 'durable' in changes: changes['durable'] = "
                f"replace(changes['durable'], {name}=self.state.durable.{name})"
            )
            yield _begun(f"Durable.{name}:unwritten", "turn", "Turn.set", unwritten)
        yield _begun(
            f"Durable.{name}:forgotten",
            "decide",
            "first_state",
            f"if durable is not None: durable = replace(durable, {name}=Durable({{}}).{name})",
        )


def _begun(name: str, module: str, function: str, source: str) -> Mutant:
    """FUNCTION begins with SOURCE."""

    def change(place: Place) -> None:
        place.tree.body[:0] = ast.parse(source).body

    found = module_of(module)
    tree = next(one.tree for one in places(parsed(found)) if one.name == function)
    return Mutant(f"named.{name}", found.__name__, function, lines_of(tree), source, change)


def refusals(module: ModuleType) -> Iterator[Mutant]:
    """Each reason why something is not done, as if it did not matter."""
    short = module.__name__.rpartition(".")[2]
    for place in places(parsed(module)):
        returns = getattr(place.tree, "returns", None)
        if returns is None or text_of(returns) != "str | None":
            continue
        found = [(number, slot) for number, slot in enumerate(place.slots()) if _is_refusal(slot)]
        for ordinal, (number, slot) in enumerate(found):
            yield Mutant(
                f"named.refusal:{short}.{place.name}-{ordinal}",
                module.__name__,
                place.name,
                lines_of(slot.node),
                text_of(_test(slot.node)),
                _decided(number, False),
            )


def _is_refusal(slot: Slot) -> bool:
    match slot.node:
        case ast.If(body=[*_, ast.Return(ast.Constant(value=None) | None)]):
            return False
        case ast.If(body=[*_, ast.Return()]):
            return True
    return False
