# SPDX-License-Identifier: MIT
"""Folders of other computers: how they are named, who they are, and what is run to have them."""

import base64
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import pytest

from firstboot import addresses
from haagent.elsewhere import host_key, names, share
from haagent.elsewhere.address import Address, Scheme, is_one, parse
from haagent.elsewhere.host_key import HostKey
from haagent.elsewhere.share import Reach
from haagent.errors import OperatorError, ParseError, ToolError
from tests.unit.fake_agent import types

# As OpenSSH 10.0 made it, and what its `ssh-keygen -lf` says of it.
BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIODBnXEdomYypLQ+EdWYxW6RenOndsvaRxQetS1OPlkX"
SUM = "SHA256:cEV+qea3xenLiKxNaaRoB9jbVjCHUALGmefP3qZ/pcE"
RSA = base64.b64encode(b"another key").decode()
RSA_SUM = "SHA256:" + base64.b64encode(hashlib.sha256(b"another key").digest()).decode()[:-1]
NAS = "ssh://me@nas:2222/home/me/vm"
PASSWORD = "correct horse"


@pytest.mark.parametrize(
    ("wanted", "found", "said"),
    [
        ("nfs://192.168.1.5/vm/", ("nfs", "192.168.1.5", 2049, "", "/vm"), "nfs://192.168.1.5/vm"),
        ("nfs://nas/", ("nfs", "nas", 2049, "", "/"), "nfs://nas/"),
        (NAS, ("ssh", "nas", 2222, "me", "/home/me/vm"), NAS),
        (
            "ssh://me@nas.example.org//a%20b,c/d?e#f.ova",
            ("ssh", "nas.example.org", 22, "me", "/a b,c/d?e#f.ova"),
            "ssh://me@nas.example.org/a b,c/d?e#f.ova",
        ),
    ],
)
def test_an_address(wanted: str, found: tuple[str, str, int, str, str], said: str) -> None:
    scheme, host, port, user, path = found
    assert is_one(wanted)
    assert parse(wanted) == Address(Scheme(scheme), host, port, user, PurePosixPath(path))
    assert str(parse(wanted)) == said


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("smb://nas/vm", "is no address here"),
        ("nfs://nas", "is no address here"),
        ("nfs:///vm", "is no address here"),
        ("ssh://nas/vm", "does not say who logs in"),
        ("nfs://me@nas/vm", "does not say its host"),
        ("nfs://nas:99999/vm", "does not say its host"),
        ("ssh://-oProxyCommand=reboot@nas/vm", "is no address here"),
        ("ssh://me@-oProxyCommand=reboot/vm", "is no address here"),
        ("ssh://me:secret@nas/vm", "A password does not belong into an address"),
        ("nfs://nas/vm/../etc", "is no address here"),
        ("nfs://nas/vm\x1b[2J", "is no address here"),
    ],
)
def test_what_is_none(wanted: str, why: str) -> None:
    assert is_one(wanted)
    with pytest.raises(OperatorError, match=why) as told:
        parse(wanted)
    assert "secret" not in str(told.value) and "\x1b" not in str(told.value)


def test_a_file_is_no_address_and_a_folder_no_file() -> None:
    assert not any(map(is_one, ("web.ova", "/mnt/web.ova", "./nfs:/x", "c:/web.ova")))
    folder, name = parse("nfs://nas/vm/web.ova").split()
    assert (str(folder), name) == ("nfs://nas/vm", "web.ova")
    with pytest.raises(OperatorError, match="names no file"):
        parse("nfs://nas/").split()


