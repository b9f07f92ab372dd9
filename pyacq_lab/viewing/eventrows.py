"""The arithmetic of an event raster: what happened when, a row for each kind of event."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import UNKNOWN, require_events
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.scene import Axis, Bands, Control, Element, Lines, Plot, Scene, number

_MOST_ROWS = 40
_MOST_EVENTS = 20_000


class EventScene(Scene):
    """Events of some streams on one time axis.

    Parameters
    ----------
    specs : sequence of StreamSpec
        Of streams of events.
    names : sequence of str
        Of the streams.
    window : float
        Seconds shown.
    """

    moves = True

    def __init__(self, specs: Sequence[StreamSpec], names: Sequence[str], window: float = 10.0) -> None:
        self._window = number("window", window, 0.01, 86_400, "s")
        for spec in specs:
            require_events(spec, "EventRaster")
        self._streams = list(names)
        self._rows: dict[str, int] = {}
        self._events: deque[tuple[int, int, int]] = deque(maxlen=_MOST_EVENTS)  # time, row, duration
        self._gaps: deque[tuple[int, int]] = deque(maxlen=1000)
        self._rates = [spec.sample_rate for spec in specs]
        self._last_ns = [0] * len(specs)
        self._behind_ns: int | None = None
        self.count = 0

    def renew(self, stream: int, spec: StreamSpec) -> None:
        """Go on with a stream that was configured anew."""
        self._rates[stream] = require_events(spec, "EventRaster").sample_rate

    def add(self, stream: int, item: Chunk | Gap, now_ns: int) -> None:
        """Take events."""
        if isinstance(item, Gap):
            if self._last_ns[stream]:
                self._gaps.append((self._last_ns[stream], now_ns))
            self.changed += 1
            return
        for event in item.data.tolist():
            time_ns, _, duration, channel, code, label = event
            row = self._row(self._kind(stream, channel, code, label.decode()))
            self._events.append((time_ns, row, round(duration * 1e9 / self._rates[stream])))
            self._last_ns[stream] = time_ns
            self.count += 1
            self._behind_ns = min(
                now_ns - time_ns, self._behind_ns if self._behind_ns is not None else 1 << 62
            )
        self.changed += 1

    def elements(self, now_ns: int) -> list[Element]:
        """One plot with a row for each kind."""
        # Clocks of other machines: the newest event is never in the future.
        end_ns = now_ns - min(0, self._behind_ns or 0)
        first_ns = end_ns - round(1e9 * self._window)
        seen = [event for event in self._events if event[0] + event[2] >= first_ns]
        n = len(self._rows)
        xs, ys, colors = [], [], []
        table = np.array(seen, np.int64).reshape(-1, 3)
        for row in range(n):
            mine = table[table[:, 1] == row]
            x = (mine[:, 0] - end_ns) / 1e9
            y = n - 1.0 - row
            xs.append(np.column_stack([x, x, np.full(len(x), np.nan)]).reshape(-1))
            ys.append(np.tile([y - 0.36, y + 0.36, np.nan], len(x)))
            colors.append(row)
            lasting = mine[mine[:, 2] > 0]
            if len(lasting):
                from_ = np.maximum((lasting[:, 0] - end_ns) / 1e9, -self._window)
                to = np.minimum((lasting[:, 0] + lasting[:, 2] - end_ns) / 1e9, 0.0)
                xs.append(np.column_stack([from_, to, np.full(len(to), np.nan)]).reshape(-1))
                ys.append(np.tile([y, y, np.nan], len(lasting)))
                colors.append(row)
        ticks = tuple((n - 1.0 - i, name) for name, i in self._rows.items())
        gaps = [((a - end_ns) / 1e9, (b - end_ns) / 1e9) for a, b in self._gaps if b > first_ns]
        bands = Bands([max(a, -self._window) for a, _ in gaps], [b for _, b in gaps])
        note = f"{len(seen):,} events in {self._window:g} s \N{MIDDLE DOT} {self.count:,} in all"
        return [
            Plot(
                "events",
                Axis(-self._window, 0.0, "time before now (s)"),
                Axis(-0.6, max(1, n) - 0.4, ticks=ticks),
                (bands, Lines(xs, ys, colors, width=2.0)),
                note if self.count else "no event yet",
                max(120, 30 + 26 * n),
            )
        ]

    def controls(self) -> list[Control]:
        """Seconds shown."""
        return [Control("window", "Window (s)", "number", self._window, title="Seconds shown")]

    def set(self, name: str, value: Any) -> None:
        """Set a control; see `controls`."""
        if name != "window":
            super().set(name, value)
        self._window = number("window", value, 0.01, 86_400, "s")
        self.changed += 1

    def _kind(self, stream: int, channel: int, code: int, label: str) -> str:
        kind = label or (f"code {code}" if code != UNKNOWN else "event")
        if not label and channel != UNKNOWN:
            kind = f"{kind}, channel {channel}"
        return (
            f"{self._streams[stream]}: {kind}" if len(self._streams) > 1 and self._streams[stream] else kind
        )

    def _row(self, kind: str) -> int:
        if kind not in self._rows:
            if len(self._rows) >= _MOST_ROWS:
                kind = "others"
            self._rows.setdefault(kind, len(self._rows))
            self.shape += 1
        return self._rows[kind]
