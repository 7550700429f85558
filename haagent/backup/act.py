# SPDX-License-Identifier: MIT
"""`shoestring guest backup`, and `shoestring backup` for what is done with a file afterwards.

A backup is read from a snapshot of this machine's copy while the guest runs on. It must not decide
whether that copy is the newest: it takes the agent's word, and takes no copy that is not in sync or
written to here; or a person's, that an older one is wanted.
"""

import argparse
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from haagent import config
from haagent.answering import give
from haagent.asking import tell
from haagent.backup import catalogue, chain, finding, plain, showing, writing
from haagent.backup import restoring as restores
from haagent.backup.disks import Source, source
from haagent.backup.layout import fitting_block, title
from haagent.backup.reading import Backup
from haagent.backup.retention import Point, Policy, expendable
from haagent.backup.schedule import Schedules
from haagent.command import Exit, Places, look
from haagent.config import Config
from haagent.console.alarms import Alarm
from haagent.console.snapshot import GuestView, Snapshot
from haagent.console.times import since
from haagent.core.model import Disk, Link, Phase
from haagent.elsewhere import share
from haagent.elsewhere.share import Reach
from haagent.errors import OperatorError
from haagent.guests.name import checked
from haagent.handover import guest_of
from haagent.progress import Line
from haagent.run import Run
from haagent.storage.overwritten import Overwritten
from haagent.storage.snapshot import snapshot
from haagent.storage.sysfs import SYSFS, disk_size

DEEPEST = 7  # incremental backups in a row; then there is a full one again
HERE = "--here reads it from this machine all the same."
# With the whole command: a clone, and what is made at night, have no such option.
SAVES = "If what {peer} has is lost for good: `shoestring guest backup {guest} --older` reads "
OLDER, BEFORE = SAVES + "the copy here as it is.", SAVES + "what the copy here was before."
# As the guest left it in some moment. What is Inconsistent never was: it has blocks of two.
WHOLE = (Disk.UP_TO_DATE, Disk.CONSISTENT, Disk.OUTDATED)

Copy = contextlib.AbstractContextManager[Path]  # of a device


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked for."""

    guest: str
    to: str | None  # a folder; None: the one USB disk that is plugged in
    policy: Policy | None  # None: nothing is removed
    is_full: bool = False
    is_plain: bool = False
    is_here_meant: bool = False  # also where the guest runs
    is_older_meant: bool = False  # also a copy that is not the newest, or may not be
    is_shown: bool = False  # to a person: how far it is


def back_up(arguments: argparse.Namespace, places: Places, sysfs: Path = SYSFS) -> Exit:
    job = Job(
        arguments.guest,
        arguments.to,
        policy_of(arguments),
        is_full=arguments.full,
        is_plain=arguments.plain,
        is_here_meant=arguments.here,
        is_older_meant=arguments.older,
        is_shown=True,
    )
    began = time.time()
    told = make(job, places, share.of(arguments, places), sysfs)
    with contextlib.suppress(OperatorError):  # it is there, whatever its schedule knows of it
        schedules = Schedules(places.file.parent)
        schedule = None if told["older"] else schedules.read(job.guest)
        if schedule is not None:
            schedules.change(schedule.succeeded(began, Path(str(told["file"])).name))
    give(told)
    tell(*sentences(told))
    return Exit.PROTECTED


def make(job: Job, places: Places, reach: Reach, sysfs: Path = SYSFS) -> dict[str, object]:
    """What was done. Raises ShoestringError."""
    _, shown = look(places)
    may = {"is_here_meant": job.is_here_meant, "is_older_meant": job.is_older_meant}
    refuse(shown, guest_of(shown, job.guest), **may)
    found = config.load(places.file, places.cmdline)
    with finding.folder("A backup goes onto", job.to, reach) as folder:
        line = Line()
        _, shown = look(places)  # a person may have been asked for minutes
        view = guest_of(shown, job.guest)
        with line.watched(
            "The backup was interrupted.", "There is none: what was written is removed."
        ):
            why = older(shown, view)
            at = moment(view) if why else datetime.now(UTC)
            copy = opened(job.guest, places, **may)
            told = _write(job, folder, found, copy, at, sysfs, line, is_older=bool(why))
        told["file"] = finding.path_of(Path(str(told["file"])), job.to)
        told["differs"] = differs(view)
        told["older"] = why
        # safety: what is there already may be newer than what was read just now.
        told["removed"], told["stay"] = ([], []) if why else _thin_out(job, folder, at)
    return told


def refuse(
    shown: Snapshot, view: GuestView, *, is_here_meant: bool, is_older_meant: bool = False
) -> None:
    """Raises OperatorError if this machine's copy is not to be read."""
    me, peer = shown.me, shown.peer
    is_ours = view.phase in _WRITING
    is_older = view.disk in WHOLE or is_part(view)
    if not _is_newest(shown, view) and not (is_older_meant and is_older):
        state, which = view.disk or "not known yet", BEFORE if is_part(view) else OLDER
        raise OperatorError(
            f"The copy of {view.name} on {me} is not the newest, or nobody knows: it is {state}.",
            "Nothing was done. There is no other copy; `shoestring status` says what is wrong."
            if shown.is_vacant
            else f"Nothing was done. Say it on {peer}, or wait until both copies are the same."
            + (
                f" {which.format(peer=peer, guest=view.name)}"
                if is_older and not is_older_meant
                else ""
            ),
        )
    if is_ours and view.is_in_sync and not is_here_meant:
        raise OperatorError(
            f"{view.name} runs on {me}, and the copy on {peer} is the same: read there, it feels"
            " less of it.",
            f"Nothing was done. Say it on {peer}. {HERE}",
        )


