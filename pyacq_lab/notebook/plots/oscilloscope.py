"""The live oscilloscope: what a user puts in a cell."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from base64 import b64encode
from pathlib import Path
from typing import Any

import anywidget
from IPython.display import Image

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.notebook.keepsake import Bundle, Keepsake
from pyacq_lab.notebook.plots import assets, figure
from pyacq_lab.notebook.plots.feed import Feed, FeedHandle, open_all
from pyacq_lab.notebook.plots.link import CommLink
from pyacq_lab.notebook.plots.panel import Panel, default_height
from pyacq_lab.notebook.plots.still import StillPanel, render
from pyacq_lab.notebook.plots.viewer import Viewer
from pyacq_lab.viewing.display import ScaleMode

_log = logging.getLogger(__name__)

_WIDTH = 900
"""Width of the picture in a notebook, CSS pixels."""

_FIRST_REFRESH = 3.0
"""Seconds without a page after which the picture in the notebook is refreshed for the first time."""


class Oscilloscope(Keepsake, anywidget.AnyWidget):
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

    _esm = assets.esm()
    _css = assets.css()
    _closed = True  # until it is whole: ipywidgets closes also what could not be made

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
        feeds = open_all(sources)
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
        self._link = CommLink(self)
        self._viewer = Viewer(feeds, panels, self._link, fps, self._on_tick)
        self._closing = threading.Lock()
        self._refresh_at: float | None = None
        self._refresh_after = _FIRST_REFRESH
        self._final_refresh_done = False
        self.on_msg(self._on_message)
        self._closed = False
        atexit.register(self.close)
        self._viewer.start()

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

    def still(self, width: int = 900) -> Image:
        """Give the last window as a picture that shows itself in a notebook and stays in it when saved."""
        return Image(data=self.snapshot(width), format="png", width=width, alt=self.title or "traces")

    def save(self, path: str | os.PathLike[str], width: int = 900) -> None:
        """Write the last window to a PNG file."""
        Path(path).write_bytes(self.snapshot(width))

    def close(self) -> None:
        """Stop receiving, and leave the last picture in place of the plot. Idempotent; from any thread."""
        if self._closed:
            return
        with self._closing:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        self._viewer.close()
        self._leave_still()
        super().close()

    def _still_bundle(self) -> Bundle:
        picture = b64encode(self.snapshot(_WIDTH)).decode("ascii")
        return {"text/plain": repr(self), "image/png": picture}, {"image/png": {"width": _WIDTH}}

    def _on_tick(self, now: float) -> None:
        """Refresh the output where no page shows the plot. Called by the sending thread, twice a second.

        Never while a page shows it: an update would draw the widget anew. Less and less often, so that a plot
        that nobody watches for a week sends a handful of pictures.
        """
        if not self._display_id or self._viewer.watched:
            self._refresh_at = None
            return
        if self._refresh_at is None:
            self._refresh_at = now + self._refresh_after
        last_one = self._viewer.ended and not self._final_refresh_done
        if now >= self._refresh_at or last_one:
            self._final_refresh_done = self._viewer.ended
            self._refresh_after *= 2
            self._refresh_at = now + self._refresh_after
            self._publish(update=True)

    def _on_message(self, _widget: object, content: Any, _buffers: object) -> None:
        """Take a message of a page. Called by the kernel's thread for comms."""
        match content.get("kind"):
            case "need_figure":
                message = {
                    "kind": "figure",
                    "items": self._figures,
                    "bokeh": figure.bokeh_version(),
                    "title": self.title,
                }
                self._link.send(message)
            case "need_bokeh":
                self._link.send({"kind": "bokeh", "bokeh": figure.bokeh_version()}, [figure.bokeh_js()])
            case _:
                self._viewer.handle(content)

    def __repr__(self) -> str:
        streams = ", ".join(
            f"{p.name or 'stream'}: {p.spec.n_channels} ch at {p.spec.sample_rate:g} Hz"
            for p in self._viewer.panels
        )
        return f"<Oscilloscope of {streams}; {self._state()}>"

    def _state(self) -> str:
        if self._closed:
            return "closed"
        return "paused" if self.paused else "ended" if self._viewer.ended else "live"


def _still(panel: Panel) -> StillPanel:
    values, flags = panel.values()
    lost = f"{panel.history.lost:,} samples lost · " if panel.history.lost else ""
    note = f"{lost}{panel.layout()['scale']}".rstrip(" ·")
    return StillPanel(
        name=panel.name,
        note=note,
        height=panel.height,
        lanes=panel.scaling.to_lanes(values),
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
