"""The receiving end of the way of log records: one PULL socket per process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import zmq

from pyacq_lab.errors import ConfigurationError, ProtocolError, PyacqError
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.transport.keys import KeyPair, check_key
from pyacq_lab.transport.logsocket import BUFFER, RECEIVED_AHEAD
from pyacq_lab.transport.reactor import Frames, Reactor, SharedSocket
from pyacq_lab.transport.sockets import client_socket, connect, parse_endpoint
from pyacq_lab.wire.logcodec import GOODBYE, decode_batch


class _Line:
    """What is open to one process, how far it was heard, and whether it has said its last word."""

    def __init__(self) -> None:
        self.goodbye = threading.Event()
        self.heard = 0
        self.socket: SharedSocket


class LogReceiver:
    """Pull the records of many processes.

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
    """

    def __init__(
        self,
        reactor: Reactor,
        keys: KeyPair,
        deliver: Callable[[list[LogRecord]], None],
        complain: Callable[[str, str], None],
    ) -> None:
        self._reactor = reactor
        self._keys = keys
        self._deliver = deliver
        self._complain = complain
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()

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

    def connect(self, endpoint: str, server_key: str, source: str) -> None:
        """Begin to listen to a process, now or when it appears. Safe from any thread.

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
            raw = client_socket(self._reactor.context, zmq.PULL, self._keys, server_key)
            raw.rcvhwm, raw.rcvbuf = RECEIVED_AHEAD, BUFFER
            try:
                connect(raw, endpoint)
            except PyacqError:
                raw.close(linger=0)
                raise
            line = _Line()
            line.socket = self._reactor.add(raw, lambda frames: self._received(source, line, frames))
            self._lines[source] = line

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
        self.disconnect(*self.sources, timeout=timeout)

    def _received(self, source: str, line: _Line, frames: Frames) -> None:
        message = b"".join(frame.bytes for frame in frames)
        if message == GOODBYE:
            line.goodbye.set()
            return
        try:
            records = decode_batch(message)
        except ProtocolError as error:
            self._complain(source, str(error))
        else:
            if records:
                line.heard = records[-1].seq + 1
            self._deliver(records)
