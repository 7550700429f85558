# SPDX-License-Identifier: MIT
"""The whole stack once, by hand: two machines from blank disks, a guest on mirrored storage, a
pulled plug.
"""

import threading

from tests.vm import by_hand
from tests.vm.audits import lost
from tests.vm.lab import Lab
from tests.vm.wait import wait_until


def test_the_guest_outlives_its_machine(lab: Lab) -> None:
    a, b, recorder = by_hand.running_pair(lab)
    stop = threading.Event()
    asking = recorder.keep_asking(stop)
    before = len(recorder.acknowledged)
    wait_until("thirty more numbers", lambda: len(recorder.acknowledged) >= before + 30, 300)

    a.power_cut(seed=1)
    stop.set()
    asking.join()

    by_hand.await_heartbeat(b, "nodestatus a", "dead")
    by_hand.await_drbd(b, "dstate", "UpToDate/DUnknown")
    refused = b.control.try_run("drbdadm primary counter")
    assert refused.rc != 0, "DRBD promoted without knowing what became of the peer"
    b.run("touch /run/the-test-cut-the-peers-power")
    b.run("drbdadm primary counter")
    by_hand.start_guest(b)
    present = wait_until("the guest's numbers on the survivor", recorder.present, 300)

    assert lost(recorder.acknowledged, present) == [], "lost acknowledged writes"
    further = wait_until("a number from the survivor", recorder.next, 120)
    assert further > max(present)
