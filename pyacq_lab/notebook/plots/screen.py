"""The engine and the widget of viewers that show a scene."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyacq_lab.errors import PyacqError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.notebook.plots import assets, chart, figure, glyphs
from pyacq_lab.notebook.plots.engine import Engine
from pyacq_lab.notebook.plots.feed import Feed, FeedHandle, open_all
from pyacq_lab.notebook.plots.link import Link
from pyacq_lab.notebook.plots.live import LiveView
from pyacq_lab.viewing.pacing import ByteBudget
from pyacq_lab.viewing.packing import Packer
from pyacq_lab.viewing.scene import Element, Scene

_log = logging.getLogger(__name__)

_BUDGET = ByteBudget(600_000)
"""Of all viewers of this kernel together: Jupyter's server drops messages above 1 MB/s at its defaults."""

_IDLE_NS = 200_000_000
"""From one picture to the next of a scene that moves although nothing comes."""


class Intake:
    """One stream on its way into a scene, and the account of it.

    Parameters
    ----------
    number : int
        Of the stream, as the scene counts them.
    name : str
        Of the stream.
    spec : StreamSpec
        Its description.
    scene : Scene
        Where its items go.
    """

    def __init__(self, number: int, name: str, spec: StreamSpec, scene: Scene) -> None:
        self.name = name
        self.spec = spec
        self.state = "waiting"
        self.lost = 0
        self._number, self._scene = number, scene
        self._received = 0
        self._lag: float | None = None
        self._next: tuple[int, int] | None = None
        self._mark = (0.0, 0)
        self._rate = 0.0

    def add(self, item: Chunk | Gap, now_ns: int) -> None:
        """Take what the feed gave."""
        if self._next is not None and item.epoch == self._next[1]:
            until = item.stop if isinstance(item, Gap) else item.start
            self.lost += max(0, until - self._next[0])
        elif isinstance(item, Gap):
            self.lost += len(item)
        self._next = (item.stop, item.epoch)
        if isinstance(item, Chunk) and len(item):
            self._received += len(item)
            if item.time_ns:
                end_ns = item.time_ns + round(1e9 * (len(item) - 1) / self.spec.sample_rate)
                self._lag = (now_ns - end_ns) / 1e9
        self.state = "live"
        self._scene.add(self._number, item, now_ns)

    def renew(self, spec: StreamSpec) -> None:
        """Begin anew with a stream that was configured anew."""
        self.spec, self._next = spec, None
        self._scene.renew(self._number, spec)

    def measure(self, now: float) -> dict[str, Any]:
        """Give how the stream is doing."""
        then, seen = self._mark
        if then and now > then:
            self._rate = (self._received - seen) / (now - then)
        self._mark = (now, self._received)
        return {"state": self.state, "rate": self._rate, "lag": self._lag, "lost": self.lost}


