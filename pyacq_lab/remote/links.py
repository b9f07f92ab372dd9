"""A connection to a nodegroup or the like, with the handles, functions and references that pass over it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from pyacq_lab.errors import PyacqError
from pyacq_lab.model.remote import Reference
from pyacq_lab.remote.calls import Target
from pyacq_lab.remote.functions import Functions
from pyacq_lab.remote.objects import RemoteObject, RemotePort
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.wire.envelope import Event
from pyacq_lab.wire.messages import Hold, Release


class Locate(Protocol):
    """Finds the connection to the process that a reference names."""

    def __call__(self, reference: Reference) -> Link:
        """Return a connection, made if need be: it may wait. Raises HostUnreachable and the like."""
        ...


MakeObject = Callable[[Target, Reference, Callable[[], None]], RemoteObject]
"""Makes a handle of a target, its reference, and what to call once when the handle is gone."""


class Link:
    """A connection to one nodegroup, or to a manager in a process of its own.

    Parameters
    ----------
    reactor : Reactor
        Whose thread receives.
    endpoint, public_key : str
        Where that process is.
    keys : KeyPair
        By which this side proves itself.
    where : str
        Its place, as ``host/nodegroup``.
    meet : callable
        Makes a handle of a reference; see `adopt`. Called by whoever receives: must not wait.
    make : callable
        Makes a handle of an object over there, as `RemoteObject` does; called as ``meet`` is.
    on_event, on_lost, on_back : callable, optional
        As of `RpcClient`.
    """

    def __init__(
        self,
        reactor: Reactor,
        endpoint: str,
        public_key: str,
        *,
        keys: KeyPair,
        where: str,
        meet: Callable[[Reference], Any],
        make: MakeObject = RemoteObject,
        on_event: Callable[[Event], None] | None = None,
        on_lost: Callable[[], None] | None = None,
        on_back: Callable[[], None] | None = None,
    ) -> None:
        self._make = make
        self.where = where
        self.public_key = public_key
        self.functions = Functions(where)
        self._meet = meet
        self._reactor = reactor
        self.client = RpcClient(
            reactor,
            endpoint,
            public_key,
            keys=keys,
            where=where,
            on_event=on_event,
            on_callback=self._on_callback,
            on_lost=on_lost,
            on_back=on_back,
            adopt=self._adopt,
        )

    def target(self, name: str, where: str) -> Target:
        """Something in that nodegroup that can be called."""
        return Target(self, name, where)

    def export(self, value: Any) -> Reference | None:
        """Make a reference of a handle or a local function; any thread."""
        reference = reference_of(value)
        if reference is None and callable(value):
            name = getattr(value, "__qualname__", type(value).__name__)
            return Reference("", "", self.functions.name(value), "the caller", name)
        return reference

    def keep(self, reference: Reference) -> RemoteObject:
        """Make a handle of an object there that a third party has told of; does not wait."""
        self.client.tell(Hold(reference.target))
        return self._object(reference)

    def release(self, target: str) -> None:
        """Say that a handle of an object there is gone; any thread, holding whatever lock."""
        # The garbage collector strikes anywhere, also where this thread is about to send: not here, not now.
        self._reactor.call_soon(partial(self._say_release, target))

    def close(self) -> None:
        """Close; idempotent."""
        self.functions.close()
        self.client.close()

    def _adopt(self, reference: Reference) -> Any:
        if not reference.endpoint:
            there = self.client
            reference = Reference(
                there.endpoint, there.server_key, reference.target, reference.where, reference.type
            )
            if reference.target.startswith("object:"):
                return self._object(reference)
        return self._meet(reference)

    def _object(self, reference: Reference) -> RemoteObject:
        release = partial(self.release, reference.target)
        return self._make(self.target(reference.target, reference.where), reference, release)

    def _say_release(self, target: str) -> None:
        try:
            self.client.tell(Release(target, 1))
        except PyacqError:
            return  # it went down meanwhile: nothing is held there any more

    def _on_callback(self, number: int, body: Any) -> None:
        self.functions.serve(number, body, self.client, self.export)


class DistantChannel:
    """A connection that is looked up when it is first used."""

    def __init__(self, reference: Reference, locate: Locate) -> None:
        self._reference = reference
        self._locate = locate
        self._link: Link | None = None
        self._held = False
        self._lock = threading.Lock()

    def link(self) -> Link:
        """Return the connection; may wait."""
        with self._lock:
            if self._link is None:
                self._link = self._locate(self._reference)
            return self._link

    @property
    def client(self) -> RpcClient:
        """The connection's client."""
        return self.link().client

    def export(self, value: Any) -> Reference | None:
        """As `Link.export`."""
        return self.link().export(value)

    def hold(self) -> None:
        """Have the object kept for this process."""
        link = self.link()
        if not self._held:
            link.client.call(Hold(self._reference.target), 5.0)
            self._held = True

    def release(self) -> None:
        """Let go of what `hold` has kept."""
        if self._held and self._link is not None:
            self._link.release(self._reference.target)


def distant(reference: Reference, locate: Locate) -> RemoteObject | RemotePort:
    """Make a handle of something in a process that may not be connected yet; does not wait."""
    kind, _, name = reference.target.partition(":")
    if kind not in ("input", "output"):
        return _distant_object(reference, locate)
    node, _, port = name.partition("/")
    place = reference.where.rpartition(".")[0]
    owner = Reference(reference.endpoint, reference.public_key, f"node:{node}", place, "node")
    return RemotePort(_distant_object(owner, locate), port, reference)


def _distant_object(reference: Reference, locate: Locate) -> RemoteObject:
    channel = DistantChannel(reference, locate)
    is_held = reference.target.startswith("object:")
    target = Target(channel, reference.target, reference.where)
    return RemoteObject(target, reference, channel.release if is_held else None)


def reference_of(value: Any) -> Reference | None:
    """Reference of a handle; None where the value is none."""
    make = getattr(type(value), "_pyacq_reference_", None)
    return None if make is None else make(value)
