# SPDX-License-Identifier: MIT
"""Linux-HA heartbeat as a carrier: our bytes, and what it says of nodes and links.

Owns the binding of libhbclient (heartbeat 3.0.6, hb_api.h) and of the four message functions of
libplumb (cluster-glue 1.0.12, ha_msg.h). What a status means is decided elsewhere.

libhbclient is not thread safe, and its calls wait for heartbeat without a limit: one thread signs
on, asks and receives, and does nothing else. Only `send` and `close` are for other threads.
"""

import base64
import binascii
import ctypes
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_void_p
from dataclasses import dataclass
from typing import Any

from haagent.errors import BugError, ShoestringError

_OK = 1  # HA_OK, clplumbing/cl_log.h
_TYPE = b"t"  # F_TYPE of ha_msg.h: what kind of message it is
_ORIGIN = b"src"  # F_ORIG: the node it comes from, written by heartbeat itself
_PAYLOAD = b"payload"  # ours, base64
_OURS = b"shoestring"  # the kind of our messages
_QUEUE = 16  # messages; if heartbeat takes none, the oldest are dropped

_Heard = tuple[str, str, bytes] | tuple[str, str, str] | tuple[str, str, str, str]
OnMessage = Callable[[str, bytes], None]
OnNode = Callable[[str, str], None]
OnLink = Callable[[str, str, str], None]


class HeartbeatLost(ShoestringError):
    """heartbeat is not there, went away, or does not answer as it should: sign on again, later."""


# llc_msg_callback_t, llc_nstatus_callback_t and llc_ifstatus_callback_t; private data comes last.
_MessageCallback = CFUNCTYPE(None, c_void_p, c_void_p)
_NodeCallback = CFUNCTYPE(None, c_char_p, c_char_p, c_void_p)
_LinkCallback = CFUNCTYPE(None, c_char_p, c_char_p, c_char_p, c_void_p)


class Ops(Structure):
    """`struct llc_ops` of hb_api.h: every member in its order, typed only where we call it."""

    _fields_ = (
        ("signon", CFUNCTYPE(c_int, c_void_p, c_char_p)),
        ("signoff", c_void_p),
        ("delete", CFUNCTYPE(c_int, c_void_p)),
        ("set_msg_callback", CFUNCTYPE(c_int, c_void_p, c_char_p, _MessageCallback, c_void_p)),
        ("set_nstatus_callback", CFUNCTYPE(c_int, c_void_p, _NodeCallback, c_void_p)),
        ("set_ifstatus_callback", CFUNCTYPE(c_int, c_void_p, _LinkCallback, c_void_p)),
        ("set_cstatus_callback", c_void_p),
        ("init_nodewalk", CFUNCTYPE(c_int, c_void_p)),
        ("nextnode", CFUNCTYPE(c_char_p, c_void_p)),
        ("end_nodewalk", CFUNCTYPE(c_int, c_void_p)),
        ("node_status", CFUNCTYPE(c_char_p, c_void_p, c_char_p)),
        ("node_weight", c_void_p),
        ("node_site", c_void_p),
        ("node_type", c_void_p),
        ("num_nodes", c_void_p),
        ("init_ifwalk", CFUNCTYPE(c_int, c_void_p, c_char_p)),
        ("nextif", CFUNCTYPE(c_char_p, c_void_p)),
        ("end_ifwalk", CFUNCTYPE(c_int, c_void_p)),
        ("if_status", CFUNCTYPE(c_char_p, c_void_p, c_char_p, c_char_p)),
        ("client_status", c_void_p),
        ("get_uuid_by_name", c_void_p),
        ("get_name_by_uuid", c_void_p),
        ("sendclustermsg", CFUNCTYPE(c_int, c_void_p, c_void_p)),
        ("sendnodemsg", c_void_p),
        ("sendnodemsg_byuuid", c_void_p),
        ("send_ordered_clustermsg", c_void_p),
        ("send_ordered_nodemsg", c_void_p),
        ("inputfd", CFUNCTYPE(c_int, c_void_p)),
        ("ipcchan", c_void_p),
        ("msgready", CFUNCTYPE(c_int, c_void_p)),
        ("setmsgsignal", c_void_p),
        ("rcvmsg", CFUNCTYPE(c_int, c_void_p, c_int)),
        ("readmsg", c_void_p),
        ("setfmode", c_void_p),
        ("get_parameter", c_void_p),
        ("get_deadtime", c_void_p),
        ("get_keepalive", c_void_p),
        ("get_mynodeid", CFUNCTYPE(c_char_p, c_void_p)),
        ("get_logfacility", c_void_p),
        ("get_resources", c_void_p),
        ("chan_is_connected", CFUNCTYPE(c_int, c_void_p)),
        ("set_sendq_len", c_void_p),
        ("set_send_block_mode", CFUNCTYPE(c_int, c_void_p, c_int)),
        ("errmsg", CFUNCTYPE(c_char_p, c_void_p)),
    )


class Cluster(Structure):
    """`ll_cluster_t` of hb_api.h."""

    _fields_ = (("private", c_void_p), ("ops", POINTER(Ops)))


