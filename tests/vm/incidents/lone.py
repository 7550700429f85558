# SPDX-License-Identifier: MIT
"""A machine that is set up alone, with nobody beside it."""

import secrets

from tests.vm import evening, stick
from tests.vm.cables import GATEWAY
from tests.vm.incidents.replacing import make_blank
from tests.vm.machine import Machine
from tests.vm.pair import CROSSOVER, SETUP, status
from tests.vm.wait import wait_until

NO_SECOND = "SHOE-309"
FIRST = "10.0.2.51"  # of the guest that the set-up makes; the restored one has its own of before
ANSWERS = """\
version: 1
arm: erase the disks named here
part: alone
names: [c]
data-disk:
  serial: {serial}
crossover:
  mac: {crossover}
  address: {address}/24
lan:
  mac: {lan}
  address: {ours}/24
  gateway: {gateway}
secret: {secret}
guests:
  first:
    built-in: true
    mac: 00:16:3e:00:00:09
    address: {first}/24
    memory: 192
    disk: 192M
"""


def answers(machine: Machine) -> str:
    macs = {nic.segment: nic.mac for nic in machine.nics}
    return ANSWERS.format(
        serial=f"{machine.name}-data".upper(),
        crossover=macs["xo"],
        lan=macs["lan"],
        address=CROSSOVER[0],
        ours=evening.LAN[0],
        gateway=GATEWAY,
        secret=secrets.token_hex(32),
        first=FIRST,
    )


def set_up_alone(machine: Machine) -> None:
    """It is another PC from here on, c, which has nobody beside it."""
    make_blank(machine)
    stick.put(machine.disks[0].file(machine.folder), "answers.yaml", answers(machine))
    machine.power_on()
    wait_until("c to be alone, and to serve", lambda: shows(machine, first="c"), SETUP, 2)


def shows(machine: Machine, **where: str) -> bool:
    """It is NOT PROTECTED for being alone, and nothing else; its guests run WHERE they should."""
    now = status(machine)
    codes = [complaint["code"] for complaint in now.get("complaints", [])]
    found = {guest["name"]: guest["runs_on"] for guest in now.get("guests", [])}
    is_so = codes == [NO_SECOND] and now["verdict"] == "NOT PROTECTED"
    return is_so and found == {name: [at] for name, at in where.items()}
