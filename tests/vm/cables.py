# SPDX-License-Identifier: MIT
"""The network between the machines: the relay, and a LAN gateway that is no machine of ours."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.vm import tools
from tests.vm.wait import wait_until

GATEWAY = "10.0.2.2"  # QEMU's user network answers ARP, ping and DHCP there
GUEST = "10.0.2.50"  # the one address behind the gateway's forwarded port


class Cables:
    """SEGMENTS maps each cable to the machines plugged into it. With a gateway, it sits on segment
    `lan` as `gw`.
    """

    def __init__(
        self, folder: Path, segments: Mapping[str, Iterable[str]], gateway: bool = False
    ) -> None:
        self._folder = folder
        self._lose: set[tuple[str, str, str]] = set()
        self._lose_tcp: set[tuple[str, str, str, int]] = set()
        self._ports = {name: list(ports) for name, ports in segments.items()}
        self.guest_port = 0  # on this host; leads to port 80 of GUEST
        if gateway:
            self._ports["lan"].append("gw")
        argv = [f"{name}={','.join(ports)}" for name, ports in self._ports.items()]
        self._processes = [
            subprocess.Popen([sys.executable, "-m", "tests.vm.relay", folder, *argv], cwd=tools.TOP)
        ]
        wait_until("the relay", (folder / "relay").exists, 30, 0.02)
        if gateway:
            self._start_gateway()

    def _start_gateway(self) -> None:
        with (
            socket.socket() as probe
        ):  # the port is free now; nothing else on this host asks for it meanwhile
            probe.bind(("127.0.0.1", 0))
            self.guest_port = probe.getsockname()[1]
        plug = self._folder / "lan-gw"
        forward = f"hostfwd=tcp:127.0.0.1:{self.guest_port}-{GUEST}:80"
        argv = tools.command(
            "qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none"
        )
        argv += [
            "-netdev",
            f"user,id=user,restrict=on,{forward}",
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
        wait_until("the gateway", Path(f"{plug}.in").exists, 30, 0.05)

    def unplug(self, segment: str, *ports: str) -> None:
        """Nothing passes between PORTS (all of them when none is named) and anybody else on the
        segment.
        """
        for port in ports or self._ports[segment]:
            for other in self._ports[segment]:
                self._lose |= {(segment, port, other), (segment, other, port)}
        self._tell()

    def cut_between(self, segment: str, one: str, other: str) -> None:
        """Nothing passes between ONE and OTHER; both still reach everybody else."""
        self._lose |= {(segment, one, other), (segment, other, one)}
        self._tell()

    def plug(self, segment: str) -> None:
        """Everything passes on the segment again."""
        self._lose = {pair for pair in self._lose if pair[0] != segment}
        self._tell()

    def lose_tcp(self, segment: str, number: int, *ports: str) -> None:
        """What PORTS (all of them when none is named) send from or to TCP port NUMBER is lost, and
        nothing else. It adds to what is lost already.
        """
        for port in ports or self._ports[segment]:
            others = (other for other in self._ports[segment] if other != port)
            self._lose_tcp |= {(segment, port, other, number) for other in others}
        self._tell()

    def carry_tcp(self, segment: str, number: int) -> None:
        """TCP port NUMBER passes on the segment again."""
        self._lose_tcp = {one for one in self._lose_tcp if (one[0], one[3]) != (segment, number)}
        self._tell()

    def frames(self) -> dict[str, dict[str, int]]:
        """How many frames were carried and lost since the start, per `segment/from/to`."""
        return self._tell()

    def _tell(self) -> dict[str, dict[str, int]]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._folder / "relay"))
            request = {"lose": sorted(self._lose), "lose_tcp": sorted(self._lose_tcp)}
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, dict[str, int]] = json.loads(connection.makefile().readline())
        return answer

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        for leftover in [*self._folder.glob("*.in"), *self._folder.glob("*.out")]:
            leftover.unlink(missing_ok=True)
        (self._folder / "relay").unlink(missing_ok=True)
