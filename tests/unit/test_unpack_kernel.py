# SPDX-License-Identifier: MIT
import importlib.util
import struct
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

LOAD, NOTE = 1, 4  # p_type, elf(5)


@pytest.fixture(scope="module")
def unpack_kernel() -> ModuleType:
    path = Path(__file__).parents[2] / "image/unpack-kernel"
    loader = SourceFileLoader("unpack_kernel", str(path))
    spec = importlib.util.spec_from_loader("unpack_kernel", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def bzimage(payload: bytes, setup_sectors: int = 7, gap: int = 100) -> bytes:
    """A bzImage as boot.rst describes it, PAYLOAD followed by its size."""
    header = bytearray((setup_sectors + 1) * 512)
    header[0x1F1] = setup_sectors
    header[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", header, 0x248, gap, len(payload) + 4)
    return bytes(header) + b"\xcc" * gap + payload + struct.pack("<I", 12345) + b"\xcc" * 50


@pytest.mark.parametrize("sectors", [1, 7, 31])
def test_finds_the_payload_without_its_size(unpack_kernel: ModuleType, sectors: int) -> None:
    assert unpack_kernel.payload(bzimage(b"packed kernel", sectors)) == b"packed kernel"


def test_refuses_what_is_no_bzimage(unpack_kernel: ModuleType) -> None:
    with pytest.raises(ValueError, match="HdrS"):
        unpack_kernel.payload(b"\x7fELF" + bytes(4096))


def elf(*segments: tuple[int, bytes, int], tail: bytes = b"") -> bytes:
    """An ELF kernel; of each segment its type, its content and how many zeros a loader adds to
    that. A note is the end of the segment before it.
    """
    begin = 64 + 56 * len(segments)
    lines, contents = b"", b""
    for kind, content, zeros in segments:
        offset = begin + len(contents)
        if kind == NOTE:
            offset -= len(content)
        else:
            contents += content
        address = 0x100000 + offset
        size = len(content)
        numbers = kind, 5, offset, address, address, size, size + zeros, 8
        lines += struct.pack("<IIQQQQQQ", *numbers)
    header = bytearray(64)
    header[:5] = b"\x7fELF\x02"
    struct.pack_into("<QQ", header, 32, 64, begin + len(contents))
    struct.pack_into("<HHHHH", header, 54, 56, len(segments), 64, 7, 6)
    return bytes(header) + lines + contents + tail


def in_memory(file: bytes) -> dict[int, bytes]:
    """What a loader makes of FILE, by physical address: elf(5)."""
    (table,) = struct.unpack_from("<Q", file, 32)
    _, count = struct.unpack_from("<HH", file, 54)
    memory = {}
    for number in range(count):
        line = struct.unpack_from("<IIQQQQQQ", file, table + 56 * number)
        kind, _, offset, _, physical, size, whole, _ = line
        content = file[offset : offset + size]
        assert len(content) == size
        memory[physical] = content.ljust(whole, b"\0") if kind == LOAD else content
    return memory


def test_a_kernel_is_the_same_in_memory_without_zeros(unpack_kernel: ModuleType) -> None:
    file = elf(
        (LOAD, b"text" * 1000 + b"the note", 4),
        (NOTE, b"the note", 0),
        (LOAD, b"data" + bytes(50_000), 0),
        (LOAD, bytes(3000), 96),
        (LOAD, b"init" + bytes(100) + b"end" + bytes(20_000), 9),
        tail=b"sections" * 500,
    )
    packed = unpack_kernel.without_zeros(file)
    assert in_memory(packed) == in_memory(file)
    assert len(packed) < 4 * 4096 + 1
    assert packed[32:48] == struct.pack("<QQ", 64, 0), "program headers, and no sections"
    assert b"sections" not in packed


def test_nothing_that_is_needed_is_lost_in_silence(unpack_kernel: ModuleType) -> None:
    with pytest.raises(ValueError, match="type 0x7 is in no loaded one"):
        unpack_kernel.without_zeros(elf((LOAD, b"text", 0), (7, b"elsewhere", 0)))
    with pytest.raises(ValueError, match="type 0x4 is in no loaded one"):
        unpack_kernel.without_zeros(elf((LOAD, b"text" + bytes(8), 0), (NOTE, bytes(8), 0)))
    with pytest.raises(ValueError, match="not a 64-bit ELF"):
        unpack_kernel.without_zeros(b"\x28\xb5\x2f\xfd" + bytes(4096))
