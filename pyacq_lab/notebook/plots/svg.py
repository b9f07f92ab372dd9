"""A picture of a live plot that stays sharp at any size: for papers and posters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from pyacq_lab.notebook.plots.still import (
    HALF_LINE,
    MARGIN_RIGHT,
    PANEL_TITLE,
    TIME_AXIS,
    TITLE,
    StillPanel,
    time_ticks,
)
from pyacq_lab.viewing.bins import Floats
from pyacq_lab.viewing.columns import column_extremes, flagged_columns
from pyacq_lab.viewing.display import y_limits

_INK, _FAINT, _GRID, _BASE, _FRAME = "#22272e", "#6e7681", "#e8ebef", "#d4d9df", "#bec4cc"
_GAP, _MARK = "#d64541", "#8a5a00"
_COLUMNS_PER_PIXEL = 2
_LABEL = 6.2
"""Width of a letter of a label, about; the picture is drawn without asking for any font."""


def render_svg(panels: Sequence[StillPanel], *, window: float, title: str = "", width: int = 900) -> str:
    """Draw panels one above the other, as `pyacq_lab.notebook.plots.still.render` does.

    Parameters
    ----------
    panels : sequence of StillPanel
        From the top.
    window : float
        Seconds shown.
    title : str
        Written over all.
    width : int
        Of the picture, CSS pixels.
    """
    left = round(_LABEL * max((len(label) for p in panels for _, label in p.ticks), default=0)) + 18
    y = TITLE if title else 8
    height = y + sum(PANEL_TITLE + p.height + 8 for p in panels) + TIME_AXIS
    frame_width = width - left - MARGIN_RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(left, 22, title, "start", _INK, 15),
    ]
    for index, panel in enumerate(panels):
        parts.append(_text(left, y + 17, panel.name, "start", _INK, 12))
        parts.append(_text(width - MARGIN_RIGHT, y + 17, panel.note, "end", _FAINT, 12))
        y += PANEL_TITLE
        parts += _panel(panel, index, left, y, frame_width, window)
        y += panel.height + 8
    y -= 8
    for time in time_ticks(window):
        x = left + frame_width * (1 + time / window)
        label = f"{time:g}".replace("-", "\N{MINUS SIGN}")
        parts.append(_line(x, y, x, y + 5, _FRAME))
        parts.append(_text(x, y + 18, label, "middle", _FAINT))
    label = "time before the newest sample (s)"
    parts.append(_text(left + frame_width / 2, y + 35, label, "middle", _FAINT))
    return "\n".join([*filter(None, parts), "</svg>\n"])


def _panel(
    panel: StillPanel, index: int, left: float, top: float, width: int, window: float
) -> Iterator[str]:
    n_lanes, height = panel.lanes.shape[1], panel.height
    low, high = y_limits(n_lanes)
    scale = height / (high - low)
    for time in time_ticks(window):
        x = left + width * (1 + time / window)
        yield _line(x, top, x, top + height, _GRID)
    for lane in range(n_lanes):
        y = top + scale * (high - lane)
        yield _line(left, y, left + width, y, _BASE if n_lanes <= 16 else _GRID)
    n_columns = width * _COLUMNS_PER_PIXEL
    upright = f'y="{top}" height="{height}"'
    gaps = flagged_columns(panel.flags, n_columns, panel.stop, panel.window_bins)
    for start, stop in _runs(gaps):
        x, wide = left + start / _COLUMNS_PER_PIXEL, (stop - start) / _COLUMNS_PER_PIXEL
        yield f'<rect x="{x:.1f}" {upright} width="{wide:.1f}" fill="{_GAP}" opacity="0.25"/>'
    clip = f'<rect x="{left}" {upright} width="{width}"/>'
    yield f'<clipPath id="frame{index}">{clip}</clipPath>'
    yield f'<g clip-path="url(#frame{index})">'
    columns = column_extremes(panel.lanes, n_columns, panel.stop, panel.window_bins)
    for lane in range(n_lanes):
        centre = top + scale * (high - (n_lanes - 1 - lane))
        heights = centre - np.clip(columns[:, lane], -1e3, 1e3) * 0.5 * scale
        if path := _outline(heights, left):
            color = panel.color_of(lane)
            yield f'<path d="{path}" fill="{color}" stroke="{color}" stroke-width="0.4"/>'
    yield "</g>"
    for part, label in panel.mark_places():
        x = left + width * part
        yield _line(x, top, x, top + height, _MARK, ' stroke-dasharray="4 3"')
        yield _text(x + 3, top + 12, label, "start", _MARK)
    yield f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="{_FRAME}"/>'
    for at, label in panel.ticks:
        y = top + scale * (high - at)
        yield _line(left - 4, y, left, y, _FRAME)
        yield _text(left - 8, y + 4, label, "end", _INK if abs(at - round(at)) < 1e-9 else _FAINT)


def _outline(heights: Floats, left: float) -> str:
    """Path around a trace, shape (n_columns, 2): along its upper edge and back along the lower one."""
    parts: list[str] = []
    for start, stop in _runs(~np.isnan(heights[:, 0])):
        x = left + (np.arange(start, stop) + 0.5) / _COLUMNS_PER_PIXEL
        upper, lower = heights[start:stop, 1] - HALF_LINE, heights[start:stop, 0] + HALF_LINE
        points = [*zip(x, upper, strict=True), *zip(x[::-1], lower[::-1], strict=True)]
        parts.append("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points) + "Z")
    return "".join(parts)


def _runs(flags: np.ndarray) -> Iterator[tuple[int, int]]:
    """Half-open ranges in which something is true."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _text(x: float, y: float, text: str, anchor: str, fill: str, size: int = 11) -> str:
    if not text:
        return ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor={quoteattr(anchor)} fill="{fill}" font-size="{size}">'
        f"{escape(text)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, color: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"{more}/>'
