"""A shard: many chunks of a Zarr array in one file, each found by the index at the file's beginning.

As in the codec ``sharding_indexed`` of Zarr v3 with ``index_location: start``: the index has an offset and
a length (uint64, little-endian) for each chunk, all ones where there is none, and ends in its CRC32C.
https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/
"""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import RecordingError

MOST_CHUNKS = 255
"""Chunks in a shard: their index fits into one page, which a kill cannot tear while it is written."""

DATA_AT = 4096
"""Offset of the first chunk in the file: samples lie at whole pages."""

CHECKSUM_NBYTES = 4
"""Bytes of the CRC32C that follows a chunk, and the index."""

_NONE = 2**64 - 1

Index = npt.NDArray[np.uint64]
"""Offset and length of each chunk in the file, shape (n_chunks, 2)."""


def checksum(data: bytes, crc: int = 0) -> int:
    """CRC32C of data, after those of which it is ``crc`` (RFC 3720, appendix B.4)."""
    return google_crc32c.extend(crc, data)


def checksum_bytes(crc: int) -> bytes:
    """A checksum as it is in a file."""
    return crc.to_bytes(CHECKSUM_NBYTES, "little")


def empty_index(n_chunks: int) -> Index:
    """Index of a shard without chunks."""
    return np.full((n_chunks, 2), _NONE, "<u8")


def is_there(index: Index, slot: int) -> bool:
    """Whether the shard has this chunk."""
    return int(index[slot, 0]) != _NONE


def encode_index(index: Index) -> bytes:
    """Index as it is in a file."""
    data = index.tobytes()
    return data + checksum_bytes(checksum(data))


def read_index(path: Path, n_chunks: int) -> Index:
    """Index of a shard; an empty one where there is no such file, or one that ends before its chunks begin.

    Raises
    ------
    RecordingError
        It is damaged.
    """
    nbytes = 16 * n_chunks
    before = None
    while True:
        try:
            with path.open("rb") as file:
                data = file.read(nbytes + CHECKSUM_NBYTES)
        except FileNotFoundError:
            return empty_index(n_chunks)
        if len(data) < nbytes + CHECKSUM_NBYTES:  # a kill came while it was made
            return empty_index(n_chunks)
        if data[nbytes:] == checksum_bytes(checksum(data[:nbytes])):
            return np.frombuffer(data, "<u8", 2 * n_chunks).reshape(-1, 2).copy()
        if data == before:
            raise RecordingError(f"{path} has a damaged index")
        before = data  # half old and half new, where it was read as it was written: it is another one now


def require_there(file: io.FileIO) -> None:
    """Raise FileNotFoundError where an open file was removed: what is written to it is lost."""
    name = str(file.name)
    # Some network file systems count no links.
    if os.fstat(file.fileno()).st_nlink == 0 and not os.path.exists(name):
        raise FileNotFoundError(errno.ENOENT, "a file was removed while it was recorded", name)


def write_all(file: io.FileIO, data: memoryview | bytes) -> None:
    """Write all of it: one system call may take less than it was given."""
    left = memoryview(data)
    while left:
        written = file.write(left)
        left = left[written:] if written is not None else left


class ShardWriter:
    """Chunks of one shard, written to their place.

    Parameters
    ----------
    path : Path
        The file; one that exists is gone on with.
    n_chunks : int
        Chunks that it has room for.

    Raises
    ------
    RecordingError
        The file exists and its index is damaged.
    """

    def __init__(self, path: Path, n_chunks: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.index = read_index(path, n_chunks)
        self._file = io.FileIO(path, "r+" if path.exists() else "x")
        try:
            if self._file.seek(0, os.SEEK_END) < 16 * n_chunks + CHECKSUM_NBYTES:
                self._write_index()
        except BaseException:
            self._file.close()
            raise

    @staticmethod
    def replace_index(path: Path, index: Index) -> None:
        """Write another index over one that is damaged."""
        with path.open("r+b") as file:
            file.write(encode_index(index))

    def write(self, offset: int, data: memoryview | bytes) -> None:
        """Write bytes to their place."""
        self._file.seek(offset)
        write_all(self._file, data)

    def append(self, slot: int, data: bytes) -> None:
        """Write a chunk behind all others, and enter it in the index."""
        offset = max(DATA_AT, self._file.seek(0, os.SEEK_END))
        self.write(offset, data)
        self.enter(slot, offset, len(data))

    def enter(self, slot: int, offset: int, nbytes: int) -> None:
        """Enter a chunk, which was written, in the index: from now on readers find it."""
        self.index[slot] = offset, nbytes
        self._write_index()

    def forget(self, slot: int) -> None:
        """Take a chunk out of the index."""
        if is_there(self.index, slot):
            self.index[slot] = _NONE
            self._write_index()

    def require_there(self) -> None:
        """Raise FileNotFoundError where the file was removed meanwhile."""
        require_there(self._file)

    def sync(self) -> None:
        """Wait until the disk has it."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()

    def _write_index(self) -> None:
        self.write(0, encode_index(self.index))
