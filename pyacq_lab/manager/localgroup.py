"""Nodes in the notebook's own process, with the verbs of those in nodegroups."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from pyacq_lab.errors import ConfigurationError, LifecycleError
from pyacq_lab.manager import commands
from pyacq_lab.manager.nodelook import NodeLook
from pyacq_lab.model.closing import Closing
from pyacq_lab.model.graph import Edge
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.names import check_name
from pyacq_lab.model.rig import GroupParts
from pyacq_lab.model.status import NodeStatus
from pyacq_lab.model.stream import StreamAddress
from pyacq_lab.node.context import NodeContext
from pyacq_lab.node.group import NodeGroup
from pyacq_lab.node.node import Node
from pyacq_lab.remote.objects import RemoteObject
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor

if TYPE_CHECKING:
    from pyacq_lab.manager.manager import Manager


class LocalNodeGroup(Closing):
    """Nodes in this very process: for debugging, for what must share memory with the notebook, for tests.

    It has the verbs of a `NodeGroupHandle` that concern nodes. Its nodes are wired to those of nodegroups as
    these are to each other, if both are of one manager. They share the interpreter with the notebook's cells:
    what keeps one busy holds up the other, and nothing outlives the notebook.

    Parameters
    ----------
    manager : Manager, optional
        With whose nodegroups its nodes can be wired; it closes this with itself. Without one they can be
        wired to each other.
    name : str, optional
        What places are called by, unique among its manager's nodegroups; ``here``, with a number where
        that is taken, unless given.
    interface : str
        IP address of this machine at which nodes on other hosts reach its outputs; this machine only unless
        given.

    Raises
    ------
    ConfigurationError
        The name is none, or taken; or the manager is in a process of its own.

    Examples
    --------
    >>> with LocalNodeGroup() as here:
    ...     generator = here.create_node("SignalGenerator", "generator")
    ...     generator.configure(sample_rate=1000.0)
    ...     generator.state
    <State.CONFIGURED: 'configured'>
    """

    def __init__(
        self, manager: Manager | None = None, name: str | None = None, interface: str = "127.0.0.1"
    ) -> None:
        if isinstance(manager, RemoteObject):
            raise ConfigurationError(
                "a LocalNodeGroup wants a manager in its own process, and this one is in another: make it by "
                "create_manager() without mode='rpc', or leave it out and read streams by node.output.open()"
            )
        name = (
            manager.free_local_name(name) if manager is not None else check_name(name or "here", "nodegroup")
        )
        self.name = name
        self.manager = manager
        self._own_reactor = Reactor("pyacq-local") if manager is None else None
        self.reactor: Reactor = manager.reactor if self._own_reactor is None else self._own_reactor  # pyright: ignore[reportOptionalMemberAccess]
        self.application_keys = KeyPair.generate() if manager is None else manager.application_keys
        public = self.application_keys.public
        context = NodeContext(
            reactor=self.reactor,
            server_keys=KeyPair.generate(),
            client_keys=self.application_keys,
            allow=lambda key: key == public,
            interface=interface,
            clock=SystemClock(),
            on_change=self._note_change,
        )
        self._group = NodeGroup(name, context)
        self._handles: dict[str, LocalNode] = {}
        self._closed = False
        if manager is not None:
            manager.adopt_local(self)

    def __repr__(self) -> str:
        return repr(self._group)

    @property
    def alive(self) -> bool:
        """Whether it is not closed."""
        return not self._closed

    @property
    def where(self) -> str:
        """Its place, as errors name it."""
        return f"notebook/{self.name}"

    @property
    def known_nodes(self) -> list[str]:
        """Names of its nodes."""
        return self._group.list_nodes()

    def known_handles(self) -> list[LocalNode]:
        """Handles of those nodes."""
        return list(self._handles.values())

    def create_node(self, type_name: str, name: str | None = None) -> LocalNode:
        """Make a node of a known type; see `list_node_types`. Its name is unique in the application."""
        if self._closed:
            raise LifecycleError(f"{self.where} is closed: make another")
        if self.manager is not None:
            name = self.manager.free_node_name(type_name, name)
        node = self._group.make_node(type_name, name)
        handle = self._handles[node.name] = LocalNode(self, node)
        return handle

    def get_node(self, name: str) -> LocalNode:
        """Handle of a node. Raises UnknownName."""
        self._group.node(name)
        return self._handles[name]

    def remove_node(self, node: LocalNode | str) -> None:
        """Close a node and forget it."""
        name = node if isinstance(node, str) else node.name
        self._group.remove_node(name)
        self._handles.pop(name, None)

    def list_nodes(self) -> list[str]:
        """Names of its nodes."""
        return self._group.list_nodes()

    def list_node_types(self) -> list[str]:
        """Names of the node types that can be made here."""
        return self._group.list_node_types()

    def settings_schema(self, type_name: str) -> dict[str, Any]:
        """JSON schema of the settings of a node type; as `NodeGroupHandle.settings_schema`."""
        return self._group.settings_schema(type_name)

    def register_node_type(self, node_type: type) -> str:
        """Add a class, such as one of a cell; returns the type's name."""
        return self._group.register(node_type)

    def register_node_type_from_module(self, module: str, classname: str) -> str:
        """Import a module and add one of its classes; returns the type's name."""
        return self._group.register_node_type_from_module(module, classname)

    def start_all_nodes(self) -> None:
        """Start all its nodes; see `Manager.start_all_nodes` for the order."""
        commands.start(list(self._handles.values()), self.edges())

    def stop_all_nodes(self) -> None:
        """Stop all its nodes; see `Manager.stop_all_nodes` for the order."""
        commands.stop(list(self._handles.values()), self.edges())

    def any_node_running(self) -> bool:
        """Whether one of its nodes runs."""
        return self._group.any_node_running()

    def statuses(self) -> list[NodeStatus]:
        """Snapshot of every node."""
        return self._group.statuses()

    def node_status(self, name: str) -> NodeStatus:
        """Snapshot of one node. Raises UnknownName."""
        return self._group.node(name).status()

    def parts(self) -> GroupParts:
        """Nodes and their connections, for the record."""
        return self._group.parts()

    def edges(self) -> list[Edge]:
        """Connections of its nodes."""
        return self._group.edges()

    def request_stop_all(self) -> list[str]:
        """Ask every running node to stop, without waiting; returns their names."""
        return self._group.request_stop_all()

    def close(self) -> None:
        """Close its nodes; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._group.close()
        if self.manager is not None:
            self.manager.forget_local(self)
        if self._own_reactor is not None:
            self._own_reactor.close()

    def _note_change(self, node: Node[Any]) -> None:
        if self.manager is not None:
            self.manager.rigs.note(self)

    # --- for handles of ports

    def reachable(self, address: StreamAddress) -> StreamAddress:
        """Address as others see it."""
        return address

    def reference(self, target: str, where: str, kind: str) -> NoReturn:
        """Refuse: what is here cannot be passed to calls elsewhere; only streams lead there."""
        raise ConfigurationError(
            f"{where} is in the notebook's process and cannot be passed to calls in nodegroups; "
            "connect their ports from here"
        )

    def _pyacq_reference_(self) -> NoReturn:
        self.reference("group", self.where, "nodegroup")


class LocalNode(NodeLook):
    """A node in this process, with the verbs of a `NodeHandle`; calls are plain calls, one at a time.

    Attributes
    ----------
    group : LocalNodeGroup
        Where it lives.
    node : Node
        The node itself; ``node.component`` is the object of its class.
    inputs, outputs : Mapping
        Its ports, by name.
    """

    def __init__(self, group: LocalNodeGroup, node: Node[Any]) -> None:
        self.group = group
        self.node = node
        self._make_ports()
        self.__doc__ = node.component_type.__doc__
        self._turn = threading.RLock()

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name

    @property
    def where(self) -> str:
        """The node's place."""
        return f"{self.group.where}/{self.name}"

    @property
    def state(self) -> State:
        """Where the node is in its life."""
        return self.node.state

    @property
    def wants_rig(self) -> bool:
        """As of `Sink`."""
        return getattr(self.node.component_type, "wants_rig", False)

    def start(self) -> None:
        """Open the component and run; as `Node.start`. A recorder is told of the set-up first."""
        if self.wants_rig and self.group.manager is not None:
            self.group.manager.rigs.before_start(self)
        with self._turn:
            self.node.start()

    def stop(self) -> None:
        """Stop, after what was under way has been dealt with; as `Node.stop`. A recorder is told first."""
        if self.wants_rig and self.group.manager is not None:
            self.group.manager.rigs.before_stop(self)
        with self._turn:
            self.node.stop()

    def status(self) -> NodeStatus:
        """Snapshot of the node."""
        return self.node.status()

    def call(
        self, method: str, /, *args: Any, _sync: Literal["sync", "async"] = "sync", **kwargs: Any
    ) -> Any:
        """Call a public method by name; ``_sync="async"`` gives a future of it."""
        found = getattr(self, method)
        if _sync == "sync":
            return found(*args, **kwargs)
        future: Future[Any] = Future()
        threading.Thread(
            target=_fulfil, args=(future, partial(found, *args, **kwargs)), name=f"call {method}"
        ).start()
        return future

    def _pyacq_reference_(self) -> Any:
        return self.group.reference(f"node:{self.name}", self.where, self._type_name)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            for owner in (self.node, self.node.component):
                if owner is not None and hasattr(owner, name):
                    return self._in_turn(getattr(owner, name))
        raise AttributeError(
            f"{self.__dict__.get('node', self)!r} has no public attribute or method {name!r}"
        )

    def __dir__(self) -> list[str]:
        public = {n for n in (*dir(self.node), *dir(self.node.component)) if not n.startswith("_")}
        return sorted({*super().__dir__(), *public})

    @property
    def _type_name(self) -> str:
        return self.node.component_type.__name__

    def _in_turn(self, value: Any) -> Any:
        if not callable(value):
            return value

        @wraps(value)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._turn:
                return value(*args, **kwargs)

        return call


def _fulfil(future: Future[Any], function: Any) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # whoever waits for it is told
        future.set_exception(error)
