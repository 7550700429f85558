# SPDX-License-Identifier: MIT
"""What is done to a mirrored disk of two nodes, step by step, on the model and on a real pair.

Each sequence begins with both copies UpToDate, connected and Secondary. A step is words:

    a primary 7     drbdadm primary; the fence-peer handler, if it is asked, ends with 7 (else 1)
    a rushes 7      the same in the moment in which the cable is cut: nobody has noticed yet
    a answer 4      the handler that a lost peer called, and that waits since, ends with 4
    a write         one block; whether it is acknowledged
    a dies          its power fails: the other notices only by silence, and its disk stays as it was
    a down, a up    in order
    a discard       connect --discard-my-data, after a disconnect
    a hold, a let   a resync does not get on (pause-sync), and gets on again
    a detach        its disk is given up, as after an error; a attach: it is taken up again
    cut, plug       the cable, or what one node sends (`cut a`)
    secondary, disconnect, connect, outdate, invalidate: of drbdadm

Where a comment says why, it is a line of the source of DRBD 8.4.
"""

from dataclasses import dataclass

NODES = ("a", "b")
CODES = (1, 3, 4, 5, 6, 7)  # of a fence-peer handler, drbd.conf(5); 1 stands for all others


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it is called, on which node (None: between them), and the handler's code."""

    text: str
    node: int | None
    verb: str
    code: int


def step(text: str) -> Step:
    """Raises ValueError for words that are none."""
    words = text.split()
    if words[0] in NODES:
        return Step(text, NODES.index(words[0]), words[1], int(words[2]) if words[2:] else 1)
    return Step(text, NODES.index(words[1]) if words[1:] else None, words[0], 0)


def steps(name: str) -> tuple[Step, ...]:
    return tuple(step(text) for text in SEQUENCES[name].split(", "))


HOLDER = "a primary, a write"
# The peer is gone, and we know no more than that it was; then what a handler says.
FROZEN = f"{HOLDER}, cut"
SURVIVOR = f"{HOLDER}, a dies"
RESTARTED = f"{SURVIVOR}, b down, b up"
ALONE = f"{FROZEN}, a answer 7, a write"
SPLIT = "cut, a primary 7, a write, b primary 7, b write, plug"
HELD_SYNC = f"{ALONE}, a hold, plug"

