# SPDX-License-Identifier: MIT
"""The real qemu-img: this host's, or that of the tools tree of the image's build."""

import shutil
from collections.abc import Callable, Sequence

import pytest

from haagent.run import follow as real_follow
from haagent.run import run as real_run
from tests.vm import tools

IS_HERE = shutil.which("qemu-img") is not None
IS_IN_TREE = (tools.TREE / "usr/bin/qemu-img").exists()
needs_qemu = pytest.mark.skipif(
    not (IS_HERE or IS_IN_TREE), reason="no qemu-img: neither qemu-utils here, nor a built image"
)


def _found(argv: Sequence[str]) -> Sequence[str]:
    return argv if IS_HERE or "qemu-img" not in argv else tools.command(*argv)


def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
    return real_run(_found(argv), timeout=timeout, stdin=stdin)


def follow(argv: Sequence[str], heard: Callable[[str], None], *, silence: float) -> None:
    real_follow(_found(argv), heard, silence=silence)
