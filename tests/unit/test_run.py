# SPDX-License-Identifier: MIT
"""Real programs, all of them the shell's."""

import os
import select
import signal
import threading
import time
from pathlib import Path

import pytest

from haagent.errors import ToolError
from haagent.run import Program, Stream, follow, run

SOON = 20.0  # seconds; generous, and far below what a program that held us would take


def sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


class Writers:
    """A fifo that tells when the last process that had it open for writing is gone."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def are_gone_within(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._reader, 0)  # only the hang-up
        return bool(poll.poll(seconds * 1000))


def test_what_it_prints_is_returned() -> None:
    assert run(sh("echo one; echo two; echo aside >&2"), timeout=SOON) == "one\ntwo\n"


def test_the_standard_input_is_given_or_empty() -> None:
    assert run(("cat",), timeout=SOON, stdin="a line\n") == "a line\n"
    assert run(("cat",), timeout=SOON) == ""


def test_it_speaks_the_c_locale() -> None:
    assert run(sh("echo $LC_ALL"), timeout=SOON) == "C\n"


def test_a_failure_tells_status_and_standard_error_but_no_secret() -> None:
    with pytest.raises(ToolError) as caught:
        run(sh("cat >/dev/null; echo no such thing >&2; exit 17"), timeout=SOON, stdin="s3cret")
    assert (caught.value.exit, caught.value.stderr) == (17, "no such thing\n")
    assert not caught.value.timed_out
    assert "17: no such thing" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_signal_is_a_failure() -> None:
    with pytest.raises(ToolError) as caught:
        run(sh("kill -TERM $$"), timeout=SOON)
    assert caught.value.exit == -signal.SIGTERM


def test_a_program_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(ToolError, match="No such file"):
        run(("/nonexistent/program",), timeout=SOON)


def test_at_its_limit_the_whole_group_is_killed(tmp_path: Path) -> None:
    writers = Writers(tmp_path / "fifo")
    begun = time.monotonic()
    with pytest.raises(ToolError) as caught:
        run(sh(f"exec 3>{tmp_path}/fifo; echo late >&2; sleep 600 & sleep 600"), timeout=0.5)
    assert time.monotonic() - begun < SOON
    assert caught.value.timed_out
    assert caught.value.stderr == "late\n"
    assert writers.are_gone_within(SOON)


def test_what_it_leaves_behind_does_not_hold_us() -> None:
    begun = time.monotonic()
    left_behind = int(run(sh("setsid sleep 600 & echo $!"), timeout=SOON))
    os.kill(left_behind, signal.SIGKILL)  # it is there: it was not killed with the program
    assert time.monotonic() - begun < SOON


def test_more_than_a_pipe_holds() -> None:
    assert len(
        run(sh("head -c 1000000 /dev/zero; head -c 300000 /dev/zero >&2"), timeout=SOON)
    ) == (1_000_000)


def test_lines_that_belong_together_come_together() -> None:
    with Stream(sh("echo one; sleep 0.05; echo two; sleep 600")) as stream:
        assert stream.read(quiet=1.0) == ["one", "two"]


def test_a_line_is_not_told_before_it_is_whole(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    with Stream(sh(f"printf 'one\\ntw'; read x <{tmp_path}/go; echo o; sleep 600")) as stream:
        assert stream.read(quiet=0.3) == ["one"]
        (tmp_path / "go").write_text("\n")
        assert stream.read(quiet=0) == ["two"]


def test_no_line_in_time() -> None:
    with Stream(("sleep", "600")) as stream:
        assert stream.read(quiet=0, timeout=0.05) == []


def test_the_end_of_a_stream_is_an_error_after_its_last_lines() -> None:
    with Stream(sh("echo last; echo because >&2; exit 3")) as stream:
        assert stream.read(quiet=SOON) == ["last"]
        with pytest.raises(ToolError, match="because") as caught:
            stream.read(quiet=0)
    assert caught.value.exit == 3


def test_a_stream_that_ends_well_is_an_error_too() -> None:
    with Stream(("true",)) as stream, pytest.raises(ToolError) as caught:
        stream.read(quiet=0)
    assert caught.value.exit == 0


def test_stop_ends_reader_and_program(tmp_path: Path) -> None:
    writers = Writers(tmp_path / "fifo")
    stream = Stream(sh(f"exec 3>{tmp_path}/fifo; echo up; sleep 600"))
    with stream:
        assert stream.read(quiet=0) == ["up"]
        stopper = threading.Timer(0.1, stream.stop)
        stopper.start()
        assert stream.read(quiet=0) is None
        stopper.join()
        assert stream.read(quiet=0) is None
    assert writers.are_gone_within(SOON)
    stream.stop()  # too late, and harmless


def test_stop_does_not_wait_for_who_keeps_the_output_open() -> None:
    with Stream(sh("setsid sleep 600 & echo $!; sleep 600")) as stream:
        (left_behind,) = stream.read(quiet=0) or []
        guard = threading.Timer(SOON, os.kill, (int(left_behind), signal.SIGKILL))
        guard.start()
        threading.Timer(0.1, stream.stop).start()
        assert stream.read(quiet=0) is None
        assert guard.is_alive()
        guard.cancel()
        os.kill(int(left_behind), signal.SIGKILL)


def test_a_stream_that_cannot_start() -> None:
    with pytest.raises(ToolError, match="No such file"):
        Stream(("/nonexistent/program",))


def test_a_program_that_nobody_waits_for() -> None:
    waiting = Program(sh("exec sleep 600"))
    assert waiting.status() is None
    os.killpg(waiting._process.pid, signal.SIGKILL)
    deadline = time.monotonic() + SOON
    while waiting.status() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert waiting.status() == -signal.SIGKILL


def test_a_program_that_cannot_be_begun_is_told() -> None:
    with pytest.raises(ToolError):
        Program(("/nowhere/to/be/found",))


def test_a_line_that_is_drawn_anew_is_a_line_each_time(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        if line == " 50%":
            (tmp_path / "go").write_text("\n")

    script = rf"printf ' 1%%\r 50%%\r'; read x <{tmp_path}/go; printf ' 100%%\r\nDone.\n\n'"
    follow(sh(script), hear, silence=SOON)
    assert heard == [" 1%", " 50%", " 100%", "Done."]


def test_one_that_is_followed_may_fail_after_its_last_line() -> None:
    heard: list[str] = []
    with pytest.raises(ToolError, match="because") as caught:
        follow(sh("echo one; echo because >&2; exit 3"), heard.append, silence=SOON)
    assert (caught.value.exit, heard) == (3, ["one"])


def test_one_that_falls_silent_is_ended(tmp_path: Path) -> None:
    writers = Writers(tmp_path / "fifo")
    with pytest.raises(ToolError, match="said nothing") as caught:
        follow(sh(f"exec 3>{tmp_path}/fifo; echo one; sleep 600"), print, silence=0.3)
    assert caught.value.timed_out
    assert writers.are_gone_within(SOON)


def interrupt_us() -> None:
    """As Ctrl-C does, also where whoever started the tests had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_one_that_is_followed(tmp_path: Path) -> None:
    writers = Writers(tmp_path / "fifo")

    def hear(line: str) -> None:
        interrupt_us()

    with pytest.raises(KeyboardInterrupt):
        follow(sh(f"exec 3>{tmp_path}/fifo; echo one; sleep 600 & sleep 600"), hear, silence=SOON)
    assert writers.are_gone_within(SOON)
