"""Events as a table that only grows: one JSON object a line, for whatever reads text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.files import LineFile, read_lines
from pyacq_lab.recording.manifest import EVENTS, JOURNAL, JournalLine
from pyacq_lab.recording.segment import check_samples


class EventLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event, with the fields of `pyacq_lab.model.events.Event`.

    Attributes
    ----------
    n : int
        Row of the segment: the event's number since its first.
    label : str
        Its text.
    label_bytes : bytes or None
        The label where it is no text, in base64.
    """

    n: int
    time_ns: int
    index: int
    duration: int
    channel: int
    code: int
    label: str = ""
    label_bytes: bytes | None = None


class EventWriter:
    """Append events, with the interface of `SegmentWriter`.

    Parameters
    ----------
    folder : Path
        The segment's folder; must not exist unless it is gone on with.
    spec : StreamSpec
        The stream.
    sync_rows : bool
        Whether each acknowledgement waits until the disk has the data.
    rows : int or None
        Go on after so many rows that another process has written; None begins a new table.
    """

    def __init__(self, folder: Path, spec: StreamSpec, *, sync_rows: bool, rows: int | None = None) -> None:
        self.rows = rows or 0
        """Events written, with those of gaps."""
        self.nbytes = 0
        """Bytes of samples written here."""
        self._spec = spec
        self._sync_rows = sync_rows
        self._acknowledged = self.rows
        if rows is None:
            folder.mkdir()
        # What the other process wrote without having acknowledged it will come again.
        self._on_disk = self.rows if rows is None else _rows_in(folder)
        self._file = LineFile(folder / EVENTS)
        try:
            self._journal = LineFile(folder / JOURNAL)
        except BaseException:
            self._file.close()
            raise

    @property
    def is_dirty(self) -> bool:
        """Whether there are events that are not acknowledged yet."""
        return self.rows > self._acknowledged

    def append(self, chunk: Chunk) -> None:
        """Write the events of a chunk. Raises as `SegmentWriter.append`."""
        check_samples(self._spec, chunk.data)
        known = max(0, self._on_disk - self.rows)
        rows: list[Any] = chunk.data[known:].tolist()
        first = self.rows + known
        self._file.write(*(_line_of(first + i, row) for i, row in enumerate(rows)))
        self.rows += len(chunk.data)
        self.nbytes += chunk.data.nbytes

    def skip(self, n_samples: int) -> None:
        """Leave numbers for events that never came."""
        self.rows += n_samples

    def note(self, line: JournalLine) -> None:
        """Append a line to the journal."""
        self._journal.write(line)

    def acknowledge(self) -> int:
        """Make all events as durable as was asked for, and return how many rows there are."""
        if self.is_dirty:
            self._file.require_there()
            if self._sync_rows:
                self._file.sync()
                self._journal.sync()
            self._acknowledged = self.rows
        return self._acknowledged

    def publish(self) -> None:
        """Do nothing: a table is read as it is."""

    def finish(self) -> int:
        """Acknowledge all events and close the files, these in any case; idempotent. Returns the rows."""
        try:
            return self.acknowledge()
        finally:
            self.close()

    def close(self) -> None:
        """Close the files as they are; idempotent."""
        self._file.close()
        self._journal.close()


def read_events(folder: Path, spec: StreamSpec, n_rows: int) -> npt.NDArray[Any]:
    """Events of a segment as samples, shape (n_rows,): numbers that a gap took are blank.

    Raises
    ------
    RecordingError
        The table is damaged.
    """
    rows = np.zeros(n_rows, spec.np_dtype)
    last = -1
    for line in read_lines(folder / EVENTS, EventLine):
        if line.n <= last:
            raise RecordingError(f"{folder / EVENTS} is damaged: event {line.n} comes after event {last}")
        last = line.n
        if line.n < n_rows:
            label = line.label.encode() if line.label_bytes is None else line.label_bytes
            rows[line.n] = line.time_ns, line.index, line.duration, line.channel, line.code, label
    return rows


def _line_of(n: int, row: tuple[Any, ...]) -> EventLine:
    *numbers, label = row
    try:
        return EventLine(n, *numbers, label=label.decode())
    except UnicodeDecodeError:
        return EventLine(n, *numbers, label_bytes=label)


def _rows_in(folder: Path) -> int:
    lines = read_lines(folder / EVENTS, EventLine)
    return lines[-1].n + 1 if lines else 0
