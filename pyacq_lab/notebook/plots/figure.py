"""The bokeh figures of a live plot, and BokehJS itself, as messages for a page without internet."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import bokeh
from bokeh.embed import json_item
from bokeh.models import FixedTicker, Range1d
from bokeh.plotting import figure

from pyacq_lab.notebook.plots.panel import Panel
from pyacq_lab.viewing.display import y_limits

_TIME_AXIS_HEIGHT = 44


@cache
def bokeh_js() -> bytes:
    """BokehJS of the installed bokeh, gzip-compressed: about 0.35 MB instead of 1.3 MB."""
    path = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    return gzip.compress(path.read_bytes(), 6)


def bokeh_version() -> str:
    """Version of the installed bokeh."""
    return bokeh.__version__


def figure_items(panels: Sequence[Panel]) -> list[Any]:
    """Describe each panel's axes, ranges and tools to BokehJS; the traces are painted on top of them.

    The frames of all panels begin at the same x, so that times are in line.
    """
    labels = [label for panel in panels for label in _labels(panel)]
    left = round(min(180, 22 + 6.6 * max(map(len, labels), default=1)))
    return [json_item(_figure(panel, left, panel is panels[-1])) for panel in panels]


def _labels(panel: Panel) -> list[str]:
    # Limits such as "-0.5 mV" come later; room for them is kept so that the frame stands still.
    return [*panel.spec.names, "\N{MINUS SIGN}0000 " + panel.spec.units]


def _figure(panel: Panel, left: int, last: bool) -> figure:
    low, high = y_limits(panel.spec.n_channels)
    plot = figure(
        height=panel.height + (_TIME_AXIS_HEIGHT if last else 0),
        sizing_mode="stretch_width",
        x_range=Range1d(start=-panel.window, end=0.0),
        y_range=Range1d(start=low, end=high),
        tools="pan,box_zoom,xwheel_zoom,ywheel_zoom,reset,save",
        active_drag="box_zoom",
        active_scroll=None,
        toolbar_location="right",
        min_border_left=left,
        min_border_top=6,
        min_border_bottom=4,
        min_border_right=34,
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.yaxis.ticker = FixedTicker(ticks=[])
    plot.yaxis.major_label_text_font_size = "12px"
    plot.xaxis.major_label_text_font_size = "12px"
    plot.xaxis.axis_label = "time before the newest sample (s)"
    plot.xaxis.axis_label_text_font_style = "normal"
    plot.xaxis.axis_label_text_font_size = "12px"
    plot.xaxis.visible = last
    n = panel.spec.n_channels
    plot.hspan(y=[float(i) for i in range(n)], line_alpha=0.9 if n <= 16 else 0.4)
    return plot
