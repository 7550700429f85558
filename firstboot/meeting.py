# SPDX-License-Identifier: MIT
"""Two machines that were never set up meet: from the first page to an agreement that both keep.

Owns the order of that evening, and nothing else: which cable it is, whether the code was right,
what is asked and what the answers mean is decided by pure modules. Until both machines have kept
the agreement nothing is written to any data disk, and whatever goes wrong leads back to the first
page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Protocol

from firstboot import agreement as agreements
from firstboot import answers as answer_file
from firstboot.agreement import Agreement, Stage, Word
from firstboot.faces import pager
from firstboot.pairing import ceremony, code
from firstboot.pairing.announcement import Party
from firstboot.pairing.ceremony import Asker, Keys, Outputs, Shower
from firstboot.pairing.discovery import (
    EVERY,
    Crossover,
    Discovery,
    Finding,
    Heard,
    Observation,
)
from firstboot.pairing.obstacles import Obstacle, Reason
from firstboot.pairing.session import Session
from firstboot.pairing.stream import Listener, Stream
from firstboot.rendering import File
from haagent.errors import OperatorError, PeerError

OUT = "start over"
LATEST = 3 * EVERY  # seconds that a word may be on its way
MOST_READS = 1000  # nobody who floods the cable holds us up for ever
DETAILS = ("details", "d", "?", "help")
INSTALL = "install"
ALONE = "alone"
AGAIN = "Press Enter for the first page."


class Screens(Protocol):
    """firstboot/terminals.py's."""

    def tell(self, text: str) -> None: ...
    def prompt(self, text: str) -> None: ...
    def read(self, timeout: float | None, *others: int) -> str | int | None: ...
    def hide(self, is_hidden: bool) -> None: ...


class Air(Protocol):
    """firstboot/pairing/radio.py's: all cables at once."""

    def fileno(self) -> int: ...
    def look(self, at: float) -> tuple[Observation, ...]: ...
    def announce(self, me: Party, word: Word, quiet_in: dict[str, int | None]) -> None: ...
    def hear(self, at: float) -> tuple[Observation, ...]: ...


class Cable(Protocol):
    """The one cable that was found, for a conversation. Both raise PeerError."""

    def address(self, card: str) -> IPv6Address: ...
    def mac(self, card: str) -> str: ...
    def call(self, card: str, ours: IPv6Address, peer: IPv6Address) -> Stream: ...
    def listen(self, card: str, ours: IPv6Address, peer: IPv6Address) -> Listener: ...


class News(Protocol):
    """Of disks and cards that come and go."""

    def fileno(self) -> int: ...
    def is_any(self) -> bool:
        """Takes in what came; whether it concerns us. Waits until it is quiet for a moment."""


