"""The closed vocabulary of the control protocol.

A message is one msgpack header frame, then one frame per array. Each program decodes only the requests
it serves: the host those of `HostRequest`, the nodegroup those of `GroupRequest`, a manager in a process of
its own those of `ObjectRequest`.
"""

from __future__ import annotations

from typing import Any

import msgspec

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
    """Start a nodegroup; answered with `Spawned`. Asking again with the same name and token is harmless.

    ``server_secret`` and ``port`` are what it proves itself by, and where it is to listen if it can.
    """

    name: str
    token: str
    application_secret: str
    python: str | None = None
    cwd: str | None = None
    env: dict[str, str] = {}
    server_secret: str = ""
    port: int = 0


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


class Follow(Message, frozen=True, tag="follow"):
    """Hear what it takes to make each node again, at every change: by events of topic ``recipe``.

    Of each node as it is now, its `NodeRecipe` and its settings are told at once, before the answer, None; a
    later event has None for settings that were told before.
    """


class DescribeNodes(Message, frozen=True, tag="describe_nodes"):
    """Ask for the `GroupParts`: every node with its settings, outputs and connections."""


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

GroupRequest = Ping | DumpStacks | SetLogLevel | GroupState | Follow | DescribeNodes | StopAll | ObjectRequest


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
