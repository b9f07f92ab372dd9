"""Serves a nodegroup's control socket: a lane for control and one lane per target for calls."""

from __future__ import annotations

import itertools
import secrets
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from pyacq_lab.errors import UnknownName
from pyacq_lab.model.remote import ObjectInfo, Reference
from pyacq_lab.model.roles import Clock
from pyacq_lab.nodegroup.api import NodeGroupApi
from pyacq_lab.nodegroup.callbacks import Callbacks
from pyacq_lab.nodegroup.neighbours import Neighbours
from pyacq_lab.remote.calls import current_chain
from pyacq_lab.remote.describe import attributes_of, describe_object
from pyacq_lab.remote.exports import Exports
from pyacq_lab.remote.links import DistantChannel, reference_of
from pyacq_lab.remote.objects import RemoteObject
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.rpc import Peer, RpcServer, Work
from pyacq_lab.wire.messages import (
    Answer,
    AnswerFailure,
    Call,
    Describe,
    DumpStacks,
    Get,
    GroupState,
    Hold,
    Ping,
    Release,
    StopAll,
)

_SWEEP = 2.0
_GRACE = 10.0  # seconds in which who was sent a third party's reference says that it holds it


class GroupServer:
    """Serves the requests of `wire.messages.GroupRequest`.

    Control requests are served by the thread that receives: they run no user code and wait for nothing,
    so they are answered whatever the kernel and the nodes are doing. Calls go into one lane per target, in
    the order in which they came.
    """

    def __init__(
        self, api: NodeGroupApi, clock: Clock, reactor: Reactor, neighbours: Neighbours, where: str
    ) -> None:
        self._api = api
        self._clock = clock
        self._reactor = reactor
        self._neighbours = neighbours
        self._where = where
        self._chains = itertools.count(1)
        self._token = secrets.token_hex(4)
        self._arrived: list[RemoteObject] = []  # handles in the message that is being received
        self._departed: deque[tuple[float, Any]] = deque()
        self._server: RpcServer | None = None
        self.exports = Exports(where)
        self.callbacks = Callbacks(reactor)
        self._timer = reactor.call_every(_SWEEP, self._sweep)

    def serve(self, server: RpcServer) -> None:
        """Take note of the server that this serves for."""
        self._server = self.callbacks.server = server

    def handle(self, message: Any, peer: Peer) -> Any:
        """Serve one request; whoever receives."""
        arrived, self._arrived = self._arrived, []
        match message:
            case Call(target, method, args, kwargs, chain, returns):
                function = partial(self._call, target, method, args, kwargs)
                return self._work(target, method, function, chain, returns, peer, arrived)
            case Get(target, name, chain, returns):
                return self._work(
                    target, name, partial(self._get, target, name), chain, returns, peer, arrived
                )
            case Ping():
                return self._clock.now_ns()
            case GroupState():
                return self._api.statuses()
            case StopAll():
                return self._api.request_stop_all()
            case DumpStacks():
                return dump_stacks()
            case Describe(target):
                return self._describe(target)
            case Hold(target):
                return self.exports.hold(target, peer.routing_id)
            case Release(target, count):
                return self.exports.release(target, peer.routing_id, count)
            case Answer() | AnswerFailure():
                return self.callbacks.answered(peer.routing_id, message)
            case _:
                raise UnknownName(f"a nodegroup does not serve {type(message).__name__}")

    def adopt(self, reference: Reference, routing_id: bytes) -> Any:
        """Make a handle, a function or the object itself of a reference that came in; whoever receives."""
        if not reference.endpoint:
            export = partial(self._export, routing_id=routing_id)
            return self.callbacks.function(reference, routing_id, export)
        if reference.target.startswith("object:") and self._neighbours.is_here(reference):
            return self.exports.find(reference.target)
        handle = self._neighbours.meet(reference)
        if reference.target.startswith("object:"):
            self._arrived.append(handle)
        return handle

    def close(self) -> None:
        """Call back nobody any more."""
        self._reactor.cancel(self._timer)
        for routing_id in self.callbacks.clients():
            self.callbacks.forget_client(routing_id)

    # --- calls

    def _work(
        self,
        target: str,
        name: str,
        function: Callable[[], Any],
        chain: str,
        returns: str,
        peer: Peer,
        arrived: list[RemoteObject],
    ) -> Work:
        self._check(target)  # no lane for what does not exist
        chain = chain or f"{self._token}:{next(self._chains)}"
        routing_id = peer.routing_id

        def run() -> Any:
            token = current_chain.set(chain)
            try:
                for handle in arrived:
                    hold(handle)
                value = function()
            finally:
                current_chain.reset(token)
            return self._export(value, routing_id) if returns == "proxy" else value

        export = partial(self._handles if returns == "value" else self._export, routing_id=routing_id)
        return Work(target, run, f"{_place(target)}.{name}", chain, export)

    def _check(self, target: str) -> None:
        kind, _, name = target.partition(":")
        if kind == "node":
            self._api.node(name)
        elif kind == "object":
            self.exports.find(target)
        elif target != "group":
            raise UnknownName(f"unknown target {target!r}: wanted 'group', 'node:NAME' or 'object:NUMBER'")

    def _owners(self, target: str) -> list[Any]:
        kind, _, name = target.partition(":")
        if kind == "node":
            node = self._api.node(name)
            return [node] if node.component is None else [node, node.component]
        return [self._api if kind == "group" else self.exports.find(target)]

    def _call(self, target: str, method: str, args: Any, kwargs: Any) -> Any:
        if method == "__call__" and target.startswith("object:"):
            return self.exports.find(target)(*args, **kwargs)
        for owner in self._owners(target):
            found = None if method.startswith("_") else getattr(owner, method, None)
            if callable(found):
                return found(*args, **kwargs)
        raise UnknownName(
            f"{target} has no public method {method!r}; see dir() of its handle for what it has"
        )

    def _get(self, target: str, name: str) -> Any:
        for owner in reversed(self._owners(target)):
            if not name.startswith("_") and hasattr(owner, name):
                return getattr(owner, name)
        raise UnknownName(f"{target} has no public attribute {name!r}")

    def _describe(self, target: str) -> ObjectInfo:
        self._check(target)
        kind, _, name = target.partition(":")
        if kind != "node":
            return describe_object(self._owners(target)[0])
        info = self._api.describe_node(name)
        return ObjectInfo(info.type, info.doc, info.methods, attributes_of(self._owners(target)[1:]))

    # --- references

    def _export(self, value: Any, routing_id: bytes) -> Reference:
        return self._handles(value, routing_id) or self.exports.reference(value, routing_id)

    def _handles(self, value: Any, routing_id: bytes) -> Reference | None:
        reference = reference_of(value)
        if reference is not None:
            if isinstance(value, RemoteObject):
                self._departed.append((time.monotonic(), value))
            return reference
        if value is self._api:
            return Reference("", "", "group", self._where, "nodegroup")
        name = getattr(value, "name", None)
        if isinstance(name, str) and self._api.nodes.get(name) is value:
            return Reference("", "", f"node:{name}", f"{self._where}/{name}", value.component_type.__name__)
        return None

    def _sweep(self) -> None:
        """Let go of what was held for clients that are gone; the reactor's thread."""
        while self._departed and self._departed[0][0] < time.monotonic() - _GRACE:
            self._departed.popleft()
        for routing_id in self.exports.clients() | self.callbacks.clients():
            if self._server is not None and not self._server.notify(routing_id, "alive", None):
                self.exports.forget_client(routing_id)
                self.callbacks.forget_client(routing_id)


def hold(handle: RemoteObject) -> None:
    """Have the object of a handle that came from a third party kept for this process; may wait."""
    channel = handle._target.channel  # noqa: SLF001  a part of RemoteObject
    if isinstance(channel, DistantChannel):
        channel.hold()


def _place(target: str) -> str:
    kind, _, name = target.partition(":")
    return "" if kind == "group" else f"/{name}" if kind == "node" else f"/{target}"


def dump_stacks() -> str:
    """Stack of every thread, as text."""
    names = {t.ident: t.name for t in threading.enumerate()}
    parts: list[str] = []
    for ident, frame in sys._current_frames().items():  # noqa: SLF001  the documented way to see other threads
        parts.append(f"Thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}")
    return "\n".join(parts)
