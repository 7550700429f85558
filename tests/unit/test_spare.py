# SPDX-License-Identifier: MIT
"""DRBD's configuration in memory: what drbdadm reads when the stick is gone."""

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from haagent.errors import ToolError
from haagent.storage import spare
from haagent.storage.drbd import Drbd


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = tmp_path / "drbd.d"
    folder.mkdir()
    (folder / "mail.res").write_text("resource mail { }\n")
    (folder / "common.conf").write_text("common { }\n")
    (folder / ".keep").write_text("")
    return folder


def test_it_has_all_that_drbdadm_would_read_in_its_order(kept: Path, tmp_path: Path) -> None:
    copied = spare.copy(kept, tmp_path / "drbd.conf")
    assert copied is not None
    assert copied.read_text() == "common { }\n\nresource mail { }\n"
    assert stat.S_IMODE(copied.stat().st_mode) == 0o600, "it has the shared secret"


def test_a_newer_one_takes_the_place_of_an_older_one(kept: Path, tmp_path: Path) -> None:
    spare.copy(kept, tmp_path / "drbd.conf")
    (kept / "mail.res").write_text("resource mail { net { } }\n")
    copied = spare.copy(kept, tmp_path / "drbd.conf")
    assert copied is not None and "net" in copied.read_text()


def test_an_agent_that_finds_nothing_to_copy_keeps_the_older_one(
    kept: Path, tmp_path: Path
) -> None:
    assert spare.copy(tmp_path / "nowhere", tmp_path / "drbd.conf") is None
    first = spare.copy(kept, tmp_path / "drbd.conf")
    assert spare.copy(tmp_path / "nowhere", tmp_path / "drbd.conf") == first


def test_it_is_what_the_image_includes() -> None:
    usual = Path(__file__).parents[2] / "image/mkosi.extra/etc/drbd.conf"
    included = [line.split('"')[1] for line in usual.read_text().splitlines() if '"' in line]
    assert included == [f"{spare.KEPT}/{pattern}" for pattern in spare.PATTERNS]


def test_verbs_use_it_from_then_on_and_readings_need_none(tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        asked.append(list(argv))
        if argv[0] == "drbdsetup":
            return "exists resource name:mail role:Primary suspended:no\nexists -\n"
        raise ToolError(argv, 11, "no")

    drbd = Drbd(run=run)
    for expected in (
        ["drbdadm", "secondary", "mail"],
        ["drbdadm", "--config-file", "/run/drbd.conf", "secondary", "mail"],
    ):
        with pytest.raises(ToolError):
            drbd.demote("mail")
        assert asked[-1] == expected
        assert asked[0][0] == "drbdsetup"
        drbd.rely_on(Path("/run/drbd.conf"))


def test_it_is_used_as_soon_as_the_usual_one_cannot_be_read(kept: Path, tmp_path: Path) -> None:
    """Also before anybody has noticed that the stick is gone."""
    asked: list[list[str]] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        asked.append(list(argv))
        if argv[0] == "drbdsetup":
            return "exists resource name:mail role:Primary suspended:no\nexists -\n"
        raise ToolError(argv, 11, "no")

    drbd = Drbd(run=run)
    drbd.rely_on(Path("/run/drbd.conf"), lambda: spare.is_readable(kept))
    with pytest.raises(ToolError):
        drbd.demote("mail")
    assert asked[-1] == ["drbdadm", "secondary", "mail"]
    (kept / "mail.res").unlink()
    (kept / "mail.res").symlink_to("mail.res")  # ELOOP, as EIO cannot be had here
    assert not spare.is_readable(kept)
    with pytest.raises(ToolError):
        drbd.demote("mail")
    assert asked[-1] == ["drbdadm", "--config-file", "/run/drbd.conf", "secondary", "mail"]
    assert not spare.is_readable(tmp_path / "nowhere")
