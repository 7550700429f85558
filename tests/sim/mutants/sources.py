# SPDX-License-Identifier: MIT
"""Source as a tree, and one small change to it: what a mutant is made of."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a node hangs in its tree."""

    holder: ast.AST
    field: str
    index: int | None  # in the list that the field is; None: it is none

    @property
    def node(self) -> ast.AST:
        value = getattr(self.holder, self.field)
        found: ast.AST = value if self.index is None else value[self.index]
        return found

    def put(self, new: ast.AST) -> None:
        if self.index is None:
            setattr(self.holder, self.field, new)
        else:
            getattr(self.holder, self.field)[self.index] = new


@dataclass(frozen=True, slots=True)
class Place:
    """A function or method of a module; or, with no name, the assignments outside of all."""

    name: str
    tree: ast.FunctionDef | ast.Module

    def slots(self) -> list[Slot]:
        """Every node in it but annotations, in the order of the source."""
        return [slot for n in range(len(self.tree.body)) for slot in _below(self.tree, "body", n)]


Change = Callable[[Place], None]  # of the same place in a fresh tree


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one function."""

    name: str  # of function, kind, ordinal in the function, and what it becomes
    module: str  # haagent.core.proofs
    function: str
    lines: range  # of what is changed; the tests that come by there are asked
    text: str  # what is changed, on one line
    change: Change


def _below(holder: ast.AST, field: str, index: int | None) -> Iterator[Slot]:
    slot = Slot(holder, field, index)
    yield slot
    for name, value in ast.iter_fields(slot.node):
        if name in ("annotation", "returns", "ctx"):
            continue
        if isinstance(value, list):
            for n, one in enumerate(value):
                if isinstance(one, ast.AST):
                    yield from _below(slot.node, name, n)
        elif isinstance(value, ast.AST):
            yield from _below(slot.node, name, None)


def module_of(name: str) -> ModuleType:
    return import_module(name if "." in name else f"haagent.core.{name}")


def parsed(module: ModuleType) -> ast.Module:
    assert module.__file__ is not None
    return ast.parse(Path(module.__file__).read_text(), module.__file__)


def places(tree: ast.Module) -> list[Place]:
    """The functions and methods of a module, in order; then the assignments outside of them."""
    found = []
    for one in tree.body:
        if isinstance(one, ast.FunctionDef):
            found.append(Place(one.name, one))
        elif isinstance(one, ast.ClassDef):
            methods = (each for each in one.body if isinstance(each, ast.FunctionDef))
            found += [Place(f"{one.name}.{each.name}", each) for each in methods]
    return [*found, Place("", ast.Module(assignments(tree), []))]


def assignments(tree: ast.Module) -> list[ast.stmt]:
    return [one for one in tree.body if isinstance(one, ast.Assign | ast.AnnAssign)]


def text_of(node: ast.AST) -> str:
    """Its source on one line."""
    return " ".join(ast.unparse(node).split())


def lines_of(node: ast.AST) -> range:
    """Of a statement, an expression or a pattern; of anything else, none."""
    first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 0)
    return range(first, last + 1)
