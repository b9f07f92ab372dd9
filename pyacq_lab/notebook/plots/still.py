"""A picture of a live plot that needs no browser: what stays in a saved notebook."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from pyacq_lab.notebook.plots.pencil import (
    BASE,
    FAINT,
    FRAME,
    GAP,
    GRID,
    INK,
    MARK,
    RATIO,
    sized_font,
    stroke,
    write,
)
from pyacq_lab.viewing.bins import Floats
from pyacq_lab.viewing.columns import column_extremes, flagged_columns
from pyacq_lab.viewing.display import LIGHT_COLORS, y_limits

HALF_LINE = 0.6
"""Half the width of a trace, CSS pixels."""

MARGIN_RIGHT, TITLE, PANEL_TITLE, TIME_AXIS = 16, 34, 24, 44
"""Room around the frames, CSS pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class StillPanel:
    """One panel of the picture.

    Attributes
    ----------
    name, note : str
        Its title, and what is written at its right end.
    height : int
        Of the traces' frame, CSS pixels.
    lanes : ndarray, shape (n_bins, n_channels, 2)
        Extremes in lane units.
    flags : ndarray of uint8, shape (n_bins,)
        As in `pyacq_lab.viewing.bins.Bins`.
    stop : int
        Index after the last bin on the display axis.
    window_bins : float
        Bins in the whole window.
    ticks : list of (float, str)
        Of the vertical axis.
    channels : sequence of int
        Column of each lane's channel, which gives it its colour; those of the lanes unless given.
    marks : sequence of (float, str)
        Events: where they lie on the display axis, and their labels.
    """

    name: str
    note: str
    height: int
    lanes: Floats
    flags: npt.NDArray[np.uint8]
    stop: int
    window_bins: float
    ticks: list[tuple[float, str]]
    channels: Sequence[int] = ()
    marks: Sequence[tuple[float, str]] = ()

    def color_of(self, lane: int) -> str:
        """Colour of a lane."""
        return LIGHT_COLORS[(self.channels[lane] if self.channels else lane) % len(LIGHT_COLORS)]

    def mark_places(self) -> list[tuple[float, str]]:
        """Events in sight: parts of the frame's width from its left edge, and labels."""
        places = [(1 - (self.stop - at) / self.window_bins, label) for at, label in self.marks]
        return [(x, label) for x, label in places if 0 <= x <= 1]


def render(panels: Sequence[StillPanel], *, window: float, title: str = "", width: int = 900) -> bytes:
    """Draw panels one above the other.

    Parameters
    ----------
    panels : sequence of StillPanel
        From the top.
    window : float
        Seconds shown.
    title : str
        Written over all.
    width : int
        Of the picture, CSS pixels; the PNG has `RATIO` times as many.

    Returns
    -------
    bytes
        A PNG.
    """
    label_font, text_font, title_font = sized_font(11), sized_font(12), sized_font(15)
    longest = max((label_font.getlength(label) for p in panels for _, label in p.ticks), default=0.0)
    left = round(longest / RATIO) + 18
    top = TITLE if title else 8
    height = top + sum(PANEL_TITLE + p.height + 8 for p in panels) + TIME_AXIS
    picture = Image.new("RGB", (width * RATIO, height * RATIO), "white")
    draw = ImageDraw.Draw(picture)
    if title:
        write(draw, (left, 18), title, title_font, INK, "lm")
    frame_width = width - left - MARGIN_RIGHT
    times = time_ticks(window)
    y = top
    for panel in panels:
        write(draw, (left, y + 13), panel.name, text_font, INK, "lm")
        write(draw, (width - MARGIN_RIGHT, y + 13), panel.note, text_font, FAINT, "rm")
        y += PANEL_TITLE
        _panel(picture, draw, panel, (left, y, frame_width, panel.height), window, times, label_font)
        y += panel.height + 8
    y -= 8
    for time in times:
        x = left + frame_width * (1 + time / window)
        stroke(draw, (x, y, x, y + 5), FRAME)
        label = f"{time:g}".replace("-", "\N{MINUS SIGN}")
        write(draw, (x, y + 14), label, label_font, FAINT, "mm")
    write(
        draw, (left + frame_width / 2, y + 31), "time before the newest sample (s)", label_font, FAINT, "mm"
    )
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=False, compress_level=6, dpi=(96 * RATIO, 96 * RATIO))
    return buffer.getvalue()


