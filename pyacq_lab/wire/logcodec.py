"""Batches of log records as bytes.

What all records of a process share is said once per batch. Each record is encoded by whoever says it, so
that the same bytes can wait in its queue, lie in its spool and travel.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from sys import intern
from typing import NamedTuple

import msgspec

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.logs import LogRecord, Plain


class LogOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """Where the records of a process come from: the fields that they all share, as in `LogRecord`."""

    host: str
    process: str
    pid: int = msgspec.field(default_factory=os.getpid)
    channel: str = "process"


class Words(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record without its number and origin; fields as in `LogRecord`."""

    time_ns: int
    mono_ns: int
    thread: str
    node: str
    stream: str
    logger: str
    level: int
    message: str
    traceback: str
    extra: dict[str, Plain] = {}


class _Batch(msgspec.Struct, frozen=True, array_like=True):
    first: int
    origin: LogOrigin
    words: list[Words]
    lost: int = 0
    time_ns: int = 0


class _RawBatch(msgspec.Struct, frozen=True, array_like=True):
    first: int
    origin: LogOrigin
    words: list[msgspec.Raw]
    lost: int = 0
    time_ns: int = 0


class _When(msgspec.Struct, frozen=True, array_like=True):
    """The beginning of `Words`."""

    time_ns: int


class Span(NamedTuple):
    """Of whom a batch is, the numbers it stands for, and when the last of them was said."""

    origin: LogOrigin
    first: int
    stop: int
    lost: bool
    time_ns: int


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """What a log server says to a process: all before number ``stop`` has come.

    It says so at first, after each batch, and once a second. ``listener`` is made up by the log server:
    a new one takes the place of the one before.
    """

    stop: int
    listener: str


_NOTHING: dict[str, Plain] = {}
"""The extra fields of most records: one dict for all of them, for a hundred thousand empty ones are felt."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Batch)
_raw_decoder = msgspec.msgpack.Decoder(_RawBatch)
_when_decoder = msgspec.msgpack.Decoder(_When)
_heard_decoder = msgspec.msgpack.Decoder(Heard)

encode_words = _encoder.encode
"""Bytes of one record's `Words`."""


def encode_around(words: Words) -> tuple[bytes, bytes]:
    """Bytes of a record before its message and behind it, for a message that grows; see `encode_message`."""
    *before, _, traceback, extra = msgspec.structs.astuple(words)
    head = b"".join((bytes((0x90 + len(before) + 3,)), *map(_encoder.encode, before)))
    return head, _encoder.encode(traceback) + _encoder.encode(extra)


def encode_message(message: str) -> bytes:
    """Bytes of a record's message."""
    data = message.encode("utf-8", "backslashreplace")
    return b"\xdb" + len(data).to_bytes(4, "big") + data


encode_heard = _encoder.encode
"""Bytes of a `Heard`."""


def encode_batch(first: int, origin: LogOrigin, words: Sequence[bytes | memoryview]) -> bytes:
    """Message of several records with consecutive numbers, ``first`` the lowest."""
    return _encoder.encode(_RawBatch(first, origin, [msgspec.Raw(w) for w in words]))


def encode_run(first: int, stop: int, origin: LogOrigin, data: bytes) -> bytes:
    """Message of records ``[first, stop)`` whose bytes follow on each other; as `encode_batch`'s."""
    head = b"\x93" + _encoder.encode(first) + _encoder.encode(origin)
    return b"".join((head, b"\xdd", (stop - first).to_bytes(4, "big"), data))


def encode_hole(first: int, origin: LogOrigin, lost: int, time_ns: int) -> bytes:
    """Message that counts records which are lost, ``first`` the number of the first one.

    ``time_ns`` is when the last was said. Where none are lost it is a goodbye: nothing was said after that.
    """
    return _encoder.encode(_RawBatch(first, origin, [], lost, time_ns))


def decode_batch(message: bytes, host: str = "", own_name: str = "") -> list[LogRecord]:
    """Records of a message; one that stands for all where it is a hole, none where it is a goodbye.

    Parameters
    ----------
    message : bytes
        What `encode_batch`, `encode_run` or `encode_hole` made.
    host : str
        The name under which the records' host is known here, which they carry; its own unless given.
    own_name : str
        Where this is given, only records of a host that calls itself so are renamed.

    Raises
    ------
    ProtocolError
        The message is not a batch of records.
    """
    try:
        batch = _decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{len(message)} bytes came as a batch of log records: {error}") from None
    origin = batch.origin
    if host and own_name in ("", origin.host):
        origin = msgspec.structs.replace(origin, host=host)
    if batch.lost > 0:
        return [hole(batch.first, origin, batch.lost, batch.time_ns)]
    return [as_record(words, seq, origin) for seq, words in enumerate(batch.words, batch.first)]


def span_of(message: bytes) -> Span:
    """What a message stands for. Raises ProtocolError where it is not a batch."""
    try:
        batch = _raw_decoder.decode(message)
        time_ns = _when_decoder.decode(batch.words[-1]).time_ns if batch.words else batch.time_ns
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{len(message)} bytes came as a batch of log records: {error}") from None
    n = max(batch.lost, len(batch.words))
    return Span(batch.origin, batch.first, batch.first + n, batch.lost > 0, time_ns)


def decode_heard(message: bytes) -> Heard:
    """What a log server says. Raises ProtocolError where it is something else."""
    try:
        return _heard_decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{len(message)} bytes came from a log server: {error}") from None


def hole(first: int, origin: LogOrigin, lost: int, time_ns: int, what: str = "lost here") -> LogRecord:
    """Record that stands for ``lost`` ones from number ``first`` on."""
    records = "1 record" if lost == 1 else f"{lost} records"
    return LogRecord(
        time_ns=time_ns,
        seq=first,
        host=origin.host,
        process=origin.process,
        pid=origin.pid,
        channel=origin.channel,
        logger="pyacq_lab.logs",
        level=logging.WARNING,
        message=f"{records} {what}",
        lost=lost,
    )


def as_record(words: Words, seq: int, origin: LogOrigin) -> LogRecord:
    """Put a record together. Names that many records share are kept in memory once."""
    return LogRecord(
        time_ns=words.time_ns,
        mono_ns=words.mono_ns,
        seq=seq,
        host=origin.host,
        process=origin.process,
        pid=origin.pid,
        thread=intern(words.thread),
        node=intern(words.node),
        stream=intern(words.stream),
        logger=intern(words.logger),
        level=words.level,
        message=words.message,
        traceback=words.traceback,
        extra=words.extra or _NOTHING,
        channel=origin.channel,
    )
