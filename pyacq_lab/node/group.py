"""The nodes of one process, and the types that can be made there."""

from __future__ import annotations

import threading
from typing import Any, Literal

from pyacq_lab.errors import ConfigurationError, UnknownName
from pyacq_lab.model.graph import Edge
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.names import check_name
from pyacq_lab.model.rig import GroupParts, NodeEntry, OutputEntry, plain_settings
from pyacq_lab.model.roles import Component, Sink, Source
from pyacq_lab.model.status import NodeStatus
from pyacq_lab.node.context import NodeContext
from pyacq_lab.node.node import Node
from pyacq_lab.node.registry import Registry


class NodeGroup:
    """The nodes of one process.

    Methods may be called by any thread; calls to one node are serialised by whoever dispatches them.
    """

    def __init__(self, name: str, context: NodeContext) -> None:
        self.name = name
        self.nodes: dict[str, Node[Any]] = {}
        self._context = context
        self._registry = Registry()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        nodes = ", ".join(f"{n.name} ({n.state})" for n in self.nodes.values()) or "no nodes"
        return f"<nodegroup {self.name}: {nodes}>"

    def make_node(self, type_name: str, name: str | None = None) -> Node[Any]:
        """Make a node of a known type; ``name`` is the type's with a number where none is given.

        Raises
        ------
        UnknownName
            There is no such type.
        ConfigurationError
            The name is taken.
        """
        with self._lock:
            name = self._free_name(type_name) if name is None else check_name(name, "node")
            if name in self.nodes and self.nodes[name].state is not State.CLOSED:
                raise ConfigurationError(
                    f"nodegroup {self.name!r} already has a node {name!r}: choose another name"
                )
            node = self.nodes[name] = self._registry.make(type_name, name, self._context)
        self._context.on_change(node)
        return node

    def remove_node(self, name: str) -> None:
        """Close a node and forget it."""
        self.node(name).close()
        with self._lock:
            self.nodes.pop(name, None)

    def list_nodes(self) -> list[str]:
        """Names of the nodes, in the order in which they were made."""
        return list(self.nodes)

    def list_node_types(self) -> list[str]:
        """Names of the node types that can be made here."""
        return self._registry.names()

    def settings_schema(self, type_name: str) -> dict[str, Any]:
        """JSON schema of the settings of a node type; see `Node.settings_schema`. Raises UnknownName."""
        return self._registry.find(type_name).settings_type.model_json_schema()

    def register_node_type_from_module(self, module: str, classname: str) -> str:
        """Import a module of this host and add one of its classes; returns the type's name."""
        return self._registry.register_from_module(module, classname)

    def register(self, node_type: Any) -> str:
        """Add a class; returns the type's name."""
        return self._registry.register(node_type)

    def any_node_running(self) -> bool:
        """Whether a node runs."""
        return any(node.state is State.RUNNING for node in self.nodes.values())

    def node(self, name: str) -> Node[Any]:
        """Node of a name. Raises UnknownName."""
        try:
            return self.nodes[name]
        except KeyError:
            known = ", ".join(self.nodes) or "none"
            raise UnknownName(f"nodegroup {self.name!r} has no node {name!r} (it has: {known})") from None

    def statuses(self) -> list[NodeStatus]:
        """Snapshot of every node."""
        return [node.status() for node in list(self.nodes.values())]

    def parts(self) -> GroupParts:
        """Nodes and their connections, for the record."""
        nodes = list(self.nodes.values())
        return GroupParts(
            tuple(self._entry(node) for node in nodes), tuple(c for node in nodes for c in node.connections())
        )

    def edges(self) -> list[Edge]:
        """Connections of all nodes."""
        return [edge for node in list(self.nodes.values()) for edge in node.edges()]

    def request_stop_all(self) -> list[str]:
        """Ask every running node to stop, without waiting; returns their names."""
        running = [node for node in list(self.nodes.values()) if node.state is State.RUNNING]
        for node in running:
            node.request_stop()
        return [node.name for node in running]

    def close(self) -> None:
        """Close all nodes, sources first, so that the others still deal with what is under way."""
        order = {"source": 0, "transform": 1, "sink": 2}
        for node in sorted(self.nodes.values(), key=lambda n: order[role_of(n.component_type)]):
            node.close()
        self.nodes.clear()

    def _entry(self, node: Node[Any]) -> NodeEntry:
        status, is_configured = node.status(), node.component is not None
        return NodeEntry(
            name=node.name,
            nodegroup=self.name,
            role=role_of(node.component_type),
            type=self._registry.entry(node.component_type),
            state=status.state,
            settings=plain_settings(status.settings) if is_configured else None,
            outputs=tuple(OutputEntry(name=o.name, spec=o.spec) for o in list(node.outputs.values())),
        )

    def _free_name(self, type_name: str) -> str:
        number = 1
        while (name := f"{type_name}{number}") in self.nodes:
            number += 1
        return name


def role_of(component_type: type[Component]) -> Literal["source", "transform", "sink"]:
    """Role of a class: ``source``, ``transform`` or ``sink``."""
    if issubclass(component_type, Source):
        return "source"
    return "sink" if issubclass(component_type, Sink) else "transform"
