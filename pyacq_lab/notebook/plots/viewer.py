"""The engine of the oscilloscope: windows of bins, paused, scaled, and sent bin by bin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyacq_lab.notebook.plots.engine import Engine
from pyacq_lab.notebook.plots.feed import Feed
from pyacq_lab.notebook.plots.link import Link
from pyacq_lab.notebook.plots.markers import Markers
from pyacq_lab.notebook.plots.panel import Panel
from pyacq_lab.notebook.plots.panelsettings import Mode, PanelSettings, ScopeSettings

_RESCALE_INTERVAL = 1.0


class Viewer(Engine):
    """Receive feeds, keep their windows as bins, and send the pages what they lack.

    Parameters
    ----------
    feeds : sequence of Feed
        One per panel; the viewer closes them.
    panels : sequence of Panel
        Where their samples go.
    link, fps, on_tick
        As in `Engine`.
    markers : sequence of (Feed, Markers)
        Streams of events, and what puts them into the panels.
    mode : {'scroll', 'scan'}
        How the traces move.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        panels: Sequence[Panel],
        link: Link,
        fps: float,
        on_tick: Callable[[float], None] = lambda _now: None,
        markers: Sequence[tuple[Feed, Markers]] = (),
        mode: Mode = "scroll",
    ) -> None:
        all_feeds = [*feeds, *(feed for feed, _ in markers)]
        super().__init__(all_feeds, [*panels, *(each for _, each in markers)], link, fps, on_tick)
        self.panels = panels
        self.mode: Mode = mode
        self.paused = False
        self.auto_scale = True
        self._next_rescale = 0.0

    def pause(self, paused: bool = True) -> None:
        """Freeze the picture, or let it go on; receiving goes on in any case."""
        with self._lock:
            self.paused = paused
            for panel in self.panels:
                panel.freeze(paused)
            self._layout_stale = True

    def fit(self) -> None:
        """Fit the lanes to the signals now, and keep them fitted."""
        with self._lock:
            self.auto_scale = True
            for panel in self.panels:
                panel.rescale(force=True)
            self._layout_stale = True

    def zoom(self, factor: float, panel: int | None = None) -> None:
        """Draw traces ``factor`` times as high, in one panel or in all; fitting stops."""
        with self._lock:
            self.auto_scale = False
            for each in self.panels if panel is None else [self.panels[panel]]:
                each.set_scaling(each.scaling.zoomed(factor))
            self._layout_stale = True

    def set_window(self, window: float) -> None:
        """Show another number of seconds; the picture goes on if it was paused.

        Raises
        ------
        ConfigurationError
            So short or long a window is not shown.
        """
        ScopeSettings.checked(window=window)
        with self._lock:
            self.paused = False
            for panel in self.panels:
                panel.set_window(window)
            self._layout_stale = True

    def set_mode(self, mode: Mode) -> None:
        """Have the traces run to the left, or a scan write over the oldest. Raises ConfigurationError."""
        ScopeSettings.checked(mode=mode)
        with self._lock:
            self.mode = mode
            self._layout_stale = True

    def set_settings(self, panel: int, settings: PanelSettings) -> None:
        """Draw one panel otherwise. Raises ConfigurationError where its filter does not fit."""
        with self._lock:
            self.panels[panel].set_settings(settings)
            self._layout_stale = True

    def layout(self) -> dict[str, Any]:
        """What a page must know before the first frame."""
        with self._lock:
            return {
                "kind": "layout",
                "window": self.panels[0].window,
                "mode": self.mode,
                "paused": self.paused,
                "auto_scale": self.auto_scale,
                "panels": [panel.layout() for panel in self.panels],
            }

    def _control(self, message: Mapping[str, Any]) -> bool:
        match message.get("kind"):
            case "pause":
                self.pause(bool(message["paused"]))
            case "fit":
                self.fit()
            case "zoom":
                self.zoom(float(message["factor"]))
            case "window":
                self.set_window(float(message["seconds"]))
            case "mode":
                self.set_mode(message["mode"])
            case _:
                return self._hand_on(message)
        return True

    def _hand_on(self, message: Mapping[str, Any]) -> bool:
        """Have the panel that a message names, or else all, take what is not for the viewer itself."""
        index = message.get("panel")
        panels = self.panels if index is None else [self.panels[int(index)]]
        taken = [panel.handle(message) for panel in panels]
        self._layout_stale = self._layout_stale or any(taken)
        return any(taken)

    def _forget_sent(self) -> None:
        for panel in self.panels:
            panel.forget_sent()

    def _next_frame(self) -> tuple[dict[str, Any], list[bytes]]:
        frames = [panel.next_frame() for panel in self.panels]
        return {}, [frame.to_bytes() for frame in frames if frame is not None]

    def _measure(self, now: float) -> list[dict[str, Any]]:
        for panel in self.panels:
            panel.measure(now)
        first_look = any(not panel.revision and panel.stop > 8 for panel in self.panels)
        if self.auto_scale and not self.paused and (first_look or now >= self._next_rescale):
            self._next_rescale = now + _RESCALE_INTERVAL
            changed = [panel.rescale() for panel in self.panels]
            self._layout_stale = self._layout_stale or any(changed)
        return [panel.status() for panel in self.panels]
