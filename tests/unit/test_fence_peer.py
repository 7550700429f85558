# SPDX-License-Identifier: MIT
"""DRBD's handler: no failure may end in a code that DRBD acts on."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import haagent
from haagent import control
from haagent.core.model import FenceAnswer
from haagent.fencing import fence_peer
from haagent.fencing.fence_peer import main

GUEST = {"DRBD_RESOURCE": "counter"}


@contextmanager
def agent(path: Path, *reply: bytes) -> Iterator[list[bytes]]:
    """An agent that takes one question and says REPLY, piece by piece; yields what it was asked."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with suppress(OSError):  # nobody came, or did not listen to the end
                connection, _ = listener.accept()
                with connection:
                    asked.append(connection.recv(4096))
                    for piece in reply:
                        connection.sendall(piece)

        threading.Thread(target=serve, daemon=True).start()
        yield asked


@pytest.mark.parametrize("code", [1, 4, 7])
def test_the_agents_answer_is_the_exit_code(tmp_path: Path, code: int) -> None:
    with agent(tmp_path / "s", b'{"answer": %d}\n' % code) as asked:
        assert main(GUEST, str(tmp_path / "s"), 0.0) == code
    assert asked == [b'{"ask": "fence", "guest": "counter"}\n']


def test_an_answer_may_come_in_pieces(tmp_path: Path) -> None:
    with agent(tmp_path / "s", b'{"ans', b'wer": 7', b"}\n"):
        assert main(GUEST, str(tmp_path / "s"), 0.0) == 7


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"7",
        b"7\n",
        b'{"answer": 7}',  # cut off before its end
        b'{"answer": 5}\n',
        b'{"answer": 3}\n',
        b'{"answer": 0}\n',
        b'{"answer": 7.0}\n',
        b'{"answer": "7"}\n',
        b'{"answer": true}\n',
        b'{"answer": [7]}\n',
        b'{"answer": 7, "more": 1}\n',
        b'{"error": "no such guest"}\n',
        b"[7]\n",
        b"\xff\xfe\n",
        b'{"answer": 7}' + b" " * 5000 + b"\n",
        b'{"answer": 7}\n{"answer": 1}\n',
        b"[" * 3000 + b"\n",
    ],
)
def test_whatever_else_is_said_proves_nothing(tmp_path: Path, reply: bytes) -> None:
    with agent(tmp_path / "s", reply):
        assert main(GUEST, str(tmp_path / "s"), 0.0) == 1


def test_without_an_agent_nothing_is_proven(tmp_path: Path) -> None:
    assert main(GUEST, str(tmp_path / "s"), 0.0) == 1


def test_a_dead_agents_socket_proves_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s"))
    assert main(GUEST, str(tmp_path / "s"), 0.0) == 1


def test_without_a_resource_nothing_is_proven(tmp_path: Path) -> None:
    with agent(tmp_path / "s", b'{"answer": 7}\n') as asked:
        assert main({}, str(tmp_path / "s"), 0.0) == 1
    assert asked == []


def test_an_agent_that_comes_back_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with agent(path):
        went_away = threading.Event()

        def come_back() -> None:
            went_away.wait(10)
            path.unlink()
            with agent(path, b'{"answer": 7}\n') as asked:
                done.wait(10)
            answered.extend(asked)

        done, answered = threading.Event(), list[bytes]()
        returning = threading.Thread(target=come_back)
        returning.start()
        went_away.set()
        code = main(GUEST, str(path), 10.0)
        done.set()
        returning.join()
    assert code == 7
    assert answered


def test_the_constants_are_those_of_the_agent() -> None:
    assert str(control.SOCKET) == fence_peer.SOCKET
    assert {fence_peer.UNPROVEN, *fence_peer.BELIEVED} == set(FenceAnswer)


# What `haagent fence-peer` runs, with the socket of a test.
PROGRAM = """
import sys
from haagent import __main__
from haagent.fencing import fence_peer
fence_peer.main.__defaults__ = (fence_peer.main.__defaults__[0], sys.argv.pop(), 0.0)
code = __main__.main()
heavy = {"yaml", "jinja2", "argparse", "dataclasses", "threading", "haagent.core", "haagent.cli"}
print(sorted(heavy & sys.modules.keys()))
sys.exit(code)
"""


def run(path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "fence-peer", str(path)],
        env={"DRBD_RESOURCE": "counter", "PYTHONPATH": str(Path(haagent.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_as_a_program_it_exits_with_the_answer_and_loads_nothing_heavy(tmp_path: Path) -> None:
    with agent(tmp_path / "s", b'{"answer": 4}\n'):
        done = run(tmp_path / "s")
    assert (done.returncode, done.stdout) == (4, "[]\n")


def test_as_a_program_it_fails_with_1(tmp_path: Path) -> None:
    done = run(tmp_path / "s")
    assert done.returncode == 1
    assert "nothing is proven: FileNotFoundError" in done.stderr
