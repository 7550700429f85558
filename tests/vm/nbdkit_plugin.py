# SPDX-License-Identifier: MIT
"""nbdkit's Python plugin (nbdkit-python-plugin(3)) that serves a `VolatileCache`. Runs inside
nbdkit only.

Parameters: file=PATH, control=PATH. The control socket takes one word per connection: `flush`,
`cut`, `cut SEED`, `unflushed`, and answers with one line when it is done.
"""

import socket
import sys
import threading
from pathlib import Path

import nbdkit  # type: ignore[import-not-found]  # it exists inside nbdkit only

sys.path.insert(0, str(Path(__file__).parent))
from volatile import VolatileCache  # type: ignore[import-not-found]

API_VERSION = 2
parameters: dict[str, str] = {}
lock = threading.Lock()
disk: VolatileCache


def config(key: str, value: str) -> None:
    parameters[key] = value


def thread_model() -> int:
    return int(nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS)


def after_fork() -> None:
    global disk
    disk = VolatileCache(Path(parameters["file"]))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(parameters["control"])
    listener.listen()
    threading.Thread(target=serve_control, args=(listener,), daemon=True).start()


def serve_control(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection, lock:
            word, _, argument = connection.recv(100).decode().strip().partition(" ")
            if word == "flush":
                disk.flush()
            elif word == "cut":
                disk.power_cut(int(argument) if argument else None)
            connection.sendall(f"{disk.unflushed}\n".encode())


def open(readonly: int) -> int:
    return 1


def get_size(handle: int) -> int:
    return int(disk.size)


def can_flush(handle: int) -> bool:
    return True


def can_fua(handle: int) -> int:
    return int(nbdkit.FUA_EMULATE)


def can_multi_conn(handle: int) -> bool:
    return False


def pread(handle: int, buffer: bytearray, offset: int, flags: int) -> None:
    with lock:
        buffer[:] = disk.read(len(buffer), offset)


def pwrite(handle: int, buffer: bytes, offset: int, flags: int) -> None:
    with lock:
        disk.write(bytes(buffer), offset)


def zero(handle: int, count: int, offset: int, flags: int) -> None:
    with lock:
        disk.zero(count, offset)


def trim(handle: int, count: int, offset: int, flags: int) -> None:
    """A disk may ignore it."""


def flush(handle: int, flags: int) -> None:
    with lock:
        disk.flush()
