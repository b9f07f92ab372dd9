"""What views of the log are fed by: a store, and a word whenever something came into it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.model.logs import LogRecord

Subscriber = Callable[[Sequence[LogRecord]], None]


class LogSource(Protocol):
    """A log server, or the mirror of one in another process."""

    store: LogStore

    def subscribe(self, callback: Subscriber, interval: float = 0.1) -> Callable[[], None]:
        """Be told of new records, as `LogSubscribers.subscribe`."""
        ...


@dataclass(slots=True, eq=False)
class _Subscription:
    """One who is told of new records, and how far he has been told."""

    callback: Subscriber
    interval: float
    cursor: int
    due: float = 0.0


class LogSubscribers:
    """Those who are told of what comes into a store.

    Anybody may come and go from any thread; one thread at a time tells.

    Parameters
    ----------
    store : LogStore
        Whose records they are told.
    failed : callable
        Called with the error of a callback that raised, which is then not called again.
    """

    def __init__(self, store: LogStore, failed: Callable[[Exception], object]) -> None:
        self._store = store
        self._failed = failed
        self._all: tuple[_Subscription, ...] = ()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._all)

    @property
    def behind(self) -> bool:
        """Whether somebody has not been told of everything yet."""
        return any(s.cursor < self._store.stop for s in self._all)

    def subscribe(self, callback: Subscriber, interval: float = 0.1) -> Callable[[], None]:
        """Be told of new records, in batches.

        Parameters
        ----------
        callback : callable
            Called with the records since the last call. One that raises is not called again.
        interval : float
            Shortest time between two calls, s.

        Returns
        -------
        callable
            Ends the subscription. A call that is under way is not waited for.
        """
        subscription = _Subscription(callback, interval, self._store.stop)
        with self._lock:
            self._all = (*self._all, subscription)
        return lambda: self._end(subscription)

    def tell(self, now: float | None) -> None:
        """Tell those that are due at a monotonic time; all of them where none is given."""
        for subscription in self._all:
            due = now is None or now >= subscription.due
            first, records = self._store.read_from(subscription.cursor) if due else (0, [])
            if not records:
                continue
            subscription.cursor = first + len(records)
            subscription.due = 0.0 if now is None else now + subscription.interval
            try:
                subscription.callback(records)
            except Exception as error:
                self._end(subscription)
                self._failed(error)

    def _end(self, subscription: _Subscription) -> None:
        with self._lock:
            self._all = tuple(s for s in self._all if s is not subscription)
