"""Handles of what a manager in another process looks after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pyacq_lab.manager.logrecords import LogRecords
from pyacq_lab.manager.ports import reading_context
from pyacq_lab.model.remote import Reference
from pyacq_lab.model.stream import StreamAddress
from pyacq_lab.remote.byvalue import pickle_by_value
from pyacq_lab.remote.calls import Target
from pyacq_lab.remote.objects import RemoteObject
from pyacq_lab.transport.inputs import InputStream
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.streamcontext import StreamContext
from pyacq_lab.wire.streaming import Policy

RUN_TIMEOUT = 7 * 86_400.0
"""Seconds that a cell may take, unless its call says otherwise."""


class HandleProxy(RemoteObject):
    """Handle of a handle in the manager's process: it has the same public methods and attributes.

    A call goes to the manager's process and from there to the nodegroup's. ``_timeout`` counts for the
    first of these ways; for the second the usual 40 s hold.
    """

    def __repr__(self) -> str:
        return f"<{self._reference.type} {self._reference.where}, of a manager in a process of its own>"


class NodeGroupProxy(HandleProxy):
    """A nodegroup."""

    def register_node_type(self, node_type: type) -> str:
        """As `NodeGroupHandle.register_node_type`; the class is pickled here, where it is defined."""
        return self._target.call("register_node_type", pickle_by_value(node_type))

    def run(
        self, code: str, on_output: Callable[[dict[str, Any]], None] | None = None, **options: Any
    ) -> Any:
        """As `NodeGroupHandle.run`; a cell may take its time, so the usual bound does not hold."""
        return self._target.call("run", code, on_output, **{"_timeout": RUN_TIMEOUT, **options})

    def logs(self, **wanted: Any) -> LogRecords:
        """As `NodeGroupHandle.logs`."""
        return found_there(self._target, wanted)

    def kernel_connection_file(self) -> Path:
        """As `NodeGroupHandle.kernel_connection_file`."""
        return Path(self._target.call("kernel_connection_file"))  # paths travel as text


class OutputProxy(HandleProxy):
    """An output, whose stream can be read in this process."""

    def __init__(
        self,
        target: Target,
        reference: Reference,
        release: Callable[[], None],
        *,
        reactor: Reactor,
        keys: KeyPair,
    ) -> None:
        super().__init__(target, reference, release)
        self._reactor = reactor
        self._keys = keys

    @property
    def address(self) -> StreamAddress:
        """As `OutputHandle.address`."""
        return self._target.get("address")

    @property
    def context(self) -> StreamContext:
        """As `OutputHandle.context`."""
        return reading_context(self._reactor, self._keys)

    def open(self, policy: Policy = "latest", backfill: float = 0.0, timeout: float = 5.0) -> InputStream:
        """Read the stream in this process; as `OutputHandle.open`."""
        return InputStream(policy=policy, backfill=backfill).connect(self, timeout=timeout)

    def open_feed(self, backfill: float = 0.0) -> InputStream:
        """Read the stream for a live view; as `OutputHandle.open_feed`."""
        return self.open("latest", backfill)


class PortsProxy(HandleProxy, Mapping[str, Any]):
    """The ports of one side of a node, by name; asks the node when it is looked at."""

    def __getitem__(self, name: str) -> Any:
        return self._target.call("get", name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._target.call("names"))

    def __len__(self) -> int:
        return len(self._target.call("names"))

    def get(self, name: str, default: Any = None) -> Any:
        """As ``ports[name]``: a port that is not there yet has a handle, too, so the default is not used."""
        return self[name]

    def only(self) -> Any:
        """The first port. Raises ConfigurationError where there is none."""
        return self._target.call("only")


def found_there(target: Target, wanted: dict[str, Any]) -> LogRecords:
    """Ask the manager's process, or a handle in it, for log records; they travel as a list."""
    records, earlier, forgotten = target.call("logs", **wanted)
    return LogRecords(records, earlier=earlier, forgotten=forgotten)


def make_handle(
    target: Target, reference: Reference, release: Callable[[], None], reactor: Reactor, keys: KeyPair
) -> RemoteObject:
    """Make the handle that fits an object; ``keys`` are the application's, for streams."""
    match reference.type:
        case "NodeGroupHandle":
            return NodeGroupProxy(target, reference, release)
        case "OutputHandle":
            return OutputProxy(target, reference, release, reactor=reactor, keys=keys)
        case "Ports":
            return PortsProxy(target, reference, release)
        case "HostHandle" | "NodeHandle" | "InputHandle":
            return HandleProxy(target, reference, release)
        case _:
            return RemoteObject(target, reference, release)
