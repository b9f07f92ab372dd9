"""The last samples of one stream, for looking back and for looking closer than at bins."""

from __future__ import annotations

import copy
import math
from collections import deque
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ring import RingBuffer
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.bins import Bins, Decimator

MOST_BYTES = 64 << 20
"""Memory that the samples of one stream may take."""


class Past:
    """The last samples of a stream, with its gaps, on an axis that goes on over epochs.

    The *sample axis* begins at 0 with the first sample seen. Where a new epoch begins, one sample that does
    not exist stands between the old ones and the new.
    Not thread-safe: its owner serialises the calls.

    Parameters
    ----------
    spec : StreamSpec
        Of the stream; of real numbers in channels.
    seconds : float
        How much is kept, as far as it fits into `MOST_BYTES`.

    Attributes
    ----------
    received, lost : int
        Samples seen, and samples known to be lost.
    """

    def __init__(self, spec: StreamSpec, seconds: float) -> None:
        self.spec = spec
        self.received = 0
        self.lost = 0
        most = MOST_BYTES // spec.sample_nbytes
        size = max(1, min(most, math.ceil(seconds * spec.sample_rate)))
        self._ring = RingBuffer(np.empty((size, spec.n_channels), _plain(spec.np_dtype)))
        self._holes: deque[tuple[int, int]] = deque()
        self._epoch: int | None = None
        self._shift = 0

    @property
    def start(self) -> int:
        """Oldest sample kept."""
        return self._ring.start

    @property
    def stop(self) -> int:
        """After the newest sample."""
        return self._ring.stop

    def place_of(self, index: int) -> int:
        """Where a sample of the present epoch lies on the sample axis."""
        return index + self._shift

    def add(self, item: Chunk | Gap) -> list[Chunk | Gap]:
        """Take the next chunk or gap of the stream, in order.

        Returns
        -------
        list of Chunk or Gap
            What is new in it, on the sample axis and of one epoch: what was seen before is left out, and what
            was found missing is a gap.
        """
        news: list[Chunk | Gap] = []
        if item.epoch != self._epoch:
            if self._epoch is not None:
                news += self._skip(self.stop + 1, "epoch")
            self._epoch = item.epoch
            self._shift = self.stop - item.start
        start, stop = self.place_of(item.start), self.place_of(item.stop)
        missing = stop if isinstance(item, Gap) else start
        self.lost += max(0, missing - self.stop)
        news += self._skip(missing, "dropped")
        if isinstance(item, Gap) or stop <= self.stop:
            return news
        seen = self.stop - start
        data = item.data.reshape(len(item), -1)[seen:]
        data = data.view(_plain(data.dtype))
        time_ns = item.time_ns and item.time_ns + round(1e9 * seen / self.spec.sample_rate)
        news.append(Chunk(self.stop, data, time_ns))
        self.received += len(data)
        self._ring.write(self.stop, data)
        while self._holes and self._holes[0][1] <= self.start:
            self._holes.popleft()
        return news

    def read(self, start: int, stop: int) -> list[Chunk | Gap]:
        """Samples and gaps in ``[start, stop)``, in order and on the sample axis, as far as they are kept.

        The samples are copies.
        """
        at, stop = max(start, self.start), min(stop, self.stop)
        found: list[Chunk | Gap] = []
        for first, last in [*self._holes, (stop, stop)]:
            first, last = min(max(first, at), stop), min(last, stop)
            if first > at:
                found.append(Chunk(at, self._ring.read(at, first)))
            if last > first:
                found.append(Gap(first, last))
            at = max(at, last)
        return found

    def copy(self) -> Self:
        """Make another that holds the same, and goes on by itself."""
        ring = RingBuffer(np.empty((self._ring.size, self.spec.n_channels), _plain(self.spec.np_dtype)))
        ring.restart(self.start)
        for part in self._ring.segments(self.start, self.stop):  # not the room that was never used
            ring.write(ring.stop, part)
        other = copy.copy(self)
        vars(other).update(_ring=ring, _holes=self._holes.copy())
        return other

    def _skip(self, stop: int, reason: str) -> list[Chunk | Gap]:
        """Leave a hole up to a place; give it."""
        start = self.stop
        if stop <= start:
            return []
        if self._holes and self._holes[-1][1] == start:
            self._holes[-1] = (self._holes[-1][0], stop)
        else:
            self._holes.append((start, stop))
        if stop - start >= self._ring.size:
            self._ring.restart(stop)
        else:
            blank = np.zeros((stop - start, self.spec.n_channels), _plain(self.spec.np_dtype))
            self._ring.write(start, blank)
        return [Gap(start, stop, reason=reason)]


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def decimated(items: list[Chunk | Gap], bin_size: int, n_channels: int, dtype: np.dtype[Any]) -> Bins | None:
    """Bins of chunks and gaps that follow each other; None of none.

    Parameters
    ----------
    items : list of Chunk or Gap
        In order, of one epoch.
    bin_size : int
        Samples per bin. The first and the last bin hold what there is of them.
    n_channels : int
        Channels of the chunks.
    dtype : numpy.dtype
        Of the chunks.
    """
    if not items:
        return None
    decimator = Decimator(n_channels, bin_size, _plain(dtype), (items[-1].stop - items[0].start) // bin_size)
    parts: list[Bins] = []
    for item in items:
        more = (
            decimator.gap(item.start, item.stop)
            if isinstance(item, Gap)
            else decimator.push(item.start, item.data)
        )
        parts += more
    parts += decimator.flush()
    extremes: npt.NDArray[Any] = np.concatenate([part.extremes for part in parts])
    return Bins(parts[0].start, extremes, np.concatenate([part.flags for part in parts]))
