# SPDX-License-Identifier: MIT
"""A backup that is damaged, cut off or made to hurt is told as what it is, and no harm done."""

import contextlib
import io
import random
import struct
from pathlib import Path

import pytest
import zstandard

from haagent.backup import chain, examining, plain, restoring
from haagent.backup import index as indexes
from haagent.backup.compression import packer, unpacked
from haagent.backup.layout import (
    BLOCK_TAG,
    CLOSING,
    ENTRY,
    INDEX_TAG,
    LONGEST_HEAD,
    MAGIC,
    MOST_BLOCKS,
    PIECE,
    RECORD,
    START,
    SUM,
    BadBackup,
    checksum,
)
from haagent.backup.reading import Backup
from haagent.errors import OperatorError
from tests.unit.fake_backup import BLOCK, disks, forged, head, noise, records, write

DATA = noise(1, 5)
PACKED = packer()(DATA)
RECORDED = RECORD.pack(BLOCK_TAG, 0, 0, len(PACKED), checksum(DATA)) + PACKED
LISTED = ENTRY.pack(checksum(DATA), len(PACKED))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("backup"), disks()).read_bytes()


@pytest.fixture
def path(tmp_path: Path, file: bytes) -> Path:
    found = tmp_path / "web.shoestring"
    found.write_bytes(file)
    return found


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def examined(data: bytes) -> examining.Examined:
    return examining.examine(io.BytesIO(data), "it", len(data))


def taken(path: Path, to: Path) -> bytes:
    with chain.opened(path) as found:
        restoring.restore(found, {"xvda": to})
    return to.read_bytes()


def test_every_byte_counts(file: bytes) -> None:
    """Also those that no restoring would miss."""
    assert examined(file).length == len(file)
    for at in [*range(400), *range(400, len(file) - 600, 1999), *range(len(file) - 600, len(file))]:
        with pytest.raises(BadBackup):
            examined(file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :])


def test_a_flipped_bit_never_gets_onto_a_disk(path: Path, file: bytes, tmp_path: Path) -> None:
    whole, refused = disks()["xvda"], 0
    places = [*range(0, len(file), 4099), *range(len(file) - 300, len(file), 7)]
    for count, at in enumerate(places):
        path.write_bytes(file)
        flip(path, at)
        try:
            assert taken(path, tmp_path / f"to-{count}") == whole, at
        except BadBackup:
            refused += 1
            assert not (tmp_path / f"to-{count}").exists()
    # All but the sum over everything, which restoring does not ask for.
    assert len(places) - SUM // 7 - 1 <= refused < len(places)


@pytest.mark.parametrize("number", range(5))
def test_a_damaged_block_is_named(path: Path, tmp_path: Path, number: int) -> None:
    at, length, disk, offset = records(path)[number]
    for inside in (RECORD.size - 1, RECORD.size + 9, length - 1):
        flip(path, at + inside)
        said = f"the block at byte {offset} of disk {disk}"
        with pytest.raises(BadBackup, match=f"web.shoestring: {said} is damaged") as caught:
            taken(path, tmp_path / "to")
        assert "do not use it" in caught.value.hint
        with pytest.raises(BadBackup, match=f"it is damaged in {said}"):
            examined(path.read_bytes())
        flip(path, at + inside)


def test_what_is_put_back_in_place_stops_at_the_damage(path: Path, tmp_path: Path) -> None:
    """Every block before it is the right one, and what follows was not touched."""
    at, _, disk, offset = records(path)[2]
    flip(path, at + RECORD.size)
    to, old = tmp_path / "device", b"\xee" * (len(disks()["xvda"]) + 99)
    to.write_bytes(old)
    with chain.opened(path) as found, pytest.raises(BadBackup, match="stopped there"):
        restoring.restore(found, {disk: to})
    assert to.read_bytes() == disks()[disk][:offset] + old[offset:]


def test_swapped_blocks_are_told(path: Path, file: bytes, tmp_path: Path) -> None:
    (first, length, _, _), (second, other, _, offset) = records(path)[:2]
    assert length == other  # of noise, so that nothing else moves
    swapped = (
        file[:first]
        + file[second : second + length]
        + file[first : first + length]
        + file[second + length :]
    )
    path.write_bytes(swapped)
    with pytest.raises(BadBackup, match="byte 0 of disk xvda is damaged: something else is in its"):
        taken(path, tmp_path / "to")
    with pytest.raises(BadBackup, match=f"after the block at byte {offset} .* belongs before it"):
        examined(swapped)


