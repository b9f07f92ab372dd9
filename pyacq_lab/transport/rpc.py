"""Remote calls over an encrypted ROUTER/DEALER pair."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

from pyacq_lab.errors import (
    AuthenticationError,
    CallTimeout,
    ConfigurationError,
    HostUnreachable,
    ProcessDied,
    ProtocolError,
)
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Frames, Reactor
from pyacq_lab.transport.sockets import (
    bind,
    client_socket,
    connect,
    listens,
    monitor,
    parse_endpoint,
    server_socket,
)
from pyacq_lab.transport.zap import Allow
from pyacq_lab.wire.calls import CallBook
from pyacq_lab.wire.errors import describe_error, rebuild_error
from pyacq_lab.wire.messages import (
    Failure,
    Message,
    Reply,
    RequestDecoder,
    ServerMessageDecoder,
    encode_event,
    encode_failure,
    encode_reply,
    encode_request,
)

log = logging.getLogger(__name__)

_BROKEN_HANDSHAKES = 3  # one can be a server that was just ending; ZeroMQ tries again within 0.1 s


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a request: its routing id and its authenticated public key (Z85)."""

    routing_id: bytes
    key: str


Handler = Callable[[Any, Peer], "Any | Future[Any]"]
"""Serves one request. Called in the reactor's thread: it must not wait. What takes time returns a future."""


class RpcServer:
    """Serves one vocabulary of requests at one endpoint.

    Parameters
    ----------
    reactor : Reactor
        Whose thread receives.
    endpoint : str
        Where to listen, ``tcp://IP:PORT``; port 0 takes a free one.
    keys : KeyPair
        By which the server proves itself.
    allow : callable
        Says which client keys may connect.
    vocabulary : type
        The union of messages that ``handler`` serves.
    handler : callable
        Serves one request; see `Handler`.
    where : str
        The place that errors name.
    """

    def __init__(
        self,
        reactor: Reactor,
        endpoint: str,
        *,
        keys: KeyPair,
        allow: Allow,
        vocabulary: Any,
        handler: Handler,
        where: str,
    ) -> None:
        self._decoder = RequestDecoder(vocabulary)
        self._handler = handler
        self._where = where
        self._events: dict[bytes, itertools.count[int]] = {}
        self._zap = reactor.zap
        self._domain = f"rpc:{where}:{id(self)}"
        reactor.zap.open_domain(self._domain, allow)
        raw = server_socket(reactor.context, zmq.ROUTER, keys, self._domain)
        raw.router_mandatory = True
        try:
            self.endpoint = bind(raw, endpoint)
        except ConfigurationError:
            raw.close(linger=0)
            raise
        self._socket = reactor.add(raw, self._on_message)

    def notify(self, routing_id: bytes, topic: str, value: Any) -> bool:
        """Send an event to one client; any thread. False where the client is gone or does not read."""
        numbers = self._events.setdefault(routing_id, itertools.count())
        return self._socket.send([routing_id, *encode_event(next(numbers), topic, value)])

    def close(self, linger: float = 1.0) -> None:
        """Stop serving; idempotent."""
        self._socket.close(linger)
        self._zap.close_domain(self._domain)

    def _on_message(self, frames: Frames) -> None:
        routing_id = frames[0].bytes
        try:
            request = self._decoder.decode([f.buffer for f in frames[1:]])
        except ProtocolError as error:
            log.warning("ignored a message at %s: %s", self.endpoint, error)
            return
        try:
            key = frames[1].get("User-Id")
            result = self._handler(request.body, Peer(routing_id, str(key)))
        except Exception as error:
            self._fail(routing_id, request.id, error)
            return
        if isinstance(result, Future):
            result.add_done_callback(lambda future: self._finish(routing_id, request.id, future))
        else:
            self._reply(routing_id, request.id, result)

    def _finish(self, routing_id: bytes, number: int, future: Future[Any]) -> None:
        if future.cancelled():
            self._fail(routing_id, number, ProcessDied(f"{self._where} is closing"))
        elif (error := future.exception()) is not None:
            self._fail(routing_id, number, error)
        else:
            self._reply(routing_id, number, future.result())

    def _reply(self, routing_id: bytes, number: int, value: Any) -> None:
        try:
            frames = encode_reply(number, value)
        except ProtocolError as error:
            self._fail(routing_id, number, error)
            return
        # Arrays may be written to by their owner as soon as this returns: small messages are copied anyway.
        self._socket.send([routing_id, *frames])

    def _fail(self, routing_id: bytes, number: int, error: BaseException) -> None:
        self._socket.send([routing_id, *encode_failure(number, describe_error(error, self._where))])


