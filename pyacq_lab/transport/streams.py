"""The two ends of a stream over encrypted ZeroMQ."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import zmq
from zmq.utils.monitor import parse_monitor_message

from pyacq_lab.errors import ConfigurationError, HostUnreachable, LifecycleError, ProtocolError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ledger import HopLedger, PortStatus
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Frames, Reactor
from pyacq_lab.transport.sockets import bind, client_socket, connect, monitor, server_socket
from pyacq_lab.transport.zap import Allow
from pyacq_lab.wire.inbox import Inbox
from pyacq_lab.wire.outbox import Cursor, Outbox
from pyacq_lab.wire.streaming import (
    AskTip,
    Leave,
    Opened,
    Policy,
    Subscribe,
    Taken,
    decode_from_producer,
    decode_from_reader,
    encode,
)

log = logging.getLogger(__name__)

SIGN_OF_LIFE = 0.5
"""Seconds between two words of a quiet end."""

_SILENT_READER = 10.0  # a reader not heard of for so long is given up; it may come back


class OutputStream:
    """The producing end: a ring buffer, and a ROUTER socket from which any number of readers are served.

    `write` is called by one thread; everything else by any.

    Parameters
    ----------
    reactor : Reactor
        Whose thread hears the readers.
    node, port : str
        Whose output it is.
    keys : KeyPair
        By which it proves itself.
    allow : callable
        Says which keys may read.
    interface : str
        IP address to listen at.
    """

    def __init__(
        self, reactor: Reactor, *, node: str, port: str, keys: KeyPair, allow: Allow, interface: str = "127.0.0.1"
    ) -> None:
        self._reactor = reactor
        self._name = port
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._outbox: Outbox | None = None
        self._cursors: dict[bytes, Cursor] = {}
        self._waiting: dict[bytes, Subscribe] = {}  # readers that came before the stream was configured
        self._running = False
        self._domain = f"stream:{node}.{port}:{id(self)}"
        reactor.zap.open_domain(self._domain, allow)
        raw = server_socket(reactor.context, zmq.ROUTER, keys, self._domain)
        raw.router_mandatory = True
        raw.sndhwm = 0  # what may be under way is bounded per reader, in samples
        try:
            endpoint = bind(raw, f"tcp://{interface}:0")
        except ConfigurationError:
            raw.close(linger=0)
            raise
        self.address = StreamAddress(endpoint, keys.public, node, port)
        self._socket = reactor.add(raw, self._on_message)
        self._timer = reactor.call_every(SIGN_OF_LIFE, self._tick)

    @property
    def spec(self) -> StreamSpec | None:
        """What the stream is; None until it is configured."""
        return None if self._outbox is None else self._outbox.spec

    def configure(self, spec: StreamSpec) -> None:
        """Say what the stream is. Everything that the ring held is forgotten if that changes it."""
        with self._lock:
            if self._running:
                raise LifecycleError(f"output {self._name} is running: stop its node before configuring it")
            if self._outbox is not None and self._outbox.spec == spec:
                return
            self._outbox = Outbox(spec)
            arrivals = list(self._waiting.items()) + [(r, Subscribe(c.policy)) for r, c in self._cursors.items()]
            self._waiting.clear()
            for routing_id, wish in arrivals:
                self._admit(routing_id, wish)

    def begin(self) -> None:
        """Start a new epoch: the next sample written has index 0."""
        with self._lock:
            self._box().begin_epoch()
            self._running = True
            self._send_tips()

    def end(self) -> None:
        """Say that the epoch is over; idempotent."""
        with self._lock:
            self._running = False
            self._send_tips()

    def write(
        self, data: npt.NDArray[Any], time_ns: int = 0, uncertainty_ns: int = -1, lost: int = 0
    ) -> None:
        """Append a chunk and offer it to all readers. Never waits for one.

        Parameters
        ----------
        data : ndarray, shape (n_samples, ...)
            Samples; cast to the stream's dtype where that loses nothing.
        time_ns : int
            Time of the first sample, ns since 1970 UTC.
        uncertainty_ns : int
            Half-width of the interval in which that lies, ns; -1 unknown.
        lost : int
            Samples that the hardware lost right before these.

        Raises
        ------
        StreamMismatch
            The samples have another shape, or a dtype that does not fit the stream's.
        """
        with self._lock:
            box = self._box()
            if data.shape[1:] != box.spec.sample_shape or not np.can_cast(data.dtype, box.spec.np_dtype, "same_kind"):
                raise StreamMismatch(
                    f"output {self._name} was given samples {data.dtype}{data.shape[1:]}, "
                    f"but its stream is {box.spec.np_dtype}{box.spec.sample_shape}"
                )
            box.write(data, time_ns, uncertainty_ns, lost)
            for routing_id in list(self._cursors):
                self._pump(routing_id)

    def wait_room(self, count: int, timeout: float) -> bool:
        """Wait until ``count`` samples can be written without overwriting any that a lossless reader lacks.

        For sources that can wait, such as file replay. False where there is no room within ``timeout`` s.
        """
        with self._room:
            return self._room.wait_for(lambda: self._has_room(count), timeout)

    def status(self) -> PortStatus:
        """Snapshot of the port."""
        with self._lock:
            box = self._outbox
            if box is None:
                return PortStatus(name=self._name)
            return PortStatus(
                name=self._name,
                epoch=max(0, box.epoch),
                stop=box.stop,
                samples=box.ring.stop,
                overruns=box.overruns,
                readers=len(self._cursors),
            )

    def close(self) -> None:
        """Stop serving; idempotent."""
        self._reactor.cancel(self._timer)
        self._socket.close(0.2)
        self._reactor.zap.close_domain(self._domain)

    # --- under the lock

    def _box(self) -> Outbox:
        if self._outbox is None:
            raise LifecycleError(f"output {self._name} is not configured")
        return self._outbox

    def _has_room(self, count: int) -> bool:
        box = self._box()
        needed = min(count, box.ring.size)
        return all(box.unread_room(c) >= needed for c in self._cursors.values() if c.policy == "lossless")

    def _admit(self, routing_id: bytes, wish: Subscribe) -> None:
        box = self._outbox
        if box is None:
            self._waiting[routing_id] = wish
            return
        cursor = box.subscribe(wish.policy, wish.epoch, wish.start, wish.backfill)
        cursor.heard = time.monotonic()
        self._cursors[routing_id] = cursor
        self._socket.send([routing_id, encode(Opened(box.spec))])
        self._pump(routing_id)
        if routing_id in self._cursors:
            self._socket.send([routing_id, encode(cursor.tip(box.ring.stop, self._running))])

    def _pump(self, routing_id: bytes) -> None:
        box, cursor = self._box(), self._cursors[routing_id]
        window = max(1, box.ring.size // (2 if cursor.policy == "lossless" else 8))
        backlog = window if cursor.policy == "drop-oldest" else 1
        for head, views in box.owed(cursor, window, backlog):
            frames: list[Any] = [routing_id, encode(head)]
            if views is not None:
                frames.append(views[0] if len(views) == 1 else np.concatenate(views))
            if not self._socket.send(frames):
                del self._cursors[routing_id]  # it is gone; should it come back, it says where it stands
                self._room.notify_all()
                return

    def _send_tips(self) -> None:
        if self._outbox is None:
            return
        for routing_id, cursor in list(self._cursors.items()):
            tip = cursor.tip(self._outbox.ring.stop, self._running)
            if not self._socket.send([routing_id, encode(tip)]):
                del self._cursors[routing_id]
                self._room.notify_all()

    # --- the reactor's thread

    def _on_message(self, frames: Frames) -> None:
        routing_id = frames[0].bytes
        try:
            message = decode_from_reader(frames[1].buffer)
        except (ProtocolError, IndexError) as error:
            log.warning("ignored a reader's message at %s: %s", self.address.endpoint, error)
            return
        with self._lock:
            cursor = self._cursors.get(routing_id)
            if isinstance(message, Subscribe):
                self._admit(routing_id, message)
            elif isinstance(message, Leave):
                self._cursors.pop(routing_id, None)
                self._waiting.pop(routing_id, None)
            elif cursor is not None:
                cursor.heard = time.monotonic()
                if isinstance(message, Taken):
                    cursor.taken = max(cursor.taken, message.samples)
                    self._pump(routing_id)
                else:
                    tip = cursor.tip(self._box().ring.stop, self._running, message.token)
                    self._socket.send([routing_id, encode(tip)])
            self._room.notify_all()

    def _tick(self) -> None:
        silent_since = time.monotonic() - _SILENT_READER
        with self._lock:
            for routing_id, cursor in list(self._cursors.items()):
                if cursor.heard < silent_since:
                    log.warning("a reader of %s.%s is silent and given up", self.address.node, self._name)
                    del self._cursors[routing_id]
            self._send_tips()
            self._room.notify_all()


class InputStream:
    """The reading end of a stream. One thread reads; any thread may ask for `ledger` or `close`.

    Parameters
    ----------
    reactor : Reactor
        Whose thread receives.
    address : StreamAddress
        Which output to read.
    keys : KeyPair
        By which this side proves itself.
    policy : {'lossless', 'drop-oldest', 'latest'}
        What happens when the reader is slow: the producer keeps what it lacks while its ring lasts; the
        oldest are dropped; all but the newest are dropped.
    backfill : float
        Seconds of the past to begin with, as far as the producer's ring reaches.
    """

    def __init__(
        self,
        reactor: Reactor,
        address: StreamAddress,
        *,
        keys: KeyPair,
        policy: Policy = "lossless",
        backfill: float = 0.0,
    ) -> None:
        self.address = address
        self._reactor = reactor
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._inbox = Inbox(policy, backfill)
        self._reported = 0
        self._token = 0
        self._closed = False
        raw = client_socket(reactor.context, zmq.DEALER, keys, address.public_key)
        raw.rcvhwm = 0  # bounded by the producer, in samples
        self._monitor = reactor.add(monitor(raw), self._on_link)
        self._socket = reactor.add(raw, self._on_message)
        connect(raw, address.endpoint)
        self._timer = reactor.call_every(SIGN_OF_LIFE, self._report)

    def wait_opened(self, timeout: float = 5.0) -> StreamSpec:
        """Wait until the producer has said what the stream is.

        Raises
        ------
        HostUnreachable
            It did not within ``timeout`` seconds.
        """
        with self._news:
            if not self._news.wait_for(lambda: self._inbox.spec is not None, timeout):
                where = f"{self.address.node}.{self.address.port} at {self.address.endpoint}"
                raise HostUnreachable(
                    f"output {where} did not describe its stream within {timeout:g} s: "
                    "it is not configured, its process has ended, or it refuses this side's key"
                )
            return self.spec

    @property
    def spec(self) -> StreamSpec:
        """What the stream is. Raises LifecycleError before `wait_opened` has returned."""
        if self._inbox.spec is None:
            raise LifecycleError(f"stream {self.address.node}.{self.address.port} has not been described yet")
        return self._inbox.spec

    def recv(self, timeout: float | None = None) -> Chunk | Gap | None:
        """Take the next chunk or gap, in order; None where none came within ``timeout`` seconds.

        The chunk's data are read-only and stay valid.

        Raises
        ------
        StreamMismatch
            The producer was configured anew and its stream is another one now.
        """
        with self._news:
            self._news.wait_for(lambda: self._inbox.waiting or self._closed or self._inbox.changed, timeout)
            if self._inbox.changed:
                raise StreamMismatch(
                    f"stream {self.address.node}.{self.address.port} was configured anew ({self._inbox.changed}): "
                    "configure its readers again"
                )
            item = self._inbox.hand()
            taken = self._inbox.taken
            due = taken - self._reported >= max(1, self.spec.ring_size // 32) if item is not None else False
        if due:
            self._report()
        return item

    def poll(self, timeout: float = 0.0) -> int:
        """Wait up to ``timeout`` seconds for news; returns how many chunks and gaps wait to be taken."""
        with self._news:
            self._news.wait_for(lambda: self._inbox.waiting or self._closed, timeout)
            return self._inbox.waiting

    def drained(self, timeout: float = 0.0) -> bool:
        """Whether all that the producer has offered up to now was taken, by its own fresh word.

        Waits up to ``timeout`` seconds for that word, not for the samples: call `recv` until this is True.
        """
        with self._lock:
            self._token += 1
            token = self._token
        self._socket.send([encode(AskTip(token))])
        with self._news:
            heard = self._news.wait_for(lambda: self._inbox.tip.token >= token or self._closed, timeout)
            return heard and self._inbox.drained

    @property
    def running(self) -> bool:
        """Whether the producer runs, as last heard."""
        return self._inbox.tip.running

    def ledger(self) -> HopLedger:
        """Accounts of this connection."""
        with self._lock:
            return self._inbox.ledger()

    def close(self) -> None:
        """Stop reading; idempotent."""
        with self._news:
            if self._closed:
                return
            self._closed = True
            self._news.notify_all()
        self._reactor.cancel(self._timer)
        self._socket.send([encode(Leave())])
        self._monitor.close(0)
        self._socket.close(0.2)

    def _report(self) -> None:
        with self._lock:
            taken = self._reported = self._inbox.taken
        self._socket.send([encode(Taken(taken))])

    # --- the reactor's thread

    def _on_message(self, frames: Frames) -> None:
        message = decode_from_producer(frames[0].buffer)
        with self._news:
            self._inbox.accept(message, frames[1].buffer if len(frames) > 1 else b"")
            self._news.notify_all()

    def _on_link(self, frames: Frames) -> None:
        event = parse_monitor_message([f.bytes for f in frames])["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            with self._lock:
                wish = self._inbox.subscription()
                self._reported = 0
            self._socket.send([encode(wish)])
