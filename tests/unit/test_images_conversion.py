# SPDX-License-Identifier: MIT
"""Images written over volumes that hold something else, for real."""

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from haagent.errors import OperatorError, ToolError
from haagent.images import conversion, qemu
from haagent.images.blob import Blob, found
from haagent.images.conversion import bring, clear
from haagent.images.inspection import Image, inspect
from haagent.images.ova import read
from haagent.images.recognition import Format
from haagent.run import run as real_run
from tests.unit import fake_images, real_qemu
from tests.unit.fake_images import SECTOR, content
from tests.unit.real_qemu import needs_qemu
from tests.unit.test_run import interrupt_us

DATA = content()
EXTENT = 4 << 20  # of LVM
OLD = b"\xa5"  # what a volume holds from before
KINDS: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda data: data,
    "qcow2": fake_images.qcow2,
    "vmdk": fake_images.vmdk,
    "stream": fake_images.stream_vmdk,
    "vdi": fake_images.vdi,
}


def ignored(what: str, share: float) -> None:
    pass


def filled(path: Path, size: int) -> Path:
    path.write_bytes(OLD * size)
    return path


@pytest.fixture(params=["file", "block device"])
def volume(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """As large as the disk and an extent more, and full of something else."""
    file = filled(tmp_path / "volume", len(DATA) + EXTENT)
    if request.param == "file":
        yield file
        return
    try:
        device = real_run(("losetup", "--find", "--show", str(file)), timeout=20).strip()
    except ToolError as error:
        pytest.skip(f"no loop device: {error}")
    try:
        yield Path(device)
    finally:
        real_run(("losetup", "--detach", device), timeout=20)


def image_of(folder: Path, kind: str, data: bytes = DATA) -> Image:
    path = folder / "image"
    path.write_bytes(KINDS[kind](data))
    return inspect(found(path), 1 << 40, real_qemu.run, follow=real_qemu.follow)


@needs_qemu
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_what_was_there_is_left(kind: str, volume: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    bring(
        image_of(tmp_path, kind),
        volume,
        lambda what, share: told.append((what, share)),
        follow=real_qemu.follow,
    )
    assert volume.read_bytes() == DATA + bytes(EXTENT)
    steps = list(dict.fromkeys(what for what, _ in told))
    assert steps == ["Copying", "Emptying the rest", "Comparing"]
    for step in steps:
        shares = [share for what, share in told if what == step]
        assert shares == sorted(shares) and shares[-1] == 1


@needs_qemu
def test_the_disk_of_an_ova_is_brought_without_a_copy(volume: Path, tmp_path: Path) -> None:
    path = found(fake_images.ova(tmp_path / "it.ova"))
    (disk,) = read(path, 1 << 40, real_qemu.run, ignored).disks
    assert disk.image is not None
    bring(disk.image, volume, ignored, follow=real_qemu.follow)
    assert volume.read_bytes() == DATA + bytes(EXTENT)


@needs_qemu
def test_the_data_of_a_flat_vmdk_is_brought(tmp_path: Path) -> None:
    (tmp_path / "data.vmdk").write_bytes(b"#" * SECTOR + DATA)
    line = f'RW {len(DATA) // SECTOR} FLAT "data.vmdk" 1'
    (tmp_path / "it.vmdk").write_bytes(fake_images.descriptor("monolithicFlat", line))
    image = inspect(found(tmp_path / "it.vmdk"), 1 << 40, real_qemu.run)
    volume = filled(tmp_path / "volume", len(DATA))
    bring(image, volume, ignored, follow=real_qemu.follow)
    assert volume.read_bytes() == DATA


@needs_qemu
def test_an_option_that_takes_the_volume_for_empty_would_be_seen(tmp_path: Path) -> None:
    """The other tests hold what convert_argv leaves out: with it, old bytes stay."""
    volume = filled(tmp_path / "volume", len(DATA))
    image = image_of(tmp_path, "qcow2")

    def hasty(argv: Sequence[str], heard: Callable[[str], None], *, silence: float) -> None:
        more = ("--target-is-zero",) if "convert" in argv else ()
        at = argv.index("-n") + 1 if more else 0
        real_qemu.follow((*argv[:at], *more, *argv[at:]), heard, silence=silence)

    with pytest.raises(OperatorError, match="something else is read back: Content mismatch"):
        bring(image, volume, ignored, follow=hasty)
    assert OLD in volume.read_bytes()


@needs_qemu
@pytest.mark.parametrize("rest", [EXTENT, EXTENT + 1024])
def test_the_last_share_is_all(rest: int, tmp_path: Path) -> None:
    volume = filled(tmp_path / "volume", len(DATA) + rest)
    told: list[float] = []
    image = image_of(tmp_path, "vmdk")
    bring(image, volume, lambda what, share: told.append(share), follow=real_qemu.follow)
    assert told[-1] == 1


@needs_qemu
@pytest.mark.parametrize("place", [len(DATA) // 2, len(DATA) + EXTENT - 1])
def test_one_bit_that_is_wrong_is_found(place: int, tmp_path: Path) -> None:
    """In the disk, and in the zeros behind it."""
    volume = filled(tmp_path / "volume", len(DATA) + EXTENT)

    def spoiled(argv: Sequence[str], heard: Callable[[str], None], *, silence: float) -> None:
        if "compare" in argv:
            with volume.open("r+b") as file:
                file.seek(place)
                old = file.read(1)[0]
                file.seek(place)
                file.write(bytes([old ^ 1]))
        real_qemu.follow(argv, heard, silence=silence)

    with pytest.raises(OperatorError, match="Content mismatch at offset"):
        bring(image_of(tmp_path, "vmdk"), volume, ignored, follow=spoiled)


def never(argv: Sequence[str], heard: Callable[[str], None], *, silence: float) -> None:
    raise AssertionError(f"{argv} was run")


RAW = Image(Blob(Path("/nowhere"), len(DATA)), Format.RAW, len(DATA))


def test_a_volume_that_is_too_small_is_not_touched(tmp_path: Path) -> None:
    volume = filled(tmp_path / "volume", len(DATA) - SECTOR)
    with pytest.raises(OperatorError, match="has 4193792 bytes"):
        bring(RAW, volume, ignored, follow=never)
    assert volume.read_bytes() == OLD * (len(DATA) - SECTOR)


def test_a_volume_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="No such file"):
        bring(RAW, tmp_path / "volume", ignored, follow=never)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("volume", ["block device"], indirect=True)
def test_a_volume_that_is_in_use_is_neither_written_nor_read(volume: Path) -> None:
    holder = os.open(volume, os.O_RDWR | os.O_EXCL)
    try:
        with pytest.raises(OperatorError, match="it is in use"):
            bring(RAW, volume, ignored, follow=never)
        with pytest.raises(OperatorError, match="is in use here"):
            found(volume)
    finally:
        os.close(holder)
    assert found(volume).size == len(DATA) + EXTENT


def test_an_empty_disk(volume: Path) -> None:
    told: list[float] = []
    clear(volume, lambda what, share: told.append(share))
    assert volume.read_bytes() == bytes(len(DATA) + EXTENT)
    assert told[-1] == 1


def test_what_cannot_be_emptied_is_told(tmp_path: Path) -> None:
    def broken(argv: Sequence[str], heard: Callable[[str], None], *, silence: float) -> None:
        raise ToolError(argv, 1, "fallocate: it failed\n")

    with pytest.raises(OperatorError, match="not emptied: fallocate: it failed"):
        clear(filled(tmp_path / "volume", SECTOR), ignored, follow=broken)


def test_it_is_emptied_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "STEP", 1 << 20)
    volume = filled(tmp_path / "volume", (2 << 20) + 4096)
    told: list[float] = []
    clear(volume, lambda what, share: told.append(share))
    assert volume.read_bytes() == bytes((2 << 20) + 4096)
    assert len(told) == 3


@pytest.mark.parametrize(
    ("says", "how"),
    [
        (ToolError(("x",), 1, "qemu-img: error while writing: No space\n"), "writing: No space"),
        (ToolError(("x",), None, "it said nothing for 120 s"), "said nothing"),
    ],
)
def test_what_goes_wrong_is_told(says: ToolError, how: str, tmp_path: Path) -> None:
    def fails(argv: Sequence[str], heard: Callable[[str], None], *, silence: float) -> None:
        raise says

    with pytest.raises(OperatorError, match=how) as caught:
        bring(RAW, filled(tmp_path / "volume", len(DATA)), ignored, follow=fails)
    assert "nothing that can be used" in caught.value.hint


def test_a_flush_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    def done(argv: Sequence[str], heard: Callable[[str], None], *, silence: float) -> None:
        ran.append(argv[argv.index("qemu-img") + 1])

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OperatorError, match="did not get onto the volume: Input/output error"):
        bring(RAW, filled(tmp_path / "volume", len(DATA)), ignored, follow=done)
    assert ran == ["convert"]


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("    (12.34/100%)", 0.1234),
        ("    (0.00/100%)", 0.0),
        ("    (100.00/100%)", 1.0),
        ("Images are identical.", None),
        ("(nan/100%)", None),
        ("", None),
    ],
)
def test_a_share(line: str, share: float | None) -> None:
    assert qemu.share(line) == (None if share is None else pytest.approx(share))


