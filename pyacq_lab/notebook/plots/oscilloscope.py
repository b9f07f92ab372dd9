"""The live oscilloscope: what a user puts in a cell."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.notebook.plots import assets, figure
from pyacq_lab.notebook.plots.displayfilter import FilterSettings
from pyacq_lab.notebook.plots.feed import Feed, FeedHandle, open_all
from pyacq_lab.notebook.plots.live import LiveView
from pyacq_lab.notebook.plots.markers import Markers
from pyacq_lab.notebook.plots.panel import Panel, default_height
from pyacq_lab.notebook.plots.panelsettings import Mode, PanelSettings, ScopeSettings
from pyacq_lab.notebook.plots.still import StillPanel, render
from pyacq_lab.notebook.plots.svg import render_svg
from pyacq_lab.notebook.plots.viewer import Viewer
from pyacq_lab.processing.selection import find_channels
from pyacq_lab.viewing.display import ScaleMode
from pyacq_lab.viewing.lanes import LaneSettings


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
        Seconds shown, 0.01 to 600; 5 unless given.
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
    mode : {'scroll', 'scan'}
        Traces run to the left, or a scan writes over the oldest.
    markers : Feed or FeedHandle, or sequence of them
        Streams of events, drawn as lines in all panels.
    keep : float
        Seconds of the past that can be looked at while it is paused, as far as memory allows (64 MB of
        samples and 32 MB of bins per stream).
    clip : tuple of float, optional
        Values, in the streams' units, at which the instrument clips, for a warning; unless given, the ends
        of an integer data type.
    settings : ScopeSettings or dict, optional
        `settings` of an earlier plot, also of another notebook. Its window and mode give way to those
        that are given here.

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
        window: float | None = None,
        fps: float = 30.0,
        title: str = "",
        names: tuple[str, ...] | list[str] = (),
        scale: ScaleMode = "shared",
        height: int | None = None,
        columns: int = 1200,
        mode: Mode | None = None,
        markers: Feed | FeedHandle | Sequence[Feed | FeedHandle] = (),
        keep: float = 60.0,
        clip: tuple[float, float] | None = None,
        settings: ScopeSettings | Mapping[str, Any] | None = None,
    ) -> None:
        chosen = _settings(settings, window, mode)
        _check(fps, names, len(sources), scale)
        marked = tuple(markers) if isinstance(markers, Sequence) else (markers,)
        feeds = open_all((*sources, *marked), backfill=chosen.window) if sources else open_all(())
        try:
            panels = [
                Panel(
                    index,
                    names[index] if names else str(getattr(feed, "name", "") or getattr(source, "name", "")),
                    feed.spec,
                    window=chosen.window,
                    columns=columns,
                    n_panels=len(sources),
                    height=height or default_height(feed.spec.n_channels, len(sources)),
                    scale=scale,
                    settings=chosen.panels[index] if index < len(chosen.panels) else PanelSettings(),
                    keep=max(keep, chosen.window),
                    clip=clip,
                )
                for index, (feed, source) in enumerate(zip(feeds, sources, strict=False))
            ]
            marking = [
                (feed, Markers(str(getattr(feed, "name", "")), feed.spec, panels))
                for feed in feeds[len(sources) :]
            ]
            super().__init__()
        except BaseException:
            for feed in feeds:
                feed.close()
            raise
        self.title = title
        self._figures = figure.figure_items(panels)
        self._viewer = Viewer(
            feeds[: len(sources)],
            panels,
            self._link,
            fps,
            self._on_tick,
            markers=marking,
            mode=chosen.mode,
        )
        self._begin(self._viewer)

    @property
    def window(self) -> float:
        """Seconds shown, 0.01 to 600; what of the past fits into another window is shown at once."""
        return self._viewer.panels[0].window

    @window.setter
    def window(self, seconds: float) -> None:
        self._viewer.set_window(seconds)

    @property
    def mode(self) -> Mode:
        """``"scroll"``: traces run to the left; ``"scan"``: a scan writes over the oldest."""
        return self._viewer.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._viewer.set_mode(mode)

    @property
    def settings(self) -> dict[str, Any]:
        """All that was chosen, as plain data: give it to the next plot, or keep it in a file or a cell."""
        with self._viewer.lock:
            panels = tuple(panel.settings for panel in self._viewer.panels)
            chosen = ScopeSettings(window=self.window, mode=self.mode, panels=panels)
        return chosen.model_dump(mode="json", exclude_defaults=True)

    # --- channels

    def show(self, *channels: str | int, panel: int = 0) -> None:
        """Draw these channels and no others, in this order from the top; all where none is named."""
        names = self._names(channels, panel)
        others = [name for name in self._viewer.panels[panel].spec.names if channels and name not in names]
        lanes = self._lanes(panel).with_order(names).with_solo(self._lanes(panel).solo, False)
        self._arrange(panel, lanes.with_shown(names, True).with_shown(others, False))

    def hide(self, *channels: str | int, panel: int = 0) -> None:
        """Leave channels out."""
        self._arrange(panel, self._lanes(panel).with_shown(self._names(channels, panel), False))

    def solo(self, *channels: str | int, panel: int = 0) -> None:
        """Draw these channels alone for the time being; without any: what was drawn before."""
        lanes = self._lanes(panel).with_solo(self._lanes(panel).solo, False)
        chosen = self._names(channels, panel) if channels else []
        self._arrange(panel, lanes.with_solo(chosen, True))

    def invert(self, *channels: str | int, on: bool = True, panel: int = 0) -> None:
        """Draw channels upside down, or not any more; all where none is named."""
        self._arrange(panel, self._lanes(panel).with_inverted(self._names(channels, panel), on))

    def gain(self, factor: float, *channels: str | int, panel: int = 0) -> None:
        """Draw channels ``factor`` times as high as now; all where none is named. See also `zoom`."""
        self._arrange(panel, self._lanes(panel).with_gain(self._names(channels, panel), factor))

    def shift(self, lanes: float, *channels: str | int, panel: int = 0) -> None:
        """Draw channels so many lanes higher than now; all where none is named."""
        self._arrange(panel, self._lanes(panel).with_shift(self._names(channels, panel), lanes))

    def filter(
        self,
        *,
        average: bool = False,
        low: float | None = None,
        high: float | None = None,
        median: bool = False,
        panel: int = 0,
    ) -> None:
        """Process what is drawn, and only that; without arguments: not any more.

        Parameters
        ----------
        average : bool
            Whether the average of all channels is taken off each.
        low, high : float, optional
            Corners of a second-order band-pass, Hz; one alone is a high-pass or a low-pass.
        median : bool
            Whether traces are drawn about their median.
        panel : int
            Which stream, from the top.

        Raises
        ------
        ConfigurationError
            A corner does not fit the sample rate.
        """
        chosen = FilterSettings.checked(average=average, low=low, high=high)
        now = self._viewer.panels[panel].settings
        self._viewer.set_settings(panel, now.model_copy(update={"filter": chosen, "median": median}))

    def _lanes(self, panel: int) -> LaneSettings:
        return self._viewer.panels[panel].settings.lanes

    def _arrange(self, panel: int, lanes: LaneSettings) -> None:
        now = self._viewer.panels[panel].settings
        self._viewer.set_settings(panel, now.model_copy(update={"lanes": lanes}))

    def _names(self, channels: Sequence[str | int], panel: int) -> list[str]:
        spec = self._viewer.panels[panel].spec
        names = spec.names
        return [names[c] for c in find_channels(spec, channels or (":",), "channels")]

    # --- the picture

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
        return render(self._still_panels(), window=self.window, title=self.title, width=width)

    def save(self, path: str | os.PathLike[str], width: int = 900) -> None:
        """Write the last window to a file: ``.svg`` stays sharp at any size, any other name gets a PNG."""
        target = Path(path)
        if target.suffix.lower() != ".svg":
            super().save(target, width)
            return
        drawn = render_svg(self._still_panels(), window=self.window, title=self.title, width=width)
        target.write_text(drawn, encoding="utf-8")

    def _still_panels(self) -> list[StillPanel]:
        with self._viewer.lock:
            return [_still(panel) for panel in self._viewer.panels]

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
        channels=panel.channels(),
        marks=panel.marks(),
    )


def _settings(
    given: ScopeSettings | Mapping[str, Any] | None, window: float | None, mode: Mode | None
) -> ScopeSettings:
    values = given.model_dump() if isinstance(given, ScopeSettings) else dict(given or {})
    values |= {name: value for name, value in (("window", window), ("mode", mode)) if value is not None}
    return ScopeSettings.checked(**values)


def _check(fps: float, names: tuple[str, ...] | list[str], n_sources: int, scale: str) -> None:
    if not 0 < fps <= 120:
        raise ConfigurationError(f"fps {fps!r}: wanted frames per second, above 0 and at most 120")
    if names and len(names) != n_sources:
        raise ConfigurationError(f"{len(names)} names for {n_sources} streams: name each, or none")
    if scale not in ("shared", "each"):
        raise ConfigurationError(f"scale {scale!r}: wanted 'shared' or 'each'")