@dataclass
class Net:
    """`Run`, with a server that has these KEYS, and takes this PASSWORD for what is FOLDER."""

    keys: dict[str, str] = field(default_factory=lambda: {"ed25519": BLOB, "rsa": RSA})
    fails: str = ""  # what the program that mounts prints
    is_lost: bool = False  # by the time that it is unmounted
    ran: list[tuple[str, ...]] = field(default_factory=list)
    known: str = ""
    mounted: bool = False

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        self.ran.append(tuple(argv))
        match argv[0]:
            case "ssh-keyscan":
                return self._keyscan(argv)
            case "sshfs":
                options = argv[argv.index("-o") + 1].split(",")
                [file] = [o for o in options if o.startswith("UserKnownHostsFile=")]
                self.known = Path(file.partition("=")[2]).read_text()
                if stdin != f"{PASSWORD}\n":
                    raise ToolError(argv, 1, "read: Connection reset by peer\n")
                self._mount(argv)
            case "mount":
                self._mount(argv)
            case "umount":
                if self.is_lost:
                    raise ToolError(argv, 32, "umount: not mounted.")
                self.mounted = False
        return ""

    def _keyscan(self, argv: Sequence[str]) -> str:
        kind = argv[argv.index("-t") + 1]
        if kind not in self.keys:
            raise ToolError(argv, 1, "")
        return f"[nas]:2222 ssh-{kind} {self.keys[kind]}\n"

    def _mount(self, argv: Sequence[str]) -> None:
        if self.fails:
            raise ToolError(argv, 32, self.fails)
        self.mounted = True


@pytest.fixture
def point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(share, "POINT", tmp_path / "run/elsewhere")
    return share.POINT


def reach(net: Net) -> Reach:
    return Reach(net, have_own_mounts=lambda run: None, check_answers=lambda host, port: None)


def test_over_nfs_nothing_listens_and_nothing_hangs_for_ever(point: Path) -> None:
    net = Net()
    with reach(net).folder(parse("nfs://nas/vm"), is_writable=True) as place:
        assert place == point and net.mounted
    assert not net.mounted
    (mount, umount) = net.ran
    assert mount[:4] == ("mount", "-t", "nfs4", "-o") and mount[5:] == ("nas:/vm", str(point))
    assert {"rw", "vers=4.1", "soft", "retry=0", "port=2049", "noexec"} <= set(mount[4].split(","))
    assert umount == ("umount", str(point))


