# SPDX-License-Identifier: MIT
"""The settings of a node: what is read, what is refused and where, and what a person is shown."""

import os
from dataclasses import asdict, replace
from ipaddress import IPv4Address
from pathlib import Path

import jinja2
import pytest

from firstboot import rendering
from haagent import config, settings
from haagent.config import Config, GuestConfig, PathConfig, load, read_key, time_scale
from haagent.core.model import Pair, Policy
from haagent.core.timing import Timing
from haagent.guests.disks import Slice
from haagent.settings import ConfigError

DATA = Path(__file__).parent.parent / "data"
TEMPLATES = Path(config.__file__).parent / "templates"
DIGITS = "0123456789abcdef" * 4

EXPECTED = Config(
    pair=Pair(me=0, names=("anna", "berta"), guests={"counter": 0}),
    crossover=PathConfig(
        "crossover",
        IPv4Address("192.168.77.1"),
        IPv4Address("192.168.77.2"),
        "52:54:00:00:01:02",
    ),
    lan=PathConfig("lan", IPv4Address("10.0.2.11"), IPv4Address("10.0.2.12"), "52:54:00:00:00:02"),
    bridge="lan",
    referees=(IPv4Address("10.0.2.2"),),
    guests={
        "counter": GuestConfig(
            0, "00:16:3e:00:00:01", IPv4Address("10.0.2.20"), 192, 1, (("xvda", "/dev/drbd0"),)
        )
    },
    key_file=Path("/state/etc/shoestring/pair.key"),
)