class Place(Protocol):
    """Where the agreement is kept. firstboot/hands.py's."""

    def read(self, path: str) -> File | None: ...
    def write(self, file: File) -> None: ...
    def remove(self, path: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Met:
    """The other machine, for certain, and the way to talk to it."""

    session: Session
    keys: Keys
    crossover: Crossover
    drives: bool  # whether it is driven from here


class Gone(Exception):
    """The other machine, or the cable, is not there any more; the text is a sentence."""


class InstallWished(Exception):
    """Somebody typed that this machine shall be installed to an internal disk first."""


class AloneWished(Exception):
    """Somebody typed that this machine shall be set up alone."""


WISHES = {INSTALL: InstallWished, ALONE: AloneWished}


class Meeting:
    """This machine's side of it."""

    def __init__(
        self,
        me: Party,
        screens: Screens,
        air: Air,
        cable: Cable,
        place: Place,
        clock: Callable[[], float],
        scale: float = 1.0,
    ) -> None:
        """SCALE stretches what is waited for: emulated machines are slow."""
        self.screens = screens
        self.scale = scale
        self._me = me
        self._air = air
        self._cable = cable
        self._place = place
        self._clock = clock
        self.agreement = agreements.from_file(place.read(agreements.PATH))
        name = self.agreement.name if self.agreement else ""
        self._discovery = Discovery(me, name, scale)
        self._idle = Stage.REPLACING if me.pair else Stage.BLANK
        self._stage = self._idle
        self._next_tick = clock()
        self._believes_blank_from = clock()

    def find(
        self, page: Callable[[], str], news: News, details: Callable[[], str] = str
    ) -> Crossover:
        """The crossover, as soon as there is one. PAGE is shown first, and again when Enter is
        pressed or there is NEWS of the hardware; DETAILS, part by part, for whoever asks.
        """
        self._stage = self._idle
        self.screens.tell(page())
        self._next_tick = self._clock()
        self._tick()  # nobody should read that there are no cards because nobody looked yet
        told: Reason | None = None
        unread: list[str] = []
        while True:
            finding = self._finding()
            if isinstance(finding, Crossover):
                return finding
            if finding.reason is not told and not unread:
                told = finding.reason
                self.screens.tell(f"{finding.sentence}\n{finding.advice}")
            came = self.wait(news.fileno())
            self._heed(came)
            if isinstance(came, str) and came.strip().lower() in DETAILS and not unread:
                unread = pager.parts(f"{details()}\n\n{AGAIN}")
            if unread and isinstance(came, str):
                self.screens.tell(unread.pop(0))
                if unread:
                    self.screens.prompt(pager.MORE)
            elif isinstance(came, str) or (came == news.fileno() and news.is_any()):
                self.screens.tell(page())
                told, unread = None, []

    def pair(self, crossover: Crossover) -> Met:
        """The other machine, once a person has typed the code. Raises Gone or PeerError."""
        self._stage = Stage.PAIRING
        peer = crossover.peer
        self.screens.tell(f"Found the other machine at the end of the cable in {crossover.card}.")
        if peer.party.pair:
            is_half = " and " in peer.party.pair
            self.screens.tell(
                f"It is half of the pair {peer.party.pair} and has lost the other half: this"
                " machine is to take that place. All its guests are copied from there."
                if is_half
                else f"It is {peer.party.pair}, which is alone: this machine is to come beside it."
                " All its guests are copied from there."
            )
        ours = self._cable.address(crossover.card)
        assert peer.address is not None
        if ceremony.shows(self._me, peer.party):
            return self._show(crossover, ours, peer.address)
        return self._ask(crossover, ours, peer.address)

    def keep(self, agreement: Agreement) -> None:
        """From here on this machine is prepared, and says so after every start."""
        self._place.write(agreements.to_file(agreement))
        # safety: the other machine said that it was blank while it was; who reads that only now
        # would forget what the other one is about to commit to.
        for _ in range(MOST_READS):
            if not self._air.hear(self._clock()):
                break
        self._believes_blank_from = self._clock() + LATEST * self.scale
        self.agreement = agreement
        self._discovery = Discovery(self._me, agreement.name, self.scale)

    def commit(self) -> bool:
        """Waits until the other one is prepared, too. False if nothing came of it: then all is
        forgotten, and nothing was written to a data disk.
        """
        assert self.agreement is not None
        self.screens.tell("Waiting for the word of the other machine.")
        while self.agreement is not None and self.agreement.stage is Stage.PREPARED:
            typed = self.wait()
            if typed == OUT:
                self.agreement = None
            elif isinstance(typed, str):
                self.screens.tell(
                    "Both machines must be on, with the cable between them. If the other one will"
                    f" not come back, forget what was agreed by typing: {OUT}\nIts stick has to be"
                    " flashed anew then."
                )
        if self.agreement is None:
            self._place.remove(agreements.PATH)
            self._discovery = Discovery(self._me, scale=self.scale)
            self.screens.tell("What was agreed is forgotten. No data disk was touched.")
            return False
        self._place.write(agreements.to_file(self.agreement))
        return True

    def wait(self, *others: int) -> str | int | None:
        """A typed line, or one of OTHERS that can be read, or None after a second at most.
        Meanwhile the other machine is told of and listened to.
        """
        self._tick()
        left = max(0.0, self._next_tick - self._clock())
        came = self.screens.read(left, self._air.fileno(), *others)
        if came == self._air.fileno() and not isinstance(came, str):
            self._observe(self._air.hear(self._clock()))
            return None
        return came

    def mac(self, card: str) -> str:
        """Of our own CARD."""
        return self._cable.mac(card)

    def assert_there(self, crossover: Crossover) -> None:
        """Raises Gone unless the same machine is still at the end of the same cable."""
        finding = self._finding()
        if isinstance(finding, Obstacle):
            if finding.reason is not Reason.LISTENING:
                raise Gone(finding.sentence)
        elif finding.peer.party != crossover.peer.party:
            raise Gone("The other machine was started anew.")

    def _tick(self) -> None:
        now = self._clock()
        if now < self._next_tick:
            return
        self._next_tick = now + EVERY
        self._observe(self._air.look(now))
        quiet_in = dict(self._discovery.quiet_in(now))
        self._air.announce(self._me, self._word(), quiet_in)

    def _word(self) -> Word:
        if self.agreement is not None:
            return agreements.word(self.agreement, self._me.identity)
        return Word(self._stage)

    def _observe(self, observations: Sequence[Observation]) -> None:
        self._discovery.observe(*observations)
        for one in observations:
            if not isinstance(one, Heard) or self.agreement is None:
                continue
            party, word = one.announcement.party, one.announcement.word
            is_blank = word.stage in (Stage.BLANK, Stage.REPLACING)
            if is_blank and not self._may_believe_blank(one.card):
                continue
            self.agreement = agreements.heard(self.agreement, party.identity, word)

    def _may_believe_blank(self, card: str) -> bool:
        """Whether who says through CARD that nothing was agreed can be the other machine.

        safety: anybody can say so, for a blank machine has no key. Who believed it from the LAN
        would forget what the other one has committed to.
        """
        assert self.agreement is not None
        now = self._clock()
        if now < self._believes_blank_from:
            return False
        ours = answer_file.read(self.agreement.answers).crossover.mac
        return self._discovery.is_quiet(card, ours, now)

    def _heed(self, typed: str | int | None) -> None:
        """Raises what one of WISHES says. Only a blank machine may go another way: one that takes
        a dead one's place has promised nothing yet, but its survivor waits for it.
        """
        wish = WISHES.get(typed.strip().lower()) if isinstance(typed, str) else None
        if wish is not None and not self._me.pair and self.agreement is None:
            raise wish

    def _finding(self) -> Finding:
        return self._discovery.finding(self._clock())

    def _show(self, crossover: Crossover, ours: IPv6Address, theirs: IPv6Address) -> Met:
        listener = self._cable.listen(crossover.card, ours, theirs)
        try:
            return self._serve(crossover, listener)
        finally:
            listener.close()

    def _serve(self, crossover: Crossover, listener: Listener) -> Met:
        shower = Shower(self._me, crossover.peer.party)
        stream: Stream | None = None
        deadline = float("inf")
        self._follow(shower.start(), None)
        while True:
            if stream is None:
                self.assert_there(crossover)  # who talks to us says nothing else meanwhile
            watched = [listener.fileno()] if stream is None else [stream.fileno()]
            came = self.wait(*watched)
            if isinstance(came, str):
                self._heed(came)
                self._follow(shower.press_key(), stream)
            if stream is None:
                if came == listener.fileno() and (stream := listener.accept()) is not None:
                    deadline = self._clock() + ceremony.WITHIN * self.scale
                continue
            try:
                for message in stream.hear():
                    keys = self._follow(shower.receive(message), stream)
                    if keys is not None:
                        return Met(Session(stream, keys), keys, crossover, drives=False)
                if self._clock() > deadline:
                    raise PeerError("it took too long")
            except PeerError:
                self._follow(shower.lost(), None)
                stream.close()
            if stream.is_closed:
                stream = None

    def _ask(self, crossover: Crossover, ours: IPv6Address, theirs: IPv6Address) -> Met:
        asker = Asker(self._me, crossover.peer.party)
        self.screens.tell("It shows a code of six digits. Type it here.")
        self.screens.prompt("code > ")
        while True:
            self.assert_there(crossover)
            typed = self.wait()
            if not isinstance(typed, str):
                continue
            self._heed(typed)
            try:
                keys = None
                if typed.strip() == "?":
                    self.screens.tell(
                        "The other machine of the pair shows the code on its screen. It proves"
                        " that these are the two machines that you mean."
                    )
                elif typed.strip():
                    met = self._try(asker, code.parse(typed), crossover, ours, theirs)
                    if met is not None:
                        return met
            except OperatorError as error:
                self.screens.tell(f"{error} {error.hint}")
            except PeerError:
                keys = self._follow(asker.lost(), None)
                assert keys is None
                self.screens.tell("The other machine does not answer. Type its code again.")
            self.screens.prompt("code > ")

    def _try(
        self,
        asker: Asker,
        typed: str,
        crossover: Crossover,
        ours: IPv6Address,
        theirs: IPv6Address,
    ) -> Met | None:
        """What came of one guess. Raises PeerError."""
        stream = self._cable.call(crossover.card, ours, theirs)
        self._follow(asker.type_code(typed), stream)
        while not stream.is_closed:
            answer = stream.receive(ceremony.WITHIN * self.scale)
            keys = self._follow(asker.receive(answer), stream)
            if keys is not None:
                return Met(Session(stream, keys), keys, crossover, drives=True)
        return None

    def _follow(self, outputs: Outputs, stream: Stream | None) -> Keys | None:
        """Does what the ceremony wants done; the keys, when it has come to its end."""
        found = None
        for output in outputs:
            match output:
                case ceremony.Send(data):
                    if stream is not None:
                        stream.send(data)
                case ceremony.ShowCode(new):
                    self.screens.tell(
                        f"\n    {code.shown(new)}\n\nType this code on the other machine."
                    )
                case ceremony.WantKey():
                    self.screens.tell("Press Enter for a new code.")
                case ceremony.TryEnded(_, sentence, _):
                    self.screens.tell(sentence)
                    if stream is not None:
                        stream.close()
                case ceremony.Paired(keys):
                    self.screens.tell("The code was right: the two machines know each other now.")
                    found = keys
        return found
