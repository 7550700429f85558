# SPDX-License-Identifier: MIT
"""How sequences are played on machines: with machines that are the model, what the model does."""

import subprocess
from types import SimpleNamespace
from typing import cast

import pytest

from haagent.core.model import Disk, Link, Resource, Role
from tests.sim.player import Player
from tests.sim.readings import Reading
from tests.sim.sequences import SEQUENCES, steps
from tests.unit.fake_scratch import FakeRoom
from tests.vm import scratch
from tests.vm.pair import Pair
from tests.vm.scratch import Look, Scratch

# As drbd-utils 9.22 and Linux 6.12 print it.
SHOWN = """\
exists resource name:model role:Primary suspended:fencing
exists connection name:model peer-node-id:0 conn-name:b connection:Connecting role:Unknown
exists device name:model volume:0 minor:10 disk:UpToDate
exists peer-device name:model peer-node-id:0 conn-name:b volume:0 replication:Off peer-disk:DUnknown
exists -
== helper
fence-peer model
fence-peer model exit code
fence-peer model
== data
write 1
write 12
== writing
yes
"""


def fake() -> Scratch:
    room = FakeRoom()
    a, b = room.machines
    pair = SimpleNamespace(lab=SimpleNamespace(cables=room), both=(a, b), a=a, b=b)
    return Scratch(cast(Pair, pair), every=0.0)


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_machine_that_is_the_model_reads_like_it(name: str) -> None:
    disk = fake()
    disk.reset()
    assert [disk.take(step) for step in steps(name)] == Player().play(name)


def test_one_look_at_a_machine() -> None:
    resource = Resource(Role.PRIMARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.UNKNOWN, True)
    assert scratch.parse(SHOWN) == Look(Reading(resource, (1, 12), waits=True), calls=2, ends=1)


# As Linux 6.12 says it.
KERNEL = """\
[  498.34] drbd model: helper command: /sbin/drbdadm fence-peer model
[  501.68] drbd model: helper command: /sbin/drbdadm fence-peer model exit code 7 (0x700)
[  501.68] drbd model: fence-peer helper returned 7 (peer was stonithed)
[  514.16] drbd model: helper command: /sbin/drbdadm unfence-peer model
[  514.26] drbd model: helper command: /sbin/drbdadm unfence-peer model exit code 0 (0x0)
"""


def test_only_fence_peer_is_counted() -> None:
    found = subprocess.run(
        scratch.CALLS, shell=True, input=KERNEL, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == [" fence-peer model", " fence-peer model exit code"]


def test_a_machine_that_does_not_have_the_disk() -> None:
    shown = "exists -\n== helper\n== data\n== writing\n"
    assert scratch.parse(shown) == Look(Reading(None))
    assert str(scratch.parse(shown).reading) == "down []"
