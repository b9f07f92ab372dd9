"""The receiving end of the way of log records: one DEALER socket per process."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

import zmq

from pyacq_lab.errors import ConfigurationError, ProtocolError, PyacqError
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.transport.keys import KeyPair, check_key
from pyacq_lab.transport.logsocket import BUFFER, WAITING
from pyacq_lab.transport.reactor import Frames, Reactor, SharedSocket
from pyacq_lab.transport.sockets import client_socket, connect, parse_endpoint
from pyacq_lab.wire.logcodec import Heard, decode_batch, encode_heard, encode_hole, span_of

PERIOD = 1.0
"""Seconds between two words to each process: one that was out of reach goes on when it hears them."""


class _Line:
    """What is open to one process, how far it was heard, and whether it has said its last word."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.goodbye = threading.Event()
        self.heard = 0
        self.acknowledged = 0
        self.socket: SharedSocket


class LogReceiver:
    """Hear the records of many processes, and tell each how far it was heard.

    Parameters
    ----------
    reactor : Reactor
        Whose thread receives.
    keys : KeyPair
        Our key pair, which the processes have authorised.
    deliver : callable
        Called with a list of records in the reactor's thread: it must not wait.
    complain : callable
        Called with the source's name and a message where its bytes are not records; same thread.
    full : callable
        Whether whoever ``deliver`` hands records to has enough of them: then nobody is told that he was
        heard, until `remind`, and keeps what he has to say.
    """

    def __init__(
        self,
        reactor: Reactor,
        keys: KeyPair,
        deliver: Callable[[list[LogRecord]], None],
        complain: Callable[[str, str], None],
        full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._reactor = reactor
        self._keys = keys
        self._deliver = deliver
        self._complain = complain
        self._full = full
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()
        self._id = secrets.token_hex(8)
        self._timer = reactor.call_every(PERIOD, self.remind)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the processes that we listen to."""
        with self._lock:
            return tuple(self._lines)

    def heard(self, source: str) -> int:
        """Number of the record that comes next from a process; 0 for one that we do not listen to."""
        with self._lock:
            line = self._lines.get(source)
        return 0 if line is None else line.heard

    def connect(self, endpoint: str, server_key: str, source: str, host: str = "") -> None:
        """Begin to listen to a process, now or when it appears. Safe from any thread.

        Where ``host`` is given its records carry it instead of the name that the host gives itself.

        Raises
        ------
        ConfigurationError
            The name is taken, or the endpoint is none.
        AuthenticationError
            ``server_key`` is not a key.
        """
        check_key(server_key)
        parse_endpoint(endpoint)
        with self._lock:
            if source in self._lines:
                raise ConfigurationError(f"the log server already listens to {source!r}: disconnect it first")
            raw = client_socket(self._reactor.context, zmq.DEALER, self._keys, server_key)
            raw.rcvhwm, raw.rcvbuf, raw.sndhwm = WAITING, BUFFER, WAITING
            try:
                connect(raw, endpoint)
            except PyacqError:
                raw.close(linger=0)
                raise
            line = _Line(host)
            line.socket = self._reactor.add(raw, lambda frames: self._received(source, line, frames))
            self._lines[source] = line
            self._acknowledge(line)

    def disconnect(self, *sources: str, timeout: float = 0.5) -> None:
        """Stop listening to processes, once each has said goodbye or ``timeout`` seconds have passed.

        Waits for that. A process that was killed says no goodbye, but what it had sent still comes in.
        Names that are unknown are passed over: such a process may never have been heard.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            lines = {source: self._lines[source] for source in sources if source in self._lines}
        for source, line in lines.items():
            line.goodbye.wait(max(0.0, deadline - time.monotonic()))
            with self._lock:
                self._lines.pop(source, None)
            line.socket.close(linger=0)

    def close(self, timeout: float = 0.5) -> None:
        """Stop listening to all, as in `disconnect`. Idempotent."""
        self._reactor.cancel(self._timer)
        self.disconnect(*self.sources, timeout=timeout)

    def remind(self) -> None:
        """Tell each process how far it was heard. Any thread."""
        with self._lock:
            lines = list(self._lines.values())
        for line in lines:
            self._acknowledge(line)

    # --- the reactor's thread

    def _received(self, source: str, line: _Line, frames: Frames) -> None:
        message = b"".join(frame.bytes for frame in frames)
        try:
            records = decode_batch(message, line.host)
            if not records:
                records = self._bid_goodbye(line, message)
        except ProtocolError as error:
            self._complain(source, str(error))
            return
        if records:
            stop = records[-1].seq + (records[-1].lost or 1)
            if stop > line.heard:
                # What was on its way when a connection was lost is sent again, perhaps in part.
                new = [r for r in records if r.seq >= line.heard] if records[0].seq < line.heard else records
                line.heard = stop
                self._deliver(new or records)
        self._acknowledge(line)

    def _bid_goodbye(self, line: _Line, message: bytes) -> list[LogRecord]:
        """Take a goodbye; where the last records were dropped, nothing else would ever show it."""
        line.goodbye.set()
        origin, stop, _, _, time_ns = span_of(message)
        n = stop - line.heard
        return decode_batch(encode_hole(line.heard, origin, n, time_ns), line.host) if n > 0 else []

    def _acknowledge(self, line: _Line) -> None:
        if not self._full():
            line.acknowledged = line.heard
        # Where it is not taken the next one says it as well.
        line.socket.send([encode_heard(Heard(line.acknowledged, self._id))])
