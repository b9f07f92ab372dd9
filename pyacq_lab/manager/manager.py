"""The manager: one per application, in the notebook's kernel."""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import platform
import secrets
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from pyacq_lab.errors import AuthenticationError, ConfigurationError, LifecycleError, PyacqError, UnknownName
from pyacq_lab.manager import commands, freenames, snapshot
from pyacq_lab.manager.groups import NodeGroupHandle
from pyacq_lab.manager.hosts import HostHandle
from pyacq_lab.manager.localgroup import LocalNode, LocalNodeGroup
from pyacq_lab.manager.localhost import LocalHost
from pyacq_lab.manager.logfilter import When
from pyacq_lab.manager.logfolder import open_log_store
from pyacq_lab.manager.logrecords import LogRecords
from pyacq_lab.manager.logserver import LogServer
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.manager.nodes import NodeHandle
from pyacq_lab.manager.rehearsal import Rehearsal, rehearse
from pyacq_lab.manager.rigs import RigTeller
from pyacq_lab.manager.sigterm import OrderlyEnd
from pyacq_lab.model.closing import Closing
from pyacq_lab.model.graph import Edge
from pyacq_lab.model.rig import Rig
from pyacq_lab.model.status import HostStatus, ManagerStatus
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keyring import Keyring, split_host_key
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.logs import LogOrigin
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.sockets import parse_endpoint

log = logging.getLogger(__name__)


