# SPDX-License-Identifier: MIT
"""How two machines make sure of each other: one shows a code, a person types it on the other.

Pure: no socket, no clock. Bytes, keys and lost connections come in as calls; what shall be done
about them is returned. Nothing that comes in raises anything.

    asker                                shower
    TRY     context, element      ->     the code is burned, whatever comes after
                                  <-     ANSWER  element
    PROOF   that it has the key   ->     only now does anybody learn whether the code was right
                                  <-     CONFIRM that it has the key, too

One try is one connection: when it has ended, whoever drives this hangs up, and the asker calls
again for the next one. The shower is told when a connection is lost or takes longer than WITHIN.
"""

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum, auto

from firstboot.keys import hkdf
from firstboot.pairing import code as codes
from firstboot.pairing.announcement import Party
from firstboot.pairing.spake import ELEMENT, Exchange
from haagent.errors import PeerError

MOST_WRONG = 5  # tries in a row; then somebody has to come to the machine that shows the code
WITHIN = 15.0  # seconds for one try; nobody is asked anything during it

_VERSION = b"shoestring pairing 1"
_DIGEST = hashlib.sha256().digest_size


class _Kind(IntEnum):
    """The first byte of a message."""

    TRY = 1
    ANSWER = 2
    PROOF = 3
    CONFIRM = 4
    REFUSED = 5


_LENGTHS = {
    _Kind.TRY: _DIGEST + ELEMENT,
    _Kind.ANSWER: ELEMENT,
    _Kind.PROOF: _DIGEST,
    _Kind.CONFIRM: _DIGEST,
    _Kind.REFUSED: 1,
}


class _Refusal(IntEnum):
    """Why the shower refuses; the second byte of REFUSED."""

    WRONG_CODE = 1
    STRANGER = 2  # the two see different machines
    LOCKED = 3  # a key has to be pressed first


class Outcome(StrEnum):
    """How a try ended that came to nothing."""

    WRONG_CODE = "wrong code"
    ABANDONED = "begun and not finished"
    STRANGER = "one machine was started anew"
    LOCKED = "too many wrong codes"
    NONSENSE = "not understood"


@dataclass(frozen=True, slots=True)
class Keys:
    """What both machines have in the end, and nobody else."""

    to_peer: bytes = field(repr=False)  # 32 bytes, for what we say
    from_peer: bytes = field(repr=False)  # 32 bytes, for what the peer says
    secret: str = field(repr=False)  # the pair's, 64 hex characters


