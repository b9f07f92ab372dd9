"""The messages of a stream, between one output and each of its readers.

A reader subscribes and says how many samples it has taken; the producer sends data, losses, and from time
to time how far it has come. Data are one msgpack header frame and one raw frame.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.wire.values import Buffer

DROPPED = "dropped"

Policy = Literal["lossless", "drop-oldest", "latest"]


class StreamMessage(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of all messages of a stream."""


class Hello(StreamMessage, frozen=True, tag="hello"):
    """Ask what the stream is. ``machine`` names the reader's, unless it is not to share memory."""

    machine: str = ""


class Subscribe(StreamMessage, frozen=True, tag="subscribe"):
    """Begin to read.

    A reader that comes back names by ``epoch`` and ``start`` the first sample that it lacks, and by
    ``position`` how many were written before that: what the ring no longer holds of the rest it will be
    told. One that goes on for a reader of another process knows no position, only the sample. Without either
    it begins with what is acquired from now on, after ``backfill`` seconds of the past. ``bell`` is the
    address of the doorbell of a reader that has mapped the ring (empty: send the samples), ``slot`` the
    number of the words in it that it still has.
    """

    policy: Policy = "lossless"
    epoch: int = -1
    start: int = -1
    backfill: float = 0.0
    bell: str = ""
    position: int = -1
    slot: int = -1


class Taken(StreamMessage, frozen=True, tag="taken"):
    """The reader has taken so many samples since it subscribed; also its sign of life."""

    samples: int


class AskTip(StreamMessage, frozen=True, tag="ask_tip"):
    """Ask for a `Tip` that carries ``token``."""

    token: int


class Leave(StreamMessage, frozen=True, tag="leave"):
    """Stop reading."""


class Fetch(StreamMessage, frozen=True, tag="fetch"):
    """Ask once for samples ``[start, stop)`` that the ring still holds."""

    token: int
    epoch: int
    start: int
    stop: int


class RingAddress(msgspec.Struct, frozen=True, array_like=True):
    """Where a ring buffer is mapped from, on its own machine, and the number in it that proves it."""

    path: str
    size: int
    nonce: int


def window(ring_size: int, policy: Policy) -> int:
    """Most samples that a producer lets be on their way to a reader that is sent them."""
    return max(1, ring_size // (2 if policy == "lossless" else 8))


class Opened(StreamMessage, frozen=True, tag="opened"):
    """What the stream is; the answer to `Hello`, and again whenever it is configured anew.

    ``ring`` is given to readers on the same machine; where it is not, ``why`` says so in words. Indices and
    positions count within one ``nonce``: it is another once the producer was restarted.
    """

    spec: StreamSpec
    ring: RingAddress | None = None
    why: str = ""
    nonce: int = 0


class Admitted(StreamMessage, frozen=True, tag="admitted"):
    """Where a reader begins, as `cursor.Cursor` has it; the answer to `Subscribe`.

    ``slot`` is the number of its own words in the ring; -1: the samples will be sent.
    """

    slot: int
    position: int
    serial: int
    epoch: int
    next: int


class Data(StreamMessage, frozen=True, tag="data"):
    """Header of samples ``[start, start + count)``; ``packed`` where they are compressed."""

    epoch: int
    start: int
    count: int
    time_ns: int
    uncertainty_ns: int
    packed: bool = False


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
    """How many samples were offered to this reader since it subscribed, and whether more are to come.

    The answer to `AskTip` says as well which samples ``[first, stop)`` of the present epoch the ring spans.
    """

    offered: int
    running: bool
    token: int = 0
    first: int = 0
    stop: int = 0


class Outdated(StreamMessage, frozen=True, tag="outdated"):
    """What was sent before this is to be forgotten."""


class Fetched(StreamMessage, frozen=True, tag="fetched"):
    """The answer to `Fetch`: the samples follow, or ``error`` says why not."""

    token: int
    error: str = ""


class Closed(StreamMessage, frozen=True, tag="closed"):
    """The producer has ended for good: nothing comes after this."""


FromReader = Hello | Subscribe | Taken | AskTip | Fetch | Leave
FromProducer = Opened | Admitted | Data | Lost | Tip | Outdated | Fetched | Closed

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


def decode_samples(count: int, buffer: Any, spec: StreamSpec) -> npt.NDArray[Any]:
    """View (no copy, read-only) of ``count`` samples, shape (count, ...).

    Raises
    ------
    ProtocolError
        The buffer does not hold so many samples of the stream.
    """
    size = memoryview(buffer).nbytes
    if count < 0 or size != count * spec.sample_nbytes:
        raise ProtocolError(f"{size} bytes came for {count} samples of {spec.sample_nbytes} bytes each")
    if count == 0:
        return np.empty((0, *spec.sample_shape), spec.np_dtype)
    data = np.frombuffer(buffer, spec.np_dtype).reshape(count, *spec.sample_shape)
    data.flags.writeable = False
    return data
