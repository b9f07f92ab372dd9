"""A node that runs a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyacq_lab.errors import ConfigurationError, StreamMismatch, UnknownName
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.roles import Source
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.node.changes import in_words
from pyacq_lab.node.node import Node

READ_TIMEOUT = 0.1
"""Seconds within which a source's ``read`` should return, and so a stop is heard."""


class SourceNode(Node[Source]):
    """Reads a device in its thread and writes what it gives to the outputs."""

    def _configured(self, component: Source) -> None:
        specs = self._checked(component.describe())
        if not specs:
            raise ConfigurationError(f"{self.component_type.__name__} has no output with these settings")
        self._make_outputs(list(specs))
        for name, spec in specs.items():
            self._describe_output(name, spec.replace(waits=component.waits))

    def _initialized(self, specs: Mapping[str, StreamSpec]) -> None:
        pass  # a source has no inputs; what goes out was described at configure

    def _open(self) -> None:
        self._current().open()
        for output in self.outputs.values():
            output.begin()

    def _loop(self) -> None:
        source = self._current()
        while not self._stop_wanted.is_set():
            self._change_if_asked()
            got = source.read(READ_TIMEOUT)
            if got is None:
                continue
            for name, reading in self._by_output(got).items():
                self._emit(name, reading)

    def _at(self) -> tuple[int, str]:
        indices = {name: output.next_index for name, output in self.outputs.items()}
        return next(iter(indices.values())), in_words(indices)

    def _finish(self) -> None:
        for output in self.outputs.values():
            output.end()

    def _by_output(self, got: Any) -> Mapping[str, Any]:
        if isinstance(got, Mapping):
            return got
        if len(self.outputs) != 1:
            raise UnknownName(
                f"{self.component_type.__name__}.read gave samples without a name, "
                f"but has the outputs {', '.join(self.outputs)}: give a mapping from their names"
            )
        return {next(iter(self.outputs)): got}

    def _emit(self, name: str, got: Any) -> None:
        reading = got if isinstance(got, Reading) else Reading(np.asarray(got))
        if np.ndim(reading.data) < 1:
            raise StreamMismatch(
                f"{self.component_type.__name__}.read gave {got!r}; "
                "wanted samples, time first, or a Reading, or None"
            )
        output = self._output(name)
        n_samples = len(reading.data)
        if not self._wait_room(output, n_samples):
            return
        time_ns = reading.time_ns
        if time_ns is None:
            time_ns = self._context.clock.now_ns() - round(n_samples / self._rate(name) * 1e9)
        output.send(reading.data, time_ns, reading.uncertainty_ns, lost=reading.lost)

    def _rate(self, name: str) -> float:
        spec = self._output(name).spec
        return 1.0 if spec is None else spec.sample_rate
