# SPDX-License-Identifier: MIT
"""What the scenarios start with, from a checkpoint each: a pair that was set up, and is well; and
the same after one of the two has died.
"""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from haagent.core.timing import Timing
from tests.vm import audits, evening, stick
from tests.vm.cables import GATEWAY, GUEST
from tests.vm.counter import Recorder
from tests.vm.evening import LAN
from tests.vm.lab import Hardware, Lab
from tests.vm.machine import Machine
from tests.vm.wait import wait_until

SCALE = float(os.environ.get("TIME_SCALE", "4"))  # emulated machines are slow
TIMING = Timing().scaled(SCALE)
CROSSOVER = ("192.168.77.1", "192.168.77.2")
# The one whose digest is higher asks for the code, and runs the guest first: a.
IDENTITIES = ("1" * 32, "2" * 32)
GUEST_MAC = "00:16:3e:00:00:01"
SETUP = 900  # seconds; generous, for two emulated machines on a busy host
WRITTEN_ALONE = 20  # numbers
HEALTHY, LONE = "healthy-pair", "lone-holder"  # checkpoints

ANSWERS = """\
version: 1
arm: erase the disks named here
me: {me}
names: [a, b]
data-disk:
  serial: {serial}
  sector: {sector}
crossover:
  mac: {crossover_mac}
  address: {crossover}/24
  peer: {peer_crossover}
  peer-mac: {peer_crossover_mac}
lan:
  mac: {lan_mac}
  address: {lan}/24
  gateway: {gateway}
  peer: {peer_lan}
  peer-mac: {peer_lan_mac}
policy: {policy}
secret: {secret}
guests:
  counter:
    built-in: true
    first-node: 0
    mac: {guest_mac}
    address: {guest}/24
    memory: 192
    disk: 192M
"""


@dataclass(slots=True)
class Pair:
    """Two machines, and the recorder outside of them."""

    lab: Lab
    a: Machine
    b: Machine
    recorder: Recorder

    @property
    def both(self) -> tuple[Machine, Machine]:
        return self.a, self.b

    def first_number(self) -> int | None:
        """The guest's answer, if it serves by now. Raises AssertionError when a set-up gave up."""
        for machine in self.both:
            state = machine.control.try_run("systemctl is-failed shoestring-setup.service")
            assert state.rc != 0, f"{machine.name}'s set-up stopped"
        return self.recorder.next()

    def await_protected(self, deadline: float) -> None:
        wait_until("both to say PROTECTED", lambda: all(map(is_protected, self.both)), deadline, 2)


def status(machine: Machine) -> dict[str, Any]:
    """What `haagent status --json` says; empty while the agent does not answer, or its machine:
    that may be starting anew.
    """
    try:
        answer = json.loads(machine.control.try_haagent("status", "--json").out)
    except (TimeoutError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def is_protected(machine: Machine) -> bool:
    return status(machine).get("verdict") == "PROTECTED"


def is_alone(machine: Machine) -> bool:
    """It runs the guest, and has raised its term to write without the other."""
    return any(
        guest["is_alone"] and guest["runs_on"] == [machine.name]
        for guest in status(machine).get("guests", [])
    )


def answers(machine: Machine, peer: Machine, me: int, secret: str, policy: str) -> str:
    macs = {
        f"{who}{segment}": next(nic.mac for nic in which.nics if nic.segment == plug)
        for who, which in (("", machine), ("peer_", peer))
        for segment, plug in (("crossover_mac", "xo"), ("lan_mac", "lan"))
    }
    return ANSWERS.format(
        me=me,
        serial=f"{machine.name}-data".upper(),
        sector=machine.disks[1].sector,
        crossover=CROSSOVER[me],
        peer_crossover=CROSSOVER[1 - me],
        lan=LAN[me],
        peer_lan=LAN[1 - me],
        gateway=GATEWAY,
        policy=policy,
        secret=secret,
        guest=GUEST,
        guest_mac=GUEST_MAC,
        **macs,
    )


def blank_pair(
    lab: Lab,
    scale: float = SCALE,
    identities: tuple[str, str] = IDENTITIES,
    built: tuple[Hardware, Hardware] | None = None,
) -> Pair:
    """Two machines that are off, with freshly flashed sticks: the usual ones, or as BUILT says."""
    a, b = lab.unlike(a=built[0], b=built[1]) if built else lab.pair()
    assert lab.cables is not None
    for machine, identity in zip((a, b), identities, strict=True):
        prepare(machine, scale, identity)
    return Pair(lab, a, b, Recorder(lab.cables.guest_port))


def prepare(machine: Machine, scale: float, identity: str) -> None:
    """For the first boot of an emulated MACHINE."""
    file = machine.disks[0].file(machine.folder)
    stick.stretch_time(file, scale)
    stick.identify(file, identity)


def flash(
    lab: Lab,
    policy: str = "automatic",
    scale: float = SCALE,
    built: tuple[Hardware, Hardware] | None = None,
) -> Pair:
    """The same, with answers on their sticks: nobody types."""
    pair = blank_pair(lab, scale, built=built)
    secret = secrets.token_hex(32)
    for me, (machine, peer) in enumerate((pair.both, pair.both[::-1])):
        file = machine.disks[0].file(machine.folder)
        stick.put(file, "answers.yaml", answers(machine, peer, me, secret, policy))
    return pair


def healthy_pair(lab: Lab) -> Pair:
    """PROTECTED, the counter serving on `a`: from its checkpoint, or typed in now."""
    pair = blank_pair(lab)
    _come_to(pair, HEALTHY, _type_in)
    return pair


def lone_holder(lab: Lab) -> Pair:
    """`b` has lost its power, and `a` went on alone and has written since: from its checkpoint, or
    from a healthy pair now.
    """
    pair = blank_pair(lab)
    _come_to(pair, LONE, _lose_the_standby)
    return pair


def _come_to(pair: Pair, name: str, make: Callable[[Pair], None]) -> None:
    """PAIR as the checkpoint called NAME has it, which MAKE makes once."""
    checkpoint = pair.lab.checkpoint_key(f"{name}-x{SCALE:g}")
    if checkpoint.exists():
        pair.lab.load(checkpoint)
    else:
        make(pair)
        pair.lab.save(checkpoint)
    wait_until("a number from the guest", pair.recorder.next, 120)


def _type_in(pair: Pair) -> None:
    set_up(pair, is_typed=True)


def _lose_the_standby(pair: Pair) -> None:
    _come_to(pair, HEALTHY, _type_in)
    pair.b.power_cut(seed=1)
    wait_until("a to go on alone", lambda: is_alone(pair.a), SETUP, 1)
    for _ in range(WRITTEN_ALONE):
        wait_until("a number that b does not have", pair.recorder.next, SETUP)


def set_up(pair: Pair, *, is_typed: bool) -> None:
    """From two machines that are off to PROTECTED: typed, or from the answers on their sticks."""
    for machine in pair.both:
        machine.power_on()
    for machine in pair.both:
        machine.control.wait_for_boot(SETUP)
    if is_typed:
        evening.type_all(*pair.both)
    wait_until("the guest's first number", pair.first_number, SETUP, 2)
    pair.await_protected(SETUP)
    for machine in pair.both:
        said = audits.timed_out(machine.run("journalctl --boot --no-pager --quiet _PID=1"))
        assert not said, f"{machine.name} disturbed the person at it: {said}"
