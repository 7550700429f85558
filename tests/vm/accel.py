# SPDX-License-Identifier: MIT
"""Whether this host can run the machines with KVM. A /dev/kvm that opens is no proof: the image has
to boot.
"""

import contextlib
import hashlib
import json
from pathlib import Path

from tests.vm import tools
from tests.vm.lab import TEST_FLAVOUR, Lab
from tests.vm.machine import MachineDiedError

VERDICT = tools.BUILD / "acceleration.json"
PROBE = 60.0  # seconds; with KVM that works, the shell is there in twenty


def acceleration() -> str:
    """`kvm` or `tcg`. The probe's verdict is kept for as long as the image stays the same."""
    with TEST_FLAVOUR.open("rb") as image:
        key = hashlib.file_digest(image, "sha256").hexdigest()
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(VERDICT.read_text())
        if known["image"] == key:
            return str(known["accel"])
    accel = "kvm" if _boots_with_kvm() else "tcg"
    VERDICT.write_text(json.dumps({"image": key, "accel": accel}) + "\n")
    return accel


def _boots_with_kvm() -> bool:
    try:
        with Path("/dev/kvm").open("r+b"):
            pass
    except OSError:
        return False
    lab = Lab("kvm")
    try:
        machine = lab.machine("probe")
        machine.power_on()
        machine.control.wait_for_boot(PROBE)
    except (TimeoutError, MachineDiedError) as error:
        print(f"KVM is there but does not run the image ({error}); emulating instead")
        return False
    finally:
        lab.close()
    return True
