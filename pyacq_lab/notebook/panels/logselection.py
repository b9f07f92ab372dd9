"""The records that a view shows: those of a store that match a filter, by position."""

from __future__ import annotations

from bisect import bisect_left

from pyacq_lab.manager.logfilter import LogFilter
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.model.logs import LogRecord

_SLICE = 2000  # records looked at before whoever appends may go on


class LogSelection:
    """Positions of matching records, kept up to date as records come and go.

    A position counts the matching records since the selection was made; it never changes, so a view can
    keep what it has. Not safe from several threads at once.

    Parameters
    ----------
    store : LogStore
        Where the records are.
    wanted : LogFilter
        Which of them are shown.
    """

    def __init__(self, store: LogStore, wanted: LogFilter) -> None:
        self._store = store
        self._wanted = wanted
        self._cursor = 0
        self._indices: list[int] = []  # of the matching records in the store
        self._gone = 0  # matching records before those
        self.refresh()

    @property
    def start(self) -> int:
        """Position of the oldest matching record that is still in memory."""
        return self._gone

    @property
    def stop(self) -> int:
        """Position after the newest."""
        return self._gone + len(self._indices)

    def refresh(self) -> None:
        """Take note of what came into the store and of what left it."""
        matches = self._wanted.matches
        stop = self._store.stop
        while self._cursor < stop:
            first, records = self._store.read_from(self._cursor, _SLICE)
            self._indices += [first + i for i, record in enumerate(records) if matches(record)]
            self._cursor = first + len(records)
        n_gone = bisect_left(self._indices, self._store.start)
        if n_gone:
            del self._indices[:n_gone]
            self._gone += n_gone

    def read(self, start: int, stop: int) -> list[tuple[int, int, LogRecord]]:
        """Position, index in the store and record of positions ``[start, stop)`` that are still there."""
        found: list[tuple[int, int, LogRecord]] = []
        for position in range(max(start, self.start), min(stop, self.stop)):
            index = self._indices[position - self._gone]
            for record in self._store.read(index, index + 1):
                found.append((position, index, record))
        return found
