"""The reading end of a stream over encrypted ZeroMQ."""

from __future__ import annotations

import threading
from collections.abc import Callable

import zmq
from zmq.utils.monitor import parse_monitor_message

from pyacq_lab.errors import (
    HostUnreachable,
    LifecycleError,
    StreamMismatch,
)
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.outputs import SIGN_OF_LIFE
from pyacq_lab.transport.reactor import Frames, Reactor
from pyacq_lab.transport.sockets import client_socket, connect_monitored
from pyacq_lab.wire.inbox import Inbox
from pyacq_lab.wire.streaming import (
    AskTip,
    Leave,
    Policy,
    Taken,
    decode_from_producer,
    encode,
)


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
    on_news : callable, optional
        Called in the reactor's thread whenever something arrives; must not wait.
    """

    def __init__(
        self,
        reactor: Reactor,
        address: StreamAddress,
        *,
        keys: KeyPair,
        policy: Policy = "lossless",
        backfill: float = 0.0,
        on_news: Callable[[], None] | None = None,
    ) -> None:
        self._on_news = on_news
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
        events = connect_monitored(raw, address.endpoint)
        self._socket = reactor.add(raw, self._on_message)
        self._monitor = reactor.add(events, self._on_link)
        self._timer = reactor.call_every(SIGN_OF_LIFE, self._report)

    @property
    def name(self) -> str:
        """What it reads, as ``node.port``."""
        return f"{self.address.node}.{self.address.port}"

    def wait_opened(self, timeout: float = 5.0) -> StreamSpec:
        """Wait until the producer has said what the stream is.

        Raises
        ------
        HostUnreachable
            It did not within ``timeout`` seconds.
        """
        with self._news:
            if not self._news.wait_for(lambda: self._inbox.spec is not None, timeout):
                where = f"{self.name} at {self.address.endpoint}"
                raise HostUnreachable(
                    f"output {where} did not describe its stream within {timeout:g} s: "
                    "it is not configured, its process has ended, or it refuses this side's key"
                )
            return self.spec

    @property
    def spec(self) -> StreamSpec:
        """What the stream is. Raises LifecycleError before `wait_opened` has returned."""
        if self._inbox.spec is None:
            raise LifecycleError(f"stream {self.name} has not been described yet")
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
                    f"stream {self.name} is another now ({self._inbox.changed}): configure its readers again"
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

    def offered(self, timeout: float = 1.0) -> int | None:
        """Ask the producer how many samples it has offered to this reader; None where it does not answer.

        All of them were taken once `dealt_with` has reached that number.
        """
        with self._lock:
            self._token += 1
            token = self._token
        self._socket.send([encode(AskTip(token))])
        with self._news:
            if not self._news.wait_for(lambda: self._inbox.tip.token >= token or self._closed, timeout):
                return None
            return self._inbox.offered

    @property
    def dealt_with(self) -> int:
        """Samples received or given up so far."""
        return self._inbox.dealt_with

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
        self._socket.close(0.2)
        self._monitor.close(0)

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
        if self._on_news is not None:
            self._on_news()

    def _on_link(self, frames: Frames) -> None:
        event = parse_monitor_message([f.bytes for f in frames])["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            with self._lock:
                wish = self._inbox.subscription()
                self._reported = 0
            self._socket.send([encode(wish)])
