# SPDX-License-Identifier: MIT
"""What is known of mutants from runs before, as long as what it rests on is unchanged."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from tests.sim.mutants.order import Order

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "build" / "mutants"
CORE = tuple(sorted((ROOT / "haagent" / "core").glob("*.py")))
STATES = ROOT / "tests/unit/states.py"  # that tests of the core begin with
GUESSED = 2  # times that a test was asked for each of its catches: nobody counted


@dataclass(frozen=True, slots=True)
class Result:
    """Of one mutant. Whoever is caught stays so while the core and that test are as they were."""

    name: str
    function: str
    caught_by: str | None
    rests_on: str  # a digest


def digest(files: Iterable[Path]) -> str:
    told = sha256()
    for file in files:
        told.update(file.read_bytes())
    return told.hexdigest()[:16]


class Results:
    """A file with a line for each result; the last one about a mutant counts."""

    def __init__(self, tests: Iterable[str], file: Path = KEPT / "results.jsonl") -> None:
        self.file = file
        unit = {Path(test.partition("::")[0]) for test in tests}
        self._of_test = {str(one): digest([*CORE, STATES, ROOT / one]) for one in sorted(unit)}
        told = sorted(set((ROOT / "tests/sim").glob("*.py")) - {ROOT / "tests/sim/test_mutants.py"})
        self._of_sim = digest([*CORE, *told, *sorted((ROOT / "tests/sim/golden").glob("*"))])
        self._of_all = sha256("".join((self._of_sim, *self._of_test.values())).encode()).hexdigest()
        self.known: dict[str, Result] = {}
        self.order = Order()
        if file.exists():
            for line in file.read_text().splitlines():
                found = Result(**json.loads(line))
                self.known[found.name] = found
                if found.caught_by is not None:
                    self.order.note(found.function, [found.caught_by] * GUESSED, found.caught_by)

    def fresh(self, name: str) -> Result | None:
        """What is known of mutant NAME, and is still so."""
        found = self.known.get(name)
        return found if found and found.rests_on == self.rests_on(found.caught_by) else None

    def add(self, name: str, function: str, caught_by: str | None) -> Result:
        result = Result(name, function, caught_by, self.rests_on(caught_by))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a") as lines:
            lines.write(json.dumps(asdict(result)) + "\n")
        self.known[name] = result
        return result

    def rests_on(self, test: str | None) -> str:
        """A digest of what TEST does, or with None all of them, and of the core."""
        if test is None:
            return self._of_all
        return self._of_test.get(test.partition("::")[0], self._of_sim)
