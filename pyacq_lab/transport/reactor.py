"""One thread per process that waits on its ZeroMQ sockets, and the rule by which threads share them.

A `SharedSocket` may be sent on from any thread, under its lock: no hop to another thread lies between a
caller and the wire. Only the reactor's thread receives. ZeroMQ's descriptor is edge-triggered and any
operation on the socket may swallow the edge, so whoever sent looks once whether something has arrived,
and wakes the reactor if so.
"""

from __future__ import annotations

import itertools
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import zmq

from pyacq_lab.transport.zap import Zap

log = logging.getLogger(__name__)

Frames = list[zmq.Frame]

_BATCH = 256  # messages taken from one socket before the others have their turn


@dataclass(slots=True)
class _Timer:
    due: float
    number: int
    period: float
    function: Callable[[], None]


class SharedSocket:
    """A ZeroMQ socket that any thread may send on and that its reactor receives from.

    Made by `Reactor.add`. ``on_message`` is called in the reactor's thread, one message at a time, and
    must return quickly.
    """

    def __init__(
        self, reactor: Reactor, raw: zmq.Socket[bytes], on_message: Callable[[Frames], None]
    ) -> None:
        self._reactor = reactor
        self._raw = raw
        self._on_message = on_message
        self._lock = threading.Lock()
        self.fd: int = raw.getsockopt(zmq.FD)  # pyright: ignore[reportAttributeAccessIssue]

    def send(self, frames: Sequence[Any], *, block: bool = False, copy: bool = True) -> bool:
        """Send one message; any thread.

        Returns
        -------
        bool
            False where the peer's queue is full, the peer is gone, or the socket is closed: the message
            was not sent.
        """
        with self._lock:
            if self._raw.closed:
                return False
            try:
                self._raw.send_multipart(frames, flags=0 if block else zmq.DONTWAIT, copy=copy)
            except zmq.Again:
                self._reactor.wake(self)  # trying to send may have swallowed the word of an arrival
                return False
            except zmq.ZMQError as error:
                if error.errno in (zmq.EHOSTUNREACH, zmq.ENOTSOCK, zmq.ETERM):
                    return False
                raise
            arrived = self._raw.getsockopt(zmq.EVENTS) & zmq.POLLIN  # pyright: ignore[reportOperatorIssue]
        if arrived:
            self._reactor.wake(self)
        return True

    def drain(self) -> bool:
        """Hand received messages on; the reactor's thread. Returns True where more may be waiting."""
        for _ in range(_BATCH):
            with self._lock:
                if self._raw.closed:
                    return False
                try:
                    frames: Frames = self._raw.recv_multipart(zmq.DONTWAIT, copy=False)  # pyright: ignore[reportAssignmentType]
                except zmq.Again:
                    return False
            try:
                self._on_message(frames)
            except Exception:
                log.exception("a message could not be handled")
        return True

    def close(self, linger: float = 1.0) -> None:
        """Close; any thread. ``linger`` is how long, s, unsent messages may still leave.

        A socket that is monitored is closed before its monitor; see `stop_monitor`.
        """
        self._reactor.remove(self)
        self.stop_monitor()
        with self._lock:
            if not self._raw.closed:
                self._raw.close(linger=int(linger * 1000))

    def stop_monitor(self) -> None:
        """Tell of no more connection events, if this socket did; any thread.

        To be done before the monitor is closed: libzmq's own threads block for good on an event that
        nobody can receive any more.
        """
        with self._lock:
            if not self._raw.closed:
                self._raw.disable_monitor()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._raw.closed


