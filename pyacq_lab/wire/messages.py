"""The closed vocabulary of the control protocol, and its envelope.

A message is one msgpack header frame, then one frame per array. Each program decodes only the requests
it serves: the host those of `HostRequest`, the nodegroup those of `GroupRequest`, a manager in a process of
its own those of `ObjectRequest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from pyacq_lab.errors import ProtocolError
from pyacq_lab.wire.values import Adopt, Buffer, Export, Packer, Unpacker

PROTOCOL = 1
"""Version of this vocabulary. Programs that differ in it refuse each other."""


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of all messages; each carries its own tag."""


class ErrorInfo(msgspec.Struct, frozen=True, array_like=True):
    """An exception, as plain text."""

    type_name: str
    message: str
    where: str = ""
    traceback: str = ""


# --- both programs


class Ping(Message, frozen=True, tag="ping"):
    """Ask for a sign of life; answered with the server's clock, ns since 1970 UTC."""


class DumpStacks(Message, frozen=True, tag="dump_stacks"):
    """Ask for the stack of every thread, as text."""


class SetLogLevel(Message, frozen=True, tag="set_log_level"):
    """Set the level of a logger, empty for the root logger; answered with the one that it had before."""

    logger: str
    level: int


# --- what a host serves


class Pair(Message, frozen=True, tag="pair"):
    """Authorise ``public_key`` from now on; the only request that a pairing token admits."""

    public_key: str


class Hello(Message, frozen=True, tag="hello"):
    """Introduce a manager, or go on after a lost connection; answered with `Welcome`.

    The nodegroups of this manager, and the keys they know each other by, belong to ``application``.
    It is given up after ``lease`` seconds of silence. Events later than number ``heard`` are sent (again).
    The first two fields stay what and where they are in all versions, so that versions can refuse each
    other in words.
    """

    protocol: int
    version: str
    application: str
    lease: float
    heard: int = 0


class Spawn(Message, frozen=True, tag="spawn"):
    """Start a nodegroup; answered with `Spawned`. Asking again with the same name and token is harmless."""

    name: str
    token: str
    application_secret: str
    python: str | None = None
    cwd: str | None = None
    env: dict[str, str] = {}


class StopGroup(Message, frozen=True, tag="stop_group"):
    """End a nodegroup and its process tree within ``grace`` seconds; 0 kills at once."""

    name: str
    grace: float = 5.0


class SignalGroup(Message, frozen=True, tag="signal_group"):
    """Send a signal to a nodegroup's process, and to no other of its tree."""

    name: str
    signum: int


class AttachGroup(Message, frozen=True, tag="attach_group"):
    """Ask where a running nodegroup of this manager can be reached; answered with `Spawned` again."""

    name: str


class ListGroups(Message, frozen=True, tag="list_groups"):
    """Ask for the `GroupStatus` of every nodegroup of this manager, ended ones too."""


class AskPostMortem(Message, frozen=True, tag="ask_post_mortem"):
    """Ask for the `PostMortem` of a nodegroup; answered with None while it runs."""

    name: str


class KeptLogs(Message, frozen=True, tag="kept_logs"):
    """Ask for the log records that the host sent for its nodegroups later than event ``since``.

    Those that it still keeps; they are what processes wrote by descriptor, and how they ended.
    """

    since: int = 0


class LastWords(Message, frozen=True, tag="last_words"):
    """Ask for the records that a nodegroup's ended process ``pid`` had said, from number ``since`` on.

    Answered with a batch as `wire.logcodec.decode_batch` takes it; with no bytes where there is no more:
    then those before are forgotten; with None where nothing was kept.
    """

    name: str
    pid: int
    since: int = 0


class Backlog(Message, frozen=True, tag="backlog"):
    """Ask for the log records that no manager has received, from place ``since`` on; those before are heard.

    Answered with the place behind, and a list of batches as `wire.logcodec.decode_batch` takes them: an empty
    one where there are no more. They go to one manager of each key at a time.
    """

    since: int = 0


