"""The newest log records in memory, all of them on disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.logfile import LogFile
from pyacq_lab.manager.logfilter import LogFilter
from pyacq_lab.model.logs import LogRecord

_PIECE = 2000  # records that are written together


class Report(Protocol):
    """Takes news of the disk."""

    def __call__(self, message: str, *, level: int) -> None:
        """Take a message. Called by the thread that appends records; must not wait."""


def _unheard(message: str, *, level: int) -> None:
    """What a store without a log server has to say is in its ``disk_error``."""


class LogStore:
    """A ring of records with an absolute index, and a file that takes them all.

    Safe from any thread.

    Parameters
    ----------
    file : LogFile, optional
        Takes every record too. Where it fails the store goes on in memory and reports it; once the file
        takes records again it gets those of the meantime, and that is reported, too.
    capacity : int
        Records kept in memory.
    disk_error : str
        Why there is no file, where there should be one.
    retry_s : float
        Time between two attempts to write to a file that has failed, s.

    Attributes
    ----------
    disk_error : str
        Why records do not go to disk (any more); empty while they do.
    folder : Path or None
        Where they lie on disk; None where none do.
    report : callable
        Called with a message and ``level`` by the thread that appends: a log server makes a record of it.
    """

    def __init__(
        self,
        file: LogFile | None = None,
        capacity: int = 100_000,
        disk_error: str = "",
        retry_s: float = 1.0,
    ) -> None:
        if capacity < 1:
            raise ConfigurationError(f"capacity {capacity}: wanted a positive number of records")
        self.capacity = capacity
        self.disk_error = disk_error
        self.folder: Path | None = None if file is None else file.path.parent
        self.report: Report = _unheard
        self._file = file
        self._retry_s = retry_s
        self._next_try = 0.0
        self._on_disk = 0  # index of the next record that the file gets
        self._missing = 0  # records that left memory before the file took them
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
        with self._lock:
            for record in records:
                if len(self._ring) < self.capacity:
                    self._ring.append(record)
                else:
                    self._ring[self._place(self._stop)] = record
                self._stop += 1
        if self._file is not None and time.monotonic() >= self._next_try:
            self._write(self._file)

    def _write(self, file: LogFile) -> None:
        """Bring the file up to date, as far as the disk takes records and memory still has them."""
        while self._on_disk < self._stop:
            first, records = self.read_from(self._on_disk, _PIECE)
            try:
                file.write(records)
            except OSError as error:
                self._next_try = time.monotonic() + self._retry_s
                if not self.disk_error:
                    self.disk_error = f"{error.strerror or error}: {file.path}"
                    self.report(
                        f"log records do not go to disk at present, only to memory: {self.disk_error}; "
                        "they go on by themselves once there is room again",
                        level=logging.ERROR,
                    )
                return
            self._missing += first - self._on_disk
            self._on_disk = first + len(records)
        if self.disk_error:
            self.disk_error = ""
            missing, self._missing = self._missing, 0
            rest = f"{missing:,} of them had left memory by then" if missing else "none is missing"
            self.report(
                f"log records go to disk again, those of the meantime too ({rest}): {file.path}",
                level=logging.WARNING,
            )

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
            self._write(self._file)
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
