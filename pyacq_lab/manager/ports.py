"""Handles of a remote node's inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal, Protocol

from pyacq_lab.errors import ConfigurationError, UnknownName
from pyacq_lab.model.ledger import PortStatus, ReaderStatus
from pyacq_lab.model.remote import Reference
from pyacq_lab.model.status import NodeStatus
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.transport.inputs import InputStream
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.ringserver import TransferMode
from pyacq_lab.transport.streamcontext import StreamContext
from pyacq_lab.wire.streaming import Policy


class PortOwner(Protocol):
    """What a port's handle needs of its node's, wherever the node is."""

    group: Any

    @property
    def name(self) -> str:
        """The node's name."""
        ...

    @property
    def where(self) -> str:
        """Its place."""
        ...

    def status(self) -> NodeStatus:
        """Snapshot of the node."""
        ...

    def call(self, method: str, /, *args: Any, **options: Any) -> Any:
        """Call a method of the node."""
        ...


def reading_context(reactor: Reactor, keys: KeyPair) -> StreamContext:
    """What it takes to read streams of this application's nodegroups; nobody reads any of this process."""
    return StreamContext(reactor=reactor, server_keys=keys, client_keys=keys, allow=lambda _: False)


class PortHandle:
    """A port of a remote node.

    Attributes
    ----------
    node : NodeHandle or LocalNode
        Whose port it is.
    name : str
        Its name.
    """

    kind: ClassVar[Literal["input", "output"]]

    def __init__(self, node: PortOwner, name: str) -> None:
        self.node = node
        self.name = name

    def __repr__(self) -> str:
        try:
            status = str(self.status())
        except Exception as error:
            status = str(error)
        return f"<{self.kind} {self.node.where}.{self.name}: {status}>"

    def status(self) -> PortStatus:
        """Snapshot of the port; for an input, with the accounts of its connection.

        Raises
        ------
        UnknownName
            The node has no such port (yet).
        """
        status = self.node.status()
        ports = status.inputs if self.kind == "input" else status.outputs
        for port in ports:
            if port.name == self.name:
                return port
        known = ", ".join(port.name for port in ports) or "none"
        raise UnknownName(f"{self.node.where} has no {self.kind} {self.name!r} (it has: {known})")

    def _pyacq_reference_(self) -> Reference:
        target = f"{self.kind}:{self.node.name}/{self.name}"
        return self.node.group.reference(target, f"{self.node.where}.{self.name}", self.kind)


class OutputHandle(PortHandle):
    """An output of a remote node; see `PortHandle`."""

    kind = "output"

    @property
    def address(self) -> StreamAddress:
        """Where it can be read from here and from all other hosts. Raises UnknownName before `configure`."""
        return self.node.group.reachable(self.node.call("output_address", self.name))

    @property
    def context(self) -> StreamContext:
        """By what an `InputStream` of this process may read it."""
        return reading_context(self.node.group.reactor, self.node.group.application_keys)

    @property
    def spec(self) -> StreamSpec | None:
        """What the stream is; None while its node is not initialised."""
        return self.node.call("output_spec", self.name)

    def readers(self) -> tuple[ReaderStatus, ...]:
        """Accounts of all its readers, as the output has them. Raises UnknownName before `configure`."""
        return tuple(self.node.call("output_readers", self.name))

    def configure(self, **settings: Any) -> None:
        """Say how the output is served, while its node does not run; it stays so for the node's life.

        Another protocol, interface or port is another address: inputs that are connected to the output must
        be connected again.

        Parameters
        ----------
        protocol : {'tcp', 'ipc', 'inproc'}
            For readers on any host, on its host, in its nodegroup.
        interface : str
            IP address of its host at which readers reach it; the host's own unless given.
        port : int or '*'
            TCP port; any free one unless given.
        transfermode : {'auto', 'sharedmem', 'plaindata'}
            Whether readers on its host share memory with it: those that can; all, and others are refused;
            none.
        compression : {'', 'blosclz', 'lz4', 'lz4hc', 'zlib', 'zstd'}
            Codec for readers that do not share memory.
        buffer_size : int
            Samples that its ring buffer holds.
        buffer_seconds : float
            The same as a time, s.

        Raises
        ------
        ConfigurationError, MissingDependency
            A setting is unknown, out of range, or the node's own to say, such as dtype or sample_rate.
        LifecycleError
            The node is running or closed.
        """
        self.node.call("configure_output", self.name, **settings)

    def open(self, policy: Policy = "latest", backfill: float = 0.0, timeout: float = 5.0) -> InputStream:
        """Read the stream in this process; the caller closes what is returned.

        Parameters
        ----------
        policy : {'lossless', 'drop-oldest', 'latest'}
            What happens when this process is slow.
        backfill : float
            Seconds of the past to begin with.
        timeout : float
            Seconds to wait for the producer's word.
        """
        return InputStream(self.name, policy=policy, backfill=backfill).connect(self, timeout=timeout)

    def open_feed(self, backfill: float = 0.0) -> InputStream:
        """Read the stream for a live view: it never slows the source and skips what it cannot show."""
        return self.open("latest", backfill)


class InputHandle(PortHandle):
    """An input of a remote node; see `PortHandle`."""

    kind = "input"

    def connect(
        self,
        output: OutputHandle,
        policy: Policy | None = None,
        backfill: float = 0.0,
        transfermode: TransferMode = "auto",
    ) -> None:
        """Wire this input to an output, of any node on any host.

        Parameters
        ----------
        output : OutputHandle
            Such as ``source.outputs["out"]`` or ``source.output``.
        policy : {'lossless', 'drop-oldest', 'latest'}, optional
            What happens when this node is slow; its own default unless given.
        backfill : float
            Seconds of the past to begin with.
        transfermode : {'auto', 'sharedmem', 'plaindata'}
            Whether this node reads the other's memory: if both are on one machine; or it is refused; never.

        Raises
        ------
        LifecycleError
            The node is past CONFIGURED.
        """
        if not isinstance(output, OutputHandle):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"connect wants an output, such as node.outputs['out'] or node.output; {output!r} came"
            )
        self.node.call("connect", self.name, output.address, policy, backfill, transfermode)

    def disconnect(self) -> None:
        """Unwire this input. Raises LifecycleError while the node runs."""
        self.node.call("disconnect", self.name)


class Ports(Mapping[str, Any]):
    """The ports of one side of a node, by name; asks the node when it is looked at."""

    def __init__(self, node: PortOwner, make: Callable[[PortOwner, str], Any], side: str) -> None:
        self._node = node
        self._make = make
        self._side = side

    def __getitem__(self, name: str) -> Any:
        # A recorder's inputs come into being when they are connected, so any name is worth a handle.
        return self._make(self._node, name)

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(p.name for p in getattr(self._node.status(), self._side))

    def __len__(self) -> int:
        return len(getattr(self._node.status(), self._side))

    def __repr__(self) -> str:
        return f"<{self._side} of {self._node.where}: {', '.join(self) or 'none'}>"

    def names(self) -> list[str]:
        """Names of the ports that there are."""
        return list(self)

    def only(self) -> Any:
        """The first port. Raises ConfigurationError where there is none."""
        names = list(self)
        if not names:
            raise ConfigurationError(f"{self._node.where} has no {self._side} (yet): configure it first")
        return self[names[0]]