@dataclass(frozen=True, slots=True)
class Library:
    """The C functions that are called by name."""

    ll_cluster_new: Callable[[bytes], Any]  # a pointer to Cluster, or NULL
    ha_msg_new: Callable[[int], Any]  # an empty message, or None
    ha_msg_add: Callable[[Any, bytes, bytes], int]  # copies name and value
    ha_msg_del: Callable[[Any], object]
    cl_get_string: Callable[[Any, bytes], bytes | None]


def load() -> Library:
    """The libraries of heartbeat 3.0.6. Raises HeartbeatLost if they are not installed."""
    try:
        client = ctypes.CDLL("libhbclient.so.1")
        plumbing = ctypes.CDLL("libplumb.so.2")
    except OSError as error:
        raise HeartbeatLost(f"heartbeat's library cannot be loaded: {error}") from error
    new, add = client.ll_cluster_new, plumbing.ha_msg_add
    new.restype, new.argtypes = POINTER(Cluster), (c_char_p,)
    add.restype, add.argtypes = c_int, (c_void_p, c_char_p, c_char_p)
    make, delete, get = plumbing.ha_msg_new, plumbing.ha_msg_del, plumbing.cl_get_string
    make.restype, make.argtypes = c_void_p, (c_int,)
    delete.restype, delete.argtypes = None, (c_void_p,)
    get.restype, get.argtypes = c_char_p, (c_void_p, c_char_p)
    return Library(new, make, add, delete, get)


