# SPDX-License-Identifier: MIT
"""`shoestring update` on a pair: first the machine without guests, then this one.

It is led from where the guests are, which move before it restarts. Nothing is taken for done
because it was asked for: that the other machine runs the release, does well with it and could take
the guests is what the agents and its stick say. It can be said again at any time; what is done
already is left out.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from haagent import config, handover
from haagent.asking import tell
from haagent.client import AgentSilent
from haagent.command import Exit, Interrupted, Places
from haagent.console import prospects
from haagent.console.snapshot import NodeView, Snapshot
from haagent.errors import OperatorError, PeerError
from haagent.progress import Line
from haagent.update import act, hindrances, machine, slots, source
from haagent.update.machine import Ground
from haagent.update.manifest import BadUpdate, Manifest
from haagent.update.medium import standing
from haagent.update.release import Release
from haagent.update.slots import Standing
from haagent.update.visit import Peer, Refused, peer_of
from haagent.update.well import Clock

LOOK = 2.0  # seconds, stretched by the time scale, between two looks at the other machine
BACK = 1800.0  # the same: three starts that come to nothing, one that does, and a resync
AGAIN = "Say `shoestring update` again: what is done already is left out."


@dataclass(frozen=True, slots=True)
class Plan:
    """What is still to be done, here and on the peer."""

    manifest: Manifest
    here: Standing
    runs_here: Release
    runs_there: str
    shown: Snapshot

    @property
    def is_due_here(self) -> bool:
        return self.runs_here != self.manifest.release

    @property
    def is_due_there(self) -> bool:
        return self.runs_there != str(self.manifest.release)


def update(
    arguments: argparse.Namespace,
    places: Places,
    ground: Ground,
    meet: Callable[[Places], Peer] = peer_of,
    clock: Clock | None = None,
) -> Exit:
    """Ends with this machine's restart. Raises ShoestringError."""
    shown = _shown(places, ground)
    peer = meet(places)
    key = act.signers_key(ground)
    line = Line()
    with source.found(arguments.source, places.run, ground.fetched, line.shows) as path:
        manifest = act.examine(path, key, line.shows)
        line.ends()
        plan = _plan(manifest, peer, places, ground, is_older_wanted=arguments.older)
        tell(*prospect(plan))
        if arguments.source is None:
            tell(f"Leave the USB stick with the update in until {plan.shown.me} restarts.")
        handover.agree(arguments)
        _shown(places, ground)  # the world may have moved while the person was reading
        if plan.is_due_there:
            _update_there(plan, peer, path, line, is_older_wanted=arguments.older)
        await_well(plan, peer, places, clock or Clock())
        if not plan.is_due_here:
            tell(f"Both machines run {manifest.release}.")
            return Exit.PROTECTED
        _shown(places, ground)
        try:
            goes_on = f"{act.GOES_ON} {shown.peer} runs {manifest.release}. {AGAIN}"
            with line.watched(act.INTERRUPTED, goes_on):
                act.put_in(path, key, manifest, places, ground, line.shows)
        except BadUpdate as error:
            line.ends()
            raise OperatorError(
                f"{shown.peer} runs {manifest.release}, and {shown.me} does not: {error.message}",
                f"Plug the stick in again, if it was pulled. {AGAIN}",
            ) from error
    tell(f"{manifest.release} is on the stick of {shown.me}, too.")
    return handover.go_down(_shown(places, ground), places, "reboot")


def prospect(plan: Plan) -> list[str]:
    """What would happen, for the person who is asked."""
    new, me, peer = plan.manifest.release, plan.shown.me, plan.shown.peer
    names = " and ".join(guest.name for guest in prospects.here(plan.shown))
    lines = []
    if plan.manifest.release < plan.runs_here:
        lines.append(f"{new} is OLDER than {plan.runs_here}.")
    if plan.is_due_there:
        lines.append(
            f"First {peer} gets {new}, and restarts with it. Until it is back, nothing protects"
            f" {names or 'anything'}; {me} is not touched before {peer} does well."
        )
    if plan.is_due_here:
        target = slots.other(plan.here.running)
        lost = f" {plan.here.release(target)} is lost there." if target in plan.here.slots else ""
        lines.append(f"Then {new} is installed into slot {target} of {me}.{lost}")
        lines += prospects.of_going_down(plan.shown, is_back_soon=True)
    return lines


