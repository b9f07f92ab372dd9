"""Nodes of one process, closed after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyacq_lab.model.roles import Component
from pyacq_lab.node.context import NodeContext
from pyacq_lab.node.node import Node
from pyacq_lab.node.registry import Registry
from pyacq_lab.transport.clock import SystemClock

Make = Callable[[str, str], Node[Any]]


@pytest.fixture
def make_nodes(server, client) -> Iterator[Callable[..., Make]]:
    """``make_nodes(MyType)`` gives ``make(type_name, name)``, which knows the built-in types and that one."""
    allow = client.keys.public.__eq__
    context = NodeContext(
        reactor=server.reactor,
        server_keys=server.keys,
        client_keys=client.keys,
        allow=allow,
        clock=SystemClock(),
    )
    nodes: list[Node[Any]] = []

    def make_nodes(*types: type[Component]) -> Make:
        registry = Registry()
        for kind in types:
            registry.register(kind)

        def make(kind: str, name: str) -> Node[Any]:
            nodes.append(registry.make(kind, name, context))
            return nodes[-1]

        return make

    yield make_nodes
    for node in nodes:
        node.close()
