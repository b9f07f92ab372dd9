"""WAV files: raw samples of one stream, for whatever plays sound."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.recording.export.plan import Plan, only_part, tell

_TYPES = {"u1": "u1", "i2": "<i2", "i4": "<i4", "f2": "<f4", "f4": "<f4", "f8": "<f8"}
_PCM, _FLOAT = 1, 3
_LARGEST = 2**32 - 1


def write(plan: Plan, path: Path) -> None:
    """Write the file; see `export`."""
    part = only_part(plan, "WAV")
    signal, spec = part.signal, part.signal.spec
    key = f"{spec.np_dtype.kind}{spec.np_dtype.itemsize}"
    if not part.is_table or key not in _TYPES:
        raise ConfigurationError(
            f"WAV cannot hold {signal!r}: wanted a signal of uint8, int16, int32 or floats; export to HDF5"
        )
    dtype, n_channels, rate = np.dtype(_TYPES[key]), spec.n_channels, round(spec.sample_rate)
    if rate != spec.sample_rate:
        raise ConfigurationError(
            f"WAV wants a whole number of Hz, {signal.name!r} has {spec.sample_rate!r}: export to HDF5"
        )
    if signal.gaps and dtype.kind != "f":
        raise ConfigurationError(
            f"{signal!r} has gaps, which a WAV file of integers cannot say: export to HDF5, NWB or XDF"
        )
    row = n_channels * dtype.itemsize
    # Chunk fmt with its empty extension, and fact, which other types than integers want.
    form = struct.pack(
        "<HHIIHHH",
        _FLOAT if dtype.kind == "f" else _PCM,
        n_channels,
        rate,
        rate * row,
        row,
        8 * dtype.itemsize,
        0,
    )
    n_bytes = len(signal) * row
    pad = b"\0" * (n_bytes % 2)
    head = _chunk(b"fmt ", form) + _chunk(b"fact", struct.pack("<I", len(signal)))
    riff = 4 + len(head) + 8 + n_bytes + len(pad)
    if riff > _LARGEST or max(n_channels, row) > 2**16 - 1 or rate * row > _LARGEST:
        raise ConfigurationError(
            f"{signal!r} is too large for WAV, which holds 4 GiB and 65535 bytes per sample: export to HDF5"
        )
    _warn(plan)
    with path.open("wb") as file:
        file.write(
            struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + head + struct.pack("<4sI", b"data", n_bytes)
        )
        for start, stop in part.blocks(signal.start, signal.stop):
            file.write(signal.raw(start, stop).astype(dtype).tobytes())
            plan.wrote(stop - start)
        file.write(pad)


def _warn(plan: Plan) -> None:
    (part,) = plan.parts
    spec = part.signal.spec
    lost = [
        *(["the time of the first sample"] if part.is_timed else []),
        *([f"units ({spec.units})"] if spec.units else []),
        *(["scale and offset (samples are raw)"] if spec.is_scaled else []),
        *(["channel names"] if spec.channel_names else []),
    ]
    if lost:
        tell(f"{part.title!r}: WAV holds samples and their rate; left out: {', '.join(lost)}")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", name, len(content)) + content
