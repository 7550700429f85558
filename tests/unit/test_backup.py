# SPDX-License-Identifier: MIT
"""What is backed up is what is restored: full, incremental, through a pipe."""

import contextlib
import errno
import io
import os
import random
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from haagent.backup import chain, examining, restoring, showing, writing
from haagent.backup.disks import Source, source
from haagent.backup.files import whole_file
from haagent.backup.layout import BLOCK_SIZES, VERSION, BadBackup
from haagent.backup.naming import Kind
from haagent.backup.reading import Backup
from haagent.errors import BugError, OperatorError
from tests.backup_golden import FOLDER, days
from tests.unit.fake_backup import AT, BLOCK, DEFINITION, Disks, disks, noise, piped, records, write


def restored(path: Path, folder: Path) -> Disks:
    """Every disk of the backup at PATH, as files in FOLDER."""
    folder.mkdir(exist_ok=True)
    with chain.opened(path) as found:
        targets = {disk.name: folder / disk.name for disk in found.head.disks}
        restoring.restore(found, targets, is_read_back=True)
    contents = {name: target.read_bytes() for name, target in targets.items()}
    for target in targets.values():
        target.unlink()
    return contents


def test_what_is_written_is_what_is_restored(tmp_path: Path) -> None:
    path = write(tmp_path, disks())
    assert path.name == "web-2026-11-30T0200Z.full.shoestring"
    assert path.stat().st_mode & 0o777 == 0o600
    assert restored(path, tmp_path / "to") == disks()
    with Backup(path) as backup:
        assert backup.head.definition == DEFINITION
        assert backup.head.at == AT


def test_zeros_take_no_room(tmp_path: Path) -> None:
    empty = {"xvda": bytes(500 * BLOCK + 1)}
    path = write(tmp_path, empty)
    assert path.stat().st_size < 1024
    assert records(path) == []
    assert restored(path, tmp_path / "to") == empty


def test_what_packs_well_is_packed(tmp_path: Path) -> None:
    path = write(tmp_path, {"xvda": b"a line\n" * 100_000})
    assert path.stat().st_size < 20_000


@pytest.mark.parametrize("block", BLOCK_SIZES)
@pytest.mark.parametrize("size", [1, 512, (4 << 20) - 1, 4 << 20, (4 << 20) + 1])
def test_every_size_of_block_and_disk(tmp_path: Path, block: int, size: int) -> None:
    data = random.Random(size).randbytes(size)
    (tmp_path / "disk").write_bytes(data)
    with source("xvda", tmp_path / "disk") as disk:
        head = replace(writing.planned("web", AT, DEFINITION, [disk]), block=block)
        with whole_file(tmp_path / str(head.name)) as file:
            writing.write(file, head, [disk])
    assert restored(tmp_path / str(head.name), tmp_path / "to") == {"xvda": data}


def test_an_incremental_one_has_only_what_changed(tmp_path: Path) -> None:
    before = disks()
    full = write(tmp_path, before)
    changed = bytearray(before["xvda"])
    changed[BLOCK : BLOCK + 3] = b"new"
    changed[0:BLOCK] = bytes(BLOCK)
    after = {"xvda": bytes(changed), "xvdb": bytes(BLOCK) + noise(1, 9)}
    path = write(tmp_path, after, full, hours=1)
    assert path.name == "web-2026-11-30T0300Z.incremental.shoestring"
    assert [found[2:] for found in records(path)] == [("xvda", BLOCK), ("xvdb", BLOCK)]
    assert restored(path, tmp_path / "to") == after
    assert restored(full, tmp_path / "to") == before


def test_what_did_not_change_costs_an_index_alone(tmp_path: Path) -> None:
    full = write(tmp_path, disks())
    path = write(tmp_path, disks(), full, hours=1)
    assert records(path) == []
    assert path.stat().st_size < 2000
    assert restored(path, tmp_path / "to") == disks()


