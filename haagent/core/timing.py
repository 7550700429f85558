# SPDX-License-Identifier: MIT
"""Every timer of the pair, and the inequalities that make them safe.

All values are seconds of monotonic time. Nothing else in the code base may name a duration that a
takeover depends on.
"""

from dataclasses import dataclass, fields, replace

KO_COUNT = 7  # of DRBD 8.4, linux/drbd_limits.h; our configuration says nothing else


class TimingError(ValueError):
    """The figures would let two machines write at once, or never let one take over."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One node's timers. The defaults are those of real hardware.

    An emulated machine is slow: `scaled` stretches all of them by one factor, and the inequalities
    survive it.
    """

    keepalive: float = 0.5  # between two heartbeats on one path
    dead: float = 5.0  # a path is down after this much silence
    stall: float = 2.0  # a loop turn longer than this breaks the chain of evidence
    referee: float = 2.0  # the referee is lost after this much silence, at least four probes
    gasp: float = 2.5  # a holder gives the peer this long to say its last word
    forfeit: float = 2.0  # disconnect, outdate, read back
    self_fence: float = 8.0  # an unconfirmed holder stops feeding its watchdog after this
    watchdog: float = 5.0  # an unfed machine resets after this
    feed: float = 1.0  # between two feeds
    save: float = 3.0  # a stick that takes longer to write the state down is given up
    resume: float = 7.0  # a holder may go on alone after this, on fresh evidence
    margin: float = 2.0  # clock drift and scheduling
    take: float = 16.0  # a survivor may take over after this much silence
    trial: float = 120.0  # new addresses on the LAN that are not proven by then are given up
    pulse: float = 2.0  # between two reads of a data disk
    crashes: float = 600.0  # crashes of a guest within so long are counted together
    disk: float = 10.0  # a data disk that owes the answer to one read for this long hangs
    drbd_ping: float = 1.0  # DRBD's ping-int
    drbd_timeout: float = 2.0  # DRBD's timeout and ping-timeout: for an answer of the peer

    def __post_init__(self) -> None:
        """Raises TimingError for the first inequality that does not hold."""
        rules = (
            (self.dead > 4 * self.keepalive, "dead > 4 keepalives: one lost packet is not silence"),
            (
                self.drbd_notices < self.dead,
                "drbd_notices < dead: DRBD notices a lost peer before heartbeat does",
            ),
            (
                self.self_fence > self.dead,
                "self_fence > dead: a holder hears of the loss before it gives up",
            ),
            (
                self.resume > self.stall + self.referee + self.forfeit,
                "resume > stall + referee + forfeit: a peer without referee has forfeited by then",
            ),
            (
                self.gasp < self.resume,
                "gasp < resume: the last word is heard before the holder goes on alone",
            ),
            (self.feed < self.watchdog, "feed < watchdog: a healthy holder is never reset"),
            (
                self.keepalive + self.save + self.feed < self.watchdog,
                "keepalive + save + feed < watchdog: a stick that hangs starves no watchdog",
            ),
            (
                self.take >= self.self_fence + self.watchdog + self.feed + self.margin,
                "take >= self_fence + watchdog + feed + margin: a lost holder is off by then",
            ),
            (
                self.hung_is_off < self.drbd_expels + self.self_fence,
                "hung_is_off < drbd_expels + self_fence: a holder that waits for the hanging disk "
                "of its peer is rid of that machine in time to go on",
            ),
        )
        for holds, rule in rules:
            if not holds:
                raise TimingError(rule)

    @property
    def drbd_notices(self) -> float:
        """How long DRBD may take to notice a silent peer.

        It waits for ping-int, and once more if anything came meanwhile; then it asks, and waits for
        ping-timeout (drbd_ack_receiver in drivers/block/drbd/drbd_receiver.c of Linux 6.12).
        """
        return 2 * self.drbd_ping + self.drbd_timeout

    @property
    def drbd_expels(self) -> float:
        """A peer that owes an answer to a write for this long is hung up on: ko-count times
        timeout, drbd.conf(5). Its writes are frozen then.
        """
        return KO_COUNT * self.drbd_timeout

    @property
    def hung_is_off(self) -> float:
        """A machine whose disk hangs is off after this, if it gives up because of it."""
        return self.pulse + self.disk + self.keepalive + self.watchdog + self.feed

    def scaled(self, factor: float) -> "Timing":
        """The same timers, FACTOR times as long. Raises TimingError below 1: the real figures are
        the floor.
        """
        if not factor >= 1:
            raise TimingError(f"a time scale of {factor} would shorten the timers")
        return replace(self, **{f.name: getattr(self, f.name) * factor for f in fields(self)})
