"""Which channels have reached the end of what their instrument can say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.stream import StreamSpec


def has_limits(spec: StreamSpec, limits: tuple[float, float] | None) -> bool:
    """Whether samples of a stream can be seen to clip."""
    return limits is not None or (spec.np_dtype.kind in "iu" and spec.streamtype != "digitalsignal")


def clipped(
    parts: Sequence[npt.NDArray[Any]], spec: StreamSpec, limits: tuple[float, float] | None = None
) -> list[int]:
    """Columns in which a sample lies at a limit or beyond.

    Parameters
    ----------
    parts : sequence of ndarray, shape (n_samples, n_channels)
        Raw samples.
    spec : StreamSpec
        Of their stream.
    limits : tuple of float, optional
        Least and greatest value of the instrument, in the stream's units. Unless given those of an integer
        data type; floats, booleans and lines of digital signals then have none.
    """
    dtype = spec.np_dtype
    if not has_limits(spec, limits):
        return []
    at_limit = np.zeros(spec.n_channels, bool)
    for data in parts:
        if not len(data):
            continue
        low, high = data.min(axis=0), data.max(axis=0)
        if limits is None:
            info = np.iinfo(dtype)
            # An unsigned number at rest is 0: only its upper end says something.
            at_limit |= high == info.max
            if dtype.kind == "i":
                at_limit |= low == info.min
        else:
            ends = np.sort(np.stack([low, high]) * np.asarray(spec.scale) + np.asarray(spec.offset), axis=0)
            at_limit |= (ends[0] <= limits[0]) | (ends[1] >= limits[1])
    return np.flatnonzero(at_limit).tolist()
