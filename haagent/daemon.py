# SPDX-License-Identifier: MIT
"""The agent as a program: what it starts with, and how it ends.

A bug ends the agent at once: it decides nothing on ground that it does not understand. systemd
starts it again, it takes up what it held; if that happens too often it stays down, and the
watchdog, unfed, ends this boot.
"""

import logging
import os
import threading
import time
from collections.abc import Collection
from dataclasses import replace

from haagent import __version__, journal, lan, predecessor
from haagent import config as settings
from haagent.boot import boot_id
from haagent.clocks import Clocks
from haagent.cluster.wire import FORMATS
from haagent.core import events, feeding
from haagent.core.decide import first_state
from haagent.core.model import Durable, Pair
from haagent.errors import BugError, ShoestringError
from haagent.loop import Loop
from haagent.machine import Machine

log = logging.getLogger(__name__)


def main() -> None:
    """Runs the agent until something ends it. Raises ShoestringError."""
    journal.start()
    config, lan_files = lan.settings_now()
    machine = Machine(config)
    durable = machine.keeper.load(config.guests, config.removed)
    for warning in machine.state_file.warnings:
        log.warning("%s", warning)
    boot = boot_id()
    # An adapter's thread that dies of a bug leaves us blind: it ends the agent like any other bug.
    threading.excepthook = lambda lost: loop.events.put(
        lost.exc_value or BugError(f"{lost.thread}")
    )
    pair = as_we_run_it(config.pair, machine.key)
    now = time.monotonic()
    kept = forget(durable, config.removed) if durable else None
    first = first_state(pair, boot, kept, now, lan_files, predecessor.read(boot, now))
    loop = Loop(first, machine)
    if feeding.may_open(first):
        loop.events.put(events.WatchdogArmed(time.monotonic(), machine.arm()))
    machine.start(loop.events.put)
    if lost := machine.keeper.lost_because:
        loop.events.put(events.StateLost(time.monotonic(), lost))
    elif durable is not None and durable != first.durable:
        machine.save(first.durable)  # what another peer makes of it, and without who is gone
    try:
        loop.run(Clocks(config.pair.timing.stall))
    except ShoestringError:
        raise
    except Exception:
        log.critical("a bug: the agent stops deciding", exc_info=True)
        journal.flush()
        os._exit(70)  # sysexits.h EX_SOFTWARE; no thread of ours may act any more


def forget(durable: Durable, removed: Collection[str]) -> Durable:
    """safety: both machines have agreed that these guests are gone, and their disks with them. One
    of that name which comes later begins anew.
    """
    kept = {guest: one for guest, one in durable.ledgers.items() if guest not in removed}
    return replace(durable, ledgers=kept)


def as_we_run_it(pair: Pair, key: bytes) -> Pair:
    """PAIR of the settings, with what is known only now: its mark, and what this release speaks."""
    return replace(pair, mark=settings.mark_of(key), release=__version__, formats=FORMATS)
