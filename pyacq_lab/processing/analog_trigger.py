"""Events where a signal crosses a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import FiniteFloat

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import event_spec
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.checks import require_signal
from pyacq_lab.processing.edges import EdgeEvents, Edges, EdgeSettings, Line
from pyacq_lab.processing.selection import Columns, Selection, as_columns, find_channels, select_channels

Mask = npt.NDArray[np.bool_]

_UNKNOWN = -1


class AnalogTriggerSettings(EdgeSettings):
    """Settings of `AnalogTrigger`."""

    threshold: FiniteFloat = setting(
        live=True, description="what is crossed, in the units of the stream: from here on it is above"
    )
    hysteresis: float = setting(
        0.0,
        ge=0,
        live=True,
        description="how far the signal must come back before the next edge, in the units of the stream",
    )
    channels: Selection = setting(
        (":",), description="channels that are watched: names, indices and slices as text"
    )


class AnalogTrigger(Transform):
    """Gives an event where a channel rises to a threshold, or falls below it.

    One input `in`, one output `out` of events (`pyacq_lab.model.events`). An event's ``index`` and
    ``time_ns`` are those of the first sample on the other side, ``code`` is 1 where it rises and 0 where it
    falls, ``channel`` is the column of the input, ``label`` says the same in words: ``"C3 rises"``. Events
    come in the order of their samples and, in one sample, of the channels. The spec has the input's group
    delay: the sample of the raw signal is ``index - group_delay * sample_rate``
    (`pyacq_lab.model.events.index_in`).

    A channel rises where a sample is at the threshold or above, after it was below; it falls where one is
    below ``threshold - hysteresis``, after it was above. With ``edge="falling"`` the hysteresis lies on the
    other side: it falls below the threshold, and has risen again at ``threshold + hysteresis``.

    The first sample, and the first one after a gap, says on which side the channel is, and is no edge itself;
    from the second one on none is missed. NaN are passed over. Edges that were yet to prove ``stable`` at a
    gap or at the end are none. The same events come however the stream is cut.

    Examples
    --------
    >>> trigger = AnalogTrigger(AnalogTriggerSettings.checked(threshold=1.0))
    >>> out = trigger.describe({"in": StreamSpec(sample_rate=1000.0)})["out"]
    >>> made = trigger.process(Chunk(0, np.array([[0.0], [0.5], [1.0], [2.0], [0.0]])), "in")
    >>> made.data[["index", "code", "label"]].tolist()
    [(2, 1, b'0 rises')]
    """

    settings_type = AnalogTriggerSettings
    settings: AnalogTriggerSettings
    at_gap = "reset"

    def __init__(self, settings: AnalogTriggerSettings) -> None:
        super().__init__(settings)
        self._columns: Columns = slice(None)
        self._describe(StreamSpec(), [0])

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Find the channels."""
        spec = require_signal(inputs["in"], "AnalogTrigger")
        self._describe(spec, find_channels(spec, self.settings.channels, "channels"))
        return {"out": event_spec(spec.sample_rate, units=spec.units, group_delay=spec.group_delay)}

    def change(self, settings: AnalogTriggerSettings) -> None:
        """Judge by other settings from the next sample on; on which side a channel is, stays."""
        self._events.take(settings)
        super().change(settings)

    def reset(self) -> None:
        """Know nothing of any channel, and count events from 0."""
        self._forget()
        self._events.reset()

    def process(self, chunk: Chunk, name: str) -> Chunk | None:
        """Find the edges of one chunk."""
        if not len(chunk):
            return None
        data = chunk.data[:, self._columns]
        if self._watched.is_scaled:
            data = self._watched.to_physical(data)
        before = self._state
        above = self._sides(data)
        row, line = np.nonzero(above[1:] != above[:-1])
        first = np.flatnonzero((before != _UNKNOWN) & (above[0] != before))
        row = np.concatenate([np.zeros(len(first), np.int64), row + 1])
        line = np.concatenate([first, line])
        is_rise = above[row, line] == 1
        if (above[0] == _UNKNOWN).any():  # the end of not knowing is no edge
            known = (row == 0) | (above[np.maximum(row - 1, 0), line] != _UNKNOWN)
            row, line, is_rise = row[known], line[known], is_rise[known]
        self._state = above[-1].copy()
        edges = Edges.of(chunk, self._watched.sample_rate, row, line, is_rise)
        return self._events.events(edges, chunk)

    def gap(self, gap: Gap, name: str) -> None:
        """Forget on which side each channel is."""
        self._forget()
        self._events.forget()

    def _describe(self, spec: StreamSpec, indices: list[int]) -> None:
        self._columns = as_columns(indices)
        self._watched = select_channels(spec, indices)
        lines = [Line(spec.names[i], i, (0, 1)) for i in indices]
        self._events = EdgeEvents(self.settings, lines, spec.sample_rate)
        self._forget()

    def _forget(self) -> None:
        self._state = np.full(self._watched.n_channels, _UNKNOWN, np.int8)

    def _sides(self, data: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
        """Where each sample is: 1 above, 0 below, -1 unknown; shape (n_samples, n_channels)."""
        threshold, hysteresis = self.settings.threshold, self.settings.hysteresis
        down = 0.0 if self.settings.edge == "falling" else hysteresis
        up = hysteresis - down
        is_high = data >= threshold + up
        if not hysteresis and not np.isnan(data[:1]).any() and not np.isnan(data).any():
            return is_high.view(np.int8)
        is_low = data < threshold - down
        sides = np.where(is_high, np.int8(1), np.where(is_low, np.int8(0), np.int8(_UNKNOWN)))
        # Between the two it is where it was before; at first, where the threshold says.
        lost = sides[0] == _UNKNOWN
        sides[0, lost] = self._state[lost]
        lost = sides[0] == _UNKNOWN
        if lost.any():
            self._begin(sides, data, np.flatnonzero(lost))
        last = np.where(sides != _UNKNOWN, np.arange(len(sides))[:, np.newaxis], 0)
        np.maximum.accumulate(last, axis=0, out=last)
        return np.take_along_axis(sides, last, axis=0)

    def _begin(
        self, sides: npt.NDArray[np.int8], data: npt.NDArray[Any], lines: npt.NDArray[np.intp]
    ) -> None:
        """Put the first number of channels of which nothing is known on one side."""
        numbers = ~np.isnan(data[:, lines])
        rows = numbers.argmax(axis=0)
        found = numbers[rows, np.arange(len(lines))]
        rows, lines = rows[found], lines[found]
        sides[rows, lines] = data[rows, lines] >= self.settings.threshold
