"""Serves a nodegroup's control socket: a lane for control and one lane per target for calls."""

from __future__ import annotations

import threading
from typing import Any

from pyacq_lab.errors import LifecycleError, PyacqError, UnknownName
from pyacq_lab.model.recipe import NodeRecipe
from pyacq_lab.model.remote import ObjectInfo, Reference
from pyacq_lab.model.roles import Clock
from pyacq_lab.nodegroup.api import NodeGroupApi
from pyacq_lab.nodegroup.neighbours import Neighbours
from pyacq_lab.remote.describe import attributes_of
from pyacq_lab.remote.serving import ObjectServer
from pyacq_lab.remote.stacks import dump_stacks
from pyacq_lab.transport.loglevels import set_log_level
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.rpc import Peer
from pyacq_lab.wire.messages import (
    Call,
    DescribeNodes,
    DumpStacks,
    Follow,
    GroupState,
    Ping,
    SetLogLevel,
    StopAll,
)


class GroupServer(ObjectServer):
    """Serves the requests of `wire.messages.GroupRequest`.

    Control requests are served by the thread that receives: they run no user code and wait for nothing,
    so they are answered whatever the kernel and the nodes are doing.
    """

    def __init__(
        self, api: NodeGroupApi, clock: Clock, reactor: Reactor, neighbours: Neighbours, where: str
    ) -> None:
        super().__init__(reactor, where, neighbours.own_key, neighbours.meet)
        self._api = api
        self._clock = clock
        self._followers: set[bytes] = set()
        self._telling = threading.Lock()  # what is told later is as it was later, whichever threads tell it
        self._told: dict[str, tuple[Any, Any]] = {}  # settings of nodes, as all followers know them

    def handle(self, message: Any, peer: Peer) -> Any:
        """Serve one request; whoever receives."""
        if isinstance(message, Call):  # by far the most
            return super().handle(message, peer)
        match message:
            case Ping():
                return self._clock.now_ns()
            case GroupState():
                return self._api.statuses()
            case Follow():
                return self._follow(peer)
            case DescribeNodes():
                return self._api.parts()
            case StopAll():
                return self._api.request_stop_all()
            case DumpStacks():
                return dump_stacks()
            case SetLogLevel(logger, level):
                return set_log_level(logger, level)
            case _:
                return super().handle(message, peer)

    def tell_changed(self, node: Any) -> None:
        """Let followers know what it takes by now to make a node again; any thread."""
        server = self._server
        if server is None or not self._followers:
            return
        with self._telling:
            recipe, settings = self._news(node)
            for routing_id in tuple(self._followers):
                if not server.notify(routing_id, "recipe", [recipe, settings]):
                    self._followers.discard(routing_id)

    def _follow(self, peer: Peer) -> None:
        """Tell a peer of all nodes now, ahead of the answer, and of each that changes from now on."""
        server = self._server
        if server is None:
            return
        with self._telling:
            for node in list(self._api.nodes.values()):
                if not server.notify(peer.routing_id, "recipe", [node.recipe(), node.resumed_settings()]):
                    raise LifecycleError(
                        f"{self.where} has more to tell of its nodes than is taken: ask again"
                    )
            self._followers.add(peer.routing_id)

    def _news(self, node: Any) -> tuple[NodeRecipe, dict[str, Any] | None]:
        """Recipe of a node and its settings, None where they are those told before: they may be large."""
        recipe: NodeRecipe = node.recipe()
        component = node.component
        if component is None:
            return recipe, None
        settings, resumed = component.settings, component.resumed_settings()
        before = self._told.get(recipe.name)
        if before is not None and before[0] is settings and before[1] == resumed:
            return recipe, None
        self._told[recipe.name] = settings, resumed
        return recipe, node.resumed_settings()

    def unfollow(self) -> None:
        """Tell nobody any more: what the nodes were before their process closes is what counts."""
        self._followers.clear()

    def owners(self, target: str) -> list[Any]:
        """The nodegroup; a node, with its component behind it; an object."""
        kind, _, name = target.partition(":")
        if kind == "node":
            node = self._api.node(name)
            return [node] if node.component is None else [node, node.component]
        if kind == "object":
            return super().owners(target)
        if target != "group":
            raise UnknownName(f"unknown target {target!r}: wanted 'group', 'node:NAME' or 'object:NUMBER'")
        return [self._api]

    def describe(self, target: str) -> ObjectInfo:
        """A node is described by what it and its component's class offer."""
        kind, _, name = target.partition(":")
        if kind != "node":
            return super().describe(target)
        info = self._api.describe_node(name)
        return ObjectInfo(info.type, info.doc, info.methods, attributes_of(self.owners(target)[1:]))

    def named(self, value: Any) -> Reference | None:
        """Handles, the nodegroup and its nodes have names."""
        reference = super().named(value)
        if reference is not None:
            return reference
        if value is self._api:
            return Reference("", "", "group", self.where, "nodegroup")
        name = getattr(value, "name", None)
        if isinstance(name, str) and self._api.nodes.get(name) is value:
            return Reference("", "", f"node:{name}", f"{self.where}/{name}", value.component_type.__name__)
        return None

    def lacking(self, target: str, method: str) -> PyacqError:
        """A node that is not configured has no component yet, so nothing that its class offers."""
        kind, _, name = target.partition(":")
        node = self._api.node(name) if kind == "node" else None
        if node is None or node.component is not None:
            return super().lacking(target, method)
        return LifecycleError(
            f"cannot call {method} of a {node.state} node: its {node.component_type.__name__} is made by "
            "configure(), so configure it first"
        )

    def place(self, target: str) -> str:
        """Nodes are known by their names."""
        kind, _, name = target.partition(":")
        return "" if kind == "group" else f"/{name}" if kind == "node" else super().place(target)