def _panel(
    picture: Image.Image,
    draw: ImageDraw.ImageDraw,
    panel: StillPanel,
    box: tuple[int, int, int, int],
    window: float,
    times: list[float],
    font: Any,
) -> None:
    left, top, width, height = box
    n_channels = panel.lanes.shape[1]
    low, high = y_limits(n_channels)
    for time in times:
        x = left + width * (1 + time / window)
        stroke(draw, (x, top, x, top + height), GRID)
    for i in range(n_channels):
        y = top + height * (high - (n_channels - 1 - i)) / (high - low)
        stroke(draw, (left, y, left + width, y), BASE if n_channels <= 16 else GRID)
    traces = _traces(panel, width * RATIO, height * RATIO)
    picture.paste(traces, (left * RATIO, top * RATIO), traces)
    for part, label in panel.mark_places():
        x = left + width * part
        for y in range(top, top + height, 7):
            stroke(draw, (x, y, x, min(y + 4, top + height)), MARK)
        write(draw, (x + 3, top + 8), label, font, MARK, "lm")
    draw.rectangle(
        (left * RATIO, top * RATIO, (left + width) * RATIO, (top + height) * RATIO),
        outline=FRAME,
        width=RATIO,
    )
    for at, label in panel.ticks:
        y = top + height * (high - at) / (high - low)
        whole = abs(at - round(at)) < 1e-9
        stroke(draw, (left - 4, y, left, y), FRAME)
        write(draw, (left - 8, y), label, font, INK if whole else FAINT, "rm")
    if not len(panel.flags):
        write(draw, (left + width / 2, top + height / 2), "no data yet", font, FAINT, "mm")


def _traces(panel: StillPanel, width: int, height: int) -> Image.Image:
    """Traces and gaps on a transparent ground, with smooth upper and lower edges."""
    n_channels = panel.lanes.shape[1]
    low, high = y_limits(n_channels)
    scale = height / (high - low)
    columns = column_extremes(panel.lanes, width, panel.stop, panel.window_bins)
    centre = (high - (n_channels - 1 - np.arange(n_channels))) * scale
    with np.errstate(invalid="ignore"):
        upper = centre - np.clip(columns[..., 1], -1e4, 1e4) * 0.5 * scale - HALF_LINE * RATIO
        lower = centre - np.clip(columns[..., 0], -1e4, 1e4) * 0.5 * scale + HALF_LINE * RATIO
    out = np.zeros((height, width, 4), np.uint8)
    gaps = flagged_columns(panel.flags, width, panel.stop, panel.window_bins)
    out[:, gaps] = (*GAP, 44)
    hatch = (np.add.outer(np.arange(height), np.arange(width)) % (5 * RATIO)) < RATIO
    out[hatch & gaps] = (*GAP, 120)
    rows = np.arange(height)[:, np.newaxis]
    for channel in range(n_channels):
        color = tuple(bytes.fromhex(panel.color_of(channel)[1:]))
        seen = ~np.isnan(upper[:, channel])
        if not seen.any():
            continue
        u, v = upper[seen, channel], lower[seen, channel]
        first, last = max(0, int(u.min())), min(height, int(v.max()) + 2)
        covered = np.minimum(rows[first:last] + 1, v) - np.maximum(rows[first:last], u)
        alpha = (np.clip(covered, 0, 1) * 255).astype(np.uint8)
        area = out[first:last, seen]
        stronger = alpha > area[..., 3]
        area[stronger] = np.concatenate(
            [
                np.broadcast_to(np.array(color, np.uint8), (int(stronger.sum()), 3)),
                alpha[stronger][:, np.newaxis],
            ],
            axis=1,
        )
        out[first:last, seen] = area
    return Image.fromarray(out, "RGBA")


def time_ticks(window: float) -> list[float]:
    """Round times from the left edge to 0."""
    step = next(s for e in range(-4, 6) for m in (1, 2, 5) if window / (s := m * 10.0**e) <= 8)
    return [round(-i * step, 9) + 0.0 for i in range(int(window / step + 1e-9), -1, -1)]
