# SPDX-License-Identifier: MIT
"""Every history of a pair, to a bound: two machines with the unchanged core, one guest, all faults.

Where random histories tell what they happen to tell, this tells all that there are of so many steps
with so many faults. A situation (both agents' states, both sticks, the mirror, domains, cables,
gateway, watchdogs, what is on its way, what was acknowledged) is gone on from once: times count as
ages, and everything that is only compared has a name in place of its number (`snapshot`). Judged is
after each half of a keepalive: no acknowledged write is missing at a start or discarded, the older
of two writers has nothing acknowledged, there are no two domains, and core/invariants.py holds.

    situation  one moment, as values that can be copied    doing    what agents hear and ask for
    passing    half a keepalive of time                    ending   everything is mended
    alphabet   the steps                                   search   all their orders
    snapshot, minds   when two situations are one

What is left out, and why nothing should hide there:

- Timers are as short as the inequalities of core/timing.py let them be (`--shipped` has the real
  ones). Safety may rest on the inequalities alone, and these leave no more than they promise.
- Time goes in halves of a keepalive: in one, hellos arrive and deeds end; in the other both loops
  turn. Between two halves a history may take another course: what was just saved is neither said
  nor done yet. `one keepalive` is shorter than T_stall, and offered while something stands still;
  `a moment` is longer than two keepalives, T_stall and T_ref, shorter than T_dead, and offered
  after cables, the gateway, and what stands still or goes on. Else time passes until something is
  written, or begins, or ends, or all timers have run out.
- Deeds take half a keepalive, to outdate a copy takes T_forfeit, to boot longer than T_dead and
  less than T_take. DRBD notices a loss as late as it may. The races (`ends what it began`, `is
  heard first`, `sees first that the mirror is lost`) let each come before what is due with it.
- Heartbeat's own messages are left out: they come by the same cables. Of hellos that wait for an
  agent which stands still the newest of each cable is kept: every one replaces the one before.
- A disk that fails is one that DRBD detaches; it can be read again at the next start. One that
  hangs keeps what is on it as it was when that began, and its agent is told as late as may be. A
  Xen that hangs tells and does nothing; a deed of it has failed after three T_take. What Linux
  feeds when an agent dies, and what one agent leaves to the next, is there.
- What an agent finds waiting for it comes in one order, but for the races. Both loops turn at once.
- Faults of one moment come in one order, and before them what is mended in it. The last step is
  time. To a history of the class HOLE or FROZEN no fault is added: it is exempt from the promises,
  and only has to end detected, with both mirrors hung up or the pair serving, nothing discarded.
- A hole is told by cuts, not by last words: both paths cut within less than three keepalives of
  each other, since a cut may be almost one older than the words that tell of it.
- With three faults a person, resets, and machines that stand still as a whole are left out, for a
  reset is a power cut and a switch, and a watchdog makes one of a standstill. Two faults have all.
- Not here at all: guests that cannot be ended though Xen works, the person who resolves a split
  brain or changes addresses, sticks that die, maintenance, power devices. Random histories have
  them.
"""
