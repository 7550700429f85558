# SPDX-License-Identifier: MIT
"""Makes a pair out of two booted machines by plain commands: what the agent will do by itself one
day.

Everything is written to the state partition; the root stays as it was flashed.
"""

import secrets

from haagent.core.timing import Timing
from tests.vm.cables import GATEWAY, GUEST
from tests.vm.counter import Recorder
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.wait import wait_until

TIMING = Timing().scaled(6)  # emulated machines are slow
CROSSOVER = {"a": "192.168.77.1", "b": "192.168.77.2"}
LAN = {"a": "10.0.2.11", "b": "10.0.2.12"}
GUEST_MAC = "00:16:3e:00:00:01"

RESOURCE = """\
global { usage-count no; }
resource counter {
    protocol C;
    device /dev/drbd0;
    disk /dev/shoestring/counter;
    meta-disk internal;
    disk {
        fencing resource-and-stonith;
        on-io-error detach;
    }
    net {
        cram-hmac-alg sha256;
        shared-secret "%(secret)s";
        after-sb-0pri disconnect;
        after-sb-1pri disconnect;
        after-sb-2pri disconnect;
        ping-int %(ping)d;
        timeout %(timeout)d;
    }
    handlers { fence-peer /state/fence-peer; }
    on a { address %(a)s:7788; }
    on b { address %(b)s:7788; }
}
"""

# safety: the kernel believes whatever this prints as its exit code. 7 means "the peer is off", and
# only the test, which pulled the plug itself, may say so; anything else keeps DRBD waiting.
FENCE_PEER = """\
#!/bin/sh
[ -e /run/the-test-cut-the-peers-power ] && exit 7
exit 1
"""

HEARTBEAT = """\
logfacility daemon
keepalive %(keepalive)dms
deadtime %(dead)d
warntime %(warn)d
initdead %(initdead)d
udpport 694
bcast %(crossover)s lan
node a b
pacemaker ccm-only
apiauth haagent uid=root
"""


BOOT = 600  # seconds; a generous deadline for a slow, busy host


def running_pair(lab: Lab) -> tuple[Machine, Machine, Recorder]:
    """A healthy pair with the counter serving on `a`: from its checkpoint, or made now."""
    a, b = lab.pair()
    assert lab.cables is not None
    recorder = Recorder(lab.cables.guest_port)
    checkpoint = lab.checkpoint_key("running-pair")
    if checkpoint.exists():
        lab.load(checkpoint)
    else:
        for machine in (a, b):
            machine.power_on()
        for machine in (a, b):
            machine.control.wait_for_boot(BOOT)
            # The shell is there early: wait for the rest, and for udev to have named the cards.
            machine.control.try_run("systemctl is-system-running --wait", timeout=BOOT)
            machine.run("udevadm settle --timeout=300", timeout=300)
            assert_appliance(machine)
            connect(machine)
        mirror(a, b)
        start_heartbeat(a, b)
        for machine in (a, b):
            assert_only_messaging(machine)
        make_guest(a)
        start_guest(a)
        wait_until("the guest's first number", recorder.next, 300)
        lab.save(checkpoint)
    wait_until("a number from the guest", recorder.next, 120)
    return a, b, recorder


def assert_appliance(machine: Machine) -> None:
    """What only the inside shows: nothing can be written to the root, and nothing listens."""
    for place in ("/", "/etc/", "/usr/"):
        refused = machine.control.try_run(f"touch {place}something")
        assert refused.rc != 0 and "Read-only file system" in refused.out, refused
    assert machine.run("findmnt --noheadings --output FSTYPE,TARGET /state").split() == [
        "ext4",
        "/state",
    ]
    assert machine.run("ss --listening --numeric --no-header --tcp --udp").strip() == ""
    assert machine.run("cat /sys/class/watchdog/*/identity").split().count("xen_wdt") == 1
    assert machine.run("systemctl --failed --no-legend --plain").strip() == ""


def assert_only_messaging(machine: Machine) -> None:
    """heartbeat carries liveness and messages; none of its resource managers may run."""
    running = set(machine.run("ps -eo comm=").split())
    assert {"heartbeat", "ccm"} <= running, running
    managers = {"crmd", "pacemakerd", "pengine", "lrmd", "stonithd", "ipfail", "ResourceManager"}
    assert not running & managers, running & managers


def interface(machine: Machine, segment: str) -> str:
    """The name that the kernel gave to the card in SEGMENT: cards are known by their address, not
    by order.
    """
    mac = next(nic.mac for nic in machine.nics if nic.segment == segment)
    return machine.run(f"grep -l {mac} /sys/class/net/*/address").split("/")[4]


