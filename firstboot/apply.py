# SPDX-License-Identifier: MIT
"""Carries a plan out, or carries on with it: the power may fail at any moment, and did.

Each step looks whether things are as they should be, acts if not, and reads back what it did. The
journal only decides what reading cannot: whose a half made disk is, and whether a guest's disk may
still be filled. How anything is done is the hands' business.
"""

from collections.abc import Callable

from firstboot import agreement as agreements
from firstboot import answers as answer_file
from firstboot import journal as journal_file
from firstboot.answers import Answers, Part
from firstboot.hands import Hands, put
from firstboot.rendering import SETTINGS, File
from firstboot.steps import (
    AwaitPeer,
    AwaitSync,
    EraseSecret,
    FillGuest,
    MakeStorage,
    NameHost,
    Plan,
    SetClock,
    StartMirror,
    StartNetwork,
    Step,
    TakeUp,
    WriteFiles,
    plan,
    storage,
)
from firstboot.validate import MAY_PASS, find_disk, problems
from haagent.core.model import Disk, Link, Resource
from haagent.errors import BugError, OperatorError, ToolError
from haagent.storage.drbd import in_words

COMPLETE = File("/state/setup/complete", "This machine is set up.\n")
ANEW = "To begin again, flash both sticks anew and empty the data disks."
CUT_SHORT = "  This was cut short before. Beginning again with a blank disk."
ERASING = "  Erasing what is on it, as you agreed."

Tell = Callable[[str], None]
Question = Callable[[Resource], bool]


def set_up(hands: Hands, tell: Tell) -> bool:
    """Makes this machine what answers.yaml on the stick says, and tells each step in plain words.

    True if it is now one half of a pair, False if nobody asked for that. Raises ShoestringError:
    what was done until then is kept, and the next call goes on from there.
    """
    if hands.read(COMPLETE.path) is not None:
        return True
    return _SetUp(hands, tell).run()


