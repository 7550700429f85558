# SPDX-License-Identifier: MIT
"""Copies of volumes, against a small LVM that keeps one group."""

import itertools
import json
from collections.abc import Callable, Sequence

import pytest

from haagent.errors import OperatorError, ParseError, ToolError
from haagent.storage.kept import MIB, Kept, Volume, name_of, needed, parse_free, parse_volumes

STAMP = "20260102-0304"
COPY = f"mail-before-{STAMP}"
SIZE = 512 * MIB


class Group:
    """What the programs of LVM talk to."""

    def __init__(self, free: int = 2048 * MIB) -> None:
        self.volumes = {"mail": {"size": SIZE, "origin": "", "tags": "", "invalid": ""}}
        self.free = free
        self.is_there = True
        self.dies_at = ""  # the program with which the power fails
        self.spoil: Callable[[dict[str, object]], object] = lambda volume: None
        self.done: list[str] = []

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        if argv[0] in ("lvs", "vgs"):
            return json.dumps({"report": [self.report(argv[0])]})
        self.done.append(argv[0])
        getattr(self, argv[0])(argv)
        if argv[0] == self.dies_at:
            raise ToolError(argv, None, "")
        return ""

    def report(self, program: str) -> dict[str, object]:
        if program == "vgs":
            return {"vg": [{"vg_free": str(self.free)}] if self.is_there else []}
        return {
            "lv": [
                {
                    "lv_name": name,
                    "lv_size": str(volume["size"]),
                    "lv_tags": volume["tags"],
                    "origin": volume["origin"],
                    "lv_active": "active",
                    "lv_snapshot_invalid": volume["invalid"],
                }
                for name, volume in self.volumes.items()
            ]
        }

    def lvcreate(self, argv: Sequence[str]) -> None:
        assert "--snapshot" in argv
        name, origin = argv[argv.index("--name") + 1], argv[-1].removeprefix("shoestring/")
        assert name not in self.volumes
        size = int(argv[argv.index("--size") + 1].removesuffix("b"))
        tags = ",".join(after for flag, after in itertools.pairwise(argv) if flag == "--addtag")
        made: dict[str, object] = {"size": size, "origin": origin, "tags": tags}
        made["invalid"] = ""
        self.spoil(made)
        self.volumes[name] = made
        self.free -= size

    def lvchange(self, argv: Sequence[str]) -> None:
        tags = self.volumes[argv[-1].removeprefix("shoestring/")]
        less = [
            tag for tag in str(tags["tags"]).split(",") if tag != argv[argv.index("--deltag") + 1]
        ]
        tags["tags"] = ",".join(less)

    def lvremove(self, argv: Sequence[str]) -> None:
        del self.volumes[argv[-1].removeprefix("shoestring/")]


def test_a_copy_has_room_for_the_whole_volume() -> None:
    group = Group()
    Kept(group).keep("mail", STAMP, 2)
    assert group.done == ["lvcreate", "lvchange"]
    size = group.volumes[COPY]["size"]
    assert isinstance(size, int)
    assert size >= SIZE + SIZE // 256


def test_a_copy_that_is_there_is_not_made_again() -> None:
    """It is of the moment in which it was made, and what was asked for is a copy of then."""
    group = Group()
    Kept(group).keep("mail", STAMP, 2)
    Kept(group).keep("mail", STAMP, 2)
    assert group.done == ["lvcreate", "lvchange"]


@pytest.mark.parametrize("tags", ["choice-4", ""])
def test_a_copy_of_that_name_for_another_choice_is_not_taken_for_it(tags: str) -> None:
    """Its stamp is a minute; or a person made it by hand."""
    group = Group()
    Kept(group).keep("mail", STAMP, 4)
    group.volumes[COPY]["tags"] = tags
    with pytest.raises(OperatorError, match="kept for another choice"):
        Kept(group).keep("mail", STAMP, 2)
    assert group.done == ["lvcreate", "lvchange"]


def test_a_copy_whose_making_was_cut_short_is_made_anew() -> None:
    group = Group()
    group.dies_at = "lvcreate"
    with pytest.raises(ToolError):
        Kept(group).keep("mail", STAMP, 2)
    group.dies_at = ""
    Kept(group).keep("mail", STAMP, 2)
    assert group.done == ["lvcreate", "lvremove", "lvcreate", "lvchange"]


def test_without_room_nothing_is_made_and_it_says_how_much_is_missing() -> None:
    group = Group(free=100 * MIB)
    with pytest.raises(OperatorError, match="takes 530 MiB, 100 MiB are free"):
        Kept(group).keep("mail", STAMP, 2)
    assert group.done == []


@pytest.mark.parametrize(
    "flaw",
    [
        {"size": SIZE // 2},
        {"origin": "web"},
        {"invalid": "snapshot invalid"},
    ],
)
def test_no_success_without_seeing_it(flaw: dict[str, object]) -> None:
    group = Group()
    group.spoil = lambda volume: volume.update(flaw)
    with pytest.raises(ToolError, match="lvs shows"):
        Kept(group).keep("mail", STAMP, 2)


def test_what_is_not_there_has_no_copy() -> None:
    with pytest.raises(OperatorError, match="the volume web is not in the group"):
        Kept(Group()).keep("web", STAMP, 2)


@pytest.mark.parametrize("stamp", ["", "x", "20260102-0304/../x", "20260102-0304 --yes"])
def test_only_a_moment_names_a_copy(stamp: str) -> None:
    group = Group()
    with pytest.raises(OperatorError, match="names no copy"):
        Kept(group).keep("mail", stamp, 2)
    assert group.done == []
    assert name_of("mail", STAMP) == COPY


def test_room_and_needs_are_in_mib() -> None:
    group = Group()
    assert Kept(group).room() == 2048
    assert Kept(group).needs() == {"mail": -(-needed(SIZE) // MIB)}
    Kept(group).keep("mail", STAMP, 2)
    assert list(Kept(group).needs()) == ["mail"]  # a copy has no copies
    group.is_there = False
    assert Kept(group).room() == -1


@pytest.mark.parametrize("text", ["", "{}", '{"report": [{"lv": [{}]}]}', '{"report": []}'])
def test_what_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(ParseError):
        parse_volumes(text)
    with pytest.raises(ParseError):
        parse_free(text)


def test_a_report_of_lvs() -> None:
    """In the form of lvmreport(7)."""
    text = """{"report":[{"lv":[{"lv_name":"mail-before-20260102-0304","lv_size":"558891008",
        "lv_tags":"","origin":"mail","lv_active":"active","lv_snapshot_invalid":""}]}]}"""
    assert parse_volumes(text) == (Volume(COPY, 558891008, "mail", True, False, False),)
    (tagged,) = parse_volumes(text.replace('"lv_tags":""', '"lv_tags":"choice-2,x"'))
    assert tagged.tags == ("choice-2", "x")
