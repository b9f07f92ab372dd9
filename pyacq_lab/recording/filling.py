"""The chunk of an array that is being filled: where its rows wait until it is whole."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Protocol

import numpy as np

from pyacq_lab.recording.packing import pack
from pyacq_lab.recording.shard import CHECKSUM_NBYTES, ShardWriter, checksum, checksum_bytes, write_all
from pyacq_lab.recording.zarr_layout import ArrayLayout


class Filling(Protocol):
    """A chunk that takes rows one after the other."""

    def write(self, row: int, rows: memoryview) -> None:
        """Write bytes of rows, from this one of the chunk on."""
        ...

    def seal(self) -> None:
        """Take note that it is full: with its checksum, it is entered in the shard's index."""
        ...

    def sync(self) -> None:
        """Wait until the disk has the rows."""
        ...

    def close(self) -> None:
        """Close what was opened for it; idempotent."""
        ...


class InPlace:
    """A chunk whose rows are written to their place in the shard."""

    def __init__(self, layout: ArrayLayout, shard: ShardWriter, slot: int) -> None:
        self._layout = layout
        self._shard = shard
        self._slot = slot
        self._at = layout.chunk_offset(slot)
        self._crc = 0

    def write(self, row: int, rows: memoryview) -> None:
        """See `Filling`."""
        self._shard.write(self._at + row * self._layout.spec.sample_nbytes, rows)
        self._crc = checksum(bytes(rows), self._crc)  # only of what was written

    def seal(self) -> None:
        """See `Filling`."""
        nbytes = self._layout.chunk_nbytes
        self._shard.write(self._at + nbytes, checksum_bytes(self._crc))
        self._shard.enter(self._slot, self._at, nbytes + CHECKSUM_NBYTES)

    def sync(self) -> None:
        """See `Filling`."""
        self._shard.sync()

    def close(self) -> None:
        """See `Filling`."""


class Tail:
    """A chunk whose rows wait in a file of their own, and in memory, until they are packed."""

    def __init__(self, layout: ArrayLayout, shard: ShardWriter, slot: int, path: Path) -> None:
        self._layout = layout
        self._shard = shard
        self._slot = slot
        self._path = path
        # One that another process left is not emptied: its rows are written again, byte for byte.
        self._file = io.FileIO(path, "r+" if path.exists() else "x")
        self._rows = np.empty(layout.chunk_nbytes, np.uint8)

    def write(self, row: int, rows: memoryview) -> None:
        """See `Filling`."""
        at = row * self._layout.spec.sample_nbytes
        self._file.seek(at)
        write_all(self._file, rows)
        self._rows[at : at + len(rows)] = rows

    def seal(self) -> None:
        """See `Filling`."""
        layout = self._layout
        rows = self._rows.view(layout.spec.np_dtype).reshape(layout.chunk_shape)
        self._shard.append(self._slot, pack(rows, layout.compression, transposed=layout.is_transposed))
        self.close()
        self._path.unlink()

    def sync(self) -> None:
        """See `Filling`."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """See `Filling`."""
        self._file.close()
