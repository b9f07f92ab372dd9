"""What every live view is in a notebook: a widget that moves while it is open, and leaves its picture."""

from __future__ import annotations

import atexit
import os
import threading
from abc import abstractmethod
from base64 import b64encode
from pathlib import Path
from typing import Any

import anywidget
from IPython.display import Image

from pyacq_lab.notebook.keepsake import Bundle, Keepsake
from pyacq_lab.notebook.plots import figure
from pyacq_lab.notebook.plots.engine import Engine
from pyacq_lab.notebook.plots.link import CommLink

_WIDTH = 900
"""Width of the picture in a notebook, CSS pixels."""

_FIRST_REFRESH = 3.0
"""Seconds without a page after which the picture in the notebook is refreshed for the first time."""


class LiveView(Keepsake, anywidget.AnyWidget):
    """Widget of a live view: its messages, its stills, its end.

    A subclass makes its engine and calls `_begin` with it when it is whole.
    """

    _closed = True  # until it is whole: ipywidgets closes also what could not be made
    title = ""

    def __init__(self) -> None:
        super().__init__()
        self._figures: list[Any] = []
        self._link = CommLink(self)
        self._closing = threading.Lock()
        self._refresh_at: float | None = None
        self._refresh_after = _FIRST_REFRESH
        self._final_refresh_done = False

    def _begin(self, engine: Engine) -> None:
        """Start the engine; from now on the view must be closed."""
        self._engine = engine
        self.on_msg(self._on_message)
        self._closed = False
        atexit.register(self.close)
        engine.start()

    @abstractmethod
    def snapshot(self, width: int = _WIDTH) -> bytes:
        """Draw what is shown now as a PNG; needs no browser.

        Parameters
        ----------
        width : int
            Of the picture, CSS pixels; the PNG is twice as fine.
        """

    def still(self, width: int = _WIDTH) -> Image:
        """Give what is shown now as a picture that shows itself in a notebook and stays in it when saved."""
        return Image(data=self.snapshot(width), format="png", width=width, alt=self.title or "traces")

    def save(self, path: str | os.PathLike[str], width: int = _WIDTH) -> None:
        """Write what is shown now to a PNG file."""
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
        self._engine.close()
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
        if not self._display_id or self._engine.watched:
            self._refresh_at = None
            return
        if self._refresh_at is None:
            self._refresh_at = now + self._refresh_after
        last_one = self._engine.ended and not self._final_refresh_done
        if now >= self._refresh_at or last_one:
            self._final_refresh_done = self._engine.ended
            self._refresh_after *= 2
            self._refresh_at = now + self._refresh_after
            self._publish(update=True)

    def _on_message(self, _widget: object, content: Any, _buffers: object) -> None:
        """Take a message of a page. Called by the kernel's thread for comms."""
        match content.get("kind"):
            case "need_figure":
                self._link.send(self._figure_message())
            case "need_bokeh":
                self._link.send({"kind": "bokeh", "bokeh": figure.bokeh_version()}, [figure.bokeh_js()])
            case _:
                self._engine.handle(content)

    def _figure_message(self) -> dict[str, Any]:
        """What the page must know before it can draw anything."""
        return {
            "kind": "figure",
            "items": self._figures,
            "bokeh": figure.bokeh_version(),
            "title": self.title,
        }

    def _state(self) -> str:
        """How the view is doing, in a word."""
        return "closed" if self._closed else "ended" if self._engine.ended else "live"
