# SPDX-License-Identifier: MIT
"""One text about this machine and its pair, for whoever is asked for help. Reads, changes nothing.

It must not contain a secret: every line goes through `mask`, whatever it comes from. A source that
fails is a line in the report, so that there is a report on the worst of nights, too.
"""

import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from haagent import __version__, client, config, control, state
from haagent.console.render import render
from haagent.console.snapshot import from_dict
from haagent.core.timing import Timing, TimingError
from haagent.errors import ShoestringError
from haagent.run import Run, run

LIMIT = 30.0  # seconds for one program
HIDDEN = "(not shown)"
MISSING = "not to be had:"
WIDTH = 80

ETC = Path("/state/etc")
SECRETS = ("shoestring/*.key", "ha.d/authkeys", "drbd.d/*.res")  # below ETC

# The shortest key of the pair's has 40 hexadecimal digits, and the secret they come from 32 or
# more. So a checksum or the number of a boot is hidden as well, which nobody misses.
DIGITS = re.compile(r"[0-9A-Fa-f]{32,}")
NAMED = re.compile(r"(?i)(secret|passphrase|password).*")
AUTHKEY = re.compile(r"(?i)\b((?:sha1|md5|crc)[ \t]+)\S+")  # authkeys of heartbeat: `1 sha1 KEY`

LINES = 2000  # of the journal, for each boot
LOOKED_THROUGH = 20_000  # of which the kernel's are left out, but for those about these:
RELEVANT = re.compile(r"(?i)drbd|watchdog")
KERNEL = re.compile(r"\S+ \S+ kernel: ")
UNITS = (
    "haagent",
    "heartbeat",
    "drbd-up",
    "shoestring-leave",
    "shoestring-well",
    "shoestring-backup",
)
JOURNAL = ("journalctl", "--no-pager", "--quiet", "--output=short-iso-precise")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where everything is."""

    file: Path = config.FILE
    cmdline: Path = config.CMDLINE
    folder: Path = state.FOLDER
    socket: Path = control.SOCKET
    etc: Path = ETC
    root: Path = Path("/")
    run: Run = run


Section = tuple[str, Callable[[Sources], str]]


def report(sources: Sources) -> Iterator[str]:
    """The report, a section at a time."""
    secrets = known_secrets(sources)
    yield f"haagent report, {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime())}\n"
    for title, tell in SECTIONS:
        try:
            text = tell(sources)
        except (ShoestringError, TimingError, OSError) as error:
            text = f"{MISSING} {error}"
        except Exception as error:
            # A bug here is told like the rest: the other sections are worth more than this one.
            text = f"{MISSING} {error!r}"
        yield mask(f"\n==== {title}\n\n{text.rstrip()}\n", secrets)


def mask(text: str, secrets: Sequence[str] = ()) -> str:
    """TEXT without SECRETS, and without anything that looks like one."""
    for secret in secrets:
        text = re.sub(re.escape(secret), HIDDEN, text, flags=re.IGNORECASE)
    text = NAMED.sub(rf"\1 {HIDDEN}", text)
    text = AUTHKEY.sub(rf"\1{HIDDEN}", text)
    return DIGITS.sub(HIDDEN, text)


def known_secrets(sources: Sources) -> list[str]:
    """What this machine's key files hold, the longest first."""
    files = [file for pattern in SECRETS for file in sources.etc.glob(pattern)]
    with contextlib.suppress(ShoestringError):  # the report itself says what is wrong with them
        files.append(config.load(sources.file, sources.cmdline).key_file)
    words: set[str] = set()
    for file in files:
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        quoted = re.findall(r'secret\s+"?([^";]+)', text)
        words.update(quoted if file.suffix == ".res" else text.split())
    return sorted((word for word in words if len(word) >= 8), key=len, reverse=True)


def _program(*argv: str) -> Callable[[Sources], str]:
    return lambda sources: sources.run(argv, timeout=LIMIT)


def _file(name: str) -> Callable[[Sources], str]:
    return lambda sources: (sources.root / name).read_text(errors="replace")


def _versions(sources: Sources) -> str:
    return f"haagent {__version__}, Python {sys.version}"


def _status(sources: Sources) -> str:
    shown = from_dict(client.snapshot(sources.socket))
    return "\n".join(render(shown, WIDTH, sys.maxsize, time.monotonic()))


def _snapshot(sources: Sources) -> str:
    return json.dumps(client.snapshot(sources.socket), indent=1)


def _settings(sources: Sources) -> str:
    return config.show(config.load(sources.file, sources.cmdline))


def _state(sources: Sources) -> str:
    """As it is on the medium: what cannot be understood is what is looked for."""
    found = []
    for name in state.NAMES:
        try:
            text = (sources.folder / name).read_text(errors="replace")
        except OSError as error:
            text = f"{MISSING} {error}"
        found.append(f"{name}:\n{text}")
    return "\n".join(found)


def _timers(sources: Sources) -> str:
    scale = config.time_scale(sources.cmdline)
    timers = asdict(Timing().scaled(scale)).items()
    return f"scale {scale:g}\n" + "\n".join(f"{name:<14}{sec:8.2f}" for name, sec in timers)


def _journal(boot: str) -> Callable[[Sources], str]:
    # journalctl(1): `+` is "or", and -u would be "and" to the rest. UNIT= is systemd about a unit.
    ours = [f"{field}={unit}.service" for unit in UNITS for field in ("_SYSTEMD_UNIT", "UNIT")]
    matches = [word for match in ours for word in (match, "+")] + ["_TRANSPORT=kernel"]
    argv = (*JOURNAL, f"--boot={boot}", f"--lines={LOOKED_THROUGH}", *matches)

    def tell(sources: Sources) -> str:
        lines = sources.run(argv, timeout=4 * LIMIT).splitlines()
        about_us = [line for line in lines if not KERNEL.match(line) or RELEVANT.search(line)]
        return "\n".join(about_us[-LINES:])

    return tell


SECTIONS: tuple[Section, ...] = (
    ("versions", _versions),
    ("uname", _program("uname", "-a")),
    ("os-release", _file("etc/os-release")),
    ("kernel command line", _file("proc/cmdline")),
    ("drbdadm --version", _program("drbdadm", "--version")),
    ("heartbeat -V", _program("/usr/lib/heartbeat/heartbeat", "-V")),
    ("xl info", _program("xl", "info")),
    ("haagent status", _status),
    ("haagent status --json", _snapshot),
    ("haagent show-config", _settings),
    ("haagent timers", _timers),
    ("the agent's state", _state),
    ("/proc/drbd", _file("proc/drbd")),
    ("drbdadm status", _program("drbdadm", "status")),
    ("dmsetup table", _program("dmsetup", "table")),
    ("xl list", _program("xl", "list")),
    ("what QEMU said", _program("sh", "-c", "tail -n 50 /var/log/xen/qemu-dm-*.log")),
    ("ip addr", _program("ip", "addr")),
    ("uptime", _program("uptime")),
    ("failed units", _program("systemctl", "list-units", "--failed", "--plain", "--no-legend")),
    ("the journal of this boot", _journal("0")),
    ("the journal of the boot before", _journal("-1")),
)
