"""The messages of a stream, between one output and each of its readers.

A reader subscribes and says how many samples it has taken; the producer sends data, losses, and from time
to time how far it has come. Data are one msgpack header frame and one raw frame.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.wire.values import Buffer

DROPPED = "dropped"

Policy = Literal["lossless", "drop-oldest", "latest"]


class StreamMessage(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of all messages of a stream."""


class Subscribe(StreamMessage, frozen=True, tag="subscribe"):
    """Begin to read.

    ``epoch`` and ``start`` name the first sample wanted, where the ring still holds it (a reader that
    comes back); -1 begins with what is acquired from now on, after ``backfill`` seconds of the past.
    """

    policy: Policy = "lossless"
    epoch: int = -1
    start: int = -1
    backfill: float = 0.0


class Taken(StreamMessage, frozen=True, tag="taken"):
    """The reader has taken so many samples since it subscribed; also its sign of life."""

    samples: int


class AskTip(StreamMessage, frozen=True, tag="ask_tip"):
    """Ask for a `Tip` that carries ``token``."""

    token: int


class Leave(StreamMessage, frozen=True, tag="leave"):
    """Stop reading."""


class Opened(StreamMessage, frozen=True, tag="opened"):
    """What the stream is; the answer to `Subscribe`, and again whenever it is configured anew."""

    spec: StreamSpec


class Data(StreamMessage, frozen=True, tag="data"):
    """Header of samples ``[start, start + count)``."""

    epoch: int
    start: int
    count: int
    time_ns: int
    uncertainty_ns: int


class Lost(StreamMessage, frozen=True, tag="lost"):
    """Samples ``[start, stop)`` will not come.

    ``reason`` is ``"dropped"`` where this connection lost them; anything else, such as ``"overrun"``,
    happened before the stream. ``count`` of them were written to the stream and count against the
    connection; fewer than the range is long where there were overruns in it as well.
    """

    epoch: int
    start: int
    stop: int
    reason: str
    count: int


class Tip(StreamMessage, frozen=True, tag="tip"):
    """How many samples were offered to this reader since it subscribed, and whether more are to come."""

    offered: int
    running: bool
    token: int = 0


FromReader = Subscribe | Taken | AskTip | Leave
FromProducer = Opened | Data | Lost | Tip

encode = msgspec.msgpack.Encoder().encode

_from_reader: msgspec.msgpack.Decoder[FromReader] = msgspec.msgpack.Decoder(FromReader)
_from_producer: msgspec.msgpack.Decoder[FromProducer] = msgspec.msgpack.Decoder(FromProducer)


def decode_from_reader(header: Buffer) -> FromReader:
    """Decode what a reader says. Raises ProtocolError where the bytes are no such message."""
    try:
        return _from_reader.decode(header)
    except (msgspec.DecodeError, ValueError) as error:
        raise ProtocolError(f"a reader's message does not decode: {error}") from None


def decode_from_producer(header: Buffer) -> FromProducer:
    """Decode what a producer says. Raises ProtocolError where the bytes are no such message."""
    try:
        return _from_producer.decode(header)
    except (msgspec.DecodeError, ValueError) as error:
        raise ProtocolError(f"a producer's message does not decode: {error}") from None


def decode_chunk(head: Data, buffer: Any, spec: StreamSpec) -> Chunk:
    """View (no copy) of the samples behind a header.

    Raises
    ------
    ProtocolError
        The buffer does not hold ``head.count`` samples of the stream.
    """
    size = memoryview(buffer).nbytes
    if head.count < 0 or size != head.count * spec.sample_nbytes:
        raise ProtocolError(f"{size} bytes came for {head.count} samples of {spec.sample_nbytes} bytes each")
    if head.count == 0:
        data = np.empty((0, *spec.sample_shape), spec.np_dtype)
    else:
        data = np.frombuffer(buffer, spec.np_dtype).reshape(head.count, *spec.sample_shape)
        data.flags.writeable = False
    return Chunk(head.start, data, head.time_ns, head.uncertainty_ns, head.epoch)
