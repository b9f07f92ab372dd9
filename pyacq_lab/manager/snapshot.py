"""Snapshots of everything that a manager looks after."""

from __future__ import annotations

from typing import Any

import msgspec

from pyacq_lab.errors import PyacqError
from pyacq_lab.manager.groups import NodeGroupHandle
from pyacq_lab.manager.hosts import HostHandle
from pyacq_lab.model.graph import Edge
from pyacq_lab.model.status import HostStatus, ManagerStatus, NodeStatus


def status(hosts: list[HostHandle], last_known: dict[str, HostStatus], now_ns: int) -> ManagerStatus:
    """Ask all hosts and nodegroups; ``last_known`` stands in for hosts that do not answer, and is updated."""
    described: list[HostStatus] = []
    nodes: dict[str, tuple[NodeStatus, ...]] = {}
    unreachable: dict[str, str] = {}
    for host in hosts:
        try:
            last_known[host.name] = host.status()
        except PyacqError as error:
            unreachable[host.name] = str(error)
        known = last_known.get(host.name) or HostStatus(name=host.name, endpoint=host.endpoint)
        # A host names itself; two of one name are told apart by the manager.
        described.append(msgspec.structs.replace(known, name=host.name))
        for group in list(host.groups.values()):
            try:
                nodes[group.name] = tuple(group.statuses()) if group.alive else ()
            except PyacqError as error:
                unreachable[group.where] = str(error)
    return ManagerStatus(time_ns=now_ns, hosts=tuple(described), nodes=nodes, unreachable=unreachable)


def graph(groups: list[NodeGroupHandle], edges: list[Edge]) -> dict[str, Any]:
    """Nodes and edges as plain data; see `Manager.graph`."""
    nodes = [
        {
            "name": node.name,
            "type": node.type,
            "host": group.host.name,
            "nodegroup": group.name,
            "state": str(node.state),
        }
        for group in groups
        for node in group.statuses()
    ]
    return {
        "nodes": nodes,
        "edges": [(e.source, e.target, {"output": e.output, "input": e.input}) for e in edges],
    }
