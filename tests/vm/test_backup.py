# SPDX-License-Identifier: MIT
"""A guest is backed up while it writes, and what was acknowledged before is in the file."""

from tests.vm.incidents.saved import READS, numbers_in
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.story import TAKEOVER, Story

PLACE = "/state/backups"
BACK_UP = f"shoestring guest backup counter --to {PLACE}"


def back_up(machine: Machine, *more: str) -> dict[str, object]:
    told: dict[str, object] = machine.answer(" ".join((BACK_UP, *more)), READS)
    return told


def test_a_guest_is_backed_up_while_it_writes(lab: Lab) -> None:
    """From the standby's copy, whole and then what changed. What was acknowledged before either is
    in it, and it can be unpacked; nothing is left on the machine that was read, and nothing moves.
    """
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        b.run(f"mkdir -p {PLACE}/out")
        refused = a.control.try_run(f"mkdir -p {PLACE} && {BACK_UP}", TAKEOVER)
        assert "counter runs on a, and the copy on b is the same" in refused.out

        before = list(story.recorder.acknowledged)
        full = back_up(b)
        assert full["base"] is None
        story.await_numbers(20)
        before_the_second = list(story.recorder.acknowledged)
        changed = back_up(b)
        assert changed["base"] == str(full["file"]).rpartition("/")[2]
        story.await_numbers(20)

        for told, promised in ((full, before), (changed, before_the_second)):
            file = told["file"]
            assert "every sum is right" in b.run(f"shoestring backup verify {file}", timeout=READS)
            b.run(
                f"rm -f {PLACE}/out/*; shoestring backup unpack {file} {PLACE}/out", timeout=READS
            )
            found = numbers_in(b, f"{PLACE}/out/counter-xvda.raw")
            assert set(promised) <= found, sorted(set(promised) - found)
        assert "passing" not in b.run("lvs --noheadings --options lv_name,lv_tags")
        b.run(f"rm -r {PLACE}")
        story.await_protected()
        print(f"full: {full}, then: {changed}")
        story.audit()