def _shown(places: Places, ground: Ground) -> Snapshot:
    """The pair, if an update may go on now. Raises OperatorError."""
    shown = machine.snapshot(places)
    if shown is None:
        raise OperatorError(
            "The agent does not answer, so nobody knows how the pair is. Nothing was changed.",
            "`systemctl status haagent` says why. `shoestring update --here` updates this machine"
            " alone, if no guest runs here.",
        )
    act.refuse([*machine.half_done(ground), *hindrances.of_leader(shown)])
    return shown


def _plan(
    manifest: Manifest, peer: Peer, places: Places, ground: Ground, *, is_older_wanted: bool
) -> Plan:
    with ground.medium() as medium:
        here = standing(medium, places.cmdline.read_text())
    act.refuse(list(hindrances.of_trial(here, machine.current(here))))
    shown = _shown(places, ground)
    try:
        told = peer.standing()
    except PeerError as error:
        raise OperatorError(
            f"{shown.peer} cannot be asked over the crossover cable: {error}. Nothing was changed.",
            "Say it again in a minute. `shoestring update --here`, said on the machine without"
            " guests, updates that one alone.",
        ) from error
    plan = Plan(manifest, here, machine.current(here), told.runs, shown)
    if plan.is_due_here:
        act.fits(manifest, places, ground, is_older_wanted=is_older_wanted)
    elif not plan.is_due_there:
        raise OperatorError(
            f"Both machines run {manifest.release} already.", "There is nothing to do."
        )
    return plan


def _update_there(plan: Plan, peer: Peer, path: Path, line: Line, *, is_older_wanted: bool) -> None:
    me, there = plan.shown.me, plan.shown.peer
    try:
        goes_on = f"Neither machine runs anything else than before. {AGAIN}"
        with line.watched(act.INTERRUPTED, goes_on):
            peer.install(path, line.shows, is_older_wanted=is_older_wanted)
    except Refused:
        line.ends()
        raise
    except BadUpdate as error:
        line.ends()
        raise OperatorError(
            f"The update did not get to {there}: {error.message}",
            f"Nothing was changed on {me}, and {there} still starts. {AGAIN}",
        ) from error
    except PeerError as error:
        line.ends()
        raise OperatorError(
            f"{there} was lost on the way: {error}.",
            f"Nothing was changed on {me}, and {there} still starts. {AGAIN}",
        ) from error
    tell(f"{plan.manifest.release} is on the stick of {there}, which restarts.")


def await_well(plan: Plan, peer: Peer, places: Places, clock: Clock) -> None:
    """Returns when the peer runs the release, does well with it, and could take every guest.

    Raises OperatorError if it gave the release up, or does not get there in time.
    """
    scale = config.time_scale(places.cmdline)
    said, end = "", clock.now() + BACK * scale
    there = plan.shown.peer
    try:
        while (missing := _missing(plan, peer, places)) is not None:
            if missing != said:
                print(f"{missing} ...", flush=True)
            said = missing
            if clock.now() >= end:
                raise OperatorError(
                    f"{there} did not get well in time: {missing}. {plan.shown.me} was not"
                    " touched.",
                    f"Look at the screen of {there}. {AGAIN}",
                )
            clock.sleep(LOOK * scale)  # it is the peer's start that is waited for
    except KeyboardInterrupt:
        print()
        raise Interrupted(
            f"{there} goes on by itself; {plan.shown.me} was not touched.", AGAIN
        ) from None


def _missing(plan: Plan, peer: Peer, places: Places) -> str | None:
    """What is waited for; None if it is all there. Raises OperatorError if it does not come."""
    there, new = plan.shown.peer, str(plan.manifest.release)
    try:
        told = peer.standing()
    except (PeerError, Refused):
        return f"{there} restarts"
    if told.fallen == new:
        raise OperatorError(
            f"{new} did not start on {there}, or did not do well: {there} runs {told.runs} again."
            f" {plan.shown.me} was not touched.",
            f"The screen of {there} tells what to do. What runs on {plan.shown.me} goes on.",
        )
    if told.runs != new:
        return f"{there} restarts"
    shown = machine.snapshot(places)
    if shown is None:
        raise AgentSilent("it went away")
    node = _peer_node(shown)
    if not node.is_heard or node.release != new:
        return f"{there} is up with {new}, and its agent is waited for"
    for guest in prospects.here(shown):
        if not guest.is_in_sync:
            return f"The copy of {guest.name} on {there} is brought up to date"
    if told.is_on_trial:
        return f"{there} is watched for a while: whether it does well with {new}"
    for guest in prospects.here(shown):
        if guest.blocker is not None:
            return f"{guest.name} cannot move yet: {guest.blocker}"
    return None


def _peer_node(shown: Snapshot) -> NodeView:
    return next(node for node in shown.nodes if not node.is_me)
