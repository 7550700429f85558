# SPDX-License-Identifier: MIT
"""Images and backups come from another computer, and go there. For HTTP and NFS that is the other
machine here: it serves them with what its image has by chance, Python and the kernel's NFS.

On the crossover: the gateway of the emulated LAN hears every frame there (QEMU's user network takes
no notice of whom one is for), and refuses each TCP connection that it may not make.
"""

from functools import partial
from pathlib import Path

import pytest

from tests.vm.cables import FILES
from tests.vm.incidents.arrivals import PLACE, begin_to_bring, bring, fate, make_image
from tests.vm.incidents.roster import FILLS, WEB, await_nothing_left, guests, left_behind, remove
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pages import answering
from tests.vm.ssh_server import USER, SshServer
from tests.vm.story import BOOT, TAKEOVER, Story
from tests.vm.wait import wait_until

# As the set-up proposes them where no other network is known, for `a` and `b`.
CROSSOVER = ("172.31.255.253", "172.31.255.254")
SERVER = f"http://{CROSSOVER[1]}:8000"
SERVE = (
    f"systemd-run --unit=serve --property=WorkingDirectory={PLACE}"
    f" -- python3 -m http.server --bind {CROSSOVER[1]} 8000"
)
# What mountd tells the kernel's NFS server elsewhere: who may have which folder, as the only one
# (fsid=0). nfsd(7): a name for the address, the folder by its handle, and what holds for it; 9218
# is without a check of subtrees, from any port, with that handle.
EXPORT = f"""
set -e
mkdir -p {PLACE}
modprobe nfsd
mount -t nfsd nfsd /proc/fs/nfsd
echo '-3 +4 +4.1' >/proc/fs/nfsd/versions
echo 10 >/proc/fs/nfsd/nfsv4leasetime
echo 10 >/proc/fs/nfsd/nfsv4gracetime
echo 'tcp 2049' >/proc/fs/nfsd/portlist
echo 2 >/proc/fs/nfsd/threads
echo 'nfsd {CROSSOVER[1]} 2147483647 pair' >/proc/net/rpc/auth.unix.ip/channel
printf '%s\\n' 'pair 1 \\x00000000 2147483647 {PLACE}' >/proc/net/rpc/nfsd.fh/channel
echo 'pair {PLACE} 2147483647 9218 65534 65534 0' >/proc/net/rpc/nfsd.export/channel
"""
NO_EXPORT = "echo 0 >/proc/fs/nfsd/threads; umount /proc/fs/nfsd"
SHARE = f"nfs://{CROSSOVER[0]}/"


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def serve(machine: Machine) -> None:
    machine.run(SERVE)
    wait_until("its server", lambda: f"{CROSSOVER[1]}:8000" in listening(machine), TAKEOVER, 1)


def listening(machine: Machine) -> list[str]:
    """Where programs and the kernel of MACHINE listen."""
    rows = machine.run("ss --no-header --listening --tcp --udp --numeric").splitlines()
    return sorted({row.split()[4] for row in rows})


def is_fetching(machine: Machine) -> bool:
    return "fetched_passing" in machine.run("lvs --noheadings --options lv_name")


def begin_to_fetch(machine: Machine, command: str) -> None:
    begin_to_bring(machine, command)
    wait_until(f"{machine.name} to fetch", partial(is_fetching, machine), TAKEOVER, 1)