def test_a_block_twice_is_told(file: bytes, path: Path) -> None:
    at, length, _, _ = records(path)[0]
    with pytest.raises(BadBackup, match="belongs before it"):
        examined(file[: at + length] + file[at:])


def test_a_file_that_is_cut_off_tells_how_far_it_goes(path: Path, file: bytes) -> None:
    found = records(path)
    index_at = found[-1][0] + found[-1][1]
    cases = [(5, "at its beginning"), (START.size + 9, "in its head")]
    for at, length, disk, offset in found:
        block = f"the block at byte {offset} of disk {disk}"
        cases += [(at + RECORD.size + 1, f"in {block}"), (at + length, f"after {block}")]
        cases += [(at + length - 1, f"in {block}")]
    cases += [(index_at + 9, "in its index"), (len(file) - 1, "at its end")]
    for length, where in cases:
        path.write_bytes(file[:length])
        with pytest.raises(BadBackup, match=f"it ends too early, {where}$|{where}\\.$") as caught:
            Backup(path)
        assert "cut off" in caught.value.hint
        with pytest.raises(BadBackup, match=f"it ends too early, {where}"):
            examined(file[:length])


def test_not_one_byte_may_be_missing_or_added(path: Path, file: bytes) -> None:
    for length in range(0, len(file), 977):
        path.write_bytes(file[:length])
        with pytest.raises(BadBackup):
            Backup(path)
    for more in (b"\0", bytes(4096), file):
        path.write_bytes(file + more)
        with pytest.raises(BadBackup, match="there is more behind it"):
            Backup(path)
        with pytest.raises(BadBackup, match="there is more behind it"):
            examined(file + more)


@pytest.mark.parametrize("at", [-1, -CLOSING.size + 3, -CLOSING.size + 13, -SUM - 1, -SUM - 30])
def test_a_damaged_end(path: Path, file: bytes, at: int) -> None:
    flip(path, len(file) + at)
    with pytest.raises(BadBackup, match="at its end"):
        examined(path.read_bytes())
    if at == -1:
        Backup(path).close()  # the sum over everything, which nobody asks for here
        return
    with pytest.raises(BadBackup, match=r"its (end|head or its index) is damaged"):
        Backup(path)


def test_a_damaged_index(path: Path, file: bytes) -> None:
    last = records(path)[-1]
    flip(path, last[0] + last[1] + len(INDEX_TAG) + PIECE.size + 60)
    with pytest.raises(BadBackup, match="index"):
        Backup(path)
    with pytest.raises(BadBackup, match="in its index"):
        examined(path.read_bytes())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "ends too early, at its beginning"),
        (b"QFI\xfb" + bytes(500), "it is no backup of Shoestring's"),
        (START.pack(MAGIC, 2, 5) + bytes(99), "its format is 2, and this release reads 1"),
        (START.pack(MAGIC, 1, LONGEST_HEAD + 1) + bytes(99), "damaged in its head: that is too lo"),
        (START.pack(MAGIC, 1, 5) + b"{}   " + bytes(SUM), "in its head: its sum is wrong"),
    ],
)
def test_what_is_no_backup(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "it").write_bytes(data)
    for open_ in (lambda: Backup(tmp_path / "it"), lambda: examined(data)):
        with pytest.raises(BadBackup, match=said):
            open_()


@pytest.mark.parametrize("values", [{}, {"depth": 0}])
def test_what_is_forged_in_these_tests_is_read(tmp_path: Path, values: dict[str, object]) -> None:
    """Otherwise the refusals below would prove nothing."""
    data = forged(head(**values), RECORDED, raw=LISTED)
    (tmp_path / "it").write_bytes(data)
    assert examined(data).blocks == 1
    assert taken(tmp_path / "it", tmp_path / "to") == DATA


def disk(name: object = "xvda", size: object = BLOCK, **more: object) -> dict[str, object]:
    return {"name": name, "bytes": size, **more}


