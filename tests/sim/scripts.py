# SPDX-License-Identifier: MIT
"""A history as it can be written down, changed by hand and told again: what happens, and when."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from haagent.core.model import Policy
from tests.sim.faults import PERSONS, Value
from tests.sim.wires import BEFORE, NOW, Formats

RELEASES: Mapping[str, Formats] = {"now": NOW, "before": BEFORE}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens; `lasts` is a part of the step, and not of what it is done with."""

    at: float  # seconds after the pair was healthy
    what: str  # a name of tests.sim.faults
    arguments: Mapping[str, Value]
    lasts: float | None = None  # seconds until it is mended; None: until all is

    @property
    def is_fault(self) -> bool:
        return self.what not in PERSONS


@dataclass(frozen=True, slots=True)
class Script:
    """A whole history. The seed decides what is not said: how long each deed takes."""

    seed: int
    guests: Mapping[str, int]
    steps: tuple[Step, ...]
    mended: float  # when all is mended, in seconds after the pair was healthy
    policy: Policy = Policy.AUTOMATIC
    boots: float = 25.0  # seconds that a machine takes to start
    speak: tuple[str, str] | None = None  # releases of both; None: hellos pass as they are

    @property
    def formats(self) -> tuple[Formats, Formats] | None:
        if self.speak is None:
            return None
        a, b = self.speak
        return RELEASES[a], RELEASES[b]


def dump(script: Script) -> str:
    """YAML, one line for each step."""
    head = {
        "seed": script.seed,
        "guests": dict(script.guests),
        "policy": str(script.policy),
        "boots": script.boots,
        "speak": list(script.speak) if script.speak else None,
        "mended": script.mended,
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in head.items()]
    lines += ["steps:", *(f"- {_flow(_plain(step))}" for step in script.steps)]
    return "\n".join(lines) + "\n"


def load(text: str) -> Script:
    """The reverse of `dump`. Raises KeyError for what is missing."""
    content = yaml.safe_load(text)
    speak = content["speak"]
    return Script(
        seed=content["seed"],
        guests=content["guests"],
        steps=tuple(_step(dict(one)) for one in content["steps"] or ()),
        mended=float(content["mended"]),
        policy=Policy(content["policy"]),
        boots=float(content["boots"]),
        speak=(speak[0], speak[1]) if speak else None,
    )


def _plain(step: Step) -> dict[str, object]:
    lasts = {} if step.lasts is None else {"for": step.lasts}
    return {"at": step.at, "what": step.what, **lasts, **step.arguments}


def _step(content: dict[str, Value]) -> Step:
    at, what, lasts = content.pop("at"), content.pop("what"), content.pop("for", None)
    return Step(float(at), str(what), content, None if lasts is None else float(lasts))


def _flow(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
    return text.strip()