class RpcClient:
    """One connection to an `RpcServer`; any thread may call.

    Parameters
    ----------
    reactor : Reactor
        Whose thread receives.
    endpoint, server_key : str
        Where the server listens and the public key it must prove.
    keys : KeyPair
        By which this side proves itself.
    where : str
        The place that errors name.
    on_event : callable, optional
        Takes ``(topic, value)`` of each event, in the reactor's thread; must not wait.
    on_lost, on_back : callable, optional
        Called in the reactor's thread when the connection breaks, and when it stands again.
    """

    def __init__(
        self,
        reactor: Reactor,
        endpoint: str,
        server_key: str,
        *,
        keys: KeyPair,
        where: str,
        on_event: Callable[[str, Any], None] | None = None,
        on_lost: Callable[[], None] | None = None,
        on_back: Callable[[], None] | None = None,
    ) -> None:
        parse_endpoint(endpoint)
        self.endpoint = endpoint
        self.where = where
        self._reactor = reactor
        self._on_event = on_event
        self._on_lost = on_lost
        self._on_back = on_back
        self._was_lost = False
        self._decoder = ServerMessageDecoder()
        self._book: CallBook[Future[Any]] = CallBook()
        self._lock = threading.Lock()
        self._link = threading.Condition(self._lock)
        self._connected = False
        self._refused = ""
        self._broken_handshakes = 0
        self._lost = f"{where} is not connected"
        raw = client_socket(reactor.context, zmq.DEALER, keys, server_key)
        self._monitor = reactor.add(monitor(raw), self._on_link)
        self._socket = reactor.add(raw, self._on_message)
        connect(raw, endpoint)
        self._timer = reactor.call_every(0.1, self._expire)

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
            raise HostUnreachable(
                f"nothing answers at {self.endpoint} ({reason}); "
                f"is `pyacq-lab host {self.endpoint}` running there?"
            )
        with self._link:
            self._link.wait_for(
                lambda: self._connected or self._refused, max(0.0, deadline - time.monotonic())
            )
            if self._connected:
                return
            if self._refused:
                raise AuthenticationError(f"{self.where} at {self.endpoint}: {self._refused}")
        raise HostUnreachable(
            f"{self.endpoint} accepts connections but did not prove its key within {timeout:g} s: "
            "it is no pyacq-lab host, or its public key is another than the one given"
        )

    @property
    def connected(self) -> bool:
        """Whether the encrypted connection stands."""
        return self._connected

    def request(self, message: Message, timeout: float) -> Future[Any]:
        """Send a request; the future holds the answer, or the error, after ``timeout`` s at the latest."""
        future: Future[Any] = Future()
        with self._lock:
            if not self._connected:
                raise ProcessDied(self._lost)
            number = self._book.open(future, time.monotonic() + timeout)
        sent = False
        try:
            sent = self._socket.send(encode_request(number, message))
        finally:
            if not sent:
                with self._lock:
                    self._book.resolve(number)
        if not sent:
            raise ProcessDied(f"{self.where} takes no more requests: it hangs, or the connection is lost")
        return future

    def call(self, message: Message, timeout: float = 10.0) -> Any:
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
        # The reactor expires the future; the margin only guards against a reactor that is itself stuck.
        return self.request(message, timeout).result(timeout + 5.0)

    def fail(self, reason: str) -> None:
        """Give up the connection: open calls fail now, later calls at once."""
        with self._lock:
            self._connected = False
            self._lost = reason
            waiters = self._book.abandon()
        for future in waiters:
            future.set_exception(ProcessDied(reason))

    def close(self) -> None:
        """Close the connection; idempotent. Open calls fail."""
        self._on_lost = self._on_back = None
        self.fail(f"the connection to {self.where} was closed")
        self._reactor.cancel(self._timer)
        self._socket.close(1.0)
        self._monitor.close(0)

    def _on_message(self, frames: Frames) -> None:
        message = self._decoder.decode([f.buffer for f in frames])
        if isinstance(message, Reply | Failure):
            with self._lock:
                future = self._book.resolve(message.id)
            if future is None:
                return  # it came after its deadline, or the caller gave up
            if isinstance(message, Reply):
                future.set_result(message.value)
            else:
                future.set_exception(rebuild_error(message.error, self.where))
        elif self._on_event is not None:
            self._on_event(message.topic, message.value)

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
            self.fail(f"the connection to {self.where} at {self.endpoint} is lost")
            if self._on_lost is not None:
                self._on_lost()

    def _expire(self) -> None:
        with self._lock:
            late = self._book.expire(time.monotonic())
        for future in late:
            future.set_exception(CallTimeout(f"{self.where} did not answer in time"))
