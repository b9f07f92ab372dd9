"""A ZeroMQ socket that several threads share, and the rules by which they do.

* Any thread sends, under a lock: no hop to another thread lies between a caller and the wire.
* One thread at a time receives: the reactor's, or one that has taken the role from it with `lead`.
  That thread waits on the descriptor itself, so that no hop lies between the wire and who waits either.
* ZeroMQ's descriptor speaks once per arrival, and any operation on the socket may swallow its word. So
  whoever sent, and whoever gives the role back, looks once whether something has arrived, and has the
  reactor receive it if so.
* A message is received and handed on under one lock: messages reach their consumers in order, whichever
  thread receives them.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import zmq

from pyacq_lab.transport.watch import Bell

if TYPE_CHECKING:
    from pyacq_lab.transport.reactor import Reactor

log = logging.getLogger(__name__)

Frames = list[zmq.Frame]

_BATCH = 256  # messages taken from one socket before the others have their turn
_NOW = int(zmq.DONTWAIT)
_MORE_NOW = int(zmq.DONTWAIT | zmq.SNDMORE)
_EVENTS = int(zmq.EVENTS)
_IN = int(zmq.POLLIN)


class Wish(Protocol):
    """What a thread that leads waits for."""

    @property
    def over(self) -> bool:
        """Whether it need not wait any longer."""
        ...


class SharedSocket:
    """A ZeroMQ socket that any thread may send on and that one thread at a time receives from.

    Made by `Reactor.add`. ``on_message`` is called by whoever receives, one message at a time, and must
    return quickly.

    Attributes
    ----------
    fd : int
        ZeroMQ's descriptor.
    """

    def __init__(
        self, reactor: Reactor, raw: zmq.Socket[bytes], on_message: Callable[[Frames], None]
    ) -> None:
        self._reactor = reactor
        self._raw = raw
        self._on_message = on_message
        self._using = threading.Lock()  # around every use of the raw socket
        self._receiving = threading.Lock()  # around receiving a message and handing it on
        self._role = threading.Lock()  # held by the thread that leads
        self._open = True
        self._ending = False
        self._bell: Bell | None = None
        self._poll: Any = None
        # What pyzmq adds to its own core in Python is for draft sockets; three calls of it are felt.
        self._raw_send = super(zmq.Socket, raw).send
        self._raw_recv = raw.recv
        self._raw_get = super(zmq.Socket, raw).get
        self.fd: int = raw.getsockopt(zmq.FD)  # pyright: ignore[reportAttributeAccessIssue]

    # --- any thread

    def send(self, frames: Sequence[Any], *, block: bool = False, copy: bool = True) -> bool:
        """Send one message; any thread.

        Returns
        -------
        bool
            False where the peer's queue is full, the peer is gone, or the socket is closed: the message
            was not sent.
        """
        last = len(frames) - 1
        more, final = (zmq.SNDMORE, 0) if block else (_MORE_NOW, _NOW)
        with self._using:
            if not self._open:
                return False
            send = self._raw_send
            try:
                for index in range(last):
                    send(frames[index], more, copy)
                send(frames[last], final, copy)
            except zmq.Again:
                self._reactor.wake(self)  # trying to send may have swallowed the word of an arrival
                return False
            except zmq.ZMQError as error:
                if error.errno in (zmq.EHOSTUNREACH, zmq.ENOTSOCK, zmq.ETERM):
                    return False
                raise
            arrived = self._raw_get(_EVENTS) & _IN  # pyright: ignore[reportOperatorIssue]
        if arrived:
            self._reactor.wake(self)
        return True

    def close(self, linger: float = 1.0) -> None:
        """Close; any thread but the one that leads. ``linger`` is how long, s, unsent messages may leave.

        A socket that is monitored is closed before its monitor; see `stop_monitor`.
        """
        self._ending = True
        self.rouse()
        with self._role:
            self._reactor.remove(self)
            self.stop_monitor()
            with self._using:
                self._open = False
                if not self._raw.closed:
                    self._raw.close(linger=int(linger * 1000))
            if self._bell is not None:
                self._bell.close()
                self._bell = None

    def stop_monitor(self) -> None:
        """Tell of no more connection events, if this socket did; any thread.

        To be done before the monitor is closed: libzmq's own threads block for good on an event that
        nobody can receive any more.
        """
        with self._using:
            if not self._raw.closed:
                self._raw.disable_monitor()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._raw.closed

    # --- who receives

    def drain(self) -> bool:
        """Hand received messages on; the reactor's thread. Returns True where more may be waiting."""
        return all(self._receive() for _ in range(_BATCH))

    def lead(self, wish: Wish, deadline: float | None = None, more: int = 0) -> bool:
        """Receive in the calling thread until ``wish.over``, or until the deadline or the socket's end.

        `rouse` makes it look at the wish again. Not from the reactor's thread. Up to ``more`` messages that
        are there by then are received as well: the reactor need not be woken for them.

        Returns
        -------
        bool
            False where another thread has the role, or the system does not let it be lent: wait otherwise.
        """
        watch = self._reactor.watch
        if not watch.lends or not self._role.acquire(blocking=False):
            return False
        try:
            if self._ending:
                return False
            if self._bell is None:
                self._bell = self._make_bell()
            watch.pause(self.fd)
            try:
                self._lead(wish, deadline, self._bell)
            finally:
                self._hand_over(more)
        finally:
            self._role.release()
        return True

    def rouse(self) -> None:
        """Make the thread that leads look again whether it is done; any thread."""
        bell = self._bell
        if bell is not None:
            bell.ring()

    @property
    def led(self) -> bool:
        """Whether a thread leads, or is about to."""
        return self._role.locked()

    def _lead(self, wish: Wish, deadline: float | None, bell: Bell) -> None:
        # Nothing that arrived is overlooked by waiting first: `send` has looked, and pausing takes no word
        # from the descriptor.
        left = None
        while not (wish.over or self._ending):
            if deadline is not None:
                left = (deadline - time.monotonic()) * 1000
                if left <= 0:
                    return
            found = self._poll(left)
            if len(found) != 1 or found[0][0] != self.fd:
                bell.hush()
            while self._receive():
                if wish.over or self._ending:
                    return

    def _hand_over(self, more: int) -> None:
        # Looking also empties the descriptor, which would else wake the reactor for what was received here.
        # What arrives after the look makes the descriptor speak anew.
        while arrived := self._has_arrived():
            if more <= 0:
                break
            more -= 1
            self._receive()
        self._reactor.watch.resume(self.fd)
        if arrived:
            self._reactor.wake(self)

    def _has_arrived(self) -> bool:
        with self._using:
            return self._open and bool(self._raw_get(_EVENTS) & _IN)  # pyright: ignore[reportOperatorIssue]

    def _make_bell(self) -> Bell:
        bell = Bell()
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        poll.register(bell.fd, select.POLLIN)
        self._poll = poll.poll
        return bell

    def _receive(self) -> bool:
        with self._receiving:
            with self._using:
                if not self._open:
                    return False
                try:
                    frame = self._raw_recv(_NOW, False)
                    frames: Frames = [frame]  # pyright: ignore[reportAssignmentType]
                    while frame.more:  # pyright: ignore[reportAttributeAccessIssue]
                        frame = self._raw_recv(_NOW, False)
                        frames.append(frame)  # pyright: ignore[reportArgumentType]
                except zmq.Again:
                    return False
            try:
                self._on_message(frames)
            except Exception:
                log.exception("a message could not be handled")
        return True