def is_part(view: GuestView) -> bool:
    """Whether this machine's copy has blocks of two disks, and is not being made one now."""
    return view.disk == Disk.INCONSISTENT and view.link != Link.SYNC_TARGET


_WRITING = (Phase.HOLDING, Phase.FROZEN)


def _is_newest(shown: Snapshot, view: GuestView) -> bool:
    """Whether this machine's copy is; False also if nobody knows."""
    is_only_one = view.phase in _WRITING or shown.is_vacant
    return view.disk == Disk.UP_TO_DATE and (view.is_in_sync or is_only_one)


@contextlib.contextmanager
def opened(
    guest: str, places: Places, *, is_here_meant: bool, is_older_meant: bool = False
) -> Iterator[Path]:
    """What there is of this machine's copy of GUEST to read, as of this moment. Raises
    ShoestringError, as `refuse` if it is not to be read.
    """
    may = {"is_here_meant": is_here_meant, "is_older_meant": is_older_meant}
    _, shown = look(places)
    before = guest_of(shown, guest)
    refuse(shown, before, **may)
    with copy_of(before, places.run) as path:
        # safety: a resync may have begun before the snapshot was there, and then it is of two
        # moments. No resync is over between two looks.
        _, shown = look(places)
        after = guest_of(shown, guest)
        refuse(shown, after, **may)
        if (after.disk, after.link) != (before.disk, before.link):
            raise OperatorError(
                f"The copy of {guest} on {shown.me} changed its state as it was to be read.",
                "Nothing was done. Say it again.",
            )
        yield path


def copy_of(view: GuestView, run: Run) -> Copy:
    """What there is of this machine's copy to read."""
    return Overwritten(run).opened(view.name) if is_part(view) else snapshot(view.name, run)


def moment(view: GuestView) -> datetime:
    """That a copy is of which is not the newest: until then it was. Now, if nobody knows."""
    at = view.in_sync_at
    return datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)


def older(shown: Snapshot, view: GuestView) -> str:
    """What to say of this machine's copy if it is not the newest, or may not be."""
    if _is_newest(shown, view):
        return ""
    at = view.in_sync_at
    same = "nobody knows when" if at is None else since(at, shown.wall)
    if is_part(view):
        return (
            f"This is what the copy on {shown.me} was before it began to be written over. What was"
            f" written on {shown.peer} since both were last seen the same ({same}) is missing."
        )
    return (
        f"This is the copy on {shown.me}, which is not the newest, or may not be: what was written"
        f" on {shown.peer} since both were last seen the same ({same}) may be missing in it."
    )


