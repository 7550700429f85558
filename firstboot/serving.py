# SPDX-License-Identifier: MIT
"""The real hands of a machine that serves its guests while its peer is replaced: what staying.py
asks for, and what it knows of its pair. No policy is in here, and no guest is touched.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv6Address
from pathlib import Path

from firstboot import agreement as agreements
from firstboot.appliance import LIMIT, Appliance
from firstboot.description import Description
from firstboot.examine import examine
from firstboot.probe import probe
from firstboot.rendering import CROSSOVER, GROUP, KEY, NETWORK, REPLACED_KEYS, STATE
from firstboot.staying import keys_of_replaced
from firstboot.survivor import Survivor, Texts, understand
from haagent import config
from haagent.errors import ToolError
from haagent.network.frames import mac_bytes
from haagent.password import KEPT
from haagent.run import Run, run
from haagent.storage import lvm
from haagent.storage.drbd import Drbd

AGENT, HEARTBEAT = "haagent.service", "heartbeat.service"
UNIT = "shoestring-replace.service"
FORBIDS_IPV6 = Path(f"/proc/sys/net/ipv6/conf/{CROSSOVER}/disable_ipv6")


class Serving(Appliance):
    """This machine."""

    def __init__(self, run: Run = run) -> None:
        super().__init__(run)

    def survivor(self) -> Survivor:
        """Raises OperatorError for a pair that the set-up did not make."""
        volumes = lvm.parse_volumes(self._run(lvm.list_volumes(GROUP), timeout=LIMIT))
        texts = Texts(
            lan=self._text(f"{NETWORK}/30-lan.network"),
            time=self._text(f"{STATE}/systemd/timesyncd.conf"),
            password=self._text(KEPT),
            replaced_keys=keys_of_replaced(self._text(KEY), self._text(REPLACED_KEYS)),
        )
        return understand(config.load(), self.interfaces(), volumes, texts, self.time_zone())

    def description(self) -> Description:
        """Without its disks, which are busy and not looked at."""
        seen = examine(replace(probe(), disks=()), self._run)
        return Description(seen, (), self.time_scale())

    def is_agent_running(self) -> bool:
        try:
            self._run(("systemctl", "is-active", "--quiet", AGENT), timeout=LIMIT)
        except ToolError:
            return False
        return True

    def adjust_mirror(self, guest: str) -> None:
        Drbd(limit=LIMIT, run=self._run).adjust(guest)

    def restart_services(self) -> None:
        self._run(("systemctl", "restart", HEARTBEAT), timeout=LIMIT)
        # safety: alone, and last. Started together the agent would wait for heartbeat to stop,
        # unfed watchdog and all (systemd.unit(5), After=).
        self._run(("systemctl", "reset-failed", AGENT), timeout=LIMIT)
        self._run(("systemctl", "restart", AGENT), timeout=LIMIT)

    def stop_carrying_on(self) -> None:
        """What goes on by itself with an earlier replacement must not speak meanwhile."""
        self._run(("systemctl", "stop", UNIT), timeout=LIMIT)

    def carry_on(self) -> None:
        """Lets it go on with what was agreed on, if anything was."""
        if self.read(agreements.PATH) is not None:
            self._run(("systemctl", "--no-block", "start", UNIT), timeout=LIMIT)

    @contextlib.contextmanager
    def open_crossover(self) -> Iterator[None]:
        """As long as it is open the crossover has a link-local address, as on a blank machine."""
        address = f"{link_local(self.interfaces()[CROSSOVER].mac)}/64"
        with contextlib.suppress(FileNotFoundError):
            FORBIDS_IPV6.write_text("0")
        change = ("dev", CROSSOVER)
        # Nobody else has it: it is made of the card's own address.
        self._run(("ip", "-6", "address", "replace", address, *change, "nodad"), timeout=LIMIT)
        try:
            yield
        finally:
            # It may be gone already: systemd-networkd takes away what it does not know.
            with contextlib.suppress(ToolError):
                self._run(("ip", "-6", "address", "del", address, *change), timeout=LIMIT)

    def _text(self, path: str) -> str:
        file = self.read(path)
        return "" if file is None else file.text


def link_local(mac: str) -> IPv6Address:
    """The address that the kernel would make of MAC: RFC 4291, appendix A."""
    data = mac_bytes(mac)
    interface = bytes([data[0] ^ 0x02, *data[1:3], 0xFF, 0xFE, *data[3:]])
    return IPv6Address(bytes([0xFE, 0x80, *bytes(6)]) + interface)
