# SPDX-License-Identifier: MIT
"""Two machines whose DRBD takes larger disks, as storage/growth.py says that it does; their power
and their cable can be cut after anything that they do.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from haagent.errors import ToolError
from haagent.storage.growth import NOTE, Growth, usable
from haagent.storage.sysfs import SECTOR
from tests.unit.fake_roster import PowerCutError

GUEST, MINOR = "web", 21


@dataclass
class Grower:
    """A machine. What is new of its volume is old rubbish until it is blanked."""

    root: Path
    volume: int  # bytes of it
    device: int = 0  # bytes of DRBD's
    end: int = 0  # of the volume as it was when DRBD's own data were put behind it
    held: int = 0  # DRBD's u_size, in bytes; 0: none
    blank: list[range] = field(default_factory=list)
    written: list[range] = field(default_factory=list)  # by DRBD, with what was never blanked
    peer: "Grower | None" = None  # that it is connected to
    is_primary: bool = False
    is_only: bool = False  # there never was another one
    is_off: bool = False
    cut: int | None = None  # after so many effects
    effects: int = 0
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device, self.end = usable(self.volume), self.volume
        (self.root / NOTE.format(minor=MINOR)).parent.mkdir(parents=True)
        (self.root / f"sys/class/block/drbd{MINOR}").mkdir(parents=True)
        self._shows()

    @property
    def growth(self) -> Growth:
        return Growth(GUEST, MINOR, self.run, self.root)

    @property
    def note(self) -> int | None:
        path = self.root / NOTE.format(minor=MINOR)
        return int(path.read_text().split()[0]) if path.exists() else None

    def boot(self) -> None:
        """drbdadm attaches the disk: its own data must be found, at the end or where it was."""
        self.is_off, self.cut, self.held = False, None, 0
        (self.root / f"run/shoestring/blanked-{MINOR}").unlink(missing_ok=True)
        if self.end != self.volume:
            assert self.note == self.end, "DRBD's own data are lost"
            self.end = self.volume

    def meets(self, peer: "Grower") -> None:
        """They connect."""
        self.peer, peer.peer = peer, self
        held = min((one.held for one in (self, peer) if one.held), default=0)
        for one in (self, peer):
            one.held = held
        for one in (self, peer):
            one._determine()

    def loses(self) -> None:
        if self.peer is not None:
            self.peer.peer, self.peer = None, None

    def run(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        self._lives()
        self.asked.append(" ".join(argv))
        match tuple(argv):
            case ("lvs", *_):
                row = {"lv_name": GUEST, "lv_size": f"{self.volume}"}
                rows = [{**row, "lv_active": "active", "lv_tags": ""}]
                return json.dumps({"report": [{"lv": rows}]})
            case ("drbdsetup", "resize", number, *how):
                assert number == str(MINOR)
                self._effect(lambda: self._resize(*how))
            case ("drbdsetup", "check-resize", number):
                assert number == str(MINOR)
                assert self.end == self.volume, "it would be written down where they are not"
                path = self.root / NOTE.format(minor=MINOR)
                self._effect(lambda: path.write_text(f"{self.volume}\t/dev/shoestring/{GUEST}\n"))
            case ("lvextend", "--size", size, "shoestring/web"):
                assert size.endswith("b") and int(size[:-1]) > self.volume
                self._effect(lambda: setattr(self, "volume", int(size[:-1])))
            case ("fallocate", "--zero-range", "--offset", at, "--length", length, device):
                assert device == f"/dev/shoestring/{GUEST}"
                self._effect(lambda: self._zero(range(int(at), int(at) + int(length))))
            case ("sync", _):
                self._effect(lambda: None)
            case _:
                raise AssertionError(argv)
        return ""

    def has_blank(self, what: range) -> bool:
        """All of WHAT was blanked."""
        at = what.start
        for one in sorted(self.blank, key=lambda one: one.start):
            if one.start <= at < one.stop:
                at = one.stop
        return at >= what.stop

    def _resize(self, how: str = "") -> None:
        roles = {self.is_primary, *([self.peer.is_primary] if self.peer else [])}
        if self.peer is not None and True not in roles:
            argv = ("drbdsetup", "resize")
            raise ToolError(argv, 10, f"{MINOR}: Failure: (131) Need one Primary node to resize.")
        name, _, size = how.partition("=")
        if self.peer is None:
            assert name != "--assume-clean", "ERR_NEED_APV_93"
        else:
            assert name, "what is new would be copied"
        if name == "--assume-peer-has-space":
            assert self.is_only, "nobody has looked at the other machine's disk"
        else:
            assert (name, bool(size)) in (("--size", True), ("--assume-clean", False), ("", False))
        held = int(size[:-1]) * SECTOR if size else 0
        assert not held or held == self.device, "it would shrink"
        self.held = held
        self._determine(has_room=name == "--assume-peer-has-space")
        if self.peer is not None:
            self.peer.held = held
            self.peer._determine()
            self._determine()

    def _determine(self, *, has_room: bool = False) -> None:
        """drbd_determine_dev_size: its own data move, then the device grows, also alone if the
        other one HAS ROOM by its word.
        """
        assert self.end == self.volume or self.end <= usable(self.volume), "they overlap"
        self.end = self.volume
        if self.peer is None and not has_room:
            return
        most = min(usable(one.end) for one in (self, self.peer) if one is not None)
        new = self.held or most
        assert new >= self.device
        if new > self.device:
            if not self.has_blank(range(self.device, new)):
                self.written.append(range(self.device, new))
            self.device = new
        self._shows()

    def _zero(self, what: range) -> None:
        assert what.start >= self.device, "it is the guest's"
        assert what.stop <= usable(self.end), "it is DRBD's own"
        assert self.end == self.volume
        self.blank.append(what)

    def _shows(self) -> None:
        path = self.root / f"sys/class/block/drbd{MINOR}/size"
        path.write_text(f"{self.device // SECTOR}\n")

    def _lives(self) -> None:
        if self.is_off:
            raise PowerCutError

    def _effect(self, happen: Callable[[], object]) -> None:
        happen()
        self.effects += 1
        if self.cut is not None:
            self.cut -= 1
            if self.cut == 0:
                self.is_off = True
                self.loses()
                raise PowerCutError