@pytest.mark.parametrize("seed", range(12))
def test_any_chain_restores_each_of_its_days(tmp_path: Path, seed: int) -> None:
    """Disks that grow, shrink, come, go, are written and wiped, at random."""
    rng = random.Random(seed)
    contents = {"xvda": noise(rng.randrange(1, 6), seed)}
    days: list[tuple[Path, Disks]] = []
    for day in range(6):
        for name in list(contents):
            data = bytearray(contents[name])
            for _ in range(rng.randrange(3)):
                at = rng.randrange(len(data))
                data[at : at + 700] = rng.choice([bytes(700), rng.randbytes(700)])
            if rng.random() < 0.3:
                data += rng.choice([bytes(BLOCK), rng.randbytes(BLOCK + 99)])
            if rng.random() < 0.2:
                del data[max(1, len(data) // 2) :]
            contents[name] = bytes(data)
        if rng.random() < 0.3:
            contents[f"xvd{rng.choice('bcd')}"] = noise(rng.randrange(1, 3), rng.randrange(99))
        if len(contents) > 1 and rng.random() < 0.3:
            del contents[rng.choice(sorted(contents))]
        base = rng.choice(days)[0] if days and rng.random() < 0.9 else None
        days.append((write(tmp_path, contents, base, hours=day), dict(contents)))
    for path, told in days:
        assert restored(path, tmp_path / "to") == told, f"seed {seed}"
        with chain.opened(path) as found:
            restoring.verify(found)


def test_what_goes_through_a_pipe_is_the_same(tmp_path: Path) -> None:
    data, written = piped(tmp_path, disks())
    assert len(data) == written.length
    path = tmp_path / "from-a-pipe"
    path.write_bytes(data)
    assert restored(path, tmp_path / "to") == disks()
    with Backup(path) as backup:
        assert backup.digest == written.digest
    assert written.zeros == 5 * BLOCK
    assert written.stored + written.zeros == sum(map(len, disks().values()))


def test_a_pipe_is_examined_while_it_is_read(tmp_path: Path) -> None:
    data, written = piped(tmp_path, {"xvda": noise(20, 1)})  # much more than a pipe holds
    reading, writing_ = os.pipe()

    def pour() -> None:
        with os.fdopen(writing_, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=pour)
    thread.start()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        found = examining.examine(pipe, "what comes")
    thread.join()
    assert (found.digest, found.length, found.blocks) == (written.digest, len(data), 20)


class Drips(io.RawIOBase):
    """A pipe that takes little at a time."""

    def __init__(self) -> None:
        self.got = b""

    def write(self, data: memoryview, /) -> int:  # type: ignore[override]
        self.got += bytes(data[:1000])
        return min(len(data), 1000)


class Stuck(io.RawIOBase):
    """A pipe that fails with this error; without one it takes nothing and does not wait."""

    def __init__(self, error: OSError | None) -> None:
        self.error = error

    def write(self, data: object, /) -> None:
        if self.error is not None:
            raise self.error


def test_what_a_pipe_does_not_take_at_once_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(noise(2, 1))
    with source("xvda", tmp_path / "disk") as disk:
        head, pipe = writing.planned("web", AT, DEFINITION, [disk]), Drips()
        writing.write(pipe, head, [disk])  # type: ignore[arg-type]
    assert examining.examine(io.BytesIO(pipe.got), "it").blocks == 1


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "Broken pipe", "has ended"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space", "make room"),
        (OSError(errno.EFBIG, "File too large"), "too large", "exFAT"),
        (None, "takes nothing", "try again"),
    ],
)
def test_a_pipe_that_breaks_is_told(
    tmp_path: Path, error: OSError | None, said: str, hint: str
) -> None:
    (tmp_path / "disk").write_bytes(noise(1, 1))
    with source("xvda", tmp_path / "disk") as disk:
        head = writing.planned("web", AT, DEFINITION, [disk])
        with pytest.raises(OperatorError, match=said) as caught:
            writing.write(Stuck(error), head, [disk])  # type: ignore[arg-type]
    assert hint in caught.value.hint


