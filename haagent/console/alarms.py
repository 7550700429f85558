# SPDX-License-Identifier: MIT
"""Owns the codes of everything that can be wrong with a pair: the one table of codes and headlines.

Pure. A code means the same for ever: it is never given to anything else, and one that is no longer
used stays out of use. Run as a program it prints docs/alarms.md.
"""

import textwrap
from collections.abc import Mapping
from enum import StrEnum

WIDTH = 100  # of the document


class Alarm(StrEnum):
    """A code, and what it stands for in general; the screen says what it is about this time."""

    headline: str
    means: str
    do: str

    def __new__(cls, code: str, headline: str, means: str, do: str) -> "Alarm":
        alarm = str.__new__(cls, code)
        alarm._value_ = code
        alarm.headline, alarm.means, alarm.do = headline, means, do
        return alarm

    RUNS_TWICE = (
        "SHOE-101",
        "A guest runs on both machines",
        "Both were sure that the other was off, which two cables cut in the same second, or a "
        "machine that stood still together with its clocks, can bring about. Each copy of the disk "
        "has writes that the other has not.",
        "The machine with the older claim ends its guest within a minute of hearing the other. If "
        "both go on, pull the power cord of the machine that you trust less, and keep its disk: "
        "the mirror will say split brain (SHOE-201), and you choose which copy counts.",
    )
    FROZEN = (
        "SHOE-102",
        "A guest is frozen",
        "It runs, but what it writes waits: the mirror lost the other machine, and nothing proves "
        "yet that the other machine is off. Nothing is lost by waiting.",
        "Wait for the time that the screen names. Then it goes on here, or it ends here so that "
        "the other machine may start it. Meanwhile look at both cables and at the other machine.",
    )
    BEING_SHUT_DOWN = (
        "SHOE-103",
        "A guest is being shut down",
        "Its machine goes down or is in maintenance, or a person moves it. A guest that does not "
        "shut down by itself is ended after a minute.",
        "Wait: it starts on the other machine when its disk is released.",
    )
    BEING_STARTED = (
        "SHOE-104",
        "A guest is being started",
        "Both questions are answered: the other machine surely does not run it, and the copy of "
        "its disk here is surely the newest.",
        "Wait. If it comes back again and again, `journalctl -b -u haagent` says what fails.",
    )
    BEING_ENDED = (
        "SHOE-105",
        "A guest is being ended",
        "It must not go on here: the other machine has taken it, or may take it soon.",
        "Wait. If the guest cannot be ended, the machine resets itself.",
    )
    CHANGES_ELSEWHERE = (
        "SHOE-106",
        "A guest is on its way on the other machine",
        "The other machine is starting or ending it. It does not run yet, or any more.",
        "Wait, and look at the other machine's screen.",
    )
    RUNS_NOWHERE = (
        "SHOE-107",
        "A guest runs nowhere",
        "The screen names the proofs that are missing for a start here. A start without them could "
        "lose what was written last, or have two machines write.",
        "Wait a minute if both machines are on. If one is off, switch it on: the one that ran the "
        "guest last has its newest data. Only if that machine will not come back: "
        "`shoestring start GUEST --anyway`, which shows both histories before it asks. A copy that "
        "DRBD calls Outdated or Inconsistent cannot be started even so. What is in an Outdated one "
        "can be saved: `shoestring guest backup GUEST --older`. Of an Inconsistent one the same "
        "saves what it was before it began to be written over, if there was room to keep that.",
    )
    LOST_WITH_PEER = (
        "SHOE-108",
        "A guest was on the other machine, and that machine is silent",
        "This machine waits until the other is surely off, or lacks a proof; the screen names what "
        "is missing.",
        "Switch the other machine on, or look at why it is silent. Only if it is off and stays "
        "off: `shoestring start GUEST --anyway`, which gives up whatever it wrote last.",
    )

    CRASHED = (
        "SHOE-109",
        "A guest crashed again and again, and was given up",
        "It was started again where it ran, three times within ten minutes; then the other machine "
        "had a try, where there was one; and it crashed there as well. So it is the guest that is "
        "broken, most likely, and it is left alone.",
        "`shoestring guest start GUEST` tries it again. If it crashes at once, what it says on its "
        "console before that is what to look for.",
    )
    TRIED_ELSEWHERE = (
        "SHOE-110",
        "A guest crashed too often on one machine, and runs on the other",
        "That may be the guest's fault or the machine's. If it runs for ten minutes where it is "
        "now, it is a guest like any other again, and this note goes away.",
        "Nothing has to be done. If several guests crash on that machine, test its memory.",
    )

    SPLIT_BRAIN = (
        "SHOE-201",
        "Split brain: the two copies of a disk do not connect",
        "Both were written to without the other, so that neither is a part of the other. DRBD "
        "refuses to choose, and nothing was discarded.",
        "Leave both machines on. `shoestring resolve GUEST` on either of them shows both histories "
        "and asks which copy counts. It keeps a copy of the other one, then gives it up, and stays "
        "until both are the same.",
    )
    CHOSEN_COPY = (
        "SHOE-202",
        "The other machine must not be powered up alone",
        "A person started a guest in spite of missing proofs. The other machine has another copy, "
        "and does not know of this one until the two have met.",
        "Power it up only while this machine runs. The alarm goes away when they have met.",
    )
    DISK_NOT_KNOWN = (
        "SHOE-203",
        "The disk of a guest is not known yet",
        "DRBD has not said what it has; that is usual for the first seconds of the agent.",
        "Wait a minute. If it stays so: `journalctl -b -u haagent -u drbd-up`.",
    )
    RESYNC = (
        "SHOE-204",
        "A copy is being brought up to date",
        "Only what is missing is copied. Until that is done, everything is on one machine alone, "
        "and the other could not take the guest over.",
        "Wait, and leave both machines on. The screen shows how far it is. DRBD may stay at 100 % "
        "and never say that it is done; then the mirror is connected anew by itself, after half a "
        "minute.",
    )
    DISK_NOT_UP_TO_DATE = (
        "SHOE-205",
        "A copy is not usable",
        "One of the machines has no working disk for this guest. The guest goes on with the "
        "other's, over the crossover cable, and the other copy falls behind. If it runs where the "
        "disk failed, it is shut down and started on the other machine, as soon as that surely has "
        "the memory for it: there it needs one machine instead of two.",
        "Look for disk errors on that machine, `journalctl -k`. Its disk is tried again when it "
        "starts: `shoestring reboot` there, which moves what runs there first. If the disk fails "
        "again, the machine is replaced like a dead one: `shoestring replace` on the other one.",
    )
    NOT_MIRRORED = (
        "SHOE-206",
        "A guest is not mirrored",
        "What it writes is on one machine only, and the other copy falls behind. If that machine "
        "dies now, the other waits for it: its own copy is not the newest.",
        "Bring the other machine and the crossover cable back. The mirror follows by itself.",
    )

    CHOICE = (
        "SHOE-207",
        "A copy is being given up, as a person chose",
        "After a split brain a person said which copy counts. The machine with the other one ends "
        "the guest if it runs there, keeps a copy of its volume if that was asked for, and is then "
        "brought up to date. A power cut does not undo the choice.",
        "Wait, and leave both machines on. If something is in the way the screen says what, and "
        "`shoestring resolve GUEST` says what can be done. If the machine whose copy counts is "
        "gone for good: `shoestring start GUEST --anyway` on the other one takes the choice back. "
        "That is too late when the copying has begun: then the only whole copy without that "
        "machine is the one that was kept. The screen names it. Ask for help before you touch it.",
    )

    DISK_HANGS = (
        "SHOE-208",
        "A data disk does not answer",
        "It neither answers nor fails, and whatever a guest reads from it or writes to it waits. A "
        "machine with such a disk restarts by itself if the other one can go on without it. Where "
        "this alarm stays, the other one is away or its copy is not the newest.",
        "Bring the other machine back, and look at the disk's cable and power, and at `journalctl "
        "-k`. A disk that does not come back by itself may do so when its machine has been without "
        "power for a minute. The newest copy is on it: do not start the guest elsewhere before "
        "that was tried.",
    )

    STRANGE_DISK = (
        "SHOE-209",
        "The data disk of a machine is not its own",
        "It is one of another pair, or the other machine's, or there are two. It was not touched, "
        "and no guest is started from it: it may be the only good copy of what another pair wrote.",
        "Switch that machine off, put its own data disk in, and no other one with guests of a "
        "pair, and switch it on. If its own disk is lost: `shoestring replace` on the other "
        "machine.",
    )

    COPIES_DIFFER = (
        "SHOE-210",
        "The two copies of a disk differ",
        "They are compared block by block once a week, at night, and when you say `shoestring "
        "guest verify GUEST`. A disk has kept something else than it was given, or memory or a "
        "cable has changed it on the way. Or the guest did: what it changes while it is being "
        "written, as it may with swap, with a database that writes past its cache and with what "
        "it deletes at once, or has discarded on an SSD, can differ, and is never read. Which copy "
        "is right nobody can tell, so nothing was repaired. But what differs is marked, and the "
        "next resync copies it "
        "together with what was written meanwhile: after a restart of either machine, a cable "
        "that was out, or a takeover; and always from the machine that runs the guest then. The "
        "screen says when that has happened, and from where.",
        "Before you restart a machine, look for disk errors on both: `journalctl -k`, and "
        "`smartctl -a` for each data disk. `journalctl -k --grep 'Out of sync'` has the places: "
        "the same ones each time are a bad disk, others each time the guest's own doing. Let the "
        "guest check its data; then `shoestring move GUEST`, and let it check them on the other "
        "copy. When you know which one is good, let the guest run there, and `shoestring reboot` "
        "the other machine: what differs is copied from the good one. `shoestring guest verify "
        "GUEST` compares anew; `shoestring guest verified GUEST`, on each machine, says that you "
        "have taken note. Replace a disk that does it again.",
    )
    COPIES_DIFFERED = (
        "SHOE-211",
        "The two copies of a disk differed, and were made the same",
        "This is a note, and takes nothing from the pair's protection. What SHOE-210 told of was "
        "copied in a resync, from the machine that the screen names, and the two copies are the "
        "same since. If that machine had the wrong one, so has the other one now.",
        "Let the guest check its data. `shoestring guest verified GUEST`, on each machine, says "
        "that you have taken note.",
    )

    COPIES_NEVER_SAME = (
        "SHOE-212",
        "The two copies of a disk differed when they were first compared",
        "This is a note, and takes nothing from the pair's protection. A set-up does not make the "
        "copies of a new disk the same where no guest has written yet: that would take hours, and "
        "no guest asks for what it did not write. There each copy has what its data disk held "
        "before. The next resync makes these blocks the same. A block that rotted before the first "
        "comparison cannot be told from them.",
        "Nothing has to be done. What is found beside, from now on, is an alarm. `shoestring guest "
        "verified GUEST`, on each machine, ends the note.",
    )

    BACKUP_MISSING = (
        "SHOE-213",
        "A guest is not backed up as it should be",
        "This is a note, and takes nothing from the pair's protection. This machine was told to "
        "back the guest up by itself (`shoestring guest schedule`), and that failed, or was not "
        "done when it was due. Most often the USB disk is not plugged in, or there are two, or it "
        "is full. Or the copy on this machine was not the newest just then. Only the machine that "
        "was told so tells it.",
        "Put right what the screen names. It is tried again each hour, for a day; `shoestring "
        "guest backup GUEST` makes one at once, and ends the note. `journalctl -u "
        "shoestring-backup` has every try. `shoestring guest schedule GUEST --off` ends the "
        "schedule.",
    )

    PEER_SILENT = (
        "SHOE-301",
        "The other machine is silent",
        "It is off, or it hangs, or no cable carries its words. From this machine these look the "
        "same.",
        "Go and look at it: switch it on, or read its screen. Then look at both cables. If it died "
        "for good: `shoestring replace` gives its place to another PC, while the guests run on.",
    )
    GAVE_UP = (
        "SHOE-302",
        "A machine has given up",
        "It lost the other machine and found no proof that it is not the one cut off, so it ended "
        "its guests; or its data disk does not answer any more. It lets its watchdog restart it, "
        "in order that the other may take over, or go on.",
        "Wait for the restart, then look at what the screen named: both cables and the router, or "
        "the disk.",
    )
    LEAVING = (
        "SHOE-303",
        "A machine is shutting down",
        "Its guests go to the other machine, which is on its own then.",
        "Wait; switch it on again when you are done.",
    )
    WATCHDOG = (
        "SHOE-304",
        "The watchdog of a machine is not armed",
        "If that machine hangs, nothing ends its guests. So the other must not take over, however "
        "long it is silent.",
        "See why on that machine: `journalctl -b -u haagent`. The board may have no watchdog, or "
        "its firmware may have it switched off.",
    )
    TIME_SCALE = (
        "SHOE-305",
        "The two machines have different time scales",
        "Their timers do not fit together, and neither may rely on the other's.",
        "Take shoestring.timescale= off both kernel command lines, and restart both machines.",
    )
    MAINTENANCE = (
        "SHOE-306",
        "A machine is in maintenance",
        "A person wants to work on it. Its guests went to the other machine, where they could, and "
        "nothing starts on it by itself, also after a reboot. So if the other machine dies, the "
        "guests are off.",
        "When you are done: `shoestring maintenance off` on that machine. Nothing moves back by "
        "itself.",
    )

    STICK_LOST = (
        "SHOE-307",
        "A machine cannot write to its stick any more",
        "The stick was pulled, is dead, or is full. Nothing that runs needs it, so the guests go "
        "on, mirrored. But nothing new can be promised to the other machine: this one starts no "
        "guest any more, and if the other fails, what runs here freezes and ends after some "
        "seconds. It would not start again without a stick. A stick that is put back is used at "
        "the next start only.",
        "`shoestring shutdown` on that machine: its guests go to the other one first. Then look at "
        "the stick. If it was loose or full, put it back or make room, and switch the machine on. "
        "If it is dead, flash a new one, and give the machine its place again by `shoestring "
        "replace` on the other one.",
    )

    NO_MEMORY = (
        "SHOE-308",
        "A machine has too little memory for all guests",
        "If the other one dies, a guest or more cannot be started on it. Guests are tried in their "
        "order, beside those that run there; what does not fit leaves its room to the next. Each "
        "takes a little more than it has itself, which Xen needs for it. Both machines look at "
        "this once a minute. A start is tried all the same.",
        "Put more memory into that machine, or do without a guest that need not run: `shoestring "
        "guest stop GUEST`. `shoestring guests` says what each machine has, and what is used.",
    )
    NO_SECOND = (
        "SHOE-309",
        "There is no second machine",
        "This machine was set up alone. It runs guests, starts them again after a power cut, and "
        "needs nobody for that; but nothing takes over when it dies, and its disk is the only one.",
        "Make backups. `shoestring replace` puts another PC beside it, flashed from the same "
        "image, while the guests run on: from then on they are a pair like any other.",
    )

    REPLACED = (
        "SHOE-321",
        "This machine was replaced",
        "Another machine has its place in the pair. The copies on this one are old, its keys are "
        "not taken any more, and it starts nothing by itself. It may have the address of the "
        "machine that replaced it.",
        "Switch it off. To use this PC again, flash its stick anew and empty its data disk.",
    )
    REPLACED_IS_ON = (
        "SHOE-322",
        "A machine that was replaced is switched on",
        "It speaks on the LAN with a key that counts no more. It was told so, and starts nothing; "
        "but it may have the address of the machine that replaced it, and disturb it.",
        "Switch it off, or pull its LAN cable. To use that PC again, flash its stick anew and "
        "empty its data disk.",
    )

    RELEASES_DIFFER = (
        "SHOE-331",
        "The two machines run different releases",
        "This is a note, and takes nothing from the pair's protection: a release understands the "
        "one before it. It is meant for the hours of an update, because other releases do not.",
        "Finish the update: `shoestring update` on the machine that runs the guests brings both to "
        "the same release.",
    )
    NOT_UNDERSTOOD = (
        "SHOE-332",
        "The two releases do not understand each other",
        "The other machine speaks, with the key of this pair, but in a format that the release "
        "here does not know. To this machine it is as silent as a dead one. A release understands "
        "the one before it, and no older one.",
        "Leave guests where they run. Bring the machine with the older release to that of the "
        "other one, one release after the other; or start the newer one from its other slot.",
    )

    PATH_SILENT = (
        "SHOE-401",
        "Nothing comes over one of the two cables",
        "The other cable still works, so nothing stops. If that one fails too, no machine knows of "
        "the other.",
        "Look at the cable that the screen names and at its lamps on both sides; for the LAN, at "
        "the switch too.",
    )
    PATH_ONE_WAY = (
        "SHOE-402",
        "One of the two cables works in one direction only",
        "This machine hears the other there, but is not heard. Such a way does not count.",
        "Exchange that cable. For the LAN, look for a filter in the switch.",
    )
    HEARTBEAT_NO_LINK = (
        "SHOE-403",
        "heartbeat has no link to the other machine",
        "heartbeat runs, but knows of no cable to the other machine: a third way of hearing it is "
        "missing.",
        "It is restarted by itself. If this stays: `systemctl status heartbeat` on both machines.",
    )
    HEARTBEAT_LINK_DOWN = (
        "SHOE-404",
        "heartbeat hears nothing on one cable",
        "The agents hear each other on that cable, heartbeat does not: one of the ways to the "
        "other machine is down.",
        "It mends by itself. If it stays so, look at `systemctl status heartbeat` on both "
        "machines.",
    )

    LAN_CHANGES = (
        "SHOE-405",
        "The addresses on the LAN are being changed",
        "A person asked for other ones. The two machines take them up one after the other, and "
        "keep them only if both hear each other there and the gateway answers both. Meanwhile "
        "guests stay where they run, and neither machine takes over from the other.",
        "Wait, and leave both machines on: it takes a minute, and a few if the new addresses do "
        "not work and the old ones are taken up again. If it stays: switch the other machine on, "
        "as it is waited for; a machine that cannot write its stick says so.",
    )

    CROSSOVER_TO_LAN = (
        "SHOE-406",
        "The crossover leads to the LAN",
        "A card is heard on it that belongs on the LAN. Either the two cables of a machine are "
        "exchanged: then nothing passes between the two. Or a switch joins what should be two "
        "cables: then what guests write goes over the LAN, and one switch that fails takes both "
        "ways at once, so that guests stop.",
        "The crossover cable leads from card to card, with no switch between; the other card of "
        "each machine is for the LAN. The screen names the machine to look at, if it can tell. "
        "The alarm goes away by itself.",
    )

    STRANGER = (
        "SHOE-407",
        "A machine without this pair's key speaks to it",
        "This is a note, and takes nothing from the pair's protection: what is not signed with the "
        "key of this pair is refused. It may come from a machine of another pair, by a cable in "
        "the wrong card or because two machines have the same address; from somebody who wants to "
        "be taken for one; or from the other machine itself, over a cable that spoils its words.",
        "On the crossover: see that its cable leads from one machine of this pair to the other, "
        "and nowhere else. On the LAN: find the machine with the address that the screen names. If "
        "it belongs to another pair, no two of the four machines may have the same address.",
    )
    HEARTBEAT_DEAF = (
        "SHOE-408",
        "heartbeat takes what the other machine says for old words",
        "The agents hear each other on both cables, and heartbeat hears the other machine too, but "
        "drops what it says: a third way of hearing it is missing. That is so when the other one "
        "has lost its count of starts while its clock was of long ago.",
        "heartbeat is started again by itself, which mends that; later at ever longer distances. "
        "If this stays: `systemctl status heartbeat` on both machines.",
    )

    NO_REFEREE = (
        "SHOE-501",
        "No gateway answers both machines",
        "The gateway tells a machine that it is not the one cut off. Without it neither takes over "
        "when the other falls silent.",
        "Look at the router, the switch and the LAN cables. `haagent show-config` lists the "
        "gateways that are asked; they must answer pings.",
    )
    STANDS_DOWN = (
        "SHOE-502",
        "A machine has promised not to start a guest",
        "While no gateway answered both, it promised to leave the guest to the other. That lets "
        "the other go on alone; but if the other dies, nobody takes over.",
        "Bring the gateway back. The promise is then given back by itself.",
    )

    UNIT_FAILED = (
        "SHOE-601",
        "A part of the system has failed",
        "systemd could not start it, or it ended badly. The guests may run all the same.",
        "See why: `journalctl -b -u UNIT`. `systemctl reset-failed UNIT` when it is solved.",
    )
    HEARTBEAT_SILENT = (
        "SHOE-602",
        "heartbeat does not answer",
        "Its daemon does not run or stands still, or does not take the agent's connection: a third "
        "way of hearing the other machine is missing.",
        "It is restarted by itself. If this stays: `systemctl status heartbeat`.",
    )

    UPDATE_FELL_BACK = (
        "SHOE-701",
        "An update did not start, and what ran before runs again",
        "The new release did not come up three times, or a part of it did not do well, so the "
        "machine went back to the old one by itself. Guests, disks and settings are as they were.",
        "`journalctl -b -1` may tell why. Install a release that is mended with `shoestring "
        "update`, or stay with the old one: `shoestring update --dismiss` ends this alarm.",
    )
    UPDATE_WAITS = (
        "SHOE-702",
        "An update waits for the restart of this machine",
        "It is on the stick, whole and checked. What ran before goes on until this machine starts "
        "again, for whatever reason; then the new release is tried.",
        "`shoestring reboot` on this machine, when its guests may go to the other one.",
    )


