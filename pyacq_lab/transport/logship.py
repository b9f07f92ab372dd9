"""The sending end of the way of log records: PUSH, never waited for.

The *process* binds and the log server connects: the notebook's machine needs no open port, and what a
process says before anybody listens waits in its queue.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections import deque
from queue import Empty, SimpleQueue
from typing import Unpack

import zmq

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.roles import Clock
from pyacq_lab.transport.logs import LogOrigin, Said, current_node, is_hushed, make_words
from pyacq_lab.wire.lines import LineAssembler
from pyacq_lab.wire.logcodec import GOODBYE, Words, encode_batch, encode_words
from pyacq_lab.wire.spool import SpoolWriter

PARTIAL_LINE_NS = 500_000_000
"""Age at which a printed line without an end is sent as it is."""


class LogShipper:
    """Send what a process says to whichever log server connects.

    One bounded queue and one thread. A caller appends and goes on: where the queue is full the oldest
    records make room, and are counted. Records are numbered as they are said, so that the numbers which
    arrive show exactly which are missing.

    In a fork of the process there is no such thread: what is said there is written to the standard
    error, which leads to the host.

    Parameters
    ----------
    socket : zmq.Socket
        A bound PUSH socket; the shipper owns it from now on and closes it. Close the shipper before the
        socket's context.
    origin : LogOrigin
        Host, process and channel of all records.
    clock : Clock
        The host's clock.
    spool : SpoolWriter, optional
        Where each record is kept before `say` returns, for the host to read should this process be killed.
    bound, bound_bytes : int
        Records and bytes that the queue holds.
    batch, batch_bytes : int
        Records and bytes per message at most.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        origin: LogOrigin,
        clock: Clock,
        *,
        spool: SpoolWriter | None = None,
        bound: int = 20_000,
        bound_bytes: int = 3_000_000,
        batch: int = 500,
        batch_bytes: int = 128_000,
    ) -> None:
        if min(bound, bound_bytes, batch, batch_bytes) < 1:
            raise ConfigurationError(
                f"bound={bound}, bound_bytes={bound_bytes}, batch={batch}, batch_bytes={batch_bytes}: "
                "wanted positive numbers of records and bytes"
            )
        self.origin = origin
        self._socket = socket
        self._clock = clock
        self._spool = spool
        self._bound, self._bound_bytes = bound, bound_bytes
        self._batch, self._batch_bytes = batch, batch_bytes
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._lock = threading.RLock()
        # Garbage collection and signal handlers inside the locked lines may run code that logs.
        self._at_it = False
        self._meanwhile: deque[bytes] = deque()
        self._stop = 0  # number of the next record
        self._in_hand: list[bytes] = []
        self._in_hand_first = 0
        self._dropped = 0
        self._sent = 0
        self._lines = LineAssembler()
        self._lines_lock = threading.RLock()
        # SimpleQueue.put is the one wake-up that is re-entrant by promise.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = False
        self._deadline: float | None = None
        self._beheaded = False
        if hasattr(os, "register_at_fork"):
            _look_after_forks(self)
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
        words = make_words(self._clock, message, said)
        if self._beheaded:
            _write_to_stderr(words)
            return
        data = encode_words(words)
        with self._lock:
            if self._at_it:
                self._meanwhile.append(data)
                return
            self._at_it = True
            try:
                self._append(data)
                while self._meanwhile:
                    self._append(self._meanwhile.popleft())
            finally:
                self._at_it = False
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

    def flushed(self, unfinished: dict[tuple[str, str], str]) -> None:
        """Keep lines that were flushed before their end, should the process be killed. Any thread.

        Parameters
        ----------
        unfinished : dict of (str, str) to str
            For each stream and thread the text of its last line so far; all that there are.
        """
        if self._spool is None:
            return
        words = [
            make_words(self._clock, text, Said(stream=stream, thread=thread, level=_level_of(stream)))
            for (stream, thread), text in unfinished.items()
        ]
        with self._lock:
            if self._spool is not None and not self._at_it:
                self._spool.write_unfinished(self._stop, words)

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

    def _append(self, data: bytes) -> None:
        """Number a record, keep it, queue it; the lock is held."""
        queue = self._queue
        if self._spool is not None:
            self._spool.write(self._stop, data)
        self._stop += 1
        queue.append(data)
        self._queued_bytes += len(data)
        while self._queued_bytes > self._bound_bytes or len(queue) > self._bound:
            self._queued_bytes -= len(queue.popleft())
            self._dropped += 1

    def _say_line(self, stream: str, thread: str, node: str, line: str) -> None:
        self.say(line, stream=stream, level=_level_of(stream), thread=thread, node=node)

    def _forked(self) -> None:
        """Become what a fork of the process can be; called in the fork, by the only thread there is."""
        self._beheaded = True
        self._lock, self._lines_lock = threading.RLock(), threading.RLock()  # their holders are elsewhere
        self._spool = None  # its memory is shared: it stays the parent's alone
        self._queue.clear()

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
            if not self._in_hand:
                self._take_batch()
            if self._send(encode_batch(self._in_hand_first, self.origin, self._in_hand)):
                self._sent += len(self._in_hand)
                self._in_hand = []

    def _take_batch(self) -> None:
        batch: list[bytes] = []
        size = 0
        with self._lock:
            self._at_it = True
            self._in_hand_first = self._stop - len(self._queue)
            while self._queue and len(batch) < self._batch and size < self._batch_bytes:
                batch.append(self._queue.popleft())
                size += len(batch[-1])
            self._queued_bytes -= size
            while self._meanwhile:
                self._append(self._meanwhile.popleft())
            self._at_it = False
        self._in_hand = batch

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


def _level_of(stream: str) -> int:
    return logging.WARNING if stream == "stderr" else logging.INFO


def _look_after_forks(shipper: LogShipper) -> None:
    reference = weakref.ref(shipper)

    def forked() -> None:
        there = reference()
        if there is not None:
            there._forked()  # noqa: SLF001  it is this file's own

    os.register_at_fork(after_in_child=forked)


def _write_to_stderr(words: Words) -> None:
    """Hand a record of a fork to the host as text."""
    logger = f"{words.logger}: " if words.logger else ""
    more = f"\n{words.traceback.rstrip()}" if words.traceback else ""
    text = f"{logging.getLevelName(words.level)} {logger}{words.message}{more}\n"
    with contextlib.suppress(OSError):  # the standard error may be closed: a fork has nobody else
        os.write(2, text.encode(errors="backslashreplace"))
