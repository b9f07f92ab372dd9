"""Events of a stream of their own, as lines in the panels of signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import UNKNOWN, Event, events_in, index_in, require_events
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.notebook.plots.panel import Panel
from pyacq_lab.viewing.bins import Floats

_LABEL_LENGTH = 24


class Markers:
    """Takes the events of one stream and puts them where they belong in each panel.

    An event that marks a sample is taken to mark one of a panel's stream, whatever its rate, as triggers
    on that stream do; one that marks none goes by its time.

    Not thread-safe: the viewer holds its lock around every call.

    Parameters
    ----------
    name : str
        Of the stream.
    spec : StreamSpec
        Of the events.
    panels : sequence of Panel
        Where they are drawn.

    Raises
    ------
    StreamMismatch
        The stream is none of events.
    """

    def __init__(self, name: str, spec: StreamSpec, panels: Sequence[Panel]) -> None:
        self.name = name
        self.state = "waiting"
        self._spec = require_events(spec, "markers=")
        self._panels = panels

    def renew(self, spec: StreamSpec) -> None:
        """Go on with a stream that was configured anew."""
        self._spec = require_events(spec, "markers=")

    def add(self, item: Chunk | Gap, now_ns: int) -> None:
        """Take what the feed gave."""
        self.state = "live"
        if isinstance(item, Gap):
            return  # events that are lost are counted by their stream: there is no place to draw them at
        for panel in self._panels:
            for place, label in zip(
                self._places(item.data, panel), map(_label, events_in(item.data)), strict=True
            ):
                panel.mark(place, label)

    def _places(self, events: npt.NDArray[Any], panel: Panel) -> Floats:
        by_index = index_in(events, self._spec, panel.spec) + panel.past.place_of(0)
        by_time = panel.place_at(events["time_ns"])
        return np.where(events["index"] == UNKNOWN, by_time, by_index)


def _label(event: Event) -> str:
    text = event.label or ("" if event.code == UNKNOWN else str(event.code))
    return text if len(text) <= _LABEL_LENGTH else text[: _LABEL_LENGTH - 1] + "\N{HORIZONTAL ELLIPSIS}"
