"""Snapshots of everything that a manager looks after."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import msgspec

from pyacq_lab.errors import PyacqError
from pyacq_lab.manager.groups import NodeGroupHandle
from pyacq_lab.manager.hosts import HostHandle
from pyacq_lab.manager.localgroup import LocalNodeGroup
from pyacq_lab.model.graph import Edge
from pyacq_lab.model.status import GroupStatus, HostStatus, ManagerStatus, NodeStatus
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.wire.messages import DescribeHost, GroupState, Message

_PATIENCE = 5.0
"""Seconds that all have to answer."""


def status(
    hosts: list[HostHandle], here: list[LocalNodeGroup], last_known: dict[str, HostStatus], now_ns: int
) -> ManagerStatus:
    """Ask all hosts and nodegroups at once, and those that are ``here``, in this process.

    ``last_known`` stands in for hosts that do not answer, and is updated.
    """
    described: list[HostStatus] = []
    nodes: dict[str, tuple[NodeStatus, ...]] = {}
    unreachable: dict[str, str] = {}
    of_hosts = [ask(host.client, DescribeHost()) for host in hosts]
    groups = [group for host in hosts for group in list(host.groups.values())]
    of_groups = [ask(group.client, GroupState()) if group.alive else None for group in groups]
    for host, answer in zip(hosts, of_hosts, strict=True):
        try:
            last_known[host.name] = answer.result()
        except PyacqError as error:
            unreachable[host.name] = str(error)
        known = last_known.get(host.name) or HostStatus(name=host.name, endpoint=host.endpoint)
        # A host names itself; two of one name are told apart by the manager.
        described.append(msgspec.structs.replace(known, name=host.name))
    for group, answer in zip(groups, of_groups, strict=True):
        try:
            nodes[group.name] = () if answer is None else tuple(answer.result())
        except PyacqError as error:
            unreachable[group.where] = str(error)
    for local in here:
        nodes[local.name] = tuple(local.statuses())
    clocks = {host.name: host.clock for host in hosts}
    return ManagerStatus(
        time_ns=now_ns,
        hosts=tuple(described),
        local=tuple(GroupStatus(name=local.name, pid=os.getpid(), state="running") for local in here),
        nodes=nodes,
        clocks={name: (c.offset_ns, c.uncertainty_ns) for name, c in clocks.items() if c.n_probes},
        unreachable=unreachable,
    )


def ask(client: RpcClient, message: Message) -> Future[Any]:
    """Ask one program and give the future of its answer, also where it cannot be asked."""
    try:
        return client.request(message, _PATIENCE)
    except PyacqError as error:
        refused: Future[Any] = Future()
        refused.set_exception(error)
        return refused


def graph(groups: Sequence[NodeGroupHandle | LocalNodeGroup], edges: list[Edge]) -> dict[str, Any]:
    """Nodes and edges as plain data; see `Manager.graph`."""
    nodes = [
        {
            "name": node.name,
            "type": node.type,
            "host": group.where.rpartition("/")[0],
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
