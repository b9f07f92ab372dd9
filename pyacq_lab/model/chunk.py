"""What travels in a stream: chunks of consecutive samples, and gaps where there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Consecutive samples of one stream.

    Attributes
    ----------
    start : int
        Absolute index of the first sample since the stream's epoch began.
    data : ndarray, shape (n_samples, ...)
        The samples, time first, in the stream's raw units. Read-only by convention.
    time_ns : int
        Time of the first sample, ns since 1970 UTC by the producing host's clock.
    uncertainty_ns : int
        Half-width of the interval in which `time_ns` lies, ns; -1 where it is unknown.
    epoch : int
        Number of the stream's epoch: it grows by one whenever the indices start again from 0.
    guard : callable, optional
        Tells whether `data` are still what was sent; for samples that lie in the producer's own ring.
    """

    start: int
    data: npt.NDArray[Any]
    time_ns: int = 0
    uncertainty_ns: int = -1
    epoch: int = 0
    guard: Callable[[], bool] | None = field(default=None, repr=False)

    @property
    def intact(self) -> bool:
        """Whether `data` are still what was sent, and so what was made of them before this was asked.

        False only for a chunk that was taken without a copy and held until the producer came round.
        """
        return self.guard is None or self.guard()

    @property
    def stop(self) -> int:
        """Absolute index after the last sample."""
        return self.start + len(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def with_data(self, data: npt.NDArray[Any]) -> Chunk:
        """Other samples at the same place in time."""
        return Chunk(self.start, data, self.time_ns, self.uncertainty_ns, self.epoch)


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples ``[start, stop)`` that will never arrive.

    Attributes
    ----------
    start, stop : int
        Absolute sample indices, half-open.
    epoch : int
        The stream's epoch.
    reason : str
        Why, in words: ``"overrun"`` (lost in hardware), ``"dropped"`` (lost on the way), ...
    """

    start: int
    stop: int
    epoch: int = 0
    reason: str = "dropped"

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a device gives back from one read.

    Attributes
    ----------
    data : ndarray, shape (n_samples, ...)
        Samples in the order in which they were acquired.
    lost : int
        Samples that the hardware lost right before `data` (an overrun).
    time_ns : int or None
        Time of the first sample by the host's clock, ns since 1970 UTC. None: the node stamps it.
    uncertainty_ns : int
        Half-width of the interval in which `time_ns` lies, ns; -1 where it is unknown.
    """

    data: npt.NDArray[Any]
    lost: int = 0
    time_ns: int | None = None
    uncertainty_ns: int = -1


def concatenate(chunks: list[Chunk]) -> npt.NDArray[Any]:
    """Samples of chunks that follow each other, as one array.

    Raises
    ------
    ValueError
        The chunks do not follow each other: there is a gap or another epoch between two of them.
    """
    for before, after in pairwise(chunks):
        if (before.epoch, before.stop) != (after.epoch, after.start):
            raise ValueError(
                f"chunk [{after.start}, {after.stop}) of epoch {after.epoch} does not follow "
                f"[{before.start}, {before.stop}) of epoch {before.epoch}"
            )
    arrays = [c.data for c in chunks]
    return np.concatenate(arrays, dtype=arrays[0].dtype)  # left to itself it would change the byte order
