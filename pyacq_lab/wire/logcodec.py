"""Batches of log records as bytes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.logs import LogRecord

GOODBYE = b""
"""The message after which a process says nothing more."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[LogRecord])


def encode_batch(records: Sequence[LogRecord]) -> bytes:
    """Message of several records."""
    return _encoder.encode(records)


def decode_batch(message: bytes) -> list[LogRecord]:
    """Records of a message.

    Raises
    ------
    ProtocolError
        The message is not a batch of records.
    """
    try:
        return _decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{len(message)} bytes came as a batch of log records: {error}") from None
