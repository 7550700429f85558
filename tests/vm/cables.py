# SPDX-License-Identifier: MIT
"""The network between the machines: the relay, and a LAN gateway that is no machine of ours."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.vm import tools
from tests.vm.mishaps import CUT, Lose, Mishap, Way, Which, packed
from tests.vm.wait import wait_until

GATEWAY = "10.0.2.2"  # QEMU's user network answers ARP, ping and DHCP there
GUEST = "10.0.2.50"  # behind the gateway's forwarded port
DATABASE = "10.0.2.60"  # the same, for one that a scenario brings in
FILES = "10.0.2.22"  # another computer on the LAN, with an SSH server: ssh_server.py


@dataclass(frozen=True, slots=True)
class Said:
    """A frame, and how many seconds after the beginning of a record it was said; or, to be said,
    after now.
    """

    seconds: float
    frame: bytes  # with its Ethernet header


class Cables:
    """SEGMENTS maps each cable to the machines plugged into it. With a gateway, it sits on segment
    `lan` as `gw`.
    """

    def __init__(
        self, folder: Path, segments: Mapping[str, Iterable[str]], gateway: bool = False
    ) -> None:
        self._folder = folder
        self._mishaps: dict[Way, list[Mishap]] = {}
        self._ports = {name: list(ports) for name, ports in segments.items()}
        self.guest_port = 0  # on this host; leads to port 80 of GUEST
        self.database_port = 0  # on this host; leads to PostgreSQL of DATABASE
        self.ssh_port = 0  # on this host; port 22 of FILES leads there
        if gateway:
            self._ports["lan"].append("gw")
        argv = [f"{name}={','.join(ports)}" for name, ports in self._ports.items()]
        self._processes = [
            subprocess.Popen([sys.executable, "-m", "tests.vm.relay", folder, *argv], cwd=tools.TOP)
        ]
        wait_until("the relay", (folder / "relay").exists, 120, 0.02)
        if gateway:
            self._start_gateway()

    def _start_gateway(self) -> None:
        self.guest_port, self.database_port = _free_port(), _free_port()
        self.ssh_port = _free_port()
        plug = self._folder / "lan-gw"
        ways = ((self.guest_port, GUEST, 80), (self.database_port, DATABASE, 5432))
        forward = ",".join(f"hostfwd=tcp:127.0.0.1:{ours}-{to}:{port}" for ours, to, port in ways)
        files = f"guestfwd=tcp:{FILES}:22-cmd:socat - TCP:127.0.0.1:{self.ssh_port}"
        argv = tools.command(
            "qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none"
        )
        argv += [
            "-netdev",
            f"user,id=user,restrict=on,{forward},{files}",
            "-netdev",
            "hubport,id=one,hubid=0,netdev=user",
        ]
        argv += [
            "-netdev",
            f"dgram,id=plug,local.type=unix,local.path={plug}.in,remote.type=unix,remote.path={plug}.out",
        ]
        argv += ["-netdev", "hubport,id=two,hubid=0,netdev=plug"]
        with (self._folder / "gateway.log").open("a") as log:
            self._processes.append(
                subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )
        wait_until("the gateway", Path(f"{plug}.in").exists, 120, 0.05)

    def hurt(self, segment: str, mishap: Mishap, speaker: str = "", hearer: str = "") -> None:
        """MISHAP happens from now on, after those that happen already, to what SPEAKER says and
        HEARER hears; each is everybody on the segment when it is not named, the gateway and the ear
        too.
        """
        self._add(mishap, self._ways(segment, speaker, hearer))

    def mend(self, segment: str, *mishaps: Mishap) -> None:
        """MISHAPS end on the segment, for everybody; all that there are when none is named. What is
        late by then arrives all the same.
        """
        for way in self._ways(segment):
            left = [one for one in self._mishaps.pop(way, []) if mishaps and one not in mishaps]
            if left:
                self._mishaps[way] = left
        self._tell_mishaps()

    def unplug(self, segment: str, *ports: str) -> None:
        """Nothing passes between PORTS (all of them when none is named) and anybody else on the
        segment.
        """
        ways = []
        for port in ports or self._ports[segment]:
            ways += self._ways(segment, port) + self._ways(segment, hearer=port)
        self._add(CUT, ways)

    def cut_between(self, segment: str, one: str, other: str) -> None:
        """Nothing passes between ONE and OTHER; both still reach everybody else."""
        self._add(CUT, self._ways(segment, one, other) + self._ways(segment, other, one))

    def cut_one_way(self, segment: str, speaker: str, hearer: str) -> None:
        """Nothing that SPEAKER says gets to HEARER; all else passes."""
        self.hurt(segment, CUT, speaker, hearer)

    def plug(self, segment: str) -> None:
        """What was unplugged or cut on the segment passes again; other mishaps go on."""
        self.mend(segment, CUT)

    def lose_tcp(self, segment: str, number: int, *ports: str) -> None:
        """What PORTS (all of them when none is named) send from or to TCP port NUMBER is lost, and
        nothing else. It adds to what is lost already.
        """
        ways = [way for one in ports or self._ports[segment] for way in self._ways(segment, one)]
        self._add(Lose(which=Which(tcp=number)), ways)

    def carry_tcp(self, segment: str, number: int) -> None:
        """TCP port NUMBER passes on the segment again."""
        self.mend(segment, Lose(which=Which(tcp=number)))

    def record(self, segment: str, port: str, which: Which) -> None:
        """Remembers from now on what PORT says of the kind WHICH, in the relay's memory: name no
        more than is needed. What was being recorded there is forgotten.
        """
        self._tell(record=[*self._port(segment, port), asdict(which)])

    def recorded(self, segment: str, port: str) -> list[Said]:
        """What was recorded there until now. It ends the record."""
        said = self._tell(recorded=self._port(segment, port))["said"]
        return [Said(seconds, bytes.fromhex(frame)) for seconds, frame in said]

    def say(self, segment: str, port: str, said: Iterable[Said]) -> None:
        """Everybody else on the segment hears SAID as if PORT's machine had sent it, and so as the
        mishaps of PORT let them. It is on its way when this returns, not there yet.
        """
        told = [[one.seconds, one.frame.hex()] for one in said]
        self._tell(say=[*self._port(segment, port), told])

    def frames(self) -> dict[str, dict[str, int]]:
        """How many frames were `carried`, `lost` and `hurt` since the start, per `segment/from/to`.
        What is hurt came late, changed or not alone, and is carried too.
        """
        answer = self._tell()
        return {name: answer[name] for name in ("carried", "lost", "hurt")}

    def _port(self, segment: str, port: str) -> tuple[str, str]:
        """Both, if there is such a port. Raises KeyError or AssertionError."""
        ports = self._ports[segment]
        assert port in ports, f"nobody called {port!r} is on {segment}, only {ports}"
        return segment, port

    def _ways(self, segment: str, speaker: str = "", hearer: str = "") -> list[Way]:
        """From SPEAKER to HEARER; each is everybody when not named."""
        speakers, hearers = (
            [self._port(segment, port)[1]] if port else self._ports[segment]
            for port in (speaker, hearer)
        )
        return [(segment, one, other) for one in speakers for other in hearers if one != other]

    def _add(self, mishap: Mishap, ways: Iterable[Way]) -> None:
        for way in ways:
            mishaps = self._mishaps.setdefault(way, [])
            if mishap not in mishaps:
                mishaps.append(mishap)
        self._tell_mishaps()

    def _tell_mishaps(self) -> None:
        told = [[*way, packed(one)] for way, all_ in self._mishaps.items() for one in all_]
        self._tell(mishaps=told)

    def _tell(self, **request: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._folder / "relay"))
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(connection.makefile().readline())
        return answer

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        for leftover in [*self._folder.glob("*.in"), *self._folder.glob("*.out")]:
            leftover.unlink(missing_ok=True)
        (self._folder / "relay").unlink(missing_ok=True)


def _free_port() -> int:
    """It is free now; nothing else on this host asks for it meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
