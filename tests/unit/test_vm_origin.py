# SPDX-License-Identifier: MIT
"""What a run stands on."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.vm.runs import origin


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A git tree with one commit."""
    who = ("-c", "user.name=n", "-c", "user.email=e")
    (tmp_path / "docs").mkdir()
    for name in ("code", "docs/reliability.md"):
        (tmp_path / name).write_text("first\n")
    for argv in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *argv], cwd=tmp_path, check=True)
    return tmp_path


def test_a_clean_tree_is_its_commit(tree: Path) -> None:
    found = origin.tree(tree)
    assert len(found.commit) == 40 and not found.is_dirty
    (tree / "docs/reliability.md").write_text("results\n")
    assert origin.tree(tree) == found


@pytest.mark.parametrize("name", ["code", "another"])
def test_a_change_makes_it_dirty(tree: Path, name: str) -> None:
    (tree / name).write_text("second\n")
    assert origin.tree(tree).is_dirty


def test_an_image_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    image, cache = tmp_path / "image.raw", tmp_path / "build" / "hashes.json"
    image.write_bytes(b"one")
    one = {"image.raw": hashlib.sha256(b"one").hexdigest()}
    assert origin.hashes([image, tmp_path / "none.raw"], cache) == one
    state = image.stat()

    # The same size and time: what is known is taken, which nobody could tell from a look.
    image.write_bytes(b"two")
    os.utime(image, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert origin.hashes([image], cache) == one

    os.utime(image, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    two = {"image.raw": hashlib.sha256(b"two").hexdigest()}
    assert origin.hashes([image], cache) == two


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    image, cache = tmp_path / "image.raw", tmp_path / "hashes.json"
    image.write_bytes(b"one")
    for damage in ("{", "[]", json.dumps({str(image): 1})):
        cache.write_text(damage)
        assert origin.hashes([image], cache)["image.raw"] == hashlib.sha256(b"one").hexdigest()
