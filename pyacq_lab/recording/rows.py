"""One array, also while it grows: the reader's side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.packing import unpack
from pyacq_lab.recording.shard import Index, is_there, read_index
from pyacq_lab.recording.zarr_layout import ArrayLayout

IsGap = Callable[[int, int], bool]
"""Whether all of the rows ``[start, stop)`` are in a gap."""


class ArrayReader:
    """Reads rows straight from the files.

    Of a chunk that is not compressed only what is asked for is read, and its checksum is left to `verify`; a
    compressed one is read and checked as a whole, and the last one kept.

    Parameters
    ----------
    folder : Path
        The array's folder.
    layout : ArrayLayout
        How samples lie in it.
    """

    def __init__(self, folder: Path, layout: ArrayLayout) -> None:
        self._folder = folder
        self._layout = layout
        self._kept: tuple[int, npt.NDArray[Any]] | None = None

    def read(self, start: int, stop: int, is_gap: IsGap) -> npt.NDArray[Any]:
        """Rows ``[start, stop)``, all of them acknowledged; those in gaps are NaN for floats, 0 for others.

        Raises
        ------
        RecordingError
            A file that should be there is not, is cut short or is damaged.
        """
        size = self._layout.chunk_rows
        rows = self._layout.blank(stop - start)
        indices: dict[int, Index] = {}
        for number in range(start // size, -(-stop // size)):
            first = max(start, number * size)
            last = min(stop, (number + 1) * size)
            part = rows[first - start : last - start]
            if self._layout.is_packed:
                self._copy_packed(number, part, first - number * size, indices, is_gap)
            else:
                self._read_raw(number, part, first - number * size, indices, is_gap)
        return rows

    def _read_raw(
        self, number: int, part: npt.NDArray[Any], row: int, indices: dict[int, Index], is_gap: IsGap
    ) -> None:
        layout = self._layout
        shard, slot = layout.slot(number)
        path = layout.shard_path(self._folder, shard)
        first = number * layout.chunk_rows + row
        try:
            with path.open("rb") as file:
                file.seek(layout.chunk_offset(slot) + row * layout.spec.sample_nbytes)
                n_read = file.readinto(_bytes_of(part).data)
        except FileNotFoundError as error:
            if is_gap(first, first + len(part)):
                return
            raise RecordingError(f"{path} is missing") from error
        if n_read == part.nbytes and not layout.is_float:
            return
        if is_gap(first, first + len(part)):  # a chunk that was never written, behind or before others
            part[...] = np.nan if layout.is_float else 0
        elif n_read < part.nbytes:
            raise RecordingError(f"{path} is cut short")

    def _copy_packed(
        self, number: int, part: npt.NDArray[Any], row: int, indices: dict[int, Index], is_gap: IsGap
    ) -> None:
        if self._kept is not None and self._kept[0] == number:
            part[...] = self._kept[1][row : row + len(part)]
            return
        layout = self._layout
        shard, slot = layout.slot(number)
        path = layout.shard_path(self._folder, shard)
        for _ in range(2):  # the tail may be packed in between
            if shard not in indices:
                indices[shard] = read_index(path, layout.shard_chunks)
            if is_there(indices[shard], slot):
                data = read_chunk(path, indices[shard], slot, layout)
                self._kept = number, data
                part[...] = data[row : row + len(part)]
                return
            if self._read_tail(number, part, row):
                return
            indices.clear()
        first = number * layout.chunk_rows + row
        if not is_gap(first, first + len(part)):
            raise RecordingError(f"{path} lacks the chunk with rows [{first}, {first + len(part)})")

    def _read_tail(self, number: int, part: npt.NDArray[Any], row: int) -> bool:
        path = self._layout.tail_path(self._folder, number)
        try:
            with path.open("rb") as file:
                file.seek(row * self._layout.spec.sample_nbytes)
                if file.readinto(_bytes_of(part).data) < part.nbytes:
                    raise RecordingError(f"{path} is cut short")
        except FileNotFoundError:
            return False
        return True


def is_begun(folder: Path, layout: ArrayLayout, number: int) -> bool:
    """Whether a chunk has rows and is not in its shard's index: a kill came before it was sealed.

    Raises
    ------
    RecordingError
        The index is damaged.
    """
    shard, slot = layout.slot(number)
    path = layout.shard_path(folder, shard)
    if is_there(read_index(path, layout.shard_chunks), slot):
        return False
    if layout.is_packed:
        return layout.tail_path(folder, number).exists()
    return path.exists() and path.stat().st_size > layout.chunk_offset(slot)


def read_chunk(path: Path, index: Index, slot: int, layout: ArrayLayout) -> npt.NDArray[Any]:
    """Samples of a compressed chunk. Raises RecordingError where it is cut short or damaged."""
    data = chunk_bytes(path, index, slot)
    try:
        return unpack(data, layout.chunk_shape, layout.spec.np_dtype, transposed=layout.is_transposed)
    except RecordingError as error:
        raise RecordingError(f"{path}, chunk {slot}: {error}") from error


def chunk_bytes(path: Path, index: Index, slot: int) -> bytes:
    """A chunk as it is in its shard. Raises RecordingError where it is cut short."""
    offset, nbytes = (int(n) for n in index[slot])
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(nbytes)
    if len(data) < nbytes:
        raise RecordingError(f"{path} is cut short")
    return data


def _bytes_of(rows: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return rows.reshape(-1).view(np.uint8)
