"""The table of a video's frames: when each was taken, and where it lies in the file.

A Zarr array of int64, one row a frame, in one chunk without compression: its file only ever grows, by rows of
64 bytes, and so it is readable up to the last whole row wherever it is cut. Its metadata, which name the
number of rows, are written when it is finished.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.files import replace_file
from pyacq_lab.recording.video.coding import FrameMark

VIDEO = "video.ts"
FRAMES = "frames"

COLUMNS = ("index", "time_ns", "uncertainty_ns", "pts", "offset", "nbytes", "is_key", "crc32")
"""Absolute index; time and its uncertainty as in `Chunk`; time stamp in the video, in 1/90000 s; place and
size of the frame's MPEG-TS packets in the file; whether decoding can begin here; checksum (CRC-32) over
the packets and the columns before."""

FRAME_DTYPE = np.dtype([(name, "<i8") for name in COLUMNS])
ROW_NBYTES = FRAME_DTYPE.itemsize

FrameTable = npt.NDArray[np.void]
"""Rows of `FRAME_DTYPE`."""


def table_path(folder: Path) -> Path:
    """File of the table: the only chunk of the array."""
    return folder / FRAMES / "c" / "0" / "0"


def table_row(mark: FrameMark, offset: int, packets: bytes) -> np.void:
    """Row of a frame whose MPEG-TS packets begin at this offset in the file."""
    row: np.void = np.zeros(1, FRAME_DTYPE)[0]
    for column in ("index", "time_ns", "uncertainty_ns", "pts", "is_key"):
        row[column] = getattr(mark, column)
    row["offset"], row["nbytes"] = offset, len(packets)
    row["crc32"] = checksum(row, packets)
    return row


def checksum(row: np.void, packets: bytes | memoryview) -> int:
    """Checksum of a frame: over its packets, then over its row but for the checksum."""
    return zlib.crc32(row.tobytes()[: -FRAME_DTYPE["crc32"].itemsize], zlib.crc32(packets))


def is_whole(file: BinaryIO, row: np.void) -> bool:
    """Whether a frame is in the video as its row says."""
    size = file.seek(0, os.SEEK_END)
    offset, nbytes = int(row["offset"]), int(row["nbytes"])
    if not 0 <= offset <= offset + nbytes <= size:
        return False
    file.seek(offset)
    return checksum(row, file.read(nbytes)) == row["crc32"]


def read_table(folder: Path, from_row: int = 0) -> FrameTable:
    """Whole rows of a table, from one of them on; none where there is no table yet."""
    path = table_path(folder)
    try:
        with path.open("rb") as file:
            file.seek(from_row * ROW_NBYTES)
            content = file.read()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error
    return np.frombuffer(content[: len(content) // ROW_NBYTES * ROW_NBYTES], FRAME_DTYPE)


def write_metadata(folder: Path, rows: int, *, sync: bool) -> None:
    """Say to what reads Zarr how long the table is."""
    metadata: dict[str, Any] = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [rows, len(COLUMNS)],
        "data_type": "int64",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [max(1, rows), len(COLUMNS)]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": {"columns": list(COLUMNS)},
        "dimension_names": ["frame", "column"],
    }
    replace_file(folder / FRAMES / "zarr.json", json.dumps(metadata).encode(), sync=sync)


def replace_table(folder: Path, table: FrameTable) -> None:
    """Replace the table as a whole, and wait until it is on disk."""
    table_path(folder).parent.mkdir(parents=True, exist_ok=True)
    replace_file(table_path(folder), table.tobytes(), sync=True)
    write_metadata(folder, len(table), sync=True)


def file_size(path: Path) -> int:
    """Bytes in a file; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def cut_file(path: Path, nbytes: int) -> None:
    """Cut a file that is longer than it should be."""
    if file_size(path) > nbytes:
        os.truncate(path, nbytes)
