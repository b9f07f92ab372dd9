"""The newest log records in memory, all of them on disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.logfile import LogFile
from pyacq_lab.manager.logfilter import LogFilter
from pyacq_lab.model.logs import LogRecord


class LogStore:
    """A ring of records with an absolute index, and a file that takes them all.

    Safe from any thread.

    Parameters
    ----------
    file : LogFile, optional
        Takes every record too. Where it fails the store goes on in memory and says so in a record.
    capacity : int
        Records kept in memory.
    disk_error : str
        Why there is no file, where there should be one.

    Attributes
    ----------
    disk_error : str
        Why records do not go to disk (any more); empty while they do.
    folder : Path or None
        Where they lie on disk; None where none do.
    """

    def __init__(self, file: LogFile | None = None, capacity: int = 100_000, disk_error: str = "") -> None:
        if capacity < 1:
            raise ConfigurationError(f"capacity {capacity}: wanted a positive number of records")
        self.capacity = capacity
        self.disk_error = disk_error
        self.folder: Path | None = None if file is None else file.path.parent
        self._file = file
        self._ring: list[LogRecord] = []
        self._origin = 0  # index of the record that lies, or lay, in the ring's first place
        self._stop = 0
        self._lock = threading.Lock()

    @property
    def start(self) -> int:
        """Index of the oldest record in memory."""
        return max(self._origin, self._stop - self.capacity)

    @property
    def stop(self) -> int:
        """Index after the newest record: how many there have been."""
        return self._stop

    def append(self, records: Sequence[LogRecord]) -> None:
        """Take records in, in this order."""
        if not records:
            return
        kept = list(records)
        if self._file is not None:
            try:
                self._file.write(kept)
            except OSError as error:
                self.disk_error = f"{error.strerror or error}: {self._file.path}"
                self._file.close()
                self._file = None
                kept.append(_disk_failed(kept[-1], self.disk_error))
        with self._lock:
            for record in kept:
                if len(self._ring) < self.capacity:
                    self._ring.append(record)
                else:
                    self._ring[self._place(self._stop)] = record
                self._stop += 1

    def read(self, start: int, stop: int | None = None) -> list[LogRecord]:
        """Records ``[start, stop)`` that are in memory; all from ``start`` where no ``stop`` is given."""
        with self._lock:
            first = max(start, self.start)
            last = self._stop if stop is None else min(stop, self._stop)
            return [self._ring[self._place(i)] for i in range(first, last)]

    def read_from(self, start: int, limit: int | None = None) -> tuple[int, list[LogRecord]]:
        """Records in memory from ``start``, all or ``limit`` at most, and the index of the first of them."""
        with self._lock:
            first = min(max(start, self.start), self._stop)
            last = self._stop if limit is None else min(first + limit, self._stop)
            return first, [self._ring[self._place(i)] for i in range(first, last)]

    def skip_to(self, index: int) -> None:
        """Give the next record this index, where it is not reached yet, and forget all that were before."""
        with self._lock:
            if index > self._stop:
                self._ring.clear()
                self._origin = self._stop = index

    def newest(self, wanted: LogFilter, limit: int | None = None) -> list[LogRecord]:
        """Newest records in memory that match, at most ``limit``, oldest of them first."""
        found: list[LogRecord] = []
        for record in self._backwards():
            if limit is not None and len(found) >= limit:
                break
            if wanted.matches(record):
                found.append(record)
        return found[::-1]

    def close(self) -> None:
        """Close the file; what is in memory can still be read. Idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _place(self, index: int) -> int:
        return (index - self._origin) % self.capacity

    def _backwards(self, step: int = 1000) -> Iterator[LogRecord]:
        """Newest first, in pieces, so that nobody who appends waits for a long search."""
        stop = self._stop
        while stop > 0 and (piece := self.read(stop - step, stop)):
            yield from reversed(piece)
            stop -= step


def _disk_failed(last: LogRecord, reason: str) -> LogRecord:
    return LogRecord(
        time_ns=last.corrected_ns,
        process="manager",
        logger="pyacq_lab.logs",
        level=logging.ERROR,
        message=f"log records no longer go to disk, only to memory: {reason}",
    )
