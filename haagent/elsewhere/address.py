# SPDX-License-Identifier: MIT
"""Owns how a folder or a file on another computer is named: nfs://HOST/FOLDER, ssh://USER@HOST/..."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import unquote

from haagent.carrying import shown
from haagent.errors import OperatorError


class Scheme(StrEnum):
    NFS = "nfs"
    SSH = "ssh"


PORTS = {Scheme.NFS: 2049, Scheme.SSH: 22}
ANY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# safety: it comes into the command lines of other programs, so none of it begins with a dash.
FORM = re.compile(
    r"(?P<scheme>nfs|ssh)://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@)?"
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*)(?::(?P<port>[0-9]{1,5}))?(?P<path>/.*)",
    re.ASCII,
)
FORMS = "It is nfs://HOST/FOLDER/FILE or ssh://USER@HOST/FOLDER/FILE, as in nfs://192.168.1.5/vm."


@dataclass(frozen=True, slots=True)
class Address:
    scheme: Scheme
    host: str
    port: int
    user: str  # empty where nobody logs in
    path: PurePosixPath  # from the root on, as the other computer shows it

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return shown(f"{self.scheme}://{user}{self.host}{port}{self.path}")

    def split(self) -> tuple["Address", str]:
        """The folder that it lies in, and its name there. Raises OperatorError."""
        if not self.path.name:
            raise OperatorError(f"{self} names no file. Nothing was changed.", FORMS)
        return replace(self, path=self.path.parent), self.path.name


def is_one(wanted: str) -> bool:
    """Whether WANTED is an address of any kind, and no name of a file."""
    return ANY.match(wanted) is not None


def parse(wanted: str) -> Address:
    """Raises OperatorError."""
    found = FORM.fullmatch(wanted)
    if re.match(r"ssh://[^/@]*:[^/@]*@", wanted):
        # safety: everybody on this machine can read what a program was started with.
        raise OperatorError(
            "A password does not belong into an address. Nothing was changed.",
            "Leave it out: it is asked for. It stands in this shell's history now, so change it.",
        )
    if found is None or ".." in found["path"].split("/") or not found["path"].isprintable():
        raise OperatorError(f"{shown(wanted)} is no address here. Nothing was changed.", FORMS)
    scheme, port = Scheme(found["scheme"]), int(found["port"] or 0)
    if (scheme is Scheme.SSH) != (found["user"] is not None) or port > 65535:
        why = "who logs in, as in ssh://USER@HOST/..." if scheme is Scheme.SSH else "its host"
        raise OperatorError(f"{shown(wanted)} does not say {why}. Nothing was changed.", FORMS)
    return Address(
        scheme=scheme,
        host=found["host"],
        port=port or PORTS[scheme],
        user=found["user"] or "",
        path=PurePosixPath("/" + unquote(found["path"]).strip("/")),
    )
