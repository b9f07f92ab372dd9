"""One array that grows: the writer's side."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import StreamMismatch
from pyacq_lab.recording.manifest import JOURNAL, JournalLine
from pyacq_lab.recording.zarr_layout import ArrayLayout, write_array


class SegmentWriter:
    """Append rows to a Zarr array so that a kill at any moment keeps every acknowledged one.

    Rows go to their place in the chunk's file by an unbuffered write: from then on they belong to the
    operating system and outlive the process. A chunk's file has its full size from the beginning (a hole on
    disk where nothing was written yet), so that readers never meet half a chunk. `publish` lets the array's
    shape grow over the rows, for programs that know Zarr only.

    Parameters
    ----------
    folder : Path
        The array's folder; must not exist.
    layout : ArrayLayout
        How samples lie in it.
    sync_chunks, sync_rows : bool
        Whether each full chunk, or each acknowledgement, waits until the disk has the data.
    """

    def __init__(self, folder: Path, layout: ArrayLayout, *, sync_chunks: bool, sync_rows: bool) -> None:
        self.layout = layout
        self.rows = 0
        """Rows written, with those of gaps."""
        self._folder = folder
        self._sync_chunks = sync_chunks
        self._sync_rows = sync_rows
        self._acknowledged = self._published = 0
        self._is_sync_due = False
        self._chunk: io.FileIO | None = None
        folder.mkdir()
        write_array(folder, layout, 0, sync=sync_rows)
        self._journal = (folder / JOURNAL).open("xb", buffering=0)

    @property
    def is_dirty(self) -> bool:
        """Whether there are rows that are not acknowledged yet."""
        return self.rows > self._acknowledged

    def append(self, data: npt.NDArray[Any]) -> None:
        """Write samples, shape (n_samples, ...), of the stream's data type.

        Raises
        ------
        StreamMismatch
            They are of another type or shape: as rows they would not be readable.
        """
        spec = self.layout.spec
        if data.dtype != spec.np_dtype or data.shape[1:] != spec.sample_shape:
            raise StreamMismatch(
                f"came samples of {data.dtype}, shape {data.shape}; the stream was announced as "
                f"{spec.np_dtype}, shape {spec.shape}"
            )
        if not len(data):
            return
        rows = np.ascontiguousarray(data).view(np.uint8).reshape(-1).data
        nbytes = spec.sample_nbytes
        done = 0
        while done < len(data):
            row = self.rows % self.layout.chunk_rows
            n = min(len(data) - done, self.layout.chunk_rows - row)
            file = self._chunk or self._open_chunk()
            file.seek(row * nbytes)
            _write_all(file, rows[done * nbytes : (done + n) * nbytes])
            done += n
            self.rows += n
            if row + n == self.layout.chunk_rows:
                self._close_chunk()

    def skip(self, n_samples: int) -> None:
        """Leave rows for samples that never came: NaN for floats, 0 for others.

        Chunks that lie in the gap as a whole are not written: Zarr reads a chunk that is not there as the
        array's fill value, which is the same.
        """
        size = self.layout.chunk_rows
        stop = self.rows + n_samples
        if self._chunk is not None:
            self._fill(min(n_samples, size - self.rows % size))
        if self._chunk is None:  # at the beginning of a chunk, always
            self.rows = stop // size * size
            self._fill(stop - self.rows)

    def note(self, line: JournalLine) -> None:
        """Append a line to the journal."""
        _write_all(self._journal, memoryview(msgspec.json.encode(line) + b"\n"))

    def acknowledge(self) -> int:
        """Make all rows as durable as was asked for, and return how many there are."""
        if self.is_dirty:
            if self._sync_rows and self._chunk is not None:
                os.fsync(self._chunk.fileno())
            if self._sync_rows or self._is_sync_due:
                os.fsync(self._journal.fileno())
            self._acknowledged, self._is_sync_due = self.rows, False
        return self._acknowledged

    def publish(self) -> None:
        """Let the array's shape grow over all rows that are acknowledged."""
        if self._published < self._acknowledged:
            write_array(self._folder, self.layout, self._acknowledged, sync=self._sync_rows)
            self._published = self._acknowledged

    def finish(self) -> int:
        """Acknowledge and publish all rows, and close the files, these in any case; idempotent.

        Returns
        -------
        int
            Rows acknowledged.
        """
        try:
            self._close_chunk()
            rows = self.acknowledge()
            self.publish()
            return rows
        finally:
            self._journal.close()

    def _open_chunk(self) -> io.FileIO:
        path = self.layout.chunk_path(self._folder, self.rows // self.layout.chunk_rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._chunk = io.FileIO(path, "x")
        self._chunk.truncate(self.layout.chunk_nbytes)
        return self._chunk

    def _close_chunk(self) -> None:
        if self._chunk is not None:
            chunk, self._chunk = self._chunk, None
            with chunk:
                if self._sync_chunks:
                    os.fsync(chunk.fileno())
                    self._is_sync_due = True

    def _fill(self, n_samples: int) -> None:
        spec = self.layout.spec
        blank = np.zeros((n_samples, *spec.sample_shape), spec.np_dtype)
        if self.layout.is_float:
            blank[...] = np.nan
        self.append(blank)


def _write_all(file: io.FileIO, data: memoryview) -> None:
    """Write all of it: one system call may take less than it was given."""
    while data:
        written = file.write(data)
        data = data[written:] if written is not None else data
