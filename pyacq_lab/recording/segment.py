"""One array that grows: the writer's side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import StreamMismatch
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.files import LineFile
from pyacq_lab.recording.filling import Filling, InPlace, Tail
from pyacq_lab.recording.manifest import JOURNAL, JournalLine
from pyacq_lab.recording.rows import ArrayReader, is_begun
from pyacq_lab.recording.shard import ShardWriter
from pyacq_lab.recording.zarr_layout import ArrayLayout, write_array


class SegmentWriter:
    """Append rows to a Zarr array so that a kill at any moment keeps every acknowledged one.

    Rows go to a file by an unbuffered write: from then on they belong to the operating system and outlive
    the process. Where chunks are not compressed, that is their place in the shard. `publish` lets the
    array's shape grow over the chunks that are whole, for programs that know Zarr only.

    Parameters
    ----------
    folder : Path
        The array's folder; must not exist unless it is gone on with.
    layout : ArrayLayout
        How samples lie in it.
    sync_chunks, sync_rows : bool
        Whether each full shard, or each acknowledgement, waits until the disk has the data.
    rows : int or None
        Go on after so many rows that another process has written; None begins a new array.
    """

    def __init__(
        self,
        folder: Path,
        layout: ArrayLayout,
        *,
        sync_chunks: bool,
        sync_rows: bool,
        rows: int | None = None,
    ) -> None:
        self.layout = layout
        self.rows = rows or 0
        """Rows written, with those of gaps."""
        self.nbytes = 0
        """Bytes of samples written here."""
        self._folder = folder
        self._sync_chunks = sync_chunks
        self._sync_rows = sync_rows
        self._acknowledged = self._published = self.rows
        self._is_sync_due = False
        self._shard: ShardWriter | None = None
        self._shard_number = -1
        self._chunk: Filling | None = None
        self._chunk_number = -1
        if rows is None:
            folder.mkdir()
            write_array(folder, layout, 0, sync=sync_rows)
        self._journal = LineFile(folder / JOURNAL)
        try:
            # A full chunk may not be sealed yet; or it was never begun, where it lies in a gap.
            if self.rows % layout.chunk_rows or (self.rows and is_begun(folder, layout, self._last_chunk)):
                self._refill()
        except BaseException:
            self.close()
            raise

    @property
    def _last_chunk(self) -> int:
        return (self.rows - 1) // self.layout.chunk_rows

    @property
    def is_dirty(self) -> bool:
        """Whether there are rows that are not acknowledged yet."""
        return self.rows > self._acknowledged

    def append(self, chunk: Chunk) -> None:
        """Write the samples of a chunk, shape (n_samples, ...), of the stream's data type.

        Raises
        ------
        StreamMismatch
            They are of another type or shape: as rows they would not be readable.
        """
        check_samples(self.layout.spec, chunk.data)
        self._write(chunk.data)

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
        self._journal.write(line)

    def acknowledge(self) -> int:
        """Make all rows as durable as was asked for, and return how many there are."""
        if self.is_dirty:
            self._journal.require_there()
            if self._shard is not None:
                self._shard.require_there()
            if self._sync_rows and self._chunk is not None:
                self._chunk.sync()
            if self._sync_rows or self._is_sync_due:
                self._journal.sync()
            self._acknowledged, self._is_sync_due = self.rows, False
        return self._acknowledged

    def publish(self) -> None:
        """Let the array's shape grow over all whole chunks that are acknowledged."""
        whole = self._acknowledged // self.layout.chunk_rows * self.layout.chunk_rows
        if self._published < whole:
            write_array(self._folder, self.layout, whole, sync=self._sync_rows)
            self._published = whole

    def finish(self) -> int:
        """Acknowledge and publish all rows, and close the files, these in any case; idempotent.

        A last chunk that is not full is filled up with rows that do not count.

        Returns
        -------
        int
            Rows acknowledged.
        """
        try:
            rows = self.rows
            if self._chunk is not None:
                self._fill(-rows % self.layout.chunk_rows)
                self._seal_if_full()  # a disk without room may have refused it before
                self.rows = rows
            self._close_shard()
            self.acknowledge()
            if self._published < rows:
                write_array(self._folder, self.layout, rows, sync=self._sync_rows)
                self._published = rows
            return rows
        finally:
            self.close()

    def close(self) -> None:
        """Close the files as they are; idempotent."""
        if self._chunk is not None:
            self._chunk.close()
        if self._shard is not None:
            self._shard.close()
        self._chunk = self._shard = None
        self._journal.close()

    def _write(self, data: npt.NDArray[Any]) -> None:
        if not len(data):
            return
        rows = np.ascontiguousarray(data).view(np.uint8).reshape(-1).data
        nbytes = self.layout.spec.sample_nbytes
        done = 0
        while done < len(data):
            self._seal_if_full()
            row = self.rows % self.layout.chunk_rows
            n = min(len(data) - done, self.layout.chunk_rows - row)
            chunk = self._chunk or self._begin_chunk()
            chunk.write(row, rows[done * nbytes : (done + n) * nbytes])
            done += n
            self.rows += n
            self._seal_if_full()
        self.nbytes += len(rows)

    def _seal_if_full(self) -> None:
        if self._chunk is not None and self.rows == (self._chunk_number + 1) * self.layout.chunk_rows:
            self._chunk.seal()
            self._chunk = None

    def _begin_chunk(self) -> Filling:
        layout, number = self.layout, self.rows // self.layout.chunk_rows
        shard_number, slot = layout.slot(number)
        if self._shard is None or shard_number != self._shard_number:
            self._close_shard()
            self._shard = ShardWriter(layout.shard_path(self._folder, shard_number), layout.shard_chunks)
            self._shard_number = shard_number
        if layout.is_packed:
            self._chunk = Tail(layout, self._shard, slot, layout.tail_path(self._folder, number))
        else:
            self._chunk = InPlace(layout, self._shard, slot)
        self._chunk_number = number
        return self._chunk

    def _refill(self) -> None:
        """Go on with a chunk that another process has begun."""
        rows, size = self.rows, self.layout.chunk_rows
        first = self._last_chunk * size
        begun = ArrayReader(self._folder, self.layout).read(first, rows, lambda a, b: False)
        self.rows = first
        self._write(begun)
        if self._chunk is not None and self._shard is not None:
            # It may have been filled up, as the last one of an array.
            self._shard.forget(self.layout.slot(first // size)[1])

    def _close_shard(self) -> None:
        shard, self._shard = self._shard, None
        if shard is not None:
            try:
                if self._sync_chunks:
                    shard.sync()
                    self._is_sync_due = True
            finally:
                shard.close()

    def _fill(self, n_samples: int) -> None:
        self._write(self.layout.blank(n_samples))


def check_samples(spec: StreamSpec, data: npt.NDArray[Any]) -> None:
    """Raise StreamMismatch where samples are not of the stream's type and shape."""
    if data.dtype != spec.np_dtype or data.shape[1:] != spec.sample_shape:
        raise StreamMismatch(
            f"came samples of {data.dtype}, shape {data.shape}; the stream was announced as "
            f"{spec.np_dtype}, shape {spec.shape}"
        )
