"""Chunks as they are in a file: samples, compressed or not, with a checksum behind them."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numcodecs.blosc import Blosc

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.shard import CHECKSUM_NBYTES, checksum, checksum_bytes

Compression = Literal["none", "lz4", "zstd"]
"""How chunks are compressed: by Blosc with its bit shuffle and this codec inside."""

LEVELS = {"lz4": 5, "zstd": 1}
"""Blosc's levels: `python -m tests.benchmarks.recording` measures what they give and cost."""


def pack(rows: npt.NDArray[Any], compression: str, *, transposed: bool) -> bytes:
    """Encode one chunk, compressed, with its checksum.

    Parameters
    ----------
    rows : ndarray, shape (chunk_rows, ...)
        Samples.
    compression : str
        Codec in Blosc.
    transposed : bool
        Whether the samples of one channel lie side by side: they are alike, and pack better.
    """
    if transposed:
        rows = np.ascontiguousarray(rows.T)
    packed = bytes(_blosc(compression, rows.dtype.itemsize).encode(rows.view(np.uint8).reshape(-1)))
    return packed + checksum_bytes(checksum(packed))


def unpack(
    data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], *, transposed: bool
) -> npt.NDArray[Any]:
    """Samples of one chunk that `pack` encoded.

    Raises
    ------
    RecordingError
        They are damaged.
    """
    packed = verified(data)
    try:
        raw = np.frombuffer(Blosc().decode(packed), dtype)
        return raw.reshape(shape[::-1]).T if transposed else raw.reshape(shape)
    except (RuntimeError, ValueError) as error:
        raise RecordingError(f"a chunk cannot be decompressed: {error}") from error


def verified(data: bytes) -> bytes:
    """What stands before a checksum. Raises RecordingError where it does not fit."""
    content, found = data[:-CHECKSUM_NBYTES], data[-CHECKSUM_NBYTES:]
    if checksum_bytes(checksum(content)) != found:
        raise RecordingError("the checksum of a chunk does not fit")
    return content


@cache
def _blosc(compression: str, itemsize: int) -> Blosc:
    return Blosc(compression, LEVELS[compression], Blosc.BITSHUFFLE, typesize=itemsize)
