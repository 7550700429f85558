# SPDX-License-Identifier: MIT
"""The two questions that every start must answer, and what a holder without peer may rely on.

Q1: is the peer surely not running the guest? Q2: is our copy surely the newest? An answer is the
name of a proof, or None. A dead peer says nothing about Q2: the one that died last has the data.
Nothing in here changes anything.
"""

from haagent.core.model import (
    GONE,
    HELD,
    NEVER,
    STALE,
    Disk,
    Evidence,
    GuestHello,
    GuestState,
    LanStage,
    Ledger,
    Link,
    Newest,
    NodeState,
    Path,
    PathState,
    PeerOff,
    Phase,
    Policy,
    Role,
    owner,
)

NOTHING_HEARD = PathState()
LAN_ON_TRIAL = frozenset({LanStage.AGREED, LanStage.PROVEN})
OPEN_LAN = LAN_ON_TRIAL | {LanStage.ASKED, LanStage.WRITTEN}


def last_word(state: NodeState) -> float:
    """When the peer, or its kernel, last gave a sign of life on any way.

    DRBD calls a dead peer connected until it notices, so what it says tells of that long ago. No
    rule leans on the difference: a holder's watchdog is fed for what its agent was told, and a
    connection that stands forbids a start by itself.
    """
    peer = state.peer
    heard = max((path.last_word for path in peer.paths.values()), default=NEVER)
    return max(heard, peer.connected - state.timing.drbd_notices, peer.probe_answered)


def is_vacant(state: NodeState) -> bool:
    """There is no second machine: the pair was set up so, and nothing shows the contrary.

    safety: whoever speaks with our key, or whose copy meets ours, is one, whatever was set. From
    then on it is nothing but the other machine of a pair.
    """
    peer = state.peer
    return state.pair.is_vacant and peer.hello is None and peer.connected == NEVER


def is_doubting(state: NodeState) -> bool:
    """We stood still, and the peer has confirmed nothing that we sent since."""
    return state.peer.confirmed < state.doubted


def is_talking(state: NodeState) -> bool:
    """The peer's agent was heard within T_dead."""
    return state.now - state.peer.hello_at <= state.timing.dead


def is_whole(state: NodeState, path: Path) -> bool:
    """The peer was heard on PATH within T_dead, and heard us there."""
    heard = state.peer.paths.get(path, NOTHING_HEARD)
    return state.now - min(heard.last_word, heard.two_way) <= state.timing.dead


def has_referee(state: NodeState) -> bool:
    """Our gateway answers us."""
    return state.now - state.referee.answered <= state.timing.referee


def has_usable_referee(state: NodeState) -> bool:
    """It answers both nodes, and the LAN between the two is proven both ways."""
    hello = state.peer.hello
    lan = state.peer.paths.get(Path.LAN, NOTHING_HEARD)
    return (
        state.durable.lan.stage not in OPEN_LAN  # the LAN is about to go away: promises come first
        and is_lan_settled(state)
        and has_referee(state)
        and hello is not None
        and hello.has_referee
        and is_talking(state)
        and state.now - lan.two_way <= state.timing.dead
    )


def lan_wanted(state: NodeState) -> int:
    """The change of the LAN's addresses that ours are to be from, when none is on trial."""
    change = state.durable.lan
    is_kept = change.stage is LanStage.KEPT and change.number
    return change.number if is_kept else state.lan_files


def is_lan_settled(state: NodeState) -> bool:
    """No change of the LAN's addresses is under way here.

    safety: who changes its addresses goes silent on the LAN by its own will. With the crossover cut
    in that moment it would look dead to the other, so neither counts on the LAN meanwhile.
    """
    is_on_trial = state.durable.lan.stage in LAN_ON_TRIAL
    is_still = not is_on_trial and not state.lan_tried
    return is_still and state.pair.lan == lan_wanted(state)


def fell_silent_together(state: NodeState) -> bool:
    """The LAN was proven until the peer fell silent, and it did so on both paths in one moment.

    safety: this is what tells a dead peer from a filtered LAN and a cut crossover. What remains is
    both being cut within two keepalives.
    """
    lan = state.peer.paths.get(Path.LAN, NOTHING_HEARD)
    crossover = state.peer.paths.get(Path.CROSSOVER, NOTHING_HEARD)
    moment = 2 * state.timing.keepalive
    silence = max(lan.last_word, crossover.last_word)
    return (
        silence > NEVER  # safety: nothing heard in this boot proves nothing
        and is_lan_settled(state)
        and lan.two_way >= silence - moment
        and lan.last_word >= silence - moment
        and crossover.last_word >= silence - moment
    )


