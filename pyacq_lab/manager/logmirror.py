"""The log of a manager in another process, followed while somebody looks at it here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from pyacq_lab.errors import CallTimeout, ProcessDied
from pyacq_lab.manager.logdoor import LogPiece, decode_records
from pyacq_lab.manager.logsource import LogSubscribers, Subscriber
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.model.logs import LogRecord

log = logging.getLogger(__name__)

_LOOK_S = 0.1  # between two questions, once everything is here
_FIRST_LOOK_S = 5.0  # for which a new view waits until everything is here


class LogMirror:
    """What a log server in another process has in memory, for the views in this one.

    Nothing is asked while nobody is subscribed. What has come stays here when the other process dies.
    Safe from any thread.

    Parameters
    ----------
    ask : callable
        Gives a piece of the log from an index on, as `LogDoor.log_piece`; may wait.

    Attributes
    ----------
    store : LogStore
        The records, under the same indices as over there.
    """

    def __init__(self, ask: Callable[[int], LogPiece]) -> None:
        self.store = LogStore()
        self._ask = ask
        self._asking = threading.Lock()
        self._subscribers = LogSubscribers(self.store, _failed)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._dead = False

    def subscribe(self, callback: Subscriber, interval: float = 0.1) -> Callable[[], None]:
        """Be told of new records, as `LogSubscribers.subscribe`; by a thread that lives while somebody is.

        Waits until what the other process has is here, a few seconds at most: then a view has something
        to show from the first.
        """
        deadline = time.monotonic() + _FIRST_LOOK_S
        while self._fetch() and time.monotonic() < deadline:
            continue
        end = self._subscribers.subscribe(callback, interval)
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="pyacq-log-mirror", daemon=True)
                self._thread.start()
        return end

    def close(self) -> None:
        """Ask no more; what is here can still be read. Idempotent."""
        self._closing.set()
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _fetch(self) -> bool:
        """Fetch a piece; whether there is more."""
        with self._asking:
            if self._dead:
                return False
            try:
                first, stop, encoded = self._ask(self.store.stop)
            except CallTimeout:
                return False  # a busy process: it is asked again
            except ProcessDied as error:
                self._dead = True
                if not self._closing.is_set():
                    self.store.append([_last_words(self.store, error)])
                return False
            self.store.skip_to(first)
            self.store.append(decode_records(encoded))
            return self.store.stop < stop

    def _run(self) -> None:
        while not self._closing.is_set():
            more = self._fetch()
            self._subscribers.tell(time.monotonic())
            if not more:
                self._closing.wait(_LOOK_S)
            with self._lock:
                if not len(self._subscribers) or (self._dead and not self._subscribers.behind):
                    self._thread = None
                    return


def _failed(error: Exception) -> None:
    log.error("a view of the log failed and is no longer fed", exc_info=error)


def _last_words(store: LogStore, error: ProcessDied) -> LogRecord:
    newest = store.read(store.stop - 1)
    return LogRecord(
        time_ns=max([time.time_ns(), *(record.corrected_ns for record in newest)]),
        process="manager",
        logger="pyacq_lab.logs",
        level=logging.CRITICAL,
        message=f"nothing more comes from the manager's process: {error}",
    )
