# SPDX-License-Identifier: MIT
"""A plain backup is what everybody's tools take, and what they take is a plain backup."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from haagent.backup import plain
from haagent.backup.layout import BadBackup
from haagent.errors import OperatorError
from tests.unit.fake_backup import DEFINITION, disks, noise, write_plain


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_plain(tmp_path)


def test_it_is_what_sha256sum_takes(path: Path) -> None:
    assert path.name == "web-2026-11-30T0200Z.plain"
    assert sorted(file.name for file in path.iterdir()) == [
        "SHA256SUMS",
        "web.yaml",
        "xvda.raw",
        "xvdb.raw",
    ]
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=path, check=True
    )
    assert (path / "web.yaml").read_text() == DEFINITION
    assert {name: (path / f"{name}.raw").read_bytes() for name in disks()} == disks()
    assert (path / "xvdb.raw").stat().st_blocks == 0
    assert path.stat().st_mode & 0o777 == 0o700


def test_what_sha256sum_makes_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mail.yaml").write_text("memory: 5\n")
    (tmp_path / "xvda.raw").write_bytes(noise(1, 1))
    made = subprocess.run(
        ["sha256sum", "--binary", "mail.yaml", "xvda.raw"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    (tmp_path / "SHA256SUMS").write_bytes(made.stdout)
    found = plain.read(tmp_path)
    found.verify()
    assert (found.guest, [disk.name for disk in found.disks]) == ("mail", ["xvda"])


def test_what_is_written_is_what_is_restored(path: Path, tmp_path: Path) -> None:
    to = {name: tmp_path / f"to-{name}" for name in disks()}
    to["xvda"].write_bytes(b"\xee" * (len(disks()["xvda"]) + 5))
    shares: list[float] = []
    done = plain.read(path).restore(to, shares.append, is_read_back=True)
    assert to["xvda"].read_bytes() == disks()["xvda"] + b"\xee" * 5
    assert to["xvdb"].read_bytes() == disks()["xvdb"]
    assert to["xvdb"].stat().st_blocks == 0
    whole = sum(map(len, disks().values()))
    assert done.data + done.zeros == done.read_back == whole
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_progress_and_an_interruption(tmp_path: Path) -> None:
    shares: list[float] = []
    path = write_plain(tmp_path, shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0
    with pytest.raises(OperatorError, match="is there already"):
        write_plain(tmp_path)
    path.rename(tmp_path / "other")

    def cut(share: float) -> None:
        assert (tmp_path / f"{path.name}.part").is_dir() and not path.exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_plain(tmp_path, cut)
    assert not list(tmp_path.glob("*.plain*"))


@pytest.mark.parametrize("at", [0, 65536 * 2 + 7, -1])
def test_a_flipped_bit_is_told_before_anything_is_write_plain(
    path: Path, tmp_path: Path, at: int
) -> None:
    data = bytearray((path / "xvda.raw").read_bytes())
    data[at] ^= 1
    (path / "xvda.raw").write_bytes(data)
    (tmp_path / "to").write_bytes(b"\xee" * len(data))
    with pytest.raises(BadBackup, match=r"plain: xvda\.raw is damaged"):
        plain.read(path).restore({"xvda": tmp_path / "to", "xvdb": tmp_path / "new"})
    assert set((tmp_path / "to").read_bytes()) == {0xEE}
    assert not list(tmp_path.glob("new*"))


def test_a_disk_that_is_cut_off(path: Path) -> None:
    found = plain.read(path)
    os.truncate(path / "xvda.raw", 1000)
    with pytest.raises(BadBackup, match=r"xvda\.raw ends too early, at byte 1000"):
        found.verify()
    with pytest.raises(BadBackup, match=r"xvda\.raw is damaged"):
        plain.read(path).verify()


def test_what_changes_between_two_reads_is_told(path: Path, tmp_path: Path) -> None:
    def spoil(share: float) -> None:
        if share == 0.5:
            (path / "xvdb.raw").write_bytes(b"x" * len(disks()["xvdb"]))

    with pytest.raises(BadBackup, match=r"xvdb\.raw is damaged"):
        plain.read(path).restore({"xvdb": tmp_path / "to"}, spoil)
    assert not (tmp_path / "to").exists()


def test_it_is_not_restored_onto_itself(path: Path) -> None:
    with pytest.raises(OperatorError, match="or the backup itself"):
        plain.read(path).restore({"xvdb": path / "xvda.raw"})


SUM = hashlib.sha256(DEFINITION.encode()).hexdigest()


@pytest.mark.parametrize(
    ("sums", "why"),
    [
        ("", "does not name one definition"),
        (f"{SUM}  web.yaml\n", "at least one disk"),
        (f"{SUM}  xvda.raw\n", "does not name one definition"),
        (f"{SUM}  web.yaml\n{SUM}  mail.yaml\n{SUM}  xvda.raw\n", "does not name one definition"),
        (f"{SUM}  web.yaml\n{SUM}  ../xvda.raw\n", "a line that is not understood"),
        (f"{SUM}  web.yaml\n{SUM}  /dev/sda.raw\n", "a line that is not understood"),
        (f"{SUM}  web.yaml\n{SUM}  \x1b[2J.raw\n", "a line that is not understood"),
        (f"{SUM}  web.yaml\n{SUM}  xvda.raw\n{SUM}  xvda.raw\n", "a line that is not understood"),
        (f"{SUM[1:]}  web.yaml\n{SUM}  xvda.raw\n", "a line that is not understood"),
        (f"{SUM}  web.yaml\n{SUM}  -xvda.raw\n", "a name in it is wrong"),
        (f"{SUM}  web.yaml\n{SUM}  xvdz.raw\n", "cannot be opened"),
        (f"{'0' * 64}  web.yaml\n{SUM}  xvda.raw\n", "its sum is wrong"),
        ("x" * (1 << 15), "SHA256SUMS is too long"),
        (f"{SUM}  web.yaml\n" + "".join(f"{SUM}  d{n}.raw\n" for n in range(27)), "not name one"),
    ],
)
def test_sums_that_are_not_taken(path: Path, sums: str, why: str) -> None:
    (path / "SHA256SUMS").write_text(sums)
    with pytest.raises(BadBackup, match=why) as caught:
        plain.read(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["SHA256SUMS", "web.yaml", "xvda.raw"])
def test_links_lead_nowhere(path: Path, name: str) -> None:
    (path / name).rename(path / "elsewhere")
    (path / name).symlink_to("elsewhere")
    with pytest.raises(BadBackup, match=f"{name} is a link"):
        plain.read(path)


@pytest.mark.parametrize("definition", [b"- a\n", b"a: *b\n", b"\xff\xfe", b"x" * 70_000])
def test_a_definition_that_is_not_taken(path: Path, definition: bytes) -> None:
    (path / "web.yaml").write_bytes(definition)
    sums = (path / "SHA256SUMS").read_text()
    (path / "SHA256SUMS").write_text(sums.replace(SUM, hashlib.sha256(definition).hexdigest()))
    with pytest.raises(BadBackup):
        plain.read(path)


def test_an_empty_disk(path: Path) -> None:
    (path / "xvda.raw").write_bytes(b"")
    with pytest.raises(BadBackup, match=r"xvda\.raw is empty"):
        plain.read(path)
