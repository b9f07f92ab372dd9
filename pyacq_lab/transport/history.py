"""What a reader keeps of what it has taken."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError, SamplesGone
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport.memory import check_fits
from pyacq_lab.transport.ringlayout import RingLayout
from pyacq_lab.transport.ringwriter import RingWriter
from pyacq_lab.transport.streamring import joined


class History:
    """The last samples that a reader took, by absolute index. One thread keeps, any reads.

    Parameters
    ----------
    spec : StreamSpec
        Of the stream; what is kept may be of another dtype and shape, if filters make it so.
    size : int
        How many samples.

    Raises
    ------
    ConfigurationError
        There is no memory for so many.
    """

    def __init__(self, spec: StreamSpec, size: int) -> None:
        self._lock = threading.Lock()
        self._spec = spec.replace(buffer_size=size)
        self.ring: RingWriter = _ring(self._spec)

    def resize(self, size: int) -> None:
        """Keep another number of samples from now on; of those kept so far, what there is room for."""
        with self._lock:
            before = self.ring
            ring = _ring(before.spec.replace(buffer_size=size))
            for serial in range(before.first, before.serial):
                entry = before.entry(serial)
                if entry is None:
                    continue
                if ring.epoch != entry.epoch:
                    ring.begin_epoch(entry.start - entry.lost, entry.epoch)
                data = joined(before.segments(entry.position, entry.count))
                ring.write(data, entry.time_ns, entry.uncertainty_ns, entry.lost, entry.reason)
            self._spec = self._spec.replace(buffer_size=size)
            self.ring = ring

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.ring = RingWriter(self._spec)

    def keep(self, item: Chunk | Gap) -> None:
        """Append what came next."""
        with self._lock:
            ring = self.ring
            if isinstance(item, Chunk):
                ring = self._fitting(item.data)
            if ring.epoch != item.epoch:
                ring.begin_epoch(item.start, item.epoch)
            lost = item.start - ring.stop
            if isinstance(item, Gap):
                nothing = np.empty((0, *ring.spec.sample_shape), ring.spec.np_dtype)
                ring.write(nothing, 0, -1, item.stop - ring.stop, item.reason)
            else:
                ring.write(item.data, item.time_ns, item.uncertainty_ns, lost, "dropped")

    def _fitting(self, data: npt.NDArray[Any]) -> RingWriter:
        spec = self.ring.spec
        if data.dtype != spec.np_dtype or data.shape[1:] != spec.sample_shape:
            fields = {"dtype": data.dtype, "shape": (-1, *data.shape[1:]), "buffer_size": spec.buffer_size}
            self.ring = RingWriter(StreamSpec.of(**fields, sample_rate=spec.sample_rate))
        return self.ring

    def read(self, start: int, stop: int, epoch: int | None = None) -> npt.NDArray[Any]:
        """Copy of samples ``[start, stop)``. Raises SamplesGone where they are not kept."""
        with self._lock:
            if not self.ring.serial:
                raise SamplesGone("nothing is kept yet: take some chunks first")
            return self.ring.read(start, stop, epoch)


def _ring(spec: StreamSpec) -> RingWriter:
    check_fits(RingLayout.of(spec).size, f"a buffer of {spec.buffer_size} samples of the reader's own")
    return RingWriter(spec)


def by_index(
    index: int | slice, bounds: tuple[int, int], get: Callable[[int, int], npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """Samples that ``stream[index]`` stands for where those in ``bounds`` exist; ``get`` looks them up.

    Raises ConfigurationError for an index that is neither a number nor a slice.
    """
    first, stop = bounds
    try:
        begin, end, step = absolute_slice(index, first, stop) if isinstance(index, slice) else (0, 0, 0)
        number = 0 if step else operator.index(index)  # pyright: ignore[reportArgumentType]
    except TypeError:
        raise ConfigurationError(f"stream[{index!r}]: wanted an absolute index, or a slice of them") from None
    if not step:
        number += stop if number < 0 else 0
        return get(number, number + 1)[0]
    if step > 0:
        return get(begin, max(begin, end))[::step]
    return get(min(begin, end) + 1, begin + 1)[::-1][::-step]


def absolute_slice(index: slice, first: int, stop: int) -> tuple[int, int, int]:
    """Begin, end and step of a slice of absolute indices, of which ``[first, stop)`` exist.

    Negative ones count from ``stop``. Raises ConfigurationError where the step is 0.
    """
    step = 1 if index.step is None else operator.index(index.step)
    if step == 0:
        raise ConfigurationError("a slice of a stream cannot have step 0")

    def place(value: Any, default: int) -> int:
        if value is None:
            return default
        return operator.index(value) + (stop if value < 0 else 0)

    if step > 0:
        return place(index.start, first), place(index.stop, stop), step
    return place(index.start, stop - 1), place(index.stop, first - 1), step