@pytest.mark.parametrize(
    "said",
    [
        head(guest="../web"),
        head(guest="WEB"),
        head(guest="web\x1b[2J"),
        head(guest=5),
        head(id="x"),
        head(at="2026-13-30T0200Z"),
        head(at="yesterday"),
        head(block=1 << 30),
        head(block=0),
        head(block=True),
        head(block=65537),
        head(disks=[]),
        head(disks=None),
        head(disks={}),
        head(disks=[disk(), disk()]),
        head(disks=[disk("/dev/sda")]),
        head(disks=[disk(size=0)]),
        head(disks=[disk(size=-5)]),
        head(disks=[disk(size=1.5)]),
        head(disks=[disk(size=True)]),
        head(disks=[disk(more=1)]),
        head(disks=["xvda"]),
        head(disks=[disk(size=BLOCK * MOST_BLOCKS + 1)]),
        head(disks=[disk(size=1 << 200)]),
        head(disks=[disk(f"d{number}") for number in range(27)]),
        head(base={}),
        head(base={"name": "../../etc/passwd", "id": "0" * 32, "digest": "0" * 64}, depth=1),
        head(base={"name": "web", "id": "0" * 32, "digest": "0" * 64}, depth=1),
        head(depth=1),
        head(depth=-1),
        head(depth=101),
        head(more=1),
        head(definition=""),
        head(definition="- a"),
        head(definition=5),
        head(definition="a: !!python/object/apply:os.system [reboot]"),
        head(definition="a: !!binary aGk="),
        head(definition="a: &x [1]\nb: [*x, *x]"),
        head(definition="a: &x 1"),
        head(definition="a: " + "[" * 20 + "]" * 20),
        head(definition="a: " + "[" * 30000),
        head(definition="a: " + "x" * (1 << 16)),
        head(definition="a: \x1b"),
        head(definition="a: b\n---\nc: d"),
        head(definition="1: b"),
        head(definition="a: " + "9" * 5000),
        head(definition="\ud800: b"),
        b"",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_head_is_read_in_full(tmp_path: Path, said: bytes) -> None:
    data = forged(said, RECORDED, raw=LISTED)
    (tmp_path / "it").write_bytes(data)
    with pytest.raises(BadBackup, match="its head is not understood") as caught:
        Backup(tmp_path / "it")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400
    with pytest.raises(BadBackup, match="its head is not understood"):
        examined(data)


def frame(size: int, window: int, content: bytes = b"\x01\x00\x00") -> bytes:
    """A frame of zstd that says SIZE and a window of 2**WINDOW (RFC 8878, 3.1.1)."""
    return b"\x28\xb5\x2f\xfd\xc0" + bytes([(window - 10) << 3]) + struct.pack("<Q", size) + content


ZEROS_PACKED = packer()(bytes(64 << 20))  # a few kilobytes that are 64 MiB
SAYS = "it says another size"  # nothing was opened, and no memory taken


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (ZEROS_PACKED, SAYS),
        (frame(BLOCK, 40), "too much memory"),
        (frame(BLOCK, 17), SAYS),
        (frame(1 << 60, 16), SAYS),
        (frame(BLOCK, 16), "decompress"),
        (PACKED[:-1], "decompress"),
        (PACKED + b"\0", "unused data"),
        (PACKED + PACKED, "unused data|too long|impossible"),
        (b"\x50\x2a\x4d\x18" + struct.pack("<I", 8) + bytes(8), SAYS),  # a frame to be skipped
        (zstandard.ZstdCompressor(write_content_size=False).compress(DATA), SAYS),
        (b"\x28\xb5\x2f\xfd", "frame parameters"),
    ],
)
def test_a_block_is_never_more_than_a_block(tmp_path: Path, packed: bytes, why: str) -> None:
    record = RECORD.pack(BLOCK_TAG, 0, 0, len(packed), checksum(DATA)) + packed
    data = forged(head(), record, raw=ENTRY.pack(checksum(DATA), len(packed)))
    (tmp_path / "it").write_bytes(data)
    with pytest.raises(BadBackup, match=why):
        taken(tmp_path / "it", tmp_path / "to")
    with pytest.raises(BadBackup, match=why):
        examined(data)


def test_what_is_packed_is_unpacked() -> None:
    assert unpacked(PACKED, BLOCK) == DATA
    with pytest.raises(ValueError):
        unpacked(PACKED, BLOCK + 1)


OTHER = bytes(range(32))


@pytest.mark.parametrize(
    ("blocks", "raw", "why"),
    [
        (b"", LISTED, "does not belong to its blocks"),
        (RECORDED + RECORDED, LISTED, "does not belong to its blocks"),
        (RECORDED, ENTRY.pack(checksum(DATA), 0), "a block is nowhere"),
        (RECORDED, ENTRY.pack(bytes(32), len(PACKED)), "an impossible length"),
        (RECORDED, ENTRY.pack(checksum(DATA), 1 << 31), "an impossible length"),
        (RECORDED, LISTED + LISTED, "in its index"),
        (RECORDED, b"", "in its index|damaged"),
        (RECORDED, ENTRY.pack(bytes(32), 0), "does not belong to its blocks"),
    ],
)
def test_an_index_agrees_with_its_blocks(
    tmp_path: Path, blocks: bytes, raw: bytes, why: str
) -> None:
    data = forged(head(), blocks, raw=raw)
    (tmp_path / "it").write_bytes(data)
    with pytest.raises(BadBackup, match=why):
        Backup(tmp_path / "it")
    with pytest.raises(BadBackup):
        examined(data)


