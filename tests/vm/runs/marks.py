# SPDX-License-Identifier: MIT
"""The rows that scenarios are marked with, read from their source: nothing of it is run."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.vm import tools
from tests.vm.runs.rows import checked

FOLDER = tools.TOP / "tests/vm"


def marked(folder: Path = FOLDER, top: Path = tools.TOP) -> dict[str, tuple[str, ...]]:
    """The rows of every scenario in FOLDER, by its node id without parameters, as pytest has it
    from TOP. Raises UnknownRow.
    """
    found = {}
    for file in sorted(folder.glob("test_*.py")):
        for scenario in ast.parse(file.read_text()).body:
            if isinstance(scenario, ast.FunctionDef) and scenario.name.startswith("test_"):
                name = f"{file.relative_to(top)}::{scenario.name}"
                found[name] = checked(_rows(scenario), name)
    return found


def _rows(scenario: ast.FunctionDef) -> Iterator[str]:
    """Those of single parameters too: a mark may stand in `pytest.param`."""
    for decorator in scenario.decorator_list:
        for mark in ast.walk(decorator):
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.row":
                yield from (str(ast.literal_eval(word)) for word in mark.args)
