"""A node that runs a transform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pyacq_lab.errors import ConfigurationError, LifecycleError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.names import check_name
from pyacq_lab.model.roles import Made, Transform
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.node.context import NodeContext
from pyacq_lab.node.ports import InputPort
from pyacq_lab.node.reading import CATCH_UP_TIMEOUT, ReadingNode
from pyacq_lab.processing.spans import nothing_after


class TransformNode(ReadingNode[Transform]):
    """Processes chunks in its thread; where inputs and outputs share a rate, they share their indices."""

    def __init__(self, name: str, component_type: type[Transform], context: NodeContext) -> None:
        super().__init__(name, component_type, context)
        self.inputs = {n: InputPort(n, context) for n in component_type.inputs}
        self._make_outputs(list(component_type.outputs))
        self._reasons: dict[str, str] = {}  # for each output: why what it does not get is lost
        self._has_begun = False
        self._unlike: set[str] = set()  # outputs that do not share the first input's indices
        self._waiting: set[str] = set()  # those of them whose epoch begins with their next samples

    def _configured(self, component: Transform) -> None:
        inputs = self._port_names(component.input_names(), "input")
        self._make_outputs(self._port_names(component.output_names(), "output"))
        # Another mapping, not another content: whoever asks for the status meanwhile sees one or the other.
        self.inputs = {n: self.inputs.get(n) or InputPort(n, self._context) for n in inputs}

    def _port_names(self, names: Iterable[str], kind: str) -> list[str]:
        found = [check_name(n, f"node's {kind}") for n in names]
        if len(set(found)) != len(found) or not found:
            raise ConfigurationError(
                f"{self.component_type.__name__} with these settings has the {kind}s {found}: "
                "wanted at least one, each name once"
            )
        return found

    def _initialized(self, specs: Mapping[str, StreamSpec]) -> None:
        described = self._checked(self._current().describe(specs))
        if set(described) != set(self.outputs):
            raise StreamMismatch(
                f"{self.component_type.__name__}.describe gave outputs {sorted(described)}, "
                f"but with these settings it has {sorted(self.outputs)}"
            )
        first = specs[next(iter(self.inputs))]
        self._unlike = {name for name, spec in described.items() if not first.shares_indices(spec)}
        for name, spec in described.items():
            # What waits for its readers at the top does so all the way down.
            self._describe_output(name, spec.replace(waits=any(s.waits for s in specs.values())))

    def _open(self) -> None:
        self._current().reset()
        self._reasons.clear()
        self._has_begun = False
        self._open_inputs()

    def _take(self, item: Chunk | Gap, name: str) -> None:
        transform = self._current()
        if isinstance(item, Gap):
            self._reasons = dict.fromkeys(self.outputs, item.reason)
            made = transform.gap(item, name)
            self._emit(self._for_those_in_step(made) if isinstance(made, Gap) else made)
        else:
            self._emit(transform.process(item, name), item)

    def _epoch_begins(self, name: str, first: Chunk | Gap) -> None:
        if name == next(iter(self.inputs)):
            self._begin(first.start)

    def _epoch_ended(self, name: str) -> None:
        self._emit(self._current().finish(name))
        if self._epochs:  # other inputs go on
            return
        self._has_begun = False
        for output in self.outputs.values():
            output.end()

    def _begin(self, first: int) -> None:
        self._has_begun = True
        self._reasons.clear()
        self._waiting = set(self._unlike)
        for name, output in self.outputs.items():
            if name not in self._unlike:
                output.begin(first)

    def _for_those_in_step(self, gap: Gap) -> Mapping[str, Gap]:
        """Give a gap of the first input to the outputs whose samples have the same indices."""
        return {name: gap for name in self.outputs if name not in self._unlike}

    def _emit(self, made: Made, place: Chunk | None = None) -> None:
        """Write what the transform gave; a bare array takes ``place``."""
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
            for item in self._placed_items(part, place):
                self._write(name, item)

    def _placed_items(self, part: Any, place: Chunk | None) -> Sequence[Chunk | Gap]:
        if part is None:
            return ()
        if isinstance(part, Chunk | Gap):
            return (part,)
        if isinstance(part, list | tuple) and all(isinstance(p, Chunk | Gap) for p in part):
            return part
        return (self._placed(np.asarray(part), place),)

    def _placed(self, data: np.ndarray[Any, Any], place: Chunk | None) -> Chunk:
        if place is None:
            raise StreamMismatch(
                f"{self.component_type.__name__} gave samples at a gap or at the end "
                "without saying where they belong: give a Chunk with its own start"
            )
        if len(data) != len(place):
            raise StreamMismatch(
                f"{self.component_type.__name__}.process turned {len(place)} samples into {len(data)} "
                "without saying where they belong: give a Chunk with its own start"
            )
        return place.with_data(data)

    def _write(self, name: str, item: Chunk | Gap) -> None:
        if not self._has_begun:  # by what another input than the first has brought
            self._begin(item.start)
        output = self._output(name)
        if isinstance(item, Gap):
            self._reasons[name] = item.reason
        chunk = item if isinstance(item, Chunk) else nothing_after(item, self._described[name])
        if name in self._waiting:
            self._waiting.remove(name)
            output.begin(chunk.start)
        lost = chunk.start - output.next_index
        if lost < 0:
            raise StreamMismatch(
                f"{self.component_type.__name__} gave samples from {chunk.start} for output {name!r}, "
                f"which already stands at {output.next_index}"
            )
        # Where a reader hangs for good, its ring moves on without it, and it is told.
        self._wait_room(output, len(chunk), CATCH_UP_TIMEOUT)
        reason = self._reasons.pop(name, "upstream") if lost else ""
        output.send(chunk.data, chunk.time_ns, chunk.uncertainty_ns, lost=lost, reason=reason)

    def _finish(self) -> None:
        super()._finish()
        for output in self.outputs.values():
            output.end()
