# SPDX-License-Identifier: MIT
"""Files that a power cut leaves old or new, and that nobody reads who should not."""

import os
from pathlib import Path

import pytest

from firstboot import files


class PowerCutError(Exception):
    """The machine is off."""


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_writes_a_file_and_the_folders_above_it(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        files.write(tmp_path / "a/b/file", b"text", 0o644)
    finally:
        os.umask(old)
    assert (tmp_path / "a/b/file").read_bytes() == b"text"
    assert mode(tmp_path / "a/b/file") == 0o644
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["file"]


def test_replaces_what_was_there_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old and longer")
    path.chmod(0o644)
    (tmp_path / "file.new").write_text("what a power cut left")
    files.write(path, b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("step", ["fchmod", "fsync"])
def test_nobody_can_read_it_before_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def cut(*_: object) -> None:
        raise PowerCutError

    monkeypatch.setattr(os, step, cut)
    old = os.umask(0)
    try:
        with pytest.raises(PowerCutError):
            files.write(path, b"secret", 0o600)
    finally:
        os.umask(old)
    assert path.read_text() == "old"
    assert mode(tmp_path / "file.new") == 0o600


def test_the_text_lasts_before_the_name_does_and_then_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rename(2) alone orders nothing: an empty file of the new name could be what is left."""
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        order.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def noting_replace(self: Path, target: Path) -> Path:
        order.append(f"rename {self.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    files.write(tmp_path / "etc/file", b"text", 0o644)
    assert order == [
        f"fsync {tmp_path.name}",
        "fsync file.new",
        "rename file.new",
        "fsync etc",
    ]


def test_removes_what_is_there_and_does_not_mind_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    files.remove(tmp_path / "file")
    files.remove(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_removes_what_a_power_cut_left_of_a_newer_one(tmp_path: Path) -> None:
    """It may hold a secret, and nobody would look for it any more."""
    (tmp_path / "file").touch()
    (tmp_path / "file.new").write_text("secret")
    (tmp_path / "other.new").touch()
    files.remove(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["other.new"]


def test_a_link_replaces_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "etc/localtime"
    files.link(path, Path("/usr/share/zoneinfo/UTC"))
    path.with_name("localtime.new").symlink_to("what a power cut left")
    files.link(path, Path("/usr/share/zoneinfo/Europe/Berlin"))
    assert str(path.readlink()) == "/usr/share/zoneinfo/Europe/Berlin"
    assert [each.name for each in path.parent.iterdir()] == ["localtime"]
