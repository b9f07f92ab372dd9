"""The log server: a thread that gathers what every process says, in order."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from queue import SimpleQueue
from traceback import format_exception
from typing import TextIO, Unpack

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.logfilter import LogFilter, Wanted
from pyacq_lab.manager.logformat import LogPrinter
from pyacq_lab.manager.logintake import LogIntake
from pyacq_lab.manager.logrecords import LogRecords
from pyacq_lab.manager.logsource import LogSubscribers, Subscriber
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.roles import Clock
from pyacq_lab.transport.capture import LogCapture
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.logreceive import LogReceiver
from pyacq_lab.transport.logs import LogOrigin, Said, make_words
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.wire.logcodec import as_record
from pyacq_lab.wire.logmerge import LogMerger

_NOBODY = -1  # no process has this id

_TICK_S = 0.05  # between two looks while records are on their way: they are handled by the batch


class LogServer:
    """Gathers the records of all processes, sorts them by corrected time, keeps, shows and prints them.

    Safe from any thread. Taking a record in never waits: it is queued for the server's thread. While that
    is behind, processes keep what they say, and are told later that it was heard; see `LogIntake`.

    Parameters
    ----------
    reactor : Reactor
        Whose thread receives.
    keys : KeyPair
        Our key pair, which the processes have authorised.
    clock : Clock
        Our host's clock, to which all times are corrected.
    origin : LogOrigin
        Host and name of this process, for its own records.
    store : LogStore, optional
        Where records are kept; one in memory only unless given.
    watermark : float
        Seconds for which a record is held so that earlier ones from elsewhere can come in.
    """

    def __init__(
        self,
        reactor: Reactor,
        keys: KeyPair,
        clock: Clock,
        origin: LogOrigin,
        *,
        store: LogStore | None = None,
        watermark: float = 0.15,
    ) -> None:
        self.store = LogStore() if store is None else store
        self.store.report = self._news_of_disk
        self.origin = origin
        self._clock = clock
        self._merger = LogMerger(int(watermark * 1e9))
        # A host on this machine may have our name, and another clock.
        self._merger.set_offset(origin.host, 0, origin.process)
        self._offsets: dict[tuple[str, str], int] = {}  # not yet the merger's, which is the thread's own
        self._offsets_lock = threading.Lock()
        self._intake = LogIntake()
        self._ended: deque[tuple[str, str, int]] = deque()
        self._own_numbers = itertools.count()
        # Re-entrant, because garbage collection inside the locked lines may run code that logs.
        self._own_lock = threading.RLock()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = False
        self._closing = threading.Event()
        self._subscribers = LogSubscribers(self.store, self._view_failed)
        self.capture: LogCapture | None = None
        self._reactor = reactor
        self._receiver = LogReceiver(reactor, keys, self._take_in, self._complain, lambda: self._intake.full)
        self._thread = threading.Thread(target=self._run, name="pyacq-log-server", daemon=True)
        self._thread.start()

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the processes that the server listens to."""
        return self._receiver.sources

    def connect(self, endpoint: str, server_key: str, source: str, host: str = "") -> None:
        """Begin to listen to a process; parameters and errors as in `LogReceiver.connect`."""
        self._receiver.connect(endpoint, server_key, source, host)

    def disconnect(self, *sources: str, timeout: float = 0.5) -> None:
        """Stop listening to processes, as in `LogReceiver.disconnect`."""
        self._receiver.disconnect(*sources, timeout=timeout)

    def set_offset(self, host: str, offset_ns: int, process: str = "") -> None:
        """Correct the records that are taken in from now on, as `LogMerger.set_offset`."""
        with self._offsets_lock:
            self._offsets[host, process] = offset_ns

    def add(self, *records: LogRecord) -> None:
        """Take in records that came another way. Those that were heard already are passed over.

        Those of one source come in the order of their numbers.
        """
        for _, run in itertools.groupby(records, _source):
            self._take_in(list(run))

    def when_free(self, function: Callable[[], None]) -> None:
        """Call ``function`` once more records can be taken in: now, or later in the reactor's thread.

        For whoever can leave them where they are meanwhile.
        """
        self._intake.when_free(function)

    def end(self, host: str, process: str, pid: int) -> None:
        """Note that a process has ended and that its last records have come in."""
        self._ended.append((host, process, pid))

    def heard(self, source: str) -> int:
        """Number of the record that comes next from a process that the server listens to."""
        return self._receiver.heard(source)

    def say(self, message: str, **said: Unpack[Said]) -> None:
        """Take in a record of this process, stamped now; see `LogSink`."""
        words = make_words(self._clock, message, said)
        with self._own_lock:
            self._take_in([as_record(words, next(self._own_numbers), self.origin)])

    def capture_own(self) -> None:
        """Take in what this process logs, warns and fails with, until `close`."""
        if self.capture is None:
            self.capture = LogCapture(self)
            self.capture.install()

    def query(
        self, limit: int | None = None, *, pids: frozenset[int] = frozenset(), **wanted: Unpack[Wanted]
    ) -> LogRecords:
        """Newest records in memory that match, oldest of them first; see `Manager.logs`.

        Where ``pids`` are given, only records of processes with these ids.

        Raises
        ------
        ConfigurationError
            No level has this name, or a time or the limit is none.
        """
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"limit={limit!r}: wanted how many records at most, or None for all")
        condition = LogFilter.of(self._clock.now_ns(), **wanted)
        if pids:
            both = condition.pids & pids if condition.pids else pids
            condition = replace(condition, pids=both or frozenset((_NOBODY,)))
        found = self.store.newest(condition)
        earlier = 0 if limit is None else max(0, len(found) - limit)
        oldest = self.store.read(self.store.start, self.store.start + 1)
        reaches = any(condition.since_ns > 0 and r.corrected_ns <= condition.since_ns for r in oldest)
        return LogRecords(found[earlier:], earlier=earlier, forgotten=0 if reaches else self.store.start)

    def subscribe(self, callback: Subscriber, interval: float = 0.1) -> Callable[[], None]:
        """Be told of new records by the server's thread, as `LogSubscribers.subscribe`.

        The error of a callback that raises becomes a record.
        """
        return self._subscribers.subscribe(callback, interval)

    def print_to(self, stream: TextIO) -> Callable[[], None]:
        """Print records from now on, coloured where ``stream`` is a terminal; returns what ends it."""
        return self.subscribe(LogPrinter(stream))

    def close(self, timeout: float = 0.5) -> None:
        """Hear the last words of all processes, at most ``timeout`` seconds, and end. Idempotent."""
        if self.capture is not None:
            self.capture.uninstall()
            self.capture = None
        self._receiver.close(timeout)
        self._closing.set()
        self._bell.put(None)
        self._thread.join()
        self.store.close()

    def _take_in(self, records: Sequence[LogRecord]) -> None:
        self._intake.put(records)
        self._ring()

    def _complain(self, source: str, message: str) -> None:
        self.say(f"{source}: {message}", level=logging.WARNING, logger="pyacq_lab.logs")

    def _news_of_disk(self, message: str, *, level: int) -> None:
        self.say(message, level=level, logger="pyacq_lab.logs")

    def _ring(self) -> None:
        if self._asleep:
            self._asleep = False
            self._bell.put(None)

    def _view_failed(self, error: Exception) -> None:
        self.say(
            f"a view of the log failed and is no longer fed: {error!r}",
            level=logging.ERROR,
            logger="pyacq_lab.logs",
            traceback="".join(format_exception(error)),
        )

    # From here on: the thread.

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wait()
            self._gather()
            records = self._merger.take(self._clock.now_ns())
            self.store.append(records)
            self._subscribers.tell(time.monotonic())
        self._gather()
        self.store.append(self._merger.flush())
        self._subscribers.tell(None)

    def _wait(self) -> None:
        """Sleep for a tick while something is on its way, else until something comes."""
        if self._subscribers.behind or self._intake or len(self._merger):
            self._closing.wait(_TICK_S)
            return
        self._asleep = True
        if not self._intake and not self._closing.is_set():
            self._bell.get()
        self._asleep = False

    def _gather(self) -> None:
        # Taken first: an offset that is known when a record comes counts for it, and no record was said
        # after it came.
        intake = self._intake.take()
        with self._offsets_lock:
            offsets, self._offsets = self._offsets, {}
        for (host, process), offset_ns in offsets.items():
            self._merger.set_offset(host, offset_ns, process)
        if intake.full:
            self._receiver.remind()
        for function in intake.waiting:
            self._reactor.call_soon(function)
        now = self._clock.now_ns()
        for records in intake.runs:
            self._merger.add_all(records, now)
        while self._ended:
            self._merger.end(*self._ended.popleft(), now)


def _source(record: LogRecord) -> tuple[str, str, int, str]:
    return record.host, record.process, record.pid, record.channel
