"""Who is wired to whom, as plain data."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Edge(msgspec.Struct, frozen=True):
    """A stream from an output to an input, each named ``(node, port)``."""

    source: str
    output: str
    target: str
    input: str


def upstream_first(nodes: Iterable[str], edges: Iterable[Edge]) -> list[str]:
    """Order nodes so that each comes after those it reads from; nodes in a loop keep their order, last.

    Examples
    --------
    >>> upstream_first(["filter", "source"], [Edge("source", "out", "filter", "in")])
    ['source', 'filter']
    """
    names = list(nodes)
    waits: dict[str, set[str]] = {n: set() for n in names}
    for edge in edges:
        if edge.source in waits and edge.target in waits:
            waits[edge.target].add(edge.source)
    ordered: list[str] = []
    while ready := [n for n in names if n not in ordered and waits[n] <= set(ordered)]:
        ordered += ready
    return ordered + [n for n in names if n not in ordered]