def connect(machine: Machine) -> None:
    """Names the node and gives it its crossover address and a bridge on the LAN."""
    crossover, lan = interface(machine, "xo"), interface(machine, "lan")
    machine.run(f"""set -e
        hostname {machine.name}
        ip address add {CROSSOVER[machine.name]}/24 broadcast + dev {crossover}
        ip link set {crossover} up
        ip link add lan type bridge
        ip link set {lan} master lan up
        ip address add {LAN[machine.name]}/24 broadcast + dev lan
        ip link set lan up""")


def mirror(a: Machine, b: Machine) -> None:
    """A volume group on each data disk, and one DRBD resource across, UpToDate on both sides."""
    figures = {
        "secret": secrets.token_hex(16),
        "ping": TIMING.drbd_ping,
        "timeout": TIMING.drbd_timeout * 10,  # drbd.conf(5): tenths of a second
        **CROSSOVER,
    }
    for machine in (a, b):
        write(machine, "/state/etc/drbd.d/counter.res", RESOURCE % figures, "600")
        write(machine, "/state/fence-peer", FENCE_PEER, "700")
        machine.run("""set -e
            disk=$(readlink -f /dev/disk/by-id/virtio-*-DATA)
            pvcreate --quiet "$disk"
            vgcreate --quiet shoestring "$disk"
            lvcreate --quiet --yes --wipesignatures y --size 512M --name counter shoestring
            drbdadm create-md counter
            drbdadm up counter""")
    await_drbd(a, "cstate", "Connected")
    # Both volumes are blank: nothing has to be copied, both are the newest.
    a.run("drbdadm new-current-uuid --clear-bitmap counter/0")
    for machine in (a, b):
        await_drbd(machine, "dstate", "UpToDate/UpToDate")


def start_heartbeat(a: Machine, b: Machine) -> None:
    """Liveness over both cables, with a key of the pair's own; done when both see each other on
    both.
    """
    key = secrets.token_hex(20)
    for machine in (a, b):
        figures = {
            "keepalive": TIMING.keepalive * 1000,
            "dead": TIMING.dead,
            "warn": TIMING.dead / 2,
            "initdead": TIMING.dead * 2,
            "crossover": interface(machine, "xo"),
        }
        write(machine, "/state/etc/ha.d/ha.cf", HEARTBEAT % figures, "644")
        write(machine, "/state/etc/ha.d/authkeys", f"auth 1\n1 sha1 {key}\n", "600")
        machine.run("systemctl start heartbeat")
    for machine, peer in ((a, b), (b, a)):
        for link in (interface(machine, "xo"), "lan"):
            await_heartbeat(machine, f"hblinkstatus {peer.name} {link}", "up")
        await_heartbeat(machine, f"nodestatus {peer.name}", "active")


def make_guest(machine: Machine) -> None:
    """The built-in guest's file system, on the mirrored volume."""
    machine.run("drbdadm primary counter")
    files = "/usr/share/shoestring/guest"
    machine.run(f"{files}/make-disk /dev/drbd0 {GUEST}/24 {GATEWAY}", timeout=300)


def start_guest(machine: Machine) -> None:
    """Starts the counter, and asks Xen whether it runs."""
    definition = "/usr/share/shoestring/guest/guest.cfg"
    machine.run(f"sed s/@MAC@/{GUEST_MAC}/ {definition} > /run/counter.cfg")
    machine.run("xl create /run/counter.cfg && xl list counter", timeout=300)


def await_drbd(machine: Machine, what: str, value: str, deadline: float = 300) -> None:
    """Until `drbdadm WHAT` says VALUE: cstate, dstate or role, as drbdadm(8) names them."""
    wait_until(
        f"{machine.name}: drbdadm {what} = {value}",
        lambda: machine.run(f"drbdadm {what} counter").strip() == value,
        deadline,
    )


def await_heartbeat(machine: Machine, question: str, answer: str, deadline: float = 300) -> None:
    """Until `cl_status QUESTION` says ANSWER. It blocks at times, so each try is limited."""
    wait_until(
        f"{machine.name}: cl_status {question} = {answer}",
        lambda: answer in machine.control.try_run(f"timeout 10 cl_status {question}").out.split(),
        deadline,
    )


def write(machine: Machine, path: str, text: str, mode: str) -> None:
    """A file in the machine, never readable by more than MODE, not even for a moment."""
    machine.run(f"umask 077; cat > {path} <<'END-OF-FILE'\n{text}END-OF-FILE\nchmod {mode} {path}")
