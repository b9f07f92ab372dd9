"""Events where bits of a digital signal change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import NonNegativeInt

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import event_spec
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.edges import EdgeEvents, Edges, EdgeSettings, Line
from pyacq_lab.processing.selection import (
    Columns,
    Selection,
    as_columns,
    find_channels,
    require_columns,
)


class DigitalTriggerSettings(EdgeSettings):
    """Settings of `DigitalTrigger`."""

    bits: tuple[NonNegativeInt, ...] | None = setting(
        None, min_length=1, description="bits that are watched, 0 is the lowest; None: all of them"
    )
    channels: Selection = setting(
        (":",), description="channels that are watched: names, indices and slices as text"
    )


class DigitalTrigger(Transform):
    """Gives an event where a bit of a digital channel changes.

    One input `in` of integers of any size, or of bool, which have one bit; one output `out` of events
    (`pyacq_lab.model.events`). An event's ``index`` and ``time_ns`` are those of the first sample with its
    new value, ``code`` is the number of the bit, ``channel`` the column of the input, and ``label`` says
    which way: ``"port.3 rises"``. Events come in the order of their samples and, in one sample, of channels
    and bits. The spec has the input's group delay.

    The first sample, and the first one after a gap, says where the bits are, and is no edge itself. Edges
    that were yet to prove ``stable`` at a gap or at the end are none. The same events come however the stream
    is cut.

    Examples
    --------
    >>> trigger = DigitalTrigger(DigitalTriggerSettings.checked(bits=[1], edge="both"))
    >>> spec = StreamSpec.of("uint8", streamtype="digitalsignal", channel_names=("port",))
    >>> out = trigger.describe({"in": spec})["out"]
    >>> made = trigger.process(Chunk(0, np.array([[1], [3], [2], [0]], "uint8")), "in")
    >>> made.data[["index", "code", "label"]].tolist()
    [(1, 1, b'port.1 rises'), (3, 1, b'port.1 falls')]
    """

    settings_type = DigitalTriggerSettings
    settings: DigitalTriggerSettings
    at_gap = "reset"

    def __init__(self, settings: DigitalTriggerSettings) -> None:
        super().__init__(settings)
        self._columns: Columns = slice(None)
        self._rate = 1.0
        self._events = EdgeEvents(settings, [], 1.0)
        self._last: npt.NDArray[Any] | None = None
        self._word = np.dtype("u1")
        self._bits = np.zeros(1, self._word)

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Find channels and bits."""
        spec = require_columns(inputs["in"], "DigitalTrigger")
        if spec.np_dtype.kind not in "iub":
            raise StreamMismatch(f"DigitalTrigger takes integers or bool; came: {spec.np_dtype}")
        n_bits = 1 if spec.np_dtype.kind == "b" else 8 * spec.np_dtype.itemsize
        bits = range(n_bits) if self.settings.bits is None else self.settings.bits
        if max(bits) >= n_bits:
            raise ConfigurationError(f"bits={list(bits)}: {spec.np_dtype} has the bits 0 to {n_bits - 1}")
        if len(set(bits)) < len(bits):
            raise ConfigurationError(f"bits={list(bits)}: wanted each bit once")
        found = find_channels(spec, self.settings.channels, "channels")
        self._columns, self._rate = as_columns(found), spec.sample_rate
        self._word = np.dtype(f"u{spec.np_dtype.itemsize}")
        self._bits = np.array(bits, self._word)
        lines = [Line(f"{spec.names[c]}.{bit}", c, (bit, bit)) for c in found for bit in bits]
        self._events = EdgeEvents(self.settings, lines, spec.sample_rate)
        self.reset()
        return {"out": event_spec(spec.sample_rate, group_delay=spec.group_delay)}

    def change(self, settings: DigitalTriggerSettings) -> None:
        """Judge by other settings from the next sample on."""
        self._events.take(settings)
        super().change(settings)

    def reset(self) -> None:
        """Know nothing of any bit, and count events from 0."""
        self._last = None
        self._events.reset()

    def process(self, chunk: Chunk, name: str) -> Chunk | None:
        """Find the edges of one chunk."""
        if not len(chunk):
            return None
        native = chunk.data.dtype.newbyteorder("=")
        words = np.ascontiguousarray(chunk.data[:, self._columns], native).view(self._word)
        before = np.concatenate([words[:1] if self._last is None else self._last, words[:-1]])
        self._last = words[-1:].copy()
        row, column = np.nonzero(words != before)
        now = words[row, column]
        changed = now ^ before[row, column]
        which, bit = np.nonzero((changed[:, np.newaxis] >> self._bits) & 1)
        is_rise = (now[which] >> self._bits[bit]) & 1 == 1
        line = column[which] * len(self._bits) + bit
        return self._events.events(Edges.of(chunk, self._rate, row[which], line, is_rise), chunk)

    def gap(self, gap: Gap, name: str) -> None:
        """Forget how the bits are."""
        self._last = None
        self._events.forget()
