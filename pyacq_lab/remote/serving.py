"""Serves objects of this process to clients that hold handles of them: calls in lanes, counted references."""

from __future__ import annotations

import itertools
import secrets
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from pyacq_lab.errors import PyacqError, UnknownName
from pyacq_lab.model.remote import ObjectInfo, Reference
from pyacq_lab.remote.callbacks import Callbacks
from pyacq_lab.remote.calls import current_chain
from pyacq_lab.remote.describe import describe_object
from pyacq_lab.remote.exports import Exports
from pyacq_lab.remote.links import DistantChannel, reference_of
from pyacq_lab.remote.objects import RemoteObject
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.rpc import Peer, RpcServer, Work
from pyacq_lab.wire.messages import Answer, AnswerFailure, Call, Describe, Get, Hold, Release

_SWEEP = 2.0
_GRACE = 10.0  # seconds in which who was sent a third party's reference says that it holds it


class ObjectServer:
    """Serves the requests of `wire.messages.ObjectRequest`; a subclass knows what has names of its own.

    Calls go into one lane per target, in the order in which they came.

    Parameters
    ----------
    reactor : Reactor
        Whose thread receives.
    where : str
        Place of this process.
    own_key : str
        Public key that this process proves.
    meet : callable
        Makes a handle of a reference to something in another process; must not wait.
    """

    def __init__(self, reactor: Reactor, where: str, own_key: str, meet: Callable[[Reference], Any]) -> None:
        self.where = where
        self.exports = Exports(where)
        self.callbacks = Callbacks(reactor)
        self._reactor = reactor
        self._own_key = own_key
        self._meet = meet
        self._chains = itertools.count(1)
        self._token = secrets.token_hex(4)
        self._arrived: list[RemoteObject] = []  # handles in the message that is being received
        self._departed: deque[tuple[float, Any]] = deque()
        self._server: RpcServer | None = None
        self._timer = reactor.call_every(_SWEEP, self._sweep)

    def serve(self, server: RpcServer) -> None:
        """Take note of the server that this serves for."""
        self._server = self.callbacks.server = server

    def handle(self, message: Any, peer: Peer) -> Any:
        """Serve one request; whoever receives."""
        arrived, self._arrived = self._arrived, []
        match message:
            case Call(target, method, args, kwargs, chain, returns):
                function = partial(self._call, self._finder(target), target, method, args, kwargs)
                return self._work(target, method, function, chain, returns, peer, arrived)
            case Get(target, name, chain, returns):
                function = partial(self._get, self._finder(target), target, name)
                return self._work(target, name, function, chain, returns, peer, arrived)
            case Describe(target):
                return self.describe(target)
            case Hold(target):
                return self.exports.hold(target, peer.routing_id)
            case Release(target, count):
                return self.exports.release(target, peer.routing_id, count)
            case Answer() | AnswerFailure():
                return self.callbacks.answered(peer.routing_id, message)
            case _:
                raise UnknownName(f"{self.where} does not serve {type(message).__name__}")

    def adopt(self, reference: Reference, routing_id: bytes) -> Any:
        """Make a handle, a function or the object itself of a reference that came in; whoever receives."""
        if not reference.endpoint:
            export = partial(self.export, routing_id=routing_id)
            return self.callbacks.function(reference, routing_id, export)
        if reference.target.startswith("object:") and reference.public_key == self._own_key:
            return self.exports.find(reference.target)
        handle = self._meet(reference)
        if reference.target.startswith("object:"):
            self._arrived.append(handle)
        return handle

    def close(self) -> None:
        """Call back nobody any more."""
        self._reactor.cancel(self._timer)
        for routing_id in self.callbacks.clients():
            self.callbacks.forget_client(routing_id)

    # --- what a subclass may say more of

    def owners(self, target: str) -> list[Any]:
        """Objects whose methods a target has, the first coming first. Raises UnknownName."""
        return [self.exports.find(target)]

    def describe(self, target: str) -> ObjectInfo:
        """What a target's handle needs to know to look like it."""
        return describe_object(self.owners(target)[0])

    def named(self, value: Any) -> Reference | None:
        """Reference of a value that has a name of its own; None where it is to be held for the client."""
        reference = reference_of(value)
        if reference is not None and isinstance(value, RemoteObject):
            self._departed.append((time.monotonic(), value))
        return reference

    def lacking(self, target: str, method: str) -> PyacqError:
        """Error for a target that has no such public method (now)."""
        return UnknownName(
            f"{target} has no public method {method!r}; see dir() of its handle for what it has"
        )

    def lane(self, target: str, name: str) -> str:
        """Lane in which a method or attribute of a target waits for its turn."""
        return target

    def place(self, target: str) -> str:
        """What errors add to the place of this process."""
        return f"/{target}"

    def must_stay(self, value: Any) -> bool:
        """Whether a value is to be held for the client although it could travel."""
        return False

    def plain(self, value: Any) -> Any:
        """Value that travels in the place of another one."""
        return value

    def export(self, value: Any, routing_id: bytes) -> Reference:
        """Make a reference of any value, for a client."""
        return self.named(value) or self.exports.reference(value, routing_id)

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
        chain = chain or f"{self._token}:{next(self._chains)}"
        export = partial(self.export, routing_id=peer.routing_id)

        def run() -> Any:
            token = current_chain.set(chain)
            try:
                for handle in arrived:
                    hold(handle)
                value = function()
            finally:
                current_chain.reset(token)
            by_reference = returns == "proxy" or (returns == "auto" and self.must_stay(value))
            return export(value) if by_reference else self.plain(value)

        place = f"{self.place(target)}.{name}"
        return Work(self.lane(target, name), run, place, chain, self.named if returns == "value" else export)

    def _finder(self, target: str) -> Callable[[], list[Any]]:
        """Find the owners when the call's turn comes. Raises UnknownName now: no lane for what is not."""
        owners = self.owners(target)
        if target.startswith("object:"):  # its last handle may be dropped while the call waits
            return lambda: owners
        return partial(self.owners, target)

    def _call(self, find: Callable[[], list[Any]], target: str, method: str, args: Any, kwargs: Any) -> Any:
        owners = find()
        if method == "__call__" and target.startswith("object:"):
            return owners[0](*args, **kwargs)
        for owner in owners:
            found = None if method.startswith("_") else getattr(owner, method, None)
            if callable(found):
                return found(*args, **kwargs)
        raise self.lacking(target, method)

    def _get(self, find: Callable[[], list[Any]], target: str, name: str) -> Any:
        for owner in reversed(find()):
            if not name.startswith("_") and hasattr(owner, name):
                return getattr(owner, name)
        raise UnknownName(f"{target} has no public attribute {name!r}")

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
