"""Commands to many nodes, in an order that loses nothing and at once where order does not matter."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from pyacq_lab.errors import PyacqError
from pyacq_lab.model.graph import Edge, upstream_first
from pyacq_lab.model.lifecycle import State

if TYPE_CHECKING:
    from pyacq_lab.manager.groups import NodeGroupHandle
    from pyacq_lab.manager.localgroup import LocalNodeGroup

log = logging.getLogger(__name__)


class AnyNode(Protocol):
    """What a command needs of a node's handle, wherever the node is."""

    @property
    def name(self) -> str:
        """The node's name."""
        ...

    @property
    def where(self) -> str:
        """Its place."""
        ...

    @property
    def state(self) -> State:
        """Where it is in its life."""
        ...

    def call(self, method: str, /, *args: Any, **options: Any) -> Any:
        """Call a method of it; with ``_sync="async"``, give a future."""
        ...


def start(nodes: Sequence[AnyNode], edges: list[Edge]) -> None:
    """Initialise what is configured, what is read first; then start what is ready, readers first."""
    levels = upstream_first_levels(nodes, edges)
    for node in nodes:
        if (state := node.state) not in (State.CONFIGURED, State.READY, State.RUNNING):
            log.warning("%s is not started: it is %s", node.where, state)
    for level in levels:
        _command("initialize", level, State.CONFIGURED)
    for level in reversed(levels):
        _command("start", level, State.READY)


def stop(nodes: Sequence[AnyNode], edges: list[Edge]) -> None:
    """Stop what runs, what is read first: its readers still deal with what is under way.

    One that does not stop in good order keeps none of the others running: its error is raised when all have
    been told.
    """
    errors = [e for level in upstream_first_levels(nodes, edges) for e in told("stop", level, State.RUNNING)]
    if errors:
        raise errors[0]


def emergency_stop(groups: Sequence[NodeGroupHandle | LocalNodeGroup]) -> dict[str, list[str]]:
    """Ask all running nodes to stop, over the control lanes; see `Manager.emergency_stop`."""
    told: dict[str, list[str]] = {}
    for group in groups:
        try:
            told[group.where] = group.request_stop_all()
        except PyacqError as error:
            told[group.where] = [f"not reached: {error}"]
            log.exception("emergency stop could not reach %s", group.where)
    return told


def upstream_first_levels(nodes: Sequence[AnyNode], edges: list[Edge]) -> list[list[AnyNode]]:
    """Nodes by how far they are from their sources; those of one level do not depend on each other."""
    by_name = {node.name: node for node in nodes}
    depth: dict[str, int] = {}
    for name in upstream_first(by_name, edges):
        above = [depth[e.source] for e in edges if e.target == name and e.source in depth]
        depth[name] = 1 + max(above, default=-1)
    levels: list[list[AnyNode]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for name, level in depth.items():
        levels[level].append(by_name[name])
    return levels


def _command(command: str, nodes: list[AnyNode], state: State) -> None:
    """Give one command to those nodes that are in a state, all at once; wait for all, then raise an error."""
    if errors := told(command, nodes, state):
        raise errors[0]


def told(command: str, nodes: list[AnyNode], state: State) -> list[BaseException]:
    """Give one command to those nodes that are in a state, all at once, and wait for all; give the errors."""
    due = [node for node in nodes if node.state is state]
    futures: list[Future[Any]] = [node.call(command, _sync="async") for node in due]
    return [error for future in futures if (error := future.exception()) is not None]