BY_CODE: Mapping[str, Alarm] = {str(alarm): alarm for alarm in Alarm}
GROUPS: Mapping[str, str] = {
    "1": "Guests",
    "2": "Data",
    "3": "Machines",
    "4": "Cables",
    "5": "Gateway",
    "6": "System",
    "7": "Updates",
}

INTRODUCTION = """\
<!-- Made by `python -m haagent.console.alarms`; a test compares. Change the table there. -->
# Alarms

Every line on the screen that begins with `!` ends with a code. It stays the same in all versions,
so it can be searched for, and `shoestring status --json` has it as `code`. The screen says what the
alarm is about this time, and what to do; this page says what it means in general. GUEST, UNIT: what
the screen names. A line that begins with `*` is a note: it has a code, too, but the pair is no less
protected.

Commands are typed in the menu behind the Enter key of the screen, as they stand here; those that do
not begin with `shoestring`, in its shell.
"""


def group(alarm: Alarm) -> str:
    """The key of its group, in GROUPS."""
    return alarm.partition("-")[2][0]


def document() -> str:
    """docs/alarms.md."""
    parts = [INTRODUCTION]
    for key, name in GROUPS.items():
        parts.append(f"## {name}\n")
        for alarm in Alarm:
            if group(alarm) == key:
                parts += [f"### {alarm}: {alarm.headline}\n", _wrapped(alarm.means)]
                parts.append(_wrapped(f"**What to do.** {alarm.do}"))
    return "\n".join(parts)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"


if __name__ == "__main__":
    print(document(), end="")
