"""A recorded run's graph, built again with its sources played from the run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyacq_lab.errors import CallTimeout, ConfigurationError, PyacqError
from pyacq_lab.model.closing import Closing
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.names import port_name
from pyacq_lab.model.rig import Connection, NodeEntry, Rig
from pyacq_lab.recording.run import open_run

if TYPE_CHECKING:
    from pyacq_lab.manager.groups import NodeGroupHandle
    from pyacq_lab.manager.localgroup import LocalNode, LocalNodeGroup
    from pyacq_lab.manager.manager import Manager
    from pyacq_lab.manager.nodes import NodeHandle

_POLL = 0.05


@dataclass(frozen=True)
class Plan:
    """Which nodes of a run are made again, and what they read.

    Attributes
    ----------
    nodes : tuple of NodeEntry
        Transforms and sinks, those that are read first.
    played : dict of (str, str) to str
        By node and output that are not there any more: the stream of the run that stands for it.
    connections : tuple of Connection
        What those nodes read.
    """

    nodes: tuple[NodeEntry, ...]
    played: Mapping[tuple[str, str], str]
    connections: tuple[Connection, ...]


def plan(
    rig: Rig,
    recorder: str,
    streams: Iterable[str],
    *,
    skip: Iterable[str] = (),
    known_types: Iterable[str] = (),
    with_recorders: bool = False,
) -> Plan:
    """Find out what is to be made, without making anything.

    Parameters
    ----------
    rig : Rig
        What made the run.
    recorder : str
        Name of the recorder's node in it.
    streams : iterable of str
        Names of the streams that it recorded.
    skip : iterable of str
        Nodes that are not made.
    known_types : iterable of str
        Types that were defined in a notebook and are known where nodes will be made.
    with_recorders : bool
        Whether recorders are made.

    Raises
    ------
    ConfigurationError
        Something cannot be made again; all of it is named.
    """
    skipped, known, recorded = set(skip), set(known_types), set(streams)
    problems = [f"skip={name!r}: the run had no such node" for name in sorted(skipped) if not rig.node(name)]
    kept = {
        node.name: node
        for node in rig.nodes
        if node.role != "source"
        and node.name not in skipped
        and node.settings is not None
        and (with_recorders or not _is_recorder(node))
    }
    connections = tuple(c for c in rig.connections if c.target in kept)
    streams_of = {(c.source, c.output): c.input for c in rig.connections if c.target == recorder}
    played: dict[tuple[str, str], str] = {}
    lacking: list[str] = []  # nodes that cannot be made as things are
    for connection in connections:
        output = connection.source, connection.output
        if connection.source in kept:
            continue
        if streams_of.get(output) in recorded:
            played[output] = streams_of[output]
        else:
            lacking.append(connection.target)
            problems.append(
                f"{connection.target}.{connection.input} reads {'.'.join(output)}, which was not recorded: "
                f"leave {connection.target} out, skip=[{connection.target!r}]"
            )
    for node in kept.values():
        if node.type.registered == "defined" and node.type.name not in known:
            lacking.append(node.name)
            problems.append(
                f"{node.name} is a {node.type.name}, which was defined in a notebook: define it and give "
                f"node_types=[{node.type.qualname}], or leave it out, skip=[{node.name!r}]"
            )
    for name in lacking:  # which grows meanwhile: those that read them, and those that read these
        for c in connections:
            is_played = streams_of.get((c.source, c.output)) in recorded
            if c.source == name and not is_played and c.target not in lacking:
                lacking.append(c.target)
                problems.append(
                    f"{c.target}.{c.input} reads {c.source}.{c.output}, which was not recorded either: where "
                    f"{c.source} is left out, leave {c.target} out, too, skip=[{c.target!r}]"
                )
    if problems:
        raise ConfigurationError("the run cannot be rehearsed: " + "; ".join(problems))
    return Plan(tuple(kept.values()), played, connections)


@dataclass
class Rehearsal(Closing):
    """A run's graph, built again by `Manager.replay_run`; a context manager, which closes it.

    Attributes
    ----------
    nodes : dict of str to NodeHandle
        What was made again, by the name that it had.
    replay : NodeHandle
        The source that plays the run.
    """

    manager: Manager
    nodes: dict[str, NodeHandle | LocalNode] = field(default_factory=dict)
    replay: Any = None
    own_groups: list[NodeGroupHandle] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<rehearsal of {', '.join(self.nodes) or 'no node'}>"

    def __getitem__(self, name: str) -> NodeHandle | LocalNode:
        return self.nodes[name]

    def start(self) -> None:
        """Start all its nodes, readers first."""
        self.manager.start_nodes(self._all())

    @property
    def is_over(self) -> bool:
        """Whether the run has been played to its end."""
        return self.replay.state is not State.RUNNING

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the run has been played, then stop the nodes, which deal with all of it first.

        Raises
        ------
        CallTimeout
            It has not been played within ``timeout`` seconds; it goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.is_over:
            if deadline is not None and time.monotonic() > deadline:
                raise CallTimeout(f"the run was not played within {timeout:g} s; it goes on")
            time.sleep(_POLL)
        self.stop()

    def stop(self) -> None:
        """Stop what runs: the replay first, so that nothing under way is lost."""
        self.manager.stop_nodes(self._all())

    def close(self) -> None:
        """Remove the nodes, and end the nodegroups that were made for them; idempotent."""
        nodes, self.nodes = self._all(), {}
        groups, self.own_groups = self.own_groups, []
        self.replay = None
        for node in nodes:
            if node.group not in groups and node.group.alive:
                node.group.remove_node(node.name)
        for group in groups:
            group.close()

    def _all(self) -> list[NodeHandle | LocalNode]:
        return [*([] if self.replay is None else [self.replay]), *self.nodes.values()]


def rehearse(
    manager: Manager,
    path: str | Path,
    *,
    speed: float,
    realtime: bool,
    nodegroup: NodeGroupHandle | LocalNodeGroup | None,
    keep_groups: bool,
    skip: Iterable[str],
    node_types: Iterable[type | bytes],
    record: str | Path | None,
    segment: int | None,
) -> Rehearsal:
    """Build the graph of a run; see `Manager.replay_run`."""
    run = open_run(path)
    manifest = run.manifest()
    if manifest.rig is None:
        raise ConfigurationError(
            f"{run.path} does not say what made it: its recorder had no manager. "
            "Play it by a Replay node, and wire that yourself"
        )
    if nodegroup is not None and keep_groups:
        raise ConfigurationError("give a nodegroup for all nodes, or keep_groups=True, not both")
    types = list(node_types)
    known = [] if nodegroup is None else nodegroup.list_node_types()
    found = plan(
        manifest.rig,
        manifest.recorder,
        manifest.streams,
        skip=skip,
        known_types=[*known, *(kind.__name__ for kind in types if isinstance(kind, type))],
        with_recorders=record is not None,
    )
    if not found.played:
        raise ConfigurationError("nothing is left that reads a recorded stream: there is nothing to rehearse")
    rehearsal = Rehearsal(manager)
    try:
        _build(rehearsal, manifest.rig, found, nodegroup, keep_groups, types, record)
        settings = {"speed": speed, "realtime": realtime, "segment": segment}
        outputs = _play(rehearsal, str(run.path), list(manifest.streams), found, settings)
        _wire(rehearsal, found, outputs)
    except BaseException:
        rehearsal.close()
        raise
    return rehearsal


def _build(
    rehearsal: Rehearsal,
    rig: Rig,
    found: Plan,
    nodegroup: NodeGroupHandle | LocalNodeGroup | None,
    keep_groups: bool,
    types: list[type | bytes],
    record: str | Path | None,
) -> None:
    manager = rehearsal.manager
    groups: dict[str, NodeGroupHandle | LocalNodeGroup] = {}
    hosts = {host.name: host for host in manager.list_hosts()}

    def new_group(host: str) -> NodeGroupHandle:
        group = manager.create_nodegroup(host=hosts.get(host))
        rehearsal.own_groups.append(group)
        return group

    base = nodegroup or new_group("")
    for entry in rig.nodegroups:
        groups[entry.name] = new_group(entry.host) if keep_groups else base
    for group in {id(group): group for group in (base, *groups.values())}.values():
        for kind in types:
            group.register_node_type(kind)  # pyright: ignore[reportArgumentType]
    rehearsal.replay = base.create_node("Replay")
    taken = {node.name for node in manager.list_nodes()}
    n_recorders = sum(map(_is_recorder, found.nodes))
    for node in found.nodes:
        group = groups.get(node.nodegroup, base)
        if node.type.registered == "module":
            group.register_node_type_from_module(node.type.module, node.type.qualname)
        made = group.create_node(node.type.name, None if node.name in taken else node.name)
        rehearsal.nodes[node.name] = made
        settings = dict(node.settings or {})
        if _is_recorder(node):
            settings["path"] = str(record) if n_recorders == 1 else f"{record}_{node.name}"
        try:
            made.call("configure", **settings)
        except PyacqError as error:
            error.add_note(f"while {node.name} was configured as it was; skip=[{node.name!r}] leaves it out")
            raise


def _play(
    rehearsal: Rehearsal, path: str, streams: list[str], found: Plan, settings: dict[str, Any]
) -> dict[str, str]:
    """Configure the replay; returns its outputs by the names of the run's streams."""
    outputs: dict[str, str] = {}
    for name in streams:
        outputs[name] = port_name(name, taken=set(outputs.values()))
    wanted = [outputs[name] for name in streams if name in found.played.values()]
    rehearsal.replay.call("configure", path=path, streams=wanted, **settings)
    return dict.fromkeys(outputs, "out") if len(wanted) == 1 else outputs


def _wire(rehearsal: Rehearsal, found: Plan, outputs: dict[str, str]) -> None:
    for c in found.connections:
        stream = found.played.get((c.source, c.output))
        if stream is None:
            output = rehearsal.nodes[c.source].outputs[c.output]
        else:
            output = rehearsal.replay.outputs[outputs[stream]]
        # All that was given is to be dealt with: whoever was too slow then has the time now.
        policy = "lossless" if c.policy == "drop-oldest" else c.policy
        rehearsal.nodes[c.target].inputs[c.input].connect(output, policy, c.backfill)


def _is_recorder(node: NodeEntry) -> bool:
    return node.type.name == "Recorder" and node.type.registered == "built-in"
