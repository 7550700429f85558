# SPDX-License-Identifier: MIT
"""The machine that the agent runs on: its adapters, the threads that listen, and who acts.

It holds no policy: whatever an adapter hears is put into the loop's queue as an event, and what was
decided is carried out.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path as File

from haagent import config as settings
from haagent import journal, lan, predecessor
from haagent.backup import news as backups
from haagent.cluster.datagrams import Datagrams, Way
from haagent.cluster.heartbeat import Heartbeat, HeartbeatLost
from haagent.cluster.revival import Revival
from haagent.cluster.speech import Speech
from haagent.config import Config
from haagent.console.snapshot import to_dict
from haagent.console.surroundings import Surroundings
from haagent.console.survey import snapshot
from haagent.control import SOCKET, Server
from haagent.core import actions, events, feeding, lacking
from haagent.core.events import Event
from haagent.core.model import Durable, FenceAnswer, Hello, NodeState, Path, Resource
from haagent.core.wish import Ended
from haagent.errors import ToolError
from haagent.fencing.watchdog import Watchdog, WatchdogError
from haagent.guests.definition import Guest
from haagent.guests.xen import Xen
from haagent.hands import GRACE, GuestAction, Hands
from haagent.keeping import Keeper
from haagent.last_in_sync import LOOK, LastInSync
from haagent.lookout import PROC_DRBD, Lookout
from haagent.measures import Measures
from haagent.network.announce import announce
from haagent.network.probes import PeerProbe, RefereeProbe
from haagent.network.stray import StrayCard
from haagent.run import run
from haagent.state import FOLDER, StateFile
from haagent.storage import spare
from haagent.storage.drbd import Drbd
from haagent.storage.findings import Book
from haagent.storage.kept import Kept
from haagent.storage.pulse import Pulse
from haagent.storage.reconnection import Reconnection
from haagent.storage.verification import Verification
from haagent.update import news
from haagent.update.news import News

FAILED_UNITS = ("systemctl", "list-units", "--failed", "--plain", "--no-legend")
RELINQUISH = ("journalctl", "--relinquish-var")
LOOK_AT_UNITS = 10.0  # seconds between two looks; only the screen depends on it
STRANGE_DISK = File("/run/shoestring/strange-disk")  # left by drbd-up of the image
SYSRQ = File("/proc/sysrq-trigger")

log = logging.getLogger(__name__)


def ways(config: Config) -> dict[Path, Way]:
    """The two ways to the peer, in the order in which a hello is sent over them.

    Who dies between the two must have said its last word on the LAN: one on the crossover alone
    would leave the LAN's proof too old for a takeover.
    """
    return {
        path: Way(way.interface, way.address, way.peer_address)
        for path, way in ((Path.LAN, config.lan), (Path.CROSSOVER, config.crossover))
    }


class Machine:
    """The real outside: sockets, heartbeat, DRBD, Xen, the watchdog, the state on disk."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.key = settings.read_key(config.key_file)
        replaced_keys = settings.read_replaced_keys(config.replaced_file, self.key)
        self.state_file = StateFile(FOLDER)
        self.keeper = Keeper(self.state_file, config.pair.timing.save)
        self.drbd = Drbd(limit=30.0 * config.pair.scale)
        self.xen = Xen(config.guests, limit=60.0 * config.pair.scale)
        self.watchdog = Watchdog()
        self.datagrams = Datagrams(ways(config))
        self.heartbeat = Heartbeat()
        self.revival = Revival(self.heartbeat, silence=4 * config.pair.timing.dead)
        self.speech = Speech(config.pair, self.key, replaced_keys, self.datagrams, self.heartbeat)
        self.referee = RefereeProbe(
            config.referees, config.bridge, [guest.mac for guest in config.guests.values()]
        )
        expected = {config.lan.peer_address: config.lan.peer_mac}
        self._guest_at: dict[IPv4Address, str] = {}
        for name, guest in config.guests.items():
            if guest.address is not None:
                expected[guest.address] = guest.mac
                self._guest_at[guest.address] = name
        self.peer = PeerProbe(config.bridge, config.lan.address, expected)
        self.stray = StrayCard(config.crossover.interface, config.lan.peer_mac)
        self.links: dict[str, bool] | None = None
        self.failed_units: tuple[str, ...] = ()
        self.has_strange_disk = False
        self.update: News | None = None
        self.backups: Mapping[str, backups.News] = {}
        self.last_in_sync = LastInSync(FOLDER, config.guests)
        self.lookout = Lookout(config.guests)
        self.kept = Kept()
        self.measures = Measures(config.guests, self.kept, self.xen)
        timing = config.pair.timing
        self.pulse = Pulse(config.guests, timing.disk, timing.pulse)
        devices = {name: guest.minors for name, guest in config.guests.items()}
        self.reconnection = Reconnection(devices, timing.dead, PROC_DRBD)
        self.verification = Verification(devices, Book(FOLDER, config.guests), PROC_DRBD)
        self.addresses = lan.Addresses()
        self._spare: File | None = None  # DRBD's configuration, in memory
        self._is_opened = False  # the watchdog, or it was tried
        self._is_armed = False
        self._is_leaving = False

    def start(self, post: Callable[[Event | BaseException], None]) -> None:
        """Opens everything that listens. POST takes events, and what ends the agent."""
        self._post = post
        try:
            self._spare = spare.copy()
        except OSError as error:
            log.warning("no spare of DRBD's configuration: %s", error)
        if self._spare is not None:
            self.drbd.rely_on(self._spare, spare.is_readable)
        self._hands = Hands(
            self.config.guests,
            self.drbd,
            self.xen,
            self.kept,
            self._announce,
            post,
            patience=90.0 * self.config.pair.scale,
            grace=GRACE * self.config.pair.scale,
        )
        self._server = Server(SOCKET, list(self.config.guests), post, self.verification)
        self._server.start()
        for name, guest in self.config.guests.items():
            self.xen.define(
                Guest(
                    name=name,
                    memory=guest.memory,
                    vcpus=guest.vcpus,
                    disks=guest.disks,
                    mac=guest.mac,
                    bridge=self.config.bridge,
                    kind=guest.kind,
                    slices=guest.slices,
                )
            )
        for adapter in (
            self._watch_drbd,
            self._watch_xen,
            self._hear_datagrams,
            self._hear_heartbeat,
            self._revive_heartbeat,
            self._hear_referee,
            self._hear_peer,
            self._hear_stray,
            self._look_at_units,
            self._keep_last_in_sync,
            self._watch_stick,
            self._measure,
            self._feel_pulse,
            self._end_resyncs,
            self._verify,
        ):
            threading.Thread(
                target=_guarded(adapter, post), name=adapter.__name__, daemon=True
            ).start()
        self.lookout.start()

    def arm(self) -> bool:
        """Opens the watchdog, before the first guest may start. That feeds it."""
        self._is_opened = True
        try:
            self.watchdog.open(self.config.pair.timing.watchdog)
        except WatchdogError as error:
            log.error("%s %s", error, error.hint)
            return False
        log.info("watchdog: %s", ", ".join(self.watchdog.identities))
        self._is_armed = True
        return True

    def save(self, durable: Durable) -> None:
        self.keeper.save(durable)

    def send(self, hello: Hello, formats: tuple[int, ...]) -> None:
        self.speech.say(hello, formats)

    def tell_replaced(self, hello: Hello) -> None:
        self.speech.tell_replaced(hello)

    def probe_referee(self) -> None:
        self.referee.send()

    def probe_peer(self) -> None:
        self.peer.send()

    def feed(self) -> None:
        if not self._is_opened and not self._is_leaving:  # it was not to be fed when we started
            self._post(events.WatchdogArmed(time.monotonic(), self.arm()))
        elif self._is_armed:
            self.watchdog.feed()

    def do(self, action: GuestAction) -> None:
        self._hands.do(action)

    def answer_fence(self, guest: str, answer: FenceAnswer) -> None:
        self._server.answer_fence(guest, answer)

    def answer_operator(self, guest: str, refusal: str | None) -> None:
        self._server.answer_operator(guest, refusal)

    def take_up_lan(self, order: actions.LanOrder) -> None:
        self.addresses.take_up(order, self._post)

    def reset(self, is_overdue: bool) -> None:
        log.critical("resetting this machine")
        try:
            if not is_overdue:
                journal.sync(journal.LAST_WORDS)
        finally:
            SYSRQ.write_text("b")  # sysrq.rst: reboots at once, without syncing

    def finish_leaving(self) -> None:
        if self._is_leaving:
            return
        self._is_leaving = True
        if self._is_armed:
            # A shutdown may take longer than the watchdog waits, and nothing of ours runs any more.
            self._is_armed = False
            self.watchdog.disarm()
        self._hands.down(self._server.finish_leaving)

    def decided(self, reasons: tuple[str, ...]) -> None:
        self.lookout.decided(reasons)

    def publish(self, state: NodeState) -> None:
        predecessor.leave(feeding.left_by(state), state.boot)
        for guest, mine in state.guests.items():
            if mine.is_in_sync:
                self.last_in_sync.seen(guest)
        self.lookout.seen(state)
        self.measures.seen(state)
        self.pulse.seen(state)
        self.reconnection.seen(state)
        self.verification.seen(state)
        self.revival.seen(state)
        self.stray.follow()
        around = Surroundings(
            heartbeat=None if self.revival.is_hanging else self.links,
            is_heartbeat_deaf=self.revival.is_deaf,
            failed_units=self.failed_units,
            wall=time.time(),
            in_sync_at=self.last_in_sync.moments,
            addresses=self.lookout.addresses,
            outlooks=self.lookout.outlooks,
            resyncs=self.lookout.resyncs,
            hanging_resyncs=self.reconnection.hanging,
            verified=self.verification.verified,
            update=self.update,
            backups=self.backups,
            lately=self.lookout.lately,
            has_strange_disk=self.has_strange_disk,
            misunderstood_at=self.speech.misunderstood_at,
            crossed_at=self.stray.heard_at,
            strangers=self.speech.strangers,
        )
        self._server.publish(to_dict(snapshot(state, lacking.sentences, around)))

    def _announce(self, guest: str) -> None:
        announce(self.config.bridge, self.config.guests[guest].mac)

    def _watch_drbd(self, post: Callable[[Event], None]) -> None:
        def seen(guest: str, resource: Resource) -> None:
            if guest in self.config.guests:
                post(events.ResourceChanged(time.monotonic(), guest, resource))

        # A disk that is dead, or late, brings up no mirror. What waits here for one must know that
        # there is none: else nobody is ever agreed to, and the peer's copy may be the only one.
        self.drbd.watch(seen, self.config.guests, self.verification.changed)

    def _watch_xen(self, post: Callable[[Event], None]) -> None:
        def seen(domains: Mapping[str, Ended | None]) -> None:
            for guest in self.config.guests:
                ended = domains.get(guest)
                post(events.DomainSeen(time.monotonic(), guest, guest in domains, ended))

        self.xen.watch(seen)

    def _hear_datagrams(self, post: Callable[[Event], None]) -> None:
        self.datagrams.receive(
            partial(self.speech.hear_datagram, post), partial(self.speech.hear_stranger, post)
        )

    def _hear_heartbeat(self, post: Callable[[Event], None]) -> None:
        while True:
            try:
                self.heartbeat.sign_on()
                me = self.config.pair.names[self.config.pair.me]
                peer = self.config.pair.names[1 - self.config.pair.me]
                links = {link: up == "up" for link, up in self.heartbeat.links(peer).items()}
                self.links = links
                log.info("heartbeat: signed on as %s, links to %s: %s", me, peer, links)
                self.heartbeat.receive(
                    lambda node, data: self.speech.hear(post, Path.HEARTBEAT, data),
                    lambda node, status: log.info("heartbeat: %s is %s", node, status),
                    self._link_changed,
                )
                return
            except HeartbeatLost as error:
                if self.links is not None:
                    log.warning("%s", error)
                self.links = None
                time.sleep(1.0)  # there is no event to wait for: heartbeat is not there

    def _revive_heartbeat(self, post: Callable[[Event], None]) -> None:
        self.revival.watch()

    def _link_changed(self, node: str, link: str, status: str) -> None:
        if node == self.config.pair.names[1 - self.config.pair.me]:
            log.info("heartbeat: link %s to %s is %s", link, node, status)
            self.links = {**(self.links or {}), link: status == "up"}

    def _hear_referee(self, post: Callable[[Event], None]) -> None:
        self.referee.receive(lambda sent: post(events.RefereeAnswered(time.monotonic(), sent)))

    def _hear_peer(self, post: Callable[[Event], None]) -> None:
        def hear(address: IPv4Address) -> None:
            post(events.ProbeAnswered(time.monotonic(), self._guest_at.get(address, "")))

        self.peer.receive(hear)

    def _hear_stray(self, post: Callable[[Event], None]) -> None:
        self.stray.receive()

    def _look_at_units(self, post: Callable[[Event], None]) -> None:
        while True:
            try:
                listing = run(FAILED_UNITS, timeout=60)
            except ToolError as error:
                log.warning("%s", error)
            else:
                lines = filter(None, map(str.split, listing.splitlines()))
                self.failed_units = tuple(line[0] for line in lines)
            self.has_strange_disk = STRANGE_DISK.exists()
            self.update = news.read()
            self.backups = backups.read()
            time.sleep(LOOK_AT_UNITS)  # systemd's own events need D-Bus; the screen can wait

    def _watch_stick(self, post: Callable[[Event], None]) -> None:
        self.keeper.watch(post)
        if self._spare is not None:
            self.drbd.rely_on(self._spare)  # without another look at a stick that may hang
        try:
            # journalctl(1): what is logged from now on is kept in memory.
            run(RELINQUISH, timeout=60)
        except ToolError as error:
            log.warning("the journal still goes to the stick: %s", error)

    def _keep_last_in_sync(self, post: Callable[[Event], None]) -> None:
        while not self.keeper.lost_because:
            try:
                self.last_in_sync.keep()
            except OSError as error:
                log.warning("cannot note when the copies were last the same: %s", error)
            time.sleep(LOOK)

    def _measure(self, post: Callable[[Event], None]) -> None:
        self.measures.watch(post)

    def _feel_pulse(self, post: Callable[[Event], None]) -> None:
        self.pulse.watch(post)

    def _end_resyncs(self, post: Callable[[Event], None]) -> None:
        self.reconnection.watch(self._hands.reconnect)

    def _verify(self, post: Callable[[Event], None]) -> None:
        self.verification.watch(self._hands.verify)


def _guarded(
    adapter: Callable[[Callable[[Event], None]], None],
    post: Callable[[Event | BaseException], None],
) -> Callable[[], None]:
    """An adapter that cannot go on ends the agent: a blind agent must not decide."""

    def run() -> None:
        try:
            adapter(post)
        except Exception as error:
            post(error)

    return run
