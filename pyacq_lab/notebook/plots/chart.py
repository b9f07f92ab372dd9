"""A picture of a scene that needs no browser: what stays in a saved notebook."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw

from pyacq_lab.notebook.plots.glyphs import palette
from pyacq_lab.notebook.plots.pencil import FAINT, FRAME, GAP, GRID, INK, RATIO, sized_font, stroke, write
from pyacq_lab.viewing import scene
from pyacq_lab.viewing.display import LIGHT_COLORS
from pyacq_lab.viewing.scene import Axis, Bands, Element, Lines, Picture, Plot, Raster, Tiles

_LEFT, _RIGHT, _TITLE, _CAPTION, _AXIS, _SPACE = 86, 18, 34, 24, 44, 8
_TILE_WIDTH, _TILE_HEIGHT = 214, 102
_PICTURE_WIDTH = 480
_WARN = (184, 67, 10)


def render(elements: Sequence[Element], *, title: str = "", width: int = 900) -> bytes:
    """Draw elements one above the other, as a PNG of `RATIO` times as many pixels."""
    heights = [_height(element, width) for element in elements]
    top = _TITLE if title else _SPACE
    image = Image.new("RGB", (width * RATIO, (top + sum(heights) + _SPACE) * RATIO), "white")
    draw = ImageDraw.Draw(image)
    if title:
        write(draw, (12, 18), title, sized_font(15), INK, "lm")
    for element, height in zip(elements, heights, strict=True):
        match element:
            case Plot():
                _plot(image, draw, element, top, width)
            case Picture():
                _picture(image, draw, element, top)
            case Tiles():
                _tiles(draw, element, top, width)
        top += height
    file = io.BytesIO()
    image.save(file, "png", compress_level=6, dpi=(96 * RATIO, 96 * RATIO))
    return file.getvalue()


def _height(element: Element, width: int) -> int:
    match element:
        case Plot():
            return _CAPTION + element.height + (_AXIS if element.x.label else _SPACE)
        case Picture():
            return _CAPTION + _picture_size(element)[1] + _SPACE
        case Tiles():
            in_row = max(1, (width - 24) // _TILE_WIDTH)
            return -(-len(element.tiles) // in_row) * _TILE_HEIGHT


def _plot(image: Image.Image, draw: ImageDraw.ImageDraw, plot: Plot, top: int, width: int) -> None:
    frame = round(plot.height * plot.aspect) if plot.aspect else width - _LEFT - _RIGHT
    small, normal = sized_font(11), sized_font(12)
    write(draw, (_LEFT, top + 13), plot.name, normal, INK, "lm")
    at = _LEFT + 14 + normal.getlength(plot.name) / RATIO
    for number, name in enumerate(plot.legend):
        color = LIGHT_COLORS[number % len(LIGHT_COLORS)]
        write(draw, (at, top + 13), name, normal, color, "lm")
        at += 12 + normal.getlength(name) / RATIO
    write(draw, (_LEFT + frame, top + 13), plot.note, normal, FAINT, "rm")
    top += _CAPTION
    across, up = _Scale(plot.x, frame), _Scale(plot.y, plot.height)
    x_ticks, y_ticks = _ticks(plot.x, frame / 70), _ticks(plot.y, plot.height / 40)
    for place, _ in x_ticks if plot.x.label or not plot.x.ticks else []:
        x = _LEFT + across(place)
        stroke(draw, (x, top, x, top + plot.height), GRID)
    for layer in plot.layers:
        match layer:
            case Raster():
                _raster(image, layer, (_LEFT, top, frame, plot.height), up)
            case Bands():
                _bands(image, layer, (_LEFT, top, frame, plot.height), across)
            case Lines():
                _lines(image, layer, (_LEFT, top, frame, plot.height), across, up)
    box = (_LEFT * RATIO, top * RATIO, (_LEFT + frame) * RATIO, (top + plot.height) * RATIO)
    draw.rectangle(box, outline=FRAME, width=RATIO)
    for place, label in y_ticks:
        y = top + plot.height - up(place)
        stroke(draw, (_LEFT - 4, y, _LEFT, y), FRAME)
        write(draw, (_LEFT - 8, y), label, small, FAINT, "rm")
    if plot.y.label:
        _upright(image, plot.y.label, (18, top + plot.height / 2))
    if plot.x.label:
        for place, label in x_ticks:
            x = _LEFT + across(place)
            stroke(draw, (x, top + plot.height, x, top + plot.height + 5), FRAME)
            write(draw, (x, top + plot.height + 14), label, small, FAINT, "mm")
        write(draw, (_LEFT + frame / 2, top + plot.height + 31), plot.x.label, small, FAINT, "mm")


def _upright(image: Image.Image, text: str, middle: tuple[float, float]) -> None:
    """Write a text that is read from below."""
    font = sized_font(11)
    ink = Image.new("L", (round(font.getlength(text)) + 4 * RATIO, 16 * RATIO))
    write(ImageDraw.Draw(ink), (ink.width / 2 / RATIO, 8), text, font, 255, "mm")
    ink = ink.rotate(90, expand=True)
    at = (round(middle[0] * RATIO - ink.width / 2), round(middle[1] * RATIO - ink.height / 2))
    image.paste(FAINT, at, ink)


class _Scale:
    """Values of an axis as distances from its beginning, CSS pixels."""

    def __init__(self, axis: Axis, length: float) -> None:
        self._log = axis.is_log
        self._start, stop = self._of(axis.start), self._of(axis.stop)
        self._per_unit = length / (stop - self._start)

    def _of(self, value: Any) -> Any:
        return np.log10(np.maximum(value, 1e-300)) if self._log else value

    def __call__(self, value: Any) -> Any:
        return (self._of(value) - self._start) * self._per_unit


def _ticks(axis: Axis, most: float) -> list[tuple[float, str]]:
    """Places and labels: given ones, or round numbers."""
    if axis.ticks:
        return list(axis.ticks)
    if axis.is_log:
        powers = range(math.ceil(math.log10(axis.start) - 1e-9), math.floor(math.log10(axis.stop) + 1e-9) + 1)
        return [(10.0**p, f"{10.0**p:g}") for p in powers]
    span = axis.stop - axis.start
    steps = (m * 10.0**e for e in range(-15, 16) for m in (1, 2, 5))
    step = next(s for s in steps if span / s <= max(2.0, most))
    first, last = math.ceil(axis.start / step - 1e-9), math.floor(axis.stop / step + 1e-9)
    values = [round(i * step, 12) + 0.0 for i in range(first, last + 1)]
    return [(v, f"{v:g}".replace("-", "\N{MINUS SIGN}")) for v in values]


Box = tuple[int, int, int, int]


def _raster(image: Image.Image, raster: Raster, box: Box, up: _Scale) -> None:
    left, top, width, height = box
    if not raster.levels.size:
        return
    colors = np.array([ImageColor.getrgb(color)[:3] for color in palette(raster.palette)], np.uint8)
    pixels = colors[np.maximum(raster.levels.astype(int) - 1, 0)]
    alpha = np.where(raster.levels > 0, 255, 0).astype(np.uint8)
    rgba = np.concatenate([pixels, alpha[..., np.newaxis]], axis=2).transpose(1, 0, 2)[::-1]
    drawn = Image.fromarray(np.ascontiguousarray(rgba), "RGBA")
    across = max(1, round(width * RATIO * len(raster.levels) / raster.capacity))
    rise = max(1, round((up(raster.top) - up(raster.bottom)) * RATIO))
    drawn = drawn.resize((across, rise), Image.Resampling.BILINEAR)
    area = Image.new("RGBA", (width * RATIO, height * RATIO))
    area.paste(drawn, (width * RATIO - across, round((height - up(raster.top)) * RATIO)))
    image.paste(area, (left * RATIO, top * RATIO), area)


def _bands(image: Image.Image, bands: Bands, box: Box, across: _Scale) -> None:
    left, top, width, height = box
    hatch = (np.add.outer(np.arange(height * RATIO), np.arange(width * RATIO)) % (5 * RATIO)) < RATIO
    area = np.zeros((height * RATIO, width * RATIO, 4), np.uint8)
    for start, stop in zip(bands.lefts, bands.rights, strict=True):
        first = max(0, round(across(start) * RATIO))
        last = min(width * RATIO, max(first + RATIO, round(across(stop) * RATIO)))
        area[:, first:last] = np.where(hatch[:, first:last, np.newaxis], (*GAP, 120), (*GAP, 44))
    drawn = Image.fromarray(area, "RGBA")
    image.paste(drawn, (left * RATIO, top * RATIO), drawn)


def _lines(image: Image.Image, lines: Lines, box: Box, across: _Scale, up: _Scale) -> None:
    left, top, width, height = box
    for number, (xs, ys) in enumerate(zip(lines.xs, lines.ys, strict=True)):
        color = lines.colors[number]
        rgb = INK if color == scene.INK else ImageColor.getrgb(LIGHT_COLORS[color % len(LIGHT_COLORS)])
        alpha = lines.alphas[number] if lines.alphas else 1.0
        ink = tuple(round(255 + (c - 255) * alpha) for c in rgb[:3])
        area = Image.new("L", (width * RATIO, height * RATIO))
        pen = ImageDraw.Draw(area)
        points = np.column_stack([across(xs), height - up(ys)]) * RATIO
        for piece in _pieces(points):
            pen.line(list(map(tuple, piece.clip(-1e5, 1e5))), 255, max(1, round(lines.width * RATIO)))
        image.paste(ink, (left * RATIO, top * RATIO), area)


def _pieces(points: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Parts of a line between its NaN, of two points at least."""
    known = np.isfinite(points).all(axis=1)
    edges = np.flatnonzero(np.diff(known.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return [points[a:b] for a, b in edges if b - a > 1]


def _picture_size(picture: Picture) -> tuple[int, int]:
    if picture.pixels is None:
        return _PICTURE_WIDTH, _PICTURE_WIDTH * 3 // 4
    height, width = picture.pixels.shape[:2]
    return _PICTURE_WIDTH, max(1, round(_PICTURE_WIDTH * height / width))


def _picture(image: Image.Image, draw: ImageDraw.ImageDraw, picture: Picture, top: int) -> None:
    write(draw, (12, top + 13), picture.name, sized_font(12), INK, "lm")
    at = 12 + sized_font(12).getlength(picture.name) / RATIO + 16
    write(draw, (at if picture.name else 12, top + 13), picture.note, sized_font(12), FAINT, "lm")
    width, height = _picture_size(picture)
    place = (12 * RATIO, (top + _CAPTION) * RATIO)
    if picture.pixels is None:
        draw.rectangle((*place, (12 + width) * RATIO, (top + _CAPTION + height) * RATIO), outline=FRAME)
        write(
            draw, (12 + width / 2, top + _CAPTION + height / 2), "no frame yet", sized_font(12), FAINT, "mm"
        )
        return
    drawn = Image.fromarray(np.ascontiguousarray(picture.pixels)).convert("RGB")
    image.paste(drawn.resize((width * RATIO, height * RATIO), Image.Resampling.BILINEAR), place)


def _tiles(draw: ImageDraw.ImageDraw, tiles: Tiles, top: int, width: int) -> None:
    in_row = max(1, (width - 24) // _TILE_WIDTH)
    for number, tile in enumerate(tiles.tiles):
        x = 12 + number % in_row * _TILE_WIDTH
        y = top + number // in_row * _TILE_HEIGHT
        ink = {"warn": _WARN, "quiet": FAINT, "": INK}[tile.tone]
        box = [v * RATIO for v in (x, y, x + _TILE_WIDTH - 8, y + _TILE_HEIGHT - 8)]
        draw.rounded_rectangle(box, 4 * RATIO, outline=ink if tile.tone == "warn" else FRAME, width=RATIO)
        write(draw, (x + 10, y + 15), tile.name, sized_font(12), FAINT, "lm")
        write(draw, (x + 10, y + 42), tile.value, sized_font(24), ink, "lm")
        after = sized_font(24).getlength(tile.value) / RATIO
        write(draw, (x + 16 + after, y + 47), tile.units, sized_font(12), FAINT, "lm")
        for row, part in enumerate(tile.note.split("; ")):
            write(draw, (x + 10, y + 66 + 14 * row), part, sized_font(10), FAINT, "lm")
