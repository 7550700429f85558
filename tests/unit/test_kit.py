# SPDX-License-Identifier: MIT
"""What the test flavour has beside the shipped image, as far as it runs without a machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

from haagent.command import Exit
from tests.vm import tools

WARM = tools.TOP / "ci/image/mkosi.extra/usr/lib/shoestring-test/warm"


def test_commands_are_run_by_one_python_and_know_nothing_of_each_other(tmp_path: Path) -> None:
    commands = (["timers"], ["nonsense"], ["timers"])
    files = [tmp_path / str(number) for number in range(len(commands))]
    for file in files:
        file.touch()
    orders = [
        json.dumps({"argv": argv, "output": str(file)}) + "\n"
        for argv, file in zip(commands, files, strict=True)
    ]
    ended = subprocess.run(
        [sys.executable, WARM],
        input="".join(orders),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tools.TOP)},
        check=True,
    )
    assert ended.stdout.split() == [str(int(code)) for code in (Exit(0), Exit.USAGE, Exit(0))]
    first, second, third = (file.read_text() for file in files)
    assert "take" in first and first == third
    assert "invalid choice: 'nonsense'" in second
