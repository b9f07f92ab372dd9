"""Batches of log records as bytes.

What all records of a process share is said once per batch. Each record is encoded by whoever says it, so
that the same bytes can wait in its queue, lie in its spool and travel.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from sys import intern

import msgspec

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.logs import LogRecord, Plain

GOODBYE = b""
"""The message after which a process says nothing more."""


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


class _RawBatch(msgspec.Struct, frozen=True, array_like=True):
    first: int
    origin: LogOrigin
    words: list[msgspec.Raw]


_NOTHING: dict[str, Plain] = {}
"""The extra fields of most records: one dict for all of them, for a hundred thousand empty ones are felt."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Batch)

encode_words = _encoder.encode
"""Bytes of one record's `Words`."""


def encode_batch(first: int, origin: LogOrigin, words: Sequence[bytes | memoryview]) -> bytes:
    """Message of several records with consecutive numbers, ``first`` the lowest."""
    return _encoder.encode(_RawBatch(first, origin, [msgspec.Raw(w) for w in words]))


def decode_batch(message: bytes) -> list[LogRecord]:
    """Records of a message.

    Raises
    ------
    ProtocolError
        The message is not a batch of records.
    """
    try:
        batch = _decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{len(message)} bytes came as a batch of log records: {error}") from None
    return [as_record(words, seq, batch.origin) for seq, words in enumerate(batch.words, batch.first)]


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
