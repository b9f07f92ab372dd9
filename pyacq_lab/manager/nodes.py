"""Handles of remote nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyacq_lab.manager.nodelook import NodeLook
from pyacq_lab.manager.patience import Gate, PatientClient
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.remote import NodeInfo, Reference
from pyacq_lab.model.status import NodeStatus
from pyacq_lab.remote.calls import Target
from pyacq_lab.remote.links import Link
from pyacq_lab.remote.objects import Lookalike
from pyacq_lab.wire.values import Export

if TYPE_CHECKING:
    from pyacq_lab.manager.groups import NodeGroupHandle


class NodeChannel:
    """Way to the nodes of a nodegroup, whichever process they are in by now.

    Parameters
    ----------
    gate : Gate
        Where calls wait while that process is started again.

    Attributes
    ----------
    link : Link
        Connection to their present process.
    client : PatientClient
        What calls go by.
    """

    link: Link

    def __init__(self, gate: Gate) -> None:
        self.client = PatientClient(gate, lambda: self.link.client)

    @property
    def export(self) -> Export:
        """As of the link."""
        return self.link.export


class NodeHandle(NodeLook, Lookalike):
    """A node in a nodegroup: looks and behaves like the node, over there.

    Every public method of the node's class can be called on the handle, with tab completion, signature
    and docstring, and its public attributes can be read. Remote methods take three extra keywords:
    ``_sync`` ('sync', 'async', 'off'), ``_timeout`` (s) and ``_return_type`` ('auto', 'value', 'proxy').
    Handles and local functions may be passed to them.

    Attributes
    ----------
    group : NodeGroupHandle
        Where it lives.
    info : NodeInfo
        Name, type, role and methods.
    inputs, outputs : Mapping
        Its ports, by name.
    """

    _own = frozenset({"group", "info", "inputs", "outputs"})

    def __init__(self, group: NodeGroupHandle, info: NodeInfo) -> None:
        self._methods = {m.name: m for m in info.methods}
        self._target = Target(group.channel, f"node:{info.name}", f"{group.where}/{info.name}")
        self.group = group
        self.info = info
        self._make_ports()
        self.__doc__ = info.doc

    @property
    def name(self) -> str:
        """The node's name."""
        return self.info.name

    @property
    def where(self) -> str:
        """The node's place, as ``host/nodegroup/node``."""
        return f"{self.group.where}/{self.info.name}"

    @property
    def state(self) -> State:
        """Where the node is in its life."""
        return self.status().state

    @property
    def wants_rig(self) -> bool:
        """As of `Sink`."""
        return self.info.wants_rig

    def start(self, **options: Any) -> Any:
        """Open the component and run; as `Node.start`. A recorder is told of the set-up first."""
        return self.call("start", **options)

    def stop(self, **options: Any) -> Any:
        """Stop, after what was under way has been dealt with; as `Node.stop`. A recorder is told first."""
        return self.call("stop", **options)

    def status(self) -> NodeStatus:
        """Snapshot of the node; answered while its methods run and while a cell blocks the kernel.

        While its nodegroup is started again, this waits for that, as all calls do.
        """
        return self.group.node_status(self.name)

    def call(self, method: str, /, *args: Any, **options: Any) -> Any:
        """Call a public method by name; see `pyacq_lab.remote.calls.Target.call`."""
        if method == "start" and self.wants_rig:
            self.group.host.manager.rigs.before_start(self)
        elif method in ("stop", "close") and self.wants_rig:
            self.group.host.manager.rigs.before_stop(self)
        return self._target.call(method, *args, **options)

    def _pyacq_reference_(self) -> Reference:
        return self.group.reference(f"node:{self.name}", self.where, self.info.type)

    @property
    def _type_name(self) -> str:
        return self.info.type