def test_over_ssh_a_person_says_yes_and_a_password(
    point: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Net()
    screen = types(monkeypatch, f"yes\n{PASSWORD}\n")
    with reach(net).folder(parse(NAS), is_writable=False) as place:
        assert place == point and net.mounted
        assert list(point.parent.iterdir()) == [point], "nothing of who it is stays"
    assert net.known == f"[nas]:2222 ssh-ed25519 {BLOB}\n"
    assert SUM in " ".join(screen.getvalue().split()) and PASSWORD not in screen.getvalue()
    [keyscan, sshfs, _] = net.ran
    assert keyscan[-3:] == ("-t", "ed25519", "nas")
    assert sshfs[:3] == ("sshfs", "-p", "2222") and sshfs[5:] == (NAS_FOLDER, str(point))
    assert {"ro", "password_stdin", "StrictHostKeyChecking=yes"} <= set(sshfs[4].split(","))
    assert PASSWORD not in str(net.ran)


NAS_FOLDER = "me@nas:/home/me/vm"


@pytest.mark.parametrize(
    ("typed", "given", "may_ask", "why"),
    [
        ("no\n", None, True, "Nothing was changed"),
        ("", None, True, "Nothing was changed"),
        ("", None, False, "Nobody has said yet that nas is the computer"),
        ("", "SHA256:abc", False, "nas is not the computer that was meant"),
        ("wrong\n", SUM, False, "most likely the password is wrong"),
    ],
)
def test_who_is_not_known_gets_nothing(
    typed: str,
    given: str | None,
    may_ask: bool,
    why: str,
    point: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = Net()
    types(monkeypatch, typed)
    asking = replace(reach(net), host_key=given, may_ask=may_ask)
    with pytest.raises(OperatorError, match=why), asking.folder(parse(NAS), is_writable=False):
        raise AssertionError("it was opened")
    assert not net.mounted and list(point.parent.iterdir()) == [point]
    assert ("sshfs" in str(net.ran)) == (typed == "wrong\n")


@pytest.mark.parametrize("given", [SUM, SUM + "=", RSA_SUM])
def test_a_key_that_was_given_is_not_asked_about(
    given: str, point: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Net()
    screen = types(monkeypatch, f"{PASSWORD}\n")
    with replace(reach(net), host_key=given, may_ask=False).folder(parse(NAS), is_writable=True):
        assert net.mounted
    assert "Type yes" not in screen.getvalue()
    assert (RSA in net.known) == (given == RSA_SUM)


@pytest.mark.parametrize(
    ("wanted", "line", "why"),
    [
        (
            "nfs://nas/vm",
            "mount.nfs4: access denied by server while mounting nas:/vm",
            "nfs://nas/vm is not shared with this machine",
        ),
        (
            "nfs://nas/vm",
            "mount.nfs4: mounting nas:/vm failed, reason given by server: No such file",
            "nfs://nas/vm is not there",
        ),
        ("nfs://nas/vm", "mount.nfs4: Protocol not supported", "is not served over NFS 4.1"),
        ("nfs://nas/vm", "mount.nfs4: odd", "could not be opened: mount.nfs4: odd"),
        (NAS, f"{NAS_FOLDER}: No such file or directory", "is not there"),
        (NAS, f"{NAS_FOLDER}: Permission denied", "may not be read by that user"),
    ],
)
def test_what_the_programs_say_is_told(
    wanted: str, line: str, why: str, point: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    types(monkeypatch, f"{PASSWORD}\n")
    asking = replace(reach(Net(fails=f"{line}\n")), host_key=SUM)
    with pytest.raises(OperatorError, match=why), asking.folder(parse(wanted), is_writable=False):
        pass


def test_what_is_lost_meanwhile_is_no_second_failure(point: Path) -> None:
    net = Net(is_lost=True)
    with pytest.raises(OSError, match="gone"):  # noqa: SIM117
        with reach(net).folder(parse("nfs://nas/vm"), is_writable=False):
            raise OSError("gone")
    assert net.ran[-1] == ("umount", "--force", "--lazy", str(point))


def test_what_is_no_ssh_server(point: Path) -> None:
    with pytest.raises(OperatorError, match="not as an SSH server does"):
        host_key.agreed(parse(NAS), Net(keys={}), None, may_ask=True)
    with pytest.raises(ParseError):
        host_key.parse(("ssh-keyscan",), "nas ssh-rsa AAAA more\n")
    assert host_key.parse((), "# nas:22 SSH-2.0-OpenSSH_10.0p2\n") is None


def test_the_usual_port_has_no_brackets() -> None:
    assert (
        HostKey("ssh-ed25519", BLOB).known(parse("ssh://me@nas/vm")) == f"nas ssh-ed25519 {BLOB}\n"
    )


def test_names_are_asked_where_only_this_command_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, flags = Net(), list[int]()
    monkeypatch.setattr(names, "RESOLVER", tmp_path / "resolver")
    names.have_own_mounts(net, flags.append)
    (tmp_path / "resolver").touch()
    names.have_own_mounts(net, flags.append)
    private = ("mount", "--make-rslave", "/")
    bind = ("mount", "--bind", str(tmp_path / "resolver"), "/etc/resolv.conf")
    assert net.ran == [private, private, bind]
    assert flags == [names.CLONE_NEWNS] * 2


def test_it_is_the_file_that_the_set_up_writes() -> None:
    assert str(names.RESOLVER) == addresses.RESOLVER


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=server.accept, daemon=True).start()
        yield server.getsockname()[1]


def test_who_answers(listening: int) -> None:
    names.check_answers("127.0.0.1", listening)


def test_who_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(OperatorError, match="nothing answers at its port"):
            names.check_answers("127.0.0.1", free.getsockname()[1])

    def raising(error: OSError) -> Callable[..., None]:
        def connect(*_: object) -> None:
            raise error

        return connect

    for error, why in (
        (socket.gaierror(-2, "Name or service not known"), "Nobody could say which address nas"),
        (TimeoutError(), "nas, port 22, does not answer"),
        (OSError(113, "No route to host"), "cannot be reached: No route to host"),
    ):
        monkeypatch.setattr(socket, "create_connection", raising(error))
        with pytest.raises(OperatorError, match=why):
            names.check_answers("nas", 22)
    monkeypatch.undo()
    with pytest.raises(OperatorError, match="Nobody could say"):
        names.check_answers("a" * 70 + ".example", 22)
