"""The sending end of the way of log records: never waited for.

The *process* binds and the log server connects: the notebook's machine needs no open port, and what a
process says before anybody listens waits in its spool, or on disk where that gets full. The log server says
how far it has heard: what it has not is sent again, to it or to the one that comes after it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple, Unpack

import zmq

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.roles import Clock
from pyacq_lab.transport.logs import LogOrigin, Said, current_node, is_hushed, make_words, write_to_stderr
from pyacq_lab.transport.logsocket import SENT_AHEAD
from pyacq_lab.transport.spill import LogSpill
from pyacq_lab.transport.spool import private_spool
from pyacq_lab.wire.lines import LineAssembler
from pyacq_lab.wire.logcodec import (
    Words,
    decode_heard,
    encode_around,
    encode_hole,
    encode_message,
    encode_run,
    encode_words,
    span_of,
)
from pyacq_lab.wire.spool import SpoolWriter

PARTIAL_LINE_NS = 500_000_000
"""Age at which a printed line without an end is sent as it is."""


_UNFINISHED = 2000  # characters kept of a line that has no end yet: the last ones

SPILL_AT = 0.5
"""Share of the spool that must be unheard before the oldest goes to disk: short bursts never do."""

_LONGEST_WAIT = 1.0  # s between two looks whether what was sent has been heard


class _Batch(NamedTuple):
    """A message on its way, and the numbers of its records."""

    first: int
    stop: int
    message: bytes
    spilled: bool = False


class _Open:
    """A printed line that has no end yet: bytes around its message, and of the whole record."""

    def __init__(self, head: bytes, tail: bytes) -> None:
        self.head = head
        self.tail = tail
        self.data = b""


class LogShipper:
    """Send what a process says to the log server that listens.

    A caller writes its record into the spool, a bounded ring of memory, and goes on; one thread sends.
    Records are numbered as they are said, so that the numbers which arrive show exactly which are missing.
    What is sent is kept until the log server says that it has come. While nobody listens, or not
    fast enough, the oldest records move on to a folder on disk, or are dropped and counted where there is
    none.

    Of several log servers the one that came last is sent to, and no earlier one ever again.
    In a fork of the process there is no such thread: what is said there is written to the standard
    error, which leads to the host.

    Parameters
    ----------
    socket : zmq.Socket
        A bound ROUTER socket; the shipper owns it from now on and closes it. Close the shipper before the
        socket's context.
    origin : LogOrigin
        Host, process and channel of all records.
    clock : Clock
        The host's clock.
    spool : SpoolWriter, optional
        Where each record is kept before `say` returns, for the host to read should this process be killed;
        memory of this process's own unless given.
    spill : Path, optional
        Folder for what the spool does not hold.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        origin: LogOrigin,
        clock: Clock,
        *,
        spool: SpoolWriter | None = None,
        spill: Path | None = None,
    ) -> None:
        self.origin = origin
        self._socket = socket
        self._clock = clock
        self._spool = private_spool() if spool is None else spool
        self._spill = None if spill is None else LogSpill(spill)
        self._lock = threading.RLock()
        # Garbage collection and signal handlers inside the locked lines may run code that logs.
        self._at_it = False
        self._meanwhile: deque[bytes] = deque()
        self._open: dict[tuple[str, str], _Open] = {}  # printed lines without an end
        self._stop = 0  # number of the next record
        self._next = 0  # number of the next record to send
        self._on_way: deque[_Batch] = deque()  # sent and not heard
        self._again: deque[_Batch] = deque()  # to be sent once more
        self._routing_id = b""
        self._listener = ""
        self._former: set[str] = set()
        self._lines = LineAssembler()
        self._lines_lock = threading.RLock()
        # SimpleQueue.put is the one wake-up that is re-entrant by promise.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = False
        self._patience = 0.02
        self._deadline: float | None = None
        self._beheaded = False
        if hasattr(os, "register_at_fork"):
            _look_after_forks(self)
        self._thread = threading.Thread(target=self._run, name="pyacq-logs", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Records that made room for newer ones."""
        return self._spool.lost + (0 if self._spill is None else self._spill.lost)

    @property
    def heard(self) -> int:
        """Number of the first record that no log server has acknowledged."""
        return self._spool.heard

    @property
    def waiting(self) -> int:
        """Records that no log server has acknowledged and that are still there."""
        sent = sum(b.stop - b.first for b in (*self._again, *self._on_way) if not b.spilled)
        return self._spool.held + sent + (0 if self._spill is None else len(self._spill))

    def say(self, message: str, **said: Unpack[Said]) -> None:
        """Queue one record, stamped now. Never blocks, never raises. Safe from any thread."""
        words = make_words(self._clock, message, said)
        if self._beheaded:
            write_to_stderr(words)
            return
        data = encode_words(words)
        with self._lock:
            finished = bool(self._open) and self._open.pop(_printer(words, said), None) is not None
            if self._at_it:
                self._meanwhile.append(data)
                return
            self._at_it = True
            try:
                self._append(data)
                if finished:
                    self._spool.write_unfinished(self._stop, [line.data for line in self._open.values()])
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

    def unfinished(self, stream: str, text: str, thread: str, node: str) -> None:
        """Keep what a line holds so far, until it is said, should the process be killed. Any thread."""
        # Most prints come in pieces: what stays the same is encoded once for a line.
        key = stream, thread
        message = encode_message(text if len(text) < _UNFINISHED else text[-_UNFINISHED:])
        with self._lock:
            if self._at_it or self._beheaded:
                return
            line = self._open.get(key)
            if line is None:
                said = Said(stream=stream, thread=thread, node=node, level=_level_of(stream))
                line = self._open[key] = _Open(*encode_around(make_words(self._clock, "", said)))
            line.data = line.head + message + line.tail
            self._spool.write_unfinished(self._stop, [line.data for line in self._open.values()])

    def close(self, timeout: float = 1.0) -> int:
        """Send what waits, for at most ``timeout`` seconds, and end the thread. Idempotent.

        Returns
        -------
        int
            Records that nobody has heard: nobody listened, or not fast enough. They stay in the spool and
            in the folder, for the host.
        """
        if self._deadline is None:
            self._deadline = time.monotonic() + timeout
            self._bell.put(None)
        self._thread.join()
        return self.waiting

    def _append(self, data: bytes) -> None:
        """Number a record and keep it; the lock is held."""
        self._spool.write(self._stop, data)
        self._stop += 1

    def _say_line(self, stream: str, thread: str, node: str, line: str) -> None:
        self.say(line, stream=stream, level=_level_of(stream), thread=thread, node=node)

    def _forked(self) -> None:
        """Become what a fork of the process can be; called in the fork, by the only thread there is."""
        self._beheaded = True
        self._lock, self._lines_lock = threading.RLock(), threading.RLock()  # their holders are elsewhere
        # The spool's memory is shared: it stays the parent's alone.

    # From here on: the thread.

    def _run(self) -> None:
        try:
            while self._deadline is None:
                self._wait()
                self._say_unfinished_lines(self._clock.now_ns() - PARTIAL_LINE_NS)
                self._work()
            self._say_unfinished_lines(None)
            self._say_goodbye(self._deadline)
        except zmq.ContextTerminated:
            pass  # the program is ending around us; what waits is counted by close
        finally:
            left = 0.0 if self._deadline is None else self._deadline - time.monotonic()
            self._socket.close(linger=max(0, int(left * 1000)))
            if self._spill is not None:
                self._spill.close()

    def _wait(self) -> None:
        """Sleep until there is something to do."""
        self._asleep = True
        if self._next < self._stop or self._again or self._deadline is not None:
            self._asleep = False
            if self._deadline is None and not self._may_send:
                self._socket.poll(100)  # somebody must listen first, or say that he has heard
            return
        with self._lines_lock:
            unfinished = len(self._lines) > 0
        patience = PARTIAL_LINE_NS / 1e9 if unfinished else None
        if self._on_way:
            self._patience = min(_LONGEST_WAIT, 2 * self._patience)
            patience = self._patience
        with contextlib.suppress(Empty):
            self._bell.get(timeout=patience)
            self._patience = 0.02
            if self._deadline is None:
                # One message for all that comes together, and no switch of threads per record.
                time.sleep(0.005)

    def _say_unfinished_lines(self, before_ns: int | None) -> None:
        with self._lines_lock:
            overdue = self._lines.overdue(before_ns)
        for (stream, thread, node), line in overdue:
            self._say_line(stream, thread, node, line)

    @property
    def _may_send(self) -> bool:
        return bool(self._routing_id) and len(self._on_way) < SENT_AHEAD

    def _work(self) -> None:
        """Hear what was heard, send what may be sent, and move to disk what would soon be overwritten."""
        self._listen()
        while self._may_send and (batch := self._next_batch()) is not None:
            if not self._send(batch.message):
                self._again.appendleft(batch)
                break
            self._on_way.append(batch)
            self._listen()
        while self._spill is not None and self._spool.fullness > SPILL_AT:
            with self._locked():
                run = self._spool.read(0)
                if run is not None:
                    self._spool.release(run.stop)
            if run is None:
                break
            # Nobody who logs waits for the disk; should we be killed right now, it still lies in the spool.
            self._spill.append(encode_run(run.first, run.stop, self.origin, run.data))

    def _next_batch(self) -> _Batch | None:
        """The records that are next, taken out of the spool; None where there are none."""
        if self._again:
            return self._again.popleft()
        if self._spill is not None and self._next < self._spill.stop:
            _, messages = self._spill.read(self._spill.position_of(self._next), 1)
            if messages:
                _, first, self._next, *_ = span_of(messages[0])
                return _Batch(first, self._next, messages[0], spilled=True)
        with self._locked():
            run = self._spool.read(self._next)
            if run is None:
                self._next = self._stop  # the rest was dropped: whoever listens counts it at the next record
                return None
            self._spool.release(run.stop)
        self._next = run.stop
        return _Batch(run.first, run.stop, encode_run(run.first, run.stop, self.origin, run.data))

    def _send(self, message: bytes) -> bool:
        try:
            self._socket.send_multipart([self._routing_id, message], zmq.NOBLOCK)
        except zmq.Again:
            self._socket.poll(100)  # he does not read, and cannot have heard all that is on its way
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._routing_id = b""  # he has gone; he says so when he is back
            return False
        return True

    def _listen(self) -> None:
        """Take in what log servers say."""
        while True:
            try:
                routing_id, message = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                said = decode_heard(message)
            except ProtocolError:
                continue  # an authorised peer of another version; it hears nothing
            if said.listener not in self._former:
                self._hear(routing_id, said.listener, min(said.stop, self._stop))

    def _hear(self, routing_id: bytes, listener: str, stop: int) -> None:
        if listener != self._listener:
            self._former.add(self._listener)
            self._listener = listener
        with self._locked():
            self._spool.hear(stop)
        if self._spill is not None and not self._spill.empty:
            self._spill.forget(self._spill.position_of(stop))
        if routing_id != self._routing_id:  # he is new or back: what was on its way may be lost
            self._routing_id = routing_id
            self._again.extendleft(reversed(self._on_way))
            self._on_way.clear()
        for sent in (self._again, self._on_way):
            while sent and sent[0].stop <= self._spool.heard:
                sent.popleft()

    def _say_goodbye(self, deadline: float) -> None:
        """Send the rest, and that there is no more, until it is heard or the time has run out."""
        said_to = b""
        while True:
            self._work()
            if self._next == self._stop and not self._again and self._routing_id != said_to:
                goodbye = encode_hole(self._stop, self.origin, 0, self._clock.now_ns())
                said_to = self._routing_id if self._send(goodbye) else b""
            if said_to and said_to == self._routing_id and not self._on_way:
                return
            left = deadline - time.monotonic()
            if left <= 0 or (self._stop == 0 and not self._routing_id):
                return
            self._socket.poll(max(1, min(100, int(left * 1000))))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Have the spool for oneself; what is said by this very thread meanwhile comes after."""
        with self._lock:
            self._at_it = True
            try:
                yield
            finally:
                while self._meanwhile:
                    self._append(self._meanwhile.popleft())
                self._at_it = False


def _level_of(stream: str) -> int:
    return logging.WARNING if stream == "stderr" else logging.INFO


def _printer(words: Words, said: Said) -> tuple[str, str]:
    return words.stream, said.get("thread", words.thread)


def _look_after_forks(shipper: LogShipper) -> None:
    reference = weakref.ref(shipper)

    def forked() -> None:
        there = reference()
        if there is not None:
            there._forked()  # noqa: SLF001  it is this file's own

    os.register_at_fork(after_in_child=forked)