class Screen(Engine):
    """Send a scene to pages, whenever it has changed: always the newest of it.

    Parameters
    ----------
    feeds : sequence of Feed
        The engine closes them.
    intakes : sequence of Intake
        One per feed.
    scene : Scene
        What is shown.
    link, fps, on_tick
        As in `Engine`.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        intakes: Sequence[Intake],
        scene: Scene,
        link: Link,
        fps: float,
        on_tick: Callable[[float], None] = lambda _now: None,
    ) -> None:
        super().__init__(feeds, intakes, link, fps, on_tick)
        self.scene = scene
        self.intakes = intakes
        self._packer = Packer()
        self._shown: tuple[int, int] | None = None
        self._shown_ns = 0
        self._frozen: list[Element] | None = None

    @property
    def paused(self) -> bool:
        """Whether the picture is frozen."""
        return self._frozen is not None

    def pause(self, paused: bool) -> None:
        """Freeze the picture, or let it go on; receiving goes on in any case."""
        with self._lock:
            self._frozen = self.scene.elements(time.time_ns()) if paused else None
            self._layout_stale = True
            self._shown = None

    def elements(self) -> list[Element]:
        """What is to be seen now."""
        with self._lock:
            return self.scene.elements(time.time_ns()) if self._frozen is None else self._frozen

    def set(self, name: str, value: Any) -> None:
        """Set a control of the scene. ConfigurationError where it cannot be set to that."""
        with self._lock:
            self.scene.set(name, value)
            if self._frozen is not None:
                self._frozen = self.scene.elements(time.time_ns())
            self._layout_stale = True

    def layout(self) -> dict[str, Any]:
        """Controls, and which figures they are for."""
        with self._lock:
            controls = [
                {
                    "name": c.name,
                    "label": c.label,
                    "kind": c.kind,
                    "value": c.value,
                    "options": c.options,
                    "title": c.title,
                }
                for c in self.scene.controls()
            ]
            return {"kind": "layout", "shape": self.scene.shape, "paused": self.paused, "controls": controls}

    def items(self) -> tuple[int, list[dict[str, Any]]]:
        """Shape of the scene, and the description of each element."""
        with self._lock:
            return self.scene.shape, [glyphs.element_item(element) for element in self.elements()]

    def _control(self, message: Mapping[str, Any]) -> bool:
        match message.get("kind"):
            case "pause":
                self.pause(bool(message["paused"]))
            case "control":
                try:
                    self.set(str(message.get("name")), message.get("value"))
                except PyacqError as error:
                    self._layout_stale = True  # the page shows again what is true
                    self._link.send({"kind": "refused", "message": str(error)})
            case _:
                return False
        return True

    def _forget_sent(self) -> None:
        self._packer.forget()
        self._shown = None

    def _measure(self, now: float) -> list[dict[str, Any]]:
        return [intake.measure(now) for intake in self.intakes]

    def _next_frame(self) -> tuple[dict[str, Any], list[bytes]]:
        now_ns = time.time_ns()
        state = (self.scene.shape, self.scene.changed)
        moves = self.scene.moves and self._frozen is None and now_ns - self._shown_ns >= _IDLE_NS
        if (state == self._shown and not moves) or not _BUDGET.may_spend(time.monotonic()):
            return {}, []
        self._layout_stale = self._layout_stale or self._shown is None or self._shown[0] != state[0]
        self._shown, self._shown_ns = state, now_ns
        entries, buffers = self._packer.pack(self.elements())
        # A frame without buffers is one, too: numbers have none.
        buffers = buffers or [b""]
        _BUDGET.spend(sum(map(len, buffers)) + 200 * len(entries), time.monotonic())
        return {"shape": self.scene.shape, "elements": entries}, buffers


class SceneView(LiveView):
    """Widget that shows a scene.

    Show it as the last value of a cell, with ``display``, or inside other widgets. It goes on while cells
    run, rests while nobody sees it, and leaves its last picture in the notebook when it is closed.
    """

    _esm = assets.esm("viewer.js")
    _css = assets.css()

    def _open(
        self,
        sources: tuple[Feed | FeedHandle, ...],
        make: Callable[[list[StreamSpec], list[str]], Scene],
        *,
        fps: float,
        title: str,
        names: Sequence[str] = (),
        backfill: float = 0.0,
    ) -> None:
        """Open the streams, make the scene of their specs and names, and begin."""
        feeds = open_all(sources, backfill)
        try:
            pairs = zip(feeds, sources, strict=True)
            named = [str(getattr(f, "name", "") or getattr(s, "name", "")) for f, s in pairs]
            titles = list(names) or named
            scene = make([feed.spec for feed in feeds], titles)
            intakes = [
                Intake(i, name, feed.spec, scene)
                for i, (feed, name) in enumerate(zip(feeds, titles, strict=True))
            ]
            super().__init__()
        except BaseException:
            for feed in feeds:
                feed.close()
            raise
        self.title = title
        self._screen = Screen(feeds, intakes, scene, self._link, fps, self._on_tick)
        self._begin(self._screen)

    @property
    def paused(self) -> bool:
        """Whether the picture is frozen."""
        return self._screen.paused

    def pause(self) -> None:
        """Freeze the picture, stills too; acquisition goes on."""
        self._screen.pause(True)

    def resume(self) -> None:
        """Let the picture go on, with what came meanwhile."""
        self._screen.pause(False)

    def set(self, **controls: Any) -> None:
        """Set what the buttons over the picture set, by name.

        Raises
        ------
        ConfigurationError
            There is no such control, or it cannot be set to that.
        """
        for name, value in controls.items():
            self._screen.set(name, value)

    def snapshot(self, width: int = 900) -> bytes:
        """Draw what is shown now as a PNG; needs no browser."""
        return chart.render(self._screen.elements(), title=self.title, width=width)

    def _figure_message(self) -> dict[str, Any]:
        shape, items = self._screen.items()
        return {
            "kind": "figure",
            "shape": shape,
            "items": items,
            "bokeh": figure.bokeh_version(),
            "title": self.title,
            "palettes": glyphs.palettes_of(items),
        }

    def __repr__(self) -> str:
        streams = ", ".join(intake.name or "stream" for intake in self._screen.intakes)
        state = self._state()
        if self.paused and state != "closed":
            state = "paused"
        return f"<{type(self).__name__} of {streams}; {state}>"
