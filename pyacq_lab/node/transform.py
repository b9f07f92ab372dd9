"""A node that runs a transform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyacq_lab.errors import LifecycleError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.node.context import NodeContext
from pyacq_lab.node.ports import InputPort
from pyacq_lab.node.reading import CATCH_UP_TIMEOUT, ReadingNode


class TransformNode(ReadingNode[Transform]):
    """Processes chunks in its thread; where inputs and outputs share a rate, they share their indices."""

    def __init__(self, name: str, component_type: type[Transform], context: NodeContext) -> None:
        super().__init__(name, component_type, context)
        self.inputs = {n: InputPort(n, context) for n in component_type.inputs}
        self._make_outputs(list(component_type.outputs))
        self._epochs: dict[str, int] = {}

    def _configured(self, component: Transform) -> None:
        pass  # what a transform needs to know of its inputs comes at initialize

    def _initialized(self, specs: Mapping[str, StreamSpec]) -> None:
        described = self._checked(self._current().describe(specs))
        if set(described) != set(self.outputs):
            raise StreamMismatch(
                f"{self.component_type.__name__}.describe gave outputs {sorted(described)}, "
                f"but its class declares {sorted(self.outputs)}"
            )
        for name, spec in described.items():
            # What waits for its readers at the top does so all the way down.
            self.outputs[name].configure(spec.replace(waits=any(s.waits for s in specs.values())))

    def _open(self) -> None:
        self._current().reset()
        self._epochs.clear()
        self._open_inputs()

    def _take(self, item: Chunk | Gap, name: str) -> None:
        transform = self._current()
        if self._epochs.get(name) != item.epoch:
            if name in self._epochs:
                transform.reset()
            self._epochs[name] = item.epoch
            self._begin(item.start)
        if isinstance(item, Gap):
            if transform.at_gap == "reset":
                transform.reset()
            return
        self._emit(transform.process(item, name), item)

    def _begin(self, first: int) -> None:
        for output in self.outputs.values():
            output.begin(first)

    def _emit(self, made: Any, chunk: Chunk) -> None:
        if made is None:
            return
        if not isinstance(made, Mapping):
            if len(self.outputs) != 1:
                raise LifecycleError(
                    f"{self.component_type.__name__}.process gave samples without a name, "
                    f"but has the outputs {', '.join(self.outputs)}: give a mapping from their names"
                )
            made = {next(iter(self.outputs)): made}
        for name, part in made.items():
            if part is not None:
                self._write(name, part if isinstance(part, Chunk) else self._placed(np.asarray(part), chunk))

    def _placed(self, data: np.ndarray[Any, Any], chunk: Chunk) -> Chunk:
        if len(data) != len(chunk):
            raise StreamMismatch(
                f"{self.component_type.__name__}.process turned {len(chunk)} samples into {len(data)} "
                "without saying where they belong: give a Chunk with its own start"
            )
        return chunk.with_data(data)

    def _write(self, name: str, chunk: Chunk) -> None:
        output = self._output(name)
        lost = chunk.start - output.next_index
        if lost < 0:
            raise StreamMismatch(
                f"{self.component_type.__name__} gave samples from {chunk.start} for output {name!r}, "
                f"which already stands at {output.next_index}"
            )
        # Where a reader hangs for good, its ring moves on without it, and it is told.
        self._wait_room(output, len(chunk), CATCH_UP_TIMEOUT)
        output.send(chunk.data, chunk.time_ns, chunk.uncertainty_ns, lost=lost, reason="upstream")

    def _finish(self) -> None:
        super()._finish()
        for output in self.outputs.values():
            output.end()
