# SPDX-License-Identifier: MIT
"""The report for whoever helps: it has everything, and none of the pair's keys."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from firstboot import keys
from haagent import cli, report
from haagent.command import Exit, Places
from haagent.console.snapshot import to_dict
from haagent.control import Server
from haagent.core.model import Durable, Ledger
from haagent.errors import ToolError
from haagent.report import HIDDEN, LINES, Sources, known_secrets, mask
from haagent.state import StateFile
from tests.unit.fake_state import WELL, look
from tests.unit.fake_verifier import Verifier
from tests.unit.test_config import DIGITS, Machine

SECRET = "5a3f" * 8  # what both answer files held
MIRROR, HEARTBEAT, AGENT = keys.mirror(SECRET, "counter"), keys.heartbeat(SECRET), DIGITS
ODD = "not-hexadecimal-at-all"  # a person may have set another one
PLANTED = (SECRET, MIRROR, HEARTBEAT, AGENT, AGENT.upper(), ODD)


class Programs:
    """Every program that is run: what it was asked, and an answer with a key in it."""

    def __init__(self) -> None:
        self.argvs: list[tuple[str, ...]] = []
        self.answers: dict[str, str] = {}
        self.broken: set[str] = set()

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        self.argvs.append(tuple(argv))
        if argv[0] in self.broken:
            raise ToolError(argv, 1, f"cannot parse shared-secret {MIRROR}")
        leaks = (
            f'shared-secret "{MIRROR}";',
            f"net-options: --shared-secret={ODD} --protocol=C",
            "auth 1",
            f"1 sha1 {HEARTBEAT}",
            f"authkeys: 1 sha1 {ODD}",
            f"the key is {AGENT.upper()}, as it was",
            f"0x{AGENT}h",
            f"secret: '{SECRET}'",
            f"password={ODD}",
        )
        said = self.answers.get(argv[0], f"what {argv[0]} says")
        return "\n".join((said, *leaks)) + "\n"


@pytest.fixture
def programs() -> Programs:
    return Programs()


@pytest.fixture
def sources(tmp_path: Path, programs: Programs) -> Sources:
    machine = Machine(tmp_path)
    for name, text in {
        "etc/ha.d/authkeys": f"auth 1\n1 sha1 {ODD}\n",
        "etc/drbd.d/counter.res": f'net {{\n    shared-secret "{ODD}-2";\n}}\n',
        "root/etc/os-release": "PRETTY_NAME=Debian\n",
        "root/proc/cmdline": f"quiet roothash={SECRET}\n",
        "root/proc/drbd": f"version: 8.4.11\n{MIRROR}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    file = StateFile(tmp_path / "state")
    file.load(["counter"])
    file.save(Durable({"counter": Ledger(term=4)}))
    return Sources(
        machine.file,
        machine.cmdline,
        tmp_path / "state",
        tmp_path / "agent.sock",
        tmp_path / "etc",
        tmp_path / "root",
        programs,
    )


def told(sources: Sources) -> str:
    return "".join(report.report(sources))


def test_every_source_is_in_it(sources: Sources, programs: Programs) -> None:
    server = Server(sources.socket, ["counter"], lambda event: None, Verifier())
    server.start()
    server.publish(to_dict(look(WELL)))
    text = told(sources)
    server.stop()
    for title, _ in report.SECTIONS:
        assert f"\n==== {title}\n" in text
    for piece in (
        "haagent 0.1.0",
        "PROTECTED                                                       anna (and berta)",
        '"verdict": "PROTECTED"',
        "names: anna, berta",
        "keepalive         0.50",
        '"term": 4',
        "version: 8.4.11",
        "PRETTY_NAME=Debian",
        "what drbdadm says",
        "what xl says",
        "what ip says",
    ):
        assert piece in text, piece
    assert ("drbdadm", "status") in programs.argvs
    assert ("xl", "list") in programs.argvs
    assert ("ip", "addr") in programs.argvs
    assert [argv[4] for argv in programs.argvs if argv[0] == "journalctl"] == [
        "--boot=0",
        "--boot=-1",
    ]


def test_no_secret_is_in_it(sources: Sources, programs: Programs) -> None:
    journal = "\n".join(
        f"2026-11-23T06:49:11.1+0000 a haagent[1]: {line}" for line in (AGENT, f"1 sha1 {ODD}")
    )
    programs.answers["journalctl"] = journal
    (sources.folder / "state-a.json").write_text(json.dumps({"secret": ODD, "x": SECRET}))
    text = told(sources)
    for secret in (*PLANTED, f"{ODD}-2"):
        assert secret.lower() not in text.lower(), secret
    assert text.count(HIDDEN) > 50
    assert "what xl says" in text  # it is not simply empty


def test_no_secret_is_in_what_failed_either(sources: Sources, programs: Programs) -> None:
    programs.broken = {"drbdadm"}
    text = told(sources)
    assert "not to be had: drbdadm status failed with exit status 1" in text
    assert MIRROR not in text


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        (f'    shared-secret "{MIRROR}";', f"    shared-secret {HIDDEN}"),
        ("--shared-secret=abc --other", f"--shared-secret {HIDDEN}"),
        ("1 sha1 abc", f"1 sha1 {HIDDEN}"),
        ("2 md5 abc", f"2 md5 {HIDDEN}"),
        (f"roothash={AGENT} quiet", f"roothash={HIDDEN} quiet"),
        ("auth 1", "auth 1"),
        ("1 crc\nnext line", "1 crc\nnext line"),
        ("52:54:00:00:0a:01 10.0.2.20", "52:54:00:00:0a:01 10.0.2.20"),
        ("8d1f6fd2-2a07-4d44-9f2a-6d2a5ef80c11", "8d1f6fd2-2a07-4d44-9f2a-6d2a5ef80c11"),
        ("srcversion: 2A5DFCD31AE4EBF93C0E357", "srcversion: 2A5DFCD31AE4EBF93C0E357"),
    ],
)
def test_what_looks_like_a_key_is_hidden(line: str, masked: str) -> None:
    assert mask(line) == masked


def test_what_the_key_files_hold_is_known(sources: Sources) -> None:
    assert {DIGITS, ODD, f"{ODD}-2"} <= set(known_secrets(sources))


def test_a_machine_that_is_not_set_up_has_a_report_too(tmp_path: Path, programs: Programs) -> None:
    nothing = tmp_path / "nothing"
    text = told(Sources(nothing, nothing, nothing, nothing, nothing, nothing, programs))
    assert text.count("not to be had:") >= 8
    assert "The agent does not answer" in text
    assert "what uptime says" in text


def test_a_bug_in_one_section_does_not_cost_the_others(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(sources: Sources) -> str:
        raise KeyError("x")

    monkeypatch.setattr(report, "SECTIONS", (("one", broken), ("two", lambda sources: "well")))
    assert "==== one\n\nnot to be had: KeyError('x')\n\n==== two\n\nwell\n" in told(sources)


def test_of_the_kernel_only_what_is_about_us_and_of_all_the_newest(
    sources: Sources, programs: Programs
) -> None:
    at = "2026-11-23T06:49:11.123456+0000 a"
    lines = [
        f"{at} kernel: usb 1-1: new device",
        f"{at} kernel: drbd counter: conn( Connected -> NetworkFailure )",
        f"{at} kernel: watchdog: watchdog0: nowayout prevents watchdog being stopped!",
        *(f"{at} haagent[7]: line {number}" for number in range(LINES)),
    ]
    programs.answers["journalctl"] = "\n".join(lines)
    text = report._journal("0")(sources)
    assert "usb" not in text
    assert len(text.splitlines()) == LINES
    programs.answers["journalctl"] = "\n".join(lines[:5])
    assert "drbd counter: conn(" in report._journal("0")(sources)


def test_the_command_prints_it_or_writes_a_new_file(
    sources: Sources,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "SECTIONS", (("one", lambda sources: f"caf\u00e9 {AGENT}"),))
    places = Places(sources.file, sources.cmdline, sources.folder, sources.socket)
    assert cli.main(["report"], places) == 0
    printed = capsys.readouterr().out
    assert f"==== one\n\ncaf\u00e9 {HIDDEN}\n" in printed
    file = tmp_path / "report.txt"
    assert cli.main(["report", str(file)], places) == 0
    assert file.read_text().splitlines()[1:] == printed.splitlines()[1:]
    assert file.stat().st_mode & 0o777 == 0o600
    assert "It holds no keys" in capsys.readouterr().out
    assert cli.main(["report", str(file)], places) == Exit.FAILED  # it is never written over
    assert "cannot be written: File exists" in capsys.readouterr().err
