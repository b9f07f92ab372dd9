"""Handles of nodegroups."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from pyacq_lab.errors import ConfigurationError, LifecycleError, ProcessDied, UnknownName
from pyacq_lab.kernel.client import KernelClient, RunResult
from pyacq_lab.manager.connectionfile import ConnectionFile
from pyacq_lab.manager.lastwords import LastWordsHeard
from pyacq_lab.manager.logfilter import Wanted
from pyacq_lab.manager.logrecords import LogRecords
from pyacq_lab.manager.nodes import NodeHandle
from pyacq_lab.model.graph import Edge
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.loglevels import check_level, check_logger_name
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.remote import NodeInfo, Reference, Spawned
from pyacq_lab.model.roles import Sink, Source, Transform
from pyacq_lab.model.status import GroupStatus, NodeStatus, PostMortem
from pyacq_lab.model.stream import StreamAddress
from pyacq_lab.remote.byvalue import pickle_by_value
from pyacq_lab.remote.links import Link, distant
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.wire.messages import (
    DumpStacks,
    GroupState,
    InterruptGroup,
    KernelConnection,
    SetLogLevel,
    SignalGroup,
    Spawn,
    StopAll,
    StopGroup,
)

if TYPE_CHECKING:
    from pyacq_lab.manager.hosts import HostHandle

log = logging.getLogger(__name__)

LAST_WORDS = 200
"""Lines in a post-mortem."""


class NodeGroupHandle:
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

    def __init__(self, host: HostHandle, spawned: Spawned, request: Spawn | None = None) -> None:
        self.host = host
        self.name = spawned.name
        self.reactor = host.manager.reactor
        self.application_keys = host.manager.application_keys
        self.log_source = self.where
        self._request = request
        self._registered: dict[str, tuple[Any, ...]] = {}  # by the type's name: the call that registered it
        self._log_levels: dict[str, SetLogLevel] = {}
        self._pids: set[int] = set()
        self._at_work: set[KernelClient] = set()
        self._connection_file: ConnectionFile | None = None
        self._file_lock = threading.Lock()
        self._set_up(spawned)

    def _set_up(self, spawned: Spawned) -> None:
        host, reactor, application_keys = self.host, self.reactor, self.application_keys
        self.pid = spawned.pid
        self._pids.add(spawned.pid)
        self.ending = ""
        self._post_mortem: PostMortem | None = None
        self._last_words: LastWordsHeard | None = None
        self._nodes: dict[str, NodeHandle] = {}
        self.log_endpoint = host.reachable_endpoint(spawned.log_endpoint)
        self.public_key = spawned.public_key
        self.link = Link(
            reactor,
            host.reachable_endpoint(spawned.endpoint),
            spawned.public_key,
            keys=application_keys,
            where=self.where,
            meet=self._meet,
        )
        self.client: RpcClient = self.link.client
        self._target = self.link.target("group", self.where)

    @property
    def where(self) -> str:
        """Its place, as ``host/nodegroup``."""
        return f"{self.host.name}/{self.name}"

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

    def get_node(self, name: str) -> NodeHandle:
        """Handle of a node. Raises UnknownName."""
        if name not in self._nodes:
            self._nodes[name] = NodeHandle(self, self._target.call("describe_node", name))
        return self._nodes[name]

    def remove_node(self, node: NodeHandle | str) -> None:
        """Close a node and forget it."""
        name = node if isinstance(node, str) else node.name
        self._target.call("remove_node", name)
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
        return self.client.call(GroupState(), 5.0)

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

    def run(
        self,
        code: str,
        on_output: Callable[[dict[str, Any]], None] | None = None,
        *,
        _timeout: float | None = None,
    ) -> RunResult:
        """Run code in its kernel's main thread and wait for it.

        Nodes and the control lane go on meanwhile. ``nodegroup`` and ``nodes`` are known to the code.

        Parameters
        ----------
        code : str
            What a cell could hold.
        on_output : callable, optional
            Takes each output, as in a notebook file, as it comes.
        _timeout : float, optional
            Seconds to wait; as long as it takes unless given, for a cell may take its time.

        Raises
        ------
        CallTimeout
            The code has not ended in time; it still runs: see `interrupt`.
        """
        if not isinstance(code, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"run wants code as text; {code!r} came")
        client = KernelClient(self.kernel_connection())
        self._at_work.add(client)
        try:
            if self.ending:
                client.tell_died(self.ending)
            return client.run(code, on_output=on_output, timeout=_timeout)
        finally:
            self._at_work.discard(client)
            client.close()

    def kernel_connection(self) -> dict[str, Any]:
        """Jupyter connection information of its kernel, keys included: whoever has it can run code there."""
        info = self.host.client.call(KernelConnection(self.name))
        if info is None:
            raise ProcessDied(f"{self.where} has no kernel: {self.ending}")
        return {**info, "ip": self.host.reachable_ip(info["ip"])}

    def kernel_connection_file(self) -> Path:
        """File by which other Jupyter clients attach to its kernel: ``pyacq-lab console FILE``.

        It lies in Jupyter's runtime folder of the manager's machine, can be read by this user only, and is
        removed when the nodegroup ends or is let go of. Whoever reads it can run code over there.

        Returns
        -------
        Path
            The same one at each call.

        Raises
        ------
        LifecycleError
            The nodegroup has ended.
        """
        info = self.kernel_connection()
        with self._file_lock:
            if self._connection_file is None:
                self._connection_file = ConnectionFile(self.name, info)
            file = self._connection_file
        if self.ending:  # meanwhile: nobody else will remove it
            self._remove_connection_file()
            self.check_alive()
        return file.path

    def _remove_connection_file(self) -> None:
        with self._file_lock:
            file, self._connection_file = self._connection_file, None
        if file is not None:
            file.remove()

    def interrupt(self) -> None:
        """Interrupt the cell that runs in its kernel; nodes go on."""
        self.host.client.call(InterruptGroup(self.name))

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
        """Close its nodes and end its process tree within ``grace`` seconds; idempotent."""
        if self.ending:
            self.host.forget(self)
            return
        status: GroupStatus = self.host.client.call(StopGroup(self.name, grace), grace + 20.0)
        # The answer may be heard before the event that tells the same, and nobody hears for us afterwards.
        found = self._post_mortem or self.host.post_mortem(self.name)
        self.mark_ended(status.ending or "ended", found)
        self.host.forget(self)

    def kill(self) -> None:
        """End its process tree at once, without closing anything."""
        self.close(grace=0.0)

    def signal(self, signum: int) -> None:
        """Send a signal to its process, and to no other of its tree."""
        self.host.client.call(SignalGroup(self.name, signum))

    def logs(self, limit: int | None = None, **wanted: Unpack[Wanted]) -> LogRecords:
        """Find what this process said, also after its end; keywords as in `Manager.logs`.

        After a `restart` the words of the earlier process are found, too: ``pid`` tells them apart. Those of
        another manager's nodegroup of the same name are not; `Manager.logs` has them.
        """
        logs = self.host.manager.log_server
        return logs.query(limit, pids=frozenset(self._pids), **{**wanted, "process": self.name})

    @property
    def post_mortem(self) -> PostMortem | None:
        """How its process ended, with its last words; None while it runs.

        Where its host is gone, too, it says so; how the process itself ended is not known then.

        The last words are what it printed, then what it wrote by descriptor. What it logged as well is
        found by `logs`.
        """
        found = self._post_mortem
        if found is None:
            return None
        said = self.logs(limit=LAST_WORDS)
        printed = [
            r.message
            for r in said
            if r.pid == found.pid and r.channel == "process" and r.stream in ("stdout", "stderr")
        ]
        return msgspec.structs.replace(found, output=(*printed, *found.output)[-LAST_WORDS:])

    def restart(self, grace: float = 5.0) -> None:
        """Start its process again, with the same name, interpreter, folder, environment and node types.

        Where it still runs, it is closed first. Where the manager's own host has ended, it is started on the
        one that takes its place. Its nodes are gone with the old process, and their
        handles refuse all calls: make and connect nodes anew.

        Raises
        ------
        LifecycleError
            It was not started by this manager, so that its configuration is not known here; or another
            nodegroup has its name by now.
        ProcessDied
            The new process ended before it was ready; the message holds its last words.
        """
        if self._request is None:
            raise LifecycleError(f"{self.where} was started by somebody else: start a new nodegroup")
        manager = self.host.manager
        if any(g.alive and g.name == self.name and g is not self for g in manager.list_nodegroups()):
            raise LifecycleError(
                f"another nodegroup has the name {self.name!r} by now: close that, or start a new one by "
                "another name"
            )
        lost = list(self._nodes)
        host = manager.standing_host(self.host)
        if host is self.host:
            self.close(grace)
        else:
            self.mark_gone(f"ended with its host {self.host.name}, which is gone")
        self.host.forget(self)
        self.host, self.log_source = host, f"{host.name}/{self.name}"
        self._request = msgspec.structs.replace(self._request, token=secrets.token_hex(8))
        self._set_up(self.host.spawn(self._request))
        self.host.adopt(self)
        for call in self._registered.values():
            self._target.call(*call)
        if lost:
            log.warning("%s was started again without its nodes: make %s anew", self.where, ", ".join(lost))

    def connect(self) -> None:
        """Connect to its process, and have its words heard. Called once for each process."""
        try:
            self.client.wait_connected()
            for message in self._log_levels.values():
                self.client.call(message, 5.0)
            logs = self.host.manager.log_server
            logs.connect(self.log_endpoint, self.public_key, self.log_source, self.host.name)
        except BaseException as error:
            self.release()
            if self.ending:
                raise ProcessDied(f"{self.where} ended as soon as it was ready: {self.ending}") from error
            raise

    def mark_ended(self, ending: str, post_mortem: PostMortem | None = None) -> None:
        """Note that its process is gone: open calls fail now, later calls at once; any thread."""
        self._post_mortem = post_mortem or self._post_mortem
        with self._file_lock:
            if post_mortem is not None and self._last_words is None:
                self._last_words = self._hear_last_words()
        self.ending = ending
        self.client.fail(f"{self.where} has ended: {ending}")
        for client in list(self._at_work):
            client.tell_died(f"{self.where} has ended: {ending}")
        self._remove_connection_file()

    def mark_gone(self, why: str) -> None:
        """Note that its process is gone and its host cannot tell: the log says so under its name; any thread.

        Does nothing where its end is known.
        """
        manager, host = self.host.manager, self.host
        now_ns = manager.clock.now_ns() + host.clock.offset_ns
        with self._file_lock:
            if self.ending or self._post_mortem is not None:
                return
            self._post_mortem = PostMortem(name=self.name, pid=self.pid, time_ns=now_ns, description=why)
        manager.log_server.add(
            LogRecord(
                time_ns=now_ns,
                host=host.name,
                process=self.name,
                pid=self.pid,
                channel="manager",
                logger="pyacq_lab.manager",
                level=logging.CRITICAL,
                message=f"nodegroup {self.name} {why}",
            )
        )
        self.mark_ended(why)

    def _hear_last_words(self) -> LastWordsHeard:
        client, logs = self.host.client, self.host.manager.log_server
        return LastWordsHeard(client, logs, self.name, self.pid, self.log_source, self.host.name)

    def hear_rest(self) -> None:
        """Ask once more for what its ended process had said, where the connection was lost meanwhile."""
        with self._file_lock:
            if self._last_words is not None and self._last_words.cut_off:
                self._last_words = self._hear_last_words()

    def hear_out(self, timeout: float | None = None) -> bool:
        """Wait for what its ended process had said, as long as its host goes on to tell it.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether all of it has been heard.
        """
        if self._last_words is None:
            return False
        try:
            return self._last_words.all.result(timeout)
        except TimeoutError:
            return False

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

    def check_alive(self) -> None:
        """Raise LifecycleError where its process is gone."""
        if not self.alive:
            raise LifecycleError(f"{self.where} has ended: {self.ending}")