def take_after(state: NodeState) -> float | None:
    """Seconds of silence after which the peer's watchdog has reset it; None if it has none.

    safety: computed from the peer's own figures, never only from ours.
    """
    figures = state.durable.peer_figures
    if figures is None or not figures.is_armed:
        return None
    return max(state.timing.take, figures.reset_after(state.timing.margin))


def has_waited(state: NodeState, since: float) -> bool:
    """Silence, uninterrupted since SINCE, has been longer than the peer's watchdog."""
    take = take_after(state)
    return take is not None and state.now - max(since, last_word(state)) >= take


def has_waited_with_referee(state: NodeState, since: float) -> bool:
    return has_referee(state) and has_waited(state, max(since, state.referee.good_since))


def hello_of(state: NodeState, guest: str) -> GuestHello | None:
    return state.peer.hello.guests.get(guest) if state.peer.hello else None


def is_granted(state: NodeState, guest: str) -> bool:
    """The peer answered our open request, word for word, and is there to keep to it."""
    request = state.guests[guest].request
    hello = hello_of(state, guest)
    return (
        request is not None
        and hello is not None
        and state.peer.hello is not None
        and state.peer.hello.heard_boot == state.boot
        and hello.grant is not None
        and (hello.grant.nonce, hello.grant.term) == (request.nonce, request.term)
        and hello.phase is Phase.RELEASED
        and is_talking(state)
    )


def is_vetoed(state: NodeState, guest: str) -> bool:
    """Our copy is known not to be the newest; only an operator overrides it."""
    ledger, resource = state.durable.ledgers[guest], state.guests[guest].resource
    if resource is None or ledger.theirs > ledger.term:
        return True
    return not resource.is_connected and resource.disk in STALE


def base_term(state: NodeState, guest: str) -> int:
    """The term of our copy's data; while we take it, what it was before."""
    mine = state.guests[guest]
    if mine.taking is not None:
        return mine.taking.from_term
    return state.durable.ledgers[guest].term if mine.failed_from is None else mine.failed_from


def peer_off(state: NodeState, guest: str) -> PeerOff | None:
    """Q1's answer for GUEST."""
    mine = state.guests[guest]
    if mine.is_confirmed:
        return PeerOff.OPERATOR
    if is_vacant(state):
        return PeerOff.VACANT
    if is_granted(state, guest):
        return PeerOff.AGREED
    if has_farewell(state, guest):
        return PeerOff.FAREWELL
    if _is_alone(state, guest):
        return PeerOff.ALONE
    if (
        state.pair.policy is Policy.AUTOMATIC
        and fell_silent_together(state)
        and has_waited_with_referee(state, state.started)
        and not is_doubting(state)
        and not mine.is_connected
    ):
        return PeerOff.SELF_FENCED
    return None


def has_farewell(state: NodeState, guest: str) -> bool:
    """The peer signed the guest off, and cannot have started it again since."""
    farewell, mine = state.durable.ledgers[guest].farewell, state.guests[guest]
    if farewell is None or farewell.term < base_term(state, guest):
        return False
    if farewell.is_leaving:
        return True
    # safety: a peer that stays may start it again when we fall silent. So its word counts only
    # while it is heard, and while the copies are one: then we could not write without it either.
    hello = hello_of(state, guest)
    return (
        hello is not None
        and hello.phase is Phase.RELEASED
        and is_talking(state)
        and not is_doubting(state)
        and (mine.is_in_sync or (mine.is_connected and is_only_copy(state, guest)))
    )


def is_lone(state: NodeState, guest: str) -> bool:
    """We wrote alone in the highest term and the peer's copy is marked as left behind."""
    ledger, mine = state.durable.ledgers[guest], state.guests[guest]
    return (
        mine.resource is not None
        and mine.resource.has_left_peer_behind
        # safety: what was written for the very start that is under way is no proof of it
        and (mine.taking is None or mine.taking.peer_off is PeerOff.ALONE)
        and ledger.alone is not None
        and not ledger.by_operator
        and owner(ledger.term) == state.me
    )