def test_a_guest_comes_over_http(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        raw, image = make_image(b, "web", WEB), f"{PLACE}/web.qcow2"
        b.run(f"qemu-img convert -c -O qcow2 {raw} {image} && rm {raw}", timeout=FILLS)
        known = b.run(f"sha256sum {image}").split()[0]
        serve(b)
        story.beacons.set_apart(WEB)
        for name, more, why in (
            ("none.qcow2", "", f"{CROSSOVER[1]} has nothing of that name (HTTP 404)."),
            ("web.qcow2", f"--sha256 {'0' * 64}", f"its sum is {known}"),
        ):
            refused = a.control.try_run(f"{bring(f'{SERVER}/{name}', WEB, more)} 2>&1", FILLS)
            assert refused.rc and why in refused.out, refused.out
            assert left_behind(a, "counter") == []

        image = f"{SERVER}/web.qcow2"
        print(a.run(bring(image, WEB, f"--sha256 {known}"), timeout=FILLS))
        for machine in (a, b):
            assert left_behind(machine, "counter", "web") == []
            assert guests(machine) == {"counter": ["a"], "web": ["a"]}
        story.await_beacons(20, of=WEB)
        story.await_protected()
        b.run("systemctl stop serve")
        story.audit()


def test_a_server_that_dies_in_the_middle_leaves_nothing(story: Story) -> None:
    """Nor does a machine that dies as it fetches, once it is back."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        b.run(f"mkdir -p {PLACE} && truncate -s 1G {PLACE}/big.raw")
        serve(b)
        command = bring(f"{SERVER}/big.raw", WEB)
        begin_to_fetch(a, command)
        b.run("systemctl stop serve")
        wait_until("it to end", lambda: "failed" in fate(a), TAKEOVER, 2)
        said = a.run("journalctl --unit=bring --output=cat --no-pager")
        assert "big.raw did not come whole" in said and "Nothing was changed" in said, said
        await_nothing_left(story, "counter")
        a.run("systemctl reset-failed bring")

        serve(b)
        begin_to_fetch(a, command)
        a.power_cut(seed=91)
        wait_until("b to have taken over", lambda: guests(b) == {"counter": ["b"]}, BOOT, 2)
        story.return_of(a)
        await_nothing_left(story, "counter")
        b.run("systemctl stop serve")
        story.audit(may_freeze=True)


def test_backups_go_to_a_share_and_come_from_there(story: Story) -> None:
    """From the standby, over NFS. What was acknowledged before is in it; nothing stays mounted, and
    nothing listens that did not.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = listening(b)
        nobody = b.control.try_run(f"shoestring guest backup counter --to {SHARE} 2>&1", TAKEOVER)
        assert nobody.rc and "nothing answers at its port 2049" in nobody.out, nobody.out
        a.run(EXPORT, timeout=TAKEOVER)

        back_up = f"shoestring guest backup counter --to {SHARE}"
        full = b.answer(back_up, FILLS)
        assert full["base"] is None and full["file"].startswith(SHARE)
        story.await_numbers(20)
        changed = b.answer(back_up, FILLS)
        assert changed["base"] == full["file"].rpartition("/")[2]
        said = b.run(f"shoestring backup verify {changed['file']}", timeout=FILLS)
        assert "every sum is right" in said
        missing = b.control.try_run(f"shoestring backup verify {SHARE}none 2>&1", TAKEOVER)
        assert missing.rc and "none" in missing.out, missing.out
        absent = b.control.try_run(f"shoestring backup verify {SHARE}none/it 2>&1", TAKEOVER)
        assert absent.rc and f"{SHARE}none is not there." in absent.out, absent.out

        restore = f"shoestring guest restore {changed['file']} --name again --yes"
        assert "again is on both machines, and off" in b.run(restore, timeout=FILLS)
        assert "elsewhere" not in b.run("cat /proc/mounts")
        b.run(remove("again"), timeout=TAKEOVER)
        await_nothing_left(story, "counter")
        assert listening(b) == before  # its mirror has a port of its own as long as it is there
        a.run(f"{NO_EXPORT}; rm -r {PLACE}", timeout=TAKEOVER)
        story.await_protected()
        story.audit()


def test_a_guest_and_its_backups_are_kept_over_ssh(story: Story, tmp_path: Path) -> None:
    """By whoever has the password, and on the computer that was meant."""
    b = story.pair.b
    assert story.lab.cables is not None
    (tmp_path / "kept").mkdir()
    place = f"ssh://{USER}@{FILES}/kept"
    back_up = f"shoestring guest backup counter --to {place}"
    with story, SshServer(tmp_path, story.lab.cables.ssh_port) as server:
        story.await_numbers(20)
        before = listening(b)
        unseen = (f"The password of {USER}", server.password, True)
        known = f"--host-key {server.fingerprint}"
        for command, why in (
            (
                answering(back_up, ("Is it the same?", "no", False)),
                f"{FILES} shows the key {server.fingerprint}",
            ),
            (f"{back_up} --host-key SHA256:x", "is not the computer that was meant"),
            (
                answering(f"{back_up} {known}", (unseen[0], "wrong", True)),
                "most likely the password is wrong",
            ),
        ):
            refused = b.control.try_run(f"{{ {command}\n}} 2>&1", FILLS)
            said = " ".join(refused.out.split())
            print(said)
            assert refused.rc and why in said, refused
            assert not [*(tmp_path / "kept").iterdir()]

        asked = ("Is it the same?", "yes", False), unseen
        said = b.run(answering(f"{back_up} --json", *asked), timeout=FILLS)
        assert '"base": null' in said
        print(said)
        [file] = (tmp_path / "kept").iterdir()
        assert server.password not in said + b.run("cat /proc/[0-9]*/cmdline; journalctl --boot")
        verify = f"shoestring backup verify {place}/{file.name} {known}"
        assert "every sum is right" in " ".join(
            b.run(answering(verify, unseen), timeout=FILLS).split()
        )
        restore = f"shoestring guest restore {place}/{file.name} --name again --yes {known}"
        said = " ".join(b.run(answering(restore, unseen), timeout=FILLS).split())
        assert "again is on both machines, and off" in said
        assert "elsewhere" not in b.run("cat /proc/mounts")
        assert not b.run("ls /run/shoestring | grep known-host; true")
        b.run(remove("again"), timeout=TAKEOVER)
        await_nothing_left(story, "counter")
        assert listening(b) == before
        story.await_protected()
        story.audit()
