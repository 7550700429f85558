# SPDX-License-Identifier: MIT
"""What is in the shipped image and what is not, read from the image itself."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vm import tools
from tests.vm.lab import SHIPPED, TEST_FLAVOUR

SECTOR = 512  # bytes; sfdisk's unit
KIT = {
    "etc/systemd/system/sysinit.target.wants/shoestring-test-control.service",
    "usr/lib/shoestring-test",
    "usr/lib/shoestring-test/control",
    "usr/lib/shoestring-test/warm",
    "usr/lib/systemd/system-preset/00-shoestring-test.preset",
    "usr/lib/systemd/system/shoestring-test-control.service",
}

Unpack = Callable[[Path], Path]


def tool(*argv: str | Path) -> str:
    return subprocess.run(
        tools.command(*argv), stdout=subprocess.PIPE, check=True, encoding="utf-8"
    ).stdout


@pytest.fixture(scope="module")
def unpack(tmp_path_factory: pytest.TempPathFactory) -> Unpack:
    """The root file system of an image, as files."""

    def unpacked(image: Path) -> Path:
        table = json.loads(tool("sfdisk", "--json", image))["partitiontable"]["partitions"]
        start = next(p["start"] for p in table if p.get("name") == "shoestring-root-a") * SECTOR
        target = tmp_path_factory.mktemp(image.stem)
        tool("fsck.erofs", f"--extract={target}", "--overwrite", f"--offset={start}", image)
        return target

    return unpacked


@pytest.fixture(scope="module")
def shipped(unpack: Unpack) -> Path:
    return unpack(SHIPPED)


@pytest.fixture(scope="module")
def test_flavour(unpack: Unpack) -> Path:
    return unpack(TEST_FLAVOUR)


def files(tree: Path) -> dict[str, bytes]:
    """Every path in TREE with what it holds: a link's target, a file's content."""
    found = {}
    for path in tree.rglob("*"):
        content = b""
        if path.is_symlink():
            content = str(path.readlink()).encode()
        elif path.is_file():
            content = path.read_bytes()
        found[str(path.relative_to(tree))] = content
    return found


def test_the_test_flavour_is_the_shipped_image_plus_the_kit(
    shipped: Path, test_flavour: Path
) -> None:
    ours, theirs = files(shipped), files(test_flavour)
    assert theirs.keys() - ours.keys() == KIT
    assert ours.keys() - theirs.keys() == set()
    changed = {path for path in ours if ours[path] != theirs[path]}
    # What is made anew in every build; it holds no secret and opens no door.
    assert changed <= {"usr/lib/udev/hwdb.bin", "etc/ld.so.cache", "var/cache/ldconfig/aux-cache"}


def test_nobody_can_log_in(shipped: Path) -> None:
    for line in (shipped / "etc/shadow").read_text().splitlines():
        name, password = line.split(":")[:2]
        assert password.startswith(("*", "!")), f"{name} has a password"
    system = shipped / "etc/systemd/system"
    for unit in ("getty@", "serial-getty@", "console-getty", "container-getty@", "autovt@"):
        assert str((system / f"{unit}.service").readlink()) == "/dev/null"
    assert not list(shipped.glob("usr/sbin/sshd"))


def test_there_is_no_key_in_it(shipped: Path) -> None:
    for name in ("authkeys", "authorized_keys", "ssh_host_*", "*.key", "id_rsa*", "*.res"):
        found = [p for p in shipped.rglob(name) if not p.is_symlink()]
        assert found == [], f"{name} in the image"
    for identity in ("etc/hostid", "var/lib/dbus/machine-id", "var/lib/systemd/random-seed"):
        path = shipped / identity
        assert path.is_symlink() or not path.exists()
    assert (shipped / "state/identity/machine-id").read_bytes() == b""
    assert str((shipped / "etc/machine-id").readlink()) == "../state/identity/machine-id"