def _is_alone(state: NodeState, guest: str) -> bool:
    """A lone one has waited, or there was never anybody to wait for."""
    if not is_lone(state, guest):
        return False
    if state.durable.peer_figures is None:
        # safety: it was written where there was no second machine, for every other proof takes
        # words of one. The place was given away since, and who has it never met our copy.
        return True
    if state.durable.ledgers[guest].evidence:  # the peer's promise stands: no referee is needed
        return has_waited(state, state.started)
    return has_waited_with_referee(state, state.started) and not is_doubting(state)


def newest(state: NodeState, guest: str) -> Newest | None:
    """Q2's answer for GUEST."""
    mine = state.guests[guest]
    resource = mine.resource
    if resource is None:
        return None
    if mine.is_confirmed:
        return Newest.OPERATOR
    if is_vetoed(state, guest):
        return None
    if resource.is_in_sync:
        return Newest.IN_SYNC
    if is_unbroken(state, guest):
        return Newest.UNBROKEN
    if resource.has_left_peer_behind:
        return Newest.LEFT_BEHIND
    if is_granted(state, guest) and is_peer_outdated(state, guest):
        return Newest.PEER_OUTDATED
    if is_only_copy(state, guest) and (mine.is_connected or is_granted(state, guest)):
        return Newest.ONLY_COPY
    return None


def is_unbroken(state: NodeState, guest: str) -> bool:
    """The peer's last word was that all is in sync, and nothing escaped us since."""
    mine, hello = state.guests[guest], hello_of(state, guest)
    resource = mine.resource
    return (
        mine.is_unbroken
        and resource is not None
        and not resource.is_connected
        and resource.disk is Disk.UP_TO_DATE
        and hello is not None
        and hello.is_connected
        and hello.disk in {Disk.UP_TO_DATE, *GONE}  # without a disk it has written to ours alone
        and _is_of_our_data(state, guest, hello.term)
        and has_referee(state)
    )


def _is_of_our_data(state: NodeState, guest: str, term: int) -> bool:
    """TERM is that of our copy's data; or one of ours that we have raised it to since, for starts
    that failed or are under way. The peer took note of it in sync, and nothing was written in it.
    """
    base, ours = base_term(state, guest), state.durable.ledgers[guest].term
    return base <= term <= ours and (term == base or owner(term) == state.me)


def is_peer_outdated(state: NodeState, guest: str) -> bool:
    """The peer says that its copy is older, and nothing says that ours is."""
    ledger, mine, hello = state.durable.ledgers[guest], state.guests[guest], hello_of(state, guest)
    return (
        hello is not None
        and hello.disk in STALE
        and hello.term <= ledger.term
        and mine.resource is not None
        and mine.resource.disk in (Disk.CONSISTENT, Disk.UP_TO_DATE)
    )


def is_met_without_disk(state: NodeState, guest: str) -> bool:
    """Connected, and the peer has no disk, by DRBD's word and by its own; nor a term above ours."""
    resource, hello = state.guests[guest].resource, hello_of(state, guest)
    return (
        resource is not None
        and resource.link is Link.CONNECTED
        and resource.disk is Disk.UP_TO_DATE
        and resource.peer_disk in GONE
        and hello is not None
        and hello.is_connected
        and hello.disk in GONE
        and not is_below(state, guest, hello)
        and is_talking(state)
        and not is_doubting(state)
    )


def is_below(state: NodeState, guest: str, hello: GuestHello) -> bool:
    """The peer has, or had, a term above that of our copy."""
    ledger = state.durable.ledgers[guest]
    return max(hello.term, ledger.theirs) > ledger.term


def is_only_copy(state: NodeState, guest: str) -> bool:
    """The peer's disk failed while ours had all, and whatever was written since is on ours.

    safety: that the peer has no disk now proves nothing: ours may have failed before, and what was
    written then is on the disk that failed last. Nor does DRBD's UpToDate: it calls even an
    Outdated copy so when it connects to a peer without a disk. What counts is what we saw in this
    boot; and a peer that got its disk back and wrote alone has a term above ours.
    """
    mine, hello = state.guests[guest], hello_of(state, guest)
    return (
        mine.is_only_copy
        and mine.resource is not None
        and mine.resource.disk is Disk.UP_TO_DATE
        and hello is not None
        and not is_below(state, guest, hello)
        and (not mine.is_connected or is_met_without_disk(state, guest))
    )


def may_ask(state: NodeState, guest: str) -> bool:
    """With the peer's consent our copy would be the newest for certain."""
    return newest(state, guest) is not None or (
        not is_vetoed(state, guest)
        and (is_peer_outdated(state, guest) or is_only_copy(state, guest))
    )