def differs(view: GuestView) -> int:
    """KiB that are not as on the other machine, as a verification has found; 0: it found none, or
    what differs was never written by the guest.
    """
    known = view.verification
    return 0 if known.copied_from or known.is_first else known.differs


def _write(
    job: Job,
    folder: Path,
    found: Config,
    copy: Copy,
    at: datetime,
    sysfs: Path,
    line: Line,
    *,
    is_older: bool,
) -> dict[str, object]:
    """AT is the moment that it is of."""
    began, size = time.monotonic(), 0

    def progress(share: float) -> None:
        if not job.is_shown:
            return
        seconds = max(time.monotonic() - began, 0.001)
        line.shows("Reading", share, f", {share * size / seconds / 1e6:.1f} MB/s")

    is_whole = job.is_full or job.is_plain or is_older  # what is newer is no base of what is older
    base = None if is_whole else _base(job.guest, folder, at)
    with contextlib.ExitStack() as stack:
        below = stack.enter_context(Backup(base)) if base is not None else None
        disks = [*_sources(job.guest, found, copy, sysfs, stack)]
        size = sum(disk.size for disk in disks)
        if below is not None and below.head.block < fitting_block([d.size for d in disks]):
            base = below = None  # the disk has grown so large that its blocks are too small
        text = definition(found, job.guest, disks)
        if job.is_plain:
            path = plain.write(folder, job.guest, at, text, disks, progress)
            stored = size
        else:
            path, written = writing.write_file(folder, job.guest, at, text, disks, below, progress)
            stored = written.length
    return {
        "guest": job.guest,
        "file": str(path),
        "base": base.name if base is not None else None,
        "disk_bytes": size,
        "file_bytes": stored,
        "seconds": round(time.monotonic() - began, 1),
    }


def _sources(
    guest: str, found: Config, copy: Copy, sysfs: Path, stack: contextlib.ExitStack
) -> Iterator[Source]:
    """All of its disks, as they are in one moment."""
    [(_, device)] = found.guests[guest].disks
    size = disk_size(device, sysfs)
    if size is None:
        raise OperatorError(
            f"DRBD does not have {guest}'s disk now, so its size is not known. Nothing was done.",
            "`shoestring status` says what is wrong with it.",
        )
    parts = found.guests[guest].cut(size)
    path = stack.enter_context(copy)
    for part in parts:
        yield stack.enter_context(source(part.disk, path, part.size, part.start))


def definition(found: Config, guest: str, disks: list[Source]) -> str:
    """What is set about GUEST, as YAML text for whoever restores it."""
    one = found.guests[guest]
    return yaml.safe_dump(
        {
            "name": guest,
            "mac": one.mac,
            **({"address": str(one.address)} if one.address is not None else {}),
            "memory": one.memory,
            "vcpus": one.vcpus,
            "type": one.kind.value,
            "place": one.place,
            "pause": one.pause,
            "disks": {disk.name: disk.size for disk in disks},
        },
        sort_keys=False,
    )


def _base(guest: str, folder: Path, at: datetime) -> Path | None:
    """The newest backup in FOLDER that another one, made AT that moment, can build on."""
    ours = _ours(guest, folder)
    past = [one for one in ours if one.name.at <= at]  # a clock may have been ahead
    if not past:
        return None
    newest = max(past, key=lambda one: (one.name.at, one.file))
    depth, by_id = 0, {one.id: one for one in ours}
    one: Point | None = newest
    while one is not None and one.base is not None:
        depth, one = depth + 1, by_id.get(one.base)
    is_whole = one is not None  # down to a full one
    return folder / newest.file if is_whole and depth < DEEPEST else None


def _ours(guest: str, folder: Path) -> list[Point]:
    """The backups of GUEST in FOLDER, but for plain ones."""
    points, _ = catalogue.survey(folder)
    return [one for one in points if one.name.guest == guest and one.file != one.id]


def _thin_out(job: Job, folder: Path, at: datetime) -> tuple[list[str], list[str]]:
    """Removes what the policy does not keep, now that a newer one is there, which is of AT. The
    names of what went, and what did not let itself be removed, with the reason.
    """
    if job.policy is None:
        return [], []
    gone, stay = [], []
    for one in expendable(_ours(job.guest, folder), job.policy, at):
        try:
            (folder / one.file).unlink()
        except OSError as error:
            # What it builds on comes after it, and stays as well.
            stay.append(f"{one.file} ({error.strerror})")
            break
        gone.append(one.file)
    return gone, stay


