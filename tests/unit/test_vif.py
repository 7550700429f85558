# SPDX-License-Identifier: MIT
"""A guest's card gets onto the bridge with a filter or not at all."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from haagent.guests.definition import SCRIPT
from tests.unit.test_units import EXTRA, IMAGE

VIF = EXTRA / "etc/xen/scripts" / SCRIPT
MAC = "00:16:3e:00:00:01"
STORE = "backend/vif/5/0"
BRIDGED = "vif-bridge online type_if=vif"


def filters(port: str) -> list[str]:
    """In the order of what the kernel is told: what passes, then what is dropped."""
    return [
        f"tc qdisc add dev {port} clsact",
        f"tc filter add dev {port} ingress pref 1 protocol all flower src_mac {MAC} action pass",
        f"tc filter add dev {port} ingress pref 2 protocol all matchall action drop",
    ]


class Dom0:
    """The script beside Xen's own one, and the programs that it calls; `done` has what they were
    told.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._script = root / VIF.name
        shutil.copy(VIF, self._script)
        for name, does in (
            ("vif-bridge", ""),
            ("xenstore-read", f'[ "$1" = {STORE}/mac ] && [ ! -e "$ROOT/lost" ] && echo {MAC}'),
            ("xenstore-write", ""),
            ("tc", 'grep -qsF "$1 $2" "$ROOT/refused" && exit 2 || true'),
        ):
            program = root / name
            note = "" if name == "xenstore-read" else f'echo "{name} $*" >>"$ROOT/done"\n'
            program.write_text(f"#!/bin/sh\n{note}{does}\n")
            program.chmod(0o755)

    def forget_the_address(self) -> None:
        (self._root / "lost").touch()

    def refuse(self, what: str) -> None:
        """tc(8) cannot do it: the kernel has no such module, or something is there already."""
        (self._root / "refused").write_text(what)

    def call(self, *arguments: str, **more: str) -> int:
        environment = {
            **os.environ,
            "PATH": f"{self._root}:{os.environ['PATH']}",
            "ROOT": str(self._root),
            "XENBUS_PATH": STORE,
            "vif": "vif5.0",
            **more,
        }
        return subprocess.run(
            [self._script, *arguments], env=environment, timeout=60, check=False
        ).returncode

    @property
    def done(self) -> list[str]:
        return (self._root / "done").read_text().splitlines()


@pytest.fixture
def dom0(tmp_path: Path) -> Dom0:
    return Dom0(tmp_path)


def test_the_image_has_it_where_xen_looks() -> None:
    assert os.access(VIF, os.X_OK)
    assert f"script={SCRIPT}" in (IMAGE / "guest/guest.cfg").read_text()
    # tc(8) comes with it, and vif-bridge with the other.
    assert "\n        iproute2\n" in (IMAGE / "mkosi.conf.d/10-system.conf").read_text()
    assert "\n        xen-utils-4.20\n" in (IMAGE / "mkosi.conf.d/20-xen.conf").read_text()


def test_a_card_has_its_filter_before_it_is_on_the_bridge(dom0: Dom0) -> None:
    assert dom0.call("online", "type_if=vif") == 0
    assert dom0.done == [*filters("vif5.0"), BRIDGED]


def test_so_has_a_card_that_is_emulated_besides(dom0: Dom0) -> None:
    """Both are ports of the bridge, and both have the guest's address."""
    assert dom0.call("online", "type_if=vif", INTERFACE="vif5.0-emu") == 0
    assert dom0.call("add", "type_if=tap", INTERFACE="vif5.0-emu") == 0
    emulated = [*filters("vif5.0-emu"), "vif-bridge add type_if=tap"]
    assert dom0.done == [*filters("vif5.0"), BRIDGED, *emulated]


@pytest.mark.parametrize("call", [("offline", "type_if=vif"), ("remove", "type_if=tap")])
def test_a_card_that_goes_only_leaves_the_bridge(dom0: Dom0, call: tuple[str, str]) -> None:
    assert dom0.call(*call) == 0
    assert dom0.done == [f"vif-bridge {' '.join(call)}"]


def test_what_is_not_known_gets_a_filter(dom0: Dom0) -> None:
    """Whatever a later Xen says first: only what goes needs none."""
    assert dom0.call("online") == 0
    assert dom0.done == [*filters("vif5.0"), "vif-bridge online"]


@pytest.mark.parametrize("refused", ["qdisc add", "filter add"])
def test_a_card_without_its_filter_stays_off_the_bridge(dom0: Dom0, refused: str) -> None:
    dom0.refuse(refused)
    assert dom0.call("online", "type_if=vif") == 1
    expect_reason(dom0, f"The guest's card vif5.0 cannot be kept to its own address {MAC}")


def test_a_card_of_an_unknown_address_stays_off_the_bridge(dom0: Dom0) -> None:
    dom0.forget_the_address()
    assert dom0.call("online", "type_if=vif") == 1
    expect_reason(dom0, "Xen's store does not have the address of the guest's card vif5.0")


def expect_reason(dom0: Dom0, why: str) -> None:
    """xl ends with it, and the screens tell it."""
    assert dom0.done[-1] == (
        f"xenstore-write {STORE}/hotplug-error {why}, so it is not let onto the LAN. "
        f"{STORE}/hotplug-status error"
    )
    assert not any(line.startswith("vif-bridge") for line in dom0.done)
