"""One stream of a live plot: its history, its lanes, and what of it the page has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing import display
from pyacq_lab.viewing.bins import Bins, Floats
from pyacq_lab.viewing.frames import Frame, quantised
from pyacq_lab.viewing.history import TraceHistory

_BYTES_PER_FRAME = 250_000
"""Most bytes of one panel in one frame: a whole history goes in pieces."""


class Panel:
    """Lanes of one stream.

    Not thread-safe: `Viewer` holds its lock around every call.

    Parameters
    ----------
    index : int
        Number of the panel, from the top.
    name : str
        Its title.
    spec : StreamSpec
        Of its stream.
    window : float
        Seconds shown.
    columns : int
        Columns of pixels.
    n_panels : int
        Panels of the plot.
    height : int
        Of the panel, CSS pixels.
    scale : {'shared', 'each'}
        See `pyacq_lab.viewing.display.fit`.
    """

    def __init__(
        self,
        index: int,
        name: str,
        spec: StreamSpec,
        *,
        window: float,
        columns: int,
        n_panels: int,
        height: int,
        scale: display.ScaleMode,
    ) -> None:
        self.index = index
        self.name = name
        self.spec = spec
        self.height = height
        self.state = "waiting"
        self.lag: float | None = None
        self.scaling = display.Scaling.unit(spec.n_channels)
        self.revision = 0
        self._columns = columns
        self._n_panels = n_panels
        self._mode: display.ScaleMode = scale
        self.rate = 0.0
        self.set_window(window)

    def set_window(self, window: float) -> None:
        """Show another number of seconds; the history starts anew."""
        bin_size = display.bin_size_for(self.spec, window, self._columns, self._n_panels)
        self.window = window
        self.window_bins = window * self.spec.sample_rate / bin_size
        lost = self.history.lost if hasattr(self, "history") else 0
        self.history = TraceHistory(self.spec, bin_size, math.ceil(self.window_bins) + 2)
        self.history.lost = lost  # a loss stays counted, whatever is shown
        self._rate_mark = (0.0, 0)
        self._frozen: Bins | None = None
        self.forget_sent()

    @property
    def bin_seconds(self) -> float:
        """Seconds per bin."""
        return self.history.bin_size / self.spec.sample_rate

    def renew(self, spec: StreamSpec) -> None:
        """Begin anew with a stream that was configured anew."""
        self.spec = spec
        self.scaling = display.Scaling.unit(spec.n_channels)
        self.revision += 1
        self.set_window(self.window)

    def handle(self, message: Mapping[str, Any]) -> bool:
        """Take a message of a page that is not for the viewer itself; say whether it was known.

        Raises
        ------
        PyacqError
            What it asks for is refused; the page is told.
        """
        return False

    def add(self, item: Chunk | Gap, now_ns: int) -> None:
        """Take what the feed gave; ``now_ns`` is ns since 1970 UTC."""
        self.history.add(item)
        self.state = "live"
        if isinstance(item, Chunk) and self.history.newest_ns:
            self.lag = (now_ns - self.history.newest_ns) / 1e9

    def measure(self, now: float) -> None:
        """Note how many samples came per second since the last call."""
        then, seen = self._rate_mark
        if then and now > then:
            self.rate = (self.history.received - seen) / (now - then)
        self._rate_mark = (now, self.history.received)

    def freeze(self, frozen: bool) -> None:
        """Keep showing the window as it is now, or show what comes; the history goes on in any case."""
        start, stop = self._span()
        self._frozen = Bins(start, *self.history.read(start, stop)) if frozen else None

    @property
    def stop(self) -> int:
        """Index after the newest bin in the window."""
        return self._span()[1]

    def values(self) -> tuple[Floats, npt.NDArray[np.uint8]]:
        """Extremes in the stream's units and flags of the bins in the window."""
        return self._read(*self._span())

    def _span(self) -> tuple[int, int]:
        """First bin in the window, and the index after its newest."""
        if self._frozen is not None:
            return self._frozen.start, self._frozen.stop
        return max(self.history.start, self.history.stop - math.ceil(self.window_bins)), self.history.stop

    def _read(self, start: int, stop: int) -> tuple[Floats, npt.NDArray[np.uint8]]:
        if self._frozen is None:
            extremes, flags = self.history.read(start, stop)
        else:
            part = slice(start - self._frozen.start, stop - self._frozen.start)
            extremes, flags = self._frozen.extremes[part], self._frozen.flags[part]
        return display.physical(extremes, self.spec), flags

    def rescale(self, force: bool = False) -> bool:
        """Fit the lanes to what the window holds, if they do not fit any more; say whether they changed."""
        wanted = display.fit(self.values()[0], self._mode) if self.stop else None
        if wanted is None or (not force and self.revision and display.fits(self.scaling, wanted)):
            return False
        self.set_scaling(wanted)
        return True

    def set_scaling(self, scaling: display.Scaling) -> None:
        """Show the lanes at another scale; all that was sent is stale."""
        self.scaling = scaling
        self.revision += 1
        self.forget_sent()

    def forget_sent(self) -> None:
        """Send the whole window next."""
        self._sent: int | None = None

    def next_frame(self) -> Frame | None:
        """Bins that the page lacks, or as many as one frame takes; None where there is nothing new."""
        first, newest = self._span()
        reset = self._sent is None or not first <= self._sent <= newest
        start = first if reset or self._sent is None else self._sent
        most = max(1, _BYTES_PER_FRAME // (display.BYTES_PER_BIN * self.spec.n_channels))
        stop = min(newest, start + most)
        if stop == start and not reset:
            return None
        self._sent = stop
        values, flags = self._read(start, stop)
        lanes = quantised(self.scaling.to_lanes(values))
        return Frame(self.index, self.revision, start, reset, lanes, flags)

    def layout(self) -> dict[str, Any]:
        """What the page must know to paint the panel."""
        return {
            "name": self.name,
            "height": self.height,
            "revision": self.revision,
            "n_channels": self.spec.n_channels,
            "bin_seconds": self.bin_seconds,
            "capacity": math.ceil(4 * self.window_bins) + 2,
            "y_limits": display.y_limits(self.spec.n_channels),
            "ticks": self.ticks(),
            "scale": display.scale_label(self.scaling, self.spec.units) if self.revision else "",
        }

    def ticks(self) -> list[tuple[float, str]]:
        """Places and labels of the vertical axis."""
        return display.ticks(self.spec.names, self.scaling, self.spec.units, self.height - 30)

    def status(self) -> dict[str, Any]:
        """How the stream is doing, for the plot's corner."""
        return {"state": self.state, "rate": self.rate, "lag": self.lag, "lost": self.history.lost}


def default_height(n_channels: int, n_panels: int) -> int:
    """Height of a panel, CSS pixels: enough for every lane, not more than a screen."""
    return round(min(110 + 26 * n_channels, 640 if n_panels == 1 else 420))
