# SPDX-License-Identifier: MIT
"""Two machines that are the simulator's DRBD, behind the scripts of tests/vm/scratch.py."""

from haagent.core.model import CONNECTED, Link
from tests.sim.player import DETECT, HELD, SYNC, TURN, Player
from tests.sim.sequences import NODES, Step
from tests.vm import scratch
from tests.vm.control import Result

EVENTS = """\
exists resource name:model role:{role} suspended:{suspended}
exists connection name:model peer-node-id:0 conn-name:peer connection:{connection} role:Unknown
exists device name:model volume:0 minor:10 disk:{disk}
exists peer-device name:model volume:0 replication:{replication} peer-disk:{peer_disk}
"""
REPLICATION = {
    Link.CONNECTED: "Established",
    Link.SYNC_SOURCE: "PausedSyncS",
    Link.SYNC_TARGET: "PausedSyncT",
}


class FakeRoom:
    """Both machines and the relay. What the kernel does by itself it does while one looks."""

    def __init__(self) -> None:
        self.player = Player()
        self.machines = (FakeMachine(self, 0), FakeMachine(self, 1))

    def take_turn(self) -> None:
        player = self.player
        player.now += TURN
        player.mirror.step(player.now, DETECT, HELD if player.held else SYNC)
        for node, copy in enumerate(player.mirror.copies):
            machine = self.machines[node]
            machine.calls += player.asked.count(node)
            if copy.pending is not None and player.mirror.write(node, copy.pending):
                machine.written.add(machine.number)
        player.asked.clear()

    # as the cables of a lab

    def lose_tcp(self, segment: str, number: int, *ports: str) -> None:
        assert (segment, number) == ("xo", scratch.PORT)
        self.player.deaf |= {NODES.index(port) for port in ports}

    def carry_tcp(self, segment: str, number: int) -> None:
        self.player.deaf.clear()


class FakeMachine:
    """One of them; it is its own root shell."""

    def __init__(self, room: FakeRoom, node: int) -> None:
        self._room, self._node = room, node
        self.name = NODES[node]
        self.control = self
        self.calls = self.ends = 0
        self.number = 0
        self.written: set[int] = set()

    def run(self, script: str, timeout: float = 0) -> str:
        if script == scratch.FRESH and self._node == 1:
            self._room.player = Player()
        if script == scratch.FRESH:
            self.calls = self.ends = 0
            self.written.clear()
        return ""

    def try_run(self, script: str, timeout: float = 0) -> Result:
        if script == scratch.LOOK:
            return Result(0, self._look())
        if script == scratch.LET_GO:
            self.ends = self.calls
            return Result(0, "")
        if script == scratch.DIE:
            return self._do("dies")
        if script.startswith("cat "):
            is_there = int(script.rpartition(".")[2]) in self.written
            return Result(0, "0\n") if is_there else Result(1, "")
        for verb, known in scratch.SCRIPTS.items():
            for code in range(8):
                if script == known.format(code=code):
                    return self._do(verb, code)
        for number in range(scratch.BLOCKS):
            if script == scratch.WRITE.format(number=number):
                return self._write(number)
        raise AssertionError(script)

    def _look(self) -> str:
        self._room.take_turn()
        player = self._room.player
        copy, shown = player.mirror.copies[self._node], player.mirror.show(self._node)
        events = ""
        if copy.is_attached:
            is_up = shown.link in CONNECTED
            events = EVENTS.format(
                role=shown.role,
                suspended="fencing" if shown.is_suspended else "no",
                connection=Link.CONNECTED if is_up else shown.link,
                disk=shown.disk,
                replication=REPLICATION.get(shown.link, "Off"),
                peer_disk=shown.peer_disk,
            )
        helper = "fence-peer model\n" * self.calls + "fence-peer model exit code\n" * self.ends
        data = "".join(f"write {number}\n" for number in sorted(copy.data))
        writing = "yes\n" if copy.pending is not None else ""
        return f"{events}exists -\n== helper\n{helper}== data\n{data}== writing\n{writing}"

    def _write(self, number: int) -> Result:
        self.number = number
        if self._room.player.mirror.write(self._node, number):
            self.written.add(number)
        return Result(0, "")

    def _do(self, verb: str, code: int = 0) -> Result:
        """As a program would: what has no connection cannot disconnect, and the like."""
        player = self._room.player
        if verb == "answer":
            if self.calls == self.ends:
                return Result(124, "")
            self.ends = self.calls
            player.waiting.add(self._node)
        ended = player.attempt(Step("", self._node, verb, code))
        for machine in self._room.machines:
            machine.calls += player.asked.count(machine._node)
        if verb == "primary":
            self.ends += player.asked.count(self._node)
        player.asked.clear()
        return Result(int(ended), "")
