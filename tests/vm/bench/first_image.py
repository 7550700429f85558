# SPDX-License-Identifier: MIT
"""Owns the first image that booted to its prompt: which commit's it is, and how it is built once,
from a git worktree of its own, by that tree's own ci/build.
"""

import subprocess
from pathlib import Path

from tests.vm import tools

COMMIT = "60beb64"
FOLDER = tools.BUILD / "first-image"
IMAGE = FOLDER / "build/shoestring.raw"
LOG = tools.BUILD / "logs/first-image.log"


class CannotBuild(RuntimeError):
    """The first image is not there and could not be built; the text says why."""


def built() -> Path:
    """The image; built now if it never was, which takes minutes and the network."""
    if IMAGE.with_name("shoestring.sha256").exists():  # the last thing that the build writes
        return IMAGE
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("w") as log:
        for argv, where in (
            (["git", "worktree", "prune"], tools.TOP),
            (["git", "worktree", "add", "--force", "--detach", str(FOLDER), COMMIT], tools.TOP),
            (["ci/build"], FOLDER),
        ):
            if argv[1:3] == ["worktree", "add"] and (FOLDER / "ci/build").exists():
                continue
            ended = subprocess.run(
                argv, cwd=where, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            )
            if ended.returncode != 0:
                said = LOG.read_text().strip().splitlines()[-1:]
                raise CannotBuild(
                    f"{' '.join(argv)} ended with {ended.returncode}: {' '.join(said)}."
                    f" The whole log is {LOG}."
                )
    return IMAGE
