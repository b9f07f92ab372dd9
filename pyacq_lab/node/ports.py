"""A node's inputs: what they are wired to, and the connection while the node runs."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pyacq_lab.errors import LifecycleError, UnknownName
from pyacq_lab.model.ledger import HopLedger, PortStatus
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.node.context import NodeContext
from pyacq_lab.transport.doorbell import Doorbell
from pyacq_lab.transport.inputs import InputStream
from pyacq_lab.transport.ringserver import TransferMode
from pyacq_lab.wire.streaming import Policy


@dataclass(frozen=True, slots=True)
class Wire:
    """What an input is wired to, and how."""

    address: StreamAddress
    policy: Policy
    backfill: float
    transfermode: TransferMode = "auto"


class InputPort:
    """One input of a node.

    The connection stands only while the node runs: a stopped node holds nothing back at its producer.
    """

    def __init__(self, name: str, context: NodeContext) -> None:
        self.name = name
        self.wire: Wire | None = None
        self.stream: InputStream | None = None
        self._context = context
        self._past = HopLedger()
        self.stop = 0
        self.epoch = 0
        self.missing = 0
        self.written: int | None = None

    def probe(self, timeout: float = 5.0) -> StreamSpec:
        """Ask the producer what its stream is. Raises HostUnreachable where it does not say."""
        with self._open(None, timeout) as stream:
            return stream.spec

    def open(self, bell: Doorbell, timeout: float = 5.0, since: StreamPlace | None = None) -> InputStream:
        """Connect; returns when the producer has admitted this reader: it misses nothing from then on.

        ``bell`` is what the node's thread waits on, for all of its inputs; ``since`` is where to go on for a
        node of another process.
        """
        self.stream = self._open(bell, timeout, since)
        return self.stream

    def close(self) -> None:
        """Disconnect; idempotent. The accounts are kept."""
        if self.stream is not None:
            self.stream.close()
            self._past = msgspec.structs.replace(self.ledger(), rate=0.0, lag=0.0)
            self.stream = None

    def forget(self) -> None:
        """Begin the accounts anew: the node is configured for another time."""
        self._past = HopLedger()
        self.stop = self.epoch = 0
        self.written = None

    def ledger(self) -> HopLedger:
        """Accounts of all connections since the node was configured."""
        if self.stream is None:
            return self._past
        return self.stream.ledger().after(self._past)

    def status(self) -> PortStatus:
        """Snapshot of the port."""
        ledger = self.ledger()
        return PortStatus(
            name=self.name,
            epoch=self.epoch,
            stop=self.stop,
            samples=ledger.received,
            missing=self.missing,
            ledger=ledger,
            written=self.written,
        )

    def _open(self, bell: Doorbell | None, timeout: float, since: StreamPlace | None = None) -> InputStream:
        if self.wire is None:
            raise LifecycleError(f"input {self.name!r} is not connected: connect it to an output first")
        stream = InputStream(
            self.name,
            policy=self.wire.policy,
            backfill=self.wire.backfill,
            since=since,
            transfermode=self.wire.transfermode,
            context=self._context,
            bell=bell,
        )
        return stream.connect(self.wire.address, timeout=timeout)


def unknown_port(kind: str, name: str, known: list[str], node: str) -> UnknownName:
    """Make the error for a port that does not exist."""
    return UnknownName(f"node {node!r} has no {kind} {name!r} (it has: {', '.join(known) or 'none'})")
