"""The live oscilloscope: what a user puts in a cell."""

from __future__ import annotations

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.notebook.plots import assets, figure
from pyacq_lab.notebook.plots.feed import Feed, FeedHandle, open_all
from pyacq_lab.notebook.plots.live import LiveView
from pyacq_lab.notebook.plots.panel import Panel, default_height
from pyacq_lab.notebook.plots.still import StillPanel, render
from pyacq_lab.notebook.plots.viewer import Viewer
from pyacq_lab.viewing.display import ScaleMode


class Oscilloscope(LiveView):
    """Show streams as moving traces, one panel per stream, one lane per channel.

    Show it as the last value of a cell, with ``display``, or inside other widgets. It goes on moving while
    cells run. A gap is drawn as a hatched red band; spikes of one sample are always drawn.

    The notebook keeps a picture: `close` puts the last one in place of the moving plot. Where no page
    shows the plot (``nbconvert --execute``), its output is refreshed now and then with a picture.
    `still` gives a picture to keep anywhere.

    Parameters
    ----------
    *sources : Feed or FeedHandle
        Streams, from the top; an output's handle, or a feed. The oscilloscope closes the feeds.
    window : float
        Seconds shown.
    fps : float
        Frames per second, at most.
    title : str
        Written over the plot.
    names : sequence of str
        Titles of the panels; by default the sources' own ``name``, where they have one.
    scale : {'shared', 'each'}
        One scale for all lanes of a stream, so that amplitudes compare, or one for each lane.
    height : int or None
        Of each panel, CSS pixels; by default enough for its channels.
    columns : int
        Bins per window; more are only worth their way on very wide screens.

    Raises
    ------
    ConfigurationError
        A source is not a stream, or a setting is out of range.
    StreamMismatch
        A stream has no channels of real numbers, such as video.

    Examples
    --------
    >>> scope = Oscilloscope(node.output, window=5.0)      # doctest: +SKIP
    >>> scope                                              # doctest: +SKIP
    >>> scope.save("before-stimulus.png")                  # doctest: +SKIP
    """

    _esm = assets.esm("oscilloscope.js")
    _css = assets.css()

    def __init__(
        self,
        *sources: Feed | FeedHandle,
        window: float = 5.0,
        fps: float = 30.0,
        title: str = "",
        names: tuple[str, ...] | list[str] = (),
        scale: ScaleMode = "shared",
        height: int | None = None,
        columns: int = 1200,
    ) -> None:
        _check(window, fps, names, len(sources), scale)
        feeds = open_all(sources, backfill=window)
        try:
            panels = [
                Panel(
                    index,
                    names[index] if names else str(getattr(feed, "name", "") or getattr(source, "name", "")),
                    feed.spec,
                    window=window,
                    columns=columns,
                    n_panels=len(feeds),
                    height=height or default_height(feed.spec.n_channels, len(feeds)),
                    scale=scale,
                )
                for index, (feed, source) in enumerate(zip(feeds, sources, strict=True))
            ]
            super().__init__()
        except BaseException:
            for feed in feeds:
                feed.close()
            raise
        self.title = title
        self._figures = figure.figure_items(panels)
        self._viewer = Viewer(feeds, panels, self._link, fps, self._on_tick)
        self._begin(self._viewer)

    @property
    def window(self) -> float:
        """Seconds shown. Setting it starts the traces anew."""
        return self._viewer.panels[0].window

    @window.setter
    def window(self, seconds: float) -> None:
        _check(seconds, 1.0, (), 1, "shared")
        self._viewer.set_window(seconds)

    @property
    def paused(self) -> bool:
        """Whether the picture is frozen."""
        return self._viewer.paused

    def pause(self) -> None:
        """Freeze the picture, stills too; acquisition goes on."""
        self._viewer.pause(True)

    def resume(self) -> None:
        """Let the picture go on, with the last of what came meanwhile."""
        self._viewer.pause(False)

    def fit(self) -> None:
        """Fit the lanes to the signals, and keep them fitted (auto-scale)."""
        self._viewer.fit()

    def zoom(self, factor: float) -> None:
        """Draw the traces ``factor`` times as high; automatic fitting stops until `fit`."""
        if not factor > 0:
            raise ConfigurationError(f"zoom factor {factor!r}: wanted a number above 0")
        self._viewer.zoom(factor)

    def snapshot(self, width: int = 900) -> bytes:
        """Draw the last window as a PNG; needs no browser.

        Parameters
        ----------
        width : int
            Of the picture, CSS pixels; the PNG is twice as fine.
        """
        with self._viewer.lock:
            panels = [_still(panel) for panel in self._viewer.panels]
        return render(panels, window=self.window, title=self.title, width=width)

    def __repr__(self) -> str:
        streams = ", ".join(
            f"{p.name or 'stream'}: {p.spec.n_channels} ch at {p.spec.sample_rate:g} Hz"
            for p in self._viewer.panels
        )
        return f"<Oscilloscope of {streams}; {self._state()}>"

    def _state(self) -> str:
        state = super()._state()
        return "paused" if self.paused and state != "closed" else state


def _still(panel: Panel) -> StillPanel:
    lanes, flags = panel.lanes()
    lost = f"{panel.past.lost:,} samples lost · " if panel.past.lost else ""
    note = f"{lost}{panel.layout()['scale']}".rstrip(" ·")
    return StillPanel(
        name=panel.name,
        note=note,
        height=panel.height,
        lanes=lanes,
        flags=flags,
        stop=panel.stop,
        window_bins=panel.window_bins,
        ticks=panel.ticks(),
    )


def _check(window: float, fps: float, names: tuple[str, ...] | list[str], n_sources: int, scale: str) -> None:
    if not 0 < window < float("inf"):
        raise ConfigurationError(f"window {window!r}: wanted a number of seconds above 0")
    if not 0 < fps <= 120:
        raise ConfigurationError(f"fps {fps!r}: wanted frames per second, above 0 and at most 120")
    if names and len(names) != n_sources:
        raise ConfigurationError(f"{len(names)} names for {n_sources} streams: name each, or none")
    if scale not in ("shared", "each"):
        raise ConfigurationError(f"scale {scale!r}: wanted 'shared' or 'each'")
