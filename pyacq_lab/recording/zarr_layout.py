"""Zarr v3 metadata of arrays that grow by rows, written without any Zarr library.

The array is not compressed, so that a chunk on disk is the samples' own bytes and can be filled row by
row in place. A sample type that Zarr does not know, such as a record of several fields, is stored as its
bytes along one more axis, and the attributes say what they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.manifest import replace_file

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
    """

    spec: StreamSpec
    chunk_rows: int

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
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row of the array."""
        return self.spec.sample_shape + ((self.spec.np_dtype.itemsize,) if self.is_bytes else ())

    @property
    def chunk_nbytes(self) -> int:
        """Size of one chunk, bytes."""
        return self.chunk_rows * self.spec.sample_nbytes

    @property
    def is_float(self) -> bool:
        """Whether a row in a gap can say so by itself: NaN."""
        return self.spec.np_dtype.kind in "fc" and not self.is_bytes

    def metadata(self, rows: int) -> dict[str, Any]:
        """Contents of the array's ``zarr.json`` with so many rows."""
        big = self.spec.np_dtype.str.startswith(">")
        nan: Any = ["NaN", "NaN"] if self.zarr_type.startswith("complex") else "NaN"
        codec: dict[str, Any] = {"name": "bytes"}
        if self.spec.np_dtype.itemsize > 1 and not self.is_bytes:
            codec["configuration"] = {"endian": "big" if big else "little"}
        zero: Any = False if self.zarr_type == "bool" else 0
        names = ["time", "channel"] if len(self.row_shape) == 1 and not self.is_bytes else None
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [rows, *self.row_shape],
            "data_type": self.zarr_type,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [self.chunk_rows, *self.row_shape]},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": nan if self.is_float else zero,
            "codecs": [codec],
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

    def chunk_path(self, folder: Path, number: int) -> Path:
        """File of a chunk: the array is cut along time only."""
        return folder.joinpath("c", str(number), *("0" for _ in self.row_shape))


def chunk_rows(spec: StreamSpec, seconds: float, largest_nbytes: int) -> int:
    """Samples per chunk: those of so many seconds, fewer where they take too much room, at least one."""
    by_time = math.ceil(seconds * spec.sample_rate)
    return max(1, min(by_time, largest_nbytes // spec.sample_nbytes))


def read_rows(
    folder: Path, layout: ArrayLayout, start: int, stop: int, is_gap: Callable[[int, int], bool]
) -> npt.NDArray[Any]:
    """Rows ``[start, stop)`` straight from the chunks' files: no more is read than was asked for.

    Where a chunk is not there and ``is_gap(start, stop)`` of its rows, they are NaN for floats, 0 for
    others. Raises OSError where one that should be there is not, or is cut short.
    """
    spec, size = layout.spec, layout.chunk_rows
    rows = np.zeros((stop - start, *spec.sample_shape), spec.np_dtype)
    if layout.is_float:
        rows[...] = np.nan
    flat = rows.view(np.uint8).reshape(-1) if len(rows) else rows
    at = start
    while at < stop:
        number, row = divmod(at, size)
        end = min(stop, (number + 1) * size)
        part = flat[(at - start) * spec.sample_nbytes : (end - start) * spec.sample_nbytes]
        path = layout.chunk_path(folder, number)
        try:
            with path.open("rb") as file:
                file.seek(row * spec.sample_nbytes)
                n_read = file.readinto(part.data)
        except FileNotFoundError:
            if not is_gap(at, end):
                raise
            n_read = len(part)
        if n_read < len(part):
            raise OSError(f"{path} is cut short")
        at = end
    return rows


def write_group(folder: Path) -> None:
    """Make a folder a Zarr group, if it is not one yet."""
    folder.mkdir(exist_ok=True)
    if not (folder / "zarr.json").exists():
        group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
        replace_file(folder / "zarr.json", json.dumps(group).encode(), sync=False)


def write_array(folder: Path, layout: ArrayLayout, rows: int, *, sync: bool) -> None:
    """Replace the array's metadata: this is what lets other programs see new rows."""
    replace_file(folder / "zarr.json", json.dumps(layout.metadata(rows)).encode(), sync=sync)
