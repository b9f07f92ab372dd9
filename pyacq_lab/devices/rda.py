"""Messages of BrainVision Recorder's Remote Data Access: bytes to meaning, and back for simulators.

After "Remote Data Access" in the BrainVision Recorder user manual, and RecorderRDA.h which comes with it:
little-endian structures; each message begins with a GUID, its size and its type.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ProtocolError

GUID = uuid.UUID("4358458e-c996-4c86-af4a-98bbf6c91450").bytes_le

START, DATA16, STOP, DATA32 = 1, 2, 3, 4

HEADER = struct.Struct("<16sII")
_START = struct.Struct("<Id")
_DATA = struct.Struct("<III")
_MARKER = struct.Struct("<IIIi")

MAX_NBYTES = 64 << 20
"""A message that says it is longer is damaged."""


@dataclass(frozen=True)
class Start:
    """What a recording will consist of.

    Attributes
    ----------
    interval_us : float
        Time between samples, µs.
    resolutions : tuple of float
        µV per unit of each channel.
    names : tuple of str
        Names of the channels.
    """

    interval_us: float
    resolutions: tuple[float, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Marker:
    """A marker; ``position`` counts from the beginning of its block, channel -1 are all."""

    position: int
    points: int
    channel: int
    type: str
    description: str


@dataclass(frozen=True, eq=False)
class Block:
    """Samples, shape (n_points, n_channels), int16 or float32, and their markers."""

    number: int
    data: npt.NDArray[Any]
    markers: tuple[Marker, ...] = ()


@dataclass(frozen=True)
class Stop:
    """The recording, or monitoring, was ended."""


def size_of(header: bytes) -> int:
    """Size of a whole message in bytes, from its first 24 bytes; ProtocolError."""
    guid, nbytes, _ = HEADER.unpack(header)
    if guid != GUID:
        raise ProtocolError(f"these bytes are no message of Remote Data Access: {header.hex()}")
    if not HEADER.size <= nbytes <= MAX_NBYTES:
        raise ProtocolError(f"a message of Remote Data Access says that it has {nbytes} bytes")
    return int(nbytes)


def decode(message: bytes, n_channels: int) -> Start | Block | Stop | None:
    """Meaning of a message; None for a type that is not known, such as keep-alives.

    Raises
    ------
    ProtocolError
        It is damaged.
    """
    kind, body = HEADER.unpack_from(message)[2], message[HEADER.size :]
    try:
        if kind == START:
            return _decode_start(body)
        if kind in (DATA16, DATA32):
            return _decode_block(body, n_channels, "<i2" if kind == DATA16 else "<f4")
    except (struct.error, ValueError, IndexError) as error:
        raise ProtocolError(f"a message of Remote Data Access (type {kind}) is damaged: {error}") from error
    return Stop() if kind == STOP else None


def encode(message: Start | Block | Stop) -> bytes:
    """Bytes of a message, as the Recorder sends it."""
    if isinstance(message, Start):
        kind, body = START, _START.pack(len(message.names), message.interval_us)
        body += struct.pack(f"<{len(message.names)}d", *message.resolutions)
        body += b"".join(name.encode() + b"\0" for name in message.names)
    elif isinstance(message, Block):
        kind = DATA16 if message.data.dtype.kind == "i" else DATA32
        body = _DATA.pack(message.number, len(message.data), len(message.markers)) + message.data.tobytes()
        for m in message.markers:
            text = m.type.encode() + b"\0" + m.description.encode() + b"\0"
            body += _MARKER.pack(_MARKER.size + len(text), m.position, m.points, m.channel) + text
    else:
        kind, body = STOP, b""
    return HEADER.pack(GUID, HEADER.size + len(body), kind) + body


def _decode_start(body: bytes) -> Start:
    n_channels, interval = _START.unpack_from(body)
    end = _START.size + 8 * n_channels
    resolutions = struct.unpack(f"<{n_channels}d", body[_START.size : end])
    names = body[end:].split(b"\0")[:n_channels]
    if not (n_channels and interval > 0 and len(names) == n_channels):
        raise ValueError(f"{n_channels} channels with {len(names)} names, {interval} us between samples")
    return Start(interval, resolutions, tuple(_text(name) for name in names))


def _decode_block(body: bytes, n_channels: int, dtype: str) -> Block:
    number, n_points, n_markers = _DATA.unpack_from(body)
    count = n_points * n_channels
    data = np.frombuffer(body, dtype, count, _DATA.size).reshape(n_points, n_channels)
    at = _DATA.size + data.nbytes
    markers: list[Marker] = []
    for _ in range(n_markers):
        nbytes, position, points, channel = _MARKER.unpack_from(body, at)
        if at + nbytes > len(body):
            raise ValueError(f"a marker of {nbytes} bytes where {len(body) - at} are left")
        kind, description = body[at + _MARKER.size : at + nbytes].split(b"\0")[:2]
        markers.append(Marker(position, points, channel, _text(kind), _text(description)))
        at += nbytes
    return Block(number, data, tuple(markers))


def _text(raw: bytes) -> str:
    """Text of older Recorders is Latin-1, that of newer ones UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