class _SetUp:
    def __init__(self, hands: Hands, tell: Tell) -> None:
        self._hands = hands
        self._tell = tell
        self._journal = journal_file.load(hands.read(journal_file.PATH), hands.write)

    def run(self) -> bool:
        steps = self._plan()
        if not steps:
            return False
        self._tell_begun(steps)
        for number, step in enumerate(steps, 1):
            self._tell(f"{number}/{len(steps)} {step.title}.")
            self._do(step)
            self._journal.finish(step)
        self._hands.write(COMPLETE)
        self._tell("This machine is set up.")
        self._hands.hand_over()
        return True

    def _tell_begun(self, steps: Plan) -> None:
        """Where an earlier try came to."""
        left = [number for number, step in enumerate(steps, 1) if not self._journal.is_done(step)]
        if self._journal and left:
            where = f"step {left[0]} of {len(steps)}" if len(steps) > 1 else "its last step"
            self._tell(f"Continuing the set-up that was interrupted at {where}.")

    def _plan(self) -> Plan:
        """What is to be done; nothing, if nobody asks for anything."""
        if self._hands.read(SETTINGS) is not None:
            # safety: from here on the agent may run, and the guests with it. No disk is touched
            # any more, whatever the answers say now; they may also be gone already.
            return (EraseSecret(),)
        text = self._hands.answers()
        if text is not None:
            return self._agreed_plan(answer_file.read(text))
        if self._journal:
            raise OperatorError(
                f"The set-up of this machine was begun, but {answer_file.FILE} is gone.",
                f"Put it back on the stick. {ANEW}",
            )
        return ()

    def _agreed_plan(self, answers: Answers) -> Plan:
        """The plan, once nothing is in its way. Waits for disks and cards that are not there."""
        if answers.part is Part.STAYS:
            raise OperatorError(
                f"`part: {Part.STAYS}` is for a machine that has guests, and this one was never set"
                " up.",
                f"Nothing was changed. Take that line out of {answer_file.FILE}.",
            )
        name = answers.names[answers.me]
        is_agreed = self._hands.read(agreements.PATH) is not None
        says = "the two machines agreed" if is_agreed else f"{answer_file.FILE} on the stick says"
        self._tell(f"Setting up {name}, as {says}.")
        mend = "Mend that" if is_agreed else f"Correct {answer_file.FILE} or the machine"
        scale = self._hands.time_scale()
        # safety: only what the journal says was begun on this very disk may be found on it.
        step = storage(answers)
        ours = step.physical_volume if self._journal.is_begun(step) else None
        told = ""
        while found := problems(answers, self._hands.machine(), scale, ours):
            words = "\n".join(problem.sentence for problem in found)
            if any(problem.reason not in MAY_PASS for problem in found):
                raise OperatorError(words, f"{mend}. {ANEW}")
            if words != told:
                self._tell(f"{words}\nWaiting until it is plugged in. {ANEW}")
                told = words
            self._hands.await_hardware()
        return plan(answers, scale)

    def _do(self, step: Step) -> None:
        match step:
            case WriteFiles():
                self._write_files(step)
            case NameHost():
                self._name_host(step)
            case StartNetwork():
                self._start_network(step)
            case SetClock():
                self._set_clock(step)
            case MakeStorage():
                self._make_storage(step)
            case StartMirror():
                self._hands.start_mirror(step.guest)
            case AwaitSync():
                self._await_sync(step)
            case FillGuest():
                self._fill_guest(step)
            case TakeUp() | AwaitPeer():
                raise BugError("only a machine that serves already takes another peer")
            case EraseSecret():
                self._erase_secret()

    def _write_files(self, step: WriteFiles) -> None:
        for file in step.files:
            put(self._hands, file, "The stick is failing. Use another one.")

    def _name_host(self, step: NameHost) -> None:
        if self._hands.host_name() != step.host:
            self._hands.set_host_name(step.host)
        if self._hands.host_name() != step.host:
            raise OperatorError(f"The machine does not take the name {step.host}.", ANEW)

    def _start_network(self, step: StartNetwork) -> None:
        if self._is_network_up(step):
            return
        self._hands.settle_cards()
        for name, mac in step.cards:
            cards = {nic.mac: nic.name for nic in self._hands.machine().nics}
            if cards.get(mac, name) != name:
                self._hands.rename_card(cards[mac])
        self._hands.restart_network()
        if not self._is_network_up(step):
            raise OperatorError(
                "The network does not come up as it was written down.",
                "Switch the machine off and on: network cards take their names at the start.",
            )

    def _is_network_up(self, step: StartNetwork) -> bool:
        found = self._hands.interfaces()
        if not found.keys() >= {step.bridge, *(name for name, _ in step.cards)}:
            return False
        return (
            all(found[name].mac == mac for name, mac in step.cards)
            and found[step.port].bridge == step.bridge
            # The peer knows us by the card's address, and the bridge is what answers to it.
            and found[step.bridge].mac == found[step.port].mac
            and all(
                found[name].addresses == (address,)
                and found[name].broadcasts == (address.network.broadcast_address,)
                for name, address in step.addresses
            )
        )

    def _set_clock(self, step: SetClock) -> None:
        if self._hands.time_zone() != step.zone:
            self._hands.set_time_zone(step.zone)
        if self._hands.time_zone() != step.zone:
            raise OperatorError(f"The machine does not take the time zone {step.zone}.", ANEW)
        self._hands.restart_clock()

    def _make_storage(self, step: MakeStorage) -> None:
        disk = find_disk(self._hands.machine(), step.serial)
        if disk is None:
            raise OperatorError(f"The disk {step.serial} is gone.", "Plug it in again.")
        found = self._hands.signature(disk.name)
        is_ours = found.physical_volume == step.physical_volume
        if self._journal.is_done(step):
            if is_ours and all(self._hands.has_volume(guest) for guest, _ in step.volumes):
                return
            raise OperatorError(
                f"The disk {step.serial} was made ours before, and that is gone from it.", ANEW
            )
        is_half_made = is_ours and self._journal.is_begun(step)
        # safety: read from the disk itself, right before the first write to it.
        if found.is_a_pairs and not is_half_made:
            raise OperatorError(
                f"The disk {step.serial} holds the guests of a Shoestring pair.",
                "Nothing on it was changed. Start with the stick that belongs to it, or empty it on"
                " another machine if nobody needs them.",
            )
        if found.kinds and not is_half_made and not step.erases:
            raise OperatorError(
                f"The disk {step.serial} is not empty, it holds: {', '.join(found.kinds)}.",
                "Nothing on it was changed. Empty it on another machine if nobody needs it.",
            )
        self._journal.begin(step)
        if found.kinds:
            # safety: either this set-up made up this identity, for this disk, and never got so far
            # as to use what is on it; or a person typed the end of this disk's serial number below
            # the list of what would be lost.
            self._tell(CUT_SHORT if is_half_made else ERASING)
            self._hands.clear_disk(disk.name)
        self._hands.make_group(disk.name, step.physical_volume)
        for guest, size in step.volumes:
            self._tell(f"  A volume for the guest {guest}.")
            self._hands.make_volume(guest, size)
            self._hands.make_metadata(guest)
            if step.is_alone:
                self._hands.declare_only(guest)

    def _await_sync(self, step: AwaitSync) -> None:
        if self._journal.is_done(step):
            return
        self._tell(f"  Waiting for {step.peer}, as long as it takes.")

        def is_met(now: Resource) -> bool:
            return now.is_in_sync or (step.is_leader and are_both_blank(now))

        while not self._await(step.guest, is_met).is_in_sync:
            self._try(step.guest, lambda: self._hands.skip_first_sync(step.guest), are_both_blank)

    def _fill_guest(self, step: FillGuest) -> None:
        # safety: a guest that was filled may have run since. It is never filled again.
        if self._journal.is_done(step):
            return
        is_ready = _is_the_only_one if step.is_alone else _is_in_sync
        is_primary = False
        while not is_primary:
            self._await(step.guest, is_ready)
            is_primary = self._try(step.guest, lambda: self._hands.promote(step.guest), is_ready)
        self._hands.fill(step.device, step.address, step.gateway)
        self._hands.demote(step.guest)

    def _await(self, guest: str, is_enough: Question) -> Resource:
        """The resource once it IS_ENOUGH. Raises OperatorError for what no waiting can mend."""

        def look(now: Resource) -> bool:
            self._tell(f"  {guest}: {in_words(now)}")
            return is_enough(now) or _is_hopeless(now)

        seen = self._hands.await_mirror(guest, look)
        if is_enough(seen):
            return seen
        if seen.link is Link.STANDALONE:
            raise OperatorError(
                f"The two machines do not accept each other for the guest {guest}.",
                f"Is the secret the same in both {answer_file.FILE}? Are both data disks new to"
                " the pair? Then switch both machines off and on.",
            )
        raise OperatorError(f"The disk of the guest {guest} fails.", "Replace the data disk.")

    def _try(self, guest: str, act: Callable[[], None], is_possible: Question) -> bool:
        """Whether ACT worked. It may fail because the peer went away under it, and only then."""
        try:
            act()
        except ToolError:
            if is_possible(self._hands.await_mirror(guest, lambda _: True)):
                raise
            self._tell("  The other machine went away. Waiting for it again.")
            return False
        return True

    def _erase_secret(self) -> None:
        self._hands.retire_answers()
        if self._hands.answers() is not None:
            raise OperatorError(
                f"{answer_file.FILE} with the secret is still on the stick.",
                "The pair works. Delete the file on another machine, then start this one again.",
            )


def _is_in_sync(now: Resource) -> bool:
    return now.is_in_sync


def _is_the_only_one(now: Resource) -> bool:
    """As its metadata say: DRBD makes it Primary without the other one."""
    return now.has_left_peer_behind


def are_both_blank(now: Resource) -> bool:
    """Connected, and neither ever held anything. The kernel makes sure of the second part: it
    skips no sync for a copy that is not as create-md left it (drbd_nl.c, drbd_adm_new_c_uuid).
    """
    disks = {now.disk, now.peer_disk}
    return now.link is Link.CONNECTED and disks == {Disk.INCONSISTENT}


def _is_hopeless(now: Resource) -> bool:
    return now.link is Link.STANDALONE or now.disk in (Disk.DISKLESS, Disk.FAILED)