def test_nothing_hides_behind_an_index(tmp_path: Path) -> None:
    pieces = b"".join(indexes.pieces(bytearray(LISTED)))
    for hidden, whole in ((b"", True), (b"more", False)):
        data = forged(head(), RECORDED, index=pieces + hidden, raw=LISTED)
        (tmp_path / "it").write_bytes(data)
        if whole:
            Backup(tmp_path / "it").close()
            continue
        with pytest.raises(BadBackup, match="does not belong to its blocks"):
            Backup(tmp_path / "it")
        with pytest.raises(BadBackup, match="at its end"):
            examined(data)


@pytest.mark.parametrize(
    ("disk_", "number", "packed", "found", "why"),
    [
        (1, 0, PACKED, checksum(DATA), "that no disk has"),
        (0, 1, PACKED, checksum(DATA), "that no disk has"),
        (0, 1 << 31, PACKED, checksum(DATA), "that no disk has"),
        (0, 0, bytes(70_000), checksum(DATA), "it is too long"),
        (0, 0, PACKED, OTHER, "its sum is wrong"),
        (0, 0, packer()(DATA[:-1]), checksum(DATA[:-1]), "another size"),
    ],
)
def test_a_block_is_where_it_can_be(
    disk_: int, number: int, packed: bytes, found: bytes, why: str
) -> None:
    record = RECORD.pack(BLOCK_TAG, disk_, number, len(packed), found) + packed
    with pytest.raises(BadBackup, match=why):
        examined(forged(head(), record, raw=ENTRY.pack(found, len(packed))))


def test_an_index_that_is_a_bomb(tmp_path: Path) -> None:
    """The head says how long it may be."""
    piece = PIECE.pack(len(ZEROS_PACKED)) + ZEROS_PACKED
    for index in (piece, PIECE.pack(1 << 31) + ZEROS_PACKED, PIECE.pack(0)):
        (tmp_path / "it").write_bytes(forged(head(), b"", index=index))
        with pytest.raises(BadBackup, match="damaged in its index"):
            Backup(tmp_path / "it")


def test_the_largest_guest_of_nothing_fits_the_memory(tmp_path: Path) -> None:
    """What a small file may cost at the most: an index of so many zeros, and no more."""
    said = head(disks=[disk(size=BLOCK * MOST_BLOCKS)])
    data = forged(said, raw=bytes(ENTRY.size * MOST_BLOCKS))
    assert len(data) < 40_000
    (tmp_path / "it").write_bytes(data)
    with Backup(tmp_path / "it") as backup:
        assert backup.head.size == BLOCK * MOST_BLOCKS


def spoilt(data: bytes, rng: random.Random) -> bytes:
    at, length = rng.randrange(len(data)), rng.choice([1, 8, 46, 1000])
    piece, rest = data[at : at + length], data[at + length :]
    instead = rng.choice([rng.randbytes(len(piece)), b"\xff" * len(piece), b"", piece * 2])
    return data[:at] + instead + rest


@pytest.mark.parametrize("seed", range(8))
def test_noise_in_the_place_of_anything_is_no_crash(file: bytes, path: Path, seed: int) -> None:
    """Pieces taken out, doubled and overwritten: it is either whole, or a sentence."""
    rng = random.Random(seed)
    for _ in range(40):
        data = file
        for _ in range(rng.randrange(1, 4)):
            data = spoilt(data, rng)
        path.write_bytes(data)
        with contextlib.suppress(BadBackup), chain.opened(path) as found:
            restoring.verify(found)
            assert data == file, f"seed {seed}"


