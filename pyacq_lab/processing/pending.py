"""Samples that wait until enough others have come."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.processing.spans import part_of


class Pending:
    """Consecutive samples of which the first ones are taken off again; they lie in memory as one array.

    Parameters
    ----------
    n_channels : int
        Number of channels.
    dtype : numpy.dtype
        Of what is kept.
    """

    def __init__(self, n_channels: int, dtype: npt.DTypeLike = np.float64) -> None:
        self._store = np.empty((256, n_channels), dtype)
        self.clear()

    def clear(self) -> None:
        """Forget all samples."""
        self._first = self._stop = 0
        self._pieces: list[tuple[int, Chunk]] = []  # where each chunk begins in the store; without samples
        self._rate = 1.0

    def __len__(self) -> int:
        return self._stop - self._first

    @property
    def start(self) -> int:
        """Absolute index of the first sample."""
        return self.place().start

    @property
    def stop(self) -> int:
        """Absolute index after the last sample."""
        return self.start + len(self)

    def add(self, chunk: Chunk, sample_rate: float) -> None:
        """Take a copy of the samples of a chunk that follows what is there."""
        if not len(chunk):
            return
        self._rate = sample_rate
        self._make_room(len(chunk))
        self._store[self._stop : self._stop + len(chunk)] = chunk.data
        self._pieces.append((self._stop, chunk.with_data(chunk.data[:0])))
        self._stop += len(chunk)

    def first(self, n: int) -> npt.NDArray[Any]:
        """The first ``n`` samples; a view that is good until the next `add`."""
        return self._store[self._first : self._first + n]

    def place(self, at: int = 0) -> Chunk:
        """Where the sample ``at`` places after the first one belongs: a chunk without samples."""
        if not self._pieces:
            raise ValueError("no samples are waiting")
        where = self._first + at
        begin, piece = next((p for p in reversed(self._pieces) if p[0] <= where), self._pieces[0])
        return part_of(piece, where - begin, where - begin, self._rate)

    def drop_to(self, index: int) -> None:
        """Forget the samples before an absolute index, which is not beyond the last one."""
        self.drop(max(0, index - self.start))

    def drop(self, n: int) -> None:
        """Forget the first ``n`` samples."""
        self._first += n
        while len(self._pieces) > 1 and self._pieces[1][0] <= self._first:
            del self._pieces[0]
        if self._first == self._stop:
            # The last piece stays: the next sample may be asked for its place.
            begin, piece = self._pieces[-1]
            self._pieces = [(begin - self._first, piece)]
            self._first = self._stop = 0

    def _make_room(self, n: int) -> None:
        if self._stop + n <= len(self._store):
            return
        kept = self._store[self._first : self._stop]
        size = max(len(self._store), 2 * (len(kept) + n))
        store = self._store if size == len(self._store) else np.empty((size, *kept.shape[1:]), kept.dtype)
        store[: len(kept)] = kept if store is not self._store else kept.copy()
        self._pieces = [(begin - self._first, piece) for begin, piece in self._pieces]
        self._store, self._first, self._stop = store, 0, len(kept)
