"""The producing end of a stream over encrypted ZeroMQ."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import zmq

from pyacq_lab.errors import (
    ConfigurationError,
    LifecycleError,
    ProtocolError,
    StreamMismatch,
)
from pyacq_lab.model.ledger import PortStatus
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Frames, Reactor
from pyacq_lab.transport.sockets import bind, server_socket
from pyacq_lab.transport.zap import Allow
from pyacq_lab.wire.outbox import Cursor, Outbox
from pyacq_lab.wire.streaming import (
    Leave,
    Opened,
    Subscribe,
    Taken,
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
        self,
        reactor: Reactor,
        *,
        node: str,
        port: str,
        keys: KeyPair,
        allow: Allow,
        interface: str = "127.0.0.1",
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

    @property
    def next_index(self) -> int:
        """Absolute index of the next sample to be written, in the present epoch."""
        return 0 if self._outbox is None else self._outbox.stop

    def configure(self, spec: StreamSpec) -> None:
        """Say what the stream is. Everything that the ring held is forgotten if that changes it."""
        with self._lock:
            if self._running:
                raise LifecycleError(f"output {self._name} is running: stop its node before configuring it")
            if self._outbox is not None and self._outbox.spec == spec:
                return
            self._outbox = Outbox(spec)
            arrivals = list(self._waiting.items()) + [
                (r, Subscribe(c.policy)) for r, c in self._cursors.items()
            ]
            self._waiting.clear()
            for routing_id, wish in arrivals:
                self._admit(routing_id, wish)

    def begin(self, first: int = 0) -> None:
        """Start a new epoch: the next sample written has index ``first``."""
        with self._lock:
            self._box().begin_epoch(first)
            self._running = True
            self._send_tips()

    def end(self) -> None:
        """Say that the epoch is over; idempotent."""
        with self._lock:
            self._running = False
            self._send_tips()

    def write(
        self,
        data: npt.NDArray[Any],
        time_ns: int = 0,
        uncertainty_ns: int = -1,
        lost: int = 0,
        reason: str = "overrun",
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
            Samples lost right before these, before they reached the stream.
        reason : str
            Why they were lost, in a word.

        Raises
        ------
        StreamMismatch
            The samples have another shape, or a dtype that does not fit the stream's.
        """
        with self._lock:
            box = self._box()
            if data.shape[1:] != box.spec.sample_shape or not np.can_cast(
                data.dtype, box.spec.np_dtype, "same_kind"
            ):
                raise StreamMismatch(
                    f"output {self._name} was given samples {data.dtype}{data.shape[1:]}, "
                    f"but its stream is {box.spec.np_dtype}{box.spec.sample_shape}"
                )
            box.write(data, time_ns, uncertainty_ns, lost, reason)
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
