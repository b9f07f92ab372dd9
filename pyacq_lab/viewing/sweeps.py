"""The arithmetic of a triggered oscilloscope: sweeps around events or a threshold, and their mean."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import index_in, require_events
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.bins import Floats
from pyacq_lab.viewing.display import nice_ceiling
from pyacq_lab.viewing.samples import SampleHistory
from pyacq_lab.viewing.scene import (
    INK,
    Axis,
    Control,
    Element,
    Lines,
    Plot,
    Scene,
    channel_indices,
    chosen,
    number,
)

_MOST_CHANNELS = 4
_MOST_POINTS = 400
"""Points of a sweep that is drawn: beyond, least and greatest of each piece."""

_PATIENCE = 5.0
"""Seconds for which samples are kept for events that come late."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a channel triggers.

    Attributes
    ----------
    value : float
        In the units of the stream.
    channel : str or int
        Name or number.
    edge : {'rising', 'falling'}
        Which way it is crossed.
    """

    value: float
    channel: str | int = 0
    edge: str = "rising"


class SweepScene(Scene):
    """The last sweeps of a signal, one plot per channel.

    Parameters
    ----------
    spec : StreamSpec
        Of the signal, stream 0.
    events : StreamSpec, optional
        Of the events that trigger, stream 1: of the same source.
    threshold : Threshold, optional
        What triggers where there are no events.
    before, after : float
        Seconds around the trigger.
    sweeps : int
        How many are kept.
    channels : sequence of str or int, optional
        Which are shown; the first four unless given.
    labels : sequence of str, optional
        Labels of the events that trigger; all unless given.
    """

    def __init__(
        self,
        spec: StreamSpec,
        events: StreamSpec | None = None,
        threshold: Threshold | None = None,
        before: float = 0.1,
        after: float = 0.4,
        sweeps: int = 20,
        channels: Sequence[str | int] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        if (events is None) == (threshold is None):
            raise ConfigurationError("a triggered oscilloscope wants events or a threshold: give one of them")
        self._before, self._after = (
            number("before", before, -60, 60, "s"),
            number("after", after, -60, 60, "s"),
        )
        if not self._after > -self._before:
            raise ConfigurationError(f"a sweep from {-before:g} s to {after:g} s is empty")
        self._kept = int(number("sweeps", sweeps, 1, 500))
        self._asked, self._threshold = channels, threshold
        self._labels = None if labels is None else set(labels)
        self._show_sweeps = self._show_mean = True
        self._events = None if events is None else require_events(events, "TriggeredOscilloscope")
        self.renew(0, spec)

    def renew(self, stream: int, spec: StreamSpec) -> None:
        """Begin anew with another stream."""
        if stream == 1:
            self._events = require_events(spec, "TriggeredOscilloscope")
            return
        self._spec = spec
        shown = channel_indices(spec, self._asked, _MOST_CHANNELS)
        self._n_shown = len(shown)
        if self._threshold is not None:
            chosen("edge", self._threshold.edge, ("rising", "falling"))
            shown = [*shown, *channel_indices(spec, [self._threshold.channel], 1)]
        rate = spec.sample_rate
        self._n_before = round(self._before * rate)
        self._n = max(2, self._n_before + round(self._after * rate))
        self._history = SampleHistory(spec, self._n + round(_PATIENCE * rate), shown)
        self._names = [spec.names[i] for i in shown[: self._n_shown]]
        self._looked = 0
        self._not_before = 0
        self._half: list[tuple[float, float] | None] = [None] * self._n_shown
        self._waiting: deque[int] = deque(maxlen=10_000)
        self.reset()
        self.shape += 1

    def reset(self) -> None:
        """Forget all sweeps."""
        self.count = 0
        self.missed = 0
        self._sweeps: deque[Floats] = deque(maxlen=self._kept)
        self._when: deque[int] = deque(maxlen=self._kept)
        self.changed += 1

    def add(self, stream: int, item: Chunk | Gap, now_ns: int) -> None:
        """Take samples or events; whole sweeps change the picture."""
        if stream == 0:
            # In pieces of which none is longer than what is kept for a sweep.
            most = max(1, self._history.size - self._n)
            parts = [item] if isinstance(item, Gap) else [
                Chunk(item.start + i, item.data[i : i + most], epoch=item.epoch)
                for i in range(0, len(item), most)
            ]  # fmt: skip
            for part in parts:
                self._history.add(part)
                if self._threshold is not None:
                    self._find(self._threshold)
                self._cut()
        elif isinstance(item, Chunk) and len(item) and self._events is not None:
            data = item.data
            if self._labels is not None:
                wanted = [label.decode() in self._labels for label in data["label"].tolist()]
                data = data[wanted]
            data = data[data["index"] >= 0]
            indices = index_in(data, self._events, self._spec)
            places = [self._history.place(int(index)) for index in indices]
            self._waiting.extend(place for place in places if place is not None)
            self.missed += sum(place is None for place in places)
            self._cut()

    def elements(self, now_ns: int) -> list[Element]:
        """One plot per channel: sweeps, their mean, and the moment of the trigger."""
        time = (np.arange(self._n) - self._n_before) / self._spec.sample_rate * 1000.0
        stack = np.stack(self._sweeps) if self._sweeps else np.empty((0, self._n, self._n_shown))
        plots: list[Element] = []
        for i, name in enumerate(self._names):
            low, high = self._limits(i, stack[..., i])
            thinned = (
                [thin(time, sweep, _MOST_POINTS) for sweep in stack[..., i]] if self._show_sweeps else []
            )
            fade = [0.12 + 0.5 * (k + 1) / len(thinned) for k in range(len(thinned))]
            sweeps = Lines([x for x, _ in thinned], [y for _, y in thinned], [i] * len(thinned), fade, 1.0)
            mean = [thin(time, self.mean()[:, i], 2 * _MOST_POINTS)] if len(stack) and self._show_mean else []
            average = Lines([x for x, _ in mean], [y for _, y in mean], [INK] * len(mean), width=2.2)
            marks = [(np.zeros(2), np.array([low, high]))]
            if self._threshold is not None and name == self._spec.names[self._history.channels[-1]]:
                marks.append((time[[0, -1]], np.full(2, self._threshold.value)))
            mark = Lines(
                [x for x, _ in marks], [y for _, y in marks], [INK] * len(marks), [0.4] * len(marks), 1.0
            )
            last = i == self._n_shown - 1
            x = Axis(float(time[0]), float(time[-1]), "time after the trigger (ms)" if last else "")
            note = self._note() if i == 0 else ""
            y = Axis(low, high, self._spec.units)
            plots.append(Plot(name, x, y, (sweeps, mark, average), note, 320 if self._n_shown == 1 else 190))
        return plots

    def mean(self) -> Floats:
        """Mean of the sweeps, shape (n_samples, n_channels); there must be one."""
        return np.mean(np.stack(self._sweeps), axis=0)

    def controls(self) -> list[Control]:
        """How many sweeps, what of them, and from anew."""
        controls = [
            Control("sweeps", "Sweeps", "number", self._kept, title="How many are kept"),
            Control("show_sweeps", "Single", "toggle", self._show_sweeps, title="Draw each sweep"),
            Control("show_mean", "Average", "toggle", self._show_mean, title="Draw the mean of the sweeps"),
            Control("reset", "Reset", "action", title="Forget all sweeps"),
        ]
        if (t := self._threshold) is not None:
            units = f" ({self._spec.units})" if self._spec.units else ""
            controls.insert(
                0, Control("threshold", f"Threshold{units}", "number", t.value, title="What is crossed")
            )
            controls.insert(1, Control("edge", "Edge", "choice", t.edge, ("rising", "falling"), "Which way"))
        return controls

    def set(self, name: str, value: Any) -> None:
        """Set a control; see `controls`."""
        t = self._threshold
        match name:
            case "sweeps":
                self._kept = int(number("sweeps", value, 1, 500))
                self._sweeps = deque(self._sweeps, self._kept)
                self._when = deque(self._when, self._kept)
            case "show_sweeps":
                self._show_sweeps = bool(value)
            case "show_mean":
                self._show_mean = bool(value)
            case "reset":
                self.reset()
            case "threshold" if t is not None:
                self._threshold = Threshold(number("threshold", value, -1e30, 1e30), t.channel, t.edge)
            case "edge" if t is not None:
                self._threshold = Threshold(t.value, t.channel, chosen("edge", value, ("rising", "falling")))
            case _:
                super().set(name, value)
        self.changed += 1

    def _find(self, threshold: Threshold) -> None:
        """Wait for the sweeps of what crosses the threshold; one that has begun is not begun again."""
        begin = max(self._history.start, self._looked - 1)
        values = self._history.read(begin, self._history.stop)[:, -1]
        self._looked = self._history.stop
        with np.errstate(invalid="ignore"):
            above = values >= threshold.value
        known = ~np.isnan(values[:-1]) & ~np.isnan(values[1:])
        crossed = above[1:] & ~above[:-1] if threshold.edge == "rising" else ~above[1:] & above[:-1]
        for at in (np.flatnonzero(crossed & known) + begin + 1).tolist():
            if at >= self._not_before:
                self._waiting.append(at)
                self._not_before = at + self._n - self._n_before

    def _cut(self) -> None:
        """Cut the sweeps that are whole now; those over a gap, or too old, are left out and counted."""
        still: list[int] = []
        for at in self._waiting:
            begin = at - self._n_before
            if begin + self._n > self._history.stop:
                still.append(at)
                continue
            sweep = None if begin < self._history.start else self._history.read(begin, begin + self._n)
            if sweep is None or np.isnan(sweep).any():
                self.missed += 1
                continue
            self._sweeps.append(sweep[:, : self._n_shown])
            self._when.append(at)
            self.count += 1
            self.changed += 1
        self._waiting = deque(still, self._waiting.maxlen)

    def _note(self) -> str:
        if not self.count:
            return "waiting for a trigger"
        parts = [f"{len(self._sweeps)} of {self.count:,} sweeps"]
        span = self._when[-1] - self._when[0] if len(self._when) > 1 else 0
        if span:
            parts.append(f"{(len(self._when) - 1) * self._spec.sample_rate / span:.3g} per second")
        if self.missed:
            parts.append(f"{self.missed:,} left out: not whole")
        return " \N{MIDDLE DOT} ".join(parts)

    def _limits(self, channel: int, values: npt.NDArray[Any]) -> tuple[float, float]:
        """Ends of a vertical axis, which stand still where little changes."""
        now = self._half[channel]
        if not values.size:
            return now or (-1.0, 1.0)
        low, high = float(values.min()), float(values.max())
        if now is None or low < now[0] or high > now[1] or now[1] - now[0] > 3 * max(high - low, 1e-12):
            middle = 0.0 if abs(low + high) < 0.5 * (high - low) else (low + high) / 2
            half = nice_ceiling(1.1 * max(high - middle, middle - low))
            now = self._half[channel] = middle - half, middle + half
        return now


def thin(
    x: npt.NDArray[Any], y: npt.NDArray[Any], n_points: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """A line of fewer points that looks the same: least and greatest of each piece.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        The line.
    n_points : int
        As many points at most, or one piece more.
    """
    if len(x) <= n_points:
        return x, y
    size = math.ceil(2 * len(x) / n_points)
    n = len(x) // size
    pieces = y[: n * size].reshape(n, size)
    ends = np.stack([np.fmin.reduce(pieces, axis=1), np.fmax.reduce(pieces, axis=1)], axis=1).reshape(-1)
    at = np.repeat(x[: n * size : size], 2)
    rest = slice(n * size, None)
    return np.concatenate([at, x[rest]]), np.concatenate([ends, y[rest]])
