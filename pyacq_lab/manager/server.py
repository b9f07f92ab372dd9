"""Serves a manager to the notebook, where the two are different processes."""

from __future__ import annotations

from functools import partial
from typing import Any

from pyacq_lab.errors import UnknownName
from pyacq_lab.manager.hosts import HostHandle
from pyacq_lab.manager.logdoor import LogDoor
from pyacq_lab.manager.logrecords import LogRecords
from pyacq_lab.manager.manager import Manager
from pyacq_lab.manager.ports import PortHandle, Ports
from pyacq_lab.model.remote import Reference
from pyacq_lab.remote.serving import ObjectServer
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.rpc import Peer, RpcServer, Work
from pyacq_lab.wire.messages import Describe, ObjectRequest

WHERE = "manager"

BESIDE = frozenset(
    {
        *("close", "emergency_stop", "interrupt", "kill", "request_stop_all", "signal"),
        *(
            "dump_stacks",
            "log_piece",
            "logs",
            "print_log",
            "node_status",
            "run",
            "state",
            "status",
            "statuses",
        ),
    }
)
"""Methods and attributes that do not wait for earlier calls of the same handle, nor hold later ones up."""


class ManagerServer(ObjectServer):
    """Serves the requests of `wire.messages.ObjectRequest` to one client.

    Handles of hosts, nodegroups, nodes and ports stay here, and the client gets handles of them: what it
    asks of those goes through this process.

    Parameters
    ----------
    manager : Manager
        What is served.
    door : LogDoor
        Its log, for whoever follows it.
    client_key : str
        Public key of the only client that may connect.
    """

    def __init__(self, manager: Manager, door: LogDoor, client_key: str) -> None:
        self.keys = KeyPair.generate()
        super().__init__(manager.reactor, WHERE, self.keys.public, self._refuse)
        self._manager = manager
        self._door = door
        self.server = RpcServer(
            manager.reactor,
            "tcp://127.0.0.1:0",
            keys=self.keys,
            allow=lambda key: key == client_key,
            vocabulary=ObjectRequest,
            handler=self.handle,
            where=WHERE,
            works=True,
            adopt=self.adopt,
        )
        self.serve(self.server)

    def handle(self, message: Any, peer: Peer) -> Any:
        """Serve one request; whoever receives. Descriptions are asked of nodes, so they are work, too."""
        if isinstance(message, Describe):
            return Work(f"describe {message.target}", partial(self.describe, message.target))
        return super().handle(message, peer)

    def close(self) -> None:
        """Stop serving; idempotent."""
        super().close()
        self.server.close()

    def owners(self, target: str) -> list[Any]:
        """The manager, with the door to its log behind it, or an object."""
        return [self._manager, self._door] if target == "manager" else super().owners(target)

    def named(self, value: Any) -> Reference | None:
        """Only the manager has a name: the client cannot reach what handles stand for."""
        return Reference("", "", "manager", WHERE, "Manager") if value is self._manager else None

    def export(self, value: Any, routing_id: bytes) -> Reference:
        """Say of handles what they stand for."""
        return self.named(value) or self.exports.reference(value, routing_id, _place_of(value))

    def plain(self, value: Any) -> Any:
        """Records that were found travel as a list of records, with what is missing; see `found_there`."""
        return (list(value), value.earlier, value.forgotten) if isinstance(value, LogRecords) else value

    def must_stay(self, value: Any) -> bool:
        """Ports are a mapping, but of what is there when they are looked at."""
        return isinstance(value, Ports)

    def lane(self, target: str, name: str) -> str:
        """What must not wait has a lane for each call."""
        return f"{target} {name} {next(self._chains)}" if name in BESIDE else target

    def place(self, target: str) -> str:
        """The place of the error itself says which object it was."""
        return ""

    @staticmethod
    def _refuse(reference: Reference) -> Any:
        raise UnknownName(f"{reference.where} is nothing of this manager's: pass handles that it gave")


def _place_of(value: Any) -> str:
    if isinstance(value, PortHandle):
        return f"{value.node.where}.{value.name}"
    if isinstance(value, HostHandle):
        return value.name
    where = getattr(type(value), "where", None)
    return value.where if isinstance(where, property) else ""
