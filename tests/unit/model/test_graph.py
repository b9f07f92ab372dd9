"""Order of nodes along the streams."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.model.graph import Edge, upstream_first


def edge(source: str, target: str) -> Edge:
    return Edge(source, "out", target, "in")


def test_a_chain_in_reverse():
    edges = [edge("a", "b"), edge("b", "c"), edge("c", "d")]
    assert upstream_first(["d", "c", "b", "a"], edges) == ["a", "b", "c", "d"]


def test_two_ways_to_one_end():
    edges = [edge("source", "left"), edge("source", "right"), edge("left", "end"), edge("right", "end")]
    order = upstream_first(["end", "right", "left", "source"], edges)
    assert order == ["source", "right", "left", "end"]


def test_nodes_in_a_loop_come_last_in_their_own_order():
    edges = [edge("a", "b"), edge("b", "a"), edge("b", "c")]
    assert upstream_first(["c", "b", "a", "alone"], edges) == ["alone", "c", "b", "a"]


def test_edges_to_nodes_elsewhere_do_not_count():
    assert upstream_first(["a"], [edge("elsewhere", "a"), edge("a", "elsewhere")]) == ["a"]


@given(st.permutations(range(8)), st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7))))
def test_every_node_comes_once_and_after_those_it_reads_from(names, pairs):
    forward = [(a, b) for a, b in pairs if a < b]
    nodes = [str(n) for n in names]
    order = upstream_first(nodes, [edge(str(a), str(b)) for a, b in forward])
    assert sorted(order) == sorted(nodes)
    for a, b in forward:
        assert order.index(str(a)) < order.index(str(b))