def sentences(told: dict[str, object]) -> list[str]:
    size, stored, seconds = told["disk_bytes"], told["file_bytes"], told["seconds"]
    assert isinstance(size, int) and isinstance(stored, int) and isinstance(seconds, float)
    since = f", with what changed since {told['base']}" if told["base"] else ""
    lines = [
        f"{told['file']}: {told['guest']} with {size >> 20} MiB of disk in"
        f" {stored / (1 << 20):.1f} MiB{since}; {seconds:.0f} s,"
        f" {size / max(seconds, 0.1) / 1e6:.1f} MB/s.",
    ]
    removed = told["removed"]
    if isinstance(removed, list) and removed:
        lines.append(f"Removed, for they are not kept any more: {', '.join(removed)}.")
    stay = told["stay"]
    if isinstance(stay, list) and stay:
        lines.append(
            f"It is not kept any more, and cannot be removed: {', '.join(stay)}. Others may be left"
            " with it, and the disk fills up: look who may remove files there."
        )
    lines += [doubt(str(told["guest"]))] if told["differs"] else []
    return lines + ([str(told["older"])] if told["older"] else [])


def doubt(guest: str) -> str:
    """For whoever has read one of two copies that differ."""
    return (
        f"The two copies of {guest} differ ({Alarm.COPIES_DIFFER}), and nobody knows which is"
        " right. Make one on the other machine too (--here, if it runs there), into another folder."
    )


def policy_of(arguments: argparse.Namespace) -> Policy | None:
    """Raises OperatorError."""
    numbers = (arguments.keep, arguments.daily, arguments.weekly, arguments.monthly)
    if all(number is None for number in numbers):
        return None
    return Policy(*(number or 0 for number in numbers))


# What is done with a file, on any machine.


def show(arguments: argparse.Namespace, places: Places) -> Exit:
    with finding.meant(arguments.file, share.of(arguments, places)) as path, Backup(path) as backup:
        told = showing.summary(backup)
    if arguments.json:
        give(told)
    else:
        print("\n".join(showing.lines(told)))
    return Exit.PROTECTED


def verify(arguments: argparse.Namespace, places: Places) -> Exit:
    line = Line()
    with (
        finding.meant(arguments.file, share.of(arguments, places)) as path,
        chain.opened(path) as found,
        line.watched("Nothing is known of it.", "Say it again."),
    ):
        restores.verify(found, lambda share: line.shows("Checking", share))
        names = ", ".join(title(backup.path) for backup in found.backups)
    tell(f"Every byte was read, and every sum is right: {names}.")
    return Exit.PROTECTED


def unpack(arguments: argparse.Namespace, places: Places) -> Exit:
    """Raw disks, and the definition beside them, for whoever has nothing of ours."""
    folder = Path(arguments.folder)
    if not folder.is_dir():
        raise OperatorError(
            f"There is no folder {title(folder)}. Nothing was written.", "Make it first: mkdir."
        )
    line = Line()
    with (
        finding.meant(arguments.file, share.of(arguments, places)) as path,
        chain.opened(path) as found,
    ):
        guest = checked(found.head.guest)
        targets = {disk.name: folder / f"{guest}-{disk.name}.raw" for disk in found.head.disks}
        text = folder / f"{guest}.yaml"
        there = [path for path in (*targets.values(), text) if path.exists()]
        if there:
            raise OperatorError(
                f"{title(there[0])} is there already. Nothing was written.",
                "Name another folder, or move it away.",
            )
        with line.watched("It was not unpacked.", "A disk that is there is whole."):
            done = restores.restore(
                found, targets, lambda share: line.shows("Unpacking", share), is_read_back=True
            )
        text.write_text(found.head.definition)
    tell(
        f"{', '.join(path.name for path in targets.values())} and {text.name} are in"
        f" {title(folder)}; {done.read_back >> 20} MiB were read back."
    )
    return Exit.PROTECTED
