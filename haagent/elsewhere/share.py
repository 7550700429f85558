# SPDX-License-Identifier: MIT
"""A folder of another computer as a folder of this one: over NFS, or over SSH.

It is mounted where only this command sees it, and is gone when the command has ended. It must not
judge what lies there.
"""

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from haagent.asking import ask_unseen
from haagent.command import Places
from haagent.elsewhere import host_key, names
from haagent.elsewhere.address import Address, Scheme
from haagent.errors import OperatorError, ToolError
from haagent.run import Run

POINT = Path("/run/shoestring/elsewhere")
LIMIT = 120.0  # seconds for one program
# nfs(5). soft: a server that is gone is an error after about a minute, and nothing hangs for ever;
# retry=0: nor does the mount. vers=4.1: before, the server calls us back, at a port that we would
# have to open; and NFS 3 needs four more programs that listen.
NFS = ("vers=4.1", "soft", "timeo=100", "retrans=2", "retry=0", "nosuid", "nodev", "noexec")
# ssh_config(5). A server that is silent for 45 seconds is gone.
SSH = (
    *("password_stdin", "StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null"),
    *("PubkeyAuthentication=no", "ConnectTimeout=15", "ServerAliveInterval=15"),
    *("nosuid", "nodev", "noexec"),
)


@dataclass(frozen=True, slots=True)
class Reach:
    """How one command reaches other computers."""

    run: Run
    host_key: str | None = None  # of an SSH server, as a person gave it
    may_ask: bool = True  # a person, whether that is the right server
    have_own_mounts: Callable[[Run], None] = names.have_own_mounts
    check_answers: Callable[[str, int], None] = names.check_answers

    @contextlib.contextmanager
    def folder(self, address: Address, *, is_writable: bool) -> Iterator[Path]:
        """The folder at ADDRESS. Raises OperatorError and ToolError."""
        self.have_own_mounts(self.run)
        self.check_answers(address.host, address.port)
        POINT.mkdir(parents=True, exist_ok=True)
        mount = {Scheme.NFS: self._mount_nfs, Scheme.SSH: self._mount_ssh}[address.scheme]
        mount(address, "rw" if is_writable else "ro")
        try:
            yield POINT
        finally:
            self._unmount()

    def _mount_nfs(self, address: Address, mode: str) -> None:
        try:
            self.run(nfs_argv(address, mode), timeout=LIMIT)
        except ToolError as error:
            raise _refused(address, error, NFS_HINTS) from error

    def _mount_ssh(self, address: Address, mode: str) -> None:
        key = host_key.agreed(address, self.run, self.host_key, may_ask=self.may_ask)
        password = ask_unseen(f"The password of {address.user} on {address.host}: ")
        known = POINT.with_name(f"known-host-{os.getpid()}")
        known.write_text(key.known(address))
        try:
            # safety: sshfs(1) reads the password from there and hands it to ssh over a terminal of
            # its own; it is in no command line and in no file.
            self.run(ssh_argv(address, mode, known), timeout=LIMIT, stdin=f"{password}\n")
        except ToolError as error:
            raise _refused(address, error, SSH_HINTS) from error
        finally:
            known.unlink()

    def _unmount(self) -> None:
        """Whoever wrote there has waited until it was written, so that what goes wrong here costs
        nothing: sshfs unmounts it itself when its connection is lost, and NFS ends with us.
        """
        try:
            self.run(("umount", str(POINT)), timeout=LIMIT)
        except ToolError:
            with contextlib.suppress(ToolError):
                self.run(("umount", "--force", "--lazy", str(POINT)), timeout=LIMIT)


def of(arguments: argparse.Namespace, places: Places) -> Reach:
    """As a person has said it on the command line."""
    may_ask = not getattr(arguments, "yes", False)
    return Reach(places.run, arguments.host_key, may_ask=may_ask)


def nfs_argv(address: Address, mode: str) -> tuple[str, ...]:
    options = ",".join((mode, *NFS, f"port={address.port}"))
    return ("mount", "-t", "nfs4", "-o", options, f"{address.host}:{address.path}", str(POINT))


def ssh_argv(address: Address, mode: str, known: Path) -> tuple[str, ...]:
    options = ",".join((mode, *SSH, f"UserKnownHostsFile={known}"))
    where = f"{address.user}@{address.host}:{address.path}"
    return ("sshfs", "-p", str(address.port), "-o", options, where, str(POINT))


# By what is in the last line that the program printed.
NO_FOLDER = ("is not there", "Look at the folder's name as the other computer has it.")
NFS_HINTS = {
    "access denied": (
        "is not shared with this machine",
        "Allow this machine's address there, for that folder and for NFS 4.",
    ),
    "not permitted": (
        "is not shared with this machine",
        "Allow this machine's address there, for that folder and for NFS 4.",
    ),
    "No such file": NO_FOLDER,
    "rotocol": ("is not served over NFS 4.1", "Switch NFS 4.1 on there; no older one is spoken."),
    "timed out": ("did not answer in time", "See that its NFS server runs, and say it again."),
}
SSH_HINTS = {
    "No such file": NO_FOLDER,
    "Not a directory": NO_FOLDER,
    "Permission denied": ("may not be read by that user", "Give that user the right to, there."),
    # ssh does not get to say more: sshfs(1) hides it.
    "reset by peer": (
        "was not opened: most likely the password is wrong",
        "Say it again. A server that takes keys alone, and no passwords, cannot be used; nor can"
        " one without SFTP.",
    ),
}


def _refused(
    address: Address, error: ToolError, hints: dict[str, tuple[str, str]]
) -> OperatorError:
    line = error.stderr.strip().rpartition("\n")[2]
    for mark, (what, hint) in hints.items():
        if mark in line:
            return OperatorError(f"{address} {what}. Nothing was changed.", hint)
    why = line or ("it took too long" if error.exit is None else str(error))
    return OperatorError(
        f"{address} could not be opened: {why}. Nothing was changed.",
        "Look at the server's own log, and at `journalctl -k` here.",
    )
