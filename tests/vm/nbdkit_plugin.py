# SPDX-License-Identifier: MIT
"""nbdkit's Python plugin (nbdkit-python-plugin(3)) that serves a `ServedDisk`. Runs inside nbdkit
only.

Parameters: file=PATH, control=PATH. The control socket takes one line per connection, see
`ServedDisk.obey`, and answers with one when it is done.

nbdkit has 16 threads for requests (nbdkit(1), `--threads`), and QEMU never sends more than 16 at
once (MAX_NBD_REQUESTS, block/nbd.c): if that many hang, so does the whole disk.
"""

import contextlib
import errno
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import nbdkit  # type: ignore[import-not-found]  # it exists inside nbdkit only

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.vm.served_disk import ServedDisk

API_VERSION = 2
parameters: dict[str, str] = {}
disk: ServedDisk


def config(key: str, value: str) -> None:
    parameters[key] = value


def thread_model() -> int:
    """One that hangs must not hold up the others, and each has its turn in `ServedDisk`."""
    return int(nbdkit.THREAD_MODEL_PARALLEL)


def after_fork() -> None:
    global disk
    disk = ServedDisk(Path(parameters["file"]))
    listener = socket.socket(socket.AF_UNIX)
    control = Path(parameters["control"])
    unfinished = control.with_suffix(".new")
    listener.bind(str(unfinished))
    listener.listen()
    unfinished.rename(control)  # whoever sees it can connect
    threading.Thread(target=serve_control, args=(listener,), daemon=True).start()


def serve_control(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(ConnectionError):  # whoever asked went away
            line = connection.makefile().readline()
            connection.sendall(disk.obey(line).encode() + b"\n")


def open(readonly: int) -> int:
    return 1


def get_size(handle: int) -> int:
    return disk.size


def can_flush(handle: int) -> bool:
    return True


def can_fua(handle: int) -> int:
    return int(nbdkit.FUA_EMULATE)


def can_multi_conn(handle: int) -> bool:
    return False


def pread(handle: int, buffer: bytearray, offset: int, flags: int) -> None:
    with told():
        buffer[:] = disk.read(len(buffer), offset)


def pwrite(handle: int, buffer: bytes, offset: int, flags: int) -> None:
    with told():
        disk.write(bytes(buffer), offset)


def zero(handle: int, count: int, offset: int, flags: int) -> None:
    with told():
        disk.zero(count, offset)


def trim(handle: int, count: int, offset: int, flags: int) -> None:
    with told():
        disk.trim(count, offset)


def flush(handle: int, flags: int) -> None:
    with told():
        disk.flush()


@contextlib.contextmanager
def told() -> Iterator[None]:
    """An error gets its number to whoever asked; without, they would be told EIO for all."""
    try:
        yield
    except OSError as error:
        nbdkit.set_error(error.errno or errno.EIO)
        raise