class InterruptGroup(Message, frozen=True, tag="interrupt_group"):
    """Interrupt the cell that runs in a nodegroup's kernel."""

    name: str


class DescribeHost(Message, frozen=True, tag="describe_host"):
    """Ask for a `HostStatus` with this manager's nodegroups."""


class KernelConnection(Message, frozen=True, tag="kernel_connection"):
    """Ask for the Jupyter connection information of a nodegroup's kernel, keys included."""

    name: str


class RenewLease(Message, frozen=True, tag="renew_lease"):
    """Say that the manager is still there, and has heard all events up to number ``heard``."""

    heard: int = 0


class Goodbye(Message, frozen=True, tag="goodbye"):
    """End all nodegroups of this manager; ``stop_host`` ends the host as well.

    ``heard`` is as in `RenewLease`.
    """

    stop_host: bool = False
    heard: int = 0


HostRequest = (
    Ping
    | DumpStacks
    | SetLogLevel
    | Pair
    | Hello
    | Spawn
    | StopGroup
    | InterruptGroup
    | SignalGroup
    | AttachGroup
    | ListGroups
    | AskPostMortem
    | KeptLogs
    | LastWords
    | Backlog
    | DescribeHost
    | KernelConnection
    | RenewLease
    | Goodbye
)


# --- what a nodegroup serves: the control lane never runs user code and never waits for it


class GroupState(Message, frozen=True, tag="group_state"):
    """Ask for the `NodeStatus` of every node."""


class StopAll(Message, frozen=True, tag="stop_all"):
    """Stop every node now; answered when all were told."""


class Call(Message, frozen=True, tag="call"):
    """Call a public method of a target, in the target's order.

    ``target`` is as in `model.remote.Reference`. ``chain`` names the call that this is part of, empty for
    one that nothing waits for but its caller. ``returns`` is ``"auto"`` (by value where possible, else by
    reference), ``"value"`` or ``"proxy"``.
    """

    target: str
    method: str
    args: Any = ()
    kwargs: Any = {}
    chain: str = ""
    returns: str = "auto"


class Get(Message, frozen=True, tag="get"):
    """Ask for a public attribute of a target, in the target's order; fields as in `Call`."""

    target: str
    name: str
    chain: str = ""
    returns: str = "auto"


class Describe(Message, frozen=True, tag="describe"):
    """Ask for the `ObjectInfo` of a target."""

    target: str


class Hold(Message, frozen=True, tag="hold"):
    """Keep an object for this client once more: a third party has given it a reference."""

    target: str


class Release(Message, frozen=True, tag="release"):
    """Let go of an object, as often as references to it have come; never answered."""

    target: str
    count: int


class Answer(Message, frozen=True, tag="answer"):
    """The value that a `CallBack` was answered with; never answered itself."""

    number: int
    value: Any = None


class AnswerFailure(Message, frozen=True, tag="answer_failure"):
    """The error that a `CallBack` ended with; never answered itself."""

    number: int
    error: ErrorInfo


ObjectRequest = Call | Get | Describe | Hold | Release | Answer | AnswerFailure
"""What every program serves whose objects others hold handles of."""

GroupRequest = Ping | DumpStacks | SetLogLevel | GroupState | StopAll | ObjectRequest


# --- what a client serves to its nodegroup, over the connection that it has made


class CallBack(Message, frozen=True, tag="call_back"):
    """Call a function that the client has sent a reference to; answered by `Answer` or `AnswerFailure`."""

    target: str
    args: Any = ()
    kwargs: Any = {}
    chain: str = ""


class Forget(Message, frozen=True, tag="forget"):
    """Let go of a function, as often as references to it have come; never answered."""

    target: str
    count: int


ClientRequest = CallBack | Forget


# --- the envelope

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
