"""The way from a viewer's thread to the pages that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import ipywidgets


class Link(Protocol):
    """Carries messages of one plot to all its views, in order. From any thread; never waits for a page."""

    def send(self, content: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Send plain data and binary buffers to every view."""
        ...


class CommLink:
    """The universal way: the widget's own comm, through the kernel and the notebook server.

    Parameters
    ----------
    widget : ipywidgets.Widget
        The widget whose views are the pages.
    """

    def __init__(self, widget: ipywidgets.Widget) -> None:
        self._widget = widget

    def send(self, content: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Send plain data and binary buffers to every view."""
        self._widget.send(dict(content), buffers=list(buffers))
