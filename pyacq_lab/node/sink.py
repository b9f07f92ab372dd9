"""A node that runs a sink."""

from __future__ import annotations

import time
from collections.abc import Mapping

from pyacq_lab.errors import LifecycleError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Sink
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.node.context import NodeContext
from pyacq_lab.node.ports import InputPort
from pyacq_lab.node.reading import ReadingNode

FLUSH_PERIOD = 0.25
"""Seconds between two calls of a sink's ``flush`` while it runs."""


class SinkNode(ReadingNode[Sink]):
    """Feeds a sink in its thread, and keeps what it has acknowledged."""

    def __init__(self, name: str, component_type: type[Sink], context: NodeContext) -> None:
        super().__init__(name, component_type, context)
        self.default_policy = component_type.policy
        self._specs: dict[str, StreamSpec] = {}
        self._flush_due = 0.0
        for port in component_type.inputs or ():
            self.inputs[port] = InputPort(port, context)

    def _configured(self, component: Sink) -> None:
        pass  # what a sink needs to know of its inputs comes at start

    def _initialized(self, specs: Mapping[str, StreamSpec]) -> None:
        if not specs:
            raise LifecycleError(f"node {self.name!r} has nothing to take: connect an input first")
        self._specs = dict(specs)

    def _open(self) -> None:
        sink = self._current()
        sink.open(self._specs)
        self._open_inputs(sink.places())

    def _take(self, item: Chunk | Gap, name: str) -> None:
        if isinstance(item, Gap):
            self._current().gap(item, name)
        else:
            self._current().write(item, name)

    def _epoch_begins(self, name: str, first: Chunk | Gap) -> None:
        stream = self.inputs[name].stream
        if stream is not None:
            self._current().begin(name, stream.place_of(first), first.epoch)

    def _epoch_ended(self, name: str) -> None:
        self._current().finish(name)

    def _idle(self) -> None:
        now = time.monotonic()
        if now < self._flush_due and not self._stop_wanted.is_set():
            return
        self._flush_due = now + FLUSH_PERIOD
        self._account()
        for name, written in self._current().flush().items():
            self.inputs[name].written = written

    def _finish(self) -> None:
        super()._finish()
        self._account()

    def _account(self) -> None:
        self._current().take_accounts({name: port.ledger() for name, port in self._wired().items()})

    def _input(self, name: str) -> InputPort:
        if self.component_type.inputs is None and name not in self.inputs:
            self.inputs[name] = InputPort(name, self._context)
        return super()._input(name)

    def _wired(self) -> dict[str, InputPort]:
        if self.component_type.inputs is not None:
            return self.inputs
        return {name: port for name, port in self.inputs.items() if port.wire is not None}
