"""Ring buffer with an absolute index: arithmetic over any array, the process's own or shared."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import SamplesGone


class RingBuffer:
    """The last ``size`` samples of a stream, addressed by absolute index.

    Not thread-safe by itself: its owner serialises `write` against `read`.

    Parameters
    ----------
    array : ndarray, shape (size, ...)
        Storage, time first; the ring writes into it and never replaces it.
    """

    def __init__(self, array: npt.NDArray[Any]) -> None:
        if len(array) < 1:
            raise ValueError("a ring buffer needs room for at least one sample")
        self._array = array
        self._first = 0
        self._stop = 0

    @property
    def size(self) -> int:
        """Samples the ring can hold."""
        return len(self._array)

    @property
    def start(self) -> int:
        """Oldest absolute index still held."""
        return max(self._first, self._stop - self.size)

    @property
    def stop(self) -> int:
        """Absolute index after the newest sample."""
        return self._stop

    def restart(self, start: int = 0) -> None:
        """Forget everything; the next sample written must be ``start``."""
        self._first = self._stop = start

    def write(self, start: int, data: npt.NDArray[Any]) -> None:
        """Append samples ``[start, start + len(data))``.

        A ``start`` beyond `stop` is a gap: what is held before it is forgotten, so that nothing read
        later is joined over it. Data longer than the ring leave their tail.

        Raises
        ------
        ValueError
            ``start`` lies before `stop`: samples of the past cannot change.
        """
        if start < self._stop:
            raise ValueError(f"samples from {start} were already written: the ring stands at {self._stop}")
        if start > self._stop:
            self.restart(start)
        stop = start + len(data)
        tail = data[-self.size :] if len(data) > self.size else data
        at = (stop - len(tail)) % self.size
        head = min(len(tail), self.size - at)
        self._array[at : at + head] = tail[:head]
        self._array[: len(tail) - head] = tail[head:]
        self._stop = stop

    def segments(self, start: int, stop: int) -> list[npt.NDArray[Any]]:
        """Views (no copy) of samples ``[start, stop)``: one array, or two where the ring wraps.

        Raises
        ------
        SamplesGone
            The ring no longer holds ``start``, or does not yet hold ``stop - 1``.
        """
        if not self.start <= start <= stop <= self._stop:
            raise SamplesGone(
                f"samples [{start}, {stop}) asked for; the ring holds [{self.start}, {self._stop})"
            )
        if start == stop:
            return [self._array[:0]]
        at, end = start % self.size, (stop - 1) % self.size + 1
        return [self._array[at:end]] if at < end else [self._array[at:], self._array[:end]]

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Copy of samples ``[start, stop)``, shape (stop - start, ...). Raises as `segments`."""
        return np.concatenate(self.segments(start, stop), dtype=self._array.dtype)
