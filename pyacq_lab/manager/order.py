"""In which order nodes are commanded."""

from __future__ import annotations

from pyacq_lab.manager.nodes import NodeHandle
from pyacq_lab.model.graph import Edge, upstream_first


def upstream_first_levels(nodes: list[NodeHandle], edges: list[Edge]) -> list[list[NodeHandle]]:
    """Nodes by how far they are from their sources; those of one level do not depend on each other."""
    by_name = {node.name: node for node in nodes}
    depth: dict[str, int] = {}
    for name in upstream_first(by_name, edges):
        above = [depth[e.source] for e in edges if e.target == name and e.source in depth]
        depth[name] = 1 + max(above, default=-1)
    levels: list[list[NodeHandle]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for name, level in depth.items():
        levels[level].append(by_name[name])
    return levels


def downstream_first_levels(nodes: list[NodeHandle], edges: list[Edge]) -> list[list[NodeHandle]]:
    """As `upstream_first_levels`, the other way round: a reader is there before what it reads begins."""
    return upstream_first_levels(nodes, edges)[::-1]
