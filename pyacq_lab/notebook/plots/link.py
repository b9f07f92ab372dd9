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
        keep_replies_off_the_busy_shell(widget)

    def send(self, content: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Send plain data and binary buffers to every view."""
        self._widget.send(dict(content), buffers=list(buffers))


def keep_replies_off_the_busy_shell(widget: ipywidgets.Widget) -> None:
    """Let the page's messages be handled where the page sent them: in a subshell, also while a cell runs.

    ipykernel 7.4 sends a comm's incoming messages to the (sub)shell that last *sent* one. A viewer's thread
    sends in the name of the running cell, so a page's acknowledgements would wait for that cell to end, and
    the plot with them. Other versions have no such routing, and nothing to switch off.
    """
    comm = widget.comm
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = _as_sent  # type: ignore[union-attr]  # noqa: SLF001


def _as_sent(_data: object, default: str | None) -> str | None:
    return default
