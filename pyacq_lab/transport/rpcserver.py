"""The serving end of remote calls: an encrypted ROUTER."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import zmq

from pyacq_lab.errors import ConfigurationError, ProcessDied, ProtocolError
from pyacq_lab.model.remote import Reference
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.lanes import Lanes
from pyacq_lab.transport.reactor import Frames, Reactor
from pyacq_lab.transport.sockets import bind, server_socket
from pyacq_lab.transport.zap import Allow
from pyacq_lab.wire.envelope import (
    RequestDecoder,
    encode_callback,
    encode_event,
    encode_failure,
    encode_reply,
    number_of,
)
from pyacq_lab.wire.errors import describe_error
from pyacq_lab.wire.values import Export

log = logging.getLogger(__name__)


class Peer:
    """Who sent a request.

    Attributes
    ----------
    routing_id : bytes
        Its address at this server's socket, while its connection stands.
    """

    __slots__ = ("_frame", "routing_id")

    def __init__(self, routing_id: bytes, frame: zmq.Frame) -> None:
        self.routing_id = routing_id
        self._frame = frame

    @property
    def key(self) -> str:
        """Its authenticated public key (Z85)."""
        return str(self._frame.get("User-Id"))


class Work:
    """What a handler returns where a request runs code that may take its time.

    Parameters
    ----------
    lane : str
        Work of one lane runs in the order in which it came, of different lanes side by side.
    function : callable
        Gives the answer.
    place : str
        What errors add to the server's own place, such as ``"/node.method"``.
    chain : str
        The call that this is part of; see `transport.lanes.Job`.
    export : callable, optional
        Reduces values of the answer that cannot travel.
    """

    __slots__ = ("chain", "export", "function", "lane", "number", "place", "routing_id", "server")

    def __init__(
        self,
        lane: str,
        function: Callable[[], Any],
        place: str = "",
        chain: str = "",
        export: Export | None = None,
    ) -> None:
        self.lane = lane
        self.function = function
        self.place = place
        self.chain = chain
        self.export = export

    def begin(self, server: RpcServer, routing_id: bytes, number: int) -> None:
        """Note whom to answer."""
        self.server = server
        self.routing_id = routing_id
        self.number = number

    def run(self) -> None:
        """Give the answer."""
        try:
            value = self.function()
        except BaseException as error:  # a SystemExit of a user's method must not leave its caller waiting
            self.server.fail(self.routing_id, self.number, error, self.place)
        else:
            self.server.reply(self.routing_id, self.number, value, self.place, self.export)

    def cancel(self) -> None:
        """Refuse: the server is closing."""
        self.refuse(ProcessDied(f"{self.server.where} is closing"))

    def refuse(self, error: Exception) -> None:
        """Answer by an error."""
        self.server.fail(self.routing_id, self.number, error, self.place)


Handler = Callable[[Any, Peer], "Any | Future[Any] | Work"]
"""Serves one request. Called by the thread that receives: it must not wait. What takes time returns a
future or `Work`."""


class _Own:
    """Work that the thread which has just received it is to do itself."""

    __slots__ = ("job",)

    def __init__(self) -> None:
        self.job: Work | None = None

    @property
    def over(self) -> bool:
        return self.job is not None


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
    works : bool
        Whether the handler returns `Work`. A thread of its own then receives and does one piece of work
        itself, which saves it the way to another thread; meanwhile the reactor receives.
    adopt : callable, optional
        Makes something of each reference that comes in, from it and the sender's routing id; as
        `wire.values.Adopt` otherwise.
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
        works: bool = False,
        adopt: Callable[[Reference, bytes], Any] | None = None,
    ) -> None:
        self._adopt = adopt
        self._sender = b""  # of the message that is being received
        self._decoder = RequestDecoder(vocabulary, None if adopt is None else self._meet)
        self._handler = handler
        self.where = where
        self._zap = reactor.zap
        self._reactor = reactor
        self._domain = f"rpc:{where}:{id(self)}"
        self._lanes = Lanes(f"call {where}") if works else None
        self._own = _Own()
        reactor.zap.open_domain(self._domain, allow)
        raw = server_socket(reactor.context, zmq.ROUTER, keys, self._domain)
        raw.router_mandatory = True
        raw.sndhwm = 0  # an answer is never dropped; who does not take his is cut off by the heartbeat
        try:
            self.endpoint = bind(raw, endpoint)
        except ConfigurationError:
            raw.close(linger=0)
            raise
        self._socket = reactor.add(raw, self._on_message)
        self._thread = threading.Thread(target=self._work, name=f"call {where}", daemon=True)
        if works and reactor.watch.lends:
            self._thread.start()

    def notify(self, routing_id: bytes, topic: str, value: Any, seq: int = 0) -> bool:
        """Send an event to one client; any thread. False where the client is gone or does not read."""
        return self._socket.send([routing_id, *encode_event(seq, topic, value)])

    def call_back(self, routing_id: bytes, number: int, body: Any, export: Export | None = None) -> bool:
        """Send a client a message of `wire.messages.ClientRequest`; returns as `notify`."""
        return self._socket.send([routing_id, *encode_callback(number, body, export)])

    def close(self, linger: float = 1.0) -> None:
        """Stop serving; idempotent. Work that waits is refused, work that runs goes on unheard."""
        if self._lanes is not None:
            self._lanes.close()
        self._socket.close(linger)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(linger)  # it may be in the midst of someone's call, which must end by itself
        self._zap.close_domain(self._domain)

    # --- who receives

    def _work(self) -> None:
        """Receive until there is work, do it while the reactor receives, and so on; a thread of its own."""
        while self._lanes is not None and self._socket.lead(self._own):
            job, self._own.job = self._own.job, None
            if job is not None:
                self._lanes.work(job)

    def _on_message(self, frames: Frames) -> None:
        routing_id = self._sender = frames[0].bytes
        try:
            request = self._decoder.decode([f.buffer for f in frames[1:]])
        except ProtocolError as error:
            log.warning("ignored a message at %s: %s", self.endpoint, error)
            if len(frames) > 1 and (number := number_of(frames[1].buffer)):
                self.fail(routing_id, number, error)
            return
        number = request.id
        try:
            result = self._handler(request.body, Peer(routing_id, frames[1]))
        except Exception as error:
            self.fail(routing_id, number, error)
            return
        if isinstance(result, Work):
            self._begin(routing_id, number, result)
        elif isinstance(result, Future):
            result.add_done_callback(lambda future: self._finish(routing_id, number, future))
        else:
            self.reply(routing_id, number, result)

    def _begin(self, routing_id: bytes, number: int, work: Work) -> None:
        if self._lanes is None:
            raise RuntimeError("this server does no work of its own: make it with works=True")
        work.begin(self, routing_id, number)
        if not self._lanes.enter(work):
            return
        if self._own.job is None and threading.get_ident() == self._thread.ident:
            self._own.job = work
        else:
            self._lanes.work_elsewhere(work)

    def _meet(self, reference: Reference) -> Any:
        return reference if self._adopt is None else self._adopt(reference, self._sender)

    # --- answers

    def _finish(self, routing_id: bytes, number: int, future: Future[Any]) -> None:
        if future.cancelled():
            self.fail(routing_id, number, ProcessDied(f"{self.where} is closing"))
        elif (error := future.exception()) is not None:
            self.fail(routing_id, number, error)
        else:
            self.reply(routing_id, number, future.result())

    def reply(
        self, routing_id: bytes, number: int, value: Any, place: str = "", export: Export | None = None
    ) -> None:
        """Answer a request; any thread."""
        if number == 0:
            return  # nobody waits for it
        try:
            frames = encode_reply(number, value, export)
        except ProtocolError as error:
            self.fail(routing_id, number, error, place)
            return
        # Arrays may be written to by their owner as soon as this returns, so they are copied.
        self._socket.send([routing_id, *frames])

    def fail(self, routing_id: bytes, number: int, error: BaseException, place: str = "") -> None:
        """Answer a request by an error; any thread."""
        where = self.where + place
        if number == 0:
            log.error("a call that nobody waits for failed: %s", where, exc_info=error)
            return
        self._socket.send([routing_id, *encode_failure(number, describe_error(error, where))])