@dataclass(frozen=True, slots=True)
class Send:
    """DATA goes to the other machine, as one message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ShowCode:
    """CODE is on our screen from now on, instead of any other."""

    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WantKey:
    """No code is shown until somebody presses a key at this machine."""


@dataclass(frozen=True, slots=True)
class TryEnded:
    """The try is over, hang up. SENTENCE is for our own screen, DETAIL for the journal."""

    outcome: Outcome
    sentence: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Paired:
    """The other machine is the one that the person meant."""

    keys: Keys


Output = Send | ShowCode | WantKey | TryEnded | Paired
Outputs = tuple[Output, ...]


def shows(me: Party, peer: Party) -> bool:
    """Whether ME shows the code; the other one of the two asks for it, and drives.

    Of a machine that serves and a blank one it is the blank one: guests are given to nobody but by
    who sits at the machine that has them.
    """
    if bool(me.pair) != bool(peer.pair):
        return not me.pair
    return (me.identity, me.nonce) < (peer.identity, peer.nonce)


class _State(Enum):
    IDLE = auto()  # no try is under way
    BEGUN = auto()  # one is, and nobody knows yet whether the code was right
    LOCKED = auto()  # the shower waits for a key
    DONE = auto()


class Shower:
    """The machine that shows a code. Lives until a try succeeds."""

    def __init__(
        self,
        me: Party,
        peer: Party,
        new_code: Callable[[], str] = codes.new,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._parties = _context(me), _context(peer)
        self._new_code = new_code
        self._entropy = entropy
        self._state = _State.IDLE
        self._code = ""  # what the screen shows; empty: nothing that counts
        self._burned: set[str] = set()
        self._wrong = 0  # tries in a row
        self._exchange: _Agreed | None = None

    def start(self) -> Outputs:
        """Shows the first code."""
        return self._show_new_code()

    def receive(self, data: bytes) -> Outputs:
        """A message came."""
        if self._state is _State.DONE:
            return ()
        try:
            kind, body = _parse(data)
            if self._state is _State.BEGUN:
                return self._check(_expect(_Kind.PROOF, kind, body))
            return self._begin(_expect(_Kind.TRY, kind, body))
        except PeerError as error:
            return self._end(Outcome.NONSENSE, str(error))

    def lost(self) -> Outputs:
        """The connection is gone, or the try takes too long."""
        if self._state is _State.BEGUN:
            return self._end(Outcome.ABANDONED)
        return ()

    def press_key(self) -> Outputs:
        """Somebody is at this machine."""
        if self._state is not _State.LOCKED:
            return ()
        self._wrong = 0
        return self._show_new_code()

    def _begin(self, body: bytes) -> Outputs:
        if self._state is _State.LOCKED:
            return (_refuse(_Refusal.LOCKED), TryEnded(Outcome.LOCKED, _SHOWER[Outcome.LOCKED]))
        # safety: before anything is answered. Whatever happens from here on, it was the one guess.
        code, self._code = self._code, ""
        self._state = _State.BEGUN
        context, element = body[:_DIGEST], body[_DIGEST:]
        if not hmac.compare_digest(context, _digest(*self._parties)):
            return (_refuse(_Refusal.STRANGER), *self._end(Outcome.STRANGER))
        exchange = Exchange(code, *self._parties, shows=True, entropy=self._entropy)
        key = exchange.finish(element)
        self._exchange = _agree(key, self._parties, exchange.element, element)
        return (_message(_Kind.ANSWER, exchange.element),)

    def _check(self, proof: bytes) -> Outputs:
        assert self._exchange is not None
        if not hmac.compare_digest(proof, self._exchange.asker_proof):
            return (_refuse(_Refusal.WRONG_CODE), *self._end(Outcome.WRONG_CODE))
        agreed, self._exchange, self._state = self._exchange, None, _State.DONE
        keys = Keys(agreed.shower_key, agreed.asker_key, agreed.secret)
        return (_message(_Kind.CONFIRM, agreed.shower_proof), Paired(keys))

    def _end(self, outcome: Outcome, detail: str = "") -> Outputs:
        """The try came to nothing; if it had begun, its code is gone with it."""
        if self._state is not _State.BEGUN:
            return (TryEnded(outcome, _UNBEGUN, detail),)
        self._exchange = None
        self._wrong += 1
        if self._wrong < MOST_WRONG:
            sentence = f"{_SHOWER[outcome]} This is a new one."
            return (TryEnded(outcome, sentence, detail), *self._show_new_code())
        self._state = _State.LOCKED
        sentence = f"{_SHOWER[outcome]} {_SHOWER[Outcome.LOCKED]}"
        return (TryEnded(outcome, sentence, detail), WantKey())

    def _show_new_code(self) -> Outputs:
        self._state = _State.IDLE
        self._code = self._new_code()
        while self._code in self._burned:
            self._code = self._new_code()
        self._burned.add(self._code)
        return (ShowCode(self._code),)


class Asker:
    """The machine that asks for the code. Lives until a try succeeds."""

    def __init__(
        self, me: Party, peer: Party, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._parties = _context(peer), _context(me)
        self._entropy = entropy
        self._state = _State.IDLE
        self._exchange: Exchange | None = None  # until the shower's element is there
        self._agreed: _Agreed | None = None  # from then on

    def type_code(self, code: str) -> Outputs:
        """CODE was typed, and a connection is open. Nothing, if a try is under way."""
        if self._state is not _State.IDLE:
            return ()
        self._state = _State.BEGUN
        self._exchange = Exchange(code, *self._parties, shows=False, entropy=self._entropy)
        return (_message(_Kind.TRY, _digest(*self._parties) + self._exchange.element),)

    def receive(self, data: bytes) -> Outputs:
        """A message came."""
        if self._state is _State.DONE:
            return ()
        try:
            kind, body = _parse(data)
            if self._state is not _State.BEGUN:
                raise PeerError(f"{kind.name} before anybody asked")
            if kind is _Kind.REFUSED:
                return self._refused(body)
            if self._exchange is not None:
                return self._prove(self._exchange, _expect(_Kind.ANSWER, kind, body))
            return self._check(_expect(_Kind.CONFIRM, kind, body))
        except PeerError as error:
            return self._end(Outcome.NONSENSE, str(error))

    def lost(self) -> Outputs:
        """The connection is gone, or the try takes too long."""
        return self._end(Outcome.ABANDONED) if self._state is _State.BEGUN else ()

    def _prove(self, exchange: Exchange, element: bytes) -> Outputs:
        self._exchange = None
        key = exchange.finish(element)
        self._agreed = _agree(key, self._parties, element, exchange.element)
        return (_message(_Kind.PROOF, self._agreed.asker_proof),)

    def _check(self, proof: bytes) -> Outputs:
        assert self._agreed is not None
        if not hmac.compare_digest(proof, self._agreed.shower_proof):
            return self._end(Outcome.WRONG_CODE, "the other machine cannot prove that it knows it")
        agreed, self._agreed, self._state = self._agreed, None, _State.DONE
        return (Paired(Keys(agreed.asker_key, agreed.shower_key, agreed.secret)),)

    def _refused(self, body: bytes) -> Outputs:
        try:
            refusal = _Refusal(body[0])
        except ValueError:
            raise PeerError(f"a refusal of kind {body[0]}") from None
        return self._end(Outcome[refusal.name])

    def _end(self, outcome: Outcome, detail: str = "") -> Outputs:
        self._state = _State.IDLE
        self._exchange = self._agreed = None
        return (TryEnded(outcome, _ASKER[outcome], detail),)


_UNBEGUN = "Something that came by the crossover cable was not understood. Nothing changed."

# What happened, on the screen of the machine that shows the code.
_SHOWER = {
    Outcome.WRONG_CODE: "Somebody typed a wrong code on the other machine.",
    Outcome.ABANDONED: "The other machine began to use the code, and did not finish.",
    Outcome.STRANGER: "The other machine was started anew while the code was shown.",
    Outcome.NONSENSE: "The other machine began to use the code, and then was not understood.",
    Outcome.LOCKED: f"After {MOST_WRONG} codes in vain there is no new one until Enter is pressed"
    " here.",
}

# The same, on the screen of the other machine.
_ASKER = {
    Outcome.WRONG_CODE: "That was not the code. The other machine shows a new one by now.",
    Outcome.ABANDONED: "The other machine went away. Look for a new code on its screen.",
    Outcome.STRANGER: "One of the two machines was started anew. Look for a new code.",
    Outcome.NONSENSE: "The other machine was not understood. Look for a new code on its screen.",
    Outcome.LOCKED: "Too many wrong codes were typed. Press Enter at the other machine first.",
}


@dataclass(frozen=True, slots=True)
class _Agreed:
    """What follows from a key. The two machines have the same if the code was the same."""

    shower_proof: bytes = field(repr=False)
    asker_proof: bytes = field(repr=False)
    shower_key: bytes = field(repr=False)
    asker_key: bytes = field(repr=False)
    secret: str = field(repr=False)


def _agree(key: bytes, parties: tuple[bytes, bytes], shower: bytes, asker: bytes) -> _Agreed:
    """From the SPAKE2 KEY, the two PARTIES and the elements, the shower's first."""
    # The order is the roles: who is first is the shower.
    transcript = _joined(_VERSION, *parties, shower, asker)

    def derived(label: bytes) -> bytes:
        return hkdf(key, _VERSION, label + b"\0" + transcript, _DIGEST)

    def proof(role: bytes) -> bytes:
        return hmac.digest(derived(b"confirmation of " + role), role + transcript, hashlib.sha256)

    return _Agreed(
        shower_proof=proof(b"the shower"),
        asker_proof=proof(b"the asker"),
        shower_key=derived(b"from the shower"),
        asker_key=derived(b"from the asker"),
        secret=derived(b"the pair's secret").hex(),
    )