class Heartbeat:
    """One client of heartbeat. libhbclient keeps its name in a global: only one in a process."""

    def __init__(self, load_library: Callable[[], Library] = load) -> None:
        self.dropped = 0  # messages that heartbeat did not take
        self.ignored = 0  # messages of our kind that were not readable
        self.answered_at = time.monotonic()  # when it last gave us anything, be it our own words
        self.signed_on_at: float | None = None  # to the one that runs; None: there is none
        self._load_library = load_library
        self._library: Library | None = None
        self._handle: Any = None
        self._owner: int | None = None  # the thread that signed on
        self._name = ""  # of our own node
        self._heard: deque[_Heard] = deque()  # filled by the callbacks
        # ctypes frees a callback that nobody holds, and heartbeat would call into the void.
        self._callbacks = (
            _MessageCallback(self._message),
            _NodeCallback(self._node),
            _LinkCallback(self._link),
        )
        self._lock = threading.Lock()  # around the queue, the bell and the end
        self._queue: deque[bytes] = deque(maxlen=_QUEUE)
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_closing = False
        self._is_receiving = False

    def sign_on(self, name: str = "haagent") -> None:
        """Registers as NAME, which ha.cf must allow (`apiauth NAME uid=root`).

        The calling thread owns everything but `send` and `close` from here on. Raises
        HeartbeatLost.
        """
        self.answered_at = time.monotonic()  # who is not there hangs up at once, and does not hang
        self.signed_on_at = None
        self._sign_off()
        self._owner = threading.get_ident()
        with self._lock:
            self._queue.clear()  # it was for a connection that is gone
        self._library = self._load_library()
        self._handle = self._library.ll_cluster_new(b"heartbeat")
        if not self._handle:
            raise HeartbeatLost("libhbclient has no memory, or no heartbeat in it")
        on_message, on_node, on_link = self._callbacks
        # Before the sign-on, so that nothing is missed between the two.
        self._call("set_msg_callback", _OURS, on_message, None)
        self._call("set_nstatus_callback", on_node, None)
        self._call("set_ifstatus_callback", on_link, None)
        self._call("signon", name.encode())
        # A heartbeat that hangs must not hang us: better to lose what it does not take.
        self._call("set_send_block_mode", 0)
        self._name = _text(self._ops.get_mynodeid(self._handle))
        self.signed_on_at = time.monotonic()

    def nodes(self) -> Mapping[str, str]:
        """Every node of ha.cf and its status: `up`, `active`, `dead`, ... Raises HeartbeatLost."""
        self._assert_owner()
        self._call("init_nodewalk")
        found = {}
        while (node := self._ops.nextnode(self._handle)) is not None:
            found[_text(node)] = self._answered(self._ops.node_status(self._handle, node))
        self._call("end_nodewalk")
        return found

    def links(self, node: str) -> Mapping[str, str]:
        """Every link to NODE and its status: `up` or `dead`. Raises HeartbeatLost."""
        self._assert_owner()
        name = node.encode()
        self._call("init_ifwalk", name)
        found = {}
        while (link := self._ops.nextif(self._handle)) is not None:
            found[_text(link)] = self._answered(self._ops.if_status(self._handle, name, link))
        self._call("end_ifwalk")
        return found

    def send(self, data: bytes) -> None:
        """Sends DATA to the other nodes, from any thread; returns at once.

        Not as heartbeat's ordered messages. After a short cut heartbeat repeats what was lost: the
        newest arrives first and old ones after it, while ordered ones would wait for the old.
        """
        with self._lock:
            if self._is_closing:
                return
            if len(self._queue) == _QUEUE:
                self.dropped += 1
            self._queue.append(data)
            os.eventfd_write(self._bell, 1)

    def receive(self, on_message: OnMessage, on_node: OnNode, on_link: OnLink) -> None:
        """Sends what is queued, and reports what comes, until `close`; then signs off.

        Calls on_message(node, data) for another node's message, on_node(node, status) and
        on_link(node, link, status) for each change. Raises HeartbeatLost when heartbeat goes away
        and whatever the callbacks raise.
        """
        self._assert_owner()
        self._is_receiving = True
        try:
            while not self._is_closing:
                self._send_queued()
                self._ops.rcvmsg(self._handle, 0)
                self._report(on_message, on_node, on_link)
                # hb_api.h: what is buffered in the library does not show on the descriptor.
                if not self._ops.msgready(self._handle):
                    self._wait()
        except HeartbeatLost:
            if not self._is_closing:
                raise
        finally:
            self._is_receiving = False
            if self._is_closing:
                self._end()

    def close(self) -> None:
        """Ends `receive`, which then signs off; outside of it, the owner itself signs off here."""
        with self._lock:
            if self._bell < 0:
                return
            self._is_closing = True
            os.eventfd_write(self._bell, 1)
        if self._owner in (None, threading.get_ident()) and not self._is_receiving:
            self._end()

    @property
    def _ops(self) -> Any:
        if not self._handle:
            raise BugError("heartbeat is used without having signed on")
        return self._handle.contents.ops.contents

    def _call(self, name: str, *arguments: Any) -> None:
        """Calls one of the functions that answer HA_OK or HA_FAIL."""
        if getattr(self._ops, name)(self._handle, *arguments) != _OK:
            why = _text(self._ops.errmsg(self._handle)).strip() or "no reason given"
            raise HeartbeatLost(f"heartbeat: {name} failed: {why}")

    def _answered(self, value: bytes | None) -> str:
        if value is None:
            raise HeartbeatLost("heartbeat does not know a status that it should")
        return _text(value)

    def _send_queued(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    return
                data = self._queue.popleft()
            assert self._library is not None
            message = self._library.ha_msg_new(2)
            fields = ((_TYPE, _OURS), (_PAYLOAD, base64.b64encode(data)))
            # Without memory the message is NULL: adding to it fails, deleting it is nothing.
            is_sent = (
                all(self._library.ha_msg_add(message, *field) == _OK for field in fields)
                and self._ops.sendclustermsg(self._handle, message) == _OK
            )
            self._library.ha_msg_del(message)
            if not is_sent:
                self.dropped += 1

    def _wait(self) -> None:
        """Until heartbeat or one of our own threads wants something. Raises HeartbeatLost."""
        inbox = self._ops.inputfd(self._handle)
        if inbox < 0 or not self._ops.chan_is_connected(self._handle):
            raise HeartbeatLost("heartbeat closed the connection")
        poll = select.poll()
        for number in (self._bell, inbox):
            poll.register(number, select.POLLIN)
        if self._bell in (number for number, _ in poll.poll()):
            os.eventfd_read(self._bell)

    def _message(self, message: int, _: object) -> None:
        # Called from C, where nobody could catch an exception: only remembers.
        assert self._library is not None
        node = self._library.cl_get_string(message, _ORIGIN)
        payload = self._library.cl_get_string(message, _PAYLOAD)
        if payload is None:
            self.ignored += 1
        else:
            self._heard.append(("message", _text(node), payload))

    def _node(self, node: bytes | None, status: bytes | None, _: object) -> None:
        self._heard.append(("node", _text(node), _text(status)))

    def _link(
        self, node: bytes | None, link: bytes | None, status: bytes | None, _: object
    ) -> None:
        self._heard.append(("link", _text(node), _text(link), _text(status)))

    def _report(self, on_message: OnMessage, on_node: OnNode, on_link: OnLink) -> None:
        """Calls back for what was heard: now no C is below us, and an exception gets through."""
        if self._heard:
            self.answered_at = time.monotonic()
        while self._heard:
            match self._heard.popleft():
                case ("message", self._name, _):
                    pass  # heartbeat gives a cluster message to its sender too
                case ("message", str(node), bytes(payload)):
                    try:
                        data = base64.b64decode(payload, validate=True)
                    except binascii.Error:
                        self.ignored += 1
                    else:
                        on_message(node, data)
                case ("node", str(node), str(status)):
                    on_node(node, status)
                case ("link", str(node), str(link), str(status)):
                    on_link(node, link, status)

    def _assert_owner(self) -> None:
        if self._owner != threading.get_ident():
            raise BugError("heartbeat belongs to the thread that signed on")

    def _end(self) -> None:
        self._sign_off()
        with self._lock:
            bell, self._bell = self._bell, -1
        if bell >= 0:
            os.close(bell)

    def _sign_off(self) -> None:
        """Also frees a handle whose connection broke: libhbclient cannot sign on twice with one."""
        if self._handle:
            self._ops.delete(self._handle)
        self._handle = None
        self._heard.clear()


def _text(value: bytes | None) -> str:
    """What heartbeat calls something; empty if it does not say."""
    return value.decode("ascii", "replace") if value is not None else ""
