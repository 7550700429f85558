# SPDX-License-Identifier: MIT
"""What can be broken anywhere, by the grammar alone: one small change at a time."""

import ast
import enum
from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType

from tests.sim.mutants.sources import Mutant, Place, Slot, lines_of, parsed, places, text_of

# The rules, and what watches them.
MODULES = (
    "proofs",
    "lacking",
    "rules",
    "decide",
    "hearing",
    "agreeing",
    "starting",
    "doubting",
    "feeding",
    "hanging",
    "moving",
    "wishing",
    "ordering",
    "timing",
    "invariants",
)

SWAPS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
SIGNS = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
CHANGING = ("act", "write", "move", "set", "set_guest")  # methods of a Turn; `say` is for people

Edit = Callable[[Slot], None]
Found = tuple[str, str, Edit, ast.AST]  # kind, what it becomes, the change, what is changed


def mutants(module: ModuleType, tree: ast.Module | None = None) -> Iterator[Mutant]:
    """All of MODULE, or of TREE as if that were its source."""
    short = module.__name__.rpartition(".")[2]
    for place in places(tree or parsed(module)):
        ordinals: Counter[str] = Counter()
        for number, slot in enumerate(place.slots()):
            counted: set[str] = set()
            for kind, becomes, edit, node in _changes(slot, place, module):
                if kind not in counted:
                    counted.add(kind)
                    ordinals[kind] += 1
                yield Mutant(
                    f"{short}.{place.name}:{kind}-{ordinals[kind] - 1}:{becomes}",
                    module.__name__,
                    place.name,
                    lines_of(node),
                    text_of(node),
                    _at(number, edit),
                )


def _at(number: int, edit: Edit) -> Callable[[Place], None]:
    return lambda place: edit(place.slots()[number])


def _changes(slot: Slot, place: Place, module: ModuleType) -> Iterator[Found]:
    match slot.node:
        case ast.Compare() as node:
            yield from _comparisons(node)
        case ast.BoolOp() as node:
            for n, operand in enumerate(node.values):
                yield f"operand-{n}-of", f"without {text_of(operand)}", _without(n), operand
        case ast.UnaryOp(op=ast.Not()) as node:
            yield "not", "dropped", _affirmed, node
        case ast.Return() as node:
            yield from _returns(node, place)
        case ast.Attribute(value=ast.Name(id=name), attr=member):
            for becomes, edit in _siblings(getattr(module, name, None), member):
                yield "enum", becomes, edit, slot.node
        case ast.Expr() as statement if is_action(statement):
            yield "action", "dropped", _dropped, statement
            if (following := _next(slot)) is not None and not commute(statement, following):
                yield "action", "swapped with the next", _swapped, statement


def _comparisons(node: ast.Compare) -> Iterator[Found]:
    for n, op in enumerate(node.ops):
        for other in SWAPS[type(op)]:
            kind = "compare" if len(node.ops) == 1 else f"compare-{n}-of"
            yield kind, f"{SIGNS[type(op)]} -> {SIGNS[other]}", _compared(n, other()), node


def _compared(n: int, op: ast.cmpop) -> Edit:
    def edit(slot: Slot) -> None:
        assert isinstance(slot.node, ast.Compare)
        slot.node.ops[n] = op

    return edit


def _without(n: int) -> Edit:
    def edit(slot: Slot) -> None:
        node = slot.node
        assert isinstance(node, ast.BoolOp)
        del node.values[n]
        if len(node.values) == 1:
            slot.put(node.values[0])

    return edit


def _affirmed(slot: Slot) -> None:
    assert isinstance(slot.node, ast.UnaryOp)
    slot.put(slot.node.operand)


def _returns(node: ast.Return, place: Place) -> Iterator[Found]:
    """Other answers of a function that says yes or no, or something or nothing."""
    returns = getattr(place.tree, "returns", None)
    said = text_of(returns) if returns is not None else ""
    answers: tuple[bool | None, ...] = ()
    if said == "bool":
        answers = (True, False)
    elif said.endswith("| None"):
        answers = (None,)
    for answer in answers:
        if node.value is not None and text_of(node.value) != repr(answer):
            yield "return", repr(answer), _returned(answer), node


def _returned(answer: bool | None) -> Edit:
    return lambda slot: slot.put(ast.Return(ast.Constant(answer)))


def _siblings(kind: object, member: str) -> Iterator[tuple[str, Edit]]:
    """The member that follows in the same enum."""
    if isinstance(kind, enum.EnumMeta) and member in kind.__members__:
        names = list(kind.__members__)
        other = names[(names.index(member) + 1) % len(names)]
        yield f"{kind.__name__}.{member} -> {other}", _renamed(other)


def _renamed(member: str) -> Edit:
    def edit(slot: Slot) -> None:
        assert isinstance(slot.node, ast.Attribute)
        slot.node.attr = member

    return edit


def is_action(statement: ast.AST) -> bool:
    """It changes the turn, or is given the turn to change it."""
    match statement:
        case ast.Expr(ast.Call(func=ast.Attribute(value=ast.Name(id="turn"), attr=name))):
            return name in CHANGING
        case ast.Expr(ast.Call(args=[ast.Name(id="turn"), *_])):
            return True
    return False


def _dropped(slot: Slot) -> None:
    slot.put(ast.Pass())


def _next(slot: Slot) -> ast.Expr | None:
    """The statement after that in SLOT, if it is an action, too."""
    siblings = getattr(slot.holder, slot.field)
    if slot.index is None or slot.index + 1 == len(siblings):
        return None
    following = siblings[slot.index + 1]
    return following if isinstance(following, ast.Expr) and is_action(following) else None


def _swapped(slot: Slot) -> None:
    siblings, n = getattr(slot.holder, slot.field), slot.index
    assert n is not None
    siblings[n], siblings[n + 1] = siblings[n + 1], siblings[n]


def commute(one: ast.Expr, other: ast.Expr) -> bool:
    """Their order is not seen: they change different things, and neither looks at the other's.

    What a turn acts on is carried out when all of it is told.
    """
    first, second = _touched(one), _touched(other)
    if first is None or second is None or first & second:
        return False
    is_blind = not _looks(one) and not _looks(other)
    return (
        is_blind
        or (second == ACTIONS and not _looks(other))
        or (first == ACTIONS and not _looks(one))
    )


ACTIONS = {"actions"}


def _touched(statement: ast.Expr) -> set[str] | None:
    """What of a turn is changed; None: nobody knows."""
    call = statement.value
    assert isinstance(call, ast.Call)
    given = {str(keyword.arg) for keyword in call.keywords}
    match call.func:
        case ast.Attribute(value=ast.Name(id="turn"), attr="act"):
            return ACTIONS
        case ast.Attribute(value=ast.Name(id="turn"), attr="move"):
            return {"set_guest.phase", "set_guest.since"}
        case ast.Attribute(value=ast.Name(id="turn"), attr=name):
            return {f"{name}.{field}" for field in given}
    return None


def _looks(statement: ast.Expr) -> bool:
    """What is changed depends on the turn."""
    call = statement.value
    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    names = {node.id for arg in given for node in ast.walk(arg) if isinstance(node, ast.Name)}
    return "turn" in names or call.func.attr == "set"  # `set` may decide what is written at all
