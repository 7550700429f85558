# SPDX-License-Identifier: MIT
"""The real hands: what they understand of the programs they run, and what they never say."""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from firstboot import appliance, files
from firstboot.appliance import Appliance, hidden, parse_interfaces, parse_signature
from firstboot.hands import Interface, Signature
from firstboot.rendering import File
from haagent.errors import OperatorError, ParseError, ToolError
from haagent.storage import lvm

DATA = Path(__file__).parents[1] / "data/answers"
ARGV = ("ip",)
PV = "CcKxoH-s0fg-KJuV-4Nqd-xAk8-r08a-2ZvLYk"
SECRET = "d7f57a68a8ec1f19d3a27b572c29085952e441cee2b8b08f"


class Programs:
    """Answers for the programs by the beginning of their command line; notes what was run."""

    def __init__(self, **answers: str | ToolError | Callable[[], str]) -> None:
        self.answers = {name.replace("_", " "): answer for name, answer in answers.items()}
        self.ran: list[str] = []

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        line = " ".join(argv)
        self.ran.append(line)
        for beginning, answer in self.answers.items():
            if line.startswith(beginning):
                if isinstance(answer, ToolError):
                    raise answer
                return answer if isinstance(answer, str) else answer()
        return ""


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made to last, instead of doing it: there are no such disks here."""
    found: list[str] = []
    monkeypatch.setattr(files, "sync", lambda path: found.append(str(path)))
    return found


def test_reads_the_interfaces_of_a_node_without_a_cable() -> None:
    """What iproute2 printed after systemd-networkd 257 had carried out the golden files."""
    found = parse_interfaces(ARGV, (DATA / "ip-address.json").read_text())
    lan = (IPv4Interface("10.0.2.11/24"),), (IPv4Address("10.0.2.255"),)
    assert found["lan"] == Interface("52:54:00:00:0a:02", "", *lan)
    assert found["lan0"] == Interface("52:54:00:00:0a:02", "lan", (), ())
    crossover = (IPv4Interface("192.168.77.1/24"),), (IPv4Address("192.168.77.255"),)
    assert found["crossover"] == Interface("52:54:00:00:0a:01", "", *crossover)


@pytest.mark.parametrize(
    "text", ["", "{}x", '[{"mtu": 1}]', "[1]", '[{"ifname":"a","addr_info":1}]']
)
def test_does_not_guess_at_interfaces(text: str) -> None:
    with pytest.raises(ParseError):
        parse_interfaces(ARGV, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Signature((), "")),
        (f"LVM2_member {PV}\n", Signature(("LVM2_member",), PV)),
        ("gpt \ngpt \nPMBR \n", Signature(("gpt", "PMBR"), "")),
        (f"LVM2_member {PV}\ndos \n", Signature(("LVM2_member", "dos"), "")),
        (f"ext4 {PV}\n", Signature(("ext4",), "")),
        ("LVM2_member \n", Signature(("LVM2_member",), "")),
    ],
)
def test_tells_a_physical_volume_from_everything_else(text: str, expected: Signature) -> None:
    assert parse_signature(text) == expected


def test_hides_whatever_could_be_a_key() -> None:
    told = f"Command 'drbdsetup-84 connect --shared-secret={SECRET} --timeout=30' terminated"
    assert hidden(told) == told.replace(SECRET, "(hidden)")
    assert hidden(SECRET.upper()) == "(hidden)"
    assert hidden("0000000000000004:0000000000000000") == "0000000000000004:0000000000000000"


def test_a_mirror_that_does_not_start_does_not_tell_the_secret() -> None:
    """drbdadm prints the command that failed, word for word, and the secret is one of them."""
    said = f"Command 'drbdsetup-84 connect --shared-secret={SECRET}' terminated with exit code 10"
    programs = Programs(
        drbdsetup_events2="exists -\n",
        drbdadm_up=ToolError(("drbdadm", "up", "counter"), 10, said),
    )
    with pytest.raises(ToolError) as caught:
        Appliance(programs).start_mirror("counter")
    chain = f"{caught.value} {caught.value.stderr} {caught.value.__cause__}"
    assert "exit code 10" in chain and SECRET not in chain
    assert programs.ran[0] == "lvchange --activate y shoestring/counter"


def test_udev_does_what_it_has_to_do_before_a_card_is_renamed() -> None:
    programs = Programs()
    hands = Appliance(programs)
    hands.settle_cards()
    hands.rename_card("enp0s7")
    assert [line.split(" --timeout")[0] for line in programs.ran] == [
        "udevadm control --reload",
        "udevadm settle",
        "ip link set dev enp0s7 down",
        "udevadm trigger --action=add --settle /sys/class/net/enp0s7",
    ]


def test_new_metadata_is_read_back(synced: list[str]) -> None:
    fresh = "0000000000000004:0000000000000000:0000000000000000:0000000000000000:0:0:0:0:0:0:0\n"
    programs = Programs()
    programs.answers = {"drbdadm get-gi": fresh}
    Appliance(programs).make_metadata("counter")
    assert programs.ran == ["drbdadm create-md counter", "drbdadm get-gi counter"]
    assert synced == ["/dev/shoestring/counter"]

    used = fresh.replace("0000000000000004", "33A1EDA95ECD9F2C")
    programs.answers = {"drbdadm get-gi": used}
    with pytest.raises(ToolError, match="the metadata reads 33A1EDA95ECD9F2C"):
        Appliance(programs).make_metadata("counter")


BLANK = "0000000000000004:0000000000000000:0000000000000000:0000000000000000:0:0:0:0:0:0:0\n"
MINOR = "drbdadm sh-minor"


class Metadata(Programs):
    """drbdmeta of drbd-utils 9.22, on metadata that read FOUND. WRITES: whether it does."""

    def __init__(self, found: str = BLANK, *, writes: bool = True) -> None:
        super().__init__()
        self.answers = {"drbdadm get-gi": found, MINOR: "20\n"}
        self.writes = writes

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        said = super().__call__(argv, timeout=timeout)
        if argv[0] == "drbdmeta" and self.writes:
            self.answers["drbdadm get-gi"] = f"{argv[-1]}\n"
        return said


def test_metadata_that_were_never_used_say_that_nobody_else_has_them(synced: list[str]) -> None:
    programs = Metadata()
    Appliance(programs).declare_only("counter")
    (line,) = (line for line in programs.ran if line.startswith("drbdmeta"))
    command, generation = line.rsplit(" ", 1)
    assert command == "drbdmeta --force 20 v08 /dev/shoestring/counter internal set-gi"
    current, *rest = generation.split(":")
    assert int(current, 16) >> 63 == 1 and int(current, 16) % 2 == 0  # real, and not Primary's
    assert rest == ["0" * 16] * 3 + list("1100010")
    assert synced == ["/dev/shoestring/counter"]


def test_two_volumes_are_not_of_one_generation(synced: list[str]) -> None:
    first, second = Metadata(), Metadata()
    Appliance(first).declare_only("counter")
    Appliance(second).declare_only("counter")
    assert first.ran != second.ran


@pytest.mark.parametrize(
    "found",
    [
        BLANK.replace("4:", "6:", 1),
        BLANK.replace(":0:0:0:0:0:0:0", ":1:0:0:0:0:0:0"),
        BLANK.replace("4:0000", "4:000A", 1),
    ],
)
def test_metadata_that_were_used_are_left_alone(found: str) -> None:
    programs = Metadata(found)
    with pytest.raises(ToolError, match="not tried"):
        Appliance(programs).declare_only("counter")
    assert not any(line.startswith("drbdmeta") for line in programs.ran)


def test_what_is_declared_is_read_back() -> None:
    with pytest.raises(ToolError, match="the metadata reads 0000000000000004"):
        Appliance(Metadata(writes=False)).declare_only("counter")


PVS = '{"report":[{"pv":[{"pv_name":"/dev/sdb","pv_uuid":"%s","vg_name":"%s"}]}]}'


def test_clearing_our_disk_takes_our_group_off_it_first(synced: list[str]) -> None:
    programs = Programs(pvs=PVS % (PV, "shoestring"))
    Appliance(programs).clear_disk("sdb")
    assert [line for line in programs.ran if not line.startswith(("pvs", "udevadm"))] == [
        "vgremove --force --yes shoestring",
        "wipefs --all --quiet /dev/sdb",
        "wipefs --noheadings --output TYPE /dev/sdb",
    ]
    assert synced == ["/dev/sdb"]


@pytest.mark.parametrize(
    "pvs",
    [
        PVS % (PV, ""),
        PVS % (PV, "[unknown]"),  # the group's own text is torn
        PVS.replace("sdb", "sdc") % (PV, "shoestring"),  # another disk's
    ],
)
def test_clearing_a_disk_removes_no_group_that_is_not_on_it(pvs: str, synced: list[str]) -> None:
    programs = Programs(pvs=pvs)
    Appliance(programs).clear_disk("sdb")
    assert not any(line.startswith("vgremove") for line in programs.ran)


@pytest.mark.parametrize(
    ("device", "is_on_it"), [("sdb", True), ("sdb3", True), ("sdc", False), ("sdbc1", False)]
)
def test_somebody_elses_group_is_put_to_sleep_and_nothing_more(
    device: str, is_on_it: bool, synced: list[str]
) -> None:
    """It was activated when the disk appeared, and would keep it busy; its disk is to be erased."""
    programs = Programs(pvs=PVS.replace("/dev/sdb", f"/dev/{device}") % (PV, "ubuntu-vg"))
    Appliance(programs).clear_disk("sdb")
    asleep = "vgchange --activate n ubuntu-vg"
    assert (asleep in programs.ran) == is_on_it
    assert not any(line.startswith("vgremove") for line in programs.ran)
    if is_on_it:
        assert programs.ran.index(asleep) < programs.ran.index("wipefs --all --quiet /dev/sdb")


@pytest.mark.parametrize(
    ("disk", "device", "group", "expected"),
    [
        ("sdb", "sdb", "shoestring", True),
        ("sdb", "sdb2", "shoestring", True),
        ("nvme0n1", "nvme0n1p2", "shoestring", True),
        ("nvme0n1", "nvme0n11", "shoestring", False),
        ("sdb", "sdb", "other", False),
    ],
)
def test_a_disk_with_a_pairs_guests_is_known_for_one(
    disk: str, device: str, group: str, expected: bool
) -> None:
    programs = Programs(
        pvs=PVS.replace("/dev/sdb", f"/dev/{device}") % (PV, group), wipefs=f"LVM2_member {PV}\n"
    )
    found = Appliance(programs).signature(disk)
    assert found == Signature(("LVM2_member",), PV, expected)


def test_the_time_zone_is_a_link_that_outlasts_the_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appliance, "ZONE", tmp_path / "etc/localtime")
    hands = Appliance(Programs())
    assert hands.time_zone() == ""
    hands.set_time_zone("Europe/Berlin")
    assert hands.time_zone() == "Europe/Berlin"
    hands.set_time_zone("UTC")
    assert hands.time_zone() == "UTC"
    (tmp_path / "etc/localtime").unlink()
    (tmp_path / "etc/localtime").symlink_to("/somewhere/else")
    assert hands.time_zone() == ""


def test_a_clock_that_does_not_run_is_not_started() -> None:
    programs = Programs()
    Appliance(programs).restart_clock()
    assert programs.ran == ["systemctl try-restart systemd-timesyncd.service"]


def test_no_time_server_is_known_where_nobody_answers() -> None:
    failing = Programs(networkctl=ToolError(("networkctl",), 1, "Failed to connect to bus"))
    assert Appliance(failing).time_servers() == ()


def test_a_disk_that_cannot_be_cleared_is_told(synced: list[str]) -> None:
    programs = Programs(pvs=PVS % (PV, ""))
    programs.answers["wipefs --noheadings"] = "LVM2_member\n"
    with pytest.raises(ToolError, match="/dev/sdb still holds LVM2_member"):
        Appliance(programs).clear_disk("sdb")


def test_a_disk_that_does_not_keep_its_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="does not keep what is written to it: No such file"):
        Appliance(Programs()).fill(f"{tmp_path}/gone", None, IPv4Address("10.0.2.2"))


def test_the_guest_is_made_on_a_blank_device_and_lasts(synced: list[str]) -> None:
    make = "/usr/share/shoestring/guest/make-disk"
    programs = Programs()
    gateway = IPv4Address("10.0.2.2")
    Appliance(programs).fill("/dev/drbd0", IPv4Interface("10.0.2.50/24"), gateway)
    assert programs.ran[0] == "wipefs --all --quiet /dev/drbd0"
    assert programs.ran[-1] == f"{make} /dev/drbd0 10.0.2.50/24 10.0.2.2"
    assert synced == ["/dev/drbd0", "/dev/drbd0"]

    Appliance(programs).fill("/dev/drbd0", None, gateway)
    assert programs.ran[-1] == f"{make} /dev/drbd0"


def test_files_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    hands = Appliance(Programs())
    file = File(f"{tmp_path}/etc/file", "text\n", 0o600)
    assert hands.read(file.path) is None
    hands.write(file)
    assert hands.read(file.path) == file


def test_a_file_that_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    hands = Appliance(Programs())
    with pytest.raises(OperatorError, match="cannot be read: Is a directory"):
        hands.read(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match="cannot be written: File exists"):
        hands.write(File(f"{tmp_path}/file/file", ""))
    (tmp_path / "file").write_bytes(b"\xff")
    with pytest.raises(OperatorError, match="cannot be read: it is not text"):
        hands.read(f"{tmp_path}/file")


def test_a_volume_begins_blank_so_that_nobody_is_asked_about_it(
    synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Path("/dev/shoestring/web")
    monkeypatch.setattr(lvm, "ensure_volume", lambda *_, **__: device)
    programs = Programs()
    Appliance(programs).make_volume("web", 1 << 30)
    assert programs.ran == [
        f"wipefs --all --quiet {device}",
        f"wipefs --noheadings --output TYPE {device}",
        f"fallocate --zero-range --offset 0 --length 1048576 {device}",
    ]
    assert synced == [str(device)] * 2
