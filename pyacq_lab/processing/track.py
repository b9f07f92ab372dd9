"""What is known of one stream, to be looked up at the times of another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.processing.timebase import TimeBase, Times

Method = Literal["nearest", "previous", "linear"]
Values = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

NEVER = np.iinfo(np.int64).min


class Track:
    """Samples of one stream for as long as they may be asked for.

    Parameters
    ----------
    base : TimeBase
        Times of its samples.
    method : {'nearest', 'previous', 'linear'}
        Which value it has between two samples.
    tolerance_ns : int or None
        For ``nearest``, how far the sample may lie, ns. None: half a sample, and any distance between two
        samples that follow each other.
    empty : ndarray, shape (0, n_channels)
        What there is before the first sample, in the data type of the values looked up.
    """

    def __init__(self, base: TimeBase, method: Method, tolerance_ns: int | None, empty: Values) -> None:
        self._base = base
        self._is_strict = tolerance_ns is not None
        self._reach = 0  # ns by which a sample that is yet to come may count before its time
        if method == "nearest":
            self._reach = math.ceil(base.period_ns / 2) if tolerance_ns is None else tolerance_ns
        pick = {"nearest": self._nearest, "previous": self._previous, "linear": self._linear}
        self._pick: Callable[[Times], tuple[Values, Mask]] = pick[method]
        self._empty = empty
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._times: Times = np.empty(0, np.int64)
        self._values = self._empty
        self._joined: Mask = np.empty(0, np.bool_)  # whether a sample follows the one before it
        self._next: tuple[int, int] | None = None  # epoch and index
        self.newest = NEVER
        self.known_to = NEVER
        self._base.reset()

    def add(self, chunk: Chunk, values: Values) -> None:
        """Take the samples of a chunk; ``values`` are theirs, and stay as they are.

        Where times step back, what was there from that time on is forgotten: newer stamps are better.
        """
        if not len(chunk):
            return
        times = self._base.follow(chunk)
        joined = np.ones(len(chunk), np.bool_)
        joined[0] = self._next == (chunk.epoch, chunk.start)
        n = int(np.searchsorted(self._times, times[0]))
        self._times = np.concatenate([self._times[:n], times])
        self._values = np.concatenate([self._values[:n], values])
        self._joined = np.concatenate([self._joined[:n], joined])
        self._next = chunk.epoch, chunk.stop
        self.newest = self.known_to = int(times[-1])

    def gap(self, gap: Gap) -> None:
        """Nothing comes before the gap's end."""
        if self._base.is_known:
            self.known_to = max(self.known_to, self._base.time_of(gap.stop) - self._reach - 1)

    def end_epoch(self) -> None:
        """What comes next is of another epoch: at a time that nobody knows."""
        self._next = None
        self.newest = self.known_to = NEVER
        self._base.reset()

    def look_up(self, times: Times) -> tuple[Values, Mask]:
        """Values at some times, shape (n, n_channels), and where there are any, shape (n,)."""
        if not len(self._times):
            shape = (len(times), *self._empty.shape[1:])
            return np.zeros(shape, self._empty.dtype), np.zeros(len(times), np.bool_)
        return self._pick(times)

    def forget(self, before: int) -> None:
        """Drop what is not asked for when nothing before this time is."""
        n = max(0, int(np.searchsorted(self._times, before, side="right")) - 1)
        if n:
            self._times, self._values, self._joined = self._times[n:], self._values[n:], self._joined[n:]

    # --- methods

    def _around(self, times: Times) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Mask, Mask]:
        """Last samples not after these times and the next ones; whether those exist; whether both belong."""
        found = np.searchsorted(self._times, times, side="right") - 1
        before, after = np.maximum(found, 0), np.minimum(found + 1, len(self._times) - 1)
        is_between = (found >= 0) & (after > found) & self._joined[after]
        return before, after, found >= 0, is_between

    def _previous(self, times: Times) -> tuple[Values, Mask]:
        before, _, exists, is_between = self._around(times)
        is_fresh = times - self._times[before] < self._base.period_ns
        return self._values[before], exists & (is_between | is_fresh)

    def _nearest(self, times: Times) -> tuple[Values, Mask]:
        before, after, _, is_between = self._around(times)
        to_before, to_after = np.abs(times - self._times[before]), np.abs(self._times[after] - times)
        nearest = np.where(to_after < to_before, after, before)
        is_near = np.minimum(to_before, to_after) <= self._reach
        return self._values[nearest], is_near if self._is_strict else is_near | is_between

    def _linear(self, times: Times) -> tuple[Values, Mask]:
        before, after, exists, is_between = self._around(times)
        first, span = self._values[before], np.maximum(self._times[after] - self._times[before], 1)
        is_exact = exists & (times == self._times[before])
        share = np.where(is_between, (times - self._times[before]) / span, 0.0)[:, np.newaxis]
        with np.errstate(invalid="ignore", over="ignore"):  # infinities go in, NaN come out
            values = first + (self._values[after] - first) * share
        # Not by arithmetic: a NaN after the sample says nothing of the sample.
        return np.where(is_exact[:, np.newaxis], first, values), exists & (is_between | is_exact)
