# SPDX-License-Identifier: MIT
"""Domains of a machine, below what xl(1) can be asked for: its libraries are called directly."""

import re

from tests.vm.machine import Machine
from tests.vm.wait import wait_until

SPINNERS = ("spinner1", "spinner2", "spinner3")
MISER = "miser"
LEFT = 96  # MiB of Xen's memory; the guest takes twice as much, and a domain some for itself

# The libraries are those that a program of Xen's has loaded: their names have its version.
LIBRARY = """\
import ctypes, re, subprocess
def said(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
def library(name):
    pid = said("systemctl", "show", "--property=MainPID", "--value", "xenconsoled")
    with open(f"/proc/{pid}/maps") as maps:
        return ctypes.CDLL(re.search(rf"/\\S*/{name}\\.so\\S*", maps.read())[0])
number = int(said("xl", "domid", "counter"))
"""
# What a guest's kernel asks Xen for at the end of a panic (SHUTDOWN_crash, xen/include/public/
# sched.h; xen_panic_event in Linux), asked for in its place: Debian's keeps a sysrq from it.
PANIC = (
    LIBRARY
    + """\
xen = library("libxenctrl")
xen.xc_interface_open.restype = ctypes.c_void_p
handle = xen.xc_interface_open(None, None, 0)
assert handle
assert xen.xc_domain_shutdown(ctypes.c_void_p(handle), ctypes.c_uint32(number), 3) == 0
"""
)
# A page of the guest, mapped in dom0: while it is, a domain that was destroyed stays, dying.
# xenforeignmemory.h; for a PV guest store/ring-ref is the number of such a page (xenstore-paths).
KEEP = (
    LIBRARY
    + """\
import signal
page = int(said("xenstore-read", f"/local/domain/{number}/store/ring-ref"))
xen = library("libxenforeignmemory")
xen.xenforeignmemory_open.restype = xen.xenforeignmemory_map.restype = ctypes.c_void_p
handle = xen.xenforeignmemory_open(None, 0)
error = ctypes.c_int()
pages = (ctypes.c_ulong * 1)(page)
at = xen.xenforeignmemory_map(
    ctypes.c_void_p(handle), ctypes.c_uint32(number), 1, ctypes.c_size_t(1), pages,
    ctypes.byref(error),
)
assert at and error.value == 0, error.value
print("it is kept", flush=True)
signal.pause()
"""
)


def panic(machine: Machine) -> None:
    """The guest's kernel panics on MACHINE."""
    machine.run(f"python3 - <<'END'\n{PANIC}END\n")


def keep(machine: Machine) -> None:
    """The guest's domain does not go away when it is destroyed on MACHINE."""
    machine.run(f"cat > /run/keep.py <<'END'\n{KEEP}END\n")
    machine.run("python3 /run/keep.py </dev/null >/run/keep.log 2>&1 &")
    wait_until(
        f"a page of the guest to be kept on {machine.name}",
        lambda: "it is kept" in machine.run("cat /run/keep.log"),
        120,
        1,
    )


def spin(machine: Machine) -> None:
    """Guests of which nobody keeps account take all that they get of MACHINE's processor."""
    for name in SPINNERS:
        # init of a Linux; what follows the two dashes are its arguments.
        runs = 'extra = "console=hvc0 quiet rdinit=/bin/busybox -- awk BEGIN{for(;;){}}"'
        _create(machine, name, 192, runs)


def spun(machine: Machine) -> float:
    """Seconds of the processor that these guests had; one that has ended had none."""
    listing = (line.split() for line in machine.run("xl list", 120).splitlines())
    had = {fields[0]: float(fields[5]) for fields in listing if fields[0] in SPINNERS}
    assert len(had) == len(SPINNERS), f"only {sorted(had)} of them run"
    return sum(had.values())


def weight(machine: Machine, domain: str) -> int:
    """What DOMAIN counts on MACHINE when all want its processor (tools/xl/xl_sched.c, Xen 4.20)."""
    said = machine.run(f"xl sched-credit2 -d {domain}", 120)
    found = re.search(rf"^{domain} +\d+ +(\d+) +\d+$", said, re.MULTILINE)
    assert found, said
    return int(found[1])


def end_spinning(machine: Machine) -> None:
    for name in SPINNERS:
        machine.run(f"xl destroy {name}", 120)


def take_memory(machine: Machine) -> None:
    """A domain of which nobody keeps account has what MACHINE has for guests, and does nothing."""
    _create(machine, MISER, _free_memory(machine) - LEFT, options="-p")
    left = _free_memory(machine)
    assert left <= LEFT, f"{left} MiB are left on {machine.name}"


def give_memory_back(machine: Machine) -> None:
    machine.run(f"xl destroy {MISER}", 120)


def _free_memory(machine: Machine) -> int:
    """MiB that Xen has given to no domain."""
    found = re.search(r"^free_memory +: (\d+)$", machine.run("xl info", 120), re.MULTILINE)
    assert found, "xl info does not tell it any more"
    return int(found[1])


def _create(machine: Machine, name: str, memory: int, *settings: str, options: str = "") -> None:
    """A domain with the kernel of the guest and no disk, which the agent does not know."""
    text = "\n".join(
        (
            f'name = "{name}"',
            'type = "pv"',
            'kernel = "/usr/share/shoestring/guest/vmlinux"',
            'ramdisk = "/usr/share/shoestring/guest/initramfs"',
            f"memory = {memory}",
            *settings,
        )
    )
    machine.run(f"cat > /run/{name}.cfg <<'END'\n{text}\nEND\n")
    machine.run(f"xl create --quiet {options} /run/{name}.cfg", 300)
