# SPDX-License-Identifier: MIT
"""One piece of data in one frame of zstd, and back: never more than was expected."""

from collections.abc import Callable

import zstandard

LEVEL = 3  # on programs and texts a tenth smaller than 1, and still faster than a disk or a LAN
LEAST_WINDOW = 1 << 10  # bytes; zstd has none below


def packer() -> Callable[[bytes], bytes]:
    """A function that packs; for one thread."""
    return zstandard.ZstdCompressor(level=LEVEL).compress


def most(size: int) -> int:
    """What SIZE bytes may take when packed: ZSTD_COMPRESSBOUND of zstd.h, and its headers."""
    return size + (size >> 8) + 128


def unpacked(data: bytes, size: int) -> bytes:
    """DATA, which must be exactly one frame of SIZE bytes. Raises ValueError."""
    try:
        # safety: zstd takes as much memory as the frame says, so that is looked at first.
        said = zstandard.get_frame_parameters(data)
        if said.content_size != size or said.window_size > max(size, LEAST_WINDOW):
            raise ValueError("it says another size")
        # It raises as well if there is less or more than the frame said.
        return zstandard.ZstdDecompressor(max_window_size=max(size, LEAST_WINDOW)).decompress(
            data, max_output_size=size, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
