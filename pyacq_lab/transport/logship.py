"""The sending end of the way of log records: PUSH, never waited for.

The *process* binds and the log server connects: the notebook's machine needs no open port, and what a
process says before anybody listens waits in its queue.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import Unpack

import msgspec
import zmq

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.roles import Clock
from pyacq_lab.transport.logs import LogOrigin, Said, current_node, is_hushed, make_record
from pyacq_lab.wire.lines import LineAssembler
from pyacq_lab.wire.logcodec import GOODBYE, encode_batch

PARTIAL_LINE_NS = 500_000_000
"""Age at which a printed line without an end is sent as it is."""


class LogShipper:
    """Send what a process says to whichever log server connects.

    One bounded queue and one thread. A caller appends and goes on: where the queue is full the oldest
    record makes room, and is counted. Records are numbered in the order of the queue, so that the
    numbers which arrive show exactly which are missing.

    Parameters
    ----------
    socket : zmq.Socket
        A bound PUSH socket; the shipper owns it from now on and closes it. Close the shipper before the
        socket's context.
    origin : LogOrigin
        Host, process and channel of all records.
    clock : Clock
        The host's clock.
    bound : int
        Records the queue holds.
    batch : int
        Records per message at most.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        origin: LogOrigin,
        clock: Clock,
        *,
        bound: int = 20_000,
        batch: int = 500,
    ) -> None:
        if bound < 1 or batch < 1:
            raise ConfigurationError(f"bound={bound}, batch={batch}: wanted positive numbers of records")
        self.origin = origin
        self._socket = socket
        self._clock = clock
        self._bound = bound
        self._batch = batch
        self._queue: deque[LogRecord] = deque()
        # Re-entrant, because garbage collection inside the locked lines may run code that logs.
        self._lock = threading.RLock()
        self._head = 0  # number of the oldest record in the queue
        self._in_hand: list[LogRecord] = []
        self._dropped = 0
        self._sent = 0
        self._lines = LineAssembler()
        self._lines_lock = threading.RLock()
        # SimpleQueue.put is the one wake-up that is re-entrant by promise.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = False
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._run, name="pyacq-logs", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Records that made room for newer ones."""
        return self._dropped

    @property
    def sent(self) -> int:
        """Records handed to ZeroMQ for a connected log server."""
        return self._sent

    @property
    def waiting(self) -> int:
        """Records that have not been sent yet."""
        return len(self._in_hand) + len(self._queue)

    def say(self, message: str, **said: Unpack[Said]) -> None:
        """Queue one record, stamped now. Never blocks, never raises. Safe from any thread."""
        record = make_record(self.origin, self._clock, message, said)
        with self._lock:
            self._queue.append(record)
            if len(self._queue) > self._bound:
                self._queue.popleft()
                self._head += 1
                self._dropped += 1
        if self._asleep:
            self._asleep = False
            self._bell.put(None)

    def printed(self, stream: str, text: str, *, thread: str | None = None, node: str | None = None) -> None:
        """Queue what was printed, line by line. Never blocks. Safe from any thread.

        Parameters
        ----------
        stream : {'stdout', 'stderr'}
            Where it was printed.
        text : str
            A piece of text as it was written: part of a line, or several.
        thread, node : str, optional
            Who printed it; the calling thread and its node unless given.
        """
        if is_hushed():
            return
        thread = threading.current_thread().name if thread is None else thread
        node = current_node.get() if node is None else node
        with self._lines_lock:
            lines = self._lines.feed((stream, thread, node), text, self._clock.now_ns())
        for line in lines:
            self._say_line(stream, thread, node, line)
        if not lines and self._asleep:
            self._asleep = False
            self._bell.put(None)  # so that the unfinished line is looked after

    def close(self, timeout: float = 1.0) -> int:
        """Send what waits, for at most ``timeout`` seconds, and end the thread. Idempotent.

        Returns
        -------
        int
            Records that could not be sent: nobody listened, or not fast enough.
        """
        if self._deadline is None:
            self._deadline = time.monotonic() + timeout
            self._bell.put(None)
        self._thread.join()
        return self.waiting

    def _say_line(self, stream: str, thread: str, node: str, line: str) -> None:
        level = logging.WARNING if stream == "stderr" else logging.INFO
        self.say(line, stream=stream, level=level, thread=thread, node=node)

    # From here on: the thread.

    def _run(self) -> None:
        try:
            while self._deadline is None:
                self._wait()
                self._say_unfinished_lines(self._clock.now_ns() - PARTIAL_LINE_NS)
                self._send_all()
            self._say_unfinished_lines(None)
            self._send_all()
            self._send(GOODBYE)
        except zmq.ContextTerminated:
            pass  # the program is ending around us; what waits is counted by close
        finally:
            left = 0.0 if self._deadline is None else self._deadline - time.monotonic()
            self._socket.close(linger=max(0, int(left * 1000)))

    def _wait(self) -> None:
        """Sleep until there is something to do."""
        self._asleep = True
        if self._queue or self._deadline is not None:
            self._asleep = False
            return
        with self._lines_lock:
            unfinished = len(self._lines) > 0
        with contextlib.suppress(Empty):
            self._bell.get(timeout=PARTIAL_LINE_NS / 1e9 if unfinished else None)
        if self._deadline is None:
            # One message for all that comes together, and no switch of threads per record.
            time.sleep(0.005)

    def _say_unfinished_lines(self, before_ns: int | None) -> None:
        with self._lines_lock:
            overdue = self._lines.overdue(before_ns)
        for (stream, thread, node), line in overdue:
            self._say_line(stream, thread, node, line)

    def _send_all(self) -> None:
        """Send until the queue is empty or the time to close has run out."""
        while (self._in_hand or self._queue) and self._writable():
            # Taken out of the queue only now: what waits longer than the queue lasts is dropped and counted.
            self._in_hand = self._in_hand or self._take_batch()
            if self._send(encode_batch(self._in_hand)):
                self._sent += len(self._in_hand)
                self._in_hand = []

    def _take_batch(self) -> list[LogRecord]:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            first = self._head
            self._head += len(batch)
        return [msgspec.structs.replace(record, seq=first + i) for i, record in enumerate(batch)]

    def _writable(self) -> bool:
        """Wait until a log server listens; False when the time to close has run out."""
        while True:
            left = 0.1 if self._deadline is None else self._deadline - time.monotonic()
            if self._socket.poll(max(0, min(100, int(left * 1000))), zmq.POLLOUT):
                return True
            if self._deadline is not None and time.monotonic() >= self._deadline:
                return False

    def _send(self, message: bytes) -> bool:
        try:
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True
