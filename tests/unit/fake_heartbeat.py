# SPDX-License-Identifier: MIT
"""A libhbclient in Python: a table of C function pointers, laid out by position as hb_api.h of
heartbeat 3.0.6 lists them, and messages as plain dictionaries.
"""

import contextlib
import ctypes
import itertools
import queue
import socket
from collections import deque
from ctypes import CFUNCTYPE, c_char_p, c_int, c_void_p
from typing import Any

from haagent.cluster.heartbeat import Cluster, HeartbeatLost, Library

OnMessage = CFUNCTYPE(None, c_void_p, c_void_p)
OnNode = CFUNCTYPE(None, c_char_p, c_char_p, c_void_p)
OnLink = CFUNCTYPE(None, c_char_p, c_char_p, c_char_p, c_void_p)

Message = dict[bytes, bytes]


class FakeHeartbeat:
    """A heartbeat on node `a`, whose peer is `b`, and the library that talks to it."""

    def __init__(self) -> None:
        self.is_installed = True
        self.has_memory = True
        self.is_there = True
        self.refuses: set[str] = set()  # the calls that fail
        self.statuses = {b"a": b"active", b"b": b"dead"}
        self.link_statuses = {b"crossover": b"up", b"lan": b"dead"}
        self.calls: list[tuple[Any, ...]] = []
        self.sent: queue.Queue[Message] = queue.Queue()
        self.receives = 0  # how often the client looked for something
        self.messages: dict[int, Message] = {}
        self.handles: set[int] = set()  # those not deleted yet
        self.faults: list[str] = []  # of the client; an exception in here would be lost in C
        self._handle = 0
        self._numbers = itertools.count(1)
        self._walk: deque[bytes] = deque()
        self._callbacks: dict[bytes, Any] = {}
        self._inbox: deque[tuple[Any, ...]] = deque()
        self._near, self._far = socket.socketpair()
        self._buffers: dict[bytes, Any] = {}
        self._keep: list[Any] = []

    def library(self) -> Library:
        if not self.is_installed:
            raise HeartbeatLost("not installed")
        return Library(self._new, self._msg_new, self._msg_add, self._msg_del, self._get_string)

    def tell(self, *what: Any) -> None:
        """Lets the client receive WHAT: a message, or the arguments of a status callback."""
        self._inbox.append(what)
        self._far.send(b"!")

    def tell_buffered(self, *what: Any) -> None:
        """The same, but the library has read it already: its descriptor shows nothing."""
        self._inbox.append(what)

    def die(self) -> None:
        self.is_there = False
        self._far.send(b"!")

    def close(self) -> None:
        self._near.close()
        self._far.close()

    def _new(self, kind: bytes) -> Any:
        if kind != b"heartbeat" or not self.has_memory:
            return ctypes.POINTER(Cluster)()  # NULL
        table = (c_void_p * 44)()
        for position, function in self._functions().items():
            self._keep.append(function)
            table[position] = ctypes.cast(function, c_void_p).value
        self._handle = next(self._numbers)
        self.handles.add(self._handle)
        cluster = (c_void_p * 2)(self._handle, ctypes.addressof(table))
        self._keep += [table, cluster]
        return ctypes.cast(cluster, ctypes.POINTER(Cluster))

    def _functions(self) -> dict[int, Any]:
        """By the position in `struct llc_ops`, counted in the header from 0."""
        h, s = c_void_p, c_char_p
        return {
            0: CFUNCTYPE(c_int, h, s)(lambda _, name: self._note("signon", name)),
            2: CFUNCTYPE(c_int, h)(self._delete),
            3: CFUNCTYPE(c_int, h, s, OnMessage, h)(
                lambda _, kind, f, __: self._set_callback("set_msg_callback", kind, f)
            ),
            4: CFUNCTYPE(c_int, h, OnNode, h)(
                lambda _, f, __: self._set_callback("set_nstatus_callback", b"node", f)
            ),
            5: CFUNCTYPE(c_int, h, OnLink, h)(
                lambda _, f, __: self._set_callback("set_ifstatus_callback", b"link", f)
            ),
            7: CFUNCTYPE(c_int, h)(lambda _: self._start_walk("init_nodewalk", self.statuses)),
            8: CFUNCTYPE(h, h)(self._next),
            9: CFUNCTYPE(c_int, h)(lambda _: self._note("end_nodewalk")),
            10: CFUNCTYPE(h, h, s)(lambda _, node: self._text(self.statuses.get(node))),
            15: CFUNCTYPE(c_int, h, s)(
                lambda _, node: self._start_walk("init_ifwalk", self.link_statuses, node)
            ),
            16: CFUNCTYPE(h, h)(self._next),
            17: CFUNCTYPE(c_int, h)(lambda _: self._note("end_ifwalk")),
            18: CFUNCTYPE(h, h, s, s)(
                lambda _, node, link: self._text(self.link_statuses.get(link))
            ),
            22: CFUNCTYPE(c_int, h, h)(self._send),
            27: CFUNCTYPE(c_int, h)(lambda _: self._near.fileno() if self.is_there else -1),
            29: CFUNCTYPE(c_int, h)(lambda _: len(self._inbox)),
            31: CFUNCTYPE(c_int, h, c_int)(self._receive),
            37: CFUNCTYPE(h, h)(lambda _: self._text(b"a")),
            40: CFUNCTYPE(c_int, h)(lambda _: self.is_there),
            42: CFUNCTYPE(c_int, h, c_int)(lambda _, mode: self._note("set_send_block_mode", mode)),
            43: CFUNCTYPE(h, h)(lambda _: self._text(b"no such socket\n")),
        }

    def _note(self, name: str, *arguments: Any) -> int:
        self.calls.append((name, *arguments))
        return int(name not in self.refuses)  # HA_OK is 1

    def _delete(self, cluster: int) -> int:
        handle = ctypes.cast(cluster, ctypes.POINTER(c_void_p))[0]
        if handle not in self.handles:
            self.faults.append("a handle was deleted twice")
        self.handles -= {handle}
        return 1

    def _set_callback(self, name: str, kind: bytes, function: Any) -> int:
        self._callbacks[kind] = function
        return self._note(name)

    def _start_walk(self, name: str, what: dict[bytes, bytes], *arguments: Any) -> int:
        self._walk = deque(what)
        return self._note(name, *arguments)

    def _next(self, _: int) -> int | None:
        return self._text(self._walk.popleft()) if self._walk else None

    def _text(self, text: bytes | None) -> int | None:
        """The address of TEXT, which stays where it is."""
        if text is None:
            return None
        buffer = self._buffers.setdefault(text, ctypes.create_string_buffer(text))
        return ctypes.addressof(buffer)

    def _send(self, _: int, message: int) -> int:
        self.sent.put(dict(self.messages[message]))
        return self._note("sendclustermsg")

    def _receive(self, _: int, blocking: int) -> int:
        self.receives += 1
        if blocking:
            self.faults.append("a blocking receive")
        with contextlib.suppress(BlockingIOError):
            self._near.recv(100, socket.MSG_DONTWAIT)
        while self._inbox:
            match self._inbox.popleft():
                case (dict(message),):
                    number = self._msg_new(0)
                    self.messages[number] = message
                    self._callbacks[message[b"t"]](number, None)
                    self._msg_del(number)
                case (node, status):
                    self._callbacks[b"node"](node, status, None)
                case (node, link, status):
                    self._callbacks[b"link"](node, link, status, None)
        return 0

    def _msg_new(self, _: int) -> int:
        number = next(self._numbers)
        self.messages[number] = {}
        return number

    def _msg_add(self, message: int, name: bytes, value: bytes) -> int:
        self.messages[message][name] = value
        return 1

    def _msg_del(self, message: int) -> None:
        del self.messages[message]

    def _get_string(self, message: int, name: bytes) -> bytes | None:
        return self.messages[message].get(name)


def from_node(node: bytes, payload: bytes) -> Message:
    return {b"t": b"shoestring", b"src": node, b"payload": payload}
