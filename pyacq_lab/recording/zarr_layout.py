"""Zarr v3 metadata of arrays that grow by rows, written without any Zarr library.

An array is cut along time into chunks, and many chunks lie in one file, a shard (see `shard`). Each chunk is
followed by its CRC32C. Where it is not compressed, it has a fixed place in the file, and rows are written
there one after the other; a compressed chunk is written when it is full, and until then its rows lie in a
file of their own beside the array, ``tail-N``.

A sample type that Zarr does not know, such as a record of several fields, is stored as its bytes along one
more axis, and the attributes say what they are.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.files import replace_file
from pyacq_lab.recording.packing import LEVELS
from pyacq_lab.recording.shard import CHECKSUM_NBYTES, DATA_AT

TAIL = "tail-"
"""How names begin of files with the rows of a chunk that is not full yet; its number follows."""

_ZARR_KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}
_ZARR_TYPES = {"bool", "float16", "complex64", "complex128"} | {
    f"{kind}{bits}"
    for kind, sizes in (("int", (8, 16, 32, 64)), ("uint", (8, 16, 32, 64)), ("float", (32, 64)))
    for bits in sizes
}


@dataclass(frozen=True)
class ArrayLayout:
    """How a stream's samples lie in a Zarr array.

    Attributes
    ----------
    spec : StreamSpec
        The stream.
    chunk_rows : int
        Samples per chunk of the array.
    shard_chunks : int
        Chunks per shard.
    compression : str
        As `packing.Compression`.
    """

    spec: StreamSpec
    chunk_rows: int
    shard_chunks: int
    compression: str = "none"

    @property
    def zarr_type(self) -> str:
        """Name of the array's data type; ``uint8`` where the samples are stored as bytes."""
        dtype = self.spec.np_dtype
        kind = _ZARR_KINDS.get(dtype.kind, "")
        name = kind if kind == "bool" else f"{kind}{8 * dtype.itemsize}"
        return name if name in _ZARR_TYPES else "uint8"

    @property
    def is_bytes(self) -> bool:
        """Whether the samples are stored as bytes, along one more axis."""
        return self.zarr_type == "uint8" and self.spec.np_dtype != np.uint8

    @property
    def is_packed(self) -> bool:
        """Whether chunks are compressed."""
        return self.compression != "none"

    @property
    def is_transposed(self) -> bool:
        """Whether the samples of one channel lie side by side in a chunk: where they are packed."""
        return self.is_packed and len(self.spec.sample_shape) == 1 and not self.is_bytes

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row of the array."""
        return self.spec.sample_shape + ((self.spec.np_dtype.itemsize,) if self.is_bytes else ())

    @property
    def chunk_nbytes(self) -> int:
        """Size of one chunk's samples, bytes."""
        return self.chunk_rows * self.spec.sample_nbytes

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Shape of one chunk's samples."""
        return (self.chunk_rows, *self.spec.sample_shape)

    @property
    def is_float(self) -> bool:
        """Whether a row in a gap can say so by itself: NaN."""
        return self.spec.np_dtype.kind in "fc" and not self.is_bytes

    def blank(self, n_rows: int) -> npt.NDArray[Any]:
        """Rows of samples that never came: NaN for floats, 0 for others."""
        rows = np.zeros((n_rows, *self.spec.sample_shape), self.spec.np_dtype)
        if self.is_float:
            rows[...] = np.nan
        return rows

    def chunk_offset(self, slot: int) -> int:
        """Place of a chunk that is not compressed in its shard, bytes."""
        return DATA_AT + slot * (self.chunk_nbytes + CHECKSUM_NBYTES)

    def slot(self, number: int) -> tuple[int, int]:
        """Number of the shard in which a chunk is, and which one it is there."""
        return divmod(number, self.shard_chunks)

    def shard_path(self, folder: Path, shard: int) -> Path:
        """File of a shard: the array is cut along time only."""
        return folder.joinpath("c", str(shard), *("0" for _ in self.row_shape))

    def tail_path(self, folder: Path, number: int) -> Path:
        """File that holds the rows of a chunk that is not full yet, where chunks are packed."""
        return folder / f"{TAIL}{number}"

    def metadata(self, rows: int) -> dict[str, Any]:
        """Contents of the array's ``zarr.json`` with so many rows."""
        nan: Any = ["NaN", "NaN"] if self.zarr_type.startswith("complex") else "NaN"
        zero: Any = False if self.zarr_type == "bool" else 0
        names = ["time", "channel"] if len(self.row_shape) == 1 and not self.is_bytes else None
        crc = {"name": "crc32c"}
        sharding = {
            "chunk_shape": [self.chunk_rows, *self.row_shape],
            "codecs": [*self._codecs(), crc],
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, crc],
            "index_location": "start",
        }
        shard_shape = [self.chunk_rows * self.shard_chunks, *self.row_shape]
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [rows, *self.row_shape],
            "data_type": self.zarr_type,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard_shape}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": nan if self.is_float else zero,
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "attributes": {
                "units": self.spec.units,
                "scale": self.spec.scale,
                "offset": self.spec.offset,
                "sample_rate": self.spec.sample_rate,
                "channel_names": list(self.spec.names),
                "dtype": self.spec.dtype,
            },
            **({"dimension_names": names} if names else {}),
        }

    def _codecs(self) -> list[dict[str, Any]]:
        """What makes bytes of a chunk's samples."""
        size = 1 if self.is_bytes else self.spec.np_dtype.itemsize
        endian = "big" if self.spec.np_dtype.str.startswith(">") else "little"
        codecs: list[dict[str, Any]] = [
            {"name": "bytes", **({"configuration": {"endian": endian}} if size > 1 else {})}
        ]
        if self.is_transposed:
            codecs.insert(0, {"name": "transpose", "configuration": {"order": [1, 0]}})
        if self.is_packed:
            blosc = {
                "cname": self.compression,
                "clevel": LEVELS[self.compression],
                "shuffle": "bitshuffle",
                "typesize": size,
                "blocksize": 0,
            }
            codecs.append({"name": "blosc", "configuration": blosc})
        return codecs


def chunk_rows(spec: StreamSpec, seconds: float, largest_nbytes: int) -> int:
    """Samples per chunk: those of so many seconds, fewer where they take too much room, at least one."""
    by_time = math.ceil(seconds * spec.sample_rate)
    return max(1, min(by_time, largest_nbytes // spec.sample_nbytes))


def write_group(folder: Path, attributes: dict[str, Any] | None = None) -> None:
    """Make a folder a Zarr group, if it is not one yet."""
    folder.mkdir(exist_ok=True)
    if not (folder / "zarr.json").exists():
        group = {"zarr_format": 3, "node_type": "group", "attributes": attributes or {}}
        replace_file(folder / "zarr.json", json.dumps(group).encode(), sync=False)


def write_array(folder: Path, layout: ArrayLayout, rows: int, *, sync: bool) -> None:
    """Replace the array's metadata: this is what lets other programs see new rows."""
    replace_file(folder / "zarr.json", json.dumps(layout.metadata(rows)).encode(), sync=sync)
