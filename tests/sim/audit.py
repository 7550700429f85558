# SPDX-License-Identifier: MIT
"""The promises, watched from outside: what was acknowledged, by whom, and what a start found."""

from dataclasses import dataclass, field

from haagent.core.model import PeerOff, Taking


@dataclass(slots=True)
class Audit:
    """Collects violations as sentences; an empty list is the promise kept."""

    violations: list[str] = field(default_factory=list)
    acked: dict[str, set[int]] = field(default_factory=dict)
    running: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # (node, start)
    starts: dict[str, int] = field(default_factory=dict)
    newest_acked: dict[str, int] = field(default_factory=dict)  # the start that acked last
    last_ack: dict[str, float] = field(default_factory=dict)
    longest_gap: dict[str, float] = field(default_factory=dict)
    choices: dict[str, list[tuple[int, bool]]] = field(default_factory=dict)
    disputed: dict[str, set[int]] = field(default_factory=dict)
    copies: dict[str, set[int]] = field(default_factory=dict)  # what copies of volumes have
    together: float = 0.0  # seconds in which two domains of one guest existed
    last_on: dict[str, int] = field(default_factory=dict)  # the node that started it last
    takeovers: list[Taking] = field(default_factory=list)  # grounds of starts on another node
    persons: set[str] = field(default_factory=set)  # guests that a person started in spite of all
    pardoned: list[str] = field(default_factory=list)  # what came of that, as in `violations`
    _since: dict[str, float] = field(default_factory=dict)

    def started(
        self, now: float, guest: str, node: int, data: set[int], taking: Taking | None = None
    ) -> None:
        """TAKING: on what grounds; None where it runs again at the place where it ended."""
        if taking is not None and taking.peer_off is PeerOff.OPERATOR:
            self.persons.add(guest)
        if taking is not None and self.last_on.get(guest, node) != node:
            self.takeovers.append(taking)
        self.last_on[guest] = node
        missing = self.acked.get(guest, set()) - data - self.disputed.get(guest, set())
        if missing:
            self._judge(
                guest,
                f"{now:.2f}: stale start of {guest} on node {node}: {len(missing)} writes missing",
            )
        self.starts[guest] = self.starts.get(guest, 0) + 1
        running = self.running.setdefault(guest, [])
        running.append((node, self.starts[guest]))
        if len(running) == 2:
            self._since[guest] = now

    def stopped(self, now: float, guest: str, node: int) -> None:
        running = self.running[guest]
        if len(running) == 2:
            seconds = now - self._since.pop(guest)
            self.together += 0.0 if guest in self.persons else seconds
        self.running[guest] = [one for one in running if one[0] != node]

    def acknowledged(self, now: float, guest: str, node: int, number: int) -> None:
        start = next(start for at, start in self.running[guest] if at == node)
        newest = self.newest_acked.get(guest, 0)
        if start < newest:
            self._judge(guest, f"{now:.2f}: two writers of {guest}: node {node} is the older")
        self.newest_acked[guest] = max(start, newest)
        self.acked.setdefault(guest, set()).add(number)
        gap = now - self.last_ack.get(guest, now)
        self.longest_gap[guest] = max(gap, self.longest_gap.get(guest, 0.0))
        self.last_ack[guest] = now

    def _judge(self, guest: str, sentence: str) -> None:
        """Who starts a guest in spite of all proofs may start an old copy, and a second writer. To
        discard what was acknowledged takes another word: that is never pardoned.
        """
        (self.pardoned if guest in self.persons else self.violations).append(sentence)

    def chosen(self, guest: str, node: int, keeps: bool) -> None:
        """A person says that NODE's copy counts, and whether the other one is to be kept aside."""
        self.choices.setdefault(guest, []).append((node, keeps))

    def forgive(self, guest: str, disputed: set[int]) -> None:
        """What led to a split brain is not judged. No start can have all of what is DISPUTED, which
        only one of the copies has; to discard it still takes a person.
        """
        self.violations.clear()
        self.disputed[guest] = disputed
        self.together = 0.0
        for guest, running in self.running.items():
            self.newest_acked[guest] = max((start for _, start in running), default=0)

    def kept(self, guest: str, data: set[int]) -> None:
        """A copy of a volume with DATA was made."""
        self.copies.setdefault(guest, set()).update(data)

    def discarded(self, now: float, guest: str, node: int, writes: set[int]) -> None:
        """NODE's copy lost WRITES to the other's."""
        lost = writes & self.acked.get(guest, set())
        if not lost:
            return
        keeps = [keeps for counts, keeps in self.choices.get(guest, ()) if counts == 1 - node]
        if not keeps:
            self.violations.append(f"{now:.2f}: {len(lost)} acknowledged writes discarded")
        elif all(keeps) and not lost <= self.copies.get(guest, set()):
            self.violations.append(f"{now:.2f}: discarded without the copy that was to be kept")
        self.acked[guest] -= lost