class Reactor:
    """The thread that receives for a process, its ZeroMQ context and its gatekeeper.

    Parameters
    ----------
    name : str
        Name of the thread.

    Attributes
    ----------
    context : zmq.Context
        All sockets of the process come from it.
    zap : Zap
        Who may connect to the process's server sockets.
    """

    def __init__(self, name: str = "pyacq-reactor") -> None:
        self.context = zmq.Context()
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._ready: set[SharedSocket] = set()
        self._sockets: set[SharedSocket] = set()
        self._changes: list[tuple[bool, SharedSocket]] = []
        self._timers: list[_Timer] = []
        self._numbers = itertools.count()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.zap = Zap()
        zap_socket = self.context.socket(zmq.ROUTER)
        zap_socket.bind("inproc://zeromq.zap.01")
        self._zap_socket = self.add(zap_socket, self._answer_zap)
        self._thread.start()

    def add(self, raw: zmq.Socket[bytes], on_message: Callable[[Frames], None]) -> SharedSocket:
        """Take over a socket; any thread. It is sent on and closed through what is returned."""
        shared = SharedSocket(self, raw, on_message)
        with self._lock:
            self._sockets.add(shared)
            self._changes.append((True, shared))
            self._ready.add(shared)  # something may have arrived before the descriptor is watched
        self._wake()
        return shared

    def remove(self, shared: SharedSocket) -> None:
        """Stop receiving from a socket; any thread."""
        with self._lock:
            self._sockets.discard(shared)
            self._changes.append((False, shared))
            self._ready.discard(shared)
        self._wake()

    def wake(self, shared: SharedSocket) -> None:
        """Have a socket drained soon; any thread."""
        with self._lock:
            self._ready.add(shared)
        self._wake()

    def call_every(self, period: float, function: Callable[[], None]) -> int:
        """Call ``function`` in the reactor's thread every ``period`` seconds; returns what `cancel` takes."""
        number = next(self._numbers)
        with self._lock:
            self._timers.append(_Timer(time.monotonic() + period, number, period, function))
        self._wake()
        return number

    def cancel(self, timer: int) -> None:
        """Stop calling what `call_every` started; any thread, idempotent."""
        with self._lock:
            self._timers = [t for t in self._timers if t.number != timer]

    def in_thread(self) -> bool:
        """Whether the calling thread is the reactor's, which must never wait."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """End the thread, all sockets and the context; idempotent; not from the reactor's own thread."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._wake()
        self._thread.join()
        for shared in list(self._sockets):
            shared.stop_monitor()
        for shared in list(self._sockets):
            shared.close(linger=0)
        self._selector.close()
        self._woken.close()
        self._waker.close()
        self.context.term()

    def _wake(self) -> None:
        try:
            self._waker.send(b"x")
        except (BlockingIOError, OSError):
            return  # a full pipe wakes as well; a closed one means that the thread has ended

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(self._pause()):
                if key.data is None:
                    self._swallow_wakes()
                else:
                    with self._lock:
                        self._ready.add(key.data)
            self._apply_changes()
            with self._lock:
                ready, self._ready = self._ready, set()
            again = {shared for shared in ready if shared.drain()}
            with self._lock:
                self._ready |= again
            self._run_timers()

    def _pause(self) -> float | None:
        with self._lock:
            if self._ready or self._closing:
                return 0.0
            due = min((t.due for t in self._timers), default=None)
            return None if due is None else max(0.0, due - time.monotonic())

    def _swallow_wakes(self) -> None:
        try:
            while self._woken.recv(4096):
                pass
        except BlockingIOError:
            return

    def _apply_changes(self) -> None:
        with self._lock:
            changes, self._changes = self._changes, []
        watched = {key.data for key in self._selector.get_map().values()}
        for added, shared in changes:
            if added and not shared.closed:
                self._selector.register(shared.fd, selectors.EVENT_READ, shared)
                watched.add(shared)
            elif not added and shared in watched:
                self._selector.unregister(shared.fd)
                watched.discard(shared)

    def _run_timers(self) -> None:
        now = time.monotonic()
        with self._lock:
            due = [t for t in self._timers if t.due <= now]
        for timer in due:
            timer.due = now + timer.period
            try:
                timer.function()
            except Exception:
                log.exception("a timer failed")

    def _answer_zap(self, frames: Frames) -> None:
        head, request = self._split(frames)
        self._zap_socket.send([*head, *self.zap.answer(request)], block=True)

    @staticmethod
    def _split(frames: Frames) -> tuple[list[bytes], list[bytes]]:
        parts = [f.bytes for f in frames]
        cut = parts.index(b"") + 1
        return parts[:cut], parts[cut:]
