# SPDX-License-Identifier: MIT
"""The built-in guest's counter: what it answered for is there, whatever moment the power failed."""

import importlib.util
import json
import os
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def counter() -> ModuleType:
    path = Path(__file__).parents[2] / "image/guest/counter.py"
    spec = importlib.util.spec_from_file_location("counter", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["counter"] = module
    spec.loader.exec_module(module)
    return module


def numbers(counter: ModuleType, last: int) -> bytes:
    return b"".join(counter.line(n) for n in range(1, last + 1))


def test_a_last_line_torn_at_any_byte_was_never_acknowledged(counter: ModuleType) -> None:
    whole, torn = numbers(counter, 11), counter.line(12)
    for cut in range(len(torn)):
        assert counter.recover(whole + torn[:cut]) == (11, len(whole))
        assert counter.recover(whole + torn[:cut] + bytes(len(torn) - cut)) == (11, len(whole))
    assert counter.recover(whole + torn) == (12, len(whole + torn))


def test_damage_anywhere_else_is_told(counter: ModuleType) -> None:
    whole = numbers(counter, 12)
    for position in range(len(whole) - len(counter.line(12))):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        with pytest.raises(counter.Damaged):
            counter.recover(bytes(flipped))


def test_a_missing_or_doubled_number_is_told(counter: ModuleType) -> None:
    for wrong in (1, 3):
        with pytest.raises(counter.Damaged):
            counter.recover(counter.line(1) + counter.line(wrong) + counter.line(3))


def test_it_counts_on_after_a_torn_line(counter: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "numbers").write_bytes(numbers(counter, 5) + counter.line(6)[:3])
    made = counter.Counter(tmp_path)
    assert [made.next(), made.next()] == [6, 7]
    assert list(made.all()) == [1, 2, 3, 4, 5, 6, 7]
    made.close()
    assert counter.Counter(tmp_path).last == 7


def test_it_answers_only_after_fsync(counter: ModuleType, tmp_path: Path) -> None:
    durable: list[bytes] = []
    made = counter.Counter(
        tmp_path, sync=lambda _: durable.append((tmp_path / "numbers").read_bytes())
    )
    for expected in (1, 2, 3):
        assert made.next() == expected
        assert durable[-1] == numbers(counter, expected)


def test_after_a_failed_fsync_it_never_answers_again(counter: ModuleType, tmp_path: Path) -> None:
    def fail(descriptor: int) -> None:
        raise OSError("the disk is gone")

    made = counter.Counter(tmp_path)
    assert made.next() == 1
    made._sync = fail
    with pytest.raises(counter.NotWritten):
        made.next()
    made._sync = os.fsync
    with pytest.raises(counter.NotWritten):
        made.next()


def test_a_later_start_has_a_higher_epoch(counter: ModuleType, tmp_path: Path) -> None:
    epochs = [counter.next_epoch(tmp_path) for _ in range(12)]
    assert epochs == sorted(epochs)
    (tmp_path / "epoch").write_text("not a number\n")
    with pytest.raises(counter.Damaged):
        counter.next_epoch(tmp_path)


class Client:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def next(self) -> int:
        request = urllib.request.Request(f"{self._url}/next", method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.read())

    def all(self) -> list[int]:
        with urllib.request.urlopen(f"{self._url}/all", timeout=10) as answer:
            return [int(line) for line in answer.read().split()]


@pytest.fixture
def client(counter: ModuleType, tmp_path: Path) -> Iterator[Client]:
    server = counter.Server(("127.0.0.1", 0), counter.Counter(tmp_path))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Client(server.server_address[1])
    server.shutdown()
    thread.join()
    server.server_close()


def test_many_clients_at_once_get_every_number_once(client: Client) -> None:
    with ThreadPoolExecutor(8) as many:
        got = list(many.map(lambda _: client.next(), range(40)))
    assert sorted(got) == list(range(1, 41)) == client.all()


def test_a_changed_file_is_not_served(client: Client, tmp_path: Path) -> None:
    client.next()
    (tmp_path / "numbers").write_bytes(b"1 00000000\n")
    with pytest.raises(urllib.error.HTTPError) as refused:
        client.all()
    assert refused.value.code == 503


def test_a_number_the_disk_did_not_take_is_refused_and_ends_the_server(
    counter: ModuleType, tmp_path: Path
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError("the disk is gone")

    made = counter.Counter(tmp_path)
    made._sync = fail
    server = counter.Server(("127.0.0.1", 0), made)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with pytest.raises(urllib.error.HTTPError) as refused:
        Client(server.server_address[1]).next()
    thread.join(timeout=10)
    server.server_close()
    assert refused.value.code == 503
    assert not thread.is_alive()
    assert isinstance(server.failure, counter.NotWritten)


def test_a_beacon_tells_who_runs_and_how_far_it_is(counter: ModuleType, tmp_path: Path) -> None:
    made, stop = counter.Counter(tmp_path), threading.Event()
    made.next()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        # Held, as by a write that never returns: beacons go on.
        with made._lock:
            thread = threading.Thread(
                target=counter.send_beacons,
                args=(listener.getsockname(), "shop", "00000001-ab", made, stop),
            )
            thread.start()
            heard = [json.loads(listener.recv(1024)) for _ in range(2)]
    stop.set()
    thread.join()
    assert heard == [
        {"guest": "shop", "epoch": "00000001-ab", "seq": seq, "last": 1} for seq in (0, 1)
    ]
