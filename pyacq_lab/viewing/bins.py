"""Min/max decimation: many samples become few bins, and no spike is ever lost.

A bin is ``bin_size`` consecutive samples; bin ``k`` covers the absolute indices
``[k * bin_size, (k + 1) * bin_size)``. Its place does not depend on where the stream was cut into chunks,
so neither do its extremes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

GAP = 1
"""Flag of a bin: some of its samples will never arrive."""

BREAK = 2
"""Flag of a bin that stands for no samples: a new epoch begins after it."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Consecutive bins.

    Attributes
    ----------
    start : int
        Index of the first bin.
    extremes : ndarray of float, shape (n_bins, n_channels, 2)
        Least and greatest sample, raw units; NaN where the bin holds no number.
    flags : ndarray of uint8, shape (n_bins,)
        `GAP`, `BREAK`, or 0.
    """

    start: int
    extremes: Floats
    flags: npt.NDArray[np.uint8]

    @property
    def stop(self) -> int:
        """Index after the last bin."""
        return self.start + len(self.flags)

    def __len__(self) -> int:
        return len(self.flags)


def float_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Smallest float type that holds every value of a data type as exactly as a double would."""
    narrow = dtype.itemsize <= 2 or dtype == np.float32
    return np.dtype(np.float32 if narrow else np.float64)


class Decimator:
    """Turn samples into bins.

    Not thread-safe: its owner serialises the calls.

    Parameters
    ----------
    n_channels : int
        Channels of the stream.
    bin_size : int
        Samples per bin.
    dtype : numpy.dtype
        Data type of the samples.
    max_bins : int
        A gap never gives more bins than this: only the last ones are given, so that an hour without a link
        costs nothing.
    """

    def __init__(self, n_channels: int, bin_size: int, dtype: np.dtype[Any], max_bins: int) -> None:
        if bin_size < 1:
            raise ValueError(f"bin_size {bin_size}: wanted at least one sample")
        self.n_channels = n_channels
        self.bin_size = bin_size
        self._float = float_type(dtype)
        self._max_bins = max_bins
        self._next: int | None = None
        self._open = np.full((n_channels, 2), np.nan, self._float)
        self._flag = 0

    @property
    def next(self) -> int | None:
        """Index of the next sample wanted; None before the first."""
        return self._next

    def push(self, start: int, data: npt.NDArray[Any]) -> list[Bins]:
        """Take samples; give the bins that are now complete.

        Samples before `next` were seen before and are left out. Samples after it leave a gap.

        Parameters
        ----------
        start : int
            Absolute index of the first sample.
        data : ndarray, shape (n_samples, n_channels)
            Real numbers.
        """
        if self._next is None:
            self._next = start
        done = self.gap(self._next, start)
        data = data[max(0, self._next - start) :]
        into_bin = self._next % self.bin_size
        head = data[: (self.bin_size - into_bin) % self.bin_size] if into_bin else data[:0]
        done += self._extend(head)
        n_whole = (len(data) - len(head)) // self.bin_size
        if n_whole:
            whole = data[len(head) : len(head) + n_whole * self.bin_size]
            blocks = whole.reshape(n_whole, self.bin_size, self.n_channels)
            bins = Bins(self._next // self.bin_size, self._extremes(blocks), np.zeros(n_whole, np.uint8))
            self._next += len(whole)
            done.append(bins)
        return done + self._extend(data[len(head) + n_whole * self.bin_size :])

    def gap(self, start: int, stop: int) -> list[Bins]:
        """Take note that samples ``[start, stop)`` will never arrive; give the bins now complete."""
        if self._next is None:
            self._next = start
        stop_now = max(stop, self._next)
        if stop_now == self._next:
            return []
        first, last = self._next // self.bin_size, stop_now // self.bin_size
        self._flag |= GAP
        done: list[Bins] = []
        if last > first:
            done.append(self._take(first))
            n_empty = min(last - first - 1, self._max_bins)
            if n_empty:
                empty = np.full((n_empty, self.n_channels, 2), np.nan, self._float)
                done.append(Bins(last - n_empty, empty, np.full(n_empty, GAP, np.uint8)))
            if stop_now % self.bin_size:
                self._flag = GAP
        self._next = stop_now
        return done

    def flush(self) -> list[Bins]:
        """Give the bin that is not complete, if it has begun; the next sample may have any index."""
        begun = self._next is not None and (self._flag or not np.isnan(self._open).all())
        done = [self._take(self._next // self.bin_size)] if begun and self._next is not None else []
        self._next = None
        return done

    def _extend(self, data: npt.NDArray[Any]) -> list[Bins]:
        """Merge samples into the open bin, which they fill at most."""
        if self._next is None or not len(data):
            return []
        more = self._extremes(data[np.newaxis])[0]
        self._open[:, 0] = np.fmin(self._open[:, 0], more[:, 0])
        self._open[:, 1] = np.fmax(self._open[:, 1], more[:, 1])
        index = self._next // self.bin_size
        self._next += len(data)
        return [self._take(index)] if self._next // self.bin_size > index else []

    def _take(self, index: int) -> Bins:
        """Close the open bin and open an empty one."""
        bins = Bins(index, self._open[np.newaxis], np.array([self._flag], np.uint8))
        self._open = np.full_like(self._open, np.nan)
        self._flag = 0
        return bins

    def _extremes(self, blocks: npt.NDArray[Any]) -> Floats:
        """Least and greatest of each block, shape (n_blocks, n_channels, 2)."""
        out = np.empty((len(blocks), self.n_channels, 2), self._float)
        out[..., 0], out[..., 1] = blocks.min(axis=1), blocks.max(axis=1)
        if np.isnan(out).any():
            # Rare, and slower: a NaN must not hide the numbers that share its bin.
            out[..., 0], out[..., 1] = np.fmin.reduce(blocks, axis=1), np.fmax.reduce(blocks, axis=1)
        return out
