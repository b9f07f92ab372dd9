"""The envelope of the control protocol: requests with numbers, and what they are answered with.

A message is one msgpack header frame, then one frame per array; see `wire.messages` for what is inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from pyacq_lab.errors import ProtocolError
from pyacq_lab.wire.messages import Answer, Call, CallBack, ClientRequest, ErrorInfo, Get, Message
from pyacq_lab.wire.values import Adopt, Buffer, Export, Packer, Unpacker

R = TypeVar("R")


class Request(msgspec.Struct, Generic[R], frozen=True, array_like=True):
    """A message with the number that its reply will carry."""

    id: int
    body: R


class Reply(msgspec.Struct, frozen=True, tag="reply", array_like=True):
    """The value that a request was answered with."""

    id: int
    value: Any = None


class Failure(msgspec.Struct, frozen=True, tag="failure", array_like=True):
    """The error that a request ended with."""

    id: int
    error: ErrorInfo


class Event(msgspec.Struct, frozen=True, tag="event", array_like=True):
    """Something that a client hears without having asked.

    ``seq`` is 0, or the event's number in the client's application: those are kept, and sent again to a
    client that says it has not heard them.
    """

    seq: int
    topic: str
    value: Any = None


class Callback(msgspec.Struct, frozen=True, tag="callback", array_like=True):
    """A request that goes the other way: from a server to its client. Numbered by the server."""

    id: int
    body: ClientRequest


ServerMessage = Reply | Failure | Event | Callback

_encode = msgspec.msgpack.Encoder().encode


def encode_request(number: int, body: Message, export: Export | None = None) -> list[Any]:
    """Frames of a request; number 0 asks for no answer. Raises ProtocolError where a value cannot travel."""
    if isinstance(body, Call):
        if not body.args and not body.kwargs:
            return [_encode(Request(number, body))]
        packer = Packer(export)
        args, kwargs = packer.pack(body.args), packer.pack(body.kwargs)
        body = Call(body.target, body.method, args, kwargs, body.chain, body.returns)
        return [_encode(Request(number, body)), *packer.buffers]
    if isinstance(body, Answer):
        packer = Packer(export)
        body = Answer(body.number, packer.pack(body.value))
        return [_encode(Request(number, body)), *packer.buffers]
    return [_encode(Request(number, body))]


def name_of(body: Message) -> str:
    """How people know a request: ``amp.configure`` for a call of a node's method, else its kind."""
    if isinstance(body, Call | Get):
        name = body.method if isinstance(body, Call) else body.name
        return f"{body.target.removeprefix('node:')}.{name}"
    return type(body).__name__


def number_of(header: Buffer) -> int:
    """Number of a request or answer that does not decode otherwise; 0 where not even that can be read."""
    try:
        parts = msgspec.msgpack.decode(header, type=list[Any])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return 0
    return next((part for part in parts[:2] if type(part) is int), 0)


def encode_reply(number: int, value: Any, export: Export | None = None) -> list[Any]:
    """Frames of a reply. Raises ProtocolError where the value cannot travel."""
    packer = Packer(export)
    return [_encode(Reply(number, packer.pack(value))), *packer.buffers]


def encode_failure(number: int, error: ErrorInfo) -> list[Any]:
    """Frames of a failure."""
    return [_encode(Failure(number, error))]


def encode_event(seq: int, topic: str, value: Any) -> list[Any]:
    """Frames of an event."""
    packer = Packer()
    return [_encode(Event(seq, topic, packer.pack(value))), *packer.buffers]


def encode_callback(number: int, body: ClientRequest, export: Export | None = None) -> list[Any]:
    """Frames of a request to a client. Raises ProtocolError where a value cannot travel."""
    packer = Packer(export)
    if isinstance(body, CallBack):
        body = CallBack(body.target, packer.pack(body.args), packer.pack(body.kwargs), body.chain)
    return [_encode(Callback(number, body)), *packer.buffers]


class RequestDecoder:
    """Decodes the requests that one kind of server serves; for one thread at a time.

    Parameters
    ----------
    vocabulary : type
        `HostRequest` or `GroupRequest`.
    adopt : callable, optional
        See `wire.values.Unpacker`.
    """

    def __init__(self, vocabulary: Any, adopt: Adopt | None = None) -> None:
        self._unpacker = Unpacker(adopt)
        kind: Any = Request[vocabulary]
        self._decoder: msgspec.msgpack.Decoder[Request[Any]] = msgspec.msgpack.Decoder(
            kind, ext_hook=self._unpacker.ext_hook
        )

    def decode(self, frames: Sequence[Buffer]) -> Request[Any]:
        """Decode one request. Raises ProtocolError where the bytes are not one."""
        if not frames:
            raise ProtocolError("a peer's message has no frames")
        return self._unpacker.decode(self._decoder, frames[0], frames[1:])


class ServerMessageDecoder:
    """Decodes what a server sends; for one thread at a time. ``adopt`` as in `wire.values.Unpacker`."""

    def __init__(self, adopt: Adopt | None = None) -> None:
        self._unpacker = Unpacker(adopt)
        self._decoder: msgspec.msgpack.Decoder[ServerMessage] = msgspec.msgpack.Decoder(
            ServerMessage, ext_hook=self._unpacker.ext_hook
        )

    def decode(self, frames: Sequence[Buffer]) -> ServerMessage:
        """Decode one message. Raises ProtocolError where the bytes are not one."""
        if not frames:
            raise ProtocolError("a peer's message has no frames")
        return self._unpacker.decode(self._decoder, frames[0], frames[1:])