def test_progress_rises_to_one(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(noise(40, 1))
    shares: list[float] = []
    with source("xvda", tmp_path / "disk") as disk:
        path, _ = writing.write_file(tmp_path, "web", AT, DEFINITION, [disk], None, shares.append)
    assert shares == sorted(shares) and len(shares) == 3 and shares[-1] == 1.0
    for is_read_back in (False, True):
        shares.clear()
        with chain.opened(path) as found:
            to = {"xvda": tmp_path / f"to-{is_read_back}"}
            done = restoring.restore(found, to, shares.append, is_read_back=is_read_back)
            assert done.read_back == (40 * BLOCK if is_read_back else 0)
            assert done.data + done.zeros == 40 * BLOCK
        assert shares == sorted(shares) and shares[-1] == 1.0 and shares[0] < 1
    shares.clear()
    with chain.opened(path) as found:
        restoring.verify(found, shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0


class Interrupted(BaseException):
    """As Ctrl-C is: no Exception."""


@pytest.mark.parametrize("at", [0.1, 0.5, 1.0])
def test_what_is_interrupted_leaves_no_backup(tmp_path: Path, at: float) -> None:
    (tmp_path / "disk").write_bytes(noise(64, 1))

    def cut(share: float) -> None:
        assert list(tmp_path.glob("*.part")) != []
        assert list(tmp_path.glob("*.shoestring")) == []
        if share >= at:
            raise Interrupted

    with source("xvda", tmp_path / "disk") as disk, pytest.raises(Interrupted):
        writing.write_file(tmp_path, "web", AT, DEFINITION, [disk], None, cut)
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = write(tmp_path, disks())
    before = path.read_bytes()
    with pytest.raises(OperatorError, match="is there already"):
        write(tmp_path, disks(1))
    assert path.read_bytes() == before
    path.rename(f"{path}.part")
    with pytest.raises(OperatorError, match="being written just now, or was not finished"):
        write(tmp_path, disks(1))
    assert Path(f"{path}.part").read_bytes() == before


@pytest.mark.parametrize("error", [errno.EIO, errno.EINVAL])
def test_a_name_that_may_not_last_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """But where nobody can wait for a name, that is no failure."""

    def failing(folder: Path) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("haagent.backup.files.sync_folder", failing)
    if error == errno.EINVAL:
        assert write(tmp_path, disks()).exists()
        return
    with pytest.raises(OperatorError, match="It is not there"):
        write(tmp_path, disks())
    assert not list(tmp_path.glob("*.shoestring*"))


def test_a_disk_that_ends_is_told(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(noise(40, 1))
    with (
        source("xvda", tmp_path / "disk") as disk,
        pytest.raises(OperatorError, match=r"Disk xvda \(disk\) could not be read at byte 1048577"),
    ):
        os.truncate(tmp_path / "disk", (1 << 20) + 1)
        writing.write_file(tmp_path, "web", AT, DEFINITION, [disk])
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]


@pytest.mark.parametrize("path", ["/dev/null", "/tmp", "/nowhere"])
def test_only_disks_and_files_are_backed_up(path: str) -> None:
    with pytest.raises(OperatorError, match=r"neither a block|could not be opened"):
        contextlib.ExitStack().enter_context(source("xvda", Path(path)))


def sources_of(tmp_path: Path, *names: str) -> list[Source]:
    found = []
    for name in names:
        (tmp_path / "disk").write_bytes(b"x")
        found.append(Source(name, os.open(tmp_path / "disk", os.O_RDONLY), "disk"))
    return found


@pytest.mark.parametrize(
    ("guest", "definition", "names"),
    [
        ("Web", DEFINITION, ["xvda"]),
        ("web/..", DEFINITION, ["xvda"]),
        ("web", "", ["xvda"]),
        ("web", "- a\n", ["xvda"]),
        ("web", DEFINITION, []),
        ("web", DEFINITION, ["xvda", "xvda"]),
        ("web", DEFINITION, ["../xvda"]),
        ("web", DEFINITION, [f"disk{number}" for number in range(27)]),
    ],
)
def test_what_could_not_be_read_is_not_written(
    tmp_path: Path, guest: str, definition: str, names: list[str]
) -> None:
    with pytest.raises(OperatorError, match="Nothing was written"):
        writing.planned(guest, AT, definition, sources_of(tmp_path, *names))


def test_another_guests_backup_is_no_base(tmp_path: Path) -> None:
    with (
        Backup(write(tmp_path, disks())) as base,
        pytest.raises(OperatorError, match="cannot be the base of a backup of mail"),
    ):
        writing.planned("mail", AT, DEFINITION, sources_of(tmp_path, "xvda"), base)


def test_an_index_of_another_base_than_the_one_named_is_a_bug(tmp_path: Path) -> None:
    sources = sources_of(tmp_path, "xvda")
    with (
        Backup(write(tmp_path, disks())) as base,
        Backup(write(tmp_path, disks(), hours=1)) as other,
    ):
        head = writing.planned("web", AT, DEFINITION, sources, base)
        with pytest.raises(BugError):
            writing.write(io.BytesIO(), head, sources, other)
        with pytest.raises(BugError):
            writing.write(io.BytesIO(), head, sources)


def test_show(tmp_path: Path) -> None:
    full = write(tmp_path, disks())
    with Backup(write(tmp_path, disks(), full, hours=1)) as backup:
        told = showing.summary(backup)
    assert told["kind"] == Kind.INCREMENTAL
    assert told["base"]["file"] == full.name
    assert told["blocks"] == {"stored": 0, "zero": 5, "in-base": 5}
    said = "\n".join(showing.lines(told))
    assert "guest web, 2026-11-30T03:00:00+00:00, incremental" in said
    assert f"the other 320.0 KiB are in {full.name}, which restoring needs" in said
    with Backup(full) as backup:
        assert "needs" not in "\n".join(showing.lines(showing.summary(backup)))


@pytest.mark.parametrize("name", ["a fifo", "a folder", "nothing"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "a fifo")
    (tmp_path / "a folder").mkdir()
    with pytest.raises(BadBackup, match=f"{name}: it (is no file|cannot be opened)"):
        Backup(tmp_path / name)


@pytest.mark.parametrize("folder", sorted(FOLDER.iterdir()), ids=lambda folder: folder.name)
def test_what_an_earlier_release_wrote_is_read(tmp_path: Path, folder: Path) -> None:
    for path, told in zip(sorted(folder.glob("*.shoestring")), days(), strict=True):
        assert restored(path, tmp_path / "to") == told
        with chain.opened(path) as found:
            restoring.verify(found)
            assert found.head.definition == DEFINITION
    assert (FOLDER / f"version-{VERSION}").is_dir()
