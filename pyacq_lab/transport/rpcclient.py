"""The calling end of remote calls: an encrypted DEALER."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol

import zmq
from zmq.utils.monitor import parse_monitor_message

from pyacq_lab.errors import (
    AuthenticationError,
    CallTimeout,
    HostUnreachable,
    ProcessDied,
    ProtocolError,
)
from pyacq_lab.transport.interrupts import HeldInterrupts
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Frames, Reactor
from pyacq_lab.transport.sockets import client_socket, connect_monitored, listens, parse_endpoint
from pyacq_lab.wire.calls import CallBook
from pyacq_lab.wire.envelope import (
    Event,
    Failure,
    Reply,
    ServerMessageDecoder,
    encode_request,
    name_of,
    number_of,
)
from pyacq_lab.wire.errors import describe_error, rebuild_error
from pyacq_lab.wire.messages import Message
from pyacq_lab.wire.values import Adopt, Export

log = logging.getLogger(__name__)

_BROKEN_HANDSHAKES = 3  # one can be a server that was just ending; ZeroMQ tries again within 0.1 s
_ANSWERS = (Reply, Failure)


class _Pending(Protocol):
    """Who waits for an answer; a `concurrent.futures.Future` is one."""

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException, /) -> None: ...


class _Waiter:
    """A thread that waits for an answer: lighter than a future, and open to nobody else."""

    __slots__ = ("_gate", "done", "error", "over", "value")

    def __init__(self) -> None:
        self.done = False
        self.over = False  # done, or asked by Ctrl-C to look up
        self.error: BaseException | None = None
        self._gate = threading.Lock()
        self._gate.acquire()

    def set_result(self, result: Any, /) -> None:
        self.value = result
        self.done = self.over = True
        self._gate.release()

    def set_exception(self, exception: BaseException, /) -> None:
        self.error = exception
        self.done = self.over = True
        self._gate.release()

    def wait(self, seconds: float) -> None:
        if self._gate.acquire(timeout=max(0.0, seconds)):
            self._gate.release()

    def answer(self) -> Any:
        if self.error is None:
            return self.value
        try:
            raise self.error
        finally:
            self.error = None  # no cycle from the error through its traceback to itself


class RpcClient:
    """One connection to an `RpcServer`; any thread may call.

    A thread that waits for its answer receives for all meanwhile, where no other thread does: the answer
    then wakes the very thread that wants it. Events, callbacks and futures are always served by the
    reactor's thread.

    Parameters
    ----------
    reactor : Reactor
        Whose thread receives while nobody waits.
    endpoint, server_key : str
        Where the server listens and the public key it must prove.
    keys : KeyPair
        By which this side proves itself.
    where : str
        The place that errors name.
    on_event : callable, optional
        Takes ``(topic, value)`` of each event, in the reactor's thread; must not wait.
    on_callback : callable, optional
        Takes each message of `wire.messages.ClientRequest` with its number; as ``on_event``.
    on_lost, on_back : callable, optional
        Called in the reactor's thread when the connection breaks, and when it stands again.
    adopt : callable, optional
        Makes something of each reference that comes in; see `wire.values.Unpacker`.
    """

    def __init__(
        self,
        reactor: Reactor,
        endpoint: str,
        server_key: str,
        *,
        keys: KeyPair,
        where: str,
        on_event: Callable[[Event], None] | None = None,
        on_callback: Callable[[int, Any], None] | None = None,
        on_lost: Callable[[], None] | None = None,
        on_back: Callable[[], None] | None = None,
        adopt: Adopt | None = None,
    ) -> None:
        parse_endpoint(endpoint)
        self.endpoint = endpoint
        self.server_key = server_key
        self.where = where
        self._reactor = reactor
        self._on_event = on_event
        self._on_callback = on_callback
        self._on_lost = on_lost
        self._on_back = on_back
        self._was_lost = False
        self._decoder = ServerMessageDecoder(adopt)
        self._for_reactor: deque[Callable[[], None]] = deque()
        self._book: CallBook[_Pending] = CallBook()
        self._lock = threading.Lock()
        self._link = threading.Condition(self._lock)
        self._connected = False
        self._refused = ""
        self._unauthorised = False
        self._broken_handshakes = 0
        self._lost = f"{where} is not connected"
        self._timer: int | None = None  # runs while a future waits; a thread that waits has its own clock
        raw = client_socket(reactor.context, zmq.DEALER, keys, server_key)
        events = connect_monitored(raw, endpoint)
        self._socket = reactor.add(raw, self._on_message)
        self._monitor = reactor.add(events, self._on_link)

    def wait_connected(self, timeout: float = 5.0) -> None:
        """Wait for the encrypted connection.

        Raises
        ------
        HostUnreachable
            Nothing listens at the endpoint, or what listens does not speak this protocol.
        AuthenticationError
            The server refused this side's key, or could not prove the expected one.
        """
        deadline = time.monotonic() + timeout
        reason = listens(self.endpoint, timeout)
        if reason:
            raise HostUnreachable(f"{self.where}: nothing answers at {self.endpoint} ({reason})")
        with self._link:
            self._link.wait_for(
                lambda: self._connected or self._refused, max(0.0, deadline - time.monotonic())
            )
            if self._connected:
                return
            if self._refused:
                raise AuthenticationError(f"{self.where} at {self.endpoint}: {self._refused}")
        raise HostUnreachable(
            f"{self.where}: {self.endpoint} accepts connections but did not prove its key within "
            f"{timeout:g} s: it is none of pyacq_lab's, or its public key is another than the one given"
        )

    @property
    def unauthorised(self) -> bool:
        """Whether the server refused this side's key."""
        return self._unauthorised

    @property
    def connected(self) -> bool:
        """Whether the encrypted connection stands."""
        return self._connected

    def request(
        self,
        message: Message,
        timeout: float,
        export: Export | None = None,
        future: Future[Any] | None = None,
    ) -> Future[Any]:
        """Send a request; the future holds the answer, or the error, after ``timeout`` s at the latest.

        Parameters
        ----------
        message : Message
            The request.
        timeout : float
            Seconds.
        export : callable, optional
            Reduces values that cannot travel; see `wire.values.Packer`.
        future : Future, optional
            What to fill in and return, of the caller's own kind.
        """
        future = Future() if future is None else future
        future.set_running_or_notify_cancel()  # what has been sent cannot be called off
        deadline = time.monotonic() + timeout
        while True:
            with HeldInterrupts():
                if self._send(message, future, deadline, export):
                    with self._lock:
                        if self._timer is None:
                            self._timer = self._reactor.call_every(0.1, self._expire)
                    return future
            self._await_room(deadline)

    def call(self, message: Message, timeout: float = 10.0, export: Export | None = None) -> Any:
        """Send a request and wait for its answer; not from the reactor's thread.

        Raises
        ------
        RemoteError
            The request failed over there.
        CallTimeout
            No answer came within ``timeout`` seconds.
        ProcessDied
            The connection broke.
        """
        if self._reactor.in_thread():
            raise RuntimeError("a remote call from the receiving thread would wait for itself")
        deadline = time.monotonic() + timeout
        waiter = _Waiter()
        number = 0

        def look_up() -> None:
            waiter.over = True
            self._socket.rouse()

        try:
            while True:
                with HeldInterrupts(look_up):
                    number = self._send(message, waiter, deadline, export)
                    if number:
                        self._socket.lead(waiter, deadline)
                        break
                self._await_room(deadline)
            while not waiter.done:  # another thread receives, or Ctrl-C came to nothing
                left = deadline - time.monotonic()
                if left <= 0:
                    raise CallTimeout(f"{self.where} did not answer {name_of(message)} within {timeout:g} s")
                waiter.wait(left)
        finally:
            if not waiter.done:
                with self._lock:
                    self._book.resolve(number)
        return waiter.answer()

    def tell(self, message: Message, export: Export | None = None, timeout: float = 0.0) -> None:
        """Send a request that is not answered: where it fails, it is logged over there. Any thread.

        Where the other side takes no more requests for now, this waits for at most ``timeout`` seconds.

        Raises
        ------
        ProcessDied
            The connection is broken.
        CallTimeout
            The other side took no more requests.
        """
        deadline = time.monotonic() + timeout
        while True:
            with HeldInterrupts():
                if not self._connected:
                    raise ProcessDied(self._lost)
                if self._socket.send(encode_request(0, message, export)):
                    return
            self._await_room(deadline)

    def fail(self, reason: str) -> None:
        """Give up the connection: open calls fail now, later calls at once."""
        with self._lock:
            self._connected = False
            self._lost = reason
            waiters = self._book.abandon()
        for waiter in waiters:
            waiter.set_exception(ProcessDied(reason))
        self._socket.rouse()

    def close(self) -> None:
        """Close the connection; idempotent. Open calls fail."""
        self._on_lost = self._on_back = None
        # Who calls later is told why the connection broke, rather than that it was then put away.
        self.fail(f"the connection to {self.where} was closed" if self._connected else self._lost)
        if self._timer is not None:
            self._reactor.cancel(self._timer)
        self._socket.close(1.0)
        self._monitor.close(0)

    def _send(self, message: Message, waiter: _Pending, deadline: float, export: Export | None) -> int:
        """Send a request; returns its number, or 0 where the other side takes no more for now."""
        with self._lock:
            if not self._connected:
                raise ProcessDied(self._lost)
            number = self._book.open(waiter, deadline)
        sent = False
        try:
            sent = self._socket.send(encode_request(number, message, export))
        finally:
            if not sent:
                with self._lock:
                    self._book.resolve(number)
        return number if sent else 0

    def _await_room(self, deadline: float) -> None:
        """Let a moment pass in which the other side may take some of the requests that are under way.

        Outside of `HeldInterrupts`: Ctrl-C ends the wait.
        """
        if self._reactor.in_thread() or time.monotonic() > deadline:
            raise CallTimeout(
                f"{self.where} takes no more requests: {len(self._book)} wait there for an answer; "
                "it is overrun, or hangs"
            )
        time.sleep(0.001)

    # --- who receives: the reactor, or a thread that waits for its answer

    def _on_message(self, frames: Frames) -> None:
        try:
            message = self._decoder.decode([f.buffer for f in frames])
        except ProtocolError as error:
            # Whoever waits for this answer must not wait for another.
            message = Failure(number_of(frames[0].buffer), describe_error(error))
        if isinstance(message, _ANSWERS):
            with self._lock:
                waiter = self._book.resolve(message.id)
            if waiter is None:
                return  # it came after its deadline, or the caller gave up
            if isinstance(waiter, _Waiter):
                self._settle(waiter, message)
                if self._reactor.in_thread():
                    self._socket.rouse()  # the waiter may be the thread that leads
                return
            self._for_reactor.append(partial(self._settle, waiter, message))
        elif isinstance(message, Event):
            if self._on_event is None:
                return
            self._for_reactor.append(partial(self._on_event, message))
        elif self._on_callback is not None:
            self._for_reactor.append(partial(self._on_callback, message.id, message.body))
        if self._reactor.in_thread():
            self._serve()
        else:
            self._reactor.call_soon(self._serve)

    def _settle(self, waiter: _Pending, message: Reply | Failure) -> None:
        if isinstance(message, Reply):
            waiter.set_result(message.value)
        else:
            waiter.set_exception(rebuild_error(message.error, self.where))

    # --- the reactor's thread

    def _serve(self) -> None:
        """Deal with what others than waiting threads are to hear, in the order in which it came."""
        while self._for_reactor:
            errand = self._for_reactor.popleft()
            try:
                errand()
            except Exception:
                log.exception("a message from %s could not be handled", self.where)

    def _on_link(self, frames: Frames) -> None:
        event = parse_monitor_message([f.bytes for f in frames])["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            with self._link:
                self._connected = True
                self._link.notify_all()
            if self._was_lost and self._on_back is not None:
                self._on_back()
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            with self._link:
                self._unauthorised = True
                self._refused = (
                    "this side's key is not authorised there; pair with the token that the host prints"
                )
                self._link.notify_all()
        elif event in (zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL):
            with self._link:
                self._broken_handshakes += 1
                if self._broken_handshakes >= _BROKEN_HANDSHAKES:
                    self._refused = (
                        "it did not prove the public key given; take the one that `pyacq-lab host` prints"
                    )
                    self._link.notify_all()
        elif event == zmq.EVENT_DISCONNECTED and self._connected:
            self._was_lost = True
            # A server that answers and goes is heard first, whichever socket spoke first here.
            while self._socket.drain():
                continue
            self.fail(
                f"the connection to {self.where} at {self.endpoint} is lost: it does not answer "
                "now (it is stopped, out of reach, or has ended); should it answer again, calls go on"
            )
            if self._on_lost is not None:
                self._on_lost()

    def _expire(self) -> None:
        with self._lock:
            late = self._book.expire(time.monotonic())
            if not self._book and self._timer is not None:
                self._reactor.cancel(self._timer)
                self._timer = None
        for waiter in late:
            waiter.set_exception(CallTimeout(f"{self.where} did not answer in time"))
        if late:
            self._socket.rouse()
