"""Handles of nodegroups."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from pyacq_lab.errors import ConfigurationError, LifecycleError, ProcessDied, PyacqError, UnknownName
from pyacq_lab.manager.groupend import GroupEnd
from pyacq_lab.manager.nodes import NodeChannel, NodeHandle
from pyacq_lab.manager.revival import RestartPolicy, Revival
from pyacq_lab.model.graph import Edge
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.loglevels import check_level, check_logger_name
from pyacq_lab.model.recipe import NodeRecipe
from pyacq_lab.model.remote import NodeInfo, Reference, Spawned
from pyacq_lab.model.roles import Sink, Source, Transform
from pyacq_lab.model.status import GroupStatus, NodeStatus
from pyacq_lab.model.stream import StreamAddress
from pyacq_lab.remote.byvalue import pickle_by_value
from pyacq_lab.remote.calls import Target
from pyacq_lab.remote.links import Link, distant
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.transport.sockets import parse_endpoint
from pyacq_lab.wire.messages import (
    DumpStacks,
    GroupState,
    SetLogLevel,
    SignalGroup,
    Spawn,
    StopAll,
    StopGroup,
)

if TYPE_CHECKING:
    from pyacq_lab.manager.hosts import HostHandle

log = logging.getLogger(__name__)


class NodeGroupHandle(GroupEnd):
    """A nodegroup: one process on a host, a Jupyter kernel that holds nodes.

    Attributes
    ----------
    host : HostHandle
        Where it runs.
    name : str
        Its name, unique in the application.
    pid : int
        Its process id over there.
    client : RpcClient
        Its control connection.
    """

    def __init__(
        self,
        host: HostHandle,
        spawned: Spawned,
        request: Spawn | None = None,
        restart: RestartPolicy = "never",
    ) -> None:
        self.host = host
        self.name = spawned.name
        super().__init__()
        self.reactor = host.manager.reactor
        self.application_keys = host.manager.application_keys
        self.log_source = self.where
        self._request = request
        self._registered: dict[str, tuple[Any, ...]] = {}  # by the type's name: the call that registered it
        self._log_levels: dict[str, SetLogLevel] = {}
        self._nodes: dict[str, NodeHandle] = {}
        self.revival = Revival(self, restart)
        self.channel = NodeChannel(self.revival.gate)
        self._set_up(spawned)

    def _set_up(self, spawned: Spawned) -> None:
        host, reactor, application_keys = self.host, self.reactor, self.application_keys
        self.pid = spawned.pid
        self._pids.add(spawned.pid)
        self._begin_life()
        self.log_endpoint = host.reachable_endpoint(spawned.log_endpoint)
        self.public_key = spawned.public_key
        self.link = Link(
            reactor,
            host.reachable_endpoint(spawned.endpoint),
            spawned.public_key,
            keys=application_keys,
            where=self.where,
            meet=self._meet,
            on_event=self.revival.hear,
            on_lost=self.revival.lost,
            on_back=self.revival.follow_again,
        )
        self.client: RpcClient = self.link.client
        self.channel.link = self.link
        self._target = Target(self.channel, "group", self.where)

    @property
    def python(self) -> str:
        """Interpreter that was asked for; empty where its host chose, or another handle asked."""
        return "" if self._request is None else self._request.python or ""

    @property
    def log_place(self) -> str:
        """Whose records are its own, as ``source=`` of `Manager.logs` takes it."""
        return self.where

    @property
    def alive(self) -> bool:
        """Whether its process is there, as far as is known here."""
        return not self.ending

    def __repr__(self) -> str:
        state = self.ending or f"pid {self.pid}" + ("" if self.client.connected else ", connection lost")
        return f"<nodegroup {self.where}: {state}, {len(self._nodes)} nodes>"

    # --- nodes

    def create_node(self, type_name: str, name: str | None = None) -> NodeHandle:
        """Make a node of a type that the nodegroup knows; see `list_node_types`.

        Node names are unique in the application, so that a graph and a log can name a node alone.
        """
        name = self.host.manager.free_node_name(type_name, name)
        info: NodeInfo = self._target.call("create_node", type_name, name)
        node = self._nodes[info.name] = NodeHandle(self, info)
        return node

    @property
    def known_nodes(self) -> list[str]:
        """Names of the nodes that were made or asked for through this handle."""
        return list(self._nodes)

    def known_handles(self) -> list[NodeHandle]:
        """Handles of those nodes."""
        return list(self._nodes.values())

    def get_node(self, name: str) -> NodeHandle:
        """Handle of a node. Raises UnknownName."""
        if name not in self._nodes:
            self._nodes[name] = NodeHandle(self, self._target.call("describe_node", name))
        return self._nodes[name]

    def remove_node(self, node: NodeHandle | str) -> None:
        """Close a node and forget it."""
        name = node if isinstance(node, str) else node.name
        self._target.call("remove_node", name)
        self.revival.forget(name)
        self._nodes.pop(name, None)

    def list_nodes(self) -> list[str]:
        """Names of its nodes."""
        return self._target.call("list_nodes")

    def list_node_types(self) -> list[str]:
        """Names of the node types that can be made there."""
        return self._target.call("list_node_types")

    def settings_schema(self, type_name: str) -> dict[str, Any]:
        """JSON schema of the settings of a node type that can be made there, for forms.

        Beside what JSON Schema knows, a setting may have a ``unit`` and be ``live``: it may change while the
        node runs. Raises UnknownName.
        """
        return self._target.call("settings_schema", type_name)

    def register_node_type_from_module(self, module: str, classname: str) -> str:
        """Have the nodegroup import a module of its host and add a class of it; returns the type's name."""
        name = self._target.call("register_node_type_from_module", module, classname)
        self._registered[name] = ("register_node_type_from_module", module, classname)
        return name

    def register_node_type(self, node_type: type | bytes) -> str:
        """Send a class defined here (or its pickle), with the settings beside it, by value.

        Returns the type's name.

        What else its module holds goes along as far as the class uses it; what it imports must be
        installed over there.
        """
        if isinstance(node_type, bytes):
            pickled = node_type
        elif isinstance(node_type, type) and issubclass(node_type, Source | Transform | Sink):  # pyright: ignore[reportUnnecessaryIsInstance]
            pickled = pickle_by_value(node_type)
        else:
            raise ConfigurationError(
                f"{node_type!r} is no node type: wanted a subclass of Source, Transform or Sink"
            )
        name = self._target.call("register_node_type", pickled)
        self._registered[name] = ("register_node_type", pickled)
        return name

    def start_all_nodes(self) -> None:
        """Start all its nodes; see `Manager.start_all_nodes` for the order."""
        self.host.manager.start_nodes([self.get_node(n) for n in self.list_nodes()])

    def stop_all_nodes(self) -> None:
        """Stop all its nodes; see `Manager.stop_all_nodes` for the order."""
        self.host.manager.stop_nodes([self.get_node(n) for n in self.list_nodes()])

    def any_node_running(self) -> bool:
        """Whether one of its nodes runs."""
        return any(status.state is State.RUNNING for status in self.statuses())

    def statuses(self) -> list[NodeStatus]:
        """Snapshot of every node, over the control lane: never waits for a running call or cell."""
        return self.channel.client.call(GroupState(), 5.0)

    def node_status(self, name: str) -> NodeStatus:
        """Snapshot of one node. Raises UnknownName."""
        for status in self.statuses():
            if status.name == name:
                return status
        raise UnknownName(f"{self.where} has no node {name!r}")

    def edges(self) -> list[Edge]:
        """Connections of its nodes."""
        return self._target.call("edges")

    # --- its process and kernel

    def status(self) -> GroupStatus:
        """Snapshot of its process."""
        return next(g for g in self.host.status().groups if g.name == self.name)

    def request_stop_all(self) -> list[str]:
        """Ask every running node to stop, over the control lane, without waiting; returns their names."""
        return self.client.call(StopAll(), 5.0)

    def set_log_level(self, level: int | str, logger: str = "") -> str:
        """Set the level of one of its loggers, over the control lane; kept when it is started again.

        Parameters
        ----------
        level : int or str
            Such as ``"DEBUG"`` or 10; ``"NOTSET"`` leaves it to the loggers above.
        logger : str
            Its name; the root logger, and with it all that have no level of their own, unless given.

        Returns
        -------
        str
            Name of the level that it had before.

        Raises
        ------
        ConfigurationError
            There is no such level, or the name is none.
        """
        message = SetLogLevel(check_logger_name(logger), check_level(level))
        before: int = self.client.call(message, 5.0)
        self._log_levels[message.logger] = message
        return logging.getLevelName(before)

    def dump_stacks(self) -> str:
        """Stack of every thread of its process, as text, over the control lane."""
        return self.client.call(DumpStacks(), 5.0)

    def close(self, grace: float = 5.0) -> None:
        """Close its nodes and end its process tree within ``grace`` seconds; idempotent.

        It is not started again by itself then.
        """
        self.revival.call_off()
        if grace and self.alive:
            for node in self.known_handles():
                self.host.manager.rigs.before_stop(node)
        with self.revival.lock:
            self._end(grace)

    def _end(self, grace: float) -> None:
        if self.ending:
            self.host.forget(self)
            return
        status: GroupStatus = self.host.client.call(StopGroup(self.name, grace), grace + 20.0)
        # The answer may be heard before the event that tells the same, and nobody hears for us afterwards.
        found = self._post_mortem or self.host.post_mortem(self.name)
        self.mark_ended(status.ending or "ended", found)
        self.host.forget(self)

    def restart(self, grace: float = 5.0, *, nodes: bool = True) -> None:
        """Start its process again: the same name, interpreter, folder, environment, node types and nodes.

        Where it still runs, it is closed first. Where the manager's own host has ended, it is started on the
        one that takes its place. Nodes are made again with the settings in force, wired as they were, and
        those that ran run again; their handles go on. Their outputs are where they were, so that readers in
        other processes find them. What nodes held in memory is gone. Calls to its nodes from other threads
        wait until it is done, as they do where it is started again by itself.

        Parameters
        ----------
        grace : float
            Seconds that the process has to close, where it still runs.
        nodes : bool
            Whether its nodes are made again. Else their handles refuse all calls.

        Raises
        ------
        LifecycleError
            It was not started by this manager, so that its configuration is not known here; or another
            nodegroup has its name by now.
        ProcessDied
            The new process ended before it was ready; the message holds its last words.
        PyacqError
            A node could not be made or started again; the others were, and the log names each.
        """
        self.revival.restart(grace, nodes)

    def begin_again(self, grace: float, keep_nodes: bool) -> None:
        """Start its process again, without nodes so far; see `restart`."""
        if self._request is None:
            raise LifecycleError(f"{self.where} was started by somebody else: start a new nodegroup")
        manager = self.host.manager
        if any(g.alive and g.name == self.name and g is not self for g in manager.list_nodegroups()):
            raise LifecycleError(
                f"another nodegroup has the name {self.name!r} by now: close that, or start a new one by "
                "another name"
            )
        host = manager.standing_host(self.host)
        if host is self.host:
            self._end(grace)
        else:
            self.mark_gone(f"ended with its host {self.host.name}, which is gone")
        self.host.forget(self)
        self.host, self.log_source = host, f"{host.name}/{self.name}"
        port = parse_endpoint(self.client.endpoint)[1]
        self._request = msgspec.structs.replace(self._request, token=secrets.token_hex(8), port=port)
        spawned = self.host.spawn(self._request)
        if not keep_nodes:
            self._nodes, self.channel = {}, NodeChannel(self.revival.gate)
        self._set_up(spawned)
        try:
            self.host.adopt(self)
        except BaseException:  # its end, if it has ended, will be told to nobody
            self._end_stillborn()
            raise
        for call in self._registered.values():
            self._target.call(*call)

    def _end_stillborn(self) -> None:
        """End a process that was not reached, so that its name is free, and learn how it ended."""
        ending, found = "ended as soon as it was ready", None
        try:
            status: GroupStatus = self.host.client.call(StopGroup(self.name, 0.0), 20.0)
            ending, found = status.ending or ending, self.host.post_mortem(self.name)
        except PyacqError as error:
            log.warning("%s was not reached, and its host does not say how it ended: %s", self.where, error)
        if not self.ending:
            self.mark_ended(ending, found)

    def make_node_again(self, recipe: NodeRecipe, settings: dict[str, Any]) -> NodeHandle:
        """Make a node that its former process had, up to its wiring."""
        self._target.call("make_node_again", recipe, settings)
        return self.get_node(recipe.name)

    def kill(self) -> None:
        """End its process tree at once, without closing anything."""
        self.close(grace=0.0)

    def signal(self, signum: int) -> None:
        """Send a signal to its process, and to no other of its tree."""
        self.host.client.call(SignalGroup(self.name, signum))

    def connect(self) -> None:
        """Connect to its process, and have its words heard. Called once for each process."""
        try:
            self.client.wait_connected()
            self.revival.follow()
            for message in self._log_levels.values():
                self.client.call(message, 5.0)
            logs = self.host.manager.log_server
            logs.connect(self.log_endpoint, self.public_key, self.log_source, self.host.name)
        except BaseException as error:
            self.release()
            if self.ending:
                raise ProcessDied(f"{self.where} ended as soon as it was ready: {self.ending}") from error
            raise

    def release(self) -> None:
        """Close the connection to it; its process is not touched."""
        self._remove_connection_file()
        self.link.close()
        if self.ending:  # what is called through old handles says why
            self.client.fail(f"{self.where} has ended: {self.ending}")

    # --- for handles

    def reference(self, target: str, where: str, kind: str) -> Reference:
        """Address of something in this nodegroup, for others."""
        return Reference(self.client.endpoint, self.public_key, target, where, kind)

    def handle_of(self, reference: Reference) -> Any:
        """Handle of something in this nodegroup that came by reference; does not wait."""
        kind, _, name = reference.target.partition(":")
        node, _, port = name.partition("/")
        if kind == "group":
            return self
        if kind in ("input", "output") and node in self._nodes:
            handle = self._nodes[node]
            return (handle.inputs if kind == "input" else handle.outputs)[port]
        if kind == "node" and node in self._nodes:
            return self._nodes[node]
        return self.link.keep(reference) if kind == "object" else distant(reference, self._locate)

    def _locate(self, reference: Reference) -> Link:
        return self.link

    def _meet(self, reference: Reference) -> Any:
        for group in [self, *self.host.manager.list_nodegroups()]:
            if group.public_key == reference.public_key:
                return group.handle_of(reference)
        raise UnknownName(f"{reference.where} belongs to no nodegroup of this manager")

    def _pyacq_reference_(self) -> Reference:
        return self.reference("group", self.where, "nodegroup")

    def reachable(self, address: StreamAddress) -> StreamAddress:
        """Address as other machines see it."""
        return StreamAddress(
            self.host.reachable_endpoint(address.endpoint), address.public_key, address.node, address.port
        )