class Manager(Closing):
    """Central point of control: connects hosts, makes nodegroups and nodes, gathers what they say.

    Use `create_manager`; an application has one manager. All methods may be called from any thread but
    the receiving one. It is a context manager, and closes itself when the interpreter ends.

    Parameters
    ----------
    keyring : Keyring, optional
        Key files of the user.
    store : LogStore, optional
        Where log records are kept; in memory and in a folder of their own on disk unless given.
    lease : float
        Seconds for which hosts keep our nodegroups without a sign of life from us.
    application_keys : KeyPair, optional
        By which the application's processes know each other; new ones unless given.

    Attributes
    ----------
    log_server : LogServer
        What every process said, in order.
    rigs : RigTeller
        What tells recorders of the set-up.
    """

    def __init__(
        self,
        *,
        keyring: Keyring | None = None,
        store: LogStore | None = None,
        lease: float = 30.0,
        application_keys: KeyPair | None = None,
    ) -> None:
        check_lease(lease)
        self.lease = lease
        self.id = secrets.token_hex(8)
        self._keyring = keyring or Keyring()
        self.user_keys = self._keyring.user()
        self.application_keys = application_keys or KeyPair.generate()
        self.clock = SystemClock()
        self.reactor = Reactor()
        origin = LogOrigin(host=platform.node(), process="manager")
        store = open_log_store() if store is None else store
        self.log_server = LogServer(self.reactor, self.application_keys, self.clock, origin, store=store)
        self.log_server.capture_own()
        if store.disk_error:
            log.error("log records do not go to disk, only to memory: %s", store.disk_error)
        self._hosts: dict[str, HostHandle] = {}
        self._local_groups: list[LocalNodeGroup] = []
        self._local: LocalHost | None = None
        self._default_group: NodeGroupHandle | None = None
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._last_known: dict[str, HostStatus] = {}
        self.rigs = RigTeller(self)
        self.closed = False
        self._ended = False
        self._pid = os.getpid()
        self._closing = threading.RLock()
        atexit.register(self.close)
        self._orderly_end = OrderlyEnd()

    def __repr__(self) -> str:
        if self.closed:
            return "<manager: closed>"
        groups = sum(len(h.groups) for h in self._hosts.values())
        return f"<manager: {len(self._hosts)} hosts, {groups} nodegroups>"

    # --- hosts

    def add_host(self, endpoint: str, key: str | None = None) -> HostHandle:
        """Connect to a host server.

        Parameters
        ----------
        endpoint : str
            Where it listens, ``tcp://IP:PORT``.
        key : str, optional
            What ``pyacq-lab host`` printed there: its public key, with the one-time pairing token behind
            it the first time. Not needed again on this machine, nor for hosts that run under the same
            user on this machine.

        Returns
        -------
        HostHandle

        Raises
        ------
        ConfigurationError
            The endpoint has another form.
        HostUnreachable
            Nothing answers there.
        AuthenticationError
            A key is missing, malformed, or refused by either side.
        VersionMismatch
            The host runs another version of the protocol.
        """
        self._check_open()
        parse_endpoint(endpoint)
        for host in self._hosts.values():
            if host.endpoint == endpoint and host.client.connected:
                if key is not None and split_host_key(key)[0] != host.public_key:
                    raise AuthenticationError(
                        f"host {host.name!r} at {endpoint} has another key than the one given"
                    )
                return host
        public_key, token = self._host_key(endpoint, key)
        host = HostHandle(self, endpoint, public_key, token)
        self._keyring.remember_host(endpoint, public_key)
        self._hosts[host.name] = host
        return host

    def get_host(self, name: str) -> HostHandle:
        """Host of a name or endpoint. Raises UnknownName."""
        for host in self._hosts.values():
            if name in (host.name, host.endpoint):
                return host
        raise UnknownName(f"no host {name!r} is connected (connected: {', '.join(self._hosts) or 'none'})")

    def list_hosts(self) -> list[HostHandle]:
        """All connected hosts, in the order in which they were added."""
        return list(self._hosts.values())

    def disconnect_host(self, host: HostHandle | str) -> None:
        """End this manager's nodegroups on a host and close the connection; the host server goes on."""
        handle = self.get_host(host) if isinstance(host, str) else host
        self._hosts.pop(handle.name, None)
        handle.disconnect()

    @property
    def default_host(self) -> HostHandle:
        """The manager's own host, on this machine; started when it is first needed."""
        self._check_open()
        with self._lock:
            if self._local is not None:
                listed = self._local_handle in self._hosts.values()
                if listed and self._local.alive:
                    return self._local_handle
                if listed:
                    self.disconnect_host(self._local_handle)
                self._local.close()
                self._local = None  # also where the next one does not start
            self._local = LocalHost()
            self._local_handle = self.add_host(self._local.endpoint, self._local.key)
            self._local_handle.is_own = True
            return self._local_handle

    def standing_host(self, host: HostHandle) -> HostHandle:
        """Give the host, or where it was the manager's own and has ended, the one that takes its place."""
        return self.default_host if host.is_own else host

    # --- nodegroups

    def create_nodegroup(
        self, name: str | None = None, host: HostHandle | str | None = None, **options: Any
    ) -> NodeGroupHandle:
        """Start a nodegroup on a host, the default one unless given; see `HostHandle.create_nodegroup`."""
        self._check_open()
        handle = self.get_host(host) if isinstance(host, str) else host or self.default_host
        return handle.create_nodegroup(name, **options)

    @property
    def default_nodegroup(self) -> NodeGroupHandle:
        """A nodegroup on the default host, for nodes that ask for nothing else; started when first needed."""
        with self._lock:
            if self._default_group is None or not self._default_group.alive:
                self._default_group = self.create_nodegroup()
            return self._default_group

    def get_nodegroup(self, name: str) -> NodeGroupHandle:
        """Nodegroup of a name. Raises UnknownName."""
        groups = self.list_nodegroups()
        for group in groups:
            if group.name == name:
                return group
        known = ", ".join(g.name for g in groups) or "none"
        raise UnknownName(f"there is no nodegroup {name!r} (there are: {known})")

    def list_nodegroups(self) -> list[NodeGroupHandle]:
        """All nodegroups of all hosts."""
        return [group for host in self._hosts.values() for group in list(host.groups.values())]

    def close_all_nodegroups(self) -> None:
        """Close all nodegroups of all hosts; the hosts stay connected."""
        for group in self.list_nodegroups():
            group.close()

    # --- nodes

    def create_node(
        self,
        type_name: str,
        name: str | None = None,
        *,
        host: HostHandle | str | None = None,
        nodegroup: NodeGroupHandle | str | None = None,
    ) -> NodeHandle:
        """Make a node.

        Parameters
        ----------
        type_name : str
            Such as ``"SystemMonitor"``.
        name : str, optional
            Unique in the application; made up unless given.
        host : HostHandle or str, optional
            Start a nodegroup of its own for it there.
        nodegroup : NodeGroupHandle or str, optional
            Make it there; in the default nodegroup where neither is given.
        """
        if host is not None and nodegroup is not None:
            raise ConfigurationError("give a host (for a nodegroup of its own) or a nodegroup, not both")
        if isinstance(nodegroup, str):
            nodegroup = self.get_nodegroup(nodegroup)
        if nodegroup is None:
            nodegroup = self.default_nodegroup if host is None else self.create_nodegroup(host=host)
        return nodegroup.create_node(type_name, name)

    def list_nodes(self) -> list[NodeHandle | LocalNode]:
        """All nodes of all living nodegroups, and of this process."""
        groups = [*(g for g in self.list_nodegroups() if g.alive), *self._local_groups]
        return [group.get_node(name) for group in groups for name in group.list_nodes()]

    def get_node(self, name: str) -> NodeHandle | LocalNode:
        """Node of a name. Raises UnknownName."""
        nodes = self.list_nodes()
        for node in nodes:
            if node.name == name:
                return node
        known = ", ".join(n.where for n in nodes) or "none"
        raise UnknownName(f"there is no node {name!r} (there are: {known})")

    def remove_node(self, node: NodeHandle | LocalNode | str) -> None:
        """Close a node, given by its handle or name, and forget it. Raises UnknownName."""
        handle = self.get_node(node) if isinstance(node, str) else node
        handle.group.remove_node(handle.name)

    def start_all_nodes(self) -> None:
        """Initialise what is configured, then start what is ready: sinks before transforms before sources."""
        self.start_nodes(self.list_nodes())

    def stop_all_nodes(self) -> None:
        """Stop what runs: sources before transforms before sinks, so that nothing under way is lost."""
        self.stop_nodes(self.list_nodes())

    def start_nodes(self, nodes: Iterable[NodeHandle | LocalNode]) -> None:
        """Start some nodes, in the order of `start_all_nodes`."""
        commands.start(list(nodes), self.edges())

    def stop_nodes(self, nodes: Iterable[NodeHandle | LocalNode]) -> None:
        """Stop some nodes, in the order of `stop_all_nodes`."""
        commands.stop(list(nodes), self.edges())

    def emergency_stop(self) -> dict[str, list[str]]:
        """Ask every running node to stop, at once, those in nodegroups over the control lanes.

        Returns
        -------
        dict of str to list of str
            For each nodegroup, the nodes that were told; an unreachable one is named with its reason.
        """
        return commands.emergency_stop([*self.list_nodegroups(), *self._local_groups])

    def replay_run(
        self,
        path: str | Path,
        *,
        speed: float = 1.0,
        realtime: bool = True,
        nodegroup: NodeGroupHandle | LocalNodeGroup | None = None,
        keep_groups: bool = False,
        skip: Iterable[str] = (),
        node_types: Iterable[type | bytes] = (),
        record: str | Path | None = None,
        segment: int | None = None,
    ) -> Rehearsal:
        """Build the graph of a recorded run again, its sources played from the run, to rehearse an analysis.

        All sources are one `Replay`, so that streams begin together and keep their delays. Transforms and
        sinks are made anew with the settings and connections that they had; recorders are left out unless
        ``record`` says where they are to write.

        Parameters
        ----------
        path : str or Path
            The run folder, as both this process and the nodegroup find it.
        speed, realtime : float, bool
            As of `Replay`: times the true speed; not realtime: as fast as the nodes can.
        nodegroup : NodeGroupHandle or LocalNodeGroup, optional
            Where the nodes are made; unless given, in a new nodegroup on the default host.
        keep_groups : bool
            Make a nodegroup for each that there was, on its host where that is connected, else on the default
            host. The replay is on the default host.
        skip : iterable of str
            Names of nodes that are not made. What others read of them is played from the run.
        node_types : iterable of type
            Classes that were defined in a notebook, to be registered first.
        record : str or Path, optional
            Run folder of the recorder; of several recorders, each adds its name to it.
        segment : int, optional
            Which start of the streams, where there were several.

        Returns
        -------
        Rehearsal
            With its nodes; `Rehearsal.start` begins.

        Raises
        ------
        ConfigurationError
            The run does not say what made it, or nodes cannot be made again. All that is known beforehand is
            named at once, before anything is made.
        """
        self._check_open()
        return rehearse(
            self,
            path,
            speed=speed,
            realtime=realtime,
            nodegroup=nodegroup,
            keep_groups=keep_groups,
            skip=skip,
            node_types=node_types,
            record=record,
            segment=segment,
        )

    # --- questions

    def edges(self) -> list[Edge]:
        """All connections of all nodes."""
        groups = [*(g for g in self.list_nodegroups() if g.alive), *self._local_groups]
        return [edge for group in groups for edge in group.edges()]

    def graph(self) -> dict[str, Any]:
        """Connectivity of all nodes and streams as plain data.

        Returns
        -------
        dict
            ``nodes``: list of dicts (``name``, ``type``, ``host``, ``nodegroup``, ``state``), where the
            ``host`` of those in this process is ``notebook``;
            ``edges``: list of ``(source, target, {"output": ..., "input": ...})``, as networkx takes it.
        """
        groups = [*(g for g in self.list_nodegroups() if g.alive), *self._local_groups]
        return snapshot.graph(groups, self.edges())

    def rig(self) -> Rig:
        """The set-up as plain data: hosts, nodegroups, nodes with their settings, and streams.

        As `Recorder` keeps it in ``run.json``. A nodegroup that does not answer is left out, with a warning.
        """
        return self.rigs.rig()

    def status(self) -> ManagerStatus:
        """Snapshot of all hosts, nodegroups and nodes; who does not answer is named, not waited for."""
        hosts, here = self.list_hosts(), list(self._local_groups)
        return snapshot.status(hosts, here, self._last_known, self.clock.now_ns())

    @property
    def log_folder(self) -> Path | None:
        """Where all log records lie on disk, one JSON object per line; None where they do not."""
        return self.log_server.store.folder

    def logs(
        self,
        *,
        level: int | str | None = None,
        source: str | NodeGroupHandle | HostHandle = "",
        node: str = "",
        logger: str = "",
        contains: str = "",
        pid: int | None = None,
        since: When | None = None,
        until: When | None = None,
        limit: int | None = None,
    ) -> LogRecords:
        """Find what was said: all records in memory that match, oldest first.

        Parameters
        ----------
        level : int or str, optional
            Lowest level, by number or name; all unless given.
        source, node, logger : str
            Part of ``host/process``, of the node's and of the logger's name, in any case of letters.
            ``source`` takes the handle of a nodegroup or host, too.
        contains : str
            Part of the message, the traceback, the logger's or the thread's name, or of an extra field.
        pid : int, optional
            Process id.
        since, until : datetime, timedelta or int, optional
            Earliest and latest time: a `datetime` (local time unless it says), a `timedelta` for so long
            ago, or ns since 1970 UTC.
        limit : int, optional
            How many at most, the newest; all unless given. How many earlier ones match, the list says.

        Returns
        -------
        LogRecords
            A list, of which `pandas.DataFrame` makes a table, and whose ``export`` writes a file.

        Raises
        ------
        ConfigurationError
            No level has this name, or something else is not as above.
        """
        return self.log_server.query(
            limit, level=level, source=source, node=node, logger=logger,
            contains=contains, since=since, until=until, pid=pid,
        )  # fmt: skip

    def print_logs(self, stream: TextIO) -> Callable[[], None]:
        """Print log records from now on; returns what ends it."""
        return self.log_server.print_to(stream)

    # --- the end

    def close(self) -> None:
        """Close all nodegroups on all hosts, the manager's own host, the log server; idempotent."""
        if self._pid != os.getpid():
            return  # a fork of the manager's process has none of its threads, and nothing of it to close
        with self._closing:
            if not self._ended:
                self.closed = True  # refuses new work; where this is interrupted, the next close goes on
                self._close()
                self._ended = True

    def _close(self) -> None:
        self.rigs.close()
        for group in list(self._local_groups):
            group.close()
        for host in self.list_hosts():
            try:
                host.disconnect(stop_host=self._local is not None and host is self._local_handle)
            except PyacqError:
                log.exception("host %s could not be closed cleanly", host.name)
        self._hosts.clear()
        if self._local is not None:
            self._local.close()
        self.log_server.close()
        self.reactor.close()
        atexit.unregister(self.close)
        self._orderly_end.uninstall()

    # --- for handles

    def free_group_name(self, name: str | None) -> str:
        """Name for a new nodegroup; see `freenames.group`."""
        here = {group.name for group in self._local_groups}
        return freenames.group(self.list_nodegroups(), name, self._numbers, here)

    def free_local_name(self, name: str | None) -> str:
        """Name for a new group of nodes in this process; see `freenames.local`."""
        self._check_open()
        alive = {group.name for group in self.list_nodegroups() if group.alive}
        return freenames.local(alive | {group.name for group in self._local_groups}, name)

    def free_node_name(self, type_name: str, name: str | None) -> str:
        """Name for a new node; see `freenames.node`."""
        return freenames.node([*self.list_nodegroups(), *self._local_groups], type_name, name)

    def adopt_local(self, group: LocalNodeGroup) -> None:
        """Know a group of nodes in this process; see `LocalNodeGroup`."""
        self._check_open()
        self._local_groups.append(group)

    def local_groups(self) -> list[LocalNodeGroup]:
        """Groups of nodes in this process."""
        return list(self._local_groups)

    def forget_local(self, group: LocalNodeGroup) -> None:
        """Forget a group of nodes in this process: it is closed."""
        if group in self._local_groups:
            self._local_groups.remove(group)

    def free_host_name(self, name: str) -> str:
        """Name for a new host; see `freenames.host`."""
        return freenames.host(self._hosts, name)

    def _host_key(self, endpoint: str, key: str | None) -> tuple[str, str | None]:
        if key is not None:
            return split_host_key(key)
        known = self._keyring.known_host(endpoint)
        if known is None:
            raise AuthenticationError(
                f"the host at {endpoint} was never added before: "
                "give key=..., as `pyacq-lab host` prints it there"
            )
        return known, None

    def _check_open(self) -> None:
        if self._pid != os.getpid():
            raise LifecycleError(
                "this process is a fork of the manager's, with none of its threads: make no calls from here, "
                "or start processes by 'spawn'"
            )
        if self.closed:
            raise LifecycleError("this manager is closed: make another with create_manager()")


def check_lease(lease: float) -> None:
    """Raise ConfigurationError where a lease, s, is out of range."""
    if not 0.5 <= lease <= 86_400:
        raise ConfigurationError(f"lease={lease!r}: wanted 0.5 s to a day")