def test_patience_grows_with_the_disk() -> None:
    assert conversion.silence(0) == conversion.PATIENCE
    assert conversion.silence(100 << 30) == conversion.PATIENCE + 1024


def slow(argv: Sequence[str], heard: Callable[[str], None], *, silence: float) -> None:
    """Four seconds for the disk; qemu-img(1), -r."""
    at = argv.index("-n") if "convert" in argv else len(argv)
    more = ("-r", "1M") if "convert" in argv else ()
    real_qemu.follow((*argv[:at], *more, *argv[at:]), heard, silence=silence)


@needs_qemu
def test_qemu_img_has_bounded_memory(tmp_path: Path) -> None:
    volume = filled(tmp_path / "volume", len(DATA))
    limits: list[str] = []

    def look(what: str, share: float) -> None:
        for writer in writers(volume):
            limits.extend(Path(f"/proc/{writer}/limits").read_text().splitlines())

    bring(image_of(tmp_path, "raw"), volume, look, follow=slow)
    (data,) = {line.split()[3] for line in limits if line.startswith("Max data size")}
    assert int(data) == qemu.MEMORY


def writers(volume: Path) -> list[int]:
    """The qemu-imgs that have VOLUME on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"convert" in words and str(volume).encode() in words:
                found.append(int(process.name))
    return found


@needs_qemu
def test_an_interrupt_leaves_no_process(tmp_path: Path) -> None:
    volume = filled(tmp_path / "volume", len(DATA))
    seen: list[int] = []

    def interrupt(what: str, share: float) -> None:
        seen.extend(writers(volume))
        interrupt_us()

    with pytest.raises(KeyboardInterrupt):
        bring(image_of(tmp_path, "raw"), volume, interrupt, follow=slow)
    assert len(seen) == 1
    assert writers(volume) == []


DIES = """
import sys
from pathlib import Path
from haagent.images.blob import found
from haagent.images.conversion import bring
from haagent.images.inspection import Image
from haagent.images.recognition import Format
from tests.unit.test_images_conversion import slow

blob = found(Path(sys.argv[1]))
image = Image(blob, Format.RAW, blob.size)
bring(image, Path(sys.argv[2]), lambda what, share: print(share, flush=True), follow=slow)
"""


@needs_qemu
def test_our_own_death_leaves_no_process(tmp_path: Path) -> None:
    volume = filled(tmp_path / "volume", len(DATA))
    (tmp_path / "image").write_bytes(DATA)
    argv = (sys.executable, "-c", DIES, str(tmp_path / "image"), str(volume))
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as ours:
        assert ours.stdout is not None and ours.stdout.readline()
        (writer,) = writers(volume)
        handle = os.pidfd_open(writer)
        ours.kill()
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        assert poll.poll(20_000), "qemu-img writes on"
    finally:
        os.close(handle)
    assert volume.read_bytes() != DATA
