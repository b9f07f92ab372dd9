"""The last bins of one stream, on an axis that goes on when the stream's indices start again."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ring import RingBuffer
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.bins import BREAK, Bins, Decimator, Floats, float_type


class TraceHistory:
    """Decimate a stream and keep its last bins.

    Bins are counted on a *display axis* from 0: it grows by one per bin, also over a new epoch, where one
    bin flagged `BREAK` stands between the old samples and the new.
    Not thread-safe: its owner serialises the calls.

    Parameters
    ----------
    spec : StreamSpec
        Of the stream; its samples must be real numbers, ``shape`` ``(-1,)`` or ``(-1, n_channels)``.
    bin_size : int
        Samples per bin.
    n_bins : int
        Bins kept.

    Attributes
    ----------
    received, lost : int
        Samples seen, and samples known to be lost.
    newest_ns : int
        Time of the newest sample by the producing host's clock, ns since 1970 UTC; 0 where unknown.

    Raises
    ------
    StreamMismatch
        The stream does not carry real numbers in channels.
    """

    def __init__(self, spec: StreamSpec, bin_size: int, n_bins: int) -> None:
        check_drawable(spec)
        self.spec = spec
        self.bin_size = bin_size
        self.received = 0
        self.lost = 0
        self.newest_ns = 0
        self._epoch: int | None = None
        self._shift: int | None = None
        self._n_bins = n_bins
        self._extremes = RingBuffer(np.empty((n_bins, spec.n_channels, 2), float_type(spec.np_dtype)))
        self._flags = RingBuffer(np.empty(n_bins, np.uint8))
        self._decimator = Decimator(spec.n_channels, bin_size, spec.np_dtype, n_bins)

    @property
    def size(self) -> int:
        """Bins that can be kept."""
        return self._n_bins

    @property
    def start(self) -> int:
        """Oldest bin kept."""
        return self._flags.start

    @property
    def stop(self) -> int:
        """Index after the newest complete bin."""
        return self._flags.stop

    def place_of(self, index: float) -> float:
        """Where a sample of the present epoch lies on the display axis, in bins."""
        return index / self.bin_size + (self._shift or 0)

    def add(self, item: Chunk | Gap) -> None:
        """Take the next chunk or gap of the stream, in order."""
        if item.epoch != self._epoch:
            self._begin(item.epoch)
        expected = self._decimator.next
        if expected is None:
            expected = item.start
        if isinstance(item, Gap):
            self.lost += max(0, item.stop - expected)
            self._keep(self._decimator.gap(item.start, item.stop))
            return
        self.lost += max(0, item.start - expected)
        if not len(item):
            return
        data = item.data.reshape(len(item), -1)
        self._keep(self._decimator.push(item.start, data.view(np.uint8) if data.dtype == bool else data))
        self.received += len(item)
        if item.time_ns:
            self.newest_ns = item.time_ns + round(1e9 * (len(item) - 1) / self.spec.sample_rate)

    def read(self, start: int, stop: int) -> tuple[Floats, npt.NDArray[np.uint8]]:
        """Extremes (raw units) and flags of bins ``[start, stop)``, as copies.

        Returns
        -------
        extremes : ndarray of float, shape (stop - start, n_channels, 2)
            NaN where there is nothing.
        flags : ndarray of uint8, shape (stop - start,)
            As in `Bins`.

        Raises
        ------
        SamplesGone
            Not all of these bins are kept.
        """
        return self._extremes.read(start, stop), self._flags.read(start, stop)

    def _begin(self, epoch: int) -> None:
        """Close the old epoch with what it has; leave a mark between it and the new one."""
        if self._epoch is not None:
            self._keep(self._decimator.flush())
            blank = np.full((1, self.spec.n_channels, 2), np.nan)
            self._write(self.stop, blank, np.array([BREAK], np.uint8))
        self._epoch = epoch
        self._shift = None

    def _keep(self, done: list[Bins]) -> None:
        for bins in done:
            if self._shift is None:
                self._shift = self.stop - bins.start
            self._write(bins.start + self._shift, bins.extremes, bins.flags)

    def _write(self, start: int, extremes: npt.NDArray[Any], flags: npt.NDArray[np.uint8]) -> None:
        self._extremes.write(start, extremes)
        self._flags.write(start, flags)


def check_drawable(spec: StreamSpec) -> None:
    """Refuse a stream that has no channels of real numbers.

    Raises
    ------
    StreamMismatch
        It is a video, has a structured or complex data type, or more than two dimensions.
    """
    if len(spec.shape) > 2 or spec.np_dtype.kind not in "biuf":
        raise StreamMismatch(
            f"a {spec.streamtype} of dtype {spec.np_dtype} and shape {spec.shape} cannot be drawn as traces: "
            "wanted real numbers of shape (-1, n_channels)"
        )
