# SPDX-License-Identifier: MIT
"""Asks tests about a mutant, each mutant in a process that is forked for it and ends with it."""

import os
import pickle
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

# A test that takes so much more of a processor than it did is in an endless loop.
ENDLESS = 4.0  # seconds
SLOWER = 10.0  # times its usual length
MEMORY = 3 << 30  # bytes

Line = tuple[str, int]  # the file's path, and the line's number


@dataclass(frozen=True, slots=True)
class Trial:
    """One test: whether all is well, as it is in this process."""

    name: str
    passes: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Course:
    """What a test did when nothing was broken."""

    seconds: float
    lines: frozenset[Line]


@dataclass(frozen=True, slots=True)
class Verdict:
    caught_by: str | None
    seconds: float
    asked: int  # tests
    is_endless: bool = False


class Misfit(Exception):
    """The mutant could not be planted, or a test fails without any."""


def try_out(
    plant: Callable[[], None], trials: Sequence[Trial], usual: Callable[[Trial], float]
) -> Verdict:
    """Plants in a child, and asks TRIALS until one fails. USUAL: the seconds that one takes.

    Raises Misfit where the child ends in another way than by a test's word.
    """
    began = time.monotonic()

    def ask(tell: BinaryIO) -> None:
        plant()
        for number, trial in enumerate(trials):
            tell.write(f"{number}\n".encode())
            tell.flush()
            _limit(usual(trial))
            if not trial.passes():
                os._exit(CAUGHT)
        os._exit(WELL)

    told, status = _in_child(ask)
    numbers = told.decode().split()
    seconds, asked = time.monotonic() - began, len(numbers)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == WELL:
        return Verdict(None, seconds, asked)
    last = trials[int(numbers[-1])].name if numbers else ""
    if last and os.WIFEXITED(status) and os.WEXITSTATUS(status) == CAUGHT:
        return Verdict(last, seconds, asked)
    if last and os.WIFSIGNALED(status):
        return Verdict(last, seconds, asked, is_endless=True)
    raise Misfit(f"a child ended with status {status} after {last or 'nothing'}")


WELL, CAUGHT, BROKEN = 0, 10, 20


def _in_child(do: Callable[[BinaryIO], None]) -> tuple[bytes, int]:
    """What the child tells, and how it ends. It says nothing on our outputs."""
    ours, its = os.pipe()
    if (child := os.fork()) == 0:
        os.close(ours)
        with Path(os.devnull).open("w") as nowhere:
            for output in (1, 2):
                os.dup2(nowhere.fileno(), output)
            try:
                with os.fdopen(its, "wb") as tell:
                    do(tell)
            finally:
                os._exit(BROKEN)
    os.close(its)
    with os.fdopen(ours, "rb") as told:
        words = told.read()
    return words, os.waitpid(child, 0)[1]


def _limit(usual: float) -> None:
    used = time.process_time()
    seconds = int(used + usual * SLOWER + ENDLESS)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)


def courses(trials: Iterable[Trial], files: Iterable[str]) -> dict[str, Course]:
    """What each trial does, by name, as far as it runs in FILES. Raises Misfit if one fails."""
    watched = {file: set[int]() for file in files}

    def watch(tell: BinaryIO) -> None:
        found: dict[str, Course] = {}
        for trial in trials:
            began = time.process_time()
            with _watched(watched) as lines:
                passes = trial.passes()
            if not passes:
                pickle.dump(trial.name, tell)
                return
            found[trial.name] = Course(time.process_time() - began, frozenset(lines))
        pickle.dump(found, tell)

    told, status = _in_child(watch)
    if not told:
        raise Misfit(f"the tests ended with status {status}")
    found: dict[str, Course] | str = pickle.loads(told)
    if isinstance(found, str):
        raise Misfit(f"{found} fails with no mutant at all")
    return found


@contextmanager
def _watched(files: dict[str, set[int]]) -> Iterator[set[Line]]:
    """The lines of FILES that are run meanwhile."""
    lines: set[Line] = set()

    def call(frame: FrameType, event: str, arg: Any) -> Any:
        file = frame.f_code.co_filename
        if file not in files:
            return None
        seen = files[file]
        seen.add(frame.f_lineno)

        def line(frame: FrameType, event: str, arg: Any) -> Any:
            seen.add(frame.f_lineno)
            return line

        return line

    for seen in files.values():
        seen.clear()
    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield lines
    finally:
        sys.settrace(before)
        lines |= {(file, number) for file, seen in files.items() for number in seen}