class Machine:
    """The three files that settings come from."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "pair.yaml"
        self.cmdline = folder / "cmdline"
        self.key = folder / "pair.key"
        self.cmdline.write_text("quiet root=/dev/sda3\n")
        self.key.touch(0o600)
        self.key.write_text(DIGITS + "\n")
        self.write((DATA / "pair.yaml").read_text())

    def write(self, text: str) -> None:
        self.file.write_text(f"{text.rstrip()}\nkey-file: {self.key}\n")

    def load(self) -> Config:
        return load(self.file, self.cmdline)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_devices_of_a_guest_have_numbers() -> None:
    disks = (("xvda", "/dev/drbd0"), ("xvdb", "/dev/drbd12"))
    assert replace(EXPECTED.guests["counter"], disks=disks).minors == (0, 12)


def test_the_disks_of_a_guest_on_one_device() -> None:
    one = EXPECTED.guests["counter"]
    assert one.cut(512) == (Slice("xvda", 0, 512),)
    three = replace(one, slices=(1, 2)).cut(4 << 20)
    assert [(part.disk, part.size >> 20) for part in three] == [
        ("xvda", 1),
        ("xvdb", 2),
        ("xvdc", 1),
    ]


def test_the_example_is_read_as_it_is_meant(machine: Machine) -> None:
    assert machine.load() == replace(EXPECTED, key_file=machine.key)


def test_what_may_be_left_out_has_its_default(machine: Machine) -> None:
    text = (DATA / "pair.yaml").read_text()
    for line in (
        "policy: automatic\n",
        "  interface: crossover\n",
        "  interface: lan\n",
        "bridge: lan\n",
        "referees: [10.0.2.2]\n",
        "    vcpus: 1\n",
        "    address: 10.0.2.20\n",
    ):
        assert line in text
        text = text.replace(line, "")
    machine.write(text)
    guest = replace(EXPECTED.guests["counter"], address=None)
    assert machine.load() == replace(
        EXPECTED, key_file=machine.key, referees=(), guests={"counter": guest}
    )


@pytest.mark.parametrize(("text", "is_vacant"), [("true", True), ("false", False)])
def test_that_there_is_no_second_machine(machine: Machine, text: str, is_vacant: bool) -> None:
    machine.write((DATA / "pair.yaml").read_text() + f"vacant: {text}\n")
    found = machine.load()
    assert found.pair.is_vacant is is_vacant
    assert f"\nvacant: {text}\n" in config.show(found)
    machine.file.write_text(rendering.settings(found))
    assert machine.load() == found
    assert ("vacant" in machine.file.read_text()) is is_vacant


NEEDED = [
    "me: 0",
    "names: [anna, berta]",
    "  address: 192.168.77.1",
    "  peer-address: 10.0.2.12",
    "  peer-mac: 52:54:00:00:01:02",
    "    first-node: 0",
    "    mac: 00:16:3e:00:00:01",
    "    memory: 192",
    "    disks:\n      xvda: /dev/drbd0",
]


@pytest.mark.parametrize("line", NEEDED)
def test_what_may_not_be_left_out_is_named(machine: Machine, line: str) -> None:
    text = (DATA / "pair.yaml").read_text()
    assert f"{line}\n" in text
    machine.write(text.replace(f"{line}\n", ""))
    name = line.strip().partition(":")[0]
    with pytest.raises(ConfigError, match=rf"pair.yaml:\d+: .*{name} is missing"):
        machine.load()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("me: 0", "me: 2", "3: me: '2' is not a whole number from 0 to 1"),
        ("me: 0", "me: yes", "3: me: 'yes'"),
        ("me: 0", "me: [0]", "3: me: it must be a single value"),
        ("me: 0", "me: 0\nme: 1", "4: me is there twice"),
        ("me: 0", "me: 0\nspeed: 3", "4: there is no setting speed"),
        ("me: 0", "me: 0\nvacant: 1", "4: vacant: '1' is neither true nor false"),
        ("me: 0", "me: 0\ncrossover.address: 1.2.3.4", "4: a key must be a word without a dot"),
        ("me: 0", "me: 0\n? [a]\n: b", "4: a key must be a word"),
        ("[anna, berta]", "[anna]", "4: names: it has 1 entries"),
        ("[anna, berta]", "anna", "4: names: it must be a list"),
        ("[anna, berta]", "[anna, anna]", "4: host anna is used twice"),
        ("[anna, berta]", "[anna, 'b;reboot']", "4: names: 'b;reboot' is not a host name"),
        ("policy: automatic", "policy: maybe", "5: policy: 'maybe' is not one of"),
        ("  interface: crossover", "  interface: a/b", "7: crossover.interface: 'a/b'"),
        ("  interface: crossover", "  speed: 7", "7: there is no setting crossover.speed"),
        ("192.168.77.1", "192.168.77", "8: crossover.address: '192.168.77' is not an IPv4"),
        ("192.168.77.2", "192.168.77.1", "9: 192.168.77.1 is used twice"),
        ("52:54:00:00:01:02", "52:54:00:00:01", "10: crossover.peer-mac"),
        ("52:54:00:00:01:02", "53:54:00:00:01:02", "10: crossover.peer-mac"),
        ("  interface: lan", "  interface: crossover", "12: interface crossover is used twice"),
        ("[10.0.2.2]", "[10.0.2.2, 10.0.2.2]", "17: 10.0.2.2 is used twice"),
        ("[10.0.2.2]", "[10.0.2.12]", "17: 10.0.2.12 is used twice"),
        ("[10.0.2.2]", "[10.0.2.20]", "17: 10.0.2.20 is used twice"),
        ("[10.0.2.2]", "[1.0.0.1, 1.0.0.2, 1.0.0.3, 1.0.0.4]", "17: referees: it has 4"),
        ("  counter:", "  Counter one:", "19: 'Counter one' is not a guest's name"),
        ("memory: 192", "memory: 192M", "23: guests.counter.memory: '192M'"),
        ("vcpus: 1", "vcpus: 0", "24: guests.counter.vcpus: '0'"),
        ("      xvda: /dev/drbd0", "      xvda: /dev/sda", "26: guests.counter.disks: '/dev/sda'"),
        ("      xvda: /dev/drbd0", "      - xvda", "26: guests.counter.disks: it must be"),
        (
            "      xvda: /dev/drbd0",
            "      xvda: /dev/drbd0\n      xvdb: /dev/drbd0",
            "25: /dev/drbd0 is used twice",
        ),
        *(
            ("      xvda: /dev/drbd0", f"      xvda: /dev/drbd0{more}", complaint)
            for more, complaint in (
                ("\n    slices: [8, x]", "27: guests.counter.slices: 'x' is not a whole number"),
                ("\n    slices: []", "27: guests.counter.slices: it has 0 entries"),
                (f"\n    slices: {[8] * 8}", "27: guests.counter.slices: it has 8 entries"),
                ("\n    slices: [8, 8, 8]\n    type: hvm", "27: guest counter has 4 disks"),
                ("\n      xvdb: /dev/drbd1\n    slices: [8]", "28: guest counter has 2 disks"),
            )
        ),
        ("me: 0", "me: 0\n\tx: 1", "4: it is not YAML"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(
    machine: Machine, old: str, new: str, complaint: str
) -> None:
    text = (DATA / "pair.yaml").read_text()
    assert text.count(old) >= 1
    machine.write(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        machine.load()
    assert f"{machine.file}:{complaint}" in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_not_there_is_one_sentence(machine: Machine) -> None:
    machine.file.unlink()
    with pytest.raises(ConfigError, match=r"pair\.yaml cannot be read: No such file"):
        machine.load()


def test_an_empty_file_is_refused(machine: Machine) -> None:
    machine.file.write_text("# nothing\n")
    with pytest.raises(ConfigError, match="the file is empty"):
        machine.load()


def test_a_file_of_another_kind_is_refused(machine: Machine) -> None:
    machine.file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not text"):
        machine.load()


@pytest.mark.parametrize(
    ("words", "scale"),
    [
        ("quiet", 1.0),
        ("shoestring.timescale=6 quiet", 6.0),
        ("shoestring.timescale=6 shoestring.timescale=2.5", 2.5),
        ("xshoestring.timescale=6", 1.0),
    ],
)
def test_the_time_scale_is_the_kernel_command_lines(
    machine: Machine, words: str, scale: float
) -> None:
    machine.cmdline.write_text(f"{words}\n")
    assert machine.load().pair.scale == scale
    assert machine.load().pair.timing == Timing().scaled(scale)


@pytest.mark.parametrize("value", ["0.5", "fast", "nan", "inf", "", "-6"])
def test_no_time_scale_below_the_real_figures(machine: Machine, value: str) -> None:
    machine.cmdline.write_text(f"shoestring.timescale={value}\n")
    with pytest.raises(ConfigError, match="timescale"):
        time_scale(machine.cmdline)


def test_the_key_is_read(machine: Machine) -> None:
    assert read_key(machine.key) == bytes.fromhex(DIGITS)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o700, 0o400, 0o666])
def test_a_key_that_others_could_read_is_refused(machine: Machine, mode: int) -> None:
    machine.key.chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}"):
        machine.load()


def test_a_key_of_somebody_else_is_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ConfigError, match=f"owner {owner}"):
        machine.load()


@pytest.mark.parametrize("content", [DIGITS[:-2], DIGITS[:-1] + "g", "", "é" * 64])
def test_a_key_that_is_none_is_refused_and_never_told(machine: Machine, content: str) -> None:
    machine.key.write_text(content)
    with pytest.raises(ConfigError, match="does not hold a key") as caught:
        machine.load()
    assert DIGITS[:8] not in f"{caught.value} {caught.value.hint}"


def test_a_link_is_no_key(machine: Machine, tmp_path: Path) -> None:
    machine.key.rename(tmp_path / "elsewhere")
    machine.key.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be read"):
        machine.load()


def test_every_setting_is_shown_with_its_help(machine: Machine) -> None:
    text = config.show(machine.load())
    for setting in settings.SETTINGS:
        name = setting.name.replace("NAME", "counter")
        assert f"{name}: " in text
        assert setting.help in text
        assert setting.name in settings.table()
    assert "guests.counter.disks: xvda: /dev/drbd0" in text
    assert "shoestring.timescale: 1" in text
    assert DIGITS not in text


def render(given: Config) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("pair.yaml.j2").render(
        me=given.pair.me,
        names=given.pair.names,
        policy=given.pair.policy,
        crossover=given.crossover,
        lan=given.lan,
        bridge=given.bridge,
        referees=given.referees,
        key_file=given.key_file,
        guests=given.guests,
    )


MANY = replace(
    EXPECTED,
    pair=Pair(
        1,
        ("a", "b"),
        {"counter": 0, "mail": 1, "shop": 0},
        Policy.WAIT,
        places={"mail": 7},
        pauses={"mail": 30.0},
    ),
    referees=(IPv4Address("10.0.2.2"), IPv4Address("10.0.2.3")),
    guests={
        **EXPECTED.guests,
        "mail": GuestConfig(
            1,
            "00:16:3e:00:00:02",
            None,
            4096,
            2,
            (("xvda", "/dev/drbd1"), ("xvdb", "/dev/drbd2")),
            place=7,
            pause=30,
        ),
        "shop": GuestConfig(
            0, "00:16:3e:00:00:03", None, 512, 1, (("xvda", "/dev/drbd3"),), slices=(64, 8)
        ),
    },
)


@pytest.mark.parametrize("given", [EXPECTED, MANY, replace(EXPECTED, referees=())])
def test_what_is_rendered_is_read_back(machine: Machine, given: Config) -> None:
    given = replace(given, key_file=machine.key)
    machine.file.write_text(render(given))
    assert machine.load() == given


def test_what_is_rendered_reads_like_the_example() -> None:
    assert render(EXPECTED) == (
        "# Written when this machine was set up. `haagent show-config` explains every setting.\n"
        'me: "0"\n'
        'names: ["anna", "berta"]\n'
        'policy: "automatic"\n'
        "crossover:\n"
        '  interface: "crossover"\n'
        '  address: "192.168.77.1"\n'
        '  peer-address: "192.168.77.2"\n'
        '  peer-mac: "52:54:00:00:01:02"\n'
        "lan:\n"
        '  interface: "lan"\n'
        '  address: "10.0.2.11"\n'
        '  peer-address: "10.0.2.12"\n'
        '  peer-mac: "52:54:00:00:00:02"\n'
        'bridge: "lan"\n'
        'referees: ["10.0.2.2"]\n'
        'key-file: "/state/etc/shoestring/pair.key"\n'
        "guests:\n"
        '  "counter":\n'
        '    first-node: "0"\n'
        '    mac: "00:16:3e:00:00:01"\n'
        '    address: "10.0.2.20"\n'
        '    memory: "192"\n'
        '    vcpus: "1"\n'
        "    disks:\n"
        '      "xvda": "/dev/drbd0"\n'
    )


@pytest.mark.parametrize("evil", ['x"\nme: 1', "x\nme: 1", "'x", "# x", "{{ me }}"])
def test_nothing_that_is_rendered_becomes_a_key(machine: Machine, evil: str) -> None:
    machine.file.write_text(render(replace(EXPECTED, bridge=evil, key_file=machine.key)))
    with pytest.raises(ConfigError, match="bridge: "):
        machine.load()


def test_attributes_and_keys_do_alike(machine: Machine) -> None:
    paths = asdict(EXPECTED.lan)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES))
    template = environment.get_template("pair.yaml.j2")
    assert "10.0.2.12" in template.render(
        me=0, names=["a", "b"], policy="automatic", crossover=paths, lan=paths, bridge="lan",
        referees=[], key_file="/x", guests={},
    )  # fmt: skip


def test_keys_of_replaced_machines_are_read_and_guarded(machine: Machine) -> None:
    keys = machine.key.with_name("replaced.key")
    machine.file.write_text(render(replace(EXPECTED, key_file=machine.key)))
    text = machine.file.read_text().replace("guests:", f'replaced-keys: "{keys}"\nguests:', 1)
    machine.file.write_text(text)
    with pytest.raises(ConfigError, match="cannot be read"):
        machine.load()
    keys.write_text("ab" * 32 + "\n" + "cd" * 32 + "\n")
    keys.chmod(0o600)
    assert machine.load().replaced_file == keys
    assert config.read_replaced_keys(keys, b"\xef" * 32) == (b"\xab" * 32, b"\xcd" * 32)
    # A replacement that was cut short has put the key of the living pair there.
    assert config.read_replaced_keys(keys, b"\xab" * 32) == (b"\xcd" * 32,)
    keys.chmod(0o640)
    with pytest.raises(ConfigError, match="others could read it"):
        machine.load()
    keys.chmod(0o600)
    keys.write_text("abcd\n")
    with pytest.raises(ConfigError, match="at least 64"):
        machine.load()


def test_a_mark_tells_pairs_apart_and_nothing_of_their_keys() -> None:
    marks = {config.mark_of(bytes([n]) * 32) for n in range(9)}
    assert len(marks) == 9
    assert all((bytes([n]) * 32).hex()[:8] not in "".join(marks) for n in range(9))