def is_waiting(state: NodeState, guest: str) -> bool:
    """It runs here, its writes wait for what became of the peer, and nothing is decided yet."""
    mine = state.guests[guest]
    is_lost_in_stopping = mine.phase is Phase.STOPPING and not mine.is_connected
    return mine.phase is Phase.FROZEN or (
        is_lost_in_stopping and state.durable.ledgers[guest].alone is None
    )


def is_refused(mine: GuestState, ledger: Ledger) -> bool:
    """DRBD went StandAlone by itself: it will not connect the two copies."""
    resource = mine.resource
    return (
        resource is not None
        and resource.disk is not Disk.DISKLESS  # DRBD does not even have it
        and resource.link is Link.STANDALONE
        and not ledger.is_parted
    )


def wrote_apart(state: NodeState, guest: str) -> bool:
    """Each of the two copies was written without the other: split brain, as far as was told."""
    words = hello_of(state, guest)
    return state.durable.ledgers[guest].alone is not None and words is not None and words.is_alone


def has_hung_up(state: NodeState, guest: str) -> bool:
    """DRBD hung up by itself, and for no split brain: whoever it met had another secret, as after a
    cable that was in a wrong machine for a moment, or from the LAN.
    """
    mine, ledger = state.guests[guest], state.durable.ledgers[guest]
    return is_refused(mine, ledger) and not wrote_apart(state, guest) and not ledger.choice.is_open


def has_peer_back(state: NodeState, guest: str) -> bool:
    """Its writes may have waited for the peer, and DRBD has taken them up again by itself."""
    mine = state.guests[guest]
    return (
        mine.phase in (Phase.FROZEN, Phase.STOPPING)
        and mine.resource is not None
        and mine.is_connected
        and not mine.resource.is_suspended
    )


def lost_since(state: NodeState, guest: str) -> float:
    """When a holder lost the peer; what was proven before proves nothing any more."""
    mine = state.guests[guest]
    return mine.since if mine.phase is Phase.FROZEN else max(mine.since, mine.lost)


def evidence(state: NodeState, guest: str) -> Evidence | None:
    """What lets a holder, frozen since it lost its peer, write alone. Fresh, after the loss."""
    ledger, mine, hello = state.durable.ledgers[guest], state.guests[guest], hello_of(state, guest)
    resource, timing, lost = mine.resource, state.timing, lost_since(state, guest)
    if state.is_stateless:
        return None  # safety: who goes on alone does so in a risen term, on disk
    if mine.phase not in HELD or resource is None or resource.is_connected:
        return None
    if resource.disk is not Disk.UP_TO_DATE:
        return None  # safety: what it wrote last is on the peer's disk alone
    if resource.peer_disk in STALE and not resource.is_suspended:
        return Evidence.PEER_OUTDATED  # by DRBD's own account: the peer said so when it left
    if ledger.theirs > ledger.term or state.now - lost < timing.gasp:
        return None
    if is_granted(state, guest) and hello is not None and not hello.is_connected:
        # A copy on a disk that failed is older than ours with our next write.
        return Evidence.PEER_OUTDATED if hello.disk in STALE | GONE else None
    if ledger.evidence:
        return Evidence.STAND_DOWN
    since = max(lost, last_word(state))
    if (
        has_referee(state)
        and not is_doubting(state)
        and state.referee.good_since <= since
        and state.now - since >= timing.resume
        and state.peer.hello is not None
        and state.peer.hello.has_referee
        and fell_silent_together(state)
    ):
        return Evidence.GATEWAY
    return None


def is_present(hello: GuestHello) -> bool:
    """The peer runs the guest or is about to."""
    return hello.phase not in (Phase.RELEASED, Phase.FORFEITING)


def may_be_here(state: NodeState, guest: str) -> bool:
    """We held it in this boot, and have not taken up yet what is here of it: we just started."""
    return (
        state.guests[guest].phase is Phase.RELEASED
        and state.durable.ledgers[guest].held_in == state.boot
        and not is_settled(state, guest)
    )


def is_settled(state: NodeState, guest: str) -> bool:
    """DRBD and Xen were asked, and neither shows anything of the guest here."""
    mine = state.guests[guest]
    return (
        mine.is_running is False
        and mine.resource is not None
        and mine.resource.role is not Role.PRIMARY
    )
