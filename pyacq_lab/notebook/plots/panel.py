"""One stream of a live plot: its history, its lanes, and what of it the page has."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.notebook.plots.closer import Closer
from pyacq_lab.notebook.plots.displayfilter import DisplayFilter, FilterSettings
from pyacq_lab.notebook.plots.lanemessages import changed
from pyacq_lab.notebook.plots.panelsettings import PanelSettings
from pyacq_lab.viewing import display
from pyacq_lab.viewing.bins import Bins, Floats
from pyacq_lab.viewing.clipping import clipped, has_limits
from pyacq_lab.viewing.frames import Frame, quantised
from pyacq_lab.viewing.history import TraceHistory, check_drawable
from pyacq_lab.viewing.lanes import LaneTransform
from pyacq_lab.viewing.past import Past

_log = logging.getLogger(__name__)

_BYTES_PER_FRAME = 250_000
"""Most bytes of one panel in one frame: a whole history goes in pieces."""

_BINS_BYTES = 32 << 20
"""Memory that bins may take for looking back further than the samples reach."""

_REPLAYED = 8_000_000
"""Most values that are drawn anew at once, when the window or the filter is another."""

_CLIPPING_SECONDS = 0.5

_MARKS = 500
"""Events that are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class _Frozen:
    """A picture that stands still: all bins and samples up to its newest.

    ``first`` is where sample 0 lies on the bins' display axis.
    """

    bins: Bins
    past: Past
    first: float


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
    settings : PanelSettings
        What is drawn of the stream.
    keep : float
        Seconds of the past that can be looked at, as far as memory allows.
    clip : tuple of float, optional
        Values, in the stream's units, at which the instrument clips; those of its data type unless given.
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
        settings: PanelSettings = PanelSettings(),  # noqa: B008  frozen
        keep: float = 60.0,
        clip: tuple[float, float] | None = None,
    ) -> None:
        check_drawable(spec)
        self.index = index
        self.name = name
        self.spec = spec
        self.height = height
        self.settings = settings
        self.state = "waiting"
        self.lag: float | None = None
        self.scaling = display.Scaling.unit(spec.n_channels)
        self.revision = 0
        self.rate = 0.0
        self.window = window
        self._columns = columns
        self._n_panels = n_panels
        self._mode: display.ScaleMode = scale
        self._keep = keep
        self._clip = clip
        self._clipped: list[str] = []
        self._made: tuple[tuple[Any, ...], LaneTransform] | None = None
        self._marks: deque[tuple[float, str]] = deque(maxlen=_MARKS)
        self.past = Past(spec, keep)
        self._frozen: _Frozen | None = None
        self._rate_mark = (0.0, 0)
        self._redraw()

    def renew(self, spec: StreamSpec) -> None:
        """Begin anew with a stream that was configured anew; a filter that does not fit it is left out."""
        check_drawable(spec)
        try:
            DisplayFilter(spec, self.settings.filter)
        except ConfigurationError as error:
            _log.warning("%s is drawn without its filter from now on: %s", self.name, error)
            self.settings = self.settings.model_copy(update={"filter": FilterSettings()})
        was_frozen = self._frozen is not None
        self.spec = spec
        self.scaling = display.Scaling.unit(spec.n_channels)
        self.revision += 1
        self.past = Past(spec, self._keep)
        self._rate_mark = (0.0, 0)
        self.freeze(False)
        self._redraw()
        self.freeze(was_frozen)

    def set_window(self, window: float) -> None:
        """Show another number of seconds, moving; what of the past fits into it is shown at once."""
        self.window = window
        self.freeze(False)
        self._redraw()

    def set_settings(self, settings: PanelSettings) -> None:
        """Draw other channels, or otherwise.

        Raises
        ------
        ConfigurationError
            The filter does not fit the stream; nothing is changed.
        """
        if settings.filter != self.settings.filter:
            DisplayFilter(self.spec, settings.filter)  # raises before anything is changed
        before, self.settings = self.settings, settings
        self.revision += 1
        if settings.filter != before.filter or self._bin_size() != self.history.bin_size:
            self._redraw()
        if (settings.filter, settings.median) != (before.filter, before.median):
            self.rescale(force=True)
        self.forget_sent()

    def handle(self, message: Mapping[str, Any]) -> bool:
        """Take a message of a page that is not for the viewer itself; say whether it was known.

        Raises
        ------
        PyacqError
            What it asks for is refused; the page is told.
        """
        if message.get("kind") == "look":
            self._look.want(float(message["start"]), float(message["end"]), int(message["columns"]))
            return True
        settings = changed(self.settings, self.spec, message)
        if settings is None:
            return False
        self.set_settings(settings)
        return True

    # --- what comes

    @property
    def bin_seconds(self) -> float:
        """Seconds per bin."""
        return self.history.bin_size / self.spec.sample_rate

    def _bin_size(self) -> int:
        n_lanes = len(self.settings.lanes.shown(self.spec))
        return display.bin_size_for(self.spec, self.window, self._columns, self._n_panels, n_lanes)

    def _redraw(self) -> None:
        """Make bins of what there is of the past, by the settings as they are now."""
        self.history, self._filter = self._replayed(self.past)
        self.drawn = self._filter.spec
        self.window_bins = self.window * self.spec.sample_rate / self.history.bin_size
        if self._frozen is not None:
            self._freeze_at(self._replayed(self._frozen.past)[0], self._frozen.past)
        else:
            self.freeze(False)
        self.forget_sent()

    def _replayed(self, past: Past) -> tuple[TraceHistory, DisplayFilter]:
        """Bins of a window's worth of a past, and the filter as it stands after that."""
        bin_size, made = self._bin_size(), DisplayFilter(self.spec, self.settings.filter)
        n_window = math.ceil(self.window * self.spec.sample_rate)
        most = _BINS_BYTES // (8 * self.spec.n_channels)
        kept = min(most, math.ceil(self._keep * self.spec.sample_rate / bin_size))
        history = TraceHistory(made.spec, bin_size, max(math.ceil(n_window / bin_size) + 2, kept))
        n_samples = min(n_window + bin_size + made.settles, max(1, _REPLAYED // self.spec.n_channels))
        for item in past.read(past.stop - n_samples, past.stop):
            history.add(made.process(item))
        return history, made

    def add(self, item: Chunk | Gap, now_ns: int) -> None:
        """Take what the feed gave; ``now_ns`` is ns since 1970 UTC."""
        for each in self.past.add(item):
            self.history.add(self._filter.process(each))
        self.state = "live"
        if isinstance(item, Chunk) and self.history.newest_ns:
            self.lag = (now_ns - self.history.newest_ns) / 1e9

    def place_at(self, time_ns: npt.NDArray[np.int64]) -> Floats:
        """Where moments lie on the sample axis, as far as it is known when the newest sample was taken."""
        newest_ns = self.history.newest_ns or time.time_ns()
        return self.past.stop - 1 + (time_ns - newest_ns) * (self.spec.sample_rate / 1e9)

    def mark(self, place: float, label: str) -> None:
        """Draw a line at a place on the sample axis."""
        self._marks.append((float(place), label))

    def measure(self, now: float) -> None:
        """Note how many samples came per second since the last call, and which channels clip."""
        then, seen = self._rate_mark
        if then and now > then:
            self.rate = (self.past.received - seen) / (now - then)
        self._rate_mark = (now, self.past.received)
        start = self.past.stop - math.ceil(_CLIPPING_SECONDS * self.spec.sample_rate)
        if has_limits(self.spec, self._clip):
            newest = [i.data for i in self.past.read(start, self.past.stop) if isinstance(i, Chunk)]
            names = self.spec.names
            self._clipped = [names[c] for c in clipped(newest, self.spec, self._clip)]

    def freeze(self, frozen: bool) -> None:
        """Keep showing the window as it is now, or show what comes; the history goes on in any case."""
        if not frozen:
            self._frozen = None
            self._look = Closer(self.past, self.settings.filter)
        elif self._frozen is None:
            self._freeze_at(self.history, self.past.copy())

    def _freeze_at(self, history: TraceHistory, past: Past) -> None:
        bins = Bins(history.start, *history.read(history.start, history.stop))
        # The newest bin in the picture ends where a whole number of bins does.
        newest = past.stop // history.bin_size * history.bin_size
        self._frozen = _Frozen(bins, past, history.place_of(0))
        self._look = Closer(past, self.settings.filter, newest, bins, history.bin_size)

    # --- what is shown

    @property
    def stop(self) -> int:
        """Index after the newest bin in the window."""
        return self._span()[1]

    def values(self) -> tuple[Floats, npt.NDArray[np.uint8]]:
        """Extremes in the stream's units and flags of the bins in the window, of all channels."""
        extremes, flags = self._read(*self._span())
        return display.physical(extremes, self.drawn), flags

    def lanes(self) -> tuple[Floats, npt.NDArray[np.uint8]]:
        """Extremes in lanes and flags of the bins in the window, of the channels that are drawn."""
        extremes, flags = self._read(*self._span())
        return self._transform().to_lanes(extremes), flags

    def _transform(self) -> LaneTransform:
        """How samples become lanes now; made once for each revision and each stream."""
        key = (self.settings.lanes, self.scaling, self.drawn)
        if self._made is None or any(a is not b for a, b in zip(self._made[0], key, strict=True)):
            self._made = key, self.settings.lanes.transform(self.drawn, self.scaling)
        return self._made[1]

    def _span(self) -> tuple[int, int]:
        """First bin in the window, and the index after its newest."""
        source = self.history if self._frozen is None else self._frozen.bins
        return max(source.start, source.stop - math.ceil(self.window_bins)), source.stop

    def _read(self, start: int, stop: int) -> tuple[Floats, npt.NDArray[np.uint8]]:
        if self._frozen is None:
            return self.history.read(start, stop)
        bins = self._frozen.bins
        part = slice(start - bins.start, stop - bins.start)
        return bins.extremes[part], bins.flags[part]

    def rescale(self, force: bool = False) -> bool:
        """Fit the lanes to what the window holds, if they do not fit any more; say whether they changed."""
        values = self.values()[0]
        wanted = display.fit(values, self._mode, at_median=self.settings.median) if len(values) else None
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
        self._look.again()

    def next_frame(self) -> Frame | None:
        """Bins that the page lacks, or as many as one frame takes; None where there is nothing new."""
        first, newest = self._span()
        transform = self._transform()
        if self._sent == newest and (look := self._look.take(transform)) is not None:
            start, bin_size, lanes, flags = look
            return Frame(self.index, self.revision, start, True, quantised(lanes), flags, bin_size)
        reset = self._sent is None or not first <= self._sent <= newest
        start = first if reset or self._sent is None else self._sent
        most = max(1, _BYTES_PER_FRAME // (display.BYTES_PER_BIN * transform.n_lanes))
        stop = min(newest, start + most)
        if stop == start and not reset:
            return None
        self._sent = stop
        extremes, flags = self._read(start, stop)
        return Frame(self.index, self.revision, start, reset, quantised(transform.to_lanes(extremes)), flags)

    def channels(self) -> list[int]:
        """Columns of the channels that are drawn, from the top."""
        return self._transform().channels.tolist()

    def layout(self) -> dict[str, Any]:
        """What the page must know to paint the panel."""
        transform = self._transform()
        return {
            "name": self.name,
            "height": self.height,
            "revision": self.revision,
            "n_channels": transform.n_lanes,
            "bin_seconds": self.bin_seconds,
            "sample_rate": self.spec.sample_rate,
            "capacity": math.ceil(4 * self.window_bins) + 2,
            "y_limits": display.y_limits(transform.n_lanes),
            "ticks": self.ticks(),
            "scale": self._scale_label(),
            "units": self.drawn.units,
            "names": list(self.spec.names),
            "channels": self.channels(),
            "centre": transform.centre.tolist(),
            "half": transform.half.tolist(),
            "settings": self.settings.model_dump(),
        }

    def _shown(self) -> tuple[list[str], display.Scaling]:
        transform = self._transform()
        names = self.spec.names
        return [names[c] for c in transform.channels], display.Scaling(transform.centre, transform.half)

    def _scale_label(self) -> str:
        if not self.revision:
            return ""
        parts = [display.scale_label(self._shown()[1], self.drawn.units)]
        chosen = self.settings.filter
        parts += ["common average"] if chosen.average else []
        if chosen.low is not None or chosen.high is not None:
            parts.append(f"{chosen.low or 0:g}-{chosen.high or self.spec.sample_rate / 2:g} Hz")
        return " · ".join(parts)

    def ticks(self) -> list[tuple[float, str]]:
        """Places and labels of the vertical axis."""
        names, scaling = self._shown()
        return display.ticks(names, scaling, self.drawn.units, self.height - 30)

    def status(self) -> dict[str, Any]:
        """How the stream is doing, for the plot's corner."""
        return {
            "state": self.state,
            "rate": self.rate,
            "lag": self.lag,
            "lost": self.past.lost,
            "clipped": self._clipped,
            "markers": self.marks(),
        }

    def marks(self) -> list[tuple[float, str]]:
        """Events that can be in sight: their places on the display axis, in bins, and their labels."""
        first, oldest = self.history.place_of(0), self.history.start
        if self._frozen is not None:
            first, oldest = self._frozen.first, self._frozen.bins.start
        placed = [(place / self.history.bin_size + first, label) for place, label in self._marks]
        return [(at, label) for at, label in placed if at >= oldest]


def default_height(n_channels: int, n_panels: int) -> int:
    """Height of a panel, CSS pixels: enough for every lane, not more than a screen."""
    return round(min(110 + 26 * n_channels, 640 if n_panels == 1 else 420))
