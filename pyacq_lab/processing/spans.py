"""Parts of chunks, and the places where there is nothing."""

from __future__ import annotations

import numpy as np

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec

NS_PER_S = 1_000_000_000


def part_of(chunk: Chunk, first: int, stop: int, sample_rate: float) -> Chunk:
    """Samples ``[first, stop)`` of a chunk, counted from its own first one: a view, with their own time."""
    return Chunk(
        chunk.start + first,
        chunk.data[first:stop],
        chunk.time_ns + round(first * NS_PER_S / sample_rate),
        chunk.uncertainty_ns,
        chunk.epoch,
    )


def nothing_after(gap: Gap, spec: StreamSpec) -> Chunk:
    """Chunk without samples that tells readers of a gap now, and not only when samples come again."""
    return empty_at(gap.stop, spec, gap.epoch)


def empty_at(index: int, spec: StreamSpec, epoch: int) -> Chunk:
    """Chunk without samples that tells readers that nothing comes any more before an index."""
    return Chunk(index, np.empty((0, *spec.sample_shape), spec.np_dtype), epoch=epoch)
