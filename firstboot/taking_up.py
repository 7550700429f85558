# SPDX-License-Identifier: MIT
"""Carries out on one machine what the agents decided about its addresses on the LAN: files, then
the network, then heartbeat and the agent. The guests run on; DRBD stays on the crossover.

It decides nothing. Addresses on trial are in files that a start of the machine does not find, so
whatever goes wrong, a start has the old ones. All of it can be repeated, from wherever it ended.
"""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Interface
from typing import Protocol

from firstboot import addresses
from firstboot.addresses import NETWORK_FILE, TRIAL_NETWORK, TRIAL_SETTINGS
from firstboot.hands import FAILING_STICK, Interface, put
from firstboot.rendering import LAN, File
from haagent.config import Config
from haagent.core.actions import LanOrder
from haagent.core.model import LanChange, LanStage
from haagent.errors import OperatorError, ShoestringError

STAGES = {LanOrder.TRY: LanStage.AGREED, LanOrder.KEEP: LanStage.KEPT}


class Hands(Protocol):
    """What is done to a machine that serves. All may raise ShoestringError, and can be repeated."""

    def config(self) -> Config:
        """The settings that last."""

    def agreed(self) -> LanChange:
        """What the agent has on disk."""

    def read(self, path: str) -> File | None: ...
    def write(self, file: File) -> None: ...
    def remove(self, path: str) -> None: ...
    def interfaces(self) -> Mapping[str, Interface]: ...
    def restart_network(self) -> None: ...
    def restart_clock(self) -> None: ...

    def agent_runs(self) -> int | None:
        """The change that the agent's addresses are from; None if it does not answer."""

    def await_rest(self) -> None:
        """Until the agent is at nothing that takes time; not for ever."""

    def restart_services(self) -> None:
        """heartbeat and the agent, one after the other; guests run on."""


class TakingUp:
    """One order, carried out."""

    def __init__(self, hands: Hands, tell: Callable[[str], None]) -> None:
        self._hands = hands
        self._tell = tell

    def run(self, order: LanOrder) -> None:
        """Raises ShoestringError; then what was on trial is not any more."""
        change = self._hands.agreed()
        if change.stage is not STAGES.get(order, change.stage):
            # safety: the order is older than what is on disk by now.
            raise OperatorError(
                f"Addresses are not taken up: the change {change.number} is {change.stage}.",
                "Nothing was changed. The agent gives the order again if it is still meant.",
            )
        match order:
            case LanOrder.TRY:
                self._try(change)
            case LanOrder.KEEP:
                self._keep(change)
            case LanOrder.BACK:
                self._go_back()

    def _try(self, change: LanChange) -> None:
        config = self._hands.config()
        settings, network = addresses.on_trial(config, change)
        address = addresses.ours(change, config.pair.me)
        self._tell(f"Trying {address}.")
        # The agent's settings first: whenever it restarts from here on, it knows of the trial.
        self._hands.write(settings)
        self._hands.write(network)
        try:
            is_new = self._network(address)
        except ShoestringError:
            self._forget_trial()
            self._hands.restart_network()
            raise
        self._services(change.number, is_new)

    def _keep(self, change: LanChange) -> None:
        config = self._hands.config()
        clock, network = self._text(addresses.CLOCK), self._text(NETWORK_FILE)
        address = addresses.ours(change, config.pair.me)
        self._tell(f"Keeping {address}.")
        for file in addresses.for_good(config, change, network, clock):
            put(self._hands, file, FAILING_STICK)
        self._forget_trial()
        is_new = self._network(address)
        self._hands.restart_clock()
        self._services(change.number, is_new)

    def _go_back(self) -> None:
        address = addresses.address_in(self._text(NETWORK_FILE))
        self._tell(f"Going back to {address}.")
        self._forget_trial()
        is_new = self._network(address)
        self._services(self._hands.config().pair.lan, is_new)

    def _forget_trial(self) -> None:
        for path in (TRIAL_SETTINGS, TRIAL_NETWORK):
            self._hands.remove(path)

    def _network(self, address: IPv4Interface) -> bool:
        """The LAN has ADDRESS and no other, read back; whether that had to be made so."""
        if self._has(address):
            return False
        self._hands.restart_network()
        if not self._has(address):
            raise OperatorError(
                f"The LAN's interface did not get the address {address}.",
                "`journalctl -b -u systemd-networkd` says why.",
            )
        return True

    def _has(self, address: IPv4Interface) -> bool:
        lan = self._hands.interfaces().get(LAN)
        return (
            lan is not None
            and lan.addresses == (address,)
            and lan.broadcasts == (address.network.broadcast_address,)
        )

    def _services(self, number: int, is_new: bool) -> None:
        if is_new or self._hands.agent_runs() != number:
            self._hands.await_rest()
            self._hands.restart_services()

    def _text(self, path: str) -> str:
        file = self._hands.read(path)
        return "" if file is None else file.text