def _context(party: Party) -> bytes:
    """All that both must agree on about PARTY."""
    texts = (party.identity, party.nonce, party.image, str(party.protocol), party.pair)
    return _joined(*(text.encode() for text in texts))


def _digest(shower: bytes, asker: bytes) -> bytes:
    """Tells the shower who the asker thinks that the two are. No secret is in it."""
    return hashlib.sha256(_joined(_VERSION, shower, asker)).digest()


def _joined(*parts: bytes) -> bytes:
    """PARTS so that no other parts give the same."""
    return b"".join(len(part).to_bytes(4) + part for part in parts)


def _message(kind: _Kind, body: bytes) -> Send:
    return Send(bytes([kind]) + body)


def _refuse(why: _Refusal) -> Send:
    return _message(_Kind.REFUSED, bytes([why]))


def _parse(data: bytes) -> tuple[_Kind, bytes]:
    """Raises PeerError."""
    if not data:
        raise PeerError("an empty message")
    try:
        kind = _Kind(data[0])
    except ValueError:
        raise PeerError(f"a message of kind {data[0]}") from None
    if len(data) != 1 + _LENGTHS[kind]:
        raise PeerError(f"{kind.name} of {len(data)} bytes")
    return kind, data[1:]


def _expect(expected: _Kind, kind: _Kind, body: bytes) -> bytes:
    if kind is not expected:
        raise PeerError(f"{kind.name} where {expected.name} should come")
    return body
