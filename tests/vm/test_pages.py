# SPDX-License-Identifier: MIT
"""The pages of docs/, typed as they stand."""

from tests.vm.incidents.arrivals import FILES, MAKE, PLACE
from tests.vm.incidents.roster import FILLS, WEB, await_guests
from tests.vm.incidents.sticks import plug_in_a_blank_one
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pages import commands, typing
from tests.vm.story import TAKEOVER, Story
from tests.vm.wait import wait_until

USB = "$(lsblk --noheadings --paths -o NAME,TRAN | awk '$2 == \"usb\" {print $1}')"
OVF = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
 <References><File ovf:id="file1" ovf:href="web-disk1.vmdk"/></References>
 <DiskSection><Info/><Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="201326592"/>
 </DiskSection>
 <VirtualSystem ovf:id="web"><Info/><Name>web</Name>
  <VirtualHardwareSection><Info/>
   <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>
    <rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
   <Item><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>
    <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
    <rasd:VirtualQuantity>128</rasd:VirtualQuantity></Item>
   <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>10</rasd:ResourceType></Item>
   <Item><rasd:InstanceID>4</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType>
    <rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource></Item>
  </VirtualHardwareSection>
 </VirtualSystem>
</Envelope>
"""


def export_a_machine(machine: Machine) -> None:
    """As VirtualBox does: web.ova is on MACHINE's stick, with a packed kernel, as Debian has it."""
    disk = f"{PLACE}/web.raw"
    steps = (
        f"mkdir -p {PLACE} /run/esp /run/files && cp -r {FILES}/. /run/files/",
        "mount -o ro PARTLABEL=shoestring-esp /run/esp",
        "cp /run/esp/slot-a/vmlinuz /run/files/vmlinux && umount /run/esp",
        f"truncate -s 192M {disk} && GUEST_FILES=/run/files {MAKE} {disk} {WEB}/24 10.0.2.2",
        f"cd {PLACE} && qemu-img convert -f raw -O vmdk -o subformat=streamOptimized web.raw"
        " web-disk1.vmdk",
        f"cd {PLACE} && cat >web.ovf <<'END'\n{OVF}END\n"
        "for part in web.ovf web-disk1.vmdk; do"
        ' echo "SHA256($part)= $(sha256sum <$part | cut -d " " -f 1)"; done >web.mf',
        f"mkdir -p /run/usb && mount {USB} /run/usb",
        f"cd {PLACE} && tar -cf /run/usb/web.ova web.ovf web.mf web-disk1.vmdk",
        f"umount /run/usb && rm -r {PLACE}",
    )
    for step in steps:
        machine.run(step, timeout=TAKEOVER)


def await_another_minute(machine: Machine) -> None:
    now = machine.run("date +%H%M")
    wait_until("another minute", lambda: machine.run("date +%H%M") != now, 120, 2)


def read(page: str, **machines: Machine) -> str:
    """Types all of PAGE at the MACHINES that it names; what they said."""
    said = []
    for typed in commands(page):
        machine = machines[typed.at]
        answer = "yes" if typed.agrees else ""
        if "guest backup" in typed.words:
            # A backup is named by its minute, and a person reads for longer.
            await_another_minute(machine)
        said.append(f"{machine.name}# {typed.words}")
        said.append(machine.run(typing(typed.words, answer), timeout=FILLS))
    return "\n".join(said)


def test_the_pages_do_what_they_say(lab: Lab) -> None:
    """A machine comes as an OVA, is backed up and restored beside itself, and the other machine is
    emptied and serves again.
    """
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        story.beacons.set_apart(WEB)
        plug_in_a_blank_one(a)
        export_a_machine(a)
        print(said := read("bring-a-virtual-machine", a=a))
        assert "web comes to a and b, from web.ova (ova), and starts on a." in " ".join(
            said.split()
        )
        story.await_beacons(20, of=WEB)
        await_guests(b, counter="a", web="a")

        plug_in_a_blank_one(b)
        print(said := read("back-up-and-restore", b=b))
        words = " ".join(said.split())
        assert "with what changed since web-" in words and "every sum is right" in words
        assert "web-old is on both machines, and off" in words
        await_guests(a, **{"counter": "a", "web": "a", "web-old": ""})

        print(read("maintenance", a=a))
        await_guests(b, **{"counter": "b", "web": "b", "web-old": ""})
        story.await_beacons(20, of=WEB)
        story.await_numbers(20)
        story.await_protected()
        story.audit(may_freeze=True)
