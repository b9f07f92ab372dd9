"""Log records that nobody has heard yet, on disk: bounded, the oldest dropped and counted."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import struct
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from pyacq_lab.errors import ConfigurationError, ProtocolError
from pyacq_lab.wire.logcodec import LogOrigin, encode_hole, span_of

log = logging.getLogger(__name__)

PAGE = 500_000
"""Bytes that are read together, about."""

_LENGTH = struct.Struct("<I")


@dataclass(eq=False)
class _Entry:
    """A batch: which place and numbers it has, and where it lies; a hole lies nowhere else."""

    position: int
    origin: LogOrigin
    first: int
    count: int
    lost: bool
    time_ns: int
    file: _File | None = None
    at: int = 0
    size: int = 0


class _File:
    """One file of a spill."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.entries = 0  # that are still wanted


class LogSpill:
    """Keeps batches of log records in order, in files of mode 0600, until they are forgotten.

    A batch is what `wire.logcodec` makes, with its length before it: what travels, lies in files, too. Where
    the bound is reached, or the disk does not take them, records are lost and counted, each in its place.
    What an earlier process left in the folder is found again. One thread at a time.

    Parameters
    ----------
    folder : Path
        Where the files are; made, with mode 0700, when the first batch comes.
    max_bytes : int
        Size after which a file is full.
    n_files : int
        Files kept.
    start : int
        Place of the first batch.

    Attributes
    ----------
    lost : int
        Records that it has lost.
    """

    def __init__(self, folder: Path, *, max_bytes: int = 8_000_000, n_files: int = 8, start: int = 0) -> None:
        if max_bytes < 1 or n_files < 1:
            raise ConfigurationError(f"max_bytes={max_bytes}, n_files={n_files}: wanted positive numbers")
        self.folder = folder
        self.lost = 0
        self._max_bytes = max_bytes
        self._n_files = n_files
        self._entries: deque[_Entry] = deque()
        self._files: deque[_File] = deque()
        self._fd = -1
        self._position = start
        self._complained = False
        self._find()

    def __len__(self) -> int:
        """Records kept; those that were lost do not count."""
        return sum(entry.count for entry in self._entries if not entry.lost)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to read, not even a hole."""
        return not self._entries

    @property
    def stop(self) -> int:
        """Number behind the last record; 0 where there is none. For the spill of one process."""
        return self._entries[-1].first + self._entries[-1].count if self._entries else 0

    def append(self, message: bytes) -> None:
        """Keep a batch, or count its records where that is not possible. Never raises OSError."""
        span = span_of(message)
        entry = _Entry(self._next(), span.origin, span.first, span.stop - span.first, span.lost, span.time_ns)
        if entry.count == 0:
            return
        try:
            self._write(entry, message)
        except OSError as error:
            self._lose(entry)
            self._close_file()
            if not self._complained:
                self._complained = True
                why = error.strerror or error
                log.error("log records that nobody hears cannot be kept in %s: %s", self.folder, why)
        else:
            self._complained = False
        while len(self._files) > self._n_files:
            self._drop_file()

    @property
    def end(self) -> int:
        """Place behind the last batch."""
        return self._position

    def position_of(self, seq: int) -> int:
        """Place of the batch that holds number ``seq`` or a later one. For the spill of one process."""
        return next((e.position for e in self._entries if e.first + e.count > seq), self._position)

    def read(self, position: int, size: int = PAGE) -> tuple[int, list[bytes]]:
        """Batches from a place on, about ``size`` bytes, and the place behind. Holes are batches, too.

        What cannot be read any more is counted as lost.
        """
        messages: list[bytes] = []
        for entry in self._entries:
            if entry.position < position:
                continue
            if size <= 0:
                break
            messages.append(self._message(entry))
            size -= len(messages[-1])
            position = entry.position + 1
        return position, messages

    def forget(self, position: int) -> None:
        """Let go of what lies before a place."""
        while self._entries and self._entries[0].position < position:
            self._let_go(self._entries.popleft())
        while self._files and not self._files[0].entries:
            self._remove_file()

    def close(self) -> None:
        """Close the files; they stay. Idempotent."""
        self._close_file()

    def remove(self) -> None:
        """Remove the folder with all that is kept. Idempotent."""
        self._close_file()
        self._entries.clear()
        self._files.clear()
        shutil.rmtree(self.folder, ignore_errors=True)  # where it cannot be removed it goes with its parent

    def _next(self) -> int:
        self._position += 1
        return self._position - 1

    def _write(self, entry: _Entry, message: bytes) -> None:
        if self._fd < 0 or self._files[-1].size >= self._max_bytes:
            self._begin_file()
        file = self._files[-1]
        data = memoryview(_LENGTH.pack(len(message)) + message)
        at = file.size
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            os.ftruncate(self._fd, at)  # half a batch is none
            raise
        file.size += _LENGTH.size + len(message)
        entry.file, entry.at, entry.size = file, at + _LENGTH.size, len(message)
        file.entries += 1
        self._entries.append(entry)

    def _begin_file(self) -> None:
        self._close_file()
        for folder in (*reversed(self.folder.parents), self.folder):
            if not folder.exists():  # mkdir with parents gives its mode to the last one only
                folder.mkdir(mode=0o700, exist_ok=True)
        number = int(self._files[-1].path.stem) + 1 if self._files else self._position
        path = self.folder / f"{number:012d}.batches"
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._files.append(_File(path))

    def _close_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _remove_file(self) -> None:
        if len(self._files) == 1:
            self._close_file()
        file = self._files.popleft()
        with contextlib.suppress(OSError):  # where it cannot be removed it goes with its folder
            file.path.unlink()

    def _drop_file(self) -> None:
        """Drop the oldest file, and count what was in it: at the beginning, one hole for each origin."""
        dropped = self._files[0]
        holes: dict[LogOrigin, _Entry] = {}
        while self._entries and self._entries[0].file in (dropped, None):
            entry = self._entries.popleft()
            if not entry.lost:
                self.lost += entry.count
            self._let_go(entry)
            hole = holes.setdefault(
                entry.origin, _Entry(0, entry.origin, entry.first, 0, lost=True, time_ns=0)
            )
            hole.position, hole.time_ns = entry.position, entry.time_ns
            hole.count += entry.count
        self._remove_file()
        self._entries.extendleft(sorted(holes.values(), key=lambda hole: -hole.position))

    def _lose(self, entry: _Entry) -> None:
        """Count a batch in its place."""
        if not entry.lost:
            self.lost += entry.count
        entry.lost = True
        last = self._entries[-1] if self._entries else None
        if last is not None and last.lost and last.file is None and last.origin == entry.origin:
            last.count += entry.count  # a disk that stays full makes one hole
            last.position, last.time_ns = entry.position, entry.time_ns
        else:
            self._entries.append(entry)

    def _let_go(self, entry: _Entry) -> None:
        if entry.file is not None:
            entry.file.entries -= 1

    def _message(self, entry: _Entry) -> bytes:
        if entry.file is not None:
            try:
                with entry.file.path.open("rb") as file:
                    file.seek(entry.at)
                    message = file.read(entry.size)
                if len(message) == entry.size:
                    return message
                why = "it is cut short"
            except OSError as error:
                why = str(error.strerror)
            log.error("log records that nobody has heard cannot be read in %s: %s", entry.file.path, why)
            self._let_go(entry)
            entry.file, entry.lost = None, True
            self.lost += entry.count
        return encode_hole(entry.first, entry.origin, entry.count, entry.time_ns)

    def _find(self) -> None:
        """Find what an earlier process left; a last batch that was cut short is none."""
        found: list[_Entry] = []
        try:
            paths = sorted(self.folder.glob("*.batches"))
            for path in paths:
                file = _File(path)
                found += self._scan(file, path.read_bytes())
                self._files.append(file)
        except (OSError, ProtocolError, ValueError) as error:
            log.error("log records that an earlier process kept in %s cannot be read: %s", self.folder, error)
        self._entries.extend(found)

    def _scan(self, file: _File, data: bytes) -> list[_Entry]:
        entries: list[_Entry] = []
        while file.size + _LENGTH.size <= len(data):
            (size,) = _LENGTH.unpack_from(data, file.size)
            at = file.size + _LENGTH.size
            if at + size > len(data):
                break
            span = span_of(data[at : at + size])
            count = span.stop - span.first
            entry = _Entry(self._next(), span.origin, span.first, count, span.lost, span.time_ns)
            entry.file, entry.at, entry.size = file, at, size
            entries.append(entry)
            file.entries += 1
            file.size = at + size
        return entries
