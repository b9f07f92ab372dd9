"""Commands to many nodes: in which order, and what becomes of the others when one fails."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from pyacq_lab.manager import commands
from pyacq_lab.model.graph import Edge
from pyacq_lab.model.lifecycle import State


class FakeNode:
    """Obeys at once, or fails."""

    def __init__(self, name: str, told: list[str], fails: bool = False) -> None:
        self.name = self.where = name
        self.state = State.RUNNING
        self.told, self.fails = told, fails

    def call(self, method, /, *args, **options):
        self.told.append(f"{method} {self.name}")
        future: Future[None] = Future()
        self.state = State.FAULTED if self.fails else State.READY
        if self.fails:
            future.set_exception(OSError(f"{self.name} cannot {method}"))
        else:
            future.set_result(None)
        return future


@pytest.mark.parametrize("failing", [(), ("source",), ("filter",), ("source", "filter"), ("recorder",)])
def test_a_node_that_fails_as_it_stops_keeps_no_other_running(failing):
    told = []
    names = ("recorder", "source", "filter")
    nodes = [FakeNode(name, told, name in failing) for name in names]
    edges = [Edge("source", "out", "filter", "in"), Edge("filter", "out", "recorder", "in")]
    if failing:
        with pytest.raises(OSError, match=f"{failing[0]} cannot stop"):
            commands.stop(nodes, edges)
    else:
        commands.stop(nodes, edges)
    assert told == ["stop source", "stop filter", "stop recorder"]
    assert {node.name for node in nodes if node.state is not State.READY} == set(failing)
