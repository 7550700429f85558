# SPDX-License-Identifier: MIT
"""What the recorder makes of the answers of a guest that ends meanwhile: nothing was promised."""

import socket
import threading

import pytest

from tests.vm.counter import Recorder

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n12"


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        (WHOLE, 12),
        (WHOLE[:-1], None),
        (WHOLE[:20], None),
        (b"nonsense\r\n\r\n", None),
        (b"", None),
    ],
)
def test_half_an_answer_is_none(answer: bytes, number: int | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        recorder = Recorder(server.getsockname()[1])
        assert recorder.next() == number
        assert recorder.acknowledged == ([] if number is None else [number])
        assert (recorder.present() or None) == (None if number is None else [number])
        serving.join(10)
