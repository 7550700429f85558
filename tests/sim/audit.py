# SPDX-License-Identifier: MIT
"""The promises, watched from outside: what was acknowledged, by whom, and what a start found."""

from dataclasses import dataclass, field


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
    together: float = 0.0  # seconds in which two domains of one guest existed
    _since: dict[str, float] = field(default_factory=dict)

    def started(self, now: float, guest: str, node: int, data: set[int]) -> None:
        missing = self.acked.get(guest, set()) - data
        if missing:
            self.violations.append(
                f"{now:.2f}: stale start of {guest} on node {node}: {len(missing)} writes missing"
            )
        self.starts[guest] = self.starts.get(guest, 0) + 1
        running = self.running.setdefault(guest, [])
        running.append((node, self.starts[guest]))
        if len(running) == 2:
            self._since[guest] = now

    def stopped(self, now: float, guest: str, node: int) -> None:
        running = self.running[guest]
        if len(running) == 2:
            self.together += now - self._since.pop(guest)
        self.running[guest] = [one for one in running if one[0] != node]

    def acknowledged(self, now: float, guest: str, node: int, number: int) -> None:
        start = next(start for at, start in self.running[guest] if at == node)
        newest = self.newest_acked.get(guest, 0)
        if start < newest:
            self.violations.append(f"{now:.2f}: two writers of {guest}: node {node} is the older")
        self.newest_acked[guest] = max(start, newest)
        self.acked.setdefault(guest, set()).add(number)
        gap = now - self.last_ack.get(guest, now)
        self.longest_gap[guest] = max(gap, self.longest_gap.get(guest, 0.0))
        self.last_ack[guest] = now

    def discarded(self, now: float, guest: str, writes: set[int]) -> None:
        lost = writes & self.acked.get(guest, set())
        if lost:
            self.violations.append(f"{now:.2f}: {len(lost)} acknowledged writes discarded")
