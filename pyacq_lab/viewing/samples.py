"""The last samples of some channels of a stream, in its units, on an axis without holes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ring import RingBuffer
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.bins import Floats, float_type
from pyacq_lab.viewing.history import check_drawable


class SampleHistory:
    """Keep the last samples of a stream.

    Samples are counted on a *display axis* that begins with the first sample seen. Samples that never came
    are NaN; where a new epoch begins, one NaN stands between the old samples and the new.
    Not thread-safe: its owner serialises the calls.

    Parameters
    ----------
    spec : StreamSpec
        Of the stream.
    n_samples : int
        How many are kept.
    channels : sequence of int, optional
        Columns that are kept; all unless given.

    Attributes
    ----------
    newest_ns : int
        Time of the newest sample, ns since 1970 UTC; 0 where unknown.

    Raises
    ------
    StreamMismatch
        The stream does not carry real numbers in channels.
    """

    def __init__(self, spec: StreamSpec, n_samples: int, channels: Sequence[int] | None = None) -> None:
        check_drawable(spec)
        self.spec = spec
        self.channels = list(range(spec.n_channels) if channels is None else channels)
        self.newest_ns = 0
        self._scale = np.broadcast_to(spec.scale, spec.n_channels)[self.channels]
        self._offset = np.broadcast_to(spec.offset, spec.n_channels)[self.channels]
        self._dtype = np.float64 if spec.is_scaled else float_type(spec.np_dtype)
        self._ring = RingBuffer(np.empty((max(1, n_samples), len(self.channels)), self._dtype))
        self._epoch: int | None = None
        self._shift = 0

    @property
    def size(self) -> int:
        """Samples that can be kept."""
        return self._ring.size

    @property
    def start(self) -> int:
        """Place of the oldest sample kept."""
        return self._ring.start

    @property
    def stop(self) -> int:
        """Place after the newest sample."""
        return self._ring.stop

    def place(self, index: int, epoch: int | None = None) -> int | None:
        """Place of a sample on the display axis; None where its epoch is not the present one."""
        return index + self._shift if epoch in (None, self._epoch) and self._epoch is not None else None

    def add(self, item: Chunk | Gap) -> None:
        """Take the next chunk or gap of the stream, in order. Samples that are here already are left out."""
        if item.epoch != self._epoch:
            if self._epoch is not None:
                self._ring.write(self.stop, self._nothing(1))
            self._epoch, self._shift = item.epoch, self.stop - item.start
        if isinstance(item, Gap):
            self._miss(item.stop + self._shift)
            return
        self._miss(item.start + self._shift)
        if (new := item.stop + self._shift - self.stop) > 0:
            values = item.data.reshape(len(item), -1)[-new:, self.channels].astype(self._dtype)
            if self.spec.is_scaled:
                values *= self._scale
                values += self._offset
            self._ring.write(self.stop, values)
        if item.time_ns and len(item):
            self.newest_ns = item.time_ns + round(1e9 * (len(item) - 1) / self.spec.sample_rate)

    def read(self, start: int, stop: int) -> Floats:
        """Samples at places ``[start, stop)``, shape (stop - start, n_channels). Raises SamplesGone."""
        return self._ring.read(start, stop)

    def last(self, n: int) -> Floats:
        """The newest ``n`` samples, or as many as there are."""
        return self.read(max(self.start, self.stop - n), self.stop)

    def _miss(self, stop: int) -> None:
        """Write NaN up to a place."""
        if stop > self.stop:
            n = min(stop - self.stop, self.size)
            self._ring.write(stop - n, self._nothing(n))

    def _nothing(self, n: int) -> Floats:
        return np.full((n, len(self.channels)), np.nan, self._dtype)


def spans(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open ranges in which a mask is true.

    Examples
    --------
    >>> spans(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