def test_a_missing_base_is_named_before_anything_is_written(tmp_path: Path) -> None:
    full = write(tmp_path, disks())
    path = write(tmp_path, disks(1), full, hours=1)
    full.unlink()
    with pytest.raises(BadBackup, match=f"changed since {full.name}, which is not there"):
        taken(path, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_base_that_was_renamed_or_lies_elsewhere_is_found(tmp_path: Path) -> None:
    full = write(tmp_path, disks())
    path = write(tmp_path, {"xvda": disks()["xvda"][:-9]}, full, hours=1)
    full = full.rename(tmp_path / "copy-of-monday.shoestring")
    assert taken(path, tmp_path / "to") == disks()["xvda"][:-9]
    (tmp_path / "elsewhere").mkdir()
    full.rename(tmp_path / "elsewhere/copy.shoestring")
    with chain.opened(path, [tmp_path / "elsewhere"]) as found:
        assert [backup.title for backup in found.backups] == [path.name, "copy.shoestring"]


def test_another_backup_of_the_bases_name_is_told(tmp_path: Path) -> None:
    full = write(tmp_path, disks())
    path = write(tmp_path, disks(1), full, hours=1)
    full.unlink()
    assert write(tmp_path, disks()) == full  # the same disks, from the same minute: another backup
    with pytest.raises(BadBackup, match=f"builds on {full.name}, and {full.name} is another"):
        taken(path, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_base_of_the_same_id_and_other_content_is_told(tmp_path: Path) -> None:
    """Somebody changed it, and made every sum in it right."""
    (tmp_path / "web-2026-11-30T0200Z.full.shoestring").write_bytes(
        forged(head(), RECORDED, raw=LISTED)
    )
    path = write(tmp_path, {"xvda": DATA}, next(tmp_path.glob("*.full.*")), hours=1)
    assert taken(path, tmp_path / "to") == DATA
    (tmp_path / "web-2026-11-30T0200Z.full.shoestring").write_bytes(
        forged(head(), raw=ENTRY.pack(bytes(32), 0))
    )
    with pytest.raises(BadBackup, match="is another backup than that one was"):
        taken(path, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_chain_in_which_a_block_is_nowhere(tmp_path: Path) -> None:
    """Every sum is right, and the base is the one: only whoever made both can do that."""
    base = tmp_path / "web-2026-11-30T0200Z.full.shoestring"
    base.write_bytes(forged(head(), RECORDED, raw=LISTED))
    with Backup(base) as found:
        below = {"name": base.name, "id": "0" * 32, "digest": found.digest.hex()}
    said = head(id="1" * 32, base=below, depth=1)
    (tmp_path / "it").write_bytes(forged(said, raw=ENTRY.pack(OTHER, 0)))
    with pytest.raises(BadBackup, match="it: the block at byte 0 of disk xvda is in none of"):
        taken(tmp_path / "it", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_backup_that_is_its_own_base_is_no_ring(tmp_path: Path) -> None:
    name = "web-2026-11-30T0200Z.incremental.shoestring"
    said = head(base={"name": name, "id": "0" * 32, "digest": "0" * 64}, depth=1)
    (tmp_path / name).write_bytes(forged(said, raw=ENTRY.pack(OTHER, 0)))
    with pytest.raises(BadBackup, match="is another backup than that one was"):
        taken(tmp_path / name, tmp_path / "to")


def test_a_damaged_base_is_told_by_its_own_name(tmp_path: Path) -> None:
    full = write(tmp_path, disks())
    path = write(tmp_path, disks(), full, hours=1)
    flip(full, records(full)[1][0] + 99)
    with pytest.raises(BadBackup, match=f"{full.name}: the block at byte 65536 of disk xvda is da"):
        taken(path, tmp_path / "to")
    with chain.opened(path) as found, pytest.raises(BadBackup, match=full.name):
        restoring.verify(found)
    full.write_bytes(full.read_bytes()[:-5])
    with pytest.raises(OperatorError, match=f"{full.name}: it ends too early"):
        taken(path, tmp_path / "to")


def test_a_name_from_a_stick_does_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "x\x1b[2Jy").write_bytes(b"")
    with pytest.raises(BadBackup, match=r"^x\?\[2Jy: "):
        Backup(tmp_path / "x\x1b[2Jy")


def test_a_place_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300)
    full = write(tmp_path, disks())
    path = write(tmp_path, disks(), full, hours=1)
    full.unlink()
    for open_ in (
        lambda: chain.opened(path, [long]).__enter__(),
        lambda: chain.opened(long).__enter__(),
        lambda: plain.read(long),
    ):
        with pytest.raises(BadBackup, match="File name too long"):
            open_()
    full = write(tmp_path, disks())
    with (
        chain.opened(full) as found,
        pytest.raises(OperatorError, match="could not be written: File name too long"),
    ):
        restoring.restore(found, {"xvda": long})
