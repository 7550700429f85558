# SPDX-License-Identifier: MIT
"""Puts a mutant into this process, for good: whoever calls this is a child that ends soon.

A function keeps its identity and gets other code, so whoever imported it has the mutant, too.
"""

import ast
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tests.sim.mutants.sources import Mutant, assignments, module_of, parsed, places


def plant(mutant: Mutant) -> None:
    module = module_of(mutant.module)
    tree = parsed(module)
    place = next(one for one in places(tree) if one.name == mutant.function)
    mutant.change(place)
    ast.fix_missing_locations(tree)
    if mutant.function:
        code = compile(tree, module.__file__ or "", "exec")
        _function(module, mutant.function).__code__ = _code(code, mutant.function)
    else:
        _assign_anew(module, ast.Module(assignments(tree), []))


def _code(code: CodeType, name: str) -> CodeType:
    return next(each for each in _below(code) if each.co_qualname == name)


def _below(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _below(one)


def _function(module: ModuleType, name: str) -> FunctionType:
    found: Any = module
    for part in name.split("."):
        found = vars(found)[part]
    if isinstance(found, property):
        found = found.fget
    assert isinstance(found, FunctionType)
    return found


def _assign_anew(module: ModuleType, tree: ast.Module) -> None:
    """What is assigned in MODULE is so once more, and whoever imported it has the new value."""
    before = dict(vars(module))
    exec(compile(tree, module.__file__ or "", "exec"), vars(module))
    new = {
        id(old): vars(module)[name] for name, old in before.items() if vars(module)[name] is not old
    }
    for other in [one for name, one in sys.modules.items() if name.split(".")[0] in OURS]:
        for name, value in list(vars(other).items()):
            if id(value) in new:
                setattr(other, name, new[id(value)])


OURS = ("haagent", "tests")
