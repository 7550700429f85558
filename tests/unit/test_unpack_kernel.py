# SPDX-License-Identifier: MIT
import importlib.util
import struct
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest


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