SEQUENCES: dict[str, str] = {
    # The table of the handler's codes. Only 1 and 6 leave a frozen holder frozen: 6 would outdate a
    # Primary, which is_valid_state refuses.
    **{f"frozen-holder-{n}": f"{FROZEN}, a answer {n}, a write, plug, a secondary" for n in CODES},
    **{f"survivor-{n}": f"{SURVIVOR}, b primary {n}, cut, a up, plug, b secondary" for n in CODES},
    # 5 is believed of an UpToDate disk alone (conn_try_outdate_peer, P_DOWN).
    **{f"restarted-{n}": f"{RESTARTED}, b primary {n}, cut, a up, plug" for n in CODES},
    "restarted-says-5-then-7": f"{RESTARTED}, b primary 5, b primary 7, b write, a up, b write",
    "survivor-says-6-then-7": f"{SURVIVOR}, b primary 6, b primary 7, a up, b primary",
    # The peer's mark in the metadata.
    "alone-and-restarts": f"{ALONE}, a secondary, a down, a up, a primary, a write, plug",
    "alone-and-dies": f"{ALONE}, a dies, a up, a primary, a write, plug, a write",
    "alone-by-3-and-dies": f"{FROZEN}, a answer 3, a write, a dies, a up, a primary, a write, plug",
    "old-one-returns-first": f"{ALONE}, a dies, b down, b up, b primary 1, b primary 5, plug, a up",
    "old-one-is-believed": (
        f"{ALONE}, a dies, b down, b up, b primary 7, b write, plug, a up, a discard, b connect"
    ),
    # Two histories.
    "split-brain": f"{SPLIT}, a secondary, a discard, b connect, b write, b secondary",
    "split-brain-other-way": f"{SPLIT}, b secondary, b discard, a connect, a write, a secondary",
    "split-brain-both-give-up": (
        f"{SPLIT}, a secondary, b secondary, a discard, b discard, a discard, b connect"
    ),
    "split-brain-nobody-gives-up": f"{SPLIT}, a secondary, b secondary, a connect, b connect",
    "split-brain-a-primary-may-not": f"{SPLIT}, a discard, a connect, b connect, a secondary",
    # A Primary is never overwritten. The newer copy forgets its mark, for it takes the peer's state
    # (receive_state: WFBitMapS, Consistent at most) before it sees that the peer hangs up.
    "old-primary-meets-newer": (
        f"{FROZEN}, b primary 7, b write, b secondary, plug, a secondary, a connect, b connect"
    ),
    "both-are-primary": f"{FROZEN}, b primary 7, b write, plug, b secondary, a secondary",
    # To disconnect in order. The Primary wants to see its peer outdated (conn_try_disconnect).
    "standby-leaves": f"{HOLDER}, b disconnect, a write, b primary 7, b connect, a write",
    "holder-disconnects": f"{HOLDER}, a disconnect, a write, b primary 7, a connect, a secondary",
    "nobody-is-primary": (
        "b disconnect, b primary 1, a primary 7, a write, b outdate, b primary 7, b connect"
    ),
    "frozen-holder-disconnects": (
        f"{FROZEN}, a answer 1, a disconnect, a answer 7, a write, a connect, plug"
    ),
    "standby-goes-down-and-returns": f"{HOLDER}, b down, a write, b up, a write, a secondary",
    "farewell": f"{HOLDER}, a secondary, a down, b primary 7, b write, a up, b secondary",
    # Both have to agree to it (cl_wide_st_chg), and no word gets there until the peer is lost. Then
    # it goes on as if it had begun after that, and asks the handler (drbd_set_role).
    "promoted-as-the-cable-goes": (
        f"{HOLDER}, a secondary, b rushes 7, b primary 7, b write, plug, a primary"
    ),
    "promoted-as-it-goes-unproven": (
        f"{HOLDER}, a secondary, b rushes 1, b primary 1, plug, b primary"
    ),
    "farewell-both": f"{HOLDER}, a secondary, a down, b down, b up, b primary 5, a up, b primary",
    # Outdated. While connected it is taken back at once (sanitize_state): nothing to do, exit 0.
    "outdate-connected": "a outdate, a primary, b outdate, a outdate, a write",
    "outdate-frozen": f"{FROZEN}, a outdate, b outdate, b outdate, b down, b up, b primary 7, plug",
    "outdate-inconsistent": f"{HELD_SYNC}, cut, b outdate, b primary 7, a let, plug",
    # Resyncs that stop half way. By the disk states, whoever is Inconsistent becomes the target.
    "resync-loses-the-cable": (
        f"{HELD_SYNC}, cut, a write, b primary 7, b down, b up, b primary 7, a let, plug"
    ),
    # A mark comes back as Outdated: one flag, MDF_PEER_OUT_DATED, for Inconsistent as well.
    "resync-loses-its-source": (
        f"{HELD_SYNC}, a dies, b primary 7, cut, a up, a primary, a write, plug"
    ),
    "resync-loses-its-target": f"{HELD_SYNC}, b dies, a write, cut, b up, a let, plug, a write",
    "resync-is-left-by-its-target": f"{HELD_SYNC}, b disconnect, a write, a let, b connect",
    "resync-is-left-by-its-source": f"{HELD_SYNC}, a disconnect, a write, a let, a connect",
    # The source keeps what it knows of the peer, Primary or not (sanitize_state).
    "resync-of-two-secondaries-is-left": (
        f"{HELD_SYNC}, a secondary, b disconnect, a let, a primary 1, b connect"
    ),
    # A SyncTarget may be promoted: it reads from the peer (is_valid_state).
    "target-is-promoted": f"{HELD_SYNC}, a secondary, b primary, b write, a let, b secondary",
    "invalidated": f"{HOLDER}, b hold, b invalidate, cut, a write, b let, plug, a write",
    "invalidated-alone": f"{HOLDER}, b disconnect, b invalidate, b primary 7, b connect, a write",
    # Power cuts of both. Who was Primary is the source (drbd_uuid_compare, rule 40).
    "both-die": f"{HOLDER}, a dies, b dies, cut, a up, b up, plug, a primary",
    "both-die-standby-first": f"{HOLDER}, b dies, a answer 1, a dies, b up, b primary 5, a up",
    "both-restart-in-order": f"{HOLDER}, a secondary, cut, a down, b down, a up, b up, plug",
    "standby-dies-and-returns": f"{HOLDER}, b dies, a answer 7, a write, b up, a write",
    # A rebooted peer's copy cannot take what waited: drbd_receiver.c, receive_state, "can not thaw
    # IO with an only Consistent peer". It hangs up, asks again, and is the source of a resync then.
    "frozen-holder-meets-restarted": f"{FROZEN}, b down, b up, plug, a write, a secondary",
    "frozen-holder-meets-rebooted": f"{HOLDER}, b dies, b up, a write, b primary, a secondary",
    # Who is Primary, and when one stops being it.
    "two-primaries": f"{HOLDER}, b primary, a secondary, b primary, b write, a primary",
    # The suspension stays until the peer is proven outdated or is back: w_after_conn_state_ch,
    # after_state_ch; a change of role does not touch it.
    "frozen-holder-is-demoted": f"{FROZEN}, a secondary, a primary 7, a write, plug, a write",
    "demoted-frozen-and-reconnected": f"{FROZEN}, a secondary, plug, b primary, b write, a primary",
    "write-waits": f"{FROZEN}, a write, a secondary, a down, plug, a secondary",
    "write-waits-for-the-handler": f"{FROZEN}, a write, b outdate, a answer 4, a secondary, plug",
    # The connection came back in between: "Ignoring fence-peer exit code".
    "answer-comes-too-late": f"{FROZEN}, plug, a answer 7, a write, b primary, a secondary",
    "lost-twice": f"{FROZEN}, plug, cut, a write, a answer 1, plug, a write",
    "cable-is-deaf-one-way": f"{HOLDER}, cut a, a answer 7, a write, plug, cut b, a answer 1, plug",
    # A disk that fails: what is written goes to the other one alone, in a new generation, which the
    # one without a disk is told (after_state_ch, receive_uuids).
    "holders-disk-fails": f"{HOLDER}, a detach, a write, a attach, a write, a secondary",
    "standbys-disk-fails": f"{HOLDER}, b detach, a write, b attach, a write, a secondary",
    "both-disks-fail": f"{HOLDER}, b detach, a detach, a write, b attach, a detach, a write",
    "moved-from-a-failed-disk": f"{HOLDER}, a detach, a secondary, b primary, b write, a attach",
    # No handler is asked by who is "not even Consistent myself" (conn_try_outdate_peer).
    "holder-without-disk-is-cut-off": f"{HOLDER}, a detach, a write, cut, a write, plug, a write",
    "holder-without-disk-dies": (
        f"{HOLDER}, a detach, a write, a dies, b primary 7, b write, a up, b secondary"
    ),
    "holder-without-disk-restarts-apart": (
        f"{HOLDER}, a detach, a write, a dies, cut, a up, a primary 1, a primary 5, plug"
    ),
    # "Can only attach to data with current UUID" (drbd_adm_attach).
    "old-disk-is-not-taken-up": f"{HOLDER}, a detach, a write, cut, a attach, plug, a write",
    # A Primary without a disk would have none (is_valid_state): it refuses that the other leaves.
    "holder-without-disk-is-left": f"{HOLDER}, a detach, b disconnect, a write, b down, a write",
    # Nobody can outdate a disk that is not there: it leaves all the same (conn_try_disconnect).
    "standby-without-disk-leaves": (
        f"{HOLDER}, b detach, b disconnect, a answer 7, a write, b connect, b attach"
    ),
    "standby-without-disk-is-cut-off": (
        f"{HOLDER}, b detach, cut, a answer 4, a write, plug, a write, b attach"
    ),
    # Consistent and Outdated vanish with a connection (sanitize_state), even to who has no disk.
    "old-copy-meets-no-disk": (
        f"{FROZEN}, b outdate, a answer 4, a write, a secondary, a detach, plug, a attach"
    ),
}

# Where the model is known to do something else.
UNLIKE = {
    "resync-of-two-secondaries-is-left": "a Secondary source forgets that its peer is Inconsistent",
}
